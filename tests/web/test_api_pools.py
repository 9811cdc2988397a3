"""Pools of partners' codes through the API: made, filled from files, handed back, and who may see them."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select, update

from tearline.campaigns.model import Campaign
from tearline.db import transaction
from tearline.merchants.keys import create_key
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.callers import Callers, bearer
from tests.sale_worlds import Sale, make_sale
from tests.web.browsing import COMMAND

pytestmark = pytest.mark.anyio

POOLS = "/api/v1/pools"
CODES = [f"49{number:04d}E1311415BAA466" for number in range(20)]
FILE = ("\n".join(CODES) + "\n").encode()
RULE = {"shortest": 20, "longest": 20, "alphabet": "upper_digits"}
READ = {"rule": RULE, "column": 0, "has_heading": False}


async def new_pool(client: httpx.AsyncClient, callers: Callers, **changes: Any) -> str:
    """The address of a pool for the second of the world's offers."""
    body = {"offer_id": str(callers.world.offers[1]), "symbology": "code128", **changes}
    made = await client.post(POOLS, json=body, headers=callers.operator)
    assert made.status_code == 201, made.text
    return f"{POOLS}/{made.json()['id']}"


async def send(client: httpx.AsyncClient, pool: str, caller: dict[str, str], content: bytes = FILE) -> str:
    """The address of a file that was sent."""
    sent = await client.post(f"{pool}/files", params={"name": "codes.csv"}, content=content, headers=caller)
    assert sent.status_code == 201, sent.text
    return f"{pool}/files/{sent.json()['id']}"


async def settled(client: httpx.AsyncClient, file: str, caller: dict[str, str]) -> Any:
    """The file once its import is over."""
    for _ in range(200):
        found = (await client.get(file, headers=caller)).json()
        if found["state"] != "importing":
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def imported(client: httpx.AsyncClient, pool: str, caller: dict[str, str]) -> str:
    """The address of a file that was sent and imported."""
    file = await send(client, pool, caller)
    begun = await client.post(f"{file}/import", json=READ, headers=caller)
    assert begun.status_code == 202, begun.text
    assert (await settled(client, file, caller))["state"] == "imported"
    return file


async def sale_of(app: Application, **wishes: Any) -> tuple[Sale, str]:
    """A sale beside the world's campaign, and the address of its pool."""
    services = app.litestar.state.services
    sale = await make_sale(services.database, members=0, **wishes)
    return sale, f"{POOLS}/{sale.pools[0]}"


async def test_a_pool_is_made_changed_and_listed(client: httpx.AsyncClient, callers: Callers) -> None:
    pool = await new_pool(client, callers, low_stock=5)
    operator = callers.operator
    made = (await client.get(pool, headers=operator)).json()
    assert (made["symbology"], made["low_stock"], made["rule"], made["is_low"]) == ("code128", 5, None, True)
    changed = await client.patch(pool, json={"version": made["version"], "low_stock": None}, headers=operator)
    assert (changed.json()["symbology"], changed.json()["low_stock"]) == ("code128", None)
    stale = await client.patch(pool, json={"version": made["version"], "low_stock": 1}, headers=operator)
    assert stale.json()["reason"] == "changed_meanwhile"
    again = await client.post(POOLS, json={"offer_id": made["offer_id"]}, headers=operator)
    assert (again.status_code, again.json()["reason"]) == (409, "conflict")
    listed = (await client.get(POOLS, headers=operator)).json()["items"]
    assert [row["id"] for row in listed] == [made["id"]]


