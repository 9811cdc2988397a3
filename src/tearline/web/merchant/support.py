"""What the counter's pages share: the frame with who works where, request numbers, and refusals in it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect

from tearline.core.codes import ALPHABET
from tearline.core.redemption import REVERSAL_WINDOW_OF_CASHIERS, REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.i18n import _, translate
from tearline.merchants.model import StaffMember
from tearline.merchants.reads import Counter, counter
from tearline.merchants.sessions import SessionActor
from tearline.web.access import AnyRequest, GivenServices, GivenSession, services_of
from tearline.web.faces import Face
from tearline.web.merchant.verdicts import verdict_of
from tearline.web.problems import answer_exception, problem_headers
from tearline.web.security import private_cookie
from tearline.web.ui.page import LANGUAGE_COOKIE, language_of
from tearline.web.ui.rendering import render

ROLE_NAMES = {"manager": _("Manager"), "cashier": _("Cashier")}

_HERE = "tearline_counter"
_NAVIGATION = (
    ("scan", "/merchant", _("Scan"), "scan", "redeem"),
    ("redemptions", "/merchant/redemptions", _("Today"), "list", "counter"),
    ("vouchers", "/merchant/pools", _("Vouchers"), "bag", "codes.read"),
    ("business", "/merchant/offers", _("Business"), "home", "offers.read"),
    ("account", "/merchant/account", _("Account"), "person", "counter"),
)
_NUMBER_LENGTH = 12
_YEAR_SECONDS = 365 * 24 * 3600


async def here(request: AnyRequest, services: GivenServices, session: GivenSession) -> Counter:
    """Where the signed-in person works, for the head of the page."""
    assert session.staff.merchant_id is not None
    async with services.database.connection() as connection:
        place = await counter(connection, session.staff.merchant_id, session.store_id)
    request.scope[_HERE] = place  # type: ignore[literal-required]
    return place


GivenHere = NamedDependency[Counter]


def show(request: AnyRequest, template: str, *, status_code: int = 200, **context: Any) -> Response[str]:
    """The page ``merchant/TEMPLATE`` in the frame of whoever is signed in; with a folder, one of the shared pages.

    The handler asks for ``here``, so that the frame can say where the person works. Templates get ``can``, the
    permissions of the person who looks.
    """
    user = request.scope.get("user")
    may = PERMISSIONS[user.role] if isinstance(user, StaffMember) else frozenset()
    language = language_of(request)
    return render(
        request,
        template if "/" in template else f"merchant/{template}",
        status_code=status_code,
        can=may,
        navigation=[
            (key, href, translate(language, label), picture)
            for key, href, label, picture, permission in _NAVIGATION
            if permission in may
        ],
        here=request.scope.get(_HERE),
        role_names=ROLE_NAMES,
        **context,
    )


FACE = Face("merchant", show)


async def face(here: GivenHere) -> Face:
    """This face, for pages that the console has, too; the frame can say where the person works."""
    return FACE


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    """What the counter says when it says no and no page of its own does: in the counter's own frame."""
    if not isinstance(request.scope.get("user"), StaffMember):
        return answer_exception(request, refusal)
    language = language_of(request)
    response = show(
        request, "verdict.html", status_code=refusal.status, verdict=verdict_of(refusal, language), section=""
    )
    response.headers.update(problem_headers(refusal, language))
    return response


def new_number() -> str:
    """A request number that no other request of any merchant has: 60 random bits, short enough to read out."""
    return _grouped("".join(secrets.choice(ALPHABET) for _position in range(_NUMBER_LENGTH)))


def number_of_hold(hold_id: UUID) -> str:
    """The request number with which a preparation is redeemed.

    It follows from the preparation, whose id ends in more than 60 random bits: however often its page is
    loaded, and however often and from how many tabs it is sent, that is one and the same request.
    """
    rest = hold_id.int
    characters = []
    for _position in range(_NUMBER_LENGTH):
        rest, value = divmod(rest, 32)
        characters.append(ALPHABET[value])
    return _grouped("".join(characters))


def reversal_window(actor: Actor) -> timedelta:
    """For how long after a redemption this person may undo it."""
    may_later = "reverse.late" in actor.permissions
    return REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS if may_later else REVERSAL_WINDOW_OF_CASHIERS


def store_needed(path: str = "/merchant") -> Redirect:
    """To the choice of the store, since nothing can be redeemed without one, and back to ``path``."""
    return Redirect(f"/merchant/store?next={path}", status_code=303)


def is_store_gone(refusal: Refusal) -> bool:
    """Whether the desk refused because the chosen store has been closed."""
    return "store_id" in refusal.fields


def keep_language(request: AnyRequest, language: str) -> Cookie:
    """The cookie with which this browser is answered in a language from now on."""
    secure = services_of(request).settings.cookies_are_secure
    return private_cookie(LANGUAGE_COOKIE, language, secure=secure, max_age_seconds=_YEAR_SECONDS)


def merchant_of(actor: Actor) -> UUID:
    """The merchant whose manager is signed in; every page of this face is about that one."""
    if actor.merchant_id is None:
        raise Refusal("not_found")
    return actor.merchant_id


def may_choose_store(session: SessionActor) -> bool:
    """False for somebody whose account belongs to one store."""
    return session.staff.store_id is None


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
