"""Small worlds for tests of carts: two merchants, coupons in wallets, written with plain inserts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text, update

from tearline.checkout.offers import OfferBook
from tearline.checkout.requests import CartRequest, LineRequest, ParcelRequest
from tearline.core import codes
from tearline.coupons.model import Coupon, CouponCode
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tests.worlds import NOW, make_members, offer_row

AMOUNT_OFF = {"kind": "amount_off", "amount": 2_000}
TENTH_OFF = {"kind": "percent_off", "basis_points": 1_000}


@dataclass
class CartWorld:
    """Two merchants and some members; offers and coupons are added as a test needs them."""

    database: Database
    noodles: UUID
    books: UUID
    members: list[UUID]
    now: datetime
    book: OfferBook = field(default_factory=OfferBook)

    @property
    def member(self) -> UUID:
        """The first of them."""
        return self.members[0]

    async def offer(self, merchant_id: UUID | None = None, **changes: Any) -> UUID:
        """An offer usable in carts: 20.00 off without a minimum, unless said otherwise; of the platform without a
        merchant."""
        id_ = new_id()
        values = {
            "minimum_spend": 0,
            "benefit": AMOUNT_OFF,
            "redeem_by": ["cashier", "till", "checkout"],
            "issuer": "platform" if merchant_id is None else "merchant",
            "funding_platform_basis_points": 10_000 if merchant_id is None else 0,
            **changes,
        }
        values["benefit_kind"] = values["benefit"]["kind"]
        async with transaction(self.database) as tx:
            await tx.execute(insert(Offer).values(offer_row(id_, merchant_id, **values)))  # type: ignore[arg-type]
        return id_

    async def coupon(self, offer_id: UUID, member_id: UUID | None = None, **changes: Any) -> UUID:
        """A coupon in a wallet, of the first member unless said otherwise; usable for a year around now."""
        id_, code = new_id(), codes.make_code(secrets.token_bytes)
        holder = member_id or self.member
        values = {
            "member_id": holder,
            "id": id_,
            "offer_id": offer_id,
            "code": code,
            "state": "open",
            "valid_from": self.now - timedelta(days=1),
            "valid_until": self.now + timedelta(days=365),
            "issued_at": self.now - timedelta(days=1),
            "changed_at": self.now - timedelta(days=1),
            **changes,
        }
        async with transaction(self.database) as tx:
            await tx.execute(insert(Coupon).values(values))
            await tx.execute(insert(CouponCode).values(code=code, member_id=holder, coupon_id=id_))
            await tx.execute(update(Offer).where(Offer.id == offer_id).values(issued=Offer.issued + 1))
        return id_

    def cart(self, *lines: LineRequest, **more: Any) -> CartRequest:
        """A cart of the first member; of one line of 100.00 at the noodle shop unless lines are given."""
        plain = {"member_id": self.member, **more}
        return CartRequest("HKD", lines or (self.line("a", 10_000),), **plain)

    def line(
        self, key: str, price: int, quantity: int = 1, merchant_id: UUID | None = None, **more: Any
    ) -> LineRequest:
        """A line of a product that the catalogue does not have; of the noodle shop unless said otherwise."""
        return LineRequest(key, f"product {key}", quantity, price, merchant_id or self.noodles, **more)

    def parcel(self, amount: int, merchant_id: UUID | None = None) -> ParcelRequest:
        """Shipping; of the noodle shop unless said otherwise."""
        return ParcelRequest(merchant_id or self.noodles, amount)

    async def one(self, statement: str, **values: Any) -> Any:
        """The only value that a statement answers."""
        async with self.database.connection() as connection:
            return await connection.scalar(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """All that a statement answers."""
        async with self.database.connection() as connection:
            return list((await connection.execute(text(statement), values)).all())

    async def rows_changed(self, statement: str, **values: Any) -> None:
        """Change rows as no action would."""
        async with transaction(self.database) as tx:
            await tx.execute(text(statement), values)

    async def state_of(self, coupon_id: UUID) -> str:
        """A coupon's state as it is written down."""
        return str(await self.one("SELECT state FROM coupon WHERE id = :id", id=coupon_id))

    async def audited(self) -> None:
        """Everything adds up."""
        async with self.database.connection() as connection:
            findings = await run_audit(connection)
        assert [finding for finding in findings if finding.breaches] == []


async def make_cart_world(database: Database, *, members: int = 2) -> CartWorld:
    """A noodle shop, a bookshop, and members without coupons."""
    noodles, books = new_id(), new_id()
    async with transaction(database) as tx:
        for id_, code, name in ((noodles, "noodles", "Noodles"), (books, "books", "Books")):
            await tx.execute(
                insert(Merchant).values(id=id_, code=code, names={"en": name}, kind="retail", created_at=NOW)
            )
        made = await make_members(tx, members)
    return CartWorld(database, noodles, books, made, datetime.now(UTC))
