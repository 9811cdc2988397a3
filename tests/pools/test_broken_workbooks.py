"""Workbooks that are broken or hostile end in a refusal, and none takes more memory than another."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zipfile
from io import FileIO
from pathlib import Path

import pytest

from tearline.core.refusal import Refusal
from tearline.pools import sheets, workbook_texts
from tearline.pools.workbook_texts import Texts
from tests.pools.workbooks import in_a_cell, packed, parts, read

TEXT = in_a_cell("<v>a</v>", ' t="str"')
SHEET = "xl/worksheets/sheet1.xml"
DECLARED = '<!DOCTYPE worksheet [<!ENTITY a "aaaaaaaa">]>'


def with_part(name: str, old: str, new: str, rows: str = TEXT) -> dict[str, str | bytes]:
    made = parts(rows, "<si><t>a</t></si>")
    assert old in str(made[name])
    return {**made, name: str(made[name]).replace(old, new)}


def without(*names: str) -> dict[str, str | bytes]:
    return {name: content for name, content in parts(TEXT).items() if name not in names}


BROKEN: dict[str, dict[str, str | bytes]] = {
    "no relationships": without("_rels/.rels"),
    "no workbook": without("xl/workbook.xml"),
    "no relationships of the workbook": without("xl/_rels/workbook.xml.rels"),
    "no sheet": without(SHEET),
    "no sheet in the workbook": parts(TEXT, sheets=""),
    "none visible": parts(TEXT, sheets='<sheet name="a" state="hidden" r:id="rId1"/>'),
    "only a chart": parts(TEXT, relationships=(("rId1", "chartsheet", "worksheets/sheet1.xml"),)),
    "a sheet of no relationship": parts(TEXT, sheets='<sheet name="a" r:id="rId2"/>'),
    "a sheet outside": parts(TEXT, relationships=(("rId1", "worksheet", "../../../../etc/passwd"),)),
    "no office document": with_part("_rels/.rels", "/officeDocument", "/other"),
    "cut off": with_part(SHEET, "</sheetData></worksheet>", ""),
    "cut off in a cell": with_part(SHEET, "</v></c></row></sheetData></worksheet>", ""),
    "cut off behind the rows": with_part(SHEET, "</worksheet>", ""),
    "empty": {**parts(), SHEET: b""},
    "no XML": {**parts(), SHEET: b"Code\nA1"},
    "no UTF-8": {**parts(), SHEET: str(parts(TEXT)[SHEET]).encode().replace(b"<v>a", b"<v>\xe9")},
    "an unknown encoding": with_part(SHEET, "UTF-8", "x-unknown"),
    "an encoding of several bytes": with_part(SHEET, "UTF-8", "big5"),
    "a drawing": with_part(SHEET, "sheetData", "drawing"),
    "a document type": with_part(SHEET, "<worksheet", f"{DECLARED}<worksheet"),
    "a document type of the texts": with_part("xl/sharedStrings.xml", "<sst", f"{DECLARED}<sst"),
    "a document type of the workbook": with_part("xl/workbook.xml", "<workbook", f"{DECLARED}<workbook"),
    "an entity": with_part(SHEET, "<v>a", "<v>&a;"),
    "texts cut off": with_part("xl/sharedStrings.xml", "</sst>", ""),
    "texts that are none": with_part("xl/sharedStrings.xml", "sst", "other"),
    "styles cut off": with_part("xl/styles.xml", "</styleSheet>", ""),
    "elements within elements": with_part(SHEET, "<dimension", "<a>" * 200 + "</a>" * 200 + "<dimension"),
    "an endless tag": with_part(SHEET, "<dimension", f'<a b="{"x" * 3_000_000}"/><dimension'),
    "an endless comment": with_part(SHEET, "<dimension", f"<!--{'x' * 3_000_000}--><dimension"),
    "names without number": with_part(
        SHEET, "<dimension", "".join(f"<a{number}/>" for number in range(12_000)) + "<dimension"
    ),
    "a forbidden character": {**parts(), SHEET: str(parts(TEXT)[SHEET]).replace("<v>a", "<v>\x01").encode()},
}
FIFTH = in_a_cell("<v>a</v>", ' t="str"', 5)
BROKEN_ROWS = {
    "no such text": in_a_cell("<v>1</v>", ' t="s"', 5),
    "no text of this number by far": in_a_cell("<v>99999999999999999999</v>", ' t="s"', 5),
    "a text by no number": in_a_cell("<v>one</v>", ' t="s"', 5),
    "a text by a negative number": in_a_cell("<v>-1</v>", ' t="s"', 5),
    "a text by a number with space": in_a_cell("<v> 0</v>", ' t="s"', 5),
    "an unknown kind": in_a_cell("<v>1</v>", ' t="z"', 5),
    "a number that is none": in_a_cell("<v>one</v>", ' t="n"', 5),
    "a style that is none": in_a_cell("<v>1</v>", ' s="one"', 5),
    "beyond the last column": FIFTH.replace("A5", "XFE5"),
    "far beyond": FIFTH.replace("A5", "ZZZ99999999"),
    "beyond the last row": FIFTH.replace("5", "1048577"),
    "no row": FIFTH.replace("5", "0"),
    "no column": FIFTH.replace("A5", "5"),
    "another row": FIFTH.replace("A5", "A6"),
    "the same row again": FIFTH + FIFTH,
    "rows out of order": FIFTH.replace("5", "6") + FIFTH,
    "a cell within a cell": in_a_cell('<c r="B5"><v>1</v></c>', "", 5),
    "a forbidden character": FIFTH.replace("<v>a", "<v>a\uffff"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.xlsx", BROKEN[name])
    with pytest.raises(Refusal, match=r"^unreadable_file$"):
        read(path)


# Expat reads the first row; what is plain behind it need not go through expat.
@pytest.mark.parametrize("before", ["", TEXT], ids=["first", "later"])
@pytest.mark.parametrize("name", BROKEN_ROWS)
def test_a_broken_row_is_refused(tmp_path: Path, name: str, before: str) -> None:
    path = packed(tmp_path / "a.xlsx", parts(before + BROKEN_ROWS[name], "<si><t>a</t></si>"))
    with pytest.raises(Refusal, match=r"^unreadable_file$"):
        read(path)


MANY_LONG = "".join(f"<si><t>{'x' * 100_000}</t></si>" for _ in range(40))
RUN = f"<r><t>{'x' * 100_000}</t></r>"
MUCH = {
    "a text": parts(in_a_cell(f"<v>{'x' * 9_000_000}</v>", ' t="str"')),
    "a rich text": parts(in_a_cell("<v>0</v>", ' t="s"'), f"<si>{RUN * 200}</si>"),
    "a rich text in a cell": parts(in_a_cell(f"<is>{RUN * 200}</is>", ' t="inlineStr"')),
    "a row": parts(
        '<row r="1">' + "".join(f'<c t="s"><v>{number % 40}</v></c>' for number in range(400)) + "</row>",
        MANY_LONG,
    ),
    "a plain row": parts(
        TEXT
        + '<row r="2">'
        + "".join(f'<c r="{one}2" t="s"><v>0</v></c>' for one in "ABCDEFGHIJKL")
        + "</row>",
        MANY_LONG,
    ),
    "texts over and over": parts(
        "".join(in_a_cell(f"<v>{number % 40}</v>", ' t="s"', number) for number in range(1, 2_000)), MANY_LONG
    ),
    "cells far out": parts(
        TEXT + "".join(FIFTH.replace("5", f"{number}").replace("A", "XFD") for number in range(2, 2_000))
    ),
}


@pytest.mark.parametrize("name", MUCH)
def test_little_of_a_file_can_not_be_much_in_memory(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.xlsx", MUCH[name])
    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match=r"^unreadable_file$"):
            read(path)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # By far the most that can be is 32 million characters.
    assert peak < (48 if name in ("texts over and over", "cells far out") else 12) * 1024 * 1024


def test_texts_are_only_gathered_while_they_are_not_too_much(tmp_path: Path) -> None:
    pieces = iter([str(parts("", MANY_LONG)["xl/sharedStrings.xml"]).encode()])
    with (tmp_path / "spill").open("w+b", buffering=0) as spill:
        texts = Texts(pieces, spill)
        assert {len(text) for text in texts.at(range(40))} == {100_000}
        with pytest.raises(Refusal, match=r"^unreadable_file$"):
            texts.at(number % 40 for number in range(400))


class CountingFile(FileIO):
    """A file that counts the bytes that are read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


