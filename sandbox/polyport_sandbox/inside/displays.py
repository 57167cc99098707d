"""Part of the kernel: what it says to the supervisor, and how values become displays, as in a notebook."""

from __future__ import annotations

import _json
import _signal  # type: ignore[import-not-found]
import _thread
import binascii
import io
import os
import sys
from typing import Any

UP, DOWN, ACKNOWLEDGED = 1100, 1101, 1102
TEXT_MOST = 1 << 20
FORM_MOST = 32 << 20  # characters or bytes of one form; a larger one is left out before it is copied
PID = os.getpid()
MAIN = _thread.get_ident()
FIGURES = "polyport_figures"
METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
)
speaking = _thread.RLock()
modules: dict[str, str] = {}


def read_exactly(count: int, source: int = DOWN) -> bytes:
    """Read so many bytes from the supervisor; end with it."""
    got = b""
    while len(got) < count:
        part = os.read(source, count - len(got))
        if not part:
            os._exit(0)
        got += part
    return got


def say(kind: bytes, payload: bytes = b"") -> None:
    """Tell the supervisor; a forked copy of this process has no say."""
    if os.getpid() != PID:
        return
    with speaking, Uninterrupted():
        data = memoryview(len(payload).to_bytes(4, "big") + kind + payload)
        while data:
            data = data[os.write(UP, data) :]
        if kind == b"V":
            read_exactly(1, ACKNOWLEDGED)


class Uninterrupted:
    """Puts an interrupt off until what was begun has been said whole."""

    def __enter__(self) -> None:
        self.asked = False
        self.handler: Any = None
        if _thread.get_ident() == MAIN:
            self.handler = _signal.getsignal(_signal.SIGINT)
            if self.handler is not None:
                _signal.signal(_signal.SIGINT, self.note)

    def note(self, *_: Any) -> None:
        """Remember the interrupt."""
        self.asked = True

    def __exit__(self, *_: Any) -> None:
        if self.handler is not None:
            _signal.signal(_signal.SIGINT, self.handler)
            if self.asked:
                _signal.raise_signal(_signal.SIGINT)


def as_json(value: Any, depth: int = 0) -> str:
    """Write a value as JSON, and what JSON has no word for as text, without importing a module of the code's."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if value - value == 0 else "null"
    if isinstance(value, (bytes, bytearray)):
        return as_json(binascii.b2a_base64(value, newline=False).decode())
    if depth < 64 and isinstance(value, dict):
        return "{" + ",".join(f"{as_json(str(k))}:{as_json(v, depth + 1)}" for k, v in value.items()) + "}"
    if depth < 64 and isinstance(value, (list, tuple)):
        return "[" + ",".join(as_json(item, depth + 1) for item in value) + "]"
    return str(_json.encode_basestring_ascii(value if type(value) is str else str(value)))


def own_import(name: str) -> Any:
    """Import a module of Python's own, whatever files of that name the code has."""
    mine = [entry for entry in sys.path if entry not in ("", "/work")]
    theirs, sys.path[:] = sys.path[:], mine
    try:
        return __import__(name, fromlist=["*"])
    finally:
        sys.path[:] = theirs


# Displays


