"""The manager's check (spec 10.4; domain.md section 2, "Ending"): which alerts need it, until when, who answers, and
what becomes of one that nobody answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Calendar, Duty, Policy
from escalation.track import Track
from monitor.core import checks
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.state import Alert, Message
from tests.core.driver import DUTY, MONDAY, NOWHERE, Desk

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ANSWERS: dict[str, Any] = {
    "adequate": True,
    "safeguarding": "not_raised",
    "note": NOWHERE,
    "serious_incident": False,
}


def helped(desk: Desk, by: str = "paul") -> Alert:
    """Help was asked, and a named person has recorded what came of it."""
    desk.text("ed", word="help")
    desk.act("close", by, alert=desk.alert("help_asked"), reason="seen_well")
    return desk.alert("help_asked")


def check(desk: Desk, by: str = "mary", **answers: Any) -> Decision:
    (alert,) = [alert for alert in desk.alerts() if alert.ref in desk.state.unchecked]
    return desk.act("check", by, alert=alert, **(ANSWERS | answers))


def told(desk: Desk) -> list[Message]:
    return [message for message in desk.messages() if message.template == "OC-180"]


# --- which alerts need it ---


def alert_of(kind: Any = "late_visit", *tracks: Track) -> Alert:
    return Alert(
        ref="a", kind=kind, due_at=MONDAY, opened_at=MONDAY, policy="", service_user="ed", tracks=tracks
    )


def track(name: Any, step: Any, index: int = 0) -> Track:
    return Track(name=name, step=step, reason="", index=index)


@pytest.mark.parametrize(
    ("alert", "why"),
    [
        (alert_of(), ()),
        (alert_of("late_visit", track("reassure", "reached"), track("replace", "reached")), ()),
        (alert_of("late_visit", track("reassure", "not_reached")), ("unreached",)),
        (alert_of("late_visit", track("reassure", "reached"), track("inform", "reached")), ("unreached",)),
        (alert_of("late_visit", track("reassure", "skipped"), track("inform", "done")), ()),
        (alert_of("late_visit", track("replace", "reached", 2)), ()),
        (alert_of("late_visit", track("replace", "reached", 3)), ("breach",)),
        (alert_of("second_worker_missing", track("replace", "done", 3)), ("breach",)),
        (alert_of("help_asked"), ("help",)),
        (alert_of("no_reply"), ("no_reply",)),
        (alert_of("very_short"), ()),
        (alert_of("rota"), ()),
        (alert_of("incident"), ()),
    ],
)
def test_only_missed_unreached_help_no_reply_and_breach_alerts_need_it(alert: Alert, why: Any) -> None:
    assert checks.reasons(alert, None) == why


def test_a_missed_visit_needs_it_and_one_that_was_not_missed_does_not() -> None:
    desk = Desk(public="off")
    desk.plan("v1")
    desk.advance(minutes=29)
    assert desk.alerts() == []
    desk.advance(minutes=61)
    assert desk.visit().missed
    assert checks.reasons(desk.alert(), desk.visit()) == ("missed", "breach")
    assert checks.reasons(desk.alert(), structs.replace(desk.visit(), missed=False)) == ("breach",)


def test_the_check_is_wanted_when_the_alert_is_over_and_not_before() -> None:
    desk = Desk()
    desk.text("ed", word="help")
    assert desk.bodies(f.CheckWanted) == []
    desk.act("close", "paul", alert=desk.alert("help_asked"), reason="seen_well")
    (wanted,) = desk.bodies(f.CheckWanted)
    assert wanted.reasons == ("help",)
    assert desk.alert("help_asked").check is not None


# --- until when ---

FRIDAY_BEFORE_CHRISTMAS = datetime(2026, 12, 24, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ended", "within", "until"),
    [
        ("2026-11-23 08:00", DAY, "2026-11-24 17:00"),  # Monday: Tuesday
        ("2026-11-23 23:59", DAY, "2026-11-24 17:00"),
        ("2026-11-24 00:00", DAY, "2026-11-25 17:00"),
        ("2026-11-27 16:59", DAY, "2026-11-30 17:00"),  # Friday: Monday
        ("2026-11-28 12:00", DAY, "2026-11-30 17:00"),  # Saturday: Monday
        (
            "2026-12-24 16:30",
            DAY,
            "2026-12-29 17:00",
        ),  # Christmas Eve: past the Friday, the weekend and the Monday
        ("2026-11-23 08:00", 3 * DAY, "2026-11-26 17:00"),
        ("2026-06-01 08:00", DAY, "2026-06-02 16:00"),  # summer: 17:00 local
        ("2026-11-23 08:00", DAY - timedelta(milliseconds=1), "2026-11-24 07:59:59.999"),
        ("2026-11-23 08:00", timedelta(seconds=2), "2026-11-23 08:00:02"),
    ],
)
def test_the_limit_is_the_end_of_the_next_working_day_and_a_short_one_runs_by_the_clock(
    ended: str, within: timedelta, until: str
) -> None:
    holidays = frozenset({date(2026, 12, 25), date(2026, 12, 28)})
    at = datetime.fromisoformat(ended).replace(tzinfo=UTC)
    due = checks.due(at, Policy(check_within=within), Calendar(holidays=holidays))
    assert due == datetime.fromisoformat(until).replace(tzinfo=UTC)


# --- who answers, and what ---


def test_the_three_answers_are_kept_and_end_it() -> None:
    desk = Desk()
    alert = helped(desk)
    assert check(desk, adequate=False, safeguarding="raised", serious_incident=True).refusal is None
    kept = desk.state.values.alerts[alert.ref].check
    assert kept is not None
    assert (kept.by, kept.at, kept.adequate) == ("mary", MONDAY, False)
    assert (kept.safeguarding, kept.serious_incident) == ("raised", True)
    (said,) = [body for body in desk.bodies(f.ActionRecorded) if body.action == "check"]
    assert (said.by, said.note) == ("mary", NOWHERE)
    desk.advance(hours=24 * 7)
    assert told(desk) == []


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"adequate": None}, "adequate"),
        ({"safeguarding": None}, "safeguarding"),
        ({"note": None}, "note"),
        ({"serious_incident": None}, "serious_incident"),
        ({"by": "paul"}, "not_manager"),
        ({"by": "olga"}, "not_manager"),
    ],
)
def test_an_answer_that_is_missing_or_not_a_manager_s_changes_nothing(
    missing: dict[str, Any], code: str
) -> None:
    desk = Desk()
    helped(desk)
    before = len(desk.facts)
    refusal = check(desk, **missing).refusal
    assert refusal is not None
    assert (refusal.code, len(desk.facts)) == (code, before)


def test_of_a_concern_that_was_raised_no_reason_is_asked() -> None:
    desk = Desk()
    helped(desk)
    assert check(desk, safeguarding="raised", note=None).refusal is None


def test_the_second_manager_hears_who_was_first() -> None:
    desk = Desk(duty=(*DUTY, Duty(person="deputy", role="manager", hours="otherwise")))
    alert = helped(desk)
    check(desk)
    refusal = desk.act("check", "deputy", alert=alert, **ANSWERS).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_checked", "mary")


def test_an_open_alert_and_one_that_needs_none_cannot_be_checked() -> None:
    desk = Desk()
    desk.plan("v1", start=MONDAY - 31 * MINUTE)
    desk.advance(minutes=1)
    open_ = desk.act("check", "mary", **ANSWERS).refusal
    desk.check(service_user="ed", visit="v1")
    over = desk.act("check", "mary", **ANSWERS).refusal
    assert desk.alert().state == "ended"
    assert [open_ and open_.code, over and over.code] == ["no_check", "no_check"]


def test_a_manager_who_must_not_hear_of_the_person_does_not_answer_about_them() -> None:
    desk = Desk()
    alert = helped(desk)
    ed = desk.people.people["ed"]
    desk.people.people["ed"] = structs.replace(
        ed, plan=structs.replace(ed.plan, never_tell=frozenset({"mary"}))
    )
    refusal = desk.act("check", "mary", alert=alert, **ANSWERS).refusal
    assert refusal is not None
    assert refusal.code == "never_told"


# --- nobody answers ---


def test_at_the_end_of_the_next_working_day_the_manager_is_texted_and_then_daily() -> None:
    desk = Desk()
    helped(desk)
    desk.advance(hours=32, minutes=59, seconds=59)  # Tuesday, 16:59:59
    assert told(desk) == []
    desk.advance(seconds=1)
    assert [(m.person, m.count, m.purpose) for m in told(desk)] == [("mary", 1, "notice")]
    desk.advance(hours=23, minutes=59, seconds=59)
    assert len(told(desk)) == 1
    desk.advance(seconds=1)
    assert len(desk.bodies(f.ChecksReminded)) == 2
    desk.advance(hours=24 * 5)
    assert len(desk.bodies(f.ChecksReminded)) == 7, "on the weekend too, for what is past its day"
    check(desk)
    desk.advance(hours=48)
    assert len(desk.bodies(f.ChecksReminded)) == 7


def test_thirty_that_wait_are_one_text() -> None:
    desk = Desk(late_after=MINUTE)
    for number in range(30):
        desk.people.people[f"su{number}"] = structs.replace(desk.people.people["ed"], ref=f"su{number}")
        desk.plan(f"v{number}", service_user=f"su{number}", start=desk.now, workers=(f"w{number}",))
    desk.advance(hours=2)
    for alert in desk.alerts("late_visit"):
        desk.act("close", "paul", alert=alert, reason="visit_made")
    assert len(desk.state.unchecked) == 30
    desk.advance(hours=40)
    assert [m.count for m in told(desk)] == [30]


def test_it_stays_until_it_is_answered_and_leaves_like_any_other_then() -> None:
    desk = Desk()
    alert = helped(desk)
    desk.advance(hours=24 * 21)
    assert alert.ref in desk.state.values.alerts
    check(desk)
    desk.advance(hours=35, minutes=59)
    assert alert.ref in desk.state.values.alerts, "who has answered still sees it"
    desk.advance(minutes=1)
    assert alert.ref not in desk.state.values.alerts


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_keeps_what_waits_and_when_it_is_told_of_again(snapshot: bool) -> None:
    desk = Desk()
    helped(desk)
    desk.advance(hours=33)
    again = desk.state.next_deadline()
    desk.restart(snapshot=snapshot)
    assert list(desk.state.unchecked) == [alert.ref for alert in desk.alerts("help_asked")]
    assert desk.state.next_deadline() == again


def test_nobody_is_woken_for_it_after_a_stop() -> None:
    desk = Desk()
    helped(desk)
    desk.now = MONDAY + timedelta(days=1, hours=19)  # Wednesday, 03:00: the machine was down at 17:00
    desk.advance()
    assert told(desk) == []
    assert [(b.reason, b.told) for b in desk.bodies(f.ChecksReminded)] == [("night", 0)]
    desk.advance(hours=3, minutes=59)
    assert told(desk) == []
    desk.advance(minutes=1)
    assert [m.person for m in told(desk)] == ["mary"]


def test_without_a_manager_who_takes_texts_the_first_on_duty_hears_it() -> None:
    desk = Desk()
    desk.people.people["mary"] = structs.replace(desk.people.people["mary"], lines=())
    helped(desk)
    desk.advance(hours=33)
    assert [m.person for m in told(desk)] == ["paul"]


def test_when_nobody_at_all_can_be_texted_a_fact_says_so_each_day() -> None:
    desk = Desk()
    for person in ("mary", "paul", "olga"):
        desk.people.people[person] = structs.replace(desk.people.people[person], lines=())
    helped(desk)
    desk.advance(hours=24 * 3)
    assert {(b.reason, b.told) for b in desk.bodies(f.ChecksReminded)} == {("nobody_to_tell", 0)}
    assert len(desk.bodies(f.ChecksReminded)) == 2
