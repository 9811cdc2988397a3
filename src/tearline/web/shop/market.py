"""The market: what the catalogue's merchants sell, and each product with the coupons that are good for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from litestar import Response, get
from litestar.params import FromPath
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.shelf import ShelfProduct, shelf, shelf_categories, shelf_merchants, shelf_products
from tearline.checkout.loading import promotions_of
from tearline.checkout.offers import CartOffer
from tearline.checkout.quoting import qualify_cart
from tearline.core.cart import Cart, CartLine, Right, candidates
from tearline.core.catalogue import is_key
from tearline.core.choosing import choose
from tearline.core.refusal import Refusal
from tearline.i18n import localised, translate
from tearline.i18n.formats import money
from tearline.members.reads import MemberRow
from tearline.offers.describe import value_text
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor, rest_of_path
from tearline.web.services import Services
from tearline.web.shop.basket import MOST_QUANTITY, Basket, basket_of
from tearline.web.shop.market_faces import CouponFace, coupon_faces
from tearline.web.shop.market_pricing import request_of
from tearline.web.shop.receipt import ProductFace, product_face
from tearline.web.shop.support import known_member, sign_in_path
from tearline.web.ui.cursors import BadCursor, Cursor
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in

PAGE_SIZE = 24
_LONGEST_SEARCH_CHARACTERS = 60
_SORT = "shelf"


@dataclass(frozen=True, slots=True)
class Card:
    """A product on the shelf.

    Attributes:
        price: what one costs at list price, and ``now`` with the offers that apply by themselves; the same when none
            do.
        tags: the merchant's offers that the product counts for.
    """

    product: ProductFace
    href: str
    price: str
    now: str
    tags: tuple[str, ...]

    @property
    def is_reduced(self) -> bool:
        """Whether it costs less than the list price."""
        return self.price != self.now


@get("/market")
async def market_page(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[str]:
    """What is sold, filtered and searched, a page of it."""
    now, language, query = services.now(), language_of(request), request.query_params
    currency = services.settings.currency
    words = query.get("q", "").strip()[:_LONGEST_SEARCH_CHARACTERS]
    category, merchant = query.get("category") or None, query.get("merchant") or None
    after = _place(query.get("after"))
    async with services.database.connection() as connection:
        page = await shelf(
            connection,
            currency,
            category=category,
            merchant=merchant,
            words=words,
            after=after,
            limit=PAGE_SIZE,
        )
        tree = await shelf_categories(connection, currency)
        merchants = await shelf_merchants(connection, currency)
        cards = await _cards(connection, services, page.products, language, now)
        member = await known_member(connection, visitor)
    filters = {"q": words, "category": category or "", "merchant": merchant or ""}
    kept = urlencode({name: value for name, value in filters.items() if value})
    next_href = None
    if page.next_after is not None:
        cursor = Cursor(_SORT, page.next_after, page.next_after).encode()
        next_href = f"/market?{kept}{'&' if kept else ''}after={cursor}"
    return render(
        request,
        "shop/market.html",
        member=member,
        basket=basket_of(request),
        cards=cards,
        categories=[(node.key, "\u2003" * node.depth + localised(node.names, language)) for node in tree],
        merchants=[(code, localised(names, language)) for code, names in merchants],
        filters=filters,
        is_filtered=bool(kept),
        is_first_page=after is None,
        first_href=f"/market?{kept}" if kept else "/market",
        next_href=next_href,
    )


@get("/market/p/{key:path}")
async def product_page(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, key: FromPath[str]
) -> Response[str]:
    """One product: its price, its merchant, and the member's coupons that are good for it alone."""
    now, language = services.now(), language_of(request)
    key = rest_of_path(request, "/market/p/")
    basket = basket_of(request)
    async with services.database.connection() as connection:
        product = await sold_product(connection, services, key)
        (card,) = await _cards(connection, services, [product], language, now)
        member = await known_member(connection, visitor)
        usable, nearly = await _coupons_for(connection, services, product, basket.region, member, language)
    return render(
        request,
        "shop/market_product.html",
        member=member,
        basket=basket,
        card=card,
        product=product,
        category=text_in(product.category_names, language) if product.category_names else Markup(""),
        brand=text_in(product.brand_names, language) if product.brand_names else Markup(""),
        in_cart=basket.quantity_of(product.key),
        most=MOST_QUANTITY,
        usable=usable,
        nearly=nearly,
        sign_in_path=sign_in_path(product_path(product.key)),
    )


