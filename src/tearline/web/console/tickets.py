"""Offers as the console draws them: the ticket's stub, and the offer in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tearline.core import offers as core
from tearline.i18n import localised, translate
from tearline.offers import stored
from tearline.offers.describe import (
    Stub,
    condition_text,
    stub_value,
    validity_text,
    value_text,
    where_text,
)


@dataclass(frozen=True, slots=True)
class OfferFace:
    """What ``ui.ticket`` is given, and the words beside it."""

    stub: Stub
    title: str
    name: str
    edge: str
    value: str
    conditions: str
    when: str
    where: str

    @property
    def lines(self) -> list[str]:
        """The ticket's lines below its title."""
        return [line for line in (self.name if self.name != self.title else "", self.when) if line]


@dataclass(frozen=True, slots=True)
class _DraftRow:
    """A draft with the columns that ``offers.describe`` asks for."""

    benefit: Mapping[str, Any]
    currency: str
    minimum_spend: int
    validity: Mapping[str, Any]
    time_zone: str


def face_of(
    offer: Any,
    language: str,
    *,
    merchant_names: Sequence[Mapping[str, str]] | None = None,
    store_names: Sequence[Mapping[str, str]] = (),
) -> OfferFace:
    """An offer of the library: a ticket, or a row with its columns.

    Args:
        merchant_names, store_names: as ``offers.reads.where_names`` answers them; without, nothing is said of
            where it can be used.
    """
    where = ""
    if merchant_names is not None:
        where = where_text(
            language, merchant_names=merchant_names, store_names=store_names, store_ids=offer.store_ids
        )
    name = localised(offer.names, language)
    owner = localised(offer.merchant_names, language) if offer.merchant_names else name
    return _face(offer, name, owner, offer.merchant_edge or "vermilion", where, language)


def face_of_draft(draft: core.OfferDraft, owner: Any, language: str) -> OfferFace:
    """An offer that is still being typed; ``owner`` has its merchant's ``names`` and ``edge``, or is None."""
    row = _DraftRow(
        stored.benefit_json(draft.benefit),
        draft.currency,
        draft.minimum_spend,
        stored.validity_json(draft.validity),
        draft.time_zone,
    )
    name = localised(draft.names, language) or translate(language, "Name")
    title = localised(owner.names, language) if owner is not None else name
    return _face(row, name, title, owner.edge if owner is not None else "vermilion", "", language)


def _face(offer: Any, name: str, title: str, edge: str, where: str, language: str) -> OfferFace:
    benefit = stored.benefit_from(offer.benefit)
    return OfferFace(
        stub=stub_value(offer, language),
        title=title,
        name=name,
        edge=edge,
        value=value_text(benefit, offer.currency, language),
        conditions=condition_text(offer, language),
        when=validity_text(offer, language),
        where=where,
    )
