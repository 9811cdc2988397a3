"""Campaigns of every kind as the shop's banners show them."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tearline.campaigns.reads import CampaignPage
from tearline.sales.reads import SalePage
from tearline.web.ui.assets import picture_url
from tearline.web.ui.rendering import text_in


@dataclass(frozen=True, slots=True)
class Card:
    """A campaign as its banner shows it."""

    page: CampaignPage | SalePage
    name: Markup
    description: Markup
    picture: str | None
    state: str
    """``scheduled``, ``running``, ``ended``, ``paused`` or ``gone`` (everything given out or sold)."""

    @property
    def href(self) -> str:
        """The campaign's page."""
        return f"/c/{self.page.code}"

    @property
    def is_sale(self) -> bool:
        """Whether it sells, rather than gives."""
        return isinstance(self.page, SalePage)


def card_of(page: CampaignPage | SalePage, language: str) -> Card:
    """The campaign for its banner."""
    return Card(
        page=page,
        name=text_in(page.names, language),
        description=text_in(page.descriptions, language),
        picture=picture_url(page.image),
        state=_state_of(page),
    )


def _state_of(page: CampaignPage | SalePage) -> str:
    if page.window == "ended":
        return "ended"
    if page.is_paused:
        return "paused"
    if page.window == "running" and page.left == 0:
        return "gone"
    return page.window
