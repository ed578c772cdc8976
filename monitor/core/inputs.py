"""What was seen outside, as the core is told of it: minted ids only, all instants aware UTC.

The edge (`monitor.intake`, `monitor.directory`) has already authenticated who speaks, mapped outside ids to
minted ones and put the raw body aside as evidence; an input carries the evidence's id and digest.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from msgspec import Struct

from config.placing import PlacementKind
from config.policy import Contract, CouncilDesk, Duty, Policy
from escalation.free_number import WhyPerson
from escalation.track import TrackName
from monitor.core.evidence import Evidence as Evidence
from monitor.core.placing.inputs import DECLINE_REASONS as DECLINE_REASONS
from monitor.core.placing.inputs import DeclineReason as DeclineReason
from monitor.core.placing.inputs import PlacingInput
from monitor.core.referral_facts import REFERRAL_OUTCOMES as REFERRAL_OUTCOMES
from monitor.core.referral_facts import ReferralOutcome as ReferralOutcome
from monitor.core.referral_facts import ReferralSource as ReferralSource

Source = Literal["mqtt", "owntracks", "http", "traccar", "file", "phone"]
SOURCES: tuple[Source, ...] = ("mqtt", "owntracks", "http", "traccar", "file", "phone")

CheckInKind = Literal["arrive", "leave", "no_reply", "refused", "fix", "offline", "help"]

Outcome = Literal[
    "arrived",
    "arrived_late",
    "arrived_early",
    "left",
    "left_short",
    "left_overrun",
    "near",
    "duplicate",
    "retracts_alert",
    "no_reply",
    "refused",
    "flagged_place",
    "clock_doubtful",
    "unplanned",
    "unknown_device",
    "unknown_person",
    "off_shift",
    "retained",
    "mock_position",
    "help_asked",
    "quarantined",
]
OUTCOMES: tuple[Outcome, ...] = Outcome.__args__  # type: ignore[attr-defined]

CLOCKS_DIFFER = timedelta(minutes=1)
"""So far ahead of ours the clock of whoever tells us something may be."""

RotaProblemCode = Literal[
    "no_person",
    "no_time",
    "short_visit",
    "no_travel_time",
    "overlap",
    "unknown_worker",
    "no_worker",
    "time_does_not_exist",
    "time_exists_twice",
    "unknown_field",
    "off_step",
    "unknown_service_user",
    "duplicate_id",
    "person_died",
    "wide_window",
    "long_visit",
    # what a file adds (connectors/csv_files.py)
    "time_unreadable",
    "date_not_day_first",
    "number_damaged",
    "cell_error",
    "cells_missing",
    "cells_extra",
    "quote_open",
    "character_unreadable",
    "value_unknown",
    "repeated_header",
    "footer_row",
    "repeated_row",
    "column_missing",
    "covers_doubtful",
]

FileTrouble = Literal["file_refused", "cancels_unconfirmed", "rota_feed_old"]
"""What may be wrong with the files that are fetched for a desk: one cannot be used, a rota would cancel visits and
nobody has confirmed it, no new rota comes."""

DarkCause = Literal["device", "feed", "broker", "clock"]


class Position(Struct, frozen=True, kw_only=True, gc=False):
    """A fix in degrees (WGS 84) with its accuracy radius in metres. Never enters a fact."""

    lat: float
    lon: float
    accuracy_m: float


class CheckInSeen(Struct, frozen=True, kw_only=True, gc=False):
    """One message of a care worker's device. `at` is when it happened, `ctx.now` when we received it."""

    ref: str
    source: Source
    kind: CheckInKind
    at: datetime
    fingerprint: int
    """64-bit keyed hash of the natural key (devices.md): the same message has the same one, also after a restart."""
    evidence: Evidence
    device: str | None = None
    worker: str | None = None
    service_user: str | None = None
    visit: str | None = None
    tag: bool = False
    """The home was proved by a tag or line, so the position says nothing more."""
    tag_lasts: bool = False
    """The device repeats the tag until somebody clears it: it counts only where the position agrees."""
    unknown_device: bool = False
    """It names a device that belongs to nobody, and no care worker who would vouch for it."""
    claims_unknown: bool = False
    """It names a worker, service user, visit or tag that nobody knows."""
    position: Position | None = None
    region_enter: bool = False
    """The device itself decided that it entered the home's region."""
    retained: bool = False
    mock: bool = False
    manual: bool = False
    """Entered by hand by the office: never electronic (spec 21.3)."""
    instead: bool = False
    """They say that they are there in place of somebody who was planned."""


