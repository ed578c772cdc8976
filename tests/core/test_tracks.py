"""Whatever happens in whatever order: no track of an open alert comes to a stop that is not an end (spec 22)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.evolve import evolve
from monitor.core.state import Alert, State
from tests.core.days import Op, copy_of, do
from tests.core.driver import MONDAY, Desk

NUMBER = st.integers(0, 999)
ONCE = ("plan", "send", "end", "act", "press", "check", "text", "upload", "signal", "policy", "line", "round")
BUSY = (*ONCE, "answer", "answer", "wait", "wait")
DAYS = st.lists(st.tuples(st.sampled_from(BUSY), NUMBER, NUMBER, NUMBER), max_size=45)
ENDS = frozenset({"reached", "not_reached", "skipped", "done"})
GOES_ON: dict[str, frozenset[str]] = {
    # an incident that is over gives its alerts their summons back
    "summon": frozenset({"lapsed", "line_waits", "handed_over", "passed_on", "no_key", "incident_over"}),
    # a claim that was waited for in vain: the service user is rung after all
    "reassure": frozenset({"raised", "ask_public", "dark", "clock_doubted", "same_line"}),
    "locate": frozenset({"eta_missed", "replanned"}),
    # who was sent does not come, or of two the other one does not
    "replace": frozenset(
        {"replacement_late", "given_back", "silent", "cannot", "no_line", "eta_missed", "not_checked_in"}
        | {"on_my_way", "there", "no_worker", "raised", "nobody_left", "replanned", "driving"}
    ),
    "inform": frozenset(),
}
"""With which reason a track that was at its end goes on again; the fact says it."""


def staffed(**desk_: Any) -> Desk:
    """ed has a next of kin, and there are some who could go instead."""
    desk = Desk(MONDAY, **desk_)
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    for worker in ("lou", "max"):
        people[worker] = PersonView(ref=worker, role="care_worker", lines=(LineView(ref=f"l-{worker}"),))
    return desk


def stuck(desk: Desk) -> list[str]:
    """Tracks of open alerts with an hour that are neither at an end nor have a next moment in the future."""
    found = []
    for alert in desk.alerts():
        if alert.state == "ended" or alert.hour_at is None:
            continue
        moments = [(track.name, track.step, track.reason, track.next_at) for track in alert.tracks]
        if alert.council is not None:
            moments.append(("council", alert.council.step, alert.council.reason, alert.council.next_at))  # type: ignore[arg-type]
        for name, step, reason, next_at in moments:
            if (next_at is None and step not in ENDS) or (next_at is not None and next_at <= desk.now):
                found.append(f"{alert.ref} {name}: {step}, {reason}, {next_at}")
        found += [
            f"{alert.ref} {name}: none" for name in ("summon", "locate", "replace") if missing(alert, name)
        ]
    return found


def missing(alert: Alert, name: str) -> bool:
    return all(track.name != name for track in alert.tracks)


def moved_back(desk: Desk) -> list[str]:
    """Tracks that left an end without a reason for it."""
    state, found = State(), []
    for fact in desk.facts:
        body = fact.body
        if isinstance(body, f.TrackMoved) and fact.subject in state.values.alerts:
            before = state.values.alerts[fact.subject].track(body.track)
            left = before is not None and before.step in ENDS and body.step not in ENDS
            if left and body.reason not in GOES_ON[body.track]:
                found.append(f"{body.track}: {before}, {body.reason}")
        evolve(state, fact)
    return found


@pytest.mark.timeout(300)
@settings(max_examples=120, deadline=None)
@given(DAYS, st.sampled_from(("auto", "auto", "ask", "off")))
def test_every_track_of_an_open_alert_is_at_an_end_or_has_a_next_moment(day: list[Op], public: str) -> None:
    desk = staffed(public=public)
    for op in day:
        do(desk, op)
        desk.advance()
        assert stuck(desk) == []
    assert moved_back(desk) == []
    desk.advance(hours=3)
    assert stuck(desk) == []
    assert copy_of(desk.replayed().values) == copy_of(desk.state.values)
    assert copy_of(desk.restarted().values) == copy_of(desk.state.values)
