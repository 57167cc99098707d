"""How a running call asks its client something back, on either revision.

2025-11-25: a request to the client on the stream of its own request. 2026-07-28 has no such requests: the call
unwinds, its result says what is asked, and the client sends the request again with the answers, upon which the call
runs anew and finds them (multi-round-trip requests, SEP-2322). Answers given in earlier rounds travel in the sealed
``requestState``, so the gateway keeps nothing between rounds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from polyport.context import Ask
from polyport.errors import BadRequestError, UnsupportedOperationError
from polyport_gateway.call import InputRequired
from polyport_gateway.wires.mcp.questions import Question, check_capabilities
from polyport_gateway.wires.mcp.requests import Request, is_modern

__all__ = ["Asker"]


class Asker:
    """Asks one request's client; `ask` is a `Call.ask`.

    Args:
        request: The request being answered.
        responses: Answers that came with it, by key (2026-07-28).
        state: What an earlier round handed out (2026-07-28).
    """

    def __init__(self, request: Request, responses: Mapping[str, Any] | None, state: str | None) -> None:
        self._request = request
        self._responses = responses or {}
        self._state = state
        self._replay: _Replay | None = None

    async def ask(self, asks: Mapping[str, Ask]) -> dict[str, Any]:
        """Ask several things in one round.

        Raises:
            MissingClientCapabilityError: The client can't answer.
            InputRequired: The call has to be run again, once the client has the answers.
        """
        if not is_modern(self._request):
            check_capabilities(asks, self._request.session.client_capabilities)
            return await self._send(asks)
        if self._replay is None:
            self._replay = _Replay(self._request, self._responses, self._state)
        return self._replay.answer(asks)

    def input_required(self) -> dict[str, Any] | None:
        """Return the result that asks the client for what is missing; None when nothing is.

        Also where the function has swallowed the `InputRequired` that was raised through it.
        """
        return None if self._replay is None or not self._replay.pending else self._replay.result()

    async def _send(self, asks: Mapping[str, Ask]) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        failures: list[Exception] = []

        async def send(key: str, ask: Ask) -> None:
            try:
                answers[key] = await self._send_one(ask)
            except Exception as error:  # noqa: BLE001 - the first is raised below, outside the group
                failures.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for key, ask in asks.items():
                group.start_soon(send, key, ask)
        if failures:
            raise failures[0]
        return {key: answers[key] for key in asks}

    async def _send_one(self, ask: Ask) -> Any:
        question = Question(ask)
        session = self._request.session
        if not session.can_send_request:
            raise UnsupportedOperationError(
                "The call needs to ask the client something, and this connection carries no requests to the client; "
                "connect with a session (POST initialize first)."
            )
        metadata = ServerMessageMetadata(related_request_id=self._request.request_id)
        try:
            answer = await session.send_request(question.request, question.result_type, metadata=metadata)
        except MCPError as error:
            raise BadRequestError(f"The client refused to answer: {error.message}", code="invalid_answer") from error
        return question.read(answer)


class _Replay:
    """The questions of one run, and the answers known so far."""

    def __init__(self, request: Request, responses: Mapping[str, Any], state: str | None) -> None:
        self.pending: dict[str, dict[str, Any]] = {}
        self._request = request
        self._counts: Counter[str] = Counter()
        kept = json.loads(state) if state else {}
        # The boundary has checked that this gateway minted the state, for this caller and these arguments.
        self._asked: dict[str, str] = dict(kept.get("asked", {}))
        self._known: dict[str, Any] = {**kept.get("answers", {}), **responses}
        self._used: dict[str, Any] = {}

    def answer(self, asks: Mapping[str, Ask]) -> dict[str, Any]:
        """Return the answers; a run asks the same things in the same order each time, so keys agree.

        Raises:
            InputRequired: Not all of them are known.
        """
        found: dict[str, Any] = {}
        missing: dict[str, tuple[Ask, Question]] = {}
        for key, ask in asks.items():
            name, question = self._name(key), Question(ask)
            try:
                found[key] = self._find(name, question)
            except LookupError:
                missing[name] = ask, question
        if not missing:
            return found
        check_capabilities({name: ask for name, (ask, _) in missing.items()}, self._request.session.client_capabilities)
        for name, (_, question) in missing.items():
            self.pending[name] = question.to_json()
            self._asked[name] = question.digest()
        raise InputRequired({name: ask for name, (ask, _) in missing.items()})

    def result(self) -> dict[str, Any]:
        """Return the result that asks for what is missing."""
        state = json.dumps({"asked": self._asked, "answers": self._used}, separators=(",", ":"))
        return {"resultType": "input_required", "inputRequests": self.pending, "requestState": state}

    def _name(self, key: str) -> str:
        self._counts[key] += 1
        count = self._counts[key]
        return key if count == 1 else f"{key}_{count}"

    def _find(self, name: str, question: Question) -> Any:
        digest = question.digest()
        if name not in self._known or self._asked.get(name, digest) != digest:
            raise LookupError(name)
        try:
            value = question.parse(self._known[name])
        except BadRequestError:
            raise LookupError(name) from None  # asked once more
        self._asked[name] = digest
        self._used[name] = self._known[name]
        return value
