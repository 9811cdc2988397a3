"""A claim as every face makes it: with a pass where a waiting room guards the campaign, and guesses throttled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.desk import ClaimAnswer
from tearline.campaigns.reads import is_claim_known
from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberIdentity
from tearline.waitingroom.tokens import Pass
from tearline.web.services import Services

log = structlog.get_logger(__name__)


async def claim(
    services: Services,
    identity: MemberIdentity,
    campaign_code: str,
    password: str,
    idempotency_key: str,
    address: str,
    pass_token: str | None = None,
) -> ClaimAnswer:
    """Claim the prize that a password opens.

    Args:
        identity: from the member's verified token.
        campaign_code: upper case.
        idempotency_key: chosen by the client, the same for each repeat of this claim.
        address: the network address that it came from.
        pass_token: what the client was let in with, for a campaign that a waiting room guards.

    Raises:
        Refusal: as ``ClaimDesk.claim``, ``too_many_attempts`` after too many wrong passwords, and as
            ``Guard.admit`` where a pass is needed.
    """

    async def is_known(connection: AsyncConnection) -> bool:
        return await is_claim_known(connection, identity.member_id, idempotency_key)

    held = await admitted(services, identity, campaign_code, pass_token, is_known)
    guard = services.password_guard
    await guard.take_turn(identity.member_id, address)
    try:
        answer = await services.claim_desk.claim(
            campaign_code, identity.member_id, identity.epoch, password, idempotency_key
        )
    except Refusal as refusal:
        if refusal.reason == "wrong_password":
            await guard.note_wrong(identity.member_id, address)
        raise
    finally:
        guard.end_turn(identity.member_id)
    if held is not None:
        await give_place_on(services, campaign_code, held)
    return answer


async def admitted(
    services: Services,
    identity: MemberIdentity,
    campaign_code: str,
    pass_token: str | None,
    is_known: Callable[[AsyncConnection], Awaitable[bool]],
) -> Pass | None:
    """The pass by which somebody may claim or buy; None where no room guards the campaign, and for a repeat.

    Args:
        is_known: whether what is asked for was granted before.

    Raises:
        Refusal: as ``Guard.admit``.
    """
    try:
        return await services.room_guard.admit(campaign_code, pass_token, identity.member_id, services.now())
    except Refusal as refusal:
        if refusal.reason != "pass_ended":
            raise
        # Somebody whose answer was lost asks again after their time inside: what was granted is theirs.
        async with services.database.connection() as connection:
            if not await is_known(connection):
                raise
        return None


async def give_place_on(services: Services, campaign_code: str, held: Pass) -> None:
    """Where the room is set so, a claim or an order gives the place to the next in line."""
    room = services.room_guard.room_of(campaign_code)
    if room is None or not room.claim_ends_session:
        return
    try:
        await services.door_desk.leave(held, "finished")
    except Refusal as refusal:
        # What was granted stands; the place comes free by itself at the end of the session.
        log.warning("place_not_freed", room=room.code, reason=refusal.reason)
