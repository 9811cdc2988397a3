"""Answers about figures."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from tearline.insight.reads import CampaignFigures
from tearline.web.api.shapes import Answer, Texts


class PrizeFiguresAnswer(Answer):
    """A prize's stock."""

    prize_id: UUID
    position: int
    names: Texts
    inventory: int
    claimed: int
    left: int


class HourFiguresAnswer(Answer):
    """One hour of a campaign; hours without claims are there too."""

    hour: datetime
    claims: int
    claims_by_prize: dict[str, int]
    redemptions: int


class OfferFiguresAnswer(Answer):
    """Redemptions of an offer, less those that were reversed."""

    offer_id: UUID
    code: str
    names: Texts
    redemptions: int
    reversals: int


class FiguresAnswer(Answer):
    """A campaign in numbers."""

    campaign_id: UUID
    time_zone: str
    inventory: int
    claimed: int
    left: int
    redemptions: int
    reversals: int
    prizes: list[PrizeFiguresAnswer]
    hours: list[HourFiguresAnswer]
    offers: list[OfferFiguresAnswer]


def figures_answer(figures: CampaignFigures) -> FiguresAnswer:
    """A campaign's figures as the API answers them."""
    hours = [
        HourFiguresAnswer(
            hour=hour.hour,
            claims=hour.claims,
            claims_by_prize={str(prize_id): claims for prize_id, claims in hour.claims_by_prize.items()},
            redemptions=hour.redemptions,
        )
        for hour in figures.hours
    ]
    return FiguresAnswer(
        campaign_id=figures.campaign_id,
        time_zone=figures.time_zone,
        inventory=figures.inventory,
        claimed=figures.claimed,
        left=figures.left,
        redemptions=figures.redemptions,
        reversals=figures.reversals,
        prizes=msgspec.convert(figures.prizes, list[PrizeFiguresAnswer], from_attributes=True),
        hours=hours,
        offers=msgspec.convert(figures.offers, list[OfferFiguresAnswer], from_attributes=True),
    )
