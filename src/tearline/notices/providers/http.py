"""What the providers that speak HTTP have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from tearline.core.delivery import FailureKind
from tearline.notices.messages import ProviderFailure

# A provider that asks for longer is asked again after this; the message has gone elsewhere by then.
LONGEST_RETRY_AFTER_SECONDS = 120.0


def new_client(
    most_at_once: int, *, timeout_seconds: float, headers: dict[str, str] | None = None
) -> httpx.AsyncClient:
    """A client whose connections stay open between messages and whose every wait is bounded."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds)),
        limits=httpx.Limits(max_connections=most_at_once, max_keepalive_connections=most_at_once),
        headers=headers,
        # A redirect would carry the code and our credentials to somebody else.
        follow_redirects=False,
    )


async def request(client: httpx.AsyncClient, method: str, url: str, **arguments: Any) -> httpx.Response:
    """Send one request; a lost connection or a time-out is a temporary failure."""
    try:
        return await client.request(method, url, **arguments)
    except httpx.TimeoutException as error:
        raise ProviderFailure(FailureKind.TEMPORARY, f"timed out ({type(error).__name__})") from error
    except httpx.TransportError as error:
        raise ProviderFailure(FailureKind.TEMPORARY, f"no connection ({type(error).__name__})") from error


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object, or an empty one when it is something else."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def kind_of_status(status: int) -> FailureKind:
    """What a refused request means when only its HTTP status tells."""
    if status == 429:
        return FailureKind.THROTTLED
    if status in (401, 403):
        return FailureKind.CREDENTIALS
    if status >= 500 or status == 408:
        return FailureKind.TEMPORARY
    return FailureKind.REFUSED


def retry_after_seconds(response: httpx.Response, now: datetime | None = None) -> float | None:
    """The Retry-After header in seconds, given as a number or as a date; None without a usable one."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
