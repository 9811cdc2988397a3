"""Uses that a partner reports as a file."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xlsxwriter
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.core.roles import command_actor
from tearline.db import Database
from tearline.sales import use_files
from tearline.sales.model import Voucher
from tearline.sales.use_files import ReportRow, UseReport, report_file
from tests.sale_worlds import Sale, assert_clean
from tests.sales.test_uses import bought

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC).replace(microsecond=0)


async def report(database: Database, sale: Sale, path: Path) -> UseReport:
    return await report_file(
        database, command_actor("tests"), sale.merchant_id, path, path.name, "Asia/Bangkok", NOW
    )


@pytest.mark.parametrize("name", ["uses.csv", "uses.txt"])
async def test_a_file_of_uses_redeems_what_was_sold(database: Database, tmp_path: Path, name: str) -> None:
    sale, codes = await bought(database, 3)
    local = (NOW - timedelta(hours=1)).astimezone(use_files.ZoneInfo("Asia/Bangkok"))
    path = tmp_path / name
    lines = [
        "รหัส;เวลา;สาขา",
        f"{codes[0]};{local:%Y-%m-%d %H:%M:%S};สยาม",
        f"{codes[1]};;",
        "",
        f"{codes[2]};yesterday;Siam",
        "0000-1;;",
        f"{codes[0]};;",
    ]
    path.write_text("\r\n".join(lines), "utf-8")
    first = await report(database, sale, path)
    assert first.counts == {"used": 2, "invalid": 1, "unknown": 1, "already": 1}
    assert first.examples == [ReportRow(5, codes[2], "invalid"), ReportRow(6, "0000-1", "unknown")]
    assert (await report(database, sale, path)).counts == {"already": 3, "invalid": 1, "unknown": 1}
    async with database.connection() as connection:
        used = await connection.execute(select(Voucher.code, Voucher.used_at, Voucher.use_place))
        assert {row.code: (row.used_at, row.use_place) for row in used} == {
            codes[0]: (local.astimezone(UTC), "สยาม"),
            codes[1]: (NOW, None),
            codes[2]: (None, None),
        }
    await assert_clean(database)


async def test_a_row_that_cannot_be_is_passed_over(database: Database, tmp_path: Path) -> None:
    sale, codes = await bought(database, 3)
    path = tmp_path / "uses.csv"
    path.write_text(
        f"{codes[0]},{NOW + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}\n{codes[1]},,{'x' * 121}\n{codes[2]}\n"
    )
    told = await report(database, sale, path)
    assert told.counts == {"invalid": 2, "used": 1}
    assert told.examples == [ReportRow(1, codes[0], "invalid"), ReportRow(2, codes[1], "invalid")]


async def test_a_workbook_too(database: Database, tmp_path: Path) -> None:
    sale, codes = await bought(database, 1)
    content = io.BytesIO()
    workbook = xlsxwriter.Workbook(content, {"in_memory": True})
    workbook.add_worksheet().write_row(0, 0, [codes[0], f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"])
    workbook.close()
    path = tmp_path / "uses.xlsx"
    path.write_bytes(content.getvalue())
    assert (await report(database, sale, path)).counts == {"used": 1}


async def test_what_is_no_list_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale, codes = await bought(database, 1)
    path = tmp_path / "uses.csv"
    path.write_bytes(b"%PDF-1.7 \x00\x01")
    with pytest.raises(Refusal, match="unreadable_file"):
        await report(database, sale, path)
    monkeypatch.setattr(use_files, "MOST_ROWS", 1)
    path.write_text(f"{codes[0]}\nX1\n")
    with pytest.raises(Refusal, match="too_large"):
        await report(database, sale, path)
