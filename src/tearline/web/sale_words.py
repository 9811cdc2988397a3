"""What states of sales, of orders and of vouchers are called on pages for staff."""

from __future__ import annotations

from datetime import datetime

from tearline.core.campaigns import window_state
from tearline.i18n import _

CAMPAIGN_STATE_NAMES = {
    "draft": _("Draft"),
    "live": _("Live"),
    "paused": _("Paused"),
    "archived": _("Archived"),
    "scheduled": _("Scheduled"),
    "ended": _("Ended"),
}
CAMPAIGN_STATE_KINDS = {"live": "good", "paused": "warn", "scheduled": "accent"}
ORDER_STATE_NAMES = {
    "reserved": _("Being paid"),
    "paid": _("Paid"),
    "released": _("Not paid"),
    "refund_due": _("Refund due"),
    "refunded": _("Refunded"),
}
ORDER_STATE_KINDS = {"reserved": "accent", "paid": "good", "refund_due": "bad", "refunded": "warn"}
COUPON_STATE_NAMES = {
    "open": _("To use"),
    "sold": _("Sold"),
    "held": _("Kept at a counter"),
    "redeemed": _("Redeemed"),
    "expired": _("Expired"),
    "void": _("Cancelled"),
}
COUPON_STATE_KINDS = {"open": "good", "sold": "good", "held": "accent", "expired": "warn", "void": "bad"}


def shown_state(state: str, starts_at: datetime, ends_at: datetime, now: datetime) -> str:
    """The state as a person means it: a live campaign outside of its window is scheduled, or has ended."""
    window = window_state(starts_at, ends_at, now)
    return window if state == "live" and window != "running" else state
