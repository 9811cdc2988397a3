"""A Stripe for tests: answers as https://docs.stripe.com/api says, and signs its events as its webhooks are signed."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import time
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tearline.payments.stripe_checkout import StripeCheckout

KEY, SECRET = "sk_test_51tests", "whsec_tests"
ZERO_DECIMAL = frozenset(
    (
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    )
)
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
LOCALES = frozenset(("auto", "en", "en-GB", "th", "zh", "zh-HK", "zh-TW"))
"""Of those that there are."""
_HALF_AN_HOUR, _DAY = 1800, 86_400
_LONG_SECONDS = 1.5
"""Long enough for a client whose machine is busy to have given up before."""


class StripeServer:
    """Sessions of Checkout and refunds in memory, behind HTTP.

    Attributes:
        faults: what happens to the next requests, in turn: a number is the status that is answered instead
            of doing anything, ``"late"`` does it and answers after the client has gone, ``"drop"`` does
            nothing and lets the client wait, "" does it.
        requests: method, path and form of each, with its idempotency key.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.faults: list[int | str] = []
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.refund_status = "succeeded"
        self.url = server.url_for("").rstrip("/")
        self._answers: dict[str, tuple[str, int, str]] = {}
        self._numbers = itertools.count(1)
        self._lock = Lock()
        server.expect_request(re.compile("/v1/.*")).respond_with_handler(self._answer)

    def count(self, method: str, path: str) -> int:
        """How many requests of this kind came."""
        return sum(1 for one in self.requests if one[:2] == (method, path))

    # What people do

    def pay(self, session_id: str, *, status: str = "paid", **changes: Any) -> dict[str, Any]:
        """A customer pays a session; answers the event, changed as given."""
        session = self.sessions[session_id]
        session.update(
            status="complete", payment_status=status, payment_intent=f"pi_{session_id[8:]}", url=None
        )
        return self.event("checkout.session.completed", {**session, **changes})

    def expire(self, session_id: str) -> dict[str, Any]:
        """A session's time is over; answers the event."""
        self.sessions[session_id].update(status="expired", url=None)
        return self.event("checkout.session.expired", self.sessions[session_id])

    def give_back(self, session_id: str, *, is_whole: bool = True) -> dict[str, Any]:
        """Somebody pays back at Stripe's own site; answers the event."""
        session = self.sessions[session_id]
        charge = {
            "id": "ch_1",
            "object": "charge",
            "payment_intent": session["payment_intent"],
            "amount": session["amount_total"],
            "amount_refunded": session["amount_total"] if is_whole else 1,
            "currency": session["currency"],
            "refunded": is_whole,
            "metadata": session["metadata"],
        }
        return self.event("charge.refunded", charge)

    def fail_refund(self) -> dict[str, Any]:
        """The bank sends back the only refund; answers the event."""
        refund = next(iter(self.refunds.values()))
        refund["status"] = "failed"
        return self.event("refund.failed", refund)

    def event(self, kind: str, about: dict[str, Any]) -> dict[str, Any]:
        """An event as a webhook gets it."""
        return {
            "id": f"evt_{next(self._numbers)}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
            "data": {"object": about},
        }

    # What the API answers

    def _answer(self, request: Request) -> Response:
        form = dict(parse_qsl(request.get_data(as_text=True), keep_blank_values=True))
        key = request.headers.get("Idempotency-Key", "")
        self.requests.append((request.method, request.path, form, key))
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "drop":
            time.sleep(_LONG_SECONDS)
            return Response(status=500)
        if isinstance(fault, int):
            return _error(fault, {429: "rate_limit"}.get(fault, "api_error"))
        with self._lock:
            answer = self._once(request, form, key)
        if fault == "late":
            time.sleep(_LONG_SECONDS)
        return answer

    def _once(self, request: Request, form: dict[str, str], key: str) -> Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_request_error", message="Invalid API Key provided: sk_test_****")
        asked = json.dumps([request.path, form], sort_keys=True)
        if request.method == "POST" and key in self._answers:
            earlier, status, body = self._answers[key]
            if earlier != asked:
                return _error(
                    400, "idempotency_error", message="Keys can only be used with the same parameters"
                )
            return Response(body, status, {"Idempotent-Replayed": "true"}, content_type="application/json")
        answer = self._do(request.method, request.path, form)
        if request.method == "POST" and answer.status_code not in (400, 404):
            self._answers[key] = asked, answer.status_code, answer.get_data(as_text=True)
        return answer

    def _do(self, method: str, path: str, form: dict[str, str]) -> Response:
        if (method, path) == ("POST", "/v1/checkout/sessions"):
            return self._create_session(form)
        if (method, path) == ("POST", "/v1/refunds"):
            return self._create_refund(form)
        match = re.fullmatch(r"/v1/(checkout/sessions|refunds)/(\w+)(/expire)?", path)
        kept = self.refunds if match and match[1] == "refunds" else self.sessions
        if match is None or match[2] not in kept:
            return _error(404, "invalid_request_error", "resource_missing")
        found = kept[match[2]]
        if match[3]:
            if found["status"] != "open":
                message = 'Only Checkout Sessions with a status in ["open"] can be expired.'
                return _error(400, "invalid_request_error", message=message)
            found.update(status="expired", url=None)
        return _json(found)

    def _create_session(self, form: dict[str, str]) -> Response:
        item = "line_items[0]"
        currency, unit = form[f"{item}[price_data][currency]"], int(form[f"{item}[price_data][unit_amount]"])
        lasts = int(form["expires_at"]) - time.time()
        if currency != currency.lower() or form["locale"] not in LOCALES:
            return _error(400, "invalid_request_error", "parameter_invalid_string")
        if currency in THREE_DECIMAL and unit % 10:
            return _error(400, "invalid_request_error", "invalid_amount")
        if not _HALF_AN_HOUR <= lasts <= _DAY:
            message = (
                "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from now."
            )
            return _error(400, "invalid_request_error", message=message)
        session_id = f"cs_test_{next(self._numbers)}"
        marks = {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "mode": form["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "amount_total": unit * int(form[f"{item}[quantity]"]),
            "currency": currency,
            "client_reference_id": form["client_reference_id"],
            "metadata": marks,
            "expires_at": int(form["expires_at"]),
            "customer_details": {"email": "somebody@example.org"},
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
        }
        return _json(self.sessions[session_id])

    def _create_refund(self, form: dict[str, str]) -> Response:
        charge = form["payment_intent"]
        if all(session["payment_intent"] != charge for session in self.sessions.values()):
            return _error(404, "invalid_request_error", "resource_missing")
        if any(
            one["payment_intent"] == charge and one["status"] != "failed" for one in self.refunds.values()
        ):
            return _error(400, "invalid_request_error", "charge_already_refunded")
        refund_id = f"re_{next(self._numbers)}"
        self.refunds[refund_id] = {
            "id": refund_id,
            "object": "refund",
            "payment_intent": charge,
            "status": self.refund_status,
            "metadata": {"session": form.get("metadata[session]", "")},
        }
        return _json(self.refunds[refund_id])


def signed(
    event: dict[str, Any], *, secret: str = SECRET, at: float | None = None
) -> tuple[dict[str, str], bytes]:
    """An event's headers and body, signed by the documented scheme and not with the SDK's help."""
    body = json.dumps(event, indent=2).encode()
    stamp = int(time.time() if at is None else at)
    mark = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "stripe-signature": f"t={stamp},v1={mark},v0={'0' * 64}",
        "content-type": "application/json",
    }, body


def checkout(server: StripeServer, **changes: Any) -> StripeCheckout:
    """Our side of it, impatient."""
    return StripeCheckout(KEY, SECRET, **{"api_url": server.url, "timeout_seconds": 0.3, **changes})


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dumps(value), content_type="application/json", headers={"Request-Id": "req_1"})


def _error(status: int, kind: str, code: str | None = None, message: str = "No.") -> Response:
    error = {"type": kind, "message": message, **({"code": code} if code else {})}
    headers = {"Request-Id": "req_1"}
    return Response(json.dumps({"error": error}), status, headers, content_type="application/json")
