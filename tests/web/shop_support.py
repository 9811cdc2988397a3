"""A member's browser for the tests of the shop: forms, sign-in, and the world that it looks at."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text, update

from tearline.campaigns.model import Campaign
from tearline.db import Database, transaction
from tearline.web.access import MEMBER_COOKIE
from tearline.web.app import Application
from tearline.web.services import Services
from tests.worlds import World, make_world

CAMPAIGN = "/c/WINTER-1"


def services_of(app: Application) -> Services:
    """The services of a running application."""
    services: Services = app.litestar.state.services
    return services


async def world_of(app: Application, **wishes: Any) -> World:
    """A live campaign in the application's own database."""
    return await make_world(services_of(app).database, **wishes)


def sign_in(app: Application, client: httpx.AsyncClient, member_id: UUID, epoch: int = 1) -> str:
    """Give the browser a member's session; answers its token."""
    services = services_of(app)
    token = services.member_tokens.issue(member_id, epoch, services.now())
    client.cookies.set(MEMBER_COOKIE, token)
    return token


async def post(
    client: httpx.AsyncClient, page: str, action: str, *, follow: bool = False, **fields: str
) -> httpx.Response:
    """Load a page, fill its form that goes to ``action``, and send it, hidden fields included."""
    loaded = await client.get(page)
    assert loaded.status_code == 200, loaded.text
    hidden = hidden_fields(loaded.text, action)
    return await client.post(action, data={**hidden, **fields}, follow_redirects=follow)


def hidden_fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to ``action``."""
    forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.S)
    inside = next(body for target, body in forms if html.unescape(target) == action)
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', inside)
    return {name: html.unescape(value) for name, value in found}


async def claim(client: httpx.AsyncClient, password: str = "PASSWORD0") -> httpx.Response:
    """Type a password on the campaign's page and send it."""
    return await post(client, CAMPAIGN, f"{CAMPAIGN}/claims", password=password)


def says(page: str, sentence: str) -> bool:
    """Whether a page shows this text."""
    plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))
    return sentence in plain


async def change_campaign(database: Database, world: World, **values: Any) -> None:
    """Change columns of the world's campaign as its editor would, raising the version."""
    async with transaction(database) as tx:
        changed = {**values, "version": Campaign.version + 1}
        await tx.execute(update(Campaign).where(Campaign.id == world.campaign_id).values(changed))


def window_from(days: float, until_days: float) -> dict[str, datetime]:
    """A window counted in days from now."""
    now = datetime.now(UTC)
    return {"starts_at": now + timedelta(days=days), "ends_at": now + timedelta(days=until_days)}


async def sent_code(database: Database) -> str:
    """The one-time code that was last put into the queue."""
    async with database.connection() as connection:
        return str(
            await connection.scalar(text("SELECT values ->> 'code' FROM notice ORDER BY id DESC LIMIT 1"))
        )
