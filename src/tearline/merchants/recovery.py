"""Recovery codes: ten for each account that uses an authenticator app, for when the phone is lost.

They are shown once and stored hashed; each signs in once. The caller of what writes holds the account's row.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.codes import ALPHABET, normalise
from tearline.merchants.model import RecoveryCode

RECOVERY_CODES = 10
CODE_LENGTH = 16
_GROUP_LENGTH = 4


async def replace_recovery_codes(tx: AsyncConnection, staff_id: UUID, now: datetime) -> list[str]:
    """Ten new codes, to be shown once, as ``ABCD-EFGH-JKMN-PQRS``; those before them no longer count."""
    await drop_recovery_codes(tx, staff_id)
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(RECOVERY_CODES)]
    rows = [{"staff_id": staff_id, "code_hash": _hash(code), "created_at": now} for code in codes]
    await tx.execute(insert(RecoveryCode), rows)
    return [
        "-".join(code[start : start + _GROUP_LENGTH] for start in range(0, CODE_LENGTH, _GROUP_LENGTH))
        for code in codes
    ]


async def use_recovery_code(tx: AsyncConnection, staff_id: UUID, typed: str) -> bool:
    """Use up one of the account's codes, typed in any manner; False when it is none of them."""
    code = normalise(typed)
    if len(code) != CODE_LENGTH or any(character not in ALPHABET for character in code):
        return False
    used = await tx.execute(
        delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id, RecoveryCode.code_hash == _hash(code))
    )
    return used.rowcount == 1


async def drop_recovery_codes(tx: AsyncConnection, staff_id: UUID) -> None:
    """Forget an account's codes: they belong to an authenticator app that no longer counts."""
    await tx.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))


async def recovery_codes_left(connection: AsyncConnection, staff_id: UUID) -> int:
    """How many of an account's codes are still good."""
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.staff_id == staff_id)
    return await connection.scalar(query) or 0


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
