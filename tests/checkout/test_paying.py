"""Paying and cancelling: in time, late, twice, and with others who want the same coupon."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text, update

from tearline.checkout.actions import HOLD_LASTS
from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.members.model import Member
from tests.cart_worlds import TENTH_OFF, CartWorld
from tests.checkout.ordering import (
    bought,
    cancelled,
    code_of,
    counter,
    given,
    later,
    paid,
    placed,
    refusal,
    seen,
    shop,
    swept,
    voided,
    why,
)

pytestmark = pytest.mark.anyio
LATE = HOLD_LASTS.total_seconds() / 60
"""Minutes after which an order has expired."""


async def test_paying_uses_the_coupons_and_books_what_follows(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(funding_platform_basis_points=5_000))
    number = await placed(world)
    await paid(world, number, payment_reference="charge-1")
    assert await world.state_of(coupon) == "redeemed"
    order = await seen(world, number)
    assert (order.state, order.paid_at, order.payment_reference) == ("paid", world.now, "charge-1")
    booked = await world.rows("SELECT account, sum(amount) FROM settlement_entry GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in booked] == [
        ("customer", 8_000), ("merchant", -10_000), ("merchant_discount", 1_000), ("platform", 1_000),
    ]  # fmt: skip
    await world.audited()


async def test_one_coupon_over_two_merchants_is_one_redemption(world: CartWorld) -> None:
    """FIELD 17: not one for each merchant whose lines it lowers."""
    await world.coupon(await world.offer(benefit=TENTH_OFF))
    lines = world.line("a", 10_000), world.line("b", 5_000, merchant_id=world.books)
    number = await bought(world, world.cart(*lines))
    assert (await seen(world, number)).total == 13_500
    [redemption] = await world.rows("SELECT merchant_id, way, request_number FROM redemption")
    assert tuple(redemption) == (None, "checkout", number)
    shares = await world.rows(
        "SELECT merchant_id, amount FROM settlement_entry WHERE account = 'platform' ORDER BY amount"
    )
    assert [tuple(row) for row in shares] == [(world.books, 500), (world.noodles, 1_000)]
    await world.audited()


async def test_news_of_a_payment_comes_twice(world: CartWorld) -> None:
    await world.coupon(await world.offer())
    number = await bought(world)
    await paid(world, number, now=later(world, 30))
    order = await seen(world, number)
    assert (order.paid_at, order.collected_by, order.payment_reference) == (world.now, "platform", None)
    assert await world.one("SELECT count(*) FROM redemption") == 1
    assert await world.one("SELECT sum(amount) FROM settlement_entry WHERE account = 'customer'") == 8_000
    await world.audited()


async def test_an_order_is_not_paid_twice_by_different_payments(world: CartWorld) -> None:
    number = await placed(world)
    await paid(world, number, payment_reference="charge-1")
    await paid(world, number, payment_reference="charge-1")
    await paid(world, number)
    assert await why(paid(world, number, payment_reference="charge-2")) == "order_paid"
    assert await why(paid(world, number, collected_by="merchant")) == "order_paid"
    assert (await seen(world, number)).payment_reference == "charge-1"


async def test_paid_is_not_cancelled_and_cancelled_is_not_paid(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    first = await placed(world)
    await cancelled(world, first)
    await cancelled(world, first)
    assert await world.state_of(coupon) == "open"
    assert await why(paid(world, first)) == "order_cancelled"
    second = await bought(world)
    assert await why(cancelled(world, second)) == "order_paid"
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


@pytest.mark.parametrize("is_swept", [False, True])
async def test_an_order_that_nobody_paid_leaves_its_coupon_to_others(
    world: CartWorld, is_swept: bool
) -> None:
    """The same, whether or not the worker has passed."""
    coupon = await world.coupon(await world.offer(world.noodles))
    first = await placed(world)
    world.now = later(world, LATE)
    if is_swept:
        await swept(world, world.now)
    assert (await seen(world, first)).state == "expired"
    till = await counter(world)
    await till.redeem(text=await code_of(world, coupon))
    assert await why(paid(world, first)) == "coupon_taken"
    # It stays open to be cancelled, which gives nothing back that another has used.
    await cancelled(world, first)
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


@pytest.mark.parametrize("is_swept", [False, True])
async def test_a_late_payment_is_taken_while_nobody_wants_the_coupon(
    world: CartWorld, is_swept: bool
) -> None:
    coupon = await world.coupon(await world.offer())
    first = await placed(world)
    world.now = later(world, LATE)
    if is_swept:
        await swept(world, world.now)
    second = await placed(world)
    assert (await seen(world, second)).total == 8_000
    assert await why(paid(world, first)) == "coupon_taken"
    await cancelled(world, first)
    assert await world.state_of(coupon) == "held"
    await cancelled(world, second)
    third = await placed(world)
    await cancelled(world, third)
    fourth = await placed(world)
    world.now = later(world, LATE)
    if is_swept:
        await swept(world, world.now)
    await paid(world, fourth)
    assert await world.state_of(coupon) == "redeemed"
    assert await why(paid(world, first)) == "order_cancelled"
    await world.audited()


async def test_a_coupon_that_runs_out_while_it_is_held_is_used_all_the_same(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(), valid_until=later(world, 5))
    number = await placed(world)
    await swept(world, later(world, 14))
    assert await world.state_of(coupon) == "held"
    await paid(world, number, now=later(world, 14))
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


@pytest.mark.parametrize("is_swept", [False, True])
async def test_a_coupon_that_has_run_out_by_a_late_payment_is_over(world: CartWorld, is_swept: bool) -> None:
    coupon = await world.coupon(await world.offer(), valid_until=later(world, 5))
    number = await placed(world)
    world.now = later(world, LATE)
    if is_swept:
        await swept(world, world.now)
    assert await why(paid(world, number)) == "expired"
    await cancelled(world, number)
    assert await world.state_of(coupon) == "expired"
    await world.audited()


async def test_a_coupon_that_runs_out_while_it_is_held_does_not_come_back(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(), valid_until=later(world, 5))
    number = await placed(world)
    await cancelled(world, number, now=later(world, 6))
    assert await world.state_of(coupon) == "expired"


async def test_what_the_operator_has_cancelled_stays_cancelled(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    number = await placed(world)
    await voided(world, coupon)
    assert await why(paid(world, number)) == "coupon_taken"
    assert (await seen(world, number)).state == "open"
    await cancelled(world, number)
    assert await world.state_of(coupon) == "void"
    await world.audited()


async def test_all_coupons_of_an_order_are_used_or_none(world: CartWorld) -> None:
    mine = await world.coupon(await world.offer(world.noodles))
    theirs = await world.coupon(await world.offer(), world.members[1])
    number = await placed(world, world.cart(codes=(await code_of(world, theirs),)))
    assert (await seen(world, number)).total == 6_000
    world.now = later(world, LATE)
    await placed(world, await given(world, theirs, member_id=world.members[1]))
    assert await why(paid(world, number)) == "coupon_taken"
    assert [await world.state_of(one) for one in (mine, theirs)] == ["held", "held"]
    await world.audited()


# First orders


async def test_a_first_order_that_is_paid_late_has_to_be_the_first_still(world: CartWorld) -> None:
    await world.offer(world.noodles, automatic=True, cart_rules={"first_order_only": True})
    first = await placed(world)
    second = await placed(world)
    totals = [(await seen(world, one)).total for one in (first, second)]
    assert totals == [8_000, 10_000]
    world.now = later(world, LATE)
    third = await placed(world)
    assert (await seen(world, third)).total == 8_000
    assert await why(paid(world, first)) == "first_order_only"
    await paid(world, second)
    # In time, and promised: whatever was paid meanwhile.
    await paid(world, third)
    await world.audited()


async def test_a_late_first_order_is_taken_when_it_is_the_first_still(world: CartWorld) -> None:
    await world.offer(world.noodles, automatic=True, cart_rules={"first_order_only": True})
    number = await placed(world)
    async with transaction(world.database) as tx:
        # What has been paid is taken, whatever has become of the member.
        await tx.execute(update(Member).where(Member.id == world.member).values(state="blocked"))
    await paid(world, number, now=later(world, LATE))
    await world.audited()


# Who says what


async def test_a_merchants_shop_cannot_say_that_the_platform_has_the_money(world: CartWorld) -> None:
    """Or it would be owed for whatever it says it sold."""
    own = shop(world.noodles)
    number = await placed(world, merchant_id=world.noodles)
    refused = await refusal(paid(world, number, own))
    assert (refused.reason, list(refused.fields)) == ("invalid", ["collected_by"])
    await paid(world, number, own, collected_by="merchant")
    await world.audited()


async def test_orders_of_another_shop_are_not_found(world: CartWorld) -> None:
    stranger = shop(world.books)
    for number in (await placed(world, merchant_id=world.noodles), await placed(world)):
        assert await why(paid(world, number, stranger, collected_by="merchant")) == "not_found"
        assert await why(cancelled(world, number, stranger)) == "not_found"
    for number in ("", "nothing", "0" * 10, "x" * 5_000):
        assert await why(paid(world, number)) == "not_found"


async def test_a_number_is_found_however_it_is_typed(world: CartWorld) -> None:
    number = await placed(world)
    await paid(world, f" {number.lower()} ")
    assert (await seen(world, number)).state == "paid"


@pytest.mark.parametrize(
    "wrong", [{"collected_by": "nobody"}, {"payment_reference": ""}, {"payment_reference": "x" * 201}]
)
async def test_what_makes_no_sense_is_refused(world: CartWorld, wrong: dict[str, str]) -> None:
    number = await placed(world)
    refused = await refusal(paid(world, number, **wrong))
    assert (refused.reason, list(refused.fields)) == ("invalid", list(wrong))


async def test_a_cart_of_nothing_is_ordered_and_paid(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    number = await bought(world, world.cart(world.line("a", 1_500)))
    assert (await seen(world, number)).total == 0
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


async def test_the_audit_finds_a_coupon_that_an_order_did_not_use(world: CartWorld) -> None:
    """That these tests end with a clean audit says something."""
    await world.coupon(await world.offer())
    await bought(world)
    async with transaction(world.database) as tx:
        await tx.execute(text("UPDATE coupon SET state = 'open'"))
    with pytest.raises(AssertionError):
        await world.audited()


async def test_a_hold_of_an_order_ends_to_the_instant(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(world.noodles))
    number = await placed(world)
    just_before = later(world, LATE) - timedelta(microseconds=1)
    with pytest.raises(Refusal):
        await placed(world, await given(world, coupon), now=just_before)
    await paid(world, number, now=just_before)
    await world.audited()
