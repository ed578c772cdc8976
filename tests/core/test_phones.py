"""A single telephone goes dark: by its last will, by its silence, never by what it does not say anyway; and is back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import PolicyLoaded, Position, SignalChanged
from monitor.core.signals import signal_of, silent_workers
from tests.core.days import quiet_ends
from tests.core.driver import AWAY, DUTY, MONDAY, THERE, Desk
from tests.core.test_incidents import SIX, desk_with_round, incident

MINUTE = timedelta(minutes=1)


def signal(desk: Desk, visit: str = "v1") -> str:
    return signal_of(desk.state, desk.visit(visit), silent_workers(desk.state, desk.people.worker_of))


def reporting(people: tuple[str, ...] = SIX) -> Desk:
    """dee has been with ed for half an hour, her telephone saying every five minutes where it is; she has left half an
    hour ago, and v1 begins now."""
    desk = desk_with_round(people)
    desk.now = MONDAY - 65 * MINUTE
    desk.plan("v0", end=MONDAY - 30 * MINUTE)
    desk.check(service_user="ed", tag=True)
    for minute in range(-65, 0, 5):
        if minute == -30:
            desk.check("leave", service_user="ed", tag=True)
        desk.check("fix", position=THERE if minute <= -30 else moving(minute))
        desk.advance(minutes=5)
    return desk


def moving(minute: int) -> Position:
    return structs.replace(AWAY, lat=AWAY.lat + minute / 100)


def lost(desk: Desk) -> int:
    return len(desk.bodies(f.SignalLost))


# --- the last will ---


@pytest.mark.parametrize(("minutes", "dark"), [(4.99, False), (5, True)])
def test_a_last_will_counts_when_the_phone_has_not_come_back_in_five_minutes(
    minutes: float, dark: bool
) -> None:
    desk = desk_with_round()
    desk.check("offline")
    desk.check("offline")
    desk.advance(minutes=minutes)
    assert (lost(desk), signal(desk)) == ((1, "dark:device") if dark else (0, "known"))


def test_a_phone_that_reconnects_is_not_dark() -> None:
    desk = desk_with_round()
    desk.check("offline")
    desk.advance(minutes=3)
    desk.check("fix", position=AWAY)
    desk.advance(minutes=20)
    assert lost(desk) == 0


def test_its_round_is_one_incident_and_its_care_worker_is_told_how_to_check_in() -> None:
    desk = desk_with_round()
    desk.check("offline")
    desk.advance(minutes=5)
    found = incident(desk)
    assert (found.reason, found.worker, found.count) == ("worker_dark", "dee", 6)
    assert [m.template for m in desk.messages("summon")] == ["OC-4"]
    (text,) = desk.messages("notice")
    assert (text.person, text.template, text.channel, text.count) == ("dee", "CW-140", "sms", 6)
    assert desk.send(text) == "send"
    assert {signal(desk, f"v{n}") for n in range(1, 7)} == {"dark:device"}
    desk.advance(minutes=140)
    assert len(desk.messages("notice", "dee")) == 1, "told once"
    assert len(desk.alerts("late_visit")) == 6
    assert quiet_ends(desk) == []


def test_off_shift_a_last_will_is_looked_at_when_the_next_shift_begins() -> None:
    desk = desk_with_round()
    desk.now = MONDAY - 600 * MINUTE
    desk.check("offline")
    desk.advance(minutes=574)
    assert lost(desk) == 0, "who switches it off at night is on nobody's list"
    desk.advance(minutes=1)
    assert (lost(desk), desk.alerts("incident")) == (1, [])
    desk.advance(minutes=35)
    assert incident(desk).reason == "worker_dark", "with the first visit that is due"


def test_a_last_will_at_night_that_was_heard_of_again_is_over() -> None:
    desk = desk_with_round()
    desk.now = MONDAY - 600 * MINUTE
    desk.check("offline")
    desk.advance(minutes=5)
    assert desk.check("fix", position=AWAY).outcome == "off_shift"
    desk.advance(minutes=600)
    assert lost(desk) == 0


def test_a_phone_of_nobody_is_nobody_s_loss() -> None:
    desk = desk_with_round()
    assert desk.check("offline", device="d-of-nobody").outcome == "near"
    assert desk.bodies(f.DeviceWatched) == []


# --- silence ---


@pytest.mark.parametrize(("minutes", "dark"), [(24.99, 0), (25, 1)])
def test_a_phone_that_reports_by_itself_is_dark_after_half_an_hour_of_silence(
    minutes: float, dark: int
) -> None:
    desk = reporting()
    desk.advance(minutes=minutes)
    assert lost(desk) == dark


def test_silence_says_since_when() -> None:
    desk = reporting()
    desk.advance(minutes=25)
    (fact,) = desk.bodies(f.SignalLost)
    assert fact.since == MONDAY - 5 * MINUTE
    assert incident(desk).reason == "worker_dark"


def test_a_phone_that_only_ever_sent_check_ins_is_never_dark_for_its_silence() -> None:
    desk = desk_with_round()
    desk.check(service_user="u1")
    desk.advance(minutes=3)
    desk.check("leave", service_user="u1")
    desk.advance(minutes=200)
    assert lost(desk) == 0
    assert desk.bodies(f.DeviceWatched) == []


def test_a_phone_that_says_where_it_is_only_while_it_moves_is_never_dark_for_its_silence() -> None:
    desk = desk_with_round()
    for minute in range(0, 60, 3):
        desk.check("fix", position=moving(minute))
        desk.advance(minutes=3)
    desk.advance(minutes=100)
    assert lost(desk) == 0


@pytest.mark.parametrize(("apart", "dark"), [(20, 1), (20.01, 0)])
def test_at_rest_it_must_have_spoken_for_half_an_hour_and_every_twenty_minutes(
    apart: float, dark: int
) -> None:
    desk = desk_with_round()
    for _ in range(4):
        desk.check("fix", position=AWAY)
        desk.advance(minutes=apart)
    desk.advance(minutes=29.9 - apart)
    assert lost(desk) == 0
    desk.advance(minutes=0.1)
    assert lost(desk) == dark


def test_as_long_as_it_reports_nothing_is_dark_and_one_look_in_half_an_hour_is_all_that_it_costs() -> None:
    desk = reporting()
    for _ in range(36):
        desk.check("fix", position=AWAY)
        desk.advance(minutes=5)
    assert lost(desk) == 0
    assert len(desk.bodies(f.DeviceWatched)) <= 1 + 180 // 30 + 1


def test_who_is_inside_a_home_is_known_whatever_their_phone_says() -> None:
    desk = reporting()
    desk.check(service_user="u1")
    desk.advance(minutes=44)
    assert lost(desk) == 0, "half an hour of silence counts from the planned end, 15 minutes after the start"
    desk.advance(minutes=1)
    assert lost(desk) == 1


def test_off_shift_no_phone_is_missed() -> None:
    desk = reporting(("u1",))
    desk.check(service_user="u1")
    desk.advance(minutes=15)
    desk.check("leave", service_user="u1")
    desk.advance(minutes=300)
    assert lost(desk) == 0


def test_another_phone_of_the_same_care_worker_speaks_for_both() -> None:
    desk = reporting()
    desk.people.devices["d-dee-2"] = "dee"
    for _ in range(10):
        desk.check("fix", device="d-dee-2", position=AWAY)
        desk.advance(minutes=5)
    assert lost(desk) == 0


def test_after_a_restart_silence_counts_anew() -> None:
    desk = reporting()
    desk.advance(minutes=20)
    desk.restart(snapshot=False)
    desk.advance(minutes=29)
    assert lost(desk) == 0
    desk.advance(minutes=1)
    assert lost(desk) == 1


@pytest.mark.parametrize("cause", ["broker", "clock"])
def test_while_nothing_can_be_heard_nobody_is_silent(cause: str) -> None:
    desk = reporting()
    desk.tell(SignalChanged(cause=cause, subject="", dark=True))  # type: ignore[arg-type]
    desk.advance(minutes=60)
    assert "device" not in {body.cause for body in desk.bodies(f.SignalLost)}
    desk.tell(SignalChanged(cause=cause, subject="", dark=False))  # type: ignore[arg-type]
    desk.heard.begin(desk.now)
    desk.advance(minutes=29)
    assert "device" not in {body.cause for body in desk.bodies(f.SignalLost)}


def test_a_desk_that_keeps_no_position_follows_no_phone() -> None:
    desk = desk_with_round()
    policy = structs.replace(desk.state.values.policy, position_kept=timedelta())
    desk.tell(PolicyLoaded(policy=policy, duty=DUTY, council_desks=(), holidays=(), public="auto"))
    for _ in range(10):
        desk.check("fix", position=AWAY)
        desk.advance(minutes=5)
    desk.advance(minutes=60)
    assert (desk.bodies(f.DeviceWatched), lost(desk)) == ([], 0)


# --- back again ---


def gone() -> Desk:
    desk = desk_with_round()
    desk.check("offline")
    desk.advance(minutes=31)
    assert incident(desk).state == "open"
    return desk


def test_what_was_kept_meanwhile_is_read_before_anything_is_over() -> None:
    desk = gone()
    desk.check(service_user="u1", at=MONDAY + 2 * MINUTE)
    assert signal(desk, "v2") == "dark:device", "more may follow"
    desk.advance(seconds=9)
    desk.check(service_user="u2", at=MONDAY + 22 * MINUTE)
    assert lost(desk) == 1
    assert desk.alerts("late_visit")[0].ended_reason == "late_evidence"
    desk.advance(seconds=1)
    assert signal(desk, "v3") == "known"
    assert incident(desk).state == "ended"


def test_a_live_word_ends_the_darkness_at_once() -> None:
    desk = gone()
    desk.check("fix", position=AWAY)
    assert desk.state.values.dark == {}
    assert incident(desk).state == "open", "u1 is late, and nobody is there"
    desk.check(service_user="u1")
    assert incident(desk).state == "ended"


def test_before_any_alert_the_incident_ends_with_the_first_live_word() -> None:
    desk = desk_with_round()
    desk.check("offline")
    desk.advance(minutes=6)
    desk.check("fix", position=AWAY)
    assert incident(desk).state == "ended"


@pytest.mark.parametrize("how", [{"source": "phone"}, {"tag": True}])
def test_who_checks_in_without_the_dark_phone_is_known_again(how: dict[str, object]) -> None:
    desk = gone()
    desk.check(device=None, worker="dee", service_user="u1", **how)
    assert signal(desk, "v2") == "known"
    assert incident(desk).state == "ended"


def test_what_the_office_enters_by_hand_is_no_word_of_the_care_worker() -> None:
    desk = gone()
    desk.check(device=None, worker="dee", service_user="u1", manual=True)
    assert signal(desk, "v2") == "dark:device"


def test_a_text_that_has_not_left_when_they_are_heard_does_not_leave() -> None:
    desk = gone()
    (text,) = desk.messages("notice", "dee")
    desk.check("fix", position=AWAY)
    assert desk.send(text) != "send"
    assert desk.message(text.key).reason == "heard"


def test_a_phone_that_goes_dark_again_is_told_again() -> None:
    desk = gone()
    desk.check(service_user="u1")
    desk.check("offline")
    desk.advance(minutes=60)
    assert lost(desk) == 2
    assert len(desk.messages("notice", "dee")) == 2


def test_a_dark_phone_survives_a_restart() -> None:
    desk = gone()
    before = desk.state.values.dark
    desk.restart()
    assert desk.state.values.dark == before
    desk.check("fix", position=AWAY)
    assert desk.state.values.dark == {}


# --- what is late in the dark ---


def test_in_the_dark_staff_are_told_at_once_and_the_service_user_only_after_the_hold() -> None:
    desk = desk_with_round()
    desk.check("offline")
    desk.advance(minutes=30)
    assert incident(desk).state == "open"
    assert desk.messages("reassure", "u1") == []
    desk.advance(minutes=9, seconds=59)
    assert desk.messages("reassure", "u1") == []
    desk.advance(seconds=1)
    assert desk.messages("reassure", "u1")


def test_of_a_time_critical_visit_the_service_user_is_contacted_at_once() -> None:
    desk = desk_with_round(time_critical=True)
    desk.check("offline")
    desk.advance(minutes=30)
    assert desk.messages("reassure", "u1")


def test_a_visit_that_was_late_before_the_phone_was_known_to_be_dark_belongs_to_its_incident() -> None:
    desk = desk_with_round()
    desk.advance(minutes=29)
    desk.check("offline")
    desk.advance(minutes=2)
    assert desk.alerts("incident") == []
    desk.advance(minutes=3)
    assert [alert.incident for alert in desk.alerts("late_visit")] == [incident(desk).ref]
