"""Storms and the dark, from outside: one cause is told once, nothing of it stops, what matters most leaves first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

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
    rfc,
    service_user,
    staff,
    table,
    visit,
)
from tests.system.daemon import now as this_moment
from tests.waiting import until_sync

PATIENT = {"ask_worker": [], "summon_call_after": "1m", "summon_next": "2m", "reassure_retry": "1m"}


def number(index: int) -> str:
    """A landline of nobody: Ofcom keeps the range for drama."""
    return f"+4416329602{index:02d}"


OTHERS = [f"+4477009003{n:02d}" for n in range(41)]
"""Mobiles of nobody."""


def body(fact: Mapping[str, Any]) -> dict[str, Any]:
    read = json.loads(fact["body"])
    assert isinstance(read, dict)
    return read


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
        until_sync(lambda: all(phones.calls(number(n)) for n in range(1, 7)), what="all six are rung")
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


def test_forty_alerts_at_once_ring_staff_first_and_everybody_once_before_anybody_twice(
    tmp_path: Path, warm: WarmStart
) -> None:
    overrides = PATIENT | {"late_after": "1s", "summon_call_after": "2s", "reassure_retry": "3s"}
    paced = {"calls_per_s": 8, "sms_per_s": 8}
    with (
        Telephones() as phones,
        Daemon(tmp_path, phones=phones, warm=warm, overrides=overrides, twilio=paced) as daemon,
    ):
        api = daemon.api()
        api.people(*people(40), *[care_worker(f"cw-{n}", OTHERS[n]) for n in range(1, 41)], staff())
        start = in_s(2)
        api.rota(*[visit(f"v-{n}", start, service_user=f"su-{n}", workers=[f"cw-{n}"]) for n in range(1, 41)])
        alerts = late(api, 40, timeout=40)
        found = incident(api, reason="several_late")
        assert {summoning(alert) for alert in alerts} == {("skipped", "in_incident")}
        assert {alert["incident"] for alert in alerts} == {found["id"]}
        until_sync(lambda: all(phones.calls(number(n)) for n in range(1, 41)), 60, what="everybody was rung")
        until_sync(lambda: phones.calls(OFFICE), what="staff were rung")
        facts = api.facts()
        intended = {fact["subject"]: body(fact) for fact in of_kind(facts, "MessageIntended")}
        calls = [
            intended[fact["subject"]]
            for fact in of_kind(facts, "MessageAttempted")
            if intended[fact["subject"]]["channel"] == "call"
        ]
        rung = [call["person"] for call in calls if call["purpose"] == "reassure"]
        assert len(set(rung[:40])) == 40, "nobody is rung twice before everybody was rung once"
        summons = next(at for at, call in enumerate(calls) if call["purpose"] == "summon")
        assert summons < 40, "staff do not wait for the last of forty"
        assert len(phones.texts(OFFICE)) <= 4, "one text for all, and those of the first two if they had left"
        cancelled = [body(f) for f in of_kind(facts, "MessageSettled") if body(f)["result"] == "cancelled"]
        assert all(one["reason"] for one in cancelled), "nothing is dropped without a reason in a fact"
        counted = api.metric("callwatch_messages_total", channel="sms", purpose="summon", result="cancelled")
        assert counted == sum(
            1
            for f in of_kind(facts, "MessageSettled")
            if body(f)["result"] == "cancelled"
            and (intended[f["subject"]]["purpose"], intended[f["subject"]]["channel"]) == ("summon", "sms")
        )
        assert chain_break(facts) is None


def speaks(incoming: Path) -> None:
    """The vendor's export, with nothing new in it: a sign of life."""
    part = incoming / "ecm.csv.part"
    part.write_bytes(b"Visit,Carer,In,Out\r\n")
    part.replace(incoming / "ecm.csv")


def test_a_whole_feed_that_goes_dark_is_one_incident_and_ends_when_it_speaks_again(
    tmp_path: Path, warm: WarmStart
) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    columns = {"visit": "Visit", "worker": "Carer", "arrived": "In", "left": "Out"}
    source = {"name": "ecm-in", "desk": "bright", "kind": "folder", "mapping": "ecm", "path": str(incoming)}
    times = {"every": "200ms", "fresh_within": "2s", "timeout": "5s"}
    tables = table("[mapping]", {"name": "ecm", "what": "checkins", "columns": columns})
    tables += table("[feed]", source | times)
    overrides = PATIENT | {"late_after": "10m"}
    speaks(incoming)
    with (
        Telephones() as phones,
        Daemon(tmp_path, phones=phones, warm=warm, overrides=overrides, tables=tables) as daemon,
    ):
        api = daemon.api()
        api.people(*people(5), care_worker(), staff())
        api.rota(*[row | {"end": rfc(in_s(600))} for row in round_of([in_s(-n) for n in range(1, 6)])])
        speaks(incoming)
        found = incident(api, reason="feed_dark", state="open")
        assert sorted(found["visits"]) == [f"v-{n}" for n in range(1, 6)]
        assert "5 visits" in phones.text(OFFICE)["body"]
        assert {alert["kind"] for alert in api.alerts()} == {"incident"}
        speaks(incoming)
        until_sync(lambda: api.alerts(id=found["id"], state="ended"), what="it is back")
        assert api.alerts(kind="late_visit") == []
