"""Find the client's address and protocol. Forwarding headers count only when a trusted proxy sent them."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
_IPV6_PREFIX_BITS: Final = 64
"""Prefix that an IPv6 provider assigns to one customer: all addresses in it count as one client."""


class TrustedProxies:
    """The networks of trusted proxies, whose X-Forwarded-For and X-Forwarded-Proto headers are used.

    The Forwarded header of RFC 7239 is ignored: a proxy that sets X-Forwarded-For forwards a client's Forwarded header
    unchanged.
    """

    def __init__(self, networks: Sequence[IpNetwork]) -> None:
        self._networks = networks

    def client_address(self, scope: Scope) -> str:
        """Return the address nearest to the server that is not a trusted proxy; for IPv6, its /64 network."""
        peer = scope["client"][0] if scope.get("client") else ""
        hops = [*",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(","), peer]
        address: IpAddress | None = None
        for hop in reversed(hops):
            found = _parse_address(hop)
            if found is None:  # entries to the left of an invalid one are not from a trusted proxy
                break
            address = found
            if not self._trusts(address):
                break
        return _client_key(address)

    def is_https(self, scope: Scope) -> bool:
        """Return whether the client's connection is encrypted."""
        if scope["scheme"] == "https":
            return True
        peer = _parse_address(scope["client"][0]) if scope.get("client") else None
        forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
        return peer is not None and self._trusts(peer) and forwarded.rpartition(",")[2].strip() == "https"

    def _trusts(self, address: IpAddress) -> bool:
        return any(address in network for network in self._networks)


def parse_networks(value: str) -> tuple[IpNetwork, ...]:
    """Parse comma-separated addresses and CIDRs.

    Raises:
        ValueError: one of them is invalid.
    """
    return tuple(ip_network(each.strip()) for each in value.split(",") if each.strip())


def _parse_address(text: str) -> IpAddress | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _client_key(address: IpAddress | None) -> str:
    match address:
        case None:
            return UNKNOWN
        case IPv6Address():
            return str(IPv6Network((address, _IPV6_PREFIX_BITS), strict=False))
        case _:
            return str(address)
