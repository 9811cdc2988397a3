"""Codes of authenticator apps (RFC 6238): which time step a code belongs to, so that each is good once."""

from __future__ import annotations

import hmac
from datetime import datetime

import pyotp

ISSUER = "Tearline"
STEP_SECONDS = 30
STEPS_ASTRAY = 1
"""A phone's clock may be this many steps off, either way."""


def new_secret() -> str:
    """A new shared secret, in base32 as authenticator apps take it."""
    return pyotp.random_base32()


def enrolment_uri(secret: str, email: str, issuer: str = ISSUER) -> str:
    """The ``otpauth://`` address that an authenticator app scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def step_of_code(secret: str, code: str, now: datetime, last_step: int | None) -> int | None:
    """The time step that this code is right for; None when it is wrong, or that step was used already."""
    typed = "".join(code.split())
    if len(typed) != 6 or not (typed.isascii() and typed.isdecimal()):
        return None
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    current = int(now.timestamp()) // STEP_SECONDS
    for step in range(current - STEPS_ASTRAY, current + STEPS_ASTRAY + 1):
        is_right = hmac.compare_digest(totp.generate_otp(step), typed)
        if is_right and (last_step is None or step > last_step):
            return step
    return None
