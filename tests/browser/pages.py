"""Looking at every page: which pages there are, and what is wrong with one."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
from babel.messages.pofile import read_po
from playwright.async_api import ConsoleMessage, Error, Page, Request, Response

from tearline.i18n import LANGUAGES, LOCALES_DIRECTORY
from tests.browser.chromium import violations

PICTURES = Path(__file__).parent / "pictures"

_HREF = re.compile(r'<a [^>]*?href="([^"]+)"')
_PARAMETER = re.compile(r"\{\w+:(\w+)\}")
_PARAMETER_PATTERNS = {"uuid": "[0-9a-f-]{36}", "str": "[^/]+", "path": ".+"}
_PLACEHOLDER = re.compile(r"%\(\w+\)s")
# Longer runs of plain English are sentences; shorter ones may be somebody's name.
_ENGLISH_SENTENCE = re.compile(r"\b[A-Za-z]+(?:['’]\w+)?(?: [a-z]+(?:['’]\w+)?){3,}")


@dataclass(frozen=True, slots=True)
class View:
    """One way of looking: a language, a width in pixels, light or dark."""

    language: str
    width: int
    is_dark: bool = False

    def __str__(self) -> str:
        return f"{self.width} {self.language}"


RULES_OF_VIEWS = (
    "color-contrast", "css-orientation-lock", "html-has-lang", "html-lang-valid", "label-content-name-mismatch",
    "link-in-text-block", "meta-viewport", "scrollable-region-focusable", "target-size", "valid-lang",
)  # fmt: skip
"""The rules of axe-core that are a matter of width, colour or language; the others are looked for in one view."""
_CHOSEN_VIEWS = os.environ.get("PAGE_VIEWS")
VIEWS = tuple(
    View(language, int(width), is_dark=int(width) < 700)
    for language, _, width in (
        one.partition(":") for one in (_CHOSEN_VIEWS or "en:1440,zh-Hant:360").split(",")
    )
)
"""A wide and a narrow one. ``make pages`` goes through all languages, and keeps pictures for people to look at."""


@dataclass(slots=True)
class Scene:
    """One page to look at.

    Attributes:
        steps: what leads from the page at ``path`` to the page that is meant.
        status: what the page is answered with.
        is_for_developers: may speak English.
    """

    name: str
    path: str
    steps: Callable[[Page], Awaitable[None]] | None = None
    status: int = 200
    is_for_developers: bool = False


@dataclass(slots=True)
class RouteMap:
    """The addresses that a face answers, by their patterns."""

    patterns: dict[str, re.Pattern[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[str]) -> RouteMap:
        """The map of the application's route paths such as ``/c/{code:str}``; those without parameters first."""
        found = {}
        for path in sorted(paths, key=lambda path: (path.count("{"), path)):
            parts = _PARAMETER.split(path)
            # The odd ones are the parameters' kinds.
            found[path] = re.compile(
                "".join(
                    _PARAMETER_PATTERNS[part] if position % 2 else re.escape(part)
                    for position, part in enumerate(parts)
                )
            )
        return cls(found)

    def route_of(self, path: str) -> str | None:
        """The pattern that an address belongs to."""
        return next((name for name, pattern in self.patterns.items() if pattern.fullmatch(path)), None)


