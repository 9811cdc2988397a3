"""Ids of the demo's history: UUIDv7 of the moment at which each thing happened, the same ones every time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import TypeAlias
from uuid import UUID

IdMaker: TypeAlias = Callable[[datetime], UUID]
"""Gives a new id of a past moment."""


def id_maker(random: Random) -> IdMaker:
    """Ids whose time is given and whose random part comes from ``random``."""

    def new_id(moment: datetime) -> UUID:
        milliseconds = int(moment.timestamp() * 1000)
        drawn = random.getrandbits(74)
        high, low = drawn >> 62, drawn & ((1 << 62) - 1)
        return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)

    return new_id
