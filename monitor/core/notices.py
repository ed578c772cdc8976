"""One text that belongs to no alert: to a named person, or to the first on duty who takes texts."""

from __future__ import annotations

from datetime import datetime

from escalation.people import PersonView
from escalation.track import Contact, Priority
from monitor.core.alerts import duty_chain, intend, person_for
from monitor.core.state import Visit
from monitor.core.work import Work


def text(
    work: Work,
    person: str,
    template: str,
    *,
    of: str | None = None,
    visit: Visit | None = None,
    about: str | None = None,
    at: datetime | None = None,
    count: int = 0,
    priority: Priority = "repeat",
    key: str | None = None,
) -> bool:
    """Mean it, if they have a line for it. `of`: the service user of whom it speaks, which decides the lines on which
    they may hear it; `about`: whom the words name; `key`: under which others know of it already. Returns whether it is
    meant."""
    line = person_for(work, person, of).text_line()
    if line is None:
        return False
    contact = Contact(
        person=person,
        line=line.ref,
        channel="sms",
        purpose="notice",
        template=template,
        priority=priority,
        about=about,
        at=at,
        count=count,
    )
    intend(work, contact, alert=None, visit=visit, key=key)
    return True


def on_duty(work: Work, of: str | None) -> PersonView | None:
    """The first on duty who takes texts and may hear of the service user `of`; None: nobody."""
    return next((person for person in duty_chain(work, of) if person.text_line() is not None), None)
