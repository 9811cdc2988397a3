"""The OpenAPI document holds: whatever is sent, no answer is a server error or undocumented.

Each operation is called with data made from the document, as each kind of caller; half of the time about
things that exist.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tearline.checkout.actions import pay_order, place_order
from tearline.checkout.offers import OfferBook
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.refusal import REASONS
from tearline.core.roles import SYSTEM
from tearline.core.rooms import RoomDraft
from tearline.db import transaction
from tearline.waitingroom.actions import create_room
from tearline.web.api import openapi_document
from tearline.web.app import Application, create_app
from tests.callers import Callers, make_callers, running, settings_for
from tests.databases import CleanDatabases
from tests.sale_worlds import Sale, make_sale

DOCUMENT = json.loads(openapi_document())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    operation.label: operation for operation in (found.ok() for found in SCHEMA.get_all_operations())
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12
_PATIENCE_SECONDS = 20


class LiveServer:
    """The application behind a real socket, in a thread with a loop of its own."""

    def __init__(self, app: Application) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, access_log=False))
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],))

    def __enter__(self) -> LiveServer:
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.server.started and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(0.01)
        assert self.server.started
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(_PATIENCE_SECONDS)
        self._socket.close()


@pytest.fixture(scope="module")
def module_database_url(databases: CleanDatabases) -> Iterator[str]:
    """A database for all tests of this module: whatever they write, the document must hold."""
    name = databases.take()
    yield databases.url_of(name)
    databases.give_back(name)


FILES = {"text/csv", "application/pdf", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
"""What is answered besides JSON."""
SOLD: list[Sale] = []
"""The one sale of the world, once it is made."""
ORDERED: list[str] = []
"""The number of the one order of a cart that there is to begin with."""


@pytest.fixture(scope="module")
def live(module_database_url: str) -> Iterator[tuple[str, Callers]]:
    """The address of a running application, and those who may call it."""
    app_settings = settings_for(
        module_database_url,
        api_requests_per_minute=1_000_000,
        wrong_passwords_per_member=1000,
        failed_lookups_per_counter=100_000,
        wrong_codes_per_member=100_000,
        wrong_codes_of_guests=100_000,
        wrong_codes_per_key=100_000_000,
        sign_ins_per_address=100_000,
        codes_per_address=100_000,
    )

    async def prepare() -> Callers:
        async with running(create_app(app_settings)) as app:
            callers = await make_callers(app, inventories=(10_000,))
            services = app.litestar.state.services
            async with transaction(services.database) as tx:
                await create_room(tx, SYSTEM, _room_of(callers), services.now())
            SOLD[:] = [await make_sale(services.database, codes=(1000, None), members=0)]
            line = LineRequest("known", "known", 10_000, 100, callers.world.merchant_id)
            async with transaction(services.database) as tx:
                cart = CartRequest("HKD", (line,))
                now = services.now()
                placed = await place_order(tx, cart, OfferBook(), now, merchant_id=callers.world.merchant_id)
                await pay_order(tx, SYSTEM, placed.number, now, collected_by="merchant")
            ORDERED[:] = [placed.number]
            return callers

    callers = asyncio.run(prepare())
    with LiveServer(create_app(app_settings)) as server:
        yield server.url, callers


def _room_of(callers: Callers) -> RoomDraft:
    """A room that guards nothing; it shares the campaign's code, so that one parameter serves both."""
    return RoomDraft(
        code=callers.world.campaign_code, names={"en": "Winter"}, time_zone="Asia/Hong_Kong", max_active=10
    )


