"""Sales through the API: made and opened, bought from, found again, reported as used, and summed up."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select, update

from tearline.core.roles import KEY_SCOPES
from tearline.core.sales import commission_of
from tearline.coupons.model import Coupon
from tearline.db import transaction
from tearline.merchants.keys import create_key
from tearline.offers.model import Offer
from tearline.pools.model import CodePool, PartnerCode
from tearline.sales.model import Payment, Voucher
from tearline.web.app import Application
from tests.callers import Callers, bearer
from tests.rooms import make_room
from tests.sale_worlds import COMMISSION, FACE_VALUE, PRICE, Sale, make_sale
from tests.web.browsing import COMMAND

pytestmark = pytest.mark.anyio

API = "/api/v1"
CAMPAIGNS = f"{API}/campaigns"
ORDERS = f"{CAMPAIGNS}/VOUCHERS-1/orders"


async def sale_of(app: Application, **wishes: Any) -> Sale:
    """A live sale beside the world's campaign, bought from by the world's members."""
    return await make_sale(app.litestar.state.services.database, members=0, **wishes)


async def order(
    client: httpx.AsyncClient,
    member: dict[str, str],
    sale: Sale,
    quantity: int = 1,
    key: str | None = None,
    **body: Any,
) -> httpx.Response:
    """An order of the sale's first voucher."""
    wanted = {"item_id": str(sale.items[0]), "quantity": quantity, **body}
    headers = {**member, "idempotency-key": key or uuid4().hex}
    return await client.post(ORDERS, json=wanted, headers=headers)


async def pay(app: Application, client: httpx.AsyncClient, made: Any) -> None:
    """Have the trial provider tell that an order was paid."""
    services = app.litestar.state.services
    provider = services.payment_providers["test"]
    reference = made["payment_address"].rpartition("/")[2].partition("?")[0]
    async with services.database.connection() as connection:
        payment_id = await connection.scalar(select(Payment.id).where(Payment.reference == reference))
    headers, body = provider.tell(reference, "paid", payment_id, made["amount"], made["currency"])
    told = await client.post(f"{API}/payments/test/events", content=body, headers=headers)
    assert told.json() == {"outcome": "delivered"}, told.text


async def bought(
    app: Application, client: httpx.AsyncClient, member: dict[str, str], sale: Sale, quantity: int = 1
) -> Any:
    """A paid order."""
    made = (await order(client, member, sale, quantity)).json()
    await pay(app, client, made)
    return (await client.get(f"{API}/voucher-orders/{made['id']}", headers=member)).json()


async def partner_key(app: Application, sale: Sale) -> dict[str, str]:
    """What a key of the sale's partner bears."""
    async with transaction(app.litestar.state.services.database) as tx:
        key = await create_key(
            tx, COMMAND, name="partner", scopes=KEY_SCOPES["merchant"], merchant_id=sale.merchant_id,
            now=datetime.now(UTC),
        )  # fmt: skip
    return bearer(key.key)


# The operator


async def test_a_sale_is_made_and_opened(client: httpx.AsyncClient, callers: Callers) -> None:
    operator, now = callers.operator, datetime.now(UTC)
    body = {
        "code": "june-1",
        "kind": "sale",
        "names": {"en": "June vouchers"},
        "time_zone": "Asia/Bangkok",
        "starts_at": now.isoformat(),
        "ends_at": (now + timedelta(days=5)).isoformat(),
    }
    limited = await client.post(CAMPAIGNS, json={**body, "limit_per_member": 2}, headers=operator)
    assert list(limited.json()["fields"]) == ["limit_per_member"]
    made = await client.post(CAMPAIGNS, json=body, headers=operator)
    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["items"], made.json()["state"]) == ("sale", [], "draft")
    sale = f"{CAMPAIGNS}/JUNE-1"
    empty = await client.post(f"{sale}/live", headers=operator)
    assert list(empty.json()["fields"]) == ["items"]
    item = {"offer_id": str(callers.world.offers[0]), "price": 4000, "face_value": 5000, "quantity": 10}
    dear = await client.post(f"{sale}/items", json={**item, "price": 6000}, headers=operator)
    assert list(dear.json()["fields"]) == ["price"]
    added = await client.post(f"{sale}/items", json=item, headers=operator)
    assert added.status_code == 201, added.text
    assert (added.json()["left"], added.json()["pool_id"], added.json()["currency"]) == (10, None, "HKD")
    path = f"{sale}/items/{added.json()['id']}"
    version = (await client.get(f"{sale}/definition", headers=operator)).json()["version"]
    changed = await client.patch(path, json={"version": version, "limit_per_order": 2}, headers=operator)
    assert (changed.json()["limit_per_order"], changed.json()["price"]) == (2, 4000)
    opened = await client.post(f"{sale}/live", headers=operator)
    assert (opened.status_code, opened.json()["state"]) == (200, "live"), opened.text
    raised = await client.post(f"{path}/quantity", json={"to": 20, "expected": 10}, headers=operator)
    assert (raised.json()["quantity"], raised.json()["left"]) == (20, 20)
    lowered = await client.post(f"{path}/quantity", json={"to": 5}, headers=operator)
    assert lowered.json()["reason"] == "inventory_lowered"
    assert (await client.post(f"{sale}/pause", headers=operator)).json()["state"] == "paused"
    assert (await client.post(f"{sale}/resume", headers=operator)).json()["state"] == "live"
    listed = (await client.get(CAMPAIGNS, headers=operator)).json()["items"]
    assert {row["code"]: row["kind"] for row in listed} == {"JUNE-1": "sale", "WINTER-1": "password"}
    removed = await client.delete(path, headers=operator)
    assert removed.json()["reason"] == "not_editable"


