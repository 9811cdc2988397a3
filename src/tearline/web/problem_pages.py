"""The pages that the ``type`` of a problem document leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from tearline.core.refusal import REASONS, Refusal
from tearline.i18n import translate
from tearline.web.problems import INTERNAL_ERROR, INTERNAL_SENTENCE
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render

AnyRequest = Request[Any, Any, Any]

_PLACEHOLDER = re.compile(r"%\(\w+\)s")


@dataclass(frozen=True, slots=True)
class ShownReason:
    """A reason as the page shows it."""

    name: str
    status: int
    sentence: str


def _reasons(language: str) -> list[ShownReason]:
    known = [(name, reason.status, reason.sentence) for name, reason in REASONS.items()]
    known.append((INTERNAL_ERROR, 500, INTERNAL_SENTENCE))
    # A sentence without a refusal at hand has no values to fill in.
    return [
        ShownReason(name, status, _PLACEHOLDER.sub("…", translate(language, sentence)))
        for name, status, sentence in known
    ]


@get("/problems")
async def all_reasons(request: AnyRequest) -> Response[str]:
    """Every reason that there is."""
    return render(request, "problems.html", reasons=_reasons(language_of(request)), is_single=False)


@get("/problems/{name:str}")
async def one_reason(request: AnyRequest, name: FromPath[str]) -> Response[str]:
    """One reason."""
    found = [reason for reason in _reasons(language_of(request)) if reason.name == name]
    if not found:
        raise Refusal("not_found")
    return render(request, "problems.html", reasons=found, is_single=True)


HANDLERS: list[Any] = [all_reasons, one_reason]
