"""Never to be told holds against every path: the real core, driven through random people, plans and days.

The judge here knows only who must not hear of whom and who uses which line. It shares no code with the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.policy import Duty
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.callers import Join
from monitor.core.inputs import CallerWaits
from monitor.core.state import Message
from tests.core.driver import MONDAY, Desk

HOMES = ("ed", "fay")
OTHERS = ("ned", "nan", "dee", "kit", "olga", "paul", "mary")
LINES = ("l-1", "l-2", "l-3", "l-4", "l-5", "l-6")
ROLES = {"ned": "contact", "nan": "contact", "dee": "care_worker", "kit": "care_worker"}


@cache
def lines() -> st.SearchStrategy[tuple[LineView, ...]]:
    """Of few lines, so that people share them."""
    line = st.builds(
        LineView,
        ref=st.sampled_from(LINES),
        kind=st.sampled_from(["mobile", "landline"]),
        use=st.sampled_from(["first", "voice_only", "text_only"]),
    )
    return st.lists(line, max_size=3, unique_by=lambda one: one.ref).map(tuple)


@cache
def plans() -> st.SearchStrategy[PlanView]:
    return st.builds(
        PlanView,
        channels=st.sampled_from([(), ("voice",), ("text",), ("text", "voice"), ("person",)]),
        never_tell=st.frozensets(st.sampled_from(OTHERS), max_size=4),
        spokesperson=st.sampled_from([None, None, "ned", "nan", "olga"]),
        minor=st.booleans(),
        understands_keys=st.booleans(),
    )


@dataclass
class World:
    """A desk and the judge beside it."""

    desk: Desk
    heard: list[str] = field(default_factory=list)
    seen: int = 0

    def person(self, ref: str, **more: Any) -> None:
        people = self.desk.people.people
        people[ref] = structs.replace(people[ref], **more)

    def judge(self) -> None:
        """Every message that left since the last look: who heard it, on which line, about whom."""
        for fact in self.desk.facts[self.seen :]:
            if isinstance(fact.body, f.MessageAttempted):
                message = self.desk.message(fact.subject)
                self.allowed(self.about(message), message.person, message.line)
            if isinstance(fact.body, f.AlertTaken):
                alert = self.desk.state.values.alerts[fact.subject]
                self.allowed(alert.service_user, fact.body.by, None)
        self.seen = len(self.desk.facts)

    def about(self, message: Message) -> str | None:
        values = self.desk.state.values
        if message.alert in values.alerts:
            return values.alerts[message.alert].service_user
        return values.visits[message.visit].service_user if message.visit in values.visits else None

    def allowed(self, about: str | None, person: str, line: str | None) -> None:
        if about is None:
            return
        never = self.desk.people.people[about].plan.never_tell
        assert person not in never, f"{person} heard of {about}"
        for other in never:
            used = {one.ref for one in self.desk.people.people[other].lines}
            assert not line or line not in used, f"{other} uses the line on which {person} heard of {about}"
        self.heard.append(person)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    duty = tuple(
        Duty(person=draw(st.sampled_from(OTHERS)), role=role, hours="otherwise")
        for role in ("on_call", "on_call", "manager")
    )
    world = World(Desk(public="auto", duty=duty, ask_worker=(timedelta(minutes=10),)))
    people = world.desk.people.people
    people["nan"] = PersonView(ref="nan", role="contact")
    for ref in (*HOMES, *OTHERS):
        world.person(ref, lines=draw(lines()))
    for ref in HOMES:
        plan = draw(plans())
        kin = draw(st.lists(st.sampled_from(OTHERS[:4]), unique=True, max_size=3))
        world.person(ref, plan=plan, next_of_kin=tuple(one for one in kin if one not in plan.never_tell))
        workers = tuple(draw(st.lists(st.sampled_from(["dee", "kit"]), unique=True, min_size=1, max_size=2)))
        world.desk.plan(f"v-{ref}", service_user=ref, workers=workers)
    return world


STEPS = ("wait", "send", "press", "reply", "act", "call", "settle", "replan", "check")


@settings(max_examples=150, deadline=None)
@given(world=worlds(), data=st.data())
def test_whoever_must_not_be_told_hears_nothing_by_any_path(world: World, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(4, 16))):
        _step(world, data, data.draw(st.sampled_from(STEPS)))
        world.judge()


def _step(world: World, data: st.DataObject, step: str) -> None:
    desk, draw = world.desk, data.draw
    messages, alerts = desk.messages(), desk.alerts()
    if step == "wait":
        desk.advance(minutes=draw(st.sampled_from([1, 5, 11, 31])))
    elif step == "send":
        desk.send_all()
    elif step == "press" and (calls := [m for m in messages if m.channel == "call" and m.attempts]):
        desk.press(
            draw(st.sampled_from(calls)), *draw(st.sampled_from([("1",), ("2",), ("1", "2"), ("", "")]))
        )
    elif step == "reply":
        person = draw(st.sampled_from((*HOMES, *OTHERS)))
        used = [line.ref for line in desk.people.people[person].lines]
        if used:
            on = draw(st.sampled_from(used))
            persons = tuple(sorted(desk.people.on_line(on)))
            desk.text(
                person, draw(st.sampled_from(["11", "12", "1", None])), line=on, persons=persons, word="help"
            )
    elif step == "act" and alerts:
        action = draw(st.sampled_from(["take", "hand_over", "spoke_service_user", "pause", "close"]))
        by, to = draw(st.sampled_from(OTHERS)), draw(st.sampled_from([None, *OTHERS]))
        more = {"to": to} if action == "hand_over" else {"reason": "other"} if action == "close" else {}
        desk.act(action, by, alert=draw(st.sampled_from(alerts)), **more)
    elif step == "call":
        home = draw(st.sampled_from(HOMES))
        joined = desk.tell(CallerWaits(why="help", service_user=home, worker="dee")).answer
        assert isinstance(joined, Join)
        for rung in joined.rungs:
            world.allowed(home, rung.person, rung.line)
    elif step == "settle" and (out := [m for m in messages if m.phase == "accepted"]):
        status = draw(st.sampled_from(["no_answer", "failed", "busy", "completed", "delivered"]))
        desk.deliver(draw(st.sampled_from(out)), status)
    elif step == "replan":
        # the plan is changed while alerts are open and messages wait
        home, plan = draw(st.sampled_from(HOMES)), draw(plans())
        world.person(home, plan=plan, next_of_kin=())
    elif step == "check":
        desk.check(
            device=draw(st.sampled_from(["d-dee", "d-kit"])), service_user=draw(st.sampled_from(HOMES))
        )


# --- the same, path by path ---


def never(*refs: str) -> PlanView:
    return PlanView(never_tell=frozenset(refs))


def alerted(plan: PlanView) -> Desk:
    desk = Desk()
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], plan=plan)
    desk.plan()
    desk.advance(minutes=30)
    return desk


def test_somebody_on_duty_who_must_not_be_told_is_passed_over_at_once() -> None:
    desk = alerted(never("paul"))
    assert {m.person for m in desk.messages("summon")} == {"mary"}
    desk.send_all()
    desk.advance(hours=3)
    assert "paul" not in {m.person for m in desk.messages()}
    assert {m.person for m in desk.messages("summon")} == {"mary", "olga"}, "olga in office hours"


def test_when_nobody_on_duty_may_be_told_the_track_says_so_and_asks_again() -> None:
    desk = alerted(never("paul", "mary"))
    track = desk.alert().track("summon")
    assert track is not None
    assert (track.reason, track.step) == ("nobody_on_duty", "trying")
    assert track.next_at == MONDAY + timedelta(minutes=35)


def test_a_line_that_they_share_is_not_rung_for_the_service_user_either() -> None:
    desk = Desk()
    desk.people.people["ned"] = PersonView(ref="ned", role="contact", lines=(LineView(ref="l-ed"),))
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], plan=never("ned"))
    desk.plan()
    desk.advance(minutes=30)
    assert desk.messages("reassure") == []
    track = desk.alert().track("reassure")
    assert track is not None
    assert (track.step, track.reason) == ("skipped", "never_told")


def test_what_was_queued_before_the_plan_said_so_does_not_leave() -> None:
    desk = alerted(PlanView())
    message = desk.messages("summon")[0]
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], plan=never("paul"))
    assert desk.send(message) == "no"
    assert (desk.message(message.key).result, desk.message(message.key).reason) == ("cancelled", "never_told")


@pytest.mark.parametrize("more", [{"action": "take"}, {"action": "hand_over", "to": "paul", "by": "olga"}])
def test_who_must_not_be_told_can_neither_take_it_nor_be_given_it(more: dict[str, str]) -> None:
    desk = alerted(never("paul"))
    words = {"by": "paul"} | more
    refusal = desk.act(**words).refusal
    assert refusal is not None
    assert refusal.code == "never_told"
    assert desk.alert().state == "open"


def test_their_answer_from_before_takes_nothing() -> None:
    desk = alerted(PlanView())
    desk.send_all()
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], plan=never("paul"))
    desk.text("paul", "11")
    assert desk.alert().state == "open"


def test_nobody_is_joined_to_a_caller_of_whom_they_must_not_hear() -> None:
    desk = Desk()
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], plan=never("paul"))
    joined = desk.tell(CallerWaits(why="help", service_user="ed", worker="dee")).answer
    assert [rung.person for rung in joined.rungs] == ["mary"]
