"""Pages that two faces have: what they need to know of the face in which they are shown.

The faces don't know one another. What both the operator's staff and a merchant's see stands beside them in ``web``:
handlers that take ``face: GivenFace``, which a face's router provides, and templates of ``ui/templates``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from litestar import Response
from litestar.di import NamedDependency

from tearline.web.access import AnyRequest


class Show(Protocol):
    """Draws a page in the frame of whoever is signed in: the ``show`` of a face."""

    def __call__(
        self, request: AnyRequest, template: str, *, status_code: int = 200, **context: Any
    ) -> Response[str]:
        """The page."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face for staff.

    Attributes:
        name: with which its addresses begin.
        show: draws a page of it.
    """

    name: Literal["console", "merchant"]
    show: Show

    def path(self, rest: str) -> str:
        """An address of this face."""
        return f"/{self.name}/{rest}"


GivenFace = NamedDependency[Face]
