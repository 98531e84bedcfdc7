"""What an address says of who can reach it."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_USUAL_PORTS = {"http": 80, "https": 443}


@lru_cache(64)
def is_loopback(host: str) -> bool:
    """Whether a host is this computer, and reached from nowhere else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_only_here(host: str, public_url: str) -> bool:
    """Whether a server that listens on ``host`` is meant for programs on this computer alone."""
    public = urlsplit(public_url).hostname
    return is_loopback(host) and (public is None or is_loopback(public))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as browsers write an origin; "" of what has none."""
    try:
        parts = urlsplit(url.strip().lower())
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host or "," in host:
        return ""
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == _USUAL_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{port}")


def networks(text: str) -> list[Network]:
    """Addresses and networks with commas between; ValueError for what is neither."""
    return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part]
