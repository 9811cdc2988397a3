"""A shop whose orders are paid by Stripe."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import stripe
from pytest_httpserver import HTTPServer

from tearline.db import Database
from tearline.sales.desk import SaleDesk
from tests.paying_shops import Shop
from tests.sale_worlds import assert_clean, make_sale
from tests.stripe_server import StripeServer, checkout


@pytest.fixture
def stripe_api(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> StripeServer:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    return StripeServer(httpserver)


@pytest.fixture
async def shop(database: Database, stripe_api: StripeServer) -> AsyncIterator[Shop]:
    provider = checkout(stripe_api)
    made = Shop(database, await make_sale(database, codes=(3,)), SaleDesk(database), stripe_api, provider)
    made.desk = SaleDesk(database, clock=lambda: made.now)
    yield made
    await made.desk.drain()
    await assert_clean(database)
    await provider.close()
