"""What makes the counter an app on a phone: its service worker, and the page that it shows without a network.

The worker keeps the shell (styles, scripts, the scanner's WebAssembly), never a page: pages carry coupons,
and what they say must come from the server.
"""

from __future__ import annotations

import json
from typing import Any

from litestar import Response, get

from tearline.i18n import LANGUAGES, _, translate
from tearline.web.access import AnyRequest
from tearline.web.ui.assets import STATIC_DIRECTORY, STATIC_URL, manifest
from tearline.web.ui.rendering import render

OFFLINE_PATH = "/merchant/offline"
_SHELL = (
    "merchant.css",
    "app.js",
    "counter.js",
    "scanner.js",
    "zxing_reader.wasm",
    "icon.svg",
    "icon-192.png",
)


@get("/service-worker.js")
async def service_worker() -> Response[Any]:
    """The worker's script; it changes, and is taken up by browsers, whenever a file of the shell does."""
    names = manifest()
    shell = [OFFLINE_PATH, *(f"{STATIC_URL}/{names[name]}" for name in _SHELL)]
    script = (STATIC_DIRECTORY / names["counter-worker.js"]).read_text("utf-8")
    return Response(
        f"self.shell={json.dumps(shell)};\n{script}",
        media_type="text/javascript",
        # Below /merchant/ a worker would not be given /merchant itself.
        headers={"cache-control": "no-cache", "service-worker-allowed": "/merchant"},
    )


@get("/offline")
async def offline_page(request: AnyRequest) -> Response[str]:
    """What is shown without a network: kept by the worker for whoever signs in later, so in every language."""
    return render(
        request,
        "merchant/offline.html",
        titles=_in_every_language(_("No connection")),
        sentences=_in_every_language(_("A coupon is never redeemed twice, so it is safe to try again.")),
        labels=_in_every_language(_("Try again")),
    )


def _in_every_language(sentence: str) -> list[tuple[str, str]]:
    """The sentence with the language of each translation; one that is still missing isn't said twice."""
    texts: dict[str, str] = {}
    for tag in LANGUAGES:
        texts.setdefault(translate(tag, sentence), tag)
    return [(tag, text) for text, tag in texts.items()]


HANDLERS = [service_worker, offline_page]
