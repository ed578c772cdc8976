"""The single writer of one desk: decide, evolve at once, append in groups, release by durable sequence.

Everything runs on the event loop, and `submit` never awaits: a decision sees every fact decided before it. What goes
out (acknowledgements, answers, messages) waits until `durable_seq` has reached its facts. The one exception is
degraded mode (docs/architecture.md): summons to staff leave unrecorded, and say so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, get_args, get_type_hints

import structlog
from msgspec import Struct

from connectors.ports import (
    GENESIS,
    Degraded,
    EdgeError,
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    NotTaken,
    PeopleRow,
    Reason,
    Record,
    Snapshot,
    Store,
    StoreFenced,
    StoreRefused,
    StoreUnavailable,
    chain_hash,
)
from monitor import snapshots
from monitor.clock import Clock
from monitor.core import facts as f
from monitor.core.desk import Ctx, Decision, decide, evolve
from monitor.core.evidence import Evidence
from monitor.core.inputs import (
    CheckInSeen,
    DeadlineFailed,
    DeadlineReached,
    Input,
    LeadershipWon,
    RotaPortion,
    SendTurn,
)
from monitor.core.state import STATE_VERSION, Asked, State
from monitor.directory import Directory
from monitor.heard import Heard
from monitor.positions import Positions

log = structlog.get_logger("engine")

SNAPSHOT_EVERY = 20_000
"""Facts between two snapshots, at least."""
PER_VALUE = 2
"""And as many facts for each value of the state: a snapshot costs what the state is large, a start what lies behind it
in the journal. So neither grows faster than the other."""
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses between two tries of a failed append; the last one goes on."""
RELEASED_AT_ONCE = 500
"""Facts whose effects start before the loop has its turn: some 3 ms."""
BUFFER_MARK = 200_000
"""Facts that may wait for a store that does not answer; then inputs are refused, loudly."""


class Hooks(Protocol):
    """What the engine tells the shell. Called on the loop, never awaited; must not raise."""

    def released(self, engine: Engine, fact: f.Happened, *, durable: bool) -> None:
        """The fact may have its effect: it is on disk (`durable`), or degraded mode lets it leave unrecorded."""

    def degraded(self, engine: Engine, reason: Reason | None) -> None:
        """The store does not answer (reason), or does again (None)."""

    def appended(self, engine: Engine, facts: int, seconds: float) -> None:
        """One append became durable."""

    def quarantined(self, engine: Engine, kind: str, error: str) -> None:
        """`decide` raised on an input."""

    def decided(self, engine: Engine, wanted: Asked | None) -> None:
        """Facts were decided: the desk's next deadline is this one now."""


class Ticket(Struct, kw_only=True, gc=False):
    """What `submit` answers at once. `seq` is the last fact decided up to now; `first` this input's own first."""

    decision: Decision
    first: int | None
    seq: int


class DecideFailedError(Exception):
    """`decide` raised: the input is quarantined by whoever brought it. The cause is chained."""


class _Waiter(Struct, kw_only=True, gc=False):
    seq: int
    done: Callable[[], None]
    degraded: Callable[[EdgeError], None] | None
    lost: Callable[[EdgeError], None] | None


