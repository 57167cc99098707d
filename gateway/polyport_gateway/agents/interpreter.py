"""`CodeInterpreter`: Python for a model, run in a container of the caller's."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from polyport.errors import CallError, InternalServerError
from polyport.events import Result
from polyport_gateway.agents.transcript import Transcript
from polyport_gateway.call import Call, Caller, CallEvent, CodeEvent, CodeRun
from polyport_gateway.sandboxes.containers import FOLDER, ContainerFile, Containers, ContainerSpec
from polyport_gateway.sandboxes.service import RUN_CODE

if TYPE_CHECKING:
    from polyport_sandbox.session import Session
    from polyport_sandbox.types import RunResult

__all__ = ["CODE_INTERPRETER", "CodeInterpreter", "CodeOutput", "read_code"]

_log = logging.getLogger("polyport.agents")

CODE_INTERPRETER = "code_interpreter"
"""What the model calls it."""

_MOST_FILES_SHOWN = 50
_LONGEST_TOLD = 32_000
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python code."}},
    "required": ["code"],
    "additionalProperties": False,
}
_RENEWED = "[The earlier container has expired: this is a new one, without its variables and files.]\n"


@dataclass(frozen=True, slots=True)
class CodeOutput:
    """What a call gave, for the wire.

    Attributes:
        outputs: ``logs`` and ``image`` outputs, as OpenAI has them.
        files: What the code has written into the container so far.
        told: What the model was told.
    """

    outputs: Sequence[Mapping[str, Any]] = ()
    files: Sequence[ContainerFile] = ()
    told: str = ""


class CodeInterpreter:
    """The tool of one request. Its container is opened when the model first asks for it, if there is none yet.

    Calls of one turn have their turns in the container, in the model's order. A container of the interpreter's own
    that is lost is replaced at the next call, and the model is told; one that the caller named is not.

    Args:
        containers: Where containers are opened.
        caller: Whose it is.
        session: The container; None to open one when it is needed.
        spec: How it is to be, where the interpreter opens it.
        files: What is in it.
        renewed: Whether an earlier one is gone.
    """

    name = CODE_INTERPRETER
    input = _SCHEMA

    def __init__(
        self,
        containers: Containers,
        caller: Caller,
        *,
        session: Session | None = None,
        spec: ContainerSpec | None = None,
        files: Sequence[ContainerFile] = (),
        renewed: bool = False,
    ) -> None:
        self._containers = containers
        self._caller = caller
        self._session = session
        self._spec = spec
        self._renewed = renewed
        hosts = session.allow_hosts if session is not None else spec.allow_hosts if spec is not None else ()
        self.description = _description(hosts, files)

    async def open(self) -> str:
        """Return the container's id, and open it first where there is none.

        Raises:
            CallError: It can't be opened.
        """
        if self._spec is not None and (self._session is None or self._session.closed):
            self._renewed = self._renewed or self._session is not None
            self._session = await self._containers.create_auto(self._caller, self._spec)
        assert self._session is not None  # noqa: S101 - given where there is no spec
        return self._session.id

    async def invoke(self, call: Call, arguments: str) -> AsyncGenerator[CallEvent, None]:
        """Run code as the model wrote it.

        Raises:
            CallError: It could not be run; what the code itself does wrong is in what it gives.
        """
        session = self._session
        assert session is not None  # noqa: S101 - `open` comes first
        try:
            code = read_code(arguments)
        except ValueError as error:
            yield _failed(str(error))
            return
        note, self._renewed = _RENEWED if self._renewed else "", False
        transcript = Transcript()
        async with aclosing(call.child(RUN_CODE, CodeRun(code, session=session.id)).run()) as events:
            async for event in events:
                if isinstance(event, CodeEvent):
                    transcript.add(event.event)
        result = transcript.result
        if result is None or result.status == "sandbox_error":
            raise InternalServerError(_broken(result), code="sandbox_error")
        pictures = await self._save(session, transcript.pictures)
        files = await self._written(session)
        told = note + _cut(transcript.text(session.limits.wall_s)) + "".join(_shown(name) for name in pictures)
        yield Result(value=CodeOutput(_outputs(transcript), files, told), text=told)

    async def _save(self, session: Session, pictures: Sequence[tuple[str, bytes]]) -> list[str]:
        """Write the pictures that the code showed into the container, where the user finds them too."""
        names = []
        for kind, data in pictures:
            name = f"image-{token_hex(4)}.{kind}"
            try:
                await session.upload({name: data})
            except CallError as error:
                _log.info("a picture could not be written into %s: %s", session.id, error.code)
            else:
                names.append(name)
        return names

    async def _written(self, session: Session) -> list[ContainerFile]:
        try:
            files = await self._containers.files(session)
        except CallError as error:
            _log.info("the files of %s could not be listed: %s", session.id, error.code)
            return []
        return [file for file in files if file.source == "assistant"]


def read_code(arguments: str) -> str:
    """Return the code of a call: the member ``code`` of a JSON object, or, as some models write it, the text itself.

    Raises:
        ValueError: It is neither; the message is for the model.
    """
    text = arguments.strip()
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text and not text.startswith(("{", "[", '"')):
            return arguments
        raise ValueError(f'The arguments are not valid JSON: {error}. Give {{"code": "…"}}.') from error
    if isinstance(values, str):
        return values
    code = values.get("code") if isinstance(values, dict) else None
    if not isinstance(code, str):
        raise ValueError('The arguments have no code: give {"code": "…"}.')
    return code


def _description(hosts: Sequence[str], files: Sequence[ContainerFile]) -> str:
    network = f"It can reach {', '.join(hosts)} and nothing else." if hosts else "It has no network."
    text = (
        "Run Python code and see what it prints, the value of its last expression, and its pictures. Variables, "
        f"imports and files live on from call to call. {network} The user's files are in {FOLDER}, and files that the "
        f"user is to have must be written there: link to them as sandbox:{FOLDER}/NAME."
    )
    if not files:
        return text
    shown = ", ".join(f"{file.path} ({file.size} bytes)" for file in files[:_MOST_FILES_SHOWN])
    more = f", and {len(files) - _MOST_FILES_SHOWN} more" if len(files) > _MOST_FILES_SHOWN else ""
    return f"{text} Files there now: {shown}{more}."


def _outputs(transcript: Transcript) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = []
    if logs := transcript.logs():
        outputs.append({"type": "logs", "logs": logs})
    for kind, data in transcript.pictures:
        mime = "jpeg" if kind == "jpg" else kind
        url = f"data:image/{mime};base64,{base64.b64encode(data).decode('ascii')}"
        outputs.append({"type": "image", "url": url})
    return outputs


def _shown(name: str) -> str:
    return f"\n[A picture was shown to the user: sandbox:{FOLDER}/{name}]"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_TOLD:
        return text
    half = _LONGEST_TOLD // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def _failed(message: str) -> Result:
    return Result(value=CodeOutput([{"type": "logs", "logs": message}], told=message), text=message)


def _broken(result: RunResult | None) -> str:
    detail = result.detail if result is not None else None
    return f"The code could not be run: {detail or 'the sandbox failed'}."
