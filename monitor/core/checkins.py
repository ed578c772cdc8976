"""A check-in finds its visit by id, tag, person, device, place and time, and becomes an arrival, a departure, or
a named reason why it is neither (spec 21.1-21.2; devices.md, "Trust" and "Position").

Two times stand on every check-in: when it happened and when we received it. On-time evidence that arrives late
retracts the alert; a check-in far from the home is accepted, flagged and shown, and never counts in silence.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct, structs

from monitor.core import absence, asking, at_door, leaving, phones
from monitor.core import facts as f
from monitor.core.alerts import ask_for_help, end_alert, raise_alert
from monitor.core.early import very_early
from monitor.core.homes import confirm as home_confirmed
from monitor.core.incidents import raise_late
from monitor.core.inputs import CheckInSeen, Outcome, ReplyReceived
from monitor.core.places import PlaceVerdict, distance_m, impossible_travel, place_verdict
from monitor.core.shifts import on_shift
from monitor.core.state import Alert, Place, Sent, Visit
from monitor.core.times import LONGEST, came_for_another
from monitor.core.views import AlertKind, EndedReason
from monitor.core.work import Decision, Work

AHEAD = timedelta(minutes=2)
"""`at` further ahead of our clock than this is not believed: receipt counts (devices.md, "Trust")."""
LIVE = timedelta(minutes=2)
"""A message received within this time of its happening was sent live."""
APART = timedelta(minutes=2)
"""Two consistent fixes at least this far apart make an arrival; the first one counts (devices.md, "Position")."""
SOS = "sos"
"""Reason of the alert that a care worker's own device asked for."""
AFTER_END = timedelta(hours=4)
"""A check-in this long after the planned end may still belong to the visit (ours)."""
TOGETHER = timedelta(minutes=10)
"""Two arrivals that name nobody, as near as this and by the same way, may be one care worker (ours)."""
SETTLING = timedelta(minutes=15)
"""An arrival that reaches us late, when its visit was to be over, is given this long at most for its departure to
follow (ours)."""


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    """A check-in with what was worked out about it. `at` is the time that counts."""

    check: CheckInSeen
    worker: str | None
    at: datetime
    doubtful: bool
    """Its `at` is not believed: receipt counts."""
    behind: bool
    """It is old, and its device was heard live in between: it retracts nothing (devices.md, "Trust")."""
    live: bool
    assumed: bool = False
    """Nobody said who it is: taken for whoever is planned for the place."""


class Match(Struct, frozen=True, kw_only=True, gc=False):
    """The visit a check-in belongs to, and what its position says about the home."""

    visit: Visit
    place: PlaceVerdict
    index: int


def see(work: Work, check: CheckInSeen) -> Decision:
    """Decide one check-in. Every outcome of the contract's closed list but `quarantined` (the edge's) is named
    here."""
    if check.retained:
        return Decision(outcome="retained")
    if _is_repeat(work, check):
        return Decision(outcome="duplicate", visit=work.state.by_print.get(check.fingerprint, check.visit))
    if check.kind == "offline":
        return _offline(work, check)
    if check.kind == "help":
        return _help(work, _weigh(work, check))
    if check.unknown_device:
        return _record(work, _weigh(work, check), "unknown_device", None)
    seen = _weigh(work, check)
    if check.kind == "fix":
        return _fix(work, seen)
    nobody = seen.worker is None and check.visit is None and check.service_user is None
    if nobody or (check.claims_unknown and seen.worker is None):
        return _record(work, seen, "unknown_person", None)
    if check.claims_unknown:
        return _unplanned(work, seen)
    match = _find(work, seen)
    if match is None:
        return _unplanned(work, seen)
    if seen.worker is None:
        if _may_be_one(seen, match):
            # one care worker who says it twice must not be two: the second place goes on being waited for
            return _record(work, seen, "unknown_person", match)
        # a feed that names only the visit: whoever is planned for the place is meant
        place = match.visit.places[match.index]
        seen = structs.replace(seen, worker=place.worker if place.arrived_at else place.planned, assumed=True)
    return _DECIDE[check.kind](work, seen, match)


def _may_be_one(seen: Seen, match: Match) -> bool:
    """An arrival that names nobody would take another place, minutes after one that named nobody either. What the
    office enters by hand is meant as it stands."""
    places = match.visit.places
    if seen.check.kind != "arrive" or seen.check.manual or places[match.index].arrived_at is not None:
        return False
    return any(
        place.assumed and place.proof == _proof(seen) and abs(seen.at - place.arrived_at) < TOGETHER
        for place in places
        if place.arrived_at is not None
    )


