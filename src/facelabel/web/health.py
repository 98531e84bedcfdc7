"""Whether the server lives and is ready: for those who watch over it, and for who opens it.

Nobody needs a key to ask, so asking is cheap: one look a second, however many want to know. A
browser is shown what this is, and that it works: one page without scripts, pictures or anything
from elsewhere, that says nothing that is not for everybody.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from html import escape
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse

from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

#: Seconds for which a look is good, and that one may take.
FRESH, PATIENCE = 1.0, 5.0
_NOT_READY = 503
_NOT_KEPT = {"Cache-Control": "no-store"}
_NOT_ALLOWED = 405
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2327;--soft:#5b6770;--paper:#fbfaf7;--card:#fff;
--line:#e3e0d8;--good:#1f7a4d;--bad:#b3361e}
@media(prefers-color-scheme:dark){:root{--ink:#e8e6e1;--soft:#a2abb2;--paper:#16191c;
--card:#1e2226;--line:#32383d;--good:#5cc593;--bad:#ff8f78}}
*{box-sizing:border-box}
body{margin:0;padding:8vh 1.25rem;background:var(--paper);color:var(--ink);
font:1rem/1.6 system-ui,sans-serif}
main{max-width:40rem;margin:auto}
h1{margin:0;font-size:2rem;letter-spacing:-.02em}
h2{margin:2.25rem 0 .5rem;font-size:1rem}
p{margin:.5rem 0}
.lead{color:var(--soft);font-size:1.1rem}
ul{list-style:none;margin:0;padding:0;border:1px solid var(--line);border-radius:.6rem;
background:var(--card)}
li{display:flex;gap:1rem;justify-content:space-between;padding:.6rem 1rem}
li+li{border-top:1px solid var(--line)}
.good{color:var(--good)}.bad{color:var(--bad)}.good,.bad{font-weight:600;text-align:right}
code{padding:.1em .35em;border-radius:.3em;background:var(--line);font-size:.9em}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    **_NOT_KEPT,
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
#: How each check is called, and what helps where it fails.
_CHECKS = {
    "store": ("Store", "not reached: see the server's log"),
    "models": ("Face models", "not installed: facelabel models pull"),
    "workers": ("Workers", "not all at work: see the server's log"),
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Facelabel</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Facelabel</h1>
<p class="lead">puts people's names on pictures. Label a few portraits, and every picture that is
uploaded is tagged with who is on it.</p>
<h2>{headline}</h2>
<ul>
{checks}
</ul>
<h2>What is here</h2>
{modes}
<h2>Keys</h2>
<p>On the computer that this runs on, <code>facelabel keys</code> shows them, ready for
Cloudinary's and AWS's SDKs; <code>facelabel keys add</code> makes one more.</p>
<h2>More</h2>
<p>Facelabel's documents: <code>docs/howto/serve.md</code>,
<code>docs/howto/connect-cloudinary.md</code>, <code>docs/rekognition-local.md</code>, who may come
in <code>docs/reference/security.md</code>, and where something went wrong
<code>docs/howto/troubleshoot.md</code>. For those who watch over it: <code>/healthz</code>,
<code>/readyz</code>.</p>
</main>
</body>
</html>
"""


class Readiness:
    """What has to be true, and when it was last looked at. Belongs to one event loop."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], bool]],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        """``checks``: may block, raise nothing; ``clock``: seconds."""
        self._checks = checks
        self._clock = clock
        self._patience = patience
        self._look: asyncio.Task[Mapping[str, bool]] | None = None
        self._since = 0.0

    async def __call__(self) -> Mapping[str, bool]:
        """What is true; nothing is while a look takes too long."""
        look = self._look
        if look is None or (look.done() and self._clock() - self._since >= FRESH):
            self._since = self._clock()
            self._look = look = asyncio.create_task(self._looked())
        await asyncio.wait({look}, timeout=self._patience)
        return look.result() if look.done() else dict.fromkeys(self._checks, False)

    async def _looked(self) -> Mapping[str, bool]:
        return {name: await asyncio.to_thread(check) for name, check in self._checks.items()}


def routes(readiness: Readiness, modes: Sequence[str]) -> list[ApiRoute]:
    """Alive, the same under its first name, ready; and a page with ``modes``: what is served."""

    async def alive(_: Request) -> JSONResponse:
        """200 as long as this program answers."""
        return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)

    async def ready(_: Request) -> JSONResponse:
        """200 where everything that is needed is there, else 503, and what is not."""
        found = await readiness()
        is_ready = all(found.values())
        answer = {"status": "ok" if is_ready else "not ready", **found}
        return JSONResponse(answer, 200 if is_ready else _NOT_READY, _NOT_KEPT)

    async def page(request: Request) -> Response:
        """The page with what is served; 405 for who wants JSON."""
        # Programs that want JSON are told, in JSON, that there is none.
        accept = request.headers.get("accept", "")
        if "json" in accept and "text/html" not in accept:
            raise HTTPException(_NOT_ALLOWED, headers={"Allow": "GET, HEAD, POST"})
        return HTMLResponse(_page(await readiness(), modes), headers=_HEADERS)

    endpoints = {"/health": alive, "/healthz": alive, "/readyz": ready, "/": page}
    return [
        ApiRoute(Api.PAGE, path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()
    ]


def _page(found: Mapping[str, bool], modes: Sequence[str]) -> str:
    headline = "It works" if all(found.values()) else "It runs, but not all is well"
    checks = "\n".join(_line(name, is_good=is_good) for name, is_good in found.items())
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in modes)
    return _PAGE.format(style=_STYLE, headline=headline, checks=checks, modes=paragraphs)


def _line(name: str, *, is_good: bool) -> str:
    label, advice = _CHECKS[name]
    kind, says = ("good", "ready") if is_good else ("bad", advice)
    return f'<li>{label} <span class="{kind}">{escape(says)}</span></li>'
