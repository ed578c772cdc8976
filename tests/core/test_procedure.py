"""The late-visit procedure as a timetable: what each track does, and what its end sets off in the others (spec 22)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import CouncilDesk
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.inputs import PolicyLoaded
from monitor.core.state import Alert, Message
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)
LATE = MONDAY + 30 * MINUTE


def desk_with(*workers: str, public: str = "auto", **row: Any) -> Desk:
    """ed expects dee at MONDAY; ned is his next of kin; the others could go instead."""
    desk = Desk(public=public)
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    for worker in workers:
        people[worker] = PersonView(ref=worker, role="care_worker", lines=(LineView(ref=f"l-{worker}"),))
    row.setdefault("workers", ("dee",))
    desk.plan(**row)
    return desk


def track(desk: Desk, name: Any, alert: Alert | None = None) -> tuple[str, str]:
    found = (alert or desk.alert()).track(name)
    assert found is not None, name
    return found.step, found.reason


def sent(desk: Desk, template: str, person: str | None = None) -> list[Message]:
    """Messages with these words that were not cancelled, leaving now if they still wait."""
    found = [
        m
        for m in desk.messages()
        if m.template == template and person in (None, m.person) and m.result != "cancelled"
    ]
    for message in found:
        if message.phase == "queued":
            desk.send(message)
    return [desk.message(m.key) for m in found]


def answer(desk: Desk, message: Message, digit: int, **more: Any) -> None:
    desk.text(message.person, f"{message.slot}{digit}", line=message.line, **more)


# --- before the alert (5.1) ---


def test_the_care_worker_alone_is_texted_at_ten_and_twenty_minutes_and_rung_half_way_to_the_alert() -> None:
    desk = desk_with()
    desk.advance(minutes=29)
    asked = [(m.intended_at - MONDAY, m.person, m.template) for m in desk.messages()]
    assert asked == [
        (10 * MINUTE, "dee", "CW-1"),
        (20 * MINUTE, "dee", "CW-1"),
        (25 * MINUTE, "dee", "CWV-1"),
    ]


def test_who_has_said_when_they_come_is_not_asked_again_before_that_time() -> None:
    desk = desk_with()
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 2, number=15)
    desk.advance(minutes=19)
    assert len(sent(desk, "CW-1")) == 1
    assert desk.alerts() == []


def test_there_is_a_claim_so_the_alert_comes_and_a_person_rings_instead_of_the_machine() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 1)
    desk.advance(minutes=20)
    assert track(desk, "reassure") == ("skipped", "claimed_there")
    assert track(desk, "locate") == ("reached", "there")
    assert (track(desk, "replace")[0], track(desk, "inform")) == ("waiting", ("waiting", "claimed_there"))
    desk.advance(minutes=9)
    assert sent(desk, "CW-7") == []
    desk.advance(minutes=1)
    assert track(desk, "locate") == ("not_reached", "not_checked_in")
    assert [m.person for m in sent(desk, "CW-7")] == ["kit"]


def test_cannot_opens_the_procedure_at_once() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    assert (desk.alert().opened_at, desk.alert().reason) == (MONDAY + 10 * MINUTE, "cannot")
    assert track(desk, "locate") == ("not_reached", "cannot")
    assert [m.person for m in sent(desk, "CW-7")] == ["kit"]


def test_a_time_beyond_the_tolerance_is_told_to_the_service_user_by_text_only() -> None:
    desk = desk_with(service_user="fay")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 2, number=40)
    (told,) = sent(desk, "SU-8")
    assert (told.person, told.at, told.about) == ("fay", MONDAY + 50 * MINUTE, "dee")
    desk.advance(minutes=20)
    assert track(desk, "locate") == ("reached", "on_my_way")


def test_a_care_worker_who_is_still_at_the_last_visit_is_asked_at_the_start_already() -> None:
    desk = desk_with(visit="v0", start=MONDAY - 40 * MINUTE, end=MONDAY - 10 * MINUTE, service_user="fay")
    desk.check(at=MONDAY, service_user="fay")
    desk.plan("v1", start=MONDAY + 5 * MINUTE)
    desk.advance(minutes=5)
    looked = desk.bodies(f.VisitLooked)[-1]
    assert (looked.risk, looked.asked, desk.visit("v1").risk) == ("still_at_last", 1, "still_at_last")


def test_cannot_that_comes_twice_is_thanked_and_told_once() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    asked = sent(desk, "CW-1")[0]
    answer(desk, asked, 3)
    answer(desk, asked, 3)
    assert len(sent(desk, "CW-5")) == 1
    assert len([p for p in desk.bodies(f.PersonReached) if p.person == "dee"]) == 1
    assert sent(desk, "OC-64") == []


def test_who_was_rung_before_the_alert_and_wants_help_themselves_has_the_whole_chain_rung() -> None:
    desk = desk_with()
    desk.advance(minutes=25)
    (call,) = sent(desk, "CWV-1")
    desk.send(call)
    desk.press(call, "9")
    assert [(alert.kind, alert.worker) for alert in desk.alerts()] == [("help_asked", "dee")]


def test_who_says_there_is_reminded_of_the_check_in_until_it_comes() -> None:
    desk = desk_with()
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 1)
    desk.advance(minutes=20)
    reminded = [m.intended_at - MONDAY for m in sent(desk, "CW-3")]
    assert reminded == [10 * MINUTE, 20 * MINUTE, 25 * MINUTE, 30 * MINUTE]
    assert len(sent(desk, "CW-1") + sent(desk, "CWV-1")) == 1


def test_a_promised_time_that_passes_shortly_before_the_alert_is_asked_about_once_more() -> None:
    desk = desk_with()
    desk.advance(minutes=21)
    answer(desk, sent(desk, "CW-1")[1], 2, number=5)
    desk.advance(minutes=8)
    asked = [(m.intended_at - MONDAY, m.template) for m in desk.messages("ask_worker")]
    assert asked[2:] == [(28.5 * MINUTE, "CWV-1")]


@pytest.mark.parametrize(("stays", "foreseen"), [(16, None), (17, "still_at_last")])
def test_a_late_arrival_puts_the_next_visit_at_risk_before_it_begins(
    stays: int, foreseen: str | None
) -> None:
    # ed's home and fay's lie 2.2 km apart: nine minutes; ten are planned between the two visits
    desk = desk_with(start=MONDAY, end=MONDAY + 30 * MINUTE)
    desk.plan("v2", start=MONDAY + 40 * MINUTE, service_user="fay")
    desk.plan("v3", start=MONDAY + 3 * 60 * MINUTE, service_user="ed")
    desk.advance(minutes=stays)
    desk.check()
    assert (desk.visit("v2").risk, desk.visit("v3").risk) == (foreseen, None)


def test_who_stays_past_the_planned_end_has_the_next_visit_looked_at_and_arriving_ends_the_risk() -> None:
    desk = desk_with(start=MONDAY, end=MONDAY + 30 * MINUTE)
    desk.plan("v2", start=MONDAY + 60 * MINUTE, service_user="fay")
    desk.check()
    desk.advance(minutes=59)
    assert desk.visit("v2").risk == "still_at_last"
    assert desk.messages("ask_worker") == []
    desk.advance(minutes=1)
    assert [(m.visit, m.template) for m in desk.messages("ask_worker")] == [("v2", "CW-1")]
    desk.check(service_user="fay")
    assert desk.visit("v2").risk is None


# --- locate (22.3) ---


def test_silence_counts_as_cannot_after_a_text_a_call_and_five_minutes() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    assert track(desk, "locate") == ("trying", "raised")
    assert [m.person for m in sent(desk, "CW-2")] == ["dee"]
    desk.advance(minutes=1)
    assert [m.person for m in desk.messages("locate") if m.template == "CWV-1"] == ["dee"]
    desk.advance(minutes=4)
    assert track(desk, "locate") == ("not_reached", "silent")
    assert [(m.person, m.intended_at - LATE) for m in sent(desk, "CW-7")] == [("kit", 5 * MINUTE)]


def test_a_promised_time_holds_offers_back_and_when_it_has_passed_they_are_asked_once_more() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 2, number=10)
    assert track(desk, "locate") == ("reached", "on_my_way")
    desk.advance(minutes=15)
    assert track(desk, "locate") == ("trying", "eta_missed")
    assert sent(desk, "CW-7") == []
    desk.advance(minutes=5)
    assert track(desk, "locate") == ("not_reached", "silent")
    assert [m.person for m in sent(desk, "CW-7")] == ["kit"]


def test_a_promise_beyond_the_hour_does_not_keep_anybody_from_being_sent() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 2, number=75)
    assert [m.person for m in sent(desk, "CW-7")] == ["kit"]


# --- replace (22.4, 22.5) ---


def test_the_first_acceptance_has_it_the_others_are_told_and_the_service_user_hears_the_name() -> None:
    desk = desk_with("kit", "lou")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 3)
    kit, lou = sent(desk, "CW-7", "kit")[0], sent(desk, "CW-7", "lou")[0]
    answer(desk, lou, 1)
    assert [one.worker for one in desk.alert().sent] == ["lou"]
    assert track(desk, "replace") == ("reached", "sent")
    assert [m.person for m in sent(desk, "CW-8")] == ["lou"]
    assert [m.person for m in sent(desk, "CW-8B")] == ["kit"]
    (told,) = desk.messages("tell_replacement")
    assert (told.person, told.template, told.about) == ("ed", "SUV-2", "lou")
    answer(desk, kit, 1)
    assert [one.worker for one in desk.alert().sent] == ["lou"]


def test_when_everybody_asked_says_no_the_next_wave_goes_at_once() -> None:
    desk = desk_with("ann", "ben", "cat", "dan")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 3)
    first = sent(desk, "CW-7")
    assert len(first) == 3
    for offer in first:
        answer(desk, offer, 2)
    assert len(sent(desk, "CW-7")) == 5  # kit of the driver and the four of this test


def test_nobody_accepts_and_the_hour_passes() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 3)
    desk.advance(minutes=60)
    warned = [
        (m.intended_at - LATE, m.template) for m in desk.messages("notice") if m.template[:2] in ("OC", "RM")
    ]
    assert (30 * MINUTE, "OC-6") in warned
    assert (45 * MINUTE, "OC-6") in warned
    assert (60 * MINUTE, "RM-1") in warned
    assert desk.alert().council is not None


def test_the_replacement_arrives_and_the_alert_ends_by_that_name() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 3)
    answer(desk, sent(desk, "CW-7")[0], 1)
    desk.advance(minutes=15)
    desk.check(device="d-kit", service_user="ed")
    assert (desk.alert().state, desk.alert().ended_reason) == ("ended", "replacement_arrived")


def test_the_original_arrives_first_and_who_was_sent_is_told() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 2, number=90)
    answer(desk, sent(desk, "CW-7")[0], 1)
    sent(desk, "CW-8")
    desk.advance(minutes=5)
    desk.check()
    assert desk.alert().ended_reason == "arrived"
    assert [m.person for m in desk.messages("stand_down") if m.template == "CW-8B"] == ["kit"]


def test_cannot_after_all_asks_the_next_at_once() -> None:
    desk = desk_with("kit", "lou")
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 3)
    answer(desk, sent(desk, "CW-7", "kit")[0], 1)
    answer(desk, sent(desk, "CW-8")[0], 3)
    assert track(desk, "replace")[0] == "trying"
    assert desk.alert().sent == ()


# --- inform (22.6) ---


def unreachable(desk: Desk) -> None:
    """ed does not answer three times."""
    desk.advance(minutes=30)
    for _ in range(3):
        call = [m for m in desk.messages("reassure") if m.phase == "queued"][-1]
        desk.send(call)
        desk.deliver(call, "no_answer")
        desk.advance(minutes=3)


def test_who_is_not_reached_has_next_of_kin_rung_the_council_written_to_and_a_person_told_to_ring_it() -> (
    None
):
    desk = desk_with("kit")
    unreachable(desk)
    assert track(desk, "inform")[0] == "trying"
    assert {(m.person, m.channel) for m in desk.messages("inform_next_of_kin")} == {
        ("ned", "sms"),
        ("ned", "call"),
    }
    assert [(m.person, m.channel) for m in desk.messages("inform_council")] == [("c1", "email")]
    assert "OC-61" in {m.template for m in desk.messages("notice")}


def test_a_next_of_kin_who_answers_is_told_and_nobody_else_is_rung() -> None:
    desk = desk_with("kit")
    unreachable(desk)
    call = next(m for m in desk.messages("inform_next_of_kin") if m.channel == "call" and m.phase == "queued")
    desk.send(call)
    desk.press(call, "1", "1")
    assert track(desk, "inform") == ("reached", "spoke")
    assert [p.purpose for p in desk.bodies(f.PersonReached)][-1] == "inform_next_of_kin"
    assert desk.visit().cancelled is False


def test_when_public_messages_are_off_everything_is_shown_and_nothing_leaves() -> None:
    desk = desk_with("kit", public="off")
    desk.advance(minutes=61)
    outside = [m for m in desk.messages() if m.person in ("ed", "ned", "c1")]
    assert outside
    assert {m.result for m in outside} == {"rehearsed"}


def unreached(desk: Desk) -> None:
    """ed does not answer twice: that moment, with his next of kin's telephone about to ring."""
    desk.advance(minutes=30)
    for minutes in (3, 0):
        call = [m for m in desk.messages("reassure") if m.phase == "queued"][-1]
        desk.send(call)
        desk.deliver(call, "no_answer")
        desk.advance(minutes=minutes)


