"""Uses that a partner reports as a file: taken, and summed up."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.merchants.model import AnyRow
from tearline.merchants.reads import merchant_by_id
from tearline.sales.use_files import MOST_BYTES, UseReport, report_file
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.refusing import refusal_text
from tearline.web.security import CSRF_FIELD, READS_OWN_FORM, require_csrf
from tearline.web.services import Services
from tearline.web.ui.page import language_of, settings_of
from tearline.web.uploads import FORM_LIMIT_BYTES, sent_file

OUTCOME_NAMES = {
    "used": _("redeemed now"),
    "already": _("reported before"),
    "not_sold": _("Not sold"),
    "unknown": _("Unknown code"),
    "void": _("Cancelled code"),
    "invalid": _("Unreadable row"),
}


@get("/merchants/{merchant_id:uuid}/uses")
async def uses_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Where a partner's file of uses is uploaded."""
    merchant = await _merchant(services, actor, merchant_id)
    return _page(request, merchant)


@post(
    "/merchants/{merchant_id:uuid}/uses",
    opt={READS_OWN_FORM: True},
    request_max_body_size=MOST_BYTES + FORM_LIMIT_BYTES,
)
async def take_uses(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Take the file, and say what became of its rows."""
    merchant = await _merchant(services, actor, merchant_id)
    sent = await sent_file(request, "file")
    require_csrf(request, sent.texts.get(CSRF_FIELD, ""))
    try:
        with tempfile.TemporaryDirectory(prefix="tearline-uses-") as directory:
            path = Path(directory) / "uses"
            await _store(sent.chunks, path)
            report = await report_file(
                services.database,
                actor,
                merchant_id,
                path,
                sent.name,
                settings_of(request).time_zone,
                services.now(),
            )
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed"):
            raise
        problem = refusal_text(refusal, language_of(request))
        return _page(request, merchant, problem=problem, status_code=refusal.status)
    return _page(request, merchant, report=report)


async def _merchant(services: Services, actor: Actor, merchant_id: UUID) -> AnyRow:
    actor.require("codes.write")
    async with services.database.connection() as connection:
        return await merchant_by_id(connection, actor, merchant_id)


async def _store(chunks: AsyncIterator[bytes], path: Path) -> None:
    size_bytes = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > MOST_BYTES:
                raise Refusal("too_large")
            await asyncio.to_thread(file.write, chunk)


def _page(
    request: AnyRequest,
    merchant: AnyRow,
    *,
    report: UseReport | None = None,
    problem: str = "",
    status_code: int = 200,
) -> Response[str]:
    return show(
        request,
        "uses.html",
        status_code=status_code,
        merchant=merchant,
        report=report,
        problem=problem,
        outcome_names=OUTCOME_NAMES,
    )


HANDLERS = [uses_page, take_uses]
