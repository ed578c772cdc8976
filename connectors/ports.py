"""The boundary: what connectors and the shell say to each other. Types, Protocols and the chain's formula.

Three sides meet here. A **Store** keeps a desk's facts, people and evidence. A **Sender** hands one message to a
telephone network. Connectors that take things in (MQTT, HTTP, webhooks) speak to the shell through **Desks**.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from config.placing import PlacementKind
from config.policy import Calendar, DeskKind
from connectors.links import Shown
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from monitor.core.inputs import (
    AwayAction,
    AwayEnd,
    AwayReason,
    CallStatus,
    CheckInKind,
    DeclineReason,
    FileTrouble,
    Outcome,
    RaisedBy,
    ReferralOutcome,
    Source,
    SpokeTo,
    TextOutcome,
)
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
from monitor.core.views import (
    AbsenceView,
    AlertPage,
    AlertView,
    AwayPage,
    BoardView,
    CallHeard,
    CandidateView,
    Channel,
    CheckInAnswer,
    DeathView,
    LeftMessage,
    PeopleAnswer,
    PracticeView,
    RecordView,
    ReferralsPage,
    ReferralView,
    RotaAnswer,
    Safeguarding,
    Script,
    TextsPage,
    TrackName,
    VisitView,
    WeatherView,
)

# --- errors ---

Reason = Literal[
    # the store
    "full",
    "read_only",
    "locked",
    "unreachable",
    "fenced",
    "head_moved",
    "corrupt",
    "newer_format",
    # a provider
    "refused",
    "bad_number",
    "unauthorised",
    "rate_limited",
    "timeout",
    "provider_down",
    "not_configured",
    # what came in
    "bad_body",
    "too_large",
    "too_deep",
    "wrong_type",
    "unknown_desk",
    "unknown_device",
    "identity",
    "undecodable",
    "no_key",
    "wrong_key",
    "decide_failed",
    "wrong_pin",
    "stranger",
    "other",
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]


class EdgeError(Exception):
    """Any failure at the edge. `permanent` says whether trying again can help; `reason` is a metric label.

    The text is for operators and never holds a person's data; the cause is chained.
    """

    def __init__(self, reason: Reason, text: str = "", *, permanent: bool = False) -> None:
        super().__init__(text or reason)
        self.reason: Reason = reason
        self.permanent = permanent


class StoreUnavailable(EdgeError):
    """The store cannot take facts now (full, locked, gone). Nothing was written; the same append may be retried."""


class StoreFenced(EdgeError):
    """Another process leads this desk, or the head is not where we left it. Stop at once."""


class StoreRefused(EdgeError):
    """The store must not be used at all: locked by another process, corrupt, or written by a newer release."""


class Degraded(EdgeError):
    """The input was applied in memory but is not on disk: 503, no receipt, to be sent again."""


class NotTaken(Degraded):
    """The input was not even applied: the desk is led elsewhere, or too much waits for the disk. To be sent again."""


class ApiProblem(Exception):
    """An answer of the HTTP contract that is not 2xx: status, code, message, path, and what else the body says."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        path: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.path = status, code, message, path
        self.extra = extra or {}


# --- the journal ---

FORMAT = 1
"""Version of the journal's envelope. A store whose `min_reader` is higher is refused."""

GENESIS = bytes(32)


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """One fact as it stands in the journal. `at` and `due_at` are RFC 3339 text, `body` JSON text, as hashed."""

    seq: int
    at: str
    due_at: str | None
    kind: str
    v: int
    subject: str
    cause: str
    people_rev: int
    policy: str
    body: str
    prev: bytes
    hash: bytes


_NOTHING = b"\xff\xff\xff\xff"


def _part(value: str | int) -> bytes:
    text = (value if type(value) is str else str(value)).encode()
    return len(text).to_bytes(4, "big") + text


@lru_cache(4096, typed=True)
def _same_parts(*values: str | int) -> bytes:
    """What stands in fact after fact: desk, kind, version, revision, policy; never what a person could be known by."""
    return b"".join([_part(value) for value in values])


