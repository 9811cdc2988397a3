"""What importing a million partner codes costs beside a plain ``COPY`` of the clean ones, and what it shows."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from bench.installation import make_database, postgres
from tearline.core.pools import CodeRule
from tearline.db import Database
from tearline.pools.files import preview, receive_file
from tearline.pools.importing import import_file
from tests.pools.support import ACTOR, make_pool

ROWS = 1_000_000
QUICK_ROWS = 50_000
SHARE_OF_DUPLICATES = 0.01
ROUNDS, QUICK_ROUNDS = 5, 1
EXPECTED = {"import_to_copy": ("<=", 3.0), "import_peak_mb": ("<=", 200), "pool_page_ms": ("<=", 300)}
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CHUNK_BYTES = 256 * 1024


def import_codes(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures; those of ``EXPECTED`` are among them."""
    # Here, because it loads the whole web server, and this module is also the process whose memory is measured.
    from bench.codes_page import pool_page_ms

    rows, rounds = (QUICK_ROWS, QUICK_ROUNDS) if quick else (ROWS, ROUNDS)
    with postgres() as server, tempfile.TemporaryDirectory(prefix="tearline-bench-") as directory:
        uploaded, clean = _make_files(Path(directory), rows)
        url = make_database(server, "bench_codes_import")
        figures = _measure(console, url, uploaded, clean, rows, rounds)
        return {**figures, "pool_page_ms": pool_page_ms(console, url)}


def _make_files(directory: Path, rows: int) -> tuple[Path, Path]:
    """A file as a partner sends it, 1 % of its rows repeated somewhere, and the clean codes for ``COPY``."""
    generator = random.Random(20261122)
    duplicates = round(rows * SHARE_OF_DUPLICATES)
    clean = ["".join(generator.choices(_ALPHABET, k=20)) for _ in range(rows - duplicates)]
    assert len(set(clean)) == len(clean)
    repeated = clean + generator.sample(clean, duplicates)
    generator.shuffle(repeated)
    uploaded_path, clean_path = directory / "codes.csv", directory / "clean.txt"
    uploaded_path.write_text("\n".join(["Voucher code", *repeated, ""]))
    clean_path.write_text("\n".join([*clean, ""]))
    return uploaded_path, clean_path


def _measure(
    console: Console, url: str, uploaded: Path, clean: Path, rows: int, rounds: int
) -> dict[str, Any]:
    copies: list[float] = []
    imports: list[dict[str, float]] = []
    for _ in range(rounds):
        copies.append(_copy(url, clean))
        imports.append(_import(url, uploaded, rows))
    totals = [one["receive_seconds"] + one["import_seconds"] for one in imports]
    figures = {
        "import_to_copy": round(
            statistics.median(total / copy for total, copy in zip(totals, copies, strict=True)), 2
        ),
        "import_peak_mb": max(one["peak_mb"] for one in imports),
        "rows": rows,
        "copy_seconds": copies,
        "imports": imports,
    }
    table = Table(title=f"importing {rows:,} codes, {SHARE_OF_DUPLICATES:.0%} of them duplicates")
    for column in ("what", "seconds", "codes a second"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, seconds in (
        ("plain COPY of the clean codes, one unique index", statistics.median(copies)),
        ("receive and import, every row's outcome kept", statistics.median(totals)),
    ):
        table.add_row(what, f"{seconds:.2f}", f"{rows / seconds:,.0f}")
    console.print(table)
    console.print(
        f"[dim]The importing process had {figures['import_peak_mb']:.0f} MB at its peak. Each round copies and imports"
        f" into empty tables after a checkpoint; import_to_copy is the median of the rounds' ratios."
    )
    return figures


def _copy(url: str, clean: Path) -> float:
    """Seconds of a plain COPY into a table with the same unique index, and its commit."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS plain")
        # All of one merchant, as in the import.
        connection.execute(
            f"CREATE TABLE plain (code text NOT NULL, merchant_id uuid NOT NULL DEFAULT '{UUID(int=1)}',"
            " UNIQUE (code, merchant_id))"
        )
        connection.execute("CHECKPOINT")
        started = time.perf_counter()
        with (
            clean.open("rb") as file,
            connection.cursor() as cursor,
            cursor.copy("COPY plain (code) FROM STDIN") as copy,
        ):
            while chunk := file.read(_CHUNK_BYTES):
                copy.write(chunk)
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE plain")
    return round(seconds, 3)


def _import(url: str, uploaded: Path, rows: int) -> dict[str, float]:
    """What a process of its own needed to receive the file and import it into empty tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE partner_code, code_file_row, code_file_part, code_file, hand_back, code_pool"
        )
        connection.execute("CHECKPOINT")
    command = [sys.executable, "-m", "bench.codes_import", url, str(uploaded)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    outcome = json.loads(answer.splitlines()[-1])
    duplicates = round(rows * SHARE_OF_DUPLICATES)
    assert outcome.pop("outcomes") == [rows - duplicates, duplicates, 0, 0], "rows got lost"
    return {name: float(value) for name, value in outcome.items()}


async def _work(url: str, uploaded: Path) -> dict[str, Any]:
    """Receive and import, as the command and the console do, in this process."""
    async with Database(url) as database:
        pool = await make_pool(database, now=datetime.now(UTC))
        started = time.perf_counter()
        file_id = await receive_file(
            database,
            ACTOR,
            pool.pool_id,
            "codes.csv",
            _chunks(uploaded),
            source="command",
            now=datetime.now(UTC),
        )
        received = time.perf_counter()
        async with database.connection() as connection:
            seen = await preview(connection, ACTOR, file_id)
        previewed = time.perf_counter()
        assert seen.rule == CodeRule(20, 20, "upper_digits") and seen.has_heading
        outcome = await import_file(
            database, ACTOR, file_id, rule=seen.rule, column=seen.column, has_heading=seen.has_heading
        )
        finished = time.perf_counter()
    return {
        "receive_seconds": round(received - started, 3),
        "preview_seconds": round(previewed - received, 3),
        "import_seconds": round(finished - previewed, 3),
        "peak_mb": _peak_mb(),
        "outcomes": [outcome.added, outcome.duplicate, outcome.held, outcome.invalid],
    }


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _peak_mb() -> float:
    """The most memory that this process ever had, in MB. Unlike getrusage's it begins with this program."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise RuntimeError("the peak of memory is unknown")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_work(sys.argv[1], Path(sys.argv[2])))))
