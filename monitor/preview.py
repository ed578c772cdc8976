"""What would happen, and when, for each visit of a rota: the real core in the hand, a clock that is pushed, nobody
who answers.

Each visit is played on a desk of its own, so that its timeline is its own too. Nothing is stored or sent. Messages
take no time to leave: in the daemon they wait for the account's pace (`calls_per_s`).
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct

from config.holidays_england import england_bank_holidays
from config.load import DeskConfig
from config.policy import Calendar, CouncilDesk, Duty, on_duty
from connectors.ports import EvidenceRow, PersonIn, PhoneIn
from escalation.check_out import NotAsked
from monitor.core import facts as f
from monitor.core.desk import Ctx, Decision, State, decide, evolve
from monitor.core.inputs import (
    CheckInSeen,
    DeadlineReached,
    DeliveryReported,
    Evidence,
    Input,
    PolicyLoaded,
    RotaReceived,
    RotaRow,
    SendReported,
    SendTurn,
)
from monitor.core.state import ROTA, Message, Visit
from monitor.core.upload import Upload, finished, outcome, portions, prepared
from monitor.core.views import PeopleProblem, RotaProblem
from monitor.directory import Directory
from monitor.rota_reader import Reading, answer, read_rota

SHOWN_AFTER = timedelta(minutes=75)
"""How long after `late_at` a timeline goes on: past the hour in which somebody must be sent (spec 22.4)."""
CHECK_OUT_SHOWN = timedelta(minutes=15)
"""How long after the overrun it goes on: past the first summons."""
MOST_STEPS = 1_000
"""A policy of milliseconds must not fill the memory: a timeline this long ends with `and_so_on`."""
AND_SO_ON = "and_so_on"
PER_TURN = 500
DAY_BEFORE = timedelta(days=1)
NO_VISIT = datetime(2000, 1, 1, tzinfo=UTC)
"""The moment at which a rota without one visit that could be watched is read: it decides nothing."""
NOTHING_KEPT = EvidenceRow(id="e0", subject="rota", keep_until="", salt=b"", body=b"")
TO_STAFF = frozenset({"summon", "stand_down", "notice"})
"""Purposes whose person is named in a step: staff, by the caller's own id. Of all others it is clear who is meant."""


NOT_ASKED: tuple[str, ...] = NotAsked.__args__  # type: ignore[attr-defined]


class Step(Struct, frozen=True, kw_only=True):
    """One thing that happens: `alert_raised`, `summon sms st-1`, `reassure not_reached`, `missed`, …"""

    at: datetime
    step: str


class VisitPreview(Struct, frozen=True, kw_only=True):
    """One visit, in the caller's own ids. `duty`: who is on duty at `late_at`, in the order of the chain."""

    id: str
    start: datetime
    end: datetime
    late_at: datetime
    duty: tuple[str, ...]
    council_desk: str | None
    timeline: tuple[Step, ...]
    check_out: tuple[Step, ...] = ()
    """What happens if everybody who is planned comes in time and nobody checks out (spec 19.6.4)."""


