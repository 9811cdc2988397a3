"""What a claim in a guarded campaign needs: a pass, checked without the database."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tearline.core.refusal import Refusal
from tearline.waitingroom.doordesk import DoorDesk
from tearline.waitingroom.tokens import Pass, RoomTokens
from tearline.waitingroom.watch import RoomView, RoomWatch


class Guard:
    """Lets claims through that bring a valid pass of the room that guards their campaign."""

    def __init__(self, watch: RoomWatch, tokens: RoomTokens, door: DoorDesk) -> None:
        self._watch = watch
        self._tokens = tokens
        self._door = door

    def room_of(self, campaign_code: str) -> RoomView | None:
        """The room that guards this campaign, or None when anyone may claim.

        Raises:
            Refusal: ``unavailable`` while the rooms have not been read.
        """
        return self._watch.guard_of(campaign_code)

    def held(self, token: str | None, room: RoomView, now: datetime) -> Pass:
        """The pass that somebody brings, if it is one of this room and its time is not up.

        Raises:
            Refusal: ``pass_required``, ``pass_ended``.
        """
        if not token:
            raise Refusal("pass_required", room=room.code)
        held = self._tokens.read_pass(token, room.id, now)
        # A new round has its own line, and all of the room is for those who come from it.
        if held.round < room.round or self._watch.has_left(room.id, held.round, held.place):
            raise Refusal("pass_ended")
        return held

    async def admit(
        self, campaign_code: str, token: str | None, member_id: UUID, now: datetime
    ) -> Pass | None:
        """The member's pass to this campaign; None when no room guards it.

        A pass serves one member. One that is in the member's name already costs no work in the database; one
        that is in nobody's is put in the member's.

        Raises:
            Refusal: ``pass_required``, ``pass_ended``, ``pass_taken``, ``unavailable``.
        """
        room = self.room_of(campaign_code)
        if room is None:
            return None
        held = self.held(token, room, now)
        if held.member_id is None:
            return await self._door.bind(held, member_id)
        if held.member_id != member_id:
            raise Refusal("pass_taken")
        return held
