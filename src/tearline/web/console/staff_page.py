"""One account of staff: what it may do, its sessions, its password and second factor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.i18n import _, localised
from tearline.merchants import reads, sessions, staff
from tearline.merchants.model import StaffMember
from tearline.web.access import AnyRequest, GivenActor, GivenServices, GivenSession
from tearline.web.console.staff import STATE_KINDS, STATE_NAMES, details, with_store
from tearline.web.console.support import act, save, show
from tearline.web.ui.forms import BoundForm, Form, Secret
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

PASSWORD_FORM = Form(
    Secret("password", _("New password"), autocomplete="new-password", help=_("At least 10 characters."))
)


@get("/staff/{staff_id:uuid}")
async def show_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[str]:
    """The account, with the form of what can be changed."""
    return await _page(request, services, actor, staff_id)


@post("/staff/{staff_id:uuid}")
async def update_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Change name, role, store and language."""
    actor.require("staff.manage")
    async with services.database.connection() as connection:
        member = await staff.staff_by_id(connection, actor, staff_id)
        fields = await details(connection, member.merchant_id, language_of(request))
    form = await Form(*fields).read(request)
    saved = await save(
        services,
        form,
        lambda tx: staff.update_staff(tx, actor, staff_id, services.now(), **with_store(form.values)),
    )
    if saved is None:
        return await _page(request, services, actor, staff_id, form=form)
    return redirect(request, f"/console/staff/{staff_id}", flash=_("Saved."))


@post("/staff/{staff_id:uuid}/password")
async def reset_password(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Give the account a new password. One's own goes through the account page, with the present one."""
    actor.require("staff.manage")
    if actor.id == staff_id:
        return redirect(request, "/console/account")
    form = await PASSWORD_FORM.read(request)
    saved = await save(
        services,
        form,
        lambda tx: staff.reset_password(tx, actor, staff_id, form.values["password"], services.now()),
    )
    if saved is None:
        return await _page(request, services, actor, staff_id, password_form=form)
    flash = _("The password is changed and the account's sessions are ended.")
    return redirect(request, f"/console/staff/{staff_id}", flash=flash)


@get("/staff/{staff_id:uuid}/password")
async def password_by_address(
    request: AnyRequest, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Where a refused password's page stands in the address line, such as for its language links."""
    return redirect(request, f"/console/staff/{staff_id}")


@post("/staff/{staff_id:uuid}/disable")
async def disable_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Shut the account."""
    return await act(
        request,
        services,
        f"/console/staff/{staff_id}",
        lambda tx: staff.disable_staff(tx, actor, staff_id, services.now()),
        _("The account is shut and its sessions are ended."),
    )


@post("/staff/{staff_id:uuid}/enable")
async def enable_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Open a shut account."""
    return await act(
        request,
        services,
        f"/console/staff/{staff_id}",
        lambda tx: staff.enable_staff(tx, actor, staff_id, services.now()),
        _("The account is open again."),
    )


@post("/staff/{staff_id:uuid}/totp-off")
async def turn_totp_off(
    request: AnyRequest, services: GivenServices, actor: GivenActor, staff_id: FromPath[UUID]
) -> Response[Any]:
    """Stop asking for codes: the phone is lost. One's own goes through the account page, with the password."""
    if actor.id == staff_id:
        return redirect(request, "/console/account")
    return await act(
        request,
        services,
        f"/console/staff/{staff_id}",
        lambda tx: staff.disable_totp(tx, actor, staff_id, services.now()),
        _("Codes are no longer asked for at sign-in."),
    )


@post("/staff/{staff_id:uuid}/end-sessions")
async def end_sessions(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    session: GivenSession,
    staff_id: FromPath[UUID],
) -> Response[Any]:
    """Sign the person out everywhere; oneself, everywhere else."""
    keep = session if session.staff.id == staff_id else None
    return await act(
        request,
        services,
        f"/console/staff/{staff_id}",
        lambda tx: sessions.sign_out_everywhere(tx, actor, staff_id, services.now(), keep=keep),
        _("The sessions are ended."),
    )


async def _page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    staff_id: UUID,
    *,
    form: BoundForm | None = None,
    password_form: BoundForm | None = None,
) -> Response[str]:
    actor.require("staff.manage")
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        member = await staff.staff_by_id(connection, actor, staff_id)
        merchant = (
            None
            if member.merchant_id is None
            else await reads.merchant_by_id(connection, actor, member.merchant_id)
        )
        fields = await details(connection, member.merchant_id, language)
        browsers = (await connection.execute(sessions.sessions_of(staff_id))).all()
    form = form or Form(*fields).blank(_values(member))
    password_form = password_form or PASSWORD_FORM.blank()
    return show(
        request,
        "staff_member.html",
        status_code=max(form.status_code, password_form.status_code),
        member=member,
        merchant=merchant,
        merchant_name=localised(merchant.names, language) if merchant is not None else "",
        form=form,
        password_form=password_form,
        browsers=browsers,
        lock_minutes=staff.lock_minutes(member, now),
        state_names=STATE_NAMES,
        state_kinds=STATE_KINDS,
        is_oneself=actor.id == staff_id,
    )


def _values(member: StaffMember) -> dict[str, Any]:
    return {
        "name": member.name,
        "role": member.role,
        "store_id": member.store_id,
        "language": member.language,
    }


HANDLERS = [
    show_staff,
    update_staff,
    reset_password,
    password_by_address,
    disable_staff,
    enable_staff,
    turn_totp_off,
    end_sessions,
]