def _unplanned(work: Work, seen: Seen) -> Decision:
    """No visit is planned there now. Somebody who stands at a door that nobody opens is heard all the same."""
    check = seen.check
    if check.kind == "no_reply":
        kind: AlertKind = "no_reply" if check.service_user else "unknown_visit"
        told = [alert for alert in work.all_open_alerts() if alert.kind == kind]
        if not any((a.worker, a.service_user) == (seen.worker, check.service_user) for a in told):
            raise_alert(work, kind, worker=seen.worker, service_user=check.service_user, reason="no_reply")
    outcome: Outcome = "unknown_person" if check.claims_unknown else "unplanned"
    return _record(work, seen, outcome, None)


def _help(work: Work, seen: Seen) -> Decision:
    """The care worker is in trouble (spec 16.8, lone working): staff are rung at once, whose device it is
    and how old the message is notwithstanding. The place says nothing against it."""
    ask_for_help(work, None, None, SOS, worker=seen.worker)
    return _record(work, seen, "help_asked", None)


def _is_repeat(work: Work, check: CheckInSeen) -> bool:
    """The same message again: from the same device, or about a visit that is still watched, or both."""
    if check.fingerprint in work.state.by_print:
        return True
    device = work.state.values.devices.get(check.device or "")
    return device is not None and check.fingerprint in device.recent


def _weigh(work: Work, check: CheckInSeen) -> Seen:
    """Whose it is and which of its times to believe."""
    worker = check.worker
    if worker is None and check.device is not None:
        worker = work.ctx.people.worker_of(check.device)
    device = work.state.values.devices.get(check.device or "") if check.device else None
    heard = device.heard_at if device else None
    ahead = check.at - work.now > AHEAD
    # an old time from a device that was heard live in between: its clock was set back, or it makes it up
    late = heard is not None and heard - check.at > LIVE and work.now - check.at > LIVE
    behind = late and not check.manual
    return Seen(
        check=check,
        worker=worker,
        at=work.now if ahead or behind else min(check.at, work.now),
        doubtful=ahead or behind,
        behind=behind,
        live=abs(work.now - check.at) <= LIVE,
    )


# --- finding the visit ---


def _find(work: Work, seen: Seen) -> Match | None:
    """The best of the visits it may belong to: at the right place first, then not yet attended, then nearest."""
    if seen.check.visit is not None:
        named = _open_at(work, seen, seen.check.visit)
        return _match(work, seen, named) if named is not None else None
    matches = [match for visit in _candidates(work, seen) if (match := _match(work, seen, visit)) is not None]
    matches = _without_the_next(work, seen, matches)
    near = [match for match in matches if match.place in ("consistent", "unclear")]
    planned = [match for match in matches if seen.worker in match.visit.involved]
    if seen.check.instead:
        planned = []  # it is not their own visit that they mean
    usable = near or planned or ([] if seen.check.service_user is None else matches)
    return min(usable, key=lambda match: _rank(seen, match), default=None)


def _without_the_next(work: Work, seen: Seen, matches: list[Match]) -> list[Match]:
    """Who is inside and has not had the time to stay too long is still at that visit: another arrival of theirs is no
    arrival at the next visit there, unless that one begins within its agreed timeframe (KPI 3.6). Who has left that
    home is back there: a telephone that lost its position for a minute says both."""
    own = [match for match in matches if _still_there(seen, match)]
    inside = [match for match in own if match.visit.places[match.index].inside]
    left = {match.visit.service_user for match in own if match not in inside}
    if seen.check.kind == "leave" or not own:
        return matches
    return [
        match
        for match in matches
        if match in own
        or not (inside or match.visit.service_user in left)
        or not _early(work, match.visit, seen.at)
    ]


def _still_there(seen: Seen, match: Match) -> bool:
    """They have come, whether or not they have left, and nobody would ask yet why they do not check out."""
    place = match.visit.places[match.index]
    came = place.arrived_at is not None and place.worker == seen.worker
    return came and seen.at < match.visit.overrun_at


