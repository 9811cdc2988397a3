"""What the API's endpoints share: who calls, pages of lists, answers that can be asked for again, problems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import Scope
from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import REASONS, Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_image
from tearline.db import transaction
from tearline.i18n import _
from tearline.members.tokens import MemberIdentity
from tearline.merchants.idempotency import caller_of, fingerprint_of, remember, remembered
from tearline.merchants.keys import KEY_PREFIX
from tearline.web.access import GivenServices, services_of
from tearline.web.api.shapes import Page, Problem
from tearline.web.bodies import decode, require_json
from tearline.web.limits import STANDING_KEY, Limit
from tearline.web.problems import PROBLEM_MEDIA_TYPE
from tearline.web.services import Services
from tearline.web.ui.assets import picture_url
from tearline.web.ui.cursors import BadCursor, Cursor

AnyRequest: TypeAlias = Request[Any, Any, Any]
Shape = TypeVar("Shape")
_CURSOR_SORT = "-id"
_LARGEST_PAGE = 200

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Chosen by the client; a repeat with the same key gets the first answer and does nothing twice.",
        max_length=200,
    ),
]
GivenCursor: TypeAlias = Annotated[
    str | None,
    QueryParameter(name="cursor", description="`next_cursor` of the page before.", max_length=2000),
]
GivenLimit: TypeAlias = Annotated[
    int, QueryParameter(name="limit", description="Rows of a page at the most.", ge=1, le=_LARGEST_PAGE)
]

_COMMON_REASONS = ("malformed", "invalid", "not_signed_in", "not_found", "too_many_attempts", "unavailable")
_KEY_REASONS = ("wrong_key", "not_allowed")
_MEMBER_REASONS = ("session_ended", "member_blocked")
_BODY_REASONS = ("too_large", "unsupported_media_type")


def check_picture(image: object) -> None:
    """Refuse the name of a picture that this installation does not have; what is not given passes.

    What else may be wrong with a name is the action's to say.
    """
    if isinstance(image, str) and check_image(image) is None and picture_url(image) is None:
        sentence = _("There is no picture of this name. Choose one of this installation's own.")
        raise Refusal("invalid", fields={"image": sentence})


# Who calls


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header; ``not_signed_in`` when there is none."""
    scheme, _space, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal("not_signed_in")
    return token.strip()


async def key_actor(services: Services, authorization: str) -> Actor:
    """Whose API key this is.

    Raises:
        Refusal: ``not_signed_in``, ``wrong_key``; ``not_allowed`` for a member's token; ``session_ended`` for
            one that is no longer good.
    """
    token = bearer_token(authorization)
    now = services.now()
    if not token.startswith(KEY_PREFIX):
        services.member_tokens.verify(token, now)
        raise Refusal("not_allowed")
    actor = await services.api_keys.actor(token, now)
    if actor is None:
        raise Refusal("wrong_key")
    return actor


async def counted_actor(services: Services, scope: Scope, authorization: str) -> Actor:
    """As ``key_actor``; counts the request against the key's limit, whose standing the answer's headers give."""
    actor = await key_actor(services, authorization)
    limit = Limit("api", services.settings.api_requests_per_minute, 60)
    scope[STANDING_KEY] = await services.limiter.hit(limit, str(actor.id))  # type: ignore[literal-required]
    return actor


async def provide_actor(request: AnyRequest, services: GivenServices) -> Actor:
    """Dependency ``actor``: whose API key the request bears; counts the request against the key's limit."""
    return await counted_actor(services, request.scope, request.headers.get("authorization", ""))


def member_identity(services: Services, authorization: str) -> MemberIdentity:
    """Whose member token this is.

    Raises:
        Refusal: ``not_signed_in``, ``session_ended``; ``not_allowed`` for an API key.
    """
    token = bearer_token(authorization)
    if token.startswith(KEY_PREFIX):
        raise Refusal("not_allowed")
    return services.member_tokens.verify(token, services.now())


