"""Bodies and answers about carts. All amounts are whole minor units of the cart's one currency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from tearline.checkout.actions import LONGEST_HOLD
from tearline.checkout.loading import Loaded, Unusable
from tearline.checkout.quoting import PricedCart
from tearline.checkout.reads import OrderView, RefundView
from tearline.checkout.requests import (
    LONGEST_KEY,
    MOST_CATEGORIES,
    MOST_NAMED,
    MOST_QUANTITY,
    CartRequest,
    LineRequest,
    ParcelRequest,
)
from tearline.core.allocation import aligned, total_of
from tearline.core.cart import Right, Skipped
from tearline.core.hints import Hint, Qualification
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder, FrozenShare, freeze
from tearline.core.refunds import RefundPart
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.web.api.shapes import Answer, BasisPoints, Body, Currency, Texts
from tearline.web.problems import sentence_of

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
OrderState: TypeAlias = Literal["open", "paid", "cancelled", "expired"]
Layer: TypeAlias = Literal[
    "merchant_promotions", "merchant_coupons", "platform_coupons", "points", "shipping"
]
LAYERS: tuple[Layer, ...] = (
    "merchant_promotions", "merchant_coupons", "platform_coupons", "points", "shipping",
)  # fmt: skip
_LONGEST_HOLD_SECONDS = int(LONGEST_HOLD.total_seconds())


# What is asked


class CartMember(Body):
    """Who buys, in one of these ways. A merchant's key has to give the member's own token."""

    id: UUID | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None
    token: Annotated[str, Meta(max_length=300)] | None = None


class CartLineBody(Body):
    """A line. What it leaves out comes from the catalogue, where that knows the product."""

    key: Key
    """The caller's name of the line, unique in the cart."""
    product: Key
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)] = 1
    unit_price: Amount | None = None
    merchant_id: UUID | None = None
    categories: Annotated[list[Key], Meta(max_length=MOST_CATEGORIES)] | None = None
    """The product's own and all that it lies in."""
    brand: Key | None = None
    is_discountable: bool | None = None
    """False for what no coupon may touch."""
    tax_basis_points: BasisPoints | None = None


class ParcelBody(Body):
    """What one merchant asks for sending its part of the cart."""

    merchant_id: UUID
    amount: Amount
    tax_basis_points: BasisPoints = 0


class CartBody(Body):
    """A cart, and which coupons are thought of."""

    currency: Currency
    lines: Annotated[list[CartLineBody], Meta(min_length=1, max_length=1000)]
    shipping: Annotated[list[ParcelBody], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    region: Annotated[str, Meta(max_length=100)] | None = None
    """Where it is sent, as offers of free shipping name it."""
    store_id: UUID | None = None
    """Where it is bought, if in a store: some coupons are only good there."""
    points: Amount = 0
    """What the member pays with points; the cart says how much of it could be used."""
    prices_include_tax: bool = True
    member: CartMember | None = None
    """None for a guest."""
    codes: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_NAMED)] = msgspec.field(
        default_factory=list
    )
    """Coupons by their codes, typed in any manner, whoever holds them."""
    coupon_ids: Annotated[list[UUID], Meta(max_length=MOST_NAMED)] = msgspec.field(default_factory=list)
    """Of the member's coupons those to use, where the choice is `given`."""
    choose: Literal["best", "given"] = "best"
    """`best`: the best combination of the member's coupons and those named by code; `given`: those that are named."""

    def request(self, member_id: UUID | None, codes: tuple[str, ...]) -> CartRequest:
        """The cart as it is priced.

        Args:
            codes: normalised.
        """
        return CartRequest(
            currency=self.currency,
            lines=tuple(
                LineRequest(
                    line.key, line.product, line.quantity, line.unit_price, line.merchant_id,
                    None if line.categories is None else tuple(line.categories),
                    line.brand, line.is_discountable, line.tax_basis_points,
                )
                for line in self.lines
            ),
            parcels=tuple(ParcelRequest(one.merchant_id, one.amount, one.tax_basis_points) for one in self.shipping),
            region=self.region,
            store_id=self.store_id,
            points=self.points,
            prices_include_tax=self.prices_include_tax,
            member_id=member_id,
            codes=codes,
            coupon_ids=tuple(self.coupon_ids),
            choose=self.choose,
        )  # fmt: skip


class CartOrderBody(CartBody):
    """A cart to be ordered: its coupons are held until it is paid."""

    expected_total: Amount | None = None
    """What the member was shown; the order is refused when it comes to something else now."""
    hold_seconds: Annotated[int, Meta(ge=30, le=_LONGEST_HOLD_SECONDS)] = 900
    reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The shop's own name for the order."""


class PaymentBody(Body):
    """That an order was paid."""

    collected_by: Literal["platform", "merchant"]
    """Who has the money now: the platform, or each merchant that of its own lines."""
    payment_reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class RefundLine(Body):
    """Units of a line to be given back."""

    key: Key
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)]