def _candidates(work: Work, seen: Seen) -> list[Visit]:
    """By service user (also through a tag), else the care worker's own, else every home near the fix."""
    state, check = work.state, seen.check
    if check.service_user is not None:
        refs = state.by_service_user.get(check.service_user, {})
    else:
        refs = state.by_worker.get(seen.worker or "", {})
        own = [visit for ref in sorted(refs) if (visit := _open_at(work, seen, ref)) is not None]
        if check.position is None or any(_place(work, seen, visit) == "consistent" for visit in own):
            return own
        # somebody else's visit: any care worker of the desk at the right home counts (domain.md, "Who counts")
        others = [_open_at(work, seen, ref) for ref in sorted(state.values.visits)]
        there = [v for v in others if v is not None and _place(work, seen, v) == "consistent"]
        return own + [visit for visit in there if visit not in own]
    return [visit for ref in sorted(refs) if (visit := _open_at(work, seen, ref)) is not None]


def _open_at(work: Work, seen: Seen, ref: str) -> Visit | None:
    """The visit, if a check-in at that time may belong to it."""
    visit = work.visit(ref)
    if visit is None or visit.cancelled:
        return None
    before = work.policy_for(visit.service_user).match_before
    begins = visit.start - before
    ends = max(visit.end, visit.missed_at) + AFTER_END
    if any(place.inside and seen.worker in (None, place.worker) for place in visit.places):
        return visit if min(begins, _came_first(visit)) <= seen.at else None
    # a visit whose clock has not begun has no end that could have passed
    if begins <= seen.at and (visit.waits_home or seen.at <= ends):
        return visit
    return visit if _as_agreed(visit, seen.at, before) else None


def _as_agreed(visit: Visit, at: datetime, before: timedelta) -> bool:
    """Who comes as was agreed has come, wherever the rota has moved the visit to within the freeze, or while its alert
    was open: what was agreed is what the alert is about (domain.md, "Agreed, planned, actual")."""
    over = max(visit.agreed_start + (visit.end - visit.start), visit.missed_at) + AFTER_END
    return visit.agreed_start - before <= at <= over


def _came_first(visit: Visit) -> datetime:
    """When the first of those who came did; a plan that was moved meanwhile does not lose who is inside."""
    return min((p.arrived_at for p in visit.places if p.arrived_at is not None), default=visit.start)


def _is_another_home(work: Work, seen: Seen, visit: Visit) -> bool:
    """It names a visit, and a person who lives elsewhere (also by the tag on their wall)."""
    named = seen.check.service_user
    if seen.check.visit is None or named is None or named == visit.service_user:
        return False
    return _live_apart(work, visit.service_user, named, seen.at)


def _live_apart(work: Work, one: str, other: str, at: datetime) -> bool:
    """Whether who is at the one's home is not at the other's: they share neither a home nor a line, as couples do."""
    people = work.ctx.people
    known = people.person(one)
    if one == other or any(other in people.on_line(line.ref) for line in (known.lines if known else ())):
        return False
    homes, others = people.homes(one, at), people.homes(other, at)
    return not any(
        distance_m(a.lat, a.lon, b.lat, b.lon) <= a.radius_m + b.radius_m for a in homes for b in others
    )


def _place(work: Work, seen: Seen, visit: Visit) -> PlaceVerdict:
    if _is_another_home(work, seen, visit):
        return "inconsistent"
    if seen.check.tag and not seen.check.tag_lasts:
        return "none"
    if seen.check.source == "phone":
        return "unclear"  # a home's number was keyed on a line that is not the home's
    if seen.check.position is None:
        return "none"
    return place_verdict(seen.check.position, work.ctx.people.homes(visit.service_user, seen.at))


def _match(work: Work, seen: Seen, visit: Visit) -> Match | None:
    """Which of the visit's places this care worker takes or leaves."""
    index = _index(seen, visit)
    if index is None:
        return None
    return Match(visit=visit, place=_place(work, seen, visit), index=index)


def _index(seen: Seen, visit: Visit) -> int | None:
    places = visit.places
    for at, place in enumerate(places):
        if place.arrived_at is not None and place.worker == seen.worker:
            return at
    if seen.check.kind == "leave":
        there = [at for at, p in enumerate(places) if p.arrived_at is not None and not p.left]
        return there[0] if len(there) == 1 and _may_leave(seen, places[there[0]]) else _planned(seen, visit)
    index = _planned(seen, visit)
    # a care worker at the door is heard, whoever else has come already
    return 0 if index is None and seen.check.kind == "no_reply" else index


