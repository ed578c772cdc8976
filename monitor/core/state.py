"""What a desk knows: frozen values in the desk's own dicts, and the indexes derived from them.

Only `monitor.core.evolve` puts a new value here. Indexes and the heap of deadlines are derived: they are rebuilt
from the values when a snapshot is loaded and are in no snapshot.
"""

from __future__ import annotations

import heapq
from collections import deque
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from typing import Literal

from msgspec import Struct

from config.placing import Area, PlacementKind, PlacingPolicy
from config.policy import (
    Calendar,
    CouncilDesk,
    Duty,
    Policy,
    PublicMode,
    Terms,
    agreed_with,
    council_desk_at,
    council_desks_of,
)
from escalation import on_call
from escalation.inform import Council
from escalation.on_call import HandOver
from escalation.people import PersonView
from escalation.replace import OFFERS
from escalation.replies import Question
from escalation.track import Track, TrackName
from monitor.core.evidence import Evidence
from monitor.core.facts import (
    ArrivalProof,
    CheckOutAnswer,
    CheckOutStep,
    Gathered,
    LeftOut,
    Newly,
    PracticeResult,
    RingHow,
    RiskReason,
    Verdict,
    WatchReason,
    WorkerAnswer,
)
from monitor.core.inputs import (
    AwayEnd,
    AwayReason,
    Condition,
    RaisedBy,
    RotaProblemCode,
    SpokeTo,
    TextOutcome,
    VisitKind,
)
from monitor.core.placing.clock import next_moment
from monitor.core.placing.inputs import PackageOver
from monitor.core.placing.model import Ledger, Placement, Provider, Share
from monitor.core.referral_fold import Referral
from monitor.core.referral_fold import next_moment as referral_moment
from monitor.core.views import (
    AlertKind,
    AlertState,
    AnswerphoneCame,
    Channel,
    CheckReason,
    EndedReason,
    LineCame,
    Priority,
    Purpose,
    Result,
    Safeguarding,
)

STATE_VERSION = 1
"""Version of the snapshot's form. Another version is not read: the journal is folded instead."""

DEVICE_MEMORY = 256
"""Fingerprints kept per device (design: "When state ends")."""


Asked = tuple[datetime, int]
"""When a subject wants to be asked, and its turn among those of the same moment: 0 before 1."""


Refs = dict[str, None]
"""Ids, each once. A dict of plain texts is one that the garbage collector need not look at; it looks at every set."""


class Leaving(Struct, frozen=True, kw_only=True, gc=False):
    """A check-out that did not come: how far asking for it is, or what was answered. It goes on at `next_at`."""

    step: CheckOutStep | CheckOutAnswer
    since: datetime
    next_at: datetime | None = None
    rings: int = 0
    dark_since: datetime | None = None
    """It is waited for since then, because nothing is known of anybody."""


class Place(Struct, frozen=True, kw_only=True, gc=False):
    """One care worker's place at a visit: who is planned, who came, when they came and left."""

    planned: str | None = None
    worker: str | None = None
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    left: bool = False
    proof: ArrivalProof | None = None
    leaving: Leaving | None = None
    assumed: bool = False
    """Who came is not known: `worker` is whoever is planned here."""
    arrived_said: datetime | None = None
    """The check-in's own time, where it is not believed and `arrived_at` is the receipt."""
    left_said: datetime | None = None

    @property
    def inside(self) -> bool:
        """Somebody came here and has not left."""
        return self.arrived_at is not None and not self.left


class Said(Struct, frozen=True, kw_only=True, gc=False):
    """What a care worker said about where they are, and when; `eta_at` where they named a time."""

    worker: str
    answer: WorkerAnswer
    said_at: datetime
    eta_at: datetime | None = None
    claimed_at: datetime | None = None
    """When they first claimed to be there, and have not said since that they cannot; None: they have not."""


class Sent(Struct, frozen=True, kw_only=True, gc=False):
    """A replacement who accepted, and when they are to be there."""

    worker: str
    eta_at: datetime
    proof: str = ""
    """How they accepted, or who sent them: `person:<id>`."""
    at: datetime | None = None


class Pressed(Struct, frozen=True, kw_only=True, gc=False):
    """Who last stopped a track, or told it to go on now."""

    action: str
    track: TrackName
    by: str
    at: datetime


class Spoken(Struct, frozen=True, kw_only=True, gc=False):
    """A named person of ours says that they spoke to somebody, or has the alert by the page: contact without a message.
    `person` None: the council, of which no desk answers now."""

    key: str
    purpose: Purpose
    by: str
    person: str | None
    at: datetime


