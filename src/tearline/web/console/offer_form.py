"""The form of an offer: its fields; ``offer_values`` goes between what they hold and a draft."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from babel.dates import get_day_names

from tearline.core import offers as core
from tearline.i18n import _
from tearline.i18n.formats import locale_of
from tearline.web.console.offer_values import SCOPE_LISTS
from tearline.web.console.support import CURRENCIES, TIME_ZONES, picture_field
from tearline.web.ui.forms import (
    Checkbox,
    Choice,
    Choices,
    DateTime,
    Day,
    Field,
    Form,
    Lines,
    Localised,
    Money,
    Number,
    Percent,
    Rows,
    Section,
    Text,
    Variant,
    read_only,
)

BENEFIT_NAMES = {
    "amount_off": _("Amount off"),
    "percent_off": _("Percent off"),
    "fixed_price": _("Fixed price"),
    "free_shipping": _("Free shipping"),
    "gift": _("Gift"),
}
ISSUER_NAMES = {"platform": _("The platform"), "merchant": _("The merchant")}
WAY_NAMES = {
    "cashier": _("By a cashier"),
    "till": _("By a till, through the API"),
    "checkout": _("In an online cart"),
}

REFUSED_NAMES = {
    "scope.excludes": "scope.excludes.products",
    "funding": "funding_platform",
    "benefit": "benefit",
}
"""Where an action's path for what is wrong differs from the form's name for it."""

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"


@dataclass(frozen=True, slots=True)
class OfferPlace:
    """What the form needs to know about whose offer it is.

    Attributes:
        merchant_id: None for an offer of the platform.
        merchants: to choose from in the scope, for an offer of the platform.
        stores: to choose from; with the merchant's name before each for an offer of the platform.
    """

    merchant_id: UUID | None
    merchants: Sequence[tuple[str, str]]
    stores: Sequence[tuple[str, str]]


def offer_form(
    place: OfferPlace,
    language: str,
    *,
    image: str | None = None,
    currency: str = "HKD",
    time_zone: str = "Asia/Hong_Kong",
    frozen: Collection[str] = (),
) -> Form:
    """The form of one offer.

    Args:
        image, currency, time_zone: of the offer as it is.
        frozen: fields of the draft that can no longer be changed; they are shown without being taken.
    """

    def fields(*ours: Field) -> list[Field]:
        return [read_only(field) if _draft_field(field.name) in frozen else field for field in ours]

    def section(title: str, *ours: Field, note: str = "", is_folded: bool = False) -> Section:
        return Section(title, *fields(*ours), note=note, is_folded=is_folded)

    return Form(
        section(
            _("The offer"),
            Localised("names", _("Name"), maximum_length=120),
            Text(
                "code",
                _("Code"),
                maximum_length=40,
                help=_("Capitals, digits and hyphens; unique in the library."),
            ),
            Localised(
                "summaries",
                _("In one or two sentences"),
                is_long=True,
                rows=2,
                is_required=False,
                maximum_length=500,
            ),
        ),
        section(
            _("What it gives"),
            Choice("currency", _("Currency"), choices=_with(CURRENCIES, currency), default=currency),
            _benefit_field(currency),
            Money(
                "minimum_spend",
                _("Minimum spend"),
                currency=currency,
                currency_field="currency",
                is_required=False,
                help=_("Leave it empty for none."),
            ),
        ),
        section(
            _("When it can be used"),
            Choice("time_zone", _("Time zone"), choices=_with(TIME_ZONES, time_zone), default=time_zone),
            _period_field(time_zone),
            Choices(
                "validity.weekdays",
                _("On these days of the week"),
                is_required=False,
                choices=_weekdays(language),
                help=_("None chosen: on every day."),
            ),
            Rows(
                "validity.hours",
                _("At these hours"),
                fields=[
                    Text("from", _("From"), pattern=_CLOCK, maximum_length=5, placeholder="11:00"),
                    Text("to", _("To"), pattern=_CLOCK, maximum_length=5, placeholder="14:30"),
                ],
                maximum_rows=12,
                help=_("None: the whole day. An end before the beginning lies on the next day."),
            ),
        ),
        section(
            _("How many, and how"),
            Number(
                "issue_limit", _("Coupons in all"), is_required=False, minimum=1, help=_("Empty: no limit.")
            ),
            Number(
                "limit_per_member",
                _("Coupons for one member"),
                is_required=False,
                minimum=1,
                help=_("Empty: no limit."),
            ),
            Choices(
                "redeem_by",
                _("How it is redeemed"),
                choices=list(WAY_NAMES.items()),
                default=list(core.WAYS_OF_REDEEMING),
            ),
            *(_merchants_fields() if place.merchant_id else []),
        ),
        section(
            _("Who issues it and who pays"),
            Choice(
                "issuer",
                _("Issuer"),
                choices=[item for item in ISSUER_NAMES.items() if place.merchant_id or item[0] == "platform"],
                is_open=True,
                default="merchant" if place.merchant_id else "platform",
            ),
            Percent(
                "funding_platform", _("Borne by the platform"), default=0 if place.merchant_id else 10_000
            ),
            Percent(
                "funding_merchant",
                _("Borne by the merchant"),
                default=10_000 if place.merchant_id else 0,
                help=_("The two shares sum to 100 %."),
            ),
        ),
        section(
            _("What it applies to"),
            *_scope_fields("includes", place.merchants),
            *_scope_fields("excludes", place.merchants),
            note=_("Keys of the catalogue, one a line. Nothing here: everything."),
            is_folded=True,
        ),
        section(
            _("Only at some stores"),
            Choices(
                "store_ids",
                _("Stores"),
                is_required=False,
                choices=place.stores,
                help=_("None chosen: at every store of its merchants."),
            ),
            is_folded=True,
        ),
        section(_("In a cart"), *_cart_fields(), is_folded=True),
        section(
            _("Picture and terms"),
            picture_field("image", _("Picture"), image),
            Localised("terms", _("Terms"), is_long=True, is_required=False, maximum_length=10_000, rows=6),
        ),
    )


def _merchants_fields() -> list[Field]:
    return [
        Checkbox(
            "automatic",
            _("A promotion that applies to online carts by itself"),
            help=_(
                "Nobody has to collect it: every cart that fits gets it. It needs a fixed window, has no limits, "
                "and no campaign or sale gives it out."
            ),
        )
    ]


def _benefit_field(currency: str) -> Variant:
    def money(name: str, label: str, **more: Any) -> Money:
        return Money(name, label, currency=currency, currency_field="currency", **more)

    cap = money("cap", _("At most"), is_required=False, minimum_minor_units=1, help=_("Empty: no cap."))
    product_help = _("Its key in the catalogue.")
    return Variant(
        "benefit",
        _("Benefit"),
        kinds=[
            (
                "amount_off",
                BENEFIT_NAMES["amount_off"],
                [
                    money("amount", _("Amount off"), minimum_minor_units=1),
                    Number("times", _("At most this often"), is_required=False, minimum=1, unit=_("times"),
                           help=_("Goes with 'for every' only.")),
                    Checkbox("every", _("Off for every full minimum spend, not only once")),
                    Rows(
                        "steps",
                        _("Further steps"),
                        fields=[money("threshold", _("From a spend of")), money("amount", _("Amount off"))],
                        help=_("More off from a higher spend on."),
                    ),
                ],
            ),
            (
                "percent_off",
                BENEFIT_NAMES["percent_off"],
                [
                    # Above 100 is refused by the rules of offers, with their own words.
                    Percent("basis_points", _("Percent off"), maximum_basis_points=99_999,
                            help=_("What is taken off: 20 is 20 % off, 8 折 in Chinese, so 80 % is paid.")),
                    cap,
                ],
            ),
            (
                "fixed_price",
                BENEFIT_NAMES["fixed_price"],
                [
                    money("price", _("Price")),
                    Text("product", _("Product"), help=product_help),
                    Number("units", _("At most so many of it"), minimum=1, default=1),
                ],
            ),
            (
                "free_shipping",
                BENEFIT_NAMES["free_shipping"],
                [cap, Lines("regions", _("To these regions"), help=_("One a line. Empty: everywhere."))],
            ),
            (
                "gift",
                BENEFIT_NAMES["gift"],
                [
                    Localised("descriptions", _("What the gift is"), maximum_length=200),
                    Text("product", _("Product"), is_required=False, help=product_help),
                ],
            ),
        ],
    )  # fmt: skip


def _period_field(time_zone: str) -> Variant:
    return Variant(
        "validity",
        _("Valid"),
        kinds=[
            (
                core.FixedWindow.kind,
                _("In a fixed window"),
                [
                    DateTime("starts_at", _("From"), time_zone=time_zone, time_zone_field="time_zone"),
                    DateTime("ends_at", _("Until just before"), time_zone=time_zone, time_zone_field="time_zone"),
                ],
            ),
            (
                core.DaysAfterClaim.kind,
                _("For some days after the claim"),
                [
                    Number("days", _("For so many days"), maximum=3650, unit=_("days"), default=7,
                           help=_("0 is the day of the claim only, 7 is that day and the seven after it.")),
                    Number("starts_after_days", _("Beginning after"), maximum=3650, unit=_("days"), default=0,
                           help=_("0: at once.")),
                    Day("last_day", _("Never after"), is_required=False),
                ],
            ),
        ],
    )  # fmt: skip


def _scope_fields(side: str, merchants: Sequence[tuple[str, str]]) -> list[Field]:
    labels = {
        "includes": {
            "products": _("Only these products"),
            "categories": _("Only these categories"),
            "brands": _("Only these brands"),
            "merchants": _("Only at these merchants"),
        },
        "excludes": {
            "products": _("Not these products"),
            "categories": _("Not these categories"),
            "brands": _("Not these brands"),
            "merchants": _("Not at these merchants"),
        },
    }[side]
    fields: list[Field] = [
        Lines(f"scope.{side}.{name}", labels[name], maximum_lines=1000) for name in SCOPE_LISTS
    ]
    if merchants:
        fields.append(
            Choices(f"scope.{side}.merchants", labels["merchants"], is_required=False, choices=merchants)
        )
    return fields


def _cart_fields() -> list[Field]:
    usual = core.CartRules()
    return [
        Choice("cart_rules.excluded_lines", _("Lines that it does not apply to"), default=usual.excluded_lines,
               choices=[("skip", _("Keep their price")), ("block", _("The order cannot use the coupon"))]),
        Choice("cart_rules.threshold_base", _("The minimum spend is compared with"), default=usual.threshold_base,
               choices=[("list_price", _("List prices")), ("after_earlier", _("Prices after earlier discounts"))]),
        Checkbox("cart_rules.exclusive", _("Combines with no other coupon")),
        Checkbox("cart_rules.first_order_only", _("Only for a member's first order")),
        Text("cart_rules.stacking_group", _("Stacking group"), is_required=False, maximum_length=40,
             help=_("One coupon of each group fits into a cart. Empty: the issuer's usual group.")),
        Choice("cart_rules.refund_coupon", _("When the order is refunded, the coupon is"), default=usual.refund_coupon,
               choices=[("return", _("Given back while still valid")), ("reissue", _("Issued again")),
                        ("forfeit", _("Lost"))]),
        Number("cart_rules.reissue_days", _("Issued again for"), is_required=False, minimum=1, maximum=3650,
               unit=_("days")),
        Choice("cart_rules.refund_below_threshold", _("A partial refund below the minimum spend"),
               default=usual.refund_below_threshold,
               choices=[("keep", _("Leaves the discount of the rest")), ("recompute", _("Counts the discount again"))]),
    ]  # fmt: skip


def _draft_field(name: str) -> str:
    """The draft's field that a field of the form belongs to."""
    head = name.partition(".")[0]
    return "funding" if head.startswith("funding_") else head


def _weekdays(language: str) -> list[tuple[str, str]]:
    names = get_day_names("wide", context="stand-alone", locale=locale_of(language))
    return [(str(day), names[day - 1]) for day in range(1, 8)]


def _with(choices: Sequence[tuple[str, str]], present: str) -> list[tuple[str, str]]:
    """The choices, with the one in use even if it isn't usually offered."""
    known = {value for value, _label in choices}
    return [*choices, *([] if present in known else [(present, present)])]