def _may_leave(seen: Seen, place: Place) -> bool:
    """Whether a departure of this care worker may be that of the only one who is there."""
    return place.worker is None or (place.assumed and seen.worker is None)


def _planned(seen: Seen, visit: Visit) -> int | None:
    """The free place that is theirs by the rota, else one that names nobody, else any."""
    unnamed: int | None = None
    free: int | None = None
    for at, place in enumerate(visit.places):
        if place.arrived_at is None:
            if place.planned == seen.worker:
                return at
            if place.planned is None and unnamed is None:
                unnamed = at
            if free is None:
                free = at
    return free if unnamed is None else unnamed


def _rank(seen: Seen, match: Match) -> tuple[int, int, timedelta, datetime, str]:
    visit = match.visit
    place = visit.places[match.index]
    if seen.check.kind == "leave":
        settled = 0 if place.arrived_at is not None and not place.left else 1
    else:
        settled = 0 if place.arrived_at is None else 1
    # of two visits in a row the one that is overdue, not the one that starts a little nearer
    starts = min(visit.start, visit.agreed_start, key=lambda start: abs(start - seen.at))
    off = max(starts - seen.at, seen.at - min(visit.end, visit.start + LONGEST), timedelta())
    return (
        {"consistent": 0, "none": 1, "unclear": 1, "inconsistent": 2}[match.place],
        settled,
        off,
        visit.start,
        visit.ref,
    )


# --- what it means ---


def _arrive(work: Work, seen: Seen, match: Match) -> Decision:
    visit, place = match.visit, match.visit.places[match.index]
    doubt = _place_doubt(work, seen, match)
    if doubt is not None:
        return _record(work, seen, doubt, match)
    if place.arrived_at is not None and place.worker == seen.worker:
        anew = _on_its_day(work, seen, match)
        return _back_again(work, seen, match) if anew is None else _arrive(work, seen, anew)
    if seen.behind and any(alert.kind in ENDED_BY_ARRIVAL for alert in work.open_alerts(visit)):
        # an old time from a clock that is not believed silences nobody: a person looks at it
        return _record(work, seen, "clock_doubtful", match)
    match = _at_home(work, match, seen.at)
    outcome = _arrival_outcome(work, seen, match.visit)
    _record(work, seen, outcome, match)
    arrive(work, seen, match, seen.at)
    return work.decision(outcome=outcome, visit=visit.ref)


def _at_home(work: Work, match: Match, at: datetime) -> Match:
    """A care worker who is there shows that the person of a conditional visit is home: its clock begins with them."""
    if not match.visit.waits_home:
        return match
    home_confirmed(work, match.visit, None, min(at, work.now), "arrival")
    return structs.replace(match, visit=work.visit(match.visit.ref) or match.visit)


def _on_its_day(work: Work, seen: Seen, match: Match) -> Match | None:
    """Who is still inside since an earlier occasion of the same id, and comes for this one, has left that: the visit as
    it is planned now. None: they come for the one at which they are."""
    visit = match.visit
    policy = work.policy_for(visit.service_user)
    if not came_for_another(visit, visit.start, policy) or seen.at < visit.start - policy.match_before:
        return None
    for index, place in enumerate(visit.places):
        if place.inside:
            gone = f.DepartureRecorded(
                index=index, left_at=None, worker=place.worker, verdicts=("left_time_unknown",)
            )
            work.emit(visit.ref, gone)
    leaving.over(work, visit.ref)
    leaving.next_occasion(work, visit.ref)
    return _match(work, seen, work.visit(visit.ref) or visit)


def _place_doubt(work: Work, seen: Seen, match: Match) -> Literal["mock_position", "flagged_place"] | None:
    """Why the position says that they are not at the home, or None. What is doubted is shown and never counts."""
    if seen.check.mock:
        return "mock_position"
    if match.place == "inconsistent" or _too_far_to_be(work, seen, match.visit):
        return "flagged_place"
    return None


def _back_again(work: Work, seen: Seen, match: Match) -> Decision:
    """Who has arrived arrives once more: said twice, or gone and back."""
    visit, place = match.visit, match.visit.places[match.index]
    if not place.left or seen.at <= (place.left_at or _next_arrival(work, seen, visit) or seen.at - LIVE):
        return Decision(outcome="duplicate", visit=visit.ref)
    _record(work, seen, "arrived", match)
    work.emit(visit.ref, f.DepartureWithdrawn(index=match.index))
    leaving.back_again(work, visit.ref, match.index)
    return work.decision(outcome="arrived", visit=visit.ref)


