"""The record of an alert out of the journal: every fact about it, its messages and its visit, oldest first (spec 22.7).

The journal is the one place. Nothing is kept beside it: an alert that left the state long ago is found by reading it
backwards, one that is shown on a page is read on from where the last look ended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import structlog

from connectors.ports import Record, Store
from monitor.core import facts as f
from monitor.core.evolve import ALERT_FACTS, MESSAGE_FACTS, evolve
from monitor.core.inputs import Evidence
from monitor.core.state import Alert, State
from monitor.core.views import RecordLine
from monitor.directory import Directory
from monitor.engine import as_fact, instant

log = structlog.get_logger("records")

BEFORE = timedelta(hours=3)
"""A care worker is asked at most this long before the alert is due: that belongs to its record too (ours)."""
LOOK_BACK = 300_000
"""Facts that are read backwards for an alert that has left the state: some weeks of a large office (ours)."""
PAGE = 1000
KEPT = 32
"""Records that are read on from where the last look at them ended."""
FROM_VISIT = frozenset(
    {
        "VisitLooked",
        "WorkerAnswered",
        "VisitReplanned",
        "HomeConfirmed",
        "VisitCancelled",
        "VisitMissed",
        "MissWithdrawn",
        "CheckInRecorded",
        "ArrivalRecorded",
        "DepartureRecorded",
        "DepartureWithdrawn",
        "CheckOutAsked",
        "CheckOutAnswered",
        "NearRecorded",
        "PersonReached",
    }
)
"""What of the visit belongs to the record of its alert."""
PUBLIC = frozenset({"ask_worker", "reassure", "locate", "offer", "inform_next_of_kin"})
"""Who was sent one of these and texts back in words says it about the alert."""


class Gathered:
    """What was found of one alert so far, and from where to read on."""

    def __init__(self, raised: f.Happened, after: int) -> None:
        assert isinstance(raised.body, f.AlertRaised)
        self.raised, self.alert, self.visit = raised, raised.subject, raised.body.visit
        self.facts: list[f.Happened] = []
        self.messages: dict[str, f.MessageIntended] = {}
        self.after, self.closed = after, False
        self._told_by: set[str] = set()
        """Texts to staff that stand for several alerts, this one among them."""
        self._persons = {raised.body.service_user, raised.body.worker} - {None}

    def take(self, page: Sequence[Record]) -> None:
        """The next facts of the journal, in order; what was taken before is passed over."""
        for record in page:
            if record.seq <= self.after or self.closed:
                continue
            self.after = record.seq
            if self._concerns(record):
                self._keep(as_fact(record))

    def _concerns(self, record: Record) -> bool:
        if record.subject == self.alert or record.subject in self.messages or record.subject in self._told_by:
            return True
        if record.subject == self.visit:
            return record.kind in FROM_VISIT
        about = self.alert in record.body or (self.visit is not None and self.visit in record.body)
        return record.kind == "ReplyKept" or (record.kind == "MessageIntended" and about)

    def _keep(self, fact: f.Happened) -> None:
        body = fact.body
        if isinstance(body, f.MessageIntended):
            mine = body.alert == self.alert or (body.alert is None and body.visit == self.visit)
            mine = mine or fact.subject in self._told_by
            if not mine:
                return
            self.messages[fact.subject] = body
            if body.purpose in PUBLIC:
                self._persons.add(body.person)
        elif isinstance(body, f.ReplyKept):
            if fact.seq < self.raised.seq or self._persons.isdisjoint(body.persons):
                return
        elif isinstance(body, f.AlertClosed):
            self.closed = True
        elif isinstance(body, f.StaffTold) and body.message is not None:
            self._told_by.add(body.message)
        self.facts.append(fact)

    def as_it_was(self) -> tuple[State, Alert]:
        """The alert as it was when it left the state, folded from its own facts."""
        state = State()
        for fact in self.facts:
            own = type(fact.body) in ALERT_FACTS or type(fact.body) in MESSAGE_FACTS
            if (own or type(fact.body) is f.PersonReached) and type(fact.body) is not f.AlertClosed:
                evolve(state, fact)
        return state, state.values.alerts[self.alert]


class Records:
    """Finds the records of all desks' alerts in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str], Gathered] = OrderedDict()

    async def of(self, desk: str, head: int, alert_id: str, alert: Alert | None) -> Gathered | None:
        """Everything durable about the alert; None: no such alert. `head`: the last durable fact; `alert`: as it is in
        the state, if it still is. Raises StoreUnavailable."""
        found = self._kept.get((desk, alert_id)) or await self._begin(desk, head, alert_id, alert)
        if found is None:
            return None
        self._kept[desk, alert_id] = found
        self._kept.move_to_end((desk, alert_id))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        while found.after < head and not found.closed:
            page = await self._store.facts(desk, found.after, PAGE)
            if not page:
                break
            found.take(page)
        return found

    async def _begin(self, desk: str, head: int, alert_id: str, alert: Alert | None) -> Gathered | None:
        if alert is not None:
            after = await self._before(desk, head, min(alert.opened_at, alert.due_at) - BEFORE)
            opened = await self._before(desk, head, alert.opened_at - timedelta(seconds=1))
            raised = await self._raised(desk, alert_id, opened, head)
        else:
            raised = await self._look_back(desk, head, alert_id)
            after = 0
        if raised is None:
            return None
        if alert is None:
            after = await self._before(desk, head, min(raised.at, raised.due_at or raised.at) - BEFORE)
        return Gathered(raised, after)

    async def _before(self, desk: str, head: int, at: datetime) -> int:
        """The last seq before that moment. The journal's times rise, unless a clock was set: `BEFORE` allows for it."""
        low, high, wanted = 0, head, instant(at)
        while low < high:
            middle = (low + high) // 2
            found = await self._store.facts(desk, middle, 1)
            if found and found[0].at < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    async def _raised(self, desk: str, alert_id: str, after: int, head: int) -> f.Happened | None:
        while after < head:
            page = await self._store.facts(desk, after, PAGE)
            if not page:
                return None
            if (found := _raised_in(page, alert_id)) is not None:
                return found
            after = page[-1].seq
        return None

    async def _look_back(self, desk: str, head: int, alert_id: str) -> f.Happened | None:
        """The fact that raised it, looked for from the newest fact backwards."""
        ends = range(head, max(head - LOOK_BACK, 0) - PAGE, -PAGE)
        for end, start in pairwise(max(end, 0) for end in ends):
            page = await self._store.facts(desk, start, end - start)
            if (found := _raised_in(page, alert_id)) is not None:
                return found
        return None

    async def words(self, desk: str, evidence: Evidence) -> str | None:
        """What somebody wrote, or None when it was erased."""
        row = await self._store.evidence(desk, evidence.id)
        return row.body.decode(errors="replace") if row is not None else None

    async def lines(
        self, desk: str, found: Gathered, directory: Directory
    ) -> tuple[list[RecordLine], Teller]:
        """The record in the caller's own ids, with the words that belong to it."""
        teller = Teller(directory, found.messages)
        lines = []
        for fact in found.facts:
            written = words_of(fact.body)
            text = await self.words(desk, written) if written is not None else None
            lines.append(teller.line(fact, text, erased=written is not None and text is None))
        return lines, teller


