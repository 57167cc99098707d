"""An interactive session: what is typed runs in the sandbox, and variables and files live on."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from polyport.errors import PolyportError
from polyport_sandbox.errors import SandboxError, SessionClosedError
from polyport_sandbox.sync import SyncSandbox, SyncSession
from polyport_sandbox.types import Limits

from .complete import is_complete
from .run import read_file
from .screen import Screen

__all__ = ["Shell"]

PROMPT, CONTINUED = ">>> ", "... "
# A person thinks longer than a program does.
IDLE_S = 4 * 3600.0
LIFETIME_S = 24 * 3600.0

HELP = """\
%help                      this
%language NAME             what the next lines are written in (python, bash, javascript …)
!COMMAND                   one line of bash
%files [FOLDER]            what the working folder holds
%upload PATH [NAME]        put a file of this machine into it
%download NAME [PATH]      bring one here
%delete NAME               delete a file or folder there
%restart                   start the kernel anew: variables are gone, files stay
%quit, Ctrl-D              leave; nothing of the session stays
Ctrl-C                     end what runs, or drop what is typed
A block ends with an empty line."""


class Shell:
    """Reads lines, runs them in one session and shows what they do.

    Args:
        box: An open sandbox.
        language: What the first lines are written in.
        limits: The session's.
        files: Put into its working folder.
        allow_hosts: Hosts it may reach.
        screen: Where to show things.
        read_line: Reads one line after a prompt; raises EOFError at the end.
    """

    def __init__(
        self,
        box: SyncSandbox,
        *,
        language: str = "python",
        limits: Limits | None = None,
        files: dict[str, bytes] | None = None,
        allow_hosts: tuple[str, ...] = (),
        screen: Screen | None = None,
        read_line: Callable[[str], str] | None = None,
    ) -> None:
        self._box = box
        self._language = language
        self._options: dict[str, Any] = {"limits": limits, "allow_hosts": allow_hosts}
        self._files = files or {}
        self._screen = screen or Screen(Path.cwd())
        self._read_line = read_line or _reader()
        self._session: SyncSession | None = None
        self._failed = False

    def run(self) -> int:
        """Read until the end; return 0, or 1 where input did not come from a terminal and some of it failed."""
        self._check_language(self._language)
        try:
            self._open(self._files)
            while (text := self._next()) is not None:
                with self._complaining():
                    if self._obey(text) == "quit":
                        break
        finally:
            if self._session is not None:
                with contextlib.suppress(SandboxError):
                    self._session.close()
        return int(self._failed and not sys.stdin.isatty())

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except SessionClosedError as error:
            self._failed = True
            self._screen.note(f"Error: {error} A new one is opened; variables and files are gone.")
            self._open({})
        except PolyportError as error:
            self._failed = True
            self._screen.note(f"Error: {error}")

    def _open(self, files: dict[str, bytes]) -> None:
        self._session = self._box.open_session(files=files, idle_s=IDLE_S, lifetime_s=LIFETIME_S, **self._options)

    def _next(self) -> str | None:
        """The next block; None at the end."""
        lines: list[str] = []
        while True:
            try:
                line = self._read_line(CONTINUED if lines else PROMPT)
            except EOFError:
                return "\n".join(lines) if lines else None
            except KeyboardInterrupt:
                self._screen.note("")
                lines = []
                continue
            if not lines and (line.startswith(("%", "!")) or not line.strip()):
                return line
            lines.append(line)
            if is_complete("\n".join(lines), self._language):
                return "\n".join(lines)

    def _obey(self, text: str) -> str | None:
        if not text.strip():
            return None
        if text.startswith("!"):
            self._cell(text[1:], "bash")
            return None
        if not text.startswith("%"):
            self._cell(text, self._language)
            return None
        try:
            name, *arguments = shlex.split(text[1:]) or [""]
        except ValueError as error:
            raise SandboxError(f"{text}: {error}") from error
        if name in ("quit", "exit"):
            return "quit"
        command = getattr(self, f"_do_{name}", None) if name.isalpha() else None
        if command is None:
            raise SandboxError(f"There is no command %{name}; %help lists those there are.")
        try:
            command(*arguments)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise SandboxError(f"%{name} takes other arguments; %help shows which.") from error
            raise
        return None

    def _cell(self, code: str, language: str) -> None:
        session = self._opened()
        with _interrupting(session):
            for event in session.stream(code, language=language):
                self._screen.show(event)
                if event.type == "end" and event.result.status != "ok":
                    self._failed = True
        self._screen.begin()

    def _do_help(self) -> None:
        self._screen.note(HELP)

    def _do_language(self, name: str) -> None:
        self._check_language(name)
        self._language = name

    def _do_files(self, folder: str = "") -> None:
        for info in self._opened().list(folder):
            size = "folder" if info.is_folder else f"{info.size} bytes"
            self._screen.say(f"{size:>14}  {info.name}")

    def _do_upload(self, path: str, name: str | None = None) -> None:
        self._opened().upload({name or Path(path).name: read_file(path)})

    def _do_download(self, name: str, path: str | None = None) -> None:
        data = self._opened().download(name)
        target = Path(path or Path(name).name)
        try:
            target.write_bytes(data)
        except OSError as error:
            raise SandboxError(f"{target} can't be written: {error.strerror}") from error
        self._screen.note(f"saved {target} ({len(data)} bytes)")

    def _do_delete(self, name: str) -> None:
        self._opened().delete(name)

    def _do_restart(self) -> None:
        self._opened().restart()

    def _check_language(self, name: str) -> None:
        known = self._box.provider.languages()
        if name not in known:
            raise SandboxError(f"There is no language {name!r} here; there are: {', '.join(known)}.")

    def _opened(self) -> SyncSession:
        if self._session is None:
            self._open({})
        assert self._session is not None  # noqa: S101 - just opened
        return self._session


@contextlib.contextmanager
def _interrupting(session: SyncSession) -> Iterator[None]:
    """Let Ctrl-C end the cell and not the shell; a second one, where the first was in vain, ends the shell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[threading.Thread] = []

    def interrupt() -> None:
        with contextlib.suppress(SandboxError):
            session.interrupt()

    def pressed(*_: object) -> None:
        if asked and asked[0].is_alive():
            raise KeyboardInterrupt
        # In a thread: this one stands in the middle of waiting for the cell.
        asked[:] = [threading.Thread(target=interrupt, daemon=True)]
        asked[0].start()

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for thread in asked:
            thread.join(10)


def _reader() -> Callable[[str], str]:
    if not sys.stdin.isatty():
        return _line_of_pipe
    # Editing and history, as in Python's own shell; the history is not kept, for it may hold secrets.
    with contextlib.suppress(ImportError):
        import readline

        readline.parse_and_bind("tab: self-insert")
    return input


def _line_of_pipe(_: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
