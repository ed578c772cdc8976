"""The product broken on purpose, one promise at a time: the auditor must notice each.

Every mutant is a patch of one function of the real product while a simulated day runs, with the rule that it must
trip. A simulation that passes with a mutant in it is blind on that side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

from msgspec import structs

from escalation import reassure, summon
from escalation.track import Move, Track
from monitor import outbox, scheduler, watch
from monitor.core import absence, checkins, desk
from monitor.core.inputs import SendTurn
from monitor.core.state import State
from monitor.desk_shell import DeskShell
from monitor.engine import Engine
from monitor.feeds import Feeds
from monitor.words import Words
from tests.simulation.office import Office


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`breaks` puts the fault in, `rules` are those that may notice it, `faults` what the world must do for it."""

    name: str
    rules: frozenset[str]
    faults: frozenset[str]
    seed: int
    """Of the first day that has the occasion, as far as is known: the search begins there."""
    breaks: Callable[[], AbstractContextManager[Any]]


def _acknowledges_early() -> AbstractContextManager[Any]:
    def when_durable(
        self: Engine, seq: int, done: Callable[[], None], degraded: Any = None, lost: Any = None
    ) -> None:
        done()

    return patch.object(Engine, "when_durable", when_durable)


def _drops_a_deadline() -> AbstractContextManager[Any]:
    real, count = State.take_due, [0]

    def take_due(self: State, now: datetime, limit: int, until: Any = None) -> Any:
        due = real(self, now, limit, until)
        visits = [entry for entry in due if entry[0] in self.values.visits]
        count[0] += len(visits)
        if visits and count[0] % 3 == 0:
            due.remove(visits[0])
        return due

    return patch.object(State, "take_due", take_due)


def _sends_before_it_is_on_disk() -> AbstractContextManager[Any]:
    async def recorded(self: DeskShell, seq: int) -> bool:
        return True

    return patch.object(DeskShell, "_recorded", recorded)


def _loses_the_attempt() -> AbstractContextManager[Any]:
    async def attempt(self: DeskShell, key: str) -> Any:
        return self.outbound(key)

    return patch.object(DeskShell, "attempt", attempt)


def _forgets_duplicates() -> AbstractContextManager[Any]:
    return patch.object(checkins, "_is_repeat", lambda work, check: False)


def _ends_summoning_quietly() -> AbstractContextManager[Any]:
    def pass_on(case: Any, track: Track, reason: str) -> Move:
        return Move(track=Track(name="summon", step="not_reached", reason=reason, round=track.round))

    return patch.object(summon, "pass_on", pass_on)


def _ignores_late_evidence() -> AbstractContextManager[Any]:
    return patch.object(checkins, "_end_alerts", lambda *_args: None)


def _speaks_to_the_public_unasked() -> AbstractContextManager[Any]:
    return patch.object(reassure, "mode", lambda case: "auto")


def _ticks_before_it_has_read() -> AbstractContextManager[Any]:
    async def wait_drained(self: Feeds) -> None:
        self._settled.set()

    return patch.object(Feeds, "wait_drained", wait_drained)


def _fires_after_a_stall_without_reading() -> AbstractContextManager[Any]:
    return patch.object(scheduler, "STALL_S", 1e9)


def _keeps_quiet_about_its_disk() -> AbstractContextManager[Any]:
    return patch.object(watch, "DEGRADED_TOLD_AFTER_S", 1e9)


def _hides_that_it_could_not_record() -> AbstractContextManager[Any]:
    real = desk._DECIDE[SendTurn]
    hides = lambda work, turn: real(work, structs.replace(turn, unrecorded=False))  # noqa: E731
    return patch.dict(desk._DECIDE, {SendTurn: hides})


def _says_it_is_yours_to_everybody() -> AbstractContextManager[Any]:
    return patch.object(Words, "opening", lambda self, message: "")


def _repeats_without_saying_so() -> AbstractContextManager[Any]:
    async def look_up(self: outbox.Outbox, shell: outbox.Desk, outbound: Any, since: datetime) -> None:
        await asyncio.sleep(0)
        shell.refused(outbound.key, "timeout", permanent=False, possibly_repeated=False)

    return patch.object(outbox.Outbox, "_look_up", look_up)


@contextmanager
def _forgets_deadlines_at_a_restart() -> Iterator[None]:
    """A state that comes out of a snapshot has its heap empty."""
    real = State.__init__

    def init(self: State, values: Any = None, seq: int = 0) -> None:
        real(self, values, seq)
        self._moments.clear()
        self._due.clear()
        self._asked.clear()

    with patch.object(State, "__init__", init), patch("monitor.engine.SNAPSHOT_EVERY", 20):
        yield


@contextmanager
def _leaves_who_is_back_unwatched() -> Iterator[None]:
    """And who is away is back soon: three hours would seldom see an absence that was confirmed and is over."""
    rests = Office._rests

    async def soon(self: Office, least: float, most: float) -> None:
        await rests(self, least, least + (most - least) / 10)

    with (
        patch.object(absence, "_again", lambda work, visit, seen: None),
        patch.object(Office, "_rests", soon),
    ):
        yield


def _mutant(
    breaks: Callable[[], AbstractContextManager[Any]], rules: str, faults: str, seed: int = 1
) -> Mutant:
    return Mutant(
        seed=seed,
        name=breaks.__name__.strip("_"),
        breaks=breaks,
        rules=frozenset(rules.split()),
        faults=frozenset(faults.split()),
    )


MUTANTS = (
    _mutant(_acknowledges_early, "lost", ""),
    _mutant(_drops_a_deadline, "no_alert", ""),
    _mutant(_sends_before_it_is_on_disk, "unrecorded_send", ""),
    _mutant(_loses_the_attempt, "unrecorded_send", ""),
    _mutant(_forgets_duplicates, "twice", "broker phones"),
    _mutant(_ends_summoning_quietly, "silent_ladder", ""),
    _mutant(_ignores_late_evidence, "not_retracted", "phones broker"),
    _mutant(_speaks_to_the_public_unasked, "public_off", "", seed=2),
    _mutant(_ticks_before_it_has_read, "hasty_alert", "crash"),
    _mutant(_fires_after_a_stall_without_reading, "hasty_alert", "stall"),
    _mutant(_keeps_quiet_about_its_disk, "silent_store", "store", seed=13),
    _mutant(_hides_that_it_could_not_record, "unmarked_send", "store", seed=2),
    _mutant(_says_it_is_yours_to_everybody, "untrue_answer", "", seed=3),
    _mutant(_repeats_without_saying_so, "unmarked_repeat", "provider"),
    _mutant(_leaves_who_is_back_unwatched, "unwatched", "", seed=3),
    _mutant(_forgets_deadlines_at_a_restart, "no_alert silent_ladder", "crash"),
)
