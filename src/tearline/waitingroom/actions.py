"""What the operator does with waiting rooms, and how one is entered by a bypass link.

Every action locks the room's row, and after it the hot row where the room's state matters as well.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from tearline.core import rooms as core
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_localised, is_storable, without_blanks
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.waitingroom.model import Room, RoomBypass, RoomCampaign, RoomEntry, RoomPage, RoomState
from tearline.waitingroom.reads import room_draft_of
from tearline.waitingroom.rounds import change_state, locked_state
from tearline.waitingroom.tokens import Pass

CODE_TAKEN_SENTENCE = _("This code is already in use; choose another.")
LONGEST_BYPASS = timedelta(days=90)
MOST_BYPASS_USES = 10_000

_KNOWN_CAMPAIGNS = text("SELECT id FROM campaign WHERE id = ANY(:ids)")


async def create_room(tx: AsyncConnection, actor: Actor, draft: core.RoomDraft, now: datetime) -> UUID:
    """Make a room, closed; answers its id.

    Raises:
        Refusal: ``invalid`` with what makes no sense by field, ``already_taken`` for the code, or for a
            campaign or a page that another room guards.
    """
    actor.require("rooms.write")
    draft = _tidied(draft)
    if problems := core.check_room(draft):
        raise Refusal("invalid", fields=problems)
    room_id = new_id()
    columns = _columns(draft)
    made = await tx.execute(
        insert(Room)
        .values(id=room_id, created_at=now, updated_at=now, **columns)
        .on_conflict_do_nothing(index_elements=[Room.code])
        .returning(Room.id)
    )
    if made.one_or_none() is None:
        raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE})
    await tx.execute(insert(RoomState).values(room_id=room_id, changed_at=now))
    await _guard(tx, room_id, draft)
    after = {**columns, **_guarded(draft)}
    await record_audit(tx, actor, "room.created", "room", room_id, None, after, now)
    return room_id


async def update_room(
    tx: AsyncConnection, actor: Actor, room_id: UUID, draft: core.RoomDraft, *, version: int, now: datetime
) -> int:
    """Replace what was decided about a room; answers its new version.

    A schedule that is changed counts from now on: its moments that have passed do nothing.

    Args:
        version: of the room that the person saw.

    Raises:
        Refusal: ``changed_meanwhile``, ``invalid``, ``already_taken``, ``not_editable`` for the code of a room
            that people are in.
    """
    row = await _locked(tx, actor, room_id, version)
    state = await locked_state(tx, room_id)
    before = await room_draft_of(tx, row)
    draft = _tidied(draft)
    if draft == before:
        return version
    if problems := core.check_room(draft):
        raise Refusal("invalid", fields=problems)
    if draft.code != before.code and state.state not in ("closed", "ended"):
        sentence = _("People are using this address; it can be changed when the room is closed.")
        raise Refusal("not_editable", fields={"code": sentence})
    if (draft.gathers_at, draft.starts_at, draft.ends_at) != (
        before.gathers_at,
        before.starts_at,
        before.ends_at,
    ):
        await tx.execute(update(RoomState).where(RoomState.room_id == room_id).values(changed_at=now))
    await _guard(tx, room_id, draft)
    columns = _columns(draft)
    was = {**_columns(before), **_guarded(before)}
    after = {**columns, **_guarded(draft)}
    return await _change(tx, actor, row, columns, "room.changed", now, audited=changes(was, after))


async def move_room(tx: AsyncConnection, actor: Actor, room_id: UUID, target: str, now: datetime) -> None:
    """Open, gather, start, end or close a room by hand: bring it to one of ``core.rooms.STATES``.

    Raises:
        Refusal: ``not_editable`` when that does not follow from the present state.
    """
    await _locked(tx, actor, room_id, None)
    state = await locked_state(tx, room_id)
    await change_state(tx, state, target, now)
    await record_audit(
        tx, actor, "room.moved", "room", room_id, {"state": state.state}, {"state": target}, now
    )


async def pause_room(
    tx: AsyncConnection, actor: Actor, room_id: UUID, *, is_paused: bool, now: datetime
) -> None:
    """Call nobody further, or go on. Those inside and those called are not touched by it.

    Raises:
        Refusal: ``not_editable`` unless the room is queueing.
    """
    await _locked(tx, actor, room_id, None)
    state = await locked_state(tx, room_id)
    if state.state != "queueing":
        raise Refusal("not_editable")
    if state.is_paused == is_paused:
        return
    await tx.execute(update(RoomState).where(RoomState.room_id == room_id).values(is_paused=is_paused))
    action = "room.paused" if is_paused else "room.resumed"
    await record_audit(
        tx, actor, action, "room", room_id, {"is_paused": state.is_paused}, {"is_paused": is_paused}, now
    )


async def turn_dial(
    tx: AsyncConnection,
    actor: Actor,
    room_id: UUID,
    *,
    max_active: int,
    per_minute: int | None,
    now: datetime,
) -> None:
    """Set how many people may be inside, and how many places are called in a minute at the most.

    Raises:
        Refusal: ``invalid``.
    """
    row = await _locked(tx, actor, room_id, None)
    draft = replace(await room_draft_of(tx, row), max_active=max_active, per_minute=per_minute)
    problems = core.check_room(draft)
    wrong = {name: sentence for name, sentence in problems.items() if name in ("max_active", "per_minute")}
    if wrong:
        raise Refusal("invalid", fields=wrong)
    await _change(
        tx, actor, row, {"max_active": max_active, "per_minute": per_minute}, "room.dial_turned", now
    )


async def tell(
    tx: AsyncConnection, actor: Actor, room_id: UUID, messages: Mapping[str, str], now: datetime
) -> None:
    """Tell something to those who wait; empty to take it back.

    Raises:
        Refusal: ``invalid``.
    """
    row = await _locked(tx, actor, room_id, None)
    messages = without_blanks(messages)
    if problems := check_localised("messages", messages, maximum=500, english_required=False):
        raise Refusal("invalid", fields=problems)
    await _change(tx, actor, row, {"messages": messages}, "room.told", now)


async def create_bypass(
    tx: AsyncConnection,
    actor: Actor,
    room_id: UUID,
    *,
    name: str,
    uses: int,
    expires_at: datetime,
    now: datetime,
) -> str:
    """Make a link that leads past the line; answers its token, which is not kept and shown only now.

    Raises:
        Refusal: ``invalid``.
    """
    await _locked(tx, actor, room_id, None)
    problems: dict[str, str] = {}
    if not (1 <= len(name.strip()) <= 120 and is_storable(name)):
        problems["name"] = _("Say in up to 120 characters whom it is for.")
    if not 1 <= uses <= MOST_BYPASS_USES:
        problems["uses"] = _("Give a whole number from 1 to 10,000.")
    if not now < expires_at <= now + LONGEST_BYPASS:
        problems["expires_at"] = _("Choose a time within the next 90 days.")
    if problems:
        raise Refusal("invalid", fields=problems)
    token, bypass_id = secrets.token_urlsafe(24), new_id()
    values = {"name": name.strip(), "uses_left": uses, "expires_at": expires_at}
    await tx.execute(
        insert(RoomBypass).values(
            id=bypass_id, room_id=room_id, token_hash=_hash(token), created_at=now, **values
        )
    )
    await record_audit(
        tx, actor, "room.bypass_created", "room", room_id, None, {"bypass_id": bypass_id, **values}, now
    )
    return token


async def withdraw_bypass(
    tx: AsyncConnection, actor: Actor, room_id: UUID, bypass_id: UUID, now: datetime
) -> None:
    """Make a link lead nowhere; whoever has entered by it stays inside.

    Raises:
        Refusal: ``not_found``.
    """
    await _locked(tx, actor, room_id, None)
    gone = await tx.execute(
        delete(RoomBypass)
        .where(RoomBypass.id == bypass_id, RoomBypass.room_id == room_id)
        .returning(RoomBypass.name, RoomBypass.uses_left)
    )
    row = gone.one_or_none()
    if row is None:
        raise Refusal("not_found")
    before = {"bypass_id": bypass_id, "name": row.name, "uses_left": row.uses_left}
    await record_audit(tx, actor, "room.bypass_withdrawn", "room", room_id, before, None, now)


async def enter_by_bypass(
    tx: AsyncConnection, room_id: UUID, token: str, exchange_key: str, now: datetime
) -> Pass:
    """Let somebody in by a bypass link, whatever the number inside; the same key gets the same pass.

    Raises:
        Refusal: ``wrong_bypass``, ``room_closed``, ``room_ended``, ``pass_ended`` when the entry that this key
            made is over.
    """
    state = await locked_state(tx, room_id)
    if state.state in ("closed", "ended"):
        raise Refusal(f"room_{state.state}")
    place = _bypass_place(token, exchange_key)
    known = (
        await tx.execute(
            select(RoomEntry.entered_at, RoomEntry.expires_at, RoomEntry.ended_at).where(
                RoomEntry.room_id == room_id, RoomEntry.round == state.round, RoomEntry.place == place
            )
        )
    ).one_or_none()
    if known is not None:
        if known.ended_at is not None or known.expires_at <= now:
            raise Refusal("pass_ended")
        return Pass(room_id, state.round, place, None, known.entered_at, known.expires_at)
    used = await tx.execute(
        update(RoomBypass)
        .where(
            RoomBypass.token_hash == _hash(token),
            RoomBypass.room_id == room_id,
            RoomBypass.uses_left > 0,
            RoomBypass.expires_at > now,
        )
        .values(uses_left=RoomBypass.uses_left - 1)
        .returning(RoomBypass.id)
    )
    if used.one_or_none() is None:
        raise Refusal("wrong_bypass")
    seconds = await tx.scalar(select(Room.session_seconds).where(Room.id == room_id))
    assert seconds is not None, "a room with a state has a row"
    expires_at = now + timedelta(seconds=seconds)
    await tx.execute(
        insert(RoomEntry).values(
            room_id=room_id,
            round=state.round,
            place=place,
            exchange_key=exchange_key,
            came_at=now,
            entered_at=now,
            expires_at=expires_at,
        )
    )
    await tx.execute(
        update(RoomState)
        .where(RoomState.room_id == room_id)
        .values(inside=RoomState.inside + 1, entered=RoomState.entered + 1)
    )
    return Pass(room_id, state.round, place, None, now, expires_at)


def _bypass_place(token: str, exchange_key: str) -> int:
    """Below zero, where no line is; the same for the same key."""
    digest = hashlib.sha256(f"{token}\n{exchange_key}".encode("utf-8", "replace")).digest()
    return -1 - (int.from_bytes(digest[:8], "big") >> 2)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


async def _locked(tx: AsyncConnection, actor: Actor, room_id: UUID, version: int | None) -> Row[Any]:
    actor.require("rooms.write")
    statement = select(Room.__table__).where(Room.id == room_id).with_for_update(key_share=True)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    if version is not None and row.version != version:
        raise Refusal("changed_meanwhile", version=row.version)
    return row


async def _change(
    tx: AsyncConnection,
    actor: Actor,
    row: Row[Any],
    values: Mapping[str, Any],
    action: str,
    now: datetime,
    *,
    audited: tuple[dict[str, Any], dict[str, Any]] | None = None,
) -> int:
    was, now_is = audited or changes(dict(row._mapping), values)
    if not now_is:
        return int(row.version)
    if "code" in now_is and await tx.scalar(select(Room.id).where(Room.code == now_is["code"])):
        raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE})
    version = int(row.version) + 1
    await tx.execute(update(Room).where(Room.id == row.id).values(version=version, updated_at=now, **values))
    await record_audit(tx, actor, action, "room", row.id, was, now_is, now)
    return version


async def _guard(tx: AsyncConnection, room_id: UUID, draft: core.RoomDraft) -> None:
    """Have the room guard these campaigns and pages, and no others."""
    known = await tx.execute(_KNOWN_CAMPAIGNS, {"ids": list(draft.campaign_ids)})
    if set(known.scalars()) != set(draft.campaign_ids):
        raise Refusal("invalid", fields={"campaign_ids": _("There is no such campaign.")})
    if not await _guard_only(tx, room_id, RoomCampaign.campaign_id, draft.campaign_ids):
        sentence = _("Another waiting room guards one of these campaigns.")
        raise Refusal("already_taken", fields={"campaign_ids": sentence})
    if not await _guard_only(tx, room_id, RoomPage.path, draft.pages):
        sentence = _("Another waiting room guards one of these pages.")
        raise Refusal("already_taken", fields={"pages": sentence})


async def _guard_only(
    tx: AsyncConnection, room_id: UUID, key: InstrumentedAttribute[Any], wanted: Sequence[Any]
) -> bool:
    """Make these the rows of the room, by their key; False when another room has one of them."""
    table: Any = key.class_
    await tx.execute(delete(table).where(table.room_id == room_id, key.not_in(wanted)))
    if not wanted:
        return True
    rows = [{key.key: one, "room_id": room_id} for one in sorted(wanted)]
    await tx.execute(insert(table).values(rows).on_conflict_do_nothing())
    held = await tx.execute(select(key).where(key.in_(wanted), table.room_id == room_id))
    return len(held.all()) == len(rows)


def _tidied(draft: core.RoomDraft) -> core.RoomDraft:
    return replace(
        draft,
        code=draft.code.strip().upper(),
        names=without_blanks(draft.names),
        messages=without_blanks(draft.messages),
        sites=tuple(dict.fromkeys(site.strip().rstrip("/").lower() for site in draft.sites if site.strip())),
        campaign_ids=tuple(sorted(set(draft.campaign_ids))),
        pages=tuple(sorted({page.strip().rstrip("/") or "/" for page in draft.pages if page.strip()})),
    )


def _columns(draft: core.RoomDraft) -> dict[str, Any]:
    guarded = _guarded(draft)
    columns = {field.name: getattr(draft, field.name) for field in fields(draft) if field.name not in guarded}
    return {**columns, "sites": list(draft.sites)}


def _guarded(draft: core.RoomDraft) -> dict[str, list[Any]]:
    """What stands in tables of its own."""
    return {"campaign_ids": list(draft.campaign_ids), "pages": list(draft.pages)}
