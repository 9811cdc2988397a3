"""The wallet and the coupon's page over HTTP."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy
import pytest
import zxingcpp
from sqlalchemy import select, update

from tearline.core import codes, rotating
from tearline.core.roles import Actor
from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.web.app import Application
from tests.held_by_orders import hold_for_order, use_in_order
from tests.web.shop_support import claim, says, services_of, sign_in, world_of
from tests.worlds import World

pytestmark = pytest.mark.anyio


async def with_coupons(
    app: Application, client: httpx.AsyncClient, **wishes: Any
) -> tuple[World, list[Coupon]]:
    """A member with a claimed gift, signed in; the coupons' rows."""
    world = await world_of(app, **wishes)
    sign_in(app, client, world.members[0])
    assert (await claim(client)).status_code == 303
    return world, await coupons_of(services_of(app).database)


async def coupons_of(database: Database) -> list[Any]:
    async with database.connection() as connection:
        return list(await connection.execute(select(Coupon.__table__).order_by(Coupon.id)))


async def change_coupon(app: Application, coupon_id: UUID, **values: Any) -> None:
    async with transaction(services_of(app).database) as tx:
        await tx.execute(update(Coupon).where(Coupon.id == coupon_id).values(values))


def cashier_of(world: World) -> Actor:
    """A cashier of the world's merchant."""
    return Actor(
        kind="staff",
        id=uuid4(),
        name="Cashier",
        merchant_id=world.merchant_id,
        store_id=world.store_id,
        permissions=frozenset({"counter", "redeem", "reverse"}),
    )


