"""Find the `App` that a person means by ``app.py``, ``app.py:name`` or ``package.module:name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from polyport.app import App
from polyport.errors import ConfigurationError, DeclarationError, MissingDependencyError

__all__ = ["DEFAULT_FILES", "find_target", "load_app", "watched_folder"]

DEFAULT_FILES = ("app.py", "polyport_app.py")


def find_target(target: str | None) -> str:
    """Return what to load; without a target, the default file of the working folder.

    Raises:
        ConfigurationError: There is none.
    """
    if target:
        return target
    for name in DEFAULT_FILES:
        if Path(name).is_file():
            return name
    raise ConfigurationError(
        f"no app was named, and this folder has neither {' nor '.join(DEFAULT_FILES)}; name one: path/to/app.py, "
        "path/to/app.py:name or package.module:name"
    )


def watched_folder(target: str) -> Path:
    """Return the folder whose changes concern an app."""
    path, _ = _split(target)
    return path.resolve().parent if path is not None else Path.cwd()


def load_app(target: str | None) -> App:
    """Import the module and return its app.

    Raises:
        ConfigurationError: There is no such file or module, it can't be imported, or it doesn't say which app.
        DeclarationError: A registration in it is wrong; the message says in which line.
    """
    target = find_target(target)
    path, name = _split(target)
    if path is not None:
        module, shown = _import_file(path), str(path)
    else:
        shown = target.partition(":")[0]
        module = _import_module(shown)
    return _pick(module, shown, name)


def _split(target: str) -> tuple[Path | None, str | None]:
    """Split a target into its file (None for a module) and the app's name."""
    # The last colon: a path may hold others (a drive letter).
    head, colon, tail = target.rpartition(":")
    if colon and tail.isidentifier():
        text, name = head, tail
    else:
        text, name = target, None
    is_file = text.endswith(".py") or "/" in text or "\\" in text or Path(text).exists()
    return (Path(text) if is_file else None), name


def _import_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise ConfigurationError(
            f"{path} is a folder; name the file in it that holds the app, such as {path / 'app.py'}"
        )
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    if path.suffix != ".py":
        raise ConfigurationError(f"{path} is not a Python file; its name must end in .py")
    file = path.resolve()
    sys.path.insert(0, str(file.parent))
    name = file.stem if file.stem.isidentifier() and file.stem not in sys.modules else f"polyport_app_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # Annotations, pickling and dataclasses look their module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _import_failure(error, str(path)) from error
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"there is no module {name!r}; for a file write its path, which ends in .py"
            ) from None
        raise _import_failure(error, name) from error
    except BaseException as error:
        raise _import_failure(error, name) from error


def _import_failure(error: BaseException, shown: str) -> BaseException:
    """Return what to raise for an exception that left the app's module."""
    if isinstance(error, SyntaxError):
        return ConfigurationError(_describe_syntax(error))
    if isinstance(error, MissingDependencyError):
        return error
    if isinstance(error, DeclarationError | ConfigurationError):
        frame = _own_frames(error)[-1:]
        where = f"{_short(frame[0].filename)}, line {frame[0].lineno}: " if frame else ""
        return type(error)(f"{where}{error}")
    if isinstance(error, SystemExit):
        return ConfigurationError(f"{shown} ends the program (sys.exit) while it is imported; guard that with __main__")
    if not isinstance(error, Exception):
        return error
    frames = "".join(traceback.format_list(_own_frames(error)))
    what = "".join(traceback.format_exception_only(error)).rstrip()
    return ConfigurationError(f"{shown} can't be imported:\n{frames}{what}")


def _describe_syntax(error: SyntaxError) -> str:
    lines = [f"{_short(error.filename or '?')}, line {error.lineno}: {error.msg}"]
    if error.text:
        text = error.text.rstrip("\n")
        stripped = text.lstrip()
        lines.append(f"    {stripped}")
        if error.offset:
            lines.append("    " + " " * max(0, error.offset - 1 - (len(text) - len(stripped))) + "^")
    return "\n".join(lines)


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the traceback without this package's and the import system's part of it."""
    ours = str(Path(__file__).parent)
    sdk = str(Path(sys.modules["polyport.app"].__file__ or "").parent)
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, sdk, "<frozen importlib")) and "/importlib/" not in frame.filename
    ]


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _pick(module: ModuleType, shown: str, name: str | None) -> App:
    apps = {key: value for key, value in vars(module).items() if isinstance(value, App) and not key.startswith("__")}
    if name is not None:
        value = getattr(module, name, None)
        if isinstance(value, App):
            return value
        found = f"its apps are: {', '.join(apps)}" if apps else "it has no App at all"
        kind = f"{name!r} in {shown} is a {type(value).__name__}, not an App" if value is not None else None
        raise ConfigurationError(f"{kind or f'{shown} has no {name!r}'}; {found}")
    distinct = {id(value): key for key, value in reversed(apps.items())}
    if not distinct:
        raise ConfigurationError(f'{shown} has no App; write app = App("name") at its top level')
    if len(distinct) > 1:
        choices = ", ".join(f"{shown}:{key}" for key in sorted(distinct.values()))
        raise ConfigurationError(f"{shown} has several apps; name one: {choices}")
    return next(iter(apps.values()))
