"""Codes of a pool, batch by batch, against a naive pool that is a set of free codes."""

from __future__ import annotations

from collections import deque
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from tearline.core.taking import Pool

SIZE = 12
MEMBER = uuid4()
ACTS = st.lists(
    st.lists(st.tuples(st.sampled_from(["reserve", "give back", "sell"]), st.integers(0, 4)), max_size=6),
    max_size=8,
)
"""Batches of acts; the number says how many codes, or which of the orders there are."""


class Stored:
    """What the database keeps of a pool between batches."""

    def __init__(self, void: set[int]) -> None:
        self.states = {position: "void" if position in void else "available" for position in range(SIZE)}
        self.next_position = 0
        self.returned: set[int] = set()

    def loaded(self) -> Pool:
        free = [position for position, state in self.states.items() if state == "available"]
        assert all(position >= self.next_position or position in self.returned for position in free)
        assert all(self.states[position] == "available" for position in self.returned)
        return Pool(
            uuid4(),
            len(free),
            self.next_position,
            SIZE,
            deque(sorted(self.returned)),
            deque(position for position in free if position >= self.next_position),
        )

    def write(self, pool: Pool) -> None:
        before = [*self.states.values()]
        for position, change in pool.changes.items():
            self.states[position] = change.state
        assert pool.taken_returned <= self.returned and not pool.given_back & self.returned
        self.returned = self.returned - pool.taken_returned | pool.given_back
        self.next_position = pool.next_position
        after = [*self.states.values()]
        for state, more in (
            ("available", pool.more_available),
            ("reserved", pool.more_reserved),
            ("sold", pool.more_sold),
        ):
            assert after.count(state) - before.count(state) == more, state


@given(ACTS, st.sets(st.integers(0, SIZE - 1), max_size=3))
def test_no_code_is_given_out_twice_and_none_is_lost(
    batches: list[list[tuple[str, int]]], void: set[int]
) -> None:
    stored = Stored(void)
    free = set(range(SIZE)) - void
    orders: dict[UUID, list[int]] = {}
    for batch in batches:
        pool = stored.loaded()
        for act, number in batch:
            assert pool.left == len(free)
            if act == "reserve":
                if number > pool.left:
                    continue
                order_id = uuid4()
                taken = pool.reserve(number, order_id, MEMBER)
                assert len(set(taken)) == number and set(taken) <= free
                free -= set(taken)
                orders[order_id] = taken
            elif orders:
                order_id = list(orders)[number % len(orders)]
                positions = orders.pop(order_id)
                if act == "give back":
                    pool.give_back(positions)
                    free |= set(positions)
                else:
                    pool.sell(positions, order_id, MEMBER, [uuid4() for _ in positions])
        stored.write(pool)
    assert {position for position, state in stored.states.items() if state == "available"} == free


def test_what_came_back_is_given_out_first() -> None:
    pool = Pool(uuid4(), 4, 2, 6, deque([0]), deque([2, 3, 5]))
    assert pool.reserve(3, uuid4(), MEMBER) == [0, 2, 3]
    assert (pool.next_position, pool.taken_returned, pool.left) == (4, {0}, 1)
    pool.give_back([0, 2])
    assert (pool.taken_returned, pool.given_back) == (set(), {2})
    assert pool.reserve(2, uuid4(), MEMBER) == [0, 2]
    assert (pool.taken_returned, pool.given_back) == ({0}, set())
