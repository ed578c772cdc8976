"""Texts that answered no question of ours: a person of the office reads them (issue 4, "free text goes to a person").

They stand in a list, a line for each number, until a named person has seen or answered them. Whoever is on duty is told
of all that gathered in one text; about an open alert, whoever has that is told at once. A service user's words are an
alert of their own. Of a number by which nobody is known no person is told, nothing goes back, and only so much is kept.
"""

from __future__ import annotations

from datetime import datetime

from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import duty_chain, tell_staff
from monitor.core.checks import NIGHT, NOBODY, next_day
from monitor.core.inputs import ReplyReceived, TextsRead
from monitor.core.state import TEXTS, Alert, Unread, Values
from monitor.core.work import Decision, Refusal, Work

WORDS = "OC-250"
"""The one text about all that wait."""
WROTE = "OC-251"
"""Somebody has written while an alert that concerns them is open."""
STRANGERS = 50
"""So many lines by which nobody is known may wait at a time (ours)."""
OF_ONE = 10
"""So many texts of such a line are kept while they wait (ours)."""
READ = "read"
"""Why the one text does not leave: everything was seen meanwhile."""


# --- whose words wait ---


def waits(role: str, received: ReplyReceived, *, asked: bool) -> bool:
    """Whether a person of the office has to read it. `asked`: a question about a visit is open on that phone. A member
    of staff who mistypes a code hears so (OC-26), and thanks that nobody asked for need no answer."""
    if role == "staff":
        return received.word is not None
    return role in ("care_worker", "contact") and (asked or not received.thanks)


def beside(role: str, received: ReplyReceived) -> bool:
    """Whether words beside a code that counts have to be read: what staff write beside theirs, staff have read."""
    return role in ("care_worker", "contact") and received.word in ("other", "dont_come")


def tell_at_once(work: Work, person: str, role: str) -> bool:
    """Whoever has an open alert that concerns them hears that they have written. Returns whether one is open."""
    concerned = _of_worker if role == "care_worker" else _of_kin if role == "contact" else None
    if concerned is None:
        return False
    found = next((alert for alert in work.all_open_alerts() if concerned(work, alert, person)), None)
    if found is not None:
        tell_staff(work, found, WROTE, about=person)
    return found is not None


def _of_worker(work: Work, alert: Alert, worker: str) -> bool:
    visit = work.visit(alert.visit)
    theirs = visit is not None and worker in visit.involved
    return theirs or alert.worker == worker or any(sent.worker == worker for sent in alert.sent)


def _of_kin(work: Work, alert: Alert, person: str) -> bool:
    about = work.ctx.people.person(alert.service_user) if alert.service_user is not None else None
    return about is not None and person in about.next_of_kin


# --- a line by which nobody is known ---


def takes(values: Values, line: str | None) -> bool:
    """Whether one more text of a line by which nobody is known is kept. `line` is None where it never wrote before."""
    known = values.unread.get(line) if line is not None else None
    if known is not None and known.waits:
        return known.count < OF_ONE
    return sum(1 for one in values.unread.values() if one.waits and not one.persons) < STRANGERS


def stranger(work: Work, received: ReplyReceived) -> Decision:
    """Nothing goes back, nobody is told: it stands in the list."""
    if not takes(work.state.values, received.line):
        return Decision()
    if received.fingerprint:
        work.emit(received.line, f.TextTaken(fingerprint=received.fingerprint))
    kept = f.ReplyKept(
        line=received.line,
        persons=(),
        word=received.word or "other",
        evidence=received.evidence,
        waits=True,
    )
    work.emit(received.line, kept)
    return work.decision()


# --- who is told ---


def on_deadline(work: Work, due_at: datetime) -> None:
    """Some wait: one text to the first on duty who takes texts and did not write all of them. What waits still an hour
    later is told of once more, and then each morning."""
    waiting = [one for one in work.state.values.unread.values() if one.waits and one.persons]
    if not waiting:
        return
    fresh = any(one.untold is not None for one in waiting)
    again, night = _again(work, fresh=fresh), work.state.calendar.is_night(work.now, work.policy())
    if night and not fresh:
        work.emit(TEXTS, f.TextsTold(waiting=len(waiting), next_at=again, reason=NIGHT), due_at=due_at)
        return
    person = _reader(work, waiting)
    reason = "" if person is not None else NOBODY
    told = f.TextsTold(waiting=len(waiting), next_at=again, person=person, reason=reason)
    work.emit(TEXTS, told, due_at=due_at)
    if person is not None:
        notices.text(work, person, WORDS, count=len(waiting))


def _again(work: Work, *, fresh: bool) -> datetime:
    policy, calendar = work.policy(), work.state.calendar
    if fresh:
        return work.now + policy.replace_within
    return next_day(work.now, policy.notice_at, calendar)


def _reader(work: Work, waiting: list[Unread]) -> str | None:
    """Who has written all of it themselves is not the one who is told of it."""
    for person in duty_chain(work, None):
        if person.text_line() is not None and any(person.ref not in one.persons for one in waiting):
            return person.ref
    return None


def pointless(work: Work) -> str | None:
    """Why the one text need not leave any more, or None."""
    waiting = any(one.waits and one.persons for one in work.state.values.unread.values())
    return None if waiting else READ


# --- somebody has read them ---


def read(work: Work, seen: TextsRead) -> Decision:
    """A named person has seen or answered what came from that line. Refuses `not_found`, `already_seen` (with who was
    first) and `wrote_again` (they had not seen all of it)."""
    one = work.state.values.unread.get(seen.line)
    if one is None:
        return Decision(refusal=Refusal(code="not_found"))
    if not one.waits:
        return Decision(refusal=Refusal(code="already_seen", detail={"by": one.seen_by, "at": one.seen_at}))
    if one.last != seen.last:
        return Decision(refusal=Refusal(code="wrote_again", detail={"by": None, "at": one.last_at}))
    work.emit(seen.line, f.TextsSeen(by=seen.by, outcome=seen.outcome, last=seen.last))
    return work.decision()
