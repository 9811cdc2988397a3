"""Putting the catalogue: set by set, all of a call or nothing, and only what differs is written.

A shop sends what it has, as often as it likes; the same again writes nothing. Nothing is ever deleted: a product
that is no longer sold is withdrawn, since orders and offers go on naming it.

Locks, all in the order of the keys:

- Products and brands that are new are inserted first, then those that differ are locked and written. Whoever waits
  in the first step holds only new rows, which nobody waits for in the second: two calls never wait in a circle.
- An entry of which the caller says what it saw (``seen_at``) is locked before it is compared. It is the call's only
  one, so this is no other order.
- The tree of categories hangs together, so it has one writer at a time: the table is locked against other writers
  before it is looked at. Two moves that would close a circle together come one after the other.

A product stays with its merchant for good, so whose it is may be read without a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.model import Brand, BrandItem, Category, CategoryItem, Counts, Product, ProductItem
from tearline.catalogue.sql import (
    INSERT_CATEGORIES,
    LOCK_ACTIVE,
    LOCK_CATEGORY_TREE,
    PUT_BRANDS,
    PUT_PRODUCTS,
    UPDATE_CATEGORIES,
    WITHDRAW,
    Put,
    among,
)
from tearline.core.catalogue import (
    CYCLE_SENTENCE,
    DEEPEST,
    KEY_TAKEN_SENTENCE,
    NO_BRAND_SENTENCE,
    NO_CATEGORY_SENTENCE,
    NO_MERCHANT_SENTENCE,
    NO_PRODUCT_SENTENCE,
    TOO_DEEP_SENTENCE,
    TWICE_SENTENCE,
    check_entry,
    check_product,
    paths_of,
)
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import without_blanks
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.merchants.model import Merchant

MOST_ITEMS = 1_000
"""How many rows a call may have."""
MOST_CATEGORIES = 10_000
"""How many categories there may be in all: the tree is read whole to move a part of it."""

Report = Callable[[int], None]
"""Told how many rows are done."""

_ROWS_PER_STATEMENT = 1_000


async def put_categories(
    tx: AsyncConnection,
    actor: Actor,
    items: Sequence[CategoryItem],
    now: datetime,
    *,
    most: int = MOST_ITEMS,
    report: Report | None = None,
    seen_at: datetime | None = None,
) -> Counts:
    """Make and change categories; a parent may come in the same call, before or after.

    When a category moves, the path of all that lies in it follows.

    Raises:
        Refusal: ``not_allowed`` for whoever belongs to a merchant; ``invalid``, with the fields as
            ``items.3.parent_key``; ``changed_meanwhile``.
    """
    _require_operator(actor)
    _refuse_nonsense(items, most)
    await _lock_category_tree(tx)
    await _refuse_unseen(tx, Category, items, seen_at)
    held = {
        row.key: row
        for row in await tx.execute(
            select(Category.key, Category.parent_key, Category.names, Category.path).order_by(Category.key)
        )
    }
    wanted = {item.key: (item.parent_key, without_blanks(item.names)) for item in items}
    parents = {key: row.parent_key for key, row in held.items()}
    parents |= {key: parent for key, (parent, _names) in wanted.items()}
    paths = _paths(items, parents)
    new = [key for key in sorted(wanted) if key not in held]
    changed = {
        key
        for key, entry in wanted.items()
        if key in held and entry != (held[key].parent_key, held[key].names)
    }
    # What lies in a moved category is written too, but has not itself changed.
    moved = {key for key in held if paths[key] != held[key].path}
    rows = {
        key: {
            "key": key, "parent_key": parents[key], "path": paths[key],
            "names": wanted[key][1] if key in wanted else held[key].names,
        }
        for key in sorted({*new, *changed, *moved})
    }  # fmt: skip
    if new:
        await tx.execute(INSERT_CATEGORIES, _values([rows[key] for key in new], now))
    if changed or moved:
        values = _values([rows[key] for key in rows if key in held], now)
        await tx.execute(UPDATE_CATEGORIES, {**values, "changed": sorted(changed)})
    if report is not None:
        report(len(items))
    counts = Counts(len(new), len(changed), len(items) - len(new) - len(changed))
    await _record(tx, actor, "categories", [item.key for item in items], counts, now)
    return counts


async def put_brands(
    tx: AsyncConnection,
    actor: Actor,
    items: Sequence[BrandItem],
    now: datetime,
    *,
    most: int = MOST_ITEMS,
    report: Report | None = None,
    seen_at: datetime | None = None,
) -> Counts:
    """Make and change brands.

    Raises:
        Refusal: ``not_allowed`` for whoever belongs to a merchant; ``invalid``, with the fields as
            ``items.3.names.en``; ``changed_meanwhile``.
    """
    _require_operator(actor)
    _refuse_nonsense(items, most)
    await _refuse_unseen(tx, Brand, items, seen_at)
    rows = [
        {"key": item.key, "names": without_blanks(item.names)}
        for item in sorted(items, key=lambda item: item.key)
    ]
    counts = await _put(tx, rows, PUT_BRANDS, now, report)
    await _record(tx, actor, "brands", [item.key for item in items], counts, now)
    return counts


async def put_products(
    tx: AsyncConnection,
    actor: Actor,
    items: Sequence[ProductItem],
    now: datetime,
    *,
    most: int = MOST_ITEMS,
    report: Report | None = None,
    seen_at: datetime | None = None,
) -> Counts:
    """Make and change products; whoever belongs to a merchant, only that merchant's.

    Keys are unique in the installation, and a product stays with its merchant, also when the operator writes.

    Raises:
        Refusal: ``not_allowed``; ``invalid``, or ``already_taken`` for keys of another merchant's products, with
            the fields as ``items.3.price``; ``changed_meanwhile``.
    """
    actor.require("catalogue.write")
    # A file's rows are many: the loop goes on serving others meanwhile.
    rows = await asyncio.to_thread(_product_rows, items, actor, most)
    await _refuse_unknown(tx, actor, rows)
    await _refuse_taken(tx, rows)
    await _refuse_unseen(tx, Product, items, seen_at)
    counts = await _put(tx, sorted(rows, key=itemgetter("key")), PUT_PRODUCTS, now, report)
    # A key that another merchant has taken since the look above was neither inserted nor written.
    await _refuse_taken(tx, rows)
    merchants = {row["merchant_id"] for row in rows}
    merchant_id = merchants.pop() if len(merchants) == 1 else None
    await _record(tx, actor, "products", [row["key"] for row in rows], counts, now, merchant_id=merchant_id)
    return counts


async def withdraw_products(
    tx: AsyncConnection, actor: Actor, keys: Sequence[str], now: datetime, *, most: int = MOST_ITEMS
) -> Counts:
    """Say that products are no longer sold; those that were withdrawn before stay so.

    Raises:
        Refusal: ``not_allowed``; ``invalid``, with the fields as ``keys.3``, for what is no product, or is not
            the actor's.
    """
    actor.require("catalogue.write")
    if len(keys) > most:
        raise Refusal("invalid", fields={"keys": _("These are too many at a time.")})
    wanted = sorted(set(keys))
    owners = select(Product.key, Product.merchant_id).where(Product.key == among(Product.key, wanted))
    known = {row.key for row in await tx.execute(owners) if actor.merchant_id in (None, row.merchant_id)}
    unknown = {f"keys.{place}": NO_PRODUCT_SENTENCE for place, key in enumerate(keys) if key not in known}
    if unknown:
        raise Refusal("invalid", fields=unknown)
    locked = list(await tx.scalars(LOCK_ACTIVE, {"keys": wanted}))
    if locked:
        await tx.execute(WITHDRAW, {"keys": locked, "now": now})
    counts = Counts(0, len(locked), len(wanted) - len(locked))
    await _record(tx, actor, "products", wanted, counts, now, action="catalogue.products_withdrawn")
    return counts


async def _lock_category_tree(tx: AsyncConnection) -> None:
    """Wait until no other call is writing categories; reading them and naming them in products goes on."""
    await tx.execute(LOCK_CATEGORY_TREE)


def _require_operator(actor: Actor) -> None:
    actor.require("catalogue.write")
    if actor.merchant_id is not None:
        raise Refusal("not_allowed")


def _refuse_nonsense(items: Sequence[CategoryItem | BrandItem | ProductItem], most: int) -> None:
    """Refuse what is wrong with items by themselves, and keys that come twice."""
    if len(items) > most:
        raise Refusal("invalid", fields={"items": _("These are too many at a time.")})
    problems: dict[str, str] = {}
    seen: set[str] = set()
    for place, item in enumerate(items):
        found = problems_of(item)
        if item.key in seen:
            found = {"key": TWICE_SENTENCE, **found}
        seen.add(item.key)
        problems |= {f"items.{place}.{field}": sentence for field, sentence in found.items()}
    if problems:
        raise Refusal("invalid", fields=problems)


async def _refuse_unseen(
    tx: AsyncConnection,
    table: type[Category | Brand | Product],
    items: Sequence[CategoryItem | BrandItem | ProductItem],
    seen_at: datetime | None,
) -> None:
    """Lock the call's only entry, and refuse when it was changed after what the caller saw of it, ``seen_at``."""
    if seen_at is None:
        return
    (item,) = items
    changed_at = await tx.scalar(
        select(table.updated_at).where(table.key == item.key).with_for_update(key_share=True)
    )
    if changed_at != seen_at:
        raise Refusal("changed_meanwhile")


