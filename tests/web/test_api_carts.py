"""Carts through the API: from the quote to the last refund, and who may ask for what."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote as quoted

import httpx
import pytest
from sqlalchemy import make_url, text, update

from tearline.checkout.model import CartOrder
from tearline.checkout.requests import MOST_LINES
from tearline.core.codes import display, make_code
from tearline.db import new_id, transaction
from tearline.members.model import Member
from tearline.offers.model import Offer
from tearline.web.app import Application
from tests.callers import Callers, make_callers, running_on, settings_for
from tests.cart_worlds import TENTH_OFF, CartWorld
from tests.checkout.ordering import code_of, counts, swept

pytestmark = pytest.mark.anyio
API = "/api/v1"


@pytest.fixture
def world(app: Application, callers: Callers) -> CartWorld:
    """The callers' merchant sells noodles, the other one books."""
    services = app.litestar.state.services
    return CartWorld(
        services.database,
        callers.world.merchant_id,
        callers.other_merchant_id,
        callers.world.members,
        services.now(),
    )


class Shop:
    """A shop that calls the API with one key."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str], world: CartWorld) -> None:
        self._client, self._headers, self._world = client, headers, world

    def cart(self, **more: Any) -> dict[str, Any]:
        """A cart of one line of 100.00 at the noodle shop, unless said otherwise."""
        return {"currency": "HKD", "lines": [self.line("a", 10_000)], **more}

    def line(self, key: str, price: int, **more: Any) -> dict[str, Any]:
        """A line of the noodle shop's."""
        plain = {
            "key": key,
            "product": f"p-{key}",
            "unit_price": price,
            "merchant_id": str(self._world.noodles),
        }
        return {**plain, **more}

    async def post(
        self, path: str, body: Any = None, status: int = 200, key: str | None = None, **headers: str
    ) -> Any:
        """Post, and see that it ends with this status."""
        sent = {**self._headers, **headers, **({"idempotency-key": key} if key else {})}
        return self._seen(await self._client.post(API + path, json=body, headers=sent), status)

    async def get(self, path: str, status: int = 200) -> Any:
        """Get, and see that it ends with this status."""
        return self._seen(await self._client.get(API + path, headers=self._headers), status)

    def _seen(self, answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        self.last = answer
        return answer.json()

    async def why(self, path: str, body: Any = None, key: str | None = None) -> str:
        """The reason why something is refused."""
        headers = {**self._headers, **({"idempotency-key": key} if key else {})}
        answer = await self._client.post(API + path, json=body, headers=headers)
        assert answer.status_code >= 400, answer.text
        return str(answer.json()["reason"])


@pytest.fixture
def operator(client: httpx.AsyncClient, callers: Callers, world: CartWorld) -> Shop:
    return Shop(client, callers.operator, world)


@pytest.fixture
def noodles(client: httpx.AsyncClient, callers: Callers, world: CartWorld) -> Shop:
    return Shop(client, callers.till, world)


@pytest.fixture
def books(client: httpx.AsyncClient, callers: Callers, world: CartWorld) -> Shop:
    return Shop(client, callers.other_till, world)


def token_of(headers: dict[str, str]) -> dict[str, str]:
    """A member who is there, as a cart names them."""
    return {"token": headers["authorization"].removeprefix("Bearer ")}


async def test_from_the_quote_to_the_refund(operator: Shop, world: CartWorld) -> None:
    await world.coupon(await world.offer(world.noodles))
    coupon = await world.coupon(await world.offer(benefit=TENTH_OFF))
    await world.coupon(await world.offer(minimum_spend=50_000))
    books = operator.line("b", 5_000, merchant_id=str(world.books), quantity=2)
    cart = operator.cart(
        member={"id": str(world.member)},
        shipping=[{"merchant_id": str(world.noodles), "amount": 800}],
        points=300,
        prices_include_tax=False,
    )
    cart["lines"] = [operator.line("a", 10_000, tax_basis_points=500), books]
    before = await counts(world)
    quote = await operator.post("/quotes", cart)
    assert await counts(world) == before
    assert [one["amount"] for one in quote["applied"]] == [2_000, 1_800]
    assert (quote["list_total"], quote["discount"], quote["points"]) == (20_800, 3_800, 300)
    assert quote["total"] == 20_800 - 3_800 - 300 + quote["tax"]
    assert [one["reason"] for one in quote["skipped"]] == ["minimum_not_reached"]
    assert quote["skipped"][0]["missing"] == 30_000
    for line in quote["lines"]:
        assert sum(one["count"] * one["pays"] for one in line["units"]) == line["total"]
        assert sum(one["amount"] for one in line["discounts"]) == line["discount"]
    picked = await operator.post("/qualifications", cart)
    assert [one["saving"] for one in picked["usable"]] == [2_000, 2_000]
    assert await counts(world) == before

    body = {**cart, "expected_total": quote["total"], "reference": "web-1"}
    order = await operator.post("/orders", body, 201, key="o")
    assert (order["state"], order["total"], order["refundable"]) == ("open", quote["total"], {})
    again = await operator.post("/orders", body, 201, key="o")
    assert (again, operator.last.headers["idempotency-replayed"]) == (order, "true")
    assert await operator.why("/orders", {**body, "points": 1}, key="o") == "idempotency_key_reused"
    assert await world.one("SELECT count(*) FROM cart_order") == 1
    path = f"/orders/{order['number']}"
    payment = {"collected_by": "platform", "payment_reference": "charge-1"}
    paid = await operator.post(f"{path}/pay", payment, key="p")
    assert (await operator.post(f"{path}/pay", payment, key="p")) == paid
    assert (await operator.post(f"{path}/pay", payment))["paid_at"] == paid["paid_at"]
    assert (paid["state"], paid["refundable"]) == ("paid", {"a": 1, "b": 2})
    assert await operator.why(f"{path}/cancel") == "order_paid"

    wish = {"lines": [{"key": "b", "quantity": 1}], "reason": "torn"}
    first = await operator.post(f"{path}/refunds", wish, 201, key="r")
    assert await operator.post(f"{path}/refunds", wish, 201, key="r") == first
    assert [(one["key"], one["quantity"]) for one in first["lines"]] == [("b", 1)]
    too_much = {"lines": [{"key": "b", "quantity": 2}]}
    assert await operator.why(f"{path}/refunds", too_much) == "refund_too_large"
    twice = {"lines": [{"key": "b", "quantity": 1}] * 2}
    assert await operator.why(f"{path}/refunds", twice) == "invalid"
    await operator.post(f"{path}/refunds", {"everything": True}, 201)
    assert await operator.why(f"{path}/refunds", {"everything": True}) == "nothing_to_refund"
    order = await operator.get(path)
    assert (order["refunded"], order["refundable"]) == (order["total"], {"a": 0, "b": 0})
    assert (await operator.get(f"{path}/refunds"))["items"] == order["refunds"]
    assert {one["outcome"] for one in order["applied"]} == {"returned"}
    assert await world.state_of(coupon) == "open"
    listed = (await operator.get("/orders?state=paid&reference=web-1"))["items"]
    assert [(one["number"], one["refunded"]) for one in listed] == [(order["number"], order["total"])]
    assert (await operator.get("/orders?reference=web-2"))["items"] == []
    await world.audited()


async def test_a_merchants_shop_learns_no_code_that_it_does_not_have(
    noodles: Shop, operator: Shop, callers: Callers, world: CartWorld
) -> None:
    """Who has a code can use the coupon without its member."""
    usable = await world.coupon(await world.offer(benefit=TENTH_OFF))
    await world.coupon(await world.offer(minimum_spend=50_000))
    cart = noodles.cart(member=token_of(callers.member))
    priced = await noodles.post("/quotes", cart)
    assert [one["coupon_id"] for one in priced["applied"]] == [str(usable)]
    picked = await noodles.post("/qualifications", cart)
    named = await noodles.post("/quotes", {**cart, "codes": [await code_of(world, usable)]})
    assert [one["code"] for one in named["applied"]] == [await code_of(world, usable)]
    order = await noodles.post("/orders", cart, 201)
    seen = [*priced["applied"], *priced["skipped"], *picked["usable"], *picked["unusable"], *order["applied"]]
    assert len(seen) == 4 and all(one["code"] is None for one in seen)
    told = (await operator.get(f"/orders/{order['number']}"))["applied"]
    assert [one["code"] for one in told] == [await code_of(world, usable)]


async def test_an_orders_number_is_typed_in_any_manner(operator: Shop, world: CartWorld) -> None:
    number = (await operator.post("/orders", operator.cart(), 201))["number"]
    typed = f" {number[:5].lower()}-{number[5:].replace('0', 'O')}"
    assert (await operator.get(f"/orders/{quoted(typed)}"))["number"] == number
    await operator.post(f"/orders/{quoted(typed)}/pay", {"collected_by": "platform"})
    assert await operator.why(f"/orders/{number}/refunds", {}) == "invalid", "nothing is named"
    assert await operator.why(f"/orders/{number}/pay", {"collected_by": "merchant"}) == "order_paid"


async def test_orders_are_listed_by_their_state(operator: Shop, world: CartWorld) -> None:
    states = ("open", "expired", "paid", "cancelled")
    numbers = [(await operator.post("/orders", operator.cart(), 201))["number"] for _ in states]
    async with transaction(world.database) as tx:
        late = update(CartOrder).where(CartOrder.number == numbers[1])
        await tx.execute(late.values(expires_at=world.now - timedelta(seconds=1)))
    await operator.post(f"/orders/{numbers[2]}/pay", {"collected_by": "platform"})
    await operator.post(f"/orders/{numbers[3]}/cancel")
    for state, number in zip(states, numbers, strict=True):
        found = (await operator.get(f"/orders?state={state}"))["items"]
        assert [(one["number"], one["state"]) for one in found] == [(number, state)]


async def test_an_order_is_given_up_and_may_run_out(operator: Shop, world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    cart = operator.cart(member={"id": str(world.member)})
    order = await operator.post("/orders", {**cart, "hold_seconds": 30}, 201)
    assert await world.state_of(coupon) == "held"
    cancelled = await operator.post(f"/orders/{order['number']}/cancel")
    assert (cancelled["state"], await world.state_of(coupon)) == ("cancelled", "open")
    payment = {"collected_by": "platform"}
    assert await operator.why(f"/orders/{order['number']}/pay", payment) == "order_cancelled"
    for wrong in (29, 7_201):
        assert await operator.why("/orders", {**cart, "hold_seconds": wrong}) == "invalid"
    late = await operator.post("/orders", {**cart, "hold_seconds": 30}, 201)
    await world.rows_changed("UPDATE cart_order SET expires_at = now() WHERE state = 'open'")
    await swept(world, world.now + timedelta(minutes=2))
    assert (await operator.get(f"/orders/{late['number']}"))["state"] == "expired"
    assert [one["number"] for one in (await operator.get("/orders?state=expired"))["items"]] == [
        late["number"]
    ]
    assert (await operator.get("/orders?state=open"))["items"] == []
    await operator.post(f"/orders/{late['number']}/pay", payment)
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


async def test_an_order_at_another_price_is_none(operator: Shop, world: CartWorld) -> None:
    problem = await operator.post("/orders", operator.cart(expected_total=9_999), 409)
    assert (problem["reason"], problem["total"], problem["currency"]) == ("price_changed", 10_000, "HKD")
    assert await world.one("SELECT count(*) FROM cart_order") == 0


# Whose wallet


async def test_the_operator_names_members_in_any_one_way(
    operator: Shop, world: CartWorld, callers: Callers
) -> None:
    await world.coupon(await world.offer())
    phone = "+85291234567"
    for table, column in (("member", "id"), ("member_phone", "member_id")):
        await world.rows_changed(
            f"UPDATE {table} SET phone = :phone WHERE {column} = :id", phone=phone, id=world.member
        )
    ways = {"id": str(world.member)}, {"phone": phone}, token_of(callers.member)
    for member in ways:
        assert (await operator.post("/quotes", operator.cart(member=member)))["total"] == 8_000
    assert (await operator.post("/quotes", operator.cart()))["total"] == 10_000
    for member in ({}, {**ways[0], **ways[1]}, {"id": str(new_id())}, {"phone": "+85298765432"}):
        problem = await operator.post("/quotes", operator.cart(member=member), 422)
        assert list(problem["fields"]) == ["member"]
    assert await operator.why("/quotes", operator.cart(member={"phone": "12"})) == "invalid_phone"
    assert await operator.why("/quotes", operator.cart(member={"token": "v1.x"})) == "session_ended"
    nobodys = operator.cart(coupon_ids=[str(new_id())])
    assert list((await operator.post("/quotes", nobodys, 422))["fields"]) == ["coupon_ids"]


async def test_a_merchants_shop_needs_the_member_to_be_there(
    noodles: Shop, world: CartWorld, callers: Callers
) -> None:
    await world.coupon(await world.offer())
    phone = await world.one("SELECT phone FROM member WHERE id = :id", id=world.member)
    for member in ({"id": str(world.member)}, {"phone": phone}, {"id": str(new_id())}):
        for path in ("/quotes", "/qualifications", "/orders"):
            problem = await noodles.post(path, noodles.cart(member=member), 422)
            assert list(problem["fields"]) == ["member.token"]
    cart = noodles.cart(member=token_of(callers.member))
    assert (await noodles.post("/quotes", cart))["total"] == 8_000
    async with transaction(world.database) as tx:
        await tx.execute(update(Member).where(Member.id == world.member).values(epoch=Member.epoch + 1))
    assert await noodles.why("/quotes", cart) == "session_ended"
    async with transaction(world.database) as tx:
        await tx.execute(update(Member).where(Member.id == world.member).values(epoch=1, state="blocked"))
    assert await noodles.why("/orders", cart) == "member_blocked"


# Whose shop


async def test_a_merchants_shop_learns_nothing_of_others(
    noodles: Shop, operator: Shop, world: CartWorld, callers: Callers
) -> None:
    theirs = await world.coupon(await world.offer(world.books))
    elsewhere = {"includes": {"merchants": [str(world.books)]}}
    of_platform = await world.coupon(await world.offer(scope=elsewhere))
    ours = await world.coupon(await world.offer(world.noodles))
    cart = noodles.cart(member=token_of(callers.member))
    quote = await noodles.post("/quotes", cart)
    assert ([one["coupon_id"] for one in quote["applied"]], quote["skipped"]) == ([str(ours)], [])
    picked = await noodles.post("/qualifications", cart)
    assert (len(picked["usable"]), picked["unusable"], picked["nearly"]) == (1, [], [])
    for hidden in (theirs, of_platform):
        code = await code_of(world, hidden)
        named = noodles.cart(codes=[code], choose="given")
        [skipped] = (await noodles.post("/quotes", named))["skipped"]
        assert (skipped["reason"], skipped["code"]) == ("code_not_recognised", code)
        assert (skipped["coupon_id"], skipped["offer_id"]) == (None, None)
        assert await noodles.why("/orders", named) == "code_not_recognised"
    both = await operator.post("/quotes", operator.cart(member={"id": str(world.member)}))
    assert len(both["skipped"]) == 2


async def test_a_merchants_shop_prices_its_own_lines_only(
    noodles: Shop, world: CartWorld, callers: Callers
) -> None:
    """And neither in others' stores, nor with points, which the platform would bear."""
    foreign = str(world.books)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("lines.0.merchant_id", noodles.cart(lines=[noodles.line("a", 1, merchant_id=foreign)])),
        ("lines.0.merchant_id", noodles.cart(lines=[noodles.line("a", 1, merchant_id=str(new_id()))])),
        ("shipping.0.merchant_id", noodles.cart(shipping=[{"merchant_id": foreign, "amount": 1}])),
        ("points", noodles.cart(points=1)),
        ("store_id", noodles.cart(store_id=str(callers.other_store_id))),
        ("store_id", noodles.cart(store_id=str(new_id()))),
    ]
    for field, cart in wrong:
        for path in ("/quotes", "/qualifications", "/orders"):
            assert list((await noodles.post(path, cart, 422))["fields"]) == [field]
    await noodles.post("/quotes", noodles.cart(store_id=str(callers.world.store_id)))


async def test_orders_of_another_shop_are_not_found(
    noodles: Shop, books: Shop, operator: Shop, world: CartWorld
) -> None:
    order = await noodles.post("/orders", noodles.cart(), 201)
    path = f"/orders/{order['number']}"
    assert order["merchant_id"] == str(world.noodles)
    await books.get(path, 404)
    await books.get(f"{path}/refunds", 404)
    for act, body in (
        ("pay", {"collected_by": "merchant"}),
        ("cancel", None),
        ("refunds", {"everything": True}),
    ):
        assert await books.why(f"{path}/{act}", body) == "not_found"
    assert (await books.get("/orders"))["items"] == []
    # The merchant has its own money; the platform has what the operator says it has.
    assert await noodles.why(f"{path}/pay", {"collected_by": "platform"}) == "invalid"
    await noodles.post(f"{path}/pay", {"collected_by": "merchant"})
    assert [one["number"] for one in (await noodles.get("/orders"))["items"]] == [order["number"]]
    assert (await operator.get(path))["state"] == "paid"
    of_platform = await operator.post("/orders", operator.cart(), 201)
    await noodles.get(f"/orders/{of_platform['number']}", 404)
    for odd in ("%00", "x" * 3_000, "%C3%9F", "%20", "0" * 10):
        await operator.get(f"/orders/{odd}", 404 if odd != "%00" else 400)
    await world.audited()


# The hot lane


async def test_quotes_count_against_the_keys_limit(database_url: str) -> None:
    async with running_on(settings_for(database_url, api_requests_per_minute=3)) as app:
        callers = await make_callers(app)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            line = {
                "key": "a",
                "product": "p",
                "unit_price": 100,
                "merchant_id": str(callers.world.merchant_id),
            }
            cart = {"currency": "HKD", "lines": [line]}

            async def quote(cart: dict[str, Any]) -> httpx.Response:
                return await client.post(f"{API}/quotes", json=cart, headers=callers.operator)

            answers = [await quote(cart), await quote({**cart, "currency": "XXX"}), await quote(cart)]
            assert [one.status_code for one in answers] == [200, 422, 200]
            # What a refusal costs is told as well.
            assert [one.headers["ratelimit"].partition(";t=")[0] for one in answers] == [
                f'"api";r={left}' for left in (2, 1, 0)
            ]
            refused = await quote(cart)
            assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_attempts")
            assert int(refused.headers["retry-after"]) > 0


async def test_a_quote_is_made_although_the_server_closed_its_connections(
    operator: Shop, world: CartWorld, database_url: str
) -> None:
    await operator.post("/quotes", operator.cart())
    name = make_url(database_url).database
    async with world.database.connection() as connection:
        closed = await connection.scalars(
            text("""
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                WHERE datname = :name AND pid <> pg_backend_pid()
            """),
            {"name": name},
        )
        assert all(closed)
    assert (await operator.post("/quotes", operator.cart()))["total"] == 10_000


async def test_a_changed_offer_is_quoted_as_it_is_now(operator: Shop, world: CartWorld) -> None:
    offer = await world.offer(world.noodles)
    await world.coupon(offer)
    cart = operator.cart(member={"id": str(world.member)})
    assert (await operator.post("/quotes", cart))["total"] == 8_000
    async with transaction(world.database) as tx:
        changed = {"benefit": {"kind": "amount_off", "amount": 500}, "version": Offer.version + 1}
        await tx.execute(update(Offer).where(Offer.id == offer).values(changed))
    assert (await operator.post("/quotes", cart))["total"] == 9_500


# Reasons and guesses


async def test_reasons_are_told_in_the_callers_language(operator: Shop, world: CartWorld) -> None:
    gone = await world.coupon(await world.offer(), state="expired")
    cart = operator.cart(codes=[await code_of(world, gone)])
    sentences = {}
    for language in ("en", "zh-Hant"):
        quote = await operator.post("/quotes", cart, **{"accept-language": language})
        [skipped] = quote["skipped"]
        assert skipped["reason"] == "expired"
        sentences[language] = skipped["detail"]
    assert sentences["en"] == "This coupon has expired."
    assert "優惠券" in sentences["zh-Hant"]


async def test_codes_may_be_typed_in_any_manner(operator: Shop, world: CartWorld) -> None:
    code = await code_of(world, await world.coupon(await world.offer()))
    typed = [display(code).lower(), f" {code} ", code]
    cart = operator.cart(codes=typed, choose="given")
    assert (await operator.post("/quotes", cart))["total"] == 8_000
    order = await operator.post("/orders", cart, 201)
    assert (order["total"], order["applied"][0]["code"]) == (8_000, code)


@pytest.mark.parametrize("path", ["/quotes", "/qualifications", "/orders"])
async def test_trying_codes_is_soon_over(
    path: str,
    app: Application,
    client: httpx.AsyncClient,
    callers: Callers,
    operator: Shop,
    noodles: Shop,
    world: CartWorld,
) -> None:
    """Each code counts, also where many are tried at once and one of them is right."""
    right = await code_of(world, await world.coupon(await world.offer()))
    guesses = [make_code(secrets.token_bytes) for _ in range(15)]
    who = {"member": {"id": str(world.member)}}
    cart = operator.cart(codes=[right, *guesses], **who)
    reasons = []
    for _ in range(app.settings.wrong_codes_per_member // len(guesses) + 1):
        answer = await client.post(API + path, json=cart, headers=callers.operator)
        reasons.append(answer.json().get("reason", "answered"))
    assert reasons[-1] == "too_many_attempts"
    assert set(reasons[:-1]) == {"code_not_recognised" if path == "/orders" else "answered"}
    assert int(answer.headers["retry-after"]) > 0
    # Locked out of all codes, right ones too, but of nothing else.
    for elsewhere in ("/quotes", "/qualifications", "/orders"):
        assert await operator.why(elsewhere, operator.cart(codes=[right], **who)) == "too_many_attempts"
    assert (await operator.post("/quotes", operator.cart(**who)))["total"] == 8_000
    # And nobody else is: not the shop's other customers, known or not, and not another shop.
    other = {"id": str(world.members[1])}
    assert (await operator.post("/quotes", operator.cart(codes=[right], member=other)))["total"] == 8_000
    assert (await operator.post("/quotes", operator.cart(codes=[right])))["total"] == 8_000
    assert (await noodles.post("/quotes", noodles.cart(codes=[right])))["total"] == 8_000


async def test_guests_who_try_codes_stop_no_member(
    app: Application, operator: Shop, world: CartWorld
) -> None:
    right = await code_of(world, await world.coupon(await world.offer()))
    for _ in range(app.settings.wrong_codes_of_guests // 20):
        await operator.post(
            "/quotes", operator.cart(codes=[make_code(secrets.token_bytes) for _ in range(20)])
        )
    assert await operator.why("/quotes", operator.cart(codes=[right])) == "too_many_attempts"
    cart = operator.cart(codes=[right], member={"id": str(world.member)})
    assert (await operator.post("/quotes", cart))["total"] == 8_000


async def test_a_code_that_is_mistyped_is_no_guess(
    app: Application, operator: Shop, world: CartWorld
) -> None:
    right = await code_of(world, await world.coupon(await world.offer()))
    mistyped = ("1" if right[0] == "0" else "0") + right[1:]
    cart = operator.cart(member={"id": str(world.member)}, choose="given")
    for _ in range(app.settings.wrong_codes_per_member + 1):
        quote = await operator.post("/quotes", {**cart, "codes": [mistyped]})
        assert quote["skipped"][0]["reason"] == "code_not_recognised"
    assert (await operator.post("/quotes", {**cart, "codes": [right]}))["total"] == 8_000


# Limits


async def test_carts_have_a_size(operator: Shop) -> None:
    lines = [operator.line(f"l{n}", 1) for n in range(MOST_LINES + 1)]
    await operator.post("/quotes", operator.cart(lines=lines[:-1]))
    problem = await operator.post("/quotes", operator.cart(lines=lines), 422)
    assert problem["reason"] == "cart_too_large"
    assert "500" in problem["detail"]
    two = [operator.line("a", 1), operator.line("a", 1)]
    assert list((await operator.post("/quotes", operator.cart(lines=two), 422))["fields"]) == ["lines.1.key"]
    assert await operator.why("/quotes", operator.cart(codes=["x"] * 51)) == "invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"unit_price": -1}, {"unit_price": 10**12 + 1}, {"unit_price": 1.5}, {"unit_price": "5"},
        {"unit_price": 10**30}, {"unit_price": 10**9, "quantity": 10_000}, {"quantity": 0}, {"quantity": 10_001},
        {"quantity": -1}, {"tax_basis_points": 10_001}, {"key": ""}, {"key": "x" * 101}, {"product": ""},
        {"merchant_id": None}, {"unit_price": None}, {"categories": ["x"] * 51},
    ],
    ids=str,
)  # fmt: skip
async def test_lines_that_make_no_sense(operator: Shop, change: dict[str, Any]) -> None:
    cart = operator.cart(lines=[{**operator.line("a", 100), **change}])
    for path in ("/quotes", "/qualifications", "/orders"):
        assert (await operator.post(path, cart, 422))["reason"] == "invalid"


@pytest.mark.parametrize(("currency", "price"), [("JPY", 1_999), ("KWD", 12_345), ("IDR", 25_000_000_00)])
async def test_currencies_with_other_decimals(
    operator: Shop, world: CartWorld, currency: str, price: int
) -> None:
    await world.coupon(await world.offer(benefit=TENTH_OFF, currency=currency))
    cart = operator.cart(
        currency=currency,
        member={"id": str(world.member)},
        lines=[operator.line("a", price, quantity=3, tax_basis_points=1_000)],
    )
    quote = await operator.post("/quotes", cart)
    off = (3 * price * 1_000 + 5_000) // 10_000
    assert quote["total"] == 3 * price - off
    order = await operator.post("/orders", {**cart, "expected_total": quote["total"]}, 201)
    await operator.post(f"/orders/{order['number']}/pay", {"collected_by": "platform"})
    back = []
    for _ in range(3):
        wish = {"lines": [{"key": "a", "quantity": 1}]}
        back.append((await operator.post(f"/orders/{order['number']}/refunds", wish, 201))["amount"])
    assert sum(back) == quote["total"]
    assert max(back) - min(back) <= 1
    await world.audited()


async def test_an_unknown_currency_is_refused(operator: Shop) -> None:
    assert await operator.why("/quotes", operator.cart(currency="XXX")) == "invalid"


async def test_a_wallet_of_thousands_is_looked_at_in_part(operator: Shop, world: CartWorld) -> None:
    """The coupons that run out soonest; the others can still be named."""
    offer, many = await world.offer(), await world.offer()
    best = await world.coupon(
        await world.offer(benefit={"kind": "amount_off", "amount": 9_000}),
        valid_until=world.now + timedelta(days=900),
    )
    await world.rows_changed(
        """
        INSERT INTO coupon (member_id, id, offer_id, code, state, valid_from, valid_until, issued_at, changed_at)
        SELECT :member, gen_random_uuid(), :offer, 'C' || n, 'open', now() - interval '1 day',
               now() + interval '1 day' + n * interval '1 minute', now(), now() FROM generate_series(1, 5000) AS n""",
        member=world.member,
        offer=many,
    )
    soon = await world.coupon(offer, valid_until=world.now + timedelta(hours=1))
    cart = operator.cart(member={"id": str(world.member)})
    quote = await operator.post("/quotes", cart)
    assert [one["coupon_id"] for one in quote["applied"]] == [str(soon)]
    assert len(quote["skipped"]) <= 200
    named = await operator.post("/quotes", {**cart, "coupon_ids": [str(best)]})
    assert (named["total"], named["applied"][0]["coupon_id"]) == (1_000, str(best))
    given = await operator.post("/orders", {**cart, "coupon_ids": [str(best)], "choose": "given"}, 201)
    assert given["total"] == 1_000