RaisedBy = Literal["service_user", "next_of_kin", "family", "care_worker", "council"]
"""Who asked for a visit to be cancelled or moved (spec 7.26-7.27); a supervisor has spoken to them or their next of
kin about it."""
RAISED_BY: tuple[RaisedBy, ...] = RaisedBy.__args__  # type: ignore[attr-defined]


AwayReason = Literal["hospital", "respite", "family", "day_centre", "other"]
"""Where somebody is who is not at home (domain.md, "Absence and return")."""
AWAY_REASONS: tuple[AwayReason, ...] = AwayReason.__args__  # type: ignore[attr-defined]
SpokeTo = Literal["service_user", "next_of_kin", "place"]
"""With whom a member of staff has spoken about an absence: they themselves, a next of kin, or where they are: the ward,
the respite home, the day centre."""
SPOKE_TO: tuple[SpokeTo, ...] = SpokeTo.__args__  # type: ignore[attr-defined]
AwayAction = Literal["confirm", "asked", "change_review", "change_return", "at_home", "end"]
AwayEnd = Literal["returned", "withdrawn"]
"""How an absence ends by a person: they are back, or it was never true."""


VisitKind = Literal["visit", "waking_night", "sleep_in", "live_in"]
VISIT_KINDS: tuple[VisitKind, ...] = VisitKind.__args__  # type: ignore[attr-defined]


Condition = Literal["home_confirmed"]
CONDITIONS: tuple[Condition, ...] = ("home_confirmed",)
"""What a visit waits for before its clock begins: that somebody is home from hospital (domain.md section 1)."""


class Agreed(Struct, frozen=True, kw_only=True, gc=False):
    """A named member of staff has agreed the change with the service user or their next of kin: who raised it, when."""

    by: str
    raised_by: RaisedBy
    at: datetime


DropReason = Literal["dropped_from_rota", "cancelled_in_rota"]
"""Why an upload calls a visit off: it has it no more, or its row says so."""


class RotaRow(Struct, frozen=True, kw_only=True, gc=False):
    """One row of an upload, read as far as it can be. `start` and `end` are None when no time could be read."""

    row: int
    key: str
    """What names the row until it is mended: the visit's minted id, else `row-N`."""
    visit: str | None = None
    service_user: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    workers: tuple[str, ...] = ()
    unknown_workers: int = 0
    known: bool = True
    """The directory knows the service user; if not, the visit is watched all the same, by its id."""
    contract: str | None = None
    """Who pays for them, and for which client group: it may have a tolerance of its own."""
    client_group: str | None = None
    places: int = 1
    time_critical: bool = False
    late_after: timedelta | None = None
    kind: VisitKind = "visit"
    conditional: Condition | None = None
    agreed: Agreed | None = None
    """The times of this row were agreed in a conversation."""
    cancelled: bool = False
    """The row itself says that its visit is called off."""
    placement: str | None = None
    """It is the first visit of this package of a council's desk here; the office has not named the person yet."""
    warnings: tuple[RotaProblemCode, ...] = ()
    """What the edge noticed: time_does_not_exist, time_exists_twice, unknown_field."""


class RotaReceived(Struct, frozen=True, kw_only=True):
    """One upload, as it was read. Absence cancels nothing unless `complete`, and then only within `covers`. It is taken
    in by portions (`monitor.core.upload`)."""

    upload: str
    evidence: Evidence
    rows: tuple[RotaRow, ...]
    covers_from: datetime | None = None
    covers_to: datetime | None = None
    complete: bool = False
    confirm: bool = False
    by: str = ""
    size: int | None = None
    """How many visits it has, where it is meant to have all of them: it is held against those before it."""
    empty: bool = False
    """It has no row at all."""


class RefusedRow(Struct, frozen=True, kw_only=True, gc=False):
    """A row that cannot be watched, and why."""

    key: str
    row: int
    code: RotaProblemCode


