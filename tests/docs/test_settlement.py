"""The example of docs/settlement.md: its postings and what is payable are what the rules come to."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

from tearline.core.cart import Parcel
from tearline.core.choosing import choose
from tearline.core.offers import AmountOff, Funding, PercentOff
from tearline.core.orders import freeze
from tearline.core.redemption import No
from tearline.core.refunds import Remaining, Wish, refund
from tearline.core.settlement import ACCOUNTS, Entry, payable, payment_entries, refund_entries
from tests.core.carts import BOOKS, NOODLES, NOW, cart, line, right

PAGE = (Path(__file__).parents[2] / "docs" / "settlement.md").read_text("utf-8")
COLUMNS = ("customer", "platform", "merchant_discount", "merchant")
NAMES = {"noodle shop": NOODLES, "bookshop": BOOKS}


def rows(first: str) -> list[list[str]]:
    """The rows of tables whose first cell matches, without that of names."""
    found = re.findall(rf"^\| ({first}) \|(.+)\|$", PAGE, re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split("|"))] for name, rest in found]


def shown(minor_units: int) -> str:
    return f"{minor_units / 100:.2f}"


def entries() -> tuple[list[Entry], list[Entry]]:
    """Of the example's order and of its refund."""
    own = right("own", AmountOff(2_000), NOODLES, offer=str(UUID(int=8)))
    tenth = right("tenth", PercentOff(1_000), offer=str(UUID(int=9)), funding=Funding(5_000, 5_000))
    priced = cart(
        line("bowls", 10_000, 2),
        line("book", 5_000, merchant=BOOKS),
        parcels=(Parcel(NOODLES, 1_200),),
        points=3_000,
    )
    order = freeze(priced, choose(priced, (own, tenth), NOW))
    assert f"The member pays {shown(order.total)}." in PAGE
    made = refund(order, Remaining.of(order), Wish(lines={"bowls": 1}))
    assert not isinstance(made, No)
    return payment_entries(order), refund_entries(order, made[0])


def test_the_postings_are_those_of_the_rules() -> None:
    expected = []
    for kind, booked in zip(("payment", "refund"), entries(), strict=True):
        for posting in sorted({entry.posting for entry in booked}):
            of_posting = [entry for entry in booked if entry.posting == posting]
            sums = [sum(entry.amount for entry in of_posting if entry.account == one) for one in COLUMNS]
            name = of_posting[0].line_key or "shipping"
            expected.append([f"{kind}: {name}", *map(shown, sums)])
    assert rows("(?:payment|refund): \\w+") == expected
    assert set(COLUMNS) == set(ACCOUNTS)


def test_what_is_payable_is_what_the_rules_say() -> None:
    booked = [entry for some in entries() for entry in some]
    table = rows("noodle shop|bookshop")
    assert len(table) == 2
    for name, *cells in table:
        own = [entry for entry in booked if entry.merchant_id == NAMES[name]]
        sums = {
            account: sum(entry.amount for entry in own if entry.account == account) for account in ACCOUNTS
        }
        assert cells == [shown(payable(sums, who)) for who in ("platform", "merchant")], name
    noodles = {
        account: sum(one.amount for one in booked if one.merchant_id == NOODLES and one.account == account)
        for account in ACCOUNTS
    }
    sentence = (
        f"sold one bowl and its shipping, {shown(-noodles['merchant'])}, and bears"
        f" {shown(noodles['merchant_discount'])} of discounts: {shown(payable(noodles, 'platform'))} is its due,"
        f" of which {shown(noodles['customer'])} come from the customer and {shown(noodles['platform'])} from"
    )
    assert sentence in PAGE
