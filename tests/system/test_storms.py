"""Storms and the dark, from outside: one cause is told once, nothing of it stops, what matters most leaves first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    OFFICE,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    in_s,
    of_kind,
    service_user,
    staff,
    visit,
    warm_start,
)
from tests.system.daemon import now as this_moment
from tests.waiting import until_sync

PATIENT = {"ask_worker": [], "summon_call_after": "1m", "summon_next": "2m", "reassure_retry": "1m"}


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmStart]:
    with warm_start() as started:
        yield started


def number(index: int) -> str:
    """A landline of nobody: Ofcom keeps the range for drama."""
    return f"+4416329602{index:02d}"


def people(count: int) -> list[dict[str, Any]]:
    return [
        service_user(f"su-{n}", number(n), homes=[{"lat": 51.3 + n / 100, "lon": 0.0157, "radius_m": 80}])
        for n in range(1, count + 1)
    ]


def round_of(starts: list[datetime], **more: Any) -> list[dict[str, Any]]:
    return [
        visit(f"v-{n}", start, minutes=1, service_user=f"su-{n}", **more) for n, start in enumerate(starts, 1)
    ]


def summoning(alert: dict[str, Any]) -> tuple[str, str]:
    (track,) = [track for track in alert["tracks"] if track["name"] == "summon"]
    return track["step"], track["reason"]


def incident(api: Api, **fields: Any) -> dict[str, Any]:
    return (
        until_sync(lambda: next(iter(api.alerts(kind="incident", **fields)), None), what="an incident") or {}
    )


def late(api: Api, count: int, timeout: float = 20) -> list[dict[str, Any]]:
    def all_late() -> list[dict[str, Any]] | None:
        found = api.alerts(kind="late_visit")
        return found if len(found) == count else None

    return until_sync(all_late, timeout=timeout, what=f"{count} late visits") or []


def test_a_dead_phone_with_six_visits_to_go_is_told_once_and_each_of_the_six_is_looked_after(
    tmp_path: Path, warm: WarmStart
) -> None:
    overrides = PATIENT | {"late_after": "1s"}
    with (
        Telephones() as phones,
        Daemon(tmp_path, phones=phones, warm=warm, overrides=overrides) as daemon,
    ):
        api = daemon.api()
        api.people(*people(6), care_worker(), staff())
        api.rota(*round_of([in_s(n / 2) for n in range(1, 7)]))
        alerts = late(api, 6)
        found = incident(api)
        assert found["reason"] == "worker_late"
        assert {alert["incident"] for alert in alerts} == {found["id"]}
        assert [summoning(alert) for alert in alerts] == [("skipped", "in_incident")] * 6
        assert found["visits"] == [f"v-{n}" for n in range(1, 7)]
        for n in range(1, 7):
            phones.ringing(number(n), timeout=20)
        # the first was alone when it was raised; of the round there is one text more, with codes that take all of it
        text = phones.text(OFFICE, 2)["body"]
        assert "6 visits" in text or "2 visits" in text
        code = text.split("Reply ")[1].split()[0]
        phones.reply(OFFICE, code)
        until_sync(lambda: len(api.alerts(kind="late_visit", state="taken")) == 6, what="all six are taken")
        assert {alert["taken_by"] for alert in api.alerts(kind="late_visit")} == {"st-1"}
        for n in range(1, 7):
            api.checkin(
                id=f"c-{n}", kind="arrive", worker="cw-1", visit=f"v-{n}", at=this_moment().isoformat()
            )
        until_sync(
            lambda: api.alerts(kind="incident", state="ended"), what="it is over with the last of them"
        )
        facts = api.facts()
        assert len(of_kind(facts, "AlertGathered")) == 6
        assert chain_break(facts) is None
