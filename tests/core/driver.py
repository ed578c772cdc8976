"""Drives one desk's core: a clock in the hand, ids that count up, a small directory. No loop, no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from config.policy import Contract, CouncilDesk, Duty, Policy
from escalation import dialog
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core import lines, phones
from monitor.core.desk import Ctx, Decision, Refusal, State, decide, evolve
from monitor.core.evolve import NOT_SEEN, Fold
from monitor.core.inputs import (
    ActionTaken,
    CallStatus,
    CheckInKind,
    CheckInSeen,
    DeadlineReached,
    DeliveryReported,
    Evidence,
    Input,
    KeyPressed,
    LeadershipWon,
    PolicyLoaded,
    Position,
    ReplyReceived,
    RotaReceived,
    RotaRow,
    RotaTaken,
    SendReported,
    SendTurn,
)
from monitor.core.places import Home
from monitor.core.state import Alert, Message, Values, Visit
from monitor.core.upload import Plan, finished, outcome, portions, prepared
from monitor.heard import Heard

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""08:00 local in winter: a working day before office hours; paul is on call, mary is the last rung."""
HOME = Home(lat=51.4, lon=0.02, radius_m=100.0)
NEXT_HOME = Home(lat=51.42, lon=0.02, radius_m=100.0)
THERE = Position(lat=51.4, lon=0.02, accuracy_m=15.0)
NEXT_DOOR = Position(lat=51.42, lon=0.02, accuracy_m=15.0)
AWAY = Position(lat=51.45, lon=0.1, accuracy_m=15.0)
NOWHERE = Evidence(id="e0", digest="00")


