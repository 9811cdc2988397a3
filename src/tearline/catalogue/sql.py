"""The statements that put the catalogue: one parameter carries all rows of a statement, whatever their number."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, CollectionAggregate, TextClause, any_, literal, text


@dataclass(frozen=True, slots=True)
class Put:
    """How rows of one kind are put, in the order of their keys.

    Attributes:
        insert: writes those whose keys are new.
        lock: locks those that differ from what is there, and answers their keys.
        update: writes them.
    """

    insert: TextClause
    lock: TextClause
    update: TextClause


PUT_BRANDS = Put(
    insert=text("""
        INSERT INTO brand (key, names, created_at, updated_at)
        SELECT key, names, :now, :now
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, names jsonb)
        ORDER BY key ON CONFLICT DO NOTHING"""),
    lock=text("""
        SELECT brand.key
        FROM brand JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, names jsonb) USING (key)
        WHERE brand.names <> new.names
        ORDER BY brand.key FOR NO KEY UPDATE OF brand"""),
    update=text("""
        UPDATE brand SET names = new.names, updated_at = :now
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, names jsonb)
        WHERE brand.key = new.key"""),
)

PUT_PRODUCTS = Put(
    insert=text("""
        INSERT INTO product (
            key, merchant_id, names, price, currency, tax_basis_points, category_key, brand_key, is_discountable,
            image, state, created_at, updated_at)
        SELECT
            key, merchant_id, names, price, currency, tax_basis_points, category_key, brand_key, is_discountable,
            image, state, :now, :now
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (
            key text, merchant_id uuid, names jsonb, price bigint, currency text, tax_basis_points bigint,
            category_key text, brand_key text, is_discountable boolean, image text, state text)
        ORDER BY key ON CONFLICT DO NOTHING"""),
    lock=text("""
        SELECT product.key
        FROM product JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (
            key text, merchant_id uuid, names jsonb, price bigint, currency text, tax_basis_points bigint,
            category_key text, brand_key text, is_discountable boolean, image text, state text) USING (key)
        WHERE product.merchant_id = new.merchant_id AND (
            product.names, product.price, product.currency, product.tax_basis_points, product.category_key,
            product.brand_key, product.is_discountable, product.image, product.state
        ) IS DISTINCT FROM (
            new.names, new.price, new.currency, new.tax_basis_points, new.category_key,
            new.brand_key, new.is_discountable, new.image, new.state)
        ORDER BY product.key FOR NO KEY UPDATE OF product"""),
    update=text("""
        UPDATE product SET
            names = new.names, price = new.price, currency = new.currency,
            tax_basis_points = new.tax_basis_points, category_key = new.category_key, brand_key = new.brand_key,
            is_discountable = new.is_discountable, image = new.image, state = new.state, updated_at = :now
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (
            key text, names jsonb, price bigint, currency text, tax_basis_points bigint,
            category_key text, brand_key text, is_discountable boolean, image text, state text)
        WHERE product.key = new.key"""),
)

LOCK_CATEGORY_TREE = text("LOCK TABLE category IN SHARE ROW EXCLUSIVE MODE")
"""Waits for other writers of categories. Reading them goes on, and so does naming them in products."""

INSERT_CATEGORIES = text("""
    INSERT INTO category (key, parent_key, path, names, created_at, updated_at)
    SELECT key, parent_key, path, names, :now, :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, parent_key text, path text[], names jsonb)""")

UPDATE_CATEGORIES = text("""
    UPDATE category SET
        parent_key = new.parent_key, path = new.path, names = new.names,
        updated_at = CASE WHEN new.key = ANY(:changed) THEN :now ELSE updated_at END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, parent_key text, path text[], names jsonb)
    WHERE category.key = new.key""")
"""``changed`` names those that have changed themselves; the others only lie elsewhere now, with what holds them."""

LOCK_ACTIVE = text("""
    SELECT key FROM product WHERE key = ANY(:keys) AND state = 'active' ORDER BY key FOR NO KEY UPDATE""")
WITHDRAW = text("UPDATE product SET state = 'withdrawn', updated_at = :now WHERE key = ANY(:keys)")


def among(column: Any, values: Collection[Any]) -> CollectionAggregate[bool]:
    """For ``column == among(column, values)``: one parameter, however many values there are."""
    return any_(literal(list(values), ARRAY(column.type)))
