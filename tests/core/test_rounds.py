"""Rounds: who is asked, until when, what closes a window and what follows one that placed nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.placing import AcrossClosing, EarlyClose, PlacingPolicy, Round
from config.policy import Duty
from monitor.core.inputs import DeadlineReached
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import (
    BidRefusedByProvider,
    BidTakenBack,
    LocalScore,
    PlacementActed,
    ProviderSaid,
)
from monitor.core.state import Values
from monitor.core.work import Decision
from tests.core.council import ACE, BEE, FRAME, FRAMEWORK, GOOD, OTHERS, PATCH, SEA, Council, provider
from tests.core.driver import MONDAY

POOR = structs.replace(GOOD, overall="requires_improvement")
HOUR = timedelta(hours=1)


def scored(ref: str, score: int | None, **more: Any) -> ProviderSaid:
    """A provider of the east with its score there; None: it has none."""
    scores = () if score is None else (LocalScore(area="east", score=score),)
    return provider(ref, "framework", scores=scores, **more)


BEST, NEXT, LAST = scored("best", 90), scored("next", 70), scored("last", 50)
RANKED = Round(
    name="locality",
    tiers=("framework",),
    rule="ranked",
    order="score",
    window=HOUR,
    reminders=(HOUR / 2,),
    closes_early="first_bid",
)
ONE_BY_ONE = PlacingPolicy(rounds=(RANKED,), fair_share=False)
LEAD = provider("lead", "lead", partners=("pat", "pip"))
PAT, PIP = provider("pat", "partner"), provider("pip", "partner")
DIRECT = Round(
    name="lead",
    tiers=("lead",),
    rule="direct",
    window=HOUR,
    closes_early="first_bid",
    passes_on=True,
    next="broker",
)
PASSED_ON = PlacingPolicy(rounds=(DIRECT, Round(name="partners", tiers=("partner",))), fair_share=False)


def ranked(*providers: ProviderSaid, **more: Any) -> Council:
    desk = Council(placing=ONE_BY_ONE, providers=providers or (LAST, BEST, NEXT), **more)
    desk.sends()
    return desk


def direct() -> Council:
    desk = Council(placing=PASSED_ON, providers=(LEAD, PAT, PIP))
    desk.sends()
    return desk


def declines(desk: Council, ref: str, **more: Any) -> Decision:
    values: dict[str, Any] = {"reason": "no_capacity", "source": "link"}
    return desk.tell(BidRefusedByProvider(placement="k1", provider=ref, **values | more))


def turns(desk: Council) -> list[tuple[str, str, datetime]]:
    """Whose turn it was, why and until when, in order."""
    first = [(one.asked[0], "opened", one.closes_at) for one in desk.bodies(p.RoundOpened)]
    later = [(one.provider, one.reason, one.closes_at) for one in desk.bodies(p.ProviderAsked)]
    return [*first, *later]


def invited(desk: Council) -> list[str]:
    messages = desk.state.values.messages.values()
    return [one.person for one in messages if one.template in ("BD-1", "BD-7") and one.channel == "sms"]


# --- the next round ---


def test_a_round_without_a_bid_is_followed_by_the_next_one_that_is_held_for_the_area() -> None:
    desk = Council()
    desk.sends()
    desk.advance(hours=2)
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("ace", "bee"), ("frame",)]
    assert [(body.index, body.reason) for body in desk.bodies(p.RoundPassedOver)] == [(1, "other_area")]
    assert desk.placement().passed_over == (1,)
    assert invited(desk) == ["ace", "bee", "frame"]


def test_a_round_whose_every_bid_fails_a_rule_is_followed_by_the_next_one() -> None:
    desk = Council(providers=(structs.replace(ACE, rating=POOR), provider("frame", "framework", areas=())))
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("ace",), ("frame",)]


def test_after_the_last_round_the_broker_is_summoned() -> None:
    desk = Council()
    desk.sends()
    desk.advance(hours=4)
    assert desk.placement().stage == "unplaced"
    (alert,) = desk.state.values.alerts.values()
    assert (alert.kind, alert.placement) == ("placement", "k1")


def test_a_package_that_nobody_can_be_asked_about_is_unplaced_at_once() -> None:
    desk = Council(providers=())
    desk.sends()
    assert [body.reason for body in desk.bodies(p.RoundPassedOver)] == [
        "nobody_asked",
        "other_area",
        "nobody_asked",
    ]
    assert desk.placement().stage == "unplaced"
    assert desk.now == MONDAY


def test_the_broker_says_when_the_next_round_opens_where_the_policy_wants_it() -> None:
    waits = PlacingPolicy(rounds=(structs.replace(PATCH, next="broker"), OTHERS, FRAMEWORK))
    desk = Council(placing=waits)
    desk.sends()
    desk.advance(hours=12)
    assert desk.placement().stage == "waiting"
    told = [m for m in desk.state.values.messages.values() if m.template == "BD-6" and m.channel == "sms"]
    assert [m.person for m in told] == ["bea"]


def test_the_last_round_leaves_nothing_to_wait_for_whatever_it_says() -> None:
    desk = Council(placing=PlacingPolicy(rounds=(structs.replace(PATCH, next="broker"),)))
    desk.sends()
    desk.advance(hours=2)
    assert desk.placement().stage == "unplaced"


def test_who_has_declined_is_not_asked_again_and_who_was_silent_is() -> None:
    twice = PlacingPolicy(rounds=(PATCH, structs.replace(PATCH, name="again")))
    desk = Council(placing=twice, providers=(ACE, BEE))
    desk.sends()
    declines(desk, "ace")
    desk.advance(hours=2)
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("ace", "bee"), ("bee",)]


def test_who_is_active_no_more_is_not_asked() -> None:
    desk = Council()
    desk.changed(ACE, active=False)
    desk.sends()
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("bee",)]


@pytest.mark.parametrize(
    ("area", "expected"), [("east", [("ace", "bee"), ("frame",)]), ("south", [("sea",), ("ace", "bee")])]
)
def test_other_patches_are_approached_for_the_area_of_one_provider_alone(
    area: str, expected: list[tuple[str, ...]]
) -> None:
    desk = Council()
    desk.sends(area=area)
    desk.advance(hours=2)
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == expected


# --- what closes a window ---


@pytest.mark.parametrize(
    ("early", "said", "closes"),
    [
        ("never", "ace bids", None),
        ("never", "both decline", None),
        ("first_bid", "ace bids", "first_bid"),
        ("first_bid", "ace declines", None),
        ("first_bid", "both decline", "all_answered"),
        ("all_answered", "ace bids", None),
        ("all_answered", "ace bids, bee declines", "all_answered"),
        ("all_declined", "ace bids, bee declines", None),
        ("all_declined", "both decline", "all_answered"),
    ],
)
def test_a_round_closes_early_as_its_policy_says(early: EarlyClose, said: str, closes: str | None) -> None:
    desk = Council(placing=PlacingPolicy(rounds=(structs.replace(PATCH, closes_early=early),)))
    desk.sends()
    if "ace bids" in said:
        desk.bids("ace")
    if "ace declines" in said or "both" in said:
        declines(desk, "ace")
    if "bee declines" in said or "both" in said:
        declines(desk, "bee")
    assert [body.reason for body in desk.bodies(p.RoundClosed)] == ([closes] if closes else [])


@pytest.mark.parametrize("how", ["first_bid", "awarded", "withdrawn"])
def test_who_was_not_given_the_whole_window_is_not_silent(how: str) -> None:
    early: EarlyClose = "first_bid" if how == "first_bid" else "never"
    desk = Council(placing=PlacingPolicy(rounds=(structs.replace(PATCH, closes_early=early),)))
    desk.sends()
    desk.advance(minutes=10)
    desk.bids("ace")
    act = PlacementActed(placement="k1", action="award", by="bea", provider="ace", reason="emergency")
    if how == "withdrawn":
        act = PlacementActed(placement="k1", action="withdraw", by="bea", withdrawn="mistake")
    if how != "first_bid":
        desk.tell(act)
    assert [(body.reason, body.silent) for body in desk.bodies(p.RoundClosed)] == [(how, ())]


def test_whose_turn_passed_in_silence_is_silent_whenever_the_round_closes() -> None:
    desk = ranked()
    desk.advance(minutes=70)
    desk.bids("next")
    assert [(body.reason, body.silent) for body in desk.bodies(p.RoundClosed)] == [("first_bid", ("best",))]


def test_a_round_that_was_passed_over_is_said_once() -> None:
    desk = Council(providers=(ACE,))
    desk.sends()
    desk.advance(hours=2)
    for _ in range(2):
        refusal = desk.tell(PlacementActed(placement="k1", action="open_next", by="bea")).refusal
        assert refusal is not None
    assert [body.index for body in desk.bodies(p.RoundPassedOver)] == [1, 2]


@pytest.mark.parametrize(("after", "late"), [(7_199_999, False), (7_200_000, True), (7_200_001, True)])
def test_a_bid_before_the_close_is_in_time_and_one_at_the_close_is_late_whichever_is_decided_first(
    after: int, late: bool
) -> None:
    desk = Council()
    desk.sends()
    desk.reach()
    desk.now = MONDAY + timedelta(milliseconds=after)  # the deadline has not been asked about yet
    desk.bids("ace")
    assert [body.late for body in desk.bodies(p.BidRecorded)] == [late]
    desk.advance(seconds=2)
    assert desk.bodies(p.RoundClosed)[0].silent == (("ace", "bee") if late else ("bee",))


def test_a_clock_that_is_set_back_opens_no_window_again() -> None:
    desk = Council()
    desk.sends()
    desk.advance(hours=2)
    desk.now = MONDAY + timedelta(hours=1)
    desk.bids("ace")
    assert [body.late for body in desk.bodies(p.BidRecorded)] == [True]
    assert len(desk.bodies(p.RoundClosed)) == 1


# --- reminders ---


def test_who_has_not_answered_is_reminded_once() -> None:
    desk = Council()
    desk.sends()
    desk.bids("bee")
    desk.advance(minutes=89, seconds=59)
    assert not desk.bodies(p.RoundReminded)
    desk.advance(seconds=1)
    assert [body.told for body in desk.bodies(p.RoundReminded)] == [("ace",)]
    desk.advance(minutes=20)
    assert len(desk.bodies(p.RoundReminded)) == 1


@pytest.mark.parametrize(("stalled", "steps"), [(50, [1]), (70, [2]), (130, [])])
def test_reminders_that_came_due_together_are_one_and_none_when_the_window_is_over(
    stalled: int, steps: list[int]
) -> None:
    often = structs.replace(PATCH, reminders=tuple(timedelta(minutes=m) for m in (15, 30, 60)))
    desk = Council(placing=PlacingPolicy(rounds=(often,)))
    desk.sends()
    stall(desk, minutes=stalled)
    assert [body.step for body in desk.bodies(p.RoundReminded)] == steps


# --- one after another ---


def test_the_highest_score_is_asked_first_and_silence_passes_on() -> None:
    desk = ranked()
    desk.advance(hours=3)
    assert turns(desk) == [
        ("best", "opened", MONDAY + HOUR),
        ("next", "silent", MONDAY + 2 * HOUR),
        ("last", "silent", MONDAY + 3 * HOUR),
    ]
    (closed,) = desk.bodies(p.RoundClosed)
    assert (closed.reason, closed.silent) == ("time", ("best", "next", "last"))
    assert desk.placement().stage == "unplaced"
    assert invited(desk) == ["best", "next", "last"]


def test_a_decline_passes_on_at_once_and_the_next_has_a_whole_window() -> None:
    desk = ranked()
    desk.advance(minutes=10)
    declines(desk, "best")
    assert turns(desk)[1:] == [("next", "declined", MONDAY + timedelta(minutes=70))]
    declines(desk, "next")
    declines(desk, "last")
    assert [body.reason for body in desk.bodies(p.RoundClosed)] == ["all_answered"]
    assert desk.now == MONDAY + timedelta(minutes=10)


def test_a_bid_in_its_turn_ends_the_asking() -> None:
    desk = ranked()
    desk.bids("best")
    assert [body.proposed for body in desk.bodies(p.ProposalMade)] == ["best"]
    assert invited(desk) == ["best"]


def test_whose_turn_is_over_bids_late_while_another_is_asked() -> None:
    desk = ranked()
    desk.advance(minutes=10)
    declines(desk, "best")
    desk.bids("best")
    assert [body.late for body in desk.bodies(p.BidRecorded)] == [True]
    assert desk.placement().stage == "open"
    desk.bids("next")
    assert [body.proposed for body in desk.bodies(p.ProposalMade)] == ["next"]


def test_whose_turn_has_not_come_cannot_bid() -> None:
    desk = ranked()
    refusal = desk.bids("last").refusal
    assert refusal is not None
    assert refusal.code == "not_asked"


def test_a_bid_that_fails_a_rule_passes_on_to_the_rest_of_the_line() -> None:
    desk = ranked(structs.replace(BEST, rating=POOR), NEXT, LAST)
    desk.bids("best")
    runs = [(body.index, body.asked, body.line) for body in desk.bodies(p.RoundOpened)]
    assert runs == [(0, ("best",), ("next", "last")), (0, ("next",), ("last",))]
    desk.bids("next")
    assert desk.placement().proposed == "next"


def test_in_the_line_who_is_active_no_more_is_passed_over() -> None:
    desk = ranked()
    desk.changed(NEXT, active=False)
    declines(desk, "best")
    assert [body.provider for body in desk.bodies(p.ProviderAsked)] == ["last"]


@pytest.mark.parametrize(
    ("follows", "stage"), [("broker", "waiting"), ("end", "unplaced"), ("by_itself", "open")]
)
def test_a_line_of_which_nobody_may_be_asked_any_more_leaves_the_next_round_to_the_policy(
    follows: str, stage: str
) -> None:
    held = structs.replace(RANKED, next=follows)
    after_it = Round(name="framework", tiers=("spare",), area="any")
    desk = Council(
        placing=PlacingPolicy(rounds=(held, after_it), fair_share=False),
        providers=(structs.replace(BEST, rating=POOR), NEXT, LAST, provider("spare", "spare")),
    )
    desk.sends()
    for one in (NEXT, LAST):
        desk.changed(one, active=False)
    desk.bids("best")
    assert desk.placement().stage == stage
    assert [body.index for body in desk.bodies(p.RoundOpened)] == ([0, 1] if follows == "by_itself" else [0])


def test_who_has_no_score_comes_last_and_equals_keep_one_order() -> None:
    desk = ranked(scored("z", None), scored("b", 0), scored("a", 0), scored("y", 100))
    (opened,) = desk.bodies(p.RoundOpened)
    assert (*opened.asked, *opened.line) == ("y", "a", "b", "z")


def test_by_rate_the_lowest_is_asked_first() -> None:
    by_rate = PlacingPolicy(rounds=(structs.replace(RANKED, order="rate"),))
    rates = {"dear": 2400, "cheap": 1900, "unsaid": None}
    desk = Council(
        placing=by_rate,
        providers=tuple(provider(ref, "framework", rate_pence=rate) for ref, rate in rates.items()),
    )
    desk.sends()
    (opened,) = desk.bodies(p.RoundOpened)
    assert (*opened.asked, *opened.line) == ("cheap", "dear", "unsaid")


def test_each_is_reminded_in_its_own_turn() -> None:
    desk = ranked()
    desk.advance(minutes=95)
    assert [body.told for body in desk.bodies(p.RoundReminded)] == [("best",), ("next",)]


def test_a_bid_that_may_stand_until_the_end_of_its_turn_is_evaluated_then() -> None:
    desk = Council(
        placing=PlacingPolicy(rounds=(structs.replace(RANKED, closes_early="never"),)),
        providers=(BEST, NEXT),
    )
    desk.sends()
    desk.bids("best")
    desk.advance(minutes=59)
    assert desk.placement().stage == "open"
    desk.advance(minutes=1)
    assert (desk.placement().proposed, len(desk.bodies(p.ProviderAsked))) == ("best", 0)


def test_a_bid_taken_back_in_its_turn_leaves_the_turn_and_then_passes_on() -> None:
    desk = Council(
        placing=PlacingPolicy(rounds=(structs.replace(RANKED, closes_early="never"),)),
        providers=(BEST, NEXT),
    )
    desk.sends()
    desk.bids("best")
    desk.tell(BidTakenBack(placement="k1", provider="best", source="link"))
    assert not desk.bodies(p.ProviderAsked)
    desk.advance(hours=1)
    assert [body.provider for body in desk.bodies(p.ProviderAsked)] == ["next"]


# --- straight to one, who passes it on ---


def test_the_lead_delivers() -> None:
    desk = direct()
    assert [(body.asked, body.line) for body in desk.bodies(p.RoundOpened)] == [(("lead",), ())]
    desk.bids("lead")
    assert desk.placement().proposed == "lead"


def test_the_lead_passes_it_on_to_a_partner_who_has_a_window_of_its_own() -> None:
    desk = direct()
    desk.advance(minutes=20)
    declines(desk, "lead", pass_to="pip")
    assert turns(desk)[1:] == [("pip", "passed_on", MONDAY + timedelta(minutes=80))]
    desk.bids("pip")
    assert desk.placement().proposed == "pip"
    assert invited(desk) == ["lead", "pip"]


@pytest.mark.parametrize("to", ["ace", "lead", "nobody"])
def test_it_is_passed_on_to_nobody_but_a_partner_of_theirs(to: str) -> None:
    desk = direct()
    refusal = declines(desk, "lead", pass_to=to).refusal
    assert refusal is not None
    assert refusal.code == "pass_to"
    assert desk.placement().stage == "open"


def test_a_partner_passes_it_on_to_nobody() -> None:
    desk = direct()
    desk.changed(PIP, partners=("pat",))
    declines(desk, "lead", pass_to="pip")
    refusal = declines(desk, "pip", pass_to="pat").refusal
    assert refusal is not None
    assert refusal.code == "pass_to"


@pytest.mark.parametrize("by", ["silence", "decline"])
def test_a_partner_who_does_not_take_it_leaves_it_to_the_broker(by: str) -> None:
    desk = direct()
    declines(desk, "lead", pass_to="pip")
    if by == "decline":
        declines(desk, "pip")
    else:
        desk.advance(hours=1)
    assert desk.placement().stage == "waiting"


def test_a_lead_who_declines_for_good_leaves_it_to_the_broker_at_once() -> None:
    desk = direct()
    declines(desk, "lead")
    assert desk.placement().stage == "waiting"
    assert desk.now == MONDAY


# --- stalls, restarts, many at once ---


def stall(desk: Council, **by: float) -> None:
    """Nothing is decided for so long; then everything that is due."""
    desk.now += timedelta(**by)
    while due := desk.state.take_due(desk.now, 500):
        for subject, due_at in due:
            desk.tell(DeadlineReached(subject=subject, due_at=due_at))


def test_windows_that_ended_during_a_stall_of_hours_close_in_order_with_their_lateness() -> None:
    desk = Council()
    desk.sends("k1")
    desk.advance(minutes=5)
    desk.sends("k2")
    stall(desk, hours=5)
    closed = [
        (fact.subject, fact.due_at, fact.at) for fact in desk.facts if isinstance(fact.body, p.RoundClosed)
    ]
    late = MONDAY + timedelta(hours=5, minutes=5)
    assert closed == [
        ("k1", MONDAY + timedelta(hours=2), late),
        ("k2", MONDAY + timedelta(hours=2, minutes=5), late),
    ]
    # the next round has its whole window: nobody could have answered before they were asked
    assert {one.closes_at for one in desk.bodies(p.RoundOpened)[2:]} == {late + timedelta(hours=2)}


def test_a_turn_that_ended_during_a_stall_passes_on_once() -> None:
    desk = ranked()
    stall(desk, hours=5)
    (asked,) = desk.bodies(p.ProviderAsked)
    assert (asked.provider, asked.closes_at) == ("next", MONDAY + 6 * HOUR)
    assert [f.due_at for f in desk.facts if f.body is asked] == [MONDAY + HOUR]


@pytest.mark.parametrize("how", ["ranked", "direct", "open"])
def test_a_restart_at_any_fact_goes_on_as_if_there_had_been_none(how: str) -> None:
    desk = {"ranked": ranked, "direct": direct, "open": lambda: Council(providers=(ACE, BEE, SEA))}[how]()
    if how == "open":
        desk.sends()
    desk.advance(minutes=10)
    declines(desk, {"ranked": "best", "direct": "lead", "open": "ace"}[how])
    desk.advance(minutes=30)
    again = desk.replayed()
    assert again.values.placements == desk.state.values.placements
    assert again.next_deadline() == desk.state.next_deadline()
    assert desk.restarted().values.placements == desk.state.values.placements
    assert isinstance(again.values, Values)


def test_two_hundred_windows_that_close_in_the_same_second_are_each_decided() -> None:
    desk = Council()
    for n in range(200):
        desk.sends(f"k{n}")
        desk.bids("ace", f"k{n}")
    stall(desk, hours=2)
    assert len(desk.bodies(p.RoundClosed)) == len(desk.bodies(p.ProposalMade)) == 200


# --- whatever they do ---

KINDS_OF_ROUND = st.builds(
    Round,
    name=st.just("r"),
    tiers=st.sampled_from([("patch",), ("framework",), ("patch", "framework")]),
    area=st.sampled_from(["own", "other", "any"]),
    rule=st.sampled_from(["open", "ranked", "direct"]),
    order=st.just("score"),
    window=st.sampled_from([timedelta(minutes=10), HOUR]),
    reminders=st.sampled_from([(), (timedelta(minutes=5),)]),
    closes_early=st.sampled_from(["never", "all_declined", "all_answered", "first_bid"]),
    passes_on=st.booleans(),
    next=st.sampled_from(["by_itself", "by_itself", "broker"]),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(["bids", "declines", "takes back", "passes on", "waits"]),
        st.sampled_from(["ace", "bee", "sea", "frame"]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(
    held=st.lists(KINDS_OF_ROUND, min_size=1, max_size=3),
    steps=STEPS,
    pauses=st.sampled_from(["run_on", "pause"]),
)
def test_whatever_they_do_every_package_comes_to_a_proposal_or_to_a_person(
    held: list[Round], steps: list[tuple[int, str, str]], pauses: AcrossClosing
) -> None:
    hours = "daily 08:00-10:00"
    policy = PlacingPolicy(rounds=tuple(held), broker_hours=hours, across_closing=pauses)
    partners = ("bee", "sea", "frame")
    desk = Council(placing=policy, providers=(structs.replace(ACE, partners=partners), BEE, SEA, FRAME))
    desk.sends()
    for minutes, does, who in steps:
        desk.advance(minutes=minutes)
        if does == "bids":
            desk.bids(who)
        elif does == "takes back":
            desk.tell(BidTakenBack(placement="k1", provider=who, source="link"))
        elif does != "waits":
            declines(desk, who, pass_to="bee" if does == "passes on" else None)
    for _ in range(24 * 14):
        if desk.placement().stage != "open":
            break
        desk.advance(hours=1)
    placement = desk.placement()
    assert placement.stage in ("proposed", "waiting", "unplaced")
    assert placement.alert is not None or placement.stage != "unplaced"
    for run in placement.rounds:
        asked = [one.provider for one in run.asked]
        assert len(asked) == len(set(asked)), "nobody is asked twice in one run"
        assert run.closed_at is not None
        assert run.silent == tuple(
            one.provider for one in run.asked if one.answered_at is None and one.closes_at <= run.closed_at
        )
    assert desk.replayed().values.placements == desk.state.values.placements


def test_the_brokers_on_duty_are_summoned_before_everybody_else() -> None:
    both = (
        Duty(person="olga", role="office", hours="otherwise"),
        Duty(person="bea", role="broker", hours="otherwise"),
    )
    desk = Council(providers=(), duty=both)
    desk.sends()
    assert {message.person for message in desk.messages("summon")} == {"bea"}
    desk.advance(minutes=6)
    assert [message.person for message in desk.messages("summon")][-1] == "olga"
