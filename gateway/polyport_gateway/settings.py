"""Every setting, once: defaults < TOML file < ``POLYPORT_*`` environment < flags."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from polyport.errors import ConfigurationError

__all__ = ["Settings", "load_settings"]

# Split at commas here; pydantic-settings would take what stands in the environment for JSON.
_Names: TypeAlias = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """How the gateway runs.

    >>> Settings(port=8500).port
    8500
    """

    # Decoding would take a list for JSON; `_split` takes it as it is documented, with commas.
    model_config = SettingsConfigDict(env_prefix="POLYPORT_", extra="forbid", frozen=True, enable_decoding=False)
    toml_file: ClassVar[Path | None] = None

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8400, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(default=Path(".polyport"), description="Folder for the database and other state.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the records; SQLite in data_dir when unset."
    )

    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, description="Largest request body, in bytes.")
    request_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds for which a client may leave a request unfinished, or take nothing of an answer.",
    )
    max_json_depth: int = Field(default=64, ge=4, description="Deepest nesting of a JSON body.")
    call_timeout_s: float | None = Field(
        default=600.0, gt=0, description='Seconds after which any call is cancelled; "none" for never.'
    )
    function_threads: int = Field(
        default=64, ge=1, description="Worker threads that one plain function may occupy at a time."
    )
    max_concurrent_calls: int = Field(default=1000, ge=1, description="Calls under way at a time; more get 503.")
    shutdown_grace_s: float = Field(default=10.0, ge=0, description="Seconds that running calls get at shutdown.")

    require_keys: bool = Field(default=False, description="Ask for a key even on loopback when no key exists yet.")
    cors_origins: _Names = Field(default=(), description='Origins that browsers may call from; "*" for any.')
    allowed_hosts: _Names = Field(
        default=(), description="Host headers accepted besides loopback and the address listened on."
    )
    allowed_origins: _Names = Field(
        default=(),
        description="Origin headers accepted besides loopback's and cors_origins, without CORS headers in the answer.",
    )

    store_responses: bool = Field(default=True, description="Keep /v1/responses results that ask for it.")
    retention_days: int | None = Field(
        default=30, ge=1, description='Days that usage rows and stored responses are kept; "none" for ever.'
    )
    expose_errors: bool = Field(
        default=False,
        description="Show callers the message of any exception a function raises, not only FunctionError.",
    )
    sandbox: str | None = Field(
        default=None,
        description='Where untrusted code runs: "docker" or another provider; what the app declares when unset, '
        '"none" for nowhere.',
    )
    sandbox_image: str | None = Field(default=None, description="Image of the sandbox; the provider's own when unset.")
    sandbox_tools: bool = Field(default=True, description="Offer the sandbox as functions and MCP tools.")
    sandbox_code_mode: bool = Field(
        default=False, description="Offer run_code_with_tools: sandboxed Python may call what its caller may call."
    )
    sandbox_allow_hosts: _Names = Field(
        default=(), description="Hosts that sandboxed code may at most be let to reach, when its caller asks."
    )
    sandbox_timeout_s: float = Field(default=10.0, gt=0, description="Seconds that a sandboxed run gets unasked.")
    sandbox_max_timeout_s: float = Field(default=300.0, gt=0, description="Seconds that it may ask for at most.")
    sandbox_memory_mb: int = Field(default=256, ge=32, description="MiB of memory that a sandboxed run gets unasked.")
    sandbox_max_memory_mb: int = Field(default=1024, ge=32, description="MiB that it may ask for at most.")
    sandbox_max_sessions: int = Field(default=64, ge=0, description="Sandbox sessions that may be open at a time.")
    sandbox_max_sessions_per_caller: int = Field(
        default=16, ge=0, description="Sandbox sessions that one caller may have open at a time."
    )

    documents: bool | None = Field(
        default=None,
        description='Whether callers may have files read and cut; what the app declares when unset, "none" for not.',
    )
    documents_tools: bool = Field(default=True, description="Offer read_document and chunk_document as MCP tools.")
    documents_folders: _Names = Field(
        default=(), description="Folders whose files callers may have read by their paths; none without."
    )
    documents_workers: int = Field(default=2, ge=1, le=64, description="Files read at a time, each by a process.")
    documents_timeout_s: float = Field(default=120.0, gt=0, description="Seconds that reading a file may take.")
    documents_memory_mb: int = Field(default=2048, ge=64, description="MiB of memory that reading a file may take.")
    documents_max_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest file that callers may send or name, in bytes."
    )
    documents_max_waiting: int = Field(
        default=32, ge=0, description="Files that may wait for a process to be free; more get 503."
    )

    knowledge: bool | None = Field(
        default=None, description='Whether there are knowledge bases and vector stores; "none" for not.'
    )
    knowledge_tools: bool = Field(default=True, description="Offer each knowledge base as MCP tools.")
    knowledge_create: bool = Field(default=True, description="Let callers make knowledge bases and vector stores.")
    knowledge_folders: _Names = Field(
        default=(), description="Folders that callers may name as sources of knowledge bases; none without."
    )
    knowledge_allow_hosts: _Names = Field(
        default=(), description="Hosts of private networks from which documents may be fetched; public ones always may."
    )
    knowledge_search_timeout_s: float = Field(
        default=10.0, gt=0, description="Seconds after which a knowledge base that has not answered is left out."
    )
    vector_stores_max: int = Field(default=1000, ge=0, description="Vector stores that one key may have.")
    vector_store_embedder: str | None = Field(
        default=None, description="Model that embeds vector stores of OpenAI's wire; BM25 alone without."
    )
    vector_store_reranker: str | None = Field(
        default=None, description="Model that reranks what is found in them; none without."
    )
    files_max_bytes: int = Field(
        default=512 * 1024 * 1024, ge=1024, description="Largest file that /v1/files takes, in bytes."
    )
    files_quota_bytes: int | None = Field(
        default=20 * 1024**3, ge=0, description='Bytes that all files of one key may have; "none" for any number.'
    )

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level logged.")
    log_format: str = Field(default="auto", pattern="^(auto|text|json)$", description="text, json, or by terminal.")
    access_log: bool = Field(default=False, description="One log line per request.")

    @field_validator(
        "cors_origins", "allowed_hosts", "allowed_origins", "sandbox_allow_hosts", "documents_folders",
        "knowledge_folders", "knowledge_allow_hosts", mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("call_timeout_s", "retention_days", "files_quota_bytes", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "none" else value

    @field_validator("documents", "knowledge", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return False if value == "none" else value

    @property
    def loopback_only(self) -> bool:
        """Whether the address can be reached from this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def records_url(self) -> str:
        """SQLAlchemy URL of the records."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'polyport.sqlite3'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        if cls.toml_file is not None:
            sources += (TomlConfigSettingsSource(settings_cls, cls.toml_file),)
        return sources


def load_settings(*, config: Path | None = None, **flags: Any) -> Settings:
    """Read the settings.

    Args:
        config: A TOML file; ``polyport.toml`` in the working folder if it exists.
        **flags: Values that override all else; None means not given ("none" switches off what can be).

    Raises:
        ConfigurationError: A value can't be used; the message names it and where it came from.
    """
    if config is not None and not config.is_file():
        raise ConfigurationError(f"there is no configuration file at {config}")
    file = config or (Path("polyport.toml") if Path("polyport.toml").is_file() else None)
    cls = type("FileSettings", (Settings,), {"toml_file": file, "__module__": __name__}) if file else Settings
    try:
        return cls(**{key: value for key, value in flags.items() if value is not None})  # type: ignore[no-any-return]
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']} (got {e.get('input')!r})" for e in error.errors()
        )
        raise ConfigurationError(f"settings can't be used: {lines}") from error
    except ValueError as error:
        raise ConfigurationError(
            f"the configuration {f'file {file} ' if file else ''}can't be read: {error}"
        ) from error
