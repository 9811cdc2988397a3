"""The claiming rules against a naive reference that knows nothing of batches, counters or order of checks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tearline.core.audience import Audience, marks_of
from tearline.core.claiming import CampaignRules, MemberCounts, OfferStock, PrizeRules, Stock, decide

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def uuid(number: int) -> UUID:
    return UUID(int=number)


PRIZES = [uuid(1), uuid(2)]
OFFERS = [uuid(11), uuid(12), uuid(13)]
MEMBERS = [uuid(21), uuid(22), uuid(23)]

limits = st.none() | st.integers(0, 3)


@dataclass
class Ledger:
    """The reference: every grant that was ever made, and questions answered by recounting them."""

    prizes: dict[str, PrizeRules]
    inventories: dict[UUID, int]
    issue_limits: dict[UUID, int | None]
    offer_limits: dict[UUID, int | None]
    limit: int | None
    limit_per_day: int | None
    grants: list[tuple[UUID, PrizeRules, int]] = field(default_factory=list)

    def issued(self, offer: UUID, member: UUID | None = None) -> int:
        return sum(
            dict(prize.bundle).get(offer, 0)
            for who, prize, _ in self.grants
            if member is None or who == member
        )

    def claim(self, member: UUID, password: str, day: int) -> bool:
        prize = self.prizes.get(password)
        if prize is None:
            return False
        mine = [grant for grant in self.grants if grant[0] == member]
        within = [
            self.limit is None or len(mine) < self.limit,
            self.limit_per_day is None or len([g for g in mine if g[2] == day]) < self.limit_per_day,
            prize.limit_per_member is None
            or len([g for g in mine if g[1].id == prize.id]) < prize.limit_per_member,
            len([g for g in self.grants if g[1].id == prize.id]) < self.inventories[prize.id],
        ]
        for offer, quantity in prize.bundle:
            issue_limit, offer_limit = self.issue_limits[offer], self.offer_limits[offer]
            within.append(issue_limit is None or self.issued(offer) + quantity <= issue_limit)
            within.append(offer_limit is None or self.issued(offer, member) + quantity <= offer_limit)
        if all(within):
            self.grants.append((member, prize, day))
            return True
        return False


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    bundles = st.dictionaries(st.sampled_from(OFFERS), st.integers(1, 2), min_size=1, max_size=3)
    prizes = {
        password: PrizeRules(prize_id, tuple(sorted(draw(bundles).items())), draw(limits))
        for password, prize_id in zip("ab", PRIZES, strict=True)
    }
    return Ledger(
        prizes=prizes,
        inventories={prize_id: draw(st.integers(0, 5)) for prize_id in PRIZES},
        issue_limits={offer: draw(st.none() | st.integers(0, 8)) for offer in OFFERS},
        offer_limits={offer: draw(st.none() | st.integers(0, 4)) for offer in OFFERS},
        limit=draw(limits),
        limit_per_day=draw(limits),
    )


@settings(max_examples=400, deadline=None)
@given(
    ledgers(),
    st.lists(st.tuples(st.sampled_from(MEMBERS), st.sampled_from("abc"), st.integers(0, 2)), max_size=25),
)
def test_decides_as_the_naive_reference_does(ledger: Ledger, claims: list[tuple[UUID, str, int]]) -> None:
    claims.sort(key=lambda claim: claim[2])  # days only move on
    rules = CampaignRules(
        id=uuid(99),
        state="live",
        starts_at=NOW,
        ends_at=NOW + timedelta(days=9),
        prizes=ledger.prizes,
        limit_per_member=ledger.limit,
        limit_per_member_per_day=ledger.limit_per_day,
    )
    stock = Stock(
        prizes=dict(ledger.inventories),
        offers={
            offer: OfferStock(ledger.issue_limits[offer], ledger.offer_limits[offer]) for offer in OFFERS
        },
    )
    members = {member: MemberCounts(epoch=1) for member in MEMBERS}
    today = 0
    for member_id, password, day in claims:
        if day != today:
            today = day
            for member in members.values():
                member.claimed_today = 0
        outcome = decide(rules, stock, members[member_id], 1, password, NOW)
        assert isinstance(outcome, PrizeRules) == ledger.claim(member_id, password, day), outcome
    given_out = Counter(prize.id for _, prize, _ in ledger.grants)
    assert stock.prizes == {prize: ledger.inventories[prize] - given_out[prize] for prize in PRIZES}


def one_prize(**changes: object) -> tuple[CampaignRules, Stock, MemberCounts]:
    values: dict[str, object] = {
        "id": uuid(99),
        "state": "live",
        "starts_at": NOW,
        "ends_at": NOW + timedelta(hours=1),
        "prizes": {"a": PrizeRules(PRIZES[0], ((OFFERS[0], 2),))},
    }
    rules = CampaignRules(**{**values, **changes})  # type: ignore[arg-type]
    return rules, Stock({PRIZES[0]: 5}, {OFFERS[0]: OfferStock(None)}), MemberCounts(epoch=3)


def reason(rules: CampaignRules, stock: Stock, member: MemberCounts | None, **changes: object) -> object:
    values: dict[str, object] = {"epoch": 3, "password_key": "a", "now": NOW, **changes}
    return decide(rules, stock, member, **values)  # type: ignore[arg-type]


def test_the_window_is_half_open() -> None:
    rules, stock, member = one_prize()
    assert reason(rules, stock, member, now=NOW - timedelta(microseconds=1)) == "not_started"
    assert isinstance(reason(rules, stock, member, now=NOW), PrizeRules)
    assert isinstance(reason(rules, stock, member, now=rules.ends_at - timedelta(microseconds=1)), PrizeRules)
    assert reason(rules, stock, member, now=rules.ends_at) == "ended"


def test_every_reason_has_its_turn() -> None:
    rules, stock, member = one_prize()
    assert reason(rules, stock, None) == "session_ended"
    assert reason(rules, stock, member, epoch=2) == "session_ended"
    assert reason(rules, stock, MemberCounts(epoch=3, is_active=False)) == "member_blocked"
    assert reason(*one_prize(state="draft")) == "not_found"
    assert reason(*one_prize(state="archived")) == "not_found"
    assert reason(*one_prize(state="paused")) == "paused"
    assert reason(*one_prize(audience=Audience(any_of=frozenset({"tag:vip"})))) == "not_in_audience"
    assert reason(rules, stock, member, password_key="b") == "wrong_password"
    assert reason(rules, Stock({PRIZES[0]: 0}, stock.offers), member) == "sold_out"
    assert reason(rules, Stock({PRIZES[0]: 1}, {OFFERS[0]: OfferStock(1)}), member) == "sold_out"
    archived_offer = {OFFERS[0]: OfferStock(None, is_active=False)}
    assert reason(rules, Stock({PRIZES[0]: 1}, archived_offer), member) == "sold_out"


def test_an_outsider_learns_nothing_about_passwords() -> None:
    rules, stock, member = one_prize(audience=Audience(all_of=frozenset({"plan:city"})))
    assert reason(rules, stock, member, password_key="a") == reason(rules, stock, member, password_key="b")


def test_a_refusal_changes_nothing() -> None:
    rules, stock, member = one_prize()
    stock.offers[OFFERS[0]] = OfferStock(left=1)
    assert reason(rules, stock, member) == "sold_out"
    assert stock.prizes == {PRIZES[0]: 5}
    assert stock.offers[OFFERS[0]].left == 1
    assert member.claimed == {}


marks = st.frozensets(st.sampled_from(["plan:a", "tier:a/gold", "group:g", "tag:t"]))


@given(marks, marks, marks, marks)
def test_audience_rules_combine(
    any_of: frozenset, all_of: frozenset, none_of: frozenset, has: frozenset
) -> None:
    expected = (not any_of or bool(any_of & has)) and all_of.issubset(has) and not (none_of & has)
    assert Audience(any_of, all_of, none_of).includes(has) == expected


def test_marks_name_every_kind() -> None:
    assert marks_of("city", "gold", ["hotel"], ["foodie"]) == {
        "plan:city",
        "tier:city/gold",
        "group:hotel",
        "tag:foodie",
    }
