"""A priced cart, or an order, as people read it: line by line, and layer by layer down to what is to be paid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from markupsafe import Markup

from tearline.catalogue.shelf import ShelfProduct
from tearline.core.allocation import total_of
from tearline.core.offers import FreeShipping, Gift
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder, FrozenRight
from tearline.db import LocalisedText
from tearline.i18n import _, translate
from tearline.i18n.formats import money
from tearline.web.ui.assets import picture_url
from tearline.web.ui.rendering import text_in

_LAYERS = (
    ("promotions", _("Offers of the shops")),
    ("merchant", _("Coupons of the shops")),
    ("platform", _("Coupons of the platform")),
)


@dataclass(frozen=True, slots=True)
class ProductFace:
    """What a product looks like.

    Attributes:
        mark: the first letter of its name, for the drawing where there is no picture.
    """

    key: str
    name: Markup
    plain_name: str
    merchant: Markup
    picture: str | None
    edge: str
    mark: str
    is_sold: bool


@dataclass(frozen=True, slots=True)
class Taking:
    """What one right takes off a line, in words."""

    name: Markup
    amount: str


@dataclass(frozen=True, slots=True)
class LineFace:
    """A line of a cart or an order.

    Attributes:
        unit_price, list_total, total: in words; the total after all discounts.
        takings: what lowers it, in the order in which it does.
        amount: ``total`` in minor units.
    """

    key: str
    product: ProductFace
    quantity: int
    unit_price: str
    list_total: str
    total: str
    amount: int
    takings: tuple[Taking, ...]

    @property
    def is_reduced(self) -> bool:
        """Whether anything is taken off."""
        return bool(self.takings)


@dataclass(frozen=True, slots=True)
class Shop:
    """What a cart or an order holds of one merchant, with its shipping."""

    name: Markup
    edge: str
    lines: tuple[LineFace, ...]
    shipping: str
    shipping_list: str
    is_shipping_reduced: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One sum of the receipt; ``kind``: "" for what is added, ``good`` for what is taken off."""

    label: str
    amount: str
    kind: str = ""
    names: tuple[Markup, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The whole receipt.

    Attributes:
        rows: from the list prices to shipping; the total stands apart.
        tax: within the total, in words; "" for none.
        saved: everything that is taken off, in words; "" for nothing.
    """

    shops: tuple[Shop, ...]
    rows: tuple[Row, ...]
    tax: str
    total: str
    saved: str
    gifts: tuple[Markup, ...]


def product_face(product: ShelfProduct, language: str) -> ProductFace:
    """What a product looks like, to whoever reads in this language."""
    name = text_in(product.names, language)
    plain = name.striptags()
    return ProductFace(
        product.key,
        name,
        plain,
        text_in(product.merchant_names, language),
        picture_url(product.image),
        product.merchant_edge,
        plain[:1].upper(),
        product.is_sold,
    )


def receipt_of(
    order: FrozenOrder,
    products: Mapping[str, ShelfProduct],
    names: Mapping[UUID, LocalisedText],
    language: str,
) -> Receipt:
    """The receipt of frozen prices.

    Args:
        products: those of the lines, by key.
        names: of the offers of the order's rights.
    """

    def shown(amount: int) -> str:
        return money(amount, order.currency, language)

    def name_of(position: int) -> Markup:
        if position == POINTS:
            return Markup("{}").format(translate(language, _("Points")))
        return text_in(names.get(order.rights[position].offer_id), language)

    taken = _taken(order)
    shops = tuple(
        _shop(order, merchant_id, products, name_of, language)
        for merchant_id in dict.fromkeys(line.merchant_id for line in order.lines)
    )
    rows = [Row(translate(language, _("Goods at list price")), shown(sum(_list(order.lines))))]
    for layer, label in _LAYERS:
        places = [
            place for place, right in enumerate(order.rights) if _layer(right) == layer and taken[place]
        ]
        if places:
            amount = sum(taken[place] for place in places)
            rows.append(
                Row(translate(language, label), shown(-amount), "good", tuple(name_of(one) for one in places))
            )
    if order.points:
        rows.append(Row(translate(language, _("Points")), shown(-order.points), "good"))
    if order.parcels:
        rows.append(Row(translate(language, _("Shipping")), shown(sum(_list(order.parcels)))))
    places = [
        place for place, right in enumerate(order.rights) if _layer(right) == "shipping" and taken[place]
    ]
    if places:
        amount = sum(taken[place] for place in places)
        rows.append(
            Row(
                translate(language, _("Off the shipping")),
                shown(-amount),
                "good",
                tuple(name_of(one) for one in places),
            )
        )
    saved = sum(taken.values())
    return Receipt(
        shops,
        tuple(rows),
        shown(order.tax) if order.tax else "",
        shown(order.total),
        shown(saved) if saved else "",
        tuple(
            text_in(right.benefit.descriptions, language)
            for right in order.rights
            if isinstance(right.benefit, Gift)
        ),
    )


def _shop(
    order: FrozenOrder,
    merchant_id: UUID,
    products: Mapping[str, ShelfProduct],
    name_of: Callable[[int], Markup],
    language: str,
) -> Shop:
    lines = [line for line in order.lines if line.merchant_id == merchant_id]
    own = [parcel for parcel in order.parcels if parcel.merchant_id == merchant_id]
    first = _product_of(lines[0], products)
    cost, asked = sum(parcel.total for parcel in own), sum(_list(own))

    def shown(amount: int) -> str:
        return money(amount, order.currency, language)

    return Shop(
        text_in(first.merchant_names, language),
        first.merchant_edge,
        tuple(_line(line, _product_of(line, products), order.currency, name_of, language) for line in lines),
        (shown(cost) if cost else translate(language, _("Free"))) if own else "",
        shown(asked) if own else "",
        cost < asked,
    )


def _line(
    line: FrozenLine,
    product: ShelfProduct,
    currency: str,
    name_of: Callable[[int], Markup],
    language: str,
) -> LineFace:
    return LineFace(
        line.key,
        product_face(product, language),
        line.quantity,
        money(line.unit_price, currency, language),
        money(line.list_total, currency, language),
        money(line.total, currency, language),
        line.total,
        tuple(
            Taking(name_of(share.right), money(-total_of(share.units), currency, language))
            for share in line.shares
        ),
    )


def _product_of(line: FrozenLine, products: Mapping[str, ShelfProduct]) -> ShelfProduct:
    """A line's product; one that the catalogue does not know goes by its key."""
    return products.get(line.product) or ShelfProduct(
        line.product, {"en": line.product}, line.unit_price, "", 0, (), None, None, None, True, None,
        line.merchant_id, "", {}, "slate", is_sold=False,
    )  # fmt: skip


def _taken(order: FrozenOrder) -> dict[int, int]:
    """What each right takes off in all, by its position."""
    taken = dict.fromkeys(range(len(order.rights)), 0)
    for part in (*order.lines, *order.parcels):
        for share in part.shares:
            if share.right != POINTS:
                taken[share.right] += total_of(share.units)
    return taken


def _layer(right: FrozenRight) -> str:
    if isinstance(right.benefit, FreeShipping):
        return "shipping"
    return "promotions" if right.is_promotion else right.issuer


def _list(parts: Iterable[FrozenLine]) -> list[int]:
    return [part.list_total for part in parts]