def ringing_kin(desk: Desk, person: str = "ned") -> Message:
    """The call to this next of kin, which is out now."""
    call = [m for m in desk.messages("inform_next_of_kin", person) if m.channel == "call"][-1]
    if call.phase == "queued":
        desk.send(call)
    return desk.message(call.key)


def test_a_next_of_kin_of_whom_nothing_is_heard_has_not_been_told() -> None:
    desk = desk_with("kit")
    unreached(desk)
    call = ringing_kin(desk)
    desk.press(call, "", "")
    desk.deliver(call, "completed")
    assert track(desk, "inform")[0] == "trying"
    assert desk.message(call.key).proof is None
    assert [p for p in desk.bodies(f.PersonReached) if p.purpose == "inform_next_of_kin"] == []


def test_a_wrong_number_is_flagged_and_neither_rung_nor_written_to_again() -> None:
    desk = desk_with("kit")
    people = desk.people.people
    people["nan"] = PersonView(ref="nan", role="contact", lines=(LineView(ref="l-nan"),))
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned", "nan"))
    unreached(desk)
    sent(desk, "NOK-1", "ned")
    wrong = ringing_kin(desk, "ned")
    desk.press(wrong, "9")
    desk.deliver(wrong, "completed")
    assert [m.about for m in sent(desk, "OC-66")] == ["ned"]
    for _ in range(2):
        call = ringing_kin(desk, "nan")
        desk.deliver(call, "no_answer")
        desk.advance(minutes=4)
    assert {m.intended_at for m in desk.messages("inform_next_of_kin", "ned")} == {wrong.intended_at}
    desk.press(ringing_kin(desk, "nan"), "1", "1")
    desk.check()
    assert [m.person for m in sent(desk, "NOK-5")] == ["nan"]


