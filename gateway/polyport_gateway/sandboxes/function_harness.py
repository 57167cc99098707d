"""Runs in the sandbox, never in the gateway: calls one function and writes down what it returned.

Standard input holds the function's source, its arguments, and the name of the file that the answer goes to. That name
can't be guessed, so nothing that the function merely prints, or leaves in a file, is taken for what it returned.
"""

import asyncio
import inspect
import json
import os
import sys
from typing import Any


class FunctionError(Exception):
    """What the function raises to tell its caller why."""


def call(asked: dict[str, Any]) -> str:
    """Call the function and return what to write down, as JSON."""
    namespace: dict[str, Any] = {"__name__": "sandboxed", "FunctionError": FunctionError}
    try:
        exec(compile(asked["source"], "sandboxed", "exec"), namespace)  # noqa: S102 - that is what it is for
        value = namespace[asked["function"]](*asked["positional"], **asked["named"])
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its answer
        told = {
            "raised": type(error).__name__,
            "message": str(error),
            "meant": isinstance(error, FunctionError),
            "line": _line(error),
        }
        return json.dumps(told)
    try:
        return json.dumps({"value": value}, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({"unsendable": type(value).__name__})


async def _awaited(value: Any) -> Any:
    return await value


def _line(error: BaseException) -> int | None:
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "sandboxed":
            line = step.tb_lineno
        step = step.tb_next
    return line


def main() -> None:
    """Answer what stands on standard input, and end at once, whatever threads the function left."""
    asked = json.loads(sys.stdin.buffer.read())
    answer = asked.pop("answer")
    told = call(asked)
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123 - the standard library's lightest
        file.write(told)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
