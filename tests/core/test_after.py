"""What follows an award, and what follows when nothing could be placed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import Evidence
from monitor.core.placing import after
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import PlacementActed
from monitor.core.state import Alert
from monitor.core.work import Ctx, Decision, Work
from tests.core.council import FRAMEWORK, PATCH, STANDARD, Council
from tests.core.driver import MONDAY

HOUR = timedelta(hours=1)
TICK = timedelta(milliseconds=1)
NOTE = Evidence(id="e1", digest="11")


class After(Council):
    """A council's desk in which bids and awards may be put down as facts."""

    def does(self, step: Callable[[Work], Any]) -> None:
        """Decide this one step, and fold it."""
        work = Work(self.state, Ctx(now=self.now, mint=self.mint, people=self.people))
        step(work)
        for draft in work.drafts:
            self._fold(draft)

    def has_bid(self, *providers: str, late: bool = False) -> None:
        known = self.placement()
        for one in providers:
            bid = p.BidRecorded(
                index=known.rounds[-1].index, provider=one, start=self.now, source="link", late=late
            )
            self.fact(bid)

    def fact(self, body: f.FactBody) -> None:
        self._fold(f.Draft(at=self.now, subject="k1", body=body, policy=self.placement().policy))

    def proposed(self, provider: str = "ace") -> None:
        """The window closes at its time, and the rules name somebody."""
        self.now = self.placement().rounds[-1].closes_at
        self.fact(p.RoundClosed(index=self.placement().rounds[-1].index, reason="time"))
        row = p.Row(provider=provider, results=(), place=1)
        self.fact(p.ProposalMade(index=self.placement().rounds[-1].index, rows=(row,), proposed=provider))

    def award(self, provider: str = "ace", *, within: timedelta = 4 * HOUR) -> None:
        self.fact(p.PlacementAwarded(provider=provider, confirm_by=self.now + within, index=0, by="bea"))
        self.does(lambda work: after.awarded(work, "k1"))

    def acts(self, action: str, by: str = "bea", **more: Any) -> Decision:
        return self.tell(PlacementActed(placement="k1", action=action, by=by, **more))  # type: ignore[arg-type]

    def confirms(self, by: str = "ace", **more: Any) -> Decision:
        values = {"start": self.now + 24 * HOUR, "end": self.now + 25 * HOUR, "source": "link"}
        return self.acts("confirm_first_visit", by, **values | more)

    def told(self, template: str) -> list[str]:
        return sorted(m.person for m in self.messages() if m.template == template and m.channel == "sms")

    def summons(self) -> list[Alert]:
        return [alert for alert in self.alerts("placement") if alert.state != "ended"]

    def until(self, at: datetime) -> None:
        self.advance(seconds=(at - self.now).total_seconds())


@pytest.fixture
def desk() -> After:
    """Ace and bee have bid, and the window has closed with ace proposed."""
    made = After()
    made.sends()
    made.has_bid("ace", "bee")
    made.proposed()
    return made


@pytest.fixture
def won(desk: After) -> After:
    """The package is ace's."""
    desk.award()
    return desk


# --- told at the award, and at two and a half hours ---


def test_the_winner_and_who_lost_are_told_at_once(won: After) -> None:
    assert (won.told("BD-4"), won.told("BD-5")) == (["ace"], ["bee"])
    assert {m.at for m in won.messages() if m.template == "BD-4"} == {won.now + 4 * HOUR}
    won.until(MONDAY + 3 * HOUR)
    assert won.told("BD-5") == ["bee"], "once"


@pytest.mark.parametrize(("before", "told"), [(TICK, []), (timedelta(0), ["bee"])])
def test_at_two_and_a_half_hours_losers_hear_it_also_when_nobody_has_decided(
    desk: After, before: timedelta, told: list[str]
) -> None:
    desk.until(MONDAY + 2.5 * HOUR - before)
    assert desk.told("BD-5") == told
    assert desk.told("BD-30") == (["bea"] if told else []), "the broker is reminded that it waits for them"


def test_who_is_proposed_has_not_lost_and_can_still_be_awarded_it(desk: After) -> None:
    desk.until(MONDAY + 3 * HOUR)
    desk.award("ace")
    assert (desk.told("BD-4"), desk.told("BD-5")) == (["ace"], ["bee"])


