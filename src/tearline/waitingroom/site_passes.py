"""Passes for other sites: compact JWS (RFC 7515, 8037) that a site verifies offline, with a public key.

``docs/waiting-room.md`` says the same for those who verify them; ``tearline.gateway`` does it in Python.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tearline.core.sealing import MINIMUM_KEY_BYTES
from tearline.waitingroom.tokens import Pass

_PURPOSE = b"tearline room pass for other sites v1 Ed25519"


class SitePasses:
    """Signs passes for other sites, and publishes the keys that they are verified with.

    The key pairs are derived from the secrets, so that there is nothing more to keep or to lose. A secret is
    rotated by listing the new one second, so that sites get to know its key, and first a day later.

    Args:
        keys: secrets of at least 32 bytes; the first signs, the public keys of all are published.
        issuer: the address of this installation, as people use it.
    """

    def __init__(self, keys: Sequence[bytes], issuer: str) -> None:
        if not keys or any(len(key) < MINIMUM_KEY_BYTES for key in keys):
            raise ValueError(f"at least one key, each of {MINIMUM_KEY_BYTES} bytes or more, is needed")
        pairs = [_key_pair(key) for key in keys]
        published = [_public_key(pair) for pair in pairs]
        self._issuer = issuer
        self._signing = pairs[0]
        self._header = _text(msgspec.json.encode({"alg": "EdDSA", "kid": published[0]["kid"], "typ": "JWT"}))
        self.document = msgspec.json.encode({"keys": published})
        """The public keys as JSON: a JWK Set (RFC 7517)."""

    def signed(self, held: Pass, room_code: str, site: str, now: datetime) -> str:
        """The pass as one other site takes it; good for as long as the pass itself.

        Args:
            site: the site's origin, as the room's settings name it.
        """
        claims = {
            "iss": self._issuer,
            "aud": site,
            "room": room_code,
            "jti": _name_of(held),
            "iat": int(now.timestamp()),
            "exp": int(held.expires_at.timestamp()),
        }
        signed = f"{self._header}.{_text(msgspec.json.encode(claims))}"
        return f"{signed}.{_text(self._signing.sign(signed.encode('ascii')))}"


def _key_pair(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, _PURPOSE).derive(key))


def _public_key(pair: Ed25519PrivateKey) -> dict[str, Any]:
    public = {"crv": "Ed25519", "kty": "OKP", "x": _text(pair.public_key().public_bytes_raw())}
    # The thumbprint of RFC 7638, which anyone can compute: members by name, without spaces.
    thumbprint = hashlib.sha256(msgspec.json.encode(public, order="sorted")).digest()
    return {**public, "kid": _text(thumbprint), "use": "sig", "alg": "EdDSA"}


def _name_of(held: Pass) -> str:
    """The same for the same place whenever it is handed over, and no other's; it does not tell the place."""
    place = held.round.to_bytes(4, "big") + held.place.to_bytes(8, "big", signed=True)
    return _text(hashlib.sha256(b"tearline site pass" + held.room_id.bytes + place).digest()[:16])


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
