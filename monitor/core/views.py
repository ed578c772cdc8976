"""What a screen or the API shows, as the contract (docs/interface.md) names it. Types only: connectors see these.

Ids here are the caller's own; the shell has translated them from minted ids.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from config.placing import PlacementKind
from escalation import track
from monitor.core.inputs import AwayReason, Condition, Outcome, RaisedBy, RotaProblemCode, SpokeTo, VisitKind
from monitor.core.placing.inputs import DeclineReason
from monitor.core.referral_facts import ReferralMark, ReferralOutcome, ReferralSource

Stage = Literal["planned", "due", "late", "arrived", "left", "missed", "cancelled", "away"]
STAGES: tuple[Stage, ...] = Stage.__args__  # type: ignore[attr-defined]
Signal = Literal["known", "dark:device", "dark:feed", "dark:broker", "dark:clock"]
SIGNALS: tuple[Signal, ...] = Signal.__args__  # type: ignore[attr-defined]
AlertKind = Literal[
    "late_visit",
    "second_worker_missing",
    "no_reply",
    "help_asked",
    "lone_worker",
    "very_short",
    "unknown_visit",
    "home_unconfirmed",
    "incident",
    "rota",
    "watch_fault",
    "message",
    "away",
    "placement",
    "very_early",
]
ALERT_KINDS: tuple[AlertKind, ...] = AlertKind.__args__  # type: ignore[attr-defined]
AlertState = Literal["open", "taken", "ended"]
EndedReason = Literal[
    "arrived",
    "other_worker_arrived",
    "replacement_arrived",
    "late_evidence",
    "cancelled_confirmed",
    "outcome_recorded",
    "merged",
]
ENDED_REASONS: tuple[EndedReason, ...] = EndedReason.__args__  # type: ignore[attr-defined]
TrackName = track.TrackName
TrackStep = track.Step
Purpose = Literal[track.ContactPurpose, "join"]
PURPOSES: tuple[Purpose, ...] = Purpose.__args__  # type: ignore[attr-defined]
Channel = Literal["sms", "call", "email", "page", "person"]
CHANNELS: tuple[Channel, ...] = Channel.__args__  # type: ignore[attr-defined]
Result = Literal[
    "intended",
    "attempted",
    "delivered",
    "answered",
    "voicemail",
    "busy",
    "no_answer",
    "failed",
    "cancelled",
    "rehearsed",
]
RESULTS: tuple[Result, ...] = Result.__args__  # type: ignore[attr-defined]
Priority = track.Priority
PRIORITIES: tuple[Priority, ...] = Priority.__args__  # type: ignore[attr-defined]


class PlaceView(Struct, frozen=True, kw_only=True):
    """One care worker's place at a visit. `evidence` is electronic, manual or null."""

    worker: str | None
    arrived: datetime | None
    left: datetime | None
    evidence: str | None
    check_out: str | None = None
    """How far asking for a check-out is that did not come, or what was answered (`state.Leaving`)."""
    arrived_said: datetime | None = None
    """The check-in's own time, where it is not believed: `arrived` is then when it reached us; `left_said` likewise."""
    left_said: datetime | None = None


PackageVisit = Literal["unnamed", "called_off", "kept"]
"""*unnamed*: the office has put nobody to it yet; *called_off*: the package is not this provider's any more, and the
visit went with it; *kept*: it is not, and the visit stays, because it is the office's own."""


class VisitView(Struct, frozen=True, kw_only=True):
    """A visit as `GET …/visits` shows it. `subject` is the minted id under which facts speak of it."""

    id: str
    subject: str
    service_user: str
    start: datetime
    end: datetime
    late_at: datetime
    stage: Stage
    signal: Signal
    verdicts: tuple[str, ...]
    places: tuple[PlaceView, ...]
    alert: str | None
    time_critical: bool
    planned: tuple[str, ...]
    """The care workers whom the rota names."""
    kind: VisitKind = "visit"
    agreed_start: datetime | None = None
    """What the service user was promised; `start` is what the rota says now."""
    conditional: Condition | None = None
    """What its clock waits for, or has waited for."""
    home_confirmed_at: datetime | None = None
    """Of a conditional visit: since when the person is known to be home."""
    risk: str | None = None
    """Why it may become late, while nobody is there and no alert is open (`facts.RiskReason`)."""
    family_cover: CoverView | None = None
    """While bad weather is declared, of somebody green and a visit of this weather to which the family sees."""
    package: PackageVisit | None = None
    """Of the first visit of a package that a council's desk here has planned."""


