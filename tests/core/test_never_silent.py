"""Nothing but a contact ends the watch over a visit to which nobody comes: the real core, driven through everything
else that can happen to it. No care worker arrives here and nobody of ours takes it: so staff are being summoned, from
the minute at which it is late until the end (domain.md: few false alarms, none missed).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.policy import CouncilDesk, Duty, Policy
from escalation import replace
from escalation.people import LineView
from monitor.core.causes import IN_INCIDENT
from monitor.core.inputs import PeopleReceived, PolicyLoaded, RotaRow, SignalChanged
from monitor.core.state import Alert
from tests.core.driver import AWAY, DUTY, MONDAY, NEXT_DOOR, THERE, Desk

MINUTE = timedelta(minutes=1)
START = MONDAY + 60 * MINUTE
"""So near that no upload may move its deadline (`plan_freeze`), nor drop it unconfirmed."""
LATE = START + 30 * MINUTE
RUNG = timedelta(minutes=31)
"""The longest that one person of ours has before the next is summoned: six times `summon_next`, and a rest."""

STEPS = ("wait", "wait", "send", "check", "rota", "policy", "people", "signal", "text", "press", "restart")
CHECKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("arrive", {"position": AWAY}),
    ("arrive", {"position": THERE, "mock": True}),
    ("arrive", {"visit": "v1", "service_user": "fay", "tag": True}),
    ("arrive", {"service_user": "fay", "tag": True}),
    ("arrive", {"position": NEXT_DOOR}),
    ("arrive", {"visit": "v1", "retained": True}),
    ("arrive", {"visit": "v1", "unknown_device": True, "device": "d-x"}),
    ("leave", {"visit": "v1"}),
    ("leave", {"position": THERE}),
    ("refused", {"position": AWAY, "visit": "v1"}),
    ("fix", {"position": AWAY}),
    ("fix", {"position": NEXT_DOOR}),
    ("no_reply", {"position": AWAY, "visit": "v1"}),
    ("offline", {}),
)
ROTA: tuple[dict[str, Any], ...] = (
    {"start": START + 45 * MINUTE},
    {"start": START + 24 * 60 * MINUTE},
    {"start": START - 30 * MINUTE},
    {"late_after": timedelta(hours=4)},
    {"workers": ()},
    {"workers": ("kit",)},
    {"workers": ("dee", "kit")},
    {"service_user": "fay"},
    {"visit_kind": "live_in"},
    {"cancelled": True},
    {"drop": True},
)
DUTIES = (
    DUTY,
    (),
    (Duty(person="mary", role="manager", hours="otherwise"),),
    (Duty(person="nobody", role="on_call", hours="daily 00:00-24:00"),),
)
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"late_after": timedelta(hours=4)},
    {"summon_next": timedelta(minutes=1)},
    {"ask_worker": ()},
)
ENDS = ("delivered", "no_answer", "failed", "completed", "busy", "in_progress")


def begun() -> Desk:
    """A late visit to come, one of the day before it in the same home, and one next door that is made."""
    desk = Desk(council_desks=(CouncilDesk(ref="c1", hours="otherwise"),))
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    desk.plan("v0", start=MONDAY - 60 * MINUTE, workers=("kit",), service_user="fay")
    desk.check(visit="v0", device="d-kit", at=MONDAY - 60 * MINUTE)
    desk.plan("v1", start=START)
    desk.plan("v2", start=START + 60 * MINUTE, service_user="fay")
    return desk


def judge(desk: Desk) -> None:
    """Somebody is being summoned about ed, however much has happened since."""
    assert desk.now < LATE or summoned(desk, about_ed(desk))


def about_ed(desk: Desk) -> Alert:
    found = [a for a in desk.alerts("late_visit") if a.service_user == "ed"]
    assert found, f"nobody is summoned: {desk.visit('v1')}"
    (alert,) = found
    assert alert.state == "open", f"{alert.state}, {alert.ended_reason}"
    assert alert.due_at <= LATE
    return alert


def summoned(desk: Desk, alert: Alert) -> bool:
    track = alert.track("summon")
    assert track is not None
    if track.reason == IN_INCIDENT:
        incident = desk.state.values.alerts[alert.incident or ""]
        assert incident.state == "open"
        return summoned(desk, incident)
    assert track.step == "trying", f"{track.step}, {track.reason}"
    assert track.next_at is not None
    assert track.next_at <= desk.now + RUNG
    return True


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_but_a_contact_ends_the_summons_about_somebody_to_whom_nobody_comes(
    data: st.DataObject,
) -> None:
    desk = begun()
    for _ in range(data.draw(st.integers(4, 25))):
        STEP[data.draw(st.sampled_from(STEPS))](desk, data)
        judge(desk)
    desk.advance(seconds=max((LATE + 61 * MINUTE - desk.now).total_seconds(), 0))
    judge(desk)
    hour = about_ed(desk).track("replace")
    assert hour is not None
    assert hour.index == replace.BREACH
    assert desk.visit("v1").service_user != "ed" or desk.visit("v1").missed


def _wait(desk: Desk, data: st.DataObject) -> None:
    desk.advance(minutes=data.draw(st.sampled_from([1, 5, 14, 31, 45])))


def _send(desk: Desk, data: st.DataObject) -> None:
    for message in desk.send_all():
        desk.deliver(message, data.draw(st.sampled_from(ENDS)))  # type: ignore[arg-type]


def _check(desk: Desk, data: st.DataObject) -> None:
    kind, how = data.draw(st.sampled_from(CHECKS))
    at = desk.now - data.draw(st.sampled_from([0, 0, 45, 24 * 60])) * MINUTE
    desk.check(kind, at=at, **{"device": data.draw(st.sampled_from(["d-dee", "d-kit"]))} | how)  # type: ignore[arg-type]


def _rota(desk: Desk, data: st.DataObject) -> None:
    """An upload that nobody has confirmed; of some of these nothing is applied."""
    change = dict(data.draw(st.sampled_from(ROTA)))
    start = change.pop("start", START)
    if change.pop("drop", False):
        rows: tuple[RotaRow, ...] = ()
    else:
        kind = change.pop("visit_kind", "visit")
        row = {"service_user": "ed", "workers": ("dee",), "kind": kind} | change
        end = start + 30 * MINUTE
        rows = (RotaRow(row=1, key="v1", visit="v1", start=start, end=end, **row),)
    covers = {"covers_from": MONDAY, "covers_to": MONDAY + timedelta(days=1), "complete": not rows}
    desk.upload(*rows, **covers)


def _policy(desk: Desk, data: st.DataObject) -> None:
    values = dict(data.draw(st.sampled_from(POLICIES)))
    if desk.now < START:
        values.pop("late_after", None)  # a visit that is not yet due has the tolerance of the new policy
    desk.tell(
        PolicyLoaded(
            policy=Policy(rota_old_after=timedelta(days=14), **values),
            duty=data.draw(st.sampled_from(DUTIES)),
            council_desks=data.draw(st.sampled_from([(), (CouncilDesk(ref="c1", hours="otherwise"),)])),
            holidays=(),
            public=data.draw(st.sampled_from(["off", "ask", "auto"])),
        )
    )


def _people(desk: Desk, data: st.DataObject) -> None:
    """Somebody's telephones are others now, or none; who must not hear of him is on duty."""
    people = desk.people.people
    who = data.draw(st.sampled_from(["ed", "paul", "mary", "ned", "dee"]))
    lines = data.draw(st.sampled_from([(), (LineView(ref=f"l-{who}"),), (LineView(ref="l-both"),)]))
    people[who] = structs.replace(people[who], lines=lines)
    never = data.draw(st.sampled_from([frozenset(), frozenset({"paul"}), frozenset({"ned"})]))
    people["ed"] = structs.replace(people["ed"], plan=structs.replace(people["ed"].plan, never_tell=never))
    desk.tell(PeopleReceived(changed=(who, "ed"), people_rev=2))


