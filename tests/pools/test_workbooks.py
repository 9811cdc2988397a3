"""Our reader of XLSX answers what python-calamine does, whatever wrote the workbook, and in flat memory."""

from __future__ import annotations

import random
import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from xml.sax.saxutils import escape

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.refusal import Refusal
from tearline.pools import sheets, workbook
from tests.pools.workbooks import STRICT, TRANSITIONAL, in_a_cell, ours, packed, parts, read, theirs

SIGNS = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
TEXTS = st.text(SIGNS, min_size=1, max_size=12) | st.sampled_from(
    [
        "0012345678901234567890",
        " both ends ",
        "two\nlines",
        "tab\tinside",
        "_x000D_",
        "a_x0041_b_x00e9_",
        "_x005F_x000D_",
        "=SUM(A1)",
        "<b>&amp;</b>",
        "โค้ด",
        "序號 🎟",
        "\u00a0",
        "]]>",
        "</row>",
    ]
)
NUMBERS = st.one_of(
    st.integers(-(10**16), 10**16),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 0.25, 59, 60, 61.5, 45_000, 45_000.123456, 2_958_465, 2_958_466, 1e15, 1e21]),
)
TIMES = ["yyyy-mm-dd", "h:mm", "[h]:mm", "[$-404]e\\.m", "a/p"]
PERCENTAGES = ["0%", "0.00%", "[Red]0.0%;0"]
FORMATS = [
    *TIMES,
    *PERCENTAGES,
    "General",
    "@",
    '0.00" days"',
    "[Red]0",
    "0\\d;@",
    "#,##0_d",
    "0;yyyy",
    '0"%"',
]
CELLS = st.one_of(
    st.tuples(st.just("text"), TEXTS, st.none()),
    st.tuples(st.just("number"), NUMBERS, st.sampled_from(FORMATS)),
    st.tuples(st.just("boolean"), st.booleans(), st.none()),
    st.tuples(
        st.just("formula"), st.sampled_from(["x", " x", 1.5, True, "#N/A", ""]), st.sampled_from(FORMATS)
    ),
    st.tuples(st.just("blank"), st.none(), st.sampled_from(FORMATS)),
)
PLACES = st.tuples(st.integers(0, 40), st.integers(0, 6) | st.just(30))


def written(path: Path, cells: dict[tuple[int, int], tuple[str, Any, Any]], options: dict[str, Any]) -> Path:
    """A workbook as XlsxWriter writes it."""
    book = xlsxwriter.Workbook(path, options)
    sheet = book.add_worksheet()
    formats = {code: book.add_format({"num_format": code}) for code in FORMATS}
    for (row, column), (kind, value, code) in sorted(cells.items()):
        if kind == "text":
            sheet.write_string(row, column, value)
        elif kind == "number":
            # Over times that are far from any calendar, calamine panics.
            sheet.write_number(row, column, abs(value) % 3e6 if code in TIMES else value, formats[code])
        elif kind == "boolean":
            sheet.write_boolean(row, column, value)
        elif kind == "formula":
            sheet.write_formula(row, column, "=A1&B1", formats[code], value)
        else:
            sheet.write_blank(row, column, None, formats[code])
    book.close()
    return path


@given(
    st.dictionaries(PLACES, CELLS, max_size=30),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 50, 1000, 100_000]),
)
def test_what_xlsxwriter_writes(
    cells: dict[tuple[int, int], tuple[str, Any, Any]], is_inline: bool, is_from_1904: bool, piece_bytes: int
) -> None:
    options = {"constant_memory": is_inline, "date_1904": is_from_1904}
    with tempfile.TemporaryDirectory() as directory, mock.patch.object(workbook, "_PIECE_BYTES", piece_bytes):
        path = written(Path(directory) / "a.xlsx", cells, options)
        assert ours(path) == theirs(path)


TEXT = in_a_cell("<v>a</v>", ' t="str"')
SPACE = st.sampled_from(["", "", "", "\n", "<!-- </row></si></x:row> -->"])
KEPT = ' xml:space="preserve"'


