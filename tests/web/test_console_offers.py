"""The coupon library in the console: the form with all that an offer is, refusals where they are typed, states."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from tearline.campaigns.model import Campaign
from tearline.core import offers as core
from tearline.db import new_id, transaction
from tearline.merchants.actions import create_merchant, create_store
from tearline.offers.model import Offer
from tearline.offers.reads import draft_of
from tearline.web.app import Application
from tearline.web.console.offer_form import OfferPlace, offer_form
from tearline.web.console.offer_values import draft_from, values_of
from tests.catalogue.support import categories
from tests.web.browsing import COMMAND, Browser, Fields, console_browser
from tests.worlds import World, make_world

pytestmark = pytest.mark.anyio

MERCHANT, STORE = new_id(), new_id()
WINDOW = core.FixedWindow(datetime(2026, 11, 1, 2, 30, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
PLAIN = core.OfferDraft(
    code="TEA-50",
    issuer="merchant",
    names={"en": "HK$50 off tea", "zh-Hant": "茶減 $50"},
    benefit=core.AmountOff(5000),
    currency="HKD",
    funding=core.Funding(2500, 7500),
    validity=core.Validity(WINDOW),
    time_zone="Asia/Hong_Kong",
    merchant_id=MERCHANT,
    minimum_spend=30000,
)
EVERYTHING = core.OfferDraft(
    code="ALL-OF-IT",
    issuer="platform",
    names={"en": "Everything", "zh-Hant": "全部", "zh-Hans": "全部", "th": "ทุกอย่าง"},
    summaries={"en": "Two\nlines"},
    terms={"en": "Terms", "th": "เงื่อนไข"},
    benefit=core.AmountOff(1000, (core.Step(20_050, 2000), core.Step(50_000, 7550))),
    currency="THB",
    funding=core.Funding(3333, 6667),
    validity=core.Validity(
        core.DaysAfterClaim(30, 2, date(2027, 2, 28)),
        (1, 2, 7),
        (core.Hours(11 * 60, 14 * 60 + 30), core.Hours(22 * 60, 2 * 60), core.Hours(0, 1440)),
    ),
    time_zone="Asia/Bangkok",
    merchant_id=None,
    minimum_spend=10_000,
    scope=core.Scope(
        core.Selection(("p1", "p2"), ("tea",), (), (MERCHANT,)),
        core.Selection((), (), ("No Brand",), ()),
    ),
    cart_rules=core.CartRules(
        excluded_lines="block", threshold_base="after_earlier", stacking_group="shipping",
        first_order_only=True, refund_coupon="reissue", reissue_days=14, refund_below_threshold="recompute",
    ),
    issue_limit=1000,
    limit_per_member=2,
    redeem_by=("till",),
    store_ids=(STORE,),
)  # fmt: skip
DRAFTS = {
    "plain": PLAIN,
    "everything": EVERYTHING,
    "percent": replace(PLAIN, benefit=core.PercentOff(1250, 8000), minimum_spend=0),
    "free up to": replace(PLAIN, benefit=core.PercentOff(10_000)),
    "price": replace(PLAIN, benefit=core.FixedPrice(16800, "foot-bath", 2)),
    "price in yen": replace(PLAIN, currency="JPY", benefit=core.FixedPrice(500, "x"), minimum_spend=100),
    "shipping": replace(PLAIN, benefit=core.FreeShipping(5000, ("HK", "Lantau, outer"[:6]))),
    "gift": replace(PLAIN, benefit=core.Gift({"en": "A tote", "th": "กระเป๋า"}, "tote")),
    "automatic": replace(PLAIN, automatic=True),
    "every": replace(PLAIN, benefit=core.AmountOff(500, (), True, 3)),
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_the_form_shows_a_draft_and_reads_back_the_same(draft: core.OfferDraft) -> None:
    place = OfferPlace(draft.merchant_id, [(str(MERCHANT), "Tea house")], [(str(STORE), "Central")])
    form = offer_form(place, "en", currency=draft.currency, time_zone=draft.time_zone)
    shown = form.blank(values_of(draft))
    read = form.parse(shown.inputs.texts)
    assert not read.problems
    assert draft_from(read.values, draft.merchant_id) == draft


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_what_is_frozen_is_shown_and_stays(draft: core.OfferDraft) -> None:
    place = OfferPlace(draft.merchant_id, [(str(MERCHANT), "Tea house")], [(str(STORE), "Central")])
    frozen = set(core.OfferDraft.__dataclass_fields__) - core.EDITABLE_ONCE_ISSUED
    form = offer_form(
        place, "en", currency=draft.currency, time_zone=draft.time_zone, frozen=frozen
    )  # fmt: skip
    other = offer_form(place, "en").blank(values_of(PLAIN))
    read = form.parse(other.inputs.texts, shown=values_of(draft))
    kept = draft_from(read.values, draft.merchant_id, draft)
    for name in frozen:
        assert getattr(kept, name) == getattr(draft, name), name
    assert kept.names == PLAIN.names
    assert read.inputs.first("code") == draft.code


def fields(world: World, **changes: str | list[str]) -> Fields:
    """A form filled in well: HK$50 off from HK$300 on."""
    return {
        "names.en": "HK$50 off tea",
        "code": "tea-50",
        "currency": "HKD",
        "benefit.kind": "amount_off",
        "benefit.amount_off.amount": "50",
        "minimum_spend": "300",
        "time_zone": "Asia/Hong_Kong",
        "validity.kind": "fixed",
        "validity.fixed.starts_at": "2026-01-01T00:00",
        "validity.fixed.ends_at": "2036-01-01T00:00",
        "redeem_by": ["cashier", "till", "checkout"],
        "issuer": "merchant",
        "funding_platform": "0",
        "funding_merchant": "100",
        "cart_rules.excluded_lines": "skip",
        "cart_rules.threshold_base": "list_price",
        "cart_rules.refund_coupon": "return",
        "cart_rules.refund_below_threshold": "keep",
        "store_ids": str(world.store_id),
        **changes,
    }


async def _world(app: Application) -> World:
    return await make_world(app.litestar.state.services.database)


async def _row(app: Application, offer_id: UUID) -> object:
    async with app.litestar.state.services.database.connection() as connection:
        return (await connection.execute(select(Offer).where(Offer.id == offer_id))).one()


async def _create(browser: Browser, world: World, **changes: str | list[str]) -> UUID:
    page = await browser.post(f"/console/offers/new?merchant={world.merchant_id}", fields(world, **changes))
    assert page.status == 200, page.errors
    return UUID(str(page.answer.url.path).rsplit("/", 1)[1])


async def test_an_offer_is_made_shown_and_activated(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client, "editor"), await _world(app)
    page = await browser.get("/console/offers/new")
    assert str(world.merchant_id) in page.html
    offer_id = await _create(browser, world)
    draft = draft_of(await _row(app, offer_id))  # type: ignore[arg-type]
    assert (draft.code, draft.benefit, draft.minimum_spend) == ("TEA-50", core.AmountOff(5000), 30000)
    assert (draft.merchant_id, draft.store_ids) == (world.merchant_id, (world.store_id,))
    page = await browser.get(f"/console/offers/{offer_id}")
    for said in ("HK$50 off", "Minimum spend HK$300", "Harbour Books", "Draft", "Borne by the merchant 100%"):
        assert said in page.text, said
    page = await browser.post(f"/console/offers/{offer_id}/activate")
    assert "The offer is active" in page.text
    listed = await browser.get(
        f"/console/offers?q=tea&state=active&kind=amount_off&merchant={world.merchant_id}"
    )
    assert f"/console/offers/{offer_id}" in listed.html
    assert f"/console/offers/{offer_id}" not in (await browser.get("/console/offers?merchant=platform")).html
    export = await client.get("/console/offers/export?q=tea-50")
    assert "TEA-50" in export.text and "WINTER" not in export.text


NONSENSE: dict[str, tuple[Fields, str, str]] = {
    "amount above the minimum": (
        {"benefit.amount_off.amount": "500"},
        "field-benefit-amount_off-amount",
        "The amount off is above the minimum spend.",
    ),
    "more than all": (
        {"benefit.kind": "percent_off", "benefit.percent_off.basis_points": "120"},
        "field-benefit-percent_off-basis_points",
        "A percentage off is above 0 and at most 100.",
    ),
    "ends before it begins": (
        {"validity.fixed.ends_at": "2025-01-01T00:00"},
        "field-validity-fixed-ends_at",
        "The window ends before it begins.",
    ),
    "shares of 110 %": (
        {"funding_platform": "10"},
        "field-funding_platform",
        "must sum to 100 %",
    ),
    "steps that fall": (
        {
            "benefit.amount_off.steps-count": "1",
            "benefit.amount_off.steps-0-threshold": "200",
            "benefit.amount_off.steps-0-amount": "60",
        },
        "field-benefit-amount_off-steps",
        "Each step needs a higher spend",
    ),
    "a gift without words": (
        {"benefit.kind": "gift"},
        "field-benefit-gift-descriptions-en",
        "This is needed",
    ),
    "included and excluded": (
        {"scope.includes.products": "p1\np2", "scope.excludes.products": "p2"},
        "field-scope-excludes-products",
        "both included and excluded",
    ),
    "hours that are none": (
        {"validity.hours-count": "1", "validity.hours-0-from": "11:00", "validity.hours-0-to": "11:00"},
        "field-validity-hours",
        "These hours are empty",
    ),
    "a promotion with a limit": (
        {"automatic": "yes", "issue_limit": "100"},
        "field-issue_limit",
        "nothing to limit",
    ),
    "a promotion without a window": (
        {
            "automatic": "yes",
            "validity.kind": "days_after_claim",
            "validity.days_after_claim.days": "7",
            "validity.days_after_claim.starts_after_days": "0",
        },
        "field-validity",
        "give it a fixed window",
    ),
    "a promotion for counters": (
        {"automatic": "yes", "redeem_by": ["cashier", "till"]},
        "field-redeem_by",
        "online carts",
    ),
    "a promotion of the platform": (
        {"automatic": "yes", "issuer": "platform"},
        "field-issuer",
        "own promotion",
    ),
    "issued again for ever": (
        {"cart_rules.refund_coupon": "reissue"},
        "field-cart_rules-reissue_days",
        "Give the days",
    ),
}


@pytest.mark.parametrize(("changes", "place", "sentence"), NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_refused_where_it_is_typed(
    app: Application, client: httpx.AsyncClient, changes: Fields, place: str, sentence: str
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    page = await browser.post(f"/console/offers/new?merchant={world.merchant_id}", fields(world, **changes))
    assert page.status == 422
    assert sentence in page.errors
    assert f'href="#{place}"' in page.html
    assert f'id="{place}"' in page.html
    # What was typed is still there.
    assert 'value="HK$50 off tea"' in page.html


async def test_a_code_that_is_taken_is_told_at_the_code(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    await _create(browser, world)
    page = await browser.post(f"/console/offers/new?merchant={world.merchant_id}", fields(world))
    assert page.status == 422
    assert 'href="#field-code"' in page.html
    assert "already in use" in page.errors


async def test_sending_the_edit_form_unchanged_changes_nothing(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    offer_id = await _create(browser, world)
    page = await browser.send(f"/console/offers/{offer_id}/edit")
    assert page.status == 200, page.errors
    assert (await _row(app, offer_id)).version == 1  # type: ignore[attr-defined]
    page = await browser.send(f"/console/offers/{offer_id}/edit", {"issue_limit": "77"})
    assert "Saved." in page.text
    assert (await _row(app, offer_id)).issue_limit == 77  # type: ignore[attr-defined]


async def test_what_its_holders_were_promised_stays_once_issued(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    offer_id = await _create(browser, world)
    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(Offer).where(Offer.id == offer_id).values(issued=1))
    page = await browser.get(f"/console/offers/{offer_id}/edit")
    assert "Coupons have been issued" in page.text
    form = page.form(f"/console/offers/{offer_id}/edit")
    assert {"code", "benefit.kind", "minimum_spend", "limit_per_member"} <= form.disabled
    assert "names.en" not in form.disabled
    sent = {**form.fields, "names.en": "Another name", "minimum_spend": "1", "benefit.kind": "gift"}
    page = await browser.post(f"/console/offers/{offer_id}/edit", sent)
    assert "Saved." in page.text
    draft = draft_of(await _row(app, offer_id))  # type: ignore[arg-type]
    assert (draft.names, draft.minimum_spend, draft.benefit) == (
        {"en": "Another name"}, 30000, core.AmountOff(5000),
    )  # fmt: skip


async def test_a_change_made_meanwhile_is_not_overwritten(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    offer_id = await _create(browser, world)
    form = (await browser.get(f"/console/offers/{offer_id}/edit")).form(f"/console/offers/{offer_id}/edit")
    await browser.send(f"/console/offers/{offer_id}/edit", {"issue_limit": "5"})
    page = await browser.post(f"/console/offers/{offer_id}/edit", {**form.fields, "issue_limit": "9"})
    assert page.status == 422
    assert "Somebody else changed this meanwhile" in page.errors
    assert (await _row(app, offer_id)).issue_limit == 5  # type: ignore[attr-defined]


async def test_archiving_warns_of_live_campaigns_and_is_final(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    offer_id = world.offers[0]
    page = await browser.get(f"/console/offers/{offer_id}")
    assert "Campaigns that are live or paused give this offer" in page.text
    assert f"/console/campaigns/{world.campaign_id}" in page.html
    page = await browser.post(f"/console/offers/{offer_id}/archive")
    assert "Archived" in page.text
    page = await browser.post(f"/console/offers/{offer_id}/archive")
    assert "can no longer be changed" in page.text
    assert (await browser.get(f"/console/offers/{offer_id}/edit")).status == 409


async def test_an_offer_that_could_never_be_used_is_not_activated(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    ended = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    offer_id = await _create(
        browser, world, **{"validity.fixed.starts_at": "2020-01-01T00:00", "validity.fixed.ends_at": ended}
    )
    page = await browser.post(f"/console/offers/{offer_id}/activate")
    assert "the coupon could never be used" in page.text


async def test_the_preview_draws_what_is_typed(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    path = f"/console/offers/preview?merchant={world.merchant_id}"
    page = await browser.post(path, fields(world))
    for said in ("HK$ 50", "over 300", "Harbour Books", "HK$50 off", "1 Jan 2026"):
        assert said in page.text, said
    percent: Fields = {"benefit.kind": "percent_off", "benefit.percent_off.basis_points": "20"}
    page = await browser.post(path, fields(world, **percent))
    assert "20%" in page.text
    # The code isn't typed yet: the ticket is drawn without it.
    page = await browser.post(path, {**fields(world), "code": "", "names.en": "", "funding_platform": "x"})
    assert "HK$ 50" in page.text
    page = await browser.post(path, {})
    assert "The ticket appears here" in page.text


async def test_the_preview_notices_keys_that_the_catalogue_does_not_know(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    database = app.litestar.state.services.database
    await categories(database, ("tea", None))
    scope: Fields = {"scope.includes.categories": "tea\ncofee", "scope.excludes.products": "gift-card"}
    path = f"/console/offers/preview?merchant={world.merchant_id}"
    page = await browser.post(path, fields(world, **scope))
    assert "does not know gift-card, cofee yet" in page.text
    assert "does not know" not in (await browser.post(path, fields(world))).text
    # A shop may send them later: the offer is saved all the same, and its form says it again.
    page = await browser.post(f"/console/offers/new?merchant={world.merchant_id}", fields(world, **scope))
    assert "The offer is in the library" in page.text, page.errors
    assert "does not know" in (await browser.get(f"{page.answer.url.path}/edit")).text


async def test_adding_a_row_works_without_a_script(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    page = await browser.post(
        f"/console/offers/new?merchant={world.merchant_id}",
        fields(world, **{"_add": "benefit.amount_off.steps", "benefit.amount_off.steps-count": "1"}),
    )
    assert page.status == 200
    assert 'name="benefit.amount_off.steps-1-threshold"' in page.html


async def test_an_offer_of_the_platform_chooses_among_all_stores(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    page = await browser.get("/console/offers/new?merchant=")
    assert "Harbour Books – Central" in page.text
    platform = {"issuer": "platform", "scope.includes.merchants": str(world.merchant_id)}
    page = await browser.post("/console/offers/new?merchant=", fields(world, **platform))
    assert page.status == 200, page.errors
    assert "The platform" in page.text


async def test_an_offer_changes_hands_until_coupons_are_out(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "editor")
    services = app.litestar.state.services
    world = await make_world(services.database)
    async with transaction(services.database) as tx:
        other_id = await create_merchant(
            tx, COMMAND, code="peak", names={"en": "Peak Tea"}, kind="dining", now=services.now()
        )
        store_id = await create_store(
            tx, COMMAND, other_id, code="tram", names={"en": "Tram Stop"}, now=services.now()
        )
    here = f"/console/offers/{world.offers[0]}"
    assert f"{here}/owner" in (await browser.get(f"{here}/edit")).html
    assert "Peak Tea" in (await browser.get(f"{here}/owner")).text
    moving = f"{here}/edit?merchant={other_id}"
    page = await browser.get(moving)
    assert "Merchant: Peak Tea" in page.text and "Tram Stop" in page.text and "Central" not in page.text
    page = await browser.send(moving, {"store_ids": [str(store_id)]})
    assert "Saved." in page.text, page.errors
    async with services.database.connection() as connection:
        query = select(Offer.merchant_id, Offer.store_ids).where(Offer.id == world.offers[0])
        assert tuple((await connection.execute(query)).one()) == (other_id, [store_id])
    # And to the platform, whose offers the platform issues.
    page = await browser.send(f"{here}/edit?merchant=", {"store_ids": [], "issuer": "platform"})
    assert "Saved." in page.text, page.errors

    await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    page = await browser.get(f"{here}/edit?merchant={other_id}")
    assert "Merchant: The platform" in page.text and f"{here}/owner" not in page.html
    assert "Coupons have been issued, so the offer stays whose it is." in page.text
    page = await browser.get(f"{here}/owner")
    assert page.answer.url.path == f"{here}/edit"
    await browser.send(f"{here}/edit?merchant={other_id}", {"names.en": "Other"}, action=f"{here}/edit")
    async with services.database.connection() as connection:
        query = select(Offer.merchant_id).where(Offer.id == world.offers[0])
        assert await connection.scalar(query) is None


async def test_a_promotion_applies_by_itself(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    form = await browser.get(f"/console/offers/new?merchant={world.merchant_id}")
    assert "applies to online carts by itself" in form.text and "In an online cart" in form.text
    assert "by itself" not in (await browser.get("/console/offers/new?merchant=")).text
    offer_id = await _create(browser, world, automatic="yes")
    assert (await _row(app, offer_id)).automatic  # type: ignore[attr-defined]
    page = await browser.post(f"/console/offers/{offer_id}/activate")
    assert "it applies to every online cart that fits" in page.text
    assert "Applies by itself" in page.text and "In an online cart" in page.text
    for gone in ("Given out by", "Use the partner's codes", "Coupons in all"):
        assert gone not in page.text, gone
    plain_id = await _create(browser, world, code="plain")
    listed = await browser.get("/console/offers?reach=automatic")
    assert "Applies by itself" in listed.text
    assert f"/console/offers/{offer_id}" in listed.html and f"/console/offers/{plain_id}" not in listed.html
    # Neither a prize nor a sale can be made of it.
    page = await browser.get(f"/console/campaigns/{world.campaign_id}/prizes/new")
    assert str(plain_id) not in page.html and str(offer_id) not in page.html
    await browser.post(f"/console/offers/{plain_id}/activate")
    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(Campaign).values(state="paused"))
    page = await browser.get(f"/console/campaigns/{world.campaign_id}/prizes/new")
    assert str(plain_id) in page.html and str(offer_id) not in page.html
    # Once it is in a prize, it can't become one.
    page = await browser.send(f"/console/offers/{world.offers[0]}/edit", {"automatic": "yes"})
    assert page.status == 422
    assert "so it cannot apply by itself" in page.errors and 'href="#field-automatic"' in page.html
