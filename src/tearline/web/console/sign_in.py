"""Signing in at the console: e-mail and password, then the code of an authenticator app; and signing out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import _
from tearline.merchants.sessions import actor_of_session, pending_staff, sign_out
from tearline.merchants.sign_in import SignedIn
from tearline.web.access import (
    CONSOLE_COOKIE,
    AnyRequest,
    GivenServices,
    GivenSession,
    address_of,
    ended_cookie,
    safe_next,
    session_cookie,
    staff_session,
)
from tearline.web.console.support import language_cookie
from tearline.web.ui.forms import BoundForm, Form, Secret, Text
from tearline.web.ui.page import LANGUAGE_COOKIE
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
    session = await staff_session(request, CONSOLE_COOKIE)
    if session is not None and session.actor.merchant_id is None:
        return Redirect(_next(request), status_code=303)
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
        return _page(request, form, status_code=refusal.status)
    if signed_in.staff.merchant_id is not None:
        # The right key, but for another door: nothing is left open behind this one.
        async with transaction(services.database) as tx:
            session = await actor_of_session(tx, signed_in.token, services.now())
            if session is not None:
                await sign_out(tx, session, services.now())
        return _page(request, form, status_code=403, is_for_counter=True)
    if signed_in.is_totp_needed:
        response = redirect(request, f"/console/sign-in/code?next={quote(_next(request), safe='/')}")
    else:
        response = redirect(request, _next(request))
    _let_in(request, response, signed_in)
    return response


@get(["/sign-in/code", "/sign-in/recovery"])
async def code_page(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """The form for the app's code or a recovery code, while a sign-in waits for one."""
    async with services.database.connection() as connection:
        pending = await pending_staff(connection, request.cookies.get(CONSOLE_COOKIE, ""), services.now())
    if pending is None:
        return redirect(request, "/console/sign-in")
    return _page(request, _code_form(request).blank(), is_code=True)


@post(["/sign-in/code", "/sign-in/recovery"])
async def enter_code(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """Look at the code."""
    form = await _code_form(request).read(request)
    if not form.is_valid:
        return _page(request, form, is_code=True)
    try:
        signed_in = await services.staff_sign_in.finish(
            request.cookies.get(CONSOLE_COOKIE, ""),
            form.values["code"],
            address=address_of(request),
            user_agent=request.headers.get("user-agent", ""),
            now=services.now(),
        )
    except Refusal as refusal:
        if refusal.reason == "session_ended":
            return redirect(request, "/console/sign-in", flash=refusal.sentence, kind="warn")
        form.add_error("code" if refusal.reason == "wrong_totp" else "", refusal.sentence, **refusal.details)
        return _page(request, form, status_code=refusal.status, is_code=True)
    response = redirect(request, _next(request))
    _let_in(request, response, signed_in)
    return response


@post("/sign-out")
async def leave(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """End this browser's session."""
    async with transaction(services.database) as tx:
        await sign_out(tx, session, services.now())
    response = redirect(request, "/console/sign-in", flash=_("You have signed out."))
    response.set_cookie(ended_cookie(request, CONSOLE_COOKIE))
    return response


def _code_form(request: AnyRequest) -> Form:
    """The form for the app's code, or for a recovery code, by the address."""
    return RECOVERY_FORM if _is_recovery(request) else CODE_FORM


def _is_recovery(request: AnyRequest) -> bool:
    return request.url.path.endswith("/recovery")


def _next(request: AnyRequest) -> str:
    path = safe_next(request.query_params.get("next"), "/console")
    is_console = path == "/console" or path.startswith(("/console/", "/console?"))
    return path if is_console and not path.startswith("/console/sign-in") else "/console"


def _let_in(request: AnyRequest, response: Response[Any], signed_in: SignedIn) -> None:
    response.set_cookie(session_cookie(request, CONSOLE_COOKIE, signed_in.token, signed_in.cookie_lifetime))
    if LANGUAGE_COOKIE not in request.cookies:
        response.set_cookie(language_cookie(request, signed_in.staff.language))


def _page(
    request: AnyRequest,
    form: BoundForm,
    *,
    status_code: int | None = None,
    is_code: bool = False,
    is_for_counter: bool = False,
) -> Response[str]:
    return render(
        request,
        "console/sign_in.html",
        status_code=status_code or form.status_code,
        form=form,
        is_code=is_code,
        is_recovery=_is_recovery(request),
        is_for_counter=is_for_counter,
        query=f"?{request.url.query}" if request.url.query else "",
        action=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    )


HANDLERS = [sign_in_page, sign_in, code_page, enter_code, leave]
