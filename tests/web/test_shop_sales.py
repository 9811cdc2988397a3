"""Sales in the shop: what is on sale, buying it, paying for it, and the vouchers in the wallet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text, update

from tearline.core.refusal import Refusal
from tearline.coupons.model import Coupon
from tearline.db import transaction
from tearline.pools.model import CodePool, PartnerCode
from tearline.sales.model import Voucher, VoucherOrder
from tearline.web.app import Application
from tests.rooms import make_room
from tests.sale_worlds import Sale, make_sale
from tests.web.scanning import pictures_in, read_picture
from tests.web.shop_support import hidden_fields, post, says, services_of, sign_in, window_from

pytestmark = pytest.mark.anyio

SALE = "/c/VOUCHERS-1"


async def sale_of(app: Application, **wishes: Any) -> Sale:
    """A live sale in the application's own database."""
    return await make_sale(services_of(app).database, **wishes)


async def buy(client: httpx.AsyncClient, quantity: int = 1, *, follow: bool = False) -> httpx.Response:
    """Choose how many of the first voucher and press the button."""
    return await post(client, SALE, f"{SALE}/orders", quantity=str(quantity), follow=follow)


async def pay(client: httpx.AsyncClient, order: str, act: str = "paid") -> httpx.Response:
    """Go from the order's page to the payment's, and do something there."""
    page = (await client.get(order)).text
    address = page.partition('href="/pay/')[2].partition('"')[0].replace("&amp;", "&")
    assert address, page
    loaded = await client.get(f"/pay/{address}")
    action = loaded.text.partition('action="/pay/')[2].partition('"')[0]
    fields = hidden_fields(loaded.text, f"/pay/{action}".replace("&amp;", "&"))
    return await client.post(f"/pay/{action}".replace("&amp;", "&"), data={**fields, "act": act})


async def bought(app: Application, client: httpx.AsyncClient, sale: Sale, quantity: int = 1) -> list[UUID]:
    """Vouchers that the first member has bought; the coupons' ids."""
    sign_in(app, client, sale.members[0])
    answer = await buy(client, quantity)
    assert answer.status_code == 303, answer.text
    await pay(client, answer.headers["location"])
    async with services_of(app).database.connection() as connection:
        return list(await connection.scalars(select(Coupon.id).order_by(Coupon.id)))


async def count(app: Application, statement: str) -> int:
    """A number out of the database."""
    async with services_of(app).database.connection() as connection:
        return int(await connection.scalar(text(statement)) or 0)


async def test_home_lists_sales_beside_campaigns(app: Application, client: httpx.AsyncClient) -> None:
    await sale_of(app, codes=(7, 5))
    page = (await client.get("/")).text
    assert says(page, "Dining vouchers") and says(page, "12 vouchers left") and says(page, "On sale now")
    assert f'href="{SALE}"' in page


async def test_page_shows_price_worth_and_what_is_left(app: Application, client: httpx.AsyncClient) -> None:
    await sale_of(app, codes=(7, None, 0))
    page = (await client.get("/c/vouchers-1")).text
    assert says(page, "฿265") and says(page, "worth ฿300") and says(page, "11% less")
    assert says(page, "7 left") and says(page, "1,000,000 left") and says(page, "Sold out")
    assert page.count('name="quantity"') == 2
    assert says(page, "All stores of Bistro")


@pytest.mark.parametrize(
    ("campaign", "expected", "has_form"),
    [
        ({"state": "paused"}, "This sale is paused", False),
        (window_from(-5, -1), "This sale has ended", False),
        (window_from(2, 5), "Starts in", True),
        ({"audience": {"any_of": ["group:hotel"]}}, "A particular group of members", True),
    ],
)
async def test_page_says_how_the_sale_stands(
    app: Application, client: httpx.AsyncClient, campaign: dict[str, Any], expected: str, has_form: bool
) -> None:
    await sale_of(app, campaign=campaign)
    page = (await client.get(SALE)).text
    assert says(page, expected)
    assert ('name="quantity"' in page) is has_form


