"""Plans with their tiers, and groups: what members are sorted by."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.membership import LONGEST_NAME
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.members import catalogue, reads
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import save, show
from tearline.web.ui.forms import BoundForm, Form, Localised, Number, Text
from tearline.web.ui.rendering import redirect

_CODE = Text(
    "code",
    _("Code"),
    maximum_length=40,
    help=_("Lower case letters, digits, - and _. It cannot be changed later."),
)
_NAMES = Localised("names", _("Name"), maximum_length=LONGEST_NAME)

NEW_FORM = Form(_CODE, _NAMES)
NAMES_FORM = Form(_NAMES)
TIER_FORM = Form(
    _CODE, _NAMES, Number("rank", _("Rank"), maximum=1000, help=_("Orders the tiers of the plan, the lowest first."))
)  # fmt: skip
HOME = "/console/membership"


@get("/membership")
async def show_membership(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """All plans with their tiers, and all groups."""
    actor.require("members.read")
    async with services.database.connection() as connection:
        return show(
            request,
            "membership.html",
            plans=await reads.plans(connection),
            groups=await reads.groups(connection),
        )


@get("/membership/plans/new")
async def new_plan(request: AnyRequest, actor: GivenActor) -> Response[str]:
    """The empty form of a plan."""
    return _page(request, actor, NEW_FORM.blank(), _("A new plan"))


@post("/membership/plans/new")
async def create_plan(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the plan of the form."""
    form = await NEW_FORM.read(request)
    saved = await save(
        services, form, lambda tx: catalogue.create_plan(tx, actor, **form.values, now=services.now())
    )
    return _done(request) if saved is not None else _page(request, actor, form, _("A new plan"))


@get("/membership/plans/{code:str}")
async def edit_plan(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[str]:
    """The names of a plan."""
    actor.require("members.write")
    plan = await _plan(services, code)
    return _page(request, actor, NAMES_FORM.blank({"names": plan.names}), _("Rename the plan"), code)


@post("/membership/plans/{code:str}")
async def rename_plan(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[Any]:
    """Give the plan other names."""
    form = await NAMES_FORM.read(request)
    saved = await save(
        services, form, lambda tx: catalogue.rename_plan(tx, actor, code, **form.values, now=services.now())
    )
    return _done(request) if saved is not None else _page(request, actor, form, _("Rename the plan"), code)


@get("/membership/plans/{code:str}/tiers/new")
async def new_tier(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[str]:
    """The empty form of a tier, ranked above the others."""
    actor.require("members.write")
    plan = await _plan(services, code)
    rank = max((tier.rank for tier in plan.tiers), default=0) + 1
    return _page(request, actor, TIER_FORM.blank({"rank": rank}), _("A new tier"), code)


@post("/membership/plans/{code:str}/tiers/new")
async def create_tier(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[Any]:
    """Make the tier of the form."""
    form = await TIER_FORM.read(request)
    saved = await save(
        services,
        form,
        lambda tx: catalogue.create_tier(tx, actor, plan=code, **form.values, now=services.now()),
    )
    return _done(request) if saved is not None else _page(request, actor, form, _("A new tier"), code)


@get("/membership/groups/new")
async def new_group(request: AnyRequest, actor: GivenActor) -> Response[str]:
    """The empty form of a group."""
    return _page(request, actor, NEW_FORM.blank(), _("A new group"))


@post("/membership/groups/new")
async def create_group(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the group of the form."""
    form = await NEW_FORM.read(request)
    saved = await save(
        services, form, lambda tx: catalogue.create_group(tx, actor, **form.values, now=services.now())
    )
    return _done(request) if saved is not None else _page(request, actor, form, _("A new group"))


@get("/membership/groups/{code:str}")
async def edit_group(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[str]:
    """The names of a group."""
    actor.require("members.write")
    async with services.database.connection() as connection:
        groups = {group.code: group for group in await reads.groups(connection)}
    if code not in groups:
        raise Refusal("not_found")
    form = NAMES_FORM.blank({"names": groups[code].names})
    return _page(request, actor, form, _("Rename the group"), code)


@post("/membership/groups/{code:str}")
async def rename_group(
    request: AnyRequest, services: GivenServices, actor: GivenActor, code: FromPath[str]
) -> Response[Any]:
    """Give the group other names."""
    form = await NAMES_FORM.read(request)
    saved = await save(
        services, form, lambda tx: catalogue.rename_group(tx, actor, code, **form.values, now=services.now())
    )
    return _done(request) if saved is not None else _page(request, actor, form, _("Rename the group"), code)


async def _plan(services: GivenServices, code: str) -> reads.PlanRow:
    async with services.database.connection() as connection:
        plans = {plan.code: plan for plan in await reads.plans(connection)}
    if code not in plans:
        raise Refusal("not_found")
    return plans[code]


def _done(request: AnyRequest) -> Response[Any]:
    return redirect(request, HOME, flash=_("Saved."))


def _page(
    request: AnyRequest, actor: GivenActor, form: BoundForm, title: str, code: str = ""
) -> Response[str]:
    actor.require("members.write")
    return show(
        request, "membership_form.html", status_code=form.status_code, form=form, title_text=title, code=code
    )


HANDLERS = [
    show_membership,
    new_plan,
    create_plan,
    edit_plan,
    rename_plan,
    new_tier,
    create_tier,
    new_group,
    create_group,
    edit_group,
    rename_group,
]
