"""What the demo lays on and says: the provider's day and the council beside it do not get into each other's way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor import demo_council
from monitor.commands.demo import DESK, Laid, welcome
from monitor.synthetic import synthetic_day

SUMMER = datetime(2026, 7, 6, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_of_the_provider_s_day_has_a_telephone_of_the_council_s_desk(seed: int) -> None:
    """A next of kin was texted *Package 24-0117: bid or decline*: two people had one number."""
    people = synthetic_day(seed, SUMMER).people_body["people"]
    mobiles = {phone["number"] for person in people for phone in person["phones"]}
    assert len(demo_council.labels()) == 1 + len(demo_council.PROVIDERS)
    assert all(number >= "+447700900990" for number in demo_council.labels())
    assert mobiles.isdisjoint(demo_council.labels())


def test_the_first_address_is_the_board_and_the_first_alert_is_told_by_the_board_s_clock() -> None:
    laid = Laid(seed=1, now=SUMMER, secret="cw_x")
    said = welcome("127.0.0.1:8080", "http://127.0.0.1:8081", laid, SUMMER + timedelta(seconds=9))
    assert f"the board        http://127.0.0.1:8080/board/{DESK}\n" in said
    assert "the first alert is due at 08:00:30." in said
    assert "UTC" not in said
    later = welcome("127.0.0.1:8080", "http://127.0.0.1:8081", laid, SUMMER + timedelta(hours=2))
    assert "The day began at 08:00;" in later