def test_a_text_is_read_by_itself_when_its_block_is_long(tmp_path: Path) -> None:
    # The first of each block is short, and each other one the longest there may be.
    block = [f"<si><t>{text}</t></si>" for text in ("é", *(letter * 131_072 for letter in "bcdefghijklmnop"))]
    pieces = iter([str(parts("", "".join(block) * 8)["xl/sharedStrings.xml"]).encode()])
    with CountingFile(tmp_path / "spill", "w+") as spill:
        texts = Texts(pieces, spill)
        for _time in range(1_000):
            assert texts.at([0, 16, 32]) == ["é"] * 3
        for _time in range(1_000):
            assert [text[0] for text in texts.at([1, 18, 35])] == ["b", "c", "d"]
        assert spill.bytes_read < 600_000
        # More than is kept costs what it is, and not the blocks around it.
        for _time in range(10):
            assert [text[0] for text in texts.at([*range(1, 120, 16)])] == ["b"] * 8
        assert spill.bytes_read < 12_000_000
        with pytest.raises(Refusal, match=r"^unreadable_file$"):
            texts.at([128])


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_texts_of_blocks_of_any_length(tmp_path: Path, count: int) -> None:
    lengths = [1, 500, 9_000, 0, 30]
    made = [f"{number}ครั้ง" * lengths[number % 5] for number in range(count)]
    rows = "".join(in_a_cell(f"<v>{count - number}</v>", ' t="s"', number) for number in range(1, count + 1))
    path = packed(tmp_path / "a.xlsx", parts(rows, "".join(f"<si><t>{text}</t></si>" for text in made)))
    assert read(path) == [[text] for text in reversed(made) if text]


