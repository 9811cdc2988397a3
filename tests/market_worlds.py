"""The market of a test: three shops with a few products, a promotion, and a member with coupons of all sorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update

from tearline.catalogue.actions import put_brands, put_categories, put_products
from tearline.catalogue.model import BrandItem, CategoryItem, Product, ProductItem
from tearline.core.roles import SYSTEM
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Merchant
from tests.cart_worlds import CartWorld, make_cart_world

_NAMES = {
    "noodle-bowl": ("Beef brisket noodles", "清湯牛腩麵"),
    "noodle-dumplings": ("Prawn dumplings", "蝦餃"),
    "noodle-sauce": ("Jar of chilli sauce", "辣椒醬"),
    "book-harbour": ("The harbour in pictures", "維港圖冊"),
    "book-cooking": ("Home cooking in four seasons", "四季家常菜"),
    "tea-oolong": ("Oolong, 100 g", "烏龍茶 100 克"),
    "tea-set": ("A pot and two cups", "一壺兩杯"),
    "tea-card": ("Gift card", "禮品卡"),
}
PRODUCTS = tuple(_NAMES)


@dataclass
class MarketWorld(CartWorld):
    """A market with noodles, books and tea."""

    tea: UUID = field(default_factory=new_id)

    async def price(self, product: str, price: int) -> None:
        """Give a product another price."""
        await self._set(product, price=price)

    async def withdraw(self, product: str) -> None:
        """Sell a product no longer."""
        await self._set(product, state="withdrawn")

    async def _set(self, product: str, **values: Any) -> None:
        async with transaction(self.database) as tx:
            await tx.execute(update(Product).where(Product.key == product).values(**values))

    async def wallet(self) -> dict[str, UUID]:
        """Coupons of all sorts for the first member, by what they are for."""
        noodles, books = self.noodles, self.books
        offers: dict[str, UUID] = {
            "noodles": await self.offer(
                noodles, names=_both("HK$20 off noodles", "麵食減 HK$20"), minimum_spend=10_000
            ),
            "noodles too": await self.offer(
                noodles,
                names=_both("15% off everything here", "全單 85 折"),
                benefit={"kind": "percent_off", "basis_points": 1_500, "cap": 3_000},
            ),
            "books": await self.offer(
                books, names=_both("HK$30 off books", "圖書減 HK$30"), minimum_spend=20_000,
                benefit={"kind": "amount_off", "amount": 3_000},
            ),
            "city": await self.offer(
                names=_both("City week: 10% off", "城市週：九折"),
                benefit={"kind": "percent_off", "basis_points": 1_000, "cap": 8_000},
            ),
            "alone": await self.offer(
                names=_both("HK$25 off, by itself", "單獨使用減 HK$25"),
                benefit={"kind": "amount_off", "amount": 2_500}, cart_rules={"exclusive": True},
            ),
            "large": await self.offer(
                names=_both("HK$100 off large orders", "大額訂單減 HK$100"), minimum_spend=80_000,
                benefit={"kind": "amount_off", "amount": 10_000},
            ),
            "shipping": await self.offer(
                names=_both("Shipping is on us", "免運費"), benefit={"kind": "free_shipping", "regions": ["HK"]}
            ),
            "tea": await self.offer(
                self.tea, names=_both("HK$15 off tea", "茶葉減 HK$15"),
                benefit={"kind": "amount_off", "amount": 1_500},
            ),
            "counter": await self.offer(
                noodles, names=_both("At the counter only", "只限門市"), redeem_by=["cashier"]
            ),
        }  # fmt: skip
        soon = {"valid_until": self.now + timedelta(days=2)}
        return {
            name: await self.coupon(offer, **(soon if name == "city" else {}))
            for name, offer in offers.items()
        }


def _both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh-Hant": chinese, "zh-Hans": chinese, "th": english}


def product(key: str, merchant_id: UUID, price: int, category: str, **more: Any) -> ProductItem:
    """A product of the market, named in two languages."""
    english, chinese = _NAMES[key]
    return ProductItem(
        key, _both(english, chinese), price, "HKD", merchant_id=merchant_id, category_key=category, **more
    )


async def fill_catalogue(database: Database, noodles: UUID, books: UUID, tea: UUID, now: Any) -> None:
    """Three merchants' products, in a small tree of categories."""
    items: Sequence[ProductItem] = (
        product("noodle-bowl", noodles, 6_800, "food", image="art/noodles.svg"),
        product("noodle-dumplings", noodles, 4_200, "food", image="art/dim-sum.svg"),
        product("noodle-sauce", noodles, 5_500, "pantry"),
        product("book-harbour", books, 18_800, "books", image="art/harbour.svg"),
        product("book-cooking", books, 12_800, "books", tax_basis_points=500),
        product("tea-oolong", tea, 9_800, "pantry", brand_key="peak", image="art/tea.svg"),
        product("tea-set", tea, 32_000, "home", brand_key="peak"),
        product("tea-card", tea, 50_000, "home", is_discountable=False),
    )
    async with transaction(database) as tx:
        await put_categories(
            tx, SYSTEM,
            [
                CategoryItem("food", _both("Food", "美食")),
                CategoryItem("pantry", _both("Pantry", "雜糧"), "food"),
                CategoryItem("books", _both("Books", "圖書")),
                CategoryItem("home", _both("Home", "家居")),
            ],
            now,
        )  # fmt: skip
        await put_brands(tx, SYSTEM, [BrandItem("peak", _both("Peak", "山頂"))], now)
        await put_products(tx, SYSTEM, items, now)


async def make_market(database: Database) -> MarketWorld:
    """A filled market and two members with empty wallets; the tea house takes 20 off every 150."""
    small = await make_cart_world(database)
    tea = new_id()
    async with transaction(database) as tx:
        await tx.execute(
            insert(Merchant).values(
                id=tea, code="tea", names=_both("Peak Tea House", "山頂茶莊"), kind="dining", edge="forest",
                created_at=small.now,
            )
        )  # fmt: skip
        for id_, names, edge in (
            (small.noodles, _both("Third Tram Noodles", "電車麵家"), "vermilion"),
            (small.books, _both("Harbour Books", "海港書店"), "navy"),
        ):
            await tx.execute(update(Merchant).where(Merchant.id == id_).values(names=names, edge=edge))
    await fill_catalogue(database, small.noodles, small.books, tea, small.now)
    world = MarketWorld(database, small.noodles, small.books, small.members, small.now, tea=tea)
    await world.offer(
        tea, names=_both("HK$20 off every HK$150", "每滿 HK$150 減 HK$20"), automatic=True,
        minimum_spend=15_000, benefit={"kind": "amount_off", "amount": 2_000, "every": True},
    )  # fmt: skip
    await world.offer(
        small.books, names=_both("Book days: 10% off", "書展九折"), automatic=True,
        benefit={"kind": "percent_off", "basis_points": 1_000},
    )  # fmt: skip
    return world
