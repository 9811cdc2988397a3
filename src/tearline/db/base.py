"""The declarative base of all tables, its column types, and ids."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import BigInteger, DateTime, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

type_annotation_map: dict[Any, Any] = {
    datetime: DateTime(timezone=True),
    str: Text(),
    int: BigInteger(),
    UUID: Uuid(),
    dict[str, Any]: JSONB(),
    dict[str, str]: JSONB(),
    list[str]: ARRAY(Text()),
    list[UUID]: ARRAY(Uuid()),
    list[int]: ARRAY(BigInteger()),
}

LocalisedText = dict[str, str]
"""Text by language tag: ``en``, ``zh-Hant``, ``zh-Hans``, ``th``. English is always present."""


class Base(DeclarativeBase):
    """Base of every table; constraint names follow one rule so that errors can be told apart by name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = type_annotation_map


def new_id() -> UUID:
    """A new UUIDv7: unique without asking the database, and roughly in order of time."""
    return uuid_utils.compat.uuid7()


def first_id_of(moment: datetime) -> UUID:
    """The least id that ``new_id`` can have made at this moment: smaller ones are older."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62))
