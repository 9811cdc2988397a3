"""The worker process: sends what is queued, releases what is not paid, pays back, and sweeps."""

from __future__ import annotations

import asyncio
import signal

import structlog

from tearline.config import Settings
from tearline.db import Database
from tearline.jobs.chores import do_forever
from tearline.jobs.orders import order_chore
from tearline.jobs.payments import payment_chores
from tearline.jobs.providers import providers_of
from tearline.jobs.sweeps import sweep_chores
from tearline.notices.sender import NoticeSender
from tearline.web.paying import close_all, payment_providers
from tearline.web.services import make_sale_desk

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what was begun."""
    assert settings.database_url is not None, "the caller starts the embedded server and names its address"
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Database(settings.database_url, pool_size=settings.pool_size) as database:
        sender = NoticeSender(database, providers_of(settings))
        sale_desk = make_sale_desk(settings, database)
        payments = payment_providers(settings)
        chores = [
            *sweep_chores(database),
            order_chore(database, sale_desk),
            *payment_chores(database, sale_desk, payments),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sender.run())
                for chore in chores:
                    group.create_task(do_forever(chore, stopping))
                log.info("worker_started")
                await stopping.wait()
                sender.stop()
        finally:
            await sender.close()
            await close_all(payments)
    log.info("worker_stopped")
