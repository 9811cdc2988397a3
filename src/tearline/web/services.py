"""What the faces work with: opened once in each process, closed when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import phonenumbers
from sqlalchemy.exc import SQLAlchemyError

from tearline.campaigns.desk import ClaimDesk
from tearline.catalogue.shelf import ShelfWatch
from tearline.checkout.offers import OfferBook
from tearline.config import Settings
from tearline.core.signin import Rate, SignInRates
from tearline.coupons.desk import RedemptionDesk
from tearline.db import Database
from tearline.members.sign_in import SignInRules
from tearline.members.tokens import MemberTokens
from tearline.merchants.keys import KeyCache
from tearline.merchants.sessions import SessionLifetimes
from tearline.merchants.sign_in import StaffSignIn
from tearline.notices.reads import QueueWatch
from tearline.payments.provider import PaymentProvider
from tearline.sales.desk import SaleDesk
from tearline.sales.reads import guarded_stock
from tearline.waitingroom.controller import control_rooms
from tearline.waitingroom.doordesk import DoorDesk
from tearline.waitingroom.guard import Guard
from tearline.waitingroom.joins import JoinDesk
from tearline.waitingroom.proof import Puzzles
from tearline.waitingroom.site_passes import SitePasses
from tearline.waitingroom.tokens import RoomTokens
from tearline.waitingroom.watch import RoomWatch
from tearline.web import metrics
from tearline.web.background import BackgroundWork
from tearline.web.limits import CallerLimit, CodeGuard, Limit, Limiter, PasswordGuard, shared_counts
from tearline.web.paying import close_all, payment_providers

_GUESSING_SECONDS = 600
_KEY_GUESSING_SECONDS = 24 * 3600
_STOP_SECONDS = 5.0


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
    sale_desk: SaleDesk
    cart_offers: OfferBook
    """Offers as carts use them, by version."""
    payment_providers: dict[str, PaymentProvider]
    """By name; the first one takes new payments."""
    member_sign_in: SignInRules
    notice_queues: QueueWatch
    """How far behind each channel is, for offering the quickest first."""
    limiter: Limiter
    password_guard: PasswordGuard
    room_tokens: RoomTokens
    join_desk: JoinDesk
    door_desk: DoorDesk
    room_watch: RoomWatch
    """What this process knows of the waiting rooms: read once a second."""
    room_guard: Guard
    puzzles: Puzzles
    site_passes: SitePasses
    code_guard: CodeGuard
    """Keeps anybody from finding coupons by trying codes in carts."""
    shelf_watch: ShelfWatch
    """Whether the market has anything to sell."""
    background: BackgroundWork
    """What goes on after its request was answered."""
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
    limiter = Limiter(shared_counts(settings.valkey_url) if settings.valkey_url else None)
    failed_lookups = CallerLimit(
        limiter, Limit("failed-lookups", settings.failed_lookups_per_counter, _GUESSING_SECONDS)
    )
    redemption_desk = RedemptionDesk(
        database,
        settings.secret_keys,
        failed_lookups,
        observe_batch=_observer("redemptions"),
    )
    sale_desk = make_sale_desk(settings, database, observe_batch=_observer("sales"))
    providers = payment_providers(settings)
    room_tokens = RoomTokens(settings.secret_keys)
    join_desk = JoinDesk(database, observe_batch=_observer("joins"))
    door_desk = DoorDesk(database, observe_batch=_observer("door"))
    room_watch = RoomWatch(database)
    sign_ins = Limit("staff-sign-ins", settings.sign_ins_per_address, _GUESSING_SECONDS)
    # Known from the first request on. Where the database is still away, ``run`` goes on trying.
    with suppress(OSError, SQLAlchemyError):
        await room_watch.refresh(datetime.now(UTC))
    stopping = asyncio.Event()
    background_work = BackgroundWork()
    background = [
        asyncio.create_task(room_watch.run(stopping)),
        asyncio.create_task(control_rooms(database, guarded_stock, stopping)),
    ]
    try:
        yield Services(
            settings=settings,
            database=database,
            member_tokens=MemberTokens(
                settings.secret_keys, lifetime=timedelta(days=settings.member_session_days)
            ),
            api_keys=KeyCache(database),
            staff_sign_in=StaffSignIn(database, partial(limiter.hit, sign_ins), lifetimes),
            session_lifetimes=lifetimes,
            claim_desk=claim_desk,
            redemption_desk=redemption_desk,
            sale_desk=sale_desk,
            payment_providers=providers,
            member_sign_in=sign_in_rules(settings),
            notice_queues=QueueWatch(database),
            limiter=limiter,
            password_guard=PasswordGuard(
                limiter,
                Limit("wrong-passwords", settings.wrong_passwords_per_member, _GUESSING_SECONDS),
                Limit("wrong-passwords-address", settings.wrong_passwords_per_address, _GUESSING_SECONDS),
            ),
            room_tokens=room_tokens,
            join_desk=join_desk,
            door_desk=door_desk,
            room_watch=room_watch,
            room_guard=Guard(room_watch, room_tokens, door_desk),
            puzzles=Puzzles(settings.secret_keys),
            site_passes=SitePasses(settings.secret_keys, settings.public_url),
            cart_offers=OfferBook(),
            code_guard=CodeGuard(
                limiter,
                Limit("wrong-codes", settings.wrong_codes_per_member, _GUESSING_SECONDS),
                Limit("wrong-codes-guests", settings.wrong_codes_of_guests, _GUESSING_SECONDS),
                Limit("wrong-codes-key", settings.wrong_codes_per_key, _KEY_GUESSING_SECONDS),
            ),
            shelf_watch=ShelfWatch(settings.currency),
            background=background_work,
        )
    finally:
        await background_work.stop()
        # The server has stopped taking requests; those it took get their answer before connections close.
        for desk in (claim_desk, redemption_desk, sale_desk, join_desk, door_desk):
            await desk.drain()
        stopping.set()
        # They finish what they are at; a database that is away is not waited for.
        _done, late = await asyncio.wait(background, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        await close_all(providers)
        await database.close()


def make_sale_desk(
    settings: Settings,
    database: Database,
    *,
    observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
) -> SaleDesk:
    """A sale desk that tells members of their vouchers by text message, where the installation sends any."""
    sends_texts = settings.demo or bool(settings.sms_providers)
    return SaleDesk(
        database,
        observe_batch=observe_batch,
        notice_channel="sms" if sends_texts else None,
        wallet_address=f"{settings.public_url}/wallet",
    )


def sign_in_rules(settings: Settings) -> SignInRules:
    """The members' rules for signing in, as the settings have them."""
    usual = SignInRates()
    home_prefix = phonenumbers.country_code_for_region(settings.default_region)
    providers = {
        "sms": settings.sms_providers,
        "whatsapp": settings.whatsapp_providers,
        "voice": settings.voice_providers,
    }
    return SignInRules(
        default_region=settings.default_region,
        regions=frozenset(settings.sign_in_countries),
        channels=tuple(channel for channel, names in providers.items() if names),
        rates=replace(
            usual,
            address=Rate(settings.codes_per_address, _GUESSING_SECONDS),
            # Members at home may all come in the same minute.
            countries={home_prefix: Rate(settings.codes_at_home_per_minute, 60)},
        ),
    )


def _observer(desk: str) -> Callable[[int, float], None]:
    sizes = metrics.batch_sizes.labels(desk)

    def observe(size: int, _seconds: float) -> None:
        sizes.observe(size)

    return observe
