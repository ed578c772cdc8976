"""The start of duty from outside (wording.md OC-7): a real daemon whose wall clock comes up to 17:00, telephones as
objects, a policy of seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    of_kind,
    service_user,
    staff,
    visit,
    warm_start,
)
from tests.system.wall_clock import WallClock
from tests.waiting import until_sync

MANAGER = "+447700900203"
DUTY = (
    {"person": "st-1", "role": "office", "hours": "Mon-Fri 09:00-17:00"},
    {"person": "st-2", "role": "on_call", "hours": "otherwise"},
    {"person": "st-3", "role": "manager", "hours": "otherwise"},
)
QUICK = {"late_after": "1s", "ask_worker": [], "summon_next": "1s", "ack_expires": "1h", "ring_staff": "10s"}
FIVE = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
LEAD = timedelta(seconds=15)


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("wall"))


@pytest.fixture(scope="module")
def warm(wall: WallClock) -> Iterator[WarmStart]:
    """Starts daemons that look at `wall`."""
    with warm_start(wall.env) as warm:
        yield warm


class World:
    """Orla is in the office until five, Philippa is on call from then on, Petra is the registered manager."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones
        self.office.people(
            service_user(),
            care_worker(),
            staff(),
            staff("st-2", ON_CALL) | {"name": "Philippa Nightingale"},
            staff("st-3", MANAGER) | {"name": "Petra Larkspur"},
        )

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def told(self, number: str, words: str) -> str:
        """The text to this phone in which the words stand, once it is there."""

        def found() -> list[str]:
            return [t["body"] for t in self.phones.texts(number) if words in t["body"]]

        return until_sync(found, timeout=30, what=f"{words!r} at {number[-3:]}")[0]

    def steps(self) -> list[str]:
        facts = of_kind(self.office.facts(), "DutyMoved")
        return [re.findall(r'"step":"(\w+)"', fact["body"])[0] for fact in facts]


@contextmanager
def just_before_five(folder: Path, wall: WallClock, warm: WarmStart, **overrides: Any) -> Iterator[World]:
    wall.set(FIVE - LEAD)
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, warm=warm, duty=DUTY, overrides=QUICK | overrides) as daemon,
    ):
        assert wall.now() < FIVE - timedelta(seconds=2), (
            "the daemon was too slow to be there before the hand-over"
        )
        yield World(daemon, phones)


def test_who_is_silent_is_rung_twice_who_had_the_duty_stays_on_and_is_summoned_first_until_they_answer(
    tmp_path: Path, wall: WallClock, warm: WarmStart
) -> None:
    with just_before_five(tmp_path, wall, warm) as w:
        assert w.phones.texts(ON_CALL) == []
        asked = w.told(ON_CALL, "you are on call from 5pm to 9am. 0 open.")
        assert asked.endswith("then Orla stays on.")
        w.phones.do(w.phones.ringing(ON_CALL, 1), "no-answer")
        w.phones.do(w.phones.ringing(ON_CALL, 2), "voicemail")
        w.told(
            OFFICE, "Philippa is on call from 5pm and has not answered. You stay on and are summoned first"
        )
        w.told(
            MANAGER,
            "Philippa is on call from 5pm to 9am and has not answered our text or calls. Orla stays on.",
        )
        w.daemon.kill()
        w.daemon.start()
        w.phones.leads_to(w.daemon)
        w.office.rota(visit("v-1", wall.now()))
        w.told(OFFICE, "LATE Edna")
        alert = w.office.alert("v-1")
        summoned = [c["person"] for c in alert["contacts"] if c["purpose"] == "summon"]
        assert summoned[0] == "st-1"
        w.told(ON_CALL, "LATE Edna")
        code = re.findall(r"Reply (\d+) to start", asked)[0]
        w.phones.reply(ON_CALL, code)
        w.told(OFFICE, "Philippa has answered and is on call now, to 9am.")
        w.told(MANAGER, "Orla is free again.")
        w.told(ON_CALL, "Thank you. You are on call from 5pm to 9am.")
        assert w.steps() == ["asked", "rung", "rung_again", "unanswered", "started"]
        assert chain_break(w.office.facts()) is None


def test_who_answers_the_call_with_two_keys_has_the_duty_and_nobody_else_hears_of_it(
    tmp_path: Path, wall: WallClock, warm: WarmStart
) -> None:
    with just_before_five(tmp_path, wall, warm, summon_next="3s") as w:
        call = w.phones.do(w.phones.ringing(ON_CALL, timeout=40), "answer")
        assert "Your duty on call has begun" in str(call)
        w.phones.do(call, "press", digits="1")
        w.phones.do(call, "press", digits="5")
        until_sync(lambda: w.steps()[-1:] == ["started"], what="the duty has begun")
        until_sync(
            lambda: wall.now() > FIVE + timedelta(seconds=12), timeout=30, what="all would have been over"
        )
        assert w.steps() == ["asked", "rung", "started"]
        assert w.phones.texts(OFFICE) == w.phones.texts(MANAGER) == []
        assert len(w.phones.calls(ON_CALL)) == 1


def test_a_desk_that_wants_it_so_asks_nobody(tmp_path: Path, wall: WallClock, warm: WarmStart) -> None:
    with just_before_five(tmp_path, wall, warm, ask_duty=False) as w:
        until_sync(
            lambda: wall.now() > FIVE + timedelta(seconds=2), timeout=40, what="the hand-over has passed"
        )
        assert w.steps() == w.phones.texts(ON_CALL) == []
