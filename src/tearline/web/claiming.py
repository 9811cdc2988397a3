"""A claim as every face makes it: with guesses at passwords throttled."""

from __future__ import annotations

from tearline.campaigns.desk import ClaimAnswer
from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberIdentity
from tearline.web.services import Services


async def claim(
    services: Services,
    identity: MemberIdentity,
    campaign_code: str,
    password: str,
    idempotency_key: str,
    address: str,
) -> ClaimAnswer:
    """Claim the prize that a password opens.

    Args:
        identity: from the member's verified token.
        idempotency_key: chosen by the client, the same for each repeat of this claim.
        address: the network address that it came from.

    Raises:
        Refusal: as ``ClaimDesk.claim``, and ``too_many_attempts`` after too many wrong passwords.
    """
    guard = services.password_guard
    await guard.take_turn(identity.member_id, address)
    try:
        return await services.claim_desk.claim(
            campaign_code, identity.member_id, identity.epoch, password, idempotency_key
        )
    except Refusal as refusal:
        if refusal.reason == "wrong_password":
            await guard.note_wrong(identity.member_id, address)
        raise
    finally:
        guard.end_turn(identity.member_id)
