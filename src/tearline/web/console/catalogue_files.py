"""Uploads to the catalogue: a file of products, categories or brands, and what came of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.catalogue import files
from tearline.catalogue.files import KINDS, MOST_BYTES, FileOutcome
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.refusing import refusal_text
from tearline.web.security import CSRF_FIELD, READS_OWN_FORM, require_csrf
from tearline.web.ui.exports import CSV_MEDIA_TYPE, attachment
from tearline.web.ui.page import language_of
from tearline.web.uploads import FORM_LIMIT_BYTES, sent_file

KIND_NAMES = {"products": _("Products"), "categories": _("Categories"), "brands": _("Brands")}
TITLES = {
    "products": _("Upload products"),
    "categories": _("Upload categories"),
    "brands": _("Upload brands"),
}
HOMES = {
    "products": "/console/catalogue",
    "categories": "/console/catalogue/categories",
    "brands": "/console/catalogue/brands",
}


@get("/catalogue/templates/{kind:str}")
async def template(actor: GivenActor, kind: FromPath[str]) -> Response[bytes]:
    """A CSV file with the columns that are read, and an example."""
    content = files.template_csv(_known(kind), actor)
    return Response(content, media_type=CSV_MEDIA_TYPE, headers=attachment(f"{kind}.csv"))


@get("/catalogue/upload/{kind:str}")
async def upload_page(request: AnyRequest, actor: GivenActor, kind: FromPath[str]) -> Response[str]:
    """Where a file is uploaded."""
    actor.require("catalogue.write")
    return _page(request, _known(kind))


@post(
    "/catalogue/upload/{kind:str}",
    opt={READS_OWN_FORM: True},
    request_max_body_size=MOST_BYTES + FORM_LIMIT_BYTES,
)
async def upload(
    request: AnyRequest, services: GivenServices, actor: GivenActor, kind: FromPath[str]
) -> Response[Any]:
    """Put what the file holds, and say what became of it, or which rows are in the way."""
    actor.require("catalogue.write")
    _known(kind)
    sent = await sent_file(request, "file")
    require_csrf(request, sent.texts.get(CSRF_FIELD, ""))
    try:
        with tempfile.TemporaryDirectory(prefix="tearline-catalogue-") as directory:
            # The reader of XLSX goes by the name's ending; the others do not look at it.
            path = Path(directory) / "catalogue.xlsx"
            await files.stored(sent.chunks, path)
            outcome = await files.import_file(services.database, actor, kind, path, sent.name, services.now())
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed"):
            raise
        problem = refusal_text(refusal, language_of(request))
        return _page(request, kind, problem=problem, status_code=refusal.status)
    return _page(request, kind, outcome=outcome, status_code=200 if outcome.counts else 422)


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise Refusal("not_found")
    return kind


def _page(
    request: AnyRequest,
    kind: str,
    *,
    outcome: FileOutcome | None = None,
    problem: str = "",
    status_code: int = 200,
) -> Response[str]:
    return show(
        request,
        "catalogue_upload.html",
        status_code=status_code,
        kind=kind,
        kind_names=KIND_NAMES,
        title_text=TITLES[kind],
        home=HOMES[kind],
        columns=files.columns_of(kind),
        outcome=outcome,
        problem=problem,
        most_megabytes=MOST_BYTES // 1024**2,
    )


HANDLERS: list[Any] = [template, upload_page, upload]