async def sold_product(connection: AsyncConnection, services: Services, key: str) -> ShelfProduct:
    """A product that can be bought now.

    Raises:
        Refusal: ``not_found``, also for one that is sold no longer.
    """
    if not is_key(key):
        raise Refusal("not_found")
    product = (await shelf_products(connection, services.settings.currency, [key])).get(key)
    if product is None or not product.is_sold:
        raise Refusal("not_found")
    return product


def product_path(key: str) -> str:
    """The address of a product's page."""
    return f"/market/p/{quote(key, safe='')}"


async def _cards(
    connection: AsyncConnection,
    services: Services,
    products: Sequence[ShelfProduct],
    language: str,
    now: datetime,
) -> list[Card]:
    merchant_ids = {product.merchant_id for product in products}
    offers = await promotions_of(connection, merchant_ids, services.cart_offers, now)
    promotions = [(offer, offer.promotion()) for offer in offers]
    return [_card(product, promotions, language, now) for product in products]


def _card(
    product: ShelfProduct, promotions: Sequence[tuple[CartOffer, Right]], language: str, now: datetime
) -> Card:
    cart = _cart_of_one(product)
    own = [(offer, right) for offer, right in promotions if right.merchant_id == product.merchant_id]
    found, _skipped = candidates(cart, [right for _offer, right in own], now)
    good = {candidate.right.key for candidate in found}
    quote_of_one = choose(cart, [right for _offer, right in own], now)
    return Card(
        product_face(product, language),
        product_path(product.key),
        money(product.price, product.currency, language),
        money(quote_of_one.total, product.currency, language),
        tuple(promotion_text(offer, language) for offer, right in own if right.key in good),
    )


def promotion_text(offer: CartOffer, language: str) -> str:
    """A merchant's offer as a tag: ``HK$30 off over HK$200``."""
    draft = offer.draft
    value = value_text(draft.benefit, draft.currency, language)
    if not draft.minimum_spend:
        return value
    over = translate(language, "over %(amount)s", amount=money(draft.minimum_spend, draft.currency, language))
    return f"{value} {over}"


def _cart_of_one(product: ShelfProduct) -> Cart:
    line = CartLine(
        product.key, product.key, product.merchant_id, product.price, 1, product.categories, product.brand,
        product.is_discountable, product.tax_basis_points,
    )  # fmt: skip
    return Cart(product.currency, (line,))


async def _coupons_for(
    connection: AsyncConnection,
    services: Services,
    product: ShelfProduct,
    region: str,
    member: MemberRow | None,
    language: str,
) -> tuple[list[CouponFace], list[CouponFace]]:
    """The member's coupons that can be used on one of a product alone, and those that need a little more."""
    if member is None:
        return [], []
    now = services.now()
    alone = Basket(((product.key, 1),), region)
    asked = request_of(alone, [product], product.currency, member.id)
    loaded, qualified = await qualify_cart(connection, asked, services.cart_offers, now)
    usable = [one for one in qualified.usable if not one.right.is_promotion]
    nearly = [one for one in qualified.nearly if not one.right.is_promotion]
    faces = await coupon_faces(connection, loaded, [*usable, *nearly], language, now)
    return faces[: len(usable)], faces[len(usable) :]


def _place(text: str | None) -> str | None:
    if not text:
        return None
    try:
        cursor = Cursor.decode(text, _SORT, str, str)
    except BadCursor:
        raise Refusal("malformed") from None
    return str(cursor.row_id)


HANDLERS = [market_page, product_page]