def chain_hash(
    prev: bytes,
    desk: str,
    seq: int,
    at: str,
    due_at: str | None,
    kind: str,
    v: int,
    subject: str,
    cause: str,
    people_rev: int,
    policy: str,
    body: str,
) -> bytes:
    """SHA-256 over the whole envelope and the body's bytes as stored (formula in docs/interface.md)."""
    number, when, about, why = b"%d" % seq, at.encode(), subject.encode(), cause.encode()
    due, text = None if due_at is None else due_at.encode(), body.encode()
    # one format: fifteen parts that are joined take a third longer, and it is made for every fact
    envelope = b"%b%b%b%b%b%b%b%b%b%b%b%b%b%b%b%b" % (
        prev,
        _same_parts(desk),
        len(number).to_bytes(4, "big"),
        number,
        len(when).to_bytes(4, "big"),
        when,
        _NOTHING if due is None else len(due).to_bytes(4, "big"),
        due or b"",
        _same_parts(kind, v),
        len(about).to_bytes(4, "big"),
        about,
        len(why).to_bytes(4, "big"),
        why,
        _same_parts(people_rev, policy),
        len(text).to_bytes(4, "big"),
        text,
    )
    return sha256(envelope).digest()


def record_hash(desk: str, record: Record) -> bytes:
    """What `record.hash` must be if nobody touched it."""
    return chain_hash(
        record.prev,
        desk,
        record.seq,
        record.at,
        record.due_at,
        record.kind,
        record.v,
        record.subject,
        record.cause,
        record.people_rev,
        record.policy,
        record.body,
    )


class Head(Struct, frozen=True, kw_only=True):
    """Where a desk's journal ends: `seq` 0 and GENESIS before the first fact."""

    seq: int = 0
    hash: bytes = GENESIS


class Leadership(Struct, frozen=True, kw_only=True):
    """The right to append to a desk, until a higher fence is given out."""

    desk: str
    fence: int


class PeopleRow(Struct, frozen=True, kw_only=True):
    """A row of the people store: the details behind a minted id. `body` None erases the details.

    `kind`: person, visit, device, line, council_desk. `outside` is the caller's own id (a line's is its number).
    """

    ref: str
    kind: str
    outside: str
    rev: int
    body: bytes | None


class EvidenceRow(Struct, frozen=True, kw_only=True):
    """A row of the evidence store. The fact holds `id` and SHA-256(salt ‖ body); `keep_until` RFC 3339."""

    id: str
    subject: str
    keep_until: str
    salt: bytes
    body: bytes


class Snapshot(Struct, frozen=True, kw_only=True):
    """A desk's state at a fact: version of the state's format, the head it was taken at, the encoded state."""

    version: int
    head: Head
    body: bytes


class Loaded(Struct, frozen=True, kw_only=True):
    """What `load` found. `snapshots`: newest first, at most two. `tail`: every fact after the OLDER of them (all
    facts without one), so that an unreadable newest snapshot costs nothing but time."""

    head: Head
    snapshots: tuple[Snapshot, ...]
    tail: tuple[Record, ...]
    people: tuple[PeopleRow, ...]
    people_rev: int
    input_position: str | None
    secret: bytes
    """32 random bytes of this desk, made at its first `lead`: keys its fingerprints; never in a fact."""


class VerifyFinding(Struct, frozen=True, kw_only=True):
    """The first broken fact of a desk: its seq, and why (hash, prev, gap, body)."""

    seq: int
    reason: str


class VerifyReport(Struct, frozen=True, kw_only=True):
    """One desk's chain as `callwatch verify` saw it."""

    desk: str
    facts: int
    head: str
    broken: VerifyFinding | None


class Store(Protocol):
    """Three stores side by side, written in one append. See docs/architecture.md, "The Store port"."""

    async def open(self) -> None:
        """Ready for use. Raises StoreRefused (locked by another process, newer format, not writable)."""

    async def close(self) -> None:
        """Finish what was begun; release the lock. Safe to call twice."""

    async def lead(self, desk: str) -> Leadership:
        """Take the lead of a desk, with a fence higher than any before. Raises StoreUnavailable, StoreRefused."""

    async def load(self, desk: str) -> Loaded:
        """Everything needed to fold the desk's state. Raises StoreUnavailable, StoreRefused(corrupt)."""

    async def append(
        self,
        leadership: Leadership,
        expected_head: Head,
        facts: Sequence[Record],
        people: Sequence[PeopleRow] = (),
        evidence: Sequence[EvidenceRow] = (),
        input_position: str | None = None,
    ) -> Head:
        """All or nothing, durable when it returns. The position moves even when there is no fact.

        Raises StoreFenced (stale fence, head elsewhere), StoreUnavailable (retry the very same call).
        """

    async def facts(self, desk: str, after: int, limit: int = 1000) -> list[Record]:
        """Durable facts with seq > `after`, in order."""

    async def evidence(self, desk: str, evidence_id: str) -> EvidenceRow | None:
        """One row of evidence, or None (never kept, or erased)."""

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        """Keep it and the one before it, drop older ones. Raises StoreFenced, StoreUnavailable."""

    async def probe(self) -> None:
        """Raises StoreUnavailable while the store cannot be written."""


