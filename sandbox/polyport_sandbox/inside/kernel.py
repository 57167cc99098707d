"""The process that runs Python inside a sandbox: one script, or one cell after another.

It is started before anybody's code is known and then waits, so that no run waits for an interpreter. Whoever's code
runs here owns this process: nothing in it is secret, and all it can say is what that code displays. It runs from its
source text (``python3 -u -c …``), so it stands alone, and imports next to nothing before the code does.

Down one pipe of its own come jobs: a length, and fields, each a length and bytes, names and values in turn; down
another an ``A`` for each display, which holds the order between displays and output. Up: a length, a kind and a
payload. Kinds: ``R`` ready, ``B`` a cell begins and can be interrupted, ``V`` a display, ``T`` the exception that ended
the code, ``K`` the cell is over, with its exit code.
"""

from __future__ import annotations

import _ast
import _signal  # type: ignore[import-not-found]
import builtins
import io
import os
import sys
from typing import Any

from .displays import (
    ACKNOWLEDGED,
    DOWN,
    PID,
    TEXT_MOST,
    UP,
    Finder,
    as_json,
    display,
    flush,
    forms,
    modules,
    own_import,
    read_exactly,
    say,
    send_display,
    show_figures,
)

ONLY_AST, TOP_LEVEL_AWAIT, COROUTINE = 0x400, 0x2000, 0x80
sources: dict[str, str] = {}
loops: list[Any] = []
Module = type(sys)


def next_job() -> dict[str, bytes]:
    """Wait for what is to be run."""
    body = read_exactly(int.from_bytes(read_exactly(4), "big"))
    fields, at = [], 0
    while at < len(body):
        end = at + 4 + int.from_bytes(body[at : at + 4], "big")
        fields.append(body[at + 4 : end])
        at = end
    return {fields[index].decode(): fields[index + 1] for index in range(0, len(fields), 2)}


def execute(source: Any, filename: str, names: dict[str, Any], flags: int = 0) -> Any:
    """Run code and return the value of its last expression, which a trailing semicolon silences."""
    try:
        tree = compile(source, filename, "exec", ONLY_AST | flags, True)
        quiet = source.rstrip().endswith(b";" if isinstance(source, bytes) else ";")
        last = tree.body.pop() if tree.body and type(tree.body[-1]) is _ast.Expr and not quiet else None
        codes = [compile(tree, filename, "exec", flags, True)]
        if last is not None:
            codes.append(compile(_ast.Expression(last.value), filename, "eval", flags, True))
            if not tree.body and type(last.value) is _ast.Constant and type(last.value.value) is str:
                names["__doc__"] = last.value.value
    except (RecursionError, MemoryError):
        codes = [compile(source, filename, "exec", flags, True)]  # nested too deeply to be taken apart
    value = None
    for code in codes:
        value = eval(code, names)
        if code.co_flags & COROUTINE:
            value = awaited(value)
    return value if len(codes) == 2 else None


def awaited(coroutine: Any) -> Any:
    """Run a cell that awaits, on a loop that lives as long as the kernel."""
    asyncio = own_import("asyncio")
    if not loops:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[0])
    task = loops[0].create_task(coroutine)
    try:
        return loops[0].run_until_complete(task)
    except BaseException:
        if not task.done():
            task.cancel()
            try:
                loops[0].run_until_complete(task)
            except BaseException:  # the first one is told
                pass
        raise


def trimmed(traceback: Any, names: dict[str, Any]) -> Any:
    """A traceback without the frames above the code's own."""
    at = traceback
    while at is not None and at.tb_frame.f_globals is not names:
        at = at.tb_next
    return at


def tell_error(error: BaseException, text: str) -> None:
    """Send the exception that ended the code."""
    try:
        value = str(error)
    except Exception:
        value = ""
    told = {"name": type(error).__name__[:256], "value": value[:8192], "traceback": text[-65536:]}
    flush()
    try:
        say(b"T", as_json(told).encode())
    except OSError:
        pass