class Directory:
    """People by minted id. `ed` (a landline) and `fay` (a mobile) are service users, `dee` and `kit` care workers,
    `olga` sits in the office, `paul` is on call, `mary` is the registered manager, `ned` is ed's next of kin."""

    def __init__(self) -> None:
        self.people = {
            "ed": PersonView(
                ref="ed", role="service_user", lines=(LineView(ref="l-ed", kind="landline"),), plan=PlanView()
            ),
            "fay": PersonView(ref="fay", role="service_user", lines=(LineView(ref="l-fay"),)),
            "ned": PersonView(ref="ned", role="contact", lines=(LineView(ref="l-ned"),)),
            "dee": PersonView(ref="dee", role="care_worker", lines=(LineView(ref="l-dee"),)),
            "kit": PersonView(ref="kit", role="care_worker", lines=(LineView(ref="l-kit"),)),
            "olga": PersonView(ref="olga", role="staff", lines=(LineView(ref="l-olga"),)),
            "paul": PersonView(ref="paul", role="staff", lines=(LineView(ref="l-paul"),)),
            "mary": PersonView(ref="mary", role="staff", lines=(LineView(ref="l-mary"),)),
        }
        self.devices = {"d-dee": "dee", "d-kit": "kit"}
        self.home = {"ed": (HOME,), "fay": (NEXT_HOME,)}

    def person(self, ref: str) -> PersonView | None:
        return self.people.get(ref)

    def homes(self, ref: str, at: datetime) -> tuple[Home, ...]:
        return self.home.get(ref, ())

    def worker_of(self, device: str) -> str | None:
        return self.devices.get(device)

    def on_line(self, line: str) -> set[str]:
        return {ref for ref, person in self.people.items() if any(one.ref == line for one in person.lines)}

    def care_workers(self) -> tuple[PersonView, ...]:
        return tuple(person for person in self.people.values() if person.role == "care_worker")


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
        contracts: Sequence[Contract] = (),
        council_desks: Sequence[CouncilDesk] = (CouncilDesk(ref="c1", hours="otherwise"),),
        takes_over: bool = True,
        looks_ahead: bool = False,
        **policy: Any,
    ) -> None:
        self.now = now
        self.takes_over = takes_over
        """Whether folding takes over what a decision has worked out of its own facts, as the engine does."""
        self.people = Directory()
        self.state = State()
        self.facts: list[f.Happened] = []
        self.heard = Heard()
        self._minted = 0
        self._prints = 0
        self.unrecorded = False
        self.tell(LeadershipWon(fence=1))
        # a test that runs for days tells of its visits alone, unless it is about the rota's age
        policy.setdefault("rota_old_after", timedelta(days=14))
        self.tell(
            PolicyLoaded(
                policy=Policy(**policy),
                duty=tuple(duty),
                council_desks=tuple(council_desks),
                contracts=tuple(contracts),
                holidays=tuple(holidays),
                public=public,  # type: ignore[arg-type]
            )
        )

        if not looks_ahead:
            # a test that runs into the evening has no rota for tomorrow, unless it is about that
            looked = f.RotaLooked(day=date(2099, 12, 31), visits=0, tomorrow=0)
            self._fold(f.Draft(at=self.now, subject="desk", body=looked))

    def mint(self, prefix: str) -> str:
        self._minted += 1
        return f"{prefix}{self._minted}"

    def tell(self, seen: Input) -> Decision:
        ctx = Ctx(
            now=self.now,
            mint=self.mint,
            people=self.people,
            unrecorded=self.unrecorded,
            heard=self.heard.workers,
            rests=self.heard.rests,
            listening_since=self.heard.since,
        )
        decision = decide(self.state, seen, ctx)
        for draft, fold in zip(decision.drafts, decision.folds, strict=True):
            self._fold(draft, fold if self.takes_over else NOT_SEEN)
        return decision

    def _fold(self, draft: f.Draft, fold: Fold = NOT_SEEN) -> None:
        fact = f.Happened(
            seq=self.state.seq + 1,
            at=self.now,
            subject=draft.subject,
            body=draft.body,
            due_at=draft.due_at,
            policy=draft.policy or self.state.values.policy_digest,
        )
        evolve(self.state, fact, fold)
        self.facts.append(fact)

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

    # --- the same desk after a restart ---

    def replayed(self) -> State:
        """The state as a restart without a snapshot finds it: every fact through its stored text, folded."""
        state = State()
        for fact in self.facts:
            kind = type(fact.body)
            text = f.encode_body(fact.body)
            body = f.decode_body(kind.__name__, kind.VERSION, text)
            evolve(state, msgspec.structs.replace(fact, body=body))
        return state

    def restarted(self) -> State:
        """The state as a restart from a snapshot taken now finds it."""
        body = msgspec.msgpack.encode(self.state.values)
        return State(msgspec.msgpack.decode(body, type=Values), self.state.seq)

    def restart(self, *, snapshot: bool = True) -> None:
        """Go on with what was on disk."""
        self.state = self.restarted() if snapshot else self.replayed()
        self.hear_anew()

    def hear_anew(self) -> None:
        """What was heard is in no snapshot: whoever is quiet has the whole of their time again."""
        self.heard = Heard()
        self.heard.begin(self.now)

    # --- short words for tests ---

    def plan(self, visit: str = "v1", *, start: datetime | None = None, **row: Any) -> Decision:
        begin = start or self.now
        row.setdefault("end", begin + timedelta(minutes=30))
        row.setdefault("workers", ("dee",))
        row.setdefault("service_user", "ed")
        return self.upload(RotaRow(row=1, key=visit, visit=visit, start=begin, **row))

    def upload(self, *rows: RotaRow, portion: int = 10_000, **upload: Any) -> Decision:
        """An upload, in portions of so many rows; the decision is the last one's, with the answer about all of it."""
        given = RotaReceived(upload=self.mint("u"), evidence=NOWHERE, rows=rows, **upload)
        plan = finished(prepared(self.state, given, self.now))
        if plan.confirm_needed:
            cancels = [*(ref for ref, _ in plan.cancel), *plan.given_away]
            return Decision(refusal=Refusal(code="confirm_needed", detail={"cancels": cancels}))
        decision = self.portions(plan, portion)
        return msgspec.structs.replace(decision, answer=outcome(plan, decision.answer))

    def portions(self, plan: Plan, most: int, between: Callable[[int], None] = lambda _: None) -> Decision:
        """Take an upload in by portions; `between` happens after each of them."""
        decision = Decision(answer=RotaTaken())
        for number, part in enumerate(portions(plan, most), 1):
            decision = self.tell(msgspec.structs.replace(part, before=decision.answer))
            between(number)
        return decision

    def check(
        self,
        kind: CheckInKind = "arrive",
        *,
        at: datetime | None = None,
        device: str | None = "d-dee",
        **more: Any,
    ) -> Decision:
        self._prints += 1
        more.setdefault("fingerprint", self._prints)
        more.setdefault("source", "mqtt")
        check = CheckInSeen(
            ref=self.mint("k"), kind=kind, at=at or self.now, evidence=NOWHERE, device=device, **more
        )
        decision = self.tell(check)
        # as `monitor.desk_shell.DeskShell.check_in` has it
        worker = check.worker or (self.people.worker_of(device) if device else None)
        gap = phones.longest_gap(self.state.values.policy)
        self.heard.note(worker, check, decision.outcome, self.now, gap)
        return decision

    def deliver(self, message: Message, status: CallStatus, **more: Any) -> Decision:
        """The network's word on a message."""
        return self.tell(DeliveryReported(key=message.key, status=status, **more))

    def press(self, message: Message, *digits: str) -> Decision:
        """Somebody answers our call and presses these keys in turn ("" is silence)."""
        step, decision = dialog.begin(message.template).name, Decision()
        if "urgent" in dialog.DIALOGS[message.template].openings and lines.waiting_on(self.about(message)):
            step = "urgent"  # as `monitor.words.Words.opening` has it
        for digit in digits:
            decision = self.tell(KeyPressed(key=message.key, step=step, digit=digit))
            step = decision.answer.step
        return decision

    def about(self, message: Message) -> Alert | None:
        """The message's alert."""
        return self.state.values.alerts.get(message.alert or "")

    def text(self, person: str, code: str | None = None, **more: Any) -> Decision:
        """A text comes from this person's line."""
        more.setdefault("persons", (person,))
        more.setdefault("line", f"l-{person}")
        self._prints += 1
        more.setdefault("fingerprint", self._prints)
        return self.tell(ReplyReceived(code=code, evidence=NOWHERE, **more))

    def act(self, action: str, by: str, *, alert: Alert | None = None, **more: Any) -> Decision:
        """A named person does something on the board."""
        target = alert or self.alert()
        return self.tell(
            ActionTaken(alert=target.ref, action=action, by=by, at=self.now, **more)  # type: ignore[arg-type]
        )

    def bodies(self, kind: type[f.FactBody]) -> list[Any]:
        """The bodies of every fact of this kind so far."""
        return [fact.body for fact in self.facts if isinstance(fact.body, kind)]

    def message(self, key: str) -> Message:
        return self.state.values.messages[key]

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
            if (purpose is None or message.purpose == purpose)
            and (person is None or message.person == person)
        ]

    def tell_turn(self, message: Message, **more: Any) -> str:
        """The outbox's turn."""
        return str(self.tell(SendTurn(key=message.key, evidence=NOWHERE, **more)).answer)

    def send(self, message: Message) -> str:
        """The outbox's turn and the provider's yes."""
        answer = self.tell_turn(message)
        if answer == "send":
            self.tell(SendReported(key=message.key, result="accepted", provider_ref="SM1"))
        return answer

    def send_all(self) -> list[Message]:
        queued = [message for message in self.messages() if message.phase == "queued"]
        return [message for message in queued if self.send(message) == "send"]