# --- telephones ---


class OutboundMessage(Struct, frozen=True, kw_only=True):
    """One text or call, rendered, ready for a provider. Stands in no log."""

    key: str
    desk: str
    channel: Channel
    to: str
    """E.164."""
    sender: str
    body: str
    """The text; for a call unused: the script is asked for by webhook, by key."""
    ring_s: int = 25
    validity_s: int = 600
    detect_machine: bool = True


class Sent(Struct, frozen=True, kw_only=True):
    """The provider took it, under this reference."""

    provider_ref: str


class Sender(Protocol):
    """One telephone account. Bounded in time by itself; raises EdgeError with `permanent` and a Reason."""

    async def send(self, message: OutboundMessage) -> Sent:
        """Hand the message over. Raises EdgeError; on `timeout` it may have been sent all the same."""

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """Is a message to this number, from this sender, since then, already at the provider?

        At most 5 s (design: then it is sent again, marked possibly repeated). Raises EdgeError.
        """

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """Let a call that still rings ring no longer; one that was answered is not cut. Raises EdgeError."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """What the provider says of a message now, for a callback that never came."""

    async def close(self) -> None:
        """Give back connections."""


class Recorded(Struct, frozen=True, kw_only=True):
    """A recording at the provider: its own id, and how many seconds it is long."""

    ref: str
    seconds: int


class Recordings(Protocol):
    """What callers left on the answerphone, as the provider keeps it. Bounded in time by itself."""

    async def recordings_of(self, call: str) -> Sequence[Recorded]:
        """The recordings of a call, by its provider's id. Raises EdgeError."""

    async def recording(self, ref: str) -> bytes | None:
        """The sound (MP3), or None when the provider has none of that id. Raises EdgeError."""


class StatusCallback(Struct, frozen=True, kw_only=True):
    """A provider's word on a message, by our key."""

    key: str
    status: CallStatus
    sequence: int | None = None
    answered_by: Literal["human", "machine", "unknown"] | None = None
    provider_ref: str | None = None


# --- what connectors hand in ---


class SeenCheckIn(Struct, frozen=True, kw_only=True, gc=False):
    """A check-in as a connector read it: outside ids untouched, the body as it came."""

    source: Source
    kind: CheckInKind
    at: datetime
    device: str | None
    """`callwatch:phone-17`, `owntracks:u17/phone`, …: from the credential or topic, never from the body."""
    natural_key: str
    """Same message, same key (devices.md, "Deduplicate by"); the device is part of it."""
    raw: bytes
    id: str | None = None
    worker: str | None = None
    service_user: str | None = None
    visit: str | None = None
    tag: str | None = None
    tag_lasts: bool = False
    """The app repeats it on every message until somebody clears it: it counts only where the position agrees."""
    card: str | None = None
    """A care worker's card that the device has read: whose it is where the device itself belongs to nobody."""
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    region_enter: bool = False
    regions: tuple[str, ...] = ()
    """What the device calls the region it entered, left or is inside: `rid:…`, `wtst:…`, `desc:…`."""
    retained: bool = False
    mock: bool = False
    manual: bool = False
    """Entered by hand with an office credential: never counted as electronic (spec 21.3)."""
    line: bool = False
    """It was keyed on a fixed line of `service_user`: that is where it happened."""
    instead: bool = False
    """In place of somebody who was planned."""
    receipt: bool = False


class Credential(Struct, frozen=True, kw_only=True):
    """Who speaks: role, the desk it is bound to ("*" for an operator of all, and for who sits at the board), the
    device for role `device`, the provider for role `provider`."""

    role: Literal[
        "office", "on_call", "manager", "broker", "auditor", "intake", "device", "operator", "provider"
    ]
    desk: str
    device: str | None = None
    name: str = ""
    provider: str | None = None
    """The outside id of the one organisation for which this credential bids."""
    person: str | None = None
    """The outside id of the person whose own credential it is."""


