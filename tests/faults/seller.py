"""A process that sells: a sale desk behind a socket, which a test may kill.

``python -m tests.faults.seller DATABASE_URL SOCKET``. Each line is a request in JSON, each answer a line in JSON;
``{"refused": REASON}`` for a refusal.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from tearline.core.refusal import Refusal
from tearline.core.sales import PAYMENT_LASTS
from tearline.db import Database, is_connection_lost, transaction
from tearline.sales.desk import SaleDesk
from tearline.sales.model import Payment


async def answer(database: Database, desk: SaleDesk, asked: dict[str, Any]) -> dict[str, Any]:
    """What a request comes to."""
    member_id = UUID(asked["member"])
    if asked["act"] == "order":
        item_id, quantity = UUID(asked["item"]), asked["quantity"]
        taken = await desk.order(asked["sale"], item_id, member_id, 1, quantity, asked["key"])
        return {"order": str(taken.order_id), "amount": taken.amount, "replayed": taken.replayed}
    order_id = UUID(asked["order"])
    if asked["act"] == "release":
        released = await desk.release(asked["sale"], member_id, order_id, "expired")
        return {"state": released.state, "replayed": released.replayed}
    now = datetime.now(UTC)
    payment = {
        "id": UUID(asked["payment"]),
        "order_id": order_id,
        "member_id": member_id,
        "provider": "test",
        "amount": asked["amount"],
        "currency": "THB",
        "state": "begun",
        "created_at": now,
        "changed_at": now,
        "expires_at": now + PAYMENT_LASTS,
        "refund_tries": 0,
    }
    async with transaction(database) as tx:
        await tx.execute(insert(Payment).values(payment).on_conflict_do_nothing())
    settled = await desk.settle(asked["sale"], member_id, order_id, payment["id"], "charge")
    coupons = [str(coupon_id) for coupon_id in settled.coupon_ids]
    return {"state": settled.state, "coupons": coupons, "replayed": settled.replayed}


async def serve(url: str, path: str) -> None:
    """Answer until killed."""
    async with Database(url) as database:
        desk = SaleDesk(database)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                try:
                    said = await answer(database, desk, json.loads(line))
                except Refusal as refusal:
                    said = {"refused": refusal.reason}
                except Exception as error:
                    # As the faces answer it.
                    if not is_connection_lost(error):
                        raise
                    said = {"refused": "unavailable"}
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(talk, path)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