async def test_anyone_sees_what_is_on_sale(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    await sale_of(app, codes=(7, None))
    page = (await client.get(f"{CAMPAIGNS}/vouchers-1")).json()
    assert (page["kind"], page["is_open"], page["left"]) == ("sale", True, 1_000_007)
    first = page["items"][0]
    assert (first["price"], first["face_value"], first["left"]) == (PRICE, FACE_VALUE, 7)
    assert first["merchant_names"] == {"en": "Bistro"}
    assert (await client.get(f"{CAMPAIGNS}/WINTER-1")).json()["items"] == []


# Members


async def test_a_member_orders_pays_and_has_the_code(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app)
    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(CodePool).values(symbology="qr"))
    made = await order(client, callers.member, sale, 2, key="one")
    assert made.status_code == 201, made.text
    first = made.json()
    assert (first["state"], first["amount"], first["currency"]) == ("reserved", 2 * PRICE, "THB")
    assert first["payment_address"].startswith("http") and "/pay/" in first["payment_address"]
    again = await order(client, callers.member, sale, 2, key="one")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json() == first
    other = await order(client, callers.member, sale, 1, key="one")
    assert other.json()["reason"] == "idempotency_key_reused"
    path = f"{API}/voucher-orders/{first['id']}"
    payment = await client.post(f"{path}/payment", json={"language": "th"}, headers=callers.member)
    assert payment.json()["payment_address"] == first["payment_address"]
    await pay(app, client, first)
    paid = (await client.get(path, headers=callers.member)).json()
    assert (paid["state"], paid["payment_address"], len(paid["coupon_ids"])) == ("paid", None, 2)
    late = await client.post(f"{path}/payment", json={}, headers=callers.member)
    assert late.json()["reason"] == "order_paid"
    kept = await client.post(f"{path}/cancel", headers=callers.member)
    assert (kept.status_code, kept.json()["reason"]) == (409, "order_paid")
    coupon = await client.get(f"{API}/wallet/coupons/{paid['coupon_ids'][0]}", headers=callers.member)
    shown = coupon.json()
    assert (shown["coupon"]["state"], shown["coupon"]["order_id"]) == ("sold", first["id"])
    assert shown["rotation"] is None and shown["partners_code"]["symbology"] == "qr"
    assert len(shown["partners_code"]["text"]) == 20
    assert "partners_code" not in (await client.get(f"{API}/wallet", headers=callers.member)).text


async def test_a_voucher_with_our_code_rotates_like_every_coupon(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app, codes=(None,))
    paid = await bought(app, client, callers.member, sale)
    coupon = await client.get(f"{API}/wallet/coupons/{paid['coupon_ids'][0]}", headers=callers.member)
    assert coupon.json()["rotation"] is not None and coupon.json()["partners_code"] is None


