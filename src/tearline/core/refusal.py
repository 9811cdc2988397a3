"""The one list of reasons for an expected 'no', each with its HTTP status and its sentence.

A refusal is part of the product: it is answered as a problem document (RFC 9457) by the API, and as a
translated sentence by the pages. Sentences may hold named placeholders, filled from the refusal's details.
``docs/reasons.md`` is made from this list, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason code means: the HTTP status that carries it and the English sentence for a person."""

    status: int
    sentence: str


REASONS: dict[str, Reason] = {
    # Anyone, anything
    "invalid": Reason(422, _("Some of what was sent does not make sense; see the fields.")),
    "malformed": Reason(400, _("The request could not be read.")),
    "too_large": Reason(413, _("The request is too large.")),
    "unsupported_media_type": Reason(415, _("This kind of content is not accepted here.")),
    "method_not_allowed": Reason(405, _("This address does not answer this method.")),
    "not_acceptable": Reason(406, _("This address cannot answer in the form asked for.")),
    "not_found": Reason(404, _("There is nothing here by that name.")),
    "conflict": Reason(409, _("This clashes with something that already exists.")),
    "already_taken": Reason(409, _("This is already in use; choose another.")),
    "changed_meanwhile": Reason(
        409, _("Somebody else changed this meanwhile. Load it again and repeat your change.")
    ),
    "not_editable": Reason(409, _("This can no longer be changed in its present state.")),
    "idempotency_key_missing": Reason(400, _("This request needs an Idempotency-Key header.")),
    "idempotency_key_reused": Reason(422, _("This idempotency key was used for a different request.")),
    "too_many_attempts": Reason(429, _("Too many attempts. Please wait a little and try again.")),
    "unavailable": Reason(503, _("The service is busy right now. Please try again; nothing is lost.")),
    # Who is asking
    "not_signed_in": Reason(401, _("Please sign in first.")),
    "wrong_key": Reason(401, _("This API key is unknown or has been revoked.")),
    "session_ended": Reason(401, _("Your session has ended. Please sign in again.")),
    "not_allowed": Reason(403, _("You may not do this.")),
    "csrf": Reason(403, _("This form is too old. Load the page again and repeat.")),
    "wrong_credentials": Reason(401, _("The e-mail address or the password is wrong.")),
    "totp_required": Reason(401, _("Enter the code from your authenticator app.")),
    "wrong_totp": Reason(401, _("That code is wrong or was used already.")),
    "locked": Reason(429, _("Too many failed sign-ins. Try again in %(minutes)s minutes.")),
    # Phone sign-in
    "invalid_phone": Reason(
        422, _("This is not a phone number we can reach. Check the number and the country code.")
    ),
    "unsupported_country": Reason(422, _("We cannot send codes to this country.")),
    "resend_too_soon": Reason(
        429, _("A code is on its way. You can ask for another in %(seconds)s seconds.")
    ),
    "wrong_code": Reason(422, _("That code is wrong. You have %(tries_left)s tries left.")),
    "code_expired": Reason(422, _("That code is no longer valid. Ask for a new one.")),
    "member_blocked": Reason(403, _("This membership has been suspended. Please contact us.")),
    # Claiming
    "not_started": Reason(409, _("This campaign has not started yet.")),
    "ended": Reason(409, _("This campaign has ended.")),
    "paused": Reason(409, _("This campaign is paused. Please come back a little later.")),
    "wrong_password": Reason(422, _("That password is not right. Check it and try again.")),
    "not_in_audience": Reason(
        403, _("This campaign is for a particular group of members, and you are not in it.")
    ),
    "member_limit_reached": Reason(409, _("You have already claimed as often as this campaign allows.")),
    "daily_limit_reached": Reason(
        409, _("You have claimed as often as is allowed today. Come back tomorrow.")
    ),
    "prize_limit_reached": Reason(409, _("You have already claimed this gift as often as is allowed.")),
    "offer_member_limit_reached": Reason(
        409, _("You already hold as many of one of these coupons as is allowed.")
    ),
    "sold_out": Reason(409, _("All of these have been given out.")),
    "inventory_lowered": Reason(409, _("The inventory can only be raised. It is %(inventory)s now.")),
    # Waiting rooms
    "room_closed": Reason(409, _("This waiting room is closed at the moment.")),
    "room_ended": Reason(409, _("This waiting room has ended. Nobody else is let in.")),
    "room_full": Reason(409, _("Everyone who may be inside is inside. You are next; wait a few seconds.")),
    "not_called": Reason(409, _("It is not your turn yet.")),
    "turn_missed": Reason(409, _("Your turn has passed. You can join the line again at its end.")),
    "wrong_ticket": Reason(422, _("This ticket does not belong to this waiting room.")),
    "ticket_used": Reason(409, _("This ticket has been used in another browser.")),
    "wrong_proof": Reason(422, _("The check of your browser did not succeed. Please try again.")),
    "wrong_bypass": Reason(404, _("This link does not lead inside any more.")),
    "wrong_site": Reason(422, _("This waiting room does not lead to that address.")),
    "pass_required": Reason(403, _("Please wait in line first; you are let in when it is your turn.")),
    "pass_ended": Reason(403, _("Your time inside has ended.")),
    "pass_taken": Reason(403, _("Another member is using this place. Please join the line yourself.")),
    # Partners' codes
    "unreadable_file": Reason(422, _("This file could not be read as a list.")),
    "file_not_ready": Reason(409, _("This file has been imported or discarded already.")),
    "orders_open": Reason(
        409, _("%(codes)s codes are in orders that are being paid. Hand back when they are done.")
    ),
    "nothing_to_hand_back": Reason(409, _("There are no unsold codes.")),
    "sale_running": Reason(
        409, _("A sale of these codes is not over yet. Hand back when its period has ended.")
    ),
    # Buying
    "order_too_large": Reason(422, _("You can buy %(most)s at a time at the most.")),
    "purchase_limit_reached": Reason(409, _("You have bought as many as one member may.")),
    "fewer_left": Reason(409, _("Only %(left)s are left.")),
    "order_released": Reason(409, _("This order was not paid in time. Please order again.")),
    "order_paid": Reason(409, _("This order has been paid.")),
    "payment_unavailable": Reason(503, _("The payment service does not answer. Please try again.")),
    "wrong_signature": Reason(400, _("The signature of this message is not right.")),
    # Carts
    "nothing_in_scope": Reason(422, _("Nothing in the cart is covered by this coupon.")),
    "excluded_lines": Reason(422, _("The cart holds something that this coupon does not allow.")),
    "first_order_only": Reason(422, _("This coupon is for a first order only.")),
    "not_combinable": Reason(422, _("This coupon cannot be combined with the others.")),
    "nothing_left": Reason(422, _("Other discounts leave nothing for this coupon to take off.")),
    "other_currency": Reason(422, _("This coupon is in another currency.")),
    "cart_too_large": Reason(422, _("A cart can hold %(most)s lines at the most.")),
    "price_changed": Reason(409, _("The price has changed meanwhile. Please look at the cart again.")),
    "coupon_taken": Reason(409, _("A coupon of this order has been used elsewhere meanwhile.")),
    "order_cancelled": Reason(409, _("This order has been cancelled.")),
    "order_not_paid": Reason(409, _("This order has not been paid.")),
    "refund_too_large": Reason(409, _("Only %(left)s of these can still be refunded.")),
    "nothing_to_refund": Reason(409, _("Everything of this order has been refunded.")),
    # Redeeming
    "code_not_recognised": Reason(404, _("This is not a coupon that can be used here.")),
    "code_misread": Reason(422, _("This code has a typing mistake. Please check it.")),
    "screenshot": Reason(
        422, _("This QR code is out of date. Ask for the coupon on the member's own screen.")
    ),
    "other_merchant": Reason(403, _("This coupon belongs to another merchant.")),
    "other_store": Reason(403, _("This coupon cannot be used at this store.")),
    "not_applicable": Reason(422, _("This coupon cannot be redeemed in this way.")),
    "minimum_not_reached": Reason(422, _("The minimum spend of this coupon is not reached.")),
    "not_valid_yet": Reason(409, _("This coupon is not valid yet.")),
    "not_valid_now": Reason(409, _("This coupon cannot be used at this time of the week.")),
    "expired": Reason(409, _("This coupon has expired.")),
    "already_redeemed": Reason(409, _("This coupon has already been used.")),
    "held_elsewhere": Reason(409, _("This coupon is being used somewhere else right now.")),
    "hold_expired": Reason(409, _("The preparation has expired. Scan the coupon again.")),
    "coupon_void": Reason(409, _("This coupon has been cancelled.")),
    "already_reversed": Reason(409, _("This redemption has already been undone.")),
    "reversal_too_late": Reason(409, _("This redemption can no longer be undone here.")),
}


class Refusal(Exception):  # noqa: N818 - a refusal is an expected answer, not an error
    """An expected 'no'.

    Args:
        reason: a key of ``REASONS``.
        fields: for ``invalid`` and its like, what is wrong with which field: a dotted path to an
            English sentence.
        details: values for the sentence's placeholders, and members of the problem document.
    """

    def __init__(self, reason: str, *, fields: dict[str, str] | None = None, **details: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields or {}
        self.details = details

    @property
    def status(self) -> int:
        """The HTTP status that carries this refusal."""
        return REASONS[self.reason].status

    @property
    def sentence(self) -> str:
        """The English sentence, placeholders not yet filled."""
        return REASONS[self.reason].sentence
