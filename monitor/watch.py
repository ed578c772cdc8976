"""All desks of this process: `connectors.ports.Desks` for the connectors, `Hooks` for the engines.

Connectors speak to this class only; it finds the desk and hands on. What one durable fact sets off outside (a message
into the outbox, a metric, a board that moves) starts in `released`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import inf
from typing import Any, Literal, cast

import structlog
from msgspec import structs

from config.placing import PlacementKind
from config.policy import Calendar, DeskKind
from config.settings import Token
from config.tokens import check_hash, hash_token
from connectors.links import Links, Shown
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from connectors.ports import (
    AbsenceActionIn,
    AbsenceIn,
    ActionIn,
    ApiProblem,
    Credential,
    DeathIn,
    HomeConfirmedIn,
    Reason,
    Record,
    Recordings,
    ReferralActionIn,
    ReferralIn,
    ReferralMail,
    SeenCheckIn,
    StatusCallback,
    Store,
    StoreUnavailable,
    TextsReadIn,
    WeatherIn,
)
from monitor.alert_page import Page
from monitor.answerphones import Answerphones
from monitor.census import Census
from monitor.clock import Clock
from monitor.core import facts as f
from monitor.core.inputs import SOURCES, FilesTroubled, FileTrouble, Input, Outcome, SignalChanged, Source
from monitor.core.messages import woken_by
from monitor.core.placing.facts import AwardTakenBack, FirstVisitConfirmed, PlacementClosed, PlacementEnded
from monitor.core.placing.views import (
    AreasView,
    BidReceipt,
    HeldPage,
    HeldView,
    OwnPlacement,
    PlacementPage,
    PlacementsPage,
    PlacementView,
    ProvidersAnswer,
    ProviderView,
    RegisterView,
)
from monitor.core.state import Alert, Asked, Message
from monitor.core.views import (
    AbsenceView,
    AlertPage,
    AlertView,
    AwayPage,
    BoardView,
    CallHeard,
    CandidateView,
    CheckInAnswer,
    DeathView,
    LeftMessage,
    PeopleAnswer,
    PracticeView,
    RecordLine,
    RecordView,
    ReferralsPage,
    ReferralView,
    RotaAnswer,
    Script,
    TextsPage,
    TextsView,
    VisitView,
    WeatherView,
)
from monitor.desk_placing import Placing
from monitor.desk_providers import Providers
from monitor.desk_referrals import with_words
from monitor.desk_shell import DeskShell
from monitor.desk_texts import on_board
from monitor.directory import BadNumberError, device_name, e164
from monitor.downlink import TELLS, Downlink
from monitor.engine import Engine
from monitor.feeds import FedDesk, Feeds, FeedState
from monitor.free_calls import FreeCalls
from monitor.landing import Landing
from monitor.metrics import Metrics
from monitor.outbox import Outbox
from monitor.placing_links import links_of
from monitor.quarantine import Quarantine
from monitor.reads import Reads
from monitor.records import Gathered, Records, told_how

log = structlog.get_logger("watch")

EFFECTS = TELLS | {
    PlacementClosed,
    PlacementEnded,
    AwardTakenBack,
    FirstVisitConfirmed,
    f.MessageIntended,
    f.MessageDeferred,
    f.MessageChased,
    f.MessageSettled,
    f.AlertRaised,
    f.AlertEnded,
    f.AnswerphoneEnded,
    f.StepLeftOut,
    f.OffersHeld,
    f.StaffTold,
    f.MessageAccepted,
    f.PersonDied,
}
"""The kinds of facts that set something off once they are on disk."""

DEGRADED_TOLD_AFTER_S = 5.0
"""A store that does not answer for this long is told to staff (design: "Degraded mode")."""
BOARD_GAP_S = 0.3
LIVE = timedelta(minutes=2)
"""A position that is no older says where somebody is now."""
OVERDUE_S = 5.0
"""A deadline that waits longer than this is overdue; the wake-up itself takes half a second."""
STORE = "store"
"""The subject under which a desk knows that its store does not answer."""


class Watch:
    """Implements `connectors.ports.Desks` and `monitor.engine.Hooks`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        outbox: Outbox,
        quarantine: Quarantine,
        feeds: Feeds,
        recordings: Recordings,
    ) -> None:
        self.shells: dict[str, DeskShell] = {}
        self.free: dict[str, FreeCalls] = {}
        self.feeds = feeds
        self.telephones = "ok"
        self.opened = False
        self.downlink: Downlink | None = None
        """Set by the composition root: what phones are told."""
        self.links = Links()
        """What has been given out; the composition root gives it its keys before any desk is there."""
        self.answerphones = Answerphones(lambda: self.shells, store, recordings)
        self.landing = Landing(lambda: self.shells)
        self.on_decided: Callable[[str, Asked | None], None] = lambda desk, wanted: None
        """Set by the scheduler: a desk's next deadline may be another one."""
        self._store, self._clock, self._metrics = store, clock, metrics
        self._outbox, self._quarantine = outbox, quarantine
        self._census = Census()
        self._records = Records(store)
        self._tokens: dict[str, Token] = {}
        """By hash: finding one takes no time that depends on the secrets, only on their SHA-256."""
        self._devices: dict[str, str] = {}
        """Which desk claimed a device last; that it still holds it, its directory says."""
        self._moved: dict[str, asyncio.Event] = {}
        self._told: dict[str, asyncio.TimerHandle] = {}
        self._sending = False

    def provider_is(self, channel: str, answer: str, about_message: bool) -> None:
        """What a provider said last: ok, or why it did not take a message."""
        self._metrics.provider_answered(channel, answer, about_message=about_message)
        if channel != "email" and not about_message:
            self.telephones = answer

    def add(self, shell: DeskShell) -> None:
        """Serve this desk from now on."""
        self.shells[shell.id] = shell
        self.free[shell.id] = FreeCalls(shell, shell.words, self._clock, self._metrics)
        self._moved[shell.id] = asyncio.Event()
        self._devices.update(dict.fromkeys(shell.directory.devices(), shell.id))
        self._outbox.serve(shell.id, shell)
        self.links.put_out(*links_of(shell.id, shell.engine.state))

    def trust(self, tokens: Sequence[Token]) -> None:
        """The credentials that hold from now on."""
        self._tokens = {token.hash: token for token in tokens}
        first: dict[str, float] = {}
        for token in tokens:
            first[token.role] = min(first.get(token.role, inf), token.expires.timestamp())
        self._metrics.token_expires(first)

    def start_sending(self) -> None:
        """After load and drain: what was queued waits again for its turn, what is in doubt is looked up first."""
        self._sending = True
        for shell in self.shells.values():
            self._requeue(shell)
        self.answerphones.begin()
        self.landing.begin()

    def _requeue(self, shell: DeskShell) -> None:
        for message in list(shell.engine.state.values.messages.values()):
            if message.phase == "queued":
                self._outbox.add(shell.id, message)
            elif message.phase == "attempted":
                self._outbox.doubt(shell.id, message)

    def _shell(self, desk: str) -> DeskShell:
        shell = self.shells.get(desk)
        if shell is None:
            raise ApiProblem(404, "unknown_desk", "there is no such desk here")
        return shell

    # --- hooks of the engines ---

    def released(self, engine: Engine, fact: f.Happened, *, durable: bool) -> None:
        """The fact may have its effect."""
        body = fact.body
        if type(body) not in EFFECTS:
            return
        if durable and type(body) in TELLS and self.downlink is not None and self._sending:
            self.downlink.happened(engine.desk, fact)
        if isinstance(body, f.MessageDeferred | f.MessageSettled):
            self._line_freed(engine, fact.subject)
        if isinstance(body, f.MessageIntended | f.MessageDeferred):
            self._release_message(engine, fact.subject, durable=durable)
        elif not durable:
            return
        elif isinstance(body, PlacementClosed):
            self.links.forget(engine.desk, fact.subject)
        elif isinstance(body, FirstVisitConfirmed | AwardTakenBack | PlacementEnded):
            self.landing.moved(engine.desk, fact.subject)
        elif isinstance(body, f.AnswerphoneEnded):
            if body.came == "unknown" and self._sending:
                self.answerphones.lost(fact.subject)
        elif isinstance(body, f.PersonDied | f.MessageAccepted):
            self._stop_ringing(engine)
        elif isinstance(body, f.MessageChased):
            self._chase(engine, fact.subject)
        elif isinstance(body, f.MessageSettled):
            self._count_message(engine, fact.subject, body.result)
        elif isinstance(body, f.AlertRaised) and fact.due_at is not None:
            self._metrics.deadline_late((self._clock.now() - fact.due_at).total_seconds())
        elif isinstance(body, f.StepLeftOut):
            self._metrics.left_out(engine.desk, body.step)
        elif isinstance(body, f.OffersHeld):
            self._metrics.offers_held(engine.desk, len(body.workers))
        elif isinstance(body, f.StaffTold):
            self._metrics.staff_told(engine.desk, body.what, told_how(body))
        elif isinstance(body, f.AlertEnded):
            alert = engine.state.values.alerts.get(fact.subject)
            if alert is not None:
                self._metrics.alert_ended(engine.desk, alert.kind, body.reason)

    def _release_message(self, engine: Engine, key: str, *, durable: bool) -> None:
        message = engine.state.values.messages.get(key)
        if message is None or not self._sending:
            return
        if durable:
            self._count_message(engine, key, "intended")
        elif message.purpose != "summon":
            return
        if message.phase == "queued":
            self._outbox.add(engine.desk, message)

    def _line_freed(self, engine: Engine, key: str) -> None:
        """A call of ours is out no longer: what waited for its line has its turn, the best first."""
        messages = engine.state.values.messages
        ended = messages.get(key)
        if ended is None or not self._sending:
            return
        for message in woken_by(messages.values(), ended):
            self._outbox.add(engine.desk, message)

    def _chase(self, engine: Engine, key: str) -> None:
        message = engine.state.values.messages.get(key)
        if message is not None and message.phase == "accepted" and self._sending:
            self._outbox.chase(engine.desk, message)

    def _stop_ringing(self, engine: Engine) -> None:
        """A call to the home of somebody who has died rings no longer, if it was on its way when we heard."""
        shell = self.shells.get(engine.desk)
        if shell is None or not self._sending or not engine.state.values.died:
            return
        for message in list(engine.state.values.messages.values()):
            if message.channel == "call" and message.phase == "accepted" and shell.at_rest(message):
                self._outbox.hang_up(engine.desk, message)

    def _count_message(self, engine: Engine, key: str, result: str) -> None:
        message = engine.state.values.messages.get(key)
        if message is not None:
            self._metrics.message(engine.desk, message.channel, message.purpose, result)

    def degraded(self, engine: Engine, reason: Reason | None) -> None:
        """The store does not answer: staff are told the truth if it lasts. Back: what was held goes out."""
        self._metrics.degraded(any(shell.engine.reason is not None for shell in self.shells.values()))
        handle = self._told.pop(engine.desk, None)
        if handle is not None:
            handle.cancel()
        shell = self.shells.get(engine.desk)
        if shell is None:
            return
        if reason is None:
            shell.tell(SignalChanged(cause="feed", subject=STORE, dark=False))
            self._requeue_later(shell)
            return
        tell = asyncio.get_running_loop().call_later(DEGRADED_TOLD_AFTER_S, self._tell_degraded, shell)
        self._told[engine.desk] = tell
        self._moved[engine.desk].set()

    def _requeue_later(self, shell: DeskShell) -> None:
        if self._sending:
            asyncio.get_running_loop().call_soon(self._requeue, shell)

    def _tell_degraded(self, shell: DeskShell) -> None:
        if shell.engine.reason is not None:
            shell.tell(SignalChanged(cause="feed", subject=STORE, dark=True))

    def appended(self, engine: Engine, facts: int, seconds: float) -> None:
        """One append became durable."""
        self._metrics.appended(seconds)
        self._metrics.journal_seq(engine.desk, engine.durable_seq)
        self._moved[engine.desk].set()
        self.on_decided(engine.desk, engine.state.next_asked())

    def decided(self, engine: Engine, wanted: Asked | None) -> None:
        """The desk's next deadline is this one now."""
        self.on_decided(engine.desk, wanted)

    def quarantined(self, engine: Engine, kind: str, error: str) -> None:
        """`decide` raised on an input."""
        log.error("an input could not be decided", desk=engine.desk, kind=kind, error=error)
        self._metrics.decision_failed()

    # --- who speaks ---

    def desk_ids(self) -> Collection[str]:
        """All desks, in the order of the configuration."""
        return self.shells.keys()

    def credential(self, secret: str) -> Credential | None:
        """Who holds this secret, or None."""
        return self.standing(hash_token(secret))

    def standing(self, token_hash: str) -> Credential | None:
        """Whose secret has this hash, while it holds."""
        token = self._tokens.get(token_hash)
        if token is None or check_hash(token_hash, token.hash, token.expires, self._clock.now()) != "holds":
            return None
        return Credential(
            role=token.role,
            desk=token.desk,
            device=token.device,
            name=token.person or "",
            provider=token.provider,
            person=token.person,
        )

    def link(self, shown: str) -> Shown:
        """What a signed link is that somebody has shown."""
        return self.links.look(shown, self._clock.now())

    def desk_kind(self, desk: str) -> DeskKind | None:
        """Whether it is a provider's desk or a council's."""
        shell = self.shells.get(desk)
        return None if shell is None else shell.config.kind

    def desk_of_device(self, device: str) -> str | None:
        """The one desk that holds this device."""
        desk = self._devices.get(device) or self._devices.get(device_name(device))
        return desk if desk is not None and self.shells[desk].directory.holds(device) else None

    def desk_of_number(self, number: str) -> str | None:
        """The desk to which one of our own numbers belongs."""
        try:
            wanted = e164(number)
        except BadNumberError:
            return None
        for desk, shell in self.shells.items():
            if wanted in shell.config.numbers or wanted in shell.config.checkin_numbers:
                return desk
        return None

    # --- check-ins and feeds ---

    def check_in(self, desk: str, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        """Decided at once; the future is done when it is durable."""
        self.feeds.heard(seen.source)
        if self.feeds.clock_doubted and not seen.retained:
            self._second_source(seen)
        future = self._shell(desk).check_in(seen)
        if seen.source == "owntracks" and self.downlink is not None:
            self._phone_spoke(self.downlink, desk, seen)
        return future

    def _second_source(self, seen: SeenCheckIn) -> None:
        if abs((self._clock.now() - seen.at).total_seconds()) < 120:
            self.feeds.clock_agrees()

    def _phone_spoke(self, downlink: Downlink, desk: str, seen: SeenCheckIn) -> None:
        if seen.device is None or seen.retained:
            return
        if seen.kind == "offline":
            downlink.lost(desk, seen.device)
        else:
            is_answer = seen.lat is not None and self._clock.now() - seen.at < LIVE
            downlink.heard(desk, seen.device, is_answer=is_answer)

    async def durable(self, desk: str) -> None:
        """Everything decided up to now is on disk; waits through a degraded time."""
        await self._shell(desk).engine.durable(patient=True)

    async def quarantine(self, source: str, reason: Reason, raw: bytes, desk: str | None = None) -> None:
        """Put a body aside, bounded; count and log it without its content. Raises Degraded, EdgeError: not kept."""
        if reason == "unauthorised":
            # nobody's body: counted, not kept (devices.md, "A wrong credential is 401, counted, body not kept")
            self._metrics.quarantined(source, reason)
            return
        kept = await self._quarantine.put(source, reason, raw, desk)
        self._metrics.quarantined(source, reason)
        if source in SOURCES:
            self._metrics.checkin(desk or "", source, "quarantined")
        log.warning("quarantined", source=source, reason=reason, desk=desk, size=len(raw), kept=kept)

    def commands(self, desk: str, device: str) -> Sequence[bytes]:
        """What an OwnTracks phone is told in the answer to its own request."""
        return self.downlink.answer(desk, device) if self.downlink is not None else ()

    def feed_changed(self, feed: str, state: FeedState) -> None:
        """A way in says how it is."""
        self.feeds.changed(feed, state)

    def feed_proved(self, feed: str, at: datetime) -> None:
        """The newest content of a feed of files is of this time."""
        self.feeds.proved(feed, at)

    def feed_trouble(self, feed: str, desk: str, trouble: FileTrouble, *, begun: bool) -> None:
        """What a feed brings to this desk cannot be used, or is too old; or no longer so."""
        shell = self.shells.get(desk)

        def tell(begun: bool) -> None:
            if shell is not None and not shell.engine.lost:
                shell.tell(FilesTroubled(trouble=trouble, begun=begun))

        self.feeds.troubled(feed, desk, trouble, begun=begun, tell=tell)

    def forget_feed(self, feed: str) -> None:
        """A feed of files is configured no more: an alarm about its files is over, unless another feed has it too."""
        for desk, trouble in self.feeds.remove(feed):
            shell = self.shells.get(desk)
            if shell is not None and not self.feeds.in_trouble(desk, trouble):
                self._tell_safely(shell, FilesTroubled(trouble=cast(FileTrouble, trouble), begun=False))

    def only_fed_by(self, fed: Mapping[str, FedDesk]) -> None:
        """What a feed left dark that does not feed this desk any more, since a reload or a restart, is known again."""
        for desk, shell in self.shells.items():
            for dark in list(shell.engine.state.values.dark.values()):
                feeds_it = fed.get(dark.subject)
                if dark.cause == "feed" and (
                    feeds_it is None or feeds_it.desk != desk or not feeds_it.checkins
                ):
                    self._tell_safely(shell, SignalChanged(cause="feed", subject=dark.subject, dark=False))

    def _tell_safely(self, shell: DeskShell, seen: Input) -> None:
        try:
            shell.tell(seen)
        except Exception as error:  # noqa: BLE001 - a desk that cannot take it keeps the alarm: a person closes it
            log.error("a feed's state could not be told", desk=shell.id, error=type(error).__name__)

    def calendar(self, desk: str) -> Calendar:
        """The desk's zone and holidays."""
        return self._shell(desk).engine.state.calendar

    def plan_rev(self, desk: str) -> int:
        """Rises with each upload of people or rota."""
        return self._shell(desk).plan_rev

    def counted(self, desk: str, source: Source, outcome: Outcome) -> None:
        """A check-in that reached no desk's decision. `desk` "": nobody's, or the one that there is."""
        (only,) = self.shells if len(self.shells) == 1 else ("",)
        self._metrics.checkin(desk or only, source, outcome)

    def signal(
        self, cause: Literal["feed", "broker", "clock"], subject: str, *, dark: bool, desk: str | None = None
    ) -> None:
        """Tell every desk, or the one that it feeds, that something is dark, or back. Raises what the last one raised
        that could not take it, after all the others were told."""
        failed: Exception | None = None
        if not dark and cause != "feed":
            self.listen_anew()
        for shell in self.shells.values():
            if not shell.engine.lost and desk in (None, shell.id):
                try:
                    shell.tell(SignalChanged(cause=cause, subject=subject, dark=dark))
                except Exception as error:  # noqa: BLE001 - raised below
                    failed = error
        if failed is not None:
            raise failed

    def listen_anew(self) -> None:
        """Nothing could have reached us for a while: what telephones did not say meanwhile says nothing of them."""
        for shell in self.shells.values():
            shell.engine.heard.begin(self._clock.now())

    # --- people, rota, reads ---

    async def put_people(
        self, desk: str, people: Sequence[Any], *, lines: Sequence[int] | None = None, partial: bool = False
    ) -> PeopleAnswer:
        """Upsert people of a desk."""
        shell = self._shell(desk)

        def taken(device: str) -> bool:
            holder = self.desk_of_device(device)
            return holder is not None and holder != desk

        def claim(device: str) -> None:
            self._devices[device_name(device)] = desk

        return await shell.put_people(people, taken, claim, lines=lines, partial=partial)

    async def put_rota(
        self,
        desk: str,
        body: dict[str, Any],
        by: str,
        *,
        lines: Sequence[int] | None = None,
        whole: bool = False,
        empty: bool | None = None,
    ) -> RotaAnswer:
        """One upload of a rota."""
        shell = self._shell(desk)
        if shell.config.kind == "council":
            raise ApiProblem(404, "not_provider", "a council's desk has no visits of its own", "desk")
        return await shell.put_rota(body, by, lines=lines, whole=whole, empty=empty)

    async def visits(self, desk: str, day: date | None) -> list[VisitView]:
        """Visits of a local day, taken now and answered when durable."""
        shell, now = self._shell(desk), self._clock.now()
        found = shell.reads.visits(day or shell.engine.state.calendar.day(now), now)
        await shell.engine.durable()
        return found

    async def alerts(
        self, desk: str, only_open: bool, *, unchecked: bool = False, unwritten: bool = False
    ) -> list[AlertView]:
        """Alerts, newest first. `unchecked`: only those that wait for the manager's check; `unwritten`: only those of
        which the written notice to the council waits."""
        shell = self._shell(desk)
        found = shell.reads.alerts(
            self._clock.now(), only_open=only_open, unchecked=unchecked, unwritten=unwritten
        )
        await shell.engine.durable()
        return found

    async def alert(self, desk: str, alert_id: str) -> AlertView | None:
        """One alert, also after it has left the state. Raises Degraded, StoreUnavailable."""
        shell = self._shell(desk)
        alert = shell.engine.state.values.alerts.get(alert_id)
        view = shell.reads.alert(alert, self._clock.now()) if alert is not None else None
        await shell.engine.durable()
        if view is not None:
            return view
        found = await self._records.of(desk, shell.engine.durable_seq, alert_id, None)
        return self._as_it_was(shell, found) if found is not None else None

    def _as_it_was(self, shell: DeskShell, found: Gathered) -> AlertView:
        """An alert that has left the state, out of its record."""
        state, gone = found.as_it_was()
        return Reads(state, shell.directory).alert(gone, self._clock.now())

    async def record(self, desk: str, alert_id: str) -> RecordView | None:
        """The whole record of an alert, also after it has left the state. Raises Degraded."""
        shell = self._shell(desk)
        alert = shell.state.values.alerts.get(alert_id)
        view = shell.reads.alert(alert, self._clock.now()) if alert is not None else None
        await shell.engine.durable()
        found = await self._records.of(desk, shell.engine.durable_seq, alert_id, alert)
        if found is None:
            return None
        lines, _ = await self._records.lines(desk, found, shell.directory)
        return RecordView(alert=view or self._as_it_was(shell, found), lines=tuple(lines))

    async def candidates(self, desk: str, alert_id: str) -> Sequence[CandidateView] | None:
        """Who could go instead, best first, with their scores in parts."""
        shell = self._shell(desk)
        alert = shell.state.values.alerts.get(alert_id)
        found = Page(shell, alert, self._clock.now()).candidates() if alert is not None else None
        await shell.engine.durable()
        return found

    async def alert_page(self, desk: str, alert_id: str, reader: str | None) -> AlertPage | None:
        """Everything that the page of an alert shows, now; in degraded mode too."""
        shell = self._shell(desk)
        alert = shell.state.values.alerts.get(alert_id)
        lines: tuple[RecordLine, ...] | None = None
        names: dict[str, str] = {}
        reads = shell.reads
        try:
            found = await self._records.of(desk, shell.engine.durable_seq, alert_id, alert)
            if found is not None:
                told, teller = await self._records.lines(desk, found, shell.directory)
                lines, names = tuple(told), teller.names
        except StoreUnavailable:
            found = None
        alert = shell.state.values.alerts.get(alert_id)
        gone = alert is None
        if alert is None:
            if found is None:
                return None
            state, alert = found.as_it_was()
            reads = Reads(state, shell.directory)
        return self._alert_page(shell, reads, alert, gone, lines, names, reader)

    def _alert_page(
        self,
        shell: DeskShell,
        reads: Reads,
        alert: Alert,
        gone: bool,
        lines: tuple[RecordLine, ...] | None,
        names: dict[str, str],
        reader: str | None,
    ) -> AlertPage:
        page = None if gone else Page(shell, alert, self._clock.now())
        telephones = page.telephones() if page is not None else ()
        candidates = page.candidates() if page is not None else ()
        visit = shell.state.values.visits.get(alert.visit or "")
        names |= {one.who: one.name for one in telephones} | {one.worker: one.name for one in candidates}
        return AlertPage(
            one=reads.board_alert(alert, self._clock.now()),
            signal=reads.signal(visit) if visit is not None else "known",
            council=page.council() if page is not None else None,
            record=lines,
            names=names,
            telephones=telephones,
            candidates=candidates,
            script=page.script(reader) if page is not None else None,
            notice=page.notice() if page is not None else None,
            round=() if gone else reads.round(alert, self._clock.now()),
        )

    async def act(self, desk: str, alert_id: str, action: ActionIn) -> AlertView:
        """A named person did something. Who comes second hears who was first, also of an alert that is over."""
        try:
            return await self._shell(desk).act(alert_id, action)
        except ApiProblem as problem:
            if problem.code == "already_ended":
                problem.extra |= await self._ended_by(desk, alert_id)
            raise

    async def _ended_by(self, desk: str, alert_id: str) -> dict[str, Any]:
        """Who ended it, out of its record: null for an arrival, which nobody pressed."""
        shell = self._shell(desk)
        alert = shell.state.values.alerts.get(alert_id)
        try:
            found = await self._records.of(desk, shell.engine.durable_seq, alert_id, alert)
        except StoreUnavailable:
            return {}
        ended = [one.body for one in found.facts if isinstance(one.body, f.AlertEnded)] if found else []
        if not ended:
            return {}
        by = ended[-1].by
        return {"by": shell.directory.outside(by) if by else None, "ended_reason": ended[-1].reason}

    async def confirm_home(self, desk: str, visit: str, home: HomeConfirmedIn) -> VisitView:
        """The person of a conditional visit is home."""
        return await self._shell(desk).confirm_home(visit, home)

    async def practise(self, desk: str, person: str, by: str) -> PracticeView:
        """A practice call, started by a member of staff."""
        return await self._shell(desk).practise(person, by)

    async def practice(self, desk: str, person: str) -> PracticeView:
        """How the practice calls to a person stand."""
        return await self._shell(desk).practice(person)

    async def report_absence(self, desk: str, said: AbsenceIn) -> AbsenceView:
        """Somebody is away."""
        return await self._shell(desk).absences.report(said)

    async def act_on_absence(self, desk: str, absence: str, action: AbsenceActionIn) -> AbsenceView:
        """A named person did something about an absence."""
        return await self._shell(desk).absences.act(absence, action)

    async def absence(self, desk: str, absence: str) -> AbsenceView:
        """One absence."""
        return await self._shell(desk).absences.one(absence)

    async def absences(self, desk: str, only_open: bool) -> list[AbsenceView]:
        """Absences, those first about whom somebody must say something."""
        return await self._shell(desk).absences.all(only_open=only_open)

    async def log_referral(
        self, desk: str, given: ReferralIn, source: Literal["api", "page"]
    ) -> ReferralView:
        """A council's referral has come."""
        return await self._with_words(desk, await self._shell(desk).referrals.log(given, source))

    async def mail_referral(
        self, desk: str, mail: ReferralMail, kind: PlacementKind | None, council: str | None
    ) -> ReferralView:
        """A council's referral has come by mail."""
        return await self._with_words(desk, await self._shell(desk).referrals.mail(mail, kind, council))

    async def act_on_referral(self, desk: str, referral: str, action: ReferralActionIn) -> ReferralView:
        """A named person deals with it, or has answered the council."""
        return await self._with_words(desk, await self._shell(desk).referrals.act(referral, action))

    async def referral(self, desk: str, referral: str) -> ReferralView:
        """One referral."""
        return await self._with_words(desk, await self._shell(desk).referrals.one(referral))

    async def referrals(self, desk: str, only_open: bool) -> list[ReferralView]:
        """Referrals, those that wait first."""
        found = await self._shell(desk).referrals.all(only_open=only_open)
        return [await self._with_words(desk, one) for one in found]

    async def referrals_page(self, desk: str) -> ReferralsPage:
        """Everything that the page of referrals shows, now; in degraded mode too."""
        page = self._shell(desk).referrals.page(self._clock.now())
        waiting = [await self._with_words(desk, one) for one in page.waiting]
        silent = [await self._with_words(desk, one) for one in page.silent]
        return structs.replace(page, waiting=tuple(waiting), silent=tuple(silent))

    async def _with_words(self, desk: str, view: ReferralView) -> ReferralView:
        """With what the council has written, as far as the evidence can be read now."""
        evidence = self._shell(desk).referrals.evidence_of(view)
        try:
            row = await self._store.evidence(desk, evidence) if evidence else None
        except StoreUnavailable:
            row = None
        return with_words(view, row.body) if row is not None else view

    async def texts_page(self, desk: str, reader: str | None) -> TextsPage:
        """Everything that the page of texts shows, now; in degraded mode too."""
        page = self._shell(desk).texts.page(self._clock.now(), reader)
        waiting = [await self._texts_with_words(desk, one) for one in page.waiting]
        seen = [await self._texts_with_words(desk, one) for one in page.seen]
        return structs.replace(page, waiting=tuple(waiting), seen=tuple(seen))

    async def _texts_with_words(self, desk: str, view: TextsView) -> TextsView:
        words: list[str | None] = []
        for evidence in self._shell(desk).texts.evidence_of(view):
            try:
                row = await self._store.evidence(desk, evidence)
            except StoreUnavailable:
                row = None
            words.append(row.body.decode(errors="replace") if row is not None else None)
        return structs.replace(view, words=tuple(words))

    async def read_texts(self, desk: str, line: str, said: TextsReadIn) -> None:
        """A named person has seen or answered what came from there."""
        await self._shell(desk).texts.read(line, said)

    async def record_death(self, desk: str, person: str, said: DeathIn, *, undo: bool) -> DeathView:
        """A service user has died, or that was a mistake."""
        return await self._shell(desk).absences.died(person, said, undo=undo)

    async def death(self, desk: str, person: str) -> DeathView:
        """What is recorded of a service user's death."""
        return await self._shell(desk).absences.death(person)

    async def away_page(self, desk: str) -> AwayPage:
        """Everything that the page of those away shows, now; in degraded mode too."""
        return self._shell(desk).absences.page(self._clock.now())

    async def say_weather(self, desk: str, said: WeatherIn) -> WeatherView:
        """A named person says something about the weather."""
        return await self._shell(desk).say_weather(said)

    async def weather(self, desk: str) -> WeatherView:
        """The bad weather that is declared, else the last one."""
        return await self._shell(desk).weather()

    # --- a council's desk ---

    def _council(self, desk: str) -> DeskShell:
        shell = self._shell(desk)
        if shell.config.kind != "council":
            raise ApiProblem(404, "not_council", "only a council's desk places packages", "desk")
        return shell

    def _placing(self, desk: str) -> Placing:
        return Placing(self._council(desk), self._store.evidence)

    async def put_providers(self, desk: str, providers: Sequence[Any]) -> ProvidersAnswer:
        """Upsert the providers of a council's desk."""
        here = [shell.id for shell in self.shells.values() if shell.config.kind == "provider"]
        return await Providers(self._council(desk), here).put(providers)

    async def providers(self, desk: str) -> list[ProviderView]:
        """All providers of a council's desk."""
        return await self._placing(desk).providers()

    async def areas(self, desk: str) -> AreasView:
        """What a package may name."""
        return await self._placing(desk).areas()

    async def place(self, desk: str, said: PlacementIn, speaker: Speaker) -> tuple[PlacementView, bool]:
        """A package is to be placed."""
        view, new = await self._placing(desk).place(said, speaker)
        return self._with_tokens(desk, view), new

    async def placements(self, desk: str, only_open: bool) -> list[PlacementView]:
        """Every placement that is in the state."""
        found = await self._placing(desk).all(only_open=only_open)
        return [self._with_tokens(desk, one) for one in found]

    async def placement(self, desk: str, placement: str) -> PlacementView:
        """One placement."""
        return self._with_tokens(desk, await self._placing(desk).one(placement))

    def _with_tokens(self, desk: str, view: PlacementView) -> PlacementView:
        """With who of those asked can answer by a credential of their own, which no revoked link ends."""
        now = self._clock.now()
        mine = [one for one in self._tokens.values() if one.role == "provider" and one.desk == desk]
        able = {one.provider for one in mine if check_hash(one.hash, one.hash, one.expires, now) == "holds"}
        asked = {one.provider for run in view.rounds for one in run.asked}
        return structs.replace(view, answers_by_token=tuple(sorted(asked & able)))

    async def own_placements(self, desk: str, provider: str, only_open: bool) -> list[OwnPlacement]:
        """What one provider was asked to bid for."""
        return await self._placing(desk).owned(provider, only_open=only_open)

    async def own_placement(self, desk: str, placement: str, provider: str) -> OwnPlacement:
        """One placement, as a provider may see it."""
        return await self._placing(desk).own(placement, provider)

    async def bid(self, desk: str, placement: str, said: BidIn, speaker: Speaker) -> BidReceipt:
        """A provider can take it."""
        return await self._placing(desk).bid(placement, said, speaker)

    async def decline(self, desk: str, placement: str, said: DeclineIn, speaker: Speaker) -> BidReceipt:
        """A provider does not take it."""
        return await self._placing(desk).decline(placement, said, speaker)

    async def take_back(self, desk: str, placement: str, said: TakeBackIn, speaker: Speaker) -> BidReceipt:
        """A provider withdraws its bid."""
        return await self._placing(desk).take_back(placement, said, speaker)

    async def dead_link(self, desk: str, placement: str, provider: str) -> None:
        """Somebody has pressed on a provider's link whose time is over."""
        await self._placing(desk).dead_link(placement, provider)

    async def act_on_placement(
        self, desk: str, placement: str, said: PlacementActionIn, speaker: Speaker
    ) -> PlacementView:
        """A broker, or the winner for its first visit, does something about it."""
        return self._with_tokens(desk, await self._placing(desk).act(placement, said, speaker))

    async def held(self, desk: str) -> list[HeldView]:
        """The packages that providers hold, with names."""
        return await self._placing(desk).held()

    async def care_ended(self, desk: str, placement: str, said: CareEndedIn, speaker: Speaker) -> HeldView:
        """On which day the care of a package ends, as a broker says."""
        return await self._placing(desk).care_ended(placement, said, speaker)

    async def held_page(self, desk: str) -> HeldPage:
        """Everything that the page of those shows."""
        return self._placing(desk).held_page()

    async def register(self, desk: str, since: date | None) -> RegisterView:
        """How each provider has answered, for the contract meetings."""
        return await self._placing(desk).register(since)

    async def placements_page(self, desk: str) -> PlacementsPage:
        """Everything that the page of a council's packages shows, now."""
        return self._placing(desk).page()

    async def placement_page(self, desk: str, placement: str) -> PlacementPage:
        """Everything that the page of one placement shows, now."""
        page = await self._placing(desk).one_page(placement)
        return structs.replace(page, placement=self._with_tokens(desk, page.placement))

    async def facts(self, desk: str, after: int, wait_s: float) -> list[Record]:
        """Durable facts after `after`; waits up to `wait_s` for the first."""
        shell = self._shell(desk)
        try:
            async with asyncio.timeout(wait_s if wait_s > 0 else None):
                while wait_s > 0 and shell.engine.durable_seq <= after:
                    await self._next_move(desk)
        except TimeoutError:
            return []
        return await self._store.facts(desk, after)

    async def board(self, desk: str) -> BoardView:
        """The board's view, now; in degraded mode too, and it says so."""
        shell = self._shell(desk)
        board = shell.reads.board(
            desk=desk,
            name=shell.config.name,
            now=self._clock.now(),
            degraded=shell.engine.reason is not None,
            broker=self.feeds.broker(),
            telephones=self.telephones,
        )
        waiting = shell.texts.page(board.now, None).waiting
        return structs.replace(board, texts=tuple(on_board(one) for one in waiting))

    async def _next_move(self, desk: str) -> None:
        event = self._moved[desk]
        await event.wait()
        event.clear()

    async def changes(self, desk: str) -> AsyncIterator[int]:
        """The durable seq whenever it moved, at most a few times a second."""
        shell = self._shell(desk)
        last: tuple[int, str | None] | None = None
        while True:
            now = (shell.engine.durable_seq, shell.engine.reason)
            if now != last:
                last = now
                yield shell.engine.durable_seq
            await asyncio.sleep(BOARD_GAP_S)

    # --- telephones ---

    async def sms_received(self, to: str, sender: str, body: str, provider_ref: str) -> str | None:
        """A text to one of our numbers."""
        desk = self.desk_of_number(to)
        if desk is None:
            log.warning("a text to a number that no desk has")
            return None
        return await self.shells[desk].text_received(sender, body, provider_ref)

    async def call_received(self, to: str, caller: str, provider_ref: str) -> Script:
        """A call to one of our numbers: a check-in number asks for a PIN, any other puts through to a person."""
        desk = self.desk_of_number(to)
        if desk is None:
            return Script(say=("This number is not in use.",))
        if e164(to) not in self.shells[desk].config.checkin_numbers:
            through = self.shells[desk].call_received(caller)
            return through or await self.free[desk].rang(to, caller, provider_ref)
        return await self.free[desk].received(to, caller, provider_ref)

    async def call_heard(self, to: str, caller: str, provider_ref: str, heard: CallHeard) -> Script:
        """The next step of a call to the free number."""
        desk = self.desk_of_number(to)
        if desk is None:
            return Script(say=("This number is not in use.",))
        if e164(to) not in self.shells[desk].config.checkin_numbers:
            return await self.free[desk].rang_on(to, caller, provider_ref, heard)
        self.feeds.heard("phone")
        return await self.free[desk].heard(to, caller, provider_ref, heard)

    async def message_left(self, left: LeftMessage) -> Script:
        """What a caller has left on the answerphone, or that it was nothing."""
        return await self.answerphones.left(left)

    async def recording(self, alert: str) -> bytes | None:
        """The newest message left about this alert."""
        return await self.answerphones.recording(alert)

    async def whisper(self, provider_ref: str, person: int, step: str, digit: str | None) -> Script:
        """A step of what the person rung for a caller hears before they are joined."""
        for free in self.free.values():
            if free.knows(provider_ref):
                return await free.whisper(provider_ref, person, step, digit)
        return Script(say=("Nobody is waiting any more. Goodbye.",), hang_up=True)

    def _find(self, key: str) -> tuple[DeskShell, Message] | None:
        for shell in self.shells.values():
            message = shell.engine.state.values.messages.get(key)
            if message is not None:
                return shell, message
        return None

    async def call_step(self, key: str, step: str, digit: str | None) -> Script:
        """The next step of our own call."""
        found = self._find(key)
        if found is None:
            return Script(say=("Thank you. This call is over. Goodbye.",))
        return await found[0].call_step(found[1], step, digit)

    async def call_status(self, callback: StatusCallback) -> None:
        """A status callback; unknown keys are ignored."""
        found = self._find(callback.key)
        if found is not None:
            await found[0].call_status(callback)

    # --- health ---

    def health(self) -> dict[str, Any]:
        """What is dark, overdue or not on disk; no personal data."""
        now = self._clock.now()
        desks = {desk: self._desk_health(shell, now) for desk, shell in self.shells.items()}
        feeds = self.feeds.states()
        well = self.ready() and not any(state in ("down", "unknown") for state in feeds.values())
        well = well and not any(d["degraded"] or d["overdue"] or d["lost"] for d in desks.values())
        return {
            "status": "ok" if well else "trouble",
            "ready": self.ready(),
            "desks": desks,
            "feeds": feeds,
            "telephones": self.telephones,
            "outbox": self._outbox.depths(),
        }

    def _desk_health(self, shell: DeskShell, now: datetime) -> dict[str, Any]:
        engine = shell.engine
        return {
            "seq": engine.durable_seq,
            "backlog": engine.backlog,
            "degraded": engine.reason,
            "lost": engine.lost,
            "overdue": engine.state.overdue(now),
            "frozen": len(engine.state.frozen),
            "dark": sorted({entry.cause for entry in engine.state.values.dark.values()}),
            "unwatched_rows": len(engine.state.values.unwatched),
        }

    def ready(self) -> bool:
        """Started, drained, store writable."""
        return (
            self.opened
            and self.feeds.drained
            and all(shell.engine.started and shell.engine.reason is None for shell in self.shells.values())
        )

    def well(self) -> bool:
        """Ready, every desk ours, and no deadline waiting: what the dead-man ping vouches for (design rule 12)."""
        now = self._clock.now()
        return self.ready() and not any(
            (at := shell.engine.state.next_deadline()) is not None and (now - at).total_seconds() > OVERDUE_S
            for shell in self.shells.values()
        )

    async def probe(self) -> bool:
        """Whether the store can be written, asked of the store itself."""
        try:
            await self._store.probe()
        except StoreUnavailable:
            return False
        return True

    async def refresh_metrics(self) -> None:
        """Gauges that are counted when somebody looks, with the loop free between two desks."""
        now = self._clock.now()
        for desk, shell in list(self.shells.items()):
            await asyncio.sleep(0)
            counted = await self._census.visits(desk, shell.engine.state, shell.reads, now)
            self._metrics.visits(desk, counted)
            self._refresh_alerts(shell, now)
            self._refresh_dark(shell, now)
            self._metrics.rows_unwatched(desk, len(shell.engine.state.values.unwatched))
            weathers = shell.engine.state.values.weathers.values()
            self._metrics.weather(desk, any(one.ended_at is None for one in weathers))
            placements = shell.engine.state.values.placements.values()
            open_windows = sum(placement.running is not None for placement in placements)
            self._metrics.bid_windows_open(desk, open_windows)
            referrals = shell.engine.state.values.referrals.values()
            self._metrics.referrals(desk, sum(1 for one in referrals if one.waits))
            self._metrics.lease(desk, shell.engine.started)
            self._metrics.journal_waiting(desk, shell.engine.backlog)
        self._metrics.outbox(self._outbox.depths())
        self._metrics.outbox_oldest(self._outbox.oldest())
        for feed, seconds in self.feeds.silence().items():
            self._metrics.feed_silence(feed, seconds)
        for feed, state in self.feeds.states().items():
            self._metrics.feed_up(feed, state in ("up", "drained"))

    def _refresh_alerts(self, shell: DeskShell, now: datetime) -> None:
        kinds: dict[str, int] = {}
        untaken_s = 0.0
        for alert in shell.engine.state.values.alerts.values():
            if alert.state != "ended":
                kinds[alert.kind] = kinds.get(alert.kind, 0) + 1
            if alert.state == "open":
                untaken_s = max(untaken_s, (now - alert.opened_at).total_seconds())
        self._metrics.alerts_open(shell.id, kinds)
        self._metrics.alert_untaken(shell.id, untaken_s)

    def _refresh_dark(self, shell: DeskShell, now: datetime) -> None:
        state = shell.engine.state
        causes: dict[str, int] = {}
        for entry in state.values.dark.values():
            if entry.subject != STORE:  # callwatch_degraded says so
                causes[entry.cause] = causes.get(entry.cause, 0) + 1
        self._metrics.dark(shell.id, causes)
        earliest = state.next_deadline()
        overdue_s = (now - earliest).total_seconds() if earliest is not None else 0.0
        self._metrics.deadline_overdue(shell.id, max(overdue_s, 0.0))
