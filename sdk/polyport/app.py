"""`App`: where an author registers what the gateway will serve."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from polyport.declarations import (
    AgentDeclaration,
    Annotations,
    Declaration,
    DocumentsDeclaration,
    FieldType,
    FunctionDeclaration,
    KnowledgeDeclaration,
    ModelDeclaration,
    PipelineDeclaration,
    PromptDeclaration,
    ResourceDeclaration,
    SandboxDeclaration,
    check_name,
)
from polyport.errors import DeclarationError
from polyport.knowledge import check_base_name, check_knowledge, names, paths

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., Any])


class App:
    """What one gateway serves. Declarations only: nothing connects and nothing heavy is imported until served.

    >>> app = App("demo")
    >>> @app.function
    ... def add(a: int, b: int) -> int:
    ...     "Add two integers."
    ...     return a + b
    >>> [declaration.name for declaration in app.declarations]
    ['add']

    Args:
        name: Shown to clients as the server's name.
        instructions: Told to MCP clients: what this server is for and how to use it.
        version: The app's own version, shown to clients.
    """

    def __init__(self, name: str, *, instructions: str | None = None, version: str = "0.1.0") -> None:
        self.name = name
        self.instructions = instructions
        self.version = version
        self._declarations: dict[str, Declaration] = {}
        self._search_names: dict[str, str] = {}
        self._resources: dict[str, ResourceDeclaration] = {}
        self._prompts: dict[str, PromptDeclaration] = {}
        self._sandbox: SandboxDeclaration | None = None
        self._documents: DocumentsDeclaration | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Everything that can be called, in the order of registration."""
        return tuple(self._declarations.values())

    @property
    def resources(self) -> tuple[ResourceDeclaration, ...]:
        """Everything that can be read."""
        return tuple(self._resources.values())

    @property
    def prompts(self) -> tuple[PromptDeclaration, ...]:
        """Every prompt."""
        return tuple(self._prompts.values())

    @property
    def sandbox_declaration(self) -> SandboxDeclaration | None:
        """Where untrusted code runs, if it was declared."""
        return self._sandbox

    @property
    def documents_declaration(self) -> DocumentsDeclaration | None:
        """What callers may have read, if it was declared."""
        return self._documents

    @overload
    def function(self, function: F, /) -> F: ...
    @overload
    def function(
        self,
        name: str | None = None,
        /,
        *,
        description: str | None = None,
        timeout: float | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
        schema_extra: Mapping[str, Any] | None = None,
        sandboxed: bool = False,
        limits: Mapping[str, float] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        allow_hosts: Iterable[str] = (),
    ) -> Callable[[F], F]: ...
    def function(
        self,
        function: F | str | None = None,
        /,
        *,
        description: str | None = None,
        timeout: float | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
        schema_extra: Mapping[str, Any] | None = None,
        sandboxed: bool = False,
        limits: Mapping[str, float] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        allow_hosts: Iterable[str] = (),
    ) -> F | Callable[[F], F]:
        """Register a function; usable bare, or with a name and options.

        Args:
            function: The function (bare use), or the name to serve it under; its own name by default.
            description: What it does; the docstring's summary by default.
            timeout: Seconds after which a call of it is cancelled.
            annotations: What a client may assume: ``read_only``, ``destructive``, ``idempotent``, ``open_world``.
            schema_extra: Members to add to the input schema that the signature can't say (``allOf``, ``if``,
                ``$schema``); ``properties`` and ``$defs`` are added to by name. Calls are checked against them too.
            sandboxed: Whether it runs in the gateway's sandbox, each call in a place of its own. It must stand on its
                own (imports inside the function), and takes and gives plain JSON values. `FunctionError` is there
                without an import.
            limits: What it may use there (``{"wall_s": 5, "memory_mb": 128}``).
            files: Put into its working folder there, by relative name.
            allow_hosts: Hosts that it reaches from there; only those that the gateway's sandbox allows.

        Raises:
            DeclarationError: The name is taken or malformed, the signature can't be described, or a sandboxed
                function needs something from around it.
        """
        if not sandboxed and (limits or files or allow_hosts):
            raise DeclarationError("limits, files and allow_hosts are for a sandboxed function: add sandboxed=True")

        def register(target: F) -> F:
            where = None
            if sandboxed:
                from polyport.sandboxed import declare_sandboxed

                where = declare_sandboxed(target, limits, files, allow_hosts)
            self._add(
                FunctionDeclaration(
                    name=_name_of(target, function),
                    function=_checked(target),
                    description=description,
                    timeout=_checked_timeout(timeout),
                    annotations=_annotations(annotations),
                    schema_extra=dict(schema_extra) if schema_extra else None,
                    sandboxed=where,
                )
            )
            return target

        return register(function) if callable(function) else register

    @overload
    def pipeline(self, function: F, /) -> F: ...
    @overload
    def pipeline(
        self, name: str | None = None, /, *, description: str | None = None, timeout: float | None = None
    ) -> Callable[[F], F]: ...
    def pipeline(
        self,
        function: F | str | None = None,
        /,
        *,
        description: str | None = None,
        timeout: float | None = None,
    ) -> F | Callable[[F], F]:
        """Register a callable that answers: served as a chat model and as a tool.

        It takes ``question: str`` or ``messages: list[Message]`` (and a `Context`, if it likes) and gives
        a string, an `Answer`, or a plain or async iterator of strings, which streams.

        Raises:
            DeclarationError: The name is taken or malformed, or it takes anything else.
        """

        def register(target: F) -> F:
            self._add(
                PipelineDeclaration(
                    name=_name_of(target, function),
                    function=_checked(target),
                    description=description,
                    timeout=_checked_timeout(timeout),
                )
            )
            return target

        return register(function) if callable(function) else register

    def model(
        self,
        name: str,
        *,
        engine: str | Any,
        model: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        """Register a model.

        Args:
            name: The one name under which every wire serves it.
            engine: ``openai``, ``litellm``, ``echo`` … or an engine object of your own.
            model: The model's name as the engine knows it; `name` by default.
            description: What it is good for.
            timeout: Seconds after which a call of it is cancelled.
            **options: The engine's own (``base_url=``, ``api_key_env=`` …).

        Raises:
            DeclarationError: The name is taken or malformed.
        """
        self._add(
            ModelDeclaration(
                name=check_name(name),
                engine=engine,
                model=model,
                description=description,
                timeout=_checked_timeout(timeout),
                options=dict(options),
            )
        )

    def agent(
        self,
        name: str,
        *,
        model: str,
        tools: Iterable[str] = (),
        instructions: str | None = None,
        description: str | None = None,
        max_steps: int = 10,
        timeout: float | None = None,
    ) -> None:
        """Register a model that calls tools, in a loop that the gateway runs.

        Args:
            name: The one name under which every wire serves it.
            model: The name of a registered model.
            tools: Names of registered functions, pipelines, models or agents.
            instructions: The system prompt.
            description: What it is for.
            max_steps: The most model turns in one call.
            timeout: Seconds after which a call of it is cancelled.

        Raises:
            DeclarationError: The name is taken or malformed, or `max_steps` is below 1.
        """
        if isinstance(tools, str):
            raise DeclarationError(f"agent {name!r}: tools is a list of names; write tools=[{tools!r}]")
        if max_steps < 1:
            raise DeclarationError(f"agent {name!r}: max_steps is {max_steps}; it must be at least 1")
        self._add(
            AgentDeclaration(
                name=check_name(name),
                model=model,
                tools=tuple(tools),
                instructions=instructions,
                description=description,
                max_steps=max_steps,
                timeout=_checked_timeout(timeout),
            )
        )

    def knowledge(
        self,
        name: str,
        *,
        sources: Iterable[str | os.PathLike[str]] = (),
        description: str | None = None,
        embedder: str | Iterable[str] | None = None,
        reranker: str | None = None,
        model: str | None = None,
        chunker: str | None = None,
        index: str = "qdrant-edge",
        index_options: Mapping[str, Any] | None = None,
        fields: Mapping[str, FieldType] | None = None,
        keywords: str | Callable[..., Any] | None = None,
        keywords_version: int = 1,
        on_keywords_change: Literal["deferred", "batch"] = "deferred",
        hops: bool = True,
        expand: Literal["parent", "window", "none"] = "parent",
        threshold: float | None = None,
        prompts: Mapping[str, str] | None = None,
        watch: bool = False,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> None:
        """Register a knowledge base: it answers questions from documents, with citations, and finds passages.

        It is served as a chat model and a tool under its name, as the tool ``NAME_search``, under ``/v1/knowledge``
        and as `client.knowledge`.

        >>> app = App("demo")
        >>> app.knowledge("handbook", sources=["./docs"], metadata={"team": "support"})
        >>> [declaration.name for declaration in app.declarations]
        ['handbook']

        Args:
            name: The one name under which every wire serves it.
            sources: Folders, files and addresses; relative paths are of the gateway's working folder.
            description: What it is about; questions are routed by it, and models choose tools by it.
            embedder: The name of a model that makes vectors, or several, the first by default; BM25 alone without.
            reranker: The name of a model that reranks.
            model: The name of a model that writes answers; without, they are sentences of the documents.
            chunker: How documents are cut, as ``"Sentences(max_tokens=256)"``; by what each is when left out.
            index: ``qdrant-edge``, ``qdrant``, ``faiss`` … or a plugin's.
            index_options: Its own (``{"url": …}``).
            fields: Metadata to index, with its type: ``{"year": "integer"}``; only these can be filtered by then.
            keywords: What gives a document's keywords, from its ``text`` (``title``, ``headings`` …): a registered
                function's name, or a callable.
            keywords_version: To be raised when `keywords` gives something else for the same text.
            on_keywords_change: Whether documents keep their keywords until they change (``deferred``), or all are
                worked through again in the background (``batch``).
            hops: Whether links between documents are followed.
            expand: What is shown around what was found: the ``parent`` chunk, a ``window``, or ``none``.
            threshold: How much of a question passages must cover for an answer, 0 to 1.
            prompts: Templates of your own, by name.
            watch: Whether the sources' folders are looked at again and again.
            metadata: What every document of the sources has.
            tags: As well.
            timeout: Seconds after which a question is cancelled.

        Raises:
            DeclarationError: The name or ``NAME_search`` is taken or malformed, or a value can't be used.
        """
        declaration = KnowledgeDeclaration(
            name=check_base_name(name),
            sources=paths(name, "sources", sources),
            description=description,
            embedders=names(name, "embedder", embedder),
            reranker=reranker,
            model=model,
            chunker=chunker,
            index=index,
            index_options=dict(index_options or {}),
            fields=None if fields is None else dict(fields),
            keywords=keywords,
            keywords_version=keywords_version,
            on_keywords_change=on_keywords_change,
            hops=hops,
            expand=expand,
            threshold=threshold,
            prompts=dict(prompts or {}),
            watch=watch,
            metadata=dict(metadata or {}),
            tags=names(name, "tags", tags, single=False),
            timeout=_checked_timeout(timeout),
        )
        self._add(check_knowledge(declaration))

    def sandbox(
        self,
        provider: str | Any = "docker",
        *,
        tools: bool | None = None,
        code_mode: bool | None = None,
        allow_hosts: Iterable[str] | None = None,
        limits: Mapping[str, float] | None = None,
        max_limits: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        """Let callers run untrusted code: as the tools `run_code` and its sessions, over REST and as `client.sandbox`.

        What is left out here is taken from the gateway's settings (``sandbox_tools``, ``sandbox_allow_hosts`` …), and
        a setting that the operator gave wins over what is said here.

        Args:
            provider: ``docker``, another provider's name, or a provider object of your own.
            tools: Whether functions and MCP tools are made of it; without, it serves only its endpoints.
            code_mode: Whether there is also `run_code_with_tools`: sandboxed Python that may call, as plain
                functions, what its caller may call.
            allow_hosts: What callers may at most ask to reach (``"example.org"``, ``"*.example.org"``); no network at
                all without.
            limits: What a run gets that asks for nothing: ``{"wall_s": 10, "memory_mb": 256}``.
            max_limits: What a run may ask for at most: ``{"wall_s": 300, "memory_mb": 1024}``.
            **options: The provider's own (``image=`` …).

        Raises:
            DeclarationError: There is a sandbox already, or a value can't be used.
        """
        if self._sandbox is not None:
            raise DeclarationError("there is a sandbox already; an app has one")
        if isinstance(allow_hosts, str):
            raise DeclarationError(f"allow_hosts is a list of hosts; write allow_hosts=[{allow_hosts!r}]")
        self._sandbox = SandboxDeclaration(
            provider=provider,
            tools=tools,
            code_mode=code_mode,
            allow_hosts=None if allow_hosts is None else tuple(allow_hosts),
            limits=dict(limits or {}),
            max_limits=dict(max_limits or {}),
            options=dict(options),
        )

    def documents(
        self,
        *,
        folders: Iterable[str | os.PathLike[str]] | None = None,
        tools: bool | None = None,
        workers: int | None = None,
        timeout_s: float | None = None,
        memory_mb: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        """Let callers have files read and cut: as the tool `read_document`, over REST and as `client.documents`.

        What is left out here is taken from the gateway's settings (``documents_folders`` …), and a setting that the
        operator gave wins over what is said here.

        Args:
            folders: Folders whose files callers may name by their paths; without, they send what is to be read.
            tools: Whether functions and MCP tools are made of it; without, it serves only its endpoints.
            workers: Files read at a time, each in a process of its own.
            timeout_s: Seconds that reading a file may take.
            memory_mb: MiB of memory that it may take.
            max_bytes: Bytes that a file may have.

        Raises:
            DeclarationError: It was declared already, or a value can't be used.
        """
        if self._documents is not None:
            raise DeclarationError("documents are declared already; an app declares them once")
        if isinstance(folders, str | os.PathLike):
            raise DeclarationError(f"folders is a list of folders; write folders=[{str(folders)!r}]")
        for name, value in (("workers", workers), ("timeout_s", timeout_s), ("memory_mb", memory_mb),
                            ("max_bytes", max_bytes)):  # fmt: skip
            if value is not None and not value > 0:
                raise DeclarationError(f"{name} is {value}; it must be above 0")
        self._documents = DocumentsDeclaration(
            tools=tools,
            folders=None if folders is None else tuple(os.fspath(folder) for folder in folders),
            workers=workers,
            timeout_s=timeout_s,
            memory_mb=memory_mb,
            max_bytes=max_bytes,
        )

    def resource(
        self,
        uri: str,
        *,
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime_type: str = "text/plain",
        complete: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Callable[[F], F]:
        """Register something to read: text or bytes at a URI.

        Args:
            uri: Its address; ``{names}`` in it are passed to the function by name.
            name: Its name; the function's own by default.
            title: Its title, for people.
            description: What it holds; the docstring's summary by default.
            mime_type: Of what the function returns.
            complete: For a template: per parameter a callable from what was typed so far to suggestions.

        Raises:
            DeclarationError: The URI is taken or has no scheme.
        """
        if "://" not in uri:
            raise DeclarationError(f"{uri!r} is not a URI: it needs a scheme, such as note://{uri}")

        def register(function: F) -> F:
            if uri in self._resources:
                raise DeclarationError(f"a resource at {uri!r} is registered already")
            self._resources[uri] = ResourceDeclaration(
                uri=uri,
                function=_checked(function),
                name=name or str(getattr(function, "__name__", uri)),
                title=title,
                description=description,
                mime_type=mime_type,
                complete=dict(complete or {}),
            )
            return function

        return register

    @overload
    def prompt(self, function: F, /) -> F: ...
    @overload
    def prompt(
        self,
        name: str | None = None,
        /,
        *,
        title: str | None = None,
        description: str | None = None,
        complete: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Callable[[F], F]: ...
    def prompt(
        self,
        function: F | str | None = None,
        /,
        *,
        title: str | None = None,
        description: str | None = None,
        complete: Mapping[str, Callable[..., Any]] | None = None,
    ) -> F | Callable[[F], F]:
        """Register a prompt: a callable from string arguments to a string, a `Message` or a list of them.

        Raises:
            DeclarationError: The name is taken or malformed.
        """

        def register(target: F) -> F:
            name = _name_of(target, function)
            if name in self._prompts:
                raise DeclarationError(f"a prompt named {name!r} is registered already")
            self._prompts[name] = PromptDeclaration(
                name=name,
                function=_checked(target),
                title=title,
                description=description,
                complete=dict(complete or {}),
            )
            return target

        return register(function) if callable(function) else register

    def serve(self, *, host: str | None = None, port: int | None = None, **settings: Any) -> None:
        """Serve everything until interrupted.

        Args:
            host: The address to listen on; 127.0.0.1 by default.
            port: The port; 8400 by default.
            **settings: Any other setting of the gateway, by name.

        Raises:
            MissingDependencyError: The gateway is not installed.
            ConfigurationError: The address can't be used.
        """
        from polyport.embedded import load_gateway

        load_gateway().serve(self, host=host, port=port, **settings)

    def _add(self, declaration: Declaration) -> None:
        searching = declaration.search_name if isinstance(declaration, KnowledgeDeclaration) else None
        for name in (declaration.name, searching):
            if name in self._declarations:
                raise DeclarationError(
                    f"the name {name!r} is registered already; every function, pipeline, model, agent and knowledge "
                    "base needs a name of its own"
                )
            if name in self._search_names:
                raise DeclarationError(
                    f"the name {name!r} is that of the tool which searches {self._search_names[name]!r}"
                )
        if searching is not None:
            self._search_names[searching] = declaration.name
        self._declarations[declaration.name] = declaration


def _name_of(target: Callable[..., Any], given: object) -> str:
    name = given if isinstance(given, str) else getattr(target, "__name__", "")
    if name == "<lambda>":
        raise DeclarationError('a lambda has no name: register it with @app.function("name")')
    return check_name(name)


def _checked(function: F) -> F:
    try:
        inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{function!r} can't be registered: it has no signature ({error})") from error
    return function


def _checked_timeout(timeout: float | None) -> float | None:
    if timeout is not None and timeout <= 0:
        raise DeclarationError(f"timeout is {timeout}; it must be a positive number of seconds, or None for none")
    return timeout


def _annotations(given: Annotations | Mapping[str, Any] | None) -> Annotations:
    if given is None:
        return Annotations()
    if isinstance(given, Annotations):
        return given
    known = set(Annotations.__slots__)
    if unknown := set(given) - known:
        raise DeclarationError(f"unknown annotations {sorted(unknown)}; known are {sorted(known)}")
    return Annotations(**given)
