"""Which addresses are of the public internet: a list of our own, whatever Python's knows.

From IANA's registries of special-purpose addresses (RFC 6890; read in 2026), and what clouds put on
addresses that look public. IPv6 is the other way round: only global unicast is public, less what is
special in it. An IPv4 address inside an IPv6 one counts as what it is.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_SPECIAL_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own; Alibaba's and Tencent's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform, on every machine there
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks, port control
        "2001:db8::/32",  # documentation
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
#: Second 32 bits from the end of an ISATAP address; the last 32 are IPv4.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_LOW = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, and whatever IPv4 is inside it as well.

    Raises ValueError for what is no address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, IPv4Address):
        return _is_public_ipv4(parsed)
    return _is_public_ipv6(parsed)


def _is_public_ipv4(address: IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_IPV4)


def _is_public_ipv6(address: IPv6Address) -> bool:
    inner, low = address.ipv4_mapped or address.sixtofour, IPv4Address(int(address) & _LOW)
    if inner or address in _NAT64:
        return _is_public_ipv4(inner or low)
    if address.scope_id is not None or address not in _GLOBAL_UNICAST:
        return False
    if int(address) >> 32 & _LOW in _ISATAP and not _is_public_ipv4(low):
        return False
    return not any(address in network for network in _SPECIAL_IPV6)
