"""Files of the catalogue as spreadsheet programs and people make them, row by row."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tearline.catalogue.files import RefusedRow, _heading_problems, _Read, _read
from tearline.catalogue.model import ProductItem
from tearline.core.catalogue import KEY_SENTENCE

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


def refused(kind: str, path: Path, content: bytes) -> list[RefusedRow]:
    path = path / "file.csv"
    path.write_bytes(content)
    return _read(kind, path, path.name, {}).refused


def test_what_can_not_be_a_key_refers_to_nothing(tmp_path: Path) -> None:
    rows = ["key,name,price,currency,category,brand", "k1,Tea,1,HKD,tea,leaf", "k2,Tea,1,HKD,,"]
    rows += ["k3,Tea,1,HKD,te\0a,two words", f"k4,Tea,1,HKD,{'x' * 101},"]
    assert refused("products", tmp_path, "\n".join(rows).encode("utf-16")) == [
        RefusedRow(4, "k3", {"category": KEY_SENTENCE, "brand": KEY_SENTENCE}),
        RefusedRow(5, "k4", {"category": KEY_SENTENCE}),
    ]
    assert refused("categories", tmp_path, b"key,name,parent\nk1,Tea,a\xc3\xa9\n") == [
        RefusedRow(2, "k1", {"parent": KEY_SENTENCE})
    ]


def test_long_keys_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    rows = [f"k{number},Tea,1,HKD,{'x' * 20_000}" for number in range(200)]
    path.write_text("\n".join(["key,name,price,currency,category", *rows]))
    tracemalloc.start()
    try:
        read = _read("products", path, path.name, {})
        now, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read.refused) == 200 and not read.items
    assert now < 1024 * 1024


def test_a_price_that_a_spreadsheet_has_reckoned(tmp_path: Path) -> None:
    prices = {74.800000000000011: 7480, 0.1 + 0.7: 80, 19.99 * 3: 5997, 1e-12: 0, 1200.0: 120_000, 48.5: 4850}
    rows = [(f"k{number}", "Tea", price, "HKD", 0.1 + 0.2) for number, price in enumerate(prices)]
    path = workbook(tmp_path, rows)
    read = _read("products", path, path.name, {})
    assert [item.price for item in products(read)] == [*prices.values()]
    assert {item.tax_basis_points for item in products(read)} == {30}
    # What has more decimals on purpose is no amount, and a text is what it says.
    path = workbook(
        tmp_path, [("k", "Tea", price, "HKD", 0) for price in (1.005, 1e-4, 1e15, "74.800000000000011")]
    )
    assert [set(row.problems) for row in _read("products", path, path.name, {}).refused] == [{"price"}] * 4


class Heading(list[str]):
    """A heading that counts which of its cells are asked for by their places."""

    asked = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.asked += len(found) if isinstance(place, slice) else 1
        return found


def test_a_heading_is_gone_through_once(tmp_path: Path) -> None:
    heading = Heading(["key", "name_en", "", "Key ", *["key"] * 1000, ""])
    assert set(_heading_problems("brands", heading)) == {"key", "Key "}
    assert heading.asked <= len(heading)
    many = ",".join(["name", *["key"] * 200_000])
    assert set(refused("brands", tmp_path, f"{many}\nx\n".encode())[0].problems) == {"key"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["brands.txt", "brands.csv", "brands.TXT", "brands"])
def test_columns_are_parted_whatever_the_file_is_called(tmp_path: Path, name: str, delimiter: str) -> None:
    path = tmp_path / name
    path.write_text(f"key{delimiter}name\nleaf{delimiter}Leaf\n")
    read = _read("brands", path, name, {})
    assert [(item.key, item.names) for item in read.items] == [("leaf", {"en": "Leaf"})]
