"""What the rehearsal tells the process of its visitors, and what that answers: each a line of JSON."""

from __future__ import annotations

import msgspec

from tearline.cli.rehearsal.dial import Latency
from tearline.cli.rehearsal.plan import Plan

CAMPAIGN_CODE = "REHEARSAL"
ROOM_CODE = "REHEARSAL"
PASSWORD = "OPEN SESAME"  # noqa: S105 - of a campaign that lives for minutes, on loopback


class Script(msgspec.Struct, frozen=True):
    """What to perform.

    Attributes:
        url: of the web processes.
        tokens_path: a file with the token of a member on each line.
        first_token: the position of the token that is used first.
    """

    plan: Plan
    url: str
    tokens_path: str
    first_token: int


class Gathered(msgspec.Struct, frozen=True, tag="gathered"):
    """Everyone who comes before the start has come; the room may start."""

    joined: int


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """What the visitors of one step have seen. See ``dial.Step``.

    Attributes:
        seconds: how long it was measured.
        generator: the share of a core that the visitors themselves took.
    """

    seconds: float
    served: Latency
    line: Latency
    served_per_second: float
    line_per_second: float
    generator: float
    outcomes: dict[str, int]
    errors: dict[str, int]