def test_a_sheet_of_endless_references_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(in_a_cell("<v>0</v>", ' t="s"', number) for number in range(1, 5_001))
    path = packed(tmp_path / "a.xlsx", parts(rows, f"<si><t>{'x' * 1_000}</t></si>"))
    assert len(read(path)) == 5_000
    monkeypatch.setattr(workbook_texts, "MOST_ALTOGETHER", 4_999_999)
    with pytest.raises(Refusal, match=r"^too_large$"):
        read(path)


def test_texts_that_have_got_lost_are_no_fault_of_the_file(tmp_path: Path) -> None:
    pieces = iter([str(parts("", "<si><t>a</t></si>" * 100)["xl/sharedStrings.xml"]).encode()])
    with (tmp_path / "spill").open("w+b", buffering=0) as spill:
        texts = Texts(pieces, spill)
        assert texts.at([99]) == ["a"]
        spill.truncate(10)
        with pytest.raises(OSError, match="disk"):
            texts.at([50])


def test_a_gap_is_nothing(tmp_path: Path) -> None:
    last = in_a_cell("<v>a</v>", ' t="str"', 1_048_576)
    far = FIFTH.replace("A5", "XFD5")
    assert read(packed(tmp_path / "a.xlsx", parts(last))) == [["a"]]
    assert read(packed(tmp_path / "b.xlsx", parts(TEXT + far + last))) == [
        ["a"],
        [*[""] * 16_383, "a"],
        ["a"],
    ]


