"""Settlement through the API: who owes whom, the single entries, corrections; for the operator and for merchants."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook

from tearline.checkout.actions import pay_order, place_order
from tearline.checkout.offers import OfferBook
from tearline.checkout.refunding import refund_order
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.refunds import Wish
from tearline.core.roles import SYSTEM
from tearline.db import transaction
from tearline.merchants.keys import create_key
from tearline.web.app import Application
from tests.callers import Callers, bearer
from tests.web.browsing import COMMAND

pytestmark = pytest.mark.anyio

API = "/api/v1"
MOMENT = datetime(2026, 3, 31, 15, 59, 59, tzinfo=UTC)
PERIOD = {"currency": "HKD", "from": "2026-03-01T00:00:00+08:00", "to": "2026-04-01T00:00:00+08:00"}


@pytest.fixture
async def number(app: Application, callers: Callers) -> str:
    """A guest's order of two merchants, which the platform took the money of; 30.00 of points; one unit given back."""
    world = callers.world
    lines = (
        LineRequest("a", "bowl", 2, 10_000, world.merchant_id),
        LineRequest("b", "tea", 1, 10_000, callers.other_merchant_id),
    )
    async with transaction(app.litestar.state.services.database) as tx:
        placed = await place_order(tx, CartRequest("HKD", lines, points=3_000), OfferBook(), MOMENT)
        await pay_order(tx, SYSTEM, placed.number, MOMENT, collected_by="platform")
        await refund_order(tx, SYSTEM, placed.number, Wish(lines={"a": 1}), MOMENT)
    return placed.number


def path_of(callers: Callers, rest: str = "") -> str:
    return f"{API}/merchants/{callers.world.merchant_id}/settlement{rest}"


async def test_all_merchants_have_their_rows(
    client: httpx.AsyncClient, callers: Callers, number: str
) -> None:
    answer = await client.get(f"{API}/settlement", params=PERIOD, headers=callers.operator)
    assert answer.status_code == 200, answer.text
    rows = {one["merchant_id"]: one["totals"] for one in answer.json()["items"]}
    assert {one: totals["payable"] for one, totals in rows.items()} == {
        str(callers.world.merchant_id): 10_000,
        str(callers.other_merchant_id): 10_000,
    }
    collected = rows[str(callers.world.merchant_id)]["collected"]
    assert collected == [
        {
            "collected_by": "platform",
            "payments": {
                "count": 1, "sales": 20_000, "merchant_discount": 0, "subsidy": 0, "points": 2_000, "paid": 18_000,
            },
            "refunds": {
                "count": 1, "sales": -10_000, "merchant_discount": 0, "subsidy": 0, "points": -1_000, "paid": -9_000,
            },
            "payable": 10_000,
        }
    ]  # fmt: skip
    own = await client.get(f"{API}/settlement", params=PERIOD, headers=callers.till)
    assert [one["merchant_id"] for one in own.json()["items"]] == [str(callers.world.merchant_id)]
    elsewhere = await client.get(
        f"{API}/settlement", params={**PERIOD, "currency": "THB"}, headers=callers.operator
    )
    assert elsewhere.json()["items"] == []


async def test_a_merchants_settlement_in_three_forms(
    client: httpx.AsyncClient, callers: Callers, number: str
) -> None:
    drawn = (await client.get(path_of(callers), params=PERIOD, headers=callers.till)).json()
    assert drawn["totals"]["payable"] == 10_000 and drawn["is_final"] is True
    assert [one["day"] for one in drawn["days"]] == ["2026-03-31"]
    assert [(one["offer_id"], one["net"]) for one in drawn["offers"]] == [
        (None, {"platform": 1_000, "merchant": 0})
    ]
    sheet = await client.get(path_of(callers), params={**PERIOD, "format": "xlsx"}, headers=callers.operator)
    assert "attachment" in sheet.headers["content-disposition"]
    with CalamineWorkbook.from_filelike(io.BytesIO(sheet.content)) as workbook:
        entries = workbook.get_sheet_by_name("Entries").to_python()[1:]
    assert {row[3] for row in entries} == {number}
    document = await client.get(path_of(callers), params={**PERIOD, "format": "pdf"}, headers=callers.till)
    assert document.headers["content-type"] == "application/pdf" and document.content.startswith(b"%PDF")
    far = {**PERIOD, "time_zone": "Pacific/Auckland"}
    later = (await client.get(path_of(callers), params=far, headers=callers.till)).json()
    assert [one["day"] for one in later["days"]] == ["2026-04-01"], (
        "a day is one of the zone that is asked for"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": "2026-03-01T00:00:00"}, "from"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"to": PERIOD["from"]}, "to"),
        ({"time_zone": "Mars"}, "time_zone"),
    ],
)
async def test_a_period_has_to_be_one(
    client: httpx.AsyncClient, callers: Callers, change: dict[str, str], field: str
) -> None:
    answer = await client.get(path_of(callers), params={**PERIOD, **change}, headers=callers.operator)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])


