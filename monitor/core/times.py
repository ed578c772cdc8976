"""The deadlines of a visit, resolved from its plan and the policy (spec 21.2, 21.4, 19.6.4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from config.policy import Policy
from monitor.core import facts as f
from monitor.core.facts import ReplanReason
from monitor.core.inputs import VisitKind
from monitor.core.state import Visit

LONGEST = timedelta(days=1)
"""No visit lasts longer, but for living in: what is planned beyond it is a slip, or should say so (ours)."""
WIDEST = timedelta(hours=4)
"""The widest tolerance that a policy may state (`late_after`); a visit of a day or a night may state its own length."""


def watched_end(start: datetime, end: datetime, kind: VisitKind) -> datetime:
    """The end for which anything waits: of a visit until 2099 nobody waits till then to call it missed, or to ask who
    has come whether they have left."""
    return end if kind == "live_in" else min(end, start + LONGEST)


class Times(Struct, frozen=True, kw_only=True):
    """The deadlines of a visit, resolved from its plan and the policy."""

    late_at: datetime
    missed_at: datetime
    overrun_at: datetime
    look_at: datetime | None = None


def resolve(
    start: datetime,
    end: datetime,
    late_after: timedelta | None,
    *,
    time_critical: bool,
    policy: Policy,
    kind: VisitKind = "visit",
    waits_home: bool = False,
) -> Times:
    """`late_at` from the start (21.2), `missed_at` the later of end and `late_at` + `missed_after`, overrun after
    the end (19.6.4). The end of a live-in placement is days away: nobody waits for it to call it missed (ours)."""
    late_at = start + (policy.tolerance(time_critical=time_critical) if late_after is None else late_after)
    end = watched_end(start, end, kind)
    return Times(
        late_at=late_at,
        missed_at=late_at + policy.missed_after
        if kind == "live_in"
        else max(end, late_at + policy.missed_after),
        overrun_at=end + policy.overrun_after,
        # of a visit whose clock has not begun the planned time is when the office is asked
        look_at=start if waits_home else first_look(start, late_at, policy),
    )


def looks(start: datetime, late_at: datetime, policy: Policy) -> tuple[datetime, ...]:
    """When a visit without an arrival is looked at before its alert: at its start, at each `ask_worker`, which a
    visit with a tolerance of its own has in the same shares (domain.md, "Before the alert"), and at `call_at`."""
    tolerance = late_at - start
    scale = tolerance / policy.late_after if policy.late_after else 1.0
    asks = [at for after in policy.ask_worker if (at := start + after * scale) < late_at]
    calls = [call_at(asks[-1], late_at)] if asks else []
    return (start, *asks, *calls) if start < late_at else ()


def call_at(last_asked: datetime, late_at: datetime) -> datetime:
    """Half-way from the last text to the alert who has not answered is rung: a telephone that rings is heard in a
    pocket, and it is better that the care worker's does than an old person's (decision 0018; ours)."""
    return last_asked + (late_at - last_asked) / 2


def first_look(start: datetime, late_at: datetime, policy: Policy) -> datetime | None:
    """The first of them; None for a desk that asks nobody beforehand."""
    found = looks(start, late_at, policy) if policy.ask_worker else ()
    return found[0] if found else None


def came_for_another(visit: Visit, start: datetime, policy: Policy) -> bool:
    """Whether everybody who came did so before an arrival could be one at that start: their visit was an earlier one,
    whose id the rota uses again."""
    arrivals = [place.arrived_at for place in visit.places if place.arrived_at is not None]
    return bool(arrivals) and max(arrivals) < start - policy.match_before


def planned_again(visit: Visit, policy: Policy) -> f.VisitPlanned:
    """The same plan, watched from its beginning: what was settled was the occasion before it was moved."""
    times = resolve(
        visit.start,
        visit.end,
        visit.late_after,
        time_critical=visit.time_critical,
        policy=policy,
        kind=visit.kind,
        waits_home=visit.conditional is not None,
    )
    return f.VisitPlanned(
        service_user=visit.service_user,
        start=visit.start,
        end=visit.end,
        late_at=times.late_at,
        missed_at=times.missed_at,
        overrun_at=times.overrun_at,
        workers=visit.workers,
        places=len(visit.places),
        time_critical=visit.time_critical,
        late_after=visit.late_after,
        look_at=times.look_at,
        visit_kind=visit.kind,
        agreed=visit.agreed,
        conditional=visit.conditional,
        placement=visit.placement,
    )


def changed(visit: Visit, reason: ReplanReason, **fields: Any) -> f.VisitReplanned:
    """The plan as it is, but for `fields`."""
    as_it_is = f.VisitReplanned(
        start=visit.start,
        end=visit.end,
        agreed_start=visit.agreed_start,
        late_at=visit.late_at,
        missed_at=visit.missed_at,
        overrun_at=visit.overrun_at,
        workers=visit.workers,
        places=len(visit.places),
        time_critical=visit.time_critical,
        late_after=visit.late_after,
        look_at=visit.look_at,
        visit_kind=visit.kind,
        conditional=visit.conditional,
        reason=reason,
    )
    return structs.replace(as_it_is, **fields)
