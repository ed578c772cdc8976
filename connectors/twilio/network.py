"""The stand-in telephone network: phones that receive texts, ring, are answered, press keys and write back.

It behaves as Twilio does towards us (statuses, order, signatures, TwiML), so that the real library and the real
webhooks are used in the demo and in tests. No HTTP server here: `connectors.twilio.standin` puts one in front.
Nothing ever leaves for a real telephone.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import urlencode, urljoin
from xml.etree import ElementTree

import aiohttp
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator
from yarl import URL

FaultKind = Literal["refuse", "hang", "timeout_after_send", "lose", "double", "reorder", "undelivered"]
FAULTS: tuple[FaultKind, ...] = FaultKind.__args__  # type: ignore[attr-defined]

WEBHOOK_S = 15.0
"""How long Twilio waits for a webhook."""

VOICEMAIL_S = 60
"""How long an answering machine listens."""

ANONYMOUS = "+266696687"
"""What Twilio says instead of a number that is withheld: "anonymous" on a keypad."""

APPLICATION_ERROR = "We are sorry, an application error has occurred. Goodbye."
"""What Twilio itself says to the person when our TwiML cannot be had."""

TONE = "(tone)"
"""What a person hears before they are recorded."""

NO_SOUND = "(nothing is heard)"
"""What a person hears of a recording that cannot be had."""

SPOKEN = "\N{SPEAKING HEAD IN SILHOUETTE}"
"""Before what is said on a line, to tell it from a key."""

SPEAKING_S = 1
"""How long a recording is said to be for each twenty letters of it."""

HELD_S = 2.0
"""A pause this long is a line that waits; a shorter one is a breath."""

STEPS = 500
"""Documents one call may ask for: a loop of redirects ends."""

KEPT = 5_000
"""Texts and calls that are remembered, each."""

ENDED = ("completed", "busy", "no-answer", "failed", "canceled")
_E164 = re.compile(r"\+[1-9]\d{7,14}")
_OPT_OUT = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
_OPT_IN = {"START", "YES", "UNSTOP"}


class Refused(Exception):
    """A request that Twilio would refuse: HTTP status, Twilio's code, what it would say."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class NotNow(Exception):
    """A person cannot do that with this call as it stands."""


class HungUp(Exception):
    """The person put the telephone down."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """`left` None: until it is cleared. `status` and `code` are what `refuse` answers."""

    left: int | None = None
    status: int = 503
    code: int = 20503


class Faults:
    """What goes wrong on purpose."""

    def __init__(self) -> None:
        self._active: dict[FaultKind, Fault] = {}

    def set(self, kind: FaultKind, fault: Fault) -> None:
        """From now on, `fault.left` times."""
        self._active[kind] = fault

    def clear(self, kind: FaultKind | None = None) -> None:
        """This one, or all."""
        for name in [kind] if kind else list(self._active):
            self._active.pop(name, None)

    def take(self, kind: FaultKind) -> Fault | None:
        """The fault if it strikes now; one less is left."""
        fault = self._active.get(kind)
        if fault is not None and fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self._active[kind]
        return fault

    def view(self) -> dict[str, Any]:
        """What is switched on, and how often it will still strike (null: until cleared)."""
        return {
            kind: {"left": f.left, "status": f.status, "code": f.code} for kind, f in self._active.items()
        }


def now() -> datetime:
    """The stand-in is outside of the product: it has a clock of its own."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True, eq=False)
