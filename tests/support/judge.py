"""The judge: runs a problem's tests in the sandbox against a candidate that is another process.

Trust: this process is the harness's own, and the candidate's is not. They share a container and a user, so

- this process makes itself undumpable before the candidate starts: its memory and descriptors can't be opened by it;
- the tests and the token come by stdin, are in no file, and are read before the candidate starts;
- the candidate is called through a pipe and answers with plain data, rebuilt here out of a few types, so that nothing
  of its own (an ``__eq__`` that says yes, a patched ``check``) ever runs here;
- all modules are imported before it starts, and none from the working folder;
- only this process knows the token, and it prints it once every assertion has passed.

So an exit code proves nothing and a forged line proves nothing; killing this process, or filling the folder, is a
failure. What remains: on a runtime that lets one process open another's descriptors whatever it set (gVisor of 2022),
the candidate could write here, though not the token, which it can't read. And tests are only as good as they are: a
candidate that passes them by knowing the problem is not told apart.
"""

import ast
import copy
import ctypes
import json
import math
import os
import random
import string
import struct
import subprocess
import sys
import typing

MOST = 8 << 20

CANDIDATE = r"""
import json, os, struct, sys
asked, answers = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
def pack(value):
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return [kind.__name__, [pack(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", [[pack(key), pack(item)] for key, item in value.items()]]
    if value is None or isinstance(value, (bool, int, float, str)):
        return ["", value]
    raise TypeError(type(value).__name__)
def unpack(value):
    kind, inner = value
    if kind == "dict":
        return {unpack(key): unpack(item) for key, item in inner}
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](map(unpack, inner)) if kind else inner
namespace = {"__name__": "candidate"}
with open("candidate.py") as source:
    exec(compile(source.read(), "candidate.py", "exec"), namespace)
function = namespace[sys.argv[3]]
while True:
    head = asked.read(4)
    if len(head) < 4:
        break
    try:
        arguments = unpack(json.loads(asked.read(struct.unpack(">I", head)[0])))
        answer = {"value": pack(function(*arguments))}
    except Exception as error:
        answer = {"error": type(error).__name__}
    data = json.dumps(answer).encode()
    answers.write(struct.pack(">I", len(data)) + data)
    answers.flush()
"""


def pack(value: typing.Any) -> list[typing.Any]:
    """Plain data, with the types JSON has no word for."""
    if type(value) in (list, tuple, set, frozenset):
        return [type(value).__name__, [pack(item) for item in value]]
    if type(value) is dict:
        return ["dict", [[pack(key), pack(item)] for key, item in value.items()]]
    return ["", value]


def unpack(value: typing.Any) -> typing.Any:
    """Rebuild plain data, and nothing else."""
    kind, inner = value
    if kind == "dict":
        return {unpack(key): unpack(item) for key, item in inner}
    if kind:
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](map(unpack, inner))
    if inner is not None and type(inner) not in (bool, int, float, str):
        raise ValueError("not plain data")
    return inner


class Candidate:
    """The candidate's function, as the tests call it."""

    def __init__(self, name: str) -> None:
        ask_read, ask_write = os.pipe()
        answer_read, answer_write = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CANDIDATE, str(ask_read), str(answer_write), name],
            pass_fds=(ask_read, answer_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (ask_read, answer_write):
            os.close(end)
        self.asked = os.fdopen(ask_write, "wb")
        self.answers = os.fdopen(answer_read, "rb")

    def __call__(self, *arguments: typing.Any) -> typing.Any:
        """Call it in its process."""
        data = json.dumps(pack(list(arguments))).encode()
        self.asked.write(struct.pack(">I", len(data)) + data)
        self.asked.flush()
        (length,) = struct.unpack(">I", self.answers.read(4))
        if length > MOST:
            raise ValueError("an answer without end")
        answer = json.loads(self.answers.read(length))
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return unpack(answer["value"])


def main() -> None:
    """Judge one candidate."""
    if ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) != 0:
        raise OSError("this process can't be made undumpable")
    problem = json.loads(sys.stdin.buffer.read())
    tests = {"__name__": "tests", "copy": copy, "math": math, "random": random, "string": string}
    # The prompt is the problem's own: the tests use helpers that it defines.
    exec(compile(problem["prompt"], "prompt", "exec"), tests)
    exec(compile(problem["test"], "tests", "exec"), tests)
    if not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(problem["test"]))):
        raise ValueError("the tests assert nothing")
    # Some tests call it by its own name too.
    tests[problem["entry_point"]] = candidate = Candidate(problem["entry_point"])
    tests["check"](candidate)
    sys.stdout.write(problem["token"])


sys.path[:] = [entry for entry in sys.path if entry not in ("", "/work")]
main()
