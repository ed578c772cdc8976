"""The ways of four councils, played with the policies as they are shipped."""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import config.placing
from config.placing import PlacingPolicy, decode_placing
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import (
    BidRefusedByProvider,
    LocalScore,
    PlacementActed,
    PlacingLoaded,
    ProviderSaid,
)
from tests.core.council import ACE, AREAS, BEE, FRAME, SEA, Council, provider
from tests.core.driver import MONDAY

SHIPPED = Path(config.placing.__file__).with_name("placing_policies")
TEN = MONDAY + timedelta(hours=2)
"""10:00 on a Monday: the brokers are there."""
FIRST = TEN + timedelta(days=1)


def policy(name: str) -> PlacingPolicy:
    return decode_placing(tomllib.loads((SHIPPED / f"{name}.toml").read_text()))


def council(name: str, *providers: ProviderSaid, now: datetime = TEN) -> Council:
    return Council(now, placing=policy(name), providers=providers)


def declines(desk: Council, ref: str, **more: str) -> None:
    values = {"reason": "no_capacity", "source": "link", **more}
    desk.tell(BidRefusedByProvider(placement="k1", provider=ref, **values))  # type: ignore[arg-type]


def asked(desk: Council) -> list[tuple[str, ...]]:
    return [body.asked for body in desk.bodies(p.RoundOpened)]


def awarded_and_begun(desk: Council) -> str:
    """The broker confirms what is proposed, the winner the first visit. Returns who won."""
    assert desk.placement().stage == "proposed"
    desk.tell(PlacementActed(placement="k1", action="award", by="bea"))
    award = desk.placement().award
    assert award is not None
    visit = PlacementActed(
        placement="k1",
        action="confirm_first_visit",
        by=award.provider,
        provider=award.provider,
        source="link",
        start=FIRST,
        end=FIRST + timedelta(minutes=30),
        supervisor=True,
    )
    desk.tell(visit)
    assert desk.placement().first_visit is not None
    return award.provider


def test_two_patch_providers_bid_for_two_hours_and_the_broker_confirms() -> None:
    desk = council("bromley", ACE, BEE, SEA, FRAME)
    desk.sends(start=FIRST)
    desk.bids("ace")
    desk.bids("bee")
    desk.advance(hours=1, minutes=59)
    assert desk.placement().stage == "open"
    desk.advance(minutes=1)
    assert awarded_and_begun(desk) in ("ace", "bee")


def test_the_south_goes_to_the_other_patches_and_then_to_the_framework_by_rate() -> None:
    dear = provider("dear", "framework", areas=(), rate_pence=2600)
    cheap = provider("cheap", "framework", areas=(), rate_pence=2000)
    desk = council("bromley", ACE, BEE, SEA, dear, cheap)
    desk.sends(start=FIRST, area="south")
    declines(desk, "sea")
    declines(desk, "ace")
    desk.advance(hours=2)  # bee says nothing
    assert asked(desk) == [("sea",), ("ace", "bee"), ("cheap", "dear")]
    desk.bids("dear")
    desk.bids("cheap")
    desk.advance(hours=2)
    assert awarded_and_begun(desk) == "cheap"


def test_a_discharge_is_reminded_at_30_minutes_and_closes_at_60() -> None:
    desk = council("bromley-discharge", ACE, BEE)
    desk.sends(kind="discharge", start=FIRST)
    desk.advance(minutes=30)
    assert [body.told for body in desk.bodies(p.RoundReminded)] == [("ace", "bee")]
    desk.bids("bee")
    desk.advance(minutes=29, seconds=59)
    assert desk.placement().stage == "open"
    desk.advance(seconds=1)
    assert awarded_and_begun(desk) == "bee"


def test_the_highest_scoring_provider_of_the_locality_is_offered_it_first() -> None:
    providers = [
        provider(ref, "framework", scores=(LocalScore(area="east", score=score),))
        for ref, score in (("good", 70), ("best", 95), ("fair", 40))
    ]
    desk = council("example-barking-dagenham", *providers)
    desk.sends(start=FIRST)
    declines(desk, "best")
    desk.bids("good")
    assert [body.provider for body in desk.bodies(p.ProviderAsked)] == ["good"]
    assert awarded_and_begun(desk) == "good"


def test_it_goes_straight_to_the_lead_of_the_neighbourhood() -> None:
    desk = council("example-lewisham", provider("lead", "lead"), provider("far", "lead", areas=("south",)))
    desk.sends(start=FIRST)
    assert asked(desk) == [("lead",)]
    desk.bids("lead")
    assert awarded_and_begun(desk) == "lead"


def test_where_the_lead_cannot_the_broker_says_when_the_others_are_asked() -> None:
    desk = council("example-lewisham", provider("lead", "lead"), provider("far", "lead", areas=("south",)))
    desk.sends(start=FIRST)
    declines(desk, "lead")
    assert desk.placement().stage == "waiting"
    desk.tell(PlacementActed(placement="k1", action="open_next", by="bea"))
    assert asked(desk) == [("lead",), ("far",)]


def test_where_nobody_is_left_who_could_be_asked_the_broker_is_summoned_at_once_and_not_told_to_open_a_round() -> (
    None
):
    desk = council("example-lewisham", provider("lead", "lead"))
    desk.sends(start=FIRST)
    declines(desk, "lead")
    assert desk.placement().stage == "unplaced"
    assert [body.reason for body in desk.bodies(p.PlacementUnplaced)] == ["no_more_rounds"]


@pytest.mark.parametrize("who", ["lead", "pat"])
def test_the_locality_partner_delivers_or_passes_on(who: str) -> None:
    desk = council(
        "example-plymouth", provider("lead", "lead", partners=("pat",)), provider("pat", "partner", areas=())
    )
    desk.sends(start=FIRST)
    if who == "pat":
        declines(desk, "lead", pass_to="pat")
    desk.bids(who)
    assert awarded_and_begun(desk) == who


def test_a_package_under_way_keeps_the_policy_with_which_it_came() -> None:
    desk = council("bromley", ACE, BEE)
    desk.sends(start=FIRST)
    terms = config.placing.placing_terms({"standard": policy("example-lewisham")})
    desk.tell(PlacingLoaded(terms=terms, areas=AREAS))
    desk.bids("ace")
    desk.advance(hours=2)
    assert (desk.now, desk.placement().proposed) == (TEN + timedelta(hours=2), "ace")
