"""The face for programs, at /api/v1: everything the console can do, and what tills and shop systems need."""

from __future__ import annotations

from litestar import Router


def router() -> Router:
    """Everything below /api/v1."""
    return Router("/api/v1", route_handlers=[])
