"""Settlement: what each merchant and the platform owe each other for a period, and one merchant's statement of it."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.entries import LONGEST_NOTE, adjust
from tearline.checkout.statement_files import overview_file
from tearline.checkout.statements import (
    MerchantTotals,
    Totals,
    adjustments_of,
    merchant_of_settlement,
    read_only,
    settlement_of_all,
)
from tearline.core.money import MAXIMUM_AMOUNT
from tearline.core.settlement import is_final
from tearline.i18n import _, localised
from tearline.i18n.formats import major_units
from tearline.merchants.idempotency import caller_of, fingerprint_of, remember, remembered
from tearline.merchants.model import AnyRow
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import CURRENCIES, save, show
from tearline.web.settling import (
    asked,
    checked_bounds,
    file_answer,
    merchant_settlement,
    merchant_settlement_file,
    settlement_words,
)
from tearline.web.ui.forms import BoundForm, Choice, Form, Money, Text
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

_MOST_IN_PLOT = 20
"""Merchants; those who owe or are owed most."""


def adjustment_form(currency: str) -> Form:
    """The form of a correction."""
    return Form(
        Choice(
            "direction",
            _("Who owes more from now on"),
            choices=[("platform", _("The platform owes the merchant more")),
                     ("merchant", _("The merchant owes the platform more"))],
            is_open=True,
            default="platform",
        ),
        Choice("currency", _("Currency"), choices=CURRENCIES, default=currency),
        Money("amount", _("Amount"), currency=currency, currency_field="currency", minimum_minor_units=1,
              maximum_minor_units=MAXIMUM_AMOUNT),
        Text("note", _("Note"), maximum_length=LONGEST_NOTE,
             help=_("Why; the merchant reads it on its statement.")),
    )  # fmt: skip


@get("/settlement")
async def show_overview(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """A row for each merchant, and a plot of who owes whom; of the last thirty days unless others are asked for."""
    now = services.now()
    async with services.database.connection() as connection:
        await read_only(connection)
        actor.require("settlement.read")
        wanted = await asked(request, services, connection, actor)
        found: list[MerchantTotals] = []
        if wanted.period.is_valid:
            found = await settlement_of_all(connection, actor, wanted.currency, *wanted.period.bounds)
    whole = sum((one.totals for one in found), Totals())
    return show(
        request,
        "settlement.html",
        status_code=wanted.period.form.status_code,
        asked=wanted,
        months=wanted.period.months(now),
        found=found,
        is_final=not wanted.period.is_valid or is_final(wanted.period.bounds[1], now),
        whole=whole,
        plotted=_plotted(found, wanted.currency, language_of(request)),
        most_in_plot=_MOST_IN_PLOT,
    )


def _plotted(
    found: list[MerchantTotals], currency: str, language: str
) -> tuple[list[str], list[float], list[float]]:
    """The merchants of the plot, and of each what it is owed and what it owes, the latter below zero."""
    largest = sorted(found, key=lambda one: -abs(one.totals.payable))[:_MOST_IN_PLOT]
    largest.sort(key=lambda one: -one.totals.payable)
    owed = [float(major_units(one.totals.payable, currency)) for one in largest]
    names = [localised(one.merchant_names, language) for one in largest]
    return names, [max(amount, 0.0) for amount in owed], [min(amount, 0.0) for amount in owed]


@get("/settlement/file")
async def download_overview(
    request: AnyRequest, services: GivenServices, actor: GivenActor
) -> Response[bytes]:
    """The rows as a workbook or a document."""
    actor.require("settlement.read")
    async with services.database.connection() as connection:
        wanted = await asked(request, services, connection, actor)
    bounds, is_excel = checked_bounds(wanted), request.query_params.get("format") == "xlsx"
    name, content = await overview_file(
        services.database,
        actor,
        wanted.currency,
        *bounds,
        wanted.period.time_zone,
        services.now(),
        kind="xlsx" if is_excel else "pdf",
        language=language_of(request),
    )
    return file_answer(name, content, is_excel=is_excel)


@get("/merchants/{merchant_id:uuid}/settlement")
async def show_settlement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """One merchant's settlement, and the corrections that were made."""
    async with services.database.connection() as connection:
        merchant = await merchant_of_settlement(connection, actor, merchant_id)
        adjustments = await adjustments_of(connection, actor, merchant_id)
    wanted, drawn = await merchant_settlement(request, services, actor, merchant_id)
    return show(
        request,
        "merchant_settlement.html",
        status_code=wanted.period.form.status_code,
        merchant=merchant,
        asked=wanted,
        months=wanted.period.months(services.now()),
        drawn=drawn,
        adjustments=adjustments,
        **settlement_words(),
    )


@get("/merchants/{merchant_id:uuid}/settlement/file")
async def download_settlement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[bytes]:
    """It as the workbook with every entry, or as the document."""
    return await merchant_settlement_file(request, services, actor, merchant_id)


@get("/merchants/{merchant_id:uuid}/settlement/adjust")
async def new_adjustment(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The empty form of a correction."""
    actor.require("settlement.write")
    async with services.database.connection() as connection:
        merchant = await merchant_of_settlement(connection, actor, merchant_id)
    return _adjustment_page(request, merchant, adjustment_form(settings_of(request).currency).blank())


@post("/merchants/{merchant_id:uuid}/settlement/adjust")
async def create_adjustment(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """First ask whether it is meant, then book it; sent twice, it is booked once."""
    actor.require("settlement.write")
    async with services.database.connection() as connection:
        merchant = await merchant_of_settlement(connection, actor, merchant_id)
    form = await adjustment_form(settings_of(request).currency).read(request)
    number = form.inputs.first("request")
    if not form.is_valid or not number:
        return _adjustment_page(request, merchant, form)
    amount = form.values["amount"] * (1 if form.values["direction"] == "platform" else -1)
    currency, note = form.values["currency"], form.values["note"]

    async def work(tx: AsyncConnection) -> None:
        fingerprint = fingerprint_of("POST", request.url.path, f"{amount} {currency} {note}".encode())
        caller = caller_of(actor.kind, actor.id)
        if await remembered(tx, caller, number[:100], fingerprint, services.now()) is None:
            posting_id = await adjust(tx, actor, merchant_id, amount, currency, note, services.now())
            await remember(tx, caller, number[:100], status=201, answer={"posting_id": posting_id})

    if await save(services, form, work) is None:
        return _adjustment_page(request, merchant, form)
    return redirect(
        request, f"/console/merchants/{merchant_id}/settlement", flash=_("The adjustment is booked.")
    )


def _adjustment_page(request: AnyRequest, merchant: AnyRow, form: BoundForm) -> Response[str]:
    return show(
        request,
        "adjustment.html",
        status_code=form.status_code,
        merchant=merchant,
        form=form,
        # By which the confirmed one is known when it is sent twice.
        number=secrets.token_hex(16),
    )


HANDLERS = [
    show_overview,
    download_overview,
    show_settlement,
    download_settlement,
    new_adjustment,
    create_adjustment,
]
