"""Visits are counted again only when something changed, and a start is something."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.census import PORTION, Census
from monitor.core.signals import silent_workers
from monitor.core.state import Dark, State, Values
from monitor.reads import Reads
from tests.unit.test_snapshots import NOON, visit


class Counted(Reads):
    """Views over a state without people."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def silent(self) -> frozenset[str]:
        return silent_workers(self._state, {"d1": "p2"}.get)


def state_of(count: int) -> State:
    return State(Values(visits={f"v{n}": visit(n) for n in range(count)}), seq=1)


async def counts(census: Census, state: State, now: datetime) -> dict[tuple[str, str], int]:
    return dict(await census.visits("bright", state, Counted(state), now))


async def test_a_visit_becomes_due_at_its_start_without_any_new_fact() -> None:
    census, state = Census(), state_of(3)
    before = NOON - timedelta(microseconds=1)
    assert await counts(census, state, before) == {("planned", "known"): 3}
    assert await counts(census, state, NOON) == {("due", "known"): 1, ("planned", "known"): 2}
    assert await counts(census, state, NOON + timedelta(minutes=2)) == {("due", "known"): 3}


async def test_nothing_is_counted_again_while_nothing_changed() -> None:
    census, state = Census(), state_of(3)
    assert await counts(census, state, NOON) == {("due", "known"): 1, ("planned", "known"): 2}
    state.values.visits.clear()
    assert await counts(census, state, NOON) == {("due", "known"): 1, ("planned", "known"): 2}
    state.seq += 1
    assert await counts(census, state, NOON) == {}


async def test_one_dark_broker_is_the_signal_of_all_and_one_dark_phone_of_its_worker_s() -> None:
    census, state = Census(), state_of(PORTION + 1)
    state.values.dark["device:d1"] = Dark(cause="device", subject="d1", since=NOON)
    assert await counts(census, state, NOON - timedelta(hours=1)) == {("planned", "dark:device"): PORTION + 1}
    state.values.dark["broker:"] = Dark(cause="broker", subject="", since=NOON)
    state.seq += 1
    assert await counts(census, state, NOON - timedelta(hours=1)) == {("planned", "dark:broker"): PORTION + 1}
