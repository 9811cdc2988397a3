"""Turns a refusal, or what went wrong, into an answer: a problem document (RFC 9457) or a page.

Under ``/api`` the answer is ``application/problem+json``; elsewhere a page in the reader's language. Both
are made from the one list of reasons in ``core.refusal``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
import structlog
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect
from markupsafe import escape
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tearline.core.refusal import Refusal
from tearline.db import is_connection_lost, is_retryable
from tearline.i18n import _, negotiate, translate
from tearline.web import metrics
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render

log = structlog.get_logger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
REQUEST_ID_KEY = "tearline_request_id"
"""Where the application puts the request's id in the ASGI scope."""
INTERNAL_ERROR = "internal_error"
INTERNAL_SENTENCE = _("Something went wrong on our side. It has been noted; please try again.")
_DEFAULT_RETRY_AFTER_SECONDS = {429: 60, 503: 1}

_REASON_OF_STATUS = {
    400: "malformed",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_attempts",
    503: "unavailable",
}


class SignInNeeded(Exception):  # noqa: N818 - like a refusal, it is an expected answer
    """A page needs somebody signed in; the browser is sent to ``path``, and comes back afterwards."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def refusal_of(error: Exception) -> Refusal | None:
    """The refusal that an exception amounts to, or None for a fault of ours."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ValidationException):
        return Refusal("invalid", fields=_fields_of(error))
    if isinstance(error, HTTPException):
        reason = _REASON_OF_STATUS.get(error.status_code, "malformed" if error.status_code < 500 else None)
        return Refusal(reason) if reason else None
    if (
        isinstance(error, OverflowError | PoolTimeoutError)
        or is_connection_lost(error)
        or is_retryable(error)
    ):
        return Refusal("unavailable")
    if isinstance(error, DBAPIError | psycopg.Error):
        cause = error.orig if isinstance(error, DBAPIError) else error
        # Text with a NUL, or a number out of the column's range: what no field can hold.
        if isinstance(cause, psycopg.DataError):
            return Refusal("malformed")
    return None


def _fields_of(error: ValidationException) -> dict[str, str]:
    entries = error.extra if isinstance(error.extra, list) else []
    return {
        str(entry.get("key") or entry.get("source") or "body"): str(entry.get("message", ""))
        for entry in entries
        if isinstance(entry, dict)
    }


def sentence_of(refusal: Refusal, language: str) -> str:
    """The refusal's sentence in ``language``, its placeholders filled."""
    sentence = translate(language, refusal.sentence)
    # A detail that nobody gave must not turn a clear no into an error.
    values: defaultdict[str, object] = defaultdict(lambda: "…", refusal.details)
    return sentence % values if "%(" in sentence else sentence


def field_sentences(refusal: Refusal, language: str) -> dict[str, str]:
    """What is wrong with which field, in ``language``."""
    return {name: translate(language, sentence) for name, sentence in refusal.fields.items()}


def retry_after_seconds(refusal: Refusal) -> int | None:
    """When it makes sense to try again, for a refusal that passes by itself."""
    if refusal.status not in _DEFAULT_RETRY_AFTER_SECONDS:
        return None
    details = refusal.details
    if "minutes" in details:
        return int(details["minutes"]) * 60
    given = details.get("retry_after_seconds", details.get("seconds"))
    return max(1, int(given)) if given is not None else _DEFAULT_RETRY_AFTER_SECONDS[refusal.status]


def problem_document(refusal: Refusal, language: str, request_id: str) -> dict[str, Any]:
    """The members of the problem document."""
    document = {
        **{name: value for name, value in refusal.details.items() if name != "headers"},
        "type": f"/problems/{refusal.reason}",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "reason": refusal.reason,
        "detail": sentence_of(refusal, language),
        "instance": f"urn:tearline:request:{request_id}",
    }
    if refusal.fields:
        document["fields"] = field_sentences(refusal, language)
    return document


def internal_problem(language: str, request_id: str) -> dict[str, Any]:
    """The problem document of a fault of ours; it tells nothing about the inside."""
    return {
        "type": f"/problems/{INTERNAL_ERROR}",
        "title": HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        "status": 500,
        "reason": INTERNAL_ERROR,
        "detail": translate(language, INTERNAL_SENTENCE),
        "instance": f"urn:tearline:request:{request_id}",
    }


def problem_headers(refusal: Refusal, language: str) -> dict[str, str]:
    """The headers that go with a problem document."""
    headers = {"content-language": language}
    seconds = retry_after_seconds(refusal)
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


def problem_answer(
    error: Exception, *, accept_language: str | None, request_id: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the problem document for an exception; a fault of ours is logged."""
    language = negotiate(accept_language=accept_language)
    refusal = refusal_of(error)
    if refusal is None:
        log.error("request failed", request_id=request_id, exc_info=error)
        body = msgspec.json.encode(internal_problem(language, request_id))
        return 500, {"content-type": PROBLEM_MEDIA_TYPE, "content-language": language}, body
    metrics.refusals.labels(refusal.reason).inc()
    headers = {"content-type": PROBLEM_MEDIA_TYPE, **problem_headers(refusal, language)}
    if isinstance(error, HTTPException) and error.headers and (allow := _allow_header(error.headers)):
        headers["allow"] = allow
    body = msgspec.json.encode(problem_document(refusal, language, request_id), enc_hook=str)
    return refusal.status, headers, body


def _allow_header(headers: Mapping[str, str]) -> str | None:
    return next((value for name, value in headers.items() if name.lower() == "allow"), None)


def answer_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's exception handler for everything: a problem document under /api, else a page."""
    request_id = str(request.scope.get(REQUEST_ID_KEY, ""))
    if isinstance(error, SignInNeeded):
        return _to_sign_in(request, error.path)
    if request.scope["path"].startswith("/api/"):
        status, headers, body = problem_answer(
            error, accept_language=request.headers.get("accept-language"), request_id=request_id
        )
        return Response(body, status_code=status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)
    return _error_page(request, error, request_id)


def _to_sign_in(request: Request[Any, Any, Any], path: str) -> Response[Any]:
    # htmx would follow a redirect inside the page; this makes the whole window go.
    if request.headers.get("hx-request") == "true":
        return Response(b"", status_code=401, headers={"hx-redirect": path})
    return Redirect(path, status_code=303)


def _error_page(request: Request[Any, Any, Any], error: Exception, request_id: str) -> Response[Any]:
    language = language_of(request)
    refusal = refusal_of(error)
    if refusal is None:
        log.error("request failed", request_id=request_id, exc_info=error)
        status, headers, sentence, reason = 500, {}, translate(language, INTERNAL_SENTENCE), INTERNAL_ERROR
    else:
        metrics.refusals.labels(refusal.reason).inc()
        status, headers = refusal.status, problem_headers(refusal, language)
        sentence, reason = sentence_of(refusal, language), refusal.reason
    values: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "sentence_text": sentence,
        "request_id": request_id,
    }
    try:
        return render(request, "error.html", status_code=status, headers=headers, **values)
    except Exception:
        # A page that cannot be made, such as before the browser files are built, must not hide what went wrong.
        log.exception("error page failed", request_id=request_id)
        head = f"<!doctype html><html lang={language}><title>{status}</title>"
        plain = f"{head}<h1>{status}</h1><p>{escape(sentence)}</p>"
        return Response(plain, status_code=status, headers=headers, media_type=MediaType.HTML)
