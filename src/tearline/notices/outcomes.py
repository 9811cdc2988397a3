"""Writing down what became of messages: many in one statement, for a rush."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Guarded by state and attempt: whoever lost the lease has nothing to say about the message any more.
_WRITE = text(
    """
    UPDATE notice SET
        state = outcome.state,
        attempts = outcome.attempts,
        next_attempt_at = COALESCE(outcome.next_attempt_at, notice.next_attempt_at),
        provider = outcome.provider,
        provider_reference = outcome.reference,
        error = outcome.error,
        sent_at = outcome.sent_at,
        "values" = CASE WHEN outcome.state = 'queued' THEN notice."values" ELSE '{}' END
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:attempt AS bigint[]), CAST(:states AS text[]),
        CAST(:attempts AS bigint[]),
        CAST(:next_attempt_at AS timestamptz[]), CAST(:providers AS text[]), CAST(:reference AS text[]),
        CAST(:errors AS text[]), CAST(:sent_at AS timestamptz[])
    ) AS outcome (id, attempt, state, attempts, next_attempt_at, provider, reference, error, sent_at)
    WHERE notice.id = outcome.id AND notice.state = 'sending' AND notice.attempts = outcome.attempt
    """
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    notice_id: UUID
    attempt: int
    """The attempt's number when the message was picked: proof that it is still ours."""
    state: str
    """``sent``, ``failed``, or ``queued`` for another attempt."""
    attempts: int
    provider: str
    next_attempt_at: datetime | None = None
    reference: str | None = None
    error: str | None = None
    sent_at: datetime | None = None


async def write_outcomes(tx: AsyncConnection, outcomes: Sequence[Outcome]) -> int:
    """Write all outcomes in one statement; answers how many messages were still ours."""
    result = await tx.execute(
        _WRITE,
        {
            "ids": [outcome.notice_id for outcome in outcomes],
            "attempt": [outcome.attempt for outcome in outcomes],
            "states": [outcome.state for outcome in outcomes],
            "attempts": [outcome.attempts for outcome in outcomes],
            "next_attempt_at": [outcome.next_attempt_at for outcome in outcomes],
            "providers": [outcome.provider for outcome in outcomes],
            "reference": [outcome.reference for outcome in outcomes],
            "errors": [outcome.error for outcome in outcomes],
            "sent_at": [outcome.sent_at for outcome in outcomes],
        },
    )
    return result.rowcount
