"""The counter's pages over HTTP: signing in, choosing a store, redeeming, undoing, and what each may see."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tearline.core import rotating
from tearline.core.codes import ALPHABET, is_well_formed
from tearline.coupons.model import Redemption
from tearline.coupons.rotation import coupon_secret
from tearline.db import transaction
from tearline.merchants.model import Store
from tearline.offers.model import Offer
from tearline.web.app import Application
from tests.callers import SECRET
from tests.cashiers import Counter, add_staff, add_store, browser, make_counter, other_merchant
from tests.counters import assert_clean
from tests.held_by_orders import ORDER_NUMBER, hold_for_order, use_in_order

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counter(app: Application) -> Counter:
    return await make_counter(app)


# Signing in


async def test_a_stranger_is_sent_to_sign_in_and_back(app: Application) -> None:
    stranger = browser(app)
    page = await stranger.get("/merchant/redemptions?on_from=&on_to=")
    assert stranger.path == "/merchant/sign-in"
    assert "next=/merchant/redemptions" in str(page.url)


async def test_wrong_password_is_refused_and_guessing_locks(counter: Counter) -> None:
    guesser = browser(counter.app)
    page = await guesser.sign_in("mei@example.org", "not the one")
    assert page.status_code == 401
    assert "password is wrong" in guesser.text
    for _attempt in range(10):
        page = await guesser.sign_in("mei@example.org", "not the one")
    assert page.status_code == 429
    assert "Too many failed sign-ins" in guesser.text
    assert int(page.headers["retry-after"]) > 0
    assert (await guesser.sign_in("mei@example.org")).status_code == 429


async def test_the_operators_staff_are_shown_to_the_console(counter: Counter) -> None:
    email = await add_staff(counter.database, None, "Olga", "owner")
    olga = browser(counter.app)
    assert (await olga.sign_in(email)).status_code == 403
    assert "belongs to the console" in olga.text
    await olga.get("/merchant")
    assert olga.path == "/merchant/sign-in"


async def test_a_fixed_store_or_the_only_one_needs_no_choice(counter: Counter) -> None:
    assert counter.cashier.path == "/merchant"
    second = await add_store(counter.database, counter.world.merchant_id, "kowloon")
    fixed = await counter.person("Bo", store_id=second)
    assert fixed.path == "/merchant"
    assert fixed.page is not None
    assert "Kowloon" in fixed.page.text
    await fixed.get("/merchant/store")
    assert fixed.path == "/merchant"


async def test_a_store_is_chosen_for_the_session(counter: Counter) -> None:
    second = await add_store(counter.database, counter.world.merchant_id, "kowloon")
    chooser = await counter.person("Bo")
    assert chooser.path == "/merchant/store"
    assert "Central" in chooser.text
    assert "Kowloon" in chooser.text
    await chooser.post("/merchant/store?next=/merchant", store_id=str(second))
    assert chooser.path == "/merchant"
    await chooser.scan(counter.code)
    await chooser.post(chooser.path, action="redeem")
    assert "Kowloon" in chooser.text


async def test_another_merchants_store_cannot_be_chosen(counter: Counter) -> None:
    ann = await other_merchant(counter)
    await ann.get("/merchant/account")
    assert (await ann.post("/merchant/store", store_id=str(counter.world.store_id))).status_code == 404
    assert (await ann.post("/merchant/store", store_id="nonsense")).status_code == 200


# Redeeming


async def test_a_typed_code_is_prepared_and_redeemed(counter: Counter) -> None:
    mei = counter.cashier
    typed = f" {counter.code[:5].lower()}-{counter.code[5:9]} {counter.code[9:].lower()} "
    assert (await mei.scan(typed)).status_code == 200
    assert mei.path.startswith("/merchant/prepared/")
    assert "HK$50 off" in mei.text
    assert "Minimum spend HK$300" in mei.text
    assert "Code typed" in mei.text
    page = await mei.post(mei.path, action="redeem")
    assert page.status_code == 200
    assert mei.path.startswith("/merchant/redemptions/")
    assert "Redeemed" in mei.text
    assert "Central" in mei.text
    assert "Mei" in mei.text
    assert await counter.redemptions() == 1
    await assert_clean(counter.database)


async def test_a_live_qr_code_is_told_from_an_old_one(counter: Counter) -> None:
    secret = coupon_secret(SECRET.encode(), counter.coupons[0].id)
    now = datetime.now(UTC)
    old = rotating.payload(counter.code, secret, now - timedelta(minutes=3))
    page = await counter.cashier.scan(old)
    assert page.status_code == 422
    assert "Out of date" in counter.cashier.text
    assert "HK$50" not in counter.cashier.text
    await counter.cashier.scan(rotating.payload(counter.code, secret, now))
    assert "Live QR code" in counter.cashier.text


async def test_pressing_twice_at_once_redeems_once(counter: Counter) -> None:
    mei = counter.cashier
    await mei.scan(counter.code)
    path, data = mei.path, {"_csrf_token": mei.csrf, "action": "redeem"}
    answers = await asyncio.gather(*(mei.http.post(path, data=data) for _press in range(8)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    # Back to the preparation's page, and once more.
    await mei.get(path)
    assert mei.path.startswith("/merchant/redemptions/")
    assert (await mei.http.post(path, data=data)).headers["location"] == answers[0].headers["location"]
    assert await counter.redemptions() == 1


async def test_scanning_twice_from_one_page_keeps_one_preparation(counter: Counter) -> None:
    mei = counter.cashier
    await mei.get("/merchant")
    data = {"_csrf_token": mei.csrf, "request": mei.request_number, "code": counter.code}
    answers = await asyncio.gather(*(mei.http.post("/merchant", data=data) for _press in range(4)))
    assert len({answer.headers["location"] for answer in answers}) == 1
    other = await mei.http.post("/merchant", data={**data, "code": counter.coupons[1].code})
    assert other.status_code == 303
    # Given up, then meant again from the page in the browser's history.
    await mei.get(answers[0].headers["location"])
    await mei.post(mei.path, action="release")
    anew = await mei.http.post("/merchant", data=data)
    assert anew.headers["location"] != answers[0].headers["location"]
    assert "Redeem this coupon?" in (await mei.get(anew.headers["location"])).text


async def test_cancelling_lets_the_coupon_go_at_once(counter: Counter) -> None:
    bo = await counter.person("Bo")
    await counter.cashier.scan(counter.code)
    held = counter.cashier.path
    assert (await bo.scan(counter.code)).status_code == 409
    assert "In use elsewhere" in bo.text
    await counter.cashier.post(held, action="release")
    assert counter.cashier.path == "/merchant"
    assert (await bo.scan(counter.code)).status_code == 200
    assert (await counter.cashier.post(held, action="redeem")).status_code == 409
    assert "Kept too long" in counter.cashier.text


async def test_a_used_coupon_says_when_where_and_by_whom(counter: Counter) -> None:
    await counter.cashier.scan(counter.code)
    await counter.cashier.post(counter.cashier.path, action="redeem")
    page = await counter.cashier.scan(counter.code)
    assert page.status_code == 409
    assert "Already used" in counter.cashier.text
    assert "at Central by Mei" in counter.cashier.text
    assert "/merchant/redemptions/" in page.text


async def test_each_refusal_has_its_own_answer(counter: Counter) -> None:
    now = datetime.now(UTC)
    mei = counter.cashier

    async def answer(status: int, title: str) -> None:
        page = await mei.scan(counter.code)
        assert (page.status_code, title in mei.text) == (status, True), mei.text
        assert f"<h1>{title}</h1>" in page.text
        assert 'class="verdict ' in page.text

    await counter.change_coupon(valid_until=now - timedelta(days=1))
    await answer(409, "Expired")
    await counter.change_coupon(valid_until=now + timedelta(days=9), valid_from=now + timedelta(days=1))
    await answer(409, "Not valid yet")
    await counter.change_coupon(valid_from=now - timedelta(days=1), state="void")
    await answer(409, "Cancelled")
    await counter.change_coupon(state="open")
    weekday = (now + timedelta(hours=8)).isoweekday() % 7 + 1
    async with counter.database.connection() as connection:
        validity = (await connection.execute(select(Offer.validity))).scalars().first()
    assert validity is not None
    await counter.change_offer(validity={**validity, "weekdays": [weekday]})
    await answer(409, "Not at this time")
    elsewhere = await add_store(counter.database, counter.world.merchant_id, "kowloon")
    await counter.change_offer(validity=validity, store_ids=[elsewhere])
    await answer(403, "Not at this store")
    assert "Kowloon" in mei.text
    await counter.change_offer(store_ids=[], redeem_by=["till"])
    await answer(422, "Not at the counter")


async def test_codes_that_lead_to_nothing(counter: Counter) -> None:
    mei = counter.cashier
    assert (await mei.scan("https://example.org/menu")).status_code == 422
    assert "Not a coupon's code" in mei.text
    unknown = "0000000000000"
    unknown += next(character for character in ALPHABET if is_well_formed(unknown + character))
    page = await mei.scan(unknown)
    assert page.status_code == 404
    assert "Unknown code" in mei.text
    await mei.get("/merchant")
    assert (await mei.post("/merchant", code="", request=mei.request_number)).status_code == 422
    assert (await mei.post("/merchant", code="x" * 500, request="")).status_code == 422
    for _attempt in range(60):
        page = await mei.scan(unknown)
        if page.status_code == 429:
            break
    assert "Too many attempts" in mei.text
    assert int(page.headers["retry-after"]) > 0


async def test_another_merchants_coupon_tells_nothing(counter: Counter) -> None:
    ann = await other_merchant(counter)
    page = await ann.scan(counter.code)
    assert page.status_code == 403
    assert "Another merchant's coupon" in ann.text
    assert "HK$50" not in ann.text
    assert "Harbour" not in ann.text


async def test_a_store_that_closed_is_chosen_anew(counter: Counter) -> None:
    await add_store(counter.database, counter.world.merchant_id, "kowloon")
    async with transaction(counter.database) as tx:
        await tx.execute(update(Store).where(Store.code == "central").values(state="closed"))
    await counter.cashier.scan(counter.code)
    assert counter.cashier.path == "/merchant/store"


async def test_a_form_without_its_token_is_refused(counter: Counter) -> None:
    answer = await counter.cashier.http.post("/merchant", data={"code": counter.code, "request": "ABCD-EFGH"})
    assert answer.status_code == 403


# Afterwards


async def test_undoing_gives_the_coupon_back_once(counter: Counter) -> None:
    mei = counter.cashier
    await mei.scan(counter.code)
    await mei.post(mei.path, action="redeem")
    path, number, csrf = mei.path, mei.request_number, mei.csrf
    data = {"_csrf_token": csrf, "request": number, "reason": "wrong table"}
    answers = await asyncio.gather(*(mei.http.post(path, data=data) for _press in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    await mei.get(path)
    assert "Undone" in mei.text
    assert "wrong table" in mei.text
    late = await mei.http.post(path, data={**data, "request": "ANOTHER-NUMBER"})
    assert late.status_code == 409
    assert "Already undone" in late.text
    assert (await mei.http.post(path, data={"_csrf_token": csrf})).status_code == 400
    await mei.scan(counter.code)
    await mei.post(mei.path, action="redeem")
    assert mei.path != path
    await assert_clean(counter.database)


async def test_a_cashier_may_undo_for_an_hour_and_a_manager_for_a_day(counter: Counter) -> None:
    mei = counter.cashier
    await mei.scan(counter.code)
    await mei.post(mei.path, action="redeem")
    path, data = mei.path, {"_csrf_token": mei.csrf, "request": mei.request_number}
    async with transaction(counter.database) as tx:
        await tx.execute(update(Redemption).values(redeemed_at=Redemption.redeemed_at - timedelta(hours=2)))
    await mei.get(path)
    assert "can no longer be undone here" in mei.text
    late = await mei.http.post(path, data=data)
    assert late.status_code == 409
    assert "Too late to undo" in late.text
    max_ = await counter.person("Max", "manager")
    await max_.get(path)
    await max_.post(path, request=max_.request_number)
    assert "Undone" in max_.text


async def test_the_list_shows_each_their_own(counter: Counter) -> None:
    mei = counter.cashier
    await mei.scan(counter.code)
    await mei.post(mei.path, action="redeem")
    redeemed_path = mei.path
    await mei.scan(counter.coupons[1].code)
    prepared_path = mei.path
    second = await add_store(counter.database, counter.world.merchant_id, "kowloon")
    bo = await counter.person("Bo", store_id=second)
    max_ = await counter.person("Max", "manager")

    await mei.get("/merchant/redemptions")
    assert mei.page is not None
    assert "on_from=20" in str(mei.page.url)
    assert counter.code in mei.text
    await bo.get("/merchant/redemptions")
    assert counter.code not in bo.text
    assert "Nothing" in bo.text
    await max_.get("/merchant/redemptions?on_from=&on_to=")
    assert counter.code in max_.text
    await max_.get(f"/merchant/redemptions?on_from=&on_to=&store={second}")
    assert counter.code not in max_.text
    await max_.get("/merchant/redemptions?on_from=2001-01-01&on_to=2001-01-02")
    assert counter.code not in max_.text
    exported = await max_.get("/merchant/redemptions/export?format=csv")
    assert "Mei" in exported.text
    assert (await max_.get("/merchant/redemptions/export?format=xlsx")).content[:2] == b"PK"

    ann = await other_merchant(counter)
    await ann.get("/merchant/redemptions?on_from=&on_to=")
    assert counter.code not in ann.text
    for stranger in (ann, bo):
        for path in (redeemed_path, prepared_path):
            assert (await stranger.get(path)).status_code == 404
            await stranger.get("/merchant")
            token = stranger.csrf
            page = await stranger.http.post(
                path, data={"_csrf_token": token, "action": "redeem", "request": "ABCD-EFGH-1234"}
            )
            assert page.status_code == 404
    assert await counter.redemptions() == 1


async def test_garbage_is_answered_and_redeems_nothing(counter: Counter) -> None:
    mei = counter.cashier
    await mei.scan(counter.code)
    prepared, token = mei.path, mei.csrf
    for path, data, status in (
        ("/merchant", {"code": "\x00", "request": "x"}, 400),
        ("/merchant", {"code": "🎟️" * 100, "request": "'; --"}, 422),
        ("/merchant", {"code": "x" * 70_000}, 413),
        (prepared + "0", {"action": "redeem"}, 404),
        ("/merchant/redemptions/nonsense", {"request": "ABCD-EFGH"}, 404),
        ("/merchant/account/two-step", {"action": "nonsense"}, 400),
    ):
        answer = await mei.http.post(path, data={"_csrf_token": token, **data})
        assert answer.status_code == status, (path, data)
    files = {"code": ("code.txt", b"x")}
    answer = await mei.http.post("/merchant", data={"_csrf_token": token}, files=files)
    assert answer.status_code == 422
    for path in (
        "/merchant/redemptions?on_from=x&on_to=9999-12-31&sort=x&after=x",
        "/merchant/store?next=//x",
    ):
        assert (await mei.get(path)).status_code == 200
    assert await counter.redemptions() == 0


async def test_a_redemption_by_an_online_order_has_no_store(counter: Counter) -> None:
    coupon = counter.coupons[0]
    redemption_id, _order = await use_in_order(
        counter.database,
        coupon.member_id,
        coupon.id,
        offer_id=coupon.offer_id,
        merchant_id=counter.world.merchant_id,
    )
    await add_store(counter.database, counter.world.merchant_id, "kowloon")
    max_ = await counter.person("Max", "manager")
    everything = "/merchant/redemptions?on_from=&on_to="
    await max_.get(everything)
    assert counter.code in max_.text and "Online order" in max_.text
    await max_.get(f"{everything}&store={counter.world.store_id}")
    assert counter.code not in max_.text
    await max_.get(f"{everything}&store=online")
    assert counter.code in max_.text
    exported = await max_.get("/merchant/redemptions/export?format=csv&on_from=&on_to=")
    assert "Online order" in exported.text and ORDER_NUMBER in exported.text
    await max_.get(f"/merchant/redemptions/{redemption_id}")
    for said in ("Online order", ORDER_NUMBER, "undone by refunding that order"):
        assert said in max_.text, said
    assert "Undo this redemption" not in max_.text
    # The counter says what became of the coupon.
    mei = counter.cashier
    await mei.scan(counter.code)
    assert "in an online order" in mei.text and f"/merchant/redemptions/{redemption_id}" not in mei.text


async def test_the_counter_is_told_that_an_order_keeps_the_coupon(counter: Counter) -> None:
    coupon = counter.coupons[0]
    hold_id, _order = await hold_for_order(counter.database, coupon.member_id, coupon.id)
    mei = counter.cashier
    await mei.scan(counter.code)
    assert "an online order keeps this coupon until" in mei.text
    assert (await mei.get(f"/merchant/prepared/{hold_id}")).status_code == 404
    assert await counter.redemptions() == 0


async def test_a_promotion_that_applies_by_itself_is_marked(counter: Counter) -> None:
    async with transaction(counter.database) as tx:
        await tx.execute(update(Offer).values(issued=0, automatic=True))
    max_ = await counter.person("Max", "manager")
    await max_.get("/merchant/offers")
    assert "Applies by itself" in max_.text
    await max_.get(f"/merchant/offers/{counter.world.offers[0]}")
    assert "Applies to online carts by itself" in max_.text and "Given out" not in max_.text
