"""Absence and return, and death, from outside: real daemon, real telephones of the stand-in, a policy of seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.system.daemon import (
    DAVE,
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    in_s,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.waiting import until_sync

NED, KAY = "+447700900301", "+447700900018"
DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
QUICK = {
    "late_after": "2s",
    "ask_worker": [],
    "reassure_retry": "1m",
    "summon_next": "1m",
    "summon_call_after": "30s",
    "replace_within": "1m",
    "plan_freeze": "0s",
    "away_ask_at": "00:00",
}


class World:
    """Edna, whose next of kin is Ned; Dave goes there now and Kay tomorrow; Orla in the office, a manager."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def lay_out(self) -> None:
        self.office.people(
            service_user(next_of_kin=["nk-1"]),
            {
                "id": "nk-1",
                "role": "contact",
                "name": "Ned Quillfeather",
                "phones": [{"number": NED, "kind": "mobile"}],
            },
            care_worker(),
            care_worker("cw-2", KAY),
            staff(),
            staff("st-2", ON_CALL),
        )
        tomorrow = now() + timedelta(days=1)
        self.office.rota(visit("v-1", now()), visit("v-2", tomorrow, workers=["cw-2"]))

    def away(self, **more: Any) -> dict[str, Any]:
        said = {
            "service_user": "su-1",
            "reason": "hospital",
            "from": rfc(now()),
            "review_at": rfc(now() + timedelta(days=3)),
            "raised_by": "care_worker",
            "by": "st-1",
            "note": "Dave saw the ambulance",
        }
        answer = self.office.call("POST", "./absences", said | more)
        assert answer.status == 201, answer
        found: dict[str, Any] = answer.body
        return found

    def act(self, absence: dict[str, Any], action: str, by: str = "st-1", **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.office.post(
            f"./absences/{absence['id']}/actions", {"action": action, "by": by} | more
        )
        return found

    def stage(self, name: str) -> str:
        day = (now() + timedelta(days=1)).date().isoformat() if name == "v-2" else None
        seen = self.office.visit(name, day)
        assert seen is not None
        return str(seen["stage"])

    def heard(self, number: str, words: str) -> None:
        until_sync(
            lambda: any(words in text["body"] for text in self.phones.texts(number)),
            timeout=40,
            what=f"a text to {number}: {words}",
        )


@contextmanager
def world(folder: Path, warm: WarmStart, **changes: Any) -> Iterator[World]:
    options = {"duty": DUTY, "overrides": QUICK | changes.pop("overrides", {})} | changes
    with Telephones(speed=20.0) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        made = World(daemon, phones)
        made.lay_out()
        yield made
        assert chain_break(daemon.api("office").facts()) is None


def test_reported_confirmed_asked_and_back(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        absence = w.away()
        assert absence["state"] == "unconfirmed"
        alert = w.office.alert("v-1", kind="late_visit")
        assert [one["id"] for one in alert["absences"]] == [absence["id"]], "what is known is shown"
        assert w.act(absence, "confirm", spoke_to="next_of_kin")["state"] == "confirmed"
        ended = w.office.alert("v-1", kind="late_visit", state="ended")
        assert ended["ended_reason"] == "cancelled_confirmed"
        assert (w.stage("v-1"), w.stage("v-2")) == ("away", "away")
        w.heard(DAVE, "is marked away")
        back = w.act(absence, "end", outcome="returned")
        assert (back["state"], back["ended_as"]) == ("ended", "returned")
        assert w.stage("v-2") == "planned"
        w.heard(NED, "Edna is back")


def test_each_morning_somebody_is_asked_and_silence_is_an_alarm(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, overrides={"replace_within": "1s"}) as w:
        absence = w.away(**{"from": rfc(now() - timedelta(days=3))})
        w.act(absence, "confirm", spoke_to="place", at=rfc(now() - timedelta(days=2)))
        w.heard(OFFICE, "Who was asked today?")
        alert = until_sync(lambda: w.office.alerts(kind="away", reason="not_asked"), what="an alarm")[0]
        assert w.office.get(f"./absences/{absence['id']}")["waits"]
        w.act(absence, "asked", spoke_to="service_user", note="The ward says she is better")
        assert w.office.get(f"./alerts/{alert['id']}")["state"] == "ended"
        (asked,) = of_kind(w.office.facts(), "AwayAnswered")
        assert "ward says" not in asked["body"], "the words are evidence"


def test_a_death_ends_everything_and_nothing_is_sent_there_again(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.office.alert("v-1", kind="late_visit")
        call = w.phones.ringing(EDNA, timeout=40)
        died = {"by": "st-2", "note": "Ned rang: she died this morning"}
        assert w.office.call("POST", "./people/su-1/died", died | {"by": "st-1"}).status == 403
        assert w.office.post("./people/su-1/died", died)["died"]
        assert w.office.call("POST", "./people/su-1/died", died).status == 409
        until_sync(lambda: w.phones.call(call["sid"])["status"] == "canceled", what="it rings no longer")
        w.heard(OFFICE, "has died")
        w.heard(KAY, "please ring the office")
        assert all("died" not in text["body"] for text in w.phones.texts(KAY))
        assert w.office.alert("v-1", kind="late_visit", state="ended")["ended_reason"] == "outcome_recorded"
        assert {w.stage("v-1"), w.stage("v-2")} == {"cancelled"}
        rota = w.office.rota(visit("v-3", in_s(0)))
        assert [problem["code"] for problem in rota["problems"] if problem["code"] == "person_died"]
        assert rota["watched"] == 0
        w.daemon.kill()
        w.daemon.start()
        assert w.office.get("./people/su-1/died")["died"]
        w.heard(OFFICE, "has died")
        assert len(w.phones.calls(EDNA)) == 1, "the one that rang when we heard"
        assert w.phones.texts(NED) == []
        assert w.phones.calls(NED) == []


def test_a_planned_return_waits_for_a_word_at_its_first_visit_and_a_day_centre_runs_beside_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        soon, review = now() + timedelta(hours=2), rfc(now() + timedelta(days=30))
        weekly = w.away(reason="day_centre", weekly="daily 00:00-24:00", review_at=review, spoke_to="place")
        assert w.stage("v-2") == "away"
        w.act(weekly, "end", outcome="withdrawn")
        absence = w.away(return_at=rfc(soon), home_from="place", spoke_to="place")
        assert (absence["first_visit"], absence["home_from"]) == ("v-2", "place")
        assert w.stage("v-2") == "planned"
        first = w.office.visit("v-2", (now() + timedelta(days=1)).date().isoformat())
        assert first is not None
        assert first["conditional"] == "home_confirmed"
        url = f"{w.daemon.url}/board/{DESK}/away"
        with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=10) as page:
            assert "to be confirmed by" in page.read().decode()
        slipped = w.act(absence, "change_return", return_at=rfc(now() + timedelta(days=2)), home_from="place")
        assert (slipped["first_visit"], w.stage("v-2")) == (None, "away")
        w.act(absence, "change_return", return_at=rfc(soon), home_from="next_of_kin")
        w.office.post("./visits/v-2/home-confirmed", {"by": "st-1"})
        ended = w.office.get(f"./absences/{absence['id']}")
        assert (ended["state"], ended["ended_as"]) == ("ended", "returned")
        w.heard(NED, "Edna is back")
        refused = w.office.call(
            "POST",
            "./absences",
            {
                "service_user": "su-1",
                "reason": "day_centre",
                "review_at": review,
                "raised_by": "family",
                "by": "st-1",
                "note": "her daughter",
                "weekly": "every Tuesday",
            },
        )
        assert (refused.status, refused.body["error"]["path"]) == (400, "weekly")