def test_the_only_next_of_kin_with_a_wrong_number_is_not_reached_by_name() -> None:
    desk = desk_with("kit")
    unreached(desk)
    desk.press(ringing_kin(desk), "9")
    assert track(desk, "inform") == ("not_reached", "wrong_number")
    desk.advance(minutes=10)
    assert len([m for m in desk.messages("inform_next_of_kin") if m.channel == "call"]) == 1


@pytest.mark.parametrize(
    ("digit", "said"), [(1, "NOK-3"), (2, None), (3, "NOK-4")], ids=["spoken", "ring", "go"]
)
def test_a_next_of_kin_who_writes_back_is_thanked(digit: int, said: str | None) -> None:
    desk = desk_with("kit")
    unreached(desk)
    (text,) = sent(desk, "NOK-1")
    back = desk.text("ned", f"{text.slot}{digit}", line=text.line).answer
    assert (back.template if back is not None else None) == said
    assert track(desk, "inform")[0] == "reached"


def test_a_voicemail_that_hears_the_whole_script_out_asks_for_no_help() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    call = desk.messages("reassure")[0]
    desk.send(call)
    desk.deliver(call, "in_progress", answered_by="machine")
    said = desk.press(call, "", "").answer
    assert desk.alerts("help_asked") == []
    assert said.step == "kept"
    assert track(desk, "reassure")[0] == "trying"


