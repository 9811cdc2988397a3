"""The same carts in django-oscar, in a virtual environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.quotes_carts import NOW, Case
from tearline.core.cart import candidates
from tearline.core.offers import AmountOff, PercentOff

OSCAR = Path(__file__).parent / "oscar"
ENVIRONMENT = Path(__file__).parents[1] / ".tearline" / "bench" / "oscar"


def time_oscar(console: Console, cases: Sequence[Case], *, quick: bool) -> list[dict[str, Any]] | None:
    """How long oscar takes for each cart, ``ms`` of CPU time, and what it takes off; None where it can't be had.

    Args:
        quick: use an environment that is there already, but do not make one.
    """
    python = _environment(console, quick=quick)
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        ran = subprocess.run(
            [python, OSCAR / "price_carts.py"],
            input=json.dumps([_as_oscar_reads(*case) for case in cases]),
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        console.print(f"[red]django-oscar failed:[/] {ran.stderr[-1500:]}")
        return None
    answer = json.loads(ran.stdout)
    console.print(f"django-oscar {answer['version']}")
    return list(answer["cases"])


def _environment(console: Console, *, quick: bool) -> Path | None:
    """Oscar's Python, installed where that has not been done."""
    requirements = OSCAR / "requirements.txt"
    python, installed = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "installed.txt"
    if installed.exists() and installed.read_text() == requirements.read_text():
        return python
    if quick:
        console.print("[yellow]django-oscar is not installed, which a quick run does not do: no comparison.")
        return None
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "-r", requirements], check=True, capture_output=True
        )
    except subprocess.CalledProcessError as error:
        console.print(
            f"[red]django-oscar could not be installed, so nothing is compared with it:[/] {error.stderr}"
        )
        return None
    installed.write_text(requirements.read_text())
    return python


def _as_oscar_reads(*case: Any) -> dict[str, Any]:
    cart, rights = case
    coupons = []
    for candidate in candidates(cart, rights, NOW)[0]:
        right, benefit = candidate.right, candidate.right.benefit
        assert isinstance(benefit, AmountOff | PercentOff)
        worth = (
            ("amount", benefit.amount)
            if isinstance(benefit, AmountOff)
            else ("percent", benefit.basis_points / 100)
        )
        coupons.append([*worth, right.minimum_spend, list(candidate.lines)])
    return {"lines": [[line.unit_price, line.quantity] for line in cart.lines], "coupons": coupons}
