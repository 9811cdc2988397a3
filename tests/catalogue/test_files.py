"""Files of the catalogue as spreadsheet programs and people make them, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xlsxwriter

from tearline.catalogue.files import _Read, _read
from tearline.catalogue.model import ProductItem

HEADING = ("key", "name", "price", "currency", "tax_percent")


def workbook(path: Path, rows: Sequence[Sequence[object]], formats: Sequence[str] = ()) -> Path:
    """A workbook of products whose numbers in column E have these formats, row by row."""
    path = path / "products.xlsx"
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    for number, row in enumerate([HEADING, *rows]):
        sheet.write_row(number, 0, row)
    for number, code in enumerate(formats, 1):
        sheet.write(number, 4, rows[number - 1][4], book.add_format({"num_format": code}))
    book.close()
    return path


def products(read: _Read) -> list[ProductItem]:
    return [item for item in read.items if isinstance(item, ProductItem)]


def test_a_tax_that_the_sheet_shows_as_a_percentage_is_what_it_shows(tmp_path: Path) -> None:
    shown = [("0%", 0.05, 500), ("0.00%", 0.075, 750), ("[Red]0.0 %", 0.07, 700), ("0%", 0.29, 2900)]
    meant = [("0", 5, 500), ("0.00", 7.5, 750), ('0"%"', 0.05, 5), ("@", "5 %", 500)]
    rows = [
        (f"k{number}", "Tea", 1, "HKD", tax) for number, (_code, tax, _points) in enumerate(shown + meant)
    ]
    path = workbook(tmp_path, rows, [code for code, _tax, _points in shown + meant])
    read = _read("products", path, path.name, {})
    assert read.refused == []
    assert [item.tax_basis_points for item in products(read)] == [points for *_, points in shown + meant]
    assert _read("products", workbook(tmp_path, [("k", "Tea", 1, "HKD", 1.01)], ["0%"]), "", {}).refused
