"""The providers of payments that the settings name, opened; for the web and for the worker."""

from __future__ import annotations

from tearline.config import Settings
from tearline.payments.provider import PaymentProvider
from tearline.payments.trial import TrialPayments


def payment_providers(settings: Settings) -> dict[str, PaymentProvider]:
    """Providers by their names; the first one takes new payments."""
    return {name: _provider(settings, name) for name in settings.payment_providers}


def _provider(settings: Settings, name: str) -> PaymentProvider:
    # Settings has refused a name that is not known, and Stripe without its secrets.
    if name == "test":
        return TrialPayments(settings.secret_keys)
    assert settings.stripe_secret_key is not None
    assert settings.stripe_webhook_secret is not None
    # Its SDK takes a third of a second to import: only who uses it waits for it.
    from tearline.payments.stripe_checkout import StripeCheckout

    return StripeCheckout(
        settings.stripe_secret_key.get_secret_value(),
        settings.stripe_webhook_secret.get_secret_value(),
        api_url=settings.stripe_api_url,
    )


async def close_all(providers: dict[str, PaymentProvider]) -> None:
    """Close the connections of all providers."""
    for provider in providers.values():
        await provider.close()
