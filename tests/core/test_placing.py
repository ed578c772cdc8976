"""A package from the referral on: rounds open and close by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.core import facts as f
from monitor.core.placing import facts as p
from tests.core.council import Council
from tests.core.driver import MONDAY


def test_the_patch_providers_of_the_area_are_asked_at_once_for_two_hours() -> None:
    desk = Council()
    desk.sends()
    (opened,) = desk.bodies(p.RoundOpened)
    assert (opened.asked, opened.closes_at) == (("ace", "bee"), MONDAY + timedelta(hours=2))
    assert desk.placement().stage == "open"


@pytest.mark.parametrize(
    ("after", "silent"), [(timedelta(hours=2, milliseconds=-1), []), (timedelta(hours=2), [("ace", "bee")])]
)
def test_the_window_closes_by_itself_and_who_said_nothing_is_silent(
    after: timedelta, silent: list[tuple[str, ...]]
) -> None:
    desk = Council()
    desk.sends()
    desk.advance(seconds=after.total_seconds())
    assert [body.silent for body in desk.bodies(p.RoundClosed)] == silent


def test_a_text_of_a_provider_is_kept_and_it_hears_that_it_is_no_bid() -> None:
    desk = Council()
    desk.sends()
    answer = desk.text("ace", word="other").answer
    assert answer.template == "BD-31"
    (kept,) = desk.bodies(f.ReplyKept)
    assert (kept.persons, kept.answered) == (("ace",), True)
    assert desk.placement().bids == ()
