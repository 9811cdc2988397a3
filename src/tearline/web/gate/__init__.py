"""The gate: what those who wait see, and the hot lane of their polls, tickets and passes."""

from __future__ import annotations

from litestar import Router

from tearline.web.gate import bypass, draw, inside, sites, waiting

__all__ = ["router"]


def router() -> Router:
    """The pages at ``/gate``; what scripts and apps ask there is answered by ``gate.hot``."""
    return Router(
        "/gate",
        route_handlers=[
            *waiting.HANDLERS,
            *draw.HANDLERS,
            *inside.HANDLERS,
            *bypass.HANDLERS,
            *sites.HANDLERS,
        ],
        include_in_schema=False,
    )