class RotaTaken(Struct, frozen=True, kw_only=True):
    """How many visits the portions of an upload have planned, changed and cancelled so far."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    cancelled: int = 0

    @property
    def planned(self) -> int:
        """Rows that are watched."""
        return self.new + self.changed + self.unchanged


class RotaEnd(Struct, frozen=True, kw_only=True):
    """That the portion is the last one, and what is said of the upload as a whole."""

    refused: int
    covers_to: datetime | None = None
    size: int | None = None
    empty: bool = False
    """It has no row at all."""
    confirmed: bool = False
    """Somebody says that it is meant so."""


class RotaPortion(Struct, frozen=True, kw_only=True):
    """So much of an upload as is decided in one turn: one append has all of it or nothing."""

    upload: str
    evidence: Evidence
    begins: int | None = None
    """On the first of several portions: how many rows the whole upload has."""
    plan: tuple[RotaRow, ...] = ()
    mend: tuple[str, ...] = ()
    refuse: tuple[RefusedRow, ...] = ()
    cancel: tuple[tuple[str, DropReason], ...] = ()
    ends: RotaEnd | None = None
    before: RotaTaken = RotaTaken()
    """What the portions before this one have come to."""


class PeopleReceived(Struct, frozen=True, kw_only=True):
    """People changed in the directory; the details went there, only counts and ids come here."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    people_rev: int


class PolicyLoaded(Struct, frozen=True, kw_only=True):
    """What the configuration says at start or after a reload. What did not change causes no fact."""

    policy: Policy
    duty: tuple[Duty, ...]
    council_desks: tuple[CouncilDesk, ...]
    holidays: tuple[date, ...]
    public: Literal["off", "ask", "auto"]
    contracts: tuple[Contract, ...] = ()


class LeadershipWon(Struct, frozen=True, kw_only=True):
    """This process leads the desk from now on, under `fence`."""

    fence: int


class DeadlineReached(Struct, frozen=True, kw_only=True, gc=False):
    """A moment for which the core asked. `due_at` is the moment asked for, `ctx.now` when it was noticed."""

    subject: str
    due_at: datetime


class DeadlineFailed(Struct, frozen=True, kw_only=True):
    """`decide` raised on a deadline: the shell says so, so that the subject is never silently unwatched."""

    subject: str
    due_at: datetime
    error: str
    """The exception's class name; never its message, which may hold a person's data."""


class SignalChanged(Struct, frozen=True, kw_only=True):
    """A way in went dark or came back. `subject` names the device (minted) or the feed; "" for broker and clock."""

    cause: DarkCause
    subject: str = ""
    dark: bool


class FilesTroubled(Struct, frozen=True, kw_only=True):
    """The files that are fetched for the desk are in trouble, or no longer so."""

    trouble: FileTrouble
    begun: bool


class SendTurn(Struct, frozen=True, kw_only=True, gc=False):
    """The outbox has come to this message and asks whether it is still wanted. The rendered text is evidence."""

    key: str
    evidence: Evidence
    unrecorded: bool = False
    """The store does not answer; this send would leave before its facts are durable (degraded mode)."""


class SendReported(Struct, frozen=True, kw_only=True, gc=False):
    """What the provider's API said to our attempt."""

    key: str
    result: Literal["accepted", "failed", "unknown"]
    provider_ref: str | None = None
    permanent: bool = False
    reason: str = ""
    found: bool = False
    """After a crash or a timeout it was found at the provider, so it was not sent again."""
    possibly_repeated: bool = False
    """It was looked up in vain and is to be sent again."""


CallStatus = Literal[
    "queued",
    "sent",
    "delivered",
    "undelivered",
    "initiated",
    "ringing",
    "in_progress",
    "completed",
    "busy",
    "no_answer",
    "canceled",
    "failed",
]


class DeliveryReported(Struct, frozen=True, kw_only=True, gc=False):
    """A status callback of the telephone network. They come twice, late and out of order."""

    key: str
    status: CallStatus
    sequence: int | None = None
    answered_by: Literal["human", "machine", "unknown"] | None = None
    provider_ref: str | None = None


