"""Finding the dial: what to try next, and what follows from all that was tried. Pure: figures in, words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tearline.cli.rehearsal.plan import Plan

GENERATOR_ROOF = 0.9
"""From this share of one core on, the load generator is taken to be at its roof: it is one process."""
FULL_SHARE = 0.8
"""With nobody in line and fewer inside than this share of the dial, people were too few to show anything."""
DISTURBED_SHARE = 0.2
"""From this share of all cores on, other programs are taken to have spoilt the measurement."""
_CLOSE_ENOUGH = 0.1

Miss = Literal["slow", "errors", "not_full"]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers took, in milliseconds, and how many were wrong.

    Attributes:
        requests: all that were answered or broke.
        errors: those that broke, timed out, or were answered in a way that nobody should see.
    """

    requests: int = 0
    errors: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0

    @property
    def error_share(self) -> float:
        """Errors per request."""
        return self.errors / self.requests if self.requests else 0.0


def latency_of(milliseconds: Sequence[float], errors: int) -> Latency:
    """What so many answers, in any order, took."""
    ascending = sorted(milliseconds)
    p50, p95, p99 = (round(percentile(ascending, part), 1) for part in (0.5, 0.95, 0.99))
    return Latency(len(ascending), errors, p50, p95, p99)


def percentile(ascending: Sequence[float], part: float) -> float:
    """The value that this part of all values lies below; 0 when there are none."""
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else 0.0


@dataclass(frozen=True, slots=True)
class Processor:
    """Shares of one core: 1.0 is a core that does nothing else. None where it can't be seen from here.

    Attributes:
        web: the web processes together.
        database: PostgreSQL's processes of this database together.
        generator: the simulated visitors.
        machine: the whole machine, as a share of all of its cores.
        others: all other programs together.
        cores: of the machine.
    """

    web: float
    database: float | None
    generator: float
    machine: float
    others: float | None = None
    cores: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """What one setting of the dial has shown.

    Attributes:
        dial: ``max_active``.
        inside: people inside, on average.
        waiting: people in line, on average.
        served: the requests of those inside, from exchange to departure.
        line: the requests of those who wait: the page, joining, polls.
        requests_per_second: of those inside.
        outcomes: how visits went: ``claimed``, ``left``, ``no_show``, ``missed``, ``time_up``.
    """

    dial: int
    inside: float
    waiting: float
    served: Latency
    line: Latency
    requests_per_second: float
    line_per_second: float
    claims_per_second: float
    processor: Processor
    outcomes: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    """What went wrong, and how often."""

    @property
    def is_generator_full(self) -> bool:
        """Whether the load generator had nothing left to give."""
        return self.processor.generator >= GENERATOR_ROOF


def miss_of(step: Step, plan: Plan) -> Miss | None:
    """Which objective a step has missed; None when it was carried."""
    if step.served.error_share >= plan.error_share and step.served.errors:
        return "errors"
    if step.served.p95 >= plan.p95_milliseconds:
        return "slow"
    is_line_dry = step.waiting < 1 and step.inside < FULL_SHARE * step.dial
    return "not_full" if is_line_dry or not step.served.requests else None


def next_dial(tried: Sequence[tuple[int, bool]], first: int, most: int) -> int | None:
    """The setting to try next: doubling while all goes well, then halving the gap; None when it is found.

    Args:
        tried: settings and whether each was carried, in any order.
        first: the setting to begin with.
        most: the greatest that makes sense to try.
    """
    if not tried:
        return min(first, most)
    missed = min((dial for dial, is_carried in tried if not is_carried), default=None)
    carried = max(
        (dial for dial, is_carried in tried if is_carried and (missed is None or dial < missed)), default=0
    )
    if missed is None:
        return min(2 * carried, most) if carried < most else None
    if missed - carried <= max(1, int(carried * _CLOSE_ENOUGH)):
        return None
    return (missed + carried) // 2


