"""Which addresses of the network are everybody's, and which are somebody's own."""

from __future__ import annotations

import ipaddress

__all__ = ["is_public"]

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_TEREDO = ipaddress.IPv6Network("2001::/32")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# What Python's `is_global` leaves open, or leaves open in some of the versions we run on (IANA's special-purpose
# registries): 6to4 relays, AS112, direct delegation, ORCHID and ORCHIDv2, both IPv6 documentation ranges,
# benchmarking, and segment routing.
_OTHERS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
        "2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
    )
)  # fmt: skip


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether `address` is globally routable unicast, and carries no other address inside it.

    Refused are private, loopback, link-local (the clouds' metadata services among them), shared (CGNAT), multicast,
    broadcast, unspecified, documentation, benchmarking and reserved ranges, and every form in which an IPv6 address
    stands for an IPv4 one: mapped, compatible, NAT64, 6to4 and Teredo.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address not in _GLOBAL_UNICAST:
            return False
        if address in _TEREDO or address in _SIX_TO_FOUR or any(address in network for network in _NAT64):
            return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _OTHERS if network.version == address.version)