@pytest.mark.parametrize("state", ["draft", "archived"])
async def test_hidden_sales_are_nowhere(app: Application, client: httpx.AsyncClient, state: str) -> None:
    await sale_of(app, campaign={"state": state})
    assert not says((await client.get("/")).text, "Dining vouchers")
    assert (await client.get(SALE)).status_code == 404


async def test_stranger_signs_in_and_finds_the_choice_kept(
    app: Application, client: httpx.AsyncClient
) -> None:
    sale = await sale_of(app)
    answer = await buy(client, 3)
    assert answer.status_code == 303 and answer.headers["location"] == "/sign-in?next=/c/VOUCHERS-1"
    sign_in(app, client, sale.members[0])
    page = (await client.get(SALE)).text
    assert says(page, "your choice is still here") and '<option value="3" selected>' in page
    ordered = await buy(client, 3)
    assert ordered.headers["location"].startswith("/orders/")
    assert "your choice is still here" not in (await client.get(SALE)).text


async def test_member_buys_pays_and_has_the_vouchers(app: Application, client: httpx.AsyncClient) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    answer = await buy(client, 2)
    order = answer.headers["location"]
    page = (await client.get(order)).text
    assert says(page, "Waiting for payment") and says(page, "Pay ฿530") and "data-countdown=" in page
    assert f'hx-get="{order}/now"' in page
    waiting = await client.get(f"{order}/now")
    assert waiting.status_code == 204 and "hx-refresh" not in waiting.headers
    paid = await pay(client, order)
    assert paid.status_code == 303 and paid.headers["location"].startswith(order)
    assert (await client.get(f"{order}/now")).headers["hx-refresh"] == "true"
    after = (await client.get(order)).text
    assert says(after, "2 vouchers are in your wallet now.") and after.count('href="/wallet/') == 2
    assert "hx-get" not in after
    listed = (await client.get("/orders")).text
    assert says(listed, "Paid") and f'href="{order}"' in listed
    assert 'href="/orders"' in (await client.get("/account")).text


async def test_form_that_is_sent_twice_orders_once(app: Application, client: httpx.AsyncClient) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    fields = hidden_fields((await client.get(SALE)).text, f"{SALE}/orders")
    sent = [await client.post(f"{SALE}/orders", data={**fields, "quantity": "2"}) for _ in range(2)]
    assert sent[0].headers["location"] == sent[1].headers["location"]
    assert await count(app, "SELECT count(*) FROM voucher_order") == 1


@pytest.mark.parametrize(
    ("wishes", "quantity", "status", "sentence"),
    [
        ({"codes": (2,)}, 3, 409, "Only 2 are left."),
        ({"item": {"limit_per_order": 2}}, 3, 422, "You can buy 2 at a time at the most."),
        ({"campaign": window_from(1, 2)}, 1, 409, "has not started"),
        ({"campaign": {"state": "paused"}}, 1, 409, "paused"),
    ],
)
async def test_a_refusal_is_told_beside_the_voucher(
    app: Application,
    client: httpx.AsyncClient,
    wishes: dict[str, Any],
    quantity: int,
    status: int,
    sentence: str,
) -> None:
    sale = await sale_of(app, **wishes)
    sign_in(app, client, sale.members[0])
    token = hidden_fields((await client.get("/account")).text, "/sign-out")["_csrf_token"]
    fields = {"_csrf_token": token, "item": str(sale.items[0]), "quantity": str(quantity)}
    answer = await client.post(f"{SALE}/orders", data=fields)
    assert answer.status_code == status, answer.text
    assert sentence in answer.text and 'role="alert"' in answer.text
    assert (await client.get(f"{SALE}/orders?lang=th")).headers["location"] == f"{SALE}?lang=th"


@pytest.mark.parametrize("quantity", ["0", "x", "-1"])
async def test_nonsense_orders_nothing(app: Application, client: httpx.AsyncClient, quantity: str) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    answer = await post(client, SALE, f"{SALE}/orders", quantity=quantity)
    assert answer.status_code == 422
    assert await count(app, "SELECT count(*) FROM voucher_order") == 0


