"""The worker process: sends what is queued, releases what is not paid, pays back, and sweeps."""

from __future__ import annotations

import asyncio
import signal

import structlog

from tearline.config import Settings
from tearline.db import Database
from tearline.jobs.orders import release_forever
from tearline.jobs.payments import rounds, work_forever
from tearline.jobs.providers import providers_of
from tearline.jobs.sweeps import SWEEPS, sweep_forever
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
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sender.run())
                for sweep in SWEEPS:
                    group.create_task(sweep_forever(database, sweep, stopping))
                group.create_task(release_forever(database, sale_desk, stopping))
                for round_ in rounds(database, sale_desk, payments):
                    group.create_task(work_forever(round_, stopping))
                log.info("worker_started")
                await stopping.wait()
                sender.stop()
        finally:
            await sender.close()
            await close_all(payments)
    log.info("worker_stopped")