class PhoneIn(Struct, frozen=True, kw_only=True, gc=False):
    """The contract's `phones` item."""

    number: str
    kind: Literal["mobile", "landline"] = "mobile"
    use: Literal["first", "then", "text_only", "voice_only"] = "first"


class HomeIn(Struct, frozen=True, kw_only=True, gc=False):
    """The contract's `homes` item. Degrees and metres; `from`/`to` local dates."""

    lat: float
    lon: float
    radius_m: float | None = None
    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    area: str | None = None
    """The district as people call it, for a care worker who is asked to go there: never the address."""


class ContactPlanIn(Struct, frozen=True, kw_only=True, gc=False):
    """The contract's `contact_plan`."""

    public: Literal["off", "ask", "auto"] | None = None
    public_by: str | None = None
    """The member of staff who said that the machine may contact them by itself."""
    channels: tuple[Literal["voice", "text", "person"], ...] = ()
    ring_s: int | None = None
    keypad: bool = True
    language: str = "en-GB"
    hours: str | None = None
    """In these hours a machine may contact them; outside them it is quiet."""
    outside_hours: Literal["nobody", "time_critical"] = "nobody"
    """What may contact them in the quiet hours all the same: nothing, or an alert about a time-critical visit."""
    voicemail: bool = False
    understands_keys: bool = True
    spokesperson: str | None = None
    never_tell: tuple[str, ...] = ()
    never_tell_reason: str | None = None
    """For managers only: the next of kin may be the alleged abuser."""
    lives_alone: bool = False
    household_line: str | None = None
    """A number in the home that others answer too; rung after their own."""
    agreed_by: str | None = None
    """With whom the plan was agreed, in words or as an id."""
    agreed_on: date | None = None
    end_of_life: bool = False
    weather_rank: Literal["red", "amber", "green"] | None = None
    """Made beforehand: what declared bad weather may leave out for them. Not ranked is *red*: nothing."""


class PersonIn(Struct, frozen=True, kw_only=True, gc=False):
    """One person of `PUT …/people`, as the contract writes it."""

    id: str
    role: Literal["service_user", "care_worker", "staff", "contact", "provider"]
    """`provider`: an organisation to which a council's desk writes; told by `PUT …/providers`, never here."""
    name: str = ""
    first_name: str | None = None
    phones: tuple[PhoneIn, ...] = ()
    email: str | None = None
    homes: tuple[HomeIn, ...] = ()
    next_of_kin: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    contact_plan: ContactPlanIn | None = None
    skills: tuple[str, ...] = ()
    """What a care worker can do."""
    needs: tuple[str, ...] = ()
    """What a care worker must be able to do for this service user."""
    not_with: tuple[str, ...] = ()
    """Care workers who do not go to this service user."""
    prefers: Literal["female", "male"] | None = None
    gender: Literal["female", "male", "other"] | None = None
    hours_week: float | None = None
    """So many hours a care worker works in a week."""
    offer_hours: str | None = None
    """In these hours a care worker wants to be offered visits."""
    contract: str | None = None
    client_group: str | None = None
    council_ref: str | None = None
    """The council's own reference of a service user: what a report to the council names them by."""
    born: date | None = None
    """Only whether they are under 18 decides anything."""
    home_number: str | None = None
    """Of a service user: 3-8 digits, printed in the folder, keyed when the free number does not know the line."""
    pin: str | UnsetType | None = UNSET
    """Of a care worker: 4-8 digits. Kept as a keyed hash only; left out keeps what there is, null takes it away."""


class ActionIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/alerts/{id}/actions`."""

    action: Literal[
        "take",
        "hand_over",
        "spoke_service_user",
        "spoke_care_worker",
        "assign_replacement",
        "told_next_of_kin",
        "told_council",
        "pause",
        "stop_track",
        "do_now",
        "note",
        "agree_change",
        "close",
        "check",
        "confirm_home",
        "send_notice",
        "no_notice",
    ]
    by: str
    at: datetime | None = None
    note: str | None = None
    reason: str | None = None
    to: str | None = None
    minutes: Annotated[int, Meta(ge=0, le=600)] | None = None
    """Until somebody is there: of `spoke_care_worker` and `assign_replacement`."""
    track: TrackName | None = None
    """Of `stop_track` and `do_now`."""
    next_at: datetime | None = None
    """Of `do_now`: the track's next moment as it was shown; another one by now is 409."""
    raised_by: RaisedBy | None = None
    """Who asked for it: of `agree_change`, and of `close` with `cancelled_confirmed`."""
    start: datetime | None = None
    """Of `agree_change`: when the visit begins, as agreed; without `end` it stays as long as it was."""
    end: datetime | None = None
    adequate: bool | None = None
    """Of `check`: the action taken was adequate."""
    safeguarding: Safeguarding | None = None
    """Of `check`: a concern was raised, or considered and not raised, with the reason in `note`."""
    serious_incident: bool | None = None
    """Of `check`."""


class AbsenceIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/absences`."""

    service_user: str
    reason: AwayReason
    review_at: datetime
    raised_by: RaisedBy
    by: str
    note: str
    """Who said so, in words."""
    from_at: datetime | None = field(default=None, name="from")
    """Now, unless said."""
    spoke_to: SpokeTo | None = None
    """With whom `by` has confirmed it; without it the absence is unconfirmed, and the visits stand."""
    return_at: datetime | None = None
    """They are expected back then; of an absence of every week: it ends then."""
    home_from: SpokeTo | None = None
    """Who is asked then whether they are home; without it the return is certain."""
    weekly: str | None = None
    """Hours of every week, such as `Tue 10:00-15:00, Thu 09:00-12:00`: a day centre."""


class AbsenceActionIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/absences/{id}/actions`."""

    action: AwayAction
    by: str
    at: datetime | None = None
    spoke_to: SpokeTo | None = None
    """Of `confirm` and `asked`: with whom `by` has spoken."""
    review_at: datetime | None = None
    """Of `change_review`; of `asked`, if the answer names another day."""
    outcome: AwayEnd | None = None
    """Of `end`."""
    return_at: datetime | None = None
    """Of `change_return`: the new one; without it none is known any more."""
    home_from: SpokeTo | None = None
    """Of `change_return`, as in `AbsenceIn`."""
    day: date | None = None
    """Of `at_home`: on this local day they are at home, whatever the hours of every week say."""
    note: str | None = None


class ReferralIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/referrals`: what a council has asked. `subject`, `text`, `link` are kept as evidence."""

    kind: PlacementKind = "standard"
    id: str | None = None
    council: str | None = None
    """The caller's own id of the council."""
    arrived_at: datetime | None = None
    """Now, unless said."""
    answer_by: datetime | None = None
    """By the policy's window, unless said."""
    subject: str | None = None
    text: str | None = None
    link: str | None = None
    by: str | None = None
    """Who logs it."""


class ReferralMail(Struct, frozen=True, kw_only=True):
    """A mail as it was received. `reply_by`: its header of that name; `by_clock`: "by 18:40" in its subject, local."""

    raw: bytes
    natural_key: str
    """By which it is known when it comes again: its Message-ID, else all of it."""
    sent_at: datetime | None = None
    reply_by: datetime | None = None
    by_clock: time | None = None
    discharge: bool = False
    """Its subject speaks of a discharge: the shorter window, where nobody says otherwise."""


class ReferralActionIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/referrals/{id}/answer`, and with `by` alone of `…/take`."""

    by: str
    outcome: ReferralOutcome | None = None
    at: datetime | None = None
    """When the council was answered: now, unless said."""
    reason: DeclineReason | None = None
    """Of `declined`."""
    start: datetime | None = None
    """Of `bid`: the day and time at which it can start (appendix A)."""
    note: str | None = None


class TextsReadIn(Struct, frozen=True, kw_only=True):
    """What is pressed on the page of texts: a named person has seen or answered them, up to the fact `last`."""

    by: str
    outcome: TextOutcome
    last: int


class DeathIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/people/{id}/died` and `…/died/undo`."""

    by: str
    note: str
    """Who said so, in words."""


class HomeConfirmedIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/visits/{id}/home-confirmed`: who heard it, and since when they are home (now unless said)."""

    by: str
    at: datetime | None = None


class PracticeIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/people/{id}/practice-call`."""

    by: str


class WeatherIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/weather`."""

    action: Literal["declare", "change", "end", "report", "cover", "uncover", "rung", "unrung"]
    by: str
    until: datetime | None = None
    """Of `declare` and `change`: when it ends by itself."""
    at: datetime | None = None
    """Of `report`, `cover` and `rung`: when it was said; now unless given."""
    service_user: str | None = None
    """Of `cover`, `uncover`, `rung` and `unrung`."""
    next_of_kin: str | None = None
    """Of `cover`: who said that the family sees to it."""
    note: str | None = None


