"""Workbooks for tests: made by hand, and read by a reader that isn't ours."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from tearline.pools import sheets, workbook

TRANSITIONAL = "http://schemas.openxmlformats.org"
STRICT = "http://purl.oclc.org/ooxml"
REFUSED = "refused"


def parts(
    rows: str = "",
    texts: str | None = None,
    *,
    styles: str = "",
    sheets: str = '<sheet name="a" sheetId="1" r:id="rId1"/>',
    relationships: tuple[tuple[str, str, str], ...] = (("rId1", "worksheet", "worksheets/sheet1.xml"),),
    prefix: str = "",
    of: str = TRANSITIONAL,
) -> dict[str, str | bytes]:
    """The parts of a workbook, by their names.

    Args:
        rows, texts: within ``sheetData`` and ``sst``; their elements get the prefix.
        relationships: of the workbook: id, kind and target.
        prefix: such as ``x:``.
        of: where the namespaces begin.
    """
    kinds = (
        f"{of}/officeDocument/2006/relationships"
        if of == TRANSITIONAL
        else f"{of}/officeDocument/relationships"
    )
    main = f"{of}/spreadsheetml/2006/main" if of == TRANSITIONAL else f"{of}/spreadsheetml/main"
    declared = f'xmlns:{prefix[:-1]}="{main}"' if prefix else f'xmlns="{main}"'
    if prefix:
        rows, texts = (
            content and re.sub("<(/?)([a-zA-Z])", rf"<\1{prefix}\2", content) for content in (rows, texts)
        )
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    of_workbook = "".join(
        f'<Relationship Id="{name}" Type="{kinds}/{kind}" Target="{target}"/>'
        for name, kind, target in relationships
    )
    made: dict[str, str | bytes] = {
        "[Content_Types].xml": f"{head}<Types/>",
        "_rels/.rels": f'{head}<Relationships><Relationship Id="rId1" Type="{kinds}/officeDocument" '
        f'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{kinds}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"{head}<Relationships>{of_workbook}</Relationships>",
        "xl/worksheets/sheet1.xml": f'{head}<{prefix}worksheet {declared}><{prefix}dimension ref="A1"/>'
        f"<{prefix}sheetData>{rows}</{prefix}sheetData></{prefix}worksheet>",
        "xl/styles.xml": f'{head}<styleSheet xmlns="{main}">{styles}</styleSheet>',
    }
    if texts is not None:
        made["xl/sharedStrings.xml"] = f"{head}<{prefix}sst {declared}>{texts}</{prefix}sst>"
    return made


def in_a_cell(content: str, attributes: str = "", number: int = 1) -> str:
    """A row of this number with one cell, in column A."""
    return f'<row r="{number}"><c r="A{number}"{attributes}>{content}</c></row>'


def packed(path: Path, made: dict[str, str | bytes]) -> Path:
    """Write the parts into a package."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, content in made.items():
            package.writestr(name, content)
    return path


def read(path: Path) -> list[list[str]]:
    """The rows as imports read them."""
    return list(sheets.rows(path, sheets.recognise(path, path.name)))


def ours(path: Path) -> list[list[Any]]:
    """The rows by our reader, without what is empty at their ends."""
    return _comparable(row for _numbers, batch in workbook.batches(path) for row in batch)


def theirs(path: Path) -> list[list[Any]] | str:
    """The rows by python-calamine, likewise; ``REFUSED`` when it can't read them."""
    try:
        with CalamineWorkbook.from_object(str(path)) as book:
            name = next(
                sheet.name
                for sheet in book.sheets_metadata
                if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
            )
            sheet = book.get_sheet_by_name(name)
            # It panics over a sheet that is empty.
            return _comparable(sheet.iter_rows()) if sheet.start is not None else []
    except (CalamineError, StopIteration):
        return REFUSED


def _comparable(rows: Iterator[list[Any]]) -> list[list[Any]]:
    found = []
    for row in rows:
        width = max((place for place, value in enumerate(row, 1) if value != ""), default=0)
        if width:
            # A true is no one, and nothing equals what isn't a number. To calamine a percentage is but a number.
            kinds = [
                "float" if isinstance(value, workbook.Percentage) else type(value).__name__ for value in row
            ]
            found.append([(kind, repr(value)) for kind, value in zip(kinds, row[:width], strict=False)])
    return found
