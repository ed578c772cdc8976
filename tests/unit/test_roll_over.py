"""04:00: every desk's day begins, whatever one of them does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from config.policy import Calendar
from connectors.ports import NotTaken
from monitor.core.inputs import DayRolled
from monitor.engine import DecideFailedError
from monitor.scheduler import roll_over

FOUR = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "error", [NotTaken("fenced"), DecideFailedError("KeyError")], ids=["lost", "undecided"]
)
@pytest.mark.parametrize("at", ["adopt", "tell"])
def test_a_desk_whose_day_cannot_begin_is_one_desk(error: Exception, at: str) -> None:
    rolled: list[tuple[str, date]] = []

    def fails(*_: Any) -> None:
        raise error

    def desk(name: str) -> Any:
        def tell(seen: DayRolled) -> None:
            rolled.append((name, seen.day))

        engine = SimpleNamespace(state=SimpleNamespace(calendar=Calendar()))
        return SimpleNamespace(id=name, config=None, engine=engine, adopt=lambda *_: None, tell=tell)

    desks = [desk("a"), desk("b"), desk("c")]
    setattr(desks[1], at, fails)
    roll_over(desks, (), FOUR)
    assert rolled == [("a", FOUR.date()), ("c", FOUR.date())]
