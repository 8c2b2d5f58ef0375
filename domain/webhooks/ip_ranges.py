"""The check for public IP addresses. `ipaddress.is_global` of Python 3.11 is wrong for several ranges."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

IpAddress: TypeAlias = IPv4Address | IPv6Address

_NOT_PUBLIC_V4: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a cloud provider's platform services
            "169.254.0.0/16",  # link-local, including cloud metadata services
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved and broadcast
        ),
    )
)

# Global unicast is 2000::/3. It excludes loopback, the mapped (::ffff:0:0/96) and compatible (::/96) forms of IPv4,
# NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), unique local (fc00::/7), link-local (fe80::/10), site-local (fec0::/10) and
# multicast (ff00::/8).
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which embeds any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: IpAddress) -> bool:
    """Return whether the address is public global unicast and does not embed another address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_V6)
