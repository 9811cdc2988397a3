"""What pages of settlement share, whoever's face they are: which currency, whose statement, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.statement_files import (
    ACCOUNT_NAMES,
    COLLECTOR_NAMES,
    ENTRY_KIND_NAMES,
    KIND_NAMES,
    settlement_file,
)
from tearline.checkout.statements import Settlement, currencies_of, read_only, settlement
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.web.access import AnyRequest
from tearline.web.periods import Period, period_of
from tearline.web.services import Services
from tearline.web.ui.exports import XLSX_MEDIA_TYPE, attachment
from tearline.web.ui.page import language_of, settings_of

RECENT_DAYS = 30


@dataclass(frozen=True)
class Asked:
    """What a page of settlement was asked for.

    Attributes:
        currencies: in which anything happened in the period.
        currency: the one that is shown; one of them, if there are any.
    """

    period: Period
    currencies: Sequence[str]
    currency: str

    @property
    def query(self) -> dict[str, str]:
        """What an address says to be about the same."""
        return {**self.period.query, "currency": self.currency}


async def asked(
    request: AnyRequest,
    services: Services,
    connection: AsyncConnection,
    actor: Actor,
    merchant_id: UUID | None = None,
) -> Asked:
    """The period and the currency that an address asks for, of one merchant or of all."""
    settings = settings_of(request)
    period = period_of(request, services.now(), settings.time_zone, recent_days=RECENT_DAYS)
    if not period.is_valid:
        return Asked(period, [], settings.currency)
    currencies = await currencies_of(connection, actor, *period.bounds, merchant_id)
    wanted = request.query_params.get("currency", settings.currency)
    shown = wanted if wanted in currencies or not currencies else currencies[0]
    return Asked(period, currencies, shown if currencies else settings.currency)


async def merchant_settlement(
    request: AnyRequest, services: Services, actor: Actor, merchant_id: UUID
) -> tuple[Asked, Settlement | None]:
    """A merchant's settlement as its page shows it; None where the days cannot be used."""
    now = services.now()
    async with services.database.connection() as connection:
        await read_only(connection)
        wanted = await asked(request, services, connection, actor, merchant_id)
        if not wanted.period.is_valid:
            return wanted, None
        drawn = await settlement(
            connection,
            actor,
            merchant_id,
            wanted.currency,
            *wanted.period.bounds,
            wanted.period.time_zone,
            now,
        )
    return wanted, drawn


async def merchant_settlement_file(
    request: AnyRequest, services: Services, actor: Actor, merchant_id: UUID
) -> Response[bytes]:
    """A merchant's settlement as the workbook with every entry, or as the document, as the address asks."""
    async with services.database.connection() as connection:
        wanted = await asked(request, services, connection, actor, merchant_id)
    bounds, is_excel = checked_bounds(wanted), request.query_params.get("format") == "xlsx"
    name, content = await settlement_file(
        services.database,
        actor,
        merchant_id,
        wanted.currency,
        *bounds,
        wanted.period.time_zone,
        services.now(),
        kind="xlsx" if is_excel else "pdf",
        language=language_of(request),
    )
    return file_answer(name, content, is_excel=is_excel)


def checked_bounds(wanted: Asked) -> tuple[datetime, datetime]:
    """The period of a file; a file can't show what is wrong with the days."""
    if not wanted.period.is_valid:
        raise Refusal("malformed")
    return wanted.period.bounds


def file_answer(name: str, content: bytes, *, is_excel: bool) -> Response[bytes]:
    """A file to be kept."""
    media_type = XLSX_MEDIA_TYPE if is_excel else "application/pdf"
    return Response(content, media_type=media_type, headers=attachment(name))


def settlement_words() -> dict[str, Any]:
    """What the templates of settlement need: English words, to be translated."""
    return {
        "collector_names": COLLECTOR_NAMES,
        "kind_names": KIND_NAMES,
        "entry_kind_names": ENTRY_KIND_NAMES,
        "account_names": ACCOUNT_NAMES,
    }