class TrackView(Struct, frozen=True, kw_only=True):
    """One track of an alert. `reason` says why it stands where it stands."""

    name: TrackName
    step: TrackStep
    next_at: datetime | None
    reason: str = ""
    rests_until: datetime | None = None
    """Somebody has stopped it until then."""
    rests_by: str | None = None


class ContactView(Struct, frozen=True, kw_only=True):
    """One message of an alert. `proof` is set only when a human answered."""

    key: str
    person: str | None
    purpose: Purpose
    channel: Channel
    intended_at: datetime
    attempted_at: datetime | None
    settled_at: datetime | None
    result: Result
    proof: str | None
    possibly_repeated: bool
    unrecorded_at_send: bool = False


LineCame = Literal["waiting", "joined", "nobody", "hung_up", "not_answered", "spoke"]
LINE_CAME: tuple[LineCame, ...] = LineCame.__args__  # type: ignore[attr-defined]


class LineView(Struct, frozen=True, kw_only=True):
    """A line that was kept open: `person`'s, for `other` to be joined to it. `came` says what came of it."""

    person: str
    other: str | None
    since: datetime
    joined_at: datetime | None
    ended_at: datetime | None
    came: LineCame


AnswerphoneCame = Literal["words", "nothing", "unknown"]
"""What came of an answerphone: somebody spoke; they put the telephone down without a word; nothing was heard of it, so
that a message may have been left."""


class RecordingView(Struct, frozen=True, kw_only=True):
    """What came of the answerphone, when, and how many seconds were spoken."""

    at: datetime
    came: AnswerphoneCame
    seconds: int


class PracticeView(Struct, frozen=True, kw_only=True):
    """A person's practice call as `…/people/{id}/practice-call` shows it. `practised_at`: when one was last answered
    with a key, also when a later one was not."""

    person: str
    result: str | None = None
    by: str | None = None
    asked_at: datetime | None = None
    ended_at: datetime | None = None
    practised_at: datetime | None = None


CheckReason = Literal["missed", "unreached", "help", "no_reply", "breach"]
CHECK_REASONS: tuple[CheckReason, ...] = CheckReason.__args__  # type: ignore[attr-defined]
"""Why an alert that is over needs the manager's check (domain.md, "Ending"; spec 10.4)."""
Safeguarding = Literal["raised", "not_raised"]
SAFEGUARDING: tuple[Safeguarding, ...] = Safeguarding.__args__  # type: ignore[attr-defined]
"""A safeguarding concern was raised, or considered and not raised, with the reason."""


class CheckView(Struct, frozen=True, kw_only=True):
    """The manager's check of an alert that is over. `by` is null while it is not answered."""

    reasons: tuple[CheckReason, ...]
    due_at: datetime
    by: str | None = None
    at: datetime | None = None
    adequate: bool | None = None
    safeguarding: Safeguarding | None = None
    serious_incident: bool | None = None


class NoticeView(Struct, frozen=True, kw_only=True):
    """The written notice of 17.2 that an alert owes the council. `by` is null while no manager has answered it; of one
    that was sent, `result` says what became of the mail."""

    desk: str
    calls: tuple[datetime, ...]
    """When the council was rung in vain."""
    offer_at: datetime
    due_at: datetime
    by: str | None = None
    at: datetime | None = None
    sent: bool = False
    result: Result | None = None


class AbsenceView(Struct, frozen=True, kw_only=True):
    """An absence as `…/absences` shows it. It counts while its `state` is `confirmed`; until then the visits stand."""

    id: str
    service_user: str
    reason: AwayReason
    from_at: datetime = field(name="from")
    review_at: datetime
    state: Literal["unconfirmed", "confirmed", "ended"]
    raised_by: RaisedBy
    by: str
    said_at: datetime
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    spoke_to: SpokeTo | None = None
    asked_by: str | None = None
    asked_at: datetime | None = None
    asked_whom: SpokeTo | None = None
    waits: bool = False
    """The office was asked who was asked today, and nobody has said."""
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_as: str | None = None
    visits: tuple[str, ...] = ()
    """The visits at which nobody is missed for it."""
    came: tuple[str, ...] = ()
    """Visits at which a care worker has arrived all the same."""
    return_at: datetime | None = None
    """They are expected back then; of an absence of every week: it ends then."""
    home_from: SpokeTo | None = None
    """Who is asked then whether they are home; null: the return is certain, or none is planned."""
    first_visit: str | None = None
    """The visit on the planned return that waits for *home confirmed*."""
    weekly: str | None = None
    """Hours of every week."""
    at_home: tuple[date, ...] = ()
    """Days on which they are at home all the same."""


