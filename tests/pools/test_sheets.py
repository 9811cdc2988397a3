"""Texts: what parts their cells, in which encoding they are, and what is too much of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tearline.core.refusal import Refusal
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
        (["A1;1,50", "A2;2,50"], ";"),
        (['A1,"x;y;z"', 'A2,"x;y;z"'], ","),
        (["A1,x|y|z", "A2,x|y|z"], ","),
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


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]


@pytest.mark.parametrize("name", ["codes.txt", "codes.csv"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_line_that_does_not_end_is_not_waited_for(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / name
    # In two bytes of UTF-16, this sign has one that is the end of a line elsewhere.
    sign = "上" if encoding.startswith("utf-16") else "é"
    for start in ("Code", "Code,Name\n"):
        path.write_bytes((start + sign * 2_000_000).encode(encoding))
        with pytest.raises(Refusal, match=r"^unreadable_file$"):
            list(sheets.rows(path, sheets.recognise(path, name)))


def test_cells_of_several_lines_do_not_make_a_row_as_long_as_the_file(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text('Code,Name\n"' + '\n","' * 6_000_000)
    with pytest.raises(Refusal, match=r"^unreadable_file$"):
        sum(map(len, sheets.rows(path, sheets.Form("csv", "utf-8", ","))))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("characters", [1, 2, 7, 100_000])
def test_lines_are_whole_wherever_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, line_end: str, characters: int
) -> None:
    monkeypatch.setattr(sheets, "_PIECE_CHARACTERS", characters)
    path = tmp_path / "codes.csv"
    lines = ["Code;Name", 'A1;"Tea', 'and rice"', "", "A2;R\u2028ce\x1cx", "A3;é"]
    path.write_bytes(line_end.join(lines).encode(encoding, "replace"))
    found = list(sheets.numbered_rows(path, sheets.Form("csv", encoding, ";")))
    assert [number for number, _row in found] == [1, 2, 4, 5]
    assert [row[0] for _number, row in found] == ["Code", "A1", "A2", "A3"]
    assert found[1][1] == ["A1", f"Tea{line_end}and rice"] and found[3][1] == ["A3", "é"]
    plain = [row for _number, row in sheets.numbered_rows(path, sheets.Form("txt", encoding))]
    assert [row[0] for row in plain][:3] == ["Code;Name", 'A1;"Tea', 'and rice"'] and len(plain) == 5