Limit = Literal["installation", "generator", "people", "steps", "nothing_carried"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from all steps.

    Attributes:
        dial: where to set it; None when no step was carried.
        minutes: how long the stock lasts at that setting; None when nobody claimed.
        limit: what kept the rehearsal from finding more.
        sentence: for the operator.
        remark: what the sentence must not be read without; empty when it may be.
    """

    dial: int | None
    minutes: float | None
    limit: Limit
    sentence: str
    remark: str


def verdict(steps: Sequence[Step], plan: Plan) -> Verdict:
    """Where to set the dial, and how far that can be relied on. ``steps`` has at least one."""
    missed = [step for step in steps if miss_of(step, plan) is not None]
    lowest_miss = min((step.dial for step in missed), default=None)
    carried = [
        step
        for step in steps
        if miss_of(step, plan) is None and (lowest_miss is None or step.dial < lowest_miss)
    ]
    limit = _limit(carried, missed, plan)
    if not carried:
        sentence = _nothing_carried(min(missed, key=lambda step: step.dial), plan)
        return Verdict(None, None, limit, sentence, _disturbance(steps))
    best = max(carried, key=lambda step: step.dial)
    minutes = plan.stock / best.claims_per_second / 60 if best.claims_per_second else None
    sentence = f"Set max_active to {best.dial:,}; {_lasting(minutes)}."
    remarks = (_remark(limit, best.dial, lowest_miss, plan), _emptiness(best), _disturbance(steps))
    return Verdict(best.dial, minutes, limit, sentence, " ".join(remark for remark in remarks if remark))


def _limit(carried: Sequence[Step], missed: Sequence[Step], plan: Plan) -> Limit:
    if not missed:
        return "people" if max(step.dial for step in carried) >= plan.most_inside else "steps"
    lowest = min(missed, key=lambda step: step.dial)
    if lowest.is_generator_full:
        return "generator"
    if miss_of(lowest, plan) == "not_full":
        return "people"
    if not carried:
        return "nothing_carried"
    best = max(step.dial for step in carried)
    return (
        "installation" if next_dial([(best, True), (lowest.dial, False)], 1, lowest.dial) is None else "steps"
    )


def _lasting(minutes: float | None) -> str:
    if minutes is None:
        return "nobody claimed while it was measured, so how long the stock lasts is unknown"
    if minutes < 1:
        return "expect the stock to last less than a minute"
    if round(minutes) == 1:
        return "expect the stock to last 1 minute"
    return f"expect the stock to last {round(minutes):,} minutes"


def _nothing_carried(step: Step, plan: Plan) -> str:
    people = "one person" if step.dial == 1 else f"{step.dial:,} people"
    miss = miss_of(step, plan)
    if miss == "not_full":
        return (
            f"The room was never full, not even with {people} allowed inside: rehearse with more --people, a longer "
            "--step-seconds, or longer --think-seconds."
        )
    what = (
        f"{_percent(step.served.error_share)} of the requests failed (objective: under {_percent(plan.error_share)})"
        if miss == "errors"
        else f"p95 was {step.served.p95:,.0f} ms (objective: under {plan.p95_milliseconds:,.0f} ms)"
    )
    because = (
        " The load generator was at its limit, so this need not be the installation's fault."
        if step.is_generator_full
        else ""
    )
    return f"Not even {people} inside could be served within the objectives: {what}.{because}"


def _remark(limit: Limit, dial: int, lowest_miss: int | None, plan: Plan) -> str:
    match limit:
        case "generator":
            return (
                f"At {lowest_miss:,} the load generator was at its limit, not necessarily the installation: it may "
                "carry more. Rehearse from a machine with more or faster cores to find out."
            )
        case "people":
            return (
                f"The installation had more to give: with {plan.people:,} people no more than about {dial:,} are "
                "inside at once. Rehearse with more --people to find its limit."
            )
        case "steps":
            between = f"between {dial:,} and {lowest_miss:,}" if lowest_miss else f"above {dial:,}"
            return f"The limit lies {between}; more --max-steps find it more closely."
        case _:
            return ""


def _emptiness(step: Step) -> str:
    """A dial is only as proven as the room was full."""
    if step.inside >= FULL_SHARE * step.dial:
        return ""
    return (
        f"On average {step.inside:,.0f} were inside at that setting, as people were gone sooner than others could "
        "come in: where visits last longer, more are inside. Rehearse with a greater --think-seconds, too."
    )


def _disturbance(steps: Sequence[Step]) -> str:
    others = max((step.processor.others or 0.0) / step.processor.cores for step in steps)
    if others < DISTURBED_SHARE:
        return ""
    return (
        f"Other programs took up to {others:.0%} of this machine meanwhile: rehearse when it is quiet, and the "
        "installation may carry more."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
