"""Whose word counts for a cart: the operator's shop, a merchant's shop, the catalogue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tearline.catalogue.actions import put_categories, put_products
from tearline.catalogue.model import CategoryItem, ProductItem
from tearline.checkout.quoting import PricedCart, quote_cart
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.db import Database, transaction
from tearline.db.statement import Statement
from tests.cart_worlds import TENTH_OFF, CartWorld, make_cart_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database) -> CartWorld:
    """A noodle shop with one product in the catalogue, and a coupon of the platform for drinks alone."""
    made = await make_cart_world(database)
    async with transaction(database) as tx:
        names = {"en": "X"}
        await put_categories(
            tx, SYSTEM, [CategoryItem("food", names), CategoryItem("drinks", names)], made.now
        )
        bowl = ProductItem(
            "bowl", names, 5_000, "HKD", made.noodles, tax_basis_points=500, category_key="food"
        )
        await put_products(tx, SYSTEM, [bowl], made.now)
    scope = {"includes": {"categories": ["drinks"]}}
    await made.coupon(await made.offer(benefit=TENTH_OFF, scope=scope))
    return made


async def quoted(world: CartWorld, line: LineRequest, shop: UUID | None = None, **more: Any) -> PricedCart:
    request = CartRequest("HKD", (line,), member_id=world.member, **more)
    async with world.database.connection() as connection:
        return await quote_cart(connection, request, world.book, world.now, merchant_id=shop)


async def test_what_is_left_out_comes_from_the_catalogue(world: CartWorld) -> None:
    cart = await quoted(world, LineRequest("a", "bowl", 2))
    (line,) = cart.loaded.cart.lines
    assert (line.merchant_id, line.unit_price, line.categories) == (world.noodles, 5_000, ("food",))
    assert (line.tax_basis_points, cart.quote.saving) == (500, 0)


async def test_the_operators_shop_goes_before_the_catalogue(world: CartWorld) -> None:
    cart = await quoted(world, LineRequest("a", "bowl", 1, 6_000, categories=("drinks",)))
    assert cart.quote.saving == 600


async def test_a_merchants_shop_cannot_make_its_products_into_what_the_platform_pays_for(
    world: CartWorld,
) -> None:
    named = LineRequest("a", "bowl", 1, 4_000, categories=("drinks",), brand="Lok", is_discountable=True)
    cart = await quoted(world, named, world.noodles)
    (line,) = cart.loaded.cart.lines
    assert (line.categories, line.brand, cart.quote.saving) == (("food",), None, 0)
    # What the catalogue does not know is the shop's to describe.
    unknown = LineRequest("a", "tea", 1, 6_000, world.noodles, categories=("drinks",))
    assert (await quoted(world, unknown, world.noodles)).quote.saving == 600


async def test_a_merchants_shop_asks_no_more_than_the_catalogue_says(world: CartWorld) -> None:
    """Or the platform would pay whatever a till says for a product at 1.50."""
    with pytest.raises(Refusal) as raised:
        await quoted(world, LineRequest("a", "bowl", 1, 5_001), world.noodles)
    assert set(raised.value.fields) == {"lines.0.unit_price"}
    assert (await quoted(world, LineRequest("a", "bowl", 1, 4_999), world.noodles)).quote.total == 4_999
    assert (await quoted(world, LineRequest("a", "bowl", 1, 5_001))).quote.total == 5_001


@pytest.mark.parametrize("is_merchants", [True, False])
async def test_a_line_under_another_merchants_key_is_refused(world: CartWorld, is_merchants: bool) -> None:
    borrowed = LineRequest("a", "bowl", 1, 6_000, world.books)
    with pytest.raises(Refusal) as raised:
        await quoted(world, borrowed, world.books if is_merchants else None)
    assert set(raised.value.fields) == {"lines.0.product"}


async def test_others_coupons_do_not_crowd_out_a_merchants_own(world: CartWorld, monkeypatch: Any) -> None:
    from tearline.coupons import for_orders

    few = Statement(text(for_orders._OF_CART.replace("LIMIT 200", "LIMIT 2")))
    monkeypatch.setattr(for_orders, "_QUOTED", few)
    elsewhere = await world.offer(world.books)
    for _ in range(3):
        await world.coupon(elsewhere, valid_until=world.now.replace(year=world.now.year + 1))
    await world.coupon(
        await world.offer(world.noodles), valid_until=world.now.replace(year=world.now.year + 2)
    )
    line = LineRequest("a", "tea", 1, 6_000, world.noodles)
    assert (await quoted(world, line, world.noodles)).quote.saving == 2_000
    assert (await quoted(world, line)).quote.saving == 0
