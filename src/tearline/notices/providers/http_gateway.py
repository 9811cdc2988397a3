"""A generic gateway: any service that takes a message as one HTTP request with a JSON body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from tearline.core.delivery import FailureKind
from tearline.notices import wording
from tearline.notices.messages import Message, ProviderFailure, Sent
from tearline.notices.providers.http import (
    json_object,
    kind_of_status,
    new_client,
    request,
    retry_after_seconds,
)

PLACEHOLDERS = ("id", "channel", "recipient", "language", "template", "text", "code", "useful_seconds")

BODY: Mapping[str, Any] = {
    "id": "{id}",
    "channel": "{channel}",
    "to": "{recipient}",
    "language": "{language}",
    "text": "{text}",
    "valid_seconds": "{useful_seconds}",
}

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")


class HttpGateway:
    """One address that takes messages.

    The answer's status tells: 2xx sent; 429 slow down; 401 and 403 our credentials; 408 and 5xx try again;
    one of ``recipient_statuses`` the recipient cannot be reached; anything else not taken. Each request
    carries the notice's id as ``Idempotency-Key``, so that a gateway that heeds it sends a repeat once.

    Args:
        headers: sent with each request, such as ``{"Authorization": "Bearer …"}``.
        body: the JSON to send; its texts may hold placeholders such as ``{recipient}`` (``PLACEHOLDERS``).
        reference_path: where in the answer's JSON the gateway names the message, such as ``data.id``.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "gateway",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] = BODY,
        reference_path: str = "id",
        recipient_statuses: Set[int] = frozenset({410, 422}),
        most_at_once: int = 40,
        timeout_seconds: float = 10.0,
    ) -> None:
        self.name = name
        self.most_at_once = most_at_once
        self._url = url
        self._method = method
        self._body = body
        self._reference_path = reference_path.split(".")
        self._recipient_statuses = recipient_statuses
        self._client = new_client(most_at_once, timeout_seconds=timeout_seconds, headers=dict(headers or {}))

    async def send(self, message: Message) -> Sent:
        """Hand over one message."""
        response = await request(
            self._client,
            self._method,
            self._url,
            json=_filled(self._body, _values(message)),
            headers={"Idempotency-Key": str(message.id)},
        )
        if response.is_success:
            return Sent(self._reference(json_object(response)) or str(message.id))
        status = response.status_code
        kind = FailureKind.RECIPIENT if status in self._recipient_statuses else kind_of_status(status)
        raise ProviderFailure(kind, f"HTTP {status}", retry_after_seconds=retry_after_seconds(response))

    def _reference(self, answer: Any) -> str | None:
        for name in self._reference_path:
            answer = answer.get(name) if isinstance(answer, dict) else None
        return str(answer)[:200] if isinstance(answer, str | int) else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _values(message: Message) -> dict[str, str]:
    return {
        "id": str(message.id),
        "channel": message.channel,
        "recipient": message.recipient,
        "language": message.language,
        "template": message.template,
        "text": wording.text(message.template, message.language, message.values),
        "code": str(message.values.get("code", "")),
        "useful_seconds": str(int(message.useful_seconds)),
    }


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        # One pass: a value that looks like a placeholder stays as it is.
        return _PLACEHOLDER.sub(lambda match: values[match[1]], template)
    if isinstance(template, Mapping):
        return {name: _filled(part, values) for name, part in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(part, values) for part in template]
    return template