class ReplyReceived(Struct, frozen=True, kw_only=True, gc=False):
    """A text came. The words themselves are evidence."""

    line: str
    persons: tuple[str, ...]
    """Who is known by the line; empty: nobody is."""
    code: str | None = None
    """Its leading digits, if it starts with digits."""
    word: Literal["help", "stop", "dont_come", "other"] | None = None
    number: int | None = None
    """A second number after the code: minutes."""
    door: bool = False
    """It says that nobody opens a door."""
    against: bool = False
    """Its words may turn the answer of its code into the opposite."""
    thanks: bool = False
    """It is thanks and no more."""
    evidence: Evidence
    provider_ref: str | None = None
    fingerprint: int = 0
    """64-bit keyed hash of the network's id of the text: the same text has the same one, two alike have not. 0: it has
    none."""


TextOutcome = Literal["seen", "answered"]


class TextsRead(Struct, frozen=True, kw_only=True):
    """A named person has seen or answered what came by text from a line, up to the fact `last`."""

    line: str
    by: str
    outcome: TextOutcome
    last: int


class KeyPressed(Struct, frozen=True, kw_only=True, gc=False):
    """A step of a call's script came to its end: a key, or silence with the line still open (`digit=""`)."""

    key: str
    step: str
    digit: str


class ActionTaken(Struct, frozen=True, kw_only=True):
    """A named person did something about an alert, on a page or through the API. A note is evidence."""

    alert: str
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
    at: datetime
    reason: str | None = None
    to: str | None = None
    """Who takes over, goes instead, was spoken to or told."""
    minutes: int | None = None
    """Until a care worker is there, as they said."""
    note: Evidence | None = None
    track: TrackName | None = None
    """Of `stop_track` and `do_now`."""
    next_at: datetime | None = None
    """The track's next moment as whoever presses saw it: another one by now means that somebody was first."""
    raised_by: RaisedBy | None = None
    """Of a confirmed cancellation, and of `agree_change`."""
    start: datetime | None = None
    """Of `agree_change`: when the visit is to begin, as agreed."""
    end: datetime | None = None
    adequate: bool | None = None
    """Of `check`, as the two that follow: the three answers of the manager's check (10.4)."""
    safeguarding: Literal["raised", "not_raised"] | None = None
    serious_incident: bool | None = None


class HomeSaid(Struct, frozen=True, kw_only=True):
    """A named member of staff has heard that the person of a conditional visit is home, since `at`."""

    visit: str
    by: str
    at: datetime


class PracticeWanted(Struct, frozen=True, kw_only=True):
    """A named member of staff starts a practice call to a service user, or to who speaks for one."""

    person: str
    by: str


class AbsenceTold(Struct, frozen=True, kw_only=True):
    """Somebody is away, or will be: as it was told to a member of staff. The words of who said so are evidence."""

    service_user: str
    reason: AwayReason
    from_at: datetime
    review_at: datetime
    raised_by: RaisedBy
    by: str
    note: Evidence
    spoke_to: SpokeTo | None = None
    """With whom `by` has confirmed it; None: nobody has, and the visits stand (7.26-7.27)."""
    at: datetime
    return_at: datetime | None = None
    """They are expected back then; of an absence of every week: the arrangement ends."""
    home_from: SpokeTo | None = None
    """Who is asked then whether they are home; None: nobody, the return is certain."""
    weekly: str | None = None
    """Hours of every week, in the notation of `config.policy`."""


class AbsenceActed(Struct, frozen=True, kw_only=True):
    """A named member of staff did something about an absence."""

    absence: str
    action: AwayAction
    by: str
    at: datetime
    spoke_to: SpokeTo | None = None
    """Of `confirm` and `asked`."""
    review_at: datetime | None = None
    """Of `change_review`; of `asked`, if the answer names another day."""
    outcome: AwayEnd | None = None
    """Of `end`."""
    return_at: datetime | None = None
    """Of `change_return`: the new one; None: none is known any more."""
    home_from: SpokeTo | None = None
    """Of `change_return`, as in `AbsenceTold`."""
    day: date | None = None
    """Of `at_home`: the local day on which they are at home."""
    note: Evidence | None = None


class DeathTold(Struct, frozen=True, kw_only=True):
    """A named manager, or who is on call, records that a service user has died. `undo`: that was a mistake."""

    service_user: str
    by: str
    at: datetime
    note: Evidence
    undo: bool = False


