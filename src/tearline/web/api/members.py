"""Members, for the operator's keys; and signing in by phone, for members' own apps."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.texts import is_storable
from tearline.members import actions, reads
from tearline.members.model import Member
from tearline.web.access import GivenServices, address_of
from tearline.web.api.shapes import (
    CodeEntry,
    CodeOnItsWay,
    CodeRequest,
    MemberAnswer,
    MemberChange,
    MemberToken,
    Page,
)
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    page,
    problems,
    write,
)
from tearline.web.member_sign_in import ask_for_code, enter_code

_WORD_LENGTH = 100
GivenPhone = Annotated[
    str | None, QueryParameter(name="phone", description="E.164, exactly.", pattern=r"^\+[0-9]{6,15}$")
]
GivenGroup = Annotated[str | None, QueryParameter(name="group", max_length=_WORD_LENGTH)]
GivenTag = Annotated[str | None, QueryParameter(name="tag", max_length=_WORD_LENGTH)]


def _member(row: Any) -> MemberAnswer:
    return msgspec.convert(row, MemberAnswer, from_attributes=True)


async def _answer(connection: AsyncConnection, member_id: UUID) -> MemberAnswer:
    found = await reads.member_by_id(connection, member_id)
    if found is None:
        raise Refusal("not_found")
    return _member(found)


@get("/members", responses=problems())
async def list_members(
    services: GivenServices,
    actor: GivenKey,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
    phone: GivenPhone = None,
    group: GivenGroup = None,
    tag: GivenTag = None,
) -> Page[MemberAnswer]:
    """Members, or those with a phone number, in a group, or with a tag."""
    actor.require("members.read")
    for word in (group, tag):
        if word is not None and not is_storable(word):
            return Page(items=[], next_cursor=None)
    statement = reads.members_list(group=group, tag=tag)
    if phone is not None:
        statement = statement.where(Member.phone == phone)
    async with services.database.connection() as connection:
        return await page(connection, statement, Member.id, _member, cursor=cursor, limit=limit)


@get("/members/{member_id:uuid}", responses=problems())
async def get_member(services: GivenServices, actor: GivenKey, member_id: FromPath[UUID]) -> MemberAnswer:
    """One member."""
    actor.require("members.read")
    async with services.database.connection() as connection:
        return await _answer(connection, member_id)


@patch("/members/{member_id:uuid}", responses=problems("idempotency_key_reused", has_body=True))
async def update_member(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    member_id: FromPath[UUID],
    data: JSONBody[MemberChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[MemberAnswer]:
    """Change a member; what is left out stays."""

    async def work(tx: AsyncConnection) -> MemberAnswer:
        return _member(await actions.update_member(tx, actor, member_id, now=services.now(), **data.given()))

    return await write(request, actor, work)


@post("/members/{member_id:uuid}/block", status_code=200, responses=problems("idempotency_key_reused"))
async def block_member(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    member_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[MemberAnswer]:
    """Suspend a member and end all of their sessions."""

    async def work(tx: AsyncConnection) -> MemberAnswer:
        await actions.block_member(tx, actor, member_id, now=services.now())
        return await _answer(tx, member_id)

    return await write(request, actor, work)


@post("/members/{member_id:uuid}/unblock", status_code=200, responses=problems("idempotency_key_reused"))
async def unblock_member(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    member_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[MemberAnswer]:
    """Let a suspended member sign in again."""

    async def work(tx: AsyncConnection) -> MemberAnswer:
        await actions.unblock_member(tx, actor, member_id, now=services.now())
        return await _answer(tx, member_id)

    return await write(request, actor, work)


@post(
    "/sign-in/codes",
    status_code=202,
    security=[{}],
    responses=problems(
        "invalid_phone", "unsupported_country", "resend_too_soon", has_body=True, caller="anyone"
    ),
)
async def request_sign_in_code(
    request: AnyRequest, services: GivenServices, data: JSONBody[CodeRequest]
) -> CodeOnItsWay:
    """Have a one-time code sent to a phone; codes sent to it before become worthless."""
    asked = await ask_for_code(
        services,
        phone=data.phone,
        channel=data.channel,
        language=data.language,
        address=address_of(request),
    )
    return msgspec.convert(asked, CodeOnItsWay, from_attributes=True)


@post(
    "/sign-in/tokens",
    security=[{}],
    responses=problems("wrong_code", "code_expired", "member_blocked", has_body=True, caller="anyone"),
)
async def sign_in(request: AnyRequest, services: GivenServices, data: JSONBody[CodeEntry]) -> MemberToken:
    """Enter the code; the phone number becomes a member at its first sign-in."""
    signed_in, token = await enter_code(
        services,
        sign_in_id=data.sign_in_id,
        code=data.code,
        language=data.language,
        address=address_of(request),
    )
    return MemberToken(
        token=token,
        token_type="Bearer",  # noqa: S106 - the kind of token, not one
        expires_at=services.member_tokens.verify(token, services.now()).expires_at,
        member_id=signed_in.member_id,
        is_new_member=signed_in.created,
    )


HANDLERS: list[Any] = [
    list_members, get_member, update_member, block_member, unblock_member, request_sign_in_code, sign_in,
]  # fmt: skip