class Visit(Struct, frozen=True, kw_only=True, gc=False):
    """A visit that is watched. `stage` here knows nothing of the clock: *due* is *planned* after the start."""

    ref: str
    service_user: str
    start: datetime
    end: datetime
    agreed_start: datetime
    late_at: datetime
    missed_at: datetime
    overrun_at: datetime
    places: tuple[Place, ...]
    time_critical: bool = False
    late_after: timedelta | None = None
    kind: VisitKind = "visit"
    agreed: bool = False
    """When it begins was agreed in a conversation that a named person recorded: no upload moves it any more."""
    verdicts: tuple[Verdict, ...] = ()
    alerts: tuple[str, ...] = ()
    """Open alerts about it."""
    alerted: tuple[AlertKind, ...] = ()
    """Kinds that were raised once already: a deadline raises each kind once."""
    at_door: bool = False
    """A *no reply* alert is open: a care worker is at the door."""
    conditional: Condition | None = None
    home_at: datetime | None = None
    """Of a conditional visit: since when the person is known to be home."""
    home_by: str | None = None
    missed: bool = False
    cancelled: bool = False
    resolved: bool = False
    """A named person recorded an outcome: no deadline raises anything any more."""
    near: tuple[tuple[str, datetime], ...] = ()
    """(care worker, first fix inside the home): one fix is only *near*."""
    prints: tuple[int, ...] = ()
    """Fingerprints of its check-ins: a repeat is known while the visit is, however much its device said since."""
    closes_at: datetime | None = None
    look_at: datetime | None = None
    """When its care worker's lateness is looked at next, before any alert."""
    risk: RiskReason | None = None
    said: tuple[Said, ...] = ()
    """What its care workers said last, one entry each."""
    asks: tuple[str, ...] = ()
    """Keys of the questions that were put to them before any alert."""
    away: str | None = None
    """The absence in which it lies: nobody is missed there."""
    returns: str | None = None
    """The absence from which they come back with it: it waits for *home confirmed*."""
    placement: str | None = None
    """It is the first visit of this package, and the office has not named the person: no upload drops it."""
    adopted: bool = False
    """Of a first visit: the office's own rota has it, or had it."""
    package_over: PackageOver = ""
    """The council has said that the package is the provider's no more, and what became of the visit then."""

    @property
    def anybody_there(self) -> bool:
        """At least one arrival is recorded."""
        # plain loops here and below: a visit has one or two places, and every fact asks
        for place in self.places:  # noqa: SIM110
            if place.arrived_at is not None:
                return True
        return False

    @property
    def waits_home(self) -> bool:
        """Its clock has not begun: nobody knows yet whether the person is home from hospital."""
        waits = self.conditional is not None or self.returns is not None
        return waits and self.home_at is None and not self.anybody_there

    @property
    def clock_from(self) -> datetime:
        """From when it counts: the planned start, or when the person was home, if that was later."""
        return self.start if self.home_at is None else max(self.start, self.home_at)

    @property
    def all_there(self) -> bool:
        """Every place has its arrival."""
        for place in self.places:  # noqa: SIM110
            if place.arrived_at is None:
                return False
        return True

    @property
    def all_left(self) -> bool:
        """Everybody who came has left, and somebody came."""
        came = False
        for place in self.places:
            if place.arrived_at is not None:
                if not place.left:
                    return False
                came = True
        return came

    @property
    def anybody_inside(self) -> bool:
        """Somebody came and has not left."""
        for place in self.places:  # noqa: SIM110
            if place.arrived_at is not None and not place.left:
                return True
        return False

    @property
    def over(self) -> bool:
        """Nothing is waited for any more: it is cancelled, settled by a person, or everybody has come and gone; or who
        lives there is away.

        Of two care workers the second is waited for also when the first has left before anybody missed them.
        """
        gone = self.all_left and (self.all_there or "second_worker_missing" in self.alerted)
        return self.cancelled or self.resolved or gone or self.away is not None

    @property
    def workers(self) -> tuple[str, ...]:
        """The care workers whom the rota names."""
        return tuple([place.planned for place in self.places if place.planned is not None])

    @property
    def absent(self) -> tuple[str, ...]:
        """The care workers whom the rota names and who have not arrived."""
        return tuple([place.planned for place in self.places if place.arrived_at is None and place.planned])

    @property
    def involved(self) -> tuple[str, ...]:
        """The care workers whom it concerns: planned, there, or near."""
        if len(self.places) == 1 and not self.near:
            planned, worker = self.places[0].planned, self.places[0].worker
            if planned == worker or worker is None:
                return () if planned is None else (planned,)
        there = [place.worker for place in self.places if place.worker is not None]
        return tuple(dict.fromkeys((*self.workers, *there, *[worker for worker, _ in self.near])))


class Held(Struct, frozen=True, kw_only=True, gc=False):
    """An open line that was kept about an alert; `ended_at` None: it still is. `came` as in the contract."""

    call: str
    person: str
    room: str
    since: datetime
    until: datetime
    other: str | None = None
    message: str | None = None
    """The call of who was joined."""
    joined_at: datetime | None = None
    ended_at: datetime | None = None
    came: LineCame = "waiting"

    @property
    def waits(self) -> bool:
        """Nobody is joined to it yet."""
        return self.ended_at is None and self.joined_at is None


class Check(Struct, frozen=True, kw_only=True, gc=False):
    """The manager's check of an ended alert; `by` None: it is not answered."""

    reasons: tuple[CheckReason, ...]
    due_at: datetime
    by: str | None = None
    at: datetime | None = None
    adequate: bool | None = None
    safeguarding: Safeguarding | None = None
    serious_incident: bool | None = None

    @property
    def waits(self) -> bool:
        """Nobody has answered it yet."""
        return self.by is None


class Notice(Struct, frozen=True, kw_only=True, gc=False):
    """The written notice of 17.2 that is owed to a council for an alert; `by` None: nobody has said whether it goes."""

    desk: str
    calls: tuple[str, ...]
    offer_at: datetime
    due_at: datetime
    by: str | None = None
    at: datetime | None = None
    sent: bool = False
    message: str | None = None
    """The mail in which it was sent last."""

    @property
    def waits(self) -> bool:
        """Nobody has answered it yet."""
        return self.by is None


class Recording(Struct, frozen=True, kw_only=True, gc=False):
    """What came of an answerphone. `recording`: the id of the evidence that says which recording it is."""

    at: datetime
    came: AnswerphoneCame
    seconds: int = 0
    recording: str | None = None
    fingerprint: int = 0


class Telling(Struct, frozen=True, kw_only=True, gc=False):
    """A word to staff that is told of several alerts together: it waits until `next_at`, or went with `message`; with
    neither it was no longer so."""

    what: Gathered
    next_at: datetime | None = None
    message: str | None = None


