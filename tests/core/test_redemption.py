"""The decisions at the counter: what is refused, with which reason, in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.offers import FixedWindow, Hours, Scope, Selection, Validity
from tearline.core.redemption import (
    HOLD_LASTS,
    REVERSAL_WINDOW_OF_CASHIERS,
    REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS,
    Counter,
    CouponFacts,
    Hold,
    No,
    OfferFacts,
    RedemptionFacts,
    decide_prepare,
    decide_redeem,
    decide_release,
    decide_reverse,
    decide_void,
    effective_state,
)
from tearline.core.refusal import REASONS

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # a Sunday, noon in Hong Kong
MOMENT = timedelta(microseconds=1)
MERCHANT, STORE, OTHER_STORE = uuid4(), uuid4(), uuid4()
ALWAYS = Validity(FixedWindow(NOW - timedelta(days=9), NOW + timedelta(days=9)))
OFFER = OfferFacts(MERCHANT, Scope(), ALWAYS, "Asia/Hong_Kong", frozenset({"cashier", "till"}), frozenset())
COUPON = CouponFacts("open", NOW - timedelta(days=1), NOW + timedelta(days=1), NOW - timedelta(days=1))
TILL = Counter(MERCHANT, STORE, "till")
CASHIER = Counter(MERCHANT, STORE, "cashier", uuid4())


def held(until: datetime, *, by: Counter = CASHIER) -> CouponFacts:
    return replace(COUPON, state="held", hold=Hold(uuid4(), until, by.store_id, by.staff_id))


def reason(outcome: object) -> str | None:
    return outcome.reason if isinstance(outcome, No) else None


def both(coupon: CouponFacts, offer: OfferFacts = OFFER, counter: Counter = TILL) -> str | None:
    """The reason why a coupon is neither prepared nor redeemed in one step; they never differ."""
    reasons = {
        reason(decide_prepare(coupon, offer, counter, NOW)),
        reason(decide_redeem(coupon, offer, counter, None, NOW)),
    }
    assert len(reasons) == 1
    return reasons.pop()


def test_an_open_coupon_is_held_for_a_while_but_never_beyond_its_end() -> None:
    assert decide_prepare(COUPON, OFFER, TILL, NOW) == NOW + HOLD_LASTS
    ending = replace(COUPON, valid_until=NOW + timedelta(seconds=30))
    assert decide_prepare(ending, OFFER, TILL, NOW) == ending.valid_until
    assert decide_redeem(COUPON, OFFER, TILL, None, NOW) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "void"}, "coupon_void"),
        ({"state": "redeemed"}, "already_redeemed"),
        ({"state": "expired"}, "expired"),
        ({"state": "sold"}, "not_applicable"),
        ({"valid_until": NOW}, "expired"),
        ({"valid_until": NOW + MOMENT}, None),
        ({"valid_from": NOW + MOMENT}, "not_valid_yet"),
        ({"valid_from": NOW}, None),
    ],
)
def test_what_has_become_of_the_coupon(changes: dict[str, object], expected: str | None) -> None:
    assert both(replace(COUPON, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"merchant_id": uuid4()}, "other_merchant"),
        ({"merchant_id": None}, None),
        ({"merchant_id": None, "scope": Scope(includes=Selection(merchants=(MERCHANT,)))}, None),
        ({"merchant_id": None, "scope": Scope(includes=Selection(merchants=(uuid4(),)))}, "other_merchant"),
        ({"merchant_id": None, "scope": Scope(excludes=Selection(merchants=(MERCHANT,)))}, "other_merchant"),
        ({"redeem_by": frozenset({"cashier"})}, "not_applicable"),
        ({"redeem_by": frozenset({"till"})}, None),
        ({"store_ids": frozenset({OTHER_STORE})}, "other_store"),
        ({"store_ids": frozenset({OTHER_STORE, STORE})}, None),
        ({"validity": replace(ALWAYS, weekdays=(6,))}, "not_valid_now"),
        ({"validity": replace(ALWAYS, weekdays=(7,))}, None),
        ({"validity": replace(ALWAYS, hours=(Hours(13 * 60, 14 * 60),))}, "not_valid_now"),
        ({"validity": replace(ALWAYS, hours=(Hours(12 * 60, 14 * 60),))}, None),
    ],
)
def test_where_when_and_how_it_is_used(changes: dict[str, object], expected: str | None) -> None:
    assert both(COUPON, replace(OFFER, **changes)) == expected


@given(
    state=st.sampled_from(["open", "sold", "held", "redeemed", "expired", "void"]),
    hours=st.integers(-48, 48),
    way=st.sampled_from(["cashier", "till", "nonsense"]),
)
def test_another_merchant_learns_nothing_else(state: str, hours: int, way: str) -> None:
    coupon = replace(held(NOW + HOLD_LASTS), state=state, valid_until=NOW + timedelta(hours=hours))
    stranger = Counter(uuid4(), uuid4(), way)
    assert decide_prepare(coupon, OFFER, stranger, NOW) == No("other_merchant")
    assert decide_redeem(coupon, OFFER, stranger, uuid4(), NOW) == No("other_merchant")


def test_a_hold_keeps_everybody_else_away_until_it_ends() -> None:
    coupon = held(NOW + MOMENT)
    assert both(coupon, counter=TILL) == "held_elsewhere"
    assert both(coupon, counter=replace(CASHIER, staff_id=uuid4())) == "held_elsewhere"
    assert both(coupon, counter=replace(CASHIER, store_id=OTHER_STORE)) == "held_elsewhere"
    assert both(held(NOW)) is None
    # A hold of a till is nobody's own: two tills share a key.
    assert both(held(NOW + MOMENT, by=TILL), counter=TILL) == "held_elsewhere"


def test_the_same_person_takes_their_own_hold_over() -> None:
    coupon = held(NOW + MOMENT)
    assert decide_prepare(coupon, OFFER, CASHIER, NOW) == NOW + HOLD_LASTS
    assert decide_redeem(coupon, OFFER, CASHIER, None, NOW) is None


def test_redeeming_a_hold_needs_that_very_hold() -> None:
    coupon = held(NOW + MOMENT)
    assert coupon.hold is not None
    assert decide_redeem(coupon, OFFER, TILL, coupon.hold.id, NOW) is None
    assert reason(decide_redeem(coupon, OFFER, TILL, uuid4(), NOW)) == "hold_expired"
    assert reason(decide_redeem(coupon, OFFER, TILL, coupon.hold.id, NOW + MOMENT)) == "hold_expired"
    assert reason(decide_redeem(COUPON, OFFER, TILL, uuid4(), NOW)) == "hold_expired"
    assert (
        reason(decide_redeem(replace(COUPON, state="redeemed"), OFFER, TILL, uuid4(), NOW))
        == "already_redeemed"
    )
    assert reason(decide_redeem(replace(COUPON, state="void"), OFFER, TILL, uuid4(), NOW)) == "coupon_void"
    expired = replace(coupon, valid_until=NOW)
    assert reason(decide_redeem(expired, OFFER, TILL, coupon.hold.id, NOW + MOMENT)) == "expired"


def test_giving_a_preparation_up_opens_the_coupon() -> None:
    coupon = held(NOW + MOMENT)
    assert coupon.hold is not None
    assert decide_release(coupon, coupon.hold.id, NOW) == "open"
    assert reason(decide_release(coupon, coupon.hold.id, NOW + MOMENT)) == "hold_expired"
    assert reason(decide_release(coupon, uuid4(), NOW)) == "hold_expired"
    assert reason(decide_release(COUPON, uuid4(), NOW)) == "hold_expired"


@pytest.mark.parametrize("window", [REVERSAL_WINDOW_OF_CASHIERS, REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS])
def test_a_redemption_can_be_undone_once_within_its_window(window: timedelta) -> None:
    used = replace(COUPON, state="redeemed", valid_until=NOW + timedelta(days=9))
    redemption = RedemptionFacts(MERCHANT, NOW, False)

    def undo(redemption: RedemptionFacts, after: timedelta, coupon: CouponFacts = used) -> object:
        return decide_reverse(coupon, redemption, MERCHANT, window, NOW + after)

    assert undo(redemption, timedelta()) == "open"
    assert undo(redemption, window - MOMENT) == "open"
    assert undo(redemption, window) == No("reversal_too_late")
    assert undo(replace(redemption, is_reversed=True), timedelta()) == No("already_reversed")
    assert undo(replace(redemption, merchant_id=uuid4(), is_reversed=True), window) == No("not_found")
    assert undo(redemption, MOMENT, replace(used, valid_until=NOW)) == "expired"
    assert undo(redemption, MOMENT, replace(used, state="void")) == No("coupon_void")


def test_voiding_spares_what_was_used_and_what_is_over() -> None:
    assert decide_void(COUPON, NOW) is None
    assert decide_void(held(NOW + MOMENT), NOW) is None
    assert decide_void(replace(COUPON, state="sold"), NOW) is None
    assert reason(decide_void(replace(COUPON, state="redeemed"), NOW)) == "already_redeemed"
    assert reason(decide_void(replace(COUPON, state="expired"), NOW)) == "expired"
    assert reason(decide_void(COUPON, COUPON.valid_until)) == "expired"
    assert reason(decide_void(replace(COUPON, state="void"), NOW)) == "coupon_void"


def test_the_state_that_counts_needs_no_sweeper() -> None:
    assert effective_state(held(NOW + MOMENT), NOW) == "held"
    assert effective_state(held(NOW), NOW) == "open"
    assert effective_state(held(NOW), COUPON.valid_until) == "expired"
    assert effective_state(COUPON, COUPON.valid_until - MOMENT) == "open"
    assert effective_state(COUPON, COUPON.valid_until) == "expired"
    assert effective_state(replace(COUPON, state="redeemed"), COUPON.valid_until) == "redeemed"


@given(
    state=st.sampled_from(["open", "sold", "held", "redeemed", "expired", "void"]),
    valid_for_minutes=st.integers(-100, 100),
    held_for_minutes=st.integers(-100, 100),
    same_hold=st.booleans(),
)
def test_what_is_redeemed_was_usable_and_every_no_is_on_the_list(
    state: str, valid_for_minutes: int, held_for_minutes: int, same_hold: bool
) -> None:
    # A hold never outlives its coupon: see decide_prepare.
    held_until = NOW + timedelta(minutes=min(held_for_minutes, valid_for_minutes))
    hold = Hold(uuid4(), held_until, STORE) if state == "held" else None
    coupon = replace(COUPON, state=state, valid_until=NOW + timedelta(minutes=valid_for_minutes), hold=hold)
    asked = hold.id if hold and same_hold else None
    outcome = decide_redeem(coupon, OFFER, TILL, asked, NOW)
    if isinstance(outcome, No):
        assert outcome.reason in REASONS
    else:
        assert effective_state(coupon, NOW) in ("open", "held")
        assert valid_for_minutes > 0
        assert effective_state(coupon, NOW) == "open" or asked is not None
