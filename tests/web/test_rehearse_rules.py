"""What a rehearsal tries next, what it concludes, and the report; without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.cli.rehearsal import needs
from tearline.cli.rehearsal.dial import (
    Latency,
    Processor,
    Step,
    latency_of,
    miss_of,
    next_dial,
    percentile,
    verdict,
)
from tearline.cli.rehearsal.plan import SHAPES, Plan, arrived_share
from tearline.cli.rehearsal.report import report_page
from tearline.cli.rehearsal.steps import Moment
from tearline.cli.screen import CommandError

PLAN = Plan(people=1_000, stock=12_000)


def step(dial: int, **changes: object) -> Step:
    """A step that went well: everyone allowed inside, 50 ms, ten claims a second."""
    carried = Step(
        dial=dial,
        inside=float(dial),
        waiting=100.0,
        served=Latency(10_000, 0, 10.0, 50.0, 80.0),
        line=Latency(10_000, 0, 2.0, 5.0, 9.0),
        requests_per_second=50.0,
        line_per_second=100.0,
        claims_per_second=10.0,
        processor=Processor(0.5, 0.2, 0.3, 0.5, 0.0, 2),
        outcomes={"claimed": 200},
    )
    return replace(carried, **changes)  # type: ignore[arg-type]


def slow(dial: int, **changes: object) -> Step:
    return step(dial, served=Latency(10_000, 0, 100.0, 900.0, 1500.0), **changes)


def search(carries: Callable[[int], bool], first: int, most: int) -> list[tuple[int, bool]]:
    tried: list[tuple[int, bool]] = []
    while (dial := next_dial(tried, first, most)) is not None:
        assert 1 <= dial <= most
        assert dial not in dict(tried), "a setting is tried once"
        tried.append((dial, carries(dial)))
    return tried


@given(limit=st.integers(0, 5_000), first=st.integers(1, 500), most=st.integers(1, 4_000))
def test_the_dial_is_found_to_a_tenth(limit: int, first: int, most: int) -> None:
    tried = search(lambda dial: dial <= limit, first, most)
    best = max((dial for dial, is_carried in tried if is_carried), default=0)
    reachable = min(limit, most)
    assert best <= reachable <= best + max(1, best // 10)
    assert len(tried) <= 30


def test_doubling_then_halving_the_gap() -> None:
    assert [dial for dial, _ in search(lambda dial: dial <= 300, 100, 1_000)] == [
        100,
        200,
        400,
        300,
        350,
        325,
    ]
    assert [dial for dial, _ in search(lambda dial: True, 100, 350)] == [100, 200, 350]
    assert [dial for dial, _ in search(lambda dial: False, 8, 100)] == [8, 4, 2, 1]


def test_a_step_that_went_well_by_chance_above_one_that_missed_counts_for_nothing() -> None:
    found = verdict([step(100), slow(200), step(400)], PLAN)
    assert found.dial == 100
    assert next_dial([(100, True), (200, False), (400, True)], 100, 1_000) == 150


@pytest.mark.parametrize(
    ("changes", "miss"),
    [
        ({}, None),
        ({"served": Latency(1_000, 0, 10.0, 500.0, 600.0)}, "slow"),
        ({"served": Latency(1_000, 0, 10.0, 499.9, 600.0)}, None),
        ({"served": Latency(1_000, 1, 10.0, 50.0, 60.0)}, "errors"),
        ({"served": Latency(10_000, 9, 10.0, 50.0, 60.0)}, None),
        ({"served": Latency()}, "not_full"),
        ({"inside": 79.0, "waiting": 0.0}, "not_full"),
        ({"inside": 79.0, "waiting": 5.0}, None),
        ({"line": Latency(1_000, 900, 10.0, 9_000.0, 9_000.0)}, None),
    ],
)
def test_which_objective_was_missed(changes: dict[str, object], miss: str | None) -> None:
    assert miss_of(step(100, **changes), PLAN) == miss


def test_the_sentence() -> None:
    found = verdict([step(100), step(105, claims_per_second=12.0), slow(110)], PLAN)
    assert (found.dial, found.limit, found.remark) == (105, "installation", "")
    assert found.sentence == "Set max_active to 105; expect the stock to last 17 minutes."
    assert found.minutes == pytest.approx(12_000 / 12 / 60)


@pytest.mark.parametrize(
    ("claims_per_second", "words"),
    [(1_000.0, "less than a minute"), (200.0, "1 minute."), (0.1, "2,000 minutes."), (0.0, "is unknown.")],
)
def test_how_long_the_stock_lasts(claims_per_second: float, words: str) -> None:
    assert words in verdict([step(10, claims_per_second=claims_per_second)], PLAN).sentence


def test_what_kept_it_from_finding_more_is_said() -> None:
    most = PLAN.most_inside
    assert verdict([step(most)], PLAN).limit == "people"
    assert "--people" in verdict([step(most)], PLAN).remark
    assert verdict([step(10)], PLAN).limit == "steps"
    assert "between 100 and 200" in verdict([step(100), slow(200)], PLAN).remark
    full = Processor(0.5, 0.2, 0.95, 1.0)
    found = verdict([step(100), slow(105, processor=full)], PLAN)
    assert (found.dial, found.limit) == (100, "generator")
    assert "load generator was at its limit" in found.remark
    assert verdict([step(100), step(105, inside=10.0, waiting=0.0)], PLAN).limit == "people"
    busy = step(100, processor=Processor(0.5, 0.2, 0.3, 0.8, 0.6, 2))
    assert "Other programs took up to 30% of this machine" in verdict([busy], PLAN).remark
    assert "On average 40 were inside" in verdict([step(100, inside=40.0)], PLAN).remark


def test_a_dial_that_was_not_found_is_not_made_up() -> None:
    found = verdict([slow(4), slow(2), slow(1)], PLAN)
    assert (found.dial, found.minutes, found.limit) == (None, None, "nothing_carried")
    assert found.sentence == (
        "Not even one person inside could be served within the objectives: p95 was 900 ms (objective: under 500 ms)."
    )
    failing = step(4, served=Latency(1_000, 20, 10.0, 50.0, 60.0))
    assert "2 % of the requests failed (objective: under 0.1 %)" in verdict([failing], PLAN).sentence
    full = slow(4, processor=Processor(0.5, None, 1.0, 1.0))
    assert "need not be the installation's fault" in verdict([full], PLAN).sentence
    assert verdict([step(4, served=Latency())], PLAN).sentence.startswith("The room was never full")


@pytest.mark.parametrize("shape", SHAPES)
def test_everybody_arrives_and_nobody_goes_back(shape: str) -> None:
    shares = [arrived_share(shape, second, 20) for second in range(-1, 30)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_ramp_begins_slowly() -> None:
    assert arrived_share("ramp", 10, 20) == 0.25
    assert arrived_share("steady", 10, 20) == 0.5


def test_a_quick_plan_is_small_and_keeps_the_objectives() -> None:
    quick = PLAN.quick()
    assert (quick.settle_seconds + quick.step_seconds + quick.gather_seconds) * quick.maximum_steps < 20
    assert quick.first_dial <= quick.most_inside < quick.people
    assert (quick.p95_milliseconds, quick.stock) == (PLAN.p95_milliseconds, PLAN.stock)


def test_percentiles() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.99)) == (51.0, 96.0, 7.0)
    assert percentile([], 0.95) == 0.0
    assert latency_of([3.0, 1.0, 2.0], 1) == Latency(3, 1, 2.0, 3.0, 3.0)
    assert latency_of([], 0) == Latency()


def test_without_locust_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=re.escape("tearline[rehearsal]")):
        needs.require_locust()


def test_a_report_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        needs.require_report(tmp_path / "nowhere" / "report.html")


def report(steps: list[Step]) -> str:
    moments = [Moment(float(second), one.dial, one.dial, 5) for one in steps for second in range(500)]
    return report_page(PLAN, steps, moments, verdict(steps, PLAN), datetime(2026, 11, 22, tzinfo=UTC))


def plots_of(page: str) -> dict[str, dict[str, object]]:
    blocks = re.findall(
        r'<figure[^>]* id="(\w+)".*?<script type="application/json">(.*?)</script>', page, re.S
    )
    return {name: json.loads(block) for name, block in blocks}


def test_the_report_shows_what_was_measured() -> None:
    page = report([step(200), slow(400, errors={"claiming: 503 <unavailable>": 3}), step(300)])
    assert "Set max_active to 300; expect the stock to last 20 minutes." in page
    plots = plots_of(page)
    assert list(plots) == ["response", "rates", "processors", "people"]
    # By the dial, not in the order in which the steps were made.
    assert plots["response"]["categories"] == ["200", "300", "400"]
    assert ["p95", [50.0, 50.0, 900.0]] in plots["response"]["series"]  # type: ignore[operator]
    assert len(plots["people"]["categories"]) < 300  # type: ignore[arg-type]
    assert "claiming: 503 &lt;unavailable&gt;" in page
    assert "too slow" in page


def test_the_report_needs_nothing_else() -> None:
    page = report([step(200)])
    assert not re.search(r'(?:src|href)="', page.split('<script type="module">')[0])
    assert "prefers-color-scheme: dark" in page
    assert page.rstrip().endswith("</html>")


def test_a_database_elsewhere_is_not_shown_as_idle() -> None:
    page = report([step(200, processor=Processor(0.5, None, 0.3, 0.5))])
    assert [name for name, _ in plots_of(page)["processors"]["series"]] == [  # type: ignore[attr-defined]
        "web processes",
        "load generator",
    ]
