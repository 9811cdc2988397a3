"""Saying what was refused on a page of staff: as one paragraph, or on the page that one goes back to."""

from __future__ import annotations

from typing import Any

from litestar import Response

from tearline.core.refusal import Refusal
from tearline.i18n import _, translate
from tearline.web.access import AnyRequest
from tearline.web.problems import field_sentences, sentence_of
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect


def refused(request: AnyRequest, path: str, refusal: Refusal) -> Response[Any]:
    """Go to ``path``, where it's said what was refused."""
    text = refusal_text(refusal, language_of(request))
    return redirect(request, path, flash="%(text)s", kind="bad", text=text)


def refusal_text(refusal: Refusal, language: str) -> str:
    """All that a refusal says, in one paragraph."""
    sentences = []
    for path, problem in field_sentences(refusal, language).items():
        head, _dot, position = path.partition(".")
        number = position.partition(".")[0]
        if head in ("prizes", "items") and number.isdigit():
            whose = _("Prize %(n)s: %(problem)s") if head == "prizes" else _("Voucher %(n)s: %(problem)s")
            sentences.append(translate(language, whose, n=int(number) + 1, problem=problem))
        else:
            sentences.append(problem)
    return " ".join(dict.fromkeys(sentences)) or sentence_of(refusal, language)
