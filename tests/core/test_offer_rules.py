"""Validity windows, weekdays and hours, and what is refused in an offer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.offer_checks import check_offer
from tearline.core.offers import (
    AmountOff,
    CartRules,
    DaysAfterClaim,
    FixedPrice,
    FixedWindow,
    FreeShipping,
    Funding,
    Gift,
    Hours,
    OfferDraft,
    PercentOff,
    Scope,
    Selection,
    Step,
    Validity,
    can_be_issued,
    coupon_window,
    start_of_day,
    usable_at,
    usable_at_merchant,
)
from tearline.offers import describe, stored

HONG_KONG = "Asia/Hong_Kong"
BERLIN = "Europe/Berlin"
MERCHANT, OTHER_MERCHANT, STORE, OTHER_STORE = uuid4(), uuid4(), uuid4(), uuid4()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def local(zone: str, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)


def draft(**changes: Any) -> OfferDraft:
    plain = OfferDraft(
        code="SAVE-50",
        issuer="merchant",
        merchant_id=MERCHANT,
        names={"en": "HK$50 off"},
        benefit=AmountOff(5000),
        minimum_spend=30000,
        currency="HKD",
        funding=Funding(2500, 7500),
        validity=Validity(FixedWindow(utc(2026, 6, 1), utc(2026, 7, 1))),
        time_zone=HONG_KONG,
    )
    return replace(plain, **changes)


def problems(**changes: Any) -> dict[str, str]:
    return check_offer(
        draft(**changes),
        known_merchant_ids={MERCHANT, OTHER_MERCHANT},
        store_merchants={STORE: MERCHANT, OTHER_STORE: OTHER_MERCHANT},
    )


# Windows


def test_a_fixed_window_does_not_depend_on_the_claim() -> None:
    validity = Validity(FixedWindow(local(HONG_KONG, 2026, 6, 1), local(HONG_KONG, 2026, 7, 1)))
    assert coupon_window(validity, HONG_KONG, utc(2026, 6, 15)) == (
        utc(2026, 5, 31, 16), utc(2026, 6, 30, 16),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("period", "valid_from", "last_instant"),
    [
        (DaysAfterClaim(0), (2026, 6, 10, 23, 59), (2026, 6, 11)),
        (DaysAfterClaim(1), (2026, 6, 10, 23, 59), (2026, 6, 12)),
        (DaysAfterClaim(7), (2026, 6, 10, 23, 59), (2026, 6, 18)),
        (DaysAfterClaim(7, starts_after_days=1), (2026, 6, 11), (2026, 6, 19)),
        (DaysAfterClaim(7, last_day=date(2026, 6, 13)), (2026, 6, 10, 23, 59), (2026, 6, 14)),
    ],
)
def test_days_after_claim(period: DaysAfterClaim, valid_from: tuple[int], last_instant: tuple[int]) -> None:
    # One minute to midnight in Hong Kong: the claim's day is the 10th, though UTC is eight hours behind.
    claimed_at = local(HONG_KONG, 2026, 6, 10, 23, 59).astimezone(UTC)
    assert coupon_window(Validity(period), HONG_KONG, claimed_at) == (
        local(HONG_KONG, *valid_from), local(HONG_KONG, *last_instant),
    )  # fmt: skip


def test_days_are_days_of_the_clock_when_daylight_saving_changes() -> None:
    claimed_at = local(BERLIN, 2026, 3, 28, 12)
    valid_from, valid_until = coupon_window(Validity(DaysAfterClaim(1)), BERLIN, claimed_at)
    assert valid_until == local(BERLIN, 2026, 3, 30)
    assert valid_until - valid_from == timedelta(hours=35)
    _, autumn_until = coupon_window(Validity(DaysAfterClaim(1)), BERLIN, local(BERLIN, 2026, 10, 24, 12))
    assert autumn_until - local(BERLIN, 2026, 10, 24, 12).astimezone(UTC) == timedelta(hours=37)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Africa/Cairo", date(2026, 4, 24)),  # midnight doesn't exist: clocks go from 00:00 to 01:00
        ("Asia/Beirut", date(2026, 3, 29)),
        ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 31)),  # the day before was left out
    ],
)
def test_a_day_begins_with_its_first_instant(zone: str, day: date) -> None:
    start = start_of_day(day, zone)
    assert start.astimezone(ZoneInfo(zone)).date() == day
    assert (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


def test_a_coupon_that_nobody_could_use_is_not_issued() -> None:
    over = Validity(FixedWindow(utc(2026, 6, 1), utc(2026, 7, 1)))
    assert can_be_issued(over, HONG_KONG, utc(2026, 5, 1))
    assert can_be_issued(over, HONG_KONG, utc(2026, 6, 30, 23, 59))
    assert not can_be_issued(over, HONG_KONG, utc(2026, 7, 1))
    late = Validity(DaysAfterClaim(7, starts_after_days=5, last_day=date(2026, 6, 12)))
    assert not can_be_issued(late, HONG_KONG, utc(2026, 6, 10))
    valid_from, valid_until = coupon_window(late, HONG_KONG, utc(2026, 6, 10))
    assert valid_from == valid_until


@given(
    claimed_at=st.integers(978_307_200, 2_114_380_800).map(
        lambda seconds: datetime.fromtimestamp(seconds, UTC)
    ),
    zone=st.sampled_from(
        [HONG_KONG, BERLIN, "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo", "Africa/Cairo"]
    ),
    days=st.integers(0, 400),
    delay=st.integers(0, 30),
)
def test_windows_end_with_a_day_and_never_before_they_begin(
    claimed_at: datetime, zone: str, days: int, delay: int
) -> None:
    valid_from, valid_until = coupon_window(Validity(DaysAfterClaim(days, delay)), zone, claimed_at)
    assert claimed_at <= valid_from < valid_until
    last_day = (valid_until - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
    claim_day = claimed_at.astimezone(ZoneInfo(zone)).date()
    # A day that a zone left out of its calendar has no instant: the window ends with the day before it.
    assert last_day == claim_day + timedelta(days=days + delay) or zone == "Pacific/Apia"
    assert valid_until == start_of_day(claim_day + timedelta(days=days + delay + 1), zone)


# Weekdays and hours


def test_weekdays_and_hours() -> None:
    # 14:00 to 18:00 from Monday to Thursday; 8 June 2026 is a Monday.
    validity = Validity(DaysAfterClaim(30), weekdays=(1, 2, 3, 4), hours=(Hours(840, 1080),))
    assert usable_at(validity, HONG_KONG, local(HONG_KONG, 2026, 6, 8, 14))
    assert usable_at(validity, HONG_KONG, local(HONG_KONG, 2026, 6, 8, 17, 59))
    assert not usable_at(validity, HONG_KONG, local(HONG_KONG, 2026, 6, 8, 18))
    assert not usable_at(validity, HONG_KONG, local(HONG_KONG, 2026, 6, 8, 13, 59))
    assert not usable_at(validity, HONG_KONG, local(HONG_KONG, 2026, 6, 12, 15))
    # The same instant, asked in UTC, where it's still the day before.
    assert usable_at(Validity(DaysAfterClaim(1), weekdays=(1,)), HONG_KONG, utc(2026, 6, 7, 17))


def test_hours_over_midnight_belong_to_the_day_they_began() -> None:
    friday_night = Validity(DaysAfterClaim(30), weekdays=(5,), hours=(Hours(1320, 120),))
    assert usable_at(friday_night, HONG_KONG, local(HONG_KONG, 2026, 6, 12, 23))
    assert usable_at(friday_night, HONG_KONG, local(HONG_KONG, 2026, 6, 13, 1, 59))
    assert not usable_at(friday_night, HONG_KONG, local(HONG_KONG, 2026, 6, 13, 2))
    assert not usable_at(friday_night, HONG_KONG, local(HONG_KONG, 2026, 6, 12, 1))
    sunday_night = replace(friday_night, weekdays=(7,))
    assert usable_at(sunday_night, HONG_KONG, local(HONG_KONG, 2026, 6, 15, 1))


def test_hours_are_those_on_the_wall_when_they_come_twice() -> None:
    night = Validity(DaysAfterClaim(30), hours=(Hours(150, 180),))
    first, second = (local(BERLIN, 2026, 10, 25, 2, 45, fold=fold).astimezone(UTC) for fold in (0, 1))
    assert second - first == timedelta(hours=1)
    assert usable_at(night, BERLIN, first)
    assert usable_at(night, BERLIN, second)


def test_until_midnight_can_be_written_both_ways() -> None:
    for end in (0, 1440):
        evening = Validity(DaysAfterClaim(1), hours=(Hours(1080, end),))
        assert usable_at(evening, HONG_KONG, local(HONG_KONG, 2026, 6, 8, 23, 59))
        assert not usable_at(evening, HONG_KONG, local(HONG_KONG, 2026, 6, 9, 0))


# What makes no sense


def test_a_sensible_offer_has_no_problems() -> None:
    assert problems() == {}
    assert problems(minimum_spend=0) == {}
    assert problems(minimum_spend=5000) == {}
    assert problems(issuer="platform", merchant_id=None, store_ids=(STORE, OTHER_STORE)) == {}
    assert problems(benefit=AmountOff(5000, (Step(60000, 12000),))) == {}
    assert problems(benefit=AmountOff(3000, every=True, times=3)) == {}
    assert problems(benefit=PercentOff(10000, 5000)) == {}
    assert problems(benefit=Gift({"en": "A coffee", "th": "กาแฟ"})) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"minimum_spend": 4999}, "benefit.amount"),
        ({"benefit": AmountOff(0)}, "benefit.amount"),
        ({"benefit": AmountOff(10**13), "minimum_spend": 0}, "benefit.amount"),
        ({"benefit": AmountOff(5000, (Step(20000, 6000),))}, "benefit.steps"),
        ({"benefit": AmountOff(5000, (Step(60000, 5000),))}, "benefit.steps"),
        ({"benefit": AmountOff(5000, (Step(60000, 60001),))}, "benefit.steps"),
        ({"benefit": AmountOff(5000, (Step(60000, 6000),), every=True)}, "benefit.steps"),
        ({"benefit": AmountOff(5000, every=True), "minimum_spend": 0}, "minimum_spend"),
        ({"benefit": AmountOff(5000, times=2)}, "benefit.times"),
        ({"benefit": PercentOff(10001)}, "benefit.basis_points"),
        ({"benefit": PercentOff(0)}, "benefit.basis_points"),
        ({"benefit": PercentOff(-100)}, "benefit.basis_points"),
        ({"benefit": PercentOff(2000, 0)}, "benefit.cap"),
        ({"benefit": FixedPrice(-1, "egg-tart")}, "benefit.price"),
        ({"benefit": FixedPrice(150, " ")}, "benefit.product"),
        ({"benefit": FixedPrice(150, "egg-tart", 0)}, "benefit.units"),
        ({"benefit": FreeShipping(0)}, "benefit.cap"),
        ({"benefit": Gift({})}, "benefit.descriptions.en"),
        ({"benefit": Gift({"th": "กาแฟ"})}, "benefit.descriptions.en"),
        ({"minimum_spend": -1}, "minimum_spend"),
        ({"minimum_spend": 10**18}, "minimum_spend"),
        ({"code": "save 50"}, "code"),
        ({"code": ""}, "code"),
        ({"names": {}}, "names.en"),
        ({"names": {"en": " ", "th": "ส่วนลด"}}, "names.en"),
        ({"names": {"en": "A", "fr": "B"}}, "names"),
        ({"names": {"en": "bell \x07"}}, "names.en"),
        ({"names": {"en": "half \ud800"}}, "names.en"),
        ({"names": {"en": "nothing \x00"}}, "names.en"),
        ({"terms": {"zh-Hant": "條款"}}, "terms.en"),
        ({"terms": {"en": "x" * 10001}}, "terms.en"),
        ({"image": "javascript:alert(1)"}, "image"),
        # Pages may not load it: their Content-Security-Policy allows pictures of our own only.
        ({"image": "https://elsewhere.example/tea.png"}, "image"),
        ({"image": "/healthz"}, "image"),
        ({"image": "art/../../secret_key"}, "image"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "hkd"}, "currency"),
        ({"issuer": "bank"}, "issuer"),
        ({"merchant_id": None}, "merchant_id"),
        ({"merchant_id": UUID(int=1)}, "merchant_id"),
        ({"store_ids": (OTHER_STORE,)}, "store_ids"),
        ({"store_ids": (UUID(int=1),)}, "store_ids"),
        ({"store_ids": (STORE, STORE)}, "store_ids"),
        ({"scope": Scope(Selection(merchants=(OTHER_MERCHANT,)))}, "scope.includes.merchants"),
        ({"scope": Scope(excludes=Selection(merchants=(UUID(int=1),)))}, "scope.excludes.merchants"),
        ({"scope": Scope(Selection(products=("a",)), Selection(products=("a",)))}, "scope.excludes"),
        ({"scope": Scope(excludes=Selection(merchants=(MERCHANT,)))}, "scope.excludes"),
        ({"scope": Scope(Selection(brands=("\x00",)))}, "scope.includes.brands"),
        ({"funding": Funding(5000, 4999)}, "funding"),
        ({"funding": Funding(-1, 10001)}, "funding"),
        ({"cart_rules": CartRules(refund_coupon="reissue")}, "cart_rules.reissue_days"),
        ({"cart_rules": CartRules(reissue_days=5)}, "cart_rules.reissue_days"),
        ({"cart_rules": CartRules(exclusive=True, stacking_group="a")}, "cart_rules.exclusive"),
        ({"validity": Validity(FixedWindow(utc(2026, 7, 1), utc(2026, 6, 1)))}, "validity.ends_at"),
        ({"validity": Validity(FixedWindow(utc(2026, 7, 1), utc(2026, 7, 1)))}, "validity.ends_at"),
        ({"validity": Validity(FixedWindow(utc(2026, 7, 1), utc(9999, 7, 1)))}, "validity.ends_at"),
        ({"validity": Validity(FixedWindow(datetime(2026, 7, 1), utc(2027, 7, 1)))}, "validity.starts_at"),  # noqa: DTZ001
        ({"validity": Validity(DaysAfterClaim(-1))}, "validity.days"),
        ({"validity": Validity(DaysAfterClaim(10**9))}, "validity.days"),
        ({"validity": Validity(DaysAfterClaim(1, -1))}, "validity.starts_after_days"),
        ({"validity": Validity(DaysAfterClaim(1, 0, date(1, 1, 1)))}, "validity.last_day"),
        ({"validity": Validity(DaysAfterClaim(1), (0,))}, "validity.weekdays"),
        ({"validity": Validity(DaysAfterClaim(1), (1, 1))}, "validity.weekdays"),
        ({"validity": Validity(DaysAfterClaim(1), (), (Hours(60, 60),))}, "validity.hours"),
        ({"validity": Validity(DaysAfterClaim(1), (), (Hours(1440, 60),))}, "validity.hours"),
        ({"time_zone": "Asia/Atlantis"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"issue_limit": 0}, "issue_limit"),
        ({"limit_per_member": -1}, "limit_per_member"),
        ({"redeem_by": ()}, "redeem_by"),
        ({"redeem_by": ("post",)}, "redeem_by"),
    ],
)
def test_nonsense_is_named_by_its_field(changes: dict[str, Any], field: str) -> None:
    found = problems(**changes)
    assert set(found) == {field}
    assert found[field].endswith((".", "…"))


JUNE = Validity(FixedWindow(utc(2026, 6, 1), utc(2026, 7, 1)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, None),
        ({"redeem_by": ("checkout",)}, None),
        ({"issuer": "platform"}, "issuer"),
        ({"validity": Validity(DaysAfterClaim(7))}, "validity"),
        ({"issue_limit": 100}, "issue_limit"),
        ({"limit_per_member": 1}, "limit_per_member"),
        ({"redeem_by": ("cashier", "till")}, "redeem_by"),
    ],
)
def test_what_goes_with_a_promotion_that_applies_by_itself(
    changes: dict[str, Any], field: str | None
) -> None:
    with_window = {"validity": JUNE, **changes}
    assert problems(**with_window) == {}
    found = problems(automatic=True, **with_window)
    assert set(found) == ({field} if field else set())
    # Nonsense is named as what it is.
    assert problems(automatic=True, validity=JUNE, issue_limit=0) == problems(validity=JUNE, issue_limit=0)


def test_where_an_offer_can_be_used() -> None:
    assert usable_at_merchant(MERCHANT, Scope(), MERCHANT)
    assert not usable_at_merchant(MERCHANT, Scope(), OTHER_MERCHANT)
    assert usable_at_merchant(None, Scope(), OTHER_MERCHANT)
    assert not usable_at_merchant(None, Scope(Selection(merchants=(MERCHANT,))), OTHER_MERCHANT)
    assert not usable_at_merchant(None, Scope(excludes=Selection(merchants=(MERCHANT,))), MERCHANT)


# Stored forms


@pytest.mark.parametrize(
    "benefit",
    [
        AmountOff(5000, (Step(60000, 12000),)),
        AmountOff(1000, every=True, times=3),
        PercentOff(2000, 8000),
        FixedPrice(150, "egg-tart", 2),
        FreeShipping(3000, ("HK-I",)),
        Gift({"en": "A coffee"}, "coffee"),
    ],
)
def test_benefits_survive_storing(benefit: Any) -> None:
    assert stored.benefit_from(json.loads(json.dumps(stored.benefit_json(benefit)))) == benefit


def test_other_parts_survive_storing() -> None:
    scope = Scope(Selection(("a",), ("b",), ("c",), (MERCHANT,)), Selection(brands=("d",)))
    assert stored.scope_from(json.loads(json.dumps(stored.scope_json(scope)))) == scope
    assert stored.scope_json(Scope()) == {}
    rules = CartRules("block", "after_earlier", False, "food", True, "reissue", 30, "recompute")
    assert stored.cart_rules_from(json.loads(json.dumps(stored.cart_rules_json(rules)))) == rules
    for period in (DaysAfterClaim(7, 1, date(2026, 12, 31)), FixedWindow(utc(2026, 1, 1), utc(2027, 1, 1))):
        validity = Validity(period, (1, 5), (Hours(60, 120), Hours(1320, 120)))
        assert stored.validity_from(json.loads(json.dumps(stored.validity_json(validity)))) == validity


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "amount_off", "amount": "5000"},
        {"kind": "amount_off", "amount": 5000.5},
        {"kind": "amount_off", "amount": True},
        {"kind": "amount_off", "amount": 5000, "cap": 1},
        {"kind": "amount_off"},
        {"kind": "surprise"},
        {"amount": 5000},
        {"kind": "amount_off", "amount": 10**30},
        [],
    ],
)
def test_stored_forms_are_strict(wrong: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        stored.benefit_from(wrong)


# In words


def described(benefit: Any, minimum_spend: int = 0, currency: str = "HKD") -> Any:
    return SimpleNamespace(
        benefit=stored.benefit_json(benefit), minimum_spend=minimum_spend, currency=currency
    )


@pytest.mark.parametrize(
    ("offer", "stub"),
    [
        (described(AmountOff(5000), 30000), ("HK$", "50", "over 300")),
        (described(AmountOff(3050)), ("HK$", "30.50", "any purchase")),
        (described(AmountOff(3000, (Step(80000, 10000),)), 30000), ("HK$", "100", "over 800")),
        (described(AmountOff(1000, every=True), 10000), ("HK$", "10", "every 100")),
        (described(AmountOff(500), 0, "JPY"), ("JP¥", "500", "any purchase")),
        (described(PercentOff(2000, 8000)), ("", "20%", "up to HK$80")),
        (described(PercentOff(1250), 20000), ("", "12.5%", "over HK$200")),
        (described(PercentOff(2000)), ("", "20%", "off")),
        (described(PercentOff(10000, 3000)), ("", "Free", "up to HK$30")),
        (described(FixedPrice(150, "egg-tart")), ("HK$", "1.50", "special price")),
        (described(FreeShipping(), 20000), ("", "Free shipping", "over HK$200")),
        (described(Gift({"en": "A coffee"})), ("", "Gift", "")),
    ],
)
def test_the_stub_in_english(offer: Any, stub: tuple[str, str, str]) -> None:
    assert describe.stub_value(offer, "en") == stub


@pytest.mark.parametrize(
    ("basis_points", "language", "words"),
    [
        (2000, "en", "20%"),
        (2000, "th", "20%"),
        (2000, "zh-Hant", "8 折"),
        (2000, "zh-Hans", "8 折"),
        (2500, "zh-Hant", "75 折"),
        (2500, "zh-Hans", "7.5 折"),
        (500, "zh-Hant", "95 折"),
        (1250, "zh-Hant", "8.75 折"),
        (9500, "zh-Hant", "0.5 折"),
        (9000, "zh-Hans", "1 折"),
    ],
)
def test_chinese_says_what_is_still_paid(basis_points: int, language: str, words: str) -> None:
    assert describe.percent_off_words(basis_points, language) == words


def test_conditions_in_words() -> None:
    assert describe.condition_text(described(AmountOff(5000), 30000), "en") == "Minimum spend HK$300"
    assert (
        describe.condition_text(described(PercentOff(2000, 8000)), "en")
        == "No minimum spend · at most HK$80 off"
    )
    steps = described(AmountOff(3000, (Step(60000, 8000),)), 30000)
    assert describe.condition_text(steps, "en") == "HK$30 off over HK$300, HK$80 off over HK$600"
    every = described(AmountOff(1000, every=True, times=3), 10000)
    assert describe.condition_text(every, "en") == "HK$10 off for every HK$100 spent · at most 3 times"


def test_validity_in_words() -> None:
    validity = Validity(DaysAfterClaim(7), (1, 2, 3, 4, 6), (Hours(840, 1080),))
    offer = SimpleNamespace(validity=stored.validity_json(validity), time_zone=HONG_KONG)
    hours = "Mon–Thu, Sat, 14:00–18:00"
    assert describe.validity_text(offer, "en") == f"Until 7 days after you get it · {hours}"
    # A window that ends with a day is known by that day; the midnight after it would mislead.
    window = (local(HONG_KONG, 2026, 6, 1, 12, 30), local(HONG_KONG, 2026, 7, 1))
    assert describe.validity_text(offer, "en", window) == f"1 Jun 2026 12:30 – 30 Jun 2026 · {hours}"
    assert "週一–週四、週六" in describe.validity_text(offer, "zh-Hant", window)
    assert "2026" in describe.validity_text(offer, "th", window)


def test_where_in_words() -> None:
    books, tea = {"en": "Harbour Books"}, {"en": "Tea House"}

    def where(merchants: list[dict[str, str]], stores: list[dict[str, str]], ids: list[UUID]) -> str:
        return describe.where_text("en", merchant_names=merchants, store_names=stores, store_ids=ids)

    assert where([], [], []) == "All merchants"
    assert where([books], [], []) == "All stores of Harbour Books"
    assert where([books, tea], [], []) == "Harbour Books, Tea House"
    assert (
        where([books], [{"en": "Central"}, {"en": "Mong Kok"}], [STORE, OTHER_STORE]) == "Central, Mong Kok"
    )