class Engine:
    """One desk. `start`, then `run` until cancelled; `submit` in between."""

    def __init__(
        self,
        desk: str,
        store: Store,
        clock: Clock,
        mint: Callable[[str], str],
        directory: Directory,
        hooks: Hooks,
        *,
        off_loop: Callable[[Callable[[], bytes]], Awaitable[bytes]],
    ) -> None:
        self.desk, self.directory = desk, directory
        self.positions = Positions()
        self.heard = Heard()
        self.state = State()
        self._seq, self._hash = 0, GENESIS
        self.durable_seq = 0
        self.reason: Reason | None = None
        self.lost = False
        self.secret = b""
        self._store, self._clock, self._mint, self._hooks, self._off_loop = (
            store,
            clock,
            mint,
            hooks,
            off_loop,
        )
        self._leadership: Leadership | None = None
        self._pending: list[Record] = []
        self._effects: deque[f.Happened] = deque()
        self._people: list[PeopleRow] = []
        self._evidence: list[EvidenceRow] = []
        self._waiters: deque[_Waiter] = deque()
        self._wake, self._saving = asyncio.Event(), asyncio.Lock()
        self._snapshot_seq = 0
        self._inflight = 0

    # --- start ---

    async def start(self) -> None:
        """Take the lead, fold the state. Raises StoreRefused, StoreUnavailable."""
        self._leadership = await self._store.lead(self.desk)
        loaded = await self._store.load(self.desk)
        self.secret = loaded.secret
        self.directory.secret = loaded.secret
        self.directory.new_day(self._clock.now())
        self.directory.restore(loaded.people, loaded.people_rev)
        self.state = fold(loaded)
        self._seq, self._hash = loaded.head.seq, loaded.head.hash
        self.durable_seq = loaded.head.seq
        self._snapshot_seq = self.state.seq
        self.heard.begin(self._clock.now())
        self.submit(LeadershipWon(fence=self._leadership.fence))
        for subject, error in self.state.frozen.items():
            self.submit(DeadlineFailed(subject=subject, due_at=self._clock.now(), error=error))

    @property
    def head(self) -> Head:
        """Where the desk's facts end, durable or not."""
        return Head(seq=self._seq, hash=self._hash)

    @property
    def started(self) -> bool:
        """Whether it leads and has folded its state."""
        return self._leadership is not None and not self.lost

    # --- inputs ---

    def submit(
        self, seen: Input, *, evidence: Sequence[EvidenceRow] = (), people: Sequence[PeopleRow] = ()
    ) -> Ticket:
        """Decide, evolve, buffer. Never awaits. Raises DecideFailedError (nothing was changed), Degraded when the
        buffer of a store that does not answer is full."""
        if self.lost:
            raise NotTaken("fenced", "this process no longer leads the desk")
        # the directory has handed them over, and has them no more: kept also where the input is not taken
        self._people += people
        if people:
            self._wake.set()
        if len(self._pending) > BUFFER_MARK:
            raise NotTaken(self.reason or "unreachable", "too many facts wait for the store")
        now = self._clock.now()
        ctx = self.context(now)
        try:
            decision = decide(self.state, seen, ctx)
        except Exception as error:
            self._hooks.quarantined(self, type(seen).__name__, type(error).__name__)
            raise DecideFailedError(type(error).__name__) from error
        first = None
        if decision.drafts:
            first = self._take(decision, seen, now, evidence)
            self._wake.set()
            self._hooks.decided(self, self.state.next_asked())
        return Ticket(decision=decision, first=first, seq=self.state.seq)

    def context(self, now: datetime) -> Ctx:
        """What a decision may look at beside the state at this moment."""
        return Ctx(
            now=now,
            mint=self._mint,
            people=self.directory,
            unrecorded=self.reason is not None,
            positions=self.positions.last,
            positions_before=self.positions.before,
            heard=self.heard.workers,
            rests=self.heard.rests,
            listening_since=self.heard.since,
        )

    def _take(self, decision: Decision, seen: Input, now: datetime, evidence: Sequence[EvidenceRow]) -> int:
        """Seal each fact into the chain, fold it, keep it for the next append."""
        first = self.state.seq + 1
        cause, at = _cause(seen), instant(now)
        wanted: set[str] = set()
        for draft, fold in zip(decision.drafts, decision.folds, strict=True):
            policy = draft.policy or self.state.values.policy_digest
            record = self._seal(draft, at, cause, policy)
            fact = f.Happened(
                seq=record.seq,
                at=now,
                subject=draft.subject,
                body=draft.body,
                due_at=draft.due_at,
                policy=policy,
            )
            evolve(self.state, fact, fold)
            self._pending.append(record)
            self._effects.append(fact)
            if type(draft.body) in _EVIDENT:
                _note_evidence(draft.body, wanted)
            if self.reason is not None:
                self._release_unrecorded(fact)
        if wanted:
            self._evidence += [row for row in evidence if row.id in wanted]
        return first

    def _seal(self, draft: f.Draft, at: str, cause: str, policy: str) -> Record:
        body, subject, prev = draft.body, draft.subject, self._hash
        seq, rev = self._seq + 1, self.directory.rev
        due_at = instant(draft.due_at) if draft.due_at else None
        kind, v, text = type(body).__name__, body.VERSION, f.encode_body(body)
        sealed = chain_hash(prev, self.desk, seq, at, due_at, kind, v, subject, cause, rev, policy, text)
        self._seq, self._hash = seq, sealed
        return Record(
            seq=seq,
            at=at,
            due_at=due_at,
            kind=kind,
            v=v,
            subject=subject,
            cause=cause,
            people_rev=rev,
            policy=policy,
            body=text,
            prev=prev,
            hash=sealed,
        )

    # --- deadlines ---

    def fire_due(self, limit: int, until: Asked | None = None) -> int:
        """Ask the core about every deadline that has come, at most `limit`, and none whose turn comes after `until`.
        Returns how many were asked. Raises NotTaken when nothing can be decided; no deadline is lost by it."""
        due = self.state.take_due(self._clock.now(), limit, until)
        asked = 0
        try:
            while due:
                self._fire(*due[0])
                due.popleft()
                asked += 1
        finally:
            # whatever stopped us: what was taken and not answered wants to be asked again
            for subject, due_at in due:
                self.state.still_asks(subject, due_at)
        return asked

    def _fire(self, subject: str, due_at: datetime) -> None:
        try:
            self.submit(DeadlineReached(subject=subject, due_at=due_at))
            if self.state.still_asks(subject, due_at):
                raise DecideFailedError("NoProgress")
        except DecideFailedError as error:
            self.state.silence(subject)
            cause = error.__cause__
            name = type(cause).__name__ if cause else "NoProgress"
            log.error("deadline failed", desk=self.desk, subject=subject, error=name)
            self.submit(DeadlineFailed(subject=subject, due_at=due_at, error=name))

    # --- waiting for the disk ---

    def when_durable(
        self,
        seq: int,
        done: Callable[[], None],
        degraded: Callable[[EdgeError], None] | None = None,
        lost: Callable[[EdgeError], None] | None = None,
    ) -> None:
        """Call `done` once everything up to `seq` is on disk (now, if it is). `degraded` is called instead, at once,
        while the store does not answer; who gives none waits through it, and hears by `lost` that the desk was given
        up. `seq` never goes back between calls."""
        if self.lost and (told := degraded or lost) is not None:
            told(Degraded("fenced"))
        elif seq <= self.durable_seq:
            done()
        elif self.reason is not None and degraded is not None:
            degraded(Degraded(self.reason))
        else:
            self._waiters.append(_Waiter(seq=seq, done=done, degraded=degraded, lost=lost))

    async def durable(self, seq: int | None = None, *, patient: bool = False) -> None:
        """Return when everything up to `seq` (all that is decided now) is on disk. Raises Degraded; when patient, only
        for a desk that was given up."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done() -> None:
            if not future.done():
                future.set_result(None)

        def failed(error: EdgeError) -> None:
            if not future.done():
                future.set_exception(error)

        self.when_durable(self.state.seq if seq is None else seq, done, None if patient else failed, failed)
        await future

    # --- the committer ---

    async def run(self) -> None:
        """Append what is decided, in groups, until cancelled or fenced. Raises StoreFenced, StoreRefused."""
        saving: asyncio.Task[None] | None = None
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending or self._people:
                    await self._commit()
                enough = self._seq - self._snapshot_seq >= max(SNAPSHOT_EVERY, PER_VALUE * self.state.size)
                if enough and (saving is None or saving.done()):
                    # beside us: appends go on while a large state is encoded and saved
                    saving = asyncio.create_task(self.snapshot(), name=f"snapshot:{self.desk}")
        finally:
            if saving is not None:
                saving.cancel()

    async def _commit(self) -> None:
        facts, self._pending = self._pending, []
        people, self._people = self._people, []
        evidence, self._evidence = self._evidence, []
        expected = Head(seq=facts[0].seq - 1, hash=facts[0].prev) if facts else self._durable_head()
        self._inflight = len(facts)
        began = self._clock.monotonic()
        for attempt in range(1_000_000_000):
            try:
                assert self._leadership is not None
                await self._store.append(self._leadership, expected, facts, people, evidence)
                break
            except StoreUnavailable as error:
                self._enter_degraded(error)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            except (StoreFenced, StoreRefused) as error:
                self._give_up(error)
                raise
        self._inflight = 0
        await self._now_durable(facts, self._clock.monotonic() - began)

    def _durable_head(self) -> Head:
        return (
            self.head if not self._pending else Head(seq=self._pending[0].seq - 1, hash=self._pending[0].prev)
        )

    async def _now_durable(self, facts: list[Record], seconds: float) -> None:
        if facts:
            self.durable_seq = facts[-1].seq
        was = self.reason
        self.reason = None if not self._pending else self.reason
        self._hooks.appended(self, len(facts), seconds)
        while self._waiters and self._waiters[0].seq <= self.durable_seq:
            self._waiters.popleft().done()
        await self._release()
        if was is not None and self.reason is None:
            log.warning("store answers again", desk=self.desk, seq=self.durable_seq)
            self._hooks.degraded(self, None)

    async def _release(self) -> None:
        """Effects of what is durable, in portions: a storm's would be one long turn of the loop."""
        released = 0
        while self._effects and self._effects[0].seq <= self.durable_seq:
            self._hooks.released(self, self._effects.popleft(), durable=True)
            released += 1
            if released % RELEASED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _enter_degraded(self, error: StoreUnavailable) -> None:
        """Facts stay in memory in order; who cannot wait is told; summons to staff leave unrecorded."""
        if self.reason is not None:
            self.reason = error.reason
            return
        self.reason = error.reason
        log.error("store does not answer", desk=self.desk, reason=error.reason, seq=self.durable_seq)
        self._hooks.degraded(self, error.reason)
        self._refuse_waiters(Degraded(error.reason))
        for fact in list(self._effects):
            self._release_unrecorded(fact)

    def _refuse_waiters(self, error: EdgeError) -> None:
        patient: deque[_Waiter] = deque()
        for waiter in self._waiters:
            if waiter.degraded is None:
                patient.append(waiter)
            else:
                waiter.degraded(error)
        self._waiters = patient

    def _release_unrecorded(self, fact: f.Happened) -> None:
        if isinstance(
            fact.body, f.MessageIntended | f.MessageAttempted | f.MessageDeferred | f.MessageSettled
        ):
            self._hooks.released(self, fact, durable=False)

    def _give_up(self, error: EdgeError) -> None:
        """Another process leads, or the store must not be used: the in-memory desk is thrown away."""
        self.lost = True
        log.critical("desk given up", desk=self.desk, reason=error.reason)
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if (told := waiter.degraded or waiter.lost) is not None:
                told(Degraded("fenced"))

    # --- snapshots and reads ---

    async def snapshot(self) -> None:
        """A copy of the state at this fact, encoded off the loop, saved once the fact is on disk. One at a time.

        It only saves time at the next start: without one the journal is folded. So whatever goes wrong with it is
        logged and ends nothing; a desk that was taken from us finds that out by its next append.
        """
        async with self._saving:
            if self.lost or self._seq == self._snapshot_seq:
                return
            try:
                await self._save_snapshot()
            except Exception as error:  # noqa: BLE001  see above: the appends must go on
                reason = error.reason if isinstance(error, EdgeError) else "other"
                log.error("snapshot not saved", desk=self.desk, reason=reason, error=type(error).__name__)

    async def _save_snapshot(self) -> None:
        head, values = self.head, snapshots.shallow(self.state.values)
        body = await self._off_loop(lambda: snapshots.encode(values))
        await self.durable(head.seq)
        assert self._leadership is not None
        await self._store.save_snapshot(
            self._leadership, Snapshot(version=STATE_VERSION, head=head, body=body)
        )
        self._snapshot_seq = head.seq

    async def drain(self) -> None:
        """Everything decided is on disk, or the store has been given `drain_s` in vain (the caller bounds it)."""
        await self.durable(patient=True)

    async def evidence(self, evidence_id: str) -> EvidenceRow | None:
        """One row of the desk's evidence; None: it was never kept, or erased. Raises StoreUnavailable."""
        return await self._store.evidence(self.desk, evidence_id)

    @property
    def backlog(self) -> int:
        """Facts that are decided and not durable."""
        return len(self._pending) + self._inflight


