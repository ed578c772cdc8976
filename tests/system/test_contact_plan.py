"""The contact plan from outside: people are uploaded, a visit is late, the stand-in telephones tell who is rung."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    now,
    service_user,
    staff,
    visit,
)
from tests.system.test_day import CHAIN, contact, quick, stands, track
from tests.waiting import until_sync

DAUGHTER = "+441632960190"


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as one:
        yield one


def daughter(name: str = "c-1", number: str = DAUGHTER) -> dict[str, Any]:
    phone = {"number": number, "kind": "landline"}
    return {"id": name, "role": "contact", "name": "Nora Quillfeather", "phones": [phone]}


def test_who_speaks_for_her_is_rung_in_her_place(tmp_path: Path, phones: Telephones, warm: WarmStart) -> None:
    with Daemon(tmp_path, phones=phones, overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        answer = office.people(
            service_user(contact_plan={"spokesperson": "c-1"}), daughter(), care_worker(), staff()
        )
        assert answer["problems"] == []
        office.rota(visit("v-1", now()))
        call = phones.ringing(DAUGHTER)
        answered = phones.do(call, "answer")
        assert not any("Edna" in line for line in answered["script"]), "no name before they say who they are"
        phones.do(call, "press", digits="1")
        phones.do(call, "press", digits="1")
        alert = stands(office, "reassure", "reached")
        assert contact(alert, purpose="reassure")["person"] == "c-1"
        assert phones.calls(EDNA) == []


def test_somebody_never_to_be_told_hears_nothing_also_on_duty_and_on_her_own_line(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    # the abuser lives there and answers her telephone; a friend of theirs is first on duty
    plan = {"never_tell": ["c-1", "st-1"]}
    with Daemon(tmp_path, phones=phones, overrides=quick(), duty=CHAIN, warm=warm) as daemon:
        office = daemon.api()
        office.people(
            service_user(contact_plan=plan, next_of_kin=["c-1"]),
            daughter(number=EDNA),
            care_worker(),
            staff(),
            staff("st-2", ON_CALL),
        )
        office.rota(visit("v-1", now()))
        phones.text(ON_CALL)
        phones.ringing(ON_CALL)
        alert = office.alert("v-1")
        assert track(alert, "reassure") == "skipped"
        taken = office.call(
            "POST", f"/v1/desks/{DESK}/alerts/{alert['id']}/actions", {"action": "take", "by": "st-1"}
        )
        assert (taken.status, taken.body["error"]["code"]) == (403, "never_told")
        for number in (OFFICE, EDNA):
            assert (phones.texts(number), phones.calls(number)) == ([], [])


def test_auto_waits_like_ask_until_a_practice_call_was_answered_with_a_key(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    careful = quick(practice_first=True, ask_public="1h")
    with Daemon(tmp_path, phones=phones, overrides=careful, warm=warm) as daemon:
        office = daemon.api()
        people = (service_user(contact_plan={"public": "auto"}), care_worker(), staff())
        assert [one["code"] for one in office.people(*people)["problems"]] == ["not_practised"]
        path = f"/v1/desks/{DESK}/people/su-1/practice-call"
        started = office.call("POST", path, {"by": "st-1"})
        assert (started.status, started.body["result"], started.body["by"]) == (202, "intended", "st-1")
        call = phones.ringing(EDNA)
        phones.do(call, "answer")
        phones.do(call, "press", digits="1")
        until_sync(lambda: office.call("GET", path).body["result"] == "practised", what="practised")
        assert office.people(*people)["problems"] == []
        office.rota(visit("v-1", now()))
        phones.ringing(EDNA, 2)
