"""The allow-list of hosts: how it is written, and what it lets through."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from polyport_sandbox.errors import InvalidRunError

from .addresses import is_public

__all__ = ["DEFAULT_PORTS", "MAX_HOSTS", "AllowedHost", "check_allow_hosts", "normal_host", "parse_allow_hosts"]

DEFAULT_PORTS = (443, 80)
MAX_HOSTS = 64
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True)
class AllowedHost:
    """One entry of the list.

    Args:
        host: A host's name in lower case and ASCII; for a wildcard, what follows ``*.``.
        wildcard: Whether it stands for every host under `host`, though not for `host` itself.
        ports: The ports it allows.
    """

    host: str
    wildcard: bool = False
    ports: tuple[int, ...] = DEFAULT_PORTS

    def allows(self, host: str, port: int) -> bool:
        """Whether it lets a connection to `host` (see `normal_host`) and `port` through."""
        if port not in self.ports:
            return False
        return host.endswith("." + self.host) if self.wildcard else host == self.host


def normal_host(text: str) -> str | None:
    """Bring a host's name to lower case and ASCII, without the root's dot; None if it is none.

    An address in brackets or without is given back in its shortest form. Whatever a resolver could take for an address
    in another notation (``0x7f.1``, ``2130706433``, ``127.1``) is no name: a top-level domain is never a number.
    """
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
        if ":" not in text:
            return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text.encode("ascii") if text.isascii() else text.encode("idna")
    except UnicodeError:
        return None
    plain = name.decode("ascii").lower()
    plain = plain.removesuffix(".")
    labels = plain.split(".")
    if len(plain) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    last = labels[-1]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return None
    return plain


def parse_allow_hosts(entries: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Read an allow-list.

    Each entry is a host's name (``example.org``), every host under one (``*.example.org``), or an address that is
    publicly routable, with a port (``example.org:8443``) or without, which allows 443 and 80.

    Raises:
        InvalidRunError: With the entry and what is wrong with it.
    """
    if isinstance(entries, str | bytes):
        raise InvalidRunError("allow_hosts is one text; give a list of hosts", param="allow_hosts")
    found = tuple(_parse(entry) for entry in entries)
    if len(found) > MAX_HOSTS:
        raise InvalidRunError(
            f"allow_hosts has {len(found)} entries, more than the {MAX_HOSTS} allowed", param="allow_hosts"
        )
    return found


def check_allow_hosts(entries: Iterable[str]) -> tuple[str, ...]:
    """Refuse a list that `parse_allow_hosts` does; give back its entries in their normal form, each once."""
    return tuple(dict.fromkeys(map(_written, parse_allow_hosts(entries))))


def _written(entry: AllowedHost) -> str:
    host = f"[{entry.host}]" if ":" in entry.host else entry.host
    port = "" if entry.ports == DEFAULT_PORTS else f":{entry.ports[0]}"
    return f"{'*.' if entry.wildcard else ''}{host}{port}"


def _parse(entry: str) -> AllowedHost:
    if not isinstance(entry, str):
        raise InvalidRunError(f"allow_hosts has a {type(entry).__name__}, not text", param="allow_hosts")
    wildcard = entry.startswith("*.")
    name, ports = _split_port(entry[2:] if wildcard else entry, entry)
    if "/" in name:
        raise _bad(entry, "has a '/': give a host's name, without a scheme, a path or a range of addresses")
    if "*" in name:
        raise _bad(entry, "has a '*' that is not its start: only '*.' at the start stands for all hosts under one")
    host = normal_host(name)
    if host is None:
        raise _bad(entry, "is no host's name")
    address = _address(host)
    if address is None:
        if wildcard and "." not in host:
            raise _bad(entry, "would allow a whole top-level domain: name at least two parts after '*.'")
        if host == "localhost" or host.endswith(".localhost"):
            raise _bad(entry, "is this machine itself, which a sandbox never reaches")
    elif wildcard:
        raise _bad(entry, "has a '*' before an address")
    elif not is_public(address):
        raise _bad(entry, "is an address that is not publicly routable, which a sandbox never reaches")
    return AllowedHost(host, wildcard, ports)


def _split_port(text: str, entry: str) -> tuple[str, tuple[int, ...]]:
    if text.count(":") > 1 and not text.startswith("["):
        return text, DEFAULT_PORTS  # an IPv6 address without a port
    name, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        return text, DEFAULT_PORTS
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise _bad(entry, f"has the port {port[:20]!r}, which is not a number from 1 to 65535")
    return name, (int(port),)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bad(entry: str, problem: str) -> InvalidRunError:
    return InvalidRunError(f"the allow_hosts entry {entry[:100]!r} {problem}", param="allow_hosts")
