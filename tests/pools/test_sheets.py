"""Texts: what parts their cells, in which encoding they are, and what is too much of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tearline.pools import sheets


def recognised(path: Path, content: bytes, name: str = "codes.csv") -> sheets.Form:
    path = path / "file"
    path.write_bytes(content)
    return sheets.recognise(path, name)


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["Code", "A1", "A2"], ","),
        (['"Code"', '"A1"', '"A2"'], ","),
        (["Code,Name", "A1,Tea", "A2,Rice"], ","),
        (['"Code","Name"', '"A1","Tea; green"', '"A2","Rice ""wild"""'], ","),
        (["Code;Price", "A1;1,50", "A2;2,50"], ";"),
        (["Code;Name", *[f"A{number};Tea, green" for number in range(9)]], ";"),
        (["Code;Name;Price", *[f'A{number};"Tea; green";1,50' for number in range(9)]], ";"),
        (["A1;1,50;x", "A2;2,50;x"], ";"),
        (["Code\tName", "A1\tTea, green", "A2\tRice"], "\t"),
        (["Code|Name", "A1|Tea", "A2|Rice"], "|"),
        (['Code,"Name', 'of it"', 'A1,"Tea"', *[f"A{number},x" for number in range(9)]], ","),
        # A pattern could take these to pieces in more ways than there is time for.
        (['a,"b",c', 'd,"e",f', '"' * 10_000 + "x", "x"], ","),
        ([',"' * 5_000, "x"], ","),
    ],
)
def test_what_parts_the_cells(tmp_path: Path, lines: list[str], delimiter: str) -> None:
    assert recognised(tmp_path, "\n".join([*lines, ""]).encode()).delimiter == delimiter


def test_the_encoding_is_found_behind_a_long_line(tmp_path: Path) -> None:
    thai = "ชุดอาหารค่ำสำหรับสองท่าน, บัตรกำนัลร้านอาหารริมน้ำ, ของหวานและเครื่องดื่ม".encode("cp874")
    # Whoever looks for its letters from each place of the line anew never finds them.
    for line_end in (b"\n", b"\r\n", b"\r"):
        content = b"name" + line_end + b"a" * 900_000 + line_end + thai
        assert recognised(tmp_path, content).encoding == "cp874"