class Courier:
    """Where an item's status callbacks go, in their order, one after the other."""

    url: str
    token: str
    tail: asyncio.Task[None] | None = None
    held: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends from a number of ours. `base` is where their callbacks are, empty while none is known."""

    account: str
    token: str
    base: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Text:
    """One text message."""

    sid: str
    account: str
    to: str
    from_: str
    body: str
    direction: Literal["outbound-api", "outbound-reply", "inbound"]
    status: str = "queued"
    validity_s: int | None = None
    error_code: int | None = None
    courier: Courier | None = None
    created: datetime = field(default_factory=now)
    sent: datetime | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Recording:
    """What somebody said after the tone. `sound` is the words, as UTF-8: in this network everybody understands them."""

    sid: str
    account: str
    call: str
    seconds: int
    sound: bytes
    created: datetime = field(default_factory=now)


@dataclass(slots=True, kw_only=True, eq=False)
class Conference:
    """Lines that talk to each other. It begins when the second one is in it and one of them may begin it; whoever is
    in it before that hears music. It is over when somebody leaves whose leaving ends it, or the last one does."""

    name: str
    sid: str
    members: list[Call] = field(default_factory=list)
    may_begin: bool = False
    begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One telephone call. `line` carries what the person does: digits, and None for putting it down."""

    sid: str
    account: str
    to: str
    from_: str
    direction: Literal["outbound-api", "inbound", "outbound-dial"]
    url: str = ""
    method: str = "POST"
    token: str = ""
    ring_s: float = 60
    events: tuple[str, ...] = ("completed",)
    detect: Literal["", "sync", "async"] = ""
    detect_url: str = ""
    status: str = "queued"
    answered_by: str | None = None
    heard: list[str] = field(default_factory=list)
    pressed: str = ""
    asking: bool = False
    joined: bool = False
    """It is being joined to somebody, or is that somebody."""
    withheld: bool = False
    """The caller's number is not told to us."""
    put_down: bool = False
    """A document said Hangup: it is joined to nobody."""
    bridged: bool = False
    """The two have talked."""
    recording: bool = False
    """The tone has sounded, and what the person says is recorded."""
    held: bool = False
    """It is told to stay on the line: it says nothing and comes back by itself."""
    conference: str | None = None
    """The name of the conference in which it is now."""
    parent: str = ""
    """The call for which this one was made."""
    machine: bool = False
    sequence: int = 0
    courier: Courier | None = None
    created: datetime = field(default_factory=now)
    started: datetime | None = None
    ended: datetime | None = None
    pickup: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    line: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)

    @property
    def phone(self) -> str:
        """The number of the person."""
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def over(self) -> bool:
        """Nothing more will happen on this call."""
        return self.status in ENDED