@st.composite
def texts_in_xml(draw: st.DrawFn, element: str) -> str:
    """A text as ``si`` or ``is``: plain, escaped in other ways, rich, with what tells its pronunciation."""
    runs = []
    for text in draw(st.lists(TEXTS.filter(lambda text: min(text) >= " "), max_size=3)):
        content = draw(
            st.sampled_from(
                [
                    escape(text),
                    escape(text),
                    "<![CDATA[" + text.replace("]]>", "</row></si>") + "]]>",
                    "".join(f"&#{ord(one)};" for one in text),
                    f"{escape(text)}<!-- c -->\r\n&#13;{escape(text)}",
                ]
            )
        )
        runs.append(f"<t{draw(st.sampled_from(['', KEPT]))}>{content}</t>")
    if len(runs) > 1 or draw(st.booleans()):
        runs = [f"<r>{draw(SPACE)}<rPr><b/></rPr>{run}</r>" for run in runs]
    phonetic = draw(
        st.sampled_from(["", "", '<phoneticPr fontId="1"/>', '<rPh sb="0" eb="1"><t>no</t></rPh>'])
    )
    return f"<{element}>{draw(SPACE)}{''.join(runs)}{phonetic}</{element}>"


@st.composite
def odd_workbooks(draw: st.DrawFn) -> dict[str, str | bytes]:
    """Workbooks as no one program writes them, plain rows and others in turn."""
    texts = draw(st.lists(texts_in_xml("si"), max_size=20))
    has_numbers = draw(st.booleans())
    rows = []
    number = 0
    for _row in range(draw(st.integers(0, 8))):
        number += draw(st.integers(1, 3))
        column = 0
        cells = []
        for _cell in range(draw(st.integers(0, 4))):
            attributes = draw(st.sampled_from(["", "", ' s="1"', ' s="2"', ' s="9"', "\n"]))
            if has_numbers and draw(st.booleans()):
                column += draw(st.integers(0, 2))
                attributes = f' r="{"ABCDEFGHIJKLMNOP"[column]}{number}"{attributes}'
            contents = [
                "><v>1.5</v>",
                "><v>45000</v>",
                "><v>-0.25</v>",
                "><v>abc</v>",
                "><v> 1</v>",
                "><v></v>",
                ">",
            ]
            contents += [' t="n"><v>-1E3</v>', ' t="b"><v>0</v>', ' t="e"><v>#REF!</v>', ' t="str"><v></v>']
            contents += [' t="str"><f>A1</f><v> a &amp; b </v>', ' t="d"><v>2026-07-01</v>']
            contents += [' t="inlineStr">' + draw(texts_in_xml("is"))] * 3
            contents += [f' t="s"><v>{draw(st.integers(0, len(texts) - 1))}</v>'] * 6 if texts else []
            cells.append(f"<c{attributes}{draw(st.sampled_from(contents))}</c>{draw(SPACE)}")
            column += 1
        attributes = f' r="{number}" spans="1:4"' if has_numbers else ""
        rows.append(f"<row{attributes}>{''.join(cells)}</row>{draw(SPACE)}")
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="d&quot;.&quot;m"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="46"/></cellXfs>'
    )
    return parts(
        "".join(rows),
        "".join(texts),
        styles=styles,
        prefix=draw(st.sampled_from(["", "", "x:"])),
        of=draw(st.sampled_from([TRANSITIONAL, STRICT])),
    )