def _next_arrival(work: Work, seen: Seen, here: Visit) -> datetime | None:
    """When the care worker last arrived elsewhere, which is what proved a departure without a time."""
    found = [
        place.arrived_at
        for ref in work.state.by_worker.get(seen.worker or "", {})
        if ref != here.ref and (visit := work.visit(ref)) is not None
        for place in visit.places
        if place.worker == seen.worker and place.arrived_at is not None
    ]
    return max(found, default=None)


def _too_far_to_be(work: Work, seen: Seen, here: Visit) -> bool:
    """The care worker arrived elsewhere so shortly before (or after) that no car covers the way (devices.md)."""
    for ref in work.state.by_worker.get(seen.worker or "", {}):
        visit = work.visit(ref) if ref != here.ref else None
        for place in visit.places if visit is not None else ():
            if (
                place.worker != seen.worker
                or place.arrived_at is None
                or visit is None
                or place.proof == "manual"
            ):
                continue
            homes = work.ctx.people.homes(here.service_user, seen.at)
            others = work.ctx.people.homes(visit.service_user, place.arrived_at)
            metres = min((distance_m(a.lat, a.lon, b.lat, b.lon) for a in homes for b in others), default=0.0)
            if impossible_travel(metres, abs(seen.at - place.arrived_at)):
                return True
    return False


def _arrival_outcome(work: Work, seen: Seen, visit: Visit) -> Outcome:
    if seen.doubtful:
        return "clock_doubtful"
    if seen.at >= visit.late_at:
        return "arrived_late"
    if any(alert.kind in ABOUT_LATENESS for alert in work.open_alerts(visit)):
        return "retracts_alert"
    return "arrived_early" if _early(work, visit, seen.at) else "arrived"


def _early(work: Work, visit: Visit, at: datetime) -> bool:
    """Outside of what was agreed, whatever the rota says by now (KPI 3.6)."""
    return at < visit.agreed_start - work.policy_for(visit.service_user).early_after


ENDED_BY_ARRIVAL = ("late_visit", "second_worker_missing", "no_reply", "home_unconfirmed")
ABOUT_LATENESS = ("late_visit", "second_worker_missing")
"""Kinds that an arrival in time shows to have been for nothing."""


WHILE_AWAY: tuple[f.Verdict, ...] = ("while_away",)


def arrive(work: Work, seen: Seen, match: Match, at: datetime) -> None:
    """The arrival itself, what it proves about the visit before, and the alerts that it ends."""
    match = _at_home(work, match, at)
    visit = match.visit
    _leave_elsewhere(work, seen, visit)
    if visit.missed:
        work.emit(visit.ref, f.MissWithdrawn())
    work.emit(
        visit.ref,
        f.ArrivalRecorded(
            index=match.index,
            arrived_at=at,
            proof=_proof(seen),
            worker=seen.worker,
            verdicts=(
                *_arrival_verdicts(work, seen, match, at),
                *(WHILE_AWAY if visit.away is not None else ()),
            ),
            overrun_at=_overrun_at(work, visit, at),
            assumed=seen.assumed,
            said_at=_not_believed(seen),
        ),
    )
    if visit.away is not None:
        absence.came(work, visit, seen.worker)
    if seen.worker is not None:
        asking.foresee(work, visit, seen.worker, at)
    if visit.alerts or len(visit.places) > 1:
        _end_alerts(work, seen, visit.ref, at)
    if visit.time_critical and _early(work, visit, at):
        very_early(work, visit.ref, seen.worker, at)


CLOCK_DOUBTFUL: tuple[f.Verdict, ...] = ("clock_doubtful",)


def _not_believed(seen: Seen) -> datetime | None:
    """The check-in's own time where receipt counts in its place, so that both stand in the record."""
    return seen.check.at if seen.doubtful else None


def _overrun_at(work: Work, visit: Visit, at: datetime) -> datetime | None:
    """Who comes after the end stays as long as was planned; None where the plan says it well enough."""
    policy = work.policy_for(visit.service_user)
    length = visit.end - visit.start
    stays = at + length + policy.overrun_after if at >= visit.end else visit.overrun_at
    # they came as was agreed, and the rota has moved the visit away: nobody waits until then to look for them
    moved = at < visit.start - policy.match_before
    if moved:
        stays = max(at, visit.agreed_start) + length + policy.overrun_after
    told_late = work.now - at > LIVE
    later = max(stays, work.now + min(SETTLING, policy.overrun_after)) if told_late else stays
    return later if moved or later > visit.overrun_at else None


