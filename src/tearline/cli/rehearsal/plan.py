"""What a rehearsal simulates: how many people, how they arrive, what they do, and what is asked of the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

SHAPES = ("burst", "ramp", "steady")

GRACE_SECONDS = 10
"""The shortest grace time a room may have, so that a step settles soon."""
_SPAWNED_A_SECOND = 100.0
_SECONDS_OUTSIDE = 6.0
"""From leaving until being inside again as somebody new: the page, the ticket, the call, the poll."""
_FIRST_PART = 8
_LEAST_FIRST = 4
"""With fewer allowed inside, a single one who does not come keeps everyone waiting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A rehearsal, as it was asked for.

    Attributes:
        people: visitors at the same time, those who wait and those inside together.
        stock: how much there is to give on the day; the rehearsal itself never runs out.
        session_seconds: how long a pass is good for.
        shape: how people arrive, one of ``SHAPES``.
        step_seconds: how long each step is measured.
        maximum_steps: settings of the dial that are tried at the most.
        no_show_share: of those who take a ticket, who never come when called.
        leaver_share: of those inside, who leave without a claim.
        reload_share: of all, who load the waiting page, and the campaign's, a second time.
        think_seconds: the mean time between looking at a page and acting on it.
        p95_milliseconds, error_share: the objectives, over all requests of those inside.
        processes: web processes.
        poll_factor: the intervals between polls are taken times this.
    """

    people: int = 1_000
    stock: int = 10_000
    session_seconds: int = 1800
    shape: str = "burst"
    step_seconds: float = 20.0
    maximum_steps: int = 8
    no_show_share: float = 0.1
    leaver_share: float = 0.1
    reload_share: float = 0.1
    think_seconds: float = 8.0
    p95_milliseconds: float = 500.0
    error_share: float = 0.001
    processes: int = 1
    poll_factor: float = 1.0

    @property
    def settle_seconds(self) -> float:
        """From the start of the room until it is full and people are in all stages of their visit."""
        return 3 * self.poll_factor + 3 * self.think_seconds

    @property
    def gather_seconds(self) -> float:
        """How long people gather before the start, in the shape ``burst``."""
        return max(1.0, self.people / _SPAWNED_A_SECOND)

    @property
    def most_inside(self) -> int:
        """How many of the people can be inside at once: the others are on their way in again."""
        stay = 2 * self.think_seconds
        return max(1, int(0.9 * self.people * stay / (stay + _SECONDS_OUTSIDE * self.poll_factor)))

    @property
    def first_dial(self) -> int:
        """The setting of the dial that is tried first."""
        return min(self.most_inside, max(_LEAST_FIRST, self.most_inside // _FIRST_PART))

    def quick(self) -> Plan:
        """The same in small: it shows that everything works, and measures nothing that counts."""
        return replace(
            self,
            people=min(self.people, 30),
            step_seconds=min(self.step_seconds, 2.0),
            maximum_steps=min(self.maximum_steps, 2),
            think_seconds=min(self.think_seconds, 0.5),
            poll_factor=0.25,
        )


def arrived_share(shape: str, seconds: float, arrival_seconds: float) -> float:
    """The share of the people who have arrived after so many seconds; 1 from ``arrival_seconds`` on.

    ``steady``: as many in each second. ``ramp``: ever more, as when word gets around. ``burst``: evenly, too, but
    all of them before the start, which is what makes the crowd.
    """
    part = min(1.0, max(0.0, seconds / arrival_seconds))
    return part * part if shape == "ramp" else part
