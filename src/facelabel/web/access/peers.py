"""Who is at the other end: that is whom limits are counted for."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
    Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Bits of an IPv6 address that a provider gives to one customer.
_CUSTOMER = 64
_FORWARDED = b"x-forwarded-for"


class Peers:
    """Tells clients apart by their addresses.

    What a proxy says of its client is believed of those proxies alone that the user named: anybody
    may send such a header. It decides who shares a limit with whom, never who may come in.
    """

    def __init__(self, proxies: Iterable[Network] = ()) -> None:
        """``proxies``: networks of proxies of our own."""
        self._proxies = tuple(proxies)

    def of(self, scope: Scope) -> str:
        """Who sent a request; "" where the connection has no address, as a socket file."""
        client = scope.get("client")
        host = client[0] if client else ""
        if not self._proxies or not self.is_proxy(host):
            return peer(host)
        hops = [text for name, text in scope["headers"] if name == _FORWARDED]
        for hop in reversed(b",".join(hops).decode("latin-1").split(",")):
            if not self.is_proxy(hop.strip()):
                return peer(hop.strip()) or peer(host)
        return peer(host)

    def is_proxy(self, host: str) -> bool:
        """Whether an address is that of a proxy of ours."""
        address = _address(host) if self._proxies else None
        return address is not None and any(address in network for network in self._proxies)


@lru_cache(1024)
def peer(host: str) -> str:
    """The address that stands for a host; of IPv6 the customer's network. "" for no address."""
    address = _address(host)
    if address is None:
        return ""
    if address.version == 4:  # noqa: PLR2004 - of the Internet Protocol
        return str(address)
    return str(ipaddress.ip_network((address.packed, _CUSTOMER), strict=False))


def _address(host: str) -> Address | None:
    """An address; one of IPv4 that is written as IPv6 is the same."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
