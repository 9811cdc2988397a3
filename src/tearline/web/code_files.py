"""Uploads of partners' codes: the file comes in, is looked at, is imported while the page watches, is summed up."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Stream
from xlsxwriter.utility import xl_col_to_name

from tearline.core.pools import PROBLEMS, CodeRule, check_rule
from tearline.core.refusal import REASONS, Refusal
from tearline.core.roles import Actor
from tearline.db import transaction
from tearline.i18n import _, translate
from tearline.pools import files, importing, reads
from tearline.pools.files import MOST_BYTES, MOST_COLUMNS, FilePreview
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.code_imports import begin_import
from tearline.web.code_pools import FILE_STATE_KINDS, FILE_STATE_NAMES, SOURCE_NAMES
from tearline.web.code_rule import RULE_FIELDS, import_form, rule_from, rule_words, values_of
from tearline.web.faces import Face, GivenFace
from tearline.web.refusing import refusal_text, refused
from tearline.web.security import CSRF_FIELD, READS_OWN_FORM, require_csrf
from tearline.web.services import Services
from tearline.web.ui.exports import CSV_MEDIA_TYPE, XLSX_MEDIA_TYPE, attached, attachment
from tearline.web.ui.forms import BoundForm
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect
from tearline.web.uploads import FORM_LIMIT_BYTES, sent_file

DELIMITER_NAMES = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("vertical bar")}
OUTCOME_NAMES = {
    "added": _("Added"),
    "duplicate": _("Twice in the file"),
    "held": _("There before"),
    "invalid": _("Invalid"),
}


@get("/pools/{pool_id:uuid}/upload")
async def upload_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, face: GivenFace, pool_id: FromPath[UUID]
) -> Response[str]:
    """The form on a page of its own."""
    return await _upload_page(face, request, services, actor, pool_id)


@post(
    "/pools/{pool_id:uuid}/upload",
    opt={READS_OWN_FORM: True},
    request_max_body_size=MOST_BYTES + FORM_LIMIT_BYTES,
)
async def upload(
    request: AnyRequest, services: GivenServices, actor: GivenActor, face: GivenFace, pool_id: FromPath[UUID]
) -> Response[Any]:
    """Take the file as it arrives; then it is to be looked at.

    The page's script asks for JSON, and is told where to go next, or what is wrong.
    """
    try:
        file_id = await _receive(face, request, services, actor, pool_id)
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed", "csrf") and not _is_script(request):
            raise
        text = refusal_text(refusal, language_of(request))
        if _is_script(request):
            return _json({"detail": text}, refusal.status)
        return await _upload_page(
            face, request, services, actor, pool_id, problem=text, status_code=refusal.status
        )
    path = face.path(f"pools/{pool_id}/files/{file_id}")
    return _json({"next": path}, 200) if _is_script(request) else redirect(request, path)


@get("/pools/{pool_id:uuid}/files/{file_id:uuid}")
async def show_file(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
) -> Response[str]:
    """What is to be confirmed, how far the import is, or what came of it."""
    file = await _file(services, actor, pool_id, file_id)
    if file.state != "uploaded":
        return await _file_page(face, request, services, actor, file)
    is_learned = request.query_params.get("rule") == "learned"
    return await _preview_page(face, request, services, actor, file, is_learned=is_learned)


@post("/pools/{pool_id:uuid}/files/{file_id:uuid}")
async def confirm_file(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
) -> Response[Any]:
    """Look at the file in the way that the form says; or import it so."""
    actor.require("codes.write")
    file = await _file(services, actor, pool_id, file_id)
    path = face.path(f"pools/{pool_id}/files/{file_id}")
    if file.state != "uploaded":
        return refused(request, path, Refusal("file_not_ready"))
    form = await import_form([(str(n), str(n)) for n in range(MOST_COLUMNS)]).read(request)
    rule = _read_rule(form)
    if rule is None or form.inputs.first("act") == "look":
        return await _preview_page(face, request, services, actor, file, form, rule)
    try:
        await begin_import(
            services,
            actor,
            file_id,
            rule=rule,
            column=int(form.values["column"]),
            has_heading=form.values["has_heading"],
        )
    except Refusal as refusal:
        return refused(request, path, refusal)
    return redirect(request, path)


@get("/pools/{pool_id:uuid}/files/{file_id:uuid}/now")
async def file_now(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
) -> Response[str]:
    """How far the import is; when it is over the page loads itself again."""
    file = await _file(services, actor, pool_id, file_id)
    now = services.now()
    answer = face.show(
        request, "codes/file_now.html", file=file, is_stalled=_is_stalled(file, now), seen_at=now
    )
    if file.state != "importing":
        answer.headers["hx-refresh"] = "true"
    return answer


@post("/pools/{pool_id:uuid}/files/{file_id:uuid}/discard")
async def discard(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
) -> Response[Any]:
    """Throw the file away without importing it."""
    await _file(services, actor, pool_id, file_id)
    try:
        async with transaction(services.database) as tx:
            await files.discard_file(tx, actor, file_id, services.now())
    except Refusal as refusal:
        if refusal.reason != "file_not_ready":
            raise
        return refused(request, face.path(f"pools/{pool_id}/files/{file_id}"), refusal)
    return redirect(
        request, face.path(f"pools/{pool_id}"), flash=_("The file is discarded; nothing was added.")
    )


@get("/pools/{pool_id:uuid}/files/{file_id:uuid}/outcomes")
async def outcomes(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
) -> Stream:
    """What became of every row, as a file."""
    file = await _file(services, actor, pool_id, file_id)
    if file.state != "imported":
        raise Refusal("file_not_ready")
    chunks = importing.outcomes_csv(
        services.database, actor, file_id, language=language_of(request), now=services.now()
    )
    return attached(chunks, f"outcome-{file.created_at:%Y-%m-%d}", is_excel=False)


@get("/pools/template")
async def template(request: AnyRequest, actor: GivenActor) -> Response[bytes]:
    """A file to fill in, whose column is text."""
    actor.require("codes.read")
    is_excel = request.query_params.get("format") == "xlsx"
    if is_excel:
        content, media_type, name = importing.template_xlsx(), XLSX_MEDIA_TYPE, "codes.xlsx"
    else:
        content, media_type, name = importing.template_csv(), CSV_MEDIA_TYPE, "codes.csv"
    return Response(content, media_type=media_type, headers=attachment(name))


# Steps


async def _receive(face: Face, request: AnyRequest, services: Services, actor: Actor, pool_id: UUID) -> UUID:
    actor.require("codes.write")
    sent = await sent_file(request, "file")
    require_csrf(request, sent.texts.get(CSRF_FIELD, ""))
    if not sent.name:
        raise Refusal("invalid", fields={"file": _("Choose a file.")})
    return await files.receive_file(
        services.database, actor, pool_id, sent.name, sent.chunks, source=face.name, now=services.now()
    )


def _read_rule(form: BoundForm) -> CodeRule | None:
    """The rule of a form in which nothing is wrong."""
    if not form.is_valid:
        return None
    rule = rule_from(form.values["rule"])
    if problems := check_rule(rule):
        form.add_refusal(Refusal("invalid", fields=problems), RULE_FIELDS)
        return None
    return rule


async def _file(services: Services, actor: Actor, pool_id: UUID, file_id: UUID) -> reads.FileView:
    async with services.database.connection() as connection:
        file, _merchant_id = await reads.file_of(connection, actor, file_id)
    if file.pool_id != pool_id:
        raise Refusal("not_found")
    return file


def _is_script(request: AnyRequest) -> bool:
    return request.headers.get("accept") == "application/json"


def _json(content: dict[str, str], status_code: int) -> Response[Any]:
    return Response(
        content,
        status_code=status_code,
        media_type=MediaType.JSON,
        headers={"cache-control": "no-store"},
    )


# Pages


async def _upload_page(
    face: Face,
    request: AnyRequest,
    services: Services,
    actor: Actor,
    pool_id: UUID,
    *,
    problem: str = "",
    status_code: int = 200,
) -> Response[str]:
    actor.require("codes.write")
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    return face.show(
        request,
        "codes/upload.html",
        status_code=status_code,
        pool=pool,
        problem=problem,
        most_bytes=MOST_BYTES,
    )


async def _preview_page(
    face: Face,
    request: AnyRequest,
    services: Services,
    actor: Actor,
    file: reads.FileView,
    form: BoundForm | None = None,
    rule: CodeRule | None = None,
    *,
    is_learned: bool = False,
) -> Response[str]:
    """The first rows, and the form that says how to read them; ``form`` is what was typed in already."""
    language = language_of(request)
    typed = {} if form is None else form.values
    column = int(typed["column"]) if "column" in typed else None
    look = partial(
        files.preview, actor=actor, file_id=file.id, column=column, has_heading=typed.get("has_heading")
    )
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, file.pool_id)
        try:
            seen = await look(connection, rule=rule)
            if is_learned:
                seen = await look(connection, rule=seen.learned)
        except Refusal as refusal:
            if refusal.reason != "unreadable_file":
                raise
            return await _file_page(face, request, services, actor, file, problem=refusal.reason)
    fresh = import_form(_columns(seen, language))
    if form is None:
        values = {"column": str(seen.column), "has_heading": seen.has_heading, "rule": values_of(seen.rule)}
        bound = fresh.blank(values)
    else:
        bound = fresh.parse(form.inputs.texts)
        bound.problems = {**form.problems, **bound.problems}
    return face.show(
        request,
        "codes/preview.html",
        status_code=bound.status_code,
        pool=pool,
        file=file,
        seen=seen,
        form=bound,
        kind_words=_kind_words(seen, language),
        letters=[xl_col_to_name(n) for n in range(max(map(len, seen.rows)))],
        rule=rule_words(seen.rule, language),
        learned=rule_words(seen.learned, language) if seen.learned != seen.rule else "",
        problem_words=PROBLEMS,
    )


async def _file_page(
    face: Face,
    request: AnyRequest,
    services: Services,
    actor: Actor,
    file: reads.FileView,
    *,
    problem: str | None = None,
) -> Response[str]:
    """A file that is not to be confirmed: it is being imported, was, or never will be."""
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, file.pool_id)
        outcome = None
        if file.state == "imported":
            outcome = await importing.summary(connection, actor, file.id)
    reason, now = problem or file.problem, services.now()
    return face.show(
        request,
        "codes/file.html",
        pool=pool,
        file=file,
        outcome=outcome,
        problem=REASONS[reason].sentence if reason in REASONS else "",
        is_stalled=_is_stalled(file, now),
        outcome_names=OUTCOME_NAMES,
        problem_words=PROBLEMS,
        file_state_names=FILE_STATE_NAMES,
        file_state_kinds=FILE_STATE_KINDS,
        source_names=SOURCE_NAMES,
        seen_at=now,
    )


def _is_stalled(file: reads.FileView, now: datetime) -> bool:
    """Whether whoever imports the file has given no sign of life for long."""
    return now - file.seen_at > importing.STALLED_AFTER


def _columns(seen: FilePreview, language: str) -> list[tuple[str, str]]:
    """The file's columns, each with what stands in it."""
    choices = []
    for number in range(max(map(len, seen.rows))):
        cells = [row[number] for row in seen.rows if len(row) > number and row[number]]
        shown = " · ".join(cells[:2]) or translate(language, _("empty"))
        choices.append((str(number), f"{xl_col_to_name(number)}: {shown}"))
    return choices


def _kind_words(seen: FilePreview, language: str) -> str:
    """What kind of file it seems to be."""
    if seen.format == "xlsx":
        return translate(language, _("Excel, first sheet"))
    encoding = (seen.encoding or "").upper().replace("_", "-")
    if seen.delimiter in DELIMITER_NAMES:
        delimiter = translate(language, DELIMITER_NAMES[seen.delimiter])
        return translate(
            language,
            _("Text in %(encoding)s, parted by %(delimiter)s"),
            encoding=encoding,
            delimiter=delimiter,
        )
    return translate(language, _("Text in %(encoding)s, a code on each line"), encoding=encoding)


HANDLERS = [upload_page, upload, show_file, confirm_file, file_now, discard, outcomes, template]