def test_a_broken_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.xlsx", parts(TEXT))
    content = path.read_bytes()
    assert read(path) == [["a"]]
    start = content.index(b"xl/worksheets/sheet1.xml") + len("xl/worksheets/sheet1.xml")
    broken = [
        content[:start] + b"\xff" * 8 + content[start + 8 :],
        content[: len(content) // 2],
        content[:60],
    ]
    for one in broken:
        path.write_bytes(one)
        with pytest.raises(Refusal, match=r"^unreadable_file$"):
            read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as package:
        for name, part in parts(TEXT).items():
            package.writestr(name, part)
    with pytest.raises(Refusal, match=r"^unreadable_file$"):
        read(path)


def test_a_package_of_too_many_files_is_refused_before_they_are_counted(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.xlsx", parts(TEXT))
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entries = content[start:end]
    times = 20_000
    count, size = content[start:end].count(b"PK\x01\x02") * times, len(entries) * times
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    place = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    # The size stands there in 64 bits, or it doesn't have to.
    for last in (
        record + place + content[end:],
        content[end : end + 12] + struct.pack("<2LH", size, start, 0),
    ):
        path.write_bytes(content[:start] + entries * times + last)
        tracemalloc.start()
        try:
            with pytest.raises(Refusal, match=r"^too_large$"):
                sheets.recognise(path, path.name)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * 1024 * 1024


def test_a_file_that_begins_beyond_any_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.xlsx", {"[Content_Types].xml": "<Types/>"})
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, last = bytearray(content[start:end]), bytearray(content[end:])
    # In the 64 bits that stand behind the name when 32 are too few.
    place = struct.pack("<HHQ", 1, 8, 2**63 + 5)
    entry[30:32], entry[42:46] = struct.pack("<H", len(place)), b"\xff" * 4
    last[12:16] = struct.pack("<L", len(entry + place))
    path.write_bytes(content[:start] + entry + place + last)
    with pytest.raises(Refusal, match=r"^unreadable_file$"):
        sheets.recognise(path, path.name)


def test_a_package_of_many_files_is_read(tmp_path: Path) -> None:
    pictures: dict[str, str | bytes] = {
        f"xl/media/picture of a voucher {number}.png": b"x" for number in range(3_000)
    }
    assert read(packed(tmp_path / "a.xlsx", {**parts(TEXT), **pictures})) == [["a"]]


READ = """
import sys
from pathlib import Path
from tearline.pools import sheets

path = Path(sys.argv[1])
print(sum(map(len, sheets.cells(path, sheets.recognise(path, path.name), 0, has_heading=False))))
"""
# A process begins with the peak of the one that made it, which is why these tests' own must not make it.
MEASURED = """
import resource, subprocess, sys

subprocess.run([sys.executable, "-c", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.parametrize("kind", ["shared", "inline"])
def test_memory_does_not_grow_with_the_sheet(tmp_path: Path, kind: str) -> None:
    peaks = []
    for count in (20_000, 300_000):
        codes = {number: f"{number:08d}E1311415BAA4" for number in range(1, count + 1)}
        if kind == "shared":
            rows = "".join(in_a_cell(f"<v>{number - 1}</v>", ' t="s"', number) for number in codes)
            made = parts(rows, "".join(f"<si><t>{code}</t></si>" for code in codes.values()))
        else:
            inline = ' t="inlineStr"'
            made = parts(
                "".join(
                    in_a_cell(f"<is><t>{code}</t></is>", inline, number) for number, code in codes.items()
                )
            )
        path = packed(tmp_path / f"{count}.xlsx", made)
        command = [sys.executable, "-c", MEASURED, READ, path]
        found, peak = map(
            int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
        assert found == count
        peaks.append(peak)
    # Calamine takes some 30 MB more.
    assert peaks[1] - peaks[0] < 10 * 1024 * 1024
