"""The JSON of a pool's rule, to and from ``core.pools.CodeRule``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tearline.core.pools import CodeRule


def rule_json(rule: CodeRule) -> dict[str, Any]:
    """The rule as the database's column and the API's bodies hold it."""
    return asdict(rule)


def rule_from(stored: dict[str, Any] | None) -> CodeRule | None:
    """The rule of a pool; None before its first file was confirmed."""
    return None if stored is None else CodeRule(**stored)
