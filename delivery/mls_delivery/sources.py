"""Where a request comes from, for the limits that go by it. It is kept in memory while they need it, and never logged."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from .config import Network

# Who has one IPv6 address has as many as he likes in the same network.
_IPV6_PREFIX = 64


def source_of(connection: HTTPConnection, trusted_proxies: Sequence[Network]) -> str | None:
    """The network address that a request or WebSocket comes from; None for this machine itself, which has no limits.

    A proxy adds to `X-Forwarded-For` on the right whom it serves. So the source is the last one there that is no trusted
    proxy itself; what stands to the left of it, anybody may have written.
    """
    address = None if connection.client is None else _address(connection.client.host)
    if address is not None and _is_trusted(address, trusted_proxies):
        named = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(named):
            before = _address(text.strip())
            if before is None:
                break
            address = before
            if not _is_trusted(address, trusted_proxies):
                break
    if address is None or address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: IPv4Address | IPv6Address, trusted_proxies: Sequence[Network]) -> bool:
    return any(address in network for network in trusted_proxies)
