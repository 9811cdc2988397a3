"""The market's cart: kept by the browser in a signed cookie, so that it works for guests and needs no table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.core.sealing import TextSeal
from tearline.web.access import AnyRequest, services_of
from tearline.web.security import expired_cookie, private_cookie
from tearline.web.services import Services
from tearline.web.shop.shipping import NEAREST, REGIONS

BASKET_COOKIE = "tearline_cart"
MOST_LINES = 30
MOST_QUANTITY = 99
"""Units of one line."""
MOST_COUPONS = 20
MOST_CODES = 5
_PATH = "/market"
_KEPT_SECONDS = 30 * 24 * 3600
# Browsers keep cookies of 4096 bytes, name and attributes among them.
_MOST_CHARACTERS = 3800


@dataclass(frozen=True, slots=True)
class Basket:
    """What somebody is about to buy, and how they want their coupons used.

    Attributes:
        lines: keys of products, each with how many; every product once.
        region: where it is sent, a key of ``shipping.REGIONS``.
        is_given: whether the member has chosen the coupons; otherwise the best combination is found anew each time.
        coupon_ids: those chosen.
        codes: of coupons that were typed in, normalised; whoever holds them.
    """

    lines: tuple[tuple[str, int], ...] = ()
    region: str = NEAREST
    is_given: bool = False
    coupon_ids: tuple[UUID, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """How many things are in it."""
        return sum(quantity for _key, quantity in self.lines)

    def quantity_of(self, product: str) -> int:
        """How many of a product are in it."""
        return dict(self.lines).get(product, 0)

    def with_quantity(self, product: str, quantity: int) -> Basket:
        """With so many of a product, at most ``MOST_QUANTITY``; 0 takes it out.

        Raises:
            Refusal: ``cart_too_large``.
        """
        quantity = max(0, min(quantity, MOST_QUANTITY))
        lines = dict(self.lines)
        if quantity:
            lines[product] = quantity
        else:
            lines.pop(product, None)
        if len(lines) > MOST_LINES:
            raise Refusal("cart_too_large", most=MOST_LINES)
        return replace(self, lines=tuple(lines.items()))

    def with_coupons(self, coupon_ids: Iterable[UUID], codes: Iterable[str]) -> Basket:
        """With these coupons and no others."""
        return replace(
            self,
            is_given=True,
            coupon_ids=tuple(dict.fromkeys(coupon_ids))[:MOST_COUPONS],
            codes=tuple(dict.fromkeys(codes))[:MOST_CODES],
        )

    def with_best(self) -> Basket:
        """With the best combination, whatever it is; codes that were typed in may be part of it."""
        return replace(self, is_given=False, coupon_ids=())

    def with_code(self, code: str) -> Basket:
        """With a code that was typed in; the newest are kept."""
        codes = tuple(dict.fromkeys((code, *self.codes)))
        return replace(self, codes=codes[:MOST_CODES])

    def emptied(self) -> Basket:
        """After an order: nothing is left but where things are sent."""
        return Basket(region=self.region)


class _Form(msgspec.Struct, array_like=True, frozen=True):
    """A basket as its cookie carries it; ids as 16 bytes."""

    lines: tuple[tuple[str, int], ...]
    region: str
    is_given: bool
    coupon_ids: tuple[bytes, ...]
    codes: tuple[str, ...]


def basket_of(request: AnyRequest) -> Basket:
    """The cart that the browser keeps; empty when there is none, or it is not as we wrote it."""
    packed = _seal(services_of(request)).opened(request.cookies.get(BASKET_COOKIE, ""))
    if packed is None:
        return Basket()
    try:
        form = msgspec.msgpack.decode(packed, type=_Form)
    except msgspec.DecodeError:
        return Basket()
    return Basket(
        form.lines,
        form.region if form.region in REGIONS else NEAREST,
        form.is_given,
        tuple(UUID(bytes=one) for one in form.coupon_ids),
        form.codes,
    )


def packed_of(basket: Basket) -> bytes:
    """The cart as bytes: the same for the same cart."""
    return msgspec.msgpack.encode(
        _Form(
            basket.lines,
            basket.region,
            basket.is_given,
            tuple(one.bytes for one in basket.coupon_ids),
            basket.codes,
        )
    )


def basket_cookie(request: AnyRequest, basket: Basket) -> Cookie:
    """The cookie that keeps a cart.

    Raises:
        Refusal: ``cart_too_large`` where no cookie could hold it.
    """
    services = services_of(request)
    secure = services.settings.cookies_are_secure
    if basket == Basket():
        return expired_cookie(BASKET_COOKIE, path=_PATH, secure=secure)
    token = _seal(services).sealed(packed_of(basket))
    if token is None:
        raise Refusal("cart_too_large", most=max(1, len(basket.lines) - 1))
    return private_cookie(BASKET_COOKIE, token, path=_PATH, secure=secure, max_age_seconds=_KEPT_SECONDS)


def on_with(request: AnyRequest, basket: Basket, address: str) -> Response[None]:
    """On to a page, with the cart as it is now."""
    return Redirect(
        address,
        status_code=303,
        cookies=[basket_cookie(request, basket)],
        headers={"cache-control": "no-store"},
    )


def _seal(services: Services) -> TextSeal:
    return TextSeal("c1", b"tearline market cart v1", services.settings.secret_keys, _MOST_CHARACTERS)
