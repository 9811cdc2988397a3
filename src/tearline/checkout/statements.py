"""The settlement of carts: what platform and merchants owe each other for a period, from the entries alone.

Entries are appended with the time at which they happened, and never edited, so the settlement of a period that is
over is the same at any time, but for the first minutes after its end (``core.settlement.is_final``). Sums are exact:
they are sums of integers. What follows from them, what is payable, is ``core.settlement.payable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, null, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.model import CartOrder, SettlementEntry
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.settlement import CUSTOMER, MERCHANT, MERCHANT_DISCOUNT, PLATFORM, is_final, payable
from tearline.db import LocalisedText
from tearline.i18n import _
from tearline.merchants.model import AnyRow, AnySelect, Merchant
from tearline.offers.model import Offer

KINDS = ("payment", "refund", "adjustment")
"""Why there is a posting, in the order in which statements tell it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over some postings, in minor units; of refunds they are below zero.

    ``sales`` = ``merchant_discount`` + ``subsidy`` + ``points`` + ``paid``, always; of adjustments ``sales`` is what
    the platform owes more, and nothing else is said.

    Attributes:
        count: of payments, how many orders; else how many refunds or adjustments.
        sales: what was sold, before any discount.
        merchant_discount: what the merchant bears of the discounts.
        subsidy: what the platform bears of the discounts, points apart.
        points: what was paid with points, which the platform bears.
        paid: what customers paid.
    """

    count: int = 0
    sales: int = 0
    merchant_discount: int = 0
    subsidy: int = 0
    points: int = 0
    paid: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.count + other.count,
            self.sales + other.sales,
            self.merchant_discount + other.merchant_discount,
            self.subsidy + other.subsidy,
            self.points + other.points,
            self.paid + other.paid,
        )


class Group(NamedTuple):
    """Of what postings figures are: why, and who took the customers' money (None for adjustments)."""

    kind: str
    collected_by: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of payments, refunds and adjustments apart, and by who took the money."""

    groups: Mapping[Group, Figures] = field(default_factory=dict)

    def only(self, kind: str | None = None, collected_by: str | None = None) -> Totals:
        """Those of a kind, or of who took the money."""
        return Totals(
            {
                group: figures
                for group, figures in self.groups.items()
                if kind in (group.kind, None) and collected_by in (group.collected_by, None)
            }
        )

    def of(self, kind: str | None = None, collected_by: str | None = None) -> Figures:
        """The figures of all groups of a kind, or of who took the money; of all but adjustments without a kind."""
        chosen = self.only(kind, collected_by).groups.items()
        return sum(
            (figures for group, figures in chosen if kind is not None or group.kind != "adjustment"),
            Figures(),
        )

    @property
    def adjustments(self) -> int:
        """What corrections come to: the platform owes so much more."""
        return self.of("adjustment").sales

    @property
    def payable(self) -> int:
        """What the platform owes the merchant; the merchant owes it where this is below zero."""
        return sum(_payable(group, figures) for group, figures in self.groups.items())

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened."""
        return not self.groups

    def __add__(self, other: Totals) -> Totals:
        keys = dict.fromkeys([*self.groups, *other.groups])
        return Totals(
            {key: self.groups.get(key, Figures()) + other.groups.get(key, Figures()) for key in keys}
        )


def _payable(group: Group, figures: Figures) -> int:
    if group.kind == "adjustment":
        return payable({PLATFORM: figures.sales}, None)
    sums = {CUSTOMER: figures.paid, PLATFORM: figures.subsidy + figures.points}
    return payable(sums, group.collected_by)


@dataclass(frozen=True, slots=True)
class DayLine:
    """One day of a statement."""

    day: date
    totals: Totals


@dataclass(frozen=True, slots=True)
class OfferLine:
    """What one offer, or points, took off in a period: borne by the platform and by the merchant.

    Attributes:
        offer_id, code, names: None for points.
        given: of orders that were paid; ``platform`` and ``merchant`` in minor units.
        undone: of refunds, below zero.
    """

    offer_id: UUID | None
    code: str | None
    names: LocalisedText | None
    given: Borne
    undone: Borne

    @property
    def net(self) -> Borne:
        """What is left of it."""
        return Borne(self.given.platform + self.undone.platform, self.given.merchant + self.undone.merchant)