def _proof(seen: Seen) -> f.ArrivalProof:
    if seen.check.manual:
        return "manual"
    if seen.check.tag:
        return "line" if seen.check.source == "phone" else "tag"
    if seen.check.kind == "fix":
        return "two_fixes" if seen.check.service_user is None else "region"
    return "region" if seen.check.region_enter else "pressed"


def _arrival_verdicts(work: Work, seen: Seen, match: Match, at: datetime) -> tuple[f.Verdict, ...]:
    visit = match.visit
    found: list[f.Verdict] = []
    if at >= visit.late_at:
        found.append("late")
    elif _early(work, visit, at):
        found.append("early")
    else:
        found.append("on_time")
    if at < visit.late_at <= work.now:
        found.append("late_evidence")
    if match.place == "unclear":
        found.append("place_unclear")
    if seen.check.manual:
        found.append("manual")
    if visit.workers and seen.worker not in visit.workers:
        found.append("other_worker")
    if seen.doubtful:
        found += CLOCK_DOUBTFUL
    return tuple(found)


def _end_alerts(work: Work, seen: Seen, ref: str, at: datetime) -> None:
    """A late-visit alert ends with the first arrival; the second place then has its own (domain.md, "Who counts")."""
    visit = work.visit(ref)
    assert visit is not None
    late = at >= visit.late_at
    sent: list[Sent] = []
    for alert in work.open_alerts(visit):
        if alert.kind not in ENDED_BY_ARRIVAL or (
            alert.kind == "second_worker_missing" and not visit.all_there
        ):
            continue
        if not late and not seen.doubtful and alert.kind in ABOUT_LATENESS:
            reason: EndedReason = "late_evidence"
        else:
            reason = _ended_by(seen, visit, alert)
        end_alert(work, alert, reason, about=seen.worker)
        sent += [going for going in alert.sent if going.worker != seen.worker]
    waited_for = not visit.all_there and not visit.resolved and work.now >= visit.late_at
    if waited_for and "second_worker_missing" not in visit.alerted:
        second = raise_late(work, "second_worker_missing", visit, due_at=visit.late_at, reason="")
        for going in sent:
            # who is on the way already goes for the second place
            coming = f.ReplacementAccepted(worker=going.worker, eta_at=going.eta_at, proof="again")
            work.emit(second.ref, coming)


def _ended_by(seen: Seen, visit: Visit, alert: Alert) -> EndedReason:
    """Who came: somebody who was sent, somebody who is planned, or any other care worker of the desk."""
    if any(going.worker == seen.worker for going in alert.sent):
        return "replacement_arrived"
    return "other_worker_arrived" if visit.workers and seen.worker not in visit.workers else "arrived"


def _leave_elsewhere(work: Work, seen: Seen, here: Visit) -> None:
    """The next arrival elsewhere, or for the same person's next visit, proves the departure: left, time not known
    (spec 19.6.4). Whoever is there is watched over by the new visit."""
    for ref in sorted(work.state.by_worker.get(seen.worker or "", {})):
        visit = work.visit(ref) if ref != here.ref else None
        for index, place in enumerate(visit.places) if visit is not None else ():
            there = place.worker == seen.worker and place.arrived_at is not None and not place.left
            if there and place.arrived_at is not None and place.arrived_at < seen.at:
                depart = f.DepartureRecorded(
                    index=index, left_at=None, worker=seen.worker, verdicts=("left_time_unknown",)
                )
                work.emit(ref, depart)
                leaving.over(work, ref)
                if visit is not None and _live_apart(work, visit.service_user, here.service_user, seen.at):
                    _very_short(work, ref, seen.worker, gone_by=seen.at)
                leaving.next_occasion(work, ref)