async def test_wallet_needs_a_member(client: httpx.AsyncClient) -> None:
    for path in ("/wallet", "/wallet?folder=used", f"/wallet/{uuid4()}"):
        answer = await client.get(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=/wallet")


async def test_empty_wallet_says_what_to_do(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    for folder, sentence in (
        ("usable", "No coupons to use yet"),
        ("used", "Nothing used yet"),
        ("held", "Nothing in use"),
        ("upcoming", "Nothing to come"),
        ("expired", "Nothing has expired"),
        ("void", "Nothing was cancelled"),
    ):
        assert says((await client.get(f"/wallet?folder={folder}")).text, sentence)
    assert (await client.get("/wallet?folder=other")).status_code == 404


async def test_folders_count_and_hold_what_is_theirs(app: Application, client: httpx.AsyncClient) -> None:
    _, coupons = await with_coupons(app, client, bundle=(1, 1, 1, 1, 1))
    now = datetime.now(UTC)
    usable, upcoming, held, expired, void = (row.id for row in coupons)
    await change_coupon(app, usable, valid_until=now + timedelta(days=2))
    await change_coupon(app, upcoming, valid_from=now + timedelta(days=2))
    await change_coupon(app, held, state="held", hold_id=new_id(), held_until=now + timedelta(minutes=5))
    await change_coupon(app, expired, valid_until=now - timedelta(days=1))
    await change_coupon(app, void, state="void")
    for folder, coupon_id in (
        ("usable", usable),
        ("upcoming", upcoming),
        ("held", held),
        ("expired", expired),
        ("void", void),
    ):
        page = (await client.get(f"/wallet?folder={folder}")).text
        assert re.findall(r'href="/wallet/([0-9a-f-]{36})"', page) == [str(coupon_id)]
        assert re.search(r'aria-current="page">[^<]* <span class="count">1</span>', page)
    assert says((await client.get("/wallet")).text, "2 days left")


async def test_wallet_begins_with_what_ends_first_and_pages(
    app: Application, client: httpx.AsyncClient
) -> None:
    _, coupons = await with_coupons(app, client, bundle=(20, 5))
    now = datetime.now(UTC)
    for position, row in enumerate(coupons):
        await change_coupon(app, row.id, valid_until=now + timedelta(days=40 - position))
    first = (await client.get("/wallet")).text
    shown = re.findall(r'href="/wallet/([0-9a-f-]{36})"', first)
    assert shown == [str(row.id) for row in reversed(coupons)][:20]
    more = re.search(r'href="(/wallet\?folder=usable&amp;after=[^"]+)"', first)
    assert more is not None
    second = (await client.get(more[1].replace("&amp;", "&"))).text
    assert (
        re.findall(r'href="/wallet/([0-9a-f-]{36})"', second)
        == [str(row.id) for row in reversed(coupons)][20:]
    )
    assert says(second, "Back to the first")
    for broken in ("x", "W10", "A" * 3000):
        assert (await client.get(f"/wallet?after={broken}")).status_code == 400


async def test_coupon_shows_all_there_is_to_know(app: Application, client: httpx.AsyncClient) -> None:
    _, coupons = await with_coupons(
        app,
        client,
        offer={"terms": {"en": "One coupon per bill."}, "summaries": {"en": "Across every floor."}},
    )
    page = (await client.get(f"/wallet/{coupons[0].id}")).text
    for sentence in (
        "HK$50 off",
        "Minimum spend HK$300",
        "All stores of Harbour Books",
        "Central",
        "One coupon per bill.",
        "Across every floor.",
        "Hong Kong Time",
        codes.display(coupons[0].code),
    ):
        assert says(page, sentence), sentence


async def test_rotating_code_of_the_page_is_taken_at_the_counter(
    app: Application, client: httpx.AsyncClient
) -> None:
    world, coupons = await with_coupons(app, client)
    page = (await client.get(f"/wallet/{coupons[0].id}")).text
    found = re.search(r'data-code="([^"]+)" data-secret="([^"]+)" data-server-time="(\d+)"', page)
    assert found is not None
    secret = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
    now = datetime.now(UTC)
    assert abs(int(found[3]) / 1000 - now.timestamp()) < 30
    scanned = rotating.payload(found[1], secret, now)
    desk = services_of(app).redemption_desk
    answer = await desk.redeem(cashier_of(world), world.store_id, "till-1", way="cashier", text=scanned)
    assert (answer.coupon_id, answer.verified) == (coupons[0].id, "rotating")


async def test_picture_without_scripts_holds_the_plain_code(
    app: Application, client: httpx.AsyncClient
) -> None:
    _, coupons = await with_coupons(app, client)
    page = (await client.get(f"/wallet/{coupons[0].id}")).text
    path = f"/wallet/{coupons[0].id}/qr.svg"
    assert re.search(rf'<noscript><img src="{path}"', page)
    answer = await client.get(path)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["cache-control"] == "no-store"
    assert read_svg(answer.text) == coupons[0].code


async def test_used_coupon_is_torn_with_when_and_where(app: Application, client: httpx.AsyncClient) -> None:
    world, coupons = await with_coupons(app, client)
    coupon_id = coupons[0].id
    live = f"/wallet/{coupon_id}/ticket?shown=usable"
    assert (await client.get(live)).status_code == 204
    desk = services_of(app).redemption_desk
    redeemed = await desk.redeem(
        cashier_of(world), world.store_id, "till-1", way="cashier", text=coupons[0].code
    )
    torn = await client.get(live)
    assert "data-tears" in torn.text and "<html" not in torn.text
    page = (await client.get(f"/wallet/{coupon_id}")).text
    assert "ticket edge-teal torn" in page and "data-secret" not in page
    assert says(page, "Central") and says(page, "Harbour Books")
    assert (await client.get(f"/wallet/{coupon_id}/qr.svg")).status_code == 404
    await desk.reverse(cashier_of(world), redeemed.redemption_id or redeemed.id, "till-2")
    assert "data-secret" in (await client.get(f"/wallet/{coupon_id}")).text


async def test_a_coupon_that_an_order_holds_is_reserved(app: Application, client: httpx.AsyncClient) -> None:
    world, coupons = await with_coupons(app, client)
    coupon_id, database = coupons[0].id, services_of(app).database
    await hold_for_order(database, world.members[0], coupon_id)
    listed = (await client.get("/wallet?folder=held")).text
    assert f"/wallet/{coupon_id}" in listed and says(listed, "Reserved for an order")
    page = (await client.get(f"/wallet/{coupon_id}")).text
    assert says(page, "Reserved for an order") and says(page, "it is yours again at")
    # No counter takes it now, so there is nothing to show there.
    assert "data-secret" not in page and not says(page, "In use at a counter")
    live = (await client.get(f"/wallet/{coupon_id}/ticket?shown=usable")).text
    assert says(live, "It is reserved for an order") and not says(live, "A cashier")


async def test_a_coupon_that_an_order_used_says_so(app: Application, client: httpx.AsyncClient) -> None:
    world, coupons = await with_coupons(app, client)
    database, member_id = services_of(app).database, world.members[0]
    for coupon, merchant_id, number in zip(coupons, (world.merchant_id, None), ("C-1", "C-2"), strict=False):
        await use_in_order(
            database, member_id, coupon.id, offer_id=coupon.offer_id, merchant_id=merchant_id, number=number
        )
        page = (await client.get(f"/wallet/{coupon.id}")).text
        assert says(page, f"Online order {number}")
    assert len(coupons) >= 2


async def test_coupon_that_cannot_be_used_shows_no_code_to_scan(
    app: Application, client: httpx.AsyncClient
) -> None:
    _, coupons = await with_coupons(app, client)
    now = datetime.now(UTC)
    for values, sentence in (
        ({"valid_from": now + timedelta(days=3)}, "Its QR code will be here then."),
        (
            {"valid_from": now - timedelta(days=3), "valid_until": now - timedelta(days=1)},
            "Its last day has passed.",
        ),
        ({"state": "void"}, "It was cancelled"),
    ):
        await change_coupon(app, coupons[0].id, **values)
        page = (await client.get(f"/wallet/{coupons[0].id}")).text
        assert says(page, sentence) and "data-secret" not in page
        assert (await client.get(f"/wallet/{coupons[0].id}/qr.svg")).status_code == 404


async def test_coupon_of_somebody_else_is_not_there(app: Application, client: httpx.AsyncClient) -> None:
    world, coupons = await with_coupons(app, client)
    sign_in(app, client, world.members[1])
    for path in (
        f"/wallet/{coupons[0].id}",
        f"/wallet/{coupons[0].id}/qr.svg",
        f"/wallet/{coupons[0].id}/ticket",
    ):
        answer = await client.get(path)
        assert answer.status_code == 404 and coupons[0].code not in answer.text
    assert str(coupons[0].id) not in (await client.get("/wallet")).text


def read_svg(svg: str) -> str:
    """What a QR code drawn by segno says: its strokes are put on a bitmap and read as a camera would."""
    size = int(re.search(r'width="(\d+)"', svg)[1]) // 8  # type: ignore[index]
    path = re.search(r'class="qrline"[^>]* d="([^"]+)"', svg)[1]  # type: ignore[index]
    picture = numpy.full((size, size), 255, dtype=numpy.uint8)
    x, y = 0.0, 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", path):
        if command == "h":
            picture[int(y), int(x) : int(x + float(first))] = 0
            x += float(first)
        else:
            x, y = (float(first), float(second)) if command == "M" else (x + float(first), y + float(second))
    found = zxingcpp.read_barcodes(picture.repeat(4, axis=0).repeat(4, axis=1))
    return str(found[0].text)
