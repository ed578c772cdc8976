"""Drives one desk's core: a clock in the hand, ids that count up, a small directory. No loop, no store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from config.policy import CouncilDesk, Duty, Policy
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.desk import Ctx, Decision, State, decide, evolve
from monitor.core.inputs import (
    CheckInKind,
    CheckInSeen,
    DeadlineReached,
    Evidence,
    Input,
    LeadershipWon,
    PolicyLoaded,
    Position,
    RotaReceived,
    RotaRow,
    SendReported,
    SendTurn,
)
from monitor.core.places import Home
from monitor.core.state import Alert, Message, Visit

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOME = Home(lat=51.4, lon=0.02, radius_m=100.0)
THERE = Position(lat=51.4, lon=0.02, accuracy_m=15.0)
AWAY = Position(lat=51.45, lon=0.1, accuracy_m=15.0)
NOWHERE = Evidence(id="e0", digest="00")


class Directory:
    """People by minted id. `ed` is a service user with a landline, `dee` a care worker, `olga` in the office."""

    def __init__(self) -> None:
        self.people = {
            "ed": PersonView(
                ref="ed", role="service_user", lines=(LineView(ref="l-ed", kind="landline"),), plan=PlanView()
            ),
            "dee": PersonView(ref="dee", role="care_worker", lines=(LineView(ref="l-dee"),)),
            "kit": PersonView(ref="kit", role="care_worker", lines=(LineView(ref="l-kit"),)),
            "olga": PersonView(ref="olga", role="staff", lines=(LineView(ref="l-olga"),)),
            "paul": PersonView(ref="paul", role="staff", lines=(LineView(ref="l-paul"),)),
            "mary": PersonView(ref="mary", role="staff", lines=(LineView(ref="l-mary"),)),
        }
        self.devices = {"d-dee": "dee", "d-kit": "kit"}
        self.home = {"ed": (HOME,)}

    def person(self, ref: str) -> PersonView | None:
        return self.people.get(ref)

    def homes(self, ref: str, at: datetime) -> tuple[Home, ...]:
        return self.home.get(ref, ())

    def worker_of(self, device: str) -> str | None:
        return self.devices.get(device)


DUTY = (
    Duty(person="olga", role="office", hours="Mon-Fri 09:00-17:00"),
    Duty(person="paul", role="on_call", hours="otherwise"),
    Duty(person="mary", role="manager", hours="otherwise"),
)


class Desk:
    """One desk in the hand. `tell` decides and folds; `advance` fires deadlines at their moments."""

    def __init__(
        self,
        now: datetime = MONDAY,
        *,
        public: str = "auto",
        duty: Sequence[Duty] = DUTY,
        holidays: Sequence[date] = (),
        **policy: Any,
    ) -> None:
        self.now = now
        self.people = Directory()
        self.state = State()
        self.facts: list[f.Happened] = []
        self._minted = 0
        self._prints = 0
        self.unrecorded = False
        self.tell(LeadershipWon(fence=1))
        self.tell(
            PolicyLoaded(
                policy=Policy(**policy),
                duty=tuple(duty),
                council_desks=(CouncilDesk(ref="c1", hours="otherwise"),),
                holidays=tuple(holidays),
                public=public,  # type: ignore[arg-type]
            )
        )

    def mint(self, prefix: str) -> str:
        self._minted += 1
        return f"{prefix}{self._minted}"

    def tell(self, seen: Input) -> Decision:
        ctx = Ctx(now=self.now, mint=self.mint, people=self.people, unrecorded=self.unrecorded)
        decision = decide(self.state, seen, ctx)
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
        return decision

    def advance(self, **by: float) -> list[f.FactBody]:
        """Let time pass, stopping at every deadline; returns what was decided meanwhile."""
        until, before = self.now + timedelta(**by), len(self.facts)
        for _ in range(10_000):
            at = self.state.next_deadline()
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            for subject, due_at in self.state.take_due(self.now, 500):
                self.tell(DeadlineReached(subject=subject, due_at=due_at))
        else:
            raise AssertionError("a deadline that never moves")
        self.now = until
        return [fact.body for fact in self.facts[before:]]

    # --- short words for tests ---

    def plan(self, visit: str = "v1", *, start: datetime | None = None, **row: Any) -> Decision:
        begin = start or self.now
        row.setdefault("end", begin + timedelta(minutes=30))
        row.setdefault("workers", ("dee",))
        row.setdefault("service_user", "ed")
        return self.upload(RotaRow(row=1, key=visit, visit=visit, start=begin, **row))

    def upload(self, *rows: RotaRow, **upload: Any) -> Decision:
        return self.tell(RotaReceived(upload=self.mint("u"), evidence=NOWHERE, rows=rows, **upload))

    def check(
        self, kind: CheckInKind = "arrive", *, at: datetime | None = None, device: str | None = "d-dee", **more: Any
    ) -> Decision:
        self._prints += 1
        more.setdefault("fingerprint", self._prints)
        return self.tell(
            CheckInSeen(
                ref=self.mint("k"),
                source="mqtt",
                kind=kind,
                at=at or self.now,
                evidence=NOWHERE,
                device=device,
                **more,
            )
        )

    def visit(self, ref: str = "v1") -> Visit:
        return self.state.values.visits[ref]

    def alerts(self, kind: str | None = None) -> list[Alert]:
        found = self.state.values.alerts.values()
        return [alert for alert in found if kind is None or alert.kind == kind]

    def alert(self, kind: str = "late_visit") -> Alert:
        (alert,) = self.alerts(kind)
        return alert

    def messages(self, purpose: str | None = None, person: str | None = None) -> list[Message]:
        return [
            message
            for message in self.state.values.messages.values()
            if (purpose is None or message.purpose == purpose) and (person is None or message.person == person)
        ]

    def send(self, message: Message) -> str:
        """The outbox's turn and the provider's yes."""
        decision = self.tell(SendTurn(key=message.key, evidence=NOWHERE))
        if decision.answer == "send":
            self.tell(SendReported(key=message.key, result="accepted", provider_ref="SM1"))
        return str(decision.answer)

    def send_all(self) -> list[Message]:
        queued = [message for message in self.messages() if message.phase == "queued"]
        return [message for message in queued if self.send(message) == "send"]
