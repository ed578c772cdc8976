"""A first visit that stands in the provider's own desk, and that nobody wants any more: the package is withdrawn, sent
back, or somebody else's. It is called off there, unless the office has made it its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec import structs

from config.policy import Policy
from escalation.people import PersonView
from monitor.core import facts as f
from monitor.core.inputs import PolicyLoaded
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import CallOffSettled, CallOffTold
from monitor.core.state import Visit
from monitor.core.work import Decision
from tests.core.council import ACE, BEE, FRAME, SEA
from tests.core.driver import DUTY
from tests.core.test_after import NOTE, After
from tests.core.test_landing import HALF_HOUR, TEN, Provider, row, settled

# --- in the provider's own desk ---


class Office(Provider):
    """A provider's desk in which a first visit at ten has landed."""

    def off(self) -> Decision:
        """The council's desk calls it off."""
        said = CallOffTold(placement="k1", visit="v9", start=TEN, end=TEN + HALF_HOUR)
        return self.tell(said)

    def until(self, at: datetime) -> None:
        self.advance(seconds=(at - self.now).total_seconds())

    def texts(self) -> list[str]:
        return [message.template for message in self.messages()]


@pytest.fixture
def office() -> Office:
    desk = Office()
    desk.told()
    return desk


def test_a_visit_that_nobody_has_touched_is_called_off_and_the_office_hears_it(office: Office) -> None:
    assert office.off().answer == "called_off"
    visit = office.visit("v9")
    assert (visit.cancelled, visit.package_over) == (True, "called_off")
    assert [body.reason for body in office.bodies(f.VisitCancelled)] == ["called_off_by_council"]
    assert office.texts() == ["OC-193", "OC-194"]
    office.advance(hours=6)
    assert office.alerts() == [], "nobody is missed, and nobody is rung"


def test_called_off_twice_is_called_off_once_also_after_a_restart(office: Office) -> None:
    office.off()
    office.restart()
    assert office.off().answer == "called_off"
    assert (len(office.bodies(f.VisitCancelled)), office.texts().count("OC-194")) == (1, 1)


def names_the_person(desk: Office) -> None:
    desk.rota(row("v9", "ed"))


def names_the_one_who_goes(desk: Office) -> None:
    desk.rota(row("v9", "p9"))


def moves_it(desk: Office) -> None:
    desk.rota(row("v9", "p9", start=TEN + HALF_HOUR, end=TEN + 2 * HALF_HOUR, workers=()))


def plans_two_places(desk: Office) -> None:
    desk.rota(row("v9", "p9", workers=(), places=2))


def has_it_as_it_came(desk: Office) -> None:
    desk.rota(row("v9", "p9", workers=()))


def moves_it_and_moves_it_back(desk: Office) -> None:
    moves_it(desk)
    has_it_as_it_came(desk)


def lists_the_person(desk: Office) -> None:
    desk.people.people["p9"] = PersonView(ref="p9", role="service_user")


def plans_the_next_visit(desk: Office) -> None:
    desk.rota(row("v10", "p9", start=TEN + 8 * HALF_HOUR, end=TEN + 9 * HALF_HOUR, workers=()))


def is_there(desk: Office) -> None:
    desk.until(TEN)
    desk.check(visit="v9", at=TEN)


def misses_somebody(desk: Office) -> None:
    desk.until(desk.visit("v9").late_at)


OWN: list[tuple[Callable[[Office], None], str]] = [
    (names_the_person, "in_rota"),
    (names_the_one_who_goes, "worker_planned"),
    (moves_it, "changed"),
    (plans_two_places, "changed"),
    (has_it_as_it_came, "in_rota"),
    (moves_it_and_moves_it_back, "in_rota"),
    (lists_the_person, "person_named"),
    (plans_the_next_visit, "other_visits"),
    (is_there, "under_way"),
    (misses_somebody, "under_way"),
]


@pytest.mark.parametrize(("done", "reason"), OWN, ids=[done.__name__ for done, _ in OWN])
def test_a_visit_that_the_office_has_made_its_own_stays_watched_and_the_office_is_told(
    office: Office, done: Callable[[Office], None], reason: str
) -> None:
    done(office)
    before = office.visit("v9")
    assert office.off().answer == "kept"
    after = office.visit("v9")
    assert after == structs.replace(before, package_over=reason, asks=after.asks)
    assert [body.reason for body in office.bodies(f.FirstVisitKept)] == [reason]
    assert office.texts().count("OC-195") == 1
    office.restart()
    assert office.off().answer == "kept"
    assert (len(office.bodies(f.FirstVisitKept)), office.texts().count("OC-195")) == (1, 1)


def test_that_the_rota_has_it_is_a_fact_once(office: Office) -> None:
    for _ in range(2):
        has_it_as_it_came(office)
    assert len(office.bodies(f.FirstVisitAdopted)) == 1
    names_the_one_who_goes(office)
    has_it_as_it_came(office)
    assert len(office.bodies(f.FirstVisitAdopted)) == 1