class Alert(Struct, frozen=True, kw_only=True, gc=False):
    """Something is wrong. `policy` is the digest under which it was raised and is run."""

    ref: str
    kind: AlertKind
    due_at: datetime
    opened_at: datetime
    policy: str
    visit: str | None = None
    service_user: str | None = None
    worker: str | None = None
    index: int | None = None
    time_critical: bool = False
    reason: str = ""
    count: int = 0
    state: AlertState = "open"
    ended_reason: EndedReason | None = None
    ended_at: datetime | None = None
    taken_by: str | None = None
    taken_at: datetime | None = None
    unrecorded: bool = False
    tracks: tuple[Track, ...] = ()
    messages: tuple[str, ...] = ()
    closes_at: datetime | None = None
    line: str | None = None
    lines: tuple[Held, ...] = ()
    hour_at: datetime | None = None
    placement: str | None = None
    """The package that could not be placed."""
    sent: tuple[Sent, ...] = ()
    """Replacements who accepted and have not given it back, in the order of the journal."""
    declined: tuple[str, ...] = ()
    offers_held: tuple[str, ...] = ()
    """Who would have been asked in the last wave and had no room for one more offer, best first."""
    offers_owed: int = 0
    """So many offers of that wave are still to be made."""
    tellings: tuple[Telling, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """What declared bad weather has left out of it, each once."""
    incident: str | None = None
    """The incident of its cause, which staff are summoned for in its place."""
    council: Council | None = None
    pressed: tuple[Pressed, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    check: Check | None = None
    notice: Notice | None = None
    answerphone: str | None = None
    """A caller is leaving a message, or nothing was heard of it yet: the id of the evidence that says in which call, or
    ""."""
    recordings: tuple[Recording, ...] = ()

    def track(self, name: TrackName) -> Track | None:
        """The track of that name, if it runs at all."""
        for track in self.tracks:
            if track.name == name:
                return track
        return None


ENGAGED = "line_busy"
"""Why a call has not had its turn: one of ours holds the line."""


class Message(Struct, frozen=True, kw_only=True, gc=False):
    """One message from intended to settled. `phase`: queued, attempted (in doubt), accepted, settled."""

    key: str
    person: str
    line: str | None
    purpose: Purpose
    channel: Channel
    template: str
    priority: Priority
    intended_at: datetime
    expires_at: datetime
    policy: str
    alert: str | None = None
    visit: str | None = None
    about: str | None = None
    placement: str | None = None
    count: int = 0
    at: datetime | None = None
    slot: int | None = None
    bare: bool = False
    ring_s: int = 25
    phase: str = "queued"
    attempts: int = 0
    attempted_at: datetime | None = None
    not_before: datetime | None = None
    provider_ref: str | None = None
    settled_at: datetime | None = None
    result: Result = "intended"
    reason: str = ""
    proof: str | None = None
    possibly_repeated: bool = False
    unrecorded: bool = False
    chased: int = 0
    next_at: datetime | None = None


class Practice(Struct, frozen=True, kw_only=True, gc=False):
    """The practice calls to one person: the last one, and when one was answered with a key."""

    by: str
    message: str
    asked_at: datetime
    result: PracticeResult = "intended"
    ended_at: datetime | None = None
    practised_at: datetime | None = None


class FamilyCover(Struct, frozen=True, kw_only=True, gc=False):
    """The family sees to somebody in this weather: who of them said so, to whom of ours, when."""

    person: str
    next_of_kin: str
    by: str
    confirmed_at: datetime


class Rung(Struct, frozen=True, kw_only=True, gc=False):
    """Somebody on that day's list of whom a person is to ring need not be rung any more."""

    person: str
    day: date
    how: RingHow
    at: datetime
    by: str | None = None


class Weather(Struct, frozen=True, kw_only=True, gc=False):
    """Bad weather that a manager has declared. Over once `ended_at` is set; the report may be owed longer."""

    ref: str
    by: str
    declared_at: datetime
    until: datetime
    report_by: datetime
    tell_at: datetime | None = None
    situation_at: datetime | None = None
    remind_at: datetime | None = None
    report_remind_at: datetime | None = None
    changed_by: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    overdue_told: bool = False
    reported_by: str | None = None
    reported_at: datetime | None = None
    covers: tuple[FamilyCover, ...] = ()
    told: tuple[Newly, ...] = ()
    """The last word on each person and day."""
    rung: tuple[Rung, ...] = ()
    """Who of those that a person is to ring has been heard of, each once a day."""
    left_out: tuple[tuple[LeftOut, int], ...] = ()
    reports: tuple[SituationSent, ...] = ()
    """The last two days of them."""

    def to_ring(self, person: str, day: date) -> Newly | None:
        """Why a person is to ring them on that day, if so and nobody has yet."""
        listed = (one for one in self.told if (one.person, one.day, one.how) == (person, day, "by_person"))
        return next(listed, None) if self.rung_of(person, day) is None else None

    def rung_of(self, person: str, day: date) -> Rung | None:
        """How it is known that they need not be rung any more on that day."""
        return next((one for one in self.rung if (one.person, one.day) == (person, day)), None)

    def cover_of(self, person: str) -> FamilyCover | None:
        """What the family said of them."""
        return next((cover for cover in self.covers if cover.person == person), None)


class SituationSent(Struct, frozen=True, kw_only=True, gc=False):
    """A report of the hour as it was decided; `at` is when."""

    at: datetime
    desk: str | None
    message: str | None
    late: int
    covered: int
    red: int
    hour_passed: int


class Device(Struct, frozen=True, kw_only=True, gc=False):
    """What is remembered of a device: when it was last heard live, and what it said last."""

    ref: str
    heard_at: datetime | None = None
    recent: tuple[int, ...] = ()
    look_at: datetime | None = None
    """When it is missed, or known again (`monitor.core.phones`)."""
    watched: WatchReason | None = None


class Dark(Struct, frozen=True, kw_only=True, gc=False):
    """A way in of which nothing is known since then."""

    cause: str
    subject: str
    since: datetime


class Unwatched(Struct, frozen=True, kw_only=True, gc=False):
    """A row of the rota that is not watched."""

    key: str
    row: int
    code: RotaProblemCode
    since: datetime


class WrongNumber(Struct, frozen=True, kw_only=True, gc=False):
    """A line of a person of which somebody said there that it is not theirs."""

    line: str
    since: datetime


class TextSeen(Struct, frozen=True, kw_only=True, gc=False):
    """A text that was taken."""

    at: datetime
    fingerprint: int


class Unread(Struct, frozen=True, kw_only=True, gc=False):
    """What came by text from one line and answered nothing, until somebody of the office says that they have seen or
    answered it. `persons` is empty for a line by which nobody is known."""

    line: str
    persons: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    count: int
    last: int
    """The fact of the newest of them."""
    words: tuple[Evidence, ...]
    """The newest of them, the oldest first."""
    untold: datetime | None = None
    """Since when one of them waits of which nobody was told; None: of a line by which nobody is known, nobody is."""
    seen_by: str | None = None
    seen_at: datetime | None = None
    outcome: TextOutcome | None = None

    @property
    def waits(self) -> bool:
        """Nobody has seen or answered it."""
        return self.seen_at is None


WORDS_KEPT = 5
"""So many of one line's texts are shown; the others stand in the facts (ours)."""


class RotaInPart(Struct, frozen=True, kw_only=True, gc=False):
    """An upload that began, and was not yet taken in whole."""

    at: datetime
    rows: int


class Absence(Struct, frozen=True, kw_only=True, gc=False):
    """One person's absence. It counts from when a supervisor has confirmed it until it has ended."""

    ref: str
    service_user: str
    reason: AwayReason
    from_at: datetime
    review_at: datetime
    raised_by: RaisedBy
    by: str
    said_at: datetime
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    spoke_to: SpokeTo | None = None
    asked_by: str | None = None
    asked_at: datetime | None = None
    """When somebody was last asked about them."""
    asked_whom: SpokeTo | None = None
    questioned_at: datetime | None = None
    """When the office was last asked."""
    review_told: bool = False
    """That the review date has passed was told."""
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_as: AwayEnd | Literal["died"] | None = None
    return_at: datetime | None = None
    """They are expected back then; of an absence of every week: it ends then."""
    home_from: SpokeTo | None = None
    """Who is asked whether they are home; None: the return is certain."""
    weekly: str | None = None
    """Hours of every week (`config.policy.parse_hours`)."""
    at_home: tuple[date, ...] = ()
    """Days on which they are at home all the same."""

    @property
    def counts(self) -> bool:
        """Confirmed, and not over."""
        return self.confirmed_at is not None and self.ended_at is None

    @property
    def waits(self) -> bool:
        """The office was asked about them, and nobody has said anything since."""
        asked, answered = self.questioned_at, self.asked_at
        return asked is not None and (answered is None or answered < asked)


class Died(Struct, frozen=True, kw_only=True, gc=False):
    """A service user who died: who recorded it, when, and which visits were called off for it."""

    by: str
    at: datetime
    visits: tuple[str, ...] = ()


class Values(Struct, kw_only=True):
    """Everything that a snapshot holds. Mutable containers of frozen values."""

    version: int = STATE_VERSION
    fence: int = 0
    policy: Policy = Policy()
    policy_digest: str = ""
    public: PublicMode = "off"
    duty: tuple[Duty, ...] = ()
    council_desks: tuple[CouncilDesk, ...] = ()
    contracts: tuple[Terms, ...] = ()
    """Their policies stand in `policies`."""
    holidays: tuple[date, ...] = ()
    policies: dict[str, Policy] = {}
    """By digest: the present ones, and those under which an alert is still open."""
    day: date | None = None
    rota_at: datetime | None = None
    rota_begun: RotaInPart | None = None
    rota_sizes: dict[date, int] = {}
    replan_at: datetime | None = None
    """When the next visits are planned anew under a policy that has changed."""
    rota_looked_on: date | None = None
    """The local day of the last look at the rota of the day after."""
    day_sizes: dict[date, int] = {}
    """How many visits each of the last days had."""
    """By local day: how large the last rota was that was meant to be whole and was not doubted; two weeks of them."""
    last_checkin_at: datetime | None = None
    visits: dict[str, Visit] = {}
    alerts: dict[str, Alert] = {}
    messages: dict[str, Message] = {}
    questions: dict[str, tuple[Question, ...]] = {}
    """By line: the questions put to it that are open, or closed less than 12 h ago."""
    devices: dict[str, Device] = {}
    dark: dict[str, Dark] = {}
    unwatched: dict[str, Unwatched] = {}
    stopped_lines: dict[str, datetime] = {}
    practice: dict[str, Practice] = {}
    """By person: their practice calls."""
    weathers: dict[str, Weather] = {}
    """Bad weather as it was declared: the present one, and those of the last days or of which a report is owed."""
    cancelled: dict[str, tuple[datetime, ...]] = {}
    """By service user: when cancellations were confirmed in the last days."""
    wrong_numbers: dict[str, tuple[WrongNumber, ...]] = {}
    """By person: the lines that are not theirs, until the office has changed them."""
    texts: dict[str, tuple[TextSeen, ...]] = {}
    """By line: the texts that came from it in the last days."""
    unread: dict[str, Unread] = {}
    """By line: the texts that nobody has answered, and for a day those that somebody has."""
    texts_told_at: datetime | None = None
    """When whoever is on duty was last told of texts that wait."""
    texts_again_at: datetime | None = None
    """When they are told again of what still waits."""
    regulars: dict[str, dict[str, date]] = {}
    """By service user: who has been with them, and on which local day last."""
    changes_told: date | None = None
    """Up to the visits of this day service users have been told who comes whom they do not know; None: nobody knows
    anybody yet."""
    changes_checked: date | None = None
    """Up to this day it has been looked who has not heard."""
    replies_to: dict[str, tuple[datetime, ...]] = {}
    """By line: when automatic replies went to it."""
    hand_overs: dict[str, HandOver] = {}
    """By person: the starts of duty on call that are not over."""
    duty_seen_at: datetime | None = None
    """Hand-overs of the duty list after this moment are still to come."""
    staff_told: dict[str, tuple[datetime, ...]] = {}
    """By member of staff: when the last two texts of the kind that is told of several alerts together went to them."""
    checks_next_at: datetime | None = None
    """When unanswered checks of managers are told of again."""
    notices_next_at: datetime | None = None
    """When written notices that wait are told of again."""
    absences: dict[str, Absence] = {}
    away_alarmed_at: datetime | None = None
    """When it was last an alarm that nobody had answered for those away."""
    died: dict[str, Died] = {}
    """By service user. It is kept for ever."""
    placing: dict[PlacementKind, str] = {}
    """By kind of package: the digest of the policy by which such packages are placed now."""
    placing_policies: dict[str, PlacingPolicy] = {}
    """By digest: the present ones, and those of packages that are still here."""
    areas: tuple[Area, ...] = ()
    mailbox: str | None = None
    """Under this minted id the brokerage mailbox is written to."""
    providers: dict[str, Provider] = {}
    placements: dict[str, Placement] = {}
    ledger: Ledger = {}
    referrals: dict[str, Referral] = {}
    """Of a provider's desk: what councils have asked, until some time after it was answered."""


class Round(Struct, frozen=True, kw_only=True, gc=False):
    """A care worker's visits that are not called off, by start; hours by ISO year and week, local."""

    visits: tuple[Visit, ...]
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    """The latest end of each visit and of all before it: where the first one begins that is not over."""
    refs: frozenset[str]
    inside: tuple[Visit, ...]
    """Those at which they are, by a check-in."""
    hours: dict[tuple[int, int], float]


class Due(Struct, frozen=True, kw_only=True, gc=False):
    """Who wants to be asked at one moment: a heap of subjects, some of which may want so no more."""

    at: Asked
    subjects: list[str]


class State:
    """`values` with the indexes over them. `seq` is the last fact folded in."""

    def __init__(self, values: Values | None = None, seq: int = 0) -> None:
        self.values = values or Values()
        self.seq = seq
        self.by_worker: dict[str, Refs] = {}
        self.by_service_user: dict[str, Refs] = {}
        self.by_print: dict[int, str] = {}
        self.open_by: dict[str, Refs] = {}
        """Open alerts: by the incident to which they belong, else by their kind."""
        self.offers: dict[str, Refs] = {}
        """By care worker: the offers to them about alerts that are open."""
        self.owing: Refs = {}
        """Open alerts that owe offers of a wave to those who had no room."""
        self.unchecked: Refs = {}
        """Ended alerts that wait for the manager's check."""
        self.unwritten: Refs = {}
        """Alerts of which the written notice to the council waits for a manager."""
        self._rounds: dict[str, Round] = {}
        """By care worker: made when somebody asks, forgotten when a visit of theirs changes."""
        self.frozen: dict[str, str] = {}
        """Subjects whose facts could not be folded: alerted, left alone (design: the engine)."""
        self._asked: dict[str, Asked] = {}
        """By subject: the one deadline that it has."""
        self._due: dict[Asked, Due] = {}
        self._moments: list[Asked] = []
        """A heap of the moments in `_due`: most visits begin at a quarter of an hour, and share theirs."""
        self._moved: dict[str, None] = {}
        """Subjects that a fact has touched since anybody looked for a deadline: an alert's three facts move it once."""
        self.won: dict[str, Refs] = {}
        """By provider: the lines of the ledger of packages that it has."""
        self.calendar = Calendar()
        self.refresh_calendar()
        for share in self.values.ledger.values():
            self._index_share(share)
        for visit in self.values.visits.values():
            self.index_visit(visit)
        for alert in self.values.alerts.values():
            self.index_alert(alert, None)
            self.index_owing(alert)
            self.index_check(alert)
            self.index_notice(alert)
        for message in self.values.messages.values():
            self.index_offer(message)
        self._moved |= dict.fromkeys(self.values.alerts) | dict.fromkeys(self.values.messages)
        self._moved |= dict.fromkeys(self.values.devices)
        self._moved |= dict.fromkeys(self.values.weathers)
        self._moved |= dict.fromkeys(self.values.placements)
        self._moved |= dict.fromkeys(self.values.referrals)
        self.moved(ROTA)
        self.moved(CHECKS)
        self.moved(DUTY)
        self.moved(STAFF_CHANGES)
        self.moved(AWAY)
        self.moved(TEXTS)
        self.to_replan: deque[str] = deque(self.values.visits if self.values.replan_at is not None else ())
        """The visits that are still to be planned anew. From a snapshot on it is all of them again: those that were
        come first, and change no more."""
        self.moved(REPLAN)
        self._look_again()

    def terms(self, person: PersonView | None) -> Terms | None:
        """What is agreed with whoever pays for them; None: nothing but the desk's own policy."""
        if person is None or not self.values.contracts:
            return None
        return agreed_with(self.values.contracts, person.contract, person.client_group)

    def council_desk(self, person: PersonView | None, at: datetime) -> str | None:
        """The council desk that answers for them at that moment; None: none does, or the contract is a private one."""
        terms = self.terms(person)
        if terms is not None and not terms.council:
            return None
        contract, group = (person.contract, person.client_group) if person is not None else (None, None)
        found = council_desk_at(self.values.council_desks, contract, group, at, self.calendar)
        return found.ref if found is not None else None

    def council_lines(self, desk: str) -> tuple[CouncilDesk, ...]:
        """All lines of the configuration about the council desk of that minted id."""
        return tuple(entry for entry in self.values.council_desks if entry.ref == desk)

    def has_council(self, person: PersonView | None) -> bool:
        """Whether there is a council desk for them at all, at whatever hour."""
        terms = self.terms(person)
        if terms is not None and not terms.council:
            return False
        contract, group = (person.contract, person.client_group) if person is not None else (None, None)
        return bool(council_desks_of(self.values.council_desks, contract, group))

    @property
    def size(self) -> int:
        """How many values a snapshot holds."""
        values = self.values
        return len(values.visits) + len(values.alerts) + len(values.messages) + len(values.devices)

    def refresh_calendar(self) -> None:
        """After a policy or holiday table was adopted."""
        values = self.values
        self.calendar = Calendar(zone=values.policy.zone, holidays=frozenset(values.holidays))
        self._rounds.clear()

    def policy_of(self, digest: str) -> Policy:
        """The policy under which something was opened; the present one if that is gone."""
        return self.values.policies.get(digest, self.values.policy)

    def placing_of(self, placement: Placement) -> PlacingPolicy:
        """The policy under which the package was received, and runs to its end."""
        return self.values.placing_policies[placement.policy]

    def index_visit(self, visit: Visit, old: Visit | None = None) -> None:
        """Find it by service user, by care worker and by what was said about it, and ask again at its next deadline.
        `old`: the value it was found by until now; what is the same in both is left alone."""
        ref = visit.ref
        if old is None or old.service_user != visit.service_user:
            if old is not None:
                _drop(self.by_service_user, old.service_user, ref)
            self.by_service_user.setdefault(visit.service_user, {})[ref] = None
        if old is None or old.places is not visit.places or old.near is not visit.near:
            self._index_workers(visit, old)
        if old is None or old.prints is not visit.prints:
            for fingerprint in old.prints if old else ():
                self.by_print.pop(fingerprint, None)
            for fingerprint in visit.prints:
                self.by_print[fingerprint] = ref
        self._moved[ref] = None
        if self._rounds:
            for worker in (*visit.involved, *(old.involved if old is not None else ())):
                self._rounds.pop(worker, None)

    def round_of(self, worker: str) -> Round:
        """The care worker's visits in order, and the hours that they make."""
        known = self._rounds.get(worker)
        if known is None:
            known = self._rounds[worker] = self._round(worker)
        return known

    def _round(self, worker: str) -> Round:
        found = (self.values.visits[ref] for ref in self.by_worker.get(worker, ()))
        visits = sorted(
            (v for v in found if not v.cancelled and v.away is None), key=lambda v: (v.start, v.ref)
        )
        hours: dict[tuple[int, int], float] = {}
        for visit in visits:
            year, week, _ = self.calendar.local(visit.start).isocalendar()
            hours[year, week] = hours.get((year, week), 0.0) + (visit.end - visit.start) / timedelta(hours=1)
        return Round(
            visits=tuple(visits),
            starts=tuple(v.start for v in visits),
            ends=tuple(accumulate((v.end for v in visits), max)),
            refs=frozenset(v.ref for v in visits),
            inside=tuple(v for v in visits if any(p.worker == worker and p.inside for p in v.places)),
            hours=hours,
        )

    def _index_workers(self, visit: Visit, old: Visit | None) -> None:
        involved, before = visit.involved, old.involved if old else ()
        if involved == before:
            return
        for worker in before:
            if worker not in involved:
                _drop(self.by_worker, worker, visit.ref)
        for worker in involved:
            self.by_worker.setdefault(worker, {})[visit.ref] = None

    def index_alert(self, alert: Alert | None, old: Alert | None) -> None:
        """Find it among the open ones. `old`: the value it was found by until now."""
        before = shelf(old) if old is not None else None
        now = shelf(alert) if alert is not None else None
        if old is not None and before is not None and before != now:
            _drop(self.open_by, before, old.ref)
        if alert is not None and now is not None:
            self.open_by.setdefault(now, {})[alert.ref] = None

    def index_owing(self, alert: Alert) -> None:
        """Find it while offers of it are held back."""
        if alert.offers_owed and alert.state != "ended":
            self.owing[alert.ref] = None
        else:
            self.owing.pop(alert.ref, None)

    def index_offer(self, message: Message) -> None:
        """Find it by who was asked, if it is an offer to go and its alert is open."""
        alert = self.values.alerts.get(message.alert or "") if message.template in OFFERS else None
        if alert is not None and alert.state != "ended":
            self.offers.setdefault(message.person, {})[message.key] = None

    def forget_offers(self, alert: Alert) -> None:
        """It is over: what was offered of it is open no longer."""
        for key in alert.messages:
            message = self.values.messages.get(key)
            if message is not None and message.template in OFFERS:
                _drop(self.offers, message.person, key)

    def index_check(self, alert: Alert) -> None:
        """Find it while it waits for the manager's check."""
        if alert.check is not None and alert.check.waits:
            self.unchecked[alert.ref] = None
        else:
            self.unchecked.pop(alert.ref, None)
        self._moved[CHECKS] = None

    def index_notice(self, alert: Alert) -> None:
        """Find it while its written notice waits for a manager."""
        if alert.notice is not None and alert.notice.waits:
            self.unwritten[alert.ref] = None
        else:
            self.unwritten.pop(alert.ref, None)
        self._moved[NOTICES] = None

    def keep_share(self, share: Share) -> None:
        """A line of the ledger, new or changed."""
        self.values.ledger[share.key] = share
        self._index_share(share)

    def _index_share(self, share: Share) -> None:
        if share.won:
            self.won.setdefault(share.provider, {})[share.key] = None
        else:
            _drop(self.won, share.provider, share.key)

    def forget_share(self, key: str) -> None:
        """Out of the ledger."""
        share = self.values.ledger.pop(key)
        _drop(self.won, share.provider, key)

    def forget_visit(self, visit: Visit) -> None:
        """Out of the indexes; its deadline goes too."""
        _drop(self.by_service_user, visit.service_user, visit.ref)
        for worker in visit.involved:
            _drop(self.by_worker, worker, visit.ref)
        for fingerprint in visit.prints:
            self.by_print.pop(fingerprint, None)
        for worker in visit.involved:
            self._rounds.pop(worker, None)
        self._moved[visit.ref] = None

    # --- deadlines ---

    def moved(self, subject: str) -> None:
        """A fact has changed the subject, and perhaps when it wants to be asked."""
        self._moved[subject] = None

    def silence(self, subject: str) -> None:
        """Its present deadline is asked no more: whoever says so has told a person, or asks in another way."""
        self._look_again()
        self._asked.pop(subject, None)

    def _look_again(self) -> None:
        """The one next deadline of each subject that has moved."""
        moved, self._moved = self._moved, {}
        for subject in moved:
            wanted = self._wanted(subject)
            if wanted is None:
                self._asked.pop(subject, None)
            elif self._asked.get(subject) != wanted:
                self._ask(subject, wanted)

    def _ask(self, subject: str, wanted: Asked) -> None:
        due = self._due.get(wanted)
        if due is None:
            due = self._due[wanted] = Due(at=wanted, subjects=[])
            heapq.heappush(self._moments, wanted)
        heapq.heappush(due.subjects, subject)
        self._asked[subject] = due.at

    def _wanted(self, subject: str) -> Asked | None:
        """When it wants to be asked; time-critical visits and alerts come first among those due together."""
        values = self.values
        at: datetime | None = None
        turn = 1
        if (visit := values.visits.get(subject)) is not None:
            at, turn = visit_deadline(visit), 0 if visit.time_critical else 1
        elif (alert := values.alerts.get(subject)) is not None:
            at, turn = alert_deadline(alert), 0
        elif (message := values.messages.get(subject)) is not None:
            at = message.next_at
        elif (weather := values.weathers.get(subject)) is not None:
            at = weather_deadline(weather)
        elif (placement := values.placements.get(subject)) is not None:
            at, turn = next_moment(placement, self.placing_of(placement)), 0 if placement.urgent else 1
        elif (referral := values.referrals.get(subject)) is not None:
            at = referral_moment(referral, values.policy)
        elif subject == ROTA:
            at = rota_deadline(values, self.calendar)
        elif subject == REPLAN:
            at = values.replan_at
        elif subject == CHECKS:
            at = self._checks_deadline()
        elif (device := values.devices.get(subject)) is not None:
            at = device.look_at
        elif subject == NOTICES:
            at = self._notices_deadline()
        elif subject == DUTY:
            at = self._duty_deadline()
        elif subject == STAFF_CHANGES:
            at = self._staff_changes_deadline()
        elif subject == AWAY:
            at = away_deadline(values, self.calendar)
        elif subject == TEXTS:
            at = texts_deadline(values)
        return None if at is None else (at, turn)

    def _duty_deadline(self) -> datetime | None:
        """The next hand-over of the on-call list, the next step of one, or the end of a duty."""
        values = self.values
        wanted = [
            at for one in values.hand_overs.values() for at in (one.next_at, one.until) if at is not None
        ]
        if values.policy.ask_duty and values.duty_seen_at is not None:
            start = on_call.next_start(values.duty, values.duty_seen_at, self.calendar)
            wanted += [start.at] if start is not None else []
        return min(wanted, default=None)

    def _staff_changes_deadline(self) -> datetime | None:
        """When a day's changes are told, on the day before; then when it is looked who has not heard of them."""
        told, checked, policy = self.values.changes_told, self.values.changes_checked, self.values.policy
        if told is None or checked is None:
            return None
        if checked < told:
            before = self.calendar.at_local(told - timedelta(days=1), policy.staff_changes_at)
            return before + policy.staff_changes_check
        return self.calendar.at_local(told, policy.staff_changes_at)

    def _checks_deadline(self) -> datetime | None:
        """When the first unanswered check is due, or when all of them are told of again."""
        alerts, again = self.values.alerts, self.values.checks_next_at
        first = min((c.due_at for ref in self.unchecked if (c := alerts[ref].check)), default=None)
        return first if first is None or again is None else max(first, again)

    def _notices_deadline(self) -> datetime | None:
        """When the first written notice that waits is offered, or when all of them are told of again."""
        alerts, again = self.values.alerts, self.values.notices_next_at
        first = min((one.offer_at for ref in self.unwritten if (one := alerts[ref].notice)), default=None)
        return first if first is None or again is None else max(first, again)

    def next_asked(self) -> Asked | None:
        """The earliest moment at which the core wants to be asked, with its turn among those of that moment."""
        if self._moved:
            self._look_again()
        moments, asked = self._moments, self._asked
        while moments:
            due = self._due[moments[0]]
            subjects, at = due.subjects, due.at
            # whoever has another deadline by now, or none, was left where they stood
            while subjects and asked.get(subjects[0]) != at:
                heapq.heappop(subjects)
            if subjects:
                return at
            del self._due[heapq.heappop(moments)]
        return None

    def next_deadline(self) -> datetime | None:
        """The earliest moment at which the core wants to be asked, or None."""
        wanted = self.next_asked()
        return wanted[0] if wanted else None

    def take_due(self, now: datetime, limit: int, until: Asked | None = None) -> deque[tuple[str, datetime]]:
        """At most `limit` subjects whose deadline has come, earliest first; each is asked once for each deadline.
        `until`: none whose turn comes after this one, which is another desk's."""
        due: deque[tuple[str, datetime]] = deque()
        while len(due) < limit:
            wanted = self.next_asked()
            if wanted is None or wanted[0] > now or (until is not None and wanted > until):
                break
            subject = heapq.heappop(self._due[wanted].subjects)
            del self._asked[subject]
            due.append((subject, wanted[0]))
        return due

    def still_asks(self, subject: str, due_at: datetime) -> bool:
        """After a decision on this very deadline: whether it stands unchanged, so that asking again is in vain."""
        if subject not in self._asked:
            self._moved[subject] = None
        if self._moved:
            self._look_again()
        asked = self._asked.get(subject)
        return asked is not None and asked[0] == due_at

    def overdue(self, now: datetime) -> int:
        """How many deadlines have come and were not asked yet (the auditor's question)."""
        wanted = self.next_asked()
        if wanted is None or wanted[0] > now:
            return 0
        return sum(1 for at, _ in self._asked.values() if at <= now)


def shelf(alert: Alert) -> str | None:
    """Where an open alert stands in `State.open_by`; None when it has ended."""
    return None if alert.state == "ended" else alert.incident or alert.kind


def _drop(index: dict[str, Refs], key: str, ref: str) -> None:
    refs = index.get(key)
    if refs is not None:
        refs.pop(ref, None)
        if not refs:
            del index[key]


AWAY = "away"
"""The subject under which the desk asks about those who are away."""


def away_deadline(values: Values, calendar: Calendar) -> datetime | None:
    """When the desk wants to be asked about those who are away."""
    found = (away_moments(values, calendar, absence) for absence in values.absences.values())
    return min((at for moments in found for at in moments.values()), default=None)


TEXTS = "texts"
"""The subject under which the desk asks about texts that nobody has answered: all of them are told of in one text."""


def texts_deadline(values: Values) -> datetime | None:
    """When whoever is on duty is told of texts: a while after the first of which nobody was told, so that others may
    come meanwhile, and never twice within the time after which who took an alert is asked again (both ours)."""
    waiting = [one for one in values.unread.values() if one.waits and one.persons]
    untold = min((one.untold for one in waiting if one.untold is not None), default=None)
    told, apart = values.texts_told_at, values.policy.ack_expires
    if untold is None:
        return values.texts_again_at if waiting else None
    gathered = untold + apart / 3
    return gathered if told is None else max(gathered, told + apart)


AwayMoment = Literal["question", "alarm", "review", "return"]


def away_moments(values: Values, calendar: Calendar, absence: Absence) -> dict[AwayMoment, datetime]:
    """Each morning the office is asked about each of them; what is not answered is an alarm, and so is a review date
    that passes (domain.md, "Absence and return")."""
    if not absence.counts:
        return {}
    policy, asked = values.policy, absence.questioned_at
    moments: dict[AwayMoment, datetime] = {}
    if absence.weekly is None:
        # where they are every Tuesday nobody has to ask each morning: the arrangement has its review date
        moments["question"] = _morning(absence, calendar, policy.away_ask_at)
    if absence.return_at is not None and absence.home_from is None:
        moments["return"] = absence.return_at
    told = values.away_alarmed_at
    if absence.waits and asked is not None and (told is None or told < asked):
        moments["alarm"] = asked + unanswered_after(policy)
    if not absence.review_told:
        moments["review"] = review_due(absence, policy)
    return moments


def review_due(absence: Absence, policy: Policy) -> datetime:
    """The review date; a day after a planned return that nobody has confirmed, if that is sooner (4.6.4: 24 h)."""
    if absence.return_at is None or absence.home_from is None:
        return absence.review_at
    return min(absence.review_at, absence.return_at + policy.home_start_within)


def _morning(absence: Absence, calendar: Calendar, ask_at: time) -> datetime:
    """The first morning of theirs on which nobody was asked, nor the office, about them."""
    days = [calendar.day(at) for at in (absence.asked_at, absence.questioned_at) if at is not None]
    day = max([*(day + ONE_DAY for day in days), calendar.day(absence.from_at)])
    morning, _ = calendar.to_utc(datetime.combine(day, ask_at))
    if morning < absence.from_at:
        morning, _ = calendar.to_utc(datetime.combine(day + ONE_DAY, ask_at))
    return morning


ONE_DAY = timedelta(days=1)
NOT_ASKED = "not_asked"
"""Reason of the alarm that nobody has said who was asked today about somebody who is away."""
REVIEW_PASSED = "review_passed"
"""Reason of the alarm that the review date of an absence has passed."""
CAME_WHILE_AWAY = "came_while_away"
"""Reason of the alarm that a care worker has arrived at the home of somebody who is marked away."""


def unanswered_after(policy: Policy) -> timedelta:
    """So long after the morning's question somebody must have said who was asked: two hours (ours)."""
    return 2 * policy.replace_within


ROTA = "rota"
"""The subject under which the desk asks about its rota as a whole."""
DUTY = "duty"
"""The subject under which the desk asks about the hand-overs of its on-call list."""
REPLAN = "replan"
"""The subject under which the desk goes on to plan its visits anew after a policy change."""
CHECKS = "checks"
"""The subject under which the desk asks about its managers' checks as a whole: thirty are told of in one text."""
NOTICES = "notices"
"""The subject under which the desk asks about its written notices to a council as a whole."""
STAFF_CHANGES = "staff_changes"
"""The subject under which the desk asks about another care worker than the regular ones, once a day."""
ROTA_OLD = "rota_old"
"""Reason of the alarm that no rota was uploaded for `rota_old_after`."""


ROTA_EMPTY = "rota_empty"
"""Reason of the alarm that an upload had no visit at all."""
ROTA_HALF = "rota_half"
"""Reason of the alarm that an upload had less than half of the visits that are usual."""
WEEK = timedelta(days=7)
TOMORROW_EMPTY = "tomorrow_empty"
"""Reason of the alarm that no visit is planned for the next day."""
TOMORROW_HALF = "tomorrow_half"
"""Reason of the alarm that less than half as many are planned for the next day as a week before."""
ROTA_CUT_OFF = "rota_cut_off"
"""Reason of the alarm that an upload was cut off half-way, and nobody has sent it again."""
CUT_OFF_AFTER = timedelta(minutes=10)
"""So long an upload may take, or be missing, before staff are told that it was cut off (ours): who sent it got no
answer, and sends it again."""


ROTA_LOOK = "rota_look"
"""Not a reason: the moment of the day at which the rota of the next day is looked at (`monitor.core.tomorrow`)."""
DAYS_KEPT = timedelta(days=15)
"""So long it is remembered how many visits a day had: two weeks and the day itself."""


def rota_deadline(values: Values, calendar: Calendar) -> datetime | None:
    """When the desk wants to be asked about its rota."""
    return min(rota_deadlines(values, calendar).values(), default=None)


def rota_deadlines(values: Values, calendar: Calendar) -> dict[str, datetime]:
    """When the rota is old (domain.md: an old rota is a silent watch), when an upload counts as cut off, and when the
    rota of the next day is looked at, by reason. A desk that never had one has no such moment; what was told of this
    rota is told again only when that alert has left the state, or by the daily look."""
    found: dict[str, datetime] = {}
    if values.rota_at is not None:
        found[ROTA_LOOK] = next_look(values, values.rota_at, calendar)
    if values.rota_begun is not None:
        found[ROTA_CUT_OFF] = values.rota_begun.at + CUT_OFF_AFTER
    at = values.rota_at
    if at is not None and not any(a.reason == ROTA_OLD and a.opened_at >= at for a in values.alerts.values()):
        found[ROTA_OLD] = at + values.policy.rota_old_after
    return found


def next_look(values: Values, rota_at: datetime, calendar: Calendar) -> datetime:
    """The next look: a day after the last one, else the first such time of day after the rota came."""
    looked, clock = values.rota_looked_on, values.policy.rota_look_at
    if looked is not None:
        return calendar.at_local(looked + timedelta(days=1), clock)
    first = calendar.at_local(calendar.day(rota_at), clock)
    return first if first > rota_at else calendar.at_local(calendar.day(rota_at) + timedelta(days=1), clock)


def visit_deadline(visit: Visit) -> datetime | None:
    """When this visit wants to be asked about next."""
    if visit.over:
        return visit.closes_at if not visit.alerts else None
    if visit.waits_home:
        # whatever planned it anew: until a person was summoned to decide, somebody is asked
        return (
            visit.start
            if visit.look_at is None and "home_unconfirmed" not in visit.alerted
            else visit.look_at
        )
    wanted: list[datetime] = []
    somebody = visit.anybody_there
    # while *no reply* is open the care worker stands at the door: the visit has its alert already
    kind: AlertKind = "second_worker_missing" if somebody else "late_visit"
    if not visit.all_there and kind not in visit.alerted and not visit.at_door:
        wanted.append(visit.late_at)
    if not somebody and not visit.missed:
        wanted.append(visit.missed_at)
    if somebody:
        wanted += [at for place in visit.places if (at := check_out_due(visit, place)) is not None]
    if visit.closes_at is not None and not visit.alerts:
        wanted.append(visit.closes_at)
    if visit.look_at is not None and not visit.alerts:
        # who is there still when they were to leave may be late at the next one; who is not there is asked
        if visit.all_there:
            wanted += [visit.end] if visit.anybody_inside else []
        elif not visit.alerted:
            wanted.append(visit.look_at)
    return min(wanted, default=None)


def check_out_due(visit: Visit, place: Place) -> datetime | None:
    """When a check-out from that place is looked for next; None: it is not waited for."""
    if not place.inside or visit.kind == "live_in":
        return None  # who lives in does not leave at the end of it; the next one takes over there
    return visit.overrun_at if place.leaving is None else place.leaving.next_at


def alert_deadline(alert: Alert) -> datetime | None:
    """The earliest next moment of its tracks; an ended one only waits to leave the state, once it was checked and its
    written notice answered."""
    if alert.state == "ended":
        unchecked = alert.check is not None and alert.check.waits
        unwritten = alert.notice is not None and alert.notice.waits
        return None if unchecked or unwritten else alert.closes_at
    moments = [track.next_at for track in alert.tracks if track.next_at is not None]
    moments += [one.next_at for one in alert.tellings if one.next_at is not None]
    if alert.council is not None and alert.council.next_at is not None:
        moments.append(alert.council.next_at)
    return min(moments, default=None)


def weather_deadline(weather: Weather) -> datetime | None:
    """When declared bad weather wants to be asked about: its news, its reports, its end, and the report that is owed
    (spec 12.4), which outlives it."""
    wanted = [] if weather.ended_at is not None else [weather.until]
    if weather.ended_at is None:
        wanted += [at for at in (weather.tell_at, weather.situation_at, weather.remind_at) if at is not None]
    if weather.reported_at is None:
        wanted += [weather.report_remind_at] if weather.report_remind_at is not None else []
        wanted += [] if weather.overdue_told else [weather.report_by]
    return min(wanted, default=None)
