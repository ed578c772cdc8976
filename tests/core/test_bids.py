"""Bids to the millisecond: in time, late, changed, withdrawn, declined, refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core.placing import facts as p
from monitor.core.placing.inputs import BidGiven, BidRefusedByProvider, BidTakenBack
from monitor.core.work import Decision
from tests.core.council import Council
from tests.core.driver import MONDAY

WINDOW = timedelta(hours=2)


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
