"""Declared bad weather: what it leaves out, for whom, and how it ends (domain.md section 2; spec 12.3, 12.4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.policy import CouncilDesk
from escalation.people import LineView, PersonView, PlanView, WeatherRank
from escalation.replies import QUESTIONS
from monitor.core import causes
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.inputs import WeatherSaid
from monitor.core.state import Alert, Message, Weather
from monitor.core.weather_list import left
from tests.core.driver import MONDAY, Desk

HOUR = timedelta(hours=1)


def ranked(desk: Desk, ref: str, rank: WeatherRank, **plan: Any) -> None:
    person = desk.people.people[ref]
    given = msgspec.structs.replace(person.plan, weather_rank=rank, **plan)
    desk.people.people[ref] = msgspec.structs.replace(person, plan=given)


def say(desk: Desk, action: str, by: str = "mary", **more: Any) -> Decision:
    return desk.tell(WeatherSaid(action=action, by=by, at=desk.now, **more))  # type: ignore[arg-type]


def declare(desk: Desk, hours: float = 6) -> Weather:
    decision = say(desk, "declare", until=desk.now + timedelta(hours=hours))
    assert decision.refusal is None, decision.refusal
    desk.advance(seconds=1)
    (weather,) = desk.state.values.weathers.values()
    return weather


def weather(desk: Desk) -> Weather:
    (found,) = desk.state.values.weathers.values()
    return found


def snow(rank: WeatherRank = "amber", **more: Any) -> Desk:
    desk = Desk(**more)
    ned = {"next_of_kin": ("ned",)}
    desk.people.people["ed"] = msgspec.structs.replace(desk.people.people["ed"], **ned)
    ranked(desk, "ed", rank)
    return desk


def templates(messages: Sequence[Message]) -> list[str]:
    return [message.template for message in messages]


def late(desk: Desk) -> Alert:
    """The visit becomes late, and its care worker never says a word."""
    desk.advance(minutes=45)
    return desk.alert()


# --- declaring ---


@pytest.mark.parametrize(
    ("by", "until", "refusal"),
    [
        ("mary", HOUR, None),
        ("paul", HOUR, "not_manager"),
        ("mary", timedelta(0), "until"),
        ("mary", timedelta(microseconds=1), None),
        ("mary", timedelta(hours=48), None),
        ("mary", timedelta(hours=48, microseconds=1), "until"),
        ("mary", None, "until"),
    ],
)
def test_a_manager_declares_it_with_an_end_that_lies_ahead(
    by: str, until: timedelta | None, refusal: str | None
) -> None:
    desk = snow()
    decision = say(desk, "declare", by, until=desk.now + until if until is not None else None)
    assert (decision.refusal.code if decision.refusal else None) == refusal
    assert bool(desk.bodies(f.WeatherDeclared)) == (refusal is None)


def test_of_two_who_declare_it_the_second_hears_who_was_first() -> None:
    desk = snow()
    first = desk.now
    declare(desk)
    refusal = say(desk, "declare", until=desk.now + HOUR).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail) == ("already_declared", {"by": "mary", "at": first})


def test_everybody_on_duty_but_who_declared_it_hears_that_it_is_declared() -> None:
    desk = snow()
    declare(desk)
    told = [m.person for m in desk.messages("notice") if m.template == "OC-125"]
    assert told == ["paul"]


# --- what is left out, by rank ---


def test_amber_is_summoned_in_a_bundle_and_nobody_else_is_asked_to_go() -> None:
    desk = snow()
    desk.plan()
    declare(desk)
    alert = late(desk)
    bundle = desk.alert("incident")
    assert (bundle.reason, alert.incident) == ("bad_weather", bundle.ref)
    assert desk.messages("offer") == []
    replacing = alert.track("replace")
    assert replacing is not None
    assert (replacing.step, replacing.reason) == ("waiting", "bad_weather")
    assert "OC-120" in templates(desk.messages("summon"))
    assert dict(weather(desk).left_out) == {"summons": 1, "offers": 1}


def test_amber_is_contacted_and_its_care_worker_found_as_ever() -> None:
    desk, other = snow(), snow("red")
    declare(desk)
    for one in (desk, other):
        if one is other:
            one.advance(seconds=1)
        one.plan()
        late(one)
    assert [(m.template, m.intended_at) for m in desk.messages("reassure")] == [
        (m.template, m.intended_at) for m in other.messages("reassure")
    ]
    assert [m.template for m in desk.messages("locate")] == [m.template for m in other.messages("locate")]


def test_a_person_says_that_others_are_asked_and_from_then_on_it_runs_in_full() -> None:
    desk = snow()
    desk.plan()
    declare(desk)
    late(desk)
    desk.act("do_now", "paul", track="replace")
    assert templates(desk.messages("offer", "kit")) == ["CW-7"]
    desk.advance(minutes=50)
    assert "OC-6" in templates(desk.messages("notice"))
    assert "CO-2" in templates(desk.messages("inform_council"))


def test_late_visits_join_the_bundle_until_somebody_has_it() -> None:
    desk = snow()
    ranked(desk, "fay", "amber")
    desk.plan()
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + timedelta(minutes=4))
    declare(desk)
    desk.advance(minutes=35)
    (bundle,) = desk.alerts("incident")
    assert {a.incident for a in desk.alerts("late_visit")} == {bundle.ref}
    desk.act("take", "paul", alert=bundle)
    assert {a.taken_by for a in desk.alerts("late_visit")} == {"paul"}


def test_what_becomes_late_after_the_bundle_was_taken_is_told_anew() -> None:
    desk = snow()
    ranked(desk, "fay", "amber")
    desk.plan()
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + timedelta(minutes=4))
    declare(desk)
    desk.advance(minutes=31)
    desk.act("take", "paul", alert=desk.alert("incident"))
    desk.advance(minutes=5)
    bundles = desk.alerts("incident")
    assert [one.state for one in bundles] == ["taken", "open"]


@pytest.mark.parametrize("time_critical", [False, True])
def test_a_time_critical_visit_is_red_whatever_the_rank(time_critical: bool) -> None:
    desk = snow("green")
    desk.plan(time_critical=time_critical)
    declare(desk)
    late(desk)
    assert bool(desk.messages("offer")) == time_critical


# --- the family ---


def covered(desk: Desk) -> None:
    decision = say(desk, "cover", "paul", service_user="ed", next_of_kin="ned")
    assert decision.refusal is None, decision.refusal


def test_green_without_a_confirmation_is_amber() -> None:
    desk = snow("green")
    desk.plan()
    declare(desk)
    replacing = late(desk).track("replace")
    assert replacing is not None
    assert replacing.reason == "bad_weather"


def test_green_with_a_confirmation_seeks_nobody_and_is_missed_all_the_same() -> None:
    desk = snow("green")
    desk.plan()
    declare(desk)
    covered(desk)
    replacing = late(desk).track("replace")
    assert replacing is not None
    assert replacing.reason == "covered_by_family"
    desk.advance(hours=2)
    assert desk.messages("offer") == []
    assert desk.visit().missed
    assert desk.alert().state == "open"


def test_a_cover_that_is_confirmed_while_others_are_asked_stops_the_offers() -> None:
    desk = snow("green")
    desk.plan()
    late(desk)
    assert desk.messages("offer")
    declare(desk)
    covered(desk)
    assert {m.result for m in desk.messages("offer")} == {"cancelled"}


def test_a_cover_that_holds_no_more_begins_the_full_search_when_the_weather_ends() -> None:
    desk = snow("green")
    desk.plan()
    declare(desk)
    covered(desk)
    late(desk)
    say(desk, "end")
    assert templates(desk.messages("offer", "kit")) == ["CW-7"]


@pytest.mark.parametrize(
    ("rank", "kin", "by", "refusal"),
    [
        ("green", "ned", "paul", None),
        ("amber", "ned", "paul", "not_green"),
        ("red", "ned", "paul", "not_green"),
        ("green", "fay", "paul", "next_of_kin"),
        ("green", None, "paul", "next_of_kin"),
    ],
)
def test_only_a_next_of_kin_of_somebody_green_confirms_a_cover(
    rank: WeatherRank, kin: str | None, by: str, refusal: str | None
) -> None:
    desk = snow(rank)
    declare(desk)
    decision = say(desk, "cover", by, service_user="ed", next_of_kin=kin)
    assert (decision.refusal.code if decision.refusal else None) == refusal


def test_a_cover_is_for_this_weather_only() -> None:
    desk = snow("green")
    declare(desk)
    covered(desk)
    say(desk, "end")
    desk.plan()
    say(desk, "declare", until=desk.now + HOUR * 6)
    replacing = late(desk).track("replace")
    assert replacing is not None
    assert replacing.reason == "bad_weather"


# --- the council ---


def test_the_council_gets_one_report_an_hour_and_no_mail_for_the_breach() -> None:
    desk = snow()
    desk.plan()
    desk.people.people["ed"] = msgspec.structs.replace(
        desk.people.people["ed"], plan=PlanView(weather_rank="amber", channels=("person",))
    )
    declare(desk)
    desk.advance(minutes=179)
    reports = desk.bodies(f.SituationReported)
    assert [one.late for one in reports] == [0, 1, 1]
    assert [one.hour_passed for one in reports] == [0, 0, 1]
    mails = templates(desk.messages("inform_council"))
    assert mails.count("CO-120") == 3
    assert desk.bodies(f.CouncilMoved)


def test_a_red_breach_is_told_by_itself() -> None:
    desk = snow("red")
    desk.plan()
    declare(desk)
    desk.advance(minutes=95)
    assert "CO-2" in templates(desk.messages("inform_council"))


def test_each_council_desk_hears_of_its_own_visits_alone() -> None:
    desks = (
        CouncilDesk(ref="c1", hours="otherwise"),
        CouncilDesk(ref="c2", hours="otherwise", contract="plymouth"),
    )
    desk = snow(council_desks=desks)
    desk.plan()
    declare(desk)
    assert {one.desk for one in desk.bodies(f.SituationReported)} == {"c1"}


# --- its end ---


def test_staff_are_reminded_before_the_end_and_told_of_it() -> None:
    desk = snow()
    declare(desk, hours=2)
    desk.advance(minutes=89)
    assert "OC-126" not in templates(desk.messages("notice"))
    desk.advance(minutes=1)
    assert {m.person for m in desk.messages("notice") if m.template == "OC-126"} == {"olga", "mary"}
    desk.advance(minutes=30)
    assert weather(desk).ended_at == MONDAY + 2 * HOUR
    assert {m.person for m in desk.messages("notice") if m.template == "OC-127"} == {"olga", "mary"}


def test_a_moved_end_is_reminded_of_anew() -> None:
    desk = snow()
    declare(desk, hours=2)
    desk.advance(minutes=100)
    assert say(desk, "change", until=desk.now + 3 * HOUR).refusal is None
    desk.advance(hours=2)
    assert weather(desk).ended_at is None
    desk.advance(hours=2)
    reminded = [b for b in desk.bodies(f.WeatherReminded) if b.what == "end"]
    assert (len(reminded), weather(desk).ended_at is not None) == (2, True)


def test_at_the_end_others_are_asked_to_go_to_every_visit_that_is_still_open() -> None:
    desk = snow()
    desk.plan()
    declare(desk, hours=1)
    late(desk)
    assert desk.messages("offer") == []
    desk.advance(minutes=20)
    assert templates(desk.messages("offer", "kit")) == ["CW-7"]


# --- the duty of twelve hours ---


def test_the_manager_is_reminded_of_the_report_and_an_alarm_says_that_it_is_overdue() -> None:
    desk = snow()
    declare(desk, hours=1)
    desk.advance(hours=9)
    assert {m.person for m in desk.messages("notice") if m.template == "OC-123"} == {"mary"}
    desk.advance(hours=2, minutes=59, seconds=58)
    assert desk.alerts("incident") == []
    desk.advance(seconds=1)
    assert desk.alert("incident").reason == "weather_report"
    assert say(desk, "report", "paul").refusal is None
    assert desk.alert("incident").state == "ended"
    refusal = say(desk, "report", "mary").refusal
    assert refusal is not None
    assert refusal.code == "already_reported"


def test_a_report_that_was_made_alarms_nobody() -> None:
    desk = snow()
    declare(desk, hours=1)
    say(desk, "report", "mary")
    desk.advance(hours=13)
    assert desk.alerts("incident") == []
    assert "OC-123" not in templates(desk.messages("notice"))


# --- service users ---


def mobile(desk: Desk, **plan: Any) -> None:
    ranked(desk, "fay", "amber", **plan)


def test_who_is_visited_today_is_told_once_that_times_may_change() -> None:
    desk = snow()
    mobile(desk)
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + 3 * HOUR)
    declare(desk)
    assert templates(desk.messages("weather", "fay")) == ["SU-13"]
    desk.advance(hours=4)
    assert len(desk.messages("weather", "fay")) == 1


def test_who_has_a_landline_alone_is_rung() -> None:
    desk = snow()
    desk.plan(start=desk.now + 3 * HOUR)
    declare(desk)
    (call,) = desk.messages("weather", "ed")
    assert (call.channel, call.template) == ("call", "SUV-120")
    desk.send(call)
    desk.deliver(call, "no_answer")
    assert [(one.how, one.reason) for one in weather(desk).told] == [("by_person", "not_reached")]


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"channels": ("person",)}, ("by_person", "person_only")),
        ({"end_of_life": True}, ("by_person", "person_only")),
        ({"minor": True}, ("text", "")),
        ({"understands_keys": False}, ("by_person", "no_line")),
        ({"channels": ("text",)}, ("by_person", "no_line")),
        ({}, ("call", "")),
    ],
)
def test_whom_no_machine_may_tell_stands_on_the_list_of_who_is_rung(
    plan: dict[str, Any], told: tuple[str, str]
) -> None:
    desk = snow()
    ranked(desk, "ed", "amber", **plan)
    desk.plan(start=desk.now + 3 * HOUR)
    declare(desk)
    assert [(one.how, one.reason) for one in weather(desk).told] == [told]


@pytest.mark.parametrize(("public", "result"), [("off", ["rehearsed"]), ("ask", []), ("auto", ["intended"])])
def test_the_public_mode_holds_for_the_news(public: str, result: list[str]) -> None:
    desk = snow(public=public)
    mobile(desk)
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + 3 * HOUR)
    declare(desk)
    assert [m.result for m in desk.messages("weather")] == result
    desk.advance(minutes=20)
    assert len(desk.messages("weather")) == 1


# --- the list of whom a person rings ---


def listed() -> Desk:
    """ed is on today's list of whom a person is to ring, and has a visit at MONDAY."""
    desk = snow()
    ranked(desk, "ed", "amber", channels=("person",))
    desk.plan()
    declare(desk)
    assert [one.how for one in weather(desk).told] == ["by_person"]
    assert left(weather(desk), desk.now.date()) != []
    return desk