def _paths(items: Sequence[CategoryItem], parents: Mapping[str, str | None]) -> dict[str, list[str]]:
    """The path of every category in the tree as it is to be, or a refusal that names the items at fault."""
    if len(parents) > MOST_CATEGORIES:
        raise Refusal("invalid", fields={"items": _("There can be 10,000 categories at the most.")})
    places = {item.key: place for place, item in enumerate(items)}
    problems = {
        f"items.{place}.parent_key": NO_CATEGORY_SENTENCE
        for place, item in enumerate(items)
        if item.parent_key is not None and item.parent_key not in parents
    }
    if problems:
        raise Refusal("invalid", fields=problems)
    paths, circular = paths_of(parents)
    problems = {f"items.{places[key]}.parent_key": CYCLE_SENTENCE for key in circular if key in places}
    for path in paths.values():
        if len(path) > DEEPEST:
            # Perhaps something that lies in a moved one is too deep now: the moved one is at fault.
            place = next(places[key] for key in path if key in places)
            problems.setdefault(f"items.{place}.parent_key", TOO_DEEP_SENTENCE)
    if problems:
        raise Refusal("invalid", fields=problems)
    return paths


def problems_of(item: CategoryItem | BrandItem | ProductItem) -> dict[str, str]:
    """What is wrong with an item by itself: field to an English sentence; empty when all is well."""
    problems = check_entry(item.key, item.names)
    if isinstance(item, ProductItem):
        problems |= check_product(
            price=item.price,
            currency=item.currency,
            tax_basis_points=item.tax_basis_points,
            image=item.image,
            state=item.state,
        )
    return problems