def test_whoever_was_proposed_and_is_passed_over_after_that_is_told_then(desk: After) -> None:
    desk.until(MONDAY + 3 * HOUR)
    desk.award("bee")
    assert desk.told("BD-5") == ["ace", "bee"], "bee has heard otherwise, and now that it is theirs"
    assert desk.told("BD-4") == ["bee"]


def test_a_late_bid_that_was_not_considered_is_told_too() -> None:
    desk = After()
    desk.sends()
    desk.has_bid("ace")
    desk.proposed()
    desk.has_bid("bee", late=True)
    desk.award()
    assert desk.told("BD-5") == ["bee"]


def test_a_window_that_was_longer_than_that_leaves_the_broker_their_half_hour() -> None:
    desk = After()
    desk.sends()
    desk.has_bid("ace", "bee")
    overnight = MONDAY + 26 * HOUR
    run = structs.replace(desk.placement().rounds[0], closes_at=overnight)
    desk.state.values.placements["k1"] = structs.replace(desk.placement(), rounds=(run,))
    desk.state.moved("k1")
    desk.proposed()
    desk.until(overnight + HOUR / 2 - TICK)
    assert desk.told("BD-5") == []
    desk.advance(milliseconds=1)
    assert desk.told("BD-5") == ["bee"]


@pytest.mark.parametrize(("before", "summoned"), [(TICK, 0), (timedelta(0), 1)])
def test_a_proposal_that_nobody_decides_summons_the_broker_at_five_hours(
    desk: After, before: timedelta, summoned: int
) -> None:
    desk.until(MONDAY + 5 * HOUR - before)
    assert len(desk.summons()) == summoned
    desk.award()
    assert desk.summons() == [], "the award answers it"


# --- papers, and the first visit ---


@pytest.mark.parametrize("sent", [False, True])
def test_the_broker_is_reminded_of_the_papers_unless_they_are_sent(won: After, sent: bool) -> None:
    if sent:
        won.acts("papers_sent")
    won.advance(minutes=15, milliseconds=-1)
    assert won.told("BD-15") == []
    won.advance(milliseconds=1)
    assert won.told("BD-15") == ([] if sent else ["bea"])


def test_the_second_broker_hears_who_was_first(won: After) -> None:
    assert won.acts("papers_sent").refusal is None
    refusal = won.acts("papers_sent").refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_done", "bea")


def test_the_winner_is_reminded_then_the_broker_is_summoned(won: After) -> None:
    won.advance(hours=2, milliseconds=-1)
    assert won.told("BD-10") == []
    won.advance(milliseconds=1)
    assert won.told("BD-10") == ["ace"]
    won.advance(hours=2, milliseconds=-1)
    assert won.summons() == []
    won.advance(milliseconds=1)
    (alert,) = won.summons()
    assert (alert.reason, alert.placement, won.placement().stage) == ("unconfirmed", "k1", "awarded")
    assert won.told("OC-191") == ["bea"]


@pytest.mark.parametrize("by", ["ace", "bea"])
def test_a_confirmation_by_winner_or_broker_ends_what_the_broker_was_summoned_for(
    won: After, by: str
) -> None:
    won.advance(hours=4)
    assert won.confirms(by, supervisor=True).refusal is None
    (said,) = won.bodies(p.FirstVisitConfirmed)
    assert (said.provider, said.supervisor, said.by) == ("ace", True, None if by == "ace" else by)
    assert (won.summons(), won.placement().stage, won.told("BD-18")) == ([], "started", ["bea"])


@pytest.mark.parametrize(
    ("by", "more", "code"),
    [
        ("bee", {}, "not_winner"),
        ("nobody", {}, "not_broker"),
        ("ace", {"start": MONDAY}, "start"),
        ("ace", {"start": None}, "start"),
        (
            "ace",
            {"start": MONDAY + timedelta(days=367), "end": MONDAY + timedelta(days=367, hours=1)},
            "start",
        ),
        ("ace", {"end": MONDAY + timedelta(days=40)}, "end"),
        ("ace", {"end": None}, "end"),
        ("ace", {"end": MONDAY + 24 * HOUR}, "end"),
    ],
)
def test_a_confirmation_that_says_too_little_or_comes_from_others_is_refused(
    won: After, by: str, more: dict[str, Any], code: str
) -> None:
    refusal = won.confirms(by, **more).refusal
    assert refusal is not None
    assert refusal.code == code
    assert won.placement().first_visit is None