def fold(loaded: Loaded) -> State:
    """The state from the newest readable snapshot and the facts after it; without one, from the whole journal.

    Raises StoreRefused when the journal was written by a newer release, or a snapshot is damaged and the facts
    before the older one are not there.
    """
    for snapshot in loaded.snapshots:
        values = snapshots.read(snapshot)
        if values is not None:
            return _fold_tail(State(values, snapshot.head.seq), loaded.tail)
    if loaded.tail and loaded.tail[0].seq > 1:
        raise StoreRefused("corrupt", "no snapshot can be read and the facts before it were not given")
    return _fold_tail(State(), loaded.tail)


def _fold_tail(state: State, tail: Sequence[Record]) -> State:
    for record in tail:
        if record.seq <= state.seq or record.subject in state.frozen:
            continue
        try:
            evolve(state, as_fact(record))
        except f.UnknownFactError as error:
            raise StoreRefused("newer_format", str(error), permanent=True) from error
        except Exception as error:  # noqa: BLE001  one damaged subject must not silence the others (the engine)
            log.critical(
                "fact cannot be folded", seq=record.seq, kind=record.kind, error=type(error).__name__
            )
            state.frozen[record.subject] = type(error).__name__
            state.seq = record.seq
    return state


def as_fact(record: Record) -> f.Happened:
    """A stored record as the fold sees it."""
    return f.Happened(
        seq=record.seq,
        at=datetime.fromisoformat(record.at),
        subject=record.subject,
        body=f.decode_body(record.kind, record.v, record.body),
        due_at=datetime.fromisoformat(record.due_at) if record.due_at else None,
        policy=record.policy,
    )


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as it stands in the journal."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def _cause(seen: Input) -> str:
    """What the fact came from: the input's kind, and its id where it has one."""
    kind = type(seen)
    name, field = _CAUSES.get(kind, (kind.__name__, ""))
    return f"{name}:{getattr(seen, field)}" if field else name


_CAUSES: dict[type, tuple[str, str]] = {
    CheckInSeen: ("CheckInSeen", "ref"),
    # one cause for all portions, by the name that it has had from the first release on
    RotaPortion: ("RotaReceived", "upload"),
    DeadlineReached: ("DeadlineReached", "subject"),
    DeadlineFailed: ("DeadlineFailed", "subject"),
    SendTurn: ("SendTurn", "key"),
}
"""By kind of input: how a fact names it, and the field that holds its id."""


def _note_evidence(body: f.FactBody, wanted: set[str]) -> None:
    for name in _EVIDENT[type(body)]:
        found: Any = getattr(body, name)
        if found is not None:
            wanted.add(found.id)


_EVIDENT = {
    kind: names
    for kind in f.KINDS.values()
    if (names := [name for name, hint in get_type_hints(kind).items() if Evidence in (hint, *get_args(hint))])
}
"""By kind of fact: the fields that name evidence."""
