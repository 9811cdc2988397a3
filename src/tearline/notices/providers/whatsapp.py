"""The WhatsApp Cloud API: an authentication template with the code in its body and in its copy-code button.

Error codes: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes. Meta says to go by
the code and not by the HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tearline.core.delivery import FailureKind
from tearline.notices.messages import Message, ProviderFailure, Sent
from tearline.notices.providers.http import (
    json_object,
    kind_of_status,
    new_client,
    request,
    retry_after_seconds,
)

BASE_URL = "https://graph.facebook.com/v21.0"

TEMPLATE_LANGUAGES: Mapping[str, str] = {"en": "en", "zh-Hant": "zh_HK", "zh-Hans": "zh_CN", "th": "th"}

_KINDS: Mapping[int, FailureKind] = {
    # Token, permission, account locked, not verified or not paying
    **dict.fromkeys(
        (0, 3, 10, 190, *range(200, 300), 368, 130497, 131005, 131031, 131042, 131045),
        FailureKind.CREDENTIALS,
    ),
    # Limits of the app, the account and the number
    **dict.fromkeys((4, 80007, 130429, 131048, 133016), FailureKind.THROTTLED),
    # Not on WhatsApp or too old a version, our own number, not on the test list
    **dict.fromkeys((131021, 131026, 131030), FailureKind.RECIPIENT),
    # Passing faults; 131056 is too many messages to this one recipient in a short time.
    **dict.fromkeys((1, 2, 131000, 131016, 131056, 131057, 133004), FailureKind.TEMPORARY),
}


class WhatsAppCloud:
    """One WhatsApp business number.

    Args:
        base_url: address of the Graph API with its version.
        templates: name of the approved authentication template for each wording.
        languages: the template's language code for each of ours.
    """

    def __init__(
        self,
        access_token: str,
        phone_number_id: str,
        *,
        templates: Mapping[str, str],
        base_url: str = BASE_URL,
        languages: Mapping[str, str] = TEMPLATE_LANGUAGES,
        most_at_once: int = 40,
        timeout_seconds: float = 10.0,
    ) -> None:
        self.name = "whatsapp_cloud"
        self.most_at_once = most_at_once
        self._templates = templates
        self._languages = languages
        self._url = f"{base_url.rstrip('/')}/{phone_number_id}/messages"
        self._client = new_client(
            most_at_once, timeout_seconds=timeout_seconds, headers={"Authorization": f"Bearer {access_token}"}
        )

    async def send(self, message: Message) -> Sent:
        """Hand over one message."""
        response = await request(self._client, "POST", self._url, json=self._body(message))
        answer = json_object(response)
        if response.is_success:
            try:
                return Sent(str(answer["messages"][0]["id"]))
            except (KeyError, IndexError, TypeError):
                raise ProviderFailure(
                    FailureKind.TEMPORARY, f"HTTP {response.status_code} without a message id"
                ) from None
        error = answer.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        kind = _KINDS.get(code) if isinstance(code, int) else None
        raise ProviderFailure(
            kind or kind_of_status(response.status_code),
            f"HTTP {response.status_code}, code {code}",
            retry_after_seconds=retry_after_seconds(response),
        )

    def _body(self, message: Message) -> dict[str, Any]:
        # Meta asks for the code twice: once for the words, once for the button that copies it.
        parameters = [{"type": "text", "text": str(message.values["code"])}]
        return {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.recipient.removeprefix("+"),
            "type": "template",
            "template": {
                "name": self._templates[message.template],
                "language": {"code": self._languages.get(message.language, self._languages["en"])},
                "components": [
                    {"type": "body", "parameters": parameters},
                    {"type": "button", "sub_type": "url", "index": "0", "parameters": parameters},
                ],
            },
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
