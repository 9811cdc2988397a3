"""Single vouchers of the merchant: found by either of their codes, and turned to redeemed by a file of their uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post

from tearline.core.codes import display
from tearline.i18n import _
from tearline.pools.reads import FoundCode, find_codes
from tearline.sales.reads import FoundVoucher, find_voucher
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.code_pools import CODE_STATE_KINDS, CODE_STATE_NAMES
from tearline.web.merchant.support import GivenHere, merchant_of, show
from tearline.web.sale_words import COUPON_STATE_KINDS, COUPON_STATE_NAMES
from tearline.web.ui.forms import BoundForm, Form, Text
from tearline.web.use_reports import TAKES_USES, Taken, take_use_file

FIND_FORM = Form(
    Text(
        "code",
        _("Code"),
        maximum_length=64,
        help=_("Your own code exactly as it is written, the platform's code, or the number of an order."),
    )
)


@get("/vouchers")
async def find_page(request: AnyRequest, actor: GivenActor, here: GivenHere) -> Response[str]:
    """Asks for a code."""
    actor.require("codes.read")
    return _find_page(request, FIND_FORM.blank())


@post("/vouchers", status_code=200)
async def find(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """What has a code: vouchers that were sold, and codes that were not, of this merchant's alone.

    A code, which is worth money, never stands in an address.
    """
    actor.require("codes.read")
    form = await FIND_FORM.read(request)
    if not form.is_valid:
        return _find_page(request, form)
    async with services.database.connection() as connection:
        vouchers = await find_voucher(connection, actor, form.values["code"])
        sold = {one.coupon_id for one in vouchers}
        found = await find_codes(connection, actor, form.values["code"])
    codes = [one for one in found if one.coupon_id not in sold]
    if not vouchers and not codes:
        form.add_error("code", _("None of your vouchers or codes reads like this."))
    return _find_page(request, form, vouchers, codes)


@get("/uses")
async def uses_page(request: AnyRequest, actor: GivenActor, here: GivenHere) -> Response[str]:
    """Where a file of uses is uploaded."""
    actor.require("codes.write")
    return _uses_page(request, Taken())


@post("/uses", status_code=200, **TAKES_USES)
async def take_uses(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[str]:
    """Take the file, and say what became of its rows."""
    return _uses_page(request, await take_use_file(request, services, actor, merchant_of(actor)))


def _find_page(
    request: AnyRequest,
    form: BoundForm,
    vouchers: Sequence[FoundVoucher] = (),
    codes: Sequence[FoundCode] = (),
) -> Response[str]:
    return show(
        request,
        "vouchers.html",
        status_code=form.status_code,
        section="vouchers",
        tab="find",
        form=form,
        vouchers=vouchers,
        codes=codes,
        display=display,
        coupon_state_names=COUPON_STATE_NAMES,
        coupon_state_kinds=COUPON_STATE_KINDS,
        code_state_names=CODE_STATE_NAMES,
        code_state_kinds=CODE_STATE_KINDS,
    )


def _uses_page(request: AnyRequest, taken: Taken) -> Response[str]:
    return show(
        request, "uses.html", status_code=taken.status_code, section="vouchers", tab="uses", **taken.words()
    )


HANDLERS = [find_page, find, uses_page, take_uses]
