"""The outbox of the demo and of tests: keeps each message where ``notices.reads.outbox`` finds it."""

from __future__ import annotations

from tearline.notices import wording
from tearline.notices.messages import Message, Sent


class Outbox:
    """Sends nothing: the whole text becomes the notice's reference. Never for real members' codes."""

    name = "outbox"
    most_at_once = 200

    async def send(self, message: Message) -> Sent:
        """Keep one message."""
        return Sent(wording.text(message.template, message.language, message.values))

    async def close(self) -> None:
        """Nothing is open."""
