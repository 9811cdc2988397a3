"""One's own account: password, second factor, language, and where one is signed in."""

from __future__ import annotations

import io
from typing import Any

import segno
from litestar import Response, get, post
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import _
from tearline.merchants import sessions, staff
from tearline.merchants.model import Staff
from tearline.merchants.recovery import recovery_codes_left
from tearline.merchants.totp import enrolment_uri
from tearline.web.access import AnyRequest, GivenServices, GivenSession
from tearline.web.console.support import LANGUAGE_CHOICES, act, language_cookie, save, show
from tearline.web.ui.forms import BoundForm, Choice, Form, Secret, Text
from tearline.web.ui.rendering import SECURITY_HEADERS, redirect

PASSWORD_FORM = Form(
    Secret("current", _("Present password")),
    Secret("password", _("New password"), autocomplete="new-password", help=_("At least 10 characters.")),
    Secret("again", _("New password, once more"), autocomplete="new-password"),
)
LANGUAGE_FORM = Form(Choice("language", _("Language of these pages"), choices=LANGUAGE_CHOICES))
CODE_FORM = Form(
    Text(
        "code",
        _("Code that the app shows"),
        input_type="tel",
        autocomplete="one-time-code",
        maximum_length=12,
        help=_("Six digits, changing every 30 seconds."),
    )
)
OFF_FORM = Form(Secret("password", _("Present password")))
RENEWAL_FORM = Form(Secret("password", _("Present password")))