def known_parameters(callers: Callers, label: str) -> dict[str, str]:
    """Path parameters of things that exist; other ones for what would end the world that all tests share."""
    world, sale = callers.world, SOLD[0]
    if "/items" in label or label.endswith(("/orders", "/sales")):
        return {"code": sale.code, "item_id": str(sale.items[0])}
    if label.endswith(("/statements", "/settlement")):
        return {"merchant_id": str(sale.merchant_id)}
    if label.endswith(("/suspend", "/archive", "/pause", "/close", "/block")):
        return {"merchant_id": str(callers.other_merchant_id), "store_id": str(callers.other_store_id)}
    return {
        "code": world.campaign_code,
        "merchant_id": str(world.merchant_id),
        "store_id": str(world.store_id),
        "offer_id": str(world.offers[0]),
        "prize_id": str(world.prizes[0]),
        "member_id": str(world.members[2]),
        "pool_id": str(sale.pools[0]),
        "number": ORDERED[0],
    }


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_answer_is_a_server_error_or_undocumented(label: str, live: tuple[str, Callers]) -> None:
    url, callers = live
    operation = OPERATIONS[label]
    known = known_parameters(callers, label)

    @given(
        case=operation.as_strategy(),
        is_about_known=st.booleans(),
        caller=st.sampled_from([callers.operator, callers.till, callers.member, {}]),
    )
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any, is_about_known: bool, caller: dict[str, str]) -> None:
        if is_about_known:
            case.path_parameters = {
                name: known.get(name, value) for name, value in case.path_parameters.items()
            }
        case.headers = {**(case.headers or {}), **caller}
        case.call_and_validate(base_url=url, checks=CHECKS)

    check()


