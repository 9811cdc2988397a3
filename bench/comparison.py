"""Tables that set the product beside its yardstick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.baseline import best_of_clients
from bench.installation import Web, web
from bench.load import Load

PROCESSES = (1, 2)
CONNECTIONS = (64, 256)
COLUMNS = ("what", "a second", "ratio", "p50 ms", "p99 ms", "memory MB")


def compare(
    console: Console,
    url: str,
    title: str,
    statement: str,
    load: Callable[[Web, int, float, str], Load],
    *,
    seconds: int,
    name: str,
) -> dict[str, Any]:
    """The same work over HTTP, and one at a time in PostgreSQL at its best number of clients.

    Args:
        statement: pgbench's script for one piece of work.
        load: does the work over HTTP, given the running server, connections, seconds, and a prefix that makes
            the keys of this load its own.
    """
    baseline = best_of_clients(url, statement, seconds=max(2, seconds // 2))
    best_clients = max(baseline, key=lambda clients: baseline[clients])
    table = Table(title=title)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=column == "what")
    table.add_row(
        f"one at a time, {best_clients} clients", f"{baseline[best_clients]:,.0f}", "1.00", "", "", ""
    )
    runs = []
    for processes in PROCESSES:
        with web(url, processes) as running:
            load(running, min(CONNECTIONS), 2, f"{name}-warm-{processes}-")
            for connections in CONNECTIONS:
                seen = load(running, connections, seconds, f"{name}-{processes}-{connections}-")
                if seen.refused or seen.broken:
                    console.print(f"[red]{seen.refused} refused, {seen.broken} broken")
                run = {
                    "processes": processes,
                    "connections": connections,
                    "per_second": round(seen.granted_per_second),
                    "ratio": round(seen.granted_per_second / baseline[best_clients], 2),
                    "p50_ms": round(seen.p50_ms, 1),
                    "p99_ms": round(seen.p99_ms, 1),
                    "memory_mb": running.memory_mb(),
                }
                runs.append(run)
                table.add_row(
                    f"HTTP, {processes} proc., {connections} conn.",
                    f"{run['per_second']:,}",
                    f"{run['ratio']:.2f}",
                    f"{run['p50_ms']:.1f}",
                    f"{run['p99_ms']:.1f}",
                    " + ".join(f"{one:.0f}" for one in run["memory_mb"]),
                )
    console.print(table)
    return {"one_at_a_time_by_clients": baseline, "http": runs, "ratio": max(run["ratio"] for run in runs)}


def print_expectations(
    console: Console, figures: dict[str, Any], expected: dict[str, tuple[str, float]]
) -> None:
    """What was expected of the figures, and whether it holds."""
    table = Table(title="expected")
    for column in ("figure", "measured", "expected", ""):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, (sign, bound) in expected.items():
        holds = figures[name] >= bound if sign == ">=" else figures[name] <= bound
        mark = "[green]yes" if holds else "[red]no"
        table.add_row(name, f"{figures[name]:.2f}", f"{'≥' if sign == '>=' else '≤'} {bound}", mark)
    console.print(table)
