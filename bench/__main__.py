"""Runs the benchmarks: ``python -m bench [--only NAME] [--quick]``."""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import psutil
from rich.console import Console

from bench import claims, codes, gate, quotes, redemptions

BENCHMARKS = {
    "claims": claims.run,
    "redemptions": redemptions.run,
    "gate": gate.run,
    "codes": codes.run,
    "quotes": quotes.run,
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run what was asked for, print a table for each, and write ``results/NAME.json``."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHMARKS), help="run one benchmark")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that it runs; figures mean little"
    )
    arguments = parser.parse_args()
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    for name in [arguments.only] if arguments.only else BENCHMARKS:
        console.rule(f"[bold]{name}")
        started = time.monotonic()
        figures = BENCHMARKS[name](console, quick=arguments.quick)
        figures["machine"] = {
            "cores": psutil.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "python": platform.python_version(),
        }
        figures["took_seconds"] = round(time.monotonic() - started, 1)
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n")
        console.print(f"[dim]{path} · {figures['took_seconds']} s")


if __name__ == "__main__":
    main()
