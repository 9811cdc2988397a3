"""Uses that a partner reports as a file, whoever's face takes it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.sales.use_files import MOST_BYTES, UseReport, report_file
from tearline.web.access import AnyRequest
from tearline.web.refusing import refusal_text
from tearline.web.security import CSRF_FIELD, READS_OWN_FORM, require_csrf
from tearline.web.services import Services
from tearline.web.ui.page import language_of, settings_of
from tearline.web.uploads import FORM_LIMIT_BYTES, sent_file

TAKES_USES: dict[str, Any] = {
    "opt": {READS_OWN_FORM: True},
    "request_max_body_size": MOST_BYTES + FORM_LIMIT_BYTES,
}
"""What the handler of such a form is decorated with."""
_OUTCOME_NAMES = {
    "used": _("redeemed now"),
    "already": _("reported before"),
    "not_sold": _("Not sold"),
    "unknown": _("Unknown code"),
    "void": _("Cancelled code"),
    "invalid": _("Unreadable row"),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a file.

    Attributes:
        report: None before any, and when the file could not be taken.
        problem: why it could not, in the reader's language.
    """

    report: UseReport | None = None
    problem: str = ""
    status_code: int = 200

    def words(self) -> dict[str, Any]:
        """What the template needs."""
        return {"report": self.report, "problem": self.problem, "outcome_names": _OUTCOME_NAMES}


async def take_use_file(request: AnyRequest, services: Services, actor: Actor, merchant_id: UUID) -> Taken:
    """Take the file that a form sends; ``not_found`` and ``not_allowed`` are raised."""
    actor.require("codes.write")
    actor.require_merchant(merchant_id)
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
        return Taken(problem=refusal_text(refusal, language_of(request)), status_code=refusal.status)
    return Taken(report)


async def _store(chunks: AsyncIterator[bytes], path: Path) -> None:
    size_bytes = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > MOST_BYTES:
                raise Refusal("too_large")
            await asyncio.to_thread(file.write, chunk)