async def test_a_member_who_has_had_their_share_is_told_so(
    app: Application, client: httpx.AsyncClient
) -> None:
    sale = await sale_of(app, item={"limit_per_member": 2})
    sign_in(app, client, sale.members[0])
    assert '<option value="3"' not in (await client.get(SALE)).text
    await buy(client, 2)
    page = (await client.get(SALE)).text
    assert says(page, "You have bought as many of these as one member may.")
    assert says(page, "You have bought 2 vouchers here.") and 'name="quantity"' not in page


async def test_cancelling_gives_the_codes_back(app: Application, client: httpx.AsyncClient) -> None:
    sale = await sale_of(app, codes=(3,))
    sign_in(app, client, sale.members[0])
    order = (await buy(client, 3)).headers["location"]
    assert says((await client.get(SALE)).text, "Sold out")
    await post(client, order, f"{order}/cancel")
    page = (await client.get(order)).text
    assert says(page, "You cancelled it, and nothing was charged.")
    assert says((await client.get(SALE)).text, "3 left")


async def test_a_failed_payment_says_so(app: Application, client: httpx.AsyncClient) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    order = (await buy(client)).headers["location"]
    await pay(client, order, "failed")
    assert says((await client.get(order)).text, "The payment did not succeed")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"state": "released", "release_reason": "expired"}, "It was not paid in time"),
        ({"state": "refund_due"}, "Your money is on its way back"),
        ({"state": "refunded", "refunded_at": datetime.now(UTC)}, "Your payment has been sent back."),
        ({"reserved_until": datetime.now(UTC) - timedelta(seconds=1)}, "Its time to pay is over."),
    ],
)
async def test_order_page_says_what_became_of_it(
    app: Application, client: httpx.AsyncClient, values: dict[str, Any], sentence: str
) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    order = (await buy(client)).headers["location"]
    async with transaction(services_of(app).database) as tx:
        await tx.execute(update(VoucherOrder).values(**values))
    page = (await client.get(order)).text
    assert says(page, sentence) and not says(page, "Pay ฿265")


class SilentProvider:
    """A provider that does not answer."""

    name = "test"

    def __getattr__(self, _name: str) -> Any:
        async def nothing(*_arguments: object, **_named: object) -> Any:
            raise Refusal("payment_unavailable")

        return nothing