class SummonsView(Struct, frozen=True, kw_only=True):
    """Who was told of a referral, when, at which moment of its clock. `person` null: nobody could be."""

    at: datetime
    mark: ReferralMark
    person: str | None
    reason: str = ""


class ReferralAnswerView(Struct, frozen=True, kw_only=True):
    """What the council was answered, by whom, when; `late`: after the time that it gave."""

    outcome: ReferralOutcome
    by: str
    at: datetime
    recorded_at: datetime
    late: bool
    reason: DeclineReason | None = None
    start: datetime | None = None


class ReferralView(Struct, frozen=True, kw_only=True):
    """A council's referral at a provider's desk, as `…/referrals` shows it. `state` `silent`: its time is over, and no
    answer is recorded."""

    id: str
    kind: PlacementKind
    state: Literal["open", "taken", "silent", "answered"]
    source: ReferralSource
    arrived_at: datetime
    logged_at: datetime
    answer_by: datetime
    half_at: datetime
    last_at: datetime
    council: str | None = None
    logged_by: str | None = None
    sent_at: datetime | None = None
    """Of a mail: when it says that it was sent."""
    subject: str | None = None
    """What it is about, as it was written; null where it was erased or cannot be read now."""
    link: str | None = None
    taken_by: str | None = None
    taken_at: datetime | None = None
    lapsed_at: datetime | None = None
    summons: tuple[SummonsView, ...] = ()
    answer: ReferralAnswerView | None = None
    response_s: float | None = None
    """From its arrival until the council was answered."""
    within_30_min: bool | None = None
    """Of a discharge (appendix A), once it is answered or half an hour has passed; `within_60_min` likewise
    (appendix M)."""
    within_60_min: bool | None = None


class ReferralsPage(Struct, frozen=True, kw_only=True):
    """What the page of referrals shows."""

    desk: str
    name: str
    now: datetime
    zone: str
    waiting: tuple[ReferralView, ...] = ()
    silent: tuple[ReferralView, ...] = ()
    answered: tuple[ReferralView, ...] = ()


class DeathView(Struct, frozen=True, kw_only=True):
    """What is recorded of a service user's death, as `…/people/{id}/died` shows it. None: nothing is."""

    person: str
    died: bool
    by: str | None = None
    at: datetime | None = None
    visits: int = 0
    """So many visits were called off for it, or are watched again."""


class CoverView(Struct, frozen=True, kw_only=True):
    """The family sees to somebody in this weather: which next of kin said so, to whom of ours, when."""

    service_user: str
    next_of_kin: str
    by: str
    confirmed_at: datetime


class ToRingView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody whom a person is to ring about the weather today, and why no machine does. `done`, with when and by
    whom, once they need not be rung any more (`facts.RingHow`)."""

    service_user: str
    reason: str
    done: str | None = None
    done_at: datetime | None = None
    done_by: str | None = None


class SituationView(Struct, frozen=True, kw_only=True):
    """One report of the hour. `desk` null: no council desk answered then. `result`: what became of its mail."""

    at: datetime
    desk: str | None
    result: Result | None
    late: int
    covered: int
    red: int
    hour_passed: int


class WeatherView(Struct, frozen=True, kw_only=True):
    """Declared bad weather as `GET …/weather` shows it: the present one, else the last one."""

    declared: bool
    id: str | None = None
    by: str | None = None
    declared_at: datetime | None = None
    until: datetime | None = None
    remind_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    """Null when it ended because its end had come."""
    report_by: datetime | None = None
    """Until then the council must have the report of spec 12.4."""
    reported_by: str | None = None
    reported_at: datetime | None = None
    ranks: dict[str, int] = {}
    """How many people with a visit today, by rank."""
    to_confirm: tuple[str, ...] = ()
    """Who is green, has a visit today, and whose family has confirmed nothing: amber until then."""
    covers: tuple[CoverView, ...] = ()
    told: int = 0
    """How many were told today that times may change."""
    to_ring: tuple[ToRingView, ...] = ()
    """Those who are still to be rung first."""
    to_ring_left: int = 0
    """So many of them are still to be rung."""
    left_out: dict[str, int] = {}
    """What was left out so far, by step (`facts.LeftOut`)."""
    reports: tuple[SituationView, ...] = ()


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert as `GET …/alerts/{id}` shows it."""

    id: str
    kind: AlertKind
    visit: str | None
    service_user: str | None
    due_at: datetime
    opened_at: datetime
    lateness_s: float
    state: AlertState
    ended_reason: EndedReason | None
    ended_at: datetime | None
    tracks: tuple[TrackView, ...]
    contacts: tuple[ContactView, ...]
    taken_by: str | None
    taken_at: datetime | None
    time_critical: bool
    reason: str = ""
    lines: tuple[LineView, ...] = ()
    """The lines that were held about it, oldest first."""
    visits: tuple[str, ...] = ()
    """Of an incident: the visits of its cause, now and in the next hours, where nobody is known to be."""
    incident: str | None = None
    """The incident of its cause, for which staff are summoned in its place."""
    check: CheckView | None = None
    """Of an ended alert that needs the manager's check."""
    notice: NoticeView | None = None
    """Of an alert about which a council did not answer: the written notice of 17.2."""
    recordings: tuple[RecordingView, ...] = ()
    """What came of the answerphone, oldest first."""
    absences: tuple[AbsenceView, ...] = ()
    """What is known of absences of whom it is about (spec 7.24)."""
    placement: str | None = None
    """Of a council's desk: the package about which it is."""
    person: str | None = None
    """Who asked for help, or wants no more texts: also a care worker, next of kin, a member of staff."""


