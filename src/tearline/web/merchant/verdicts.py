"""The counter's answers when a coupon cannot be redeemed: few words, large, each with what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from tearline.core.refusal import Refusal
from tearline.i18n import _, translate, translate_counted
from tearline.web.problems import retry_after_seconds, sentence_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """One large answer, in the reader's language.

    Attributes:
        kind: ``bad`` when there is nothing to be done, ``warn`` when something can, ``good``.
        icon: said again without words and without colour.
        is_worth_typing: whether the code may be typed instead.
    """

    title: str
    text: str
    kind: str
    icon: str
    is_worth_typing: bool = False


_WORDS: dict[str, tuple[str, str, str, str]] = {
    "other_merchant": (
        _("Another merchant's coupon"),
        _("It cannot be used here. The coupon itself says where it can."),
        "bad",
        "cross",
    ),
    "other_store": (
        _("Not at this store"),
        _("It can be used at other stores only."),
        "bad",
        "cross",
    ),
    "expired": (_("Expired"), _("Its time is over. It cannot be used any more."), "bad", "clock"),
    "already_redeemed": (_("Already used"), _("A coupon can be used once."), "bad", "cross"),
    "coupon_void": (_("Cancelled"), _("This coupon has been cancelled and cannot be used."), "bad", "cross"),
    "not_applicable": (
        _("Not at the counter"),
        _("This coupon is not redeemed at a counter. Its terms say how it is used."),
        "bad",
        "cross",
    ),
    "code_not_recognised": (
        _("Unknown code"),
        _("There is no coupon with this code. Please compare it with the member's screen."),
        "bad",
        "cross",
    ),
    "code_misread": (
        _("Not a coupon's code"),
        _("A code has 14 letters and digits. One of them is wrong, or this is the code of something else."),
        "warn",
        "cross",
    ),
    "screenshot": (
        _("Out of date"),
        _(
            "This may be a picture of the code. Ask the member to open the coupon on their own phone, and scan that."
        ),
        "warn",
        "clock",
    ),
    "held_elsewhere": (
        _("In use elsewhere"),
        _("This coupon is in use at another counter, or in an online order, right now."),
        "warn",
        "clock",
    ),
    "hold_expired": (
        _("Kept too long"),
        _("Nothing was redeemed. Scan the coupon again."),
        "warn",
        "clock",
    ),
    "not_valid_yet": (_("Not valid yet"), _("It can be used from a later day on."), "warn", "clock"),
    "not_valid_now": (
        _("Not at this time"),
        _("It can be used on other days, or at other hours."),
        "warn",
        "clock",
    ),
    "too_many_attempts": (
        _("Too many attempts"),
        _("Too many codes led to nothing."),
        "bad",
        "clock",
    ),
    "unavailable": (
        _("Please try again"),
        _("The service did not answer. A coupon is never redeemed twice, so trying again is safe."),
        "warn",
        "clock",
    ),
    "already_reversed": (_("Already undone"), _("This redemption has been undone before."), "warn", "cross"),
    "reversal_too_late": (
        _("Too late to undo"),
        _("The time for undoing this redemption is over. A manager can undo it for longer."),
        "bad",
        "clock",
    ),
    "not_allowed": (_("Not allowed"), _("You may not do this."), "bad", "cross"),
    "not_found": (_("Nothing here"), _("There is nothing here by that name."), "warn", "cross"),
}
_TYPING_HELPS = frozenset({"code_misread", "screenshot", "code_not_recognised"})


def verdict_of(refusal: Refusal, language: str, text: str = "") -> Verdict:
    """The large answer for a refusal.

    Args:
        text: what is known in this case, such as when and where it was used; else what is always true.
    """
    if refusal.reason not in _WORDS:
        return Verdict(translate(language, _("Not done")), sentence_of(refusal, language), "bad", "cross")
    title, usual_text, kind, icon = _WORDS[refusal.reason]
    text = text or translate(language, usual_text)
    if refusal.reason == "too_many_attempts":
        minutes = -(-(retry_after_seconds(refusal) or 60) // 60)
        wait = translate_counted(
            language, "Try again in %(n)s minute.", "Try again in %(n)s minutes.", minutes
        )
        text = f"{text} {wait}"
    return Verdict(translate(language, title), text, kind, icon, refusal.reason in _TYPING_HELPS)
