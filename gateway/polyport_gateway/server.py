"""Puts the house together: one `Gateway` per app, an ASGI application between `start` and `stop`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from polyport.app import App
from polyport.declarations import (
    AgentDeclaration,
    Declaration,
    FunctionDeclaration,
    KnowledgeDeclaration,
    ModelDeclaration,
    PipelineDeclaration,
    Sandboxed,
)
from polyport.errors import AuthenticationError, ConfigurationError
from polyport_gateway.agents.agent import AgentCapability
from polyport_gateway.call import LOCAL, Caller, Operation
from polyport_gateway.calls import Dispatcher
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.engines.model import ModelCapability
from polyport_gateway.files.service import FileService
from polyport_gateway.files.uploads import UploadService
from polyport_gateway.functions.documents import build_prompt, build_resource
from polyport_gateway.functions.function import FunctionCapability
from polyport_gateway.functions.pipeline import PipelineCapability
from polyport_gateway.knowledge.service import KnowledgeService
from polyport_gateway.knowledge.service import make_plan as make_knowledge_plan
from polyport_gateway.reading.plan import make_plan as make_documents_plan
from polyport_gateway.reading.service import DocumentService
from polyport_gateway.sandboxes.containers import Containers
from polyport_gateway.sandboxes.plan import make_plan
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.files import FileStore
from polyport_gateway.storage.keys import KeyStore
from polyport_gateway.storage.responses import ResponseStore
from polyport_gateway.storage.uploads import UploadStore
from polyport_gateway.storage.usage import UsageLog
from polyport_gateway.storage.vector_stores import VectorStoreRecords
from polyport_gateway.vector_stores.stores import StorePlan, VectorStores
from polyport_gateway.wires.access import AccessLayer
from polyport_gateway.wires.http import Receive, Scope, Send
from polyport_gateway.wires.lazy import lazy_routes
from polyport_gateway.wires.mcp.wire import MCPWire
from polyport_gateway.wires.openai.chat import ChatEndpoint
from polyport_gateway.wires.openai.completions import CompletionEndpoint
from polyport_gateway.wires.openai.container_paths import PATHS as CONTAINER_PATHS
from polyport_gateway.wires.openai.embeddings import EmbeddingEndpoint, ModerationEndpoint, RerankEndpoint
from polyport_gateway.wires.openai.file_paths import PATHS as FILE_PATHS
from polyport_gateway.wires.openai.file_paths import UPLOAD_PATHS
from polyport_gateway.wires.openai.models import ModelsEndpoint
from polyport_gateway.wires.openai.responses.wire import ResponsesWire
from polyport_gateway.wires.openai.vector_store_paths import PATHS as VECTOR_STORE_PATHS
from polyport_gateway.wires.rest.documents_paths import PATHS as DOCUMENT_PATHS
from polyport_gateway.wires.rest.documents_paths import documents_disabled
from polyport_gateway.wires.rest.functions import FunctionCallEndpoint, FunctionListEndpoint
from polyport_gateway.wires.rest.health import HealthEndpoint, ReadyEndpoint
from polyport_gateway.wires.rest.knowledge_paths import PATHS as KNOWLEDGE_PATHS
from polyport_gateway.wires.rest.metrics import MetricsEndpoint, gauge
from polyport_gateway.wires.rest.openapi import MODERATIONS, RESPONSES, EndpointDescription, OpenAPIEndpoint
from polyport_gateway.wires.rest.sandbox_paths import PATHS as SANDBOX_PATHS
from polyport_gateway.wires.router import Route, Router
from polyport_gateway.wires.sandbox.disabled import disabled_routes

if TYPE_CHECKING:
    from polyport_gateway.asking.build import KnowledgeNames
    from polyport_gateway.wires.sandbox.wire import ServedSandboxes

__all__ = ["Gateway", "build_catalog", "create_gateway"]

_log = logging.getLogger("polyport.server")

_NOT_WRITTEN = "The gateway's records can't be written; its log says why."


def build_catalog(
    app: App,
    settings: Settings,
    sandbox: SandboxService | None = None,
    documents: DocumentService | None = None,
    knowledge: KnowledgeService | None = None,
) -> Catalog:
    """Turn an app's declarations into capabilities; nothing connects yet.

    Raises:
        DeclarationError: A signature can't be described.
        ConfigurationError: An engine or a name is unknown.
        MissingDependencyError: An engine's packages are not installed.
    """
    catalog = Catalog(app.name, version=app.version, instructions=app.instructions)
    agents = [declaration for declaration in app.declarations if isinstance(declaration, AgentDeclaration)]
    names = _knowledge_names(catalog, app, knowledge)
    for declaration in app.declarations:
        if isinstance(declaration, KnowledgeDeclaration):
            if names is not None:
                names.declare(declaration)
        elif not isinstance(declaration, AgentDeclaration):
            catalog.add(_build(declaration, catalog, settings, sandbox))
    if names is not None:
        names.everything()
    if sandbox is not None and sandbox.enabled:
        from polyport_gateway.sandboxes.build import add_capabilities

        add_capabilities(catalog, sandbox)
    if documents is not None and documents.enabled:
        from polyport_gateway.reading.build import add_capabilities as add_documents

        add_documents(catalog, documents)
    for agent in agents:
        catalog.add(_build(agent, catalog, settings))
    for resource in app.resources:
        catalog.resources[resource.uri] = build_resource(resource, catalog.changes, settings)
    for prompt in app.prompts:
        catalog.prompts[prompt.name] = build_prompt(prompt, catalog.changes, settings)
    return catalog


def _knowledge_names(catalog: Catalog, app: App, knowledge: KnowledgeService | None) -> KnowledgeNames | None:
    """Return what names knowledge bases; None where there are to be none.

    Raises:
        ConfigurationError: The app declares one, and they are switched off.
    """
    if knowledge is not None and knowledge.enabled:
        from polyport_gateway.asking.build import KnowledgeNames

        names = knowledge.names = KnowledgeNames(catalog, knowledge)
        return names
    for declaration in app.declarations:
        if isinstance(declaration, KnowledgeDeclaration) and knowledge is not None:
            raise ConfigurationError(
                f"the app declares the knowledge base {declaration.name!r}, and knowledge bases are switched off "
                "(POLYPORT_KNOWLEDGE=none)"
            )
    return None


def _build(
    declaration: Declaration, catalog: Catalog, settings: Settings, sandbox: SandboxService | None = None
) -> Capability:
    match declaration:
        case FunctionDeclaration(sandboxed=Sandboxed()):
            from polyport_gateway.sandboxes.sandboxed_function import SandboxedFunction

            return SandboxedFunction(declaration, sandbox, expose_errors=settings.expose_errors)
        case FunctionDeclaration():
            return FunctionCapability(
                declaration,
                changes=catalog.changes,
                threads=settings.function_threads,
                expose_errors=settings.expose_errors,
            )
        case PipelineDeclaration():
            return PipelineCapability(
                declaration,
                changes=catalog.changes,
                threads=settings.function_threads,
                expose_errors=settings.expose_errors,
            )
        case ModelDeclaration():
            return ModelCapability(declaration)
        case AgentDeclaration():
            return AgentCapability(declaration, catalog)
        case KnowledgeDeclaration():
            raise TypeError("knowledge bases are added by themselves")


class Gateway:
    """Everything that serves one app.

    Args:
        app: What to serve.
        settings: How.

    Attributes:
        asgi: The ASGI application; it also answers the lifespan protocol with `start` and `stop`.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self.settings = settings
        self.sandbox = SandboxService(make_plan(app.sandbox_declaration, settings))
        self.documents = DocumentService(make_documents_plan(app.documents_declaration, settings))
        self.database = Database(settings.records_url)
        self.knowledge = KnowledgeService(make_knowledge_plan(settings), app, self.database)
        self.catalog = build_catalog(app, settings, self.sandbox, self.documents, self.knowledge)
        self.keys = KeyStore(self.database)
        self.usage = UsageLog(self.database, retention_days=settings.retention_days)
        self.responses = ResponseStore(self.database, retention_days=settings.retention_days)
        self.files = FileService(
            FileStore(self.database),
            settings.data_dir.absolute() / "files",
            max_bytes=settings.files_max_bytes,
            quota=settings.files_quota_bytes,
        )
        self.uploads = UploadService(UploadStore(self.database), self.files)
        self.vector_stores = self._make_vector_stores()
        self.dispatcher = Dispatcher(
            self.catalog,
            record=self.usage.record,
            timeout_s=settings.call_timeout_s,
            max_concurrent=settings.max_concurrent_calls,
        )
        self.knowledge.connect(self.dispatcher, self.catalog)
        self.mcp = MCPWire(self.catalog, self.dispatcher, settings)
        self.containers = Containers(self.sandbox, self.files)
        self.responses_wire = ResponsesWire(
            self.dispatcher,
            self.catalog,
            settings,
            self.responses,
            containers=self.containers,
            searcher=None if self.vector_stores is None else self.vector_stores.searcher,
            files=self.files,
        )
        self.served_sandboxes = self._serve_sandboxes()
        doors = self.served_sandboxes.doors if self.served_sandboxes else ()
        self.asgi = _with_lifespan(
            AccessLayer(Router(self.routes()), access=self.authenticate, settings=settings, doors=doors), self
        )
        self._started: list[Capability] = []
        self._open_to_all = settings.loopback_only and not settings.require_keys
        self._ready = False
        self._warming: asyncio.Task[None] | None = None

    def _make_vector_stores(self) -> VectorStores | None:
        if not self.knowledge.enabled:
            return None
        settings = self.settings
        plan = StorePlan(
            settings.vector_stores_max,
            settings.documents_max_bytes,
            settings.vector_store_embedder,
            settings.vector_store_reranker,
        )
        return VectorStores(self.knowledge, VectorStoreRecords(self.database), self.files, plan)

    def routes(self) -> list[Route]:
        """Return every path that is served."""
        functions = FunctionListEndpoint(self.catalog)
        models = ModelsEndpoint(self.catalog)
        dispatcher, settings = self.dispatcher, self.settings
        rerank = RerankEndpoint(dispatcher, settings)
        return [
            Route("POST", "/v1/chat/completions", ChatEndpoint(dispatcher, settings)),
            Route("POST", "/v1/completions", CompletionEndpoint(dispatcher, settings)),
            Route("POST", "/v1/embeddings", EmbeddingEndpoint(dispatcher, settings)),
            Route("POST", "/v1/rerank", rerank),
            Route("POST", "/rerank", rerank),
            Route("GET", "/v1/models", models),
            Route("GET", "/v1/models/{model}", models),
            Route("GET", "/v1/functions", functions),
            Route("GET", "/v1/functions/{name}", functions),
            Route("POST", "/v1/functions/{name}", FunctionCallEndpoint(dispatcher, settings)),
            *self.responses_wire.routes,
            Route("*", "/mcp", self.mcp.asgi),
            Route("GET", "/healthz", HealthEndpoint()),
            Route("GET", "/readyz", ReadyEndpoint(self.report)),
            Route("GET", "/metrics", MetricsEndpoint([self._figures, self.sandbox.figures, self.documents.figures])),
            *self._moderations(),
            *self._sandbox_routes(),
            *self._document_routes(),
            *lazy_routes([*FILE_PATHS, *UPLOAD_PATHS], self._load_files),
            *self._knowledge_routes(),
            *self._vector_store_routes(),
            Route("GET", "/openapi.json", OpenAPIEndpoint(self.catalog, self._described)),
        ]

    def _serve_sandboxes(self) -> ServedSandboxes | None:
        if not self.sandbox.enabled:
            return None
        from polyport_gateway.wires.sandbox.wire import ServedSandboxes

        return ServedSandboxes(self.sandbox, self.dispatcher, self.settings)

    def _moderations(self) -> list[Route]:
        if not any(Operation.MODERATION in capability.operations for capability in self.catalog):
            return []
        return [Route("POST", "/v1/moderations", ModerationEndpoint(self.dispatcher, self.settings))]

    def _sandbox_routes(self) -> list[Route]:
        if self.served_sandboxes is None:
            return disabled_routes(self.sandbox, [*SANDBOX_PATHS, *CONTAINER_PATHS])
        return [
            *lazy_routes(SANDBOX_PATHS, self._load_sandbox),
            *lazy_routes(CONTAINER_PATHS, self._load_containers),
            *self.served_sandboxes.routes,
        ]

    def _document_routes(self) -> list[Route]:
        if not self.documents.enabled:
            return documents_disabled(self.documents)
        return lazy_routes(DOCUMENT_PATHS, self._load_documents)

    def _load_documents(self) -> list[Route]:
        from polyport_gateway.wires.rest.documents import DocumentsWire

        return DocumentsWire(self.documents, self.dispatcher, self.settings).routes

    def _knowledge_routes(self) -> list[Route]:
        return lazy_routes(KNOWLEDGE_PATHS, self._load_knowledge)

    def _load_knowledge(self) -> list[Route]:
        from polyport_gateway.wires.rest.knowledge import KnowledgeWire

        return KnowledgeWire(self.knowledge, self.dispatcher, self.settings).routes

    def _vector_store_routes(self) -> list[Route]:
        return [] if self.vector_stores is None else lazy_routes(VECTOR_STORE_PATHS, self._load_vector_stores)

    def _load_vector_stores(self) -> list[Route]:
        from polyport_gateway.wires.openai.vector_stores import VectorStoresWire

        assert self.vector_stores is not None  # noqa: S101 - there are no such routes otherwise
        return VectorStoresWire(self.vector_stores, self.dispatcher, self.settings).routes

    def _load_files(self) -> list[Route]:
        from polyport_gateway.wires.openai.file_uploads import UploadsWire
        from polyport_gateway.wires.openai.files import FilesWire

        uploads = UploadsWire(self.uploads, self.files, self.settings)
        return [*FilesWire(self.files, self.settings).routes, *uploads.routes]

    def _load_sandbox(self) -> list[Route]:
        from polyport_gateway.wires.rest.sandbox import SandboxWire

        return SandboxWire(self.sandbox, self.dispatcher, self.settings).routes

    def _load_containers(self) -> list[Route]:
        from polyport_gateway.wires.openai.containers import ContainersWire

        return ContainersWire(self.containers, self.dispatcher, self.settings).routes

    def _described(self) -> list[EndpointDescription]:
        """Describe the endpoints beyond the first ones; most gateways are never asked, and their types take long."""
        from polyport_gateway.wires.rest.containers_openapi import CONTAINERS
        from polyport_gateway.wires.rest.documents_openapi import DOCUMENTS
        from polyport_gateway.wires.rest.files_openapi import FILES, VECTOR_STORES
        from polyport_gateway.wires.rest.knowledge_openapi import KNOWLEDGE
        from polyport_gateway.wires.rest.sandbox_openapi import SANDBOX

        return [
            *RESPONSES,
            *CONTAINERS,
            *SANDBOX,
            *DOCUMENTS,
            *FILES,
            *(KNOWLEDGE if self.knowledge.enabled else ()),
            *(VECTOR_STORES if self.knowledge.enabled else ()),
            *([MODERATIONS] if self._moderations() else []),
        ]

    async def authenticate(self, token: str | None) -> Caller:
        """Return who presents this token.

        Without any key, and on loopback, everybody is the local caller.

        Raises:
            AuthenticationError: A key is needed and missing, or wrong.
        """
        if token is not None and (token.startswith("pp_") or self.keys.any_keys):
            return await self.keys.verify(token)
        if self.keys.any_keys or not self._open_to_all:
            raise AuthenticationError("No API key was given; send the header Authorization: Bearer YOUR_KEY")
        return LOCAL

    async def start(self) -> None:
        """Open the records, start every engine, and begin to answer.

        Raises:
            ConfigurationError: The records or an engine can't be opened.
        """
        try:
            await self.database.open()
            await self.keys.start()
            await self.usage.start()
            await self.responses_wire.start()
            for capability in self.catalog:
                self._started.append(capability)
                await capability.start()
            await self.mcp.start()
            await self.sandbox.start()
            await self.documents.start()
            await self.files.start()
            await self.knowledge.start()
            if self.vector_stores is not None:
                await self.vector_stores.start()
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        self._warming = asyncio.ensure_future(self._warm())

    async def stop(self) -> None:
        """Let running calls finish, cancel the rest, write what is pending, close."""
        self._ready = False
        self.dispatcher.refuse_new()
        if self._warming is not None:
            self._warming.cancel()
        if not await self.dispatcher.drained(self.settings.shutdown_grace_s):
            _log.warning("%d calls were still running at shutdown and are cancelled", self.dispatcher.running)
        await self.responses_wire.stop()
        await self.mcp.stop()
        if self.vector_stores is not None:
            await self.vector_stores.close()
        await self._close_knowledge()
        for capability in reversed(self._started):
            try:
                await capability.close()
            except Exception:  # noqa: BLE001 - the others must still be closed
                _log.exception("%r failed to close", capability.name)
        self._started.clear()
        await self._close_sandbox()
        await self.documents.close()
        await self.files.close()
        await self.usage.close()
        await self.keys.close()
        await self.database.close()

    async def _close_knowledge(self) -> None:
        try:
            await self.knowledge.close()
        except Exception:  # noqa: BLE001 - the records must still be written
            _log.exception("the knowledge bases failed to close")

    async def _close_sandbox(self) -> None:
        if self.served_sandboxes is not None:
            self.served_sandboxes.close()
        try:
            await self.sandbox.close()
        except Exception:  # noqa: BLE001 - the records must still be written
            _log.exception("the sandbox failed to close")

    def report(self) -> dict[str, Any]:
        """Say whether calls can be taken, and what that rests on; anybody may ask, so of a failure only that it is."""
        usage = self.usage.health()
        return {
            "ready": self._ready,
            "app": self.catalog.name,
            "calls": self.dispatcher.running,
            "pending": usage.pending,
            "dropped": usage.dropped,
            "sandbox": self.sandbox.state,
            "documents": self.documents.state,
            "knowledge": self.knowledge.state,
            "error": None if usage.error is None else _NOT_WRITTEN,
        }

    def _figures(self) -> str:
        usage = self.usage.health()
        return (
            gauge("polyport_calls_running", "Calls from wires under way.", self.dispatcher.running)
            + gauge("polyport_usage_rows_pending", "Usage rows not written yet.", usage.pending)
            + gauge("polyport_usage_rows_dropped_total", "Usage rows lost.", usage.dropped, kind="counter")
        )

    async def _warm(self) -> None:
        """Load what the first request of a kind would otherwise wait for."""
        try:
            await self.mcp.warm()
        except Exception:  # noqa: BLE001 - the other wires still serve
            _log.exception("MCP could not be loaded; /mcp will not answer")


def create_gateway(app: App, settings: Settings | None = None) -> Gateway:
    """Build the gateway of an app.

    Raises:
        UsageError: The app or the settings can't be served.
    """
    return Gateway(app, settings or Settings())


def _with_lifespan(app: AccessLayer, gateway: Gateway) -> Any:
    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(gateway, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return asgi


async def _lifespan(gateway: Gateway, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await gateway.start()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gateway.stop()
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Start a gateway, and stop it on the way out."""
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
