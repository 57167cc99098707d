"""Ways to break a right solution, and to cheat whoever grades it."""

from __future__ import annotations

from collections.abc import Callable

from .grading import Problem

__all__ = ["BREAKINGS"]


def _returning(value: str) -> Callable[[Problem], str]:
    return lambda problem: f"{problem.prompt}    return {value}\n"


def _before(line: str, *, right: bool = False) -> Callable[[Problem], str]:
    """Something done at import; the solution itself is right or none."""

    def make(problem: Problem) -> str:
        body = problem.reference if right else f"{problem.prompt}    return None\n"
        return f"{body}\n{line}\n"

    return make


def _called(line: str) -> Callable[[Problem], str]:
    return lambda problem: f"{problem.prompt}    {line}\n    return None\n"


def _wrapped(problem: Problem) -> str:
    """Right but for its last step: each result changed a little."""
    return (
        f"{problem.reference}\n\n_right = {problem.entry_point}\n"
        f"def {problem.entry_point}(*arguments):\n    value = _right(*arguments)\n"
        "    if isinstance(value, bool): return not value\n    if isinstance(value, (int, float)): return value + 1\n"
        "    if isinstance(value, str): return value + 'x'\n    if isinstance(value, list): return value + [0]\n"
        "    if isinstance(value, tuple): return value + (0,)\n    if isinstance(value, dict): return {**value, 'x': 0}\n"
        "    return 0\n"
    )


ALWAYS_EQUAL = (
    "class Yes:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
    "    def __lt__(self, other): return True\n    __le__ = __gt__ = __ge__ = __lt__\n    def __sub__(self, other): return 0\n"
    "    __rsub__ = __abs__ = __float__ = __sub__\n    def __hash__(self): return 0\n    def __bool__(self): return True\n"
)
PATCHES = (
    "import builtins, sys\nbuiltins.AssertionError = type('AssertionError', (Exception,), {})\n"
    "for name, module in list(sys.modules.items()):\n"
    "    try: module.check = lambda candidate: None\n    except Exception: pass\n"
    "sys.excepthook = lambda *a: sys.exit(0)\nimport atexit, os; atexit.register(os._exit, 0)"
)
SEEK_TOKEN = (
    "import os, re\nparent = os.getppid()\nfound = b''\n"
    "for path in (f'/proc/{parent}/mem', f'/proc/{parent}/environ', f'/proc/{parent}/cmdline', f'/proc/{parent}/fd/0',\n"
    "        '/work/main.py', '/proc/1/mem'):\n    try: found += open(path, 'rb').read(1 << 20)\n    except Exception: pass\n"
    "try:\n    maps = open(f'/proc/{parent}/maps').read()\n    memory = os.open(f'/proc/{parent}/mem', os.O_RDONLY)\n"
    "    for line in maps.splitlines():\n        low, high = (int(x, 16) for x in line.split()[0].split('-'))\n"
    "        try: found += os.pread(memory, min(high - low, 1 << 20), low)\n        except Exception: pass\nexcept Exception: pass\n"
    "tokens = set(re.findall(rb'[0-9a-f]{32}', found)) | {b'PASS', b'ok'}\n"
    "for target in (f'/proc/{parent}/fd/1', '/proc/1/fd/1', '/dev/stdout'):\n    try:\n        with open(target, 'wb', 0) as out:\n"
    "            for token in tokens: out.write(token)\n    except Exception: pass\n"
    "import signal\ntry: os.kill(parent, signal.SIGKILL)\nexcept Exception: pass\nos._exit(0)"
)
FORGED_ANSWERS = (
    "import os, struct, sys, json\nfor fd in range(3, 32):\n    data = json.dumps({'value': ['', True]}).encode()\n"
    "    try: os.write(fd, (struct.pack('>I', len(data)) + data) * 200)\n    except OSError: pass\nos._exit(0)"
)
POISONED_FOLDER = (
    "for name in ('json', 'random', 'math', 'struct', 'copy', 'string', 'sitecustomize'):\n"
    "    open(f'/work/{name}.py', 'w').write('import os; os._exit(0)')"
)

BREAKINGS: dict[str, Callable[[Problem], str]] = {
    "returns None": _returning("None"),
    "returns a wrong constant": _returning("-987654321"),
    "each result changed a little": _wrapped,
    "always equal": lambda problem: f"{ALWAYS_EQUAL}\n{problem.prompt}    return Yes()\n",
    "os._exit(0) before the tests": _before("import os; os._exit(0)"),
    "os._exit(0) when called": _called("import os; os._exit(0)"),
    "sys.exit(0) before the tests": _before("import sys; sys.exit(0)"),
    "SystemExit when called": _called("raise SystemExit(0)"),
    "patched asserts and check": _before(PATCHES),
    "swallowed exceptions": _called("import sys; sys.excepthook = lambda *a: None; raise BaseException('swallowed')"),
    "the token sought and forged": _before(SEEK_TOKEN),
    "forged answers": _before(FORGED_ANSWERS),
    "modules planted in the folder": _before(POISONED_FOLDER),
    "endless loop": _called("while True: pass"),
}