def test_whom_a_member_of_staff_has_spoken_to_is_ticked_off_and_the_second_hears_who_it_was() -> None:
    desk = listed()
    assert say(desk, "rung", "paul", service_user="ed").refusal is None
    assert left(weather(desk), desk.now.date()) == []
    (done,) = weather(desk).rung
    assert (done.how, done.by, done.at) == ("rung", "paul", desk.now)
    refusal = say(desk, "rung", "mary", service_user="ed").refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_rung", "paul")


def test_a_tick_can_be_taken_back() -> None:
    desk = listed()
    say(desk, "rung", "paul", service_user="ed")
    assert say(desk, "unrung", "paul", service_user="ed").refusal is None
    assert [one.person for one in left(weather(desk), desk.now.date())] == ["ed"]
    refusal = say(desk, "unrung", "paul", service_user="ed").refusal
    assert refusal is not None
    assert refusal.code == "not_listed"


@pytest.mark.parametrize(("person", "code"), [("fay", "not_listed"), ("nobody", "not_listed")])
def test_who_is_not_on_the_list_is_not_ticked_off(person: str, code: str) -> None:
    refusal = say(listed(), "rung", "paul", service_user=person).refusal
    assert refusal is not None
    assert refusal.code == code


def test_without_weather_nobody_is_on_any_list() -> None:
    refusals = [say(snow(), action, "paul", service_user="ed").refusal for action in ("rung", "unrung")]
    assert [one.code for one in refusals if one is not None] == ["no_weather"] * 2


