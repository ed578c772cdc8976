"""Several contracts in one desk, and what was agreed, planned and done, from outside (domain.md, sections 1 and 2)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.system.daemon import (
    EDNA,
    OFFICE,
    WarmStart,
    instant,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.system.test_unreachable import CALM, DESKS, World, world
from tests.waiting import until_sync

OTHER_MAIL = "duty@other.example"
OTHER = {"name": "Other duty", "email": OTHER_MAIL, "hours": "daily 00:00-24:00", "contract": "other"}
CONTRACTS = [
    {"id": "other", "overrides": {"late_after": "3s"}},
    {"id": "private", "council": False},
]
NOBODY: dict[str, Any] = {"phones": [], "next_of_kin": []}
"""No line: *cannot be reached* at once, so that the council is next."""


def person(name: str, **more: Any) -> dict[str, Any]:
    return service_user(name, **(NOBODY | more))


def addressed(w: World) -> set[str]:
    return {one for to, _ in w.mailbox.mails for one in to}


def test_each_contract_has_its_own_tolerance_and_its_own_council_and_a_private_one_has_none(
    tmp_path: Path, warm: WarmStart
) -> None:
    # ids in one order, so that the alerts of one moment are no bundle: three late at once would be an incident
    changes = {"council_desks": [*DESKS, OTHER], "first": {"contracts": CONTRACTS}}
    with world(tmp_path, warm, overrides={"summon_call_after": "1s"}, **changes) as w:
        people = (person("su-1"), person("su-2", contract="other"), person("su-3", contract="private"))
        assert w.office.people(*people, staff(), staff("st-2"))["problems"] == []
        began = now()
        w.office.rota(*(visit(f"v-{n}", began, service_user=f"su-{n}", workers=[]) for n in (1, 2, 3)))
        due = {n: instant(w.office.alert(f"v-{n}")["due_at"]) - began for n in (1, 2, 3)}
        assert [round(due[n].total_seconds(), 3) for n in (1, 2, 3)] == [1, 3, 1]

        until_sync(lambda: len(addressed(w)) == 2, 20, what="both councils have been written to")
        (private,) = of_kind(w.office.facts(), "CouncilMoved", reason="no_council_desk")
        assert private["subject"] == w.office.alert("v-3")["id"]
        (other,) = [mail for to, mail in w.mailbox.mails if to == [OTHER_MAIL]]
        assert str(other["Subject"]).startswith("Not reached")


def test_another_time_that_was_agreed_ends_the_alert_and_is_watched_in_its_turn(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out()
        w.late()
        w.call(EDNA)
        until = now() + timedelta(seconds=3)
        path = f"./alerts/{w.alert()['id']}/actions"
        said = {"action": "agree_change", "by": "st-1", "start": rfc(until)}
        refused = w.office.call("POST", path, said)
        assert (refused.status, refused.body["error"]["path"]) == (400, "raised_by")
        w.office.post(path, said | {"raised_by": "next_of_kin"})
        (ended,) = w.office.alerts(visit="v-1", state="ended")
        assert ended["ended_reason"] == "outcome_recorded"
        assert instant(w.office.visits()["v-1"]["agreed_start"]) == until
        # nobody comes then either
        again = w.office.alert("v-1", state="open")
        assert instant(again["due_at"]) == until + timedelta(seconds=1)


def test_a_plan_that_is_moved_without_a_conversation_moves_no_deadline_and_closes_no_alert(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out()
        began = now()
        w.office.rota(visit("v-1", began))
        later = began + timedelta(minutes=50)
        w.office.rota(visit("v-1", later))
        alert = w.office.alert("v-1")
        assert instant(alert["due_at"]) == began + timedelta(seconds=1)
        w.office.rota(visit("v-1", later + timedelta(minutes=5)))
        shown = w.office.visits()["v-1"]
        assert (instant(shown["start"]), instant(shown["agreed_start"])) == (
            later + timedelta(minutes=5),
            began,
        )
        assert w.office.alert("v-1")["state"] == "open"


def test_a_very_short_visit_is_the_offices_within_the_hour_and_a_placement_is_none(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, overrides=CALM | {"late_after": "10m"}) as w:
        w.lay_out(person("su-2"), person("su-3"))
        plans = (("v-1", "su-1", "visit"), ("v-2", "su-2", "live_in"), ("v-3", "su-3", "waking_night"))
        began = now()
        w.office.rota(
            *(
                visit(name, began, service_user=whose, minutes=60) | {"kind": kind}
                for name, whose, kind in plans
            )
        )
        for name, whose, _ in plans:
            for kind in ("arrive", "leave"):
                w.office.checkin(
                    id=f"{kind}-{name}",
                    kind=kind,
                    worker="cw-1",
                    visit=name,
                    service_user=whose,
                    at=rfc(now()),
                )
        told = w.text(OFFICE, "VERY SHORT visit, Edna")
        assert "Davina" in told
        short = {one["visit"] for one in w.office.alerts(kind="very_short")}
        assert short == {"v-1", "v-3"}

        alert = w.office.alert("v-1", kind="very_short")
        path = f"./alerts/{alert['id']}/actions"
        bare = {"action": "close", "by": "st-1", "reason": "outcome_recorded"}
        assert w.office.call("POST", path, bare).status == 400
        assert w.office.alert("v-1", kind="very_short")["state"] != "ended"