def test_what_is_granted_is_answered_as_documented(live: tuple[str, Callers]) -> None:
    url, callers = live
    store_id = str(callers.world.store_id)

    def call(label: str, headers: dict[str, str], status: int, **request: Any) -> Any:
        method, path = label.split(" ")
        parameters = request.pop("path", {})
        address = url + path.format(**parameters)
        answer = httpx.request(method, address, headers=headers, timeout=_PATIENCE_SECONDS, **request)
        assert answer.status_code == status, answer.text
        OPERATIONS[label].validate_response(answer)
        return answer.json()

    claim = "POST /api/v1/campaigns/{code}/claims"
    wanted = {"path": {"code": "WINTER-1"}, "json": {"password": "PASSWORD0"}}
    keyed = {**callers.other_member, "idempotency-key": "documented"}
    coupons = call(claim, keyed, 201, **wanted)["coupons"]
    call(claim, keyed, 200, **wanted)
    call("GET /api/v1/wallet", callers.other_member, 200)
    coupon = {"path": {"coupon_id": coupons[0]["id"]}}
    call("GET /api/v1/wallet/coupons/{coupon_id}", callers.other_member, 200, **coupon)
    till = callers.till
    scanned = {"store_id": store_id, "code": coupons[0]["code"], "request_number": "documented-1"}
    prepared = call("POST /api/v1/redemptions/prepare", till, 201, json=scanned)
    redeem = {"store_id": store_id, "hold_id": prepared["id"], "request_number": "documented-2"}
    redeemed = call("POST /api/v1/redemptions", till, 201, json=redeem)
    call("POST /api/v1/redemptions", till, 200, json=redeem)
    redemption = {"path": {"redemption_id": redeemed["id"]}}
    call("GET /api/v1/redemptions", till, 200)
    call("GET /api/v1/redemptions/{redemption_id}", till, 200, **redemption)
    reversal = "POST /api/v1/redemptions/{redemption_id}/reversal"
    call(reversal, till, 201, json={"request_number": "documented-3"}, **redemption)
    campaign = {"path": {"code": "winter-1"}}
    call("GET /api/v1/campaigns/{code}", {}, 200, **campaign)
    call("GET /api/v1/campaigns/{code}/definition", callers.operator, 200, **campaign)
    call("GET /api/v1/campaigns/{code}/figures", callers.operator, 200, **campaign)
    room = {"path": {"code": "winter-1"}}
    call("GET /api/v1/rooms/{code}", callers.operator, 200, **room)
    call("GET /api/v1/rooms/{code}/board", callers.operator, 200, **room)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    bypass = {"name": "Crew", "uses": 2, "expires_at": until}
    call("POST /api/v1/rooms/{code}/bypasses", callers.operator, 201, json=bypass, **room)
    call("GET /api/v1/rooms/{code}/bypasses", callers.operator, 200, **room)
    sale = SOLD[0]
    on_sale = {"path": {"code": sale.code}}
    call("GET /api/v1/campaigns/{code}", {}, 200, **on_sale)
    call("GET /api/v1/campaigns/{code}/definition", callers.operator, 200, **on_sale)
    call("GET /api/v1/campaigns/{code}/sales", callers.operator, 200, **on_sale)
    ordered = {"item_id": str(sale.items[0]), "quantity": 2}
    buying = "POST /api/v1/campaigns/{code}/orders"
    keyed = {**callers.other_member, "idempotency-key": "documented-order"}
    order = call(buying, keyed, 201, json=ordered, **on_sale)
    call(buying, keyed, 200, json=ordered, **on_sale)
    of_order = {"path": {"order_id": order["id"]}}
    call("GET /api/v1/voucher-orders/{order_id}", callers.other_member, 200, **of_order)
    call("POST /api/v1/voucher-orders/{order_id}/payment", callers.other_member, 200, json={}, **of_order)
    call("POST /api/v1/voucher-orders/{order_id}/cancel", callers.other_member, 200, **of_order)
    call("GET /api/v1/vouchers", callers.operator, 200, params={"code": order["number"]})
    pool = {"path": {"pool_id": str(sale.pools[0])}}
    sent = {"params": {"name": "codes.txt"}, "content": b"91111E1311415BAA4661\n91111E1311415BAA4662\n"}
    file = call("POST /api/v1/pools/{pool_id}/files", callers.operator, 201, **pool, **sent)
    of_file = {"path": {"pool_id": str(sale.pools[0]), "file_id": file["id"]}}
    seen = call("GET /api/v1/pools/{pool_id}/files/{file_id}/preview", callers.operator, 200, **of_file)
    read = {"rule": seen["rule"], "column": 0, "has_heading": False}
    call("POST /api/v1/pools/{pool_id}/files/{file_id}/import", callers.operator, 202, json=read, **of_file)
    call("GET /api/v1/pools/{pool_id}/files/{file_id}", callers.operator, 200, **of_file)
    call("GET /api/v1/pools/{pool_id}", callers.operator, 200, **pool)
    put = {"json": {"items": [{"key": "tea", "names": {"en": "Tea"}}]}}
    call("PUT /api/v1/catalogue/categories", callers.operator, 200, **put)
    call("PUT /api/v1/catalogue/brands", callers.operator, 200, **put)
    tea = {
        "key": "tea-1",
        "names": {"en": "Tea"},
        "price": {"amount": 4800, "currency": "HKD"},
        "category_key": "tea",
    }
    call("PUT /api/v1/catalogue/products", till, 200, json={"items": [tea]})
    call("GET /api/v1/catalogue/products/{key}", till, 200, path={"key": "tea-1"})
    call("POST /api/v1/catalogue/products/withdraw", till, 200, json={"keys": ["tea-1"]})
    sheet = {"params": {"name": "brands.csv"}, "content": b"key,name\nolive,Olive\n"}
    call("POST /api/v1/catalogue/brands/file", callers.operator, 200, **sheet)
    for path in ("products", "categories", "brands"):
        call(f"GET /api/v1/catalogue/{path}", callers.operator, 200)
    merchant = {"path": {"merchant_id": str(callers.world.merchant_id)}}
    correction = {"amount": -500, "currency": "HKD", "note": "Documented"}
    call(
        "POST /api/v1/merchants/{merchant_id}/settlement/adjustments",
        callers.operator,
        201,
        json=correction,
        **merchant,
    )
    call("GET /api/v1/merchants/{merchant_id}/settlement/entries", callers.till, 200, **merchant)
    period = {"currency": "HKD", "from": "2026-01-01T00:00:00Z", "to": "2099-01-01T00:00:00+08:00"}
    call("GET /api/v1/settlement", callers.operator, 200, params=period)
    call("GET /api/v1/merchants/{merchant_id}/settlement", callers.till, 200, params=period, **merchant)
    _carts_are_answered_as_documented(call, callers)
    for path in ("merchants", "offers", "campaigns", "rooms", "members", "pools", "voucher-orders", "orders"):
        call(f"GET /api/v1/{path}", callers.operator, 200)


