"""How the hour of an alert stands, in words: nobody sent, one of two, sent too late, or sent and overdue (spec 22.4).

What is said to staff and to a council is what is true now, and not what is usual: *nobody sent* with one of two places
filled would send a third care worker, or tell a council of a breach that is half of one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from escalation.wording import Wording, render_phrase
from monitor.core.state import Alert, Sent, Visit

Clock = Callable[[datetime], str]
Name = Callable[[str], str]


class Standing(Struct, frozen=True, kw_only=True):
    """How the places of the visit stand at a moment."""

    places: int
    there: int
    going: tuple[Sent, ...]
    """Who was sent and is not there, the first to come first."""
    promised: tuple[tuple[datetime, str], ...]
    """Who is planned and has named a time to come, with it."""
    hour_at: datetime | None
    now: datetime

    @property
    def filled(self) -> bool:
        """Whether every place has somebody there or on the way."""
        return self.there + len(self.going) >= self.places

    @property
    def last(self) -> Sent:
        """Who comes last of those who were sent."""
        return self.going[-1]

    @property
    def in_time(self) -> bool:
        """Whether every place has somebody, by a time inside the hour that has not passed (spec 22.4, *sent*)."""
        if not self.filled or not self.going:
            return self.filled
        return self.hour_at is None or self.now <= self.last.eta_at <= self.hour_at


def standing(alert: Alert, visit: Visit | None, now: datetime) -> Standing:
    """How it stands now."""
    places = visit.places if visit is not None else ()
    arrived = {place.worker for place in places if place.arrived_at is not None}
    going = sorted((s for s in alert.sent if s.worker not in arrived), key=lambda s: (s.eta_at, s.worker))
    said = visit.said if visit is not None else ()
    absent = visit.absent if visit is not None else ()
    promised = [
        (one.eta_at, one.worker)
        for one in said
        if one.answer == "on_my_way" and one.worker in absent and one.eta_at is not None and one.eta_at > now
    ]
    return Standing(
        places=max(len(places), 1),
        there=sum(1 for place in places if place.arrived_at is not None),
        going=tuple(going),
        promised=tuple(sorted(promised)),
        hour_at=alert.hour_at,
        now=now,
    )


def for_staff(wording: Wording, at: Standing, clock: Clock, name: Name, *, yet: bool) -> str:
    """Who was sent, for {sent}: "nobody sent", "1 of 2 sent", "Nia sent, there only by 9.40am". `yet`: the hour still
    runs."""

    def say(phrase: str, **values: str) -> str:
        return render_phrase(wording, phrase, values)

    if at.filled and at.going:
        who, when = name(at.last.worker), clock(at.last.eta_at)
        overdue = at.last.eta_at < at.now
        late = at.hour_at is not None and at.last.eta_at > at.hour_at
        return say("sent_overdue" if overdue else "sent_late" if late else "sent_by", new=who, time=when)
    parts = [_of(say, "sent_there", at.there, at.places)] if at.there else []
    nobody = "sent_nobody_yet" if yet else "sent_nobody"
    parts.append(_of(say, "sent_part", len(at.going), at.places) if at.going else say(nobody))
    parts += [say("sent_promised", carer=name(who), time=clock(when)) for when, who in at.promised]
    return ", ".join(parts)


def for_council(wording: Wording, alert: Alert, at: Standing) -> str:
    """That the hour has passed, for {hour}; "" while it has not, or where somebody was sent in it and is awaited."""
    if alert.hour_at is None or at.now < alert.hour_at or at.in_time:
        return ""
    values = {"n": str(len(at.going) + at.there), "m": str(at.places)}
    if at.filled:
        return render_phrase(wording, "council_hour_sent", values)
    part = len(at.going) + at.there > 0
    return render_phrase(wording, "council_hour_part" if part else "council_hour_nobody", values)


def why(wording: Wording, alert: Alert, at: Standing, now: datetime) -> str:
    """Why the council is told: the service user is not reached, the hour has passed, or both."""
    track = alert.track("reassure")
    reached = track is not None and track.step == "reached"
    passed = alert.hour_at is not None and now >= alert.hour_at and not at.in_time
    name = "why_hour" if passed and reached else "why_both" if passed else "why_not_reached"
    return render_phrase(wording, name, {})


def _of(say: Callable[..., str], phrase: str, count: int, places: int) -> str:
    return say(phrase, n=str(count), m=str(places))
