"""The signed-in person's own account: language, password, two-step sign-in."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import LANGUAGES, _
from tearline.merchants.recovery import recovery_codes_left
from tearline.merchants.staff import (
    begin_totp,
    change_own_password,
    confirm_totp,
    disable_own_totp,
    renew_recovery_codes,
    set_language,
)
from tearline.web.access import AnyRequest, GivenServices, GivenSession
from tearline.web.merchant.support import GivenHere, keep_language, may_choose_store, show
from tearline.web.security import readable_form
from tearline.web.ui.forms import BoundForm, Choice, Form, Secret, Text
from tearline.web.ui.rendering import redirect

_PATH = "/merchant/account"
LANGUAGE_FORM = Form(
    Choice(
        "language",
        _("Language"),
        choices=[(language.tag, language.own_name) for language in LANGUAGES.values()],
        is_open=True,
    )
)
PASSWORD_FORM = Form(
    Secret("current", _("Present password")),
    Secret("password", _("New password"), autocomplete="new-password"),
    Secret("again", _("New password, again"), autocomplete="new-password"),
)
CODE_FORM = Form(
    Text(
        "code",
        _("Code from your authenticator app"),
        input_type="tel",
        autocomplete="one-time-code",
        maximum_length=12,
    )
)
STOP_FORM = Form(Secret("password", _("Present password")))
RENEWAL_FORM = Form(Secret("password", _("Present password")))


@get("/account")
async def account_page(request: AnyRequest, session: GivenSession, here: GivenHere) -> Response[Any]:
    """Who is signed in, and what can be changed."""
    form = LANGUAGE_FORM.blank({"language": session.staff.language})
    return show(
        request,
        "account.html",
        section="account",
        staff=session.staff,
        form=form,
        can_choose_store=may_choose_store(session),
    )


@post("/account", status_code=200)
async def choose_language(
    request: AnyRequest, services: GivenServices, session: GivenSession, here: GivenHere
) -> Response[Any]:
    """Keep the language, on this device from now on and on others from the next sign-in."""
    form = await LANGUAGE_FORM.read(request)
    if not form.is_valid:
        return show(
            request,
            "account.html",
            status_code=form.status_code,
            section="account",
            staff=session.staff,
            form=form,
            can_choose_store=may_choose_store(session),
        )
    language = form.values["language"]
    async with transaction(services.database) as tx:
        await set_language(tx, session, language, services.now())
    response = redirect(request, _PATH)
    response.set_cookie(keep_language(request, language))
    return response


@get("/account/password")
async def password_page(request: AnyRequest, session: GivenSession, here: GivenHere) -> Response[Any]:
    """The form for another password."""
    return _password_page(request, PASSWORD_FORM.blank())


@post("/account/password", status_code=200)
async def change_password(
    request: AnyRequest, services: GivenServices, session: GivenSession, here: GivenHere
) -> Response[Any]:
    """Change the password; the person's other devices are signed out."""
    form = await PASSWORD_FORM.read(request)
    if form.is_valid and form.values["password"] != form.values["again"]:
        form.add_error("again", _("The two new passwords differ."))
    if form.is_valid:
        try:
            await change_own_password(
                services.database,
                session,
                current=form.values["current"],
                password=form.values["password"],
                now=services.now(),
            )
            flash = _("Your password is changed. Other devices have been signed out.")
            return redirect(request, _PATH, flash=flash)
        except Refusal as refusal:
            form.add_refusal(refusal)
    return _password_page(request, form)


@get("/account/two-step")
async def two_step_page(request: AnyRequest, session: GivenSession, here: GivenHere) -> Response[Any]:
    """Whether codes are asked for at sign-in, and the button to begin or the form to stop."""
    return _two_step_page(request, session.staff.has_totp, STOP_FORM.blank())


@get("/account/two-step/recovery")
async def recovery_page(
    request: AnyRequest, services: GivenServices, session: GivenSession, here: GivenHere
) -> Response[Any]:
    """How many recovery codes are left, and the form for new ones."""
    return await _recovery_page(request, services, session, RENEWAL_FORM.blank())


@post("/account/two-step/recovery", status_code=200)
async def renew_codes(
    request: AnyRequest, services: GivenServices, session: GivenSession, here: GivenHere
) -> Response[Any]:
    """New recovery codes in place of the old; it takes the password."""
    form = await RENEWAL_FORM.read(request)
    if form.is_valid:
        try:
            codes = await renew_recovery_codes(
                services.database, session, password=form.values["password"], now=services.now()
            )
            return _codes_page(request, codes, is_just_on=False)
        except Refusal as refusal:
            form.add_refusal(refusal)
    return await _recovery_page(request, services, session, form)


@post("/account/two-step", status_code=200)
async def change_two_step(
    request: AnyRequest,
    services: GivenServices,
    session: GivenSession,
    here: GivenHere,
) -> Response[Any]:
    """Begin with a new secret, confirm it with a code, or stop with the password."""
    data = await readable_form(request)
    match data.get("action"):
        case "begin":
            async with transaction(services.database) as tx:
                enrolment = await begin_totp(tx, session, services.now())
            return _two_step_page(request, False, CODE_FORM.blank(), enrolment=enrolment, is_confirming=True)
        case "confirm":
            form = await CODE_FORM.read(request)
            if form.is_valid:
                try:
                    async with transaction(services.database) as tx:
                        codes = await confirm_totp(tx, session, form.values["code"], services.now())
                    return _codes_page(request, codes, is_just_on=True)
                except Refusal as refusal:
                    if refusal.reason == "conflict":
                        return redirect(
                            request, f"{_PATH}/two-step", flash=_("Please begin again."), kind="warn"
                        )
                    form.add_error("code", refusal.sentence)
            return _two_step_page(request, False, form, is_confirming=True)
        case "stop":
            form = await STOP_FORM.read(request)
            if form.is_valid:
                try:
                    await disable_own_totp(
                        services.database, session, password=form.values["password"], now=services.now()
                    )
                    flash = _("Two-step sign-in is off.")
                    return redirect(request, f"{_PATH}/two-step", flash=flash, kind="warn")
                except Refusal as refusal:
                    form.add_refusal(refusal)
            return _two_step_page(request, True, form)
        case _:
            raise Refusal("malformed")


def _password_page(request: AnyRequest, form: BoundForm) -> Response[str]:
    return show(request, "password.html", status_code=form.status_code, section="account", form=form)


def _two_step_page(
    request: AnyRequest, is_on: bool, form: BoundForm, *, enrolment: Any = None, is_confirming: bool = False
) -> Response[str]:
    return show(
        request,
        "two_step.html",
        status_code=form.status_code,
        section="account",
        is_on=is_on,
        form=form,
        enrolment=enrolment,
        is_confirming=is_confirming,
    )


def _codes_page(request: AnyRequest, codes: list[str], *, is_just_on: bool) -> Response[str]:
    # Not after a redirect: the codes would have to be kept somewhere.
    return show(request, "recovery_codes.html", section="account", codes=codes, is_just_on=is_just_on)


async def _recovery_page(
    request: AnyRequest, services: GivenServices, session: GivenSession, form: BoundForm
) -> Response[Any]:
    if not session.staff.has_totp:
        return redirect(request, f"{_PATH}/two-step")
    async with services.database.connection() as connection:
        left = await recovery_codes_left(connection, session.staff.id)
    return show(
        request,
        "recovery.html",
        status_code=form.status_code,
        section="account",
        form=form,
        codes_left=left,
    )


HANDLERS = [
    account_page,
    choose_language,
    password_page,
    change_password,
    two_step_page,
    change_two_step,
    recovery_page,
    renew_codes,
]
