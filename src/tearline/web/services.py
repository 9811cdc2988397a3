"""What the faces work with: opened once in each process, closed when it stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from tearline.campaigns.desk import ClaimDesk
from tearline.config import Settings
from tearline.db import Database
from tearline.merchants.keys import KeyCache
from tearline.merchants.sessions import SessionLifetimes
from tearline.merchants.sign_in import StaffSignIn
from tearline.web import metrics
from tearline.web.limits import Limiter, PasswordGuard, Rate
from tearline.web.pending import MemberTokens, RedemptionDesk

_GUESSING_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may need; on ``request.app.state.services``."""

    settings: Settings
    database: Database
    member_tokens: MemberTokens
    api_keys: KeyCache
    staff_sign_in: StaffSignIn
    session_lifetimes: SessionLifetimes
    claim_desk: ClaimDesk
    redemption_desk: RedemptionDesk
    limiter: Limiter
    password_guard: PasswordGuard
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def now(self) -> datetime:
        """The present time, aware."""
        return self.clock()


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The services of this process and event loop, until the block ends."""
    assert settings.database_url is not None, "the caller starts the embedded server and names its address"
    database = Database(
        settings.database_url, pool_size=settings.pool_size, hot_pool_size=settings.hot_pool_size
    )
    lifetimes = SessionLifetimes(
        idle=timedelta(minutes=settings.staff_idle_minutes),
        longest=timedelta(days=settings.staff_session_days),
        cashier=timedelta(days=settings.cashier_session_days),
    )
    claim_desk = ClaimDesk(database, observe_batch=_observer("claims"))
    redemption_desk = RedemptionDesk(database, observe_batch=_observer("redemptions"))
    limiter = Limiter(settings.valkey_url)
    sign_ins = Rate("staff-sign-ins", settings.sign_ins_per_address, _GUESSING_SECONDS)
    try:
        yield Services(
            settings=settings,
            database=database,
            member_tokens=MemberTokens(settings.secret_keys),
            api_keys=KeyCache(database),
            staff_sign_in=StaffSignIn(database, partial(limiter.hit, sign_ins), lifetimes),
            session_lifetimes=lifetimes,
            claim_desk=claim_desk,
            redemption_desk=redemption_desk,
            limiter=limiter,
            password_guard=PasswordGuard(
                limiter,
                Rate("wrong-passwords", settings.wrong_passwords_per_member, _GUESSING_SECONDS),
                Rate("wrong-passwords-address", settings.wrong_passwords_per_address, _GUESSING_SECONDS),
            ),
        )
    finally:
        # The server has stopped taking requests; those it took get their answer before connections close.
        await claim_desk.drain()
        await redemption_desk.drain()
        await database.close()


def _observer(desk: str) -> Callable[[int, float], None]:
    sizes = metrics.batch_sizes.labels(desk)

    def observe(size: int, _seconds: float) -> None:
        sizes.observe(size)

    return observe
