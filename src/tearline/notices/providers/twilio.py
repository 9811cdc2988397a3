"""Twilio: SMS by the Messages resource, voice by the Calls resource.

Both are one form posted to ``/2010-04-01/Accounts/{sid}/…``; a refusal carries ``code`` and ``message``
(https://www.twilio.com/docs/api/errors). Spoken over plain HTTP: the SDK is synchronous and loads some
thousand modules for these two calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx

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

BASE_URL = "https://api.twilio.com"

_KINDS: Mapping[int, FailureKind] = {
    # The recipient: invalid, not a mobile, opted out, a landline, unknown to its carrier
    **dict.fromkeys(
        (21211, 21217, 21401, 21407, 21421, 21610, 21614, 21635, 30004, 30005, 30006), FailureKind.RECIPIENT
    ),
    13223: FailureKind.RECIPIENT,  # Dial: invalid phone number format
    13224: FailureKind.RECIPIENT,  # Dial: Twilio does not support calling this number
    # This account may not send to that country or from that number; another provider may.
    **dict.fromkeys((21215, 21216, 21408, 21606, 21612, 21659), FailureKind.REFUSED),
    # The account: not authenticated, suspended, without money
    **dict.fromkeys((10001, 20003, 20004, 20005, 20006, 20008, 30002, 30010), FailureKind.CREDENTIALS),
    # Queues full, too many requests or calls
    **dict.fromkeys((14107, 20429, 21611, 30001, 10004), FailureKind.THROTTLED),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """How a language is spoken: the ``language`` and ``voice`` attributes of ``<Say>``."""

    language: str
    voice: str | None = None


VOICES: Mapping[str, Voice] = {
    "en": Voice("en-GB"),
    # Cantonese: Traditional Chinese is read mostly in Hong Kong.
    "zh-Hant": Voice("zh-HK"),
    "zh-Hans": Voice("zh-CN"),
    "th": Voice("th-TH", "Google.th-TH-Standard-A"),
}


class _Twilio:
    """One account and one resource of it."""

    def __init__(
        self,
        name: str,
        resource: str,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        base_url: str,
        most_at_once: int,
        timeout_seconds: float,
    ) -> None:
        self.name = name
        self.most_at_once = most_at_once
        self._sender = sender
        self._url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/{resource}.json"
        self._authorisation = httpx.BasicAuth(account_sid, auth_token)
        self._client = new_client(most_at_once, timeout_seconds=timeout_seconds)

    async def _post(self, form: dict[str, str]) -> Sent:
        response = await request(self._client, "POST", self._url, data=form, auth=self._authorisation)
        answer = json_object(response)
        if response.is_success and isinstance(answer.get("sid"), str):
            return Sent(answer["sid"])
        code = answer.get("code")
        kind = _KINDS.get(code) if isinstance(code, int) else None
        if kind is None:
            # A 2xx without a sid comes from something between us and Twilio.
            kind = FailureKind.TEMPORARY if response.is_success else kind_of_status(response.status_code)
        raise ProviderFailure(
            kind,
            f"HTTP {response.status_code}, code {code}",
            retry_after_seconds=retry_after_seconds(response),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class TwilioSms(_Twilio):
    """SMS.

    Args:
        sender: a number in E.164, an alphanumeric sender, or a messaging service (``MG…``).
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        base_url: str = BASE_URL,
        most_at_once: int = 40,
        timeout_seconds: float = 10.0,
    ) -> None:
        super().__init__(
            "twilio", "Messages", account_sid, auth_token, sender,
            base_url=base_url, most_at_once=most_at_once, timeout_seconds=timeout_seconds,
        )  # fmt: skip

    async def send(self, message: Message) -> Sent:
        """Hand over one SMS, to be dropped by Twilio too when it is no longer of use."""
        is_service = self._sender.startswith("MG") and len(self._sender) == 34
        return await self._post(
            {
                "To": message.recipient,
                "MessagingServiceSid" if is_service else "From": self._sender,
                "Body": wording.text(message.template, message.language, message.values),
                "ValidityPeriod": str(min(max(int(message.useful_seconds), 1), 36_000)),
            }
        )


class TwilioVoice(_Twilio):
    """Calls that read the code aloud, digit by digit, twice."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        base_url: str = BASE_URL,
        most_at_once: int = 10,
        timeout_seconds: float = 10.0,
        voices: Mapping[str, Voice] = VOICES,
    ) -> None:
        super().__init__(
            "twilio", "Calls", account_sid, auth_token, sender,
            base_url=base_url, most_at_once=most_at_once, timeout_seconds=timeout_seconds,
        )  # fmt: skip
        self._voices = voices

    async def send(self, message: Message) -> Sent:
        """Start one call."""
        return await self._post(
            {"To": message.recipient, "From": self._sender, "Twiml": self._twiml(message), "Timeout": "40"}
        )

    def _twiml(self, message: Message) -> str:
        voice = self._voices.get(message.language, self._voices["en"])
        attributes = {"language": voice.language}
        if voice.voice is not None:
            attributes["voice"] = voice.voice
        response = ElementTree.Element("Response")

        def say(words: str) -> None:
            ElementTree.SubElement(response, "Say", attributes).text = words

        def pause() -> None:
            ElementTree.SubElement(response, "Pause", length="1")

        opening, again, goodbye = wording.spoken(message.template, message.language)
        # Whoever answers first brings the phone to the ear.
        pause()
        for introduction in (opening, again):
            say(introduction)
            for digit in str(message.values["code"]):
                pause()
                say(digit)
            pause()
        say(goodbye)
        return ElementTree.tostring(response, encoding="unicode")
