"""A first visit after a discharge from outside (spec 4.6.4, 4.6.7): a real daemon with a wall clock of its own,
telephones as objects, a tolerance of seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    DAVE,
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    instant,
    of_kind,
    rfc,
    service_user,
    staff,
    visit,
    warm_start,
)
from tests.system.wall_clock import WallClock
from tests.waiting import until_sync

DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
QUICK = {"late_after": "2s", "ask_worker": [], "summon_next": "10m", "summon_call_after": "5m"}
TWO = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
HALF_PAST_EIGHT = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("wall"))


@pytest.fixture(scope="module")
def warm(wall: WallClock) -> Iterator[WarmStart]:
    """Starts daemons that look at `wall`."""
    with warm_start(wall.env) as warm:
        yield warm


class World:
    """Edna is to come home from hospital; her first visit is planned for now."""

    def __init__(self, daemon: Daemon, phones: Telephones, wall: WallClock) -> None:
        self.daemon, self.phones, self.wall = daemon, phones, wall
        self.office.people(
            service_user(), care_worker(), staff(), staff("st-2", ON_CALL) | {"name": "Petra Larkspur"}
        )
        self.start = wall.now() + timedelta(seconds=1)
        answer = self.office.rota(visit("v-1", self.start, conditional="home_confirmed"))
        assert {one["code"] for one in answer["problems"]} <= {"off_step"}

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def told(self, number: str, words: str) -> str:
        """The text to this phone in which the words stand, once it is there."""

        def found() -> list[str]:
            return [t["body"] for t in self.phones.texts(number) if words in t["body"]]

        return until_sync(found, timeout=30, what=f"{words!r} at {number[-3:]}")[0]

    def confirm(self, **body: Any) -> Any:
        return self.office.call("POST", "./visits/v-1/home-confirmed", {"by": "st-1"} | body)

    def shown(self) -> dict[str, Any]:
        (found,) = self.office.get(f"./visits?date={self.start.date().isoformat()}")["visits"]
        assert isinstance(found, dict)
        return found

    def passes(self, moment: datetime) -> None:
        until_sync(lambda: self.wall.now() > moment, timeout=40, what="that moment has passed")


@contextmanager
def world(moment: datetime, folder: Path, wall: WallClock, warm: WarmStart) -> Iterator[World]:
    wall.set(moment)
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, warm=warm, duty=DUTY, overrides=QUICK) as daemon,
    ):
        yield World(daemon, phones, wall)


def test_the_office_is_asked_nobody_is_late_and_the_clock_runs_from_the_confirmation(
    tmp_path: Path, wall: WallClock, warm: WarmStart
) -> None:
    with world(TWO, tmp_path, wall, warm) as w:
        assert "first visit 2pm. Home is not confirmed: please ring the ward" in w.told(
            OFFICE, "ring the ward"
        )
        w.passes(w.start + timedelta(seconds=5))
        assert w.office.get("./alerts")["alerts"] == []
        assert (w.shown()["conditional"], w.shown()["home_confirmed_at"]) == ("home_confirmed", None)
        assert w.phones.texts(DAVE) == w.phones.calls(EDNA) == w.phones.texts(ON_CALL) == []
        w.daemon.kill()
        w.daemon.start()
        w.phones.leads_to(w.daemon)
        refused = w.confirm(at=rfc(wall.now() + timedelta(hours=1)))
        assert (refused.status, refused.body["error"]["path"]) == (400, "at")
        before = wall.now()
        seen = w.confirm()
        assert seen.status == 200
        home = instant(seen.body["home_confirmed_at"])
        assert before <= home <= wall.now()
        assert instant(seen.body["late_at"]) == home + timedelta(seconds=2)
        again = w.confirm(by="st-2")
        assert (again.status, again.body["error"]["code"], again.body["by"]) == (
            409,
            "already_confirmed",
            "st-1",
        )
        alert = w.office.alert("v-1", timeout=40)
        assert (alert["kind"], instant(alert["due_at"])) == ("late_visit", home + timedelta(seconds=2))
        assert len([t for t in w.phones.texts(OFFICE) if "ring the ward" in t["body"]]) == 1
        assert w.confirm(by="st-9").status == 400
        assert w.office.call("POST", "./visits/v-9/home-confirmed", {"by": "st-1"}).status == 404
        assert (
            w.daemon.api("intake").call("POST", "./visits/v-1/home-confirmed", {"by": "st-1"}).status == 403
        )
        assert chain_break(w.office.facts()) is None


def test_unconfirmed_at_half_past_eight_staff_are_summoned_and_a_person_decides(
    tmp_path: Path, wall: WallClock, warm: WarmStart
) -> None:
    with world(HALF_PAST_EIGHT - timedelta(seconds=15), tmp_path, wall, warm) as w:
        if w.start < HALF_PAST_EIGHT - timedelta(seconds=1):
            assert "At 8.30pm somebody has to decide" in w.told(OFFICE, "ring the ward")
        summons = w.told(OFFICE, "Please ring the ward and decide")
        assert "Edna su-1 was to come home, first visit" in summons
        alert = w.office.alert("v-1")
        assert alert["kind"] == "home_unconfirmed"
        assert instant(alert["due_at"]) == max(HALF_PAST_EIGHT, w.start)
        assert [track["name"] for track in alert["tracks"]] == ["summon"]
        path = f"./alerts/{alert['id']}/actions"
        merged = w.office.call("POST", path, {"action": "close", "by": "st-1", "reason": "merged"})
        assert (merged.status, merged.body["error"]["path"]) == (400, "reason")
        over = w.office.post(
            path, {"action": "confirm_home", "by": "st-1", "note": "The ward: she left at eight."}
        )
        assert (over["state"], over["ended_reason"]) == ("ended", "outcome_recorded")
        lines = w.office.get(f"./alerts/{alert['id']}/record")["lines"]
        (said,) = [line for line in lines if line.get("action") == "confirm_home"]
        assert (said["who"], said["words"]) == ("st-1", "The ward: she left at eight.")
        assert len(of_kind(w.office.facts(), "HomeConfirmed")) == 1
        until_sync(lambda: w.office.alerts(kind="late_visit"), timeout=40, what="the visit is watched")


def test_a_care_worker_who_is_there_confirms_it(tmp_path: Path, wall: WallClock, warm: WarmStart) -> None:
    with world(TWO, tmp_path, wall, warm) as w:
        w.told(OFFICE, "ring the ward")
        w.passes(w.start + timedelta(seconds=3))
        seen = w.daemon.api("intake").checkin(
            id="k-1", kind="arrive", worker="cw-1", visit="v-1", at=rfc(wall.now())
        )
        assert seen["outcome"] == "arrived"
        assert (w.shown()["stage"], w.shown()["verdicts"]) == ("arrived", ["on_time"])
        w.passes(wall.now() + timedelta(seconds=3))
        assert w.office.get("./alerts")["alerts"] == []
