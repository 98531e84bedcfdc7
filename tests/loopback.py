"""HTTP with the servers that tests start: patient, and without the authorities of the internet.

httpx2 reads them for every client and every single call, which takes longer than most answers.
"""

from __future__ import annotations

import functools
import ssl

import httpx2
from tests.waiting import PATIENCE

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

#: An ``httpx2.Client``.
client = functools.partial(httpx2.Client, timeout=PATIENCE, verify=_NOBODY)
#: One call each.
request = functools.partial(httpx2.request, timeout=PATIENCE, verify=_NOBODY)
get = functools.partial(httpx2.get, timeout=PATIENCE, verify=_NOBODY)
post = functools.partial(httpx2.post, timeout=PATIENCE, verify=_NOBODY)
