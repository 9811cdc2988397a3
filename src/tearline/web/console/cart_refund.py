"""Refunding an order of a cart: which units, what it comes to, and only then the refund."""

from __future__ import annotations

import secrets
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.model import CartRefund
from tearline.checkout.reads import OrderView
from tearline.checkout.refunding import LONGEST_REASON, refund_order
from tearline.core.redemption import No
from tearline.core.refunds import Refund, Wish, refund
from tearline.core.refusal import Refusal
from tearline.i18n import _, localised
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.cart_orders import Receipt, receipt_of
from tearline.web.console.support import save, show
from tearline.web.ui.forms import BoundForm, Checkbox, Choices, Form, LongText, Number, Section
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect


def refund_form(receipt: Receipt, language: str) -> Form:
    """The form of a refund: units of each line of which any are left, shipping, or everything."""
    lines = [
        Number(
            f"line-{place}",
            _name_of(receipt, place, language),
            is_required=False,
            maximum=line.left,
            unit=f"/ {line.left}",
        )
        for place, line in enumerate(receipt.lines)
        if line.left
    ]
    parcels = [
        (str(place), localised(parcel.merchant_names, language))
        for place, parcel in enumerate(receipt.parcels)
        if parcel.left
    ]
    parts: list[Any] = [Section(_("Units to give back"), *lines)] if lines else []
    if parcels:
        parts.append(
            Section(_("Shipping"), Choices("parcels", _("Shipping of"), is_required=False, choices=parcels))
        )
    rest = Section(
        _("The refund"),
        Checkbox("everything", _("Everything that is left"), help=_("Whatever is filled in above.")),
        LongText(
            "reason",
            _("Reason"),
            is_required=False,
            maximum_length=LONGEST_REASON,
            rows=2,
            help=_("Stays with the order."),
        ),
    )
    return Form(*parts, rest)


def _name_of(receipt: Receipt, place: int, language: str) -> str:
    line = receipt.lines[place]
    return localised(line.name, language) if line.name else line.product


@get("/cart-orders/{number:str}/refund")
async def new_refund(
    request: AnyRequest, services: GivenServices, actor: GivenActor, number: FromPath[str]
) -> Response[str]:
    """The empty form."""
    actor.require("orders.refund")
    async with services.database.connection() as connection:
        receipt = await receipt_of(connection, actor, number, services)
    return _page(request, receipt, refund_form(receipt, language_of(request)).blank())


@post("/cart-orders/{number:str}/refund")
async def create_refund(
    request: AnyRequest, services: GivenServices, actor: GivenActor, number: FromPath[str]
) -> Response[Any]:
    """First show what the refund comes to, then make it; sent twice, it is made once."""
    actor.require("orders.refund")
    async with services.database.connection() as connection:
        receipt = await receipt_of(connection, actor, number, services)
    form = await refund_form(receipt, language_of(request)).read(request)
    if not form.is_valid:
        return _page(request, receipt, form)
    wish = _wish(receipt.order, form)
    if not (wish.lines or wish.parcels or wish.everything):
        form.add_error("", _("Choose what is given back."))
        return _page(request, receipt, form)
    key, confirmed = form.inputs.first("request")[:100], form.inputs.first("confirmed")
    if not key:
        return _page(request, receipt, form, _preview(receipt.order, wish, form))

    async def work(tx: AsyncConnection) -> None:
        refund_id = await refund_order(
            tx, actor, number, wish, services.now(), reason=form.values["reason"], idempotency_key=key
        )
        made = await tx.scalar(select(CartRefund.amount).where(CartRefund.id == refund_id))
        if confirmed != str(made):
            # Another refund came between: what was looked at is not what it comes to now.
            raise Refusal("changed_meanwhile")

    if await save(services, form, work) is None:
        return _page(request, receipt, form)
    return redirect(request, f"/console/cart-orders/{receipt.order.number}", flash=_("The refund is booked."))


def _wish(order: OrderView, form: BoundForm) -> Wish:
    """What the form asks for."""
    counts = {
        line.key: count
        for place, line in enumerate(order.frozen.lines)
        if (count := form.values.get(f"line-{place}"))
    }
    parcels = tuple(order.frozen.parcels[int(place)].merchant_id for place in form.values.get("parcels", ()))
    return Wish(counts, parcels, form.values["everything"])


def _preview(order: OrderView, wish: Wish, form: BoundForm) -> Refund | None:
    """What it would come to; None when nothing comes of it, which the form then says."""
    if order.state != "paid":
        form.add_refusal(Refusal("order_not_paid"))
        return None
    outcome = refund(order.frozen, order.remaining, wish)
    if isinstance(outcome, No):
        details: dict[str, Any] = dict(outcome.details)
        form.add_refusal(Refusal(outcome.reason, **details))
        return None
    return outcome[0]


def _page(
    request: AnyRequest, receipt: Receipt, form: BoundForm, preview: Refund | None = None
) -> Response[str]:
    given = {name: texts for name, texts in form.inputs.texts.items() if name in form.form.fields}
    return show(
        request,
        "cart_refund.html",
        status_code=form.status_code,
        receipt=receipt,
        order=receipt.order,
        form=form,
        preview=preview,
        given=given,
        # By which the confirmed one is known when it is sent twice.
        key=secrets.token_hex(16),
    )


HANDLERS = [new_refund, create_refund]
