"""Prices carts with django-oscar. Run in oscar's own virtual environment: carts as JSON in, times as JSON out.

The settings are those of "Building your own shop" in oscar's documentation, with SQLite in a file in the working
directory. Each cart is a saved basket of a saved customer, priced by oscar's default strategy. Each coupon is a
voucher in that basket, whose offer is exclusive, as oscar's offers are unless told otherwise: a unit that one offer has
used is not offered to the next. Offers may each be applied once, and are loaded as oscar does it.

Timed is ``Applicator().apply(basket, user)``, which is what oscar does to price a basket on every request; the basket's
lines are in memory already, as they are after a request's first look at its basket.

A case: ``{"lines": [[cents, quantity], ...], "coupons": [[kind, value, minimum, [line, ...]], ...]}``, where kind is
``amount`` (value in cents) or ``percent`` (value in percent); minimum is in cents. An answer: ``{"ms", "saving",
"runs"}``, the CPU time of the fastest run, what was taken off in cents, and how many runs there were.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import django
import oscar.defaults
from django.conf import settings

SECONDS_FOR_A_CASE = 2
FEWEST_RUNS = 2
_SHOP = (
    "analytics.apps.AnalyticsConfig", "checkout.apps.CheckoutConfig", "address.apps.AddressConfig",
    "shipping.apps.ShippingConfig", "catalogue.apps.CatalogueConfig",
    "catalogue.reviews.apps.CatalogueReviewsConfig", "communication.apps.CommunicationConfig",
    "partner.apps.PartnerConfig", "basket.apps.BasketConfig", "payment.apps.PaymentConfig",
    "offer.apps.OfferConfig", "order.apps.OrderConfig", "customer.apps.CustomerConfig", "search.apps.SearchConfig",
    "voucher.apps.VoucherConfig", "wishlists.apps.WishlistsConfig", "dashboard.apps.DashboardConfig",
    "dashboard.reports.apps.ReportsDashboardConfig", "dashboard.users.apps.UsersDashboardConfig",
    "dashboard.orders.apps.OrdersDashboardConfig", "dashboard.catalogue.apps.CatalogueDashboardConfig",
    "dashboard.offers.apps.OffersDashboardConfig", "dashboard.partners.apps.PartnersDashboardConfig",
    "dashboard.pages.apps.PagesDashboardConfig", "dashboard.ranges.apps.RangesDashboardConfig",
    "dashboard.reviews.apps.ReviewsDashboardConfig", "dashboard.vouchers.apps.VouchersDashboardConfig",
    "dashboard.communications.apps.CommunicationsDashboardConfig",
    "dashboard.shipping.apps.ShippingDashboardConfig",
)  # fmt: skip
_DJANGO = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "flatpages")


def set_up() -> None:
    """Configure django as oscar's documentation does, and make the database."""
    settings.configure(
        **{name: value for name, value in vars(oscar.defaults).items() if name.isupper()},
        SECRET_KEY="bench",
        INSTALLED_APPS=[
            *(f"django.contrib.{name}" for name in _DJANGO),
            "oscar.config.Shop",
            *(f"oscar.apps.{name}" for name in _SHOP),
            "widget_tweaks", "haystack", "treebeard", "sorl.thumbnail", "django_tables2",
        ],
        SITE_ID=1,
        USE_TZ=True,
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "ATOMIC_REQUESTS": True
            }
        },
    )  # fmt: skip
    django.setup()
    logging.disable(logging.CRITICAL)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def priced(case: dict[str, Any], number: int) -> dict[str, Any]:
    """Price one cart as often as fits into a few seconds."""
    from django.contrib.auth import get_user_model
    from oscar.core.loading import get_class
    from oscar.test import factories

    basket = factories.BasketFactory(owner=get_user_model().objects.create_user(f"member-{number}"))
    products = []
    for cents, quantity in case["lines"]:
        product = factories.create_product(price=Decimal(cents) / 100, num_in_stock=10_000)
        basket.add_product(product, quantity)
        products.append(product)
    for place, coupon in enumerate(case["coupons"]):
        basket.vouchers.add(voucher(coupon, products, f"{number}-{place}"))
    applicator = get_class("offer.applicator", "Applicator")()
    seconds: list[float] = []
    saving = Decimal(0)
    until = time.monotonic() + SECONDS_FOR_A_CASE
    while len(seconds) <= FEWEST_RUNS or time.monotonic() < until:
        basket.reset_offer_applications()
        started = time.process_time()
        applicator.apply(basket, basket.owner)
        seconds.append(time.process_time() - started)
        saving = basket.total_discount
    # The first run fills caches.
    return {"ms": min(seconds[1:]) * 1000, "saving": int(saving * 100), "runs": len(seconds) - 1}


def voucher(coupon: list[Any], products: list[Any], name: str) -> Any:
    """A voucher of an exclusive offer for some products."""
    from django.utils import timezone
    from oscar.core.loading import get_model
    from oscar.test import factories

    kind, value, minimum, lines = coupon
    whole = len(lines) == len(products)
    some = factories.RangeFactory(
        name=name,
        slug=name,
        includes_all_products=whole,
        products=None if whole else [products[n] for n in lines],
    )
    condition_model, benefit_model = get_model("offer", "Condition"), get_model("offer", "Benefit")
    condition = factories.ConditionFactory(
        range=some,
        type=condition_model.VALUE if minimum else condition_model.COUNT,
        value=Decimal(minimum) / 100 if minimum else 1,
    )
    benefit = factories.BenefitFactory(
        range=some,
        type=benefit_model.FIXED if kind == "amount" else benefit_model.PERCENTAGE,
        value=Decimal(value) / 100 if kind == "amount" else Decimal(value),
    )
    offer_model = get_model("offer", "ConditionalOffer")
    offer = factories.ConditionalOfferFactory(
        name=name,
        offer_type=offer_model.VOUCHER,
        condition=condition,
        benefit=benefit,
        max_basket_applications=1,
    )
    now = timezone.now()
    found = get_model("voucher", "Voucher").objects.create(
        name=name,
        code=name.upper(),
        start_datetime=now - timedelta(days=1),
        end_datetime=now + timedelta(days=9),
    )
    found.offers.add(offer)
    return found


def main() -> None:
    """Answer all cases."""
    cases = json.load(sys.stdin)
    set_up()
    from django.db import transaction

    answers = []
    for number, case in enumerate(cases):
        with transaction.atomic():
            answers.append(priced(case, number))
            transaction.set_rollback(True)
    json.dump({"version": oscar.get_version(), "cases": answers}, sys.stdout)


if __name__ == "__main__":
    main()
