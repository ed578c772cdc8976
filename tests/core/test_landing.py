"""The first visit of a package in the provider's own desk: planned without a name, watched, taken over by the rota."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import RotaRow
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import FirstVisitSettled, FirstVisitTold
from monitor.core.work import Decision
from tests.core.council import ACE, BEE, FRAME, SEA
from tests.core.driver import MONDAY, Desk
from tests.core.test_after import After

TEN = MONDAY + timedelta(hours=2)
HALF_HOUR = timedelta(minutes=30)


class Provider(Desk):
    """A provider's desk that is told of a first visit at ten."""

    def told(self, **more: Any) -> Decision:
        values: dict[str, Any] = {"start": TEN, "end": TEN + HALF_HOUR}
        said = FirstVisitTold(placement="k1", visit="v9", service_user="p9", **values | more)
        return self.tell(said)

    def rota(self, *rows: RotaRow) -> Decision:
        """The whole rota of today and tomorrow."""
        day = MONDAY.replace(hour=0)
        return self.upload(
            *rows, complete=True, confirm=True, covers_from=day, covers_to=day + timedelta(days=2)
        )


def row(visit: str, service_user: str = "ed", **more: Any) -> RotaRow:
    values: dict[str, Any] = {"start": TEN, "end": TEN + HALF_HOUR, "workers": ("dee",)}
    return RotaRow(row=1, key=visit, visit=visit, service_user=service_user, **values | more)


def test_it_is_planned_and_the_office_is_asked_to_name_the_person() -> None:
    desk = Provider()
    desk.told()
    visit = desk.visit("v9")
    assert (visit.start, visit.service_user, visit.workers, visit.placement) == (TEN, "p9", (), "k1")
    assert [(m.template, m.person) for m in desk.messages()] == [("OC-193", "paul")]


def test_told_twice_it_is_planned_once_and_what_the_office_made_of_it_stays() -> None:
    desk = Provider()
    desk.told()
    desk.rota(row("v9", "p9", start=TEN + HALF_HOUR, end=TEN + 2 * HALF_HOUR))
    desk.told()
    assert len(desk.bodies(f.VisitPlanned)) == 1
    assert (desk.visit("v9").start, desk.visit("v9").workers) == (TEN + HALF_HOUR, ("dee",))
    assert len(desk.messages()) == 1


def test_nobody_there_in_time_is_an_alert_in_the_providers_desk() -> None:
    desk = Provider()
    desk.told()
    late_at = desk.visit("v9").late_at
    desk.advance(seconds=(late_at - desk.now).total_seconds() - 0.001)
    assert desk.alerts() == []
    desk.advance(seconds=0.001)
    assert [(alert.kind, alert.visit) for alert in desk.alerts()] == [("late_visit", "v9")]
    assert [m.person for m in desk.messages("summon")] != [], "nobody is known there: staff are summoned"


def test_a_rota_that_leaves_it_out_does_not_cancel_it() -> None:
    desk = Provider()
    desk.told()
    desk.plan("v1", start=TEN)
    desk.rota(row("v2", "fay"))
    assert (desk.visit("v9").cancelled, desk.visit("v1").cancelled) == (False, True)


def test_once_the_office_has_named_the_person_it_is_a_visit_like_any_other() -> None:
    desk = Provider()
    desk.told()
    desk.rota(row("v9", "ed"))
    visit = desk.visit("v9")
    assert (visit.service_user, visit.workers, visit.placement) == ("ed", ("dee",), None)
    desk.check(visit="v9", at=TEN)
    assert desk.visit("v9").anybody_there
    desk.told()
    assert desk.visit("v9").service_user == "ed"


def test_the_rota_itself_may_call_it_off() -> None:
    desk = Provider()
    desk.told()
    desk.rota(row("v9", "p9", cancelled=True))
    assert desk.visit("v9").cancelled


# --- what the council's desk knows of it ---


@pytest.fixture
def council() -> After:
    """Ace has the package, and a desk of its own on this installation."""
    desk = After(providers=(structs.replace(ACE, desk="acorn"), BEE, SEA, FRAME))
    desk.sends()
    desk.has_bid("ace")
    desk.proposed()
    desk.award()
    return desk


def settled(desk: After) -> Decision:
    return desk.tell(FirstVisitSettled(placement="k1", desk="acorn", visit="v9"))


def test_that_it_has_landed_is_a_fact_of_the_council_once(council: After) -> None:
    council.confirms()
    settled(council)
    settled(council)
    (landed,) = council.bodies(p.FirstVisitLanded)
    assert (landed.provider, landed.desk, landed.visit) == ("ace", "acorn", "v9")
    visit = council.placement().first_visit
    assert visit is not None
    assert visit.landed == "v9"


def test_what_nobody_has_confirmed_cannot_land(council: After) -> None:
    refusal = settled(council).refusal
    assert refusal is not None
    assert council.bodies(p.FirstVisitLanded) == []


@pytest.mark.parametrize(("before", "told"), [(timedelta(milliseconds=1), []), (timedelta(0), ["bea"])])
def test_what_does_not_land_within_ten_minutes_is_told_to_the_broker_once(
    council: After, before: timedelta, told: list[str]
) -> None:
    council.confirms()
    council.advance(seconds=(timedelta(minutes=10) - before).total_seconds())
    assert council.told("BD-32") == told
    council.advance(hours=2)
    assert council.told("BD-32") == ["bea"]


def test_one_that_begins_sooner_than_that_is_told_at_its_start(council: After) -> None:
    soon = council.now + timedelta(minutes=3)
    council.confirms(start=soon, end=soon + HALF_HOUR)
    council.advance(minutes=3)
    assert (council.told("BD-32"), council.placement().ended) == (["bea"], "started")


def test_what_has_landed_in_time_is_told_to_nobody(council: After) -> None:
    council.confirms()
    council.advance(minutes=9)
    settled(council)
    council.advance(hours=3)
    assert council.told("BD-32") == []
    assert council.replayed().next_deadline() == council.restarted().next_deadline()
