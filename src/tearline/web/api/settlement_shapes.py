"""The answers and bodies of settlement: who owes whom for the orders of carts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from tearline.checkout.statements import (
    Borne,
    DayLine,
    Figures,
    MerchantTotals,
    OfferLine,
    Settlement,
    Totals,
)
from tearline.web.api.shapes import Answer, Body, Currency, Texts

EntryKind: TypeAlias = Literal["payment", "refund", "adjustment"]
Collector: TypeAlias = Literal["platform", "merchant"]
Account: TypeAlias = Literal["customer", "platform", "merchant_discount", "merchant"]


class FiguresAnswer(Answer):
    """Sums over orders, or over refunds, where they are below zero; in minor units.

    What was sold, before discounts, is what the merchant bears, what the platform bears as subsidy and as points, and
    what customers paid.
    """

    count: int
    sales: int
    merchant_discount: int
    subsidy: int
    points: int
    paid: int


class CollectedAnswer(Answer):
    """What happened of orders of which one took the customers' money; what the platform owes the merchant for it."""

    collected_by: Collector
    payments: FiguresAnswer
    refunds: FiguresAnswer
    payable: int


class SettlementTotals(Answer):
    """Who owes whom: the platform the merchant `payable`, or the merchant the platform where it is below zero."""

    collected: list[CollectedAnswer]
    """By who took the customers' money; without those of whom nothing is."""
    adjustments: int
    """What corrections come to."""
    adjustment_count: int
    payable: int


class MerchantSettlementRow(Answer):
    """A merchant among all."""

    merchant_id: UUID
    merchant_code: str
    merchant_names: Texts
    totals: SettlementTotals


class SettlementOverview(Answer):
    """What each merchant and the platform owe each other for a half-open period, in one currency."""

    currency: Currency
    starts_at: datetime
    ends_at: datetime
    is_final: bool
    """Whether nothing is added any more: the period ended ten minutes ago or earlier."""
    items: list[MerchantSettlementRow]


class SettlementDay(Answer):
    """One day of a settlement; days without anything are left out."""

    day: date
    totals: SettlementTotals


class BorneAnswer(Answer):
    """Who bears how much of a discount."""

    platform: int
    merchant: int


class SettlementOffer(Answer):
    """What an offer took off in the period, and what refunds undid of it; of points without an offer."""

    offer_id: UUID | None
    offer_code: str | None
    offer_names: Texts | None
    given: BorneAnswer
    undone: BorneAnswer
    net: BorneAnswer


class SettlementAnswer(Answer):
    """A merchant's settlement in one currency, of a half-open period."""

    merchant_id: UUID
    merchant_code: str
    merchant_names: Texts
    currency: Currency
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    is_final: bool
    """Whether nothing is added any more: the period ended ten minutes ago or earlier."""
    totals: SettlementTotals
    days: list[SettlementDay]
    offers: list[SettlementOffer]


class SettlementEntryAnswer(Answer):
    """One side of a posting: debits are positive, credits negative, and each posting sums to zero."""

    id: UUID
    posting_id: UUID
    kind: EntryKind
    account: Account
    merchant_id: UUID
    amount: int
    currency: Currency
    collected_by: Collector | None
    order_id: UUID | None
    number: str | None
    """Of the order."""
    refund_id: UUID | None
    line_key: str | None
    offer_id: UUID | None
    offer_code: str | None
    note: str | None
    by_name: str | None
    """Who made an adjustment, for the operator's keys. A merchant's key is not told: it was the platform."""
    occurred_at: datetime


class NewAdjustment(Body):
    """A correction of what platform and merchant owe each other."""

    amount: Annotated[
        int,
        Meta(
            ge=-(2**53),
            le=2**53,
            description="Minor units that the platform owes the merchant more; below zero for less; not zero.",
        ),
    ]
    currency: Currency
    note: Annotated[str, Meta(max_length=2000, description="Why, for whoever reads the statement.")]


class AdjustmentAnswer(Answer):
    """A correction that was booked."""

    posting_id: UUID
    merchant_id: UUID
    amount: int
    currency: Currency
    note: str
    by_name: str
    occurred_at: datetime


def overview_answer(
    found: list[MerchantTotals], currency: str, starts_at: datetime, ends_at: datetime, *, is_final: bool
) -> SettlementOverview:
    """All merchants' settlement."""
    return SettlementOverview(
        currency=currency,
        starts_at=starts_at,
        ends_at=ends_at,
        is_final=is_final,
        items=[
            MerchantSettlementRow(
                merchant_id=one.merchant_id,
                merchant_code=one.merchant_code,
                merchant_names=one.merchant_names,
                totals=_totals(one.totals),
            )
            for one in found
        ],
    )


def settlement_answer(drawn: Settlement) -> SettlementAnswer:
    """A settlement without its single entries."""
    return SettlementAnswer(
        merchant_id=drawn.merchant_id,
        merchant_code=drawn.merchant_code,
        merchant_names=drawn.merchant_names,
        currency=drawn.currency,
        time_zone=drawn.time_zone,
        starts_at=drawn.starts_at,
        ends_at=drawn.ends_at,
        is_final=drawn.is_final,
        totals=_totals(drawn.totals),
        days=[_day(one) for one in drawn.days],
        offers=[_offer(one) for one in drawn.offers],
    )


def entry_answer(row: Any) -> SettlementEntryAnswer:
    """An entry in a list."""
    return msgspec.convert(row, SettlementEntryAnswer, from_attributes=True)


def _totals(totals: Totals) -> SettlementTotals:
    collectors: tuple[Collector, ...] = ("platform", "merchant")
    collected = [
        CollectedAnswer(
            collected_by=collector,
            payments=_figures(totals.of("payment", collector)),
            refunds=_figures(totals.of("refund", collector)),
            payable=totals.only(collected_by=collector).payable,
        )
        for collector in collectors
        if not totals.only(collected_by=collector).is_empty
    ]
    return SettlementTotals(
        collected=collected,
        adjustments=totals.adjustments,
        adjustment_count=totals.of("adjustment").count,
        payable=totals.payable,
    )


def _figures(figures: Figures) -> FiguresAnswer:
    return msgspec.convert(figures, FiguresAnswer, from_attributes=True)


def _day(line: DayLine) -> SettlementDay:
    return SettlementDay(day=line.day, totals=_totals(line.totals))


def _offer(line: OfferLine) -> SettlementOffer:
    return SettlementOffer(
        offer_id=line.offer_id,
        offer_code=line.code,
        offer_names=line.names,
        given=_borne(line.given),
        undone=_borne(line.undone),
        net=_borne(line.net),
    )


def _borne(borne: Borne) -> BorneAnswer:
    return BorneAnswer(platform=borne.platform, merchant=borne.merchant)
