"""The shop: what members see, on a phone first."""

from __future__ import annotations

from litestar import Router

from tearline.web.access import SHOP
from tearline.web.shop import (
    account,
    campaigns,
    home,
    market,
    market_cart,
    market_checkout,
    market_coupons,
    market_orders,
    market_returns,
    orders,
    pay,
    sales,
    sign_in,
    wallet,
)
from tearline.web.shop.door import before_page

__all__ = ["router"]


def router() -> Router:
    """Everything at ``/`` that is not another face's."""
    return Router(
        "/",
        dependencies=SHOP,
        before_request=before_page,
        route_handlers=[
            *home.HANDLERS,
            *campaigns.HANDLERS,
            *sales.HANDLERS,
            *orders.HANDLERS,
            *pay.HANDLERS,
            *sign_in.HANDLERS,
            *wallet.HANDLERS,
            *account.HANDLERS,
            *market.HANDLERS,
            *market_cart.HANDLERS,
            *market_coupons.HANDLERS,
            *market_checkout.HANDLERS,
            *market_orders.HANDLERS,
            *market_returns.HANDLERS,
        ],
        include_in_schema=False,
    )