def plain(value: Any) -> str:
    """The text of a value; never an exception, never without end."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    return text if len(text) <= TEXT_MOST else text[:TEXT_MOST] + "…"


def fits(mime: str, content: Any) -> bool:
    """Whether a form is of the kind its type asks for; an object that answers to every name gives others."""
    if isinstance(content, (str, bytes)) and len(content) > FORM_MOST:
        return False
    if mime == "application/json" or mime.endswith("+json"):
        return isinstance(content, (dict, list, str, int, float, bool))
    if mime.startswith("image/") and mime != "image/svg+xml":
        return isinstance(content, (bytes, str))
    return isinstance(content, str)


def take(data: dict[str, Any], metadata: dict[str, Any], mime: str, got: Any) -> None:
    """Keep one form, which may come with what the object says about it."""
    about = None
    if isinstance(got, tuple) and len(got) == 2:
        got, about = got
    if got is not None and fits(mime, got):
        data[mime] = got
        if isinstance(about, dict):
            metadata[mime] = about


def figure_png(figure: Any) -> bytes:
    """Draw a matplotlib figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def forms(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """All forms in which a value can be shown, as a notebook asks for them."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if not isinstance(value, type):
        for name, mime in METHODS:
            try:
                method = getattr(value, name, None)
                take(data, metadata, mime, method() if callable(method) else None)
            except Exception:
                continue
        try:
            method = getattr(value, "_repr_mimebundle_", None)
            bundle = method(include=None, exclude=None) if callable(method) else None
            bundle, about = bundle if isinstance(bundle, tuple) and len(bundle) == 2 else (bundle, {})
            for mime, content in bundle.items() if isinstance(bundle, dict) else ():
                take(data, metadata, str(mime), content)
            metadata.update(about if isinstance(about, dict) else {})
        except Exception:
            pass
        if FIGURES in sys.modules and type(value).__name__ == "Figure" and hasattr(value, "savefig"):
            try:
                data["image/png"] = figure_png(value)
            except Exception:
                pass
    if "text/plain" not in data:
        data["text/plain"] = plain(value)
    return data, metadata


def flush() -> None:
    """Let go of what was printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the code may have put anything there
            continue


def send_display(data: dict[str, Any], metadata: dict[str, Any], is_result: bool = False) -> None:
    """Send one display, after all that was printed before it."""
    payload = as_json({"data": data, "metadata": metadata, "is_result": is_result}).encode()
    flush()
    say(b"V", payload)


def display(*values: Any, raw: bool = False, metadata: Any = None, **_: Any) -> None:
    """Show values as a notebook does, each in all its forms; with `raw`, dicts of forms by MIME type."""
    for value in values:
        data, about = (dict(value), {}) if raw and isinstance(value, dict) else forms(value)
        about.update(metadata if isinstance(metadata, dict) else {})
        send_display(data, about)


def show_figures() -> None:
    """Display the open matplotlib figures, and close them."""
    helpers = sys.modules.get("matplotlib._pylab_helpers") if FIGURES in sys.modules else None
    if helpers is None:
        return
    try:
        for manager in helpers.Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            send_display({"image/png": figure_png(figure), "text/plain": plain(figure)}, {})
    finally:
        helpers.Gcf.destroy_all()


# Modules that code expects where notebooks are


class Shown:
    """What IPython.display's classes come to: forms of one object."""

    mime = "text/plain"
    binary = False

    def __init__(self, data: Any = None, *_: Any, url: Any = None, filename: Any = None, **options: Any) -> None:
        if data is None and filename is not None:
            with open(filename, "rb") as source:
                data = source.read() if self.binary else source.read().decode()
        if url is not None:
            raise ValueError("there is no network here; give the data itself")
        self.data = data
        self.options = options

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {self.mime: self.data}


class Image(Shown):
    """A picture, PNG unless its bytes or its `format` say otherwise."""

    binary = True

    def __init__(self, data: Any = None, *rest: Any, **options: Any) -> None:
        if isinstance(data, str):
            options["filename"], data = data, None
        super().__init__(data, *rest, **options)
        jpeg = str(options.get("format", "")).lower() in ("jpg", "jpeg") or bytes(self.data or b"")[:2] == b"\xff\xd8"
        self.mime = "image/jpeg" if jpeg else "image/png"


def ipython_display() -> dict[str, Any]:
    """Make the names of IPython.display."""
    names: dict[str, Any] = {"display": display, "Image": Image, "clear_output": lambda *_, **__: None}
    for name, mime in (
        ("HTML", "text/html"),
        ("SVG", "image/svg+xml"),
        ("JSON", "application/json"),
        ("Markdown", "text/markdown"),
        ("Latex", "text/latex"),
        ("Pretty", "text/plain"),
    ):
        names[name] = type(name, (Shown,), {"mime": mime})
    for name in ("html", "svg", "json", "markdown", "latex", "png", "jpeg"):
        kind = {"html": "HTML", "svg": "SVG", "json": "JSON", "markdown": "Markdown", "latex": "Latex"}.get(
            name, "Image"
        )
        names[f"display_{name}"] = lambda *values, kind=kind, **_: display(*map(names[kind], values))
    return names


def figures_backend() -> dict[str, Any]:
    """Make the matplotlib backend that displays."""
    agg = __import__("matplotlib.backends.backend_agg", fromlist=["*"])
    bases = __import__("matplotlib.backend_bases", fromlist=["*"])
    return {
        "FigureCanvas": agg.FigureCanvasAgg,
        "FigureManager": bases.FigureManagerBase,
        "show": lambda *_, **__: show_figures(),
    }


class Finder:
    """Finds our few modules; `last` is the one asked when nothing else has them."""

    def __init__(self, last: bool) -> None:
        self.last = last

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find one of ours, and set matplotlib to our backend before it is imported."""
        if name == "matplotlib" and not self.last:
            os.environ.setdefault("MPLBACKEND", f"module://{FIGURES}")
            os.environ.setdefault("MPLCONFIGDIR", "/tmp/.matplotlib")  # noqa: S108 - the sandbox's own
        ours = (
            ("IPython", "IPython.display", "IPython.core", "IPython.core.display") if self.last else (FIGURES, *modules)
        )
        if name not in ours:
            return None
        spec = sys.modules["_frozen_importlib"].ModuleSpec(name, self)
        if self.last:
            spec.submodule_search_locations = []
        return spec

    def create_module(self, spec: Any) -> Any:
        """Leave it to Python."""
        return None

    def exec_module(self, module: Any) -> None:
        """Fill one of ours."""
        if module.__name__ in modules:
            exec(compile(modules[module.__name__], f"<{module.__name__}>", "exec", dont_inherit=True), module.__dict__)
        elif module.__name__ == FIGURES:
            module.__dict__.update(figures_backend())
        else:
            module.__dict__.update(ipython_display())
            module.get_ipython = lambda: None