class Preview(Struct, frozen=True, kw_only=True):
    """The visits that would be watched, in the order of the rota, and the problems as `PUT …/rota` would name them.

    `people_problems` are those of the people file; they have no place in the contract's answer.
    """

    visits: tuple[VisitPreview, ...]
    problems: tuple[RotaProblem, ...]
    people_problems: tuple[PeopleProblem, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether a row of the rota would not be watched."""
        return any(problem.severity == "error" for problem in self.problems)


def preview(
    config: DeskConfig,
    rota: dict[str, Any],
    *,
    people: Sequence[Any] | None = None,
    at: datetime | None = None,
) -> Preview:
    """Play every visit of a rota body, read at the instant `at` (unless given: the day before the first visit).

    `people` are the items of a people body; without them everybody whom rota and duty list name has one telephone:
    staff a mobile, a service user a landline. Raises ApiProblem (400) when `rota` is no rota.
    """
    directory = Directory(_minter(), config.policy.zone, config.policy.place_radius_m)
    people_problems = _fill(directory, config, rota, people)
    upload = _read(config, directory, rota)
    now = (
        at or min((row.start for row in upload.rows if row.start), default=NO_VISIT + DAY_BEFORE) - DAY_BEFORE
    )
    directory.new_day(now)
    loaded = _loaded(config, directory, _holidays(upload.rows, now))
    whole = _Desk(loaded, directory, now)
    said = whole.upload(upload)
    planned = whole.state.values.visits
    return Preview(
        visits=tuple(
            _visit(_Desk(loaded, directory, now), _Desk(loaded, directory, now), upload, row)
            for row in upload.rows
            if row.visit in planned
        ),
        problems=finished(answer(said, directory)).problems,
        people_problems=people_problems,
    )


def _minter() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


# --- what the desk is given ---


def _fill(
    directory: Directory, config: DeskConfig, rota: dict[str, Any], people: Sequence[Any] | None
) -> tuple[PeopleProblem, ...]:
    items = list(people) if people is not None else _placeholders(directory, config, rota)
    return directory.apply(*finished(directory.read(items))).problems


def _placeholders(directory: Directory, config: DeskConfig, rota: dict[str, Any]) -> list[Any]:
    """Everybody whom rota and duty list name, once: a person's first role counts."""
    rows = _read(config, directory, rota).rows
    roles: dict[str, str] = dict.fromkeys((line.person for line in config.duty), "staff")
    for row in rows:
        for ref in row.workers:
            roles.setdefault(directory.outside(ref), "care_worker")
        if row.service_user is not None:
            roles.setdefault(directory.outside(row.service_user), "service_user")
    return [msgspec.to_builtins(_placeholder(n, who, role)) for n, (who, role) in enumerate(roles.items())]


def _placeholder(number: int, who: str, role: Any) -> PersonIn:
    """Drama numbers: nobody can be rung by them, and nobody is."""
    if role == "service_user":
        phone = PhoneIn(number=f"+441632960{number % 1000:03}", kind="landline")
    else:
        phone = PhoneIn(number=f"+447700900{number % 1000:03}", kind="mobile")
    return PersonIn(id=who, role=role, phones=(phone,))


def _read(config: DeskConfig, directory: Directory, rota: dict[str, Any]) -> RotaReceived:
    reading = Reading(
        directory=directory,
        calendar=Calendar(zone=config.policy.zone),
        policy=config.policy,
        upload="u0",
        evidence=NOTHING_KEPT,
        digest="",
        by="preview",
    )
    return finished(read_rota(rota, reading))


def _holidays(rows: Iterable[RotaRow], now: datetime) -> tuple[date, ...]:
    years = {now.year, *(row.start.year for row in rows if row.start)}
    around = {near for year in years for near in (year - 1, year, year + 1)}
    return tuple(day for year in sorted(around) for day in england_bank_holidays(year, year))


def _loaded(config: DeskConfig, directory: Directory, holidays: tuple[date, ...]) -> PolicyLoaded:
    ref = directory.ref
    return PolicyLoaded(
        # as if whoever comes on call had answered: the preview shows who is to be summoned, not who sleeps
        policy=msgspec.structs.replace(config.policy, ask_duty=False),
        duty=tuple(Duty(person=ref("person", d.person), role=d.role, hours=d.hours) for d in config.duty),
        council_desks=tuple(
            CouncilDesk(
                ref=ref("council_desk", c.name),
                hours=c.hours,
                contract=c.contract,
                client_group=c.client_group,
            )
            for c in config.council_desks
        ),
        holidays=holidays,
        public=config.public,
        contracts=config.contracts,
    )


# --- one visit ---


def _planned(desk: _Desk, upload: RotaReceived, row: RotaRow) -> Visit:
    desk.upload(msgspec.structs.replace(upload, rows=(row,), complete=False))
    # as if the rota were uploaded again and again: an old one would summon in the timeline of a visit in the spring
    desk.state.silence(ROTA)
    (visit,) = desk.state.values.visits.values()
    return visit


def _visit(desk: _Desk, again: _Desk, upload: RotaReceived, row: RotaRow) -> VisitPreview:
    """`again`: the same desk, on which the care workers come."""
    visit = _planned(desk, upload, row)
    outside = desk.directory.outside
    duty = on_duty(desk.state.values.duty, visit.late_at, desk.state.calendar)
    council = desk.state.council_desk(desk.directory.person(visit.service_user), visit.late_at)
    return VisitPreview(
        id=outside(visit.ref),
        start=visit.start,
        end=visit.end,
        late_at=visit.late_at,
        duty=tuple(dict.fromkeys(outside(line.person) for line in duty)),
        council_desk=outside(council) if council else None,
        timeline=_timeline(desk, visit),
        check_out=_check_out(again, upload, row),
    )


def _timeline(desk: _Desk, visit: Visit) -> tuple[Step, ...]:
    return _steps_until(desk, max(visit.late_at, desk.now) + SHOWN_AFTER)


def _check_out(desk: _Desk, upload: RotaReceived, row: RotaRow) -> tuple[Step, ...]:
    """Everybody checks in at the start of the last visit of their run, and not one of them checks out."""
    visit = _planned(desk, upload, row)
    if visit.start < desk.now or not visit.workers:
        return ()
    desk.now = visit.start
    for number, worker in enumerate(visit.workers, 1):
        arrives = CheckInSeen(
            ref=f"k{number}",
            source="http",
            kind="arrive",
            at=visit.start,
            evidence=Evidence(id=NOTHING_KEPT.id, digest=""),
            fingerprint=number,
            visit=visit.ref,
            worker=worker,
        )
        desk.tell(arrives)
    return _steps_until(desk, visit.overrun_at + CHECK_OUT_SHOWN)


def _steps_until(desk: _Desk, until: datetime) -> tuple[Step, ...]:
    desk.facts.clear()
    steps: list[Step] = []
    while desk.advance(until):
        steps += _steps(desk)
        if len(steps) >= MOST_STEPS:
            return (*steps[:MOST_STEPS], Step(at=steps[MOST_STEPS - 1].at, step=AND_SO_ON))
    return tuple(steps)


def _steps(desk: _Desk) -> list[Step]:
    """The new facts as steps, oldest first."""
    rehearsed = {
        fact.subject
        for fact in desk.facts
        if isinstance(fact.body, f.MessageSettled) and fact.body.result == "rehearsed"
    }
    named = [
        Step(at=fact.at, step=name)
        for fact in desk.facts
        if (name := _name(desk.directory, fact, rehearsed)) is not None
    ]
    desk.facts.clear()
    return named


def _name(directory: Directory, fact: f.Happened, rehearsed: set[str]) -> str | None:
    body = fact.body
    match body:
        case f.AlertRaised():
            return "alert_raised" if body.kind == "late_visit" else f"alert_raised {body.kind}"
        case f.TrackMoved():
            return _track(body)
        case f.MessageIntended():
            return _message(directory, body, rehearsed=fact.subject in rehearsed)
        case f.VisitMissed():
            return "missed"
        case f.CheckOutAsked() if body.reason in NOT_ASKED:
            return f"check_out skipped {body.reason}"
        case f.CouncilMoved() if body.step == "skipped":
            return f"council skipped {body.reason}"
        case _:
            return None


def _message(directory: Directory, body: f.MessageIntended, *, rehearsed: bool) -> str:
    """`rehearsed`: the desk's public messages are off, so it would not leave."""
    who = f" {directory.outside(body.person)}" if body.purpose in TO_STAFF else ""
    return f"{body.purpose} {body.channel}{who}{' rehearsed' if rehearsed else ''}"


def _track(moved: f.TrackMoved) -> str | None:
    """A move that messages do not already show."""
    if moved.reason == "nobody_on_duty":
        return f"{moved.track} nobody_on_duty"
    if moved.step in ("waiting", "skipped"):
        return f"{moved.track} {moved.step} {moved.reason}"
    return None if moved.step == "trying" else f"{moved.track} {moved.step}"


# --- the core, driven ---


class _Desk:
    """One desk that nobody answers: every text is delivered, every call rings out, then time goes on."""

    def __init__(self, loaded: PolicyLoaded, directory: Directory, now: datetime) -> None:
        self.directory, self.now = directory, now
        self.state = State()
        self.facts: list[f.Happened] = []
        self._mint = _minter()
        self._reports: list[tuple[datetime, int, DeliveryReported]] = []
        self._order = count()
        self.tell(loaded)

    def tell(self, seen: Input) -> Decision:
        """Decide, fold, and let what was intended leave at once."""
        decision = decide(self.state, seen, Ctx(now=self.now, mint=self._mint, people=self.directory))
        for draft in decision.drafts:
            fact = f.Happened(
                seq=self.state.seq + 1,
                at=self.now,
                subject=draft.subject,
                body=draft.body,
                due_at=draft.due_at,
                policy=draft.policy or self.state.values.policy_digest,
            )
            evolve(self.state, fact)
            self.facts.append(fact)
        for draft in decision.drafts:
            if isinstance(draft.body, f.MessageIntended):
                self._send(draft.subject)
        return decision

    def upload(self, upload: RotaReceived) -> Upload:
        """Take an upload in whole, as if it were confirmed."""
        plan = finished(prepared(self.state, msgspec.structs.replace(upload, confirm=True), self.now))
        [portion] = portions(plan, sys.maxsize)
        return outcome(plan, self.tell(portion).answer)

    def _send(self, key: str) -> None:
        message = self.state.values.messages.get(key)
        if message is None or message.phase != "queued":
            return
        turn = self.tell(SendTurn(key=key, evidence=Evidence(id=NOTHING_KEPT.id, digest="")))
        if turn.answer == "send":
            self.tell(SendReported(key=key, result="accepted", provider_ref="preview"))
            at, report = self._unanswered(message)
            heapq.heappush(self._reports, (at, next(self._order), report))

    def _unanswered(self, message: Message) -> tuple[datetime, DeliveryReported]:
        if message.channel == "call":
            rung_out = self.now + timedelta(seconds=message.ring_s)
            return rung_out, DeliveryReported(key=message.key, status="no_answer")
        return self.now, DeliveryReported(key=message.key, status="delivered")

    def advance(self, until: datetime) -> bool:
        """Go on to the next thing that happens; False when nothing does, up to `until`."""
        deadline = self.state.next_deadline()
        report = self._reports[0][0] if self._reports else None
        moments = [at for at in (deadline, report) if at is not None]
        if not moments or min(moments) > until:
            return False
        self.now = max(self.now, min(moments))
        # what was reported is read before what became due at the same moment (docs/interface.md, "Order")
        if report is not None and report <= self.now:
            self.tell(heapq.heappop(self._reports)[2])
            return True
        for subject, due_at in self.state.take_due(self.now, PER_TURN):
            self.tell(DeadlineReached(subject=subject, due_at=due_at))
        return True
