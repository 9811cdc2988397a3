"""The demo's orders of carts: what members bought in its shops since the campaign began, with some refunds.

Through the same actions as on any other day, at the times of the demo's past. Lines say what they are, so that it does
not matter whether the catalogue has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.actions import cancel_order, pay_order, place_order
from tearline.checkout.entries import adjust
from tearline.checkout.offers import OfferBook
from tearline.checkout.refunding import refund_order
from tearline.checkout.requests import CartRequest, LineRequest, ParcelRequest
from tearline.cli.demo.definitions import Made, Report
from tearline.cli.demo.people import Person
from tearline.cli.demo.shapes import CURRENCY, dollars
from tearline.core.refunds import EVERYTHING, Wish
from tearline.core.roles import Actor
from tearline.db import Database, transaction

ORDERS = 84
SHARE_REFUNDED, SHARE_REFUNDED_WHOLLY, SHARE_GIVEN_UP = 0.2, 0.3, 0.07
"""Of all orders; of those that are refunded; of all again."""
SHARE_WITH_POINTS, SHARE_OF_TWO_MERCHANTS = 0.25, 0.35
SHIPPING = 30
"""In dollars, for the part of each shop that sends parcels."""
OWN_SHOP = "harbourlight"
"""Sends its carts with a key of its own, and takes its money itself."""

PRODUCTS: dict[str, tuple[tuple[str, int], ...]] = {
    "harbourlight": (
        ("kite-rainbow", 128), ("wooden-ferry", 268), ("tram-puzzle", 158), ("market-day-game", 318),
        ("linen-towel", 98), ("bamboo-steamer", 148), ("enamel-pot", 488), ("paper-lantern", 68),
    ),
    "quiet-pages": (("nine-alleys", 118), ("rooftop-poems", 88), ("harbour-cookbook", 198), ("cat-tote", 78)),
    "cloudpick": (
        ("jasmine-pearls-50g", 88), ("oolong-100g", 168), ("puerh-cake", 388), ("two-tin-box", 268), ("tea-caddy", 138),
    ),
    "potted-afternoon": (("small-pot", 180), ("moon-jar", 680), ("throwing-class", 380)),
    "basket-lane": (("siu-mai-basket", 32), ("har-gow-basket", 38), ("char-siu-bao", 30), ("frozen-box", 188)),
    "third-tram": (("flat-white", 42), ("cold-drip", 48), ("house-beans-250g", 138), ("yirgacheffe-250g", 168)),
    "pineapple-moon": (("egg-tart-dozen", 96), ("pineapple-bun", 9), ("turnip-pudding", 128)),
    "khlong-kitchen": (("boat-noodles", 22), ("young-coconut", 45)),
    "skylark-bay": (("day-ticket-adult", 488), ("day-ticket-child", 248), ("plush-skylark", 198)),
    "red-sail": (("harbour-pair", 396), ("harbour-child", 120)),
    "sign-museum": (("museum-admission", 90), ("neon-workshop", 460), ("mini-sign", 58)),
}  # fmt: skip
"""What is bought, by shop, with prices in dollars; keys as in the demo's catalogue."""
PARCEL_SENDERS = ("harbourlight", "quiet-pages", "cloudpick", "potted-afternoon")
REASONS = ("Arrived broken", "Changed their mind", "Ordered twice", "Out of stock", None)

# Coupons that are used in carts, of the shops above or of the platform, in the order in which they were given out.
_HOLDINGS = text("""
SELECT coupon.member_id, merchant.code AS merchant, coupon.issued_at
FROM coupon JOIN offer ON offer.id = coupon.offer_id LEFT JOIN merchant ON merchant.id = offer.merchant_id
WHERE coupon.state = 'open' AND coupon.valid_until > :now AND 'checkout' = ANY(offer.redeem_by)
      AND (merchant.code IS NULL OR merchant.code = ANY(:merchants)) AND cardinality(offer.store_ids) = 0
ORDER BY coupon.id
""")


@dataclass(frozen=True, slots=True)
class _Buyer:
    """A member who holds something to use, at a shop's or, with None, at many shops; and since when."""

    member_id: UUID
    merchant: str | None
    since: datetime


