"""Signing in by phone as every face does it: asking for a one-time code, entering it, and the ways to get one."""

from __future__ import annotations

from uuid import UUID

from tearline.core.signin import Rate
from tearline.db import transaction
from tearline.members.sign_in import (
    ChannelChoice,
    CodeRequested,
    SignedIn,
    channels_by_load,
    request_code,
    verify_code,
)
from tearline.web.limits import Limit
from tearline.web.services import Services

_ENTRIES_SECONDS = 600


async def channels(services: Services) -> list[ChannelChoice]:
    """The ways to get a code, the least loaded first; those that are behind say so."""
    states = await services.notice_queues.states(services.now())
    return channels_by_load(states, services.member_sign_in.channels)


async def ask_for_code(
    services: Services, *, phone: str, channel: str, language: str, address: str
) -> CodeRequested:
    """Send a code; raises as ``members.sign_in.request_code``."""

    async def count(name: str, rate: Rate, key: str) -> None:
        await services.limiter.hit(Limit(name, rate.amount, rate.seconds), key)

    async with transaction(services.database) as tx:
        return await request_code(
            tx,
            count,
            phone=phone,
            channel=channel,
            language=language,
            address=address,
            now=services.now(),
            secret=services.settings.secret_keys[0],
            rules=services.member_sign_in,
        )


async def enter_code(
    services: Services, *, sign_in_id: UUID, code: str, language: str, address: str
) -> tuple[SignedIn, str]:
    """Enter a code; answers who it was and the token of the session.

    Raises:
        Refusal: as ``members.sign_in.verify_code``, and ``too_many_attempts`` from this address.
    """
    limit = Limit("code-entries", services.settings.sign_ins_per_address, _ENTRIES_SECONDS)
    await services.limiter.hit(limit, address)
    now = services.now()
    signed_in = await verify_code(
        services.database,
        sign_in_id=sign_in_id,
        code=code,
        now=now,
        secret=services.settings.secret_keys[0],
        language=language,
    )
    return signed_in, services.member_tokens.issue(signed_in.member_id, signed_in.epoch, now)
