"""The member's own page: name and language, and signing out."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import LANGUAGES, _
from tearline.members.actions import update_own_profile
from tearline.members.phones import display_phone
from tearline.members.reads import MemberRow
from tearline.web.access import AnyRequest, GivenMember, GivenServices, GivenVisitor
from tearline.web.shop.support import known_member, sign_in_path, signed_in_member
from tearline.web.ui.forms import BoundForm, Choice, Form, Text
from tearline.web.ui.rendering import redirect, render


def profile_form() -> Form:
    """What a member can change about themselves."""
    return Form(
        Text("name", _("Your name"), is_required=False, maximum_length=100, autocomplete="name"),
        Choice(
            "language",
            _("Language of messages"),
            choices=[(language.tag, language.own_name) for language in LANGUAGES.values()],
            help=_("In which we send you codes and news."),
        ),
    )


@get("/account")
async def account_page(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor
) -> Response[str] | Redirect:
    """Who is signed in, and the form."""
    async with services.database.connection() as connection:
        member = await known_member(connection, visitor)
    if member is None:
        return Redirect(sign_in_path("/account"), status_code=303)
    form = profile_form().blank({"name": member.name, "language": member.language})
    return _page(request, member, form)


@post("/account")
async def change_profile(
    request: AnyRequest, services: GivenServices, member: GivenMember
) -> Response[str] | Redirect:
    """Save the form."""
    form = await profile_form().read(request)
    if form.is_valid:
        try:
            async with transaction(services.database) as tx:
                await update_own_profile(tx, member.member_id, member.epoch, **form.values)
            return redirect(request, "/account", flash=_("Saved."))
        except Refusal as refusal:
            if refusal.reason == "session_ended":
                return Redirect(sign_in_path("/account"), status_code=303)
            form.add_refusal(refusal)
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
    return _page(request, row, form)


def _page(request: AnyRequest, member: MemberRow, form: BoundForm) -> Response[str]:
    return render(
        request,
        "shop/account.html",
        status_code=form.status_code,
        form=form,
        phone=display_phone(member.phone),
        member=member,
    )


HANDLERS = [account_page, change_profile]
