"""The statements of the door and of the controller: few, set-wise, all under the lock of the room's one row."""

from __future__ import annotations

LOCK = """
SELECT s.state, s.round, s.seed, s.gathered, s.joined, s.called, s.lapsed, s.inside, s.at_door
FROM room_state AS s WHERE s.room_id = %s FOR NO KEY UPDATE
"""

SETTINGS = """
SELECT max_active, session_seconds, grace_seconds, queues_when_full, late_may_enter FROM room WHERE id = %s
"""

# Calls whose grace time is not over. Under the lock the round and the lapsed number stand still.
CALLS = """
SELECT first, size, called_at, came FROM room_call
WHERE room_id = %(room)s AND round = (SELECT round FROM room_state WHERE room_id = %(room)s)
  AND first >= (SELECT lapsed FROM room_state WHERE room_id = %(room)s)
ORDER BY first
"""

ENTRIES = """
SELECT asked.place, made.* FROM unnest(%s::bigint[]) AS asked (place)
CROSS JOIN LATERAL (
    SELECT exchange_key, came_at, member_id, entered_at, expires_at, ended_at, ended_by FROM room_entry
    WHERE room_id = %s AND round = %s AND room_entry.place = asked.place LIMIT 1
) AS made
"""

PUT_ENTRIES = """
INSERT INTO room_entry
    (room_id, round, place, exchange_key, came_at, member_id, entered_at, expires_at, ended_at, ended_by)
SELECT %s, %s, * FROM unnest(
    %s::bigint[], %s::text[], %s::timestamptz[], %s::uuid[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::text[])
ON CONFLICT (room_id, round, place) DO UPDATE SET
    exchange_key = excluded.exchange_key, came_at = excluded.came_at, member_id = excluded.member_id,
    entered_at = excluded.entered_at, expires_at = excluded.expires_at, ended_at = excluded.ended_at,
    ended_by = excluded.ended_by
"""

COUNT_ARRIVALS = """
UPDATE room_call SET came[%s] = came[%s] + %s WHERE room_id = %s AND round = %s AND first = %s
"""

PUT_COUNTS = "UPDATE room_state SET inside = %s, at_door = %s, entered = entered + %s WHERE room_id = %s"