class RotaProblem(Struct, frozen=True, kw_only=True):
    """One row's problem. `error`: the row is not watched. `warning`: it is watched all the same."""

    row: int
    visit: str | None
    code: RotaProblemCode
    severity: Literal["error", "warning"]
    message: str
    line: int | UnsetType = UNSET
    """Of a file: the physical line on which the row starts, which is its `row` too."""


class RotaAnswer(Struct, frozen=True, kw_only=True):
    """What an upload did. `watched` counts the visits of this upload that are watched."""

    new: int
    changed: int
    cancelled: int
    unchanged: int
    watched: int
    problems: tuple[RotaProblem, ...]


class PeopleProblem(Struct, frozen=True, kw_only=True):
    """One person's problem, by the caller's id; never the value that was wrong."""

    row: int
    id: str | None
    code: str
    severity: Literal["error", "warning"]
    message: str
    line: int | UnsetType = UNSET


class PeopleAnswer(Struct, frozen=True, kw_only=True):
    """What a people upload did."""

    new: int
    changed: int
    unchanged: int
    problems: tuple[PeopleProblem, ...]


class CheckInAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check-in's result. `seq` is the first fact it caused, null if none."""

    id: str | None
    stored: bool
    outcome: Outcome
    visit: str | None
    seq: int | None


class Script(Struct, frozen=True, kw_only=True):
    """One step of a telephone call: what is said, and whether a key is waited for.

    `keys` is true while a key is awaited; the call then comes back with `step` and the digit, or with an empty
    digit after `wait_s` of silence. Otherwise the call ends after `say`.
    """

    say: tuple[str, ...]
    keys: bool = False
    step: str = ""
    wait_s: int = 6
    dial: str | None = None
    """An E.164 number to be joined to; only inbound calls use it for now."""
    dial_from: str | None = None
    """The number of ours that is shown there; without it the caller's own."""
    asked_first: bool = False
    """Who is rung hears who waits, and presses a key, before they are joined (`Desks.whisper`)."""
    digits: int = 1
    """At most so many are keyed; more than one are ended by "#"."""
    turn: int | None = None
    """Of a call to the free number: which question this is. What is keyed comes back with it (`Desks.call_heard`)."""
    hang_up: bool = False
    """The call ends here, and is not joined to anybody."""
    hold_s: int | None = None
    """The line stays open and comes back for the next step after so many seconds; nothing is keyed meanwhile."""
    room: str | None = None
    """The two lines that are sent into the same room talk to each other; the call comes back when one of them goes."""
    record: Record | None = None
    """The caller is recorded after what is said (`Desks.message_left`)."""
    play: str | None = None
    """The alert whose newest recording is played behind `say` (`Desks.recording`)."""
    then: tuple[str, ...] = ()
    """What is said behind the recording."""


class Record(Struct, frozen=True, kw_only=True):
    """An answerphone: about which alert, for how many seconds at most, and the how-many-eth time it is offered."""

    alert: str
    longest_s: int
    tries: int = 1


class LeftMessage(Struct, frozen=True, kw_only=True):
    """What the network says of an answerphone. `recording` is its own id of what was spoken; None: there was nothing.

    `call`: the network's id of the call, "" where it does not say. `tries`: of `Record`. `on_line`: the caller may be
    there still, and hears what follows.
    """

    alert: str
    recording: str | None
    seconds: int = 0
    call: str = ""
    tries: int = 1
    on_line: bool = True


