"""What a browser shows that is pointed at the server: what this is, and that it works.

One page without scripts, pictures or anything from elsewhere; it says nothing that is not for
everybody.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from facelabel.web.health import Readiness

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
    "Cache-Control": "no-store",
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


def routes(readiness: Readiness, modes: Sequence[str]) -> list[ApiRoute]:
    """The page at ``/``; ``modes``: what is served, in sentences."""

    async def answer(request: Request) -> Response:
        if not _is_wanted(request.headers.get("accept", "")):
            raise HTTPException(_NOT_ALLOWED, headers={"Allow": "GET, HEAD, POST"})
        return HTMLResponse(_page(await readiness(), modes), headers=_HEADERS)

    return [ApiRoute(Api.PAGE, "/", answer, methods=["GET"])]


def _is_wanted(accept: str) -> bool:
    """Programs that want JSON are told, in JSON, that there is none."""
    return "text/html" in accept or "json" not in accept


def _page(found: Mapping[str, bool], modes: Sequence[str]) -> str:
    headline = "It works" if all(found.values()) else "It runs, but not all is well"
    checks = "\n".join(_line(name, is_good=is_good) for name, is_good in found.items())
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in modes)
    return _PAGE.format(style=_STYLE, headline=headline, checks=checks, modes=paragraphs)


def _line(name: str, *, is_good: bool) -> str:
    label, advice = _CHECKS[name]
    kind, says = ("good", "ready") if is_good else ("bad", advice)
    return f'<li>{label} <span class="{kind}">{escape(says)}</span></li>'
