"""A browser of the tests: keeps cookies, carries CSRF tokens, reads forms and sends them as filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import command_actor
from tearline.db import transaction
from tearline.merchants.staff import create_staff
from tearline.web.app import Application

PASSWORD = "a calm little password"
COMMAND = command_actor("tests")
Fields = dict[str, str | list[str]]


@dataclass
class ParsedForm:
    """One form of a page: where it goes, and what stands in it."""

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    """Names of inputs that are shown without being taken."""


class Page:
    """An answer, read as a page."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.html = answer.text
        reader = _FormReader()
        reader.feed(self.html)
        self.forms = reader.forms

    @property
    def text(self) -> str:
        """What a person reads, on one line."""
        stripped = re.sub(r"<(script|style)\b.*?</\1>", " ", self.html, flags=re.S)
        text = re.sub(r"<[^>]+>", " ", stripped).replace("&#39;", "'").replace("&amp;", "&")
        return re.sub(r"\s+", " ", text)

    @property
    def errors(self) -> str:
        """What the page says is wrong with its form."""
        found = re.search(r'id="form-errors".*?</div>', self.html, flags=re.S)
        return "" if found is None else re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group(0)))

    def form(self, action: str) -> ParsedForm:
        """The form that goes to an address."""
        matching = [form for form in self.forms if form.action == action]
        assert matching, f"no form goes to {action}; there are {[form.action for form in self.forms]}"
        return matching[0]


class Browser:
    """A person at the application, in English."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.token = ""

    async def get(self, path: str, *, follow: bool = True) -> Page:
        """The page at an address."""
        answer = await self.client.get(path, headers={"accept-language": "en"}, follow_redirects=follow)
        page = Page(answer)
        for form in page.forms:
            if "_csrf_token" in form.fields:
                self.token = form.fields["_csrf_token"][0]
        return page

    async def post(self, path: str, fields: Fields | None = None, *, follow: bool = True) -> Page:
        """Send a form's fields to an address."""
        if not self.token:
            await self.get("/console/sign-in")
        answer = await self.client.post(
            path,
            data={"_csrf_token": self.token, **(fields or {})},
            headers={"accept-language": "en"},
            follow_redirects=follow,
        )
        return Page(answer)

    async def send(self, path: str, changes: Fields | None = None, *, action: str = "") -> Page:
        """Load a page, change some of its form's fields, and send them all."""
        page = await self.get(path)
        assert page.status == 200, page.text
        form = page.form(action or path)
        return await self.post(action or path, {**form.fields, **(changes or {})})

    async def sign_in(self, email: str, password: str = PASSWORD) -> Page:
        """Sign in at the console."""
        return await self.send("/console/sign-in", {"email": email, "password": password})


async def console_browser(app: Application, client: httpx.AsyncClient, role: str = "owner") -> Browser:
    """A browser signed in at the console as one of the operator's staff, who is made for it."""
    await make_staff(app, role)
    browser = Browser(client)
    page = await browser.sign_in(f"{role}@example.org")
    assert page.status == 200, page.text
    return browser


async def make_staff(app: Application, role: str, **details: object) -> None:
    """One account, ``ROLE@example.org``."""
    services = app.litestar.state.services
    async with transaction(services.database) as tx:
        await _create(tx, role, services.now(), **details)


async def _create(tx: AsyncConnection, role: str, now: object, **details: object) -> None:
    wanted = {"email": f"{role}@example.org", "name": role.capitalize(), "role": role, "password": PASSWORD}
    await create_staff(tx, COMMAND, **{**wanted, **details}, now=now)  # type: ignore[arg-type]


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[ParsedForm] = []
        self._form: ParsedForm | None = None
        self._select = ""
        self._textarea: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = ParsedForm(given.get("action", ""))
            self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if name and ("disabled" in given or "readonly" in given):
            self._form.disabled.add(name)
        if tag == "input" and name and "disabled" not in given:
            is_choice = given.get("type") in ("checkbox", "radio")
            if not is_choice or "checked" in given:
                self._form.fields.setdefault(name, []).append(given.get("value", ""))
        elif tag == "select":
            self._select = "" if "disabled" in given else name
        elif tag == "option" and self._select and "selected" in given:
            self._form.fields[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._textarea, self._text = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._form is not None and self._textarea:
            self._form.fields[self._textarea] = [self._text.removeprefix("\n")]
            self._textarea = None
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._text += data