@get("/account")
async def show_account(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[str]:
    """One's own account."""
    return await _page(request, services, session)


@post("/account/password")
async def change_password(
    request: AnyRequest, services: GivenServices, session: GivenSession
) -> Response[Any]:
    """Change one's own password; other sessions end."""
    form = await PASSWORD_FORM.read(request)
    if form.is_valid and form.values["password"] != form.values["again"]:
        form.add_error("again", _("This is not the same as above."))
    if form.is_valid:
        try:
            await staff.change_own_password(
                services.database,
                session,
                current=form.values["current"],
                password=form.values["password"],
                now=services.now(),
            )
        except Refusal as refusal:
            form.add_refusal(refusal)
    if not form.is_valid:
        return await _page(request, services, session, password_form=form)
    return redirect(
        request, "/console/account", flash=_("Your password is changed; other sessions are ended.")
    )


@post("/account/language")
async def change_language(
    request: AnyRequest, services: GivenServices, session: GivenSession
) -> Response[Any]:
    """Choose the language of the pages."""
    form = await LANGUAGE_FORM.read(request)
    saved = await save(
        services, form, lambda tx: staff.set_language(tx, session, form.values["language"], services.now())
    )
    if saved is None:
        return await _page(request, services, session, language_form=form)
    response = redirect(request, "/console/account")
    response.set_cookie(language_cookie(request, form.values["language"]))
    return response


@post("/account/totp")
async def begin_totp(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """A new secret for an authenticator app; it counts once a code was seen."""
    async with transaction(services.database) as tx:
        await staff.begin_totp(tx, session, services.now())
    return redirect(request, "/console/account/totp")


@get("/account/totp")
async def totp_page(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """The QR code of the secret, and the form for the first code."""
    return await _totp_page(request, services, session, CODE_FORM.blank())


@get("/account/totp/code.svg")
async def totp_picture(services: GivenServices, session: GivenSession) -> Response[bytes]:
    """The QR code that an authenticator app scans."""
    secret = await _new_secret(services, session)
    if secret is None:
        raise Refusal("not_found")
    drawn = io.BytesIO()
    segno.make(enrolment_uri(secret, session.staff.email), micro=False).save(
        drawn, kind="svg", border=4, omitsize=True, dark="#000", light="#fff", xmldecl=False
    )
    return Response(drawn.getvalue(), media_type="image/svg+xml", headers=SECURITY_HEADERS)


@post("/account/totp/confirm")
async def confirm_totp(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """Ask for codes from now on."""
    form = await CODE_FORM.read(request)
    if form.is_valid:
        try:
            async with transaction(services.database) as tx:
                codes = await staff.confirm_totp(tx, session, form.values["code"], services.now())
            # Not a redirect: the codes would have to be kept somewhere to be shown after one.
            return show(request, "recovery_codes.html", codes=codes, is_just_on=True)
        except Refusal as refusal:
            form.add_error("code" if refusal.reason == "wrong_totp" else "", refusal.sentence)
    return await _totp_page(request, services, session, form)


@get("/account/totp/recovery")
async def recovery_page(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """How many recovery codes are left, and the form for new ones."""
    return await _recovery_page(request, services, session, RENEWAL_FORM.blank())


@post("/account/totp/recovery", status_code=200)
async def renew_recovery_codes(
    request: AnyRequest, services: GivenServices, session: GivenSession
) -> Response[Any]:
    """New recovery codes in place of the old; it takes the password."""
    form = await RENEWAL_FORM.read(request)
    if form.is_valid:
        try:
            codes = await staff.renew_recovery_codes(
                services.database, session, password=form.values["password"], now=services.now()
            )
            return show(request, "recovery_codes.html", codes=codes, is_just_on=False)
        except Refusal as refusal:
            form.add_refusal(refusal)
    return await _recovery_page(request, services, session, form)


@post("/account/totp/off")
async def turn_totp_off(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """Stop asking for codes; it takes the password."""
    form = await OFF_FORM.read(request)
    if form.is_valid:
        try:
            await staff.disable_own_totp(
                services.database, session, password=form.values["password"], now=services.now()
            )
        except Refusal as refusal:
            form.add_refusal(refusal)
    if not form.is_valid:
        return await _page(request, services, session, off_form=form)
    return redirect(
        request, "/console/account", flash=_("Codes are no longer asked for at sign-in."), kind="warn"
    )


@post("/account/end-sessions")
async def end_sessions(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """Sign out everywhere else."""
    return await act(
        request,
        services,
        "/console/account",
        lambda tx: sessions.sign_out_everywhere(
            tx, session.actor, session.staff.id, services.now(), keep=session
        ),
        _("You are signed out everywhere else."),
    )


@get(["/account/password", "/account/language", "/account/totp/off", "/account/totp/confirm"])
async def by_address(request: AnyRequest, session: GivenSession) -> Response[Any]:
    """Where a refused form's page stands in the address line, such as for its language links."""
    return redirect(request, "/console/account")


async def _new_secret(services: GivenServices, session: GivenSession) -> str | None:
    async with services.database.connection() as connection:
        secret: str | None = await connection.scalar(
            select(Staff.totp_new_secret).where(Staff.id == session.staff.id)
        )
    return secret


async def _totp_page(
    request: AnyRequest, services: GivenServices, session: GivenSession, form: BoundForm
) -> Response[Any]:
    secret = await _new_secret(services, session)
    if secret is None:
        return redirect(request, "/console/account")
    return show(request, "totp.html", status_code=form.status_code, form=form, secret=secret)


async def _recovery_page(
    request: AnyRequest, services: GivenServices, session: GivenSession, form: BoundForm
) -> Response[Any]:
    if not session.staff.has_totp:
        return redirect(request, "/console/account")
    async with services.database.connection() as connection:
        left = await recovery_codes_left(connection, session.staff.id)
    return show(request, "recovery.html", status_code=form.status_code, form=form, codes_left=left)


async def _page(
    request: AnyRequest,
    services: GivenServices,
    session: GivenSession,
    *,
    password_form: BoundForm | None = None,
    language_form: BoundForm | None = None,
    off_form: BoundForm | None = None,
) -> Response[str]:
    async with services.database.connection() as connection:
        browsers = (await connection.execute(sessions.sessions_of(session.staff.id))).all()
        left = await recovery_codes_left(connection, session.staff.id)
    forms = {
        "password_form": password_form or PASSWORD_FORM.blank(),
        "language_form": language_form or LANGUAGE_FORM.blank({"language": session.staff.language}),
        "off_form": off_form or OFF_FORM.blank(),
    }
    status_code = max(form.status_code for form in forms.values())
    return show(
        request,
        "account.html",
        status_code=status_code,
        staff=session.staff,
        browsers=browsers,
        codes_left=left,
        **forms,
    )


HANDLERS = [
    show_account,
    change_password,
    change_language,
    begin_totp,
    totp_page,
    totp_picture,
    confirm_totp,
    recovery_page,
    renew_recovery_codes,
    turn_totp_off,
    end_sessions,
    by_address,
]