def _product_rows(items: Sequence[ProductItem], actor: Actor, most: int) -> list[dict[str, Any]]:
    _refuse_nonsense(items, most)
    return [
        {
            **{name: getattr(item, name) for name in ProductItem.__slots__},
            "names": without_blanks(item.names),
            "merchant_id": item.merchant_id or actor.merchant_id,
        }
        for item in items
    ]


async def _refuse_unknown(tx: AsyncConnection, actor: Actor, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows that name a merchant, a category or a brand that is not there; none of them is ever deleted."""
    columns: tuple[tuple[str, Any, str], ...] = (
        ("merchant_id", Merchant.id, NO_MERCHANT_SENTENCE),
        ("category_key", Category.key, NO_CATEGORY_SENTENCE),
        ("brand_key", Brand.key, NO_BRAND_SENTENCE),
    )
    problems: dict[str, str] = {}
    for field, column, sentence in columns:
        named = {row[field] for row in rows} - {None}
        known = set(await tx.scalars(select(column).where(column == among(column, named))))
        if field == "merchant_id" and actor.merchant_id is not None:
            known &= {actor.merchant_id}
        elif field != "merchant_id":
            known.add(None)
        problems |= {
            f"items.{place}.{field}": sentence for place, row in enumerate(rows) if row[field] not in known
        }
    if problems:
        raise Refusal("invalid", fields=problems)


async def _refuse_taken(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    keys = [row["key"] for row in rows]
    owners: dict[str, UUID] = {}
    for start in range(0, len(keys), _ROWS_PER_STATEMENT):
        part = keys[start : start + _ROWS_PER_STATEMENT]
        found = await tx.execute(
            select(Product.key, Product.merchant_id).where(Product.key == among(Product.key, part))
        )
        owners |= {row.key: row.merchant_id for row in found}
    taken = {
        f"items.{place}.key": KEY_TAKEN_SENTENCE
        for place, row in enumerate(rows)
        if owners.get(row["key"], row["merchant_id"]) != row["merchant_id"]
    }
    if taken:
        raise Refusal("already_taken", fields=taken)


async def _put(
    tx: AsyncConnection, rows: Sequence[Mapping[str, Any]], put: Put, now: datetime, report: Report | None
) -> Counts:
    """Insert all rows that are new, then lock and write those that differ; both in the order of ``rows``."""
    parts = [rows[start : start + _ROWS_PER_STATEMENT] for start in range(0, len(rows), _ROWS_PER_STATEMENT)]
    added = changed = 0
    for part in parts:
        added += (await tx.execute(put.insert, _values(part, now))).rowcount
    done = 0
    for part in parts:
        # Only what was locked is written: a row that another call changes after this look was put before it.
        locked = set(await tx.scalars(put.lock, {"rows": _json(part)}))
        if locked:
            await tx.execute(put.update, _values([row for row in part if row["key"] in locked], now))
        changed += len(locked)
        done += len(part)
        if report is not None:
            report(done)
    return Counts(added, changed, len(rows) - added - changed)


async def _record(
    tx: AsyncConnection,
    actor: Actor,
    subject_kind: str,
    keys: Sequence[str],
    counts: Counts,
    now: datetime,
    *,
    action: str | None = None,
    merchant_id: UUID | None = None,
) -> None:
    """One line in the audit log for the whole call; none when nothing was written."""
    if counts.added == counts.changed == 0:
        return
    await record_audit(
        tx, actor, action or f"catalogue.{subject_kind}_put", subject_kind, keys[0] if len(keys) == 1 else "many",
        None, asdict(counts), now, merchant_id=merchant_id,
    )  # fmt: skip


def _values(rows: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    return {"rows": _json(rows), "now": now}


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()