class WeatherSaid(Struct, frozen=True, kw_only=True):
    """A named person declares bad weather, moves its end, ends it, reports it, records what a family sees to, or that
    they have rung somebody on the list."""

    action: Literal["declare", "change", "end", "report", "cover", "uncover", "rung", "unrung"]
    by: str
    at: datetime
    """Of `report`, `cover` and `rung`: when it was said."""
    until: datetime | None = None
    service_user: str | None = None
    next_of_kin: str | None = None
    note: Evidence | None = None


class ReferralSeen(Struct, frozen=True, kw_only=True):
    """A council's referral has reached this provider's desk: by the page, the API, or a mail that was handed on."""

    ref: str
    package: PlacementKind
    source: ReferralSource
    arrived_at: datetime
    evidence: Evidence
    answer_by: datetime | None = None
    """By when the council wants its answer; None: by the policy's window."""
    council: str | None = None
    by: str | None = None
    sent_at: datetime | None = None
    """Of a mail: what it says itself."""
    fingerprint: int = 0
    """63-bit keyed hash of what it is: the same one again has the same. 0: it has none."""


class ReferralActed(Struct, frozen=True, kw_only=True):
    """A named person deals with a referral, or has answered the council (`outcome`) at that moment."""

    referral: str
    by: str
    at: datetime
    outcome: ReferralOutcome | None = None
    reason: DeclineReason | None = None
    starts_at: datetime | None = None
    note: Evidence | None = None


class CallerWaits(Struct, frozen=True, kw_only=True):
    """Somebody on the free number is to be joined to a person. `line` is theirs, if it is not withheld."""

    why: WhyPerson
    worker: str | None = None
    service_user: str | None = None
    line: str | None = None


class CallerJoined(Struct, frozen=True, kw_only=True):
    """Who was rung for a caller pressed the key to be joined to them."""

    alert: str
    person: str
    digit: str


class CallerAlone(Struct, frozen=True, kw_only=True):
    """Nobody who was rung for a caller came to the telephone."""

    alert: str


class AnswerphoneBegins(Struct, frozen=True, kw_only=True):
    """Nobody who was rung for a caller came to the telephone: the caller may leave a message. `call`: evidence of which
    call of the network it is."""

    alert: str
    call: Evidence | None = None


class AnswerphoneHeard(Struct, frozen=True, kw_only=True):
    """What the network says of an answerphone: a recording, or that there is none (`recording` None).

    `fingerprint`: 64-bit keyed hash of the network's id of the recording: the same one has the same.
    """

    alert: str
    recording: Evidence | None = None
    fingerprint: int = 0
    seconds: int = 0
    last: bool = True
    """Of no recording: the caller is not asked once more."""


class LineTurn(Struct, frozen=True, kw_only=True, gc=False):
    """The line of our call `key` is still open and asks what has become of it."""

    key: str


class LineAnswered(Struct, frozen=True, kw_only=True, gc=False):
    """Who was rung to be joined to a line picked up: our call `key`."""

    key: str


class LineBack(Struct, frozen=True, kw_only=True, gc=False):
    """The line of our call `key` was joined to another one, which has gone."""

    key: str


class PinsGuessed(Struct, frozen=True, kw_only=True):
    """So many wrong PINs on the free number that somebody may be guessing (`escalation.free_number.guessing`)."""


class DayRolled(Struct, frozen=True, kw_only=True):
    """04:00 local: a new day. It never touches open visits; it drops what was carried over long enough."""

    day: date


Input = (
    CheckInSeen
    | RotaPortion
    | PeopleReceived
    | PolicyLoaded
    | LeadershipWon
    | DeadlineReached
    | DeadlineFailed
    | SignalChanged
    | FilesTroubled
    | SendTurn
    | SendReported
    | DeliveryReported
    | ReplyReceived
    | TextsRead
    | KeyPressed
    | ActionTaken
    | HomeSaid
    | PracticeWanted
    | AbsenceTold
    | AbsenceActed
    | DeathTold
    | WeatherSaid
    | ReferralSeen
    | ReferralActed
    | CallerWaits
    | CallerJoined
    | CallerAlone
    | AnswerphoneBegins
    | AnswerphoneHeard
    | LineTurn
    | LineAnswered
    | LineBack
    | PinsGuessed
    | DayRolled
    | PlacingInput
)
