"""Where an OpenAI-compatible upstream is, and who the gateway says it is to it."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from polyport.errors import ConfigurationError

__all__ = ["DEFAULT_BASE_URL", "Upstream", "read_key"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_DEFAULT_KEY_ENV = "OPENAI_API_KEY"


def read_key(name: str, api_key: str | None, api_key_env: str | None) -> str | None:
    """Return the key itself, from an option or from the environment variable that an option names.

    Raises:
        ConfigurationError: The variable is not set, or what it holds can't be a key.
    """
    source = "api_key"
    if api_key is None and api_key_env is not None:
        source = f"the environment variable {api_key_env}"
        api_key = os.environ.get(api_key_env, "").strip()
        if not api_key:
            raise ConfigurationError(
                f"the model {name!r} takes its key from {source}, which is not set; export {api_key_env}=… first"
            )
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise ConfigurationError(f"the model {name!r}: {source} has characters that no HTTP header can carry")
    return api_key


@dataclass(frozen=True, slots=True)
class Upstream:
    """One address, taken apart: the credentials never travel in the URL nor in a message.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Host and port.
        path: The path before the endpoint's own, without a slash at its end.
        query: Sent with every request (Azure's ``api-version``, say).
        credentials: ``user:password`` for basic authentication, if the URL had it.
    """

    scheme: str
    host: str
    path: str
    query: str = field(repr=False)
    credentials: str | None = field(repr=False)

    @classmethod
    def parse(cls, base_url: str) -> Upstream:
        """Take a base URL apart.

        Raises:
            ConfigurationError: It is not an http or https URL.
        """
        try:
            parts = urlsplit(base_url.strip())
            host, port = parts.hostname, parts.port
        except (ValueError, AttributeError) as error:
            raise ConfigurationError(f"base_url can't be read as a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not host:
            shown = parts.path if not parts.netloc and "@" not in base_url and not parts.query else "…"
            raise ConfigurationError(
                f"base_url must be an http:// or https:// URL with a host, such as {DEFAULT_BASE_URL}; got {shown!r}"
            )
        shown_host = f"[{host}]" if ":" in host else host
        credentials = None
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(
            scheme=parts.scheme,
            host=shown_host if port is None else f"{shown_host}:{port}",
            path=parts.path.rstrip("/"),
            query=parts.query,
            credentials=credentials,
        )

    def url(self, endpoint: str) -> str:
        """Return the address of an endpoint, such as ``/chat/completions``."""
        return urlunsplit((self.scheme, self.host, self.path + endpoint, self.query, ""))

    def headers(self, key: str | None, more: Mapping[str, str]) -> dict[str, str]:
        """Return what is sent with every request; `more` has the last word.

        Raises:
            ConfigurationError: Both a key and credentials in the URL were given.
        """
        headers = {
            "Content-Type": "application/json",
            # What arrives is handed on as it is, so it had better not be compressed.
            "Accept-Encoding": "identity",
            "User-Agent": "polyport",
        }
        if key is not None and self.credentials is not None:
            raise ConfigurationError("give either a key or credentials in base_url, not both")
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        elif self.credentials is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
        taken = {header.lower() for header in more}
        return {header: value for header, value in headers.items() if header.lower() not in taken} | dict(more)

    def secrets(self, key: str | None, more: Mapping[str, str]) -> tuple[str, ...]:
        """Return every text that must not be shown to a caller."""
        found = [key or "", *more.values(), *(value for _, value in parse_qsl(self.query))]
        if self.credentials is not None:
            found.append(self.credentials.partition(":")[2])
        found.extend(value.partition(" ")[2] for value in more.values())
        return tuple(secret for secret in found if secret)

    def key_env(self, api_key: str | None, api_key_env: str | None) -> str | None:
        """Return the variable to read: OpenAI's own, where its own address is asked without naming one."""
        if api_key is None and api_key_env is None and self.host == "api.openai.com":
            return _DEFAULT_KEY_ENV
        return api_key_env
