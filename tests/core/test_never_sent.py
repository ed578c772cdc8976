"""Nothing is ever sent to the home of somebody who has died: the real core, driven through random people and days.

The judge here knows only who has died, who uses which line and who works for us. It shares no code with the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.policy import CouncilDesk
from escalation.people import PersonView
from monitor.core import facts as f
from monitor.core.inputs import (
    AbsenceActed,
    AbsenceTold,
    CallerWaits,
    DeathTold,
    DeliveryReported,
    PracticeWanted,
    SendReported,
)
from monitor.core.messages import SayBack
from monitor.core.state import Message
from tests.core.driver import MONDAY, NOWHERE, Desk
from tests.core.test_never_told import lines, plans

HOMES = ("ed", "fay")
OUTSIDE = ("ned", "nan")
OURS = ("dee", "kit", "olga", "paul", "mary")


@dataclass
class World:
    """A desk and the judge beside it. `dead`: who has died, as the test has told."""

    desk: Desk
    dead: set[str] = field(default_factory=set)
    left: int = 0
    sent: int = 0

    def judge(self) -> None:
        """Every message that left since the last look."""
        for fact in self.desk.facts[self.left :]:
            if isinstance(fact.body, f.MessageAttempted):
                self.allowed(self.desk.message(fact.subject))
        self.left = len(self.desk.facts)

    def allowed(self, message: Message) -> None:
        self.sent += 1
        assert message.person not in self.dead, f"{message.template} to somebody who has died"
        values = self.desk.state.values
        about = {message.about} & self.dead
        if message.alert in values.alerts:
            about |= {values.alerts[message.alert].service_user} & self.dead
        elif message.visit in values.visits:
            # the rota may have given an alert's visit to somebody else meanwhile: then the alert says whom it is about
            about |= {values.visits[message.visit].service_user} & self.dead
        assert not about or message.person in OURS, f"{message.template} told {message.person} of {about}"
        users = self.desk.people.on_line(message.line or "")
        if users & self.dead:
            assert message.person in users, f"{message.template} on the line of somebody who has died"

    def said_back(self, line: str, answer: Any) -> None:
        """An automatic reply leaves in the very answer to the network."""
        if isinstance(answer, SayBack):
            users = self.desk.people.on_line(line)
            assert answer.person not in self.dead
            assert not users <= self.dead, "a reply to a line that only the dead have used"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    councils = (CouncilDesk(ref="c1", hours="otherwise"),)
    world = World(Desk(public="auto", ask_worker=(timedelta(minutes=10),), council_desks=councils))
    people = world.desk.people.people
    people["nan"] = PersonView(ref="nan", role="contact")
    for ref in (*HOMES, *OUTSIDE, *OURS):
        people[ref] = structs.replace(people[ref], lines=draw(lines()))
    for ref in HOMES:
        kin = tuple(draw(st.lists(st.sampled_from((*OUTSIDE, *HOMES)), unique=True, max_size=3)))
        speaks = draw(st.sampled_from([None, None, "ned", *HOMES]))
        plan = structs.replace(draw(plans()), never_tell=frozenset(), spokesperson=speaks)
        people[ref] = structs.replace(people[ref], plan=plan, next_of_kin=kin)
        world.desk.plan(f"v-{ref}", service_user=ref, workers=("dee", "kit")[: draw(st.integers(1, 2))])
        world.desk.plan(f"w-{ref}", service_user=ref, start=MONDAY + timedelta(hours=2), workers=("kit",))
    return world


STEPS = (
    "wait",
    "send",
    "send",
    "press",
    "reply",
    "act",
    "call",
    "settle",
    "doubt",
    "check",
    "rota",
    "away",
    "practise",
    "restart",
    "died",
)


@settings(max_examples=200, deadline=None)
@given(world=worlds(), data=st.data())
def test_nothing_is_ever_sent_to_the_home_of_somebody_who_has_died(world: World, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(6, 24))):
        _step(world, data, data.draw(st.sampled_from(STEPS)))
        world.judge()
    world.desk.send_all()
    world.judge()


def _step(world: World, data: st.DataObject, step: str) -> None:
    desk, draw = world.desk, data.draw
    messages, alerts = desk.messages(), desk.alerts()
    if step == "wait":
        desk.advance(minutes=draw(st.sampled_from([1, 5, 11, 31, 400])))
    elif step == "send":
        desk.send_all()
    elif step == "died":
        person, undo = draw(st.sampled_from(HOMES)), draw(st.integers(0, 5)) == 0
        told = DeathTold(service_user=person, by="mary", at=desk.now, note=NOWHERE, undo=undo)
        if desk.tell(told).refusal is None:
            (world.dead.discard if undo else world.dead.add)(person)
    elif step == "press" and (calls := [m for m in messages if m.channel == "call" and m.attempts]):
        keys = draw(st.sampled_from([("1",), ("2",), ("3",), ("1", "2"), ("1", "2", "4"), ("", "")]))
        desk.press(draw(st.sampled_from(calls)), *keys)
    elif step == "reply":
        _reply(world, data)
    elif step == "act" and alerts:
        _act(world, data)
    elif step == "call":
        desk.tell(CallerWaits(why="help", service_user=draw(st.sampled_from(HOMES)), worker="dee"))
    elif step == "settle" and (out := [m for m in messages if m.phase == "accepted"]):
        status = draw(st.sampled_from(["no_answer", "failed", "busy", "completed", "delivered"]))
        desk.tell(DeliveryReported(key=draw(st.sampled_from(out)).key, status=status))
    elif step == "doubt" and (queued := [m for m in messages if m.phase == "queued"]):
        message = draw(st.sampled_from(queued))
        if desk.tell_turn(message) == "send":
            world.judge()
            desk.tell(SendReported(key=message.key, result="unknown", possibly_repeated=True))
    else:
        _other(world, data, step)


def _reply(world: World, data: st.DataObject) -> None:
    desk, draw = world.desk, data.draw
    person = draw(st.sampled_from((*HOMES, *OUTSIDE, *OURS)))
    used = [line.ref for line in desk.people.people[person].lines]
    if used:
        on = draw(st.sampled_from(used))
        words = draw(st.sampled_from(["help", "other", "dont_come", "stop"]))
        code = draw(st.sampled_from(["11", "12", "13", "1", None]))
        persons = tuple(sorted(desk.people.on_line(on)))
        world.said_back(on, desk.text(person, code, line=on, persons=persons, word=words).answer)


def _act(world: World, data: st.DataObject) -> None:
    desk, draw = world.desk, data.draw
    alert = draw(st.sampled_from(desk.alerts()))
    actions: list[tuple[str, dict[str, Any]]] = [
        ("take", {}),
        ("hand_over", {}),
        ("close", {"reason": "other"}),
        ("assign_replacement", {"to": "kit", "minutes": 10}),
        ("told_next_of_kin", {"to": "ned"}),
        ("do_now", {"track": "inform"}),
        ("do_now", {"track": "reassure"}),
        ("spoke_care_worker", {"reason": "cannot", "to": "dee"}),
    ]
    action, more = draw(st.sampled_from(actions))
    desk.act(action, draw(st.sampled_from(["olga", "paul", "mary"])), alert=alert, **more)


def _other(world: World, data: st.DataObject, step: str) -> None:
    desk, draw = world.desk, data.draw
    home = draw(st.sampled_from(HOMES))
    if step == "check":
        device, kind = (
            draw(st.sampled_from(["d-dee", "d-kit"])),
            draw(st.sampled_from(["arrive", "no_reply"])),
        )
        desk.check(kind, device=device, service_user=home)  # type: ignore[arg-type]
    elif step == "rota":
        start = desk.now + timedelta(minutes=draw(st.sampled_from([0, 60])))
        desk.plan(draw(st.sampled_from(["v-ed", "w-ed", "v-fay", "x"])), service_user=home, start=start)
    elif step == "practise":
        desk.tell(PracticeWanted(person=home, by="olga"))
    elif step == "restart":
        desk.restart(snapshot=draw(st.booleans()))
    elif step == "away":
        open_ = [one for one in desk.state.values.absences.values() if one.ended_at is None]
        if open_:
            ref, action = open_[0].ref, draw(st.sampled_from(["confirm", "asked", "end"]))
            desk.tell(
                AbsenceActed(
                    absence=ref,
                    action=action,  # type: ignore[arg-type]
                    by="mary",
                    at=desk.now,
                    spoke_to="place",
                    outcome="returned",
                )
            )
            return
        desk.tell(
            AbsenceTold(
                service_user=home,
                reason="hospital",
                from_at=desk.now,
                review_at=desk.now + timedelta(hours=5),
                raised_by="family",
                by="mary",
                note=NOWHERE,
                spoke_to="place",
                at=desk.now,
            )
        )


def test_the_judge_sees_messages_at_all_and_those_that_would_be_wrong() -> None:
    """The property would hold as well if nothing were ever sent."""
    world = World(Desk())
    world.desk.plan()
    world.desk.advance(minutes=31)
    world.desk.send_all()
    world.judge()
    assert world.sent > 0
    wrong = world.desk.messages("reassure", "ed")[0]
    world.dead.add("ed")
    try:
        world.allowed(wrong)
    except AssertionError:
        return
    raise AssertionError("a message to somebody who has died was let pass")
