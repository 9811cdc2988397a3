"""The catalogue's rules: what a key looks like, what an entry may hold, and the tree of categories."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tearline.core.money import CURRENCY_EXPONENTS, MAXIMUM_AMOUNT
from tearline.core.offers import WHOLE_BASIS_POINTS
from tearline.core.texts import check_image, check_localised


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


LONGEST_KEY = 100
LONGEST_NAME = 200
DEEPEST = 12
"""How many categories a category's path may hold, itself among them."""
PRODUCT_STATES = ("active", "withdrawn")

_KEY = re.compile(r"[!-~]{1,100}")

KEY_SENTENCE = _("Use 1 to 100 letters without accents, digits and signs, and no spaces.")
NO_CATEGORY_SENTENCE = _("There is no such category.")
NO_BRAND_SENTENCE = _("There is no such brand.")
NO_MERCHANT_SENTENCE = _("There is no such merchant.")
NO_PRODUCT_SENTENCE = _("There is no such product.")
KEY_TAKEN_SENTENCE = _("Another merchant's product has this key.")
TWICE_SENTENCE = _("This key is there twice.")
CYCLE_SENTENCE = _("A category cannot lie in itself, nor in one that lies in it.")
TOO_DEEP_SENTENCE = _("Categories can lie in one another twelve deep at the most.")


def is_key(text: str) -> bool:
    """Whether a text can be a key: 1 to 100 characters of visible ASCII."""
    return _KEY.fullmatch(text) is not None


def check_entry(key: str, names: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with an entry's key and names: field to an English sentence; empty when all is well."""
    problems = check_localised("names", names, maximum=LONGEST_NAME, english_required=True)
    return problems if is_key(key) else {"key": KEY_SENTENCE, **problems}


def check_product(
    *, price: int, currency: str, tax_basis_points: int, image: str | None, state: str
) -> dict[str, str]:
    """What is wrong with a product, besides its key, its names and what it refers to."""
    problems: dict[str, str] = {}
    if not 0 <= price <= MAXIMUM_AMOUNT:
        problems["price"] = _("This amount is out of range.")
    if currency not in CURRENCY_EXPONENTS:
        problems["currency"] = _("This currency is not known.")
    if not 0 <= tax_basis_points <= WHOLE_BASIS_POINTS:
        problems["tax_basis_points"] = _("A tax is between 0 and 100 %.")
    if problem := check_image(image):
        problems["image"] = problem
    if state not in PRODUCT_STATES:
        problems["state"] = _("A product is active or withdrawn.")
    return problems


def paths_of(parents: Mapping[str, str | None]) -> tuple[dict[str, list[str]], set[str]]:
    """The path of each category, from itself to the outermost, and the categories that lie in a circle.

    Whatever lies in a circle, or in something that does, has no path.

    Args:
        parents: of every category, in what it lies; each parent is itself among them.
    """
    paths: dict[str, list[str]] = {}
    circular: set[str] = set()
    without_path: set[str] = set()
    for start in parents:
        climbed: dict[str, None] = {}
        key: str | None = start
        while key is not None and key not in paths and key not in climbed and key not in without_path:
            climbed[key] = None
            key = parents[key]
        if key is not None and key not in paths:
            if key in climbed:
                order = list(climbed)
                circular.update(order[order.index(key) :])
            without_path.update(climbed)
            continue
        above = [] if key is None else paths[key]
        for step in reversed(climbed):
            above = paths[step] = [step, *above]
    return paths, circular