def test_who_must_not_hear_of_them_has_not_rung_them() -> None:
    desk = listed()
    ranked(desk, "ed", "amber", channels=("person",), never_tell=frozenset({"paul"}))
    refusal = say(desk, "rung", "paul", service_user="ed").refusal
    assert refusal is not None
    assert refusal.code == "never_told"


def test_who_was_visited_need_not_be_rung() -> None:
    desk = listed()
    desk.check(service_user="ed", visit="v1")
    assert [(b.person, b.how, b.by) for b in desk.bodies(f.RingDone)] == [("ed", "visited", None)]
    assert left(weather(desk), desk.now.date()) == []


def test_of_whom_a_member_of_staff_records_a_conversation_need_not_be_rung_again() -> None:
    desk = listed()
    late(desk)
    desk.act("spoke_service_user", "paul")
    assert [(b.person, b.how) for b in desk.bodies(f.RingDone)] == [("ed", "answered")]


def test_who_is_not_reached_after_a_visit_is_to_be_rung_again() -> None:
    desk = listed()
    desk.check(service_user="ed", visit="v1")
    again = f.WeatherTold(told=(msgspec.structs.replace(weather(desk).told[0], reason="not_reached"),))
    desk._fold(f.Draft(at=desk.now, subject=weather(desk).ref, body=again))
    assert [one.person for one in left(weather(desk), desk.now.date())] == ["ed"]


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_keeps_who_was_ticked_off(snapshot: bool) -> None:
    desk = listed()
    say(desk, "rung", "paul", service_user="ed")
    desk.restart(snapshot=snapshot)
    assert left(weather(desk), desk.now.date()) == []


