"""News of payments over HTTP, and the page of payments that cost nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
import stripe
from pytest_httpserver import HTTPServer
from sqlalchemy import select

from tearline.payments.trial import TrialPayments
from tearline.sales.model import PaymentEvent
from tearline.sales.paying import PaymentUrls, begin_payment
from tearline.sales.reads import OrderView, order_of
from tearline.web.app import Application
from tests.callers import running_on, settings_for
from tests.sale_worlds import Sale, make_sale, order
from tests.stripe_server import KEY, SECRET, StripeServer, signed
from tests.web.browsing import Browser
from tests.web.shop_support import services_of

pytestmark = pytest.mark.anyio

NEWS = "/api/v1/payments/stripe/events"


@pytest.fixture
def stripe_api(httpserver: HTTPServer) -> StripeServer:
    return StripeServer(httpserver)


@pytest.fixture
async def selling(
    database_url: str, stripe_api: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Application]:
    """The application with Stripe and with payments that cost nothing."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    settings = settings_for(
        database_url,
        payment_providers="stripe,test",
        stripe_secret_key=KEY,
        stripe_webhook_secret=SECRET,
        stripe_api_url=stripe_api.url,
    )
    async with running_on(settings) as app:
        yield app


@pytest.fixture
async def client(selling: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(selling, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http


@contextmanager
def all_that_is_logged() -> Iterator[list[str]]:
    """What every library logs until the block ends, at its most talkative but for those that are silenced."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.msg} {record.args}")

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)


async def ordered(app: Application, sale: Sale, provider: str) -> tuple[OrderView, str]:
    """An order, and where it is paid."""
    services = services_of(app)
    answer = await order(services.sale_desk, sale)
    async with services.database.connection() as connection:
        wanted = await order_of(connection, sale.members[0], answer.order_id)
    page = f"http://127.0.0.1:8000/orders/{wanted.id}"
    urls = PaymentUrls(f"{page}?paid=1", page)
    chosen = services.payment_providers[provider]
    return wanted, await begin_payment(services.database, chosen, wanted, urls, services.now())


async def state_of(app: Application, wanted: OrderView) -> str:
    async with services_of(app).database.connection() as connection:
        return (await order_of(connection, wanted.member_id, wanted.id)).state


async def test_news_is_taken_from_whoever_signs_it(
    selling: Application, client: httpx.AsyncClient, stripe_api: StripeServer
) -> None:
    sale = await make_sale(services_of(selling).database)
    with all_that_is_logged() as logs:
        wanted, address = await ordered(selling, sale, "stripe")
        headers, body = signed(stripe_api.pay(address.rpartition("/")[2]))
        assert b"somebody@example.org" in body
        forged = await client.post(NEWS, content=body.replace(b"paid", b"Paid"), headers=headers)
        assert (forged.status_code, forged.json()["reason"]) == (400, "wrong_signature")
        assert await state_of(selling, wanted) == "reserved"
        for _ in range(2):
            taken = await client.post(NEWS, content=body, headers=headers)
            assert (taken.status_code, taken.json()) == (200, {"outcome": "delivered"})
    assert await state_of(selling, wanted) == "paid"
    assert any("payment_news" in line for line in logs)
    assert not re.search(r"somebody@|whsec|sk_test|v1=", str(logs))


async def test_what_is_not_for_us_is_taken_and_kept(
    selling: Application, client: httpx.AsyncClient, stripe_api: StripeServer
) -> None:
    for kind, outcome in (("customer.created", "nothing"), ("checkout.session.expired", "unknown")):
        headers, body = signed(stripe_api.event(kind, {"id": "cs_of_another_shop"}))
        taken = await client.post(NEWS, content=body, headers=headers)
        assert (taken.status_code, taken.json()) == (200, {"outcome": outcome})
    async with services_of(selling).database.connection() as connection:
        assert sorted(await connection.scalars(select(PaymentEvent.outcome))) == ["nothing", "unknown"]


async def test_what_is_no_news_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get(NEWS)).status_code == 405
    assert (await client.post(NEWS)).status_code == 400
    assert (await client.post("/api/v1/payments/paypal/events")).status_code == 404
    assert (await client.post(NEWS, content=b"x" * 70_000)).status_code == 413


async def test_news_is_sent_again_when_it_could_not_be_kept(
    selling: Application, client: httpx.AsyncClient, stripe_api: StripeServer, database_url: str
) -> None:
    wanted, address = await ordered(selling, await make_sale(services_of(selling).database), "stripe")
    headers, body = signed(stripe_api.pay(address.rpartition("/")[2]))
    base, _slash, name = database_url.rpartition("/")
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        away = await client.post(NEWS, content=body, headers=headers)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (away.status_code, away.json()["reason"]) == (503, "unavailable")
    taken = await client.post(NEWS, content=body, headers=headers)
    assert taken.json() == {"outcome": "delivered"}
    assert await state_of(selling, wanted) == "paid"


@pytest.mark.parametrize(
    ("act", "state", "way", "said"),
    [
        ("paid", "paid", "?paid=1", "This has been paid."),
        ("failed", "released", "", "This payment can no longer be made."),
        ("expired", "released", "", "This payment can no longer be made."),
    ],
)
async def test_a_trial_payment_is_paid_declined_or_left(
    selling: Application, client: httpx.AsyncClient, act: str, state: str, way: str, said: str
) -> None:
    wanted, address = await ordered(selling, await make_sale(services_of(selling).database), "test")
    browser = Browser(client)
    page = await browser.get(address)
    assert "Trial payment" in page.text
    assert "265" in page.text
    assert page.answer.headers["cache-control"] == "no-store"
    sent = await browser.post(page.forms[0].action.replace("&amp;", "&"), {"act": act}, follow=False)
    assert (sent.status, sent.answer.headers["location"]) == (303, f"/orders/{wanted.id}{way}")
    assert await state_of(selling, wanted) == state
    again = await browser.get(address)
    assert said in again.text and "Pay " not in again.text


async def test_a_trial_payment_that_comes_too_late_is_a_late_payment(
    selling: Application, client: httpx.AsyncClient
) -> None:
    wanted, address = await ordered(selling, await make_sale(services_of(selling).database), "test")
    browser = Browser(client)
    await browser.get(address)
    assert (await browser.post(address, {"act": "expired"}, follow=False)).status == 303
    assert (await browser.post(address, {"act": "paid"}, follow=False)).status == 303
    assert await state_of(selling, wanted) == "paid"


async def test_a_trial_page_leads_nowhere_else_and_takes_nothing_else(
    selling: Application, client: httpx.AsyncClient
) -> None:
    _wanted, address = await ordered(selling, await make_sale(services_of(selling).database), "test")
    page = address.partition("?")[0]
    browser = Browser(client)
    shown = await browser.get(f"{page}?done=https://evil.example&back=//evil.example")
    assert 'href="https://evil' not in shown.html
    sent = await browser.post(f"{page}?done=https://evil.example", {"act": "paid"}, follow=False)
    assert sent.answer.headers["location"] == "/orders"
    assert (await browser.post(page, {"act": "free"})).status == 400
    assert (await browser.get("/pay/trial_unknown")).status == 404
    assert (await client.post(page, data={"act": "paid"})).status_code == 403


async def test_trial_news_comes_over_http_too(selling: Application, client: httpx.AsyncClient) -> None:
    wanted, address = await ordered(selling, await make_sale(services_of(selling).database), "test")
    services = services_of(selling)
    trial = services.payment_providers["test"]
    assert isinstance(trial, TrialPayments)
    async with services.database.connection() as connection:
        seen = await order_of(connection, wanted.member_id, wanted.id)
    reference = address.partition("?")[0].removeprefix("/pay/")
    assert seen.payment_id is not None
    headers, body = trial.tell(reference, "paid", seen.payment_id, wanted.amount, wanted.currency)
    taken = await client.post("/api/v1/payments/test/events", content=body, headers=headers)
    assert taken.json() == {"outcome": "delivered"}


async def test_without_the_trial_provider_there_is_no_such_page(database_url: str) -> None:
    async with running_on(settings_for(database_url, payment_providers="")) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            assert (await client.get("/pay/trial_x")).status_code == 404
            assert (await client.post("/api/v1/payments/test/events")).status_code == 404
