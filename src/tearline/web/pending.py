"""TEMPORARY bridge until members.tokens and coupons.desk are there; removed by the API part."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

try:
    from tearline.members.tokens import MemberIdentity, MemberTokens
except ImportError:

    @dataclass(frozen=True, slots=True)
    class MemberIdentity:
        member_id: UUID
        epoch: int
        expires_at: datetime

    class MemberTokens:
        def __init__(self, keys: Any, **kw: Any) -> None: ...
        def verify(self, token: str, now: datetime) -> MemberIdentity:
            from tearline.core.refusal import Refusal

            raise Refusal("session_ended")


try:
    from tearline.coupons.desk import RedemptionDesk
except ImportError:

    class RedemptionDesk:
        def __init__(self, *a: Any, **kw: Any) -> None: ...
        async def drain(self) -> None: ...
