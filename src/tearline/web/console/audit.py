"""The audit log: who did what, when, and how it read before and after."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from litestar import Response, get
from litestar.response import Stream
from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import Actor
from tearline.i18n import LANGUAGES, _
from tearline.merchants.audit import audit_entries
from tearline.merchants.model import AuditEntry
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.ui.lists import ChoiceFilter, Column, DayFilter, ListDefinition, TextFilter, WordFilter

SUBJECT_NAMES = {
    "offer": _("Offer"),
    "campaign": _("Campaign"),
    "prize": _("Prize"),
    "merchant": _("Merchant"),
    "store": _("Store"),
    "staff": _("Staff"),
    "key": _("API key"),
    "member": _("Member"),
    "plan": _("Plan"),
    "tier": _("Tier"),
    "group": _("Group"),
    "coupon": _("Coupon"),
    "redemption": _("Redemption"),
    "room": _("Waiting room"),
    "code_pool": _("Code pool"),
    "sale_item": _("Voucher of a sale"),
    "products": _("Products"),
    "categories": _("Categories"),
    "brands": _("Brands"),
    "cart_order": _("Order of a cart"),
}
ACT_NAMES = {
    "campaign.archived": _("Campaign archived"),
    "campaign.changed": _("Campaign changed"),
    "campaign.created": _("Campaign created"),
    "campaign.paused": _("Campaign paused"),
    "campaign.resumed": _("Campaign resumed"),
    "campaign.went_live": _("Campaign went live"),
    "catalogue.brands_put": _("Brands put"),
    "catalogue.categories_put": _("Categories put"),
    "catalogue.products_put": _("Products put"),
    "catalogue.products_withdrawn": _("Products withdrawn"),
    "cart_order.refunded": _("Order of a cart refunded"),
    "code_pool.changed": _("Code pool changed"),
    "code_pool.codes_voided": _("Partner's codes cancelled"),
    "code_pool.created": _("Code pool created"),
    "code_pool.file_discarded": _("Uploaded codes discarded"),
    "code_pool.file_imported": _("Codes imported"),
    "code_pool.file_received": _("Codes uploaded"),
    "code_pool.hand_back_exported": _("File of handed back codes downloaded"),
    "code_pool.handed_back": _("Unsold codes handed back"),
    "code_pool.outcomes_exported": _("Outcome of an import downloaded"),
    "coupon.voided": _("Coupon cancelled"),
    "group.created": _("Group created"),
    "group.renamed": _("Group renamed"),
    "key.created": _("API key created"),
    "key.revoked": _("API key revoked"),
    "member.blocked": _("Member blocked"),
    "member.changed": _("Member changed"),
    "member.created": _("Member created"),
    "member.phone_changed": _("Phone number changed"),
    "member.sessions_ended": _("Member signed out everywhere"),
    "member.unblocked": _("Member unblocked"),
    "members.imported": _("Members imported"),
    "merchant.created": _("Merchant created"),
    "merchant.resumed": _("Merchant resumed"),
    "merchant.suspended": _("Merchant suspended"),
    "merchant.updated": _("Merchant changed"),
    "offer.activated": _("Offer activated"),
    "offer.archived": _("Offer archived"),
    "offer.changed": _("Offer changed"),
    "offer.created": _("Offer created"),
    "plan.created": _("Plan created"),
    "plan.renamed": _("Plan renamed"),
    "prize.added": _("Prize added"),
    "prize.changed": _("Prize changed"),
    "prize.inventory_raised": _("Inventory raised"),
    "prize.removed": _("Prize removed"),
    "room.bypass_created": _("Link past the line made"),
    "room.bypass_withdrawn": _("Link past the line withdrawn"),
    "room.changed": _("Waiting room changed"),
    "room.created": _("Waiting room created"),
    "room.dial_turned": _("Dial turned"),
    "room.moved": _("Waiting room moved on"),
    "room.paused": _("Waiting room paused"),
    "room.resumed": _("Waiting room resumed"),
    "room.told": _("Message to those who wait changed"),
    "sale_item.added": _("Voucher added to a sale"),
    "sale_item.changed": _("Voucher of a sale changed"),
    "sale_item.quantity_raised": _("More vouchers for sale"),
    "sale_item.removed": _("Voucher taken out of a sale"),
    "settlement.adjusted": _("Settlement adjusted"),
    "staff.created": _("Account created"),
    "staff.disabled": _("Account shut"),
    "staff.enabled": _("Account opened again"),
    "staff.locked": _("Account locked by failed sign-ins"),
    "staff.password_changed": _("Own password changed"),
    "staff.password_reset": _("New password given"),
    "staff.recovery_code_used": _("Recovery code used"),
    "staff.recovery_codes_renewed": _("New recovery codes made"),
    "staff.signed_in": _("Signed in"),
    "staff.signed_out": _("Signed out"),
    "staff.signed_out_everywhere": _("Signed out everywhere"),
    "staff.store_chosen": _("Store chosen at the counter"),
    "staff.totp_begun": _("Second factor begun"),
    "staff.totp_disabled": _("Second factor turned off"),
    "staff.totp_enabled": _("Second factor turned on"),
    "staff.updated": _("Account changed"),
    "store.closed": _("Store closed"),
    "store.created": _("Store opened"),
    "store.reopened": _("Store opened again"),
    "store.updated": _("Store changed"),
    "tier.created": _("Tier created"),
    "voucher.uses_reported": _("Use of vouchers reported"),
}
ACTOR_NAMES = {
    "staff": _("Staff"),
    "key": _("API key"),
    "command": _("Command line"),
    "system": _("The system"),
}
_PAGES = {"offer": "offers", "campaign": "campaigns", "merchant": "merchants", "store": "stores", "staff": "staff",
          "member": "members", "room": "rooms", "code_pool": "pools"}  # fmt: skip
_SHOWN_CHARACTERS = 300

Reading: TypeAlias = str | list[tuple[str, str, str]]
"""How a field reads: words, or of a localised text each language's tag, own name and words."""