def test_a_policy_that_moves_its_deadline_makes_it_nobodys_own(office: Office) -> None:
    before = office.visit("v9").late_at
    sooner = Policy(late_after=timedelta(minutes=20))
    office.tell(PolicyLoaded(policy=sooner, duty=DUTY, council_desks=(), holidays=(), public="auto"))
    office.advance(seconds=1)
    assert office.visit("v9").late_at < before
    assert office.off().answer == "called_off"


def test_what_is_late_the_moment_before_is_still_called_off(office: Office) -> None:
    office.until(office.visit("v9").late_at - timedelta(milliseconds=1))
    assert office.off().answer == "called_off"


def test_what_the_office_has_called_off_itself_needs_no_more(office: Office) -> None:
    office.rota(row("v9", "p9", cancelled=True))
    assert office.off().answer == "called_off"
    assert office.texts() == ["OC-193"]


def test_what_never_landed_is_not_there() -> None:
    desk = Office()
    assert desk.off().answer == "not_there"
    assert desk.bodies(f.VisitCancelled) == []


def test_a_later_rota_that_has_it_is_watched_again_and_shows_what_the_council_said(office: Office) -> None:
    office.off()
    office.rota(row("v9", "ed"))
    visit: Visit = office.visit("v9")
    assert (visit.cancelled, visit.service_user, visit.package_over) == (False, "ed", "called_off")


def test_the_text_that_asks_for_a_name_does_not_go_out_after_the_end(office: Office) -> None:
    (asks,) = office.messages()
    office.off()
    assert office.send(asks) != "send"
    assert office.message(asks.key).result == "cancelled"


# --- in the council's desk ---


@pytest.fixture
def council() -> After:
    """Ace has the package, and a desk of its own here, in which the first visit has landed."""
    desk = After(providers=(structs.replace(ACE, desk="acorn"), BEE, SEA, FRAME))
    desk.sends()
    desk.has_bid("ace")
    desk.proposed()
    desk.award()
    desk.confirms()
    settled(desk)
    return desk


def done(desk: After, outcome: str = "called_off", index: int = 0) -> Decision:
    return desk.tell(CallOffSettled(placement="k1", index=index, desk="acorn", outcome=outcome))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "more"), [("withdraw", {"withdrawn": "died"}), ("send_back", {"note": NOTE})]
)
def test_a_package_that_goes_leaves_its_first_visit_to_be_called_off(
    council: After, action: str, more: dict[str, object]
) -> None:
    visit = council.placement().first_visit
    assert visit is not None
    assert council.acts(action, **more).refusal is None
    (off,) = council.placement().call_offs
    assert (off.provider, off.desk, off.start, off.at, off.again) == (
        "ace",
        "acorn",
        visit.start,
        council.now,
        0,
    )
    assert off.outcome is None
    done(council, "kept")
    done(council)
    assert [body.outcome for body in council.bodies(p.FirstVisitCalledOff)] == ["kept"], "once"
    assert council.placement().call_offs[0].outcome == "kept"
    council.advance(hours=6)
    assert council.told("BD-33") == []
    assert council.replayed().next_deadline() == council.restarted().next_deadline()


def test_one_that_was_confirmed_and_has_not_landed_may_stand_there_all_the_same() -> None:
    desk = After(providers=(structs.replace(ACE, desk="acorn"), BEE, SEA, FRAME))
    desk.sends()
    desk.has_bid("ace")
    desk.proposed()
    desk.award()
    desk.confirms()
    desk.acts("withdraw", withdrawn="died")
    assert len(desk.placement().call_offs) == 1


@pytest.mark.parametrize("desk", [None, "acorn"])
def test_there_is_nothing_to_call_off_without_a_first_visit_in_a_desk_here(desk: str | None) -> None:
    made = After(providers=(structs.replace(ACE, desk=desk), BEE, SEA, FRAME))
    made.sends()
    made.has_bid("ace")
    made.proposed()
    made.award()
    if desk is None:
        made.confirms()
    made.acts("withdraw", withdrawn="died")
    assert made.placement().call_offs == ()
    assert done(made).refusal is not None


def test_awarded_to_them_again_the_second_first_visit_has_a_name_of_its_own(council: After) -> None:
    council.acts("send_back", note=NOTE)
    council.award("ace")
    council.confirms()
    council.acts("send_back", note=NOTE)
    assert [off.again for off in council.placement().call_offs] == [0, 1]


@pytest.mark.parametrize(("before", "told"), [(timedelta(milliseconds=1), []), (timedelta(0), ["bea"])])
def test_what_is_not_called_off_within_ten_minutes_is_told_to_the_broker_once(
    council: After, before: timedelta, told: list[str]
) -> None:
    council.acts("withdraw", withdrawn="died")
    council.advance(seconds=(timedelta(minutes=10) - before).total_seconds())
    assert council.told("BD-33") == told
    council.advance(hours=2)
    assert council.told("BD-33") == ["bea"]
    done(council)
    assert council.placement().call_offs[0].outcome == "called_off", "it is tried on"
    council.advance(hours=24)
    assert "k1" not in council.state.values.placements


def test_what_was_called_off_after_all_is_told_to_nobody(council: After) -> None:
    council.acts("withdraw", withdrawn="died")
    council.advance(minutes=10)
    waiting = [message for message in council.messages() if message.template == "BD-33"]
    done(council)
    assert waiting
    assert [council.send(message) for message in waiting].count("send") == 0
