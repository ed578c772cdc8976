"""*There* without a check-in is a claim: it holds replacing and informing back for ten minutes, however often it is
said (domain.md, "Before the alert"). Who repeats it keeps nobody from an old person who does not answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from tests.core.driver import Desk

MINUTE = timedelta(minutes=1)


def claims(desk: Desk, answer: int = 1) -> None:
    """dee answers the newest question about the visit; 1 is *I am there*."""
    desk.send_all()
    question = next(m for m in reversed(desk.messages(person="dee")) if m.slot is not None)
    desk.text("dee", f"{question.slot}{answer}")


def where(desk: Desk) -> tuple[str, str]:
    track = desk.alert().track("locate")
    assert track is not None
    return track.step, track.reason


@pytest.mark.parametrize("every", [1, 4, 9])
def test_a_claim_said_again_and_again_holds_nothing_back_after_ten_minutes(every: int) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    for _ in range(0, 10, every):
        claims(desk)
        desk.advance(minutes=every)
    desk.advance(minutes=max(0, 10 - (desk.now - desk.alert().opened_at) / MINUTE))
    assert where(desk) == ("not_reached", "not_checked_in")
    claims(desk)
    assert where(desk) == ("not_reached", "not_checked_in")
    replace = desk.alert().track("replace")
    assert replace is not None
    assert replace.step == "trying"


@pytest.mark.parametrize(("minutes", "held"), [(9.99, True), (10, False)])
def test_the_first_claim_counts_also_where_a_time_was_named_in_between(minutes: float, held: bool) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    claims(desk)
    desk.advance(minutes=5)
    desk.send_all()
    question = next(m for m in reversed(desk.messages(person="dee")) if m.slot is not None)
    desk.text("dee", f"{question.slot}2 3")
    desk.advance(minutes=minutes - 5)
    claims(desk)
    assert (where(desk) == ("reached", "there")) is held


def test_who_claims_again_while_nobody_answers_in_the_home_does_not_keep_next_of_kin_from_hearing() -> None:
    desk = Desk()
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], next_of_kin=("ned",))
    desk.plan()
    desk.advance(minutes=30)
    for _ in range(8):
        claims(desk)
        desk.advance(minutes=5)
    assert desk.messages("inform_next_of_kin", "ned")
    council = desk.alert().council
    assert council is not None


def test_a_claim_before_the_alert_holds_for_ten_minutes_from_the_alert() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    claims(desk)
    desk.advance(minutes=29, seconds=59)
    assert where(desk) == ("reached", "there")
    desk.advance(seconds=1)
    assert where(desk) == ("not_reached", "not_checked_in")
