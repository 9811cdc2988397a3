"""Settings: the ``TEARLINE_*`` variables, each described; a wrong one is refused with a clear sentence.

``docs/settings.md`` is made from this file by :func:`settings_page`, and a test holds the two together.
"""

from __future__ import annotations

import os
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "TEARLINE_"
SECRET_KEY_MINIMUM_CHARACTERS = 32

Network: TypeAlias = IPv4Network | IPv6Network
_Words: TypeAlias = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """The settings are wrong; the message says, one line per variable, which and why."""


class Settings(BaseSettings):
    """Everything that can be set from outside. Each field is the variable of its name with ``TEARLINE_`` before."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Where
    database_url: str | None = Field(
        default=None,
        description="PostgreSQL to use, as `postgresql://user:password@host:port/name`, version 15 or later. "
        "Left out, Tearline runs the embedded PostgreSQL in the data directory.",
    )
    data_directory: Path = Field(
        default=Path(".tearline"),
        description="Where the embedded PostgreSQL and other local files are kept.",
    )
    pg_bin: Path | None = Field(
        default=None,
        description="Directory with the PostgreSQL programs for the embedded server (`postgres`, `initdb`), "
        "when not those of the installed package.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the web server listens on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port that the web server listens on.")
    processes: int = Field(default=1, ge=1, le=64, description="Web server processes on this machine.")
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The address that people use, without a path. With `https://` cookies are marked Secure.",
    )
    trusted_proxies: _Words = Field(
        default=(),
        description="Networks of reverse proxies, comma separated, such as `10.0.0.0/8`. Only from these is "
        "`X-Forwarded-For` believed.",
    )

    # Who
    secret_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Secret that signs sessions and codes, at least 32 characters. Several, comma separated, "
        "rotate it: the first one signs, all are accepted. Required outside the demo.",
    )
    demo: bool = Field(
        default=False,
        description="Demo mode: shows what was sent at `/dev/outbox`, makes a secret of its own. Never for real use.",
    )
    brand: str = Field(
        default="Tearline", min_length=1, max_length=40, description="Name shown on every page."
    )
    time_zone: str = Field(
        default="Asia/Hong_Kong",
        description="IANA time zone in which pages show times, unless a campaign has its own.",
    )
    currency: str = Field(
        default="HKD", pattern="^[A-Z]{3}$", description="ISO 4217 currency that new offers start with."
    )
    market: bool = Field(
        default=False,
        description="Shows the shop's market at `/market`: products of the catalogue in the currency above, a cart, "
        "and orders that are paid on trial. For showing what the cart engine does; the demo has it.",
    )
    default_region: str = Field(
        default="HK",
        pattern="^[A-Z]{2}$",
        description="ISO 3166 country assumed for phone numbers typed without a country code.",
    )
    sign_in_countries: _Words = Field(
        default=(),
        description="Countries (ISO 3166, comma separated) to whose phones codes are sent; empty for every country.",
    )

    # What goes out
    sms_providers: _Words = Field(
        default=(),
        description="Providers of SMS in the order they are tried, of `twilio`, `gateway`, `outbox`.",
    )
    whatsapp_providers: _Words = Field(
        default=(),
        description="Providers of WhatsApp messages in the order they are tried, of `whatsapp_cloud`, `gateway`, "
        "`outbox`.",
    )
    voice_providers: _Words = Field(
        default=(),
        description="Providers of voice calls in the order they are tried, of `twilio`, `gateway`, `outbox`.",
    )
    twilio_account_sid: str | None = Field(default=None, description="Account SID of Twilio.")
    twilio_auth_token: SecretStr | None = Field(default=None, description="Auth token of Twilio.")
    twilio_sms_from: str | None = Field(
        default=None, description="Number (E.164) or messaging service SID that Twilio sends SMS from."
    )
    twilio_voice_from: str | None = Field(default=None, description="Number (E.164) that Twilio calls from.")
    twilio_base_url: str = Field(default="https://api.twilio.com", description="Address of Twilio's API.")
    whatsapp_access_token: SecretStr | None = Field(
        default=None, description="Access token of the WhatsApp Cloud API."
    )
    whatsapp_phone_number_id: str | None = Field(
        default=None, description="Phone number id of the WhatsApp Cloud API that messages are sent from."
    )
    whatsapp_template: str = Field(
        default="sign_in_code", description="Name of the approved WhatsApp authentication template."
    )
    whatsapp_base_url: str = Field(
        default="https://graph.facebook.com/v21.0",
        description="Address of the WhatsApp Cloud API, with its version.",
    )
    gateway_url: str | None = Field(
        default=None,
        description="Address that the generic HTTP gateway is posted to; see docs for the request.",
    )
    gateway_secret: SecretStr | None = Field(
        default=None, description="Bearer token sent to the generic HTTP gateway."
    )

    # What comes in
    payment_providers: _Words = Field(
        default=(),
        description="Providers of payments, of `stripe`, `test`. The first takes new payments; the others finish "
        "those that they began. With `test` nobody pays anything: vouchers are given away.",
    )
    stripe_secret_key: SecretStr | None = Field(
        default=None,
        description="Secret key of Stripe, or a restricted one that may write Checkout sessions and refunds.",
    )
    stripe_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signing secret of Stripe's webhook endpoint, whose address is `/api/v1/payments/stripe/events`.",
    )
    stripe_api_url: str = Field(default="https://api.stripe.com", description="Address of Stripe's API.")

    # How much
    pool_size: int = Field(
        default=5, ge=1, le=100, description="Database connections for pages, for each process."
    )
    hot_pool_size: int = Field(
        default=4,
        ge=1,
        le=32,
        description="Database connections for claims and redemptions, and as many again for quotes, for each process. "
        "More is not faster.",
    )
    valkey_url: str | None = Field(
        default=None,
        description="Valkey in which rate limits are shared between processes, as `valkey://host:6379/0`. "
        "Left out, each process counts for itself. Needs the package `valkey`.",
    )
    member_session_days: int = Field(
        default=90, ge=1, le=400, description="Days that a member stays signed in."
    )
    staff_idle_minutes: int = Field(
        default=480,
        ge=5,
        le=10080,
        description="Minutes without a click after which staff must sign in again.",
    )
    staff_session_days: int = Field(
        default=7, ge=1, le=90, description="Days after which staff must sign in again."
    )
    cashier_session_days: int = Field(
        default=30,
        ge=1,
        le=90,
        description="Days after which cashiers, whose device stands at the counter, must.",
    )
    wrong_passwords_per_member: int = Field(
        default=8, ge=1, le=1000, description="Wrong campaign passwords that a member may try in ten minutes."
    )
    wrong_passwords_per_address: int = Field(
        default=200,
        ge=1,
        le=100000,
        description="Wrong campaign passwords that may come from one network address in ten minutes.",
    )
    sign_ins_per_address: int = Field(
        default=120,
        ge=1,
        le=100000,
        description="Sign-in attempts of staff, and codes entered by members, from one address in ten minutes.",
    )
    failed_lookups_per_counter: int = Field(
        default=40,
        ge=1,
        le=100_000,
        description="Coupon codes that lead to nothing which one cashier or till may try in ten minutes.",
    )
    wrong_codes_per_member: int = Field(
        default=40,
        ge=1,
        le=100_000,
        description="Coupon codes that lead to nothing which a member may try in a shop's carts in ten minutes.",
    )
    wrong_codes_of_guests: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="The same of all guests of a shop's API key together.",
    )
    wrong_codes_per_key: int = Field(
        default=50_000,
        ge=1,
        le=100_000_000,
        description="The same of everybody who comes through one API key, in a day. Keep it above what guests can "
        "reach, which is 144 times as many as they have, so that they never stop members.",
    )
    codes_per_address: int = Field(
        default=60,
        ge=1,
        le=1_000_000,
        description="One-time codes that one address may ask for in ten minutes.",
    )
    codes_at_home_per_minute: int = Field(
        default=200_000,
        ge=1,
        le=10_000_000,
        description="One-time codes a minute to phones of the default region; other countries get 300.",
    )
    api_requests_per_minute: int = Field(
        default=1200,
        ge=1,
        le=1000000,
        description="Requests of one API key in a minute, the counter's excepted.",
    )

    # Watching
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least serious messages that are logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for machines, `console` for people."
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token, at least 16 characters, with which `/metrics` is read. Left out, only callers "
        "on this machine may read it, and none that come through a proxy.",
    )

    @field_validator(
        "trusted_proxies", "sign_in_countries", "sms_providers", "whatsapp_providers", "voice_providers",
        "payment_providers", "secret_key",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("postgresql", "postgres"):
            raise ValueError("must begin with postgresql://")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be an address such as https://coupons.example.org, without a path")
        return value.rstrip("/")

    @field_validator("valkey_url")
    @classmethod
    def _check_valkey_url(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("valkey", "valkeys"):
            raise ValueError("must begin with valkey:// or valkeys://")
        return value

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not an IANA time zone such as Asia/Hong_Kong") from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"{network!r} is not an address or network such as 10.0.0.0/8") from None
        return value

    @field_validator("secret_key")
    @classmethod
    def _check_secret(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < SECRET_KEY_MINIMUM_CHARACTERS for secret in value):
            raise ValueError(f"each secret must have at least {SECRET_KEY_MINIMUM_CHARACTERS} characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        wrong: list[str] = []
        if not self.secret_key and not self.demo:
            wrong.append(f"{PREFIX}SECRET_KEY is required: at least {SECRET_KEY_MINIMUM_CHARACTERS} random characters, "
                         "the same for every process")  # fmt: skip
        for kind, (providers, known) in self._providers().items():
            for provider in providers:
                variable = f"{PREFIX}{kind.upper()}_PROVIDERS"
                if provider not in known:
                    wrong.append(f"{variable} names {provider!r}; it can name {', '.join(known)}")
                elif provider == "outbox" and not self.demo:
                    wrong.append(f"{variable} names outbox, which sends nothing and is for the demo only")
                else:
                    wrong += [
                        f"{PREFIX}{needed.upper()} is required because {variable} names {provider}"
                        for needed in _NEEDED[kind, provider]
                        if getattr(self, needed) is None
                    ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def _providers(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        return {
            "sms": (self.sms_providers, ("twilio", "gateway", "outbox")),
            "whatsapp": (self.whatsapp_providers, ("whatsapp_cloud", "gateway", "outbox")),
            "voice": (self.voice_providers, ("twilio", "gateway", "outbox")),
            "payment": (self.payment_providers, ("stripe", "test")),
        }

    @property
    def secret_keys(self) -> list[bytes]:
        """The secrets as bytes; the first one signs, all are accepted."""
        return [secret.get_secret_value().encode() for secret in self.secret_key]

    @property
    def cookies_are_secure(self) -> bool:
        """True when people come over https, so that cookies must too."""
        return self.public_url.startswith("https://")

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks whose ``X-Forwarded-For`` is believed."""
        return tuple(ip_network(network, strict=False) for network in self.trusted_proxies)


_NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("sms", "twilio"): ("twilio_account_sid", "twilio_auth_token", "twilio_sms_from"),
    ("voice", "twilio"): ("twilio_account_sid", "twilio_auth_token", "twilio_voice_from"),
    ("whatsapp", "whatsapp_cloud"): ("whatsapp_access_token", "whatsapp_phone_number_id"),
    **{(channel, "gateway"): ("gateway_url",) for channel in ("sms", "whatsapp", "voice")},
    **{(channel, "outbox"): () for channel in ("sms", "whatsapp", "voice")},
    ("payment", "stripe"): ("stripe_secret_key", "stripe_webhook_secret"),
    ("payment", "test"): (),
}


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with ``overrides`` before them.

    In demo mode what is missing is filled in: a secret that is kept in the data directory, so that every
    process and the next start share it, the outbox for every channel, payments that cost nothing, and the market.

    Raises:
        SettingsError: one line for each wrong variable.
    """
    wrong = [_sentence_of_unknown(name) for name in os.environ if _is_unknown(name)]
    settings = None
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        wrong += [_sentence_of(dict(problem)) for problem in error.errors()]
    if settings is None or wrong:
        raise SettingsError("\n".join(wrong))
    return _with_demo_defaults(settings) if settings.demo else settings


def _with_demo_defaults(settings: Settings) -> Settings:
    missing: dict[str, Any] = {
        name: ("outbox",)
        for name in ("sms_providers", "whatsapp_providers", "voice_providers")
        if not getattr(settings, name)
    }
    if not settings.payment_providers:
        missing["payment_providers"] = ("test",)
    if "market" not in settings.model_fields_set:
        missing["market"] = True
    if not settings.secret_key:
        missing["secret_key"] = (SecretStr(_kept_secret(settings.data_directory)),)
    return settings.model_copy(update=missing)


def _kept_secret(directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_text("ascii").strip()
        if len(kept) < SECRET_KEY_MINIMUM_CHARACTERS:
            raise SettingsError(
                f"{path} holds no secret of {SECRET_KEY_MINIMUM_CHARACTERS} characters; remove it"
            ) from None
        return kept
    secret = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return secret


def _is_unknown(variable: str) -> bool:
    return variable.startswith(PREFIX) and variable[len(PREFIX) :].lower() not in Settings.model_fields


def _sentence_of_unknown(variable: str) -> str:
    return f"{variable} is not a setting of Tearline; see docs/settings.md for those there are."


def _sentence_of(problem: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not problem["loc"]:
        return message + "."
    message = message[0].lower() + message[1:] if message.split(" ")[0].istitle() else message
    return f"{PREFIX}{str(problem['loc'][0]).upper()} is wrong: {message}."


def settings_page() -> str:
    """The text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Tearline is set up by environment variables. A wrong one is refused at start with a sentence that says why.",
        "This page is made from `src/tearline/config.py` by `python -m tearline.config`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, (), PydanticUndefined) else _shown(field.default)
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    Path("docs/settings.md").write_text(settings_page(), "utf-8")
