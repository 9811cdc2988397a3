"""Signing in by phone: the number and the way to get a code, then the code; and signing out."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from uuid import UUID

import phonenumbers
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.core.signin import CODE_LENGTH
from tearline.db import transaction
from tearline.i18n import _
from tearline.i18n.formats import locale_of
from tearline.members.actions import sign_out_everywhere
from tearline.members.phones import display_phone, parse_phone
from tearline.members.sign_in import ChannelChoice
from tearline.web.access import (
    MEMBER_COOKIE,
    AnyRequest,
    GivenMember,
    GivenServices,
    GivenVisitor,
    address_of,
    ended_cookie,
    safe_next,
    session_cookie,
)
from tearline.web.member_sign_in import ask_for_code, channels, enter_code
from tearline.web.problems import field_sentences, problem_headers, retry_after_seconds, sentence_of
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.basket import Basket, basket_cookie
from tearline.web.shop.support import forget_note, known_member, note_cookie, read_note, refusal_text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render

SIGN_IN_COOKIE = "tearline_sign_in"
"""Remembers, between asking for a code and entering it, which sign-in it is and how it was sent."""

_COOKIE_PATH = "/sign-in"
_COOKIE_SECONDS = 1800
_LONGEST_INPUT_CHARACTERS = 1000


@get("/sign-in")
async def sign_in_page(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor
) -> Response[str] | Redirect:
    """The form for the phone number; whoever is signed in goes on at once."""
    next_path = safe_next(request.query_params.get("next"), "/wallet")
    if visitor is not None:
        async with services.database.connection() as connection:
            if await known_member(connection, visitor) is not None:
                return Redirect(next_path, status_code=303)
    return await _phone_page(request, services, next_path=next_path)


@post("/sign-in")
async def ask(request: AnyRequest, services: GivenServices) -> Response[str] | Redirect:
    """Send a code to the phone."""
    form = await readable_form(request)
    next_path = safe_next(_text(form, "next"), "/wallet")
    country, phone = _text(form, "country"), _text(form, "phone")
    rules = services.member_sign_in
    try:
        region = country if country in phonenumbers.SUPPORTED_REGIONS else rules.default_region
        number = parse_phone(phone, default_region=region, regions=rules.regions)
        return await _send_code(request, services, number.e164, _text(form, "channel"), next_path)
    except Refusal as refusal:
        return await _phone_page(
            request, services, next_path=next_path, country=country, phone=phone, refusal=refusal
        )


@get("/sign-in/code")
async def code_page(request: AnyRequest, services: GivenServices) -> Response[str] | Redirect:
    """The form for the code."""
    if not _is_note_whole(read_note(request, SIGN_IN_COOKIE)):
        return Redirect("/sign-in", status_code=303)
    return await _code_page(request, services)


@post("/sign-in/code")
async def enter(request: AnyRequest, services: GivenServices) -> Response[str] | Redirect:
    """Enter the code, or have another sent when the form names a channel."""
    note = read_note(request, SIGN_IN_COOKIE)
    if not _is_note_whole(note):
        return redirect(request, "/sign-in", flash=_("That took too long. Please start again."), kind="warn")
    form = await readable_form(request)
    next_path = safe_next(str(note.get("next")), "/wallet")
    try:
        if channel := _text(form, "channel"):
            return await _send_code(request, services, str(note["phone"]), channel, next_path)
        code = _text(form, "code")
        if not code:
            raise Refusal("invalid", fields={"code": _("Type the code that you got.")})
        signed_in, token = await enter_code(
            services,
            sign_in_id=UUID(str(note["id"])),
            code=code,
            language=language_of(request),
            address=address_of(request),
        )
    except Refusal as refusal:
        return await _code_page(request, services, refusal=refusal)
    welcome = _("Welcome! You are a member now.") if signed_in.created else _("You are signed in.")
    response = redirect(request, next_path, flash=welcome)
    lifetime = timedelta(days=services.settings.member_session_days)
    response.set_cookie(session_cookie(request, MEMBER_COOKIE, token, lifetime))
    forget_note(request, response, SIGN_IN_COOKIE, path=_COOKIE_PATH)
    return response


@post("/sign-out")
async def sign_out(request: AnyRequest) -> Response[None]:
    """Forget the session in this browser."""
    response = redirect(request, "/", flash=_("You are signed out."))
    response.set_cookie(ended_cookie(request, MEMBER_COOKIE))
    # The next one to use this browser must not find this one's coupons in the cart.
    response.set_cookie(basket_cookie(request, Basket()))
    return response


@post("/sign-out-everywhere")
async def sign_out_all(request: AnyRequest, services: GivenServices, member: GivenMember) -> Response[None]:
    """End every session of the member, on all devices."""
    async with transaction(services.database) as tx:
        await sign_out_everywhere(tx, member.member_id, member.epoch)
    response = redirect(request, "/", flash=_("You are signed out on all devices."))
    response.set_cookie(ended_cookie(request, MEMBER_COOKIE))
    # The next one to use this browser must not find this one's coupons in the cart.
    response.set_cookie(basket_cookie(request, Basket()))
    return response


async def _send_code(
    request: AnyRequest, services: Services, phone: str, channel: str, next_path: str
) -> Redirect:
    sent = await ask_for_code(
        services, phone=phone, channel=channel, language=language_of(request), address=address_of(request)
    )
    resend_at = services.now() + timedelta(seconds=sent.resend_after_seconds)
    values: dict[str, str | int] = {
        "id": str(sent.sign_in_id),
        "phone": sent.phone,
        "channel": sent.channel,
        "resend": int(resend_at.timestamp()),
        "next": next_path,
    }
    response = Redirect("/sign-in/code", status_code=303)
    response.set_cookie(
        note_cookie(request, SIGN_IN_COOKIE, values, path=_COOKIE_PATH, seconds=_COOKIE_SECONDS)
    )
    return response


async def _phone_page(
    request: AnyRequest,
    services: Services,
    *,
    next_path: str,
    country: str = "",
    phone: str = "",
    refusal: Refusal | None = None,
) -> Response[str]:
    rules = services.member_sign_in
    language = language_of(request)
    return render(
        request,
        "shop/sign_in.html",
        status_code=200 if refusal is None else refusal.status,
        headers=_headers(refusal, language),
        next_path=next_path,
        countries=countries(language, frozenset(rules.regions)),
        country=country or rules.default_region,
        phone=phone,
        channels=await channels(services),
        problem=None if refusal is None else _problem_text(refusal, language),
        is_demo=services.settings.demo,
    )


async def _code_page(
    request: AnyRequest, services: Services, *, refusal: Refusal | None = None
) -> Response[str]:
    note = read_note(request, SIGN_IN_COOKIE)
    language, now = language_of(request), services.now()
    # Whatever a changed cookie says: no delay is longer than the longest.
    longest_seconds = services.member_sign_in.policy.longest_delay_seconds
    resend_seconds = min(max(0, int(note["resend"]) - int(now.timestamp())), longest_seconds)
    if refusal is not None and refusal.reason == "resend_too_soon":
        resend_seconds = retry_after_seconds(refusal) or resend_seconds
    return render(
        request,
        "shop/sign_in_code.html",
        status_code=200 if refusal is None else refusal.status,
        headers=_headers(refusal, language),
        # A number that breaks over two lines is hard to check.
        phone=display_phone(str(note["phone"])).replace(" ", "\N{NO-BREAK SPACE}"),
        channel=note["channel"],
        channels=_offered(await channels(services), str(note["channel"])),
        code_length=CODE_LENGTH,
        tries=services.member_sign_in.policy.tries,
        minutes=services.member_sign_in.policy.code_seconds // 60,
        resend_seconds=resend_seconds,
        resend_at=now + timedelta(seconds=resend_seconds),
        next_path=safe_next(str(note.get("next")), "/wallet"),
        problem=None if refusal is None else _problem_text(refusal, language),
        is_code_dead=refusal is not None and refusal.reason == "code_expired",
        is_demo=services.settings.demo,
    )


def _offered(choices: list[ChannelChoice], used: str) -> list[ChannelChoice]:
    """The ways to get another code: the others first, since the one used did not arrive; those behind last."""
    return sorted(choices, key=lambda choice: (choice.behind, choice.channel == used))


def _problem_text(refusal: Refusal, language: str) -> str:
    if refusal.fields:
        return " ".join(field_sentences(refusal, language).values())
    if refusal.reason == "resend_too_soon":
        return sentence_of(refusal, language)
    return refusal_text(refusal, language)


def _headers(refusal: Refusal | None, language: str) -> dict[str, str]:
    return {} if refusal is None else problem_headers(refusal, language)


def _is_note_whole(note: dict[str, str | int]) -> bool:
    try:
        UUID(str(note["id"]))
    except (KeyError, ValueError):
        return False
    return isinstance(note.get("resend"), int) and all(
        isinstance(note.get(name), str) for name in ("phone", "channel", "next")
    )


def _text(form: FormMultiDict, name: str) -> str:
    value = form.get(name, "")
    return value.strip()[:_LONGEST_INPUT_CHARACTERS] if isinstance(value, str) else ""


# In full these say what they are a part of, which hides the calling code on a phone.
_SHORT_NAMES = {
    "en": {"HK": "Hong Kong", "MO": "Macao"},
    "zh-Hant": {"HK": "香港", "MO": "澳門"},
    "zh-Hans": {"HK": "香港", "MO": "澳门"},
    "th": {"HK": "ฮ่องกง", "MO": "มาเก๊า"},
}


@cache
def countries(language: str, regions: frozenset[str]) -> list[tuple[str, str]]:
    """Region and label, such as ``("HK", "Hong Kong +852")``, by name; all that there are phones in, or ``regions``."""
    names = {**locale_of(language).territories, **_SHORT_NAMES[language]}
    labelled = [
        (region, f"{names.get(region, region)} +{phonenumbers.country_code_for_region(region)}")
        for region in phonenumbers.SUPPORTED_REGIONS
        if not regions or region in regions
    ]
    return sorted(labelled, key=lambda entry: entry[1])


HANDLERS = [sign_in_page, ask, code_page, enter, sign_out, sign_out_all]
