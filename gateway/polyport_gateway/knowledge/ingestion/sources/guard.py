"""Connections that only lead where they may: an address is looked up once, checked, and the one that is connected to.

A gateway that fetches what callers name must not become their way into its own network (server-side request forgery,
OWASP 2021 A10). Checking the name is not enough, since it may lead to another address a moment later ("DNS rebinding"):
so the check stands between look-up and connection, for redirects as for the first request.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

import httpcore

from polyport.errors import PermissionDeniedError

__all__ = ["AddressRefusedError", "GuardedNetwork", "Resolve", "is_public"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefusedError(PermissionDeniedError):
    """An address that leads into a network of one's own."""

    code = "address_refused"


def resolve(host: str, port: int) -> list[str]:
    """Look up the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, and so does the one that it wraps, if it does."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(part.is_global and not part.is_multicast for part in (found, *_wrapped(found)))


def _wrapped(address: Address) -> Iterable[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to public addresses, and to hosts that are allowed by name.

    Args:
        allowed: Names of hosts (``*.example.org``), addresses and networks (``10.0.0.0/8``) that need not be public.
        look_up: Finds the addresses of a host.
    """

    def __init__(self, allowed: Sequence[str] = (), *, look_up: Resolve = resolve) -> None:
        self._names = [entry.casefold() for entry in allowed]
        self._networks = [network for entry in allowed if (network := _network(entry)) is not None]
        self._look_up = look_up
        self._below = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one of a host's addresses.

        Raises:
            AddressRefusedError: None of them may be connected to.
            httpcore.ConnectError: None of them answers, or there is none.
        """
        try:
            addresses = self._look_up(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"no such host: {host}") from error
        good = [address for address in addresses if self._may(host, address)]
        if not good:
            raise AddressRefusedError(
                f"{host} is no address of the public internet. Whoever runs the gateway can let bases read from it: "
                "knowledge_allow_hosts."
            )
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in good[:4]:
            try:
                return self._below.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError(f"no address of {host} answers")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        """Refuse: no page is there."""
        raise AddressRefusedError("Pages are not read from Unix sockets.")

    def _may(self, host: str, address: str) -> bool:
        if is_public(address) or any(fnmatchcase(host.casefold(), name) for name in self._names):
            return True
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found in network for network in self._networks if network.version == found.version)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