class RefundBody(Body):
    """What is to be given back of a paid order: some units and shipping, or everything that is left."""

    lines: Annotated[list[RefundLine], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    shipping: Annotated[list[UUID], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    """The merchants whose shipping is given back."""
    everything: bool = False
    reason: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


# What is answered


class UnitParts(Answer):
    """Some units of a line that are alike."""

    count: int
    pays: int
    """What each costs after all discounts, as shown."""
    tax: int
    """Of each."""


class DiscountUnits(Answer):
    """What a discount takes off some units that are alike."""

    count: int
    amount: int
    platform: int
    """What the platform bears of it; the merchant bears the rest."""


class LineDiscount(Answer):
    """What one coupon, one promotion, or the points take off a line."""

    applied: int | None
    """Position in `applied`; null for points."""
    amount: int
    platform: int
    merchant: int
    units: list[DiscountUnits]


class PricedLineAnswer(Answer):
    """A line after all discounts."""

    key: str
    product: str
    merchant_id: UUID
    unit_price: int
    quantity: int
    list_total: int
    discount: int
    total: int
    """As shown: with the tax in it, or without."""
    tax: int
    units: list[UnitParts]
    discounts: list[LineDiscount]


class ParcelAnswer(Answer):
    """Shipping after all discounts."""

    merchant_id: UUID
    list_total: int
    total: int
    tax: int
    discounts: list[LineDiscount]


class AppliedAnswer(Answer):
    """A coupon or a promotion that applies."""

    coupon_id: UUID | None
    """Null for a promotion."""
    code: str | None
    offer_id: UUID
    offer_names: Texts
    issuer: Literal["platform", "merchant"]
    merchant_id: UUID | None
    layer: Layer
    amount: int
    platform: int
    merchant: int


class SkippedAnswer(Answer):
    """A coupon or a promotion that does not apply, and why."""

    coupon_id: UUID | None
    code: str | None
    """As it was asked for, where there is no coupon by it."""
    offer_id: UUID | None
    offer_names: Texts | None
    reason: str
    detail: str
    """The reason in words."""
    missing: int | None
    """Of `minimum_not_reached`: how much more would do."""


class HintAnswer(Answer):
    """'Spend so much more and save so much'."""

    coupon_id: UUID | None
    offer_id: UUID
    offer_names: Texts
    missing: int
    saving: int
    instead_of: int
    """What that would replace takes off now."""


class PricesAnswer(Answer):
    """What a cart costs, to the unit and to who pays."""

    currency: str
    prices_include_tax: bool
    list_total: int
    """Lines and shipping before any discount, as shown."""
    discount: int
    points: int
    tax: int
    total: int
    """What is to be paid, tax included."""
    lines: list[PricedLineAnswer]
    shipping: list[ParcelAnswer]


class QuoteAnswer(PricesAnswer):
    """A priced cart, with a reason for everything that does not apply."""

    is_best: bool
    """False where the search for the best combination came to its limit: another one might save more."""
    applied: list[AppliedAnswer]
    skipped: list[SkippedAnswer]
    hints: list[HintAnswer]


class UsableAnswer(Answer):
    """A coupon or a promotion that the cart can use, looked at alone."""

    coupon_id: UUID | None
    code: str | None
    offer_id: UUID
    offer_names: Texts
    layer: Layer
    saving: int
    valid_until: datetime | None


class QualificationAnswer(Answer):
    """What may be used in a cart: what saves most first, then what is nearly usable, then what is not and why."""

    currency: str
    usable: list[UsableAnswer]
    nearly: list[HintAnswer]
    unusable: list[SkippedAnswer]


class OrderAppliedAnswer(Answer):
    """A coupon or a promotion that an order uses."""

    coupon_id: UUID | None
    code: str | None
    offer_id: UUID
    offer_code: str
    offer_names: Texts
    amount: int
    platform: int
    merchant: int
    outcome: Literal["returned", "reissued", "forfeited"] | None
    """What a refund made of the coupon; null while it is used."""


class RefundPartAnswer(Answer):
    """What a refund does to one line or one parcel."""

    key: str | None
    """Of the line; null for shipping."""
    merchant_id: UUID
    quantity: int
    amount: int
    tax: int
    reclaimed: int
    """What was taken back because discounts of what remains shrank."""


class RefundAnswer(Answer):
    """A refund of an order."""

    id: UUID
    amount: int
    points: int
    tax: int
    reclaimed: int
    currency: str
    reason: str | None
    by_name: str
    created_at: datetime
    lines: list[RefundPartAnswer]
    shipping: list[RefundPartAnswer]


class CartOrderAnswer(PricesAnswer):
    """An order of a cart."""

    number: str
    state: OrderState
    member_id: UUID | None
    merchant_id: UUID | None
    """Whose shop took it; null for the operator's."""
    reference: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    collected_by: Literal["platform", "merchant"] | None
    payment_reference: str | None
    applied: list[OrderAppliedAnswer]
    refunded: int
    refundable: dict[str, int]
    """Units of each line that can still be given back."""
    refunds: list[RefundAnswer]


class CartOrderRow(Answer):
    """An order of a cart in a list."""

    id: UUID
    number: str
    state: OrderState
    member_id: UUID | None
    merchant_id: UUID | None
    reference: str | None
    currency: str
    list_total: int
    discount: int
    points: int
    tax: int
    total: int
    refunded: int
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    collected_by: Literal["platform", "merchant"] | None


# Making answers


def quote_answer(cart: PricedCart, language: str) -> QuoteAnswer:
    """A quote as it is answered; reasons in ``language``."""
    loaded = cart.loaded
    frozen = freeze(loaded.cart, cart.quote)
    borne = _borne(frozen)
    applied = []
    for place, one in enumerate(cart.quote.applied):
        platform, merchant = borne[place]
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
        **_prices(frozen),
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
    borne = _borne(order.frozen)
    return CartOrderAnswer(
        **_prices(order.frozen),
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
    if row.member_id == UUID(int=0):
        values["member_id"] = None
    return msgspec.convert(values, CartOrderRow)


def _prices(frozen: FrozenOrder) -> dict[str, Any]:
    return {
        "currency": frozen.currency,
        "prices_include_tax": frozen.prices_include_tax,
        "list_total": frozen.list_total,
        "discount": frozen.discount,
        "points": frozen.points,
        "tax": frozen.tax,
        "total": frozen.total,
        "lines": [
            PricedLineAnswer(
                key=line.key,
                product=line.product,
                merchant_id=line.merchant_id,
                unit_price=line.unit_price,
                quantity=line.quantity,
                list_total=line.list_total,
                discount=line.list_total - line.total,
                total=line.total,
                tax=total_of(line.tax),
                units=[
                    UnitParts(count=count, pays=pays, tax=tax)
                    for pays, tax, count in aligned(line.units, line.tax)
                ],
                discounts=[_discount(share) for share in line.shares],
            )
            for line in frozen.lines
        ],
        "shipping": [
            ParcelAnswer(
                merchant_id=parcel.merchant_id,
                list_total=parcel.list_total,
                total=parcel.total,
                tax=total_of(parcel.tax),
                discounts=[_discount(share) for share in parcel.shares],
            )
            for parcel in frozen.parcels
        ],
    }


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


def _borne(frozen: FrozenOrder) -> list[tuple[int, int]]:
    """What platform and merchants bear of each right."""
    borne = [(0, 0)] * len(frozen.rights)
    for part in (*frozen.lines, *frozen.parcels):
        for share in part.shares:
            if share.right != POINTS:
                platform, merchant = borne[share.right]
                off, by_platform = total_of(share.units), total_of(share.platform)
                borne[share.right] = platform + by_platform, merchant + off - by_platform
    return borne


def _named(loaded: Loaded, right: Right) -> dict[str, Any]:
    coupon, offer = loaded.coupons.get(right.key), loaded.offer_of(right)
    return {
        "coupon_id": coupon.id if coupon else None,
        "code": coupon.code if coupon else None,
        "offer_id": offer.id,
        "offer_names": offer.names,
    }


def _hint(loaded: Loaded, one: Hint) -> HintAnswer:
    named = _named(loaded, one.right)
    del named["code"]
    return HintAnswer(**named, missing=one.missing, saving=one.saving, instead_of=one.instead_of)


def _skipped(loaded: Loaded, some: tuple[Skipped, ...], language: str) -> list[SkippedAnswer]:
    def words(reason: str) -> str:
        return sentence_of(Refusal(reason), language)

    answers = [
        SkippedAnswer(
            **_named(loaded, one.right), reason=one.reason, detail=words(one.reason), missing=one.missing
        )
        for one in some
    ]
    return answers + [_unusable(one, words) for one in loaded.unusable]


def _unusable(one: Unusable, words: Callable[[str], str]) -> SkippedAnswer:
    return SkippedAnswer(
        coupon_id=one.coupon.id if one.coupon else None,
        code=one.coupon.code if one.coupon else one.key,
        offer_id=one.offer.id if one.offer else None,
        offer_names=one.offer.names if one.offer else None,
        reason=one.reason,
        detail=words(one.reason),
        missing=None,
    )


def _literal(value: str | None) -> Any:
    return value


def check_choice(body: CartBody) -> None:
    """Refuse ids of coupons where nobody is named whose they are."""
    if body.coupon_ids and body.member is None:
        raise Refusal("invalid", fields={"coupon_ids": _("Say whose coupons these are.")})
