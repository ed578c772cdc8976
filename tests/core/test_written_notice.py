"""The written notice of spec 17.2: when a council did not answer it is owed, a manager is offered it on the next
working day and sends it or says why not; nothing of it goes by itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import SendReported
from monitor.core.state import Alert, Message
from tests.core.driver import MONDAY, NOWHERE, Desk
from tests.core.test_clauses_22 import UNREACHED_TAKEN, keys, out

LONDON = ZoneInfo("Europe/London")


def in_vain(desk: Desk, times: int, result: str = "no_answer") -> None:
    """Paul is rung, presses 1, and the council's telephone rings so often without anybody there."""
    for _ in range(times):
        keys("OCV-150", "1")(desk)
        desk.deliver(out(desk, "COV-2"), result)  # type: ignore[arg-type]
        desk.deliver(out(desk, "OCV-150"), "completed")
        desk.act("take", "paul")  # still theirs
        desk.advance(minutes=10)


def unanswered(times: int = 3, result: str = "no_answer", **desk_: object) -> Desk:
    desk = Desk(**desk_)  # type: ignore[arg-type]
    desk.plan(workers=("dee",))
    for step in UNREACHED_TAKEN:
        step(desk)
    in_vain(desk, times, result)
    return desk


def owed(desk: Desk) -> list[Alert]:
    return [desk.state.values.alerts[ref] for ref in desk.state.unwritten]


def mails(desk: Desk) -> list[Message]:
    return [message for message in desk.messages() if message.template == "CO-5"]


def told(desk: Desk) -> list[Message]:
    return [message for message in desk.messages() if message.template == "RM-181"]


def local(at: datetime) -> str:
    return f"{at.astimezone(LONDON):%a %H:%M}"


# --- it is owed ---


@pytest.mark.parametrize(
    ("times", "result", "wanted"),
    [
        (2, "no_answer", 0),
        (3, "no_answer", 1),
        (3, "busy", 1),
        (5, "no_answer", 1),
        (3, "failed", 0),
    ],
)
def test_three_calls_that_nobody_answered_make_it_owed_once(times: int, result: str, wanted: int) -> None:
    desk = unanswered(times, result)
    assert len(desk.bodies(f.NoticeWanted)) == wanted
    assert len(owed(desk)) == wanted
    assert mails(desk) == [], "nothing goes by itself"


def test_it_names_the_calls_and_is_offered_on_the_next_working_day() -> None:
    desk = unanswered(holidays=[date(2026, 11, 24)])
    (wanted,) = desk.bodies(f.NoticeWanted)
    assert [desk.message(key).template for key in wanted.calls] == ["COV-2"] * 3
    assert (wanted.desk, local(wanted.offer_at), local(wanted.notice_by)) == ("c1", "Wed 09:00", "Wed 17:00")


def test_while_nothing_is_sent_to_the_public_no_council_was_rung_and_none_is_written_to() -> None:
    desk = Desk(public="off")
    desk.plan(workers=("dee",))
    desk.advance(hours=2)
    assert desk.bodies(f.NoticeWanted) == []


# --- a manager answers ---


def test_a_manager_sends_it_to_the_desk_that_answers_then() -> None:
    desk = unanswered()
    assert desk.act("send_notice", "mary").refusal is None
    (mail,) = mails(desk)
    assert (mail.person, mail.channel, mail.phase) == ("c1", "email", "queued")
    notice = desk.alert().notice
    assert notice is not None
    assert (notice.by, notice.sent, notice.message, notice.waits) == ("mary", True, mail.key, False)
    assert owed(desk) == []


def test_it_leaves_also_when_the_alert_is_over() -> None:
    desk = unanswered()
    desk.act("close", "paul", reason="visit_made")
    desk.advance(hours=20)
    desk.act("send_notice", "mary")
    assert desk.send(mails(desk)[0]) == "send"


def test_that_it_is_not_sent_takes_a_reason_and_sends_nothing() -> None:
    desk = unanswered()
    refusal = desk.act("no_notice", "mary").refusal
    assert refusal is not None
    assert refusal.code == "note"
    assert desk.act("no_notice", "mary", note=NOWHERE).refusal is None
    assert (mails(desk), owed(desk)) == ([], [])
    assert [(b.by, b.sent) for b in desk.bodies(f.NoticeAnswered)] == [("mary", False)]