def _leave(work: Work, seen: Seen, match: Match) -> Decision:
    visit, place = match.visit, match.visit.places[match.index]
    if seen.check.mock:
        return _record(work, seen, "mock_position", match)
    if place.left and place.left_at is not None:
        return Decision(outcome="duplicate", visit=visit.ref)
    if place.arrived_at is None:
        # a departure without an arrival proves no arrival: it is kept, and the visit stays watched
        return _record(work, seen, "unplanned", match)
    outcome, verdicts = _departure_outcome(work, seen, match)
    _record(work, seen, outcome, match)
    depart = f.DepartureRecorded(
        index=match.index,
        left_at=max(seen.at, place.arrived_at),
        worker=seen.worker,
        verdicts=verdicts,
        said_at=_not_believed(seen),
    )
    work.emit(visit.ref, depart)
    leaving.over(work, visit.ref)
    _very_short(work, visit.ref, seen.worker)
    leaving.next_occasion(work, visit.ref)
    return work.decision(outcome=outcome, visit=visit.ref)


LEFT_SHORT = "left_short"
"""Reason of the alert that everybody has left before a third of the planned time (spec 21.4)."""


def _very_short(work: Work, ref: str, worker: str | None, gone_by: datetime | None = None) -> None:
    """Everybody who came has gone, and none of them stayed for the least share of the planned time: the office hears it
    the same hour, once, and asks why. Where the phone was when it said so, and what its clock says, is no excuse.
    `gone_by`: this worker has arrived elsewhere by then, whenever they left."""
    visit = work.visit(ref)
    if visit is None or visit.kind == "live_in" or not visit.all_left or "very_short" in visit.alerted:
        return
    least = (visit.end - visit.start) * work.policy_for(visit.service_user).short_share
    stays = [
        left - place.arrived_at if left is not None else None
        for place in visit.places
        if place.arrived_at is not None
        for left in [place.left_at or (gone_by if place.worker == worker else None)]
    ]
    # who left at a time that is not known may have stayed long enough
    if all(stayed is not None and stayed < least for stayed in stays):
        longest = max(stayed for stayed in stays if stayed is not None)
        minutes = int(longest / timedelta(minutes=1))
        raise_alert(work, "very_short", visit=visit, worker=worker, reason=LEFT_SHORT, count=minutes)


def _departure_outcome(work: Work, seen: Seen, match: Match) -> tuple[Outcome, tuple[f.Verdict, ...]]:
    visit, place = match.visit, match.visit.places[match.index]
    policy = work.policy_for(visit.service_user)
    stayed = seen.at - (place.arrived_at or seen.at)
    if seen.doubtful:
        return "clock_doubtful", CLOCK_DOUBTFUL
    if match.place == "inconsistent" and not seen.check.region_enter:
        return "flagged_place", ("place_inconsistent",)
    if visit.kind == "live_in":
        return "left", ()  # free hours, shopping, a night elsewhere: a departure says little
    if stayed < (visit.end - visit.start) * policy.short_share:
        return "left_short", ("short",)
    if seen.at >= visit.overrun_at:
        return "left_overrun", ("overrun",)
    return "left", ()


def _no_reply(work: Work, seen: Seen, match: Match) -> Decision:
    """Nobody answers the door: its own alert (spec 7.24, appendix E). The care worker is there; nobody was seen."""
    visit = match.visit
    # from elsewhere it is heard too, and says nothing about who is at that door: the visit goes on being waited for
    doubt = _place_doubt(work, seen, match) or ""
    _record(work, seen, "no_reply", match)
    told = [alert for alert in work.open_alerts(visit) if alert.kind == "no_reply"]
    if not any(alert.reason == doubt or not alert.reason for alert in told):
        door = raise_alert(work, "no_reply", visit=visit, worker=seen.worker, reason=doubt)
        at_door.raised(work, door)
    return work.decision(outcome="no_reply", visit=visit.ref)


def report_door(work: Work, visit: Visit, worker: str, said: ReplyReceived) -> None:
    """A care worker has written that nobody opens the door of this visit: as good as their own app's report."""
    check = CheckInSeen(
        ref=work.ctx.mint("k"),
        source="phone",
        kind="no_reply",
        worker=worker,
        visit=visit.ref,
        at=work.now,
        evidence=said.evidence,
        fingerprint=said.fingerprint,
    )
    see(work, check)


def _refused(work: Work, seen: Seen, match: Match) -> Decision:
    """The visit was declined at the door: it needs a supervisor's call (spec 21.4)."""
    visit, place = match.visit, match.visit.places[match.index]
    outcome: Outcome = _place_doubt(work, seen, match) or ("clock_doubtful" if seen.behind else "refused")
    _record(work, seen, outcome, match)
    if place.arrived_at is None and outcome == "refused":
        arrive(work, seen, match, seen.at)
    current = work.visit(visit.ref)
    assert current is not None
    if not any(alert.kind == "very_short" for alert in work.open_alerts(current)):
        raise_alert(work, "very_short", visit=current, worker=seen.worker, reason="refused")
    return work.decision(outcome=outcome, visit=visit.ref)


