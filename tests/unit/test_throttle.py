"""May this person be contacted now? If not, when: to the second, and with a clock that was set back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.policy import Policy
from escalation.throttle import RULES, Allowed, Contact, Wait, may_contact

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
POLICY = Policy()
SECOND = timedelta(seconds=1)
CONTACTS: tuple[Contact, ...] = ("ring_service_user", "summon_staff", "reply_by_itself")
AGO = st.lists(st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=3)), max_size=12)


def ask(contact: Contact, *ago: timedelta, policy: Policy = POLICY) -> Allowed | Wait:
    return may_contact(contact, [NOW - each for each in ago], NOW, policy)


@pytest.mark.parametrize("contact", CONTACTS)
def test_who_was_never_contacted_may_be_contacted(contact: Contact) -> None:
    assert ask(contact) == Allowed()


@pytest.mark.parametrize(
    ("ago", "waits_s"),
    [
        (timedelta(), 180),
        (timedelta(minutes=2, seconds=59), 1),
        (timedelta(minutes=3) - timedelta(microseconds=1), 0.000001),
        (timedelta(minutes=3), None),
        (timedelta(hours=1), None),
    ],
)
def test_a_service_user_is_not_rung_again_within_three_minutes(ago: timedelta, waits_s: float | None) -> None:
    waits = None if waits_s is None else Wait(until=NOW + timedelta(seconds=waits_s), reason="rung_lately")
    assert ask("ring_service_user", ago) == (waits or Allowed())


def test_the_newest_ring_counts_whatever_the_order() -> None:
    wait = Wait(until=NOW + timedelta(minutes=2), reason="rung_lately")
    assert ask("ring_service_user", timedelta(minutes=1), timedelta(hours=1)) == wait
    assert ask("ring_service_user", timedelta(hours=1), timedelta(minutes=1)) == wait


def test_the_time_between_two_rings_is_the_policys() -> None:
    quick = Policy(reassure_retry=timedelta(seconds=2))
    assert ask("ring_service_user", timedelta(seconds=2), policy=quick) == Allowed()
    assert ask("ring_service_user", timedelta(seconds=1), policy=quick) == Wait(
        until=NOW + SECOND, reason="rung_lately"
    )


@pytest.mark.parametrize(
    ("ago", "allowed"),
    [(timedelta(minutes=9, seconds=59), False), (timedelta(minutes=10), True), (timedelta(0), False)],
)
def test_who_took_it_while_nothing_could_be_recorded_is_left_alone_for_ten_minutes(
    ago: timedelta, allowed: bool
) -> None:
    wait = Wait(until=NOW - ago + timedelta(minutes=10), reason="took_it_unrecorded")
    assert ask("summon_staff", ago) == (Allowed() if allowed else wait)


def test_five_replies_by_itself_in_a_day_and_no_sixth() -> None:
    hours = [timedelta(hours=n) for n in (1, 2, 3, 4)]
    assert ask("reply_by_itself", *hours) == Allowed()
    fifth = timedelta(hours=23, minutes=59)
    assert ask("reply_by_itself", *hours, fifth) == Wait(
        until=NOW + timedelta(minutes=1), reason="replied_enough"
    )
    assert ask("reply_by_itself", *hours, timedelta(hours=24)) == Allowed()


def test_a_moment_far_ahead_is_a_clocks_error_and_silences_nobody() -> None:
    assert ask("ring_service_user", -timedelta(hours=1)) == Allowed()
    assert ask("ring_service_user", -timedelta(minutes=3, microseconds=1)) == Allowed()


def test_a_moment_a_little_ahead_still_counts() -> None:
    assert ask("ring_service_user", -SECOND) == Wait(
        until=NOW + SECOND + timedelta(minutes=3), reason="rung_lately"
    )


def test_a_clock_set_back_does_not_hide_the_rings_before_it() -> None:
    assert ask("ring_service_user", -timedelta(hours=1), timedelta(minutes=1)) == Wait(
        until=NOW + timedelta(minutes=2), reason="rung_lately"
    )


@given(ago=AGO, contact=st.sampled_from(CONTACTS))
def test_a_wait_ends_within_its_span_two_with_a_clock_set_back(
    ago: list[timedelta], contact: Contact
) -> None:
    past = [NOW - each for each in ago if each >= timedelta()]
    found = may_contact(contact, past, NOW, POLICY)
    if isinstance(found, Wait):
        assert NOW < found.until <= NOW + timedelta(hours=24)
        assert may_contact(contact, past, found.until, POLICY) == Allowed()
    ahead = may_contact(contact, [NOW - each for each in ago], NOW, POLICY)
    assert isinstance(ahead, Allowed) or NOW < ahead.until <= NOW + timedelta(hours=48)


def test_every_rule_cites_where_it_comes_from() -> None:
    assert all(rule.clause for rule in RULES)
    assert {rule.contact for rule in RULES} == set(CONTACTS)