async def test_entries_come_in_pages(client: httpx.AsyncClient, callers: Callers, number: str) -> None:
    found: list[Any] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        answer = (await client.get(path_of(callers, "/entries"), params=params, headers=callers.till)).json()
        found += answer["items"]
        if answer["next_cursor"] is None:
            break
        params["cursor"] = answer["next_cursor"]
    assert len({one["id"] for one in found}) == len(found) == 6
    assert sum(one["amount"] for one in found) == 0
    assert {one["number"] for one in found} == {number}
    assert [one["id"] for one in found] == sorted((one["id"] for one in found), reverse=True)
    refunds = await client.get(path_of(callers, "/entries"), params={"kind": "refund"}, headers=callers.till)
    assert {(one["account"], one["amount"]) for one in refunds.json()["items"]} == {
        ("customer", -9_000),
        ("platform", -1_000),
        ("merchant", 10_000),
    }
    for narrowed in ({"from": PERIOD["to"]}, {"to": PERIOD["from"]}, {"currency": "THB"}):
        none = await client.get(path_of(callers, "/entries"), params=narrowed, headers=callers.till)
        assert none.json()["items"] == [], narrowed


async def test_a_correction_is_booked_once(client: httpx.AsyncClient, callers: Callers) -> None:
    path, body = path_of(callers, "/adjustments"), {"amount": -1_250, "currency": "HKD", "note": " Lost "}
    keyed = {**callers.operator, "idempotency-key": "one"}
    made = await client.post(path, json=body, headers=keyed)
    assert (made.status_code, made.json()["note"], made.json()["by_name"]) == (201, "Lost", "operator")
    again = await client.post(path, json=body, headers=keyed)
    assert again.headers["idempotency-replayed"] == "true" and again.json() == made.json()
    now = datetime.now(UTC)
    period = {
        "currency": "HKD",
        "from": (now - timedelta(hours=1)).isoformat(),
        "to": (now + timedelta(hours=1)).isoformat(),
    }
    drawn = (await client.get(path_of(callers), params=period, headers=callers.till)).json()
    assert drawn["is_final"] is False
    whole = (await client.get(f"{API}/settlement", params=period, headers=callers.operator)).json()
    assert whole["is_final"] is False
    totals = drawn["totals"]
    assert (totals["adjustments"], totals["adjustment_count"], totals["payable"]) == (-1_250, 1, -1_250)
    entries = (await client.get(path_of(callers, "/entries"), headers=callers.till)).json()["items"]
    assert {(one["kind"], one["account"], one["amount"], one["note"]) for one in entries} == {
        ("adjustment", "platform", -1_250, "Lost"),
        ("adjustment", "merchant", 1_250, "Lost"),
    }
    assert {one["by_name"] for one in entries} == {None}, "whose hand it was is the platform's matter"
    told = (await client.get(path_of(callers, "/entries"), headers=callers.operator)).json()["items"]
    assert {one["by_name"] for one in told} == {"operator"}
    for change, field in (
        ({"amount": 0}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"note": " "}, "note"),
    ):
        wrong = await client.post(path, json={**body, **change}, headers=callers.operator)
        assert (wrong.status_code, list(wrong.json()["fields"])) == (422, [field])
    elsewhere = await client.post(
        f"{API}/merchants/{callers.world.store_id}/settlement/adjustments",
        json=body,
        headers=callers.operator,
    )
    assert elsewhere.status_code == 404


async def test_a_merchant_sees_its_own_and_corrects_nothing(
    app: Application, client: httpx.AsyncClient, callers: Callers, number: str
) -> None:
    for rest in ("", "/entries"):
        params = {} if rest else PERIOD
        foreign = await client.get(path_of(callers, rest), params=params, headers=callers.other_till)
        assert foreign.status_code == 404
    body = {"amount": 100_000, "currency": "HKD", "note": "A present"}
    own = await client.post(path_of(callers, "/adjustments"), json=body, headers=callers.till)
    assert own.status_code == 403
    async with transaction(app.litestar.state.services.database) as tx:
        key = await create_key(
            tx, COMMAND, name="blind", scopes=frozenset({"orders.read"}), merchant_id=None, now=MOMENT
        )
    for path in (f"{API}/settlement", path_of(callers)):
        refused = await client.get(path, params=PERIOD, headers=bearer(key.key))
        assert refused.status_code == 403
