"""Partners' codes: importing a million of them, their pool's page, and selling them."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench import codes_import, codes_sales
from bench.comparison import print_expectations


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures."""
    imported = codes_import.import_codes(console, quick=quick)
    sold = codes_sales.sell_codes(console, quick=quick)
    expected = codes_import.EXPECTED | codes_sales.EXPECTED
    figures = {
        **{name: (imported | sold)[name] for name in expected},
        "imports": {name: value for name, value in imported.items() if name not in expected},
        "sales": {name: value for name, value in sold.items() if name not in expected},
    }
    print_expectations(console, figures, expected)
    return figures