# --- a bundle gathers before it tells ---


def test_the_first_text_of_a_bundle_is_a_minute_later_and_speaks_of_all_that_there_are() -> None:
    desk = snow()
    ranked(desk, "fay", "amber")
    desk.plan()
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + timedelta(seconds=50))
    declare(desk)
    desk.advance(minutes=30, seconds=58)
    bundle = desk.alert("incident")
    assert desk.messages("summon") == []
    desk.advance(seconds=1)
    assert [m.template for m in desk.messages("summon")][:1] == ["OC-120"]
    assert len(causes.round_of(desk.state, bundle, desk.now)) == 2


def test_of_a_bundle_that_is_over_before_it_has_gathered_nobody_is_told() -> None:
    desk = snow()
    desk.plan()
    declare(desk)
    desk.advance(minutes=30, seconds=10)
    desk.check(service_user="ed", visit="v1")
    assert desk.alert("incident").state == "ended"
    desk.advance(minutes=10)
    assert desk.messages("summon") == []


def test_help_and_red_visits_wait_for_no_bundle() -> None:
    desk = snow("red")
    desk.plan()
    declare(desk)
    desk.advance(minutes=30)
    assert desk.alerts("incident") == []
    assert desk.messages("summon") != []


def test_who_must_not_be_told_hears_nothing_on_a_shared_line() -> None:
    desk = snow()
    line = LineView(ref="l-ed", kind="landline")
    desk.people.people["ned"] = PersonView(ref="ned", role="contact", lines=(line,))
    ranked(desk, "ed", "amber", never_tell=frozenset({"ned"}))
    desk.plan(start=desk.now + 3 * HOUR)
    declare(desk)
    assert desk.messages("weather") == []
    assert [one.how for one in weather(desk).told] == ["by_person"]


