"""Turns a template and values into a response: ``render(request, "shop/home.html", offers=offers)``.

There is one Jinja environment for all faces. ``shop/home.html`` is the file ``web/shop/templates/home.html``;
names without a face (``base.html``, ``console_layout.html``) are the shared ones of ``web/ui/templates``. The
shared pieces are macros, in reach of every template as ``ui.NAME(...)`` without an import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.runtime import Macro
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.response import Redirect
from markupsafe import Markup

from tearline import i18n
from tearline.core.palette import EDGES
from tearline.i18n import formats
from tearline.web.ui.assets import asset_url
from tearline.web.ui.barcodes import code_svg, qr_svg
from tearline.web.ui.page import (
    FACES,
    Flash,
    Page,
    cookies_after,
    current_page,
    flash_cookie,
    language_of,
    page_of,
)

__all__ = ["CONTENT_SECURITY_POLICY", "environment", "redirect", "render", "render_text", "text_in"]

WEB_DIRECTORY = Path(__file__).parents[1]

# No inline script or style anywhere. The scanner compiles WebAssembly; QR photos and drawn QR codes are
# blob: and data: pictures.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "font-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(self)",
    # Pages carry a member's coupons and tokens: no cache may keep them.
    "cache-control": "no-store",
}


def render(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    face: str | None = None,
    **context: Any,
) -> Response[str]:
    """The page ``template`` filled with ``context``.

    Args:
        request: gives the language, CSRF token, flash message and face.
        template: such as ``console/offers.html``; fragments for htmx are rendered the same way.
        status_code: 200, or that of a refusal (422 for a form that goes back with its errors).
        headers: set beside the security headers.
        time_zone: in which the page's times are shown, when it isn't the installation's.
        face: the face whose look an error page takes, when the address doesn't tell.
        context: the template's own values; ``language``, ``page``, ``user``, ``inside`` (of a
            waiting room), ``market`` (whether there is one to link to) and ``request`` are added.
    """
    page = page_of(request)
    page = replace(page, time_zone=time_zone or page.time_zone, face=face or page.face)
    given = {name: request.scope.get(name) for name in ("user", "inside", "market")}
    values = {**given, **context, "request": request}
    return Response(
        content=render_text(template, page, values),
        media_type=MediaType.HTML,
        status_code=status_code,
        headers={**SECURITY_HEADERS, "content-language": page.language, **(headers or {})},
        cookies=cookies_after(request, page),
    )


def redirect(
    request: Request[Any, Any, Any],
    path: str,
    *,
    flash: str | None = None,
    kind: str = "good",
    **values: object,
) -> Response[Any]:
    """Send the browser to ``path`` (303 See Other), to show ``flash`` there.

    Args:
        flash: an English sentence marked with ``_``; it's translated and its placeholders filled here.
        kind: ``good``, ``warn`` or ``bad``.
    """
    cookies = []
    if flash is not None:
        cookies.append(
            flash_cookie(request, Flash(i18n.translate(language_of(request), flash, **values), kind))
        )
    return Redirect(path, status_code=303, cookies=cookies, headers={"cache-control": "no-store"})


def render_text(template: str, page: Page, values: Mapping[str, Any]) -> str:
    """The template's text for a page; ``render`` without HTTP."""
    token = current_page.set(page)
    try:
        return (
            environment()
            .get_template(template)
            .render({**values, "page": page, "language": page.language, "time_zone": page.time_zone})
        )
    finally:
        current_page.reset(token)