def test_a_start_this_very_moment_is_past_and_the_next_one_is_not(won: After) -> None:
    assert won.confirms(start=won.now).refusal is not None
    assert won.confirms(start=won.now + TICK).refusal is None


def test_a_second_confirmation_hears_that_it_is_done(won: After) -> None:
    won.confirms()
    refusal = won.confirms("bea", start=won.now + 30 * HOUR, end=won.now + 31 * HOUR).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_done", "ace")


def test_the_winner_may_do_nothing_but_confirm(won: After) -> None:
    refusal = won.acts("withdraw", "ace", withdrawn="mistake").refusal
    assert refusal is not None
    assert refusal.code == "not_broker"


def test_with_the_first_visit_the_package_has_started_and_leaves_a_day_later(won: After) -> None:
    won.confirms()
    won.advance(hours=24)
    assert (won.placement().ended, won.placement().ended_at) == ("started", won.now)
    won.advance(hours=24)
    assert "k1" not in won.state.values.placements


# --- longer to confirm ---


def test_the_winner_has_longer_hears_it_and_is_reminded_by_the_new_deadline(won: After) -> None:
    was, later = won.placement().award.confirm_by, MONDAY + 12 * HOUR  # type: ignore[union-attr]
    assert won.acts("extend", until=later, note=NOTE).refusal is None
    (said,) = won.bodies(p.ConfirmationExtended)
    assert (said.provider, said.confirm_by, said.was, said.by, said.note) == ("ace", later, was, "bea", NOTE)
    assert won.told("BD-34") == ["ace"]
    won.until(later - 2 * HOUR - TICK)
    assert (won.told("BD-10"), won.summons()) == ([], [])
    won.advance(milliseconds=1)
    assert won.told("BD-10") == ["ace"]
    won.until(later - TICK)
    assert won.summons() == []
    won.advance(milliseconds=1)
    assert [alert.reason for alert in won.summons()] == ["unconfirmed"]


def test_after_the_deadline_it_ends_the_summons_and_a_short_one_reminds_half_way(won: After) -> None:
    won.advance(hours=4)
    assert won.acts("extend", until=won.now + HOUR).refusal is None
    assert (won.summons(), won.placement().alert) == ([], None)
    assert won.told("BD-10") == ["ace"], "of the first deadline"
    won.advance(minutes=30)
    assert won.told("BD-10") == ["ace", "ace"]
    won.advance(minutes=30)
    assert [alert.reason for alert in won.summons()] == ["unconfirmed"]
    assert won.replayed().next_deadline() == won.restarted().next_deadline() == won.state.next_deadline()


def test_of_two_brokers_the_second_hears_who_was_first_and_may_then_move_the_new_deadline(won: After) -> None:
    was = won.placement().award.confirm_by  # type: ignore[union-attr]
    assert won.acts("extend", until=was + HOUR, was=was).refusal is None
    for more in ({"was": was}, {}):
        refusal = won.acts("extend", until=was + 2 * HOUR, **more).refusal
        assert refusal is not None
        assert (refusal.code, refusal.detail) == ("already_done", {"by": "bea", "at": won.now})
    assert won.acts("extend", until=was + 2 * HOUR, was=was + HOUR).refusal is None
    assert [body.confirm_by for body in won.bodies(p.ConfirmationExtended)] == [was + HOUR, was + 2 * HOUR]


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (None, "until"),
        (timedelta(0), "until"),
        (timedelta(days=366), "until"),
        (TICK, None),
    ],
)
def test_a_deadline_is_moved_to_a_later_time_within_a_year(
    won: After, later: timedelta | None, code: str | None
) -> None:
    was = won.placement().award.confirm_by  # type: ignore[union-attr]
    refusal = won.acts("extend", until=was + later if later is not None else None).refusal
    assert (refusal.code if refusal is not None else None) == code


def test_a_deadline_that_has_passed_is_moved_to_a_time_to_come(won: After) -> None:
    won.advance(hours=6)
    assert won.acts("extend", until=won.now).refusal is not None
    assert won.acts("extend", until=won.now + TICK).refusal is None