async def test_a_file_is_looked_at_imported_and_summed_up(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    pool, operator = await new_pool(client, callers), callers.operator
    content = "\n".join(["Code,Remark", *(f"{code},x" for code in CODES), f"{CODES[0]},twice", "bad,x", ""])
    file = await send(client, pool, operator, content.encode())
    seen = (await client.get(f"{file}/preview", headers=operator)).json()
    assert (seen["column"], seen["has_heading"], seen["heading"]) == (0, True, "Code")
    assert seen["learned"]["shortest"] == seen["learned"]["longest"] == 20
    assert seen["problems"] and seen["examples"]
    other = (await client.get(f"{file}/preview", params={"column": 1}, headers=operator)).json()
    assert other["column"] == 1
    assert (await client.get(file, headers=operator)).json()["summary"] is None
    read = {"rule": seen["rule"], "column": 0, "has_heading": True}
    begun = await client.post(f"{file}/import", json=read, headers=operator)
    assert begun.status_code == 202, begun.text
    found = await settled(client, file, operator)
    assert found["state"] == "imported"
    summary = found["summary"]
    assert (summary["rows"], summary["added"], summary["duplicate"], summary["invalid"]) == (22, 20, 1, 1)
    assert summary["examples"]["invalid"][0]["text"] == "bad"
    outcomes = await client.get(f"{file}/outcomes", headers=operator)
    assert outcomes.headers["content-type"].startswith("text/csv")
    assert len(outcomes.content.decode("utf-8-sig").splitlines()) == 23
    assert (await client.get(pool, headers=operator)).json()["available"] == 20
    assert (await client.get(f"{file}/preview", headers=operator)).json()["reason"] == "file_not_ready"
    # The same file again adds nothing.
    again = await imported(client, pool, operator)
    assert (await client.get(again, headers=operator)).json()["summary"]["held"] == 20
    listed = (await client.get(f"{pool}/files", headers=operator)).json()["items"]
    assert [row["source"] for row in listed] == ["api", "api"]


async def test_a_file_streams_in_larger_than_other_bodies_may_be(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    pool = await new_pool(client, callers)
    codes = "".join(f"C{number:019d}\n" for number in range(40_000)).encode()

    async def pieces() -> Any:
        for start in range(0, len(codes), 50_000):
            yield codes[start : start + 50_000]

    sent = await client.post(
        f"{pool}/files", params={"name": "many.csv"}, content=pieces(), headers=callers.operator
    )
    assert (sent.status_code, sent.json()["size_bytes"]) == (201, len(codes)), sent.text


async def test_what_is_no_list_is_refused(client: httpx.AsyncClient, callers: Callers) -> None:
    pool, operator = await new_pool(client, callers), callers.operator
    empty = await client.post(f"{pool}/files", params={"name": "empty.csv"}, content=b"", headers=operator)
    assert (empty.status_code, empty.json()["reason"]) == (422, "unreadable_file")
    picture = await send(client, pool, operator, b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused = await client.post(f"{picture}/import", json=READ, headers=operator)
    assert refused.json()["reason"] == "unreadable_file"
    assert (await client.get(picture, headers=operator)).json()["problem"] == "unreadable_file"
    file = await send(client, pool, operator)
    nonsense = {**READ, "rule": {**RULE, "longest": 5}}
    wrong = await client.post(f"{file}/import", json=nonsense, headers=operator)
    assert (wrong.status_code, list(wrong.json()["fields"])) == (422, ["rule.longest"])
    thrown = await client.post(f"{file}/discard", headers=operator)
    assert thrown.json()["state"] == "discarded"
    assert (await client.post(f"{file}/discard", headers=operator)).json()["reason"] == "file_not_ready"
    late = await client.post(f"{file}/import", json=READ, headers=operator)
    assert late.json()["reason"] == "file_not_ready"


async def test_codes_that_nobody_has_bought_are_voided(client: httpx.AsyncClient, callers: Callers) -> None:
    pool, operator = await new_pool(client, callers), callers.operator
    await imported(client, pool, operator)
    body = {"codes": [CODES[3], CODES[4], "unknown"]}
    assert (await client.post(f"{pool}/void", json=body, headers=operator)).json() == {"voided": 2}
    found = (await client.get(pool, headers=operator)).json()
    assert (found["available"], found["void"]) == (18, 2)


async def test_unsold_codes_are_handed_back_after_the_sale(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale, pool = await sale_of(app, codes=(5,))
    operator = callers.operator
    early = await client.post(f"{pool}/hand-backs", headers=operator)
    assert (early.status_code, early.json()["reason"]) == (409, "sale_running")
    async with transaction(app.litestar.state.services.database) as tx:
        over = datetime.now(UTC) - timedelta(minutes=1)
        await tx.execute(update(Campaign).where(Campaign.id == sale.campaign_id).values(ends_at=over))
    keyed = {**operator, "idempotency-key": "close"}
    made = await client.post(f"{pool}/hand-backs", headers=keyed)
    assert made.status_code == 201, made.text
    assert (made.json()["codes"], made.json()["campaign_id"]) == (5, str(sale.campaign_id))
    assert (await client.post(f"{pool}/hand-backs", headers=keyed)).json() == made.json()
    none = await client.post(f"{pool}/hand-backs", headers=operator)
    assert none.json()["reason"] == "nothing_to_hand_back"
    file = f"{pool}/hand-backs/{made.json()['id']}/file"
    first = await client.get(file, headers=operator)
    assert first.headers["content-type"].startswith("text/csv") and first.content.count(b"\n0000") == 5
    assert (await client.get(file, headers=operator)).content == first.content
    sheet = await client.get(file, params={"format": "xlsx"}, headers=operator)
    with CalamineWorkbook.from_filelike(io.BytesIO(sheet.content)) as workbook:
        rows = [row for name in workbook.sheet_names for row in workbook.get_sheet_by_name(name).to_python()]
    assert sum(str(row[0]).startswith("0000") for row in rows) == 5
    listed = (await client.get(f"{pool}/hand-backs", headers=operator)).json()["items"]
    assert listed[0]["fetched_at"] is not None
    async with app.litestar.state.services.database.connection() as connection:
        acts = set(await connection.scalars(select(AuditEntry.action)))
    assert {"code_pool.handed_back", "code_pool.hand_back_exported"} <= acts


async def test_nobody_but_the_partner_and_permitted_keys_sees_a_pool(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    pool, operator = await new_pool(client, callers), callers.operator
    file = await imported(client, pool, operator)
    async with transaction(app.litestar.state.services.database) as tx:
        key = await create_key(
            tx,
            COMMAND,
            name="figures",
            scopes={"sales.read", "figures.read", "offers.read"},
            merchant_id=None,
            now=datetime.now(UTC),
        )
    paths = (pool, f"{pool}/files", file, f"{file}/outcomes", f"{pool}/hand-backs")
    for path in paths:
        assert (await client.get(path, headers=callers.till)).status_code == 200, path
        assert (await client.get(path, headers=callers.other_till)).status_code == 404, path
        assert (await client.get(path, headers=bearer(key.key))).status_code == 403, path
        assert (await client.get(path, headers=callers.member)).status_code == 403, path
        assert (await client.get(path)).status_code == 401, path
    assert (await client.get(POOLS, headers=callers.other_till)).json()["items"] == []
    for path, body in ((f"{pool}/void", {"codes": CODES[:1]}), (f"{file}/import", READ)):
        assert (await client.post(path, json=body, headers=callers.other_till)).status_code == 404
    other = await new_pool_of_other(client, callers, pool)
    assert (await client.get(other, headers=operator)).status_code == 404


async def new_pool_of_other(client: httpx.AsyncClient, callers: Callers, pool: str) -> str:
    """A file's address below a pool that it does not belong to."""
    body = {"offer_id": str(callers.world.offers[0])}
    made = await client.post(POOLS, json=body, headers=callers.operator)
    file = await send(client, pool, callers.operator)
    return f"{POOLS}/{made.json()['id']}/files/{file.rpartition('/')[2]}"