class TelephoneNetwork:
    """Every phone of the demo or of a test, and the way between them and us.

    `auth_tokens` are the passwords that the REST API takes (none: any account's); webhooks are signed with the one that
    made the message. What a phone begins is signed with the first, or else with the one that last sent from the number
    it is for, and goes to `sms_url` and `voice_url`, or else to our routes beside that sender's callbacks. `speed`
    divides every waiting time; but a telephone rings, and a person is waited for, `patience_s` at the least, whatever
    the speed. `speech_cps` is how many characters a second are spoken (None: at once). `calls_per_s` is how fast calls
    leave (None: at once).
    """

    def __init__(
        self,
        auth_tokens: Sequence[str],
        *,
        sms_url: str = "",
        voice_url: str = "",
        speed: float = 1.0,
        patience_s: float = 0.0,
        labels: Mapping[str, str] | None = None,
        speech_cps: float | None = None,
        calls_per_s: float | None = None,
        account_sid: str = "AC" + "0" * 32,
    ) -> None:
        self.auth_tokens = list(auth_tokens)
        self.sms_url, self.voice_url = sms_url, voice_url
        self.labels = dict(labels or {})
        self.account_sid = account_sid
        self.texts: dict[str, Text] = {}
        self.calls: dict[str, Call] = {}
        self.recordings: dict[str, Recording] = {}
        self.conferences: dict[str, Conference] = {}
        """By name, those that are not over."""
        self.faults = Faults()
        self.version = 0
        self.closing = False
        self._speed, self._speech_cps, self._calls_per_s = speed, speech_cps, calls_per_s
        self._patience_s = patience_s
        self._opted_out: set[tuple[str, str]] = set()
        self._senders: dict[str, Sender] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bell = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._next_call_at = 0.0

    # --- life ---

    async def close(self) -> None:
        """End every call, give back connections."""
        self.closing = True
        self._touch()
        await self._stop()
        if self._session is not None:
            await self._session.close()

    async def reset(self) -> None:
        """As new: no texts, no calls, no faults, nobody opted out."""
        await self._stop()
        self.texts.clear()
        self.calls.clear()
        self.recordings.clear()
        self.conferences.clear()
        self._opted_out.clear()
        self._senders.clear()
        self.faults.clear()
        self._touch()

    async def _stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, predicate: Callable[[], bool], within_s: float = 5.0) -> bool:
        """Wait for something to become true; False when it did not within `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while not predicate():
                    await self._bell.wait()
        except TimeoutError:
            return False
        return True

    def _touch(self) -> None:
        self.version += 1
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what the product asks for (the REST API) ---

    def accept_text(self, account: str, token: str, form: Mapping[str, str]) -> Text:
        """A text to send. Raises Refused as Twilio would."""
        to, body = form.get("To", ""), form.get("Body", "")
        self._check_to(to, missing=21604)
        if not form.get("From"):
            raise Refused(400, 21603, "A 'From' phone number is required.")
        if not body:
            raise Refused(400, 21602, "Message body is required.")
        if len(body) > 1600:
            raise Refused(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        if (to, form["From"]) in self._opted_out:
            raise Refused(400, 21610, "Attempt to send to unsubscribed recipient")
        text = Text(
            sid=_sid("SM"),
            account=account,
            to=to,
            from_=form["From"],
            body=body,
            direction="outbound-api",
            validity_s=_whole(form.get("ValidityPeriod"), 1, 36_000, 90007),
            courier=_courier(form.get("StatusCallback"), token),
        )
        self._keep(self.texts, text.sid, text)
        self._remember(text.from_, account, token, form.get("StatusCallback", ""))
        self._spawn(self._deliver(text), f"text {text.sid}")
        return text

    def accept_call(self, account: str, token: str, form: Mapping[str, str], events: Sequence[str]) -> Call:
        """A call to make. Raises Refused as Twilio would."""
        to = form.get("To", "")
        self._check_to(to, missing=21201)
        if not form.get("From"):
            raise Refused(400, 21213, "Caller phone number is required.")
        if not form.get("Url"):
            raise Refused(400, 21205, "Url parameter is required.")
        call = Call(
            sid=_sid("CA"),
            account=account,
            to=to,
            from_=form["From"],
            direction="outbound-api",
            url=form["Url"],
            method=form.get("Method", "POST").upper(),
            token=token,
            ring_s=_whole(form.get("Timeout"), 1, 600, 21208) or 60,
            events=tuple(events) or ("completed",),
            detect=_detection(form),
            detect_url=form.get("AsyncAmdStatusCallback", ""),
            courier=_courier(form.get("StatusCallback"), token),
        )
        self._keep(self.calls, call.sid, call)
        self._remember(call.from_, account, token, call.url)
        self._spawn(self._place(call), f"call {call.sid}")
        return call

    def cancel_call(self, call: Call, status: str) -> None:
        """Twilio's update of a call: `canceled` before it is answered, and without effect later; `completed` at any
        time."""
        if call.status == "in-progress":
            if status != "canceled":
                call.line.put_nowait(None)
        elif not call.over and not call.pickup.done():
            call.pickup.set_result("canceled" if status == "canceled" else "completed")

    def _remember(self, ours: str, account: str, token: str, callback: str) -> None:
        base, found, _ = callback.partition("/twilio/")
        before = self._senders.get(ours)
        self._senders[ours] = Sender(
            account=account, token=token, base=base if found else before.base if before else ""
        )

    def _sender(self, ours: str) -> Sender:
        known = self._senders.get(ours) or Sender(account=self.account_sid, token="")
        return replace(known, token=self.auth_tokens[0]) if self.auth_tokens else known

    def _hears(self, given: str, ours: str, route: str) -> str:
        """Where what a phone begins goes: as configured, else beside the callbacks of who sends from that number."""
        base = self._sender(ours).base
        return given or (f"{base}/twilio/{route}" if base else "")

    def _check_to(self, to: str, missing: int) -> None:
        if not to:
            raise Refused(400, missing, "A 'To' phone number is required.")
        if not _E164.fullmatch(to):
            raise Refused(400, 21211, f"The 'To' number {to} is not a valid phone number.")

    def _keep(self, shelf: dict[str, Any], sid: str, item: Any) -> None:
        shelf[sid] = item
        while len(shelf) > KEPT:
            del shelf[next(iter(shelf))]
        self._touch()

    # --- texts ---

    async def _deliver(self, text: Text) -> None:
        text.sent = now()
        self._text_status(text, "sent")
        if self.faults.take("undelivered"):
            text.error_code = 30003
            self._text_status(text, "undelivered")
        else:
            self._text_status(text, "delivered")

    def _text_status(self, text: Text, status: str) -> None:
        text.status = status
        self._touch()
        if text.courier is None:
            return
        params = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "AccountSid": text.account,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": text.to,
            "From": text.from_,
            "ApiVersion": "2010-04-01",
        }
        if text.error_code is not None:
            params["ErrorCode"] = str(text.error_code)
        self._report(text.courier, params, last=status != "sent")

    async def again(self, phone: str, sid: str) -> tuple[Text, int]:
        """The network hands a text over once more, as it was. Raises NotNow for one that this phone has not written."""
        text = self.texts.get(sid)
        if text is None or text.from_ != phone or text.direction != "inbound":
            raise NotNow("this phone has written no such text")
        return text, await self._hand_over(text)

    async def write(self, phone: str, body: str, to: str | None = None) -> tuple[Text, int]:
        """Somebody texts us. Returns the text and the status that our webhook answered (0: no answer).

        Raises NotNow when `to` is not given and nobody has written to or rung this phone.
        """
        ours = to or self.last_contact(phone)
        text = Text(
            sid=_sid("SM"),
            account=self._sender(ours).account,
            to=ours,
            from_=phone,
            body=body,
            direction="inbound",
            status="received",
            sent=now(),
        )
        self._keep(self.texts, text.sid, text)
        self._opt(phone, ours, body)
        return text, await self._hand_over(text)

    async def _hand_over(self, text: Text) -> int:
        params = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "SmsMessageSid": text.sid,
            "AccountSid": text.account,
            "From": text.from_,
            "To": text.to,
            "Body": text.body,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsStatus": "received",
            "ApiVersion": "2010-04-01",
        }
        url = self._hears(self.sms_url, text.to, "sms")
        status, answer = await self._post(url, params, self._sender(text.to).token)
        if status == 200:
            self._answer(text, answer)
        return status

    def last_contact(self, phone: str) -> str:
        """The number of ours that last wrote to this phone, or rang it. Raises NotNow."""
        wrote = [t for t in self.texts.values() if t.to == phone and t.direction != "inbound"]
        rang = [c for c in self.calls.values() if c.to == phone and c.direction == "outbound-api"]
        if not wrote and not rang:
            raise NotNow("nobody has written to this phone or rung it: say `to`")
        return (wrote or rang)[-1].from_

    def _opt(self, phone: str, ours: str, body: str) -> None:
        word = body.strip().upper()
        if word in _OPT_OUT:
            self._opted_out.add((phone, ours))
        elif word in _OPT_IN:
            self._opted_out.discard((phone, ours))

    def _answer(self, text: Text, xml: str) -> None:
        """The texts in our webhook's TwiML; Twilio drops them for a phone that said STOP."""
        root = _parse(xml)
        if root is None or (text.from_, text.to) in self._opted_out:
            return
        for verb in root.iter("Message"):
            reply = Text(
                sid=_sid("SM"),
                account=text.account,
                to=text.from_,
                from_=text.to,
                body=_words(verb),
                direction="outbound-reply",
            )
            self._keep(self.texts, reply.sid, reply)
            self._spawn(self._deliver(reply), f"text {reply.sid}")

    # --- calls ---

    def ring_us(self, phone: str, to: str, *, withheld: bool = False) -> Call:
        """Somebody rings one of our numbers, with or without saying theirs; we always pick up."""
        call = Call(
            sid=_sid("CA"),
            account=self._sender(to).account,
            to=to,
            from_=phone,
            direction="inbound",
            url=self._hears(self.voice_url, to, "voice"),
            token=self._sender(to).token,
            status="ringing",
            withheld=withheld,
        )
        self._keep(self.calls, call.sid, call)
        self._spawn(self._converse(call), f"call {call.sid}")
        return call

    def act(self, call: Call, action: str) -> None:
        """The person answers, lets it go to voicemail, is busy, lets it ring out, or puts it down. Raises NotNow."""
        if action == "hangup" and call.status == "in-progress":
            call.asking = call.joined = call.held = False
            call.line.put_nowait(None)
            return
        if call.status != "ringing" or call.pickup.done() or call.direction == "inbound":
            raise NotNow(f"the call is {call.status}")
        call.pickup.set_result("busy" if action == "hangup" else action)

    def press(self, call: Call, digits: str) -> None:
        """The person presses keys. Raises NotNow when nobody listens, ValueError for what is on no keypad."""
        if not digits or set(digits) - set("0123456789*#"):
            raise ValueError("digits: expected 0-9, * and #")
        if not (call.asking or call.recording):
            raise NotNow(f"the call is {call.status} and no key is waited for")
        call.pressed += digits
        for digit in digits:
            call.line.put_nowait(digit)
        call.asking = False
        self._touch()

    def say(self, call: Call, words: str) -> None:
        """The person speaks after the tone. Raises NotNow when nobody records, ValueError for nothing said."""
        if not words:
            raise ValueError("words: expected what is said")
        if not call.recording:
            raise NotNow(f"the call is {call.status} and nothing is recorded")
        call.line.put_nowait(f"{SPOKEN}{words}")

    async def _place(self, call: Call) -> None:
        await self._slot()
        self._call_status(call, "initiated", "initiated")
        self._call_status(call, "ringing", "ringing")
        outcome = await self._picked_up(call)
        if outcome in ("answer", "voicemail"):
            call.machine = outcome == "voicemail"
            await self._converse(call)
        else:
            self._end(call, outcome)

    async def _slot(self) -> None:
        if self._calls_per_s is None:
            return
        clock = asyncio.get_running_loop().time()
        start = max(clock, self._next_call_at)
        self._next_call_at = start + 1 / (self._calls_per_s * self._speed)
        await asyncio.sleep(start - clock)

    async def _picked_up(self, call: Call) -> str:
        try:
            async with asyncio.timeout(self._patient(call.ring_s)):
                return await call.pickup
        except TimeoutError:
            return "no-answer"

    async def _converse(self, call: Call) -> None:
        call.started = now()
        self._call_status(call, "in-progress", "answered")
        self._detect(call)
        try:
            async with asyncio.timeout(VOICEMAIL_S / self._speed if call.machine else None):
                await self._follow(call)
        except (HungUp, TimeoutError):
            pass  # both are how calls end
        self._end(call, "completed")

    def _detect(self, call: Call) -> None:
        if not call.detect:
            return
        call.answered_by = "machine_start" if call.machine else "human"
        if call.detect == "async" and call.detect_url:
            courier = Courier(url=call.detect_url, token=call.token)
            params = {
                "CallSid": call.sid,
                "AccountSid": call.account,
                "AnsweredBy": call.answered_by,
                "MachineDetectionDuration": "2400",
            }
            self._report(courier, params, last=True)

    def _end(self, call: Call, status: str) -> None:
        call.ended, call.asking, call.joined, call.held = now(), False, False, False
        self._call_status(call, status, "completed")

    def _call_status(self, call: Call, status: str, event: str) -> None:
        call.status = status
        self._touch()
        if call.courier is None or event not in call.events:
            return
        params = _call_params(call) | {
            "Timestamp": format_datetime(now()),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence),
        }
        if call.ended is not None:
            params["CallDuration"] = str(_duration_s(call))
        call.sequence += 1
        self._report(call.courier, params, last=status in ENDED)

    # --- a call's TwiML ---

    async def _follow(self, call: Call) -> None:
        """Ask for a document, do what it says, until it says no more."""
        url, method, extra = call.url, call.method, {}
        if call.detect == "sync" and call.answered_by:
            extra = {"AnsweredBy": call.answered_by}
        for _ in range(STEPS):
            status, xml = await self._post(url, _call_params(call) | extra, call.token, method)
            root = _parse(xml) if status == 200 else None
            if root is None:
                self._hear(call, APPLICATION_ERROR)
                return
            onward = await self._perform(call, root, url)
            if onward is None:
                return
            url, extra = onward
            method = "POST"

    async def _perform(
        self, call: Call, verbs: Iterable[ElementTree.Element], base: str
    ) -> tuple[str, dict[str, str]] | None:
        for verb in verbs:
            match verb.tag:
                case "Say":
                    await self._listen(call, self._hear(call, _words(verb)))
                case "Pause":
                    length = float(verb.get("length", "1"))
                    self._hold(call, length >= HELD_S)
                    await self._listen(call, length)
                case "Play":
                    await self._listen(call, self._hear(call, await self._sound(_words(verb))))
                case "Record":
                    spoken = await self._record(call, verb, base)
                    if spoken is not None:
                        return urljoin(base, verb.get("action", base)), spoken
                case "Gather":
                    digits = await self._gather(call, verb)
                    if digits or verb.get("actionOnEmptyResult") == "true":
                        return urljoin(base, verb.get("action", base)), {"Digits": digits}
                case "Dial":
                    room = verb.find("Conference")
                    if room is None:
                        outcome, bridged = await self._join(call, verb, base)
                    else:
                        outcome, bridged = await self._confer(call, room), True
                    if verb.get("action"):
                        dialled = {"DialCallStatus": outcome, "DialBridged": str(bridged).lower()}
                        return urljoin(base, verb.get("action", "")), dialled
                case "Redirect":
                    return urljoin(base, _words(verb)), {}
                case "Hangup" | "Reject":
                    call.put_down = True
                    return None
                case _:
                    continue  # Twilio, too, skips what it does not know
        return None

    def _hold(self, call: Call, held: bool) -> None:
        if call.held != held:
            call.held = held
            self._touch()

    def _hear(self, call: Call, words: str) -> float:
        """The person hears it; how many seconds it takes to say."""
        call.heard.append(words)
        self._touch()
        return 0.0 if self._speech_cps is None else len(words) / self._speech_cps

    async def _gather(self, call: Call, verb: ElementTree.Element) -> str:
        self._hold(call, False)
        wait_s = float(verb.get("timeout", "5"))
        spoken_s = 0.0
        for part in verb:
            if part.tag in ("Say", "Play"):
                words = _words(part) if part.tag == "Say" else await self._sound(_words(part))
                spoken_s += self._hear(call, words)
        spoken_s += sum(float(pause.get("length", "1")) for pause in verb.iter("Pause"))
        most, finish = verb.get("numDigits"), verb.get("finishOnKey", "#")
        digits = ""
        self._ask(call, True)
        try:
            digit = await self._within(call, self._patient(spoken_s + wait_s))
            while digit is not None and digit not in finish:
                digits += digit
                if most is not None and len(digits) >= int(most):
                    break
                self._ask(call, True)
                digit = await self._next(call, wait_s)
        finally:
            self._ask(call, False)
        return digits

    # --- recordings ---

    async def _record(self, call: Call, verb: ElementTree.Element, base: str) -> dict[str, str] | None:
        """What the person says until a key, silence, the longest length or the end of the call; None when that is
        nothing. Who has gone is asked nothing more, but what was recorded is told. Raises HungUp."""
        if verb.get("playBeep", "true") == "true":
            self._hear(call, TONE)
        words, ended = await self._spoken(call, verb)
        report = urljoin(base, verb.get("recordingStatusCallback", ""))
        events = verb.get("recordingStatusCallbackEvent", "completed").split()
        gone = ended == "hangup"
        if not words:
            if "absent" in events:
                self._recorded(call, report, {"RecordingSid": _sid("RE"), "RecordingStatus": "absent"})
            if gone:
                raise HungUp
            return None
        kept = Recording(
            sid=_sid("RE"),
            account=call.account,
            call=call.sid,
            seconds=max(SPEAKING_S, len(words) * SPEAKING_S // 20),
            sound=words.encode(),
        )
        self._keep(self.recordings, kept.sid, kept)
        told = {
            "RecordingSid": kept.sid,
            "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{kept.account}/Recordings/{kept.sid}",
            "RecordingDuration": str(kept.seconds),
        }
        if "completed" in events:
            self._recorded(call, report, told | {"RecordingStatus": "completed", "RecordingChannels": "1"})
        if gone:
            # Twilio asks for the action all the same, and what it is answered does nothing
            action = urljoin(base, verb.get("action", base))
            await self._post(action, _call_params(call) | told | {"Digits": "hangup"}, call.token)
            raise HungUp
        return told | {"Digits": ended}

    async def _spoken(self, call: Call, verb: ElementTree.Element) -> tuple[str, str]:
        """What was said, and the key that ended it ("hangup" when they have gone)."""
        clock = asyncio.get_running_loop().time
        ends = clock() + self._patient(float(verb.get("maxLength", "3600")))
        finish, silence = verb.get("finishOnKey", "1234567890*#"), float(verb.get("timeout", "5"))
        said: list[str] = []
        call.recording = True
        self._touch()
        try:
            while (left_s := ends - clock()) > 0:
                heard = await self._within(call, min(left_s, self._patient(silence)))
                if heard is None or heard in finish:
                    return " ".join(said), heard or ""
                if heard.startswith(SPOKEN):
                    said.append(heard.removeprefix(SPOKEN))
        except HungUp:
            return " ".join(said), "hangup"
        finally:
            call.recording = False
            self._touch()
        return " ".join(said), ""

    def _recorded(self, call: Call, url: str, told: dict[str, str]) -> None:
        if not url:
            return
        courier = Courier(url=url, token=call.token)
        params = {"CallSid": call.sid, "AccountSid": call.account, "RecordingSource": "RecordVerb"}
        self._report(courier, params | told, last=True)

    async def _sound(self, url: str) -> str:
        """A file that is played: the words in it."""
        try:
            session = self._web()
            async with session.get(
                URL(url, encoded=True), timeout=aiohttp.ClientTimeout(total=WEBHOOK_S)
            ) as answer:
                return (await answer.read()).decode() if answer.status == 200 else NO_SOUND
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return NO_SOUND

    def _ask(self, call: Call, asking: bool) -> None:
        if call.asking != (asking and not call.machine):
            call.asking = asking and not call.machine
            self._touch()

    def _patient(self, seconds: float) -> float:
        """As long as a person is waited for at this speed, in real seconds."""
        return max(seconds / self._speed, self._patience_s)

    async def _next(self, call: Call, seconds: float) -> str | None:
        """The next key, or None when there was none in time. Raises HungUp."""
        return await self._within(call, seconds / self._speed)

    async def _within(self, call: Call, real_s: float) -> str | None:
        """The same, by the machine's own clock."""
        try:
            async with asyncio.timeout(real_s):
                digit = await call.line.get()
        except TimeoutError:
            return None
        if digit is None:
            raise HungUp
        return digit

    async def _listen(self, call: Call, seconds: float) -> None:
        """Time passes; keys pressed now are lost, as they are in life. Raises HungUp."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds / self._speed
        while (left := (ends - clock()) * self._speed) > 0:
            await self._next(call, left)

    async def _join(self, call: Call, verb: ElementTree.Element, base: str) -> tuple[str, bool]:
        """Ring somebody for the person on the line, and let them talk: what became of it, and whether they did.

        Raises HungUp when the person goes.
        """
        noun = verb.find("Number")
        first = noun.get("url", "") if noun is not None else ""
        child = Call(
            sid=_sid("CA"),
            account=call.account,
            to=_words(verb),
            from_=verb.get("callerId", call.from_),
            direction="outbound-dial",
            url=urljoin(base, first) if first else "",
            token=call.token,
            ring_s=float(verb.get("timeout", "30")),
            status="ringing",
            joined=not first,
            parent=call.sid,
        )
        call.joined = True
        self._keep(self.calls, child.sid, child)
        gone = self._spawn(self._gone(call), f"call {call.sid}: until put down")
        ringing = self._spawn(self._picked_up(child), f"call {child.sid}: ringing")
        try:
            outcome = await self._joined(child, ringing, gone)
        finally:
            gone.cancel()
            ringing.cancel()
            call.joined = False
        if outcome is None:
            raise HungUp
        return outcome

    async def _joined(
        self, child: Call, ringing: asyncio.Task[str], gone: asyncio.Task[None]
    ) -> tuple[str, bool] | None:
        await asyncio.wait({ringing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self._end(child, "canceled")
            return None
        picked = ringing.result()
        if picked not in ("answer", "voicemail"):
            self._end(child, picked)
            return child.status, False
        child.machine = picked == "voicemail"
        child.started = now()
        self._call_status(child, "in-progress", "answered")
        other = self._spawn(self._talk(child), f"call {child.sid}: until put down")
        await asyncio.wait({other, gone}, return_when=asyncio.FIRST_COMPLETED)
        other.cancel()
        self._end(child, "completed")
        return None if gone.done() else ("completed", child.bridged)

    async def _talk(self, child: Call) -> None:
        """Who was rung hears the document of their side first, if there is one; then the two talk."""
        if child.url:
            try:
                async with asyncio.timeout(VOICEMAIL_S / self._speed if child.machine else None):
                    await self._follow(child)
            except (HungUp, TimeoutError):
                return
            if child.put_down:
                return
            child.joined = True
            self._touch()
        child.bridged = True
        await self._gone(child)

    async def _confer(self, call: Call, noun: ElementTree.Element) -> str:
        """In the conference until it is over. Raises HungUp when the person goes."""
        name = _words(noun)
        room = self.conferences.setdefault(name, Conference(name=name, sid=_sid("CF")))
        if len(room.members) >= int(noun.get("maxParticipants", "250")):
            return "failed"
        room.members.append(call)
        room.may_begin = room.may_begin or noun.get("startConferenceOnEnter", "true") == "true"
        room.begun = room.begun or (room.may_begin and len(room.members) > 1)
        call.conference, call.joined, call.held = name, True, False
        self._touch()
        gone = self._spawn(self._gone(call), f"call {call.sid}: until put down")
        over = self._spawn(room.over.wait(), f"conference {room.sid}")
        try:
            await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            hung_up = gone.done()
            gone.cancel()
            self._leave(call, room, ends=noun.get("endConferenceOnExit", "false") == "true")
        if hung_up:
            raise HungUp
        return "answered"

    def _leave(self, call: Call, room: Conference, *, ends: bool) -> None:
        room.members.remove(call)
        call.conference, call.joined = None, False
        if ends or not room.members:
            room.over.set()
            if self.conferences.get(room.name) is room:
                del self.conferences[room.name]
        self._touch()

    async def _gone(self, call: Call) -> None:
        """Until this side puts the telephone down."""
        while await call.line.get() is not None:
            pass

    # --- webhooks out, signed as Twilio signs ---

    def _report(self, courier: Courier, params: dict[str, str], *, last: bool) -> None:
        """Queue one status callback behind the ones before it, with the faults that are switched on."""
        if self.faults.take("lose"):
            due: list[dict[str, str]] = []
        elif self.faults.take("double"):
            due = [params, params]
        elif courier.held is None and not last and self.faults.take("reorder"):
            courier.held = params
            return
        else:
            due = [params]
        if courier.held is not None:
            due.append(courier.held)
            courier.held = None
        for one in due:
            courier.tail = self._spawn(self._carry(courier, courier.tail, one), "callback")

    async def _carry(
        self, courier: Courier, before: asyncio.Task[None] | None, params: dict[str, str]
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self._post(courier.url, params, courier.token)

    def _web(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _post(
        self, url: str, params: dict[str, str], token: str, method: str = "POST"
    ) -> tuple[int, str]:
        """Call a webhook; (0, "") when it cannot be reached in Twilio's time."""
        if not url:
            return 0, ""
        if method == "GET":
            url, params = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}", {}
        headers = {
            SIGNATURE_HEADER: RequestValidator(token).compute_signature(url, params),
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1 (stand-in)",
        }
        try:
            async with self._web().request(
                method,
                URL(url, encoded=True),
                data=urlencode(params),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=WEBHOOK_S),
                allow_redirects=False,
            ) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, ""