class Borne(NamedTuple):
    """Who bears how much of a discount, in minor units."""

    platform: int = 0
    merchant: int = 0


@dataclass(frozen=True, slots=True)
class MerchantTotals:
    """What a merchant and the platform owe each other for a period, in one currency."""

    merchant_id: UUID
    merchant_code: str
    merchant_names: LocalisedText
    totals: Totals


@dataclass(frozen=True, slots=True)
class Settlement:
    """A merchant's settlement in one currency.

    Attributes:
        starts_at, ends_at: the period, half-open.
        time_zone: that the days are of.
        days: those on which anything happened.
        offers: by code, points last.
        is_final: whether it is the same whenever it is drawn up from now on.
    """

    merchant_id: UUID
    merchant_code: str
    merchant_names: LocalisedText
    currency: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    days: Sequence[DayLine]
    offers: Sequence[OfferLine]
    is_final: bool

    @property
    def totals(self) -> Totals:
        """Of the whole period."""
        return sum((line.totals for line in self.days), Totals())


async def currencies_of(
    connection: AsyncConnection,
    actor: Actor,
    starts_at: datetime,
    ends_at: datetime,
    merchant_id: UUID | None = None,
) -> list[str]:
    """In which currencies anything happened in a period, of one merchant or of all that the actor sees."""
    merchant_id = _whose(actor, merchant_id)
    found = await connection.scalars(
        select(SettlementEntry.currency).distinct().where(*_within(merchant_id, None, starts_at, ends_at))
    )
    return sorted(found)


async def settlement_of_all(
    connection: AsyncConnection, actor: Actor, currency: str, starts_at: datetime, ends_at: datetime
) -> list[MerchantTotals]:
    """What each merchant and the platform owe each other for a period, by code; without those of whom nothing is.

    A merchant's actor sees its own alone.

    Raises:
        Refusal: ``not_allowed``, ``invalid`` for a period that ends before it begins.
    """
    merchant_id = _whose(actor, None)
    _check(starts_at, ends_at)
    rows = await connection.execute(
        _figures(merchant_id, currency, starts_at, ends_at, SettlementEntry.merchant_id)
    )
    sums: dict[UUID, dict[Group, Figures]] = {}
    for row in rows:
        sums.setdefault(row.merchant_id, {})[Group(row.kind, row.collected_by)] = _figures_of(row)
    merchants = await connection.execute(
        select(Merchant.id, Merchant.code, Merchant.names)
        .where(Merchant.id.in_(list(sums)))
        .order_by(Merchant.code)
    )
    return [MerchantTotals(one.id, one.code, one.names, Totals(sums[one.id])) for one in merchants]


async def merchant_of_settlement(connection: AsyncConnection, actor: Actor, merchant_id: UUID) -> AnyRow:
    """Whose settlement it is: id, code, names.

    Raises:
        Refusal: ``not_allowed``, ``not_found``.
    """
    _whose(actor, merchant_id)
    query = select(Merchant.id, Merchant.code, Merchant.names).where(Merchant.id == merchant_id)
    merchant = (await connection.execute(query)).one_or_none()
    if merchant is None:
        raise Refusal("not_found")
    return merchant


async def settlement(
    connection: AsyncConnection,
    actor: Actor,
    merchant_id: UUID,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    time_zone: str,
    now: datetime,
) -> Settlement:
    """Draw up a merchant's settlement; its queries belong into one snapshot (see ``read_only``).

    Args:
        now: read before that snapshot.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``invalid`` for a period that ends before it begins.
    """
    _check(starts_at, ends_at)
    merchant = await merchant_of_settlement(connection, actor, merchant_id)
    local_day = func.date(func.timezone(time_zone, SettlementEntry.occurred_at)).label("day")
    rows = await connection.execute(
        _figures(merchant_id, currency, starts_at, ends_at, local_day).order_by(local_day)
    )
    days: dict[date, dict[Group, Figures]] = {}
    for row in rows:
        days.setdefault(row.day, {})[Group(row.kind, row.collected_by)] = _figures_of(row)
    return Settlement(
        merchant_id=merchant_id,
        merchant_code=merchant.code,
        merchant_names=merchant.names,
        currency=currency,
        time_zone=time_zone,
        starts_at=starts_at,
        ends_at=ends_at,
        days=[DayLine(day, Totals(groups)) for day, groups in days.items()],
        offers=await _offers(connection, merchant_id, currency, starts_at, ends_at),
        is_final=is_final(ends_at, now),
    )