@cache
def environment() -> Environment:
    """The one Jinja environment."""
    face_loaders = {face: FileSystemLoader(WEB_DIRECTORY / face / "templates") for face in (*FACES, "gate")}
    shared = FileSystemLoader(WEB_DIRECTORY / "ui" / "templates")
    built = Environment(
        loader=ChoiceLoader([PrefixLoader(face_loaders), shared]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    built.policies["ext.i18n.trimmed"] = True
    built.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    built.globals.update(
        {
            "ui": Pieces(built),
            "asset": asset_url,
            "language_name": lambda tag: i18n.LANGUAGES[tag].own_name,
            "languages": list(i18n.LANGUAGES.values()),
            "current_page": current_page.get,
            "qr_svg": qr_svg,
            "code_svg": code_svg,
            "edges": EDGES,
            "sentence": sentence,
        }
    )
    built.filters.update(
        {
            "money": money,
            "money_number": lambda amount, currency: formats.money_number(amount, currency, _language()),
            "currency_symbol": lambda currency: formats.currency_symbol(currency, _language()),
            "number": lambda value: formats.number(value, _language()),
            "percent": lambda fraction: formats.percent(fraction, _language()),
            "date": date_filter,
            "date_time": date_time_filter,
            "time": lambda value, zone=None: formats.time_of_day(value, _language(), zone or _time_zone()),
            "window": lambda start, end=None, zone=None: formats.window(
                start, end, _language(), zone or _time_zone()
            ),
            "time_zone_name": lambda zone: formats.time_zone_name(zone, _language()),
            "localised": lambda texts: i18n.localised(texts, _language()),
            "iso": lambda value: value.isoformat(),
            "unix_milliseconds": lambda value: int(value.timestamp() * 1000),
            "grouped": grouped_code,
            "listed": lambda words: formats.listed(words, _language()),
        }
    )
    return built


class Pieces:
    """The shared macros of ``templates/pieces/*.html`` by name."""

    def __init__(self, built: Environment) -> None:
        self._environment = built
        names = sorted(path.name for path in (WEB_DIRECTORY / "ui" / "templates" / "pieces").glob("*.html"))
        self._file_of: dict[str, str] = {}
        for name in names:
            parsed = built.parse(built.loader.get_source(built, f"pieces/{name}")[0])  # type: ignore[union-attr]
            for node in parsed.body:
                if node.__class__.__name__ == "Macro" and not node.name.startswith("_"):  # type: ignore[attr-defined]
                    self._file_of[node.name] = f"pieces/{name}"  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Macro:
        try:
            file = self._file_of[name]
        except KeyError:
            raise AttributeError(f"there is no piece named {name!r}") from None
        macro: Macro = getattr(self._environment.get_template(file).module, name)
        return macro

    def names(self) -> list[str]:
        """Every piece there is."""
        return sorted(self._file_of)


def _language() -> str:
    return current_page.get().language


def _time_zone() -> str:
    return current_page.get().time_zone


def _gettext(message: str) -> str:
    return i18n.translate(_language(), message)


def _ngettext(singular: str, plural: str, n: int) -> str:
    # Jinja fills the placeholders itself, so nothing is filled here.
    return i18n.ngettext_unfilled(_language(), singular, plural, n)


def sentence(message: str, **values: object) -> str:
    """Translate a sentence that reaches the template as a value, such as a column's label."""
    return i18n.translate(_language(), message, **values)


def money(minor_units: int, currency: str) -> str:
    """``{{ offer.minimum_spend | money(offer.currency) }}``."""
    return formats.money(minor_units, currency, _language())


def text_in(texts: Mapping[str, str] | None, language: str) -> Markup:
    """A localised text for a page; one that is in another language than the page's says so."""
    its_language, text = i18n.nearest(texts, language)
    if its_language == language:
        return Markup("{}").format(text)
    return Markup('<span lang="{}">{}</span>').format(its_language, text)


def date_filter(value: date | datetime | None, zone: str | None = None) -> str:
    """The day in the page's time zone, or in ``zone``; a dash for None."""
    return "–" if value is None else formats.day(value, _language(), zone or _time_zone())


def date_time_filter(value: datetime | None, zone: str | None = None) -> str:
    """Day and time in the page's time zone, or in ``zone``; a dash for None."""
    return "–" if value is None else formats.date_time(value, _language(), zone or _time_zone())


def grouped_code(code: str, size: int = 4) -> str:
    """A code in groups that can be read aloud: ``7QF2 9XKM``."""
    return " ".join(code[start : start + size] for start in range(0, len(code), size))
