"""Calls to the free number when something of ours is broken: the caller is put through all the same, or told so."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.ports import Degraded
from monitor import free_calls
from monitor.core.state import State
from monitor.core.views import CallHeard, Script
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.engine import DecideFailedError
from monitor.free_calls import FreeCalls
from monitor.metrics import Metrics
from monitor.wording_file import load_wording
from monitor.words import Office, Words

FREE, OURS, OFFICE, EDNA = "+448081570042", "+441632960999", "+441632960555", "+441632960101"
NOW = datetime(2026, 11, 23, 8, 2, tzinfo=UTC)


class StoppedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class BrokenDesk:
    """A desk that knows its people and cannot decide anything."""

    def __init__(self, error: Exception, telephone: str | None = OFFICE) -> None:
        self.id, self.error = "bright", error
        self.config = SimpleNamespace(telephone=telephone, numbers=(OURS,), checkin_numbers=(FREE,))
        self.directory = Directory(lambda prefix: f"{prefix}1", "Europe/London", 150.0)
        self.engine = SimpleNamespace(state=State())

    def tell(self, seen: Any) -> Any:
        raise self.error


def free_number(desk: BrokenDesk) -> tuple[FreeCalls, Metrics]:
    metrics = Metrics(["bright"], [])
    office = Office(desk="bright", agency="Bright Care", tel="01632 960555")
    words = Words(load_wording(), office, desk.engine.state, desk.directory)
    calls = FreeCalls(cast(DeskShell, desk), lambda: words, StoppedClock(), metrics)
    return calls, metrics


async def asks_for_a_person(calls: FreeCalls) -> Script:
    asked = await calls.received(FREE, EDNA, "CA1")
    assert asked.turn is not None
    return await calls.heard(FREE, EDNA, "CA1", CallHeard(turn=asked.turn, digits="0"))


@pytest.mark.parametrize(
    "error",
    [DecideFailedError("KeyError"), Degraded("full"), RuntimeError("bug")],
    ids=["undecided", "full", "bug"],
)
async def test_a_desk_that_cannot_decide_puts_the_caller_through_to_the_office(error: Exception) -> None:
    calls, _ = free_number(BrokenDesk(error))
    script = await asks_for_a_person(calls)
    assert (script.dial, script.dial_from, script.asked_first) == (OFFICE, OURS, False)


@pytest.mark.parametrize("telephone", [None, OURS, FREE], ids=["none", "our own", "the free number"])
async def test_where_no_person_answers_nobody_is_promised(telephone: str | None) -> None:
    """Ringing a number of ours would come back to us, and again, without an end."""
    calls, _ = free_number(BrokenDesk(DecideFailedError("KeyError"), telephone))
    script = await asks_for_a_person(calls)
    assert (script.dial, script.hang_up) == (None, True)
    assert script.say


async def test_an_answer_to_an_earlier_question_says_the_present_one_again() -> None:
    calls, metrics = free_number(BrokenDesk(RuntimeError("bug")))
    asked = await calls.received(FREE, EDNA, "CA1")
    assert await calls.received(FREE, EDNA, "CA1") == asked, "the beginning of the call, repeated"
    wrong = CallHeard(turn=asked.turn or 0, digits="4711")
    again = await calls.heard(FREE, EDNA, "CA1", wrong)
    assert await calls.heard(FREE, EDNA, "CA1", wrong) == again
    assert b'quarantine_total{reason="wrong_pin",source="phone"} 1.0' in metrics.render()


async def test_what_is_remembered_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_calls, "CALLS_KEPT", 3)
    calls, _ = free_number(BrokenDesk(RuntimeError("bug")))
    for n in range(5):
        await calls.received(FREE, EDNA, f"CA{n}")
    assert [calls.knows(f"CA{n}") for n in range(5)] == [False, False, True, True, True]


async def test_wrong_pins_of_ever_new_numbers_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_calls, "LINES_KEPT", 2)
    calls, _ = free_number(BrokenDesk(DecideFailedError("KeyError")))
    for n in range(5):
        asked = await calls.received(FREE, f"+44163296020{n}", f"CA{n}")
        await calls.heard(FREE, f"+44163296020{n}", f"CA{n}", CallHeard(turn=asked.turn or 0, digits="4711"))
    assert len(calls._wrong) == 2


async def test_nobody_is_joined_to_a_caller_who_has_gone() -> None:
    calls, _ = free_number(BrokenDesk(RuntimeError("bug")))
    await calls.received(FREE, EDNA, "CA1")
    script = await calls.whisper("CA1", 1, "", None)
    assert (script.hang_up, script.keys) == (True, False)
