"""Signing in at the counter: e-mail and password, then the authenticator app's code; and signing out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import _
from tearline.merchants.reads import open_stores
from tearline.merchants.sessions import actor_of_session, choose_store, pending_staff, sign_out
from tearline.merchants.sign_in import SignedIn
from tearline.web.access import (
    COUNTER_COOKIE,
    AnyRequest,
    GivenServices,
    GivenSession,
    address_of,
    ended_cookie,
    safe_next,
    session_cookie,
    staff_session,
)
from tearline.web.merchant.support import keep_language
from tearline.web.problems import problem_headers
from tearline.web.security import expired_cookie
from tearline.web.services import Services
from tearline.web.ui.forms import BoundForm, Form, Secret, Text
from tearline.web.ui.page import LANGUAGE_COOKIE, language_of
from tearline.web.ui.rendering import redirect, render

PASSWORD_FORM = Form(
    Text("email", _("E-mail address"), input_type="email", autocomplete="username", maximum_length=254),
    Secret("password", _("Password")),
)
CODE_FORM = Form(
    Text(
        "code",
        _("Code from your authenticator app"),
        input_type="tel",
        autocomplete="one-time-code",
        maximum_length=12,
        help=_("Six digits, changing every 30 seconds."),
    ),
)
RECOVERY_FORM = Form(
    Text(
        "code",
        _("Recovery code"),
        maximum_length=40,
        help=_("Sixteen letters and digits, one of the ten that you kept. Each is good once."),
    ),
)


@get("/sign-in")
async def sign_in_page(request: AnyRequest) -> Response[Any]:
    """The form; whoever is signed in goes on at once."""
    session = await staff_session(request, COUNTER_COOKIE)
    if session is not None and session.actor.merchant_id is not None:
        return Redirect(wanted_path(request), status_code=303)
    return _page(request, PASSWORD_FORM.blank())


@post("/sign-in")
async def sign_in(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """Look at e-mail and password."""
    form = await PASSWORD_FORM.read(request)
    if not form.is_valid:
        return _page(request, form)
    try:
        signed_in = await services.staff_sign_in.sign_in(
            form.values["email"],
            form.values["password"],
            address=address_of(request),
            user_agent=request.headers.get("user-agent", ""),
            now=services.now(),
        )
    except Refusal as refusal:
        form.add_refusal(refusal)
        return _page(request, form, refusal=refusal)
    if signed_in.staff.merchant_id is None:
        # The operator's staff: the token is dropped, and nobody has it.
        return _page(request, form, is_for_console=True)
    if signed_in.is_totp_needed:
        response: Response[Any] = Redirect(
            f"/merchant/sign-in/code?next={quote(wanted_path(request), safe='/')}", status_code=303
        )
        response.set_cookie(_cookie(request, signed_in))
        return response
    return await _enter(request, services, signed_in)


@get(["/sign-in/code", "/sign-in/recovery"])
async def code_page(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """The form for the app's code or a recovery code, while a sign-in waits for one."""
    async with services.database.connection() as connection:
        pending = await pending_staff(connection, request.cookies.get(COUNTER_COOKIE, ""), services.now())
    if pending is None:
        return Redirect("/merchant/sign-in", status_code=303)
    return _page(request, _code_form(request).blank(), is_code=True)


@post(["/sign-in/code", "/sign-in/recovery"])
async def enter_code(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """Look at the code."""
    form = await _code_form(request).read(request)
    if not form.is_valid:
        return _page(request, form, is_code=True)
    try:
        signed_in = await services.staff_sign_in.finish(
            request.cookies.get(COUNTER_COOKIE, ""),
            form.values["code"],
            address=address_of(request),
            user_agent=request.headers.get("user-agent", ""),
            now=services.now(),
        )
    except Refusal as refusal:
        if refusal.reason == "session_ended":
            return redirect(request, "/merchant/sign-in", flash=refusal.sentence, kind="warn")
        form.add_error("code" if refusal.reason == "wrong_totp" else "", refusal.sentence, **refusal.details)
        return _page(request, form, refusal=refusal, is_code=True)
    return await _enter(request, services, signed_in)


@post("/sign-out")
async def leave(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """End this browser's session; the next person on this device gets their own language."""
    async with transaction(services.database) as tx:
        await sign_out(tx, session, services.now())
    response = redirect(request, "/merchant/sign-in", flash=_("You have signed out."))
    response.set_cookie(ended_cookie(request, COUNTER_COOKIE))
    response.set_cookie(
        expired_cookie(LANGUAGE_COOKIE, path="/", secure=services.settings.cookies_are_secure)
    )
    return response


def _code_form(request: AnyRequest) -> Form:
    """The form for the app's code, or for a recovery code, by the address."""
    return RECOVERY_FORM if _is_recovery(request) else CODE_FORM


def _is_recovery(request: AnyRequest) -> bool:
    return request.url.path.endswith("/recovery")


def wanted_path(request: AnyRequest) -> str:
    """Where at the counter the address's ``next`` leads; nowhere else, and not back to signing in."""
    path = safe_next(request.query_params.get("next"), "/merchant")
    is_ours = path == "/merchant" or path.startswith(("/merchant/", "/merchant?"))
    return path if is_ours and not path.startswith("/merchant/sign-") else "/merchant"


async def _enter(request: AnyRequest, services: Services, signed_in: SignedIn) -> Response[Any]:
    response = Redirect(wanted_path(request), status_code=303)
    response.set_cookie(_cookie(request, signed_in))
    if LANGUAGE_COOKIE not in request.cookies:
        response.set_cookie(keep_language(request, signed_in.staff.language))
    await _take_only_store(services, signed_in)
    return response


async def _take_only_store(services: Services, signed_in: SignedIn) -> None:
    """Whoever works for a merchant with one store has nothing to choose."""
    merchant_id = signed_in.staff.merchant_id
    if signed_in.staff.store_id is not None or merchant_id is None:
        return
    async with transaction(services.database) as tx:
        stores = await open_stores(tx, merchant_id)
        session = await actor_of_session(tx, signed_in.token, services.now())
        if len(stores) == 1 and session is not None:
            await choose_store(tx, session, stores[0].id, services.now())


def _cookie(request: AnyRequest, signed_in: SignedIn) -> Any:
    return session_cookie(request, COUNTER_COOKIE, signed_in.token, signed_in.cookie_lifetime)


def _page(
    request: AnyRequest,
    form: BoundForm,
    *,
    refusal: Refusal | None = None,
    is_code: bool = False,
    is_for_console: bool = False,
) -> Response[str]:
    status_code = 403 if is_for_console else form.status_code if refusal is None else refusal.status
    return render(
        request,
        "merchant/sign_in.html",
        status_code=status_code,
        headers=None if refusal is None else problem_headers(refusal, language_of(request)),
        form=form,
        is_code=is_code,
        is_recovery=_is_recovery(request),
        is_for_console=is_for_console,
        query=f"?{request.url.query}" if request.url.query else "",
        action=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    )


HANDLERS = [sign_in_page, sign_in, code_page, enter_code, leave]