def _about(text: str) -> ColumnElement[bool]:
    return AuditEntry.subject_id == text


AUDIT = ListDefinition(
    id_column=AuditEntry.id,
    columns=[
        Column("action", _("What")),
        Column("actor_name", _("Who"), under="actor_kind", under_label=_("Kind of actor")),
        # Ids are made in order of time, and have an index.
        Column("at", _("When"), kind="date_time", sort=AuditEntry.id),
        Column(
            "subject_kind",
            _("Concerning"),
            kind="tag",
            labels=SUBJECT_NAMES,
            under="subject_id",
            under_label=_("Id"),
        ),
        Column("before", _("Before")),
        Column("after", _("After")),
    ],
    filters=[
        TextFilter("q", _("What or who"), [AuditEntry.action, AuditEntry.actor_name]),
        ChoiceFilter("subject", _("Concerning"), list(SUBJECT_NAMES.items()), AuditEntry.subject_kind),
        ChoiceFilter("actor", _("Kind of actor"), list(ACTOR_NAMES.items()), AuditEntry.actor_kind),
        WordFilter("id", _("Id"), _about),
        DayFilter("at", _("Days"), AuditEntry.at),
    ],
    default_sort="-at",
)


@get("/audit")
async def show_audit(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The log, newest first."""
    async with services.database.connection() as connection:
        listing = await AUDIT.page(
            request, _statement(actor), connection, export_path="/console/audit/export"
        )
    return show(request, "audit.html", listing=listing, **words())


@get("/audit/export")
async def export_audit(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The log as a file."""
    file_format = request.query_params.get("format", "csv")
    statement = _statement(actor)
    return AUDIT.export(request, statement, services.database.engine.connect, file_format, file_name="audit")


async def trail(
    connection: AsyncConnection, actor: Actor, subject_ids: list[str], maximum: int = 30
) -> list[Any]:
    """The last acts upon some subjects, newest first; none for those who may not see the log."""
    if "audit.read" not in actor.permissions:
        return []
    statement = audit_entries(actor).where(AuditEntry.subject_id.in_(subject_ids)).limit(maximum)
    return list((await connection.execute(statement)).all())


def words() -> dict[str, Any]:
    """What the log's templates need to tell an entry."""
    return {
        "changes_of": changes_of,
        "subject_names": SUBJECT_NAMES,
        "actor_names": ACTOR_NAMES,
        "page_of_subject": page_of_subject,
        "act_words": act_words,
    }


def act_words(action: str) -> str:
    """An act in English words, to be translated; one that isn't known is told by its name."""
    return ACT_NAMES.get(action) or action.replace(".", " ").replace("_", " ").capitalize()


def changes_of(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> list[tuple[str, Reading, Reading]]:
    """Each changed field with its two readings, shortened."""
    names = dict.fromkeys([*(before or {}), *(after or {})])
    return [(name, _shown((before or {}).get(name)), _shown((after or {}).get(name))) for name in names]


def page_of_subject(kind: str, subject_id: str) -> str:
    """The console's page about a subject; "" when it has none."""
    return f"/console/{_PAGES[kind]}/{subject_id}" if kind in _PAGES and len(subject_id) == 36 else ""


def _shown(value: Any) -> Reading:
    if value is None or value == {}:
        return "–"
    if _is_localised(value):
        return [(tag, LANGUAGES[tag].own_name, _short(value[tag])) for tag in LANGUAGES if tag in value]
    return _short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_localised(value: Any) -> bool:
    return isinstance(value, dict) and all(
        tag in LANGUAGES and isinstance(text, str) for tag, text in value.items()
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _statement(actor: Actor) -> Select[Any]:
    actor.require("audit.read")
    return audit_entries(actor)


HANDLERS = [show_audit, export_audit]