def test_there_is_nothing_to_extend_before_the_award_and_after_the_confirmation(desk: After) -> None:
    later = desk.now + 9 * HOUR
    before = desk.acts("extend", until=later).refusal
    desk.award()
    desk.confirms()
    afterwards = desk.acts("extend", until=later).refusal
    assert before is not None
    assert afterwards is not None
    assert (before.code, afterwards.code, afterwards.detail["by"]) == ("not_awarded", "already_done", "ace")


def test_a_page_that_shows_an_earlier_winner_extends_nothing(won: After) -> None:
    refusal = won.acts("extend", until=won.now + 9 * HOUR, provider="bee").refusal
    assert refusal is not None
    assert refusal.code == "not_winner"


def test_a_reminder_of_the_old_deadline_does_not_go_out_any_more(won: After) -> None:
    won.advance(hours=2)
    waiting = [message for message in won.messages() if message.template == "BD-10"]
    won.acts("extend", until=won.now + 9 * HOUR)
    assert waiting
    assert [won.send(message) for message in waiting].count("send") == 0


# --- what is written beside it ---


def test_what_is_written_beside_a_step_stands_in_the_fact_and_with_the_package(won: After) -> None:
    won.acts("papers_sent", note=NOTE)
    won.acts("extend", until=won.now + 9 * HOUR, note=NOTE)
    won.acts("revoke_link", provider="bee", note=NOTE)
    won.confirms("ace", note=NOTE)
    won.acts("send_back", note=NOTE)
    won.acts("withdraw", withdrawn="died", note=NOTE)
    said = [(one.action, one.by, one.provider) for one in won.placement().remarks]
    assert said == [
        ("papers_sent", "bea", None),
        ("extend", "bea", "ace"),
        ("revoke_link", "bea", "bee"),
        ("confirm_first_visit", "ace", "ace"),
        ("send_back", "bea", "ace"),
        ("withdraw", "bea", None),
    ]
    assert {one.note for one in won.placement().remarks} == {NOTE}
    assert won.replayed().values.placements == won.restarted().values.placements


def test_where_nothing_is_written_there_is_no_remark(won: After) -> None:
    won.acts("papers_sent")
    assert won.placement().remarks == ()


# --- back to the broker ---


def test_a_package_that_is_sent_back_opens_the_next_round(won: After) -> None:
    won.advance(hours=4)
    assert won.acts("send_back").refusal is not None, "why, in words"
    assert won.acts("send_back", note=NOTE).refusal is None
    assert (won.placement().stage, won.placement().taken_back, won.summons()) == ("open", ("ace",), [])
    assert won.placement().rounds[-1].asked[0].provider == "frame"
    assert won.told("BD-11") == ["ace"]


def test_sent_back_after_the_last_round_summons_the_broker(won: After) -> None:
    while won.placement().rounds[-1].index < 2:
        won.acts("send_back", note=NOTE)
        won.proposed("frame")
        won.award("frame")
    won.acts("send_back", note=NOTE)
    assert [alert.reason for alert in won.summons()] == ["unplaced"]
    assert won.placement().stage == "unplaced"


def unplaced(kind: str = "standard", **more: Any) -> After:
    """Neither the patch nor the framework has answered: 12:00."""
    desk = After()
    desk.sends(kind=kind, **more)
    desk.advance(hours=4)
    return desk


@pytest.mark.parametrize(
    ("kind", "more", "first"),
    [("discharge", {}, True), ("standard", {}, False), ("standard", {"time_critical": True}, True)],
)
def test_an_unplaced_package_summons_the_broker_and_hospital_discharge_goes_to_the_top(
    kind: str, more: dict[str, Any], first: bool
) -> None:
    desk = unplaced(kind, **more)
    (alert,) = desk.summons()
    assert (alert.time_critical, alert.placement) == (first, "k1")
    assert desk.told("OC-190") == ["bea"]
    (said,) = desk.bodies(p.PlacementUnplaced)
    assert said.alert == alert.ref


def test_it_goes_on_summoning_until_somebody_does_something() -> None:
    desk = unplaced()
    desk.advance(hours=3)
    assert len(desk.summons()) == 1
    assert len(desk.messages("summon", "bea")) > 3


def test_a_withdrawal_ends_the_summons() -> None:
    desk = unplaced()
    assert desk.acts("withdraw", withdrawn="placed_elsewhere").refusal is None
    assert (desk.summons(), desk.placement().stage) == ([], "withdrawn")


