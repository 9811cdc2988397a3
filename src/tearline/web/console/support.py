"""What the console's pages share: the frame, saving forms, acts of one button, refusals, and choices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.datastructures import Cookie
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS
from tearline.db import transaction
from tearline.i18n import LANGUAGES, _, localised, translate
from tearline.merchants.model import Merchant, StaffMember
from tearline.web.access import AnyRequest
from tearline.web.faces import Face
from tearline.web.problems import answer_exception, refusal_of, sentence_of
from tearline.web.refusing import refused
from tearline.web.security import private_cookie
from tearline.web.services import Services
from tearline.web.ui.assets import manifest, picture_url
from tearline.web.ui.fields import Pictures
from tearline.web.ui.forms import BoundForm
from tearline.web.ui.page import LANGUAGE_COOKIE, language_of, settings_of
from tearline.web.ui.rendering import redirect, render

_YEAR_SECONDS = 365 * 24 * 3600

NAVIGATION = (
    ("overview", "/console", _("Overview"), "console"),
    ("campaigns", "/console/campaigns", _("Campaigns"), "campaigns.read"),
    ("rooms", "/console/rooms", _("Waiting rooms"), "rooms.read"),
    ("orders", "/console/orders", _("Orders"), "sales.read"),
    ("cart-orders", "/console/cart-orders", _("Cart orders"), "orders.read"),
    ("settlement", "/console/settlement", _("Settlement"), "settlement.read"),
    ("offers", "/console/offers", _("Coupon library"), "offers.read"),
    ("catalogue", "/console/catalogue", _("Catalogue"), "catalogue.read"),
    ("pools", "/console/pools", _("Code pools"), "codes.read"),
    ("coupons", "/console/coupons", _("Find a coupon"), "redemptions.read"),
    ("members", "/console/members", _("Members"), "members.read"),
    ("merchants", "/console/merchants", _("Merchants"), "merchants.read"),
    ("staff", "/console/staff", _("Staff"), "staff.manage"),
    ("keys", "/console/keys", _("API keys"), "keys.manage"),
    ("audit", "/console/audit", _("Audit log"), "audit.read"),
)
"""Section, address, label, and the permission without which it isn't shown."""

ROLE_NAMES = {
    "owner": _("Owner"),
    "editor": _("Editor"),
    "finance": _("Finance"),
    "auditor": _("Auditor"),
    "manager": _("Manager"),
    "cashier": _("Cashier"),
}
CURRENCIES = [(code, code) for code in ("HKD", "MOP", "CNY", "TWD", "THB", "SGD", "JPY", "USD", "EUR", "GBP")]
TIME_ZONES = [
    (name, name)
    for name in (
        "Asia/Hong_Kong", "Asia/Macau", "Asia/Shanghai", "Asia/Taipei", "Asia/Singapore", "Asia/Bangkok",
        "Asia/Tokyo", "Asia/Seoul", "Asia/Kuala_Lumpur", "Asia/Dubai", "Europe/London", "Europe/Paris",
        "America/New_York", "America/Los_Angeles", "Australia/Sydney", "UTC",
    )
]  # fmt: skip
LANGUAGE_CHOICES = [(language.tag, language.own_name) for language in LANGUAGES.values()]
EDGE_CHOICES = [
    ("vermilion", _("Vermilion")), ("teal", _("Teal")), ("purple", _("Purple")), ("rust", _("Rust")),
    ("navy", _("Navy")), ("forest", _("Forest green")), ("rose", _("Rose")), ("gold", _("Gold")),
    ("slate", _("Slate")), ("plum", _("Plum")), ("sky", _("Sky blue")), ("olive", _("Olive")),
    ("indigo", _("Indigo")), ("jade", _("Jade")), ("magenta", _("Magenta")), ("brown", _("Brown")),
]  # fmt: skip

Work = Callable[[AsyncConnection], Awaitable[Any]]


def show(request: AnyRequest, template: str, *, status_code: int = 200, **context: Any) -> Response[str]:
    """The page ``console/TEMPLATE`` in the frame of whoever is signed in; with a folder, one of the shared pages.

    Templates get ``can``, the permissions of the person who looks.
    """
    can = permissions_of(request)
    language = language_of(request)
    navigation = [
        (key, href, translate(language, label))
        for key, href, label, permission in NAVIGATION
        if permission in can
    ]
    return render(
        request,
        template if "/" in template else f"console/{template}",
        status_code=status_code,
        can=can,
        navigation=navigation,
        role_names=ROLE_NAMES,
        **context,
    )


