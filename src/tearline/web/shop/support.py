"""What the shop's pages share: the member behind a token, pictures, texts with their language, small cookies."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie, FormMultiDict
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.i18n import _, translate, translate_counted
from tearline.members.reads import MemberRow, member_in_session
from tearline.members.tokens import MemberIdentity
from tearline.web.access import AnyRequest, safe_next, services_of
from tearline.web.problems import (
    SignInNeeded,
    field_sentences,
    problem_headers,
    retry_after_seconds,
    sentence_of,
)
from tearline.web.security import expired_cookie, private_cookie

_LONGEST_COOKIE_CHARACTERS = 4000
_LONGEST_FORM_KEY_CHARACTERS = 64


async def known_member(connection: AsyncConnection, identity: MemberIdentity | None) -> MemberRow | None:
    """The member whom a token names, if the member has not ended that session and isn't blocked."""
    if identity is None:
        return None
    try:
        return await member_in_session(connection, identity)
    except Refusal:
        return None


async def signed_in_member(
    connection: AsyncConnection, request: AnyRequest, identity: MemberIdentity
) -> MemberRow:
    """The member whom a token names; sent to sign in again when the session has been ended."""
    member = await known_member(connection, identity)
    if member is None:
        raise SignInNeeded(sign_in_path(request.url.path if request.method == "GET" else "/"))
    return member


def sign_in_path(next_path: str) -> str:
    """The sign-in page that leads to ``next_path`` afterwards."""
    return f"/sign-in?next={quote(safe_next(next_path, '/'), safe='/')}"


def refusal_text(refusal: Refusal, language: str) -> str:
    """The refusal's sentence, and when it makes sense to try again."""
    sentence = sentence_of(refusal, language)
    if refusal.reason != "too_many_attempts":
        return sentence
    return f"{sentence} {wait_text(retry_after_seconds(refusal) or 60, language)}"


def field_text(refusal: Refusal, field: str, language: str) -> str:
    """What the refusal says about a field, or else its own sentence."""
    return field_sentences(refusal, language).get(field) or refusal_text(refusal, language)


def page_headers(refusal: Refusal | None, language: str) -> dict[str, str]:
    """The headers of a page that may tell of a refusal."""
    headers = {} if refusal is None else problem_headers(refusal, language)
    # A page is not an API: a browser must not be told to ask for a bearer token.
    headers.pop("www-authenticate", None)
    return headers


def with_query(request: AnyRequest, path: str) -> str:
    """A path with the query of the request's own address."""
    query = request.scope["query_string"].decode("latin-1")
    return path + (f"?{query}" if query else "")


def wait_text(seconds: int, language: str) -> str:
    """When something can be tried again, in words."""
    if seconds <= 90:
        return translate_counted(
            language, "You can try again in %(n)s second.", "You can try again in %(n)s seconds.", seconds
        )
    minutes = -(-seconds // 60)
    if minutes <= 90:
        return translate_counted(
            language, "You can try again in %(n)s minute.", "You can try again in %(n)s minutes.", minutes
        )
    hours = -(-minutes // 60)
    return translate_counted(
        language, "You can try again in %(n)s hour.", "You can try again in %(n)s hours.", hours
    )


def days_left_text(days: int, language: str) -> str:
    """How many days a coupon can still be used."""
    if days <= 0:
        return translate(language, _("Last day"))
    return translate_counted(language, "%(n)s day left", "%(n)s days left", days)


def note_cookie(
    request: AnyRequest, name: str, values: Mapping[str, str | int], *, path: str, seconds: int
) -> Cookie:
    """A few values kept by the browser between two pages. They prove nothing: whoever has it may change it."""
    packed = (
        base64.urlsafe_b64encode(json.dumps(dict(values), ensure_ascii=False).encode("utf-8", "replace"))
        .decode()
        .rstrip("=")
    )
    secure = services_of(request).settings.cookies_are_secure
    return private_cookie(name, packed, path=path, secure=secure, max_age_seconds=seconds)


def read_note(request: AnyRequest, name: str) -> dict[str, str | int]:
    """The values of a note; empty when there is none that can be read."""
    packed = request.cookies.get(name, "")
    if not packed or len(packed) > _LONGEST_COOKIE_CHARACTERS:
        return {}
    try:
        values = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str)
        or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**40)
    }


def forget_note(request: AnyRequest, response: Response[Any], name: str, *, path: str) -> None:
    """Have the browser drop a note."""
    secure = services_of(request).settings.cookies_are_secure
    response.set_cookie(expired_cookie(name, path=path, secure=secure))


def new_form_key() -> str:
    """What tells one loaded form from another: sending the same one again asks for nothing new."""
    return secrets.token_urlsafe(16)


def choice_key(form_key: str, choice: str) -> str:
    """The same for every sending of one loaded form with one choice, and different for another choice."""
    digest = hashlib.sha256(f"{form_key}\n{choice}".encode("utf-8", "replace")).hexdigest()
    return f"shop-{digest[:40]}"


def form_key_in(form: FormMultiDict) -> str:
    """The key of the form that was sent; a new one when it has none."""
    return str(form.get("form_key", ""))[:_LONGEST_FORM_KEY_CHARACTERS] or new_form_key()
