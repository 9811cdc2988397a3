"""A process that sells carts: orders, payments and refunds behind a socket, which a test may kill.

``python -m tests.faults.cart_seller DATABASE_URL SOCKET``. Each line is a request in JSON, each answer a line in
JSON, written after the commit; ``{"refused": REASON}`` for a refusal.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tearline.checkout.actions import cancel_order, pay_order, place_order
from tearline.checkout.offers import OfferBook
from tearline.checkout.refunding import refund_order
from tearline.checkout.requests import CartRequest, LineRequest
from tearline.core.refunds import Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.db import Database, is_connection_lost, transaction


async def answer(database: Database, book: OfferBook, asked: dict[str, Any]) -> dict[str, Any]:
    """What a request comes to."""
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        if asked["act"] == "order":
            line = LineRequest("a", "tea", 3, 3_001, UUID(asked["merchant"]))
            cart = CartRequest(
                "HKD", (line,), member_id=UUID(asked["member"]), codes=(asked["code"],), choose="given"
            )
            placed = await place_order(tx, cart, book, now, idempotency_key=asked["key"])
            said = {"number": placed.number, "replayed": placed.is_replay}
        elif asked["act"] == "refund":
            id_ = await refund_order(
                tx, SYSTEM, asked["number"], Wish({"a": asked["units"]}), now, idempotency_key=asked["key"]
            )
            said = {"refund": str(id_)}
        elif asked["act"] == "pay":
            await pay_order(tx, SYSTEM, asked["number"], now, collected_by="platform")
            said = {"state": "paid"}
        else:
            await cancel_order(tx, SYSTEM, asked["number"], now)
            said = {"state": "cancelled"}
    return said


async def serve(url: str, path: str) -> None:
    """Answer until killed."""
    async with Database(url) as database:
        book = OfferBook()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                try:
                    said = await answer(database, book, json.loads(line))
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
