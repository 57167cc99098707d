"""`ModelCapability`: a registered model, that is, an engine under a name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint, entry_points

from polyport.declarations import ModelDeclaration
from polyport.errors import ConfigurationError, MissingDependencyError, UsageError
from polyport_gateway.call import Call, CallEvent, Chat, Completion, Embedding, Moderation, Operation, Rerank
from polyport_gateway.catalog.capability import CHAT_TOOL, Features, Kind, ToolSchema
from polyport_gateway.engines.base import Engine

__all__ = ["ModelCapability", "build_engine", "installed_engines"]

GROUP = "polyport.engines"


def installed_engines() -> dict[str, EntryPoint]:
    """Every engine's entry point by its name; none is loaded."""
    return {entry_point.name: entry_point for entry_point in entry_points(group=GROUP)}


def build_engine(declaration: ModelDeclaration) -> Engine:
    """Build the engine that a declaration names, or take the one it carries.

    Raises:
        ConfigurationError: There is no such engine, or it doesn't take these options.
        MissingDependencyError: Its packages are not installed.
    """
    if not isinstance(declaration.engine, str):
        if not isinstance(declaration.engine, Engine):
            raise ConfigurationError(
                f"model {declaration.name!r}: {declaration.engine!r} is not an engine; see "
                "polyport_gateway.engines.base"
            )
        return declaration.engine
    installed = installed_engines()
    entry_point = installed.get(declaration.engine)
    if entry_point is None:
        raise ConfigurationError(
            f"model {declaration.name!r}: there is no engine {declaration.engine!r}; installed are {sorted(installed)}"
        )
    try:
        engine = entry_point.load()(model=declaration.model or declaration.name, **declaration.options)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"the engine {declaration.engine!r}", extra=declaration.engine) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"model {declaration.name!r}: engine {declaration.engine!r} can't be built: {error}"
        ) from error
    if not isinstance(engine, Engine):
        raise ConfigurationError(f"engine {declaration.engine!r} does not follow the Engine protocol")
    return engine


class ModelCapability:
    """An engine under a name."""

    kind: Kind = "model"
    tool: ToolSchema = CHAT_TOOL

    def __init__(self, declaration: ModelDeclaration) -> None:
        self.name = declaration.name
        self.declaration = declaration
        self.engine = build_engine(declaration)
        self.description = declaration.description or f"Ask the model {declaration.model or declaration.name}."
        self.timeout = declaration.timeout
        self.operations: frozenset[Operation] = self.engine.operations
        self.features: Features = self.engine.features

    async def start(self) -> None:
        """Start the engine."""
        await self.engine.start()

    async def close(self) -> None:
        """Close the engine."""
        await self.engine.close()

    def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Hand the input to the engine's method for it."""
        match call.input:
            case Chat() as chat:
                return self.engine.chat(call, chat)
            case Completion() as completion:
                return self.engine.complete(call, completion)
            case Embedding() as embedding:
                return self.engine.embed(call, embedding)
            case Moderation() as moderation:
                return self.engine.moderate(call, moderation)
            case Rerank() as rerank:
                return self.engine.rerank(call, rerank)
            case _:
                raise TypeError(f"a model takes no {type(call.input).__name__}")