async def provide_member(request: AnyRequest, services: GivenServices) -> MemberIdentity:
    """Dependency ``member``: whose token the request bears."""
    return member_identity(services, request.headers.get("authorization", ""))


GivenKey: TypeAlias = NamedDependency[Actor]
GivenBearer: TypeAlias = NamedDependency[MemberIdentity]


# Bodies


async def check_body(request: AnyRequest) -> None:
    """Before each handler: the body must be JSON of exactly the shape that the handler takes.

    Litestar would convert what is nearly right, such as "5" to 5; here as in the hot lane it is refused.
    """
    field = request.route_handler.parsed_data_field
    if field is None:
        return
    require_json(request.headers.get("content-type", ""))
    decode(msgspec.json.Decoder(field.annotation), await request.body())


# Lists


def place_of(cursor: str, sort: str, value_type: type | None = None) -> Cursor:
    """The place that a client's cursor names; refused when it is none of this list's.

    Args:
        value_type: what the list is sorted by, None when it goes by id alone.
    """
    try:
        place = Cursor.decode(cursor, sort, value_type=value_type, id_type=UUID)
        if (place.value is None) != (value_type is None):
            raise BadCursor("a cursor of another list")
    except BadCursor:
        raise Refusal("invalid", fields={"cursor": _("This is not a cursor of this list.")}) from None
    return place


async def page(
    connection: AsyncConnection,
    statement: Select[Any],
    id_column: ColumnElement[Any] | Any,
    answer: Callable[[Any], Shape],
    *,
    cursor: str | None,
    limit: int,
) -> Page[Shape]:
    """One page of a list, newest first: ids are made in the order of time."""
    if cursor is not None:
        statement = statement.where(id_column < place_of(cursor, _CURSOR_SORT).row_id)
    rows = (await connection.execute(statement.order_by(id_column.desc()).limit(limit + 1))).all()
    has_more = len(rows) > limit
    shown = rows[:limit]
    next_cursor = Cursor(_CURSOR_SORT, None, shown[-1].id).encode() if has_more else None
    return Page(items=[answer(row) for row in shown], next_cursor=next_cursor)


# Writes


async def write(
    request: AnyRequest, actor: Actor, work: Callable[[AsyncConnection], Awaitable[Any]], *, status: int = 200
) -> Response[Any]:
    """Do a write in one transaction and answer after its commit; once only for each Idempotency-Key.

    Args:
        work: does it, and gives the answer's body.
    """
    services = services_of(request)
    key = request.headers.get("idempotency-key")
    caller = caller_of(actor.kind, actor.id)
    async with transaction(services.database) as tx:
        if key is not None:
            fingerprint = fingerprint_of(request.method, request.scope["path"], await request.body())
            earlier = await remembered(tx, caller, key, fingerprint, services.now())
            if earlier is not None:
                headers = {"idempotency-replayed": "true"}
                return Response(earlier.answer, status_code=earlier.status, headers=headers)
        answer = await work(tx)
        if key is not None:
            await remember(tx, caller, key, status=status, answer=answer)
    return Response(answer, status_code=status)


# The OpenAPI document


def problems(*reasons: str, has_body: bool = False, caller: str | None = "key") -> Mapping[int, ResponseSpec]:
    """The refusals that an endpoint documents, by status.

    Args:
        reasons: its own, beside those that every endpoint has.
        has_body: whether it takes a body.
        caller: who may call: ``key``, ``member``, ``anyone``.
    """
    all_reasons = [*_COMMON_REASONS, *reasons]
    all_reasons += _KEY_REASONS if caller == "key" else _MEMBER_REASONS if caller == "member" else ()
    all_reasons += _BODY_REASONS if has_body else ()
    by_status: dict[int, list[str]] = {}
    for reason in dict.fromkeys(all_reasons):
        by_status.setdefault(REASONS[reason].status, []).append(reason)
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            description="; ".join(f"`{reason}`: {REASONS[reason].sentence}" for reason in found),
            media_type=PROBLEM_MEDIA_TYPE,
        )
        for status, found in sorted(by_status.items())
    }