@pytest.mark.parametrize(
    ("wishes", "body", "status", "reason"),
    [
        ({"codes": (2,)}, {"quantity": 3}, 409, "fewer_left"),
        ({"codes": (0,)}, {}, 409, "sold_out"),
        ({"item": {"limit_per_order": 2}}, {"quantity": 3}, 422, "order_too_large"),
        ({"campaign": {"state": "paused"}}, {}, 409, "paused"),
        ({}, {"item_id": str(uuid4())}, 404, "not_found"),
        ({}, {"quantity": 0}, 422, "invalid"),
        ({}, {"quantity": "2"}, 422, "invalid"),
        ({}, {"amount": 1}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_ordered_is_refused(
    app: Application,
    client: httpx.AsyncClient,
    callers: Callers,
    wishes: dict[str, Any],
    body: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    sale = await sale_of(app, **wishes)
    answer = await order(client, callers.member, sale, **body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text


async def test_an_order_needs_a_key_and_a_member(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app)
    wanted = {"item_id": str(sale.items[0]), "quantity": 1}
    keyless = await client.post(ORDERS, json=wanted, headers=callers.member)
    assert keyless.json()["reason"] == "idempotency_key_missing"
    keyed = {"idempotency-key": "k"}
    assert (await client.post(ORDERS, json=wanted, headers={**callers.till, **keyed})).status_code == 403
    assert (await client.post(ORDERS, json=wanted, headers=keyed)).status_code == 401


async def test_an_order_is_its_members_alone(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app)
    made = (await order(client, callers.member, sale)).json()
    path = f"{API}/voucher-orders/{made['id']}"
    assert (await client.get(path, headers=callers.other_member)).status_code == 404
    assert (await client.post(f"{path}/cancel", headers=callers.other_member)).status_code == 404
    cancelled = (await client.post(f"{path}/cancel", headers=callers.member)).json()
    assert (cancelled["state"], cancelled["release_reason"]) == ("released", "cancelled")
    again = await client.post(f"{path}/payment", json={}, headers=callers.member)
    assert again.json()["reason"] == "order_released"


async def test_a_waiting_room_guards_a_sale(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app)
    services = app.litestar.state.services
    await make_room(services.database, services.now(), "queueing", campaign_ids=(sale.campaign_id,))
    await services.room_watch.refresh(services.now())
    refused = await order(client, callers.member, sale)
    assert (refused.status_code, refused.json()["reason"]) == (403, "pass_required")
    page = await client.get("/c/VOUCHERS-1")
    assert page.status_code == 303 and page.headers["location"].startswith("/gate/HALL-1")


# Keys


async def test_orders_and_vouchers_are_found(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app, codes=(5,))
    partner = await partner_key(app, sale)
    paid = await bought(app, client, callers.member, sale, 2)
    open_one = (await order(client, callers.other_member, sale)).json()
    listed = (await client.get(f"{API}/voucher-orders", headers=callers.operator)).json()["items"]
    assert [row["id"] for row in listed] == [open_one["id"], paid["id"]]
    assert listed[0]["member_phone"].startswith("+852")
    half = (await client.get(f"{API}/voucher-orders", params={"limit": 1}, headers=callers.operator)).json()
    rest = {"limit": 1, "cursor": half["next_cursor"]}
    following = (await client.get(f"{API}/voucher-orders", params=rest, headers=callers.operator)).json()
    assert [row["id"] for row in following["items"]] == [paid["id"]]
    by_number = {"number": paid["number"].lower(), "campaign": "vouchers-1"}
    found = (await client.get(f"{API}/voucher-orders", params=by_number, headers=callers.operator)).json()[
        "items"
    ]
    assert [row["id"] for row in found] == [paid["id"]]
    elsewhere = {"number": paid["number"], "campaign": "winter-1"}
    none = (await client.get(f"{API}/voucher-orders", params=elsewhere, headers=callers.operator)).json()[
        "items"
    ]
    assert none == []
    theirs = (await client.get(f"{API}/voucher-orders", headers=partner)).json()["items"]
    assert len(theirs) == 2 and all(row["member_phone"] is None for row in theirs)
    assert (await client.get(f"{API}/voucher-orders", headers=callers.till)).json()["items"] == []

    async def vouchers(code: str, caller: dict[str, str]) -> list[Any]:
        answer = await client.get(f"{API}/vouchers", params={"code": code}, headers=caller)
        assert answer.status_code == 200, answer.text
        items: list[Any] = answer.json()["items"]
        return items

    ordered = await vouchers(paid["number"], callers.operator)
    assert {one["coupon_id"] for one in ordered} == set(paid["coupon_ids"])
    for text in (ordered[0]["code"], ordered[0]["partner_code"]):
        assert [one["coupon_id"] for one in await vouchers(text, partner)] == [ordered[0]["coupon_id"]]
        assert await vouchers(text, callers.till) == []
    async with app.litestar.state.services.database.connection() as connection:
        unsold = await connection.scalar(
            select(PartnerCode.code).where(PartnerCode.state == "available").limit(1)
        )
    assert await vouchers(str(unsold), callers.operator) == []


async def test_reported_uses_redeem(app: Application, client: httpx.AsyncClient, callers: Callers) -> None:
    sale = await sale_of(app, codes=(2,))
    partner = await partner_key(app, sale)
    await bought(app, client, callers.member, sale)
    async with app.litestar.state.services.database.connection() as connection:
        sold = str(await connection.scalar(select(Voucher.code)))
        unsold = str(
            await connection.scalar(select(PartnerCode.code).where(PartnerCode.state == "available"))
        )
    used_at = datetime.now(UTC).isoformat()
    uses = [{"code": code, "used_at": used_at, "place": "Silom"} for code in (sold, sold, unsold, "X")]
    keyed = {**partner, "idempotency-key": "report"}
    answer = await client.post(f"{API}/voucher-uses", json={"uses": uses}, headers=keyed)
    assert answer.json() == {"outcomes": ["used", "already", "not_sold", "unknown"]}, answer.text
    again = await client.post(f"{API}/voucher-uses", json={"uses": uses}, headers=keyed)
    assert again.json() == answer.json() and again.headers["idempotency-replayed"] == "true"
    async with app.litestar.state.services.database.connection() as connection:
        assert await connection.scalar(select(Coupon.state)) == "redeemed"
    report = {"uses": uses[:1], "merchant_id": str(sale.merchant_id)}
    by_operator = await client.post(f"{API}/voucher-uses", json=report, headers=callers.operator)
    assert by_operator.json() == {"outcomes": ["already"]}
    assert (await client.post(f"{API}/voucher-uses", json=report, headers=callers.till)).status_code == 404
    unnamed = await client.post(f"{API}/voucher-uses", json={"uses": uses}, headers=callers.operator)
    assert list(unnamed.json()["fields"]) == ["merchant_id"]
    many = [{"code": f"C{number:019d}", "used_at": used_at} for number in range(5_000)]
    large = await client.post(f"{API}/voucher-uses", json={"uses": many}, headers=partner)
    assert set(large.json()["outcomes"]) == {"unknown"}


async def test_a_sale_in_numbers_and_a_statement_that_sums_exactly(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app, codes=(9, None))
    partner = await partner_key(app, sale)
    await bought(app, client, callers.member, sale, 3)
    await bought(app, client, callers.other_member, sale, 2)
    await order(client, callers.member, sale, 1)
    figures = (await client.get(f"{CAMPAIGNS}/VOUCHERS-1/sales", headers=partner)).json()
    first = figures["items"][0]
    assert (first["uploaded"], first["reserved"], first["sold"], first["left"]) == (9, 1, 5, 3)
    revenue = 5 * PRICE
    assert first["commission"] == sum(commission_of(quantity * PRICE, COMMISSION) for quantity in (3, 2))
    assert first["revenue"] == revenue == first["commission"] + first["payable"]
    assert sum(hour["vouchers"] for hour in figures["hours"]) == 5
    assert (await client.get(f"{CAMPAIGNS}/VOUCHERS-1/sales", headers=callers.till)).status_code == 404
    path = f"{API}/merchants/{sale.merchant_id}/statements"
    today = datetime.now(UTC).date()
    period = {
        "currency": "THB",
        "from": (today - timedelta(days=1)).isoformat(),
        "to": (today + timedelta(days=2)).isoformat(),
        "time_zone": "Asia/Bangkok",
    }
    drawn = (await client.get(path, params=period, headers=partner)).json()
    totals = drawn["totals"]
    assert (totals["orders"], totals["vouchers"], totals["amount"]) == (2, 5, revenue)
    assert totals["payable"] == totals["amount"] - totals["commission"] == first["payable"]
    sheet = await client.get(path, params={**period, "format": "xlsx"}, headers=callers.operator)
    with CalamineWorkbook.from_filelike(io.BytesIO(sheet.content)) as workbook:
        assert len(workbook.sheet_names) == 2
    assert "attachment" in sheet.headers["content-disposition"]
    document = await client.get(path, params={**period, "format": "pdf"}, headers=partner)
    assert document.headers["content-type"] == "application/pdf" and document.content.startswith(b"%PDF")
    assert (await client.get(path, params=period, headers=callers.till)).status_code == 404
    for change, field in (({"time_zone": "Mars"}, "time_zone"), ({"from": "0001-01-01"}, "from")):
        wrong = await client.get(path, params={**period, **change}, headers=partner)
        assert (wrong.status_code, list(wrong.json()["fields"])) == (422, [field])


async def test_an_archived_offer_is_not_put_on_sale(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await sale_of(app, campaign={"state": "draft"})
    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(Offer).where(Offer.id == callers.world.offers[0]).values(state="archived"))
    item = {"offer_id": str(callers.world.offers[0]), "price": 1, "face_value": 1, "quantity": 1}
    path = f"{CAMPAIGNS}/{sale.code}/items"
    refused = await client.post(path, json=item, headers=callers.operator)
    assert list(refused.json()["fields"]) == ["offer_id"]
    removed = await client.delete(f"{path}/{sale.items[0]}", headers=callers.operator)
    assert (removed.status_code, removed.json()["items"]) == (200, []), removed.text
