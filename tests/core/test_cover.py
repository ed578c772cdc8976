"""Where a care worker is, from what their round already knows: the same as walking over all of it."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from random import Random

import pytest

from monitor.core.cover import LAST_SEEN, _here
from monitor.core.state import Place, State, Values, Visit
from monitor.core.work import Ctx, Work
from tests.core.driver import MONDAY

MINUTE = timedelta(minutes=1)


def visit(ref: str, begins: int, lasts: int, *, there: bool | None = None) -> Visit:
    """From that minute on, for so many; `there`: they came, and are inside (True) or have left (False)."""
    start, end = MONDAY + begins * MINUTE, MONDAY + (begins + lasts) * MINUTE
    came = start if there is not None else None
    return Visit(
        ref=ref,
        service_user=f"su-{ref}",
        start=start,
        end=end,
        agreed_start=start,
        late_at=end,
        missed_at=end,
        overrun_at=end,
        places=(Place(planned="kit", worker="kit" if came else None, arrived_at=came, left=there is False),),
    )


def work(visits: list[Visit], now: datetime) -> Work:
    state = State(Values(visits={one.ref: one for one in visits}))
    return Work(state, Ctx(now=now, mint=str, people=None))


def here(visits: list[Visit], now: datetime, ref: str = "wanted") -> Visit | None:
    at_work = work(visits, now)
    course = at_work.state.round_of("kit")
    return _here(at_work, course, ref, bisect_right(course.starts, now))


def walked(visits: list[Visit], now: datetime, ref: str = "wanted") -> Visit | None:
    for one in sorted(visits, key=lambda v: (v.start, v.ref)):
        if one.ref != ref and (one.places[0].inside or one.start <= now < one.end):
            return one
    return None


@pytest.mark.parametrize(
    ("minute", "ref"),
    [(-1, None), (0, "night"), (59, "night"), (60, "night"), (90, "night"), (599, "night"), (600, None)],
)
def test_a_long_visit_that_began_earlier_is_where_they_are_also_after_a_short_one_within_it(
    minute: int, ref: str | None
) -> None:
    visits = [visit("night", 0, 600), visit("short", 30, 30)]
    found = here(visits, MONDAY + minute * MINUTE)
    assert (found.ref if found else None) == ref


def test_who_checked_in_and_not_out_is_there_whatever_the_rota_says() -> None:
    visits = [visit("early", 0, 30, there=True), visit("now", 120, 30), visit("gone", 60, 30, there=False)]
    found = here(visits, MONDAY + 130 * MINUTE)
    assert found == visits[0]
    assert here(visits, MONDAY + 130 * MINUTE, "early") == visits[1]


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_same_as_walking_over_the_whole_round(seed: int) -> None:
    dice = Random(seed)
    visits = [
        visit(
            f"v{n}",
            dice.randrange(600),
            dice.choice((15, 30, 45, 240)),
            there=dice.choice((None,) * 9 + (True, False)),
        )
        for n in range(dice.randrange(1, 30))
    ]
    for minute in range(-10, 900, 7):
        now = MONDAY + minute * MINUTE
        assert here(visits, now, "v0") == walked(visits, now, "v0")


def test_the_round_knows_from_where_on_a_visit_can_have_ended_within_the_last_two_hours() -> None:
    visits = [visit("night", 0, 600), visit("short", 30, 30), visit("late", 500, 30)]
    course = work(visits, MONDAY).state.round_of("kit")
    for minute in range(0, 900, 10):
        since = MONDAY + minute * MINUTE - LAST_SEEN
        left_out = course.visits[: bisect_right(course.ends, since)]
        assert all(one.end <= since for one in left_out)