# --- the telephone provider is away ---


def test_who_could_not_be_rung_at_all_is_rung_when_the_telephones_are_back() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=50)
    assert not any(m.attempts for m in desk.messages())
    assert track(desk, "reassure")[0] == "trying"
    assert track(desk, "inform")[0] == "trying"
    waiting = {m.person for m in desk.messages() if m.channel == "call" and m.phase == "queued"}
    assert {"ed", "ned"} <= waiting
    # nothing rings twice when they are back
    calls = [m for m in desk.messages("reassure") if m.phase == "queued"]
    assert len(calls) == 1
    # and the tries that count are made now
    for _ in range(3):
        call = next(m for m in desk.messages("reassure") if m.phase == "queued")
        desk.send(call)
        desk.deliver(call, "no_answer")
        desk.advance(minutes=3)
    assert track(desk, "reassure") == ("not_reached", "unanswered")


# --- skipped by plan ---


def skipped_by_plan() -> Desk:
    """A person rings ed, never a machine; dee is asked where she is when half of the hour has passed."""
    desk = desk_with()
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], plan=PlanView(channels=("person",)))
    desk.advance(minutes=30)
    answer(desk, sent(desk, "CW-2")[0], 2, number=24)
    return desk


def test_a_promise_that_has_passed_confirms_nobody_on_the_way_while_they_are_asked_again() -> None:
    desk = skipped_by_plan()
    desk.advance(minutes=29)
    assert track(desk, "locate") == ("trying", "eta_missed")
    assert track(desk, "inform")[0] == "waiting"
    desk.advance(minutes=1)
    assert track(desk, "inform")[0] == "trying"


