"""Bids to the millisecond: in time, late, changed, withdrawn, declined, refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.placing import PlacingPolicy, Round
from monitor.core import facts as f
from monitor.core.evidence import Evidence
from monitor.core.inputs import SendReported
from monitor.core.placing import facts as p
from monitor.core.placing.bids import MOST_DEAD
from monitor.core.placing.inputs import (
    BidGiven,
    BidRefusedByProvider,
    BidTakenBack,
    DeadLinkPressed,
    PlacementActed,
)
from monitor.core.state import Message
from monitor.core.work import Decision
from tests.core.council import FRAMEWORK, PATCH, Council, provider
from tests.core.driver import MONDAY

WINDOW = timedelta(hours=2)
NOTE = Evidence(id="e1", digest="00")


def declines(desk: Council, provider: str, **more: Any) -> Decision:
    """One press, with a reason."""
    values: dict[str, Any] = {"reason": "no_capacity", "source": "link"}
    return desk.tell(BidRefusedByProvider(placement="k1", provider=provider, **values | more))


def withdraws(desk: Council, provider: str, **more: Any) -> Decision:
    """They take their bid back."""
    values: dict[str, Any] = {"source": "link"}
    return desk.tell(BidTakenBack(placement="k1", provider=provider, **values | more))


def considered(desk: Council) -> set[str]:
    return {bid.provider for bid in desk.placement().bids if bid.counts}


@pytest.mark.parametrize(
    ("after", "late"),
    [
        (timedelta(0), False),
        (WINDOW - timedelta(milliseconds=1), False),
        (WINDOW, True),
        (WINDOW + timedelta(milliseconds=1), True),
    ],
)
def test_a_bid_is_in_time_until_the_last_millisecond_of_the_window_and_late_at_the_close(
    after: timedelta, late: bool
) -> None:
    desk = Council()
    desk.sends()
    desk.now = MONDAY + after  # the deadline waits behind the bid: what is decided is decided by the clock
    answer = desk.bids("ace").answer
    assert (answer.late, answer.until) == (late, MONDAY + WINDOW)
    assert [body.late for body in desk.bodies(p.BidRecorded)] == [late]
    assert considered(desk) == (set() if late else {"ace"})
    assert [bid.provider for bid in desk.placement().late] == (["ace"] if late else [])


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"provider": "nobody"}, "unknown_provider"),
        ({"provider": "sea"}, "not_asked"),
        ({"provider": "ace", "start": MONDAY - timedelta(milliseconds=1)}, "start_past"),
        ({"provider": "ace", "source": "broker", "by": "ed"}, "not_broker"),
        ({"provider": "ace", "source": "broker"}, "not_broker"),
    ],
)
def test_what_is_refused_is_named_and_recorded_and_changes_nothing(more: dict[str, Any], code: str) -> None:
    desk = Council()
    desk.sends()
    before = desk.placement()
    values: dict[str, Any] = {"placement": "k1", "start": MONDAY + timedelta(days=2), "source": "link"}
    decision = desk.tell(BidGiven(**values | more))
    assert decision.refusal is not None
    assert decision.refusal.code == code
    assert [body.why for body in desk.bodies(p.BidRefused)] == [code]
    assert desk.placement() == before


# --- changed, withdrawn, declined ---


def acts(desk: Council, action: Any, **more: Any) -> str | None:
    """A broker does something about the package. Returns the code of a refusal."""
    decision = desk.tell(PlacementActed(placement="k1", action=action, **{"by": "bea"} | more))
    return decision.refusal.code if decision.refusal is not None else None


def after_close(desk: Council) -> None:
    desk.advance(seconds=(WINDOW - (desk.now - MONDAY)).total_seconds())


def told(desk: Council, *templates: str) -> list[tuple[str, str, str]]:
    """Who was told what, by which way, in order."""
    found = [body for body in desk.bodies(f.MessageIntended) if body.template in templates]
    return [(body.person, body.channel, body.template) for body in found]


def test_a_change_takes_the_place_of_the_bid_and_keeps_when_it_first_came() -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    desk.advance(minutes=5)
    desk.bids("ace", start=MONDAY + timedelta(days=3))
    (bid,) = desk.placement().bids
    assert (bid.start, bid.changes, bid.first_at) == (MONDAY + timedelta(days=3), 1, MONDAY)


def test_what_comes_after_a_withdrawal_in_time_is_a_new_bid() -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    desk.bids("bee")
    withdraws(desk, "ace")
    assert considered(desk) == {"bee"}
    desk.advance(minutes=1)
    desk.bids("ace")
    bids = desk.placement().bids
    assert [(bid.provider, bid.first_at) for bid in bids] == [("bee", MONDAY), ("ace", desk.now)]


def test_a_decline_takes_the_bid_away_and_a_bid_in_time_the_decline() -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    declines(desk, "ace")
    assert considered(desk) == set()
    assert [one.reason for one in desk.placement().declined] == ["no_capacity"]
    desk.bids("ace")
    assert considered(desk) == {"ace"}
    assert desk.placement().declined == ()


def test_a_withdrawal_after_the_close_takes_the_bid_out_of_the_proposal_and_the_broker_is_told() -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    desk.bids("bee")
    after_close(desk)
    first = desk.placement().proposed
    assert first is not None
    withdraws(desk, first)
    assert desk.placement().proposed == ({"ace", "bee"} - {first}).pop()
    assert told(desk, "BD-19") == [("bea", "sms", "BD-19"), ("bea", "email", "BD-19")]
    assert [body.late for body in desk.bodies(p.BidWithdrawn)] == [True]


def test_the_last_bid_withdrawn_after_the_close_opens_the_next_round() -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    after_close(desk)
    declines(desk, "ace")
    run = desk.placement().running
    assert run is not None
    assert [asked.provider for asked in run.asked] == ["frame"]


def test_nothing_can_be_withdrawn_that_was_not_bid_or_is_withdrawn_already() -> None:
    desk = Council()
    desk.sends()
    first = withdraws(desk, "ace").refusal
    desk.bids("ace")
    withdraws(desk, "ace")
    second = withdraws(desk, "ace").refusal
    assert [refusal.code for refusal in (first, second) if refusal] == ["no_bid", "no_bid"]


# --- late ---


def test_a_bid_after_an_early_close_is_late_though_the_window_would_still_run() -> None:
    desk = Council(
        placing=PlacingPolicy(rounds=(structs.replace(PATCH, closes_early="first_bid"), FRAMEWORK))
    )
    desk.sends()
    desk.bids("ace")
    assert desk.placement().stage == "proposed"
    assert desk.bids("bee").answer.late


def test_a_late_bid_is_not_considered_until_a_broker_says_why_and_then_it_is_judged() -> None:
    desk = Council()
    desk.sends()
    desk.bids("bee")
    after_close(desk)
    desk.bids("ace")
    assert considered(desk) == {"bee"}
    assert acts(desk, "admit_late", provider="ace", by="ed", note=NOTE) == "not_broker"
    assert acts(desk, "admit_late", provider="ace") == "note"
    assert acts(desk, "admit_late", provider="bee", note=NOTE) == "no_late_bid"
    assert acts(desk, "admit_late", provider="ace", note=NOTE) is None
    assert considered(desk) == {"ace", "bee"}
    assert {row.provider for row in desk.placement().rows if row.place} == {"ace", "bee"}
    assert acts(desk, "admit_late", provider="ace", note=NOTE) == "no_late_bid"


def test_a_late_bid_tells_the_broker_once_and_the_mailbox_each_time() -> None:
    desk = Council()
    desk.sends()
    after_close(desk)
    desk.bids("ace")
    desk.bids("ace")
    assert told(desk, "BD-20") == [("bea", "sms", "BD-20"), ("bea", "email", "BD-20")]
    assert told(desk, "BD-21B") == [("mailbox", "email", "BD-21B")] * 2


def test_a_withdrawn_late_bid_cannot_be_admitted() -> None:
    desk = Council()
    desk.sends()
    desk.bids("bee")
    after_close(desk)
    desk.bids("ace")
    withdraws(desk, "ace")
    assert acts(desk, "admit_late", provider="ace", note=NOTE) == "no_late_bid"


def test_of_a_ranked_round_whoever_was_asked_before_is_late_while_the_next_one_is_asked() -> None:
    ranked = Round(name="ranked", tiers=("patch",), rule="ranked", order="rate", next="end")
    desk = Council(
        placing=PlacingPolicy(rounds=(ranked,)),
        providers=(provider("ace", rate_pence=2000), provider("bee", rate_pence=2100)),
    )
    desk.sends()
    desk.advance(hours=2)
    assert desk.bids("ace").answer.late
    assert not desk.bids("bee").answer.late
    assert considered(desk) == {"bee"}


# --- over, revoked ---


def test_a_revoked_link_opens_nothing_and_their_own_system_still_does() -> None:
    desk = Council()
    desk.sends()
    assert acts(desk, "revoke_link", provider="sea") == "not_asked"
    assert acts(desk, "revoke_link", provider="ace", by="ed") == "not_broker"
    assert [acts(desk, "revoke_link", provider="ace") for _ in range(2)] == [None, None]
    assert len(desk.bodies(p.LinkRevoked)) == 1
    refused = desk.bids("ace").refusal
    assert refused is not None
    assert refused.code == "link_revoked"
    assert desk.bids("ace", source="api").refusal is None
    assert desk.bids("ace", source="broker", by="bea").refusal is None


def code_of(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal is not None else None


@pytest.mark.parametrize("rule", ["open", "ranked"])
def test_who_is_asked_again_after_a_link_was_revoked_has_a_new_one_and_the_old_one_stays_revoked(
    rule: str,
) -> None:
    again = structs.replace(PATCH, name="again", rule=rule)
    desk = Council(placing=PlacingPolicy(rounds=(PATCH, again)), providers=(provider("ace"),))
    desk.sends()
    assert acts(desk, "revoke_link", provider="ace") is None
    after_close(desk)
    assert desk.bodies(p.RoundOpened)[-1].renewed == ("ace",)
    assert desk.placement().revoked == ()
    assert code_of(desk.bids("ace")) == "link_revoked"
    assert code_of(desk.bids("ace", link=1)) is None
    assert acts(desk, "revoke_link", provider="ace") is None
    assert [code_of(desk.bids("ace", link=number)) for number in (0, 1)] == ["link_revoked"] * 2
    assert desk.replayed().values.placements == desk.state.values.placements


def test_who_is_next_in_line_and_lost_a_link_before_is_given_a_new_one() -> None:
    ranked = structs.replace(PATCH, name="ranked", rule="ranked")
    desk = Council(
        placing=PlacingPolicy(rounds=(PATCH, ranked)), providers=(provider("ace"), provider("bee"))
    )
    desk.sends()
    assert acts(desk, "revoke_link", provider="bee") is None
    after_close(desk)
    assert (desk.bodies(p.RoundOpened)[-1].asked, desk.placement().revoked) == (("ace",), ("bee",))
    desk.advance(hours=2)
    assert [(body.provider, body.renewed) for body in desk.bodies(p.ProviderAsked)] == [("bee", True)]
    assert [code_of(desk.bids("bee", link=number)) for number in (0, 1)] == ["link_revoked", None]


@pytest.mark.parametrize("why", ["link_revoked", "link_expired"])
def test_presses_on_a_link_that_opens_nothing_are_recorded_and_cannot_fill_the_journal(why: str) -> None:
    desk = Council()
    desk.sends()
    if why == "link_revoked":
        acts(desk, "revoke_link", provider="ace")
    for _ in range(MOST_DEAD + 5):
        pressed = DeadLinkPressed(placement="k1", provider="ace")
        found = desk.bids("ace") if why == "link_revoked" else desk.tell(pressed)
        assert code_of(found) == why
    refused = desk.bodies(p.BidRefused)
    assert [(body.provider, body.why) for body in refused] == [("ace", why)] * MOST_DEAD
    assert [body.last for body in refused] == [False] * (MOST_DEAD - 1) + [True]
    desk.tell(DeadLinkPressed(placement="k1", provider="bee"))
    assert desk.bodies(p.BidRefused)[-1].provider == "bee"


def test_a_dead_link_of_somebody_who_was_never_asked_leaves_no_trace() -> None:
    desk = Council()
    desk.sends()
    before = len(desk.facts)
    for placement, who in (("k1", "sea"), ("k9", "ace")):
        assert code_of(desk.tell(DeadLinkPressed(placement=placement, provider=who))) == "not_found"
    assert len(desk.facts) == before


@pytest.mark.parametrize(
    ("action", "more", "code"),
    [
        ("award", {"provider": "ace", "reason": "emergency"}, "awarded"),
        ("withdraw", {"withdrawn": "not_needed"}, "withdrawn"),
    ],
)
def test_after_an_award_and_after_the_end_nothing_is_taken_any_more(
    action: str, more: dict[str, Any], code: str
) -> None:
    desk = Council()
    desk.sends()
    desk.bids("ace")
    assert acts(desk, action, **more) is None
    before = desk.placement()
    told_before = len(desk.bodies(f.MessageIntended))
    decisions = [desk.bids("bee"), withdraws(desk, "ace"), declines(desk, "bee")]
    assert [one.refusal.code for one in decisions if one.refusal is not None] == [code] * 3
    assert [body.why for body in desk.bodies(p.BidRefused)] == [code] * 3
    assert desk.placement() == before
    assert len(desk.bodies(f.MessageIntended)) == told_before


def test_a_package_is_passed_on_only_to_a_partner_and_where_the_round_allows_it() -> None:
    desk = Council()
    desk.sends()
    refused = declines(desk, "ace", pass_to="bee").refusal
    assert refused is not None
    assert refused.code == "pass_to"


# --- who is told ---


def test_providers_hear_by_text_and_mail_and_the_mailbox_has_a_copy_of_every_bid() -> None:
    desk = Council()
    desk.sends()
    assert told(desk, "BD-1") == [
        ("ace", "sms", "BD-1"),
        ("ace", "email", "BD-1"),
        ("bee", "sms", "BD-1"),
        ("bee", "email", "BD-1"),
    ]
    desk.bids("ace")
    withdraws(desk, "ace")
    declines(desk, "ace")
    assert told(desk, "BD-3", "BD-21") == [
        ("ace", "sms", "BD-3"),
        ("ace", "email", "BD-3"),
        ("mailbox", "email", "BD-21"),
    ]
    assert told(desk, "BD-22", "BD-23") == [
        ("mailbox", "email", "BD-22"),
        ("mailbox", "email", "BD-23"),
    ]
    assert {body.priority for body in desk.bodies(f.MessageIntended)} == {"repeat"}


def test_an_invitation_is_worth_sending_until_the_close() -> None:
    desk = Council()
    desk.sends()
    ends = {body.expires_at for body in desk.bodies(f.MessageIntended) if body.template == "BD-1"}
    assert ends == {MONDAY + WINDOW}


def test_a_provider_who_can_be_told_in_no_way_is_rung_by_a_broker() -> None:
    desk = Council()
    desk.people.people["ace"] = structs.replace(desk.people.people["ace"], lines=(), mail=False)
    desk.sends()
    assert told(desk, "BD-26") == [("bea", "sms", "BD-26"), ("bea", "email", "BD-26")]
    assert {person for person, _, _ in told(desk, "BD-1")} == {"bee"}


def fails(desk: Council, message: Message) -> None:
    """The network says for good that it cannot be delivered."""
    desk.tell_turn(message)
    desk.tell(SendReported(key=message.key, result="failed", reason="refused", permanent=True))


def test_an_invitation_that_fails_by_text_and_by_mail_is_told_by_a_broker_and_by_one_alone_is_not() -> None:
    desk = Council()
    desk.sends()
    text, mail = (m for m in desk.messages(person="ace") if m.template == "BD-1")
    fails(desk, text)
    assert told(desk, "BD-26") == []
    fails(desk, mail)
    assert told(desk, "BD-26") == [("bea", "sms", "BD-26"), ("bea", "email", "BD-26")]


def test_nobody_is_rung_for_an_invitation_that_failed_when_they_have_bid_or_the_window_is_over() -> None:
    for before in (lambda desk: desk.bids("ace", source="broker", by="bea"), after_close):
        desk = Council()
        desk.reaches = False
        desk.sends()
        messages = [m for m in desk.messages(person="ace") if m.template == "BD-1"]
        before(desk)
        for message in messages:
            fails(desk, message)
        assert told(desk, "BD-26") == []


def test_without_a_broker_who_can_be_reached_the_mailbox_is_told() -> None:
    desk = Council()
    desk.people.people["bea"] = structs.replace(desk.people.people["bea"], lines=(), mail=False)
    desk.sends()
    desk.bids("ace")
    after_close(desk)
    assert told(desk, "BD-14") == [("mailbox", "email", "BD-14")]


@pytest.mark.parametrize(
    ("public", "result"), [("off", "intended"), ("ask", "intended"), ("auto", "intended")]
)
def test_providers_are_told_for_real_also_while_the_public_is_rehearsed(public: str, result: str) -> None:
    desk = Council(public=public)
    desk.sends()
    messages = [m for m in desk.state.values.messages.values() if m.template == "BD-1"]
    assert {m.result for m in messages} == {result}


def test_a_reminder_is_not_sent_to_whoever_has_answered_before_its_turn() -> None:
    desk = Council()
    desk.sends()
    desk.advance(minutes=90)
    reminders = [m.key for m in desk.state.values.messages.values() if m.template == "BD-2"]
    assert len(reminders) == 4
    desk.bids("ace")
    sent = {key: desk.tell_turn(desk.state.values.messages[key]) for key in reminders}
    mine = [key for key in reminders if desk.state.values.messages[key].person == "ace"]
    assert [sent[key] for key in mine] == ["no", "no"]
    assert sorted(sent.values()) == ["no", "no", "send", "send"]


# --- any order at all ---

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["bid", "withdraw", "decline"]),
        st.sampled_from(["ace", "bee"]),
        st.integers(min_value=0, max_value=3),
    ),
    max_size=12,
)
TICK = WINDOW / 6


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_in_any_order_what_is_considered_at_the_close_is_what_stood_in_time(
    steps: list[tuple[str, str, int]],
) -> None:
    """Against a reference that knows nothing but the clock: the last word of each provider before the close."""
    policy = PlacingPolicy(rounds=(structs.replace(PATCH, next="broker"), FRAMEWORK))
    desk = Council(placing=policy)
    desk.sends()
    stands: set[str] = set()
    for what, who, ticks in steps:
        desk.advance(seconds=(ticks * TICK).total_seconds())
        does = {
            "bid": desk.bids,
            "withdraw": lambda one: withdraws(desk, one),
            "decline": lambda one: declines(desk, one),
        }
        taken = does[what](who).refusal is None
        if what == "bid" and _in_time(desk.now):
            stands.add(who)
        elif what != "bid" and taken:
            stands.discard(who)
        assert considered(desk) == stands
    if _in_time(desk.now):
        after_close(desk)
    assert considered(desk) == stands
    assert len(desk.bodies(p.BidRecorded)) == sum(1 for what, _, _ in steps if what == "bid")
    proposed = desk.placement().proposed
    assert (proposed in stands) if stands else (proposed is None)


def _in_time(now: datetime) -> bool:
    return now < MONDAY + WINDOW