_DECIDE = {"arrive": _arrive, "leave": _leave, "no_reply": _no_reply, "refused": _refused}


# --- fixes ---


def _fix(work: Work, seen: Seen) -> Decision:
    """A position alone. What proves nothing is not recorded; off shift it is dropped at once."""
    if seen.check.mock:
        return Decision(outcome="mock_position")
    phones.spoke(work, seen.check, seen.worker, live=seen.live)
    if not on_shift(work, seen.worker, seen.at):
        return work.decision(outcome="off_shift")
    if seen.live:
        phones.reported(work, seen.check, seen.worker)
    if seen.behind:
        # where they were then is known, when it was is not
        return work.decision(outcome="clock_doubtful")
    _passed_by(work, seen)
    inside = _inside_named(work, seen)
    if seen.check.service_user is not None and not inside:
        seen = structs.replace(
            seen, check=structs.replace(seen.check, service_user=None, tag=False, tag_lasts=False)
        )
    match = _find(work, seen)
    place = match.visit.places[match.index] if match else None
    there = match is not None and (match.place == "consistent" or (inside and match.place == "none"))
    if match is None or not there or place is None or place.arrived_at is not None:
        outcome: Outcome = "near" if match and there else "unplanned"
        return work.decision(outcome=outcome, visit=match.visit.ref if match else None)
    if inside:
        return _arrive(work, seen, match)
    first = next((at for worker, at in match.visit.near if worker == seen.worker), None)
    if first is None or first > seen.at:
        return _near(work, seen, match)
    if seen.at - first < APART:
        return work.decision(outcome="near", visit=match.visit.ref)
    outcome = _arrival_outcome(work, structs.replace(seen, at=first), match.visit)
    _record(work, seen, outcome, match)
    arrive(work, seen, match, first)
    return work.decision(outcome=outcome, visit=match.visit.ref)


def _inside_named(work: Work, seen: Seen) -> bool:
    """A fix that says in whose home it is, by a tag or by the region of that home, and whose position does not say
    otherwise: transitions get lost. A tag that some apps leave on every message until it is cleared (devices.md)
    proves nothing where no position of the home could contradict it."""
    check = seen.check
    if check.service_user is None:
        return False
    homes = work.ctx.people.homes(check.service_user, seen.at)
    place = place_verdict(check.position, homes)
    return place == "consistent" or (check.tag and not check.tag_lasts and place == "none")


def _passed_by(work: Work, seen: Seen) -> None:
    """A fix elsewhere after a first one inside a home: they drove past, and the next one counts from the beginning."""
    for ref in sorted(work.state.by_worker.get(seen.worker or "", {})):
        visit = work.visit(ref)
        first = next((at for worker, at in visit.near if worker == seen.worker), None) if visit else None
        if visit is None or seen.worker is None or first is None or first > seen.at:
            continue
        if _place(work, seen, visit) == "inconsistent":
            work.emit(ref, f.NearWithdrawn(worker=seen.worker))


def _near(work: Work, seen: Seen, match: Match) -> Decision:
    _record(work, seen, "near", match)
    if seen.worker is not None:
        work.emit(match.visit.ref, f.NearRecorded(worker=seen.worker, near_at=seen.at))
    return work.decision(outcome="near", visit=match.visit.ref)


def _offline(work: Work, check: CheckInSeen) -> Decision:
    """The phone's last will: it is off the network, and may come back. Unknown is not absent (design rule 4)."""
    phones.last_will(work, check)
    return work.decision(outcome="near")


# --- the record of it ---


def _record(work: Work, seen: Seen, outcome: Outcome, match: Match | None) -> Decision:
    check = seen.check
    visit = match.visit.ref if match else None
    work.emit(
        visit or check.ref,
        f.CheckInRecorded(
            checkin=check.ref,
            source=check.source,
            check=check.kind,
            outcome=outcome,
            happened_at=check.at,
            fingerprint=check.fingerprint,
            evidence=check.evidence,
            device=check.device,
            worker=seen.worker,
            place=match.place if match else "none",
            live=seen.live,
        ),
    )
    phones.spoke(work, check, seen.worker, live=seen.live)
    return work.decision(outcome=outcome, visit=visit)