FACE = Face("console", show)


def permissions_of(request: AnyRequest) -> frozenset[str]:
    """What the person who is signed in may do; nothing for a stranger."""
    user = request.scope.get("user")
    return PERMISSIONS[user.role] if isinstance(user, StaffMember) else frozenset()


async def save(
    services: Services,
    form: BoundForm,
    work: Work,
    names: Mapping[str, str] | Callable[[str], str] | None = None,
) -> Any:
    """Do the work of a form that was filled in well, in one transaction; None when the form goes back.

    A refusal stands in the form then, at the fields that it speaks of.

    Args:
        work: its answer, such as an id, is answered; True when it answers None.
        names: where the refusal's paths differ from the form's names.
    """
    if not form.is_valid:
        return None
    try:
        async with transaction(services.database) as tx:
            answer = await work(tx)
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed"):
            raise
        form.add_refusal(refusal, names)
        return None
    return True if answer is None else answer


async def act(request: AnyRequest, services: Services, path: str, work: Work, flash: str) -> Response[Any]:
    """Do what one button asks for, in one transaction, and go to ``path``, where it's said what came of it."""
    try:
        async with transaction(services.database) as tx:
            await work(tx)
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed"):
            raise
        return refused(request, path, refusal)
    return redirect(request, path, flash=flash)


def language_cookie(request: AnyRequest, language: str) -> Cookie:
    """The cookie that keeps the language of the pages, as the switcher sets it."""
    secure = settings_of(request).cookies_are_secure
    return private_cookie(LANGUAGE_COOKIE, language, secure=secure, max_age_seconds=_YEAR_SECONDS)


def answer_refusal(request: AnyRequest, error: Exception) -> Response[Any]:
    """What the console says when it says no: in its own frame for whoever is signed in."""
    refusal = refusal_of(error)
    if refusal is None or not isinstance(request.scope.get("user"), StaffMember):
        return answer_exception(request, error)
    sentence = sentence_of(refusal, language_of(request))
    return show(
        request, "refused.html", status_code=refusal.status, reason=refusal.reason, sentence_text=sentence
    )


def version_in(form: BoundForm) -> int:
    """The version of what the person saw, from the form's hidden input; 0 when it was tampered with."""
    typed = form.inputs.first("version")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


def uuid_or_none(text: str | None) -> UUID | None:
    """The id in a text that came from an address or a choice."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


async def merchant_choices(connection: AsyncConnection, language: str) -> list[tuple[str, str]]:
    """Every merchant by its name, for a field or a filter."""
    rows = await connection.execute(select(Merchant.id, Merchant.names).order_by(Merchant.code))
    return [(str(row.id), localised(row.names, language)) for row in rows]


PICTURE_NAMES = {
    "books": _("Books"),
    "bun": _("Bun"),
    "coffee": _("Coffee"),
    "dim-sum": _("Dim sum"),
    "ferris-wheel": _("Ferris wheel"),
    "garden": _("Garden"),
    "gift": _("Gift"),
    "harbour": _("Harbour"),
    "lantern": _("Lantern"),
    "museum": _("Museum"),
    "noodles": _("Noodles"),
    "spa": _("Spa"),
    "tea": _("Tea"),
    "thread": _("Thread"),
    "tram": _("Tram"),
}
"""The installation's pictures, by the names of their files."""


def picture_field(name: str, label: str, present: str | None = None) -> Pictures:
    """A field for one of the installation's pictures; one from elsewhere that is in use stays on offer."""
    ours = sorted(image for image in manifest() if image.startswith("art/"))
    choices = [(image, PICTURE_NAMES.get(image[4:].partition(".")[0], image[4:])) for image in ours]
    if present and present not in {value for value, _label in choices}:
        choices.append((present, _("The present picture")))
    urls = {value: picture_url(value) or "" for value, _label in choices}
    return Pictures(name, label, is_required=False, choices=choices, urls=urls)