def new_main(path: str | None) -> dict[str, Any]:
    """Make the module that the code is."""
    main = Module("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    if path is not None:
        loader = sys.modules["_frozen_importlib_external"].SourceFileLoader("__main__", path)
        main.__dict__.update(__file__=path, __cached__=None, __loader__=loader)
    sys.modules["__main__"] = main
    return main.__dict__


def set_up(job: dict[str, bytes]) -> None:
    """Take from the job what belongs to the process."""
    for line in job.get("env", b"").decode().splitlines():
        name, _, value = line.partition("=")
        os.environ[name] = value
    if job.get("tools"):
        modules["polyport_tools"] = job["tools"].decode()


def set_stdin(content: bytes, first: bool) -> None:
    """Put what the code can read in the place of standard input."""
    if first and not content:
        return  # it is empty already
    source = os.memfd_create("stdin") if content else os.open("/dev/null", os.O_RDONLY)
    at = 0
    while at < len(content):
        at += os.write(source, content[at:])
    if content:
        os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.close(source)
    if not first:
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 - it is the process's


def run_script(job: dict[str, bytes]) -> None:
    """Run a file as ``python3 -u file`` would, and end as it would."""
    name = job["file"].decode()
    path = os.path.join("/work", name)
    sys.argv, sys.path[0] = [name], "/work"
    sys.orig_argv = ["python3", "-u", name]
    set_stdin(job.get("stdin", b""), first=True)
    names = new_main(path)
    try:
        with open(path, "rb") as source:
            content = source.read()
        value = execute(content, path, names)
        if value is not None:
            send_display(*forms(value), is_result=True)
        show_figures()
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        hook: Any = sys.excepthook
        told = trimmed(error.__traceback__, names)
        error.__traceback__ = told
        theirs, sys.stderr = sys.stderr, io.StringIO()
        try:
            sys.__excepthook__(type(error), error, told)
            text = sys.stderr.getvalue()
        finally:
            sys.stderr = theirs
        tell_error(error, text)
        sys.excepthook = lambda kind, value, _: hook(kind, value.with_traceback(told), told)
        raise


def cell_traceback(error: BaseException, names: dict[str, Any]) -> str:
    """Write a traceback with the lines of the cells in it."""
    keep_lines(own_import("linecache"))
    format_exception = own_import("traceback").format_exception
    return "".join(format_exception(type(error), error, trimmed(error.__traceback__, names)))


def keep_lines(linecache: Any) -> None:
    """Let tracebacks and inspect find the cells' lines."""
    for filename, source in sources.items():
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def exit_code(code: Any) -> int:
    """What SystemExit's value means; text is printed."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def run_cell(job: dict[str, bytes], names: dict[str, Any], filename: str) -> int:
    """Run one cell and return its exit code."""
    set_stdin(job.get("stdin", b""), first=False)
    try:
        source = job["code"].decode()
        sources[filename] = source
        while len(sources) > 100 or sum(map(len, sources.values())) > TEXT_MOST:
            del sources[next(iter(sources))]
        if "linecache" in sys.modules:
            keep_lines(sys.modules["linecache"])
        value = execute(source, filename, names, TOP_LEVEL_AWAIT)
        if value is not None:
            send_display(*forms(value), is_result=True)
        show_figures()
    except SystemExit as exit:
        return exit_code(exit.code)
    except BaseException as error:
        tell_error(error, cell_traceback(error, names))
        return 1
    return 0


def run_cells(job: dict[str, bytes]) -> None:
    """Run one cell after another, with the same variables."""
    sys.argv, sys.path[0] = [""], "/work"
    names = new_main(None)
    handler: Any = _signal.default_int_handler
    number = 0
    while True:
        number += 1
        code = 1
        try:
            sys.modules["_frozen_importlib_external"].PathFinder.invalidate_caches()
            try:
                _signal.signal(_signal.SIGINT, handler)
                say(b"B")
                code = run_cell(job, names, f"<cell {number}>")
            finally:
                handler = _signal.getsignal(_signal.SIGINT)
                _signal.signal(_signal.SIGINT, lambda *_: None)  # between cells there is nothing to interrupt
                flush()
        except BaseException as error:  # an interrupt at the very end of the cell
            tell_error(error, f"{type(error).__name__}\n")
        if os.getpid() != PID:
            os._exit(code)
        say(b"K", b"%d" % code)
        job = next_job()


def serve() -> None:
    """Get ready, wait, run."""
    for end in (UP, DOWN, ACKNOWLEDGED):
        os.set_inheritable(end, False)
    builtins.display = display  # type: ignore[attr-defined]
    sys.meta_path.insert(0, Finder(last=False))
    sys.meta_path.append(Finder(last=True))
    say(b"R")
    job = next_job()
    set_up(job)
    if job["mode"] == b"script":
        run_script(job)
    else:
        run_cells(job)


if __name__ == "__main__":
    serve()
