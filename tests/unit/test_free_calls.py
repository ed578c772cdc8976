"""Calls to the free number when something of ours is broken: the caller is put through all the same, or told so."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.ports import Degraded
from escalation.free_number import A_DAY, TRIES_A_DAY, TRIES_AT_MOST, TRIES_WITHIN
from monitor import free_calls
from monitor.core.inputs import PinsGuessed
from monitor.core.state import State
from monitor.core.upload import finished
from monitor.core.views import CallHeard, Script
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.engine import DecideFailedError
from monitor.free_calls import FreeCalls
from monitor.metrics import Metrics
from monitor.wording_file import load_wording
from monitor.words import Office, Words

FREE, OURS, OFFICE, EDNA = "+448081570042", "+441632960999", "+441632960555", "+441632960101"
STRANGER = "+441632960777"
NOW = datetime(2026, 11, 23, 8, 2, tzinfo=UTC)


class StoppedClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

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


class GuessedDesk(BrokenDesk):
    """One that notes when it hears of guessed PINs, and has edna's landline. `deaf`: so often it fails at that."""

    def __init__(self, clock: StoppedClock, deaf: int = 0) -> None:
        super().__init__(DecideFailedError("KeyError"))
        self.clock, self.deaf = clock, deaf
        self.alarms: list[datetime] = []
        numbers = count(1)
        self.directory = Directory(lambda prefix: f"{prefix}{next(numbers)}", "Europe/London", 150.0)
        self.has({"id": "su-1", "role": "service_user", "phones": [{"number": EDNA, "kind": "landline"}]})

    def has(self, *people: dict[str, Any]) -> None:
        self.directory.apply(*finished(self.directory.read(list(people))))

    def tell(self, seen: Any) -> Any:
        if not isinstance(seen, PinsGuessed) or self.deaf:
            self.deaf = max(0, self.deaf - 1)
            raise self.error
        self.alarms.append(self.clock.now())


class Guesser:
    """Rings from this line or that, and keeps below every bound that is looked at by the call or the quarter hour."""

    def __init__(self, *, deaf: int = 0) -> None:
        self.clock = StoppedClock()
        self.desk = GuessedDesk(self.clock, deaf)
        self.calls, _ = free_number(self.desk, self.clock)
        self._ids = count(1)

    async def asked(self, line: str) -> tuple[str, Script]:
        ref = f"CA{next(self._ids)}"
        return ref, await self.calls.received(FREE, line, ref)

    async def tries(self, line: str) -> bool:
        """One PIN from this line, and on to the next moment; False: none was asked for."""
        self.clock.at += 2 * TRIES_WITHIN / TRIES_AT_MOST
        ref, asked = await self.asked(line)
        if asked.keys:
            await self.calls.heard(FREE, line, ref, CallHeard(turn=asked.turn or 0, digits="4711"))
        return asked.keys


def free_number(desk: BrokenDesk, clock: StoppedClock | None = None) -> tuple[FreeCalls, Metrics]:
    metrics = Metrics(["bright"], [])
    office = Office(desk="bright", agency="Bright Care", tel="01632 960555")
    words = Words(load_wording(), office, desk.engine.state, desk.directory)
    calls = FreeCalls(cast(DeskShell, desk), lambda: words, clock or StoppedClock(), metrics)
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


@pytest.mark.parametrize("line", [STRANGER, EDNA], ids=["a stranger's", "a service user's"])
async def test_who_guesses_slowly_from_one_line_is_found_within_a_day_and_asked_for_no_more(
    line: str,
) -> None:
    guesser = Guesser()
    assert [await guesser.tries(line) for _ in range(TRIES_A_DAY)] == [True] * TRIES_A_DAY
    assert guesser.desk.alarms == [guesser.clock.now()]
    assert not await guesser.tries(line), "a person instead of the PIN"
    guesser.clock.at += A_DAY
    assert await guesser.tries(line), "and the next day it is asked for again"


async def test_who_guesses_slowly_from_ever_new_lines_takes_nothing_from_a_service_users_line() -> None:
    guesser = Guesser()
    tried = [await guesser.tries(f"+4416329602{n:02}") for n in range(TRIES_A_DAY + 1)]
    assert tried == [True] * TRIES_A_DAY + [False]
    assert len(guesser.desk.alarms) == 1
    assert (await guesser.asked(EDNA))[1].keys


async def test_slips_of_a_day_at_a_large_desk_are_no_alarm() -> None:
    guesser = Guesser()
    guesser.desk.has(
        *({"id": f"cw-{n}", "role": "care_worker", "pin": f"{5000 + n}"} for n in range(TRIES_A_DAY + 1))
    )
    for n in range(TRIES_A_DAY):
        assert await guesser.tries(f"+4416329602{n:02}")
    assert guesser.desk.alarms == []
    assert await guesser.tries(STRANGER)
    assert len(guesser.desk.alarms) == 1


async def test_a_day_of_slips_is_told_once_and_again_after_as_many_more() -> None:
    """Whoever closed the alarm has heard of those: one more slip is not another alarm."""
    guesser = Guesser()
    for n in range(TRIES_A_DAY):
        await guesser.tries(f"+4416329602{n:02}")
    # from lines of service users, which the desk's count does not close
    guesser.desk.has(
        *(
            {
                "id": f"su-{n}",
                "role": "service_user",
                "phones": [{"number": f"+4416329603{n:02}", "kind": "landline"}],
            }
            for n in range(TRIES_A_DAY)
        )
    )
    for n in range(TRIES_A_DAY - 1):
        await guesser.tries(f"+4416329603{n:02}")
    assert len(guesser.desk.alarms) == 1
    await guesser.tries(f"+4416329603{TRIES_A_DAY - 1:02}")
    assert len(guesser.desk.alarms) == 2


async def test_an_alarm_that_could_not_be_raised_is_raised_with_the_next_wrong_pin() -> None:
    guesser = Guesser(deaf=1)
    for n in range(TRIES_A_DAY - 1):
        await guesser.tries(f"+4416329602{n:02}")
    await guesser.tries(EDNA)
    assert guesser.desk.alarms == []
    await guesser.tries(EDNA)
    assert len(guesser.desk.alarms) == 1


async def test_nobody_is_joined_to_a_caller_who_has_gone() -> None:
    calls, _ = free_number(BrokenDesk(RuntimeError("bug")))
    await calls.received(FREE, EDNA, "CA1")
    script = await calls.whisper("CA1", 1, "", None)
    assert (script.hang_up, script.keys) == (True, False)