async def read_only(connection: AsyncConnection) -> None:
    """Let all that is asked from here on see one snapshot: sums and lines then say the same."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def entry_lines(
    actor: Actor, merchant_id: UUID, currency: str, starts_at: datetime, ends_at: datetime
) -> AnySelect:
    """Every entry of a period as a statement lists it: in the order in which things happened.

    Columns: those of ``entries_list``.
    """
    query = entries_list(actor, merchant_id).where(*_within(merchant_id, currency, starts_at, ends_at))
    return query.order_by(SettlementEntry.occurred_at, SettlementEntry.id)


def entries_list(actor: Actor, merchant_id: UUID) -> AnySelect:
    """A merchant's entries for a list, not yet ordered.

    Columns: id, posting_id, kind, account, merchant_id, amount, currency, collected_by, order_id, number, refund_id,
    line_key, offer_id, offer_code, offer_names, note, by_name, occurred_at. A merchant's actor is told no name.
    """
    _whose(actor, merchant_id)
    return _entries(actor).where(SettlementEntry.merchant_id == merchant_id)


async def entries_of_order(connection: AsyncConnection, actor: Actor, order_id: UUID) -> Sequence[Row[Any]]:
    """What was booked for an order, in that order; columns as of ``entries_list``."""
    own = _whose(actor, None)
    query = _entries(actor).where(SettlementEntry.order_id == order_id)
    if own is not None:
        query = query.where(SettlementEntry.merchant_id == own)
    # Ids are made in the order of the postings' lines.
    return (await connection.execute(query.order_by(SettlementEntry.id))).all()


async def adjustments_of(
    connection: AsyncConnection, actor: Actor, merchant_id: UUID, *, limit: int = 50
) -> Sequence[AnyRow]:
    """A merchant's last adjustments, newest first: posting_id, amount, currency, note, by_name, occurred_at.

    The amount is what the platform owes the merchant more. A merchant's actor is told no name.
    """
    _whose(actor, merchant_id)
    rows = await connection.execute(
        select(
            SettlementEntry.posting_id,
            SettlementEntry.amount,
            SettlementEntry.currency,
            SettlementEntry.note,
            _by_name(actor),
            SettlementEntry.occurred_at,
        )
        .where(
            SettlementEntry.merchant_id == merchant_id,
            SettlementEntry.kind == "adjustment",
            SettlementEntry.account == PLATFORM,
        )
        .order_by(SettlementEntry.id.desc())
        .limit(limit)
    )
    return rows.all()


async def _offers(
    connection: AsyncConnection, merchant_id: UUID, currency: str, starts_at: datetime, ends_at: datetime
) -> list[OfferLine]:
    borne = SettlementEntry.account.in_((PLATFORM, MERCHANT_DISCOUNT))
    rows = await connection.execute(
        select(
            SettlementEntry.offer_id,
            Offer.code,
            Offer.names,
            SettlementEntry.kind,
            _sum(SettlementEntry.account == PLATFORM).label("platform"),
            _sum(SettlementEntry.account == MERCHANT_DISCOUNT).label("merchant"),
        )
        .outerjoin(Offer, Offer.id == SettlementEntry.offer_id)
        .where(
            *_within(merchant_id, currency, starts_at, ends_at), borne, SettlementEntry.kind != "adjustment"
        )
        .group_by(SettlementEntry.offer_id, Offer.code, Offer.names, SettlementEntry.kind)
        .order_by(Offer.code.nulls_last())
    )
    found: dict[UUID | None, tuple[AnyRow, dict[str, Borne]]] = {}
    for row in rows:
        _first, sums = found.setdefault(row.offer_id, (row, {}))
        sums[row.kind] = Borne(int(row.platform), int(row.merchant))
    return [
        OfferLine(offer_id, row.code, row.names, sums.get("payment", Borne()), sums.get("refund", Borne()))
        for offer_id, (row, sums) in found.items()
    ]


def _figures(
    merchant_id: UUID | None, currency: str, starts_at: datetime, ends_at: datetime, *by: Any
) -> Select[Any]:
    """Figures by some columns, and by kind and who took the money."""
    account, is_correction = SettlementEntry.account, SettlementEntry.kind == "adjustment"
    of_platform = and_(account == PLATFORM, ~is_correction)
    occasion = func.coalesce(SettlementEntry.refund_id, SettlementEntry.order_id, SettlementEntry.posting_id)
    return (
        select(
            *by,
            SettlementEntry.kind,
            SettlementEntry.collected_by,
            func.count(occasion.distinct()).label("count"),
            (-_sum(account == MERCHANT)).label("sales"),
            _sum(account == MERCHANT_DISCOUNT).label("merchant_discount"),
            _sum(and_(of_platform, SettlementEntry.offer_id.is_not(None))).label("subsidy"),
            _sum(and_(of_platform, SettlementEntry.offer_id.is_(None))).label("points"),
            _sum(account == CUSTOMER).label("paid"),
        )
        .where(*_within(merchant_id, currency, starts_at, ends_at))
        .group_by(*by, SettlementEntry.kind, SettlementEntry.collected_by)
    )


def _sum(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(SettlementEntry.amount).filter(which), 0)


def _figures_of(row: Row[Any]) -> Figures:
    # Sums of 64-bit integers come as decimals, which are exact.
    return Figures(
        int(row._mapping["count"]),
        int(row.sales),
        int(row.merchant_discount),
        int(row.subsidy),
        int(row.points),
        int(row.paid),
    )


def _entries(actor: Actor) -> AnySelect:
    return (
        select(
            SettlementEntry.id, SettlementEntry.posting_id, SettlementEntry.kind, SettlementEntry.account,
            SettlementEntry.merchant_id, SettlementEntry.amount, SettlementEntry.currency,
            SettlementEntry.collected_by, SettlementEntry.order_id, CartOrder.number, SettlementEntry.refund_id,
            SettlementEntry.line_key, SettlementEntry.offer_id, Offer.code.label("offer_code"),
            Offer.names.label("offer_names"), SettlementEntry.note, _by_name(actor),
            SettlementEntry.occurred_at,
        )
        .outerjoin(
            CartOrder,
            and_(CartOrder.member_id == SettlementEntry.member_id, CartOrder.id == SettlementEntry.order_id),
        )
        .outerjoin(Offer, Offer.id == SettlementEntry.offer_id)
    )  # fmt: skip


def _by_name(actor: Actor) -> ColumnElement[Any]:
    """Who booked it. Only the operator's people book adjustments; who of them did is not the merchant's business."""
    return (SettlementEntry.by_name if actor.merchant_id is None else null()).label("by_name")


def _within(
    merchant_id: UUID | None, currency: str | None, starts_at: datetime, ends_at: datetime
) -> Iterable[ColumnElement[bool]]:
    yield SettlementEntry.occurred_at >= starts_at
    yield SettlementEntry.occurred_at < ends_at
    if currency is not None:
        yield SettlementEntry.currency == currency
    if merchant_id is None:
        # All of them, and yet by the index, which is of merchants and times.
        yield SettlementEntry.merchant_id.in_(select(Merchant.id))
    else:
        yield SettlementEntry.merchant_id == merchant_id


def _whose(actor: Actor, merchant_id: UUID | None) -> UUID | None:
    """Whose settlement the actor may see of what it asks for; None for everybody's."""
    actor.require("settlement.read")
    if merchant_id is None:
        return actor.merchant_id
    actor.require_merchant(merchant_id)
    return merchant_id


def _check(starts_at: datetime, ends_at: datetime) -> None:
    if starts_at >= ends_at:
        raise Refusal("invalid", fields={"ends_at": _("The end must lie after the start.")})
