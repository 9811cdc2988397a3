"""The merchant face: the counter, where cashiers scan and redeem, and a merchant's view of its own business."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from tearline.core.refusal import Refusal
from tearline.web import code_files, code_pools
from tearline.web.access import COUNTER
from tearline.web.merchant import (
    account,
    business,
    codes,
    installable,
    redemptions,
    sales,
    scan,
    settlement,
    sign_in,
    stores,
    vouchers,
)
from tearline.web.merchant.support import answer_refusal, face, here

__all__ = ["router"]


def router() -> Router:
    """Everything under ``/merchant``."""
    return Router(
        "/merchant",
        dependencies={**COUNTER, "here": Provide(here), "face": Provide(face)},
        route_handlers=[
            *sign_in.HANDLERS,
            *stores.HANDLERS,
            *scan.HANDLERS,
            *redemptions.HANDLERS,
            *business.HANDLERS,
            *settlement.HANDLERS,
            *codes.HANDLERS,
            *code_pools.HANDLERS,
            *code_files.HANDLERS,
            *sales.HANDLERS,
            *vouchers.HANDLERS,
            *account.HANDLERS,
            *installable.HANDLERS,
        ],
        exception_handlers={Refusal: answer_refusal},
        include_in_schema=False,
    )
