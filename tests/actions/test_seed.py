"""The demo's data: as large, as varied and as consistent as it is said to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import phonenumbers
import pytest
from sqlalchemy import func, select

from tearline.campaigns.model import Campaign, Claim, Prize
from tearline.catalogue.reads import UnknownKeys, products_of, unknown_keys
from tearline.checkout.model import CartOrder, CartRefund, SettlementEntry
from tearline.cli.demo import SIGN_INS, seed
from tearline.cli.demo.cart_orders import ORDERS
from tearline.cli.demo.catalogue_data import BRANDS, CATEGORIES, PRODUCTS
from tearline.cli.demo.clauses import CLAUSES
from tearline.cli.demo.definitions import OFFERS
from tearline.cli.demo.merchants_data import MERCHANTS
from tearline.cli.demo.people import DEMO_PHONE
from tearline.core.campaigns import window_state
from tearline.core.offers import BENEFIT_KINDS, FixedPrice
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.model import Coupon, Redemption, Reversal, TillRequest
from tearline.db import Database
from tearline.insight.audit import run_audit
from tearline.members.model import Member
from tearline.merchants.model import AuditEntry, Merchant, Staff, Store
from tearline.merchants.passwords import is_right_password
from tearline.offers.model import Offer
from tests.conftest import Seeded

pytestmark = pytest.mark.anyio

LANGUAGES = {"en", "zh-Hant", "zh-Hans", "th"}
ART = Path(__file__).parents[2] / "frontend" / "art"


PRODUCT_MERCHANTS = {product.key: product.merchant for product in PRODUCTS}


@pytest.fixture
async def demo(seeded: Seeded) -> AsyncIterator[Database]:
    """The database with the demo's data."""
    async with Database(seeded.url) as database:
        yield database


def test_every_step_is_reported_and_keys_are_handed_over(seeded: Seeded) -> None:
    assert len(seeded.keys) == 3
    assert seeded.reports and all(0 <= done <= total for _step, done, total in seeded.reports)


async def test_seeded_database_holds_what_is_promised(demo: Database) -> None:
    async with demo.connection() as connection:

        async def count(table: type) -> int:
            return await connection.scalar(select(func.count()).select_from(table)) or 0

        assert await count(Merchant) >= 12
        assert await count(Store) >= 40
        assert await count(Offer) >= 60
        assert await count(Member) == 5_000
        assert await count(Claim) >= 4_000
        assert await count(Redemption) >= 300
        assert await count(Reversal) >= 10
        assert await count(CartOrder) == ORDERS + 1
        assert await count(CartRefund) >= 10
        assert await count(SettlementEntry) >= 500
        coupons_used = select(func.count()).where(Redemption.way == "checkout")
        assert (await connection.scalar(coupons_used) or 0) >= 30
        now = await connection.scalar(select(func.now()))
        campaigns = {
            row.code: (row.state, window_state(row.starts_at, row.ends_at, now))
            for row in await connection.execute(select(Campaign))
        }
        kinds = set(await connection.scalars(select(Offer.benefit_kind)))
        states = set(await connection.scalars(select(Coupon.state).distinct()))
        promotions = set(await connection.scalars(select(Offer.code).where(Offer.automatic)))
        later = await connection.scalar(select(func.count()).where(Coupon.changed_at > now))
    assert campaigns == {
        "KHLONG-VOUCHERS": ("live", "running"),
        "WINTER-CITY": ("live", "running"),
        "SLOW-TEA": ("paused", "running"),
        "LANTERN-NIGHTS": ("live", "scheduled"),
    }
    assert kinds == set(BENEFIT_KINDS)
    assert states == {"open", "sold", "redeemed", "expired"}
    assert later == 0
    assert promotions == {"HL-EVERY-300", "QP-LOCAL-10"}


async def test_seeded_database_passes_the_audit(demo: Database) -> None:
    async with demo.connection() as connection:
        findings = await run_audit(connection)

    assert [finding for finding in findings if finding.breaches] == []


async def test_second_seed_changes_nothing(demo: Database) -> None:
    counted = select(func.count()).select_from(AuditEntry)
    async with demo.connection() as connection:
        before = await connection.scalar(counted)

    assert await seed(demo, lambda step, done, total: None) == {}

    async with demo.connection() as connection:
        assert await connection.scalar(counted) == before


