"""The providers that the settings name, ready to send."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from tearline.config import Settings
from tearline.notices.messages import Provider
from tearline.notices.providers import HttpGateway, Outbox, TwilioSms, TwilioVoice, WhatsAppCloud


def providers_of(settings: Settings) -> dict[str, Sequence[Provider]]:
    """Providers by channel, in the order they are tried; in demo mode, the outbox where none is named."""
    named = {
        "sms": settings.sms_providers,
        "whatsapp": settings.whatsapp_providers,
        "voice": settings.voice_providers,
    }
    fallback = ("outbox",) if settings.demo else ()
    return {
        channel: [_provider(settings, channel, name) for name in names or fallback]
        for channel, names in named.items()
    }


def _provider(settings: Settings, channel: str, name: str) -> Provider:
    # Settings has refused a provider that a channel doesn't know, and one whose credentials are missing.
    if name == "outbox":
        return Outbox()
    if name == "gateway":
        secret = settings.gateway_secret
        headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
        return HttpGateway(settings.gateway_url or "", headers=headers)
    if name == "whatsapp_cloud":
        return WhatsAppCloud(
            _secret(settings.whatsapp_access_token),
            settings.whatsapp_phone_number_id or "",
            templates={"sign_in_code": settings.whatsapp_template},
            base_url=settings.whatsapp_base_url,
        )
    account, token = settings.twilio_account_sid or "", _secret(settings.twilio_auth_token)
    if channel == "voice":
        return TwilioVoice(
            account, token, settings.twilio_voice_from or "", base_url=settings.twilio_base_url
        )
    return TwilioSms(account, token, settings.twilio_sms_from or "", base_url=settings.twilio_base_url)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
