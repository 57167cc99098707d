"""One question to a client: MCP's request for it, what the client must be able to do, and how to read its answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, assert_never

from mcp_types import (
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import ValidationError

from polyport.context import Ask, AskRoots, Elicit, Sample, SampleResult
from polyport.context import ElicitResult as Elicited
from polyport.errors import BadRequestError
from polyport_gateway.errors import describe_validation
from polyport_gateway.wires.mcp.errors import MissingClientCapabilityError
from polyport_gateway.wires.mcp.forms import Form

__all__ = ["Question", "check_capabilities"]


class Question:
    """An `Ask` in MCP's words.

    Attributes:
        request: What is sent to the client.
        result_type: The model of its answer.

    Raises:
        FunctionError: A form that can't be asked.
    """

    request: InputRequest
    result_type: type[ElicitResult] | type[CreateMessageResult] | type[ListRootsResult]

    def __init__(self, ask: Ask) -> None:
        self._form: Form | None = None
        match ask:
            case Elicit():
                self._form = Form(ask.schema)
                params = ElicitRequestFormParams(message=ask.message, requested_schema=self._form.schema)
                self.request, self.result_type = ElicitRequest(params=params), ElicitResult
            case Sample():
                self.request, self.result_type = CreateMessageRequest(params=_sampling(ask)), CreateMessageResult
            case AskRoots():
                self.request, self.result_type = ListRootsRequest(), ListRootsResult
            case _:
                assert_never(ask)

    def to_json(self) -> dict[str, Any]:
        """Return the request as data."""
        data = self.request.model_dump(by_alias=True, mode="json", exclude_none=True)
        data.setdefault("params", {})
        return data

    def digest(self) -> str:
        """Name the question, so that an answer to another one isn't taken for its own."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def parse(self, answer: Any) -> Any:
        """Read an answer that came as data.

        Raises:
            BadRequestError: It isn't one, or doesn't match the form.
        """
        try:
            return self.read(self.result_type.model_validate(answer, by_name=False))
        except ValidationError as error:
            raise BadRequestError(
                f"The client's answer is malformed: {describe_validation(error)[0]}", code="invalid_answer"
            ) from error

    def read(self, answer: ElicitResult | CreateMessageResult | ListRootsResult) -> Any:
        """Return an answer as the function sees it.

        Raises:
            BadRequestError: It doesn't match the form, or is no text.
        """
        match answer:
            case ElicitResult():
                return self._elicited(answer)
            case CreateMessageResult():
                if not isinstance(answer.content, TextContent):
                    raise BadRequestError(
                        f"The client's model answered with {answer.content.type}, not text.", code="invalid_answer"
                    )
                return SampleResult(answer.content.text, answer.model, answer.stop_reason)
            case _:
                return [str(root.uri) for root in answer.roots]

    def _elicited(self, answer: ElicitResult) -> Elicited:
        if answer.action != "accept":
            return Elicited(answer.action)
        assert self._form is not None  # noqa: S101 - the result type follows from the question
        return Elicited("accept", self._form.read(answer.content or {}))


def _sampling(ask: Sample) -> CreateMessageRequestParams:
    return CreateMessageRequestParams(
        messages=[SamplingMessage(role="user", content=TextContent(text=ask.prompt))],
        system_prompt=ask.system,
        max_tokens=ask.max_tokens,
        temperature=ask.temperature,
    )


_NEEDS: Mapping[type, str] = {Elicit: "elicitation", Sample: "sampling", AskRoots: "roots"}


def check_capabilities(asks: Mapping[str, Ask], declared: ClientCapabilities | None) -> None:
    """Refuse what the client has not said it can answer.

    Raises:
        MissingClientCapabilityError: It names what is missing.
    """
    missing = sorted({_NEEDS[type(ask)] for ask in asks.values() if not _can(ask, declared)})
    if missing:
        raise MissingClientCapabilityError(
            f"The call needs to ask the client something, and the client has not declared the capability "
            f"{' and '.join(missing)}; use a client that has it.",
            required={name: {} for name in missing},
        )


def _can(ask: Ask, declared: ClientCapabilities | None) -> bool:
    if declared is None:
        return False
    if isinstance(ask, Elicit):
        elicitation = declared.elicitation
        # An empty object means forms; one that lists only URLs does not.
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
    return (declared.sampling if isinstance(ask, Sample) else declared.roots) is not None