async def test_a_provider_that_is_away_is_asked_again(
    app: Application, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    services = services_of(app)
    silent = replace(services, payment_providers={"test": SilentProvider()})
    monkeypatch.setattr(app.litestar.state, "services", silent)
    order = (await buy(client)).headers["location"]
    assert says((await client.get(order)).text, "The payment service has not answered yet.")
    again = await post(client, order, f"{order}/payment", follow=True)
    assert says(again.text, "The payment service does not answer. Please try again.")
    monkeypatch.setattr(app.litestar.state, "services", services)
    retried = await post(client, order, f"{order}/payment", follow=True)
    assert says(retried.text, "Pay ฿265")


async def test_a_waiting_room_guards_a_sale_and_the_choice_is_kept(
    app: Application, client: httpx.AsyncClient
) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    services = services_of(app)
    fields = hidden_fields((await client.get(SALE)).text, f"{SALE}/orders")
    await make_room(services.database, services.now(), "queueing", campaign_ids=(sale.campaign_id,))
    await services.room_watch.refresh(services.now())
    sent = await client.post(f"{SALE}/orders", data={**fields, "quantity": "2"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"/gate/HALL-1?return={SALE}")
    assert "tearline_order" in client.cookies
    assert says((await client.get(sent.headers["location"])).text, "Dining vouchers")
    assert (await client.get(SALE)).headers["location"] == f"/gate/HALL-1?return={SALE}"
    assert await count(app, "SELECT count(*) FROM voucher_order") == 0


async def test_orders_of_somebody_else_are_not_there(app: Application, client: httpx.AsyncClient) -> None:
    sale = await sale_of(app)
    sign_in(app, client, sale.members[0])
    order = (await buy(client)).headers["location"]
    token = hidden_fields((await client.get(order)).text, f"{order}/cancel")
    sign_in(app, client, sale.members[1])
    for path in (order, f"{order}/now"):
        assert (await client.get(path)).status_code == 404
    for path in (f"{order}/cancel", f"{order}/payment"):
        assert (await client.post(path, data=token)).status_code == 404
    assert says((await client.get("/orders")).text, "No orders yet")
    assert await count(app, "SELECT count(*) FROM voucher_order WHERE state = 'reserved'") == 1


@pytest.mark.parametrize(
    ("symbology", "code", "read"),
    [
        ("qr", "491111E1311415BAA466", "QRCode"),
        ("code128", "491111E1311415BAA466", "Code128"),
        ("code128", "99491111", "Code128"),
        ("code39", "491111E1311415BAA466", "Code39"),
        ("ean13", "4006381333931", "EAN13"),
        ("ean13", "491111E1311415BAA466", None),
        ("code39", "aBc", None),
        ("text", "491111E1311415BAA466", None),
    ],
)
async def test_wallet_shows_the_partners_code_as_its_scanner_reads_it(
    app: Application, client: httpx.AsyncClient, symbology: str, code: str, read: str | None
) -> None:
    sale = await sale_of(app, codes=(1,))
    async with transaction(services_of(app).database) as tx:
        await tx.execute(update(CodePool).values(symbology=symbology))
        await tx.execute(update(PartnerCode).values(code=code))
    (coupon_id,) = await bought(app, client, sale)
    page = (await client.get(f"/wallet/{coupon_id}")).text
    assert [read_picture(one) for one in pictures_in(page)] == ([] if read is None else [(read, code)])
    shown = page.partition('class="partner-code">')[2].partition("</p>")[0]
    assert shown.replace("<span>", "").replace("</span>", "") == code
    assert "data-rotating-qr" not in page and "hx-get" not in page
    assert (await client.get(f"/wallet/{coupon_id}/qr.svg")).status_code == 404
    wallet = (await client.get("/wallet")).text
    assert says(wallet, "Sold") and "partner-code" not in wallet and code not in wallet


async def test_a_voucher_with_our_own_code_behaves_like_every_coupon(
    app: Application, client: httpx.AsyncClient
) -> None:
    sale = await sale_of(app, codes=(None,))
    (coupon_id,) = await bought(app, client, sale)
    page = (await client.get(f"/wallet/{coupon_id}")).text
    assert "data-rotating-qr" in page and "partner-code" not in page
    assert not says((await client.get("/wallet")).text, "Sold")
    assert (await client.get(f"/wallet/{coupon_id}/qr.svg")).status_code == 200


async def test_a_code_is_shown_to_its_buyer_alone_and_not_when_it_is_over(
    app: Application, client: httpx.AsyncClient
) -> None:
    sale = await sale_of(app, codes=(1,))
    (coupon_id,) = await bought(app, client, sale)
    now = datetime.now(UTC)
    assert "partner-code" in (await client.get(f"/wallet/{coupon_id}")).text
    for values, folder, sentence in (
        ({"valid_from": now + timedelta(days=2)}, "upcoming", "It can be used from"),
        ({"valid_from": now - timedelta(days=2), "valid_until": now}, "expired", "Its last day has passed."),
        ({"state": "void"}, "void", "It was cancelled"),
        ({"state": "redeemed"}, "used", "Used"),
    ):
        async with transaction(services_of(app).database) as tx:
            await tx.execute(update(Coupon).values(**values))
            if folder == "used":
                await tx.execute(update(Voucher).values(used_at=now, use_place="Sukhumvit 11"))
        page = (await client.get(f"/wallet/{coupon_id}")).text
        assert says(page, sentence), folder
        assert ("partner-code" in page) is (folder == "upcoming")
        assert f"/wallet/{coupon_id}" in (await client.get(f"/wallet?folder={folder}")).text
    assert says(page, "Sukhumvit 11") and says(page, "Bistro")
    sign_in(app, client, sale.members[1])
    other = await client.get(f"/wallet/{coupon_id}")
    assert other.status_code == 404 and "partner-code" not in other.text