class Desks(Protocol):
    """What the shell offers to connectors. Every answer is durable before it is given.

    Methods raise ApiProblem for what the contract answers with a 4xx, and Degraded (503) when the store is away.
    """

    def desk_ids(self) -> Collection[str]:
        """All desks of this process, in the order of the configuration; quick to ask whether one is among them."""

    def credential(self, secret: str) -> Credential | None:
        """Who holds this secret, or None (also when it has expired)."""

    def standing(self, token_hash: str) -> Credential | None:
        """Whose secret has this hash, while it still holds: who has signed in with it is asked for anew each time."""

    def desk_kind(self, desk: str) -> DeskKind | None:
        """Whether it is a provider's desk or a council's; None when there is no such desk here."""

    def desk_of_device(self, device: str) -> str | None:
        """The one desk that holds this device, or None."""

    def desk_of_number(self, number: str) -> str | None:
        """The desk to which one of our own numbers belongs."""

    def check_in(self, desk: str, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        """Decided at once; the future is done when it is durable. Its exception is Degraded (applied, not stored:
        do not acknowledge over HTTP; over MQTT simply wait: `durable()` ends when the facts are on disk)."""

    async def durable(self, desk: str) -> None:
        """Everything decided up to now is on disk. Waits through a degraded time."""

    async def quarantine(self, source: str, reason: Reason, raw: bytes, desk: str | None = None) -> None:
        """Put a body aside, bounded (64 MiB, 30 days); count and log it, without its content. It is on disk when this
        returns. Raises Degraded while the disk takes nothing, EdgeError: it was not kept and must not be acknowledged.
        """

    def commands(self, desk: str, device: str) -> Sequence[bytes]:
        """What this OwnTracks phone, which has just been heard over HTTP, is to be told in the answer: JSON messages,
        encrypted where it has a key. Asked once for each answer: what was given is taken for told."""

    def feed_changed(self, feed: str, state: Literal["up", "down", "drained", "unknown"]) -> None:
        """A way in says how it is."""

    def feed_proved(self, feed: str, at: datetime) -> None:
        """The newest content of a feed of files is of this time: its silence counts from then."""

    def feed_trouble(self, feed: str, desk: str, trouble: FileTrouble, *, begun: bool) -> None:
        """What a feed brings to this desk cannot be used, or is too old: the desk's people are told until it is over.
        Said again it changes nothing."""

    def calendar(self, desk: str) -> Calendar:
        """The desk's zone and holidays, through which local times enter."""

    def plan_rev(self, desk: str) -> int:
        """Rises with each upload of people or rota: a check-in that nobody could place may find its visit now."""

    def counted(self, desk: str, source: Source, outcome: Outcome) -> None:
        """A check-in that reached no desk's decision, for the metric."""

    async def put_people(
        self, desk: str, people: Sequence[Any], *, lines: Sequence[int] | None = None, partial: bool = False
    ) -> PeopleAnswer:
        """`people`: decoded JSON items, each read by itself, so that one bad item harms no other. `lines`: the number
        of each in its file, for its problems. `partial`: an item has only what it changes."""

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
        """`body`: the decoded JSON object; `lines` as above. Raises ApiProblem(409, confirm_needed).

        `whole`: a file that is meant to hold all visits, also where its body cancels nothing by absence; `empty`: it
        has no row, not even one that was left out of the body."""

    async def visits(self, desk: str, day: date | None) -> list[VisitView]:
        """Visits whose local day is `day` (today)."""

    async def alerts(
        self, desk: str, only_open: bool, *, unchecked: bool = False, unwritten: bool = False
    ) -> list[AlertView]:
        """Alerts, newest first."""

    async def alert(self, desk: str, alert_id: str) -> AlertView | None:
        """One alert."""

    async def record(self, desk: str, alert_id: str) -> RecordView | None:
        """The whole record of an alert, also after it has left the state. Raises Degraded."""

    async def candidates(self, desk: str, alert_id: str) -> Sequence[CandidateView] | None:
        """Who could go instead, best first, with their scores in parts."""

    async def alert_page(self, desk: str, alert_id: str, reader: str | None) -> AlertPage | None:
        """Everything that the page of an alert shows, now (in degraded mode too). `reader`: who reads it, if known."""

    async def act(self, desk: str, alert_id: str, action: ActionIn) -> AlertView:
        """A named person did something. Raises ApiProblem 404, 409 (who was first), 400."""

    async def confirm_home(self, desk: str, visit: str, home: HomeConfirmedIn) -> VisitView:
        """The person of a conditional visit is home. Raises ApiProblem 404, 400, 403, 409."""

    async def practise(self, desk: str, person: str, by: str) -> PracticeView:
        """A practice call, started by a member of staff. Raises ApiProblem 404, 400, 409 (`no_line`,
        `practice_running`)."""

    async def practice(self, desk: str, person: str) -> PracticeView:
        """How the practice calls to a person stand. Raises ApiProblem 404."""

    async def report_absence(self, desk: str, said: AbsenceIn) -> AbsenceView:
        """Somebody is away. Raises ApiProblem 400, 403 (`not_supervisor`), 404, 409 (`already_away`, `died`)."""

    async def act_on_absence(self, desk: str, absence: str, action: AbsenceActionIn) -> AbsenceView:
        """A named person did something about it. Raises ApiProblem 400, 403, 404, 409."""

    async def absence(self, desk: str, absence: str) -> AbsenceView:
        """One absence. Raises ApiProblem 404."""

    async def absences(self, desk: str, only_open: bool) -> list[AbsenceView]:
        """All that are open, and those that have ended a short while ago."""

    async def log_referral(
        self, desk: str, given: ReferralIn, source: Literal["api", "page"]
    ) -> ReferralView:
        """A council's referral has come. Raises ApiProblem 400, 409 (`already_known`)."""

    async def mail_referral(
        self, desk: str, mail: ReferralMail, kind: PlacementKind | None, council: str | None
    ) -> ReferralView:
        """A council's referral has come by mail; the same mail again is the same referral. Raises ApiProblem 400."""

    async def act_on_referral(self, desk: str, referral: str, action: ReferralActionIn) -> ReferralView:
        """A named person deals with it, or has answered the council. Raises ApiProblem 400, 404, 409."""

    async def referral(self, desk: str, referral: str) -> ReferralView:
        """One referral. Raises ApiProblem 404."""

    async def referrals(self, desk: str, only_open: bool) -> list[ReferralView]:
        """All that wait for an answer, by the end of their time; then those of the last days."""

    async def referrals_page(self, desk: str) -> ReferralsPage:
        """Everything that the page of referrals shows."""

    async def texts_page(self, desk: str, reader: str | None) -> TextsPage:
        """Texts that nobody has answered, with their words and numbers. `reader`: who looks."""

    async def read_texts(self, desk: str, line: str, said: TextsReadIn) -> None:
        """A named person has seen or answered what came from there. Raises ApiProblem 400, 404, 409."""

    async def record_death(self, desk: str, person: str, said: DeathIn, *, undo: bool) -> DeathView:
        """A service user has died, or that was a mistake. Raises ApiProblem 400, 403, 404, 409."""

    async def death(self, desk: str, person: str) -> DeathView:
        """What is recorded of a service user's death. Raises ApiProblem 404."""

    async def away_page(self, desk: str) -> AwayPage:
        """Everything that the page of those away shows."""

    async def say_weather(self, desk: str, said: WeatherIn) -> WeatherView:
        """Declare bad weather, move its end, end it, record its report or what a family sees to. Raises ApiProblem 400,
        403 (`not_manager`, `never_told`), 404, 409 (`already_declared`, `already_reported`, `no_weather`, `not_green`,
        `not_covered`)."""

    async def weather(self, desk: str) -> WeatherView:
        """The bad weather that is declared, else the last one."""

    # a council's desk: each raises ApiProblem 404 `not_council` at any other, and 400, 403, 404, 409 as
    # docs/interface.md says. An id of a placement or provider is the caller's own, or the minted one.

    async def put_providers(self, desk: str, providers: Sequence[Any]) -> ProvidersAnswer:
        """`providers`: decoded JSON items, each read by itself; absence removes nobody."""

    async def providers(self, desk: str) -> list[ProviderView]:
        """All providers of a council's desk, by id."""

    async def areas(self, desk: str) -> AreasView:
        """Areas with their wards, and the kinds of packages that the desk places."""

    async def place(self, desk: str, said: PlacementIn, speaker: Speaker) -> tuple[PlacementView, bool]:
        """A package is to be placed; whether it is new. Said again with the same id and body it changes nothing, with
        another body it is 409 `id_taken`."""

    async def placements(self, desk: str, only_open: bool) -> list[PlacementView]:
        """All that have not ended, or have a short while ago; hospital discharge first, then the oldest."""

    async def placement(self, desk: str, placement: str) -> PlacementView:
        """One placement, with what was written."""

    async def own_placements(self, desk: str, provider: str, only_open: bool) -> list[OwnPlacement]:
        """What one provider was asked to bid for, as it may see it."""

    async def own_placement(self, desk: str, placement: str, provider: str) -> OwnPlacement:
        """One of those; 404 also when the provider was never asked."""

    async def bid(self, desk: str, placement: str, said: BidIn, speaker: Speaker) -> BidReceipt:
        """A provider can take it. A second bid takes the place of the first."""

    async def decline(self, desk: str, placement: str, said: DeclineIn, speaker: Speaker) -> BidReceipt:
        """A provider does not take it."""

    async def take_back(self, desk: str, placement: str, said: TakeBackIn, speaker: Speaker) -> BidReceipt:
        """A provider withdraws its bid."""

    async def dead_link(self, desk: str, placement: str, provider: str) -> None:
        """Somebody has pressed on a provider's genuine link whose time is over: that it was so is recorded."""

    async def act_on_placement(
        self, desk: str, placement: str, said: PlacementActionIn, speaker: Speaker
    ) -> PlacementView:
        """A broker, or the winner for its first visit, does something about it."""

    async def held(self, desk: str) -> list[HeldView]:
        """The packages that providers were awarded in the span of the ledger and have, with names."""

    async def care_ended(self, desk: str, placement: str, said: CareEndedIn, speaker: Speaker) -> HeldView:
        """A broker says on which local day the care of a package ends, or that it goes on after all."""

    async def held_page(self, desk: str) -> HeldPage:
        """Everything that the page of those shows, now (in degraded mode too)."""

    async def register(self, desk: str, since: date | None) -> RegisterView:
        """How each provider has answered from that local day on (None: over the span of the fair share), for the
        contract meetings. Raises ApiProblem(404, no_policy)."""

    def link(self, shown: str) -> Shown:
        """What a signed link is that somebody has shown: genuine, ended or forged, and what it opens."""

    async def placements_page(self, desk: str) -> PlacementsPage:
        """Everything that the page of a council's packages shows, now (in degraded mode too)."""

    async def placement_page(self, desk: str, placement: str) -> PlacementPage:
        """Everything that the page of one placement shows, now (in degraded mode too)."""

    async def facts(self, desk: str, after: int, wait_s: float) -> list[Record]:
        """Durable facts after `after`, at most 1,000; waits up to `wait_s` for the first."""

    async def board(self, desk: str) -> BoardView:
        """The board's view, now (in degraded mode too, and it says so)."""

    def changes(self, desk: str) -> AsyncIterator[int]:
        """Yields the durable seq whenever it moved, at most a few times a second. Endless."""

    async def sms_received(self, to: str, sender: str, body: str, provider_ref: str) -> str | None:
        """A text to one of our numbers. Returns the reply to give in TwiML, or None for none."""

    async def call_received(self, to: str, caller: str, provider_ref: str) -> Script:
        """A call to one of our numbers."""

    async def call_heard(self, to: str, caller: str, provider_ref: str, heard: CallHeard) -> Script:
        """The next step of a call to the free number. `provider_ref` is the call's own; `caller` "" is withheld."""

    async def whisper(self, provider_ref: str, person: int, step: str, digit: str | None) -> Script:
        """A step of what the person rung for that call hears first; `person` is the how-many-eth that was rung."""

    async def message_left(self, left: LeftMessage) -> Script:
        """What the network says of an answerphone; what the caller hears next. It is on disk when this returns, unless
        the caller is on the line still. Raises Degraded."""

    async def recording(self, alert: str) -> bytes | None:
        """The newest message that a caller has left about this alert, as sound; None: there is none, or it cannot be
        had now."""

    async def call_step(self, key: str, step: str, digit: str | None) -> Script:
        """The next step of our own call `key`: first with step "" and digit None; then what was pressed
        (digit "" = silence, the line still open)."""

    async def call_status(self, callback: StatusCallback) -> None:
        """A status callback; unknown keys are ignored."""

    def health(self) -> dict[str, Any]:
        """The body of /healthz: no personal data."""

    def ready(self) -> bool:
        """Started, drained, store writable."""


class Feed(Protocol):
    """A way in that runs for as long as the daemon does."""

    name: str

    async def run(self) -> None:
        """Until cancelled. Reconnects by itself; tells the shell through `Desks.feed_changed`."""