@given(odd_workbooks(), st.sampled_from([1, 50, 1000, 100_000]))
def test_what_nobody_writes_so(made: dict[str, str | bytes], piece_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as directory, mock.patch.object(workbook, "_PIECE_BYTES", piece_bytes):
        path = packed(Path(directory) / "a.xlsx", made)
        assert ours(path) == theirs(path)


def test_what_only_looks_like_a_row_or_a_text_is_none(tmp_path: Path) -> None:
    # Far enough that the reader looks for the next plain one just there.
    far = "x" * 300
    no_row = f"<!-- {far}</row>" + in_a_cell("<v>1</v>", ' t="s"', 2) + " -->"
    no_text = f"<!-- {far}</si><si><t>no</t></si> -->"
    rows = [in_a_cell(f"<v>{index}</v>", ' t="s"', 2 * index + 1) for index in range(3)]
    texts = [f"<si><t>{text}</t></si>" for text in "abc"]
    path = packed(tmp_path / "a.xlsx", parts(no_row.join(rows), no_text.join(texts)))
    assert read(path) == [["a"], ["b"], ["c"]]
    kept = f"<is><t><![CDATA[{far}</row>" + in_a_cell("<v>1</v>", ' t="s"', 4) + "]]></t></is>"
    path = packed(tmp_path / "b.xlsx", parts(TEXT + in_a_cell(kept, ' t="inlineStr"', 3)))
    assert len(read(path)) == 2
    assert ours(path) == theirs(path)


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_texts_in_any_order(tmp_path: Path, prefix: str) -> None:
    generator = random.Random(7)
    codes = [f"โค้ด {number} " + "x" * generator.randrange(40) for number in range(5_000)]
    order = generator.choices(range(len(codes)), k=9_000)
    rows = ""
    for number, index in enumerate(order, 1):
        # Some rows are plain, some are not, and some have more cells.
        further = f'<c r="C{number}" s="1"><v>{number}</v></c><c r="D{number}"/>' * (number % 5 == 0)
        rows += f'<row r="{number}"{" " * (number % 7 == 0)}><c r="B{number}" t="s"><v>{index}</v></c>{further}</row>'
    texts = "".join(f"<si>{' ' * (number % 9 == 0)}<t>{code}</t></si>" for number, code in enumerate(codes))
    path = packed(tmp_path / "a.xlsx", parts(rows, texts, prefix=prefix))
    read = [row for _numbers, batch in workbook.batches(path) for row in batch]
    assert [row[0] for row in read] == [codes[index].strip() for index in order]
    assert ours(path) == theirs(path)


@pytest.mark.parametrize(
    ("content", "attributes", "value"),
    [
        ("<is><t> a _x000D_ b </t></is>", ' t="inlineStr"', "a \r b"),
        (f"<is><t{KEPT}> a_x005F_b </t></is>", ' t="inlineStr"', " a_b "),
        ("<is><r><t>a</t></r><r><t> b</t></r><rPh><t>no</t></rPh></is>", ' t="inlineStr"', "ab"),
        ("<v> a_x000D_b </v>", ' t="str"', " a_x000D_b "),
        ("<v>1</v>", "", 1.0),
        ("<v>.5</v>", ' t="n"', 0.5),
        ("<v>1_0</v>", "", "1_0"),
        ("<v>inf</v>", "", float("inf")),
        ("<v>1</v>", ' t="b"', True),
        ("<v>1</v>", ' s="1"', date(1900, 1, 1)),
        ("<v>60</v>", ' s="1"', date(1900, 2, 28)),
        ("<v>45000.5</v>", ' s="1"', datetime(2023, 3, 15, 12)),  # noqa: DTZ001
        ("<v>0.5</v>", ' s="1"', time(12)),
        ("<v>2958466</v>", ' s="1"', 2_958_466.0),
        ("<v>1.5</v>", ' s="2"', timedelta(days=1.5)),
        ("<v>1e300</v>", ' s="2"', 1e300),
        ("<v>45000</v>", ' s="7"', 45_000.0),
        ("<v>0.05</v>", ' s="3"', workbook.Percentage(0.05)),
        ("<v>0.05</v>", ' s="4"', workbook.Percentage(0.05)),
        ("<v>0.05</v>", ' s="5"', 0.05),
        ("<v>0.05</v>", ' s="6"', 0.05),
        ("<v>2026-07-01</v>", ' t="d"', date(2026, 7, 1)),
        ("<v>10:30:00</v>", ' t="d"', time(10, 30)),
    ],
)
def test_what_a_cell_holds(tmp_path: Path, content: str, attributes: str, value: object) -> None:
    codes = {170: "#,##0.0 %", 171: "0&quot;%&quot;", 172: "0\\%;0%"}
    own = "".join(f'<numFmt numFmtId="{number}" formatCode="{code}"/>' for number, code in codes.items())
    used = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 46, 10, *codes))
    styles = f"<numFmts>{own}</numFmts><cellXfs>{used}</cellXfs>"
    for space in ("", "\n"):
        made = parts(space + in_a_cell(content, attributes), styles=styles)
        [row] = [
            row for _numbers, batch in workbook.batches(packed(tmp_path / "a.xlsx", made)) for row in batch
        ]
        assert row == [value]
        assert type(row[0]) is type(value)


