"""Writes with an Idempotency-Key: one effect, and the first answer for every repeat."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from sqlalchemy import func, select

from tearline.core.refusal import Refusal
from tearline.db import Database, new_id, transaction
from tearline.merchants import actions
from tearline.merchants.idempotency import (
    StoredAnswer,
    caller_of,
    fingerprint_of,
    forget_answers,
    remember,
    remembered,
)
from tearline.merchants.model import Merchant, RememberedAnswer
from tests.actions.merchants_support import COMMAND, NOW, later

pytestmark = pytest.mark.anyio
PRINT = fingerprint_of("POST", "/api/v1/merchants", b"{}")


async def create(
    database: Database,
    key: str,
    code: str,
    *,
    caller: str = "key:1",
    fingerprint: bytes = PRINT,
    is_remembering: bool = True,
) -> StoredAnswer:
    """What a face does: one effect under one key. Without remembering, as a negative control."""
    async with transaction(database) as tx:
        if is_remembering and (earlier := await remembered(tx, caller, key, fingerprint, NOW)) is not None:
            return earlier
        merchant_id = await actions.create_merchant(
            tx, COMMAND, code=code, names={"en": code}, kind="retail", now=NOW
        )
        answer: dict[str, Any] = {"id": merchant_id, "at": NOW}
        if is_remembering:
            await remember(tx, caller, key, status=201, answer=answer)
    return StoredAnswer(201, {"id": str(merchant_id), "at": "2026-09-01T03:00:00Z"})


async def count_merchants(database: Database) -> int:
    async with database.connection() as connection:
        return await connection.scalar(select(func.count()).select_from(Merchant)) or 0


async def test_a_repeat_gets_the_first_answer_and_does_nothing(database: Database) -> None:
    first = await create(database, "k-1", "one")
    assert await create(database, "k-1", "two") == first == await create(database, "k-1", "three")
    assert await count_merchants(database) == 1


@pytest.mark.parametrize("is_remembering", [True, False])
async def test_the_same_key_in_parallel_has_one_effect(database: Database, is_remembering: bool) -> None:
    answers = []

    async def post(number: int) -> None:
        answers.append(await create(database, "k-1", f"code-{number}", is_remembering=is_remembering))

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(post, number)
    distinct = {str(answer.answer["id"]) for answer in answers}
    expected = 1 if is_remembering else 16
    assert (len(answers), len(distinct), await count_merchants(database)) == (16, expected, expected)


async def test_the_same_key_for_another_request_is_refused(database: Database) -> None:
    await create(database, "k-1", "one")
    for method, path, body in (
        ("PUT", "/a", b"{}"),
        ("POST", "/b", b"{}"),
        ("POST", "/api/v1/merchants", b"{ }"),
    ):
        with pytest.raises(Refusal) as refused:
            await create(database, "k-1", "two", fingerprint=fingerprint_of(method, path, body))
        assert refused.value.reason == "idempotency_key_reused"
    # Parts do not run into one another.
    assert fingerprint_of("POST", "/a", b"bc") != fingerprint_of("POST", "/ab", b"c")


async def test_keys_of_two_callers_never_meet(database: Database) -> None:
    await create(database, "k-1", "one", caller=caller_of("key", new_id()))
    await create(database, "k-1", "two", caller=caller_of("key", new_id()))
    assert await count_merchants(database) == 2


async def test_a_refusal_is_not_remembered(database: Database) -> None:
    with pytest.raises(Refusal):
        await create(database, "k-1", "not a code")
    assert (await create(database, "k-1", "a-code")).status == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "nul\0", "\ud800"])
async def test_a_key_that_cannot_be_kept_is_refused(database: Database, key: str) -> None:
    with pytest.raises(Refusal) as refused:
        await create(database, key, "one")
    assert refused.value.reason == "invalid"


async def test_answers_are_forgotten_by_age(database: Database) -> None:
    await create(database, "k-1", "one")
    async with transaction(database) as tx:
        assert await forget_answers(tx, NOW) == 0
        assert await forget_answers(tx, later(seconds=1)) == 1
        assert await tx.scalar(select(func.count()).select_from(RememberedAnswer)) == 0
