"""The console: where the operator's staff run the installation."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from tearline.web import code_files, code_pools
from tearline.web.access import CONSOLE
from tearline.web.console import (
    account,
    audit,
    campaign_page,
    campaigns,
    cart_orders,
    cart_refund,
    catalogue,
    catalogue_files,
    catalogue_groups,
    coupons,
    keys,
    member_page,
    members,
    membership,
    merchants,
    offers,
    orders,
    overview,
    pool_page,
    pools,
    prizes,
    room_acts,
    room_page,
    rooms,
    sale_items,
    sale_page,
    settlement,
    sign_in,
    staff,
    staff_page,
    statements,
    stores,
    uses,
)
from tearline.web.console.support import FACE, answer_refusal
from tearline.web.uploads import FORM_LIMIT_BYTES

__all__ = ["router"]


def router() -> Router:
    """Everything at ``/console``."""
    return Router(
        "/console",
        dependencies={**CONSOLE, "face": Provide(lambda: FACE, sync_to_thread=False)},
        exception_handlers={Exception: answer_refusal},
        request_max_body_size=FORM_LIMIT_BYTES,
        route_handlers=[
            *sign_in.HANDLERS,
            *overview.HANDLERS,
            *account.HANDLERS,
            *merchants.HANDLERS,
            *statements.HANDLERS,
            *settlement.HANDLERS,
            *uses.HANDLERS,
            *stores.HANDLERS,
            *offers.HANDLERS,
            *catalogue.HANDLERS,
            *catalogue_groups.HANDLERS,
            *catalogue_files.HANDLERS,
            *campaigns.HANDLERS,
            *campaign_page.HANDLERS,
            *prizes.HANDLERS,
            *sale_page.HANDLERS,
            *sale_items.HANDLERS,
            *orders.HANDLERS,
            *cart_orders.HANDLERS,
            *cart_refund.HANDLERS,
            *pools.HANDLERS,
            *pool_page.HANDLERS,
            *code_files.HANDLERS,
            *code_pools.HANDLERS,
            *rooms.HANDLERS,
            *room_page.HANDLERS,
            *room_acts.HANDLERS,
            *coupons.HANDLERS,
            *members.HANDLERS,
            *member_page.HANDLERS,
            *membership.HANDLERS,
            *staff.HANDLERS,
            *staff_page.HANDLERS,
            *keys.HANDLERS,
            *audit.HANDLERS,
        ],
        include_in_schema=False,
    )