def test_what_is_no_text_says_why(tmp_path: Path) -> None:
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="9"/></cellXfs>'
    cells = ["<c><v>12</v></c>", "<c><v>1E+16</v></c>", '<c s="1"><v>45000</v></c>', '<c t="b"><v>0</v></c>']
    cells += ['<c s="2"><v>0.07</v></c>', '<c t="str"><v>12</v></c>']
    made = parts(f"<row>{''.join(cells)}</row>", styles=styles)
    [row] = read(packed(tmp_path / "a.xlsx", made))
    assert row == ["12", "10000000000000000", "2023-03-15", "False", "7%", "12"]
    problems = [cell.problem if isinstance(cell, sheets.Spoilt) else None for cell in row]
    assert problems == ["number", "digits_lost", "not_text", "not_text", "number", None]


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_rows_keep_the_numbers_of_the_sheet(tmp_path: Path, prefix: str) -> None:
    """However a row is read: at a stroke, cell by cell, without a number of its own, or by its first cell's."""
    texts = "<si><t>a</t></si>"
    inline = '<c r="A{0}" t="inlineStr"><is><t>a</t></is></c>'
    rows = [
        *(in_a_cell("<v>0</v>", ' t="s"', number) for number in (2, 3, 7)),
        *(f'<row r="{number}">{inline.format(number)}</row>' for number in (9, 12)),
        '<row r="13"/>',
        *(
            f'<row r="{number}"><c r="A{number}"><v>1</v></c><c r="B{number}"/></row>'
            for number in (14, 15, 17)
        ),
        '<row ><c r="A20"><v>1</v></c></row>',
        "<row><c><v>1</v></c></row>",
        '<row r="30" ></row>',
        '<row r="31" ><c r="B31"><v>1</v></c></row>',
    ]
    path = packed(tmp_path / "a.xlsx", parts("".join(rows), texts, prefix=prefix))
    numbers = [number for found, _rows in workbook.batches(path) for number in found]
    assert numbers == [2, 3, 7, 9, 12, 14, 15, 17, 20, 21, 31]
    assert [number for number, _row in sheets.numbered_rows(path, sheets.Form("xlsx"))] == numbers


def test_columns_are_counted_from_the_first_that_holds_anything(tmp_path: Path) -> None:
    late = '<row r="9"><c r="B9" t="str"><v>b</v></c></row>'
    rows = '<row r="3"><c r="A3" s="1"/><c r="D3" t="str"><v>d</v></c></row>'
    path = packed(tmp_path / "a.xlsx", parts(rows + late))
    assert read(path) == [["", "", "d"], ["b"]]
    assert ours(path) == theirs(path)
    one_each = '<row r="2"><c r="C2" t="s"><v>0</v></c></row>' + in_a_cell("<v>0</v>", ' t="s"', 3)
    inline = '<row r="4"><c r="B4" t="inlineStr"><is><t>i</t></is></c></row>'
    path = packed(tmp_path / "a.xlsx", parts(TEXT + one_each + inline, "<si><t>s</t></si>"))
    assert read(path) == [["a"], ["", "", "s"], ["s"], ["", "i"]]
    assert ours(path) == theirs(path)
    # A formula that came to nothing does hold something.
    path = packed(tmp_path / "a.xlsx", parts(in_a_cell("<v></v>", ' t="str"') + rows.replace("B9", "C9")))
    assert read(path) == [["", "", "", "d"]]
    assert ours(path) == theirs(path)


