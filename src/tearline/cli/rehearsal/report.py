"""The report: one file of HTML that needs nothing else, with the plots of the console."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tearline import __version__
from tearline.cli.rehearsal.dial import Step, Verdict, miss_of
from tearline.cli.rehearsal.plan import Plan
from tearline.cli.rehearsal.steps import Moment
from tearline.web.ui.assets import STATIC_DIRECTORY, manifest

_MOST_MOMENTS = 240
"""Points of a plot over time; more would not be seen."""
_MISSED = {"slow": "too slow", "errors": "too many errors", "not_full": "room not full"}
_SHAPES = {
    "burst": "everyone gathers, then the start",
    "ramp": "ever more people arrive",
    "steady": "people arrive evenly",
}


def write_report(
    path: Path, plan: Plan, steps: Sequence[Step], moments: Sequence[Moment], found: Verdict, began: datetime
) -> None:
    """Write what was found to ``path``."""
    path.write_text(report_page(plan, steps, moments, found, began), "utf-8")


def report_page(
    plan: Plan, steps: Sequence[Step], moments: Sequence[Moment], found: Verdict, began: datetime
) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=PackageLoader("tearline.cli.rehearsal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        version=__version__,
        plan=plan,
        shape=_SHAPES[plan.shape],
        steps=[(step, _MISSED.get(miss_of(step, plan) or "")) for step in steps],
        found=found,
        began=began,
        plots=_plots(plan, sorted(steps, key=lambda step: step.dial), moments),
        outcomes=_outcomes(steps),
        errors=[(step.dial, what, number) for step in steps for what, number in step.errors.items()],
        style=Markup(_built("console.css")),  # noqa: S704 - our own file
        script=Markup(_built("plot.js").replace("</script", "<\\/script")),  # noqa: S704 - our own file
    )


def _built(name: str) -> str:
    return (STATIC_DIRECTORY / manifest()[name]).read_text("utf-8")


def _plots(plan: Plan, steps: Sequence[Step], moments: Sequence[Moment]) -> list[dict[str, Any]]:
    dials = [f"{step.dial:,}" for step in steps]
    shares = [step.processor for step in steps]
    processors = [
        (name, [_percent(share) for share in of_steps if share is not None])
        for name, of_steps in (
            ("web processes", [share.web for share in shares]),
            ("database", [share.database for share in shares]),
            ("load generator", [share.generator for share in shares]),
            ("other programs", [share.others for share in shares]),
        )
        if None not in of_steps  # a database elsewhere can't be seen from here
    ]
    shown = _thinned(moments)
    return [
        _plot(
            "response",
            "How long those inside wait for an answer",
            "By the number allowed inside. The dial may stand where p95 lies below the objective.",
            dials,
            [
                ("p50", [step.served.p50 for step in steps]),
                ("p95", [step.served.p95 for step in steps]),
                ("p99", [step.served.p99 for step in steps]),
                ("objective for p95", [plan.p95_milliseconds for _ in steps]),
            ],
            unit="ms",
        ),
        _plot(
            "rates",
            "What is done in a second",
            "By the number allowed inside. Where claims no longer grow with it, more people inside only wait.",
            dials,
            [
                ("claims", [round(step.claims_per_second, 1) for step in steps]),
                ("requests inside", [round(step.requests_per_second, 1) for step in steps]),
                ("requests in line", [round(step.line_per_second, 1) for step in steps]),
            ],
            kind="bar",
        ),
        _plot(
            "processors",
            "What keeps the processors busy",
            "In percent of one core. The load generator is one process: near 100 % it is the limit itself.",
            dials,
            processors,
            kind="bar",
            unit="%",
        ),
        _plot(
            "people",
            "People inside and in line",
            "Over the whole rehearsal, in seconds; each step is a new round.",
            [f"{moment.seconds:.0f}" for moment in shown],
            [
                ("inside", [moment.inside for moment in shown]),
                ("allowed inside", [moment.dial for moment in shown]),
                ("in line", [moment.waiting for moment in shown]),
            ],
        ),
    ]


def _plot(
    id_: str,
    title: str,
    lead: str,
    categories: list[str],
    series: list[tuple[str, list[Any]]],
    *,
    kind: str = "line",
    unit: str = "",
) -> dict[str, Any]:
    drawn = {"title": title, "kind": kind, "categories": categories, "series": series, "unit": unit}
    return {"id": id_, "lead": lead, **drawn, "drawn": {**drawn, "isStacked": False, "language": "en"}}


def _thinned(moments: Sequence[Moment]) -> list[Moment]:
    """At most so many of the moments that a plot can show them, and of each dial at least one."""
    every = -(-len(moments) // _MOST_MOMENTS) or 1
    return [
        moment
        for _dial, of_step in groupby(moments, key=lambda moment: moment.dial)
        for moment in list(of_step)[::every]
    ]


def _outcomes(steps: Sequence[Step]) -> list[tuple[str, int]]:
    names = {
        "claimed": "claimed",
        "left": "left without a claim",
        "no_show": "took a ticket and never came",
        "missed": "came too late for their turn",
        "time_up": "were inside for too long to claim",
    }
    return [(label, sum(step.outcomes.get(name, 0) for step in steps)) for name, label in names.items()]


def _percent(share: float) -> float:
    return round(share * 100, 1)