def test_who_has_promised_a_time_to_come_is_confirmed_on_the_way() -> None:
    desk = skipped_by_plan()
    desk.advance(minutes=20)
    answer(desk, sent(desk, "CW-2")[0], 2, number=20)
    desk.advance(minutes=10)
    assert track(desk, "inform") == ("waiting", "somebody_comes")


def test_key_6_rings_the_council_desk_of_her_own_contract() -> None:
    desk = desk_with()
    values = desk.state.values
    other = CouncilDesk(ref="c0", hours="otherwise", contract="elsewhere")
    desk.tell(
        PolicyLoaded(
            policy=values.policy,
            duty=values.duty,
            council_desks=(other, *values.council_desks),
            holidays=(),
            public="auto",
        )
    )
    desk.advance(minutes=31)
    call = [m for m in desk.messages("summon", "paul") if m.channel == "call"][-1]
    desk.send(call)
    desk.press(call, "1", "2", "6")
    assert [m.person for m in desk.messages("join")] == ["c1"]


# --- no ladder ends in silence, and nobody is told what is not so ---


def council_hours(desk: Desk, hours: str) -> None:
    """The council desk answers at these hours alone."""
    loaded = desk.state.values
    desk.tell(
        PolicyLoaded(
            policy=loaded.policy,
            duty=loaded.duty,
            council_desks=(CouncilDesk(ref="c1", hours=hours),),
            holidays=loaded.holidays,
            public=loaded.public,
        )
    )


def test_a_council_desk_that_closes_in_the_middle_is_rung_again_when_it_opens() -> None:
    desk = desk_with("kit")
    unreachable(desk)
    council_hours(desk, "Mon-Fri 11:00-12:00")
    desk.advance(hours=1)
    council = desk.alert().council
    assert council is not None
    assert (council.step, council.reason) == ("trying", "no_desk_now")
    assert council.next_at is not None
    before = len([m for m in desk.messages("notice") if m.template == "OC-61"])
    desk.advance(hours=3)
    assert len([m for m in desk.messages("notice") if m.template == "OC-61"]) > before


def test_a_council_desk_that_is_closed_at_first_is_told_when_it_opens() -> None:
    desk = desk_with("kit")
    council_hours(desk, "Mon-Fri 11:00-12:00")
    unreachable(desk)
    council = desk.alert().council
    assert council is not None
    assert (council.step, council.reason, desk.messages("inform_council")) == ("trying", "no_desk_now", [])
    desk.advance(hours=3)
    assert [m.channel for m in desk.messages("inform_council")][:1] == ["email"]
    assert "OC-61" in {m.template for m in desk.messages("notice")}


def test_in_rehearsal_nobody_of_ours_hears_that_next_of_kin_did_not_answer() -> None:
    desk = desk_with("kit", public="off")
    desk.advance(hours=3)
    assert {m.result for m in desk.messages("inform_next_of_kin")} == {"rehearsed"}
    assert "OC-101" not in {m.template for m in desk.messages()}