class CallHeard(Struct, frozen=True, kw_only=True):
    """What came back from a call to the free number: keys ("" is silence), or that the person rung did not stay.

    `raw` is the webhook's form as it came, for the evidence of a check-in.
    """

    turn: int
    digits: str = ""
    dialled: bool = False
    joined: bool = False
    """Only where `dialled`: the two have spoken, as far as the network knows."""
    raw: bytes = b""


class RecordLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of an alert's record, as it stands in the journal. Ids are the caller's own, `subject` excepted.

    `kind` is the fact's; what a kind has no word for is left out.
    """

    seq: int
    at: datetime
    kind: str
    subject: str
    """The minted id of the alert, message or visit that the fact is about."""
    due_at: datetime | None = None
    purpose: Purpose | None = None
    channel: Channel | None = None
    who: str | None = None
    """Who was contacted, who answered, who did it."""
    to: str | None = None
    """Whom it was about: who takes over, goes instead, was joined."""
    people: tuple[str, ...] = ()
    """Of several: who is asked later."""
    by: str | None = None
    """The member of staff who recorded it or pressed it."""
    track: TrackName | None = None
    action: str | None = None
    result: str | None = None
    """The step of a track, what became of a message, what was answered."""
    proof: str | None = None
    reason: str | None = None
    next_at: datetime | None = None
    """When it goes on, or when somebody will be there."""
    said_at: datetime | None = None
    """A check-in's own time, where it is not believed and that of its receipt was taken."""
    minutes: int | None = None
    tries: int | None = None
    possibly_repeated: bool = False
    unrecorded_at_send: bool = False
    adequate: bool | None = None
    """Of a manager's check, as the two that follow."""
    safeguarding: Safeguarding | None = None
    serious_incident: bool | None = None
    words: str | None = None
    """A note, or what somebody texted, out of the evidence."""
    words_erased: bool = False
    """There were words, and they are kept no longer."""


class RecordView(Struct, frozen=True, kw_only=True):
    """The whole record of an alert, oldest first: what spec 22.7 asks for, in one place."""

    alert: AlertView
    lines: tuple[RecordLine, ...]


class CandidateView(Struct, frozen=True, kw_only=True):
    """A care worker who could go instead, with the score in its parts (spec 22.4), or why they are not asked."""

    worker: str
    name: str
    points: int
    parts: dict[str, int]
    drive_min: int
    ready_min: int
    """Minutes until they could be there: what they are at, and the way."""
    barred: str | None
    asked: bool
    """An offer has gone out to them."""
    answer: Literal["sent", "no"] | None = None


class TelephoneView(Struct, frozen=True, kw_only=True):
    """Somebody whom staff may ring about an alert, with their numbers."""

    who: str
    """The caller's id."""
    name: str
    role: Literal["service_user", "speaker", "care_worker", "replacement", "next_of_kin", "council", "staff"]
    numbers: tuple[str, ...]
    never_tell: bool = False
    """They must be told nothing about the service user: no number is given."""


class AlertPage(Struct, frozen=True, kw_only=True):
    """Everything that the page of one alert shows, with names: for the desk's own people."""

    one: BoardAlert
    signal: Signal
    council: TrackView | None
    """How far the council has been told, as a track is shown; its name is `inform`."""
    record: tuple[RecordLine, ...] | None
    """None: the journal cannot be read now."""
    names: dict[str, str]
    """By the caller's id: everybody who stands in it."""
    telephones: tuple[TelephoneView, ...]
    candidates: tuple[CandidateView, ...]
    script: str | None
    """What our person reads to the council desk (wording.md CO-1)."""
    round: tuple[BoardVisit, ...] = ()
    """Of an incident: the visits of its cause, time-critical first; when it is over, those that were late for it."""
    notice: str | None = None
    """The written notice of 17.2 that waits for a manager, as it would go out now (wording.md CO-5)."""


class UnwatchedRow(Struct, frozen=True, kw_only=True):
    """A row of the rota that is not watched until it is mended."""

    row: int
    visit: str | None
    code: RotaProblemCode
    since: datetime


class WrongNumberView(Struct, frozen=True, kw_only=True):
    """A number of which somebody there said that it is not that person's: it is passed over until it is changed."""

    person: str
    name: str
    line: Literal["mobile", "landline"]
    since: datetime


