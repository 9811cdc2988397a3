"""``tearline rehearse``, from the first question to the sentence at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tearline.cli.database import database_url, settings_for_desk_work
from tearline.cli.rehearsal.dial import Step, Verdict, miss_of, next_dial, verdict
from tearline.cli.rehearsal.needs import require_report
from tearline.cli.rehearsal.plan import Plan
from tearline.cli.rehearsal.report import write_report
from tearline.cli.rehearsal.stage import Scene, Web, fill, new_secret, rehearsal_database, web_processes
from tearline.cli.rehearsal.steps import Moment, Stage
from tearline.cli.screen import errors, output
from tearline.config import Settings
from tearline.db import Database
from tearline.db.migrate import upgrade

_MISSED = {
    "slow": "too slow",
    "errors": "too many errors",
    "not_full": "the room was not full",
}


def run_rehearsal(plan: Plan, report_path: Path) -> bool:
    """Rehearse, write the report, and print the sentence; False when no setting of the dial was carried.

    Raises:
        CommandError: something that it needs is missing, or a process has failed.
    """
    require_report(report_path)
    began = datetime.now(UTC)
    with _stops_are_interrupts():
        steps, moments = _rehearse(settings_for_desk_work(), plan, began)
    found = verdict(steps, plan)
    write_report(report_path, plan, steps, moments, found, began)
    _show(found, report_path)
    return found.dial is not None


@contextmanager
def _stops_are_interrupts() -> Iterator[None]:
    """Being told to end is treated like Ctrl-C: everything is cleared away first."""

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    # A shell has what it starts in the background ignore Ctrl-C, and these with it.
    handlers: dict[signal.Signals, Callable[..., object]] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: interrupt,
        signal.SIGHUP: interrupt,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rehearse(settings: Settings, plan: Plan, began: datetime) -> tuple[list[Step], list[Moment]]:
    secret = new_secret()
    with (
        database_url(settings) as url,
        TemporaryDirectory(prefix="tearline-rehearsal-", ignore_cleanup_errors=True) as temporary,
        rehearsal_database(url, began) as own_url,
        errors.status("Preparing a database of its own") as status,
    ):
        directory = Path(temporary)
        upgrade(own_url)
        scene = asyncio.run(_fill(own_url, plan, secret))
        tokens_path = directory / "tokens"
        tokens_path.write_text("\n".join(scene.tokens), "ascii")
        status.update("Starting the web processes")
        with web_processes(own_url, plan.processes, secret, directory / "web.log") as web:
            status.stop()
            return asyncio.run(_play(own_url, plan, scene, web, tokens_path))


async def _fill(url: str, plan: Plan, secret: str) -> Scene:
    async with Database(url) as database:
        return await fill(database, plan, secret)


async def _play(
    url: str, plan: Plan, scene: Scene, web: Web, tokens_path: Path
) -> tuple[list[Step], list[Moment]]:
    """Step after step, until the dial is found."""
    steps: list[Step] = []
    _say_begin(plan)
    async with Database(url) as database:
        with _progress() as bar:
            task = bar.add_task("")

            def tell(elapsed: float, seconds: float, moment: Moment) -> None:
                number = f"Step {len(steps) + 1} of up to {plan.maximum_steps}"
                people = f"{moment.inside:,} of {moment.dial:,} inside, {moment.waiting:,} in line"
                bar.update(task, description=f"{number}: {people}", completed=elapsed, total=seconds)

            log_path = tokens_path.with_name("visitors.log")
            stage = Stage(database, scene, web, plan, tokens_path, log_path, tell)
            while len(steps) < plan.maximum_steps:
                tried = [(step.dial, miss_of(step, plan) is None) for step in steps]
                dial = next_dial(tried, plan.first_dial, plan.most_inside)
                if dial is None:
                    break
                bar.update(
                    task, description=f"Step {len(steps) + 1}: visitors arrive", completed=0, total=None
                )
                steps.append(await stage.play(dial))
                _say_step(steps[-1], plan)
    return steps, stage.moments


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(),
        console=errors, transient=True,
    )  # fmt: skip


def _say_begin(plan: Plan) -> None:
    seconds = (
        plan.settle_seconds + plan.step_seconds + (plan.gather_seconds if plan.shape == "burst" else 0) + 3
    )
    minutes = max(1, round(plan.maximum_steps * seconds / 60))
    about = "about a minute" if minutes == 1 else f"up to {minutes} minutes"
    errors.print(
        f"Rehearsing with {plan.people:,} people ({plan.shape}); it takes {about}. Ctrl-C stops and clears away.",
        highlight=False,
    )


def _say_step(step: Step, plan: Plan) -> None:
    miss = miss_of(step, plan)
    mark = "[green]✓[/]" if miss is None else f"[yellow]✗[/] {_MISSED[miss]}:"
    full = " · load generator at its limit" if step.is_generator_full else ""
    errors.print(
        f"{mark} {step.dial:,} inside · p95 {step.served.p95:,.0f} ms · errors {step.served.error_share:.2%} · "
        f"{step.requests_per_second:,.0f} requests/s · {step.claims_per_second:,.1f} claims/s{full}",
        highlight=False,
    )
    for what, number in step.errors.items():
        errors.print(f"  {number:,} × {escape(what)}", highlight=False, style="dim")


def _show(found: Verdict, report_path: Path) -> None:
    output.print(escape(found.sentence), highlight=False, soft_wrap=True)
    if found.remark:
        errors.print(escape(found.remark), highlight=False, soft_wrap=True)
    errors.print(f"The report: {escape(str(report_path))}", highlight=False, soft_wrap=True)
