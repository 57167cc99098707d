"""`Client`: call a gateway, over HTTP or in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar, overload

import httpx

from polyport.app import App
from polyport.client import requests, responses
from polyport.client.base import DEFAULT_TIMEOUT_S, NOT_GIVEN, BaseClient, TimeoutChoice
from polyport.client.decoding import FunctionDecoder
from polyport.client.documents import Documents
from polyport.client.exchange import Request, Send, Step, Timeout, exchange, parsed
from polyport.client.knowledge import Knowledge
from polyport.client.portal import PortalTransport
from polyport.client.requests import Messages
from polyport.client.responses import ResponseStream
from polyport.client.sandbox import Sandbox
from polyport.client.streams import ChatStream, CompletionStream, EventStream
from polyport.events import Log, Progress
from polyport.types.chat import ChatCompletion
from polyport.types.completions import Completion
from polyport.types.embeddings import EmbeddingList
from polyport.types.functions import Function, FunctionResult
from polyport.types.models import Model
from polyport.types.rerank import RerankResponse
from polyport.types.responses import Response

__all__ = ["Client", "Functions", "Models", "Responses"]

T = TypeVar("T")
FunctionsFound: TypeAlias = list[Function]
ModelsFound: TypeAlias = list[Model]


class Client(BaseClient):
    """Calls a gateway; any number of threads may share one.

    >>> app = App("demo")
    >>> @app.function
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> with Client(app) as client:  # doctest: +SKIP
    ...     client.functions.call("add", a=1, b=2)
    3

    Args:
        target: A gateway's address, or an `App`, which is then served inside this process without a socket, from
            its first use until `close`. By default the address in ``POLYPORT_BASE_URL``, or this machine's port 8400.
        api_key: A gateway's key; ``POLYPORT_API_KEY`` by default. An embedded gateway needs none.
        timeout: Seconds for a whole call, its retries among them (for a stream: until it begins, and then the
            longest silence); or httpx's own; or None for no limit.
        max_retries: Tries after the first one, where trying again can help.
        headers: Sent with every request.
        http_client: Sends the requests instead of one of the client's own; not closed with it.
        **settings: Settings of the embedded gateway, by name (``data_dir=`` …).

    Raises:
        ConfigurationError: A value can't be used.
        MissingDependencyError: For an App: the gateway is not installed.
    """

    def __init__(
        self,
        target: str | App | None = None,
        *,
        api_key: str | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT_S,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        http_client: httpx.Client | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            target, api_key=api_key, timeout=timeout, max_retries=max_retries, headers=headers, settings=settings
        )
        self._owns_http = http_client is None
        if http_client is None:
            embedded = PortalTransport(self._build_gateway, local=self._local) if self._app is not None else None
            http_client = httpx.Client(transport=embedded, limits=_LIMITS)
        self._http = http_client
        self.functions = Functions(self)
        self.models = Models(self)
        self.responses = Responses(self)
        self.sandbox = Sandbox(self)
        self.documents = Documents(self)
        self.knowledge = Knowledge(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections; stop the embedded gateway, if there is one."""
        if self._owns_http:
            self._http.close()

    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: Literal[False] = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> ChatCompletion: ...
    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: Literal[True],
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> ChatStream: ...
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> ChatCompletion | ChatStream:
        """Chat with anything that has a name: a model, a pipeline, an agent, a function.

        Args:
            model: The name.
            messages: A question, or a conversation.
            stream: Give events as they arrive instead of the whole answer.
            timeout: Instead of the client's own.
            **params: Any other member of OpenAI's chat request (``temperature=`` …).

        Raises:
            CallError: It failed.
        """
        request = requests.chat(model, messages, params, stream=stream)
        if stream:
            return ChatStream(self._exchange(request, timeout, stream=True))
        return self._ask(request, timeout)

    @overload
    def complete(
        self,
        model: str,
        prompt: str | list[str] | list[int] | list[list[int]],
        *,
        stream: Literal[False] = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> Completion: ...
    @overload
    def complete(
        self,
        model: str,
        prompt: str | list[str] | list[int] | list[list[int]],
        *,
        stream: Literal[True],
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> CompletionStream: ...
    def complete(
        self,
        model: str,
        prompt: str | list[str] | list[int] | list[list[int]],
        *,
        stream: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> Completion | CompletionStream:
        """Continue a text.

        Args:
            model: The name of a model whose engine can.
            prompt: Text, texts, tokens, or lists of tokens.
            stream: Give events as they arrive instead of the whole answer.
            timeout: Instead of the client's own.
            **params: Any other member of OpenAI's completion request (``max_tokens=``, ``echo=``, ``logprobs=`` …).

        Raises:
            CallError: It failed.
        """
        request = requests.complete(model, prompt, params, stream=stream)
        if stream:
            return CompletionStream(self._exchange(request, timeout, stream=True))
        return self._ask(request, timeout)

    def embed(
        self,
        model: str,
        texts: str | list[str] | list[int] | list[list[int]],
        *,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> EmbeddingList:
        """Embed texts; `EmbeddingList.vectors` are lists of floats.

        Args:
            model: The name of a model whose engine can.
            texts: A text, texts, tokens, or lists of tokens.
            timeout: Instead of the client's own.
            **params: Any other member of OpenAI's embeddings request (``dimensions=`` …).

        Raises:
            CallError: It failed.
        """
        return self._ask(requests.embed(model, texts, params), timeout)

    def rerank(
        self,
        model: str,
        query: str,
        documents: Sequence[str | Mapping[str, Any]],
        *,
        top_n: int | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> RerankResponse:
        """Order documents by their relevance to a query; `RerankResponse.results` has the most relevant first.

        Args:
            model: The name of a model whose engine can.
            query: What to compare them with.
            documents: Texts, or objects with a ``text``.
            top_n: How many of the best to give; all by default.
            timeout: Instead of the client's own.
            **params: Any other member of the request (``return_documents=`` …).

        Raises:
            CallError: It failed.
        """
        return self._ask(requests.rerank(model, query, documents, params, top_n=top_n), timeout)

    def _ask(self, request: Request[T], timeout: TimeoutChoice) -> T:
        return parsed(request, self._exchange(request, timeout))

    def _exchange(self, request: Request[Any], timeout: TimeoutChoice, *, stream: bool = False) -> httpx.Response:
        self._check_open(self._http.is_closed)
        flow = exchange(request, policy=self._policy, timeout=self._timeout(timeout))
        step: Step = next(flow)
        while True:
            try:
                if isinstance(step, Send):
                    response = self._send(request, step, stream=stream)
                else:
                    time.sleep(step.seconds)
                    response = None
            except httpx.TransportError as error:
                step = flow.throw(error)
                continue
            try:
                step = flow.send(response)
            except StopIteration as done:
                answer: httpx.Response = done.value
                return answer

    def _send(self, request: Request[Any], step: Send, *, stream: bool) -> httpx.Response:
        response = self._http.send(self._http.build_request(**self._arguments(request, step)), stream=stream)
        if stream and not response.is_success:
            response.read()
        return response


class Functions:
    """Everything that can be called; `Client.functions`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> FunctionsFound:
        """Return every function (and pipeline, model and agent) in OpenAI's tool format."""
        return self._client._ask(requests.list_functions(), timeout)  # noqa: SLF001

    def get(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> Function:
        """Return one of them."""
        return self._client._ask(requests.get_function(name), timeout)  # noqa: SLF001

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a function and return what it returned, as JSON data.

        Pictures, sounds and resources come back as `polyport.Image` and so on.

        >>> Client().functions.call("add", a=1, b=2)  # doctest: +SKIP
        3

        Raises:
            CallError: It failed.
        """
        return self.invoke(name, arguments)

    @overload
    def invoke(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        returns: type[T],
        on_progress: Callable[[Progress], object] | None = None,
        on_log: Callable[[Log], object] | None = None,
        idempotent: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> T: ...
    @overload
    def invoke(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        returns: Any = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_log: Callable[[Log], object] | None = None,
        idempotent: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> Any: ...
    def invoke(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        returns: Any = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_log: Callable[[Log], object] | None = None,
        idempotent: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> Any:
        """Call a function with options; `call` is the short form.

        Args:
            name: The function's name.
            arguments: By parameter name.
            returns: The type to give the result, such as a model or a dataclass; JSON data without.
            on_progress: Called with each report of progress.
            on_log: Called with each line that the function logs.
            idempotent: Whether calling it twice does no harm, so that it may be tried again after a failure.
            timeout: Instead of the client's own.

        Raises:
            CallError: It failed, or returned something other than `returns`.
        """
        events = on_progress is not None or on_log is not None
        request = requests.call_function(name, arguments or {}, idempotent=idempotent, events=events)
        response = self._client._exchange(request, timeout, stream=events)  # noqa: SLF001
        result = _watched(response, on_progress, on_log) if events else parsed(request, response)
        return requests.returned(name, result, returns, request_id=response.headers.get("x-request-id"))


def _watched(
    response: httpx.Response,
    on_progress: Callable[[Progress], object] | None,
    on_log: Callable[[Log], object] | None,
) -> FunctionResult:
    decoder = FunctionDecoder()
    with EventStream(response, decoder) as events:
        for event in events:
            if isinstance(event, Progress) and on_progress is not None:
                on_progress(event)
            elif isinstance(event, Log) and on_log is not None:
                on_log(event)
    assert decoder.result is not None  # noqa: S101 - the decoder has refused a stream without one
    return decoder.result


class Models:
    """Every name that can be chatted with; `Client.models`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> ModelsFound:
        """Return all of them."""
        return self._client._ask(requests.list_models(), timeout)  # noqa: SLF001

    def get(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> Model:
        """Return one of them."""
        return self._client._ask(requests.get_model(name), timeout)  # noqa: SLF001


class Responses:
    """OpenAI's Responses: answers that are kept and continued; `Client.responses`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @overload
    def create(
        self,
        model: str,
        input: str | list[Any],
        *,
        stream: Literal[False] = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> Response: ...
    @overload
    def create(
        self,
        model: str,
        input: str | list[Any],
        *,
        stream: Literal[True],
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> ResponseStream: ...
    def create(
        self,
        model: str,
        input: str | list[Any],  # noqa: A002 - OpenAI's name for it
        *,
        stream: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **params: Any,
    ) -> Response | ResponseStream:
        """Ask for a response.

        Args:
            model: The name of a model, a pipeline, an agent or a function.
            input: Text, or OpenAI's input items.
            stream: Give events as they arrive instead of the whole response.
            timeout: Instead of the client's own.
            **params: Any other member of OpenAI's request (``previous_response_id=``, ``tools=`` …).

        Raises:
            CallError: It failed.
        """
        request = responses.create(model, input, params, stream=stream)
        if stream:
            return ResponseStream(self._client._exchange(request, timeout, stream=True))  # noqa: SLF001
        return self._client._ask(request, timeout)  # noqa: SLF001

    def retrieve(self, response_id: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> Response:
        """Return a stored response."""
        return self._client._ask(responses.retrieve(response_id), timeout)  # noqa: SLF001

    def delete(self, response_id: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> None:
        """Forget a stored response."""
        self._client._ask(responses.delete(response_id), timeout)  # noqa: SLF001

    def cancel(self, response_id: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> Response:
        """Cancel a response that runs in the background."""
        return self._client._ask(responses.cancel(response_id), timeout)  # noqa: SLF001

    def input_items(self, response_id: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> list[dict[str, Any]]:
        """Return what a stored response was made from."""
        return (self._client._ask(responses.input_items(response_id), timeout)).data  # noqa: SLF001


_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
