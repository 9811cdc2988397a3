"""Signed tokens that are checked without asking anybody: ``VERSION.KEY ID.PAYLOAD.SIGNATURE``.

The signature is HMAC-SHA256 over all before it. A key is retired by moving it to the end of the list and,
once every token that it signed has expired, dropping it; dropping it at once ends them all.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from struct import Struct
from typing import Any

MINIMUM_KEY_BYTES = 32


class Seal:
    """Signs and verifies the tokens of one purpose.

    Args:
        version: begins every token, such as ``v1``; tokens of another version are not ours.
        purpose: keys of this purpose are derived from ``keys``, which may sign other things elsewhere.
        keys: secrets of at least 32 bytes; the first signs, all verify.
        payload: what a token carries.
    """

    def __init__(self, version: str, purpose: bytes, keys: Sequence[bytes], payload: Struct) -> None:
        if not keys or any(len(key) < MINIMUM_KEY_BYTES for key in keys):
            raise ValueError(f"at least one key, each of {MINIMUM_KEY_BYTES} bytes or more, is needed")
        derived = [hmac.digest(key, purpose, hashlib.sha256) for key in keys]
        self._version = version
        self._payload = payload
        self._payload_characters = -(-payload.size * 4 // 3)
        self._padding = "=" * (-self._payload_characters % 4)
        self._key_by_id = {_text(hashlib.sha256(key).digest()[:6]): key for key in derived}
        self._signing_id = _text(hashlib.sha256(derived[0]).digest()[:6])
        self._characters = len(self.sealed(*payload.unpack(bytes(payload.size))))

    def sealed(self, *values: Any) -> str:
        """A token that carries these values."""
        signed = f"{self._version}.{self._signing_id}.{_text(self._payload.pack(*values))}"
        return f"{signed}.{_signature(self._key_by_id[self._signing_id], signed)}"

    def opened(self, token: str) -> tuple[Any, ...] | None:
        """What a token carries; None when it is not ours, was changed, or its key is gone."""
        if len(token) != self._characters or not token.isascii():
            return None
        signed, _, signature = token.rpartition(".")
        parts = signed.split(".")
        if len(parts) != 3 or parts[0] != self._version or len(parts[2]) != self._payload_characters:
            return None
        key = self._key_by_id.get(parts[1])
        if key is None or not hmac.compare_digest(_signature(key, signed), signature):
            return None
        return self._payload.unpack(urlsafe_b64decode(parts[2] + self._padding))


class TextSeal:
    """Signs and verifies values of any length that somebody else keeps, such as a browser.

    Args:
        version: begins every token, as of ``Seal``.
        purpose: keys of this purpose are derived from ``keys``.
        keys: secrets of at least 32 bytes; the first signs, all verify.
        most_characters: what is longer is no token of ours.
    """

    def __init__(self, version: str, purpose: bytes, keys: Sequence[bytes], most_characters: int) -> None:
        if not keys or any(len(key) < MINIMUM_KEY_BYTES for key in keys):
            raise ValueError(f"at least one key, each of {MINIMUM_KEY_BYTES} bytes or more, is needed")
        self._version = version
        self._keys = [hmac.digest(key, purpose, hashlib.sha256) for key in keys]
        self._most_characters = most_characters

    def sealed(self, data: bytes) -> str | None:
        """A token that carries these bytes; None when it would be too long."""
        signed = f"{self._version}.{_text(data)}"
        token = f"{signed}.{_signature(self._keys[0], signed)}"
        return token if len(token) <= self._most_characters else None

    def opened(self, token: str) -> bytes | None:
        """What a token carries; None when it is not ours, was changed, or its key is gone."""
        if len(token) > self._most_characters or not token.isascii():
            return None
        signed, _, signature = token.rpartition(".")
        version, _, text = signed.partition(".")
        if version != self._version:
            return None
        if not any(hmac.compare_digest(_signature(key, signed), signature) for key in self._keys):
            return None
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signature(key: bytes, signed: str) -> str:
    return _text(hmac.digest(key, signed.encode("ascii"), "sha256"))