def test_a_red_person_hears_nothing_of_it() -> None:
    desk = snow("red")
    desk.plan(start=desk.now + 3 * HOUR)
    declare(desk)
    assert desk.messages("weather") == []


def test_a_hundred_people_are_told_in_portions() -> None:
    desk = snow()
    for n in range(120):
        ref = f"u{n}"
        desk.people.people[ref] = PersonView(
            ref=ref,
            role="service_user",
            lines=(LineView(ref=f"l-{ref}"),),
            plan=PlanView(weather_rank="amber"),
        )
        desk.plan(f"w{n}", service_user=ref, workers=(), start=desk.now + 3 * HOUR)
    declare(desk)
    assert [len(b.told) for b in desk.bodies(f.WeatherTold)] == [50, 50, 20]
    assert len(desk.messages("weather")) == 120


# --- restarts ---


@pytest.mark.parametrize("snapshot", [True, False])
def test_it_goes_on_after_a_restart(snapshot: bool) -> None:
    desk = snow("green")
    desk.plan()
    declare(desk)
    covered(desk)
    before = weather(desk)
    desk.restart(snapshot=snapshot)
    assert weather(desk) == before
    replacing = late(desk).track("replace")
    assert replacing is not None
    assert replacing.reason == "covered_by_family"


# --- a council desk that is closed ---


def test_what_no_council_desk_was_open_to_hear_is_told_one_by_one_when_the_weather_is_over() -> None:
    desk = snow(council_desks=(CouncilDesk(ref="c1", hours="Mon-Fri 20:00-21:00"),))
    desk.plan()
    declare(desk, hours=3)
    desk.advance(minutes=31)
    desk.act("spoke_service_user", "paul")
    desk.advance(minutes=75)
    assert {one.desk for one in desk.bodies(f.SituationReported)} == {None}
    council = desk.alert().council
    assert council is not None
    assert (council.step, council.reason) == ("waiting", "situation_report")
    desk.advance(hours=2)
    council = desk.alert().council
    assert council is not None
    assert (council.step, council.reason) == ("trying", "no_desk_now")


