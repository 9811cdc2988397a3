"""Offers as a cart uses them, kept in memory by version: their JSON is read once, not for each cart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select

from tearline.core.cart import Right
from tearline.core.offers import FixedWindow, OfferDraft, usable_at
from tearline.db import LocalisedText
from tearline.db.statement import AnyConnection, Statement
from tearline.offers.model import Offer
from tearline.offers.reads import draft_of

_MOST_KEPT = 20_000
_OFFERS = Statement(select(Offer.__table__).where(Offer.id == any_(bindparam("ids", type_=ARRAY(Uuid)))))


@dataclass(frozen=True, slots=True)
class CartOffer:
    """An offer, as read at a version."""

    id: UUID
    version: int
    draft: OfferDraft

    @property
    def names(self) -> LocalisedText:
        """By language."""
        return dict(self.draft.names)

    def right(
        self,
        key: str,
        *,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        issued_at: datetime | None = None,
        is_promotion: bool = False,
    ) -> Right:
        """What a coupon of it, or it by itself, gives in a cart."""
        draft = self.draft
        return Right(
            key=key,
            offer=str(self.id),
            issuer=draft.issuer,
            currency=draft.currency,
            benefit=draft.benefit,
            funding=draft.funding,
            merchant_id=draft.merchant_id,
            minimum_spend=draft.minimum_spend,
            scope=draft.scope,
            rules=draft.cart_rules,
            is_promotion=is_promotion,
            valid_from=valid_from,
            valid_until=valid_until,
            issued_at=issued_at,
        )

    def why_not_here(self, store_id: UUID | None, now: datetime) -> str | None:
        """Why nobody can use it in a cart here and now; None when one can."""
        draft = self.draft
        if "checkout" not in draft.redeem_by:
            return "not_applicable"
        if draft.store_ids and store_id not in draft.store_ids:
            return "other_store"
        return None if usable_at(draft.validity, draft.time_zone, now) else "not_valid_now"

    def promotion(self) -> Right:
        """The right of an offer that applies by itself; its window is the offer's."""
        period = self.draft.validity.period
        assert isinstance(period, FixedWindow), "an automatic offer has a fixed window"
        return self.right(
            str(self.id), valid_from=period.starts_at, valid_until=period.ends_at, is_promotion=True
        )


class OfferBook:
    """The offers that this process knows. A version, read with each cart, tells when one is out of date."""

    def __init__(self) -> None:
        self._offers: dict[UUID, CartOffer] = {}

    async def of(self, connection: AnyConnection, versions: Mapping[UUID, int]) -> dict[UUID, CartOffer]:
        """Offers by id, each at least as new as the version that was seen."""
        found: dict[UUID, CartOffer] = {}
        missing: list[UUID] = []
        for id_, version in versions.items():
            offer = self._offers.get(id_)
            if offer is None or offer.version < version:
                missing.append(id_)
            else:
                found[id_] = offer
        if missing:
            rows = await _OFFERS.rows(connection, ids=missing)
            read = {row.id: CartOffer(row.id, row.version, draft_of(row)) for row in rows}
            if len(self._offers) > _MOST_KEPT:
                self._offers.clear()
            self._offers |= read
            found |= read
        return found
