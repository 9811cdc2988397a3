"""Settings: every variable documented, a wrong one refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tearline.config import Settings, SettingsError, load_settings, settings_page

SECRET = "x" * 40


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TEARLINE_"):
            monkeypatch.delenv(name)


def test_the_page_of_settings_is_the_one_in_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text("utf-8") == settings_page(), "run: python -m tearline.config"
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "TEARLINE_SECRET_KEY is required"),
        (
            {"SECRET_KEY": "short"},
            "TEARLINE_SECRET_KEY is wrong: each secret must have at least 32 characters",
        ),
        ({"SECRET_KEY": f"{SECRET},short"}, "TEARLINE_SECRET_KEY is wrong"),
        ({"METRICS_TOKEN": "short"}, "TEARLINE_METRICS_TOKEN is wrong: "),
        ({"PORT": "99999"}, "TEARLINE_PORT is wrong: should be less than or equal to 65535."),
        ({"PORT": "http"}, "TEARLINE_PORT is wrong: should be a valid integer"),
        ({"DATABASE_URL": "mysql://x"}, "TEARLINE_DATABASE_URL is wrong: must begin with postgresql://."),
        ({"PUBLIC_URL": "example.org"}, "TEARLINE_PUBLIC_URL is wrong: must be an address such as"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8, nonsense"}, "'nonsense' is not an address or network"),
        ({"TIME_ZONE": "Mars/Olympus"}, "'Mars/Olympus' is not an IANA time zone"),
        (
            {"SMS_PROVIDERS": "pigeon"},
            "TEARLINE_SMS_PROVIDERS names 'pigeon'; it can name twilio, gateway, outbox",
        ),
        (
            {"SMS_PROVIDERS": "twilio"},
            "TEARLINE_TWILIO_AUTH_TOKEN is required because TEARLINE_SMS_PROVIDERS names twilio",
        ),
        ({"VOICE_PROVIDERS": "outbox"}, "TEARLINE_VOICE_PROVIDERS names outbox, which sends nothing"),
        (
            {"PAYMENT_PROVIDERS": "paypal"},
            "TEARLINE_PAYMENT_PROVIDERS names 'paypal'; it can name stripe, test",
        ),
        (
            {"PAYMENT_PROVIDERS": "stripe", "STRIPE_SECRET_KEY": "sk_test_x"},
            "TEARLINE_STRIPE_WEBHOOK_SECRET is required because TEARLINE_PAYMENT_PROVIDERS names stripe",
        ),
        ({"DATABSE_URL": "x"}, "TEARLINE_DATABSE_URL is not a setting of Tearline"),
        (
            {"LOG_LEVEL": "loud"},
            "TEARLINE_LOG_LEVEL is wrong: should be 'debug', 'info', 'warning' or 'error'.",
        ),
    ],
)
def test_a_wrong_variable_is_refused_with_a_sentence(
    variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variables and "SECRET_KEY" not in variables:
        variables = {"SECRET_KEY": SECRET, **variables}
    for name, value in variables.items():
        monkeypatch.setenv(f"TEARLINE_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)


def test_several_wrong_ones_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEARLINE_PORT", "0")
    monkeypatch.setenv("TEARLINE_PROCESSES", "many")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert len(str(refused.value).splitlines()) == 2


def test_secrets_rotate_and_are_not_shown() -> None:
    settings = Settings(secret_key=f"{SECRET}1, {SECRET}2")
    assert settings.secret_keys == [f"{SECRET}1".encode(), f"{SECRET}2".encode()]
    assert SECRET not in repr(settings)


def test_the_demo_keeps_a_secret_of_its_own(tmp_path: Path) -> None:
    first = load_settings(demo=True, data_directory=tmp_path)
    second = load_settings(demo=True, data_directory=tmp_path)
    assert first.secret_keys == second.secret_keys
    assert len(first.secret_keys[0]) >= 32
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
    assert first.sms_providers == ("outbox",)
    assert first.payment_providers == ("test",)


def test_the_environment_is_read_and_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEARLINE_SECRET_KEY", SECRET)
    monkeypatch.setenv("TEARLINE_PORT", "9000")
    monkeypatch.setenv("TEARLINE_SIGN_IN_COUNTRIES", "HK, TH")
    monkeypatch.setenv("TEARLINE_DATABASE_URL", "")
    settings = load_settings(port=9001)
    assert (settings.port, settings.sign_in_countries, settings.database_url) == (9001, ("HK", "TH"), None)
