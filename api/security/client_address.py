"""Where a request comes from: what proxies say counts only where the proxy is one of ours."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
_HOUSEHOLD_BITS: Final = 64
"""What one customer of an IPv6 provider has to himself; every address in it is the same caller."""


class Proxies:
    """The networks whose X-Forwarded-For and X-Forwarded-Proto are believed.

    RFC 7239's Forwarded is not read: a proxy that sets the one header passes on what a client wrote into the other.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def caller(self, scope: Scope) -> str:
        """The nearest address that is not a trusted proxy's; an IPv6 address stands for its /64."""
        peer = scope["client"][0] if scope.get("client") else ""
        hops = [*",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(","), peer]
        address: Address | None = None
        for hop in reversed(hops):
            found = _address(hop)
            if found is None:  # what stands further left was not written by a proxy of ours either
                break
            address = found
            if not self._trusts(address):
                break
        return _caller(address)

    def is_https(self, scope: Scope) -> bool:
        """Whether the client's own connection is encrypted."""
        if scope["scheme"] == "https":
            return True
        peer = _address(scope["client"][0]) if scope.get("client") else None
        forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
        return peer is not None and self._trusts(peer) and forwarded.rpartition(",")[2].strip() == "https"

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def networks(value: str) -> tuple[Network, ...]:
    """Comma-separated addresses and CIDRs; ValueError for anything else."""
    return tuple(ip_network(each.strip()) for each in value.split(",") if each.strip())


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _caller(address: Address | None) -> str:
    match address:
        case None:
            return UNKNOWN
        case IPv6Address():
            return str(IPv6Network((address, _HOUSEHOLD_BITS), strict=False))
        case _:
            return str(address)