def test_a_round_that_waits_for_the_broker_summons_them_in_the_end_and_opening_it_ends_that() -> None:
    waits = structs.replace(STANDARD, rounds=(structs.replace(PATCH, next="broker"), FRAMEWORK))
    desk = After(placing=waits)
    desk.sends()
    desk.advance(hours=5, milliseconds=-1)
    assert (desk.summons(), desk.placement().stage) == ([], "waiting")
    desk.advance(milliseconds=1)
    assert [alert.reason for alert in desk.summons()] == ["undecided"]
    assert desk.acts("open_next").refusal is None
    assert (desk.summons(), desk.placement().stage) == ([], "open")


def test_a_package_that_is_unplaced_again_summons_again() -> None:
    desk = unplaced()
    desk.award("frame")
    assert desk.summons() == []
    desk.acts("send_back", note=NOTE)
    assert [alert.reason for alert in desk.summons()] == ["unplaced"]


def test_who_records_an_outcome_of_the_alert_ends_an_unplaced_package() -> None:
    desk = unplaced()
    refusal = desk.act("close", "bea", alert=desk.summons()[0], reason="other").refusal
    assert refusal is None
    assert (desk.placement().ended, desk.placement().ended_by, desk.summons()) == ("unplaced", "bea", [])


def test_a_package_that_waits_for_a_decision_is_decided_and_not_closed_away(won: After) -> None:
    won.advance(hours=4)
    refusal = won.act("close", "bea", alert=won.summons()[0], reason="other").refusal
    assert refusal is not None
    assert refusal.code == "package_waits"
    assert len(won.summons()) == 1


# --- withdrawn, and the next round ---


def test_whoever_was_asked_hears_that_it_is_withdrawn_and_the_window_closes() -> None:
    desk = After()
    desk.sends()
    desk.has_bid("ace")
    desk.acts("withdraw", withdrawn="not_needed")
    assert (desk.told("BD-12"), desk.told("BD-5")) == (["ace", "bee"], [])
    assert [body.reason for body in desk.bodies(p.RoundClosed)] == ["withdrawn"]
    desk.advance(hours=6)
    assert (desk.told("BD-5"), desk.alerts("placement")) == ([], [])


def test_who_was_told_otherwise_hears_no_more_of_it(won: After) -> None:
    won.acts("withdraw", withdrawn="died")
    assert won.told("BD-12") == ["ace"]


@pytest.mark.parametrize(
    ("more", "code"), [({}, "withdrawn"), ({"withdrawn": "other"}, "note"), ({"withdrawn": "died"}, None)]
)
def test_a_withdrawal_has_a_reason_out_of_the_list(
    won: After, more: dict[str, Any], code: str | None
) -> None:
    refusal = won.acts("withdraw", **more).refusal
    assert (refusal.code if refusal is not None else None) == code


def test_what_has_ended_is_acted_on_no_more(won: After) -> None:
    won.acts("withdraw", withdrawn="died")
    refusal = won.confirms().refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"], refusal.detail["reason"]) == (
        "already_ended",
        "bea",
        "withdrawn",
    )


def test_the_next_round_waits_for_the_window_and_a_proposal_needs_a_word() -> None:
    desk = After()
    desk.sends()
    refusal = desk.acts("open_next").refusal
    assert refusal is not None
    assert refusal.code == "round_open"
    desk.has_bid("ace")
    desk.proposed()
    refusal = desk.acts("open_next").refusal
    assert refusal is not None
    assert refusal.code == "note"
    assert desk.acts("open_next", note=NOTE).refusal is None
    assert desk.placement().rounds[-1].by == "bea"
    desk.proposed("frame")
    refusal = desk.acts("open_next", note=NOTE).refusal
    assert refusal is not None
    assert refusal.code == "no_more_rounds"


def test_it_survives_a_restart_with_the_same_moments(won: After) -> None:
    won.advance(hours=1)
    assert won.replayed().next_deadline() == won.restarted().next_deadline() == won.state.next_deadline()
    assert STANDARD.confirm_within == 4 * HOUR


def test_of_two_that_are_due_together_hospital_discharge_comes_first() -> None:
    desk = After()
    desk.sends("a-standard")
    desk.sends("z-discharge", kind="discharge")
    desk.advance(hours=4)
    summoned = [fact.subject for fact in desk.facts if isinstance(fact.body, p.PlacementUnplaced)]
    assert summoned == ["z-discharge", "a-standard"]
