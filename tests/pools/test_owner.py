"""Whose codes a pool holds stays as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tearline.offers.actions import update_offer
from tearline.offers.model import Offer
from tearline.offers.reads import draft_of
from tests.pools.support import ACTOR, make_pool
from tests.worlds import NOW

pytestmark = pytest.mark.anyio


async def test_an_offer_with_a_pool_keeps_its_merchant(database: Database) -> None:
    mine, other = await make_pool(database), await make_pool(database)
    async with transaction(database) as tx:
        row = (await tx.execute(select(Offer.__table__).where(Offer.id == mine.offer_id))).one()
    draft = replace(draft_of(row), merchant_id=other.merchant_id)
    with pytest.raises(Refusal, match="not_editable") as refused:
        async with transaction(database) as tx:
            await update_offer(tx, ACTOR, mine.offer_id, draft, version=row.version, now=NOW)
    assert list(refused.value.fields) == ["merchant_id"]