def test_the_first_visible_worksheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = xlsxwriter.Workbook(path)
    chart = book.add_chart({"type": "line"})
    book.add_chartsheet("Chart").set_chart(chart)
    for name in ("Hidden", "Very", "Codes", "Later"):
        book.add_worksheet(name).write_string(0, 0, name)
    chart.add_series({"values": "=Codes!$A$1:$A$2"})
    book.get_worksheet_by_name("Hidden").hide()
    book.get_worksheet_by_name("Very").very_hidden()
    book.get_worksheet_by_name("Codes").activate()
    book.close()
    assert read(path) == [["Codes"]]
    assert ours(path) == theirs(path)


@pytest.mark.parametrize(
    "target", ["/xl/worksheets/sheet1.xml", "../xl/./worksheets/sheet1.xml", "WORKSHEETS/Sheet1.xml"]
)
def test_a_sheet_is_found_wherever_it_is_said_to_be(tmp_path: Path, target: str) -> None:
    made = parts(in_a_cell("<v>a</v>", ' t="str"'), relationships=(("rId1", "worksheet", target),))
    assert read(packed(tmp_path / "a.xlsx", made)) == [["a"]]


def test_the_parts_need_not_lie_where_they_usually_do(tmp_path: Path) -> None:
    related = (
        ("rId1", "worksheet", "s.xml"),
        ("rId2", "sharedStrings", "/t/texts.xml"),
        ("rId3", "styles", "y.xml"),
    )
    made = parts(in_a_cell("<v>0</v>", ' t="s"'), "<si><t>a</t></si>", relationships=related)
    moved = {
        "xl/workbook.xml": "books/one.xml",
        "xl/_rels/workbook.xml.rels": "books/_rels/one.xml.rels",
        "xl/worksheets/sheet1.xml": "books/s.xml",
        "xl/sharedStrings.xml": "t/texts.xml",
        "xl/styles.xml": "books/y.xml",
    }
    made = {moved.get(name, name): content for name, content in made.items()}
    made["_rels/.rels"] = str(made["_rels/.rels"]).replace("xl/workbook.xml", "/books/one.xml")
    assert read(packed(tmp_path / "a.xlsx", made)) == [["a"]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "iso-8859-1", "cp1252", "utf-8-sig"])
def test_parts_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    rows = (
        in_a_cell("<is><t>é</t></is>", ' t="inlineStr"') + '<row r="2"><c r="A2" t="str"><v>ü</v></c></row>'
    )
    made = parts(rows)
    declared = {"utf-8-sig": "utf-8", "utf-16-be": "utf-16"}.get(encoding, encoding)
    sheet = str(made["xl/worksheets/sheet1.xml"]).replace("UTF-8", declared)
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    made["xl/worksheets/sheet1.xml"] = (mark + sheet).encode(encoding)
    assert read(packed(tmp_path / "a.xlsx", made)) == [["é"], ["ü"]]


@given(odd_workbooks(), st.data())
def test_whatever_is_done_to_a_part_ends_in_rows_or_a_refusal(
    made: dict[str, str | bytes], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*made]))
    content = bytearray(str(made[name]).encode())
    for _change in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        removed = data.draw(st.sampled_from([0, 1, 1, 10, 10**6]))
        added = data.draw(
            st.sampled_from([b"", b"<", b"&", b"</row>", b"9", b"\xff", b'"', b"<v>1</v>", b" ", b"A"])
        )
        content[place : place + removed] = added
    with tempfile.TemporaryDirectory() as directory:
        path = packed(Path(directory) / "a.xlsx", {**made, name: bytes(content)})
        try:
            rows = read(path)
        except Refusal as refusal:
            assert refusal.reason == "unreadable_file"
        else:
            assert all(type(cell) in (str, sheets.Spoilt) for row in rows for cell in row)