def _signal(desk: Desk, data: st.DataObject) -> None:
    cause, subject = data.draw(
        st.sampled_from([("broker", ""), ("feed", "f1"), ("device", "d-dee"), ("clock", "")])
    )
    desk.tell(SignalChanged(cause=cause, subject=subject, dark=data.draw(st.booleans())))  # type: ignore[arg-type]


def _text(desk: Desk, data: st.DataObject) -> None:
    """What somebody outside, or a care worker, answers. Nobody of ours says that they have it."""
    open_ = [m for m in desk.messages() if m.slot is not None and m.person in ("dee", "kit", "ed", "ned")]
    if not open_:
        return
    message = data.draw(st.sampled_from(open_))
    digit = data.draw(st.sampled_from(["1", "2", "3", "2 5"]))
    desk.text(message.person, f"{message.slot}{digit}", line=message.line)


def _press(desk: Desk, data: st.DataObject) -> None:
    calls = [m for m in desk.messages() if m.channel == "call" and m.person in ("ed", "ned")]
    calls = [m for m in calls if m.phase == "accepted"]
    if calls:
        desk.press(data.draw(st.sampled_from(calls)), data.draw(st.sampled_from(["1", "3"])))


def _restart(desk: Desk, data: st.DataObject) -> None:
    desk.restart(snapshot=data.draw(st.booleans()))


STEP = {
    "wait": _wait,
    "send": _send,
    "check": _check,
    "rota": _rota,
    "policy": _policy,
    "people": _people,
    "signal": _signal,
    "text": _text,
    "press": _press,
    "restart": _restart,
}