class BoardText(Struct, frozen=True, kw_only=True):
    """A line of the board about texts that nobody has answered: neither their words nor the number."""

    id: str
    who: tuple[str, ...]
    unknown: bool
    last_at: datetime
    count: int
    at_most: bool = False


class TextsView(Struct, frozen=True, kw_only=True):
    """What came by text from one line and answered no question, as its page shows it. `words` are the newest of them,
    the oldest first; None: they cannot be read now, or were erased."""

    id: str
    who: tuple[str, ...]
    """Everybody who is known by that line; `unknown`: nobody is."""
    roles: tuple[str, ...]
    number: str | None
    unknown: bool
    first_at: datetime
    last_at: datetime
    count: int
    at_most: bool
    """What came beyond that number was not kept."""
    last: int
    """The newest fact of it: whoever has seen them has seen up to there."""
    words: tuple[str | None, ...] = ()
    withheld: bool = False
    """They are about somebody of whom whoever looks is never to be told."""
    seen_by: str | None = None
    seen_at: datetime | None = None
    outcome: Literal["seen", "answered"] | None = None


class TextsPage(Struct, frozen=True, kw_only=True):
    """What the page of texts shows: those that wait, the oldest first; those of the last day that somebody has seen."""

    desk: str
    name: str
    now: datetime
    zone: str
    waiting: tuple[TextsView, ...] = ()
    seen: tuple[TextsView, ...] = ()
    full: bool = False
    """No further unknown number is kept until somebody has looked at some of them."""


class DarkView(Struct, frozen=True, kw_only=True):
    """A way in of which nothing is known."""

    cause: str
    subject: str
    since: datetime
    visits: int = 0


class BoardAlert(Struct, frozen=True, kw_only=True):
    """An alert with the words a person needs on the board (names are shown to the desk's own people)."""

    alert: AlertView
    who: str
    carer: str | None
    start: datetime | None
    taken_by_name: str | None
    doing: str
    """What the machine is doing now, in one line."""
    lives_alone: bool = False
    """As their contact plan says."""


class BoardVisit(Struct, frozen=True, kw_only=True):
    """A visit with the names that the desk's own people see."""

    visit: VisitView
    who: str
    carers: tuple[str, ...]


class BoardAbsence(Struct, frozen=True, kw_only=True):
    """An absence with the name that the desk's own people see."""

    absence: AbsenceView
    who: str


class AwayPage(Struct, frozen=True, kw_only=True):
    """Everything that the page of those away shows, with names: for the desk's own people."""

    desk: str
    name: str
    now: datetime
    zone: str
    away: tuple[BoardAbsence, ...]
    homes: dict[str, str]
    """The service users by the caller's id, with their names; without those who have died."""
    died: dict[str, str]
    """Those whose death is recorded."""


class BoardView(Struct, frozen=True, kw_only=True):
    """Everything the first board shows of one desk, taken at one moment."""

    desk: str
    name: str
    now: datetime
    zone: str
    degraded: bool
    public: str
    alerts: tuple[BoardAlert, ...]
    dark: tuple[DarkView, ...]
    unwatched: tuple[UnwatchedRow, ...]
    visits: tuple[BoardVisit, ...]
    watched: int
    due_so_far: int
    last_checkin_at: datetime | None
    next_deadline_at: datetime | None
    broker: str
    telephones: str
    wrong_numbers: tuple[WrongNumberView, ...] = ()
    """Numbers to be mended by the office."""
    checks: tuple[BoardAlert, ...] = ()
    """Alerts that are over and wait for the manager's check, the first due first."""
    notices: tuple[BoardAlert, ...] = ()
    """Alerts of which the written notice to the council waits for a manager, the first due first."""
    away: tuple[BoardAbsence, ...] = ()
    """Who is away, those first about whom somebody must say something."""
    referrals: int | None = None
    """So many referrals of councils wait for an answer; None at a council's own desk."""
    texts: tuple[BoardText, ...] = ()
    """Texts that nobody has answered, the oldest first."""
    weather: WeatherView | None = None
    """Bad weather that is declared, or of which the report to the council is owed."""
    weather_names: dict[str, str] = {}
    """By the caller's id: everybody of whom it speaks, and the next of kin of those who are to be confirmed."""
    weather_kin: dict[str, tuple[str, ...]] = {}
    """Who may confirm for whom: the next of kin of those who are green, in order."""
    packages: tuple[BoardVisit, ...] = ()
    """First visits of packages, of any day, that want a name, or that a council has called off; by their start."""