@pytest.mark.parametrize("action", ["send_notice", "no_notice"])
def test_only_a_manager_answers_it(action: str) -> None:
    desk = unanswered()
    refusal = desk.act(action, "paul", note=NOWHERE).refusal
    assert refusal is not None
    assert refusal.code == "not_manager"


def test_the_second_manager_hears_who_was_first_and_one_that_is_not_owed_is_not_sent() -> None:
    desk = unanswered()
    desk.act("send_notice", "mary")
    refusal = desk.act("no_notice", "mary", note=NOWHERE).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_answered", "mary")
    other = unanswered(2)
    refusal = other.act("send_notice", "mary").refusal
    assert refusal is not None
    assert refusal.code == "no_notice_owed"


def test_of_somebody_who_must_not_be_spoken_of_a_manager_sends_nothing() -> None:
    desk = unanswered()
    ed = desk.people.people["ed"]
    plan = structs.replace(ed.plan, never_tell=frozenset({"mary"}))
    desk.people.people["ed"] = structs.replace(ed, plan=plan)
    refusal = desk.act("send_notice", "mary").refusal
    assert refusal is not None
    assert refusal.code == "never_told"


def test_one_that_could_not_be_mailed_waits_again_and_who_sent_it_hears_so() -> None:
    desk = unanswered()
    desk.act("send_notice", "mary")
    (mail,) = mails(desk)
    desk.tell_turn(mail)
    desk.tell(SendReported(key=mail.key, result="failed", reason="no_address", permanent=True))
    assert [m.person for m in desk.messages() if m.template == "RM-182"] == ["mary"]
    assert owed(desk) == [desk.alert()]
    desk.act("send_notice", "mary")
    assert len(mails(desk)) == 2


# --- nobody has answered it ---


def test_it_is_offered_in_the_morning_of_the_next_working_day_and_then_daily() -> None:
    desk = unanswered()
    desk.act("close", "paul", reason="visit_made")
    tuesday = MONDAY + timedelta(days=1)
    offered = tuesday.astimezone(LONDON).replace(hour=9, minute=0, second=0)
    desk.advance(seconds=(offered - desk.now).total_seconds() - 1)
    assert told(desk) == []
    desk.advance(seconds=1)
    assert [(m.person, m.count, m.purpose) for m in told(desk)] == [("mary", 1, "notice")]
    desk.advance(hours=24 * 3)
    assert len(desk.bodies(f.NoticesReminded)) == 4
    desk.act("no_notice", "mary", note=NOWHERE)
    desk.advance(hours=48)
    assert len(desk.bodies(f.NoticesReminded)) == 4


def test_the_alert_stays_until_it_is_answered_and_leaves_like_any_other_then() -> None:
    desk = unanswered()
    alert = desk.alert()
    desk.act("close", "paul", reason="visit_made")
    desk.act("check", "mary", adequate=True, safeguarding="raised", serious_incident=False)
    desk.advance(hours=24 * 10)
    assert alert.ref in desk.state.values.alerts
    desk.act("no_notice", "mary", note=NOWHERE)
    desk.advance(hours=35, minutes=59)
    assert alert.ref in desk.state.values.alerts, "who has answered still sees it"
    desk.advance(minutes=1)
    assert alert.ref not in desk.state.values.alerts


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_keeps_what_waits_and_when_it_is_told_of_again(snapshot: bool) -> None:
    desk = unanswered()
    desk.advance(hours=30)
    again, waiting = desk.state.next_deadline(), list(desk.state.unwritten)
    desk.restart(snapshot=snapshot)
    assert (list(desk.state.unwritten), desk.state.next_deadline()) == (waiting, again)
    assert len(waiting) == 1


def test_nobody_is_woken_for_it_after_a_stop() -> None:
    desk = unanswered()
    desk.act("close", "paul", reason="visit_made")
    desk.now = MONDAY + timedelta(days=1, hours=19)  # Wednesday, 03:00: the machine was down at 09:00
    desk.advance()
    assert told(desk) == []
    assert [(b.reason, b.told) for b in desk.bodies(f.NoticesReminded)] == [("night", 0)]
    desk.advance(hours=3, minutes=59)
    assert told(desk) == []
    desk.advance(minutes=1)
    assert [m.person for m in told(desk)] == ["mary"]
