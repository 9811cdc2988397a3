"""Passwords of staff: what is accepted, and their argon2id hashes."""

from __future__ import annotations

from functools import cache

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tearline.core.texts import is_storable
from tearline.i18n import _

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""argon2id with OWASP's smallest memory: some 30 ms and 19 MiB for one, so that a rush of sign-ins does
not eat the machine. Raising a parameter rehashes each password at its next sign-in."""

_COMMON = ("password", "123456", "qwerty", "letmein", "tearline", "welcome", "iloveyou", "admin")

_hashing_limit: RunVar[anyio.CapacityLimiter] = RunVar("tearline_password_hashing_limit")


def check_new_password(password: str, *, email: str) -> str | None:
    """What is wrong with a new password, as an English sentence, or None. Length is what counts."""
    if len(password) < SHORTEST_PASSWORD:
        return _("Choose a password of at least 10 characters.")
    if len(password) > LONGEST_PASSWORD:
        return _("This is too long.")
    if not is_storable(password):
        return _("This contains characters that cannot be stored.")
    plain = password.casefold()
    if plain == email.casefold() or plain.strip("0123456789!?.-_ ") in _COMMON or len(set(plain)) < 4:
        return _("This password is too easy to guess.")
    return None


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, made beside the event loop."""
    return await anyio.to_thread.run_sync(HASHER.hash, password, limiter=_limiter())


async def is_right_password(password_hash: str | None, password: str) -> bool:
    """Whether the password fits the hash. Without a hash, the same work is done for nothing, so that the
    time an answer takes does not tell whether an account exists."""
    is_right = await anyio.to_thread.run_sync(
        _verify, password_hash or _nobodys_hash(), password[: LONGEST_PASSWORD + 1], limiter=_limiter()
    )
    return is_right and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """True when the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


@cache
def _nobodys_hash() -> str:
    return HASHER.hash("nobody's password")


def _limiter() -> anyio.CapacityLimiter:
    # Of its own and small: the shared limiter of 40 threads would take 760 MiB under a storm of sign-ins.
    try:
        return _hashing_limit.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(2)
        _hashing_limit.set(limiter)
        return limiter
