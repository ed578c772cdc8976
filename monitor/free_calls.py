"""Calls to one desk's free number: each one's state, and what its machine asks for done in the right order.

A check-in is on disk before its confirmation is spoken. A person is fetched whatever else fails: the alert is decided
first, so that it stands when the caller, the network or we ourselves go away in the middle.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from msgspec.structs import replace

from connectors.ports import Degraded, EdgeError, SeenCheckIn
from escalation import dialog, free_number
from escalation.free_number import CheckIn, FreeCall, Heard, Wants, WhyPerson
from monitor.clock import Clock
from monitor.core.callers import Join
from monitor.core.inputs import CallerAlone, CallerJoined, CallerWaits, PinsGuessed
from monitor.core.state import Alert
from monitor.core.views import CallHeard, Script
from monitor.desk_shell import DeskShell
from monitor.directory import BadNumberError, e164
from monitor.engine import DecideFailedError
from monitor.metrics import Metrics
from monitor.words import Words

log = structlog.get_logger("free_calls")

CALLS_KEPT = 500
"""Calls whose state is remembered; the oldest goes first. A call forgotten in the middle begins again."""
LINES_KEPT = 1_000
"""Lines whose wrong PINs are counted; the one that was wrong longest ago goes first."""
OVER = Script(say=(), hang_up=True)


class Live:
    """One call as it stands."""

    def __init__(self, ref: str, to: str, number: str | None, call: FreeCall, at: datetime) -> None:
        self.ref, self.to, self.number, self.call, self.at = ref, to, number, call, at
        self.inbound = False
        """They rang an ordinary number of ours: no PIN, and other words."""
        self.rung = 0
        """The how-many-eth person who is being rung for it."""
        self.script = OVER
        """What was said last, for a question that is asked again."""


class FreeCalls:
    """The free number of one desk. `words` is asked anew each time: a reload may have changed them."""

    def __init__(self, desk: DeskShell, words: Callable[[], Words], clock: Clock, metrics: Metrics) -> None:
        self._desk, self._words, self._clock, self._metrics = desk, words, clock, metrics
        self._calls: dict[str, Live] = {}
        self._wrong: dict[str, deque[datetime]] = {}
        self._wrong_here: deque[datetime] = deque(maxlen=free_number.TRIES_KEPT)
        self._alarmed_at: datetime | None = None

    def knows(self, ref: str) -> bool:
        """Whether this call is one of ours."""
        return ref in self._calls

    async def received(self, to: str, caller: str, ref: str) -> Script:
        """A call has come in. `caller` is "" when it is withheld."""
        if ref in self._calls:
            return self._calls[ref].script
        live = self._begin(to, caller, ref)
        if self._too_many(live):
            return await self._guarded(
                live, self._fetch(live, free_number.want(live.call, "wrong_pins"), "wrong_pins")
            )
        begun = live.call
        return self._say(live, free_number.begin(begun.homes, placed=begun.placed, withheld=begun.withheld))

    async def rang(self, to: str, caller: str, ref: str) -> Script:
        """A call to an ordinary number of ours: put through to those on duty, who press a key (wording.md SUV-5)."""
        if ref in self._calls:
            return self._calls[ref].script
        live = self._begin(to, caller, ref)
        live.inbound = True
        return await self._guarded(live, self._fetch(live, free_number.want(live.call, "rang"), "rang"))

    async def rang_on(self, to: str, caller: str, ref: str, came: CallHeard) -> Script:
        """On an ordinary number nobody has to press anything: what comes back is that who was rung did not stay, or,
        while we were started again, that they did. The office did not answer: those on duty are rung."""
        if ref in self._calls:
            return await self.heard(to, caller, ref, came)
        return OVER if came.joined else await self.rang(to, caller, ref)

    async def heard(self, to: str, caller: str, ref: str, came: CallHeard) -> Script:
        """Keys, silence, or the end of our try to join somebody."""
        live = self._calls.get(ref)
        if live is None:
            return self._lost(to, caller, ref, came)
        if came.turn != live.call.turn:
            return live.script  # an answer to an earlier question, repeated by the network
        return await self._guarded(live, self._after_dial(live) if came.dialled else self._follow(live, came))

    async def _guarded(self, live: Live, work: Awaitable[Script]) -> Script:
        """A fault of ours must not be a dropped line, nor a promise that nobody keeps."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001  whatever it is, the caller is put through
            log.error("a call to the free number failed", desk=self._desk.id, error=type(error).__name__)
            return self._put_through(live, Heard(call=live.call))

    async def whisper(self, ref: str, person: int, step: str, digit: str | None) -> Script:
        """What the person who is rung for the caller hears before they are joined."""
        live, now = self._calls.get(ref), self._clock.now()
        waiting = live is not None and live.call.stage == "joining" and live.rung == person
        if live is None or not waiting or not live.call.rungs:
            return self._words().whisper("gone", None, now, inbound=live is not None and live.inbound)
        about = live.call.alert or ""
        alert = self._desk.engine.state.values.alerts.get(about)
        if digit is None:
            return self._words().whisper("", alert, now, inbound=live.inbound)
        turn = dialog.next_step(free_number.WHISPER, step, digit)
        if turn.answer == "take":
            live.call = replace(live.call, joined=True)
            await self._tell(CallerJoined(alert=about, person=live.call.rungs[0].person, digit=digit))
        return self._words().whisper(turn.step, alert, now, inbound=live.inbound)

    # --- a call begins ---

    def _begin(self, to: str, caller: str, ref: str) -> Live:
        try:
            number: str | None = e164(caller)
        except BadNumberError:
            number = None
        homes, placed = self._desk.directory.homes_on(number) if number else ((), False)
        call = FreeCall(homes=homes, placed=placed, withheld=number is None)
        log.info(
            "a call to the free number",
            desk=self._desk.id,
            state="known" if homes else "unknown" if number else "withheld",
        )
        while len(self._calls) >= CALLS_KEPT:
            del self._calls[next(iter(self._calls))]
        self._calls[ref] = Live(ref, to, number, call, self._clock.now())
        return self._calls[ref]

    def _lost(self, to: str, caller: str, ref: str, came: CallHeard) -> Script:
        """We were started again in the middle of the call, and kept nothing of it."""
        if came.dialled and came.joined:
            return OVER
        live = self._begin(to, caller, ref)
        begun = free_number.begin_again(live.call.homes, placed=live.call.placed, turn=came.turn)
        return self._say(live, replace(begun, call=replace(begun.call, withheld=live.call.withheld)))

    # --- what was keyed ---

    async def _follow(self, live: Live, came: CallHeard) -> Script:
        heard = free_number.heard(live.call, came.digits, self._desk.directory)
        if heard.wrong_pin:
            heard = self._wrong_pin(live, heard)
        if isinstance(heard.act, CheckIn):
            outcome = await self._check_in(live, heard.call, heard.act, came.raw)
            heard = free_number.checked(heard.call, heard.act, outcome)
        if isinstance(heard.act, Wants):
            return await self._fetch(live, heard, heard.act.why)
        return self._say(live, heard)

    def _wrong_pin(self, live: Live, heard: Heard) -> Heard:
        """Counted by line and by desk, without either of them in the metric."""
        now = self._clock.now()
        self._metrics.quarantined("phone", "wrong_pin")
        key = live.number or ""
        tries = self._wrong.pop(key, deque(maxlen=free_number.TRIES_A_DAY))
        tries.append(now)
        self._wrong[key] = tries
        self._wrong_here.append(now)
        if len(self._wrong) > LINES_KEPT:
            del self._wrong[next(iter(self._wrong))]
        if self._is_alarming(tries, now):
            log.warning("many wrong PINs on the free number", desk=self._desk.id)
            with contextlib.suppress(DecideFailedError, Degraded):  # counted and logged where they are raised
                self._desk.tell(PinsGuessed())
                self._alarmed_at = now
        return free_number.want(heard.call, "wrong_pins") if self._too_many(live) else heard

    def _is_alarming(self, tries: Sequence[datetime], now: datetime) -> bool:
        """A day is long: what an alarm was about that somebody has closed is not an alarm again at the next slip."""
        told = self._alarmed_at
        since = told if told is not None and told <= now else None  # not a clock that was set back since
        of_line, here = (
            [at for at in counted if since is None or at > since] for counted in (tries, self._wrong_here)
        )
        return (
            free_number.guessing(tries, now)
            or free_number.guessing(self._wrong_here, now)
            or free_number.guessing_slowly(of_line, now)
            or free_number.guessing_slowly(here, now, self._desk.directory.pins)
        )

    def _too_many(self, live: Live) -> bool:
        """No more guesses from here. A service user's fixed line answers for itself alone: otherwise whoever rings ten
        times could take the free number away from everybody."""
        now, here, of_line = self._clock.now(), self._wrong_here, self._wrong.get(live.number or "", ())
        if free_number.guessing(of_line, now) or free_number.guessing_slowly(of_line, now):
            return True
        pins = self._desk.directory.pins
        return not live.call.placed and (
            free_number.guessing(here, now) or free_number.guessing_slowly(here, now, pins)
        )

    async def _check_in(self, live: Live, call: FreeCall, act: CheckIn, raw: bytes) -> str | None:
        """The outcome once it is on disk; None when it is not."""
        live.at = self._clock.now()
        out = self._desk.directory.outside
        seen = SeenCheckIn(
            source="phone",
            kind=act.kind,
            at=live.at,
            device=None,
            # the same key at the same question of the same call is the same message
            natural_key=f"phone {live.ref} {call.turn}",
            raw=raw,
            worker=out(call.worker or ""),
            service_user=out(call.home or ""),
            line=call.placed,
            instead=act.instead,
        )
        try:
            return (await self._desk.check_in(seen)).outcome
        except EdgeError:
            return None

    # --- a person ---

    async def _fetch(self, live: Live, heard: Heard, why: WhyPerson) -> Script:
        """An alert that stands, then the first of those on duty."""
        call = heard.call
        line = self._desk.directory.ref("line", live.number) if live.number else None
        home = call.home or (call.homes[0] if len(call.homes) == 1 else None)
        join = await self._tell(CallerWaits(why=why, worker=call.worker, service_user=home, line=line))
        if not isinstance(join, Join):
            return self._put_through(live, heard)
        reachable = [rung for rung in join.rungs if self._desk.directory.number(rung.line)]
        heard = free_number.joining(call, why, join.alert, reachable, heard.lines)
        live.rung += 1
        if heard.call.rungs:
            return self._say(live, heard)
        offered = await self._answerphone(live, heard)
        if offered is not None:
            return offered
        await self._tell(CallerAlone(alert=join.alert))
        return self._put_through(live, heard)

    async def _after_dial(self, live: Live) -> Script:
        """The one who was rung and the caller have spoken, or that one was not there."""
        if live.call.joined:
            live.call = replace(live.call, stage="over")
            return OVER
        live.rung += 1
        heard = free_number.not_joined(live.call)
        if not heard.call.rungs and live.call.alert is not None:
            offered = await self._answerphone(live, heard)
            if offered is not None:
                return offered
            await self._tell(CallerAlone(alert=live.call.alert))
        return self._say(live, heard)

    async def _answerphone(self, live: Live, heard: Heard) -> Script | None:
        """Nobody came for a caller on an ordinary number: they may leave a message (4.6.6). None: this is the free
        number, where it is known what is wanted, or it cannot even be decided."""
        if not live.inbound or heard.call.alert is None:
            return None
        script = await self._desk.answerphone(heard.call.alert, live.ref)
        if script is not None:
            live.call = replace(heard.call, stage="over")
            live.script = script
        return script

    async def _tell(self, seen: Any) -> Any:
        """Decided, and on disk where the disk takes it: staff may be told before (docs/architecture.md). The answer;
        None when it could not even be decided."""
        try:
            ticket = self._desk.tell(seen)
        except (DecideFailedError, Degraded) as error:
            log.error("a caller could not be put on record", desk=self._desk.id, error=type(error).__name__)
            return None
        with contextlib.suppress(Degraded):
            await self._desk.engine.durable(ticket.seq)
        return ticket.decision.answer

    def _put_through(self, live: Live, heard: Heard) -> Script:
        """Nobody on duty has a telephone that we know, or nothing can be decided: the office's own number is left, if
        it is not one on which we answer ourselves."""
        live.call = replace(heard.call, stage="over")
        config = self._desk.config
        office = (
            config.telephone if config.telephone not in (*config.numbers, *config.checkin_numbers) else None
        )
        lines = [line for line in heard.lines if line != "nobody"]
        said = self._words().free_number((*lines, "joining" if office else "nobody"), live.call, live.at)
        live.script = Script(say=said, dial=office, dial_from=self._shown(live), hang_up=office is None)
        return live.script

    # --- what is said ---

    def _say(self, live: Live, heard: Heard) -> Script:
        live.call = call = heard.call
        through = live.inbound and heard.lines == ("joining",)
        words = self._words()
        said = (
            words.through(self._expected(call), self._clock.now())
            if through
            else words.free_number(heard.lines, call, live.at)
        )
        asked = free_number.STAGES.get(call.stage)
        if asked is not None:
            longest = self._desk.directory.pin_digits() if call.stage == "pin" else free_number.NUMBER_DIGITS
            digits = longest if asked.many else 1
            script = Script(say=said, keys=True, step=call.stage, wait_s=asked.wait_s, digits=digits)
        elif call.stage == "joining":
            number = self._desk.directory.number(call.rungs[0].line)
            script = Script(
                say=said, dial=number, dial_from=self._shown(live), asked_first=True, step=str(live.rung)
            )
        else:
            script = Script(say=said, hang_up=True)
        live.script = replace(script, turn=call.turn)
        return live.script

    def _expected(self, call: FreeCall) -> Alert | None:
        """The open alert about the visit of somebody whose line this is. Where it is the line of several whose visits
        are late, nobody is named."""
        found = [
            alert
            for alert in self._desk.state.values.alerts.values()
            if alert.hour_at is not None and alert.state != "ended" and alert.service_user in call.homes
        ]
        return found[0] if len({alert.service_user for alert in found}) == 1 else None

    def _shown(self, live: Live) -> str:
        """The number of ours that the person who is rung sees: the one that summons them."""
        return self._desk.config.numbers[0] if self._desk.config.numbers else live.to
