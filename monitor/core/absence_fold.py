"""What the facts of an absence make of it. Folds only: replaying them years later gives the same."""

from __future__ import annotations

from msgspec import structs

from monitor.core import facts as f
from monitor.core.facts import Draft
from monitor.core.state import Absence


def evolve_absence(absence: Absence | None, fact: Draft) -> Absence:
    """The absence after a fact about it. Raises AssertionError for one that nobody has reported."""
    body = fact.body
    if isinstance(body, f.AbsenceReported):
        return Absence(
            ref=fact.subject,
            service_user=body.service_user,
            reason=body.reason,
            from_at=body.from_at,
            review_at=body.review_at,
            raised_by=body.raised_by,
            by=body.by,
            said_at=fact.at,
            return_at=body.return_at,
            home_from=body.home_from,
            weekly=body.weekly,
        )
    assert absence is not None
    match body:
        case f.AbsenceConfirmed():
            # who confirmed it was told that day how they are: nobody is asked twice
            return structs.replace(
                absence,
                confirmed_by=body.by,
                confirmed_at=fact.at,
                spoke_to=body.spoke_to,
                asked_by=body.by,
                asked_at=body.said_at,
                asked_whom=body.spoke_to,
            )
        case f.AwayAnswered():
            return structs.replace(absence, asked_by=body.by, asked_at=body.said_at, asked_whom=body.spoke_to)
        case f.ReviewMoved():
            return structs.replace(absence, review_at=body.review_at, review_told=False)
        case f.ReturnMoved():
            planned = {"return_at": body.return_at, "home_from": body.home_from}
            return structs.replace(absence, review_told=False, **planned)
        case f.DayAtHome():
            return structs.replace(absence, at_home=(*absence.at_home, body.day))
        case f.AbsenceEnded():
            return structs.replace(absence, ended_at=body.ended_at, ended_by=body.by, ended_as=body.reason)
        case _:
            return absence