async def crawl(http: httpx.AsyncClient, starts: Iterable[str], routes: RouteMap) -> dict[str, str]:
    """The first page met of each route, following links from ``starts``: its address by its route.

    Only whole pages count; exports, other files and fragments are passed by.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        address = waiting.pop(0)
        route = routes.route_of(urlsplit(address).path)
        if route is None or route in seen or route.endswith("/export"):
            continue
        seen.add(route)
        async with http.stream("GET", address) as answer:
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            text = (await answer.aread()).decode()
        if answer.status_code != 200 or not text.lstrip().startswith("<!doctype html>"):
            continue
        found[route] = address
        for href in _HREF.findall(text):
            target = urlsplit(urldefrag(urljoin(str(answer.url), unescape(href))).url)
            if target.netloc == answer.url.netloc.decode() and "lang=" not in target.query:
                waiting.append(target.path + (f"?{target.query}" if target.query else ""))
    return found


async def faults(page: Page, base: str, scene: Scene, view: View) -> list[str]:
    """Everything that is wrong with a page, one line each."""
    found: list[str] = []
    with Watch(page) as watch:
        answer = await page.goto(base + scene.path)
        if scene.steps is not None:
            await scene.steps(page)
            await page.wait_for_load_state("load")
        elif answer is not None and answer.status != scene.status:
            found.append(f"is answered with {answer.status}, not {scene.status}")
        found += await _too_wide(page)
        if _CHOSEN_VIEWS:
            PICTURES.mkdir(exist_ok=True)
            picture = PICTURES / f"{scene.name} {view}.jpeg".replace("/", "_")
            await page.screenshot(path=picture, full_page=True, scale="css", type="jpeg", quality=85)
        # What is folded away is part of the page; the drawer would cover the rest of it.
        await page.evaluate(
            "document.querySelectorAll('details:not(.drawer)').forEach((one) => one.open = true)"
        )
        found += await _too_wide(page)
        if view.language != "en" and not scene.is_for_developers:
            found += [f"speaks English: {text!r}" for text in await english_on(page, view.language)]
        await _shorten_lists(page)
        wrong = await violations(page, _rules(scene, view))
        found += [line.removeprefix(f"{page.url}: ") for line in wrong]
        found += [line for line in watch.lines if not _is_own_status(line, page.url)]
    return [f"{scene.name} ({view}): {line}" for line in dict.fromkeys(found)]


def _rules(scene: Scene, view: View) -> tuple[str, ...]:
    """The rules of axe-core to go by; none for all of them.

    Contrast takes most of its time, and colours are of the theme and not of the page: in the dark it is looked for on
    the page that has every piece. ``make pages`` looks for it everywhere.
    """
    if view == VIEWS[0]:
        return ()
    if _CHOSEN_VIEWS or scene.is_for_developers:
        return RULES_OF_VIEWS
    return tuple(rule for rule in RULES_OF_VIEWS if rule != "color-contrast")


class Watch:
    """What a page complains of while it is open: errors on its console, the policy's included, and failed requests."""

    def __init__(self, page: Page) -> None:
        self.lines: list[str] = []
        self._page = page
        self._listeners: dict[Any, Any] = {
            "pageerror": self._note_error,
            "console": self._hear,
            "requestfailed": self._note_failure,
            "response": self._note_status,
        }

    def __enter__(self) -> Watch:
        for event, listener in self._listeners.items():
            self._page.on(event, listener)
        return self

    def __exit__(self, *exception: object) -> None:
        for event, listener in self._listeners.items():
            self._page.remove_listener(event, listener)

    def _note_error(self, error: Error) -> None:
        self.lines.append(f"error of a script: {error}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.lines.append(f"console: {message.text} {where}")

    def _note_failure(self, request: Request) -> None:
        # A page that is left gives up what it was still asking for.
        if request.failure != "net::ERR_ABORTED":
            self.lines.append(f"failed: {request.url} {request.failure}")

    def _note_status(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.lines.append(f"failed: {response.url} {response.status}")


def _is_own_status(line: str, url: str) -> bool:
    """Whether a line only says that the page itself, a refusal, was answered with 4xx."""
    return line.startswith("console: Failed to load resource") and line.endswith(urldefrag(url).url)


async def _too_wide(page: Page) -> list[str]:
    """The innermost elements that make the page wider than the screen."""
    culprits = await page.evaluate(
        """() => {
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            const wide = [...document.body.querySelectorAll('*')].filter((one) => {
                const box = one.getBoundingClientRect();
                return box.width && box.right > width + 1;
            });
            const inner = wide.filter((one) => !wide.some((other) => other !== one && one.contains(other)));
            return (inner.length ? inner : wide).slice(0, 3).map((one) => one.outerHTML.slice(0, 160));
        }"""
    )
    return [f"wider than the screen: {culprit}" for culprit in culprits]


async def _shorten_lists(page: Page) -> None:
    """Leave out what axe-core would only find to be the same again: of neighbours that are built alike, four stay.

    Alike are those with the same elements, classes, styles and states, whatever they say. The last one stays, too.
    """
    await page.evaluate(
        r"""() => {
            const said = /^(href|src|title|alt|value|datetime|id|for|name|aria-label)$/;
            const shown = /^(class|style)$/;
            const kept = (its) => shown.test(its.name) || !(said.test(its.name) || /\d/.test(its.value));
            const build = (one) => [
                one.localName,
                ...[...one.attributes].map((its) => (kept(its) ? `${its.name}=${its.value}` : its.name)),
                [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()),
                ...[...one.children].map((child) => `(${build(child)})`),
            ].join(' ');
            for (const list of document.querySelectorAll('main tbody, main ul, main ol')) {
                const seen = new Map();
                for (const one of [...list.children].slice(0, -1)) {
                    const key = build(one);
                    seen.set(key, (seen.get(key) ?? 0) + 1);
                    if (seen.get(key) > 4) one.remove();
                }
            }
        }"""
    )


async def english_on(page: Page, language: str) -> list[str]:
    """English that is left on a page in another language: strings of the catalogue, and whole sentences."""
    texts = await page.evaluate(
        """() => {
            const texts = [document.title];
            const passed = 'script, style, template, noscript, code, .code, [lang]:not(html)';
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                // What is in a language of its own says so; codes and addresses are in none.
                if (node.parentElement.closest(passed)) continue;
                texts.push(node.textContent);
            }
            for (const one of document.querySelectorAll('[aria-label], [placeholder], [alt], [title], [data-title]'))
                if (!one.closest('[lang]:not(html)'))
                    for (const name of ['aria-label', 'placeholder', 'alt', 'title', 'data-title'])
                        if (one.getAttribute(name)) texts.push(one.getAttribute(name));
            return texts.map((text) => text.replace(/\\s+/g, ' ').trim()).filter((text) => /[A-Za-z]{2}/.test(text));
        }"""
    )
    left = []
    for text in dict.fromkeys(texts):
        # A record as it stands in the audit log holds all of its languages.
        if text.startswith('{"'):
            continue
        known = next((source for source in _sources(language) if source.fullmatch(text)), None)
        sentence = _ENGLISH_SENTENCE.search(text)
        if known is not None or sentence is not None:
            left.append(text[:120])
    return left


@cache
def _sources(language: str) -> list[re.Pattern[str]]:
    """The catalogue's English strings of two words and more, with anything where a value goes."""
    path = LOCALES_DIRECTORY / LANGUAGES[language].locale / "LC_MESSAGES" / "tearline.po"
    with suppress(FileNotFoundError), path.open("rb") as file:
        strings = {
            string
            for message in read_po(file)
            if message.id
            for string in (message.id if isinstance(message.id, tuple) else (message.id,))
        }
        return [
            re.compile(".+?".join(re.escape(part.replace("%%", "%")) for part in _PLACEHOLDER.split(string)))
            for string in sorted(strings)
            if len(re.findall(r"[A-Za-z]{2,}", _PLACEHOLDER.sub("", string))) > 1
        ]
    return []