async def order_carts(
    database: Database,
    actor: Actor,
    made: Made,
    people: Sequence[Person],
    random: Random,
    now: datetime,
    report: Report,
) -> None:
    """Have carts ordered, most of them paid, some given back; two corrections of what is settled."""
    book = OfferBook()
    async with database.connection() as connection:
        buyers = await _buyers(connection, random, people, now)
    for number, buyer in enumerate(buyers):
        report("Orders of carts", number, len(buyers))
        request, shop_id = _cart(random, made, buyer)
        span = now - timedelta(hours=2) - buyer.since
        moment = buyer.since + span * random.random()
        await _order(
            database, actor, book, request, random, number=number, moment=moment, now=now, shop_id=shop_id
        )
    # For the demo's member, who keeps all coupons to try the shop with.
    first = _Buyer(people[0].id, OWN_SHOP, now)
    request, shop_id = _cart(random, made, first)
    request = replace(request, choose="given")
    moment = now - timedelta(days=2, hours=3)
    await _order(
        database, actor, book, request, random, number=len(buyers), moment=moment, now=now, shop_id=shop_id,
        is_plain=True,
    )  # fmt: skip
    async with transaction(database) as tx:
        for code, amount, note, days in (
            ("cloudpick", -12_000, "Two lost parcels", 2),
            ("quiet-pages", -300_000, "Winter book fair", 1),
            ("skylark-bay", 35_000, "Pier poster", 1),
        ):
            await adjust(
                tx, actor, made.merchants[code].id, amount, CURRENCY, note, now - timedelta(days=days)
            )
    report("Orders of carts", len(buyers), len(buyers))


async def _buyers(
    connection: AsyncConnection, random: Random, people: Sequence[Person], now: datetime
) -> list[_Buyer]:
    active = {person.id for person in people[1:] if person.state == "active"}
    rows = await connection.execute(_HOLDINGS, {"now": now, "merchants": list(PRODUCTS)})
    # One order of each member, so that none comes before what it follows from.
    found = {
        row.member_id: _Buyer(row.member_id, row.merchant, row.issued_at)
        for row in rows
        if row.member_id in active and row.issued_at < now - timedelta(hours=6)
    }
    return random.sample(list(found.values()), min(ORDERS, len(found)))


def _cart(random: Random, made: Made, buyer: _Buyer) -> tuple[CartRequest, UUID | None]:
    """A cart of one or two shops, and whose shop sends it: None for the operator's."""
    first = buyer.merchant or random.choice(list(PRODUCTS))
    shops = [first]
    if random.random() < SHARE_OF_TWO_MERCHANTS:
        shops.append(random.choice([one for one in PRODUCTS if one != first]))
    lines: list[LineRequest] = []
    for shop in shops:
        chosen = random.sample(PRODUCTS[shop], min(random.choice((1, 2, 2, 3)), len(PRODUCTS[shop])))
        for key, price in chosen:
            quantity = random.choice((1, 1, 2, 3)) if price < 300 else 1
            merchant_id = made.merchants[shop].id
            lines.append(LineRequest(str(len(lines) + 1), key, quantity, dollars(price), merchant_id))
    parcels = tuple(
        ParcelRequest(made.merchants[shop].id, dollars(SHIPPING)) for shop in shops if shop in PARCEL_SENDERS
    )
    points = dollars(random.choice((10, 20, 50))) if random.random() < SHARE_WITH_POINTS else 0
    shop_id = made.merchants[OWN_SHOP].id if shops == [OWN_SHOP] else None
    if shop_id is not None:
        points = 0  # which only the operator's shop takes
    request = CartRequest(CURRENCY, tuple(lines), parcels, points=points, member_id=buyer.member_id)
    return request, shop_id


async def _order(
    database: Database,
    actor: Actor,
    book: OfferBook,
    request: CartRequest,
    random: Random,
    *,
    number: int,
    moment: datetime,
    now: datetime,
    shop_id: UUID | None,
    is_plain: bool = False,
) -> None:
    """Order one cart at a moment; pay it or give it up, and perhaps refund it, as chance will have it.

    Args:
        is_plain: paid, and nothing else.
    """
    is_given_up = random.random() < SHARE_GIVEN_UP and not is_plain
    is_refunded = random.random() < SHARE_REFUNDED and not is_plain
    is_wholly = random.random() < SHARE_REFUNDED_WHOLLY
    refunded_at = moment + (now - moment) * random.uniform(0.1, 0.9)
    async with transaction(database) as tx:
        placed = await place_order(
            tx, request, book, moment, merchant_id=shop_id, reference=f"WEB-{10_000 + number}",
            idempotency_key=f"demo-cart-{number}",
        )  # fmt: skip
        if is_given_up:
            await cancel_order(tx, actor, placed.number, moment + timedelta(minutes=4))
            return
        await pay_order(
            tx,
            actor,
            placed.number,
            moment + timedelta(seconds=random.randint(20, 200)),
            collected_by="platform" if shop_id is None else "merchant",
            payment_reference=f"pay-{placed.number.lower()}",
        )
        if is_refunded:
            line = random.choice(request.lines)
            wish = EVERYTHING if is_wholly else Wish(lines={line.key: 1})
            reason = random.choice(REASONS)
            await refund_order(tx, actor, placed.number, wish, refunded_at, reason=reason)
