"""Several contracts in one desk: tolerance, terms and council desk are those of the service user's own (domain.md)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Contract, CouncilDesk, Policy, policy_digest
from monitor.core import facts as f
from monitor.core.inputs import PeopleReceived, PolicyLoaded
from tests.core.driver import DUTY, MONDAY, Desk

MINUTE = timedelta(minutes=1)
TIGHT = Policy(late_after=10 * MINUTE, replace_within=20 * MINUTE, rota_old_after=timedelta(days=14))
CHILDREN = Policy(late_after=5 * MINUTE, rota_old_after=timedelta(days=14))
CONTRACTS = (
    Contract(id="lbb", policy=TIGHT),
    Contract(id="lbb", client_group="children", policy=CHILDREN),
    Contract(id="private", council=False, policy=Policy(rota_old_after=timedelta(days=14))),
)
BROMLEY = (
    CouncilDesk(ref="duty", hours="Mon-Fri 09:00-17:00"),
    CouncilDesk(ref="direct", hours="Mon-Fri 17:00-17:30"),
    CouncilDesk(ref="edt", hours="otherwise"),
    CouncilDesk(ref="children", hours="Mon-Fri 09:00-17:00", client_group="children"),
    CouncilDesk(ref="lewisham", hours="otherwise", contract="lbl"),
    CouncilDesk(
        ref="lewisham_children", hours="Mon-Fri 09:00-17:00", contract="lbl", client_group="children"
    ),
)


def desk_of(contract: str | None, group: str | None = None, **more: Any) -> Desk:
    """ed's contract and group; the desk has all of them."""
    desk = Desk(contracts=CONTRACTS, council_desks=BROMLEY, **more)
    belongs(desk, contract, group)
    return desk


def belongs(desk: Desk, contract: str | None, group: str | None = None) -> None:
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], contract=contract, client_group=group)


@pytest.mark.parametrize(
    ("contract", "group", "minutes"),
    [
        (None, None, 30),
        ("unheard of", None, 30),
        ("lbb", None, 10),
        ("lbb", "discharge", 10),
        ("lbb", "children", 5),
        ("private", None, 30),
        (None, "children", 30),
    ],
)
def test_a_visit_is_late_by_the_tolerance_of_its_service_users_contract(
    contract: str | None, group: str | None, minutes: int
) -> None:
    desk = desk_of(contract, group)
    desk.plan()
    desk.advance(minutes=minutes, milliseconds=-1)
    assert desk.alerts() == []
    desk.advance(milliseconds=1)
    assert desk.alert().due_at == MONDAY + minutes * MINUTE


def test_an_alert_keeps_the_terms_of_its_contract_when_they_change() -> None:
    desk = desk_of("lbb")
    desk.plan()
    desk.advance(minutes=10)
    assert desk.alert().policy == policy_digest(TIGHT)
    assert desk.alert().hour_at == MONDAY + 30 * MINUTE
    before = desk.state.policy_of(desk.alert().policy)
    values = desk.state.values
    loaded = PolicyLoaded(
        policy=values.policy, duty=DUTY, council_desks=BROMLEY, holidays=(), public="auto", contracts=()
    )
    desk.tell(loaded)
    assert desk.state.policy_of(desk.alert().policy) == before == TIGHT


def test_the_facts_alone_say_by_which_terms_an_alert_was_run() -> None:
    desk = desk_of("lbb", "children")
    desk.plan()
    desk.advance(minutes=8)
    for state in (desk.replayed(), desk.restarted()):
        assert state.values.contracts == desk.state.values.contracts
        assert state.policy_of(desk.alert().policy) == CHILDREN


def test_the_same_contracts_loaded_again_are_no_fact() -> None:
    desk = desk_of("lbb")
    policy = desk.state.values.policy
    loaded = PolicyLoaded(
        policy=policy, duty=DUTY, council_desks=BROMLEY, holidays=(), public="auto", contracts=CONTRACTS
    )
    assert desk.tell(loaded).drafts == ()


@pytest.mark.parametrize(("due_in", "late_at"), [(1, 11), (0, 30)])
def test_changed_terms_reach_only_visits_that_are_not_yet_due(due_in: int, late_at: int) -> None:
    desk = Desk(council_desks=BROMLEY)
    belongs(desk, "lbb")
    desk.plan(start=MONDAY + due_in * MINUTE)
    policy = desk.state.values.policy
    desk.tell(
        PolicyLoaded(
            policy=policy, duty=DUTY, council_desks=BROMLEY, holidays=(), public="auto", contracts=CONTRACTS
        )
    )
    assert desk.visit().late_at == MONDAY + late_at * MINUTE


def test_who_comes_to_another_contract_has_its_tolerance_from_the_next_visit_on() -> None:
    desk = desk_of(None)
    desk.plan(start=MONDAY + 5 * MINUTE)
    belongs(desk, "lbb")
    desk.tell(PeopleReceived(changed=("ed",), people_rev=2))
    assert desk.visit().late_at == MONDAY + 15 * MINUTE


WEDNESDAY = datetime(2026, 11, 25, tzinfo=UTC)
HOLIDAY = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("day", "clock", "contract", "group", "desk_ref"),
    [
        (0, "08:59", None, None, "edt"),
        (0, "09:00", None, None, "duty"),
        (0, "16:59", None, None, "duty"),
        (0, "17:00", None, None, "direct"),
        (0, "17:29", None, None, "direct"),
        (0, "17:30", None, None, "edt"),
        (3, "10:00", None, None, "edt"),  # Saturday
        (1, "10:00", None, None, "edt"),  # a bank holiday
        (0, "10:00", "lbb", None, "duty"),
        (0, "10:00", None, "children", "children"),
        (0, "17:00", None, "children", "direct"),
        (0, "10:00", "lbl", None, "lewisham"),
        (0, "10:00", "lbl", "children", "lewisham_children"),
        (0, "20:00", "lbl", "children", "lewisham"),
        (0, "10:00", "private", None, None),
        (0, "20:00", "private", "children", None),
    ],
)
def test_the_council_desk_is_that_of_the_contract_the_group_and_the_clock(
    day: int, clock: str, contract: str | None, group: str | None, desk_ref: str | None
) -> None:
    desk = desk_of(contract, group, holidays=[HOLIDAY])
    hour, minute = (int(part) for part in clock.split(":"))
    at = WEDNESDAY + timedelta(days=day, hours=hour, minutes=minute)
    assert desk.state.council_desk(desk.people.person("ed"), at) == desk_ref


def unreached(desk: Desk) -> None:
    """Nobody comes, nobody answers, and the time in which somebody must be sent passes."""
    desk.plan()
    desk.advance(minutes=130)


def test_a_private_contract_has_no_council_to_tell_and_a_fact_says_so() -> None:
    desk = desk_of("private")
    unreached(desk)
    told = [(body.step, body.reason, body.desk) for body in desk.bodies(f.CouncilMoved)]
    assert told == [("skipped", "no_council_desk", None)]
    assert desk.messages("inform_council") == []


def test_the_council_of_the_contract_is_written_to_and_no_other_one() -> None:
    desk = desk_of("lbl")
    unreached(desk)
    assert {message.person for message in desk.messages("inform_council")} == {"lewisham"}
