"""Proof of work at joining: a puzzle that costs a person's browser a moment, and a crowd of bots a fortune.

The puzzles are ALTCHA's: signed and self-contained, so that handing one out stores nothing. Each solution is
good for one ticket: see ``JoinDesk``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import altcha
import msgspec

from tearline.core.refusal import Refusal
from tearline.waitingroom.joins import Solution

LIFETIME = timedelta(minutes=10)
LONGEST_PROOF_CHARACTERS = 4_000
_ALGORITHM = "PBKDF2/SHA-256"
_COST = 2_000
"""Iterations for each of the some 256 guesses that a solution takes; checking one takes a single guess."""


class Puzzles:
    """Makes the puzzles of all rooms, and checks their solutions.

    Args:
        keys: secrets of the installation; the first signs, all verify.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._secrets = [hmac.digest(key, b"tearline proof of work v1", "sha256").hex() for key in keys]

    def puzzle(self, room_code: str, now: datetime) -> dict[str, Any]:
        """A fresh puzzle, as ALTCHA's widget takes it."""
        made = altcha.create_challenge(
            _ALGORITHM,
            _COST,
            expires_at=now + LIFETIME,
            data={"room": room_code},
            hmac_secret=self._secrets[0],
        )
        return dict(made.to_dict())

    def check(self, proof: str, room_code: str) -> Solution:
        """The solution that a visitor brings.

        Raises:
            Refusal: ``wrong_proof`` when it does not solve a puzzle of this room, or too late.
        """
        if len(proof) > LONGEST_PROOF_CHARACTERS or not proof.isascii():
            raise Refusal("wrong_proof")
        try:
            payload = msgspec.json.decode(base64.b64decode(proof, validate=True))
            parameters = payload["challenge"]["parameters"]
            expires_at = datetime.fromtimestamp(float(parameters["expiresAt"]), UTC)
            is_ours = parameters["data"]["room"] == room_code
            # The puzzle's cost is signed, but only once it's known to be ours may it be paid.
            verified = is_ours and any(
                altcha.verify_solution(proof, secret).verified for secret in self._secrets
            )
            nonce = str(parameters["nonce"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, msgspec.DecodeError):
            raise Refusal("wrong_proof") from None
        if not verified:
            raise Refusal("wrong_proof")
        return Solution(hashlib.sha256(f"{room_code}\n{nonce}".encode()).digest(), expires_at)
