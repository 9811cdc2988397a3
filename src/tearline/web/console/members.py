"""Members: their list, and the form that makes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.response import Stream
from sqlalchemy import ColumnElement, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.membership import LONGEST_NAME, normalise_tag
from tearline.core.roles import Actor
from tearline.i18n import _, localised
from tearline.members import actions, reads
from tearline.members.model import Member
from tearline.merchants.model import AnySelect
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import LANGUAGE_CHOICES, save, show
from tearline.web.ui.forms import BoundForm, Choice, Choices, Field, Form, Lines, Text
from tearline.web.ui.lists import ChoiceFilter, Column, DayFilter, ListDefinition, WordFilter
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

STATE_NAMES = {"active": _("Active"), "blocked": _("Blocked")}
STATE_KINDS = {"active": "good", "blocked": "bad"}


class Cards:
    """The plans with their tiers, and the groups, to choose from; in the words of one language."""

    def __init__(
        self, plans: Sequence[reads.PlanRow], groups: Sequence[reads.GroupRow], language: str
    ) -> None:
        self.cards: list[tuple[str, str]] = []
        """``plan`` and ``plan/tier``, each with its words."""
        for plan in plans:
            name = localised(plan.names, language)
            self.cards.append((plan.code, name))
            for tier in plan.tiers:
                self.cards.append((f"{plan.code}/{tier.code}", f"{name} · {localised(tier.names, language)}"))
        self.groups = [(group.code, localised(group.names, language)) for group in groups]

    def words(self, plan: str | None, tier: str | None) -> str:
        """A member's card in words; "" for none."""
        card = f"{plan}/{tier}" if tier else (plan or "")
        return dict(self.cards).get(card, card)

    def group_words(self, codes: Sequence[str]) -> list[str]:
        """Groups in words."""
        names = dict(self.groups)
        return [names.get(code, code) for code in codes]


async def load_cards(connection: AsyncConnection, language: str) -> Cards:
    """What there is to choose from."""
    return Cards(await reads.plans(connection), await reads.groups(connection), language)


def member_fields(cards: Cards, held_groups: Sequence[str] = ()) -> list[Field]:
    """The fields that can be changed of a member, apart from the phone number."""
    known = dict(cards.groups)
    groups = [*cards.groups, *((code, code) for code in held_groups if code not in known)]
    return [
        Text("name", _("Full name"), is_required=False, maximum_length=LONGEST_NAME),
        Choice("language", _("Language"), choices=LANGUAGE_CHOICES, default="en"),
        Choice("card", _("Plan and tier"), is_required=False, choices=cards.cards),
        Choices("groups", _("Groups"), is_required=False, choices=groups),
        Lines("tags", _("Tags"), rows=2, help=_("Free words, one a line or between commas.")),
    ]


def member_change(values: dict[str, Any]) -> dict[str, Any]:
    """The form's values as the actions want them."""
    plan, _slash, tier = (values["card"] or "").partition("/")
    others = {name: values[name] for name in ("name", "language", "groups", "tags")}
    return {**others, "plan": plan or None, "tier": tier or None}


def _definition(cards: Cards) -> ListDefinition:
    by_card: dict[str, ColumnElement[bool]] = {}
    for card, _words in cards.cards:
        plan, _slash, tier = card.partition("/")
        by_card[card] = (Member.plan == plan) & (Member.tier == tier) if tier else Member.plan == plan
    by_group = {code: Member.groups.contains([code]) for code, _words in cards.groups}
    return ListDefinition(
        id_column=Member.id,
        columns=[
            Column("phone", _("Member"), href="/console/members/{id}", sort=Member.phone),
            Column("name", _("Full name"), sort=Member.name, is_nullable=True),
            Column("plan", _("Plan"), sort=Member.plan, is_nullable=True),
            Column("tier", _("Tier"), sort=Member.tier, is_nullable=True),
            Column("groups", _("Groups")),
            Column("tags", _("Tags")),
            Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=Member.state),
            Column("created_at", _("Since"), kind="date", sort=Member.created_at),
            Column("last_signed_in_at", _("Last here"), kind="date", sort=Member.last_signed_in_at, is_nullable=True),
        ],
        filters=[
            WordFilter("q", _("Phone or name"), _phone_or_name),
            ChoiceFilter("card", _("Plan and tier"), cards.cards, conditions=by_card),
            ChoiceFilter("group", _("Group"), cards.groups, conditions=by_group),
            WordFilter("tag", _("Tag"), lambda text: Member.tags.contains([normalise_tag(text)])),
            ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), Member.state),
            DayFilter("since", _("Since"), Member.created_at),
        ],
        default_sort="-created_at",
    )  # fmt: skip


def _phone_or_name(text: str) -> ColumnElement[bool]:
    """Numbers are typed with blanks and dashes; they are kept without."""
    digits = "".join(character for character in text if character not in " -()")
    if digits.removeprefix("+").isdigit():
        return Member.phone.contains(digits, autoescape=True)
    return or_(Member.name.icontains(text, autoescape=True), Member.phone.contains(text, autoescape=True))


@get("/members")
async def list_members(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every member."""
    statement = _statement(actor)
    async with services.database.connection() as connection:
        cards = await load_cards(connection, language_of(request))
        listing = await _definition(cards).page(
            request, statement, connection, export_path="/console/members/export"
        )
    return show(request, "members.html", listing=listing, cards=cards)


@get("/members/export")
async def export_members(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = _statement(actor)
    async with services.database.connection() as connection:
        definition = _definition(await load_cards(connection, language_of(request)))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="members"
    )


@get("/members/new")
async def new_member(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form."""
    return _form_page(request, (await _new_form(request, services, actor)).blank())


@post("/members/new")
async def create_member(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the member of the form."""
    form = await (await _new_form(request, services, actor)).read(request)

    async def work(tx: AsyncConnection) -> Any:
        member = actions.NewMember(phone=form.values["phone"], **member_change(form.values))
        region = services.settings.default_region
        return await actions.create_member(tx, actor, member, default_region=region, now=services.now())

    made = await save(services, form, work, names=refused_names)
    if made is None:
        return _form_page(request, form)
    return redirect(request, f"/console/members/{made}", flash=_("The member is there."))


def refused_names(path: str) -> str:
    """Where what is wrong with a plan or tier stands in the form."""
    return "card" if path in ("plan", "tier") else path


def _statement(actor: Actor) -> AnySelect:
    actor.require("members.read")
    return reads.members_list()


async def _new_form(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Form:
    actor.require("members.write")
    async with services.database.connection() as connection:
        cards = await load_cards(connection, language_of(request))
    phone = Text(
        "phone",
        _("Phone number"),
        input_type="tel",
        maximum_length=40,
        help=_("With the country code, such as +852, unless it is a number of this region."),
    )
    return Form(phone, *member_fields(cards))


def _form_page(request: AnyRequest, form: BoundForm) -> Response[str]:
    return show(request, "member_form.html", status_code=form.status_code, form=form)


HANDLERS = [list_members, export_members, new_member, create_member]