async def test_members_can_be_reached(demo: Database) -> None:
    async with demo.connection() as connection:
        phones = list(await connection.scalars(select(Member.phone)))

    unreachable = [phone for phone in phones if not phonenumbers.is_valid_number(phonenumbers.parse(phone))]
    assert unreachable == []
    assert len(set(phones)) == len(phones)


async def test_first_member_has_every_kind_of_coupon_and_the_first_password_left(
    demo: Database,
) -> None:
    async with demo.connection() as connection:
        member_id = await connection.scalar(select(Member.id).where(Member.phone == DEMO_PHONE))
        wallet = set(await connection.scalars(select(Coupon.state).where(Coupon.member_id == member_id)))
        claimed = set(await connection.scalars(select(Claim.prize_id).where(Claim.member_id == member_id)))
        welcome = await connection.scalar(select(Prize.id).where(Prize.password == "WINTER2026"))

    assert wallet == {"open", "redeemed", "expired"}
    assert welcome not in claimed


async def test_what_offers_name_is_in_the_catalogue(demo: Database) -> None:
    categories: set[str] = set()
    products: set[str] = set()
    for offer in OFFERS:
        for selection in (offer.includes, offer.excludes):
            categories.update(selection.categories)
            products.update(selection.products)
            assert not selection.brands
        products.add(getattr(offer.benefit, "product", None) or "button")
    async with demo.connection() as connection:
        unknown = await unknown_keys(connection, products=products, categories=categories, brands=())
        known = await products_of(connection, products)
    assert unknown == UnknownKeys([], [], [])
    for offer in OFFERS:
        product = getattr(offer.benefit, "product", None)
        if product is not None and offer.merchant is not None:
            assert PRODUCT_MERCHANTS[product] == offer.merchant
        if isinstance(offer.benefit, FixedPrice):
            assert offer.benefit.price < known[offer.benefit.product].price, offer.code
    assert known["siu-mai-basket"].categories == ("dim-sum", "food")


async def test_staff_sign_in_as_printed(demo: Database) -> None:
    async with demo.connection() as connection:
        hashes = {row.email: row.password_hash for row in await connection.execute(select(Staff))}

    for face, _path, user, password in SIGN_INS:
        if not face.startswith("Shop"):
            assert await is_right_password(hashes[user], password), user


async def test_tills_get_the_past_answers_again(demo: Database) -> None:
    async with demo.connection() as connection:
        rows = (await connection.execute(select(TillRequest.answer))).scalars().all()
        # What was used in a cart no till has asked for.
        at_counters = select(Redemption.id).where(Redemption.way != "checkout")
        redemptions = await connection.scalar(select(func.count()).select_from(at_counters.subquery()))
        reversals = await connection.scalar(
            select(func.count()).select_from(Reversal).where(Reversal.redemption_id.in_(at_counters))
        )

    answers = [msgspec.convert(row, CounterAnswer, strict=False) for row in rows]
    actions = Counter(answer.action for answer in answers)
    assert actions == {"redeemed": redemptions, "reversed": reversals}


def test_all_texts_stand_in_four_languages_with_their_own_punctuation() -> None:
    texts = [*CLAUSES.values()]
    for merchant in MERCHANTS:
        texts += [merchant.names, merchant.descriptions]
        texts += [store.names for store in merchant.stores if store.names is not None]
    for offer in OFFERS:
        texts += [offer.names, offer.summaries]
    texts += [entry.names for entry in (*CATEGORIES, *PRODUCTS)] + [names for _key, names in BRANDS]
    for text_ in texts:
        assert set(text_) == LANGUAGES
        assert all(text_.values())
        for language in ("zh-Hant", "zh-Hans"):
            # An ASCII comma or full stop between Chinese characters is what a machine writes.
            for before, sign, after in zip(
                text_[language], text_[language][1:], text_[language][2:], strict=False
            ):
                assert not (sign in ",.;:?!" and (before > "\u3400" or after > "\u3400")), text_[language]


def test_every_picture_exists() -> None:
    names = {offer.art for offer in OFFERS} | {merchant.art for merchant in MERCHANTS}
    names |= {product.art for product in PRODUCTS if product.art is not None}
    assert [name for name in sorted(names) if not (ART / f"{name}.svg").is_file()] == []