def test_a_breach_that_stood_in_a_report_is_not_mailed_again_when_the_weather_is_over() -> None:
    desk = snow()
    desk.plan(end=desk.now + 5 * HOUR)
    declare(desk, hours=3)
    desk.advance(minutes=31)
    desk.act("spoke_service_user", "paul")
    desk.advance(hours=5)
    assert dict(weather(desk).left_out)["council_breach"] == 1
    mails = [m.template for m in desk.messages("inform_council")]
    assert mails.count("CO-121") == 1
    assert set(mails) == {"CO-120", "CO-121"}


# --- red: the whole procedure, weather or not ---

ANSWERS = st.tuples(st.sampled_from(["wait", "send", "press", "reply", "act", "arrive"]), st.integers(0, 999))


def lived(
    ops: Sequence[tuple[str, int]], *, declared: bool, rank: WeatherRank, time_critical: bool
) -> list[Any]:
    """The same hours, with and without the weather: everything that was decided about the one visit."""
    desk = snow(rank)
    ranked(desk, "fay", "amber")
    desk.plan("v2", service_user="fay", workers=("kit",), start=desk.now + 12 * HOUR)
    desk.plan(time_critical=time_critical)
    if declared:
        say(desk, "declare", until=desk.now + 20 * HOUR)
    desk.advance(minutes=31)
    for name, n in ops:
        own = [m for m in desk.messages() if m.alert == desk.alert().ref]
        if name == "wait":
            desk.advance(minutes=(1, 3, 5, 9, 16)[n % 5])
        elif name == "send":
            for message in own:
                if message.phase == "queued":
                    desk.send(message)
        elif name == "press" and (calls := [m for m in own if m.channel == "call" and m.attempts]):
            desk.press(calls[n % len(calls)], ("1", "2", "")[n % 3])
        elif name == "reply" and (asked := [m for m in own if m.slot is not None and m.attempts]):
            message = asked[n % len(asked)]
            digit = sorted(QUESTIONS[message.template])[n % 2 % len(QUESTIONS[message.template])]
            desk.text(message.person, f"{message.slot}{digit}", line=message.line)
        elif name == "act":
            desk.act(("take", "spoke_service_user", "told_council", "note")[n % 4], "paul")
        elif name == "arrive" and n % 5 == 0:
            desk.check(service_user="ed")
    desk.advance(minutes=70)
    alert = desk.alert()
    tracks = [
        (fact.at, fact.body.track, fact.body.step, fact.body.reason, fact.body.next_at)
        for fact in desk.facts
        if isinstance(fact.body, f.TrackMoved) and fact.subject == alert.ref
    ]
    told = [
        (m.intended_at, m.person, m.template, m.channel, m.result, m.proof)
        for m in desk.messages()
        if m.alert == alert.ref
    ]
    council = [(c.at, c.body.step, c.body.reason) for c in desk.facts if isinstance(c.body, f.CouncilMoved)]
    return [tracks, told, council, alert.state, alert.left_out, desk.visit().missed]


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, max_size=8), st.booleans())
def test_whatever_happens_a_red_visit_goes_as_it_would_without_the_weather(
    ops: list[tuple[str, int]], time_critical: bool
) -> None:
    without = lived(ops, declared=False, rank="red", time_critical=time_critical)
    assert lived(ops, declared=True, rank="red", time_critical=time_critical) == without


@settings(max_examples=20, deadline=None)
@given(st.lists(ANSWERS, max_size=6))
def test_whatever_happens_a_time_critical_visit_is_red(ops: list[tuple[str, int]]) -> None:
    without = lived(ops, declared=False, rank="green", time_critical=True)
    assert lived(ops, declared=True, rank="green", time_critical=True) == without


def test_the_comparison_tells_amber_from_red() -> None:
    assert lived([], declared=True, rank="amber", time_critical=False) != lived(
        [], declared=False, rank="amber", time_critical=False
    )


def test_nobody_to_whom_the_family_sees_is_told_that_a_carer_will_come() -> None:
    desk = snow("green")
    desk.plan()
    declare(desk)
    covered(desk)
    desk.advance(minutes=31)
    (call,) = desk.messages("reassure", "ed")
    assert call.template == "SUV-121"
    desk.send(call)
    desk.press(call, "1")
    reassured = desk.alert().track("reassure")
    assert reassured is not None
    assert (reassured.step, reassured.reason) == ("reached", "all_right")