def _carts_are_answered_as_documented(call: Any, callers: Callers) -> None:
    merchant_id = str(callers.world.merchant_id)
    line = {"key": "a", "product": "tea", "quantity": 3, "unit_price": 1_000, "merchant_id": merchant_id}
    token = callers.other_member["authorization"].removeprefix("Bearer ")
    shipping = [{"merchant_id": merchant_id, "amount": 500}]
    cart = {
        "currency": "HKD",
        "lines": [line],
        "shipping": shipping,
        "member": {"token": token},
        "codes": ["x"],
    }
    quote = call("POST /api/v1/quotes", callers.till, 200, json=cart)
    assert quote["skipped"], "the coupons of the claim above are for counters"
    call("POST /api/v1/qualifications", callers.operator, 200, json=cart)
    ordered = {**cart, "codes": [], "expected_total": quote["total"]}
    orders = [call("POST /api/v1/orders", callers.till, 201, json=ordered) for _ in range(2)]
    first, second = ({"path": {"number": one["number"]}} for one in orders)
    call("POST /api/v1/orders/{number}/cancel", callers.till, 200, **second)
    paid = {"collected_by": "merchant"}
    call("POST /api/v1/orders/{number}/pay", callers.till, 200, json=paid, **first)
    wish = {"lines": [{"key": "a", "quantity": 1}], "shipping": [merchant_id]}
    call("POST /api/v1/orders/{number}/refunds", callers.till, 201, json=wish, **first)
    call("GET /api/v1/orders/{number}", callers.till, 200, **first)
    call("GET /api/v1/orders/{number}/refunds", callers.till, 200, **first)
    call("GET /api/v1/orders", callers.till, 200)


def test_an_undocumented_answer_is_found(live: tuple[str, Callers]) -> None:
    url, callers = live
    changed = json.loads(openapi_document())
    del changed["paths"]["/api/v1/merchants/{merchant_id}"]["get"]["responses"]["404"]
    schema = schemathesis.openapi.from_dict(changed)
    case = schema["/api/v1/merchants/{merchant_id}"]["GET"].Case(
        path_parameters={"merchant_id": str(callers.world.store_id)}, headers=callers.operator
    )
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.call_and_validate(base_url=url, checks=CHECKS)


def test_every_operation_says_what_it_does_and_whom_it_serves() -> None:
    identifiers = set()
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            identifiers.add(operation["operationId"])
            assert operation["description"].endswith("."), operation["operationId"]
            assert "security" in operation
            for status, answer in operation["responses"].items():
                media_types = set(answer.get("content", {}))
                wanted = {"application/json"} if int(status) < 300 else {"application/problem+json"}
                is_file = status == "200" and media_types and media_types <= FILES | wanted
                assert media_types == wanted or is_file, (operation["operationId"], status)
    assert len(identifiers) == sum(len(methods) for methods in DOCUMENT["paths"].values())


def test_it_is_openapi_3_1_and_served(live: tuple[str, Callers]) -> None:
    answer = httpx.get(f"{live[0]}/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1")


def test_documented_reasons_are_reasons() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    reasons = answer["description"].split("`")[1::2]
                    assert reasons and all(REASONS[reason].status == int(status) for reason in reasons)
