"""What a cart is priced with: its products, the coupons that may be used, and the merchants' promotions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import text

from tearline.catalogue.reads import CatalogueProduct, products_of
from tearline.checkout.offers import CartOffer, OfferBook
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.cart import Cart, CartLine, Parcel, Right
from tearline.core.money import MAXIMUM_AMOUNT
from tearline.core.offers import usable_at_merchant
from tearline.core.refusal import Refusal
from tearline.coupons.for_orders import MOST_COUPONS, CartCoupon, coupons_for_cart
from tearline.db.statement import AnyConnection, Statement
from tearline.i18n import _

_IS_FIRST_ORDER = """
    NOT EXISTS (
        SELECT 1 FROM cart_order
        WHERE member_id = :member_id ::uuid AND (state = 'paid' OR (state = 'open' AND expires_at > :now)))
"""
# Of those that are over there are ever more: no cart looks at them.
_PROMOTIONS = """
    FROM offer JOIN merchant ON merchant.id = offer.merchant_id
    WHERE automatic AND offer.state = 'active' AND merchant.state = 'active' AND offer.merchant_id = ANY(:merchant_ids)
    AND CAST(validity #>> '{period,starts_at}' AS timestamptz) <= :now
    AND CAST(validity #>> '{period,ends_at}' AS timestamptz) > :now ORDER BY offer.id
"""
_PROMOTIONS_OF = Statement(text(f"SELECT offer.id, offer.version {_PROMOTIONS}"))
_FIRST_ORDER = Statement(text(f"SELECT {_IS_FIRST_ORDER} AS is_first_order"))
# Round trips are what a quote's time goes to: these questions are asked in one.
_FACTS = Statement(
    text(f"""
    SELECT ARRAY(SELECT id FROM merchant WHERE id = ANY(:merchant_ids) AND state = 'active') AS merchants,
           (SELECT merchant_id FROM store WHERE id = :store_id ::uuid AND state = 'active') AS store_merchant_id,
           :member_id ::uuid IS NOT NULL AND {_IS_FIRST_ORDER} AS is_first_order,
           ARRAY(SELECT offer.id {_PROMOTIONS}) AS promotions,
           ARRAY(SELECT offer.version {_PROMOTIONS}) AS versions
""")  # noqa: S608
)

Value = TypeVar("Value")
_WHY_UNUSABLE = {
    "held": "held_elsewhere",
    "redeemed": "already_redeemed",
    "void": "coupon_void",
    "expired": "expired",
    # A partner's code is used in the partner's own shop.
    "sold": "not_applicable",
}


@dataclass(frozen=True, slots=True)
class Unusable:
    """A coupon that can't be used in any cart now, and why; without an offer, there is none by that code or id."""

    key: str
    reason: str
    coupon: CartCoupon | None = None
    offer: CartOffer | None = None
    asked_id: UUID | None = None
    """The id by which there is none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A cart with all that may lower its price.

    Attributes:
        rights: the promotions, and the coupons that can be used now.
        coupons: by the key of their right.
        offers: by id: those of all rights, and of what is unusable.
        named: the keys of the coupons that the cart names by code or id.
        products: of the catalogue, by key, as far as it has them.
        is_whole_wallet: False where the member may hold more coupons than a cart looks at.
        told: the codes that may be answered; None for any. Who has a code can use the coupon without its member, so a
            merchant's shop learns none that it doesn't know.
    """

    cart: Cart
    rights: tuple[Right, ...]
    coupons: dict[str, CartCoupon]
    offers: dict[UUID, CartOffer]
    unusable: tuple[Unusable, ...]
    named: frozenset[str] = field(default_factory=frozenset)
    products: dict[str, CatalogueProduct] = field(default_factory=dict)
    is_whole_wallet: bool = True
    told: frozenset[str] | None = None

    def code_of(self, coupon: CartCoupon) -> str | None:
        """Its code, where who asks may be told."""
        return coupon.code if self.told is None or coupon.code in self.told else None

    def offer_of(self, right: Right) -> CartOffer:
        """Of what offer a right is."""
        return self.offers[UUID(right.offer)]


async def load(
    connection: AnyConnection,
    request: CartRequest,
    book: OfferBook,
    now: datetime,
    *,
    merchant_id: UUID | None = None,
    locked: bool = False,
) -> Loaded:
    """Read what a cart is priced with.

    Args:
        request: checked.
        merchant_id: whose shop asks: it may only price its own lines, and learns nothing of others' coupons. None
            for the operator's.
        locked: takes the locks of the coupons, for an order.

    Raises:
        Refusal: ``invalid`` for lines that nobody sells, for another's store, and for more money than there is.
    """
    if merchant_id is not None and request.points:
        # The platform bears them, so it's not for a merchant to say that somebody has them.
        raise Refusal("invalid", fields={"points": _("Only the operator's own shop takes points.")})
    products = await products_of(connection, {line.product for line in request.lines})
    lines = tuple(
        _line(number, line, request.currency, products, merchant_id)
        for number, line in enumerate(request.lines)
    )
    merchants = {line.merchant_id for line in lines} | {parcel.merchant_id for parcel in request.parcels}
    facts = await _FACTS.row(
        connection,
        merchant_ids=list(merchants),
        store_id=request.store_id,
        member_id=request.member_id,
        now=now,
    )
    if request.store_id is not None:
        _check_store(facts.store_merchant_id, merchant_id)
    # Whether another merchant exists is nothing that a merchant can find out here.
    known = set(facts.merchants) if merchant_id is None else {merchant_id}.intersection(facts.merchants)
    _check_merchants(request, lines, known)
    _check_amount(request, lines)
    cart = Cart(
        request.currency,
        lines,
        tuple(Parcel(one.merchant_id, one.amount, one.tax_basis_points) for one in request.parcels),
        request.region,
        request.points,
        facts.is_first_order,
        request.prices_include_tax,
    )
    found = await coupons_for_cart(
        connection,
        request.member_id,
        request.codes,
        request.coupon_ids,
        now,
        merchant_id=merchant_id,
        locked=locked,
    )
    promotions = dict(zip(facts.promotions, facts.versions, strict=True))
    versions = promotions | {coupon.offer_id: coupon.offer_version for coupon in found}
    offers = await book.of(connection, versions)
    usable, unusable, named = _sorted_out(request, found, offers, merchant_id, now)
    rights = [one.promotion() for one in _applying(promotions, offers, request.store_id, now)]
    rights += [
        offers[coupon.offer_id].right(
            key, valid_from=coupon.valid_from, valid_until=coupon.valid_until, issued_at=coupon.issued_at
        )
        for key, coupon in usable.items()
    ]
    is_whole = (
        len(found) < MOST_COUPONS
        or sum(coupon.holder_id == request.member_id for coupon in found) < MOST_COUPONS
    )
    return Loaded(
        cart, tuple(rights), usable, offers, tuple(unusable), frozenset(named), products,
        is_whole_wallet=is_whole,
        told=None if merchant_id is None else frozenset(request.codes),
    )  # fmt: skip


def _sorted_out(
    request: CartRequest,
    found: Sequence[CartCoupon],
    offers: Mapping[UUID, CartOffer],
    merchant_id: UUID | None,
    now: datetime,
) -> tuple[dict[str, CartCoupon], list[Unusable], set[str]]:
    """The coupons that can be used now, by key; the others, and why; and the keys of those that are named."""
    usable: dict[str, CartCoupon] = {}
    unusable: list[Unusable] = []
    named: set[str] = set()
    asked_for = (*request.codes, *request.coupon_ids)
    seen: set[str | UUID] = set()
    for coupon in found:
        offer = offers[coupon.offer_id]
        if merchant_id is not None and not usable_at_merchant(
            offer.draft.merchant_id, offer.draft.scope, merchant_id
        ):
            # What a member holds of others is not this merchant's to know.
            continue
        key = str(coupon.id)
        if asked_for and (coupon.code in asked_for or coupon.id in asked_for):
            named.add(key)
            seen |= {coupon.code, coupon.id}
        elif request.choose == "given":
            continue
        why = _WHY_UNUSABLE.get(coupon.state) or offer.why_not_here(request.store_id, now)
        if why is None:
            usable[key] = coupon
        else:
            unusable.append(Unusable(key, why, coupon, offer))
    unusable += [
        Unusable(str(asked), "code_not_recognised", asked_id=asked if isinstance(asked, UUID) else None)
        for asked in asked_for
        if asked not in seen
    ]
    return usable, unusable, named


async def promotions_of(
    connection: AnyConnection, merchant_ids: Collection[UUID], book: OfferBook, now: datetime
) -> list[CartOffer]:
    """The offers of these merchants that lower the prices of a cart in no store by themselves now."""
    rows = await _PROMOTIONS_OF.rows(connection, merchant_ids=list(merchant_ids), now=now)
    versions = {row.id: row.version for row in rows}
    return _applying(versions, await book.of(connection, versions), None, now)


def _applying(
    promotions: Iterable[UUID], offers: Mapping[UUID, CartOffer], store_id: UUID | None, now: datetime
) -> list[CartOffer]:
    return [offers[id_] for id_ in promotions if offers[id_].why_not_here(store_id, now) is None]


async def is_first_order(connection: AnyConnection, member_id: UUID, now: datetime) -> bool:
    """Whether a member has no order that is paid, or that may still be paid in time."""
    return bool((await _FIRST_ORDER.row(connection, member_id=member_id, now=now)).is_first_order)


def _line(
    number: int,
    line: LineRequest,
    currency: str,
    products: dict[str, CatalogueProduct],
    shop: UUID | None,
) -> CartLine:
    """A line as it is priced.

    Args:
        shop: the merchant whose shop asks; None for the operator's, which goes before the catalogue. Of a merchant's
            shop the catalogue's word goes first where it has one, and no more may be asked than it says: what the
            platform pays for must not hang on what the till says, and who changes the catalogue is on record.
    """
    known = products.get(line.product)
    problems: dict[str, str] = {}
    if known is not None and line.merchant_id not in (None, known.merchant_id):
        # An offer that names the product by its key means the other one.
        problems[f"lines.{number}.product"] = _("Another merchant's product has this key.")
    merchant_id = line.merchant_id if known is None else known.merchant_id
    price = line.unit_price
    if price is None and known is not None and known.currency == currency:
        price = known.price
    if merchant_id is None:
        problems[f"lines.{number}.merchant_id"] = _("This product is not in the catalogue: say whose it is.")
    if price is None:
        problems[f"lines.{number}.unit_price"] = _(
            "The catalogue has no price in this currency: say what it costs."
        )
    elif (
        known is not None and known.merchant_id == shop and known.currency == currency and price > known.price
    ):
        problems[f"lines.{number}.unit_price"] = _("This is more than the catalogue says.")
    if problems:
        raise Refusal("invalid", fields=problems)
    assert merchant_id is not None
    assert price is not None
    is_heard = shop is None or known is None
    return CartLine(
        line.key,
        line.product,
        merchant_id,
        price,
        line.quantity,
        _said(line.categories if is_heard else None, known.categories if known else ()),
        _said(line.brand if is_heard else None, known.brand if known else None),
        _said(line.is_discountable if is_heard else None, known.is_discountable if known else True),
        _said(line.tax_basis_points, known.tax_basis_points if known else 0),
    )


def _said(said: Value | None, otherwise: Value) -> Value:
    return otherwise if said is None else said


def _check_store(owner_id: UUID | None, merchant_id: UUID | None) -> None:
    """Some coupons are good in some stores only: nobody is in a store that there is not, or in another's."""
    if owner_id is None or merchant_id not in (None, owner_id):
        raise Refusal("invalid", fields={"store_id": _("There is no such store.")})


def _check_amount(request: CartRequest, lines: Sequence[CartLine]) -> None:
    # Only now are all prices known.
    whole = sum(line.unit_price * line.quantity for line in lines)
    if whole + sum(parcel.amount for parcel in request.parcels) > MAXIMUM_AMOUNT:
        raise Refusal("invalid", fields={"lines": _("All of this together is absurdly much money.")})


def _check_merchants(request: CartRequest, lines: Sequence[CartLine], known: set[UUID]) -> None:
    sentence = _("There is no such merchant.")
    problems = {
        f"lines.{number}.merchant_id": sentence
        for number, line in enumerate(lines)
        if line.merchant_id not in known
    } | {
        f"shipping.{number}.merchant_id": sentence
        for number, parcel in enumerate(request.parcels)
        if parcel.merchant_id not in known
    }
    if problems:
        raise Refusal("invalid", fields=problems)
