"""A service user has died: nothing is ever sent to that home again, on any path (domain.md, "Absence and return")."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView, PlanView
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core.alerts import intend
from monitor.core.desk import Decision
from monitor.core.inputs import AbsenceTold, DeathTold, PracticeWanted, SendReported
from monitor.core.work import Ctx, Work
from tests.core.driver import NOWHERE, Desk
from tests.core.test_absence import act, away

HOUR = timedelta(hours=1)


def died(desk: Desk, person: str = "ed", by: str = "paul", *, undo: bool = False) -> Decision:
    return desk.tell(DeathTold(service_user=person, by=by, at=desk.now, note=NOWHERE, undo=undo))


def alerted(**more: Any) -> Desk:
    """Ed, whose next of kin is ned, has an open late alert and a visit to come."""
    desk = Desk(**more)
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    desk.plan("v1")
    desk.plan("v2", start=desk.now + timedelta(hours=4), workers=("kit",))
    desk.advance(minutes=31)
    return desk


def queued(desk: Desk, *people: str) -> list[str]:
    return [m.template for m in desk.messages() if m.person in people and m.phase == "queued"]


def test_everything_that_waits_for_that_home_is_cancelled_at_once_and_the_alert_is_over() -> None:
    desk = alerted()
    assert queued(desk, "ed")
    died(desk)
    assert queued(desk, "ed", "ned") == []
    assert {m.reason for m in desk.messages(person="ed")} <= {"alert_ended", "died"}
    assert (desk.alert().state, desk.alert().ended_reason) == ("ended", "outcome_recorded")
    assert {track.step for track in desk.alert().tracks} <= {"done", "skipped", "reached", "not_reached"}


def test_visits_end_and_none_is_missed() -> None:
    desk = alerted()
    died(desk)
    assert [body.reason for body in desk.bodies(f.VisitCancelled)] == ["died", "died"]
    desk.advance(days=2)
    assert [alert.kind for alert in desk.alerts() if alert.state != "ended"] == []


def test_somebody_inside_is_watched_until_they_have_left() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.check("arrive", visit="v1")
    died(desk)
    desk.advance(hours=3)
    assert [alert.kind for alert in desk.alerts() if alert.state != "ended"] == ["lone_worker"]


def test_the_office_hears_it_once_and_care_workers_are_asked_to_ring_it() -> None:
    desk = alerted()
    died(desk)
    assert queued(desk, "paul").count("OC-170") == 1
    assert "CW-172" in queued(desk, "kit")
    assert queued(desk, "ned") == []


def test_next_of_kin_who_were_told_are_told_nothing_more_by_us() -> None:
    desk = alerted(reassure_rounds=1, inform_after_rounds=1)
    desk.send_all()
    desk.advance(minutes=10)
    desk.send_all()
    assert [m for m in desk.messages(person="ned") if m.attempts], "they were told of the alert"
    died(desk)
    desk.send_all()
    assert all(m.intended_at < desk.now for m in desk.messages(person="ned") if m.attempts)
    (over,) = [m for m in desk.messages(person="ned") if m.purpose == "stand_down"]
    assert (over.result, over.reason) == ("cancelled", "died")


def test_what_was_handed_over_and_refused_is_not_sent_again() -> None:
    desk = alerted()
    message = desk.messages("reassure", "ed")[0]
    assert desk.tell_turn(message) == "send"
    died(desk)
    desk.tell(SendReported(key=message.key, result="unknown", possibly_repeated=True))
    assert desk.send(desk.message(message.key)) == "no"


def test_who_shared_a_telephone_and_lives_on_is_contacted_and_hears_nothing_of_it() -> None:
    desk = Desk()
    people = desk.people.people
    both = (LineView(ref="l-ed", kind="landline"),)
    people["ann"] = PersonView(ref="ann", role="service_user", lines=both)
    desk.plan("v1")
    desk.plan("v2", service_user="ann", workers=("kit",))
    desk.advance(minutes=31)
    died(desk)
    desk.advance(minutes=4)
    assert queued(desk, "ann") == ["SUV-1"], "one call for the two was asked for ed: now she is asked herself"
    assert desk.send_all()
    assert {m.person for m in desk.messages() if m.line == "l-ed" and m.attempts} == {"ann"}


def test_a_text_from_that_line_is_read_by_a_person_and_answered_by_no_machine() -> None:
    desk = Desk()
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], lines=(LineView(ref="l-ed"),))
    died(desk)
    decision = desk.text("ed", word="other")
    assert decision.answer is None
    assert desk.alert("help_asked").service_user == "ed"
    assert {m.person for m in desk.messages("summon")} == {"paul", "mary"}


def test_a_practice_call_is_refused() -> None:
    desk = Desk()
    died(desk)
    refusal = desk.tell(PracticeWanted(person="ed", by="paul")).refusal
    assert refusal is not None
    assert refusal.code == "died"


def test_a_rota_that_still_lists_them_gives_a_named_warning_and_watches_nothing() -> None:
    desk = Desk()
    died(desk)
    answer = desk.plan("v9", start=desk.now + HOUR).answer
    assert [(problem.code, problem.error) for problem in answer.problems] == [("person_died", False)]
    assert answer.watched == 0
    assert "v9" not in desk.state.values.visits
    assert desk.alerts("rota") == []


@pytest.mark.parametrize(
    ("by", "code"), [("olga", "not_supervisor"), ("dee", "not_supervisor"), ("paul", None), ("mary", None)]
)
def test_only_a_manager_or_who_is_on_call_records_it(by: str, code: str | None) -> None:
    refusal = died(Desk(), by=by).refusal
    assert (refusal.code if refusal else None) == code


def test_the_second_who_records_it_hears_who_was_first() -> None:
    desk = Desk()
    died(desk)
    refusal = died(desk, by="mary").refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_recorded", "paul")


def test_a_mistake_is_taken_back_by_a_manager_and_what_is_late_by_then_is_an_alert() -> None:
    desk = alerted()
    died(desk)
    refusal = died(desk, undo=True).refusal
    assert refusal is not None
    assert refusal.code == "not_manager"
    desk.advance(minutes=5)
    assert died(desk, by="mary", undo=True).refusal is None
    desk.advance(seconds=1)
    assert [alert.visit for alert in desk.alerts("late_visit") if alert.state != "ended"] == ["v1"]
    assert queued(desk, "ed"), "they are contacted again"
    desk.advance(hours=5)
    assert [a.visit for a in desk.alerts("late_visit") if a.state != "ended"] == ["v1", "v2"]


def test_an_absence_ends_with_them_and_nobody_is_asked_about_them_any_more() -> None:
    desk = Desk()
    told = AbsenceTold(
        service_user="ed",
        reason="hospital",
        from_at=desk.now,
        review_at=desk.now + timedelta(days=2),
        raised_by="next_of_kin",
        by="paul",
        note=NOWHERE,
        spoke_to="place",
        at=desk.now,
    )
    desk.tell(told)
    died(desk)
    desk.advance(days=4)
    assert desk.bodies(f.AwayQuestioned) == []
    assert desk.alerts("away") == []
    assert desk.tell(structs.replace(told, at=desk.now)).refusal is not None


def test_who_spoke_for_somebody_and_has_died_is_not_contacted_in_their_place() -> None:
    desk = Desk()
    people = desk.people.people
    people["fay"] = structs.replace(people["fay"], plan=PlanView(spokesperson="ed"))
    died(desk)
    desk.plan("v1", service_user="fay")
    desk.advance(minutes=35)
    assert desk.messages(person="ed") == []
    assert desk.alert().track("summon") is not None


def test_the_same_after_a_restart_by_snapshot_or_by_journal() -> None:
    for snapshot in (True, False):
        desk = alerted()
        died(desk)
        desk.restart(snapshot=snapshot)
        assert queued(desk, "ed", "ned") == []
        assert desk.plan("v9", start=desk.now + HOUR).answer.watched == 0
        died(desk, by="mary", undo=True)
        assert desk.replayed().values == desk.state.values


def test_a_practice_call_in_doubt_is_not_made_once_more() -> None:
    desk = Desk()
    desk.tell(PracticeWanted(person="ed", by="paul"))
    (call,) = desk.messages("practice")
    assert desk.tell_turn(call) == "send"
    died(desk)
    desk.tell(SendReported(key=call.key, result="unknown", possibly_repeated=True))
    assert desk.send(desk.message(call.key)) == "no"
    assert desk.message(call.key).reason == "died"


def test_next_of_kin_are_not_told_of_a_return_that_a_death_has_overtaken() -> None:
    desk = away()
    act(desk, "end", outcome="returned")
    (text,) = desk.messages(person="ned")
    assert desk.tell_turn(text) == "send"
    died(desk)
    desk.tell(SendReported(key=text.key, result="unknown", possibly_repeated=True))
    assert desk.send(desk.message(text.key)) == "no"
    assert desk.message(text.key).reason == "died"


def test_the_wall_stands_where_a_message_is_meant_whatever_asked_for_it() -> None:
    """No path is known that comes so far; the next one that is written will find it."""
    desk = Desk()
    died(desk)
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    sent = {
        "ed": contact("ed", "l-ed", "SUV-4"),
        "ned": contact("ned", "l-ned", "NOK-170", about="ed"),
        "olga": contact("olga", "l-olga", "OC-170", about="ed"),
    }
    keys = {who: intend(work, one, alert=None) for who, one in sent.items()}
    messages = {who: work.message(key) for who, key in keys.items()}
    results = {who: message.result for who, message in messages.items() if message is not None}
    assert results == {"ed": "cancelled", "ned": "cancelled", "olga": "intended"}


def contact(person: str, line: str, template: str, about: str | None = None) -> Contact:
    return Contact(
        person=person,
        line=line,
        channel="sms",
        purpose="notice",
        template=template,
        priority="repeat",
        about=about,
    )


def test_words_to_anybody_outside_about_somebody_who_has_died_are_stopped_whatever_their_template() -> None:
    desk = Desk()
    died(desk)
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    key = intend(work, contact("ned", "l-ned", "SUV-4", about="ed"), alert=None)
    message = work.message(key)
    assert message is not None
    assert (message.result, message.reason) == ("cancelled", "died")
