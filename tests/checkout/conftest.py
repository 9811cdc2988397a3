"""What tests of orders begin with."""

from __future__ import annotations

import pytest

from tearline.db import Database
from tests.cart_worlds import CartWorld, make_cart_world


@pytest.fixture
async def world(database: Database) -> CartWorld:
    """A noodle shop, a bookshop, two members and no coupons."""
    return await make_cart_world(database)