def _sid(kind: str) -> str:
    return kind + uuid.uuid4().hex


def _courier(url: str | None, token: str) -> Courier | None:
    return Courier(url=url, token=token) if url else None


def _whole(text: str | None, least: int, most: int, code: int) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise Refused(400, code, f"expected a whole number of seconds from {least} to {most}")
    return int(text)


def _detection(form: Mapping[str, str]) -> Literal["", "sync", "async"]:
    if not form.get("MachineDetection"):
        return ""
    return "async" if form.get("AsyncAmd") == "true" else "sync"


def _duration_s(call: Call) -> int:
    return (
        0
        if call.started is None or call.ended is None
        else round((call.ended - call.started).total_seconds())
    )


def _call_params(call: Call) -> dict[str, str]:
    caller = ANONYMOUS if call.withheld else call.from_
    params = {
        "CallSid": call.sid,
        "AccountSid": call.account,
        "From": caller,
        "To": call.to,
        "Caller": caller,
        "Called": call.to,
        "CallStatus": call.status,
        "Direction": call.direction,
        "ApiVersion": "2010-04-01",
    }
    if call.parent:
        params["ParentCallSid"] = call.parent
    if call.answered_by is not None and call.status == "completed":
        params["AnsweredBy"] = call.answered_by
    return params


def _parse(xml: str) -> ElementTree.Element | None:
    """The TwiML's root, or None. Twilio takes 64 KiB; the documents are our own daemon's."""
    try:
        root = ElementTree.fromstring(xml[: 64 * 1024])  # noqa: S314
    except ElementTree.ParseError:
        return None
    return root if root.tag == "Response" else None


def _words(verb: ElementTree.Element) -> str:
    return "".join(verb.itertext()).strip()
