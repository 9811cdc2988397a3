"""A shop whose orders are paid by Stripe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import stripe

from tearline.db import Database
from tearline.sales.desk import SaleDesk
from tests.paying_shops import Shop
from tests.sale_worlds import assert_clean, make_sale
from tests.stripe_server import StripeServer, checkout, running_stripe


@pytest.fixture
def stripe_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeServer]:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    with running_stripe() as running:
        yield running


@pytest.fixture
async def shop(database: Database, stripe_api: StripeServer) -> AsyncIterator[Shop]:
    provider = checkout(stripe_api)
    made = Shop(database, await make_sale(database, codes=(3,)), SaleDesk(database), stripe_api, provider)
    made.desk = SaleDesk(database, clock=lambda: made.now)
    yield made
    await made.desk.drain()
    await assert_clean(database)
    await provider.close()