def _raised_in(page: Iterable[Record], alert_id: str) -> f.Happened | None:
    found = (one for one in page if one.subject == alert_id and one.kind == "AlertRaised")
    record = next(found, None)
    return as_fact(record) if record is not None else None


def told_how(body: f.StaffTold) -> Literal["alone", "together", "over"]:
    """Whether staff were told of one alert, of several by one text, or not at all: it was no longer so."""
    if body.message is None:
        return "over"
    return "together" if body.count > 1 else "alone"


def words_of(body: f.FactBody) -> Evidence | None:
    """The evidence of words that a person wrote: a note, or a text that came back."""
    if isinstance(body, f.ActionRecorded):
        return body.note
    return body.evidence if isinstance(body, f.ReplyKept) else None


class Teller:
    """Turns facts into lines. `names`: everybody of whom a line speaks, by the caller's id."""

    def __init__(self, directory: Directory, messages: dict[str, f.MessageIntended]) -> None:
        self._directory, self._messages = directory, messages
        self.names: dict[str, str] = {}

    def who(self, ref: str | None) -> str | None:
        """The caller's id of a person or council desk, whose name is remembered."""
        if not ref:
            return None
        outside = self._directory.outside(ref)
        self.names[outside] = self._directory.full_name(ref)
        return outside

    def proof(self, proof: str | None) -> str | None:
        """A proof with the caller's id in it."""
        if proof is None or not proof.startswith("person:"):
            return proof or None
        return f"person:{self.who(proof.removeprefix('person:'))}"

    def line(self, fact: f.Happened, words: str | None, *, erased: bool) -> RecordLine:
        """One fact as a line."""
        sent = self._messages.get(fact.subject)
        told = self._told(fact.body)
        if sent is not None:
            told = {"purpose": sent.purpose, "channel": sent.channel, "who": self.who(sent.person)} | told
        return RecordLine(
            seq=fact.seq,
            at=fact.at,
            kind=type(fact.body).__name__,
            subject=fact.subject,
            due_at=fact.due_at,
            words=words,
            words_erased=erased,
            **told,
        )

    def _told(self, body: f.FactBody) -> dict[str, Any]:
        match body:
            case f.AlertRaised():
                return {
                    "result": body.kind,
                    "who": self.who(body.service_user),
                    "reason": body.reason or None,
                }
            case f.AlertTaken():
                return {
                    "who": self.who(body.by),
                    "proof": self.proof(body.proof),
                    "unrecorded_at_send": body.unrecorded,
                }
            case f.AlertLapsed():
                return {"who": self.who(body.by)}
            case f.CheckWanted():
                return {"reason": ", ".join(body.reasons), "next_at": body.check_by}
            case f.CheckRecorded():
                return {
                    "who": self.who(body.by),
                    "adequate": body.adequate,
                    "safeguarding": body.safeguarding,
                    "serious_incident": body.serious_incident,
                }
            case f.NoticeWanted():
                return {"who": self.who(body.desk), "tries": len(body.calls), "next_at": body.notice_by}
            case f.NoticeAnswered():
                return {"who": self.who(body.by), "result": "sent" if body.sent else "not_sent"}
            case f.NoticeReturned():
                return {"result": "failed", "next_at": body.offer_at}
            case f.AlertEnded():
                return {"result": body.reason, "by": self.who(body.by), "reason": body.outcome}
            case f.TrackMoved():
                return self._moved(body)
            case f.CouncilMoved():
                return {
                    "who": self.who(body.desk),
                    "by": self.who(body.by),
                    "result": body.step,
                    "reason": body.reason,
                    "tries": body.tries,
                    "next_at": body.next_at,
                }
            case f.LineWaits() | f.LinesJoined() | f.LineLeft():
                return self._held(body)
            case f.AnswerphoneBegan():
                return {"next_at": body.until}
            case f.AnswerphoneEnded():
                return {"result": body.came}
            case f.ReplacementAccepted():
                return {"who": self.who(body.worker), "proof": self.proof(body.proof), "next_at": body.eta_at}
            case f.ReplacementDeclined():
                return {"who": self.who(body.worker), "reason": "after_all" if body.after_all else None}
            case f.OffersHeld() | f.TellingWaits() | f.StaffTold():
                return self._in_storm(body)
            case _:
                return self._told_of_message(body)

    def _in_storm(self, body: f.OffersHeld | f.TellingWaits | f.StaffTold) -> dict[str, Any]:
        if isinstance(body, f.OffersHeld):
            people = tuple(who for worker in body.workers if (who := self.who(worker)) is not None)
            return {"people": people, "result": None if people else "over"}
        if isinstance(body, f.TellingWaits):
            return {"reason": body.what, "next_at": body.next_at}
        return {
            "who": self.who(body.person),
            "reason": body.what,
            "result": told_how(body),
            "tries": body.count,
        }

    def _moved(self, body: f.TrackMoved) -> dict[str, Any]:
        return {
            "track": body.track,
            "result": body.step,
            "reason": "stopped" if body.rests_until is not None else body.reason or None,
            "by": self.who(body.rests_by),
            "next_at": body.next_at,
        }

    def _held(self, body: f.LineWaits | f.LinesJoined | f.LineLeft) -> dict[str, Any]:
        if isinstance(body, f.LineWaits):
            return {"who": self.who(body.person), "to": self.who(body.other), "next_at": body.until}
        sent = self._messages.get(body.call)
        whose = self.who(sent.person) if sent is not None else None
        if isinstance(body, f.LinesJoined):
            return {"who": whose, "to": self.who(body.person)}
        return {"who": whose, "result": body.came}

    def _told_of_message(self, body: f.FactBody) -> dict[str, Any]:
        match body:
            case f.MessageIntended():
                return {"to": self.who(body.about), "next_at": body.at}
            case f.MessageAttempted():
                return {
                    "result": "attempted",
                    "tries": body.attempt,
                    "possibly_repeated": body.possibly_repeated,
                    "unrecorded_at_send": body.unrecorded_at_send,
                }
            case f.MessageDeferred():
                return {"reason": body.reason, "next_at": body.next_at}
            case f.MessageSettled():
                return {
                    "result": body.result,
                    "reason": body.reason or None,
                    "proof": self.proof(body.proof),
                }
            case f.AnswerHeard():
                return {
                    "result": body.answer,
                    "proof": body.proof or None,
                    "minutes": body.minutes,
                    "reason": "stale" if body.stale else None,
                }
            case f.PersonReached():
                return {
                    "who": self.who(body.person),
                    "purpose": body.purpose,
                    "result": body.answer,
                    "proof": self.proof(body.proof),
                }
            case f.ReplyKept():
                return {"who": self.who(body.persons[0]) if body.persons else None, "result": body.word}
            case f.ActionRecorded():
                return self._done(body)
            case _:
                return self._told_of_visit(body)

    def _done(self, body: f.ActionRecorded) -> dict[str, Any]:
        return {
            "action": body.action,
            "who": self.who(body.by),
            "to": self.who(body.to),
            "track": body.track,
            "reason": body.reason,
            "minutes": body.minutes,
            "next_at": body.done_at,
        }

    def _told_of_visit(self, body: f.FactBody) -> dict[str, Any]:
        match body:
            case f.VisitLooked():
                return {"result": body.risk, "reason": body.reason or None, "tries": body.asked}
            case f.WorkerAnswered():
                return {
                    "who": self.who(body.worker),
                    "result": body.answer,
                    "proof": self.proof(body.proof),
                    "next_at": body.eta_at,
                }
            case f.HomeConfirmed():
                return {
                    "by": self.who(body.by),
                    "proof": self.proof(body.proof),
                    "next_at": body.confirmed_at,
                }
            case f.CheckInRecorded():
                doubted = body.outcome == "clock_doubtful"
                return {
                    "who": self.who(body.worker),
                    "result": body.outcome,
                    "next_at": body.happened_at,
                    "said_at": body.happened_at if doubted else None,
                }
            case f.ArrivalRecorded():
                return {
                    "who": self.who(body.worker),
                    "proof": body.proof,
                    "next_at": body.arrived_at,
                    "said_at": body.said_at,
                }
            case f.DepartureRecorded():
                return {
                    "who": self.who(body.worker),
                    "next_at": body.left_at,
                    "proof": self.proof(body.claim or None),
                    "said_at": body.said_at,
                }
            case f.CheckOutAsked():
                return {
                    "who": self.who(body.worker),
                    "result": body.step,
                    "reason": body.reason or None,
                    "next_at": body.next_at,
                }
            case f.CheckOutAnswered():
                return {
                    "who": self.who(body.worker),
                    "result": body.answer,
                    "proof": self.proof(body.proof),
                    "next_at": body.next_at,
                }
            case f.NearRecorded():
                return {"who": self.who(body.worker), "next_at": body.near_at}
            case _:
                return {}
