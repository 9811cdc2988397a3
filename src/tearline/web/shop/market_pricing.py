"""The market's cart with its prices, for its own page, the picker of coupons and the checkout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.shelf import ShelfProduct, shelf_products
from tearline.checkout.loading import Loaded
from tearline.checkout.quoting import PricedCart, quote_cart
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.orders import freeze
from tearline.db import LocalisedText
from tearline.members.reads import MemberRow
from tearline.members.tokens import MemberIdentity
from tearline.web.access import AnyRequest
from tearline.web.problems import SignInNeeded
from tearline.web.services import Services
from tearline.web.shop.basket import Basket, basket_of
from tearline.web.shop.receipt import ProductFace, Receipt, product_face, receipt_of
from tearline.web.shop.shipping import parcels
from tearline.web.shop.support import known_member, sign_in_path


@dataclass(frozen=True, slots=True)
class PricedBasket:
    """A cart as it is priced now.

    Attributes:
        member: who has it; None for a guest, who gets no coupons.
        products: those in it, by key.
        gone: what is in it and sold no longer: shown, not priced.
        cart: its prices; None when nothing in it can be bought.
    """

    basket: Basket
    member: MemberRow | None
    products: dict[str, ShelfProduct]
    gone: tuple[str, ...]
    cart: PricedCart | None

    @property
    def total(self) -> int:
        """Minor units to be paid."""
        return 0 if self.cart is None else self.cart.total

    def gone_faces(self, language: str) -> list[ProductFace]:
        """What is sold no longer, to be shown."""
        return [product_face(self.products[key], language) for key in self.gone]

    def receipt(self, language: str) -> Receipt | None:
        """The cart as people read it; None when nothing in it can be bought."""
        if self.cart is None:
            return None
        return receipt_of_cart(self.cart, self.products, language)


def receipt_of_cart(cart: PricedCart, products: dict[str, ShelfProduct], language: str) -> Receipt:
    """A priced cart as people read it."""
    order = freeze(cart.loaded.cart, cart.quote, cart.taxes)
    return receipt_of(order, products, names_of(cart.loaded), language)


def names_of(loaded: Loaded) -> dict[UUID, LocalisedText]:
    """The names of the offers in a loaded cart, by id."""
    return {id_: offer.names for id_, offer in loaded.offers.items()}


def request_of(
    basket: Basket, sold: Sequence[ShelfProduct], currency: str, member_id: UUID | None
) -> CartRequest:
    """The cart as the engine is asked about it; a guest's coupons are left out."""
    request = CartRequest(
        currency,
        tuple(LineRequest(product.key, product.key, basket.quantity_of(product.key)) for product in sold),
        parcels((product.merchant_id for product in sold), basket.region, currency),
        basket.region,
    )
    if member_id is None:
        return request
    return replace(
        request,
        member_id=member_id,
        codes=basket.codes,
        coupon_ids=basket.coupon_ids if basket.is_given else (),
        choose="given" if basket.is_given else "best",
    )


async def sold_in(
    connection: AsyncConnection, services: Services, basket: Basket
) -> tuple[dict[str, ShelfProduct], list[ShelfProduct]]:
    """The products of a cart, and those of them that can be bought, in the cart's order."""
    products = await shelf_products(
        connection, services.settings.currency, [key for key, _quantity in basket.lines]
    )
    return products, [
        products[key] for key, _quantity in basket.lines if key in products and products[key].is_sold
    ]


async def price_basket(
    connection: AsyncConnection, services: Services, basket: Basket, member: MemberRow | None, now: datetime
) -> PricedBasket:
    """Price a cart; what is sold no longer is left out."""
    products, sold = await sold_in(connection, services, basket)
    gone = tuple(key for key, _quantity in basket.lines if key in products and not products[key].is_sold)
    if not sold:
        return PricedBasket(basket, member, products, gone, None)
    asked = request_of(basket, sold, services.settings.currency, None if member is None else member.id)
    cart = await quote_cart(connection, asked, services.cart_offers, now)
    return PricedBasket(basket, member, products, gone, cart)


async def priced_basket_of(
    connection: AsyncConnection, request: AnyRequest, services: Services, visitor: MemberIdentity | None
) -> PricedBasket:
    """The visitor's own cart."""
    member = await known_member(connection, visitor)
    return await price_basket(connection, services, basket_of(request), member, services.now())


async def shopper(connection: AsyncConnection, visitor: MemberIdentity | None, next_path: str) -> MemberRow:
    """The member who buys; a guest, or one whose session is over, signs in and goes on to ``next_path``."""
    member = await known_member(connection, visitor)
    if member is None:
        raise SignInNeeded(sign_in_path(next_path))
    return member
