"""Making the answers about carts, out of quotes, qualifications, orders and refunds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from tearline.checkout.loading import Loaded, Unusable
from tearline.checkout.model import GUEST
from tearline.checkout.quoting import PricedCart
from tearline.checkout.reads import OrderView, RefundView
from tearline.core.allocation import aligned, total_of
from tearline.core.cart import Right, Skipped
from tearline.core.hints import Hint, Qualification
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder, FrozenShare, freeze
from tearline.core.refunds import RefundPart
from tearline.core.refusal import Refusal
from tearline.web.api.cart_shapes import (
    LAYERS,
    AppliedAnswer,
    CartOrderAnswer,
    CartOrderRow,
    DiscountUnits,
    HintAnswer,
    LineDiscount,
    OrderAppliedAnswer,
    ParcelAnswer,
    PricedLineAnswer,
    QualificationAnswer,
    QuoteAnswer,
    RefundAnswer,
    RefundPartAnswer,
    SkippedAnswer,
    UnitParts,
    UsableAnswer,
)
from tearline.web.problems import sentence_of


def quote_answer(cart: PricedCart, language: str) -> QuoteAnswer:
    """A quote as it is answered; reasons in ``language``."""
    loaded = cart.loaded
    prices, borne = _prices(freeze(loaded.cart, cart.quote, cart.taxes))
    applied = []
    for one, (platform, merchant) in zip(cart.quote.applied, borne, strict=True):
        applied.append(
            AppliedAnswer(
                **_named(loaded, one.right),
                issuer=_literal(one.right.issuer),
                merchant_id=one.right.merchant_id,
                layer=LAYERS[one.right.layer],
                amount=one.amount,
                platform=platform,
                merchant=merchant,
            )
        )
    return QuoteAnswer(
        **prices,
        is_best=cart.quote.is_best,
        applied=applied,
        skipped=_skipped(loaded, cart.quote.skipped, language),
        hints=[_hint(loaded, one) for one in cart.hints],
    )


def qualification_answer(loaded: Loaded, found: Qualification, language: str) -> QualificationAnswer:
    """What may be used, as it is answered."""
    return QualificationAnswer(
        currency=loaded.cart.currency,
        usable=[
            UsableAnswer(
                **_named(loaded, one.right),
                layer=LAYERS[one.right.layer],
                saving=one.saving,
                valid_until=one.right.valid_until,
            )
            for one in found.usable
        ],
        nearly=[_hint(loaded, one) for one in found.nearly],
        unusable=_skipped(loaded, found.unusable, language),
    )


def order_answer(order: OrderView) -> CartOrderAnswer:
    """An order as it is answered."""
    prices, borne = _prices(order.frozen)
    return CartOrderAnswer(
        **prices,
        **{name: getattr(order, name) for name in _ORDER_FIELDS},
        state=_literal(order.state),
        collected_by=_literal(order.collected_by),
        applied=[
            OrderAppliedAnswer(
                coupon_id=one.coupon_id,
                code=one.code,
                offer_id=one.offer_id,
                offer_code=one.offer_code,
                offer_names=one.offer_names,
                amount=sum(borne[place]),
                platform=borne[place][0],
                merchant=borne[place][1],
                outcome=_literal(one.outcome),
            )
            for place, one in enumerate(order.coupons)
        ],
        refundable={
            line.key: left.quantity
            for line, left in zip(order.frozen.lines, order.remaining.lines, strict=True)
        }
        if order.state == "paid"
        else {},
        refundable_shipping=[
            parcel.merchant_id
            for parcel, left in zip(order.frozen.parcels, order.remaining.parcels, strict=True)
            if order.state == "paid" and left.quantity
        ],
        refunds=[refund_answer(order, one) for one in order.refunds],
    )


_ORDER_FIELDS = (
    "number", "member_id", "merchant_id", "reference", "created_at", "expires_at", "paid_at", "cancelled_at",
    "payment_reference", "refunded",
)  # fmt: skip


def refund_answer(order: OrderView, one: RefundView) -> RefundAnswer:
    """A refund as it is answered."""

    def parts(found: tuple[RefundPart, ...], of: tuple[FrozenLine, ...]) -> list[RefundPartAnswer]:
        return [
            RefundPartAnswer(
                key=of[part.position].key or None,
                merchant_id=of[part.position].merchant_id,
                quantity=part.quantity,
                amount=part.amount,
                tax=part.tax,
                reclaimed=part.reclaimed,
            )
            for part in found
        ]

    return RefundAnswer(
        id=one.id,
        amount=one.amount,
        points=one.points,
        tax=one.tax,
        reclaimed=one.returned.reclaimed,
        currency=order.currency,
        reason=one.reason,
        by_name=one.by_name,
        created_at=one.created_at,
        lines=parts(one.returned.lines, order.frozen.lines),
        shipping=parts(one.returned.parcels, order.frozen.parcels),
    )


def order_row(row: Any) -> CartOrderRow:
    """A row of a list as it is answered."""
    values = {**row._mapping, "state": row.order_state}
    if row.member_id == GUEST:
        values["member_id"] = None
    return msgspec.convert(values, CartOrderRow)


def _prices(frozen: FrozenOrder) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """What a cart costs, as it is answered; and what platform and merchants bear of each right."""
    lines = [_line(line) for line in frozen.lines]
    parcels = [
        ParcelAnswer(
            merchant_id=parcel.merchant_id,
            list_total=parcel.list_total,
            total=parcel.total,
            tax=total_of(parcel.tax),
            discounts=[_discount(share) for share in parcel.shares],
        )
        for parcel in frozen.parcels
    ]
    borne = [(0, 0)] * len(frozen.rights)
    points = 0
    parts: list[PricedLineAnswer | ParcelAnswer] = [*lines, *parcels]
    for part in parts:
        for share in part.discounts:
            if share.applied is None:
                points += share.amount
            else:
                platform, merchant = borne[share.applied]
                borne[share.applied] = platform + share.platform, merchant + share.merchant
    prices = {
        "currency": frozen.currency,
        "prices_include_tax": frozen.prices_include_tax,
        "list_total": frozen.list_total,
        "discount": sum(map(sum, borne)),
        "points": points,
        "tax": frozen.tax,
        "total": frozen.total,
        "lines": lines,
        "shipping": parcels,
    }
    return prices, borne


def _line(line: FrozenLine) -> PricedLineAnswer:
    list_total, total = line.list_total, line.total
    return PricedLineAnswer(
        key=line.key,
        product=line.product,
        merchant_id=line.merchant_id,
        unit_price=line.unit_price,
        quantity=line.quantity,
        list_total=list_total,
        discount=list_total - total,
        total=total,
        tax=total_of(line.tax),
        units=[
            UnitParts(count=count, pays=pays, tax=tax) for pays, tax, count in aligned(line.units, line.tax)
        ],
        discounts=[_discount(share) for share in line.shares],
    )


def _discount(share: FrozenShare) -> LineDiscount:
    amount, platform = total_of(share.units), total_of(share.platform)
    return LineDiscount(
        applied=None if share.right == POINTS else share.right,
        amount=amount,
        platform=platform,
        merchant=amount - platform,
        units=[
            DiscountUnits(count=count, amount=off, platform=borne)
            for off, borne, count in aligned(share.units, share.platform)
        ],
    )


def _named(loaded: Loaded, right: Right) -> dict[str, Any]:
    coupon, offer = loaded.coupons.get(right.key), loaded.offer_of(right)
    return {
        "coupon_id": coupon.id if coupon else None,
        "code": loaded.code_of(coupon) if coupon else None,
        "offer_id": offer.id,
        "offer_names": offer.names,
    }


def _hint(loaded: Loaded, one: Hint) -> HintAnswer:
    named = _named(loaded, one.right)
    del named["code"]
    return HintAnswer(**named, missing=one.missing, saving=one.saving, instead_of=one.instead_of)


def _skipped(loaded: Loaded, some: tuple[Skipped, ...], language: str) -> list[SkippedAnswer]:
    @cache  # within one answer: many coupons are skipped for the same reason
    def words(reason: str) -> str:
        return sentence_of(Refusal(reason), language)

    answers = [
        SkippedAnswer(
            **_named(loaded, one.right), reason=one.reason, detail=words(one.reason), missing=one.missing
        )
        for one in some
    ]
    return answers + [_unusable(loaded, one, words) for one in loaded.unusable]


def _unusable(loaded: Loaded, one: Unusable, words: Callable[[str], str]) -> SkippedAnswer:
    return SkippedAnswer(
        coupon_id=one.coupon.id if one.coupon else one.asked_id,
        code=loaded.code_of(one.coupon) if one.coupon else one.key if one.asked_id is None else None,
        offer_id=one.offer.id if one.offer else None,
        offer_names=one.offer.names if one.offer else None,
        reason=one.reason,
        detail=words(one.reason),
        missing=None,
    )


def _literal(value: str | None) -> Any:
    return value
