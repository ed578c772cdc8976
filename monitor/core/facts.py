"""What a desk decided, past tense, versioned, in the journal for ever.

A fact holds minted ids, references, verdicts, digests, counts and instants: never a name, a number, a position or
free text (`tests/unit/test_facts.py` walks every kind). State is a fold over facts and nothing else.

Upcaster path: when a kind's fields change in a way that old bodies do not decode to, raise its `VERSION` and add
an entry to `UPCASTERS` that turns the old body's JSON object into the new one, one version at a time. Golden
journals of every released format are replayed in every test run (`tests/golden/`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

from config.policy import CouncilDesk, Duty, Terms
from escalation.on_call import DutyStep
from monitor.core.body import Draft as Draft
from monitor.core.body import FactBody as FactBody
from monitor.core.body import Happened as Happened
from monitor.core.evidence import Evidence
from monitor.core.inputs import (
    AwayEnd,
    AwayReason,
    CheckInKind,
    Condition,
    DarkCause,
    DropReason,
    Outcome,
    RaisedBy,
    RotaProblemCode,
    Source,
    SpokeTo,
    TextOutcome,
    VisitKind,
)
from monitor.core.placing.facts import PlacingBody
from monitor.core.placing.inputs import KeptReason
from monitor.core.referral_facts import ReferralBody
from monitor.core.views import (
    AlertKind,
    AnswerphoneCame,
    Channel,
    CheckReason,
    EndedReason,
    LineCame,
    Priority,
    Purpose,
    Result,
    Safeguarding,
    TrackName,
    TrackStep,
)

PlaceVerdict = Literal["consistent", "inconsistent", "unclear", "none"]
CancelReason = Literal[DropReason, "died", "called_off_by_council"]
Verdict = Literal[
    "on_time",
    "late",
    "early",
    "short",
    "overrun",
    "place_inconsistent",
    "place_unclear",
    "manual",
    "other_worker",
    "late_evidence",
    "left_time_unknown",
    "while_away",
    "clock_doubtful",
]
ReplanReason = Literal["rota", "policy", "run_goes_on", "agreed", "home_confirmed"]
RiskReason = Literal["still_at_last", "too_far", "phone_dark"]
WorkerAnswer = Literal["there", "on_my_way", "cannot"]
WatchReason = Literal["reports", "last_will", "buffered", "heard", "off_shift", "gone"]
ArrivalProof = Literal["pressed", "region", "two_fixes", "tag", "line", "manual"]
CheckOutAnswer = Literal["left", "still_here", "ring_me"]
CheckOutStep = Literal["waiting", "texted", "again", "rung", "on_call"]


class JournalOpened(FactBody, frozen=True, kw_only=True):
    """The header: which readers may lead this desk."""

    format: int
    min_reader: int


class LeadershipTaken(FactBody, frozen=True, kw_only=True):
    """This process leads from here on. What an older fence appends later is refused by the store."""

    fence: int


class PolicyAdopted(FactBody, frozen=True, kw_only=True):
    """The policy in force from here on, as values with durations as text; no number and no name is in it."""

    digest: str
    policy: dict[str, Any]
    public: Literal["off", "ask", "auto"]


class DutyAdopted(FactBody, frozen=True, kw_only=True):
    """Who is on duty when, by minted ids, and which council desk answers when."""

    duty: tuple[Duty, ...]
    council_desks: tuple[CouncilDesk, ...]
    asks_from: datetime | None = None
    """Who comes on call by this list after that moment is asked to say so."""


class ContractsAdopted(FactBody, frozen=True, kw_only=True):
    """Whose visits and alerts have another policy than the desk's own, by contract and client group, and which of the
    contracts have no council behind them."""

    contracts: tuple[Terms, ...]


class DutyMoved(FactBody, frozen=True, kw_only=True):
    """How far the start of somebody's duty on call is; the subject is who comes on call. `outgoing` had it before, and
    stays on when nobody has answered. `message`: the question that went out with this step."""

    step: DutyStep
    began_at: datetime
    reason: str = ""
    until: datetime | None = None
    outgoing: str | None = None
    next_at: datetime | None = None
    message: str | None = None
    proof: str | None = None


class HolidaysAdopted(FactBody, frozen=True, kw_only=True):
    """England's bank holidays as the desk counts them from here on."""

    dates: tuple[date, ...]


class PeopleChanged(FactBody, frozen=True, kw_only=True):
    """The directory moved to `people_rev` (in the envelope too)."""

    new: int
    changed: int


class RotaBegun(FactBody, frozen=True, kw_only=True):
    """The first of several portions of an upload. Until `RotaAdopted` comes, only a part of it is watched."""

    evidence: Evidence
    rows: int


class RotaAdopted(FactBody, frozen=True, kw_only=True):
    """One upload was taken in whole. Its rows' facts stand beside it in the same append, or, after `RotaBegun`, in the
    ones before."""

    evidence: Evidence
    new: int
    changed: int
    cancelled: int
    unchanged: int
    refused: int
    covers_to: datetime | None = None
    size: int | None = None
    """Of a rota that is meant to be whole, and is no alarm: how many visits it had. The next ones are judged by it."""


class PolicySpread(FactBody, frozen=True, kw_only=True):
    """So many visits more were looked at since a policy was adopted, those not yet due planned anew; so many are left.
    Without one looked at it begins."""

    looked: int
    left: int
    next_at: datetime | None = None


class RotaLooked(FactBody, frozen=True, kw_only=True):
    """The daily look at the rota of the next day. `day`: the local day of the look, with so many visits of its own."""

    day: date
    visits: int
    tomorrow: int


class VisitPlanned(FactBody, frozen=True, kw_only=True):
    """A visit is watched from here on. Its deadlines are resolved: a later policy changes them only by a fact."""

    service_user: str
    start: datetime
    end: datetime
    late_at: datetime
    missed_at: datetime
    overrun_at: datetime
    workers: tuple[str, ...] = ()
    places: int = 1
    time_critical: bool = False
    late_after: timedelta | None = None
    look_at: datetime | None = None
    """When its care worker's lateness is first looked at, before any alert (spec 5.1)."""
    visit_kind: VisitKind = "visit"
    agreed: bool = False
    conditional: Condition | None = None
    placement: str | None = None
    """It is the first visit of this package of a council's desk here, and the office has not named the person yet."""


class VisitReplanned(FactBody, frozen=True, kw_only=True):
    """The plan of a visit changed. `agreed_start` and `late_at` move only while the change is in good time."""

    start: datetime
    end: datetime
    agreed_start: datetime
    late_at: datetime
    missed_at: datetime
    overrun_at: datetime
    workers: tuple[str, ...] = ()
    places: int = 1
    time_critical: bool = False
    late_after: timedelta | None = None
    look_at: datetime | None = None
    visit_kind: VisitKind = "visit"
    conditional: Condition | None = None
    reason: ReplanReason
    """`agreed`: a named person has recorded the conversation about it, in an `ActionRecorded` before it."""


class VisitLooked(FactBody, frozen=True, kw_only=True):
    """Nobody has arrived yet: is the visit at risk, and is the care worker asked (spec 5.1)? Looked at again then."""

    next_at: datetime | None = None
    risk: RiskReason | None = None
    asked: int = 0
    """So many care workers were asked now."""
    reason: str = ""
    """Why nobody was asked, where somebody might have been."""


class WorkerAnswered(FactBody, frozen=True, kw_only=True):
    """The care worker said where they are. *There* is a claim, never an arrival."""

    worker: str
    answer: WorkerAnswer
    proof: str
    eta_at: datetime | None = None


class HomeConfirmed(FactBody, frozen=True, kw_only=True):
    """The person of a conditional visit is home since `confirmed_at`: the visit's clock runs from then (4.6.4). `by` is
    null where a care worker's arrival says so."""

    confirmed_at: datetime
    proof: str
    by: str | None = None


class VisitCancelled(FactBody, frozen=True, kw_only=True):
    """A complete upload no longer has the visit, or a row says that it is called off, in good time; or the package of
    which it is the first visit is the provider's no more, and its office had not made it its own."""

    reason: CancelReason


class FirstVisitAdopted(FactBody, frozen=True, kw_only=True):
    """The office has put the first visit of a package into its own rota, exactly as it came: it is its own from here
    on."""


class FirstVisitKept(FactBody, frozen=True, kw_only=True):
    """The package of this first visit is the provider's no more. Its office had made the visit its own, and was told:
    it stays watched until they call it off."""

    reason: KeptReason


class VisitAway(FactBody, frozen=True, kw_only=True):
    """Who lives there is away, as a supervisor has confirmed: nobody is missed at this visit from here on."""

    absence: str


class VisitBack(FactBody, frozen=True, kw_only=True):
    """They are back, or never were away: the visit is watched again, with these deadlines."""

    late_at: datetime
    missed_at: datetime
    overrun_at: datetime
    look_at: datetime | None = None
    returns: str | None = None
    """It is the first visit on the planned return from this absence, and waits for *home confirmed*."""


class VisitMissed(FactBody, frozen=True, kw_only=True):
    """Nobody came by the later of the planned end and `missed_after` past the alert (spec 21.4)."""


class MissWithdrawn(FactBody, frozen=True, kw_only=True):
    """An arrival became known after all."""


class VisitClosed(FactBody, frozen=True, kw_only=True):
    """The visit leaves the state; later evidence becomes a fact for the record and reopens nothing."""


class RowRefused(FactBody, frozen=True, kw_only=True):
    """A row of the rota cannot be watched: whom or when is not known. It counts until it is mended."""

    row: int
    code: RotaProblemCode


class RowMended(FactBody, frozen=True, kw_only=True):
    """A later upload brought the row in order, or no longer has it."""


class CheckInRecorded(FactBody, frozen=True, kw_only=True):
    """A check-in that means something, with what was decided about it. Subject: the visit, else the check-in."""

    checkin: str
    source: Source
    check: CheckInKind
    outcome: Outcome
    happened_at: datetime
    fingerprint: int
    evidence: Evidence
    device: str | None = None
    worker: str | None = None
    place: PlaceVerdict = "none"
    live: bool = False


class ArrivalRecorded(FactBody, frozen=True, kw_only=True):
    """A care worker is at the visit, at `arrived_at`, in the place `index`."""

    index: int
    arrived_at: datetime
    proof: ArrivalProof
    worker: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    overrun_at: datetime | None = None
    """When not having left becomes an alert, if the planned end no longer says it: they came late."""
    assumed: bool = False
    """Nobody said who it was: `worker` is whoever is planned for the place."""
    said_at: datetime | None = None
    """When it was by the check-in's own time, where that is not believed: `arrived_at` is then the receipt."""


class DepartureRecorded(FactBody, frozen=True, kw_only=True):
    """A care worker left; `left_at` is None when only the next arrival elsewhere proves it (spec 19.6.4)."""

    index: int
    left_at: datetime | None
    worker: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    claim: str = ""
    """How it was said, where nothing but somebody's word is known of it: never a check-out, never logged (21.3)."""
    said_at: datetime | None = None
    """As of an arrival: the check-in's own time, which is not believed."""


class DepartureWithdrawn(FactBody, frozen=True, kw_only=True):
    """The care worker is back at the same visit: the departure was none."""

    index: int


class CheckOutAsked(FactBody, frozen=True, kw_only=True):
    """No check-out from the place `index`, long after the planned end: how far the asking is (spec 19.6.4). `waiting`:
    nobody is asked yet; `again`: rung once more then; `on_call`: staff are summoned. It goes on at `next_at`."""

    index: int
    step: CheckOutStep
    worker: str | None = None
    next_at: datetime | None = None
    rings: int = 0
    """So often they were rung."""
    reason: str = ""


class CheckOutAnswered(FactBody, frozen=True, kw_only=True):
    """The care worker said whether they have left. It is looked at again then."""

    index: int
    worker: str
    answer: CheckOutAnswer
    proof: str
    next_at: datetime | None = None


class NearRecorded(FactBody, frozen=True, kw_only=True):
    """One fix lay inside the home; a second one, two minutes apart, makes an arrival at this first one's time."""

    worker: str
    near_at: datetime


class NearWithdrawn(FactBody, frozen=True, kw_only=True):
    """The care worker was elsewhere after that first fix: they only passed by."""

    worker: str


class AlertRaised(FactBody, frozen=True, kw_only=True):
    """Something is wrong and stays open until it is answered. Its policy is the one in the envelope."""

    alert: str
    kind: AlertKind
    visit: str | None = None
    service_user: str | None = None
    worker: str | None = None
    index: int | None = None
    time_critical: bool = False
    reason: str = ""
    count: int = 0
    line: str | None = None
    """The line from which somebody rang whom nobody was joined to: a minted id."""
    hour_at: datetime | None = None
    """Somebody else is to be sent by then: its hour (spec 22.4)."""
    placement: str | None = None
    """The package that could not be placed."""


class AlertTaken(FactBody, frozen=True, kw_only=True):
    """A named person has it."""

    by: str
    proof: str
    unrecorded: bool = False


class AlertLapsed(FactBody, frozen=True, kw_only=True):
    """Who had it did not answer again in time; summoning goes on."""

    by: str


class AlertGathered(FactBody, frozen=True, kw_only=True):
    """It has one cause with others: staff are summoned by the incident of that cause. The subject is the alert."""

    incident: str


class AlertEnded(FactBody, frozen=True, kw_only=True):
    """It is over, for this reason."""

    reason: EndedReason
    by: str | None = None
    outcome: str | None = None


class CheckWanted(FactBody, frozen=True, kw_only=True):
    """The alert that is over needs the manager's check until `check_by` (domain.md, "Ending"; spec 10.4)."""

    reasons: tuple[CheckReason, ...]
    check_by: datetime


class CheckRecorded(FactBody, frozen=True, kw_only=True):
    """A manager's three answers about the alert. Why no concern was raised stands beside the action, as evidence."""

    by: str
    adequate: bool
    safeguarding: Safeguarding
    serious_incident: bool


class ChecksReminded(FactBody, frozen=True, kw_only=True):
    """So many checks were unanswered past their day: `told` managers, or who stood in for them, were texted. The desk
    asks again at `next_at`."""

    waiting: int
    told: int
    next_at: datetime
    reason: str = ""


class NoticeWanted(FactBody, frozen=True, kw_only=True):
    """Calls to a council about the alert were not answered: the written notice of 17.2 is owed to it until `notice_by`,
    and a manager is offered it from `offer_at` on. `calls` are the keys of those calls."""

    desk: str
    calls: tuple[str, ...]
    offer_at: datetime
    notice_by: datetime


class NoticeAnswered(FactBody, frozen=True, kw_only=True):
    """A manager sent it, in this message; or said that it is not sent (why stands beside the action, as evidence)."""

    by: str
    sent: bool
    message: str | None = None


class NoticeReturned(FactBody, frozen=True, kw_only=True):
    """It could not be mailed, and waits again."""

    message: str
    offer_at: datetime


class NoticesReminded(FactBody, frozen=True, kw_only=True):
    """So many written notices wait for a manager: `told` of them, or who stood in for them, were texted. The desk asks
    again at `next_at`."""

    waiting: int
    told: int
    next_at: datetime
    reason: str = ""


class StaffChangesTold(FactBody, frozen=True, kw_only=True):
    """About the visits of `day` the service users were told who comes whom they do not know (spec 7.10): so many
    messages. `reason` `while_down`: it was too late for that."""

    day: date
    told: int
    reason: str = ""


class StaffChangesChecked(FactBody, frozen=True, kw_only=True):
    """So many changes of that day nobody has been told of; the one on duty was asked to."""

    day: date
    untold: int


class AlertClosed(FactBody, frozen=True, kw_only=True):
    """The ended alert leaves the state."""


class LineWaits(FactBody, frozen=True, kw_only=True):
    """An open line is kept, with the alert as its subject, until somebody is joined to it in `room` or `until` is past.

    `call` is the message whose call it is. `other` is who is rung for it alone; without it the whole chain is.
    """

    call: str
    person: str
    room: str
    until: datetime
    other: str | None = None


class LinesJoined(FactBody, frozen=True, kw_only=True):
    """Two lines talk to each other. `person` was joined to the one that waited; `message` is their call."""

    call: str
    room: str
    person: str
    message: str


class LineLeft(FactBody, frozen=True, kw_only=True):
    """A line that was kept is no longer. `came` is what came of it; `talked_s` how long the two were joined."""

    call: str
    room: str
    came: LineCame
    talked_s: int = 0


class AnswerphoneBegan(FactBody, frozen=True, kw_only=True):
    """A caller for whom nobody could be found is asked to leave a message; the alert is the subject. What comes of it
    is waited for until `until`. `evidence`: which call of the network it is."""

    until: datetime
    evidence: Evidence | None = None


class AnswerphoneEnded(FactBody, frozen=True, kw_only=True):
    """What came of it: words of so many `seconds` (`evidence`: which recording of the network it is), no word, or not
    known: nothing was heard of it by its time."""

    came: AnswerphoneCame
    seconds: int = 0
    evidence: Evidence | None = None
    fingerprint: int = 0


class TrackMoved(FactBody, frozen=True, kw_only=True):
    """One track of an alert went on. `reason` is a name; `index`, `round`, `phase` say where in its ladder it is."""

    track: TrackName
    step: TrackStep
    reason: str
    next_at: datetime | None = None
    index: int = 0
    round: int = 0
    phase: str = ""
    since: datetime | None = None
    rests_until: datetime | None = None
    """It was stopped by `rests_by`; then it goes on by itself."""
    rests_by: str | None = None


class ReplacementAccepted(FactBody, frozen=True, kw_only=True):
    """A named person goes, to be there by `eta_at`: *sent* in the sense of spec 22.4. The subject is the alert."""

    worker: str
    eta_at: datetime
    proof: str
    message: str | None = None


class ReplacementDeclined(FactBody, frozen=True, kw_only=True):
    """Somebody who was asked does not go; `after_all`: they had accepted. No record is kept against anybody."""

    worker: str
    after_all: bool = False


class OffersHeld(FactBody, frozen=True, kw_only=True):
    """Who would have been asked to go in this wave, and has as many open offers as `open_offers` allows; `owed`: so
    many of the wave are asked as soon as there is room. Nobody: that is over. The subject is the alert."""

    workers: tuple[str, ...] = ()
    owed: int = 0


class TellingWaits(FactBody, frozen=True, kw_only=True):
    """A word to staff about the alert waits until then, to be told together with others of the same minutes."""

    what: Gathered
    next_at: datetime


class StaffTold(FactBody, frozen=True, kw_only=True):
    """Staff hear of it by this message, which stands for `count` alerts. None: it was no longer so when its time came.
    The subject is the alert."""

    what: Gathered
    person: str | None = None
    message: str | None = None
    count: int = 0


class CouncilMoved(FactBody, frozen=True, kw_only=True):
    """How far the council has been told about an alert (spec 22.6)."""

    step: TrackStep
    reason: str
    desk: str | None = None
    tries: int = 0
    next_at: datetime | None = None
    by: str | None = None


class MessageIntended(FactBody, frozen=True, kw_only=True):
    """A message is to go out. Who and by which line as references; `template` names the words."""

    alert: str | None
    person: str
    line: str | None
    purpose: Purpose
    channel: Channel
    template: str
    priority: Priority
    expires_at: datetime
    slot: int | None = None
    bare: bool = False
    ring_s: int = 25
    visit: str | None = None
    about: str | None = None
    """A person of whom the words speak: a minted id."""
    placement: str | None = None
    """The package of which they speak."""
    count: int = 0
    at: datetime | None = None
    """A moment of which the words speak: when somebody will be there, or until when an offer stands."""


class MessageAttempted(FactBody, frozen=True, kw_only=True):
    """On disk right before the POST: from here on it may have been sent."""

    attempt: int
    evidence: Evidence
    possibly_repeated: bool = False
    unrecorded_at_send: bool = False


class MessageAccepted(FactBody, frozen=True, kw_only=True):
    """The provider has it. `found`: it was looked up there after a crash or a timeout, and not sent again."""

    provider_ref: str
    found: bool = False


class MessageDeferred(FactBody, frozen=True, kw_only=True):
    """The provider did not take it; it is tried again at `next_at`. "line_busy": a call of ours holds the line; it has
    its turn as soon as that one is over, at `next_at` where nobody reports its end."""

    reason: str
    next_at: datetime
    possibly_repeated: bool = False


class MessageChased(FactBody, frozen=True, kw_only=True):
    """Its callback is overdue; the provider is asked."""

    tries: int


class MessageSettled(FactBody, frozen=True, kw_only=True):
    """Nothing more will be known of this message. `result` is never contact by itself: `proof` is."""

    result: Result
    reason: str = ""
    proof: str | None = None


class AnswerHeard(FactBody, frozen=True, kw_only=True):
    """Somebody answered a question by key or text. `stale`: the question was closed already."""

    answer: str
    proof: str
    person: str | None = None
    stale: bool = False
    minutes: int | None = None
    evidence: Evidence | None = None


class TextTaken(FactBody, frozen=True, kw_only=True):
    """A text came from a line that we know, the subject. The network may hand it over twice, and a person may say the
    same twice: a text of this `fingerprint` was taken."""

    fingerprint: int


class ReplyKept(FactBody, frozen=True, kw_only=True):
    """Words came by text; a person reads them (the words are evidence). `persons` is empty where nobody is known by
    that line. `waits`: they stand in the list of texts that nobody has answered; `told`: whoever has the alert was told
    of them at once."""

    line: str
    persons: tuple[str, ...]
    word: Literal["help", "stop", "dont_come", "other"]
    evidence: Evidence
    answered: bool = False
    """An automatic reply went back."""
    waits: bool = False
    told: bool = False


class TextsSeen(FactBody, frozen=True, kw_only=True):
    """A named person has seen or answered what came from the line, the subject, up to the fact `last`."""

    by: str
    outcome: TextOutcome
    last: int


class TextsTold(FactBody, frozen=True, kw_only=True):
    """One text about all texts of people we know that wait, `waiting` of them: to `person`, who is on duty, or to
    nobody, by `reason`. Told again at `next_at` while any of them waits."""

    waiting: int
    next_at: datetime
    person: str | None = None
    reason: str = ""


class PersonReached(FactBody, frozen=True, kw_only=True):
    """Contact: a human answered, with this proof. Silence, voicemail and *delivered* never count."""

    person: str
    purpose: Purpose
    proof: str
    answer: str
    message: str | None = None


class NumberWrong(FactBody, frozen=True, kw_only=True):
    """Somebody on this line said that it is not that person's, the subject: they are rung and written to there no more,
    about nobody, until the office has changed the number."""

    line: str
    message: str | None = None


class NumberMended(FactBody, frozen=True, kw_only=True):
    """The office has taken that line away from the person, the subject."""

    line: str


PracticeResult = Literal["practised", "no_key"] | Result
"""How a practice call stands: out (`intended`), answered with a key, answered without one, or what became of it."""


class PracticeCalled(FactBody, frozen=True, kw_only=True):
    """A practice call was started by a named person, or came to its end. The subject is who was rung."""

    by: str
    message: str
    result: PracticeResult


class ActionRecorded(FactBody, frozen=True, kw_only=True):
    """A named person did something about the alert."""

    action: str
    by: str
    done_at: datetime
    reason: str | None = None
    to: str | None = None
    """Whom it was about: a minted id."""
    minutes: int | None = None
    note: Evidence | None = None
    track: TrackName | None = None
    """Which track was stopped, or told to go on now."""
    raised_by: RaisedBy | None = None
    """Who asked for it, of a confirmed cancellation and of a change that was agreed (7.26-7.27)."""


class DeviceWatched(FactBody, frozen=True, kw_only=True):
    """A telephone reports by itself, has left the network or is back, and is looked at again then; without a moment it
    is not missed any more. The subject is the device."""

    reason: WatchReason
    next_at: datetime | None = None


class AbsenceReported(FactBody, frozen=True, kw_only=True):
    """A service user is away, or will be, as somebody says; unconfirmed until a supervisor has spoken about it. Who
    said so stands in the evidence. The subject is the absence."""

    service_user: str
    reason: AwayReason
    from_at: datetime
    review_at: datetime
    raised_by: RaisedBy
    by: str
    note: Evidence
    return_at: datetime | None = None
    """They are expected back then; of an absence of every week: the arrangement ends."""
    home_from: SpokeTo | None = None
    """Who is asked then whether they are home; None: nobody, the return is certain."""
    weekly: str | None = None
    """Hours of every week, in the notation of `config.policy`: a day centre."""


class AbsenceConfirmed(FactBody, frozen=True, kw_only=True):
    """A supervisor has confirmed it (7.26-7.27): from here on it counts. That day has its answer."""

    by: str
    spoke_to: SpokeTo
    said_at: datetime
    note: Evidence | None = None


class AwayQuestioned(FactBody, frozen=True, kw_only=True):
    """The office was asked who of those away was asked about today. The subject is `away`."""

    absences: tuple[str, ...]
    told: str | None = None
    """Who was asked; None: nobody on duty could be."""


class AwayUnanswered(FactBody, frozen=True, kw_only=True):
    """Two hours later nobody has said so of these: it is an alarm, or the alarm of another day goes on. The subject is
    `away`."""

    absences: tuple[str, ...]


class AwayAnswered(FactBody, frozen=True, kw_only=True):
    """A named person says who was asked that day. The subject is the absence."""

    by: str
    spoke_to: SpokeTo
    said_at: datetime
    note: Evidence | None = None


class ReviewMoved(FactBody, frozen=True, kw_only=True):
    """Another review date. The subject is the absence."""

    review_at: datetime
    by: str
    note: Evidence | None = None


class ReturnMoved(FactBody, frozen=True, kw_only=True):
    """Another planned return, or none that is known: a discharge slips. The subject is the absence."""

    return_at: datetime | None
    home_from: SpokeTo | None
    by: str
    note: Evidence | None = None


class DayAtHome(FactBody, frozen=True, kw_only=True):
    """On that local day they are at home, whatever the hours of every week say. The subject is the absence."""

    day: date
    by: str
    note: Evidence | None = None


class AbsenceEnded(FactBody, frozen=True, kw_only=True):
    """They are back; or it was never true, or they died: then nobody is told of a return."""

    reason: AwayEnd | Literal["died"]
    by: str
    ended_at: datetime
    note: Evidence | None = None
    visits: int = 0
    """So many visits are watched again."""


class KinNotTold(FactBody, frozen=True, kw_only=True):
    """A next of kin was not told of the return by us, and why. The subject is the absence."""

    person: str | None
    reason: str


class PersonDied(FactBody, frozen=True, kw_only=True):
    """A service user has died: nothing is ever sent to that home again. The subject is the person."""

    by: str
    note: Evidence
    said_at: datetime
    visits: tuple[str, ...] = ()
    """The visits that are called off for it."""


class DeathWithdrawn(FactBody, frozen=True, kw_only=True):
    """It was recorded by mistake: a manager says that the person lives. The subject is the person."""

    by: str
    note: Evidence
    visits: int = 0
    """So many visits are watched again."""


class SignalLost(FactBody, frozen=True, kw_only=True):
    """A way in went dark. The subject is the device or feed."""

    cause: DarkCause
    since: datetime | None = None
    """Of a telephone: when its care worker was last heard, if that is known."""


class SignalFound(FactBody, frozen=True, kw_only=True):
    """It is back."""

    cause: DarkCause


Gathered = Literal["nobody_left", "open_offers"]
"""What is told to staff of several alerts together: nobody else can be asked to go; all who could have other offers."""
GATHERED: tuple[Gathered, ...] = Gathered.__args__  # type: ignore[attr-defined]
LeftOut = Literal["summons", "offers", "hour_warning", "council_breach"]
"""What declared bad weather leaves out of the procedure of an alert that is not red."""
LEFT_OUT: tuple[LeftOut, ...] = LeftOut.__args__  # type: ignore[attr-defined]
ToldHow = Literal["text", "call", "same_line", "by_person"]
"""How somebody was told of the bad weather; `by_person`: no machine may or can, so a person is to ring them."""
RingHow = Literal["rung", "answered", "visited"]
"""How it is known of somebody who is to be rung that they need not be any more."""


class WeatherDeclared(FactBody, frozen=True, kw_only=True):
    """A manager declared bad weather, until then. The subject is this weather."""

    by: str
    until: datetime
    remind_at: datetime
    """When staff are told that the end is near."""
    report_by: datetime
    """Until then the council must have the report of spec 12.4."""
    report_remind_at: datetime


class WeatherChanged(FactBody, frozen=True, kw_only=True):
    """A manager moved the end."""

    by: str
    until: datetime
    remind_at: datetime


class WeatherReminded(FactBody, frozen=True, kw_only=True):
    """Staff were told that the end, or the moment of the report, is near, or that the report is overdue."""

    what: Literal["end", "report", "report_overdue"]


class WeatherEnded(FactBody, frozen=True, kw_only=True):
    """It is over: by a manager, or (`by` None) because its end has come."""

    by: str | None = None


class WeatherReported(FactBody, frozen=True, kw_only=True):
    """A named person of ours made the report of spec 12.4 to the council."""

    by: str
    done_at: datetime
    note: Evidence | None = None


class Newly(Struct, frozen=True, kw_only=True, gc=False):
    """How one person is told of it on that local day, and why a person has to."""

    person: str
    day: date
    how: ToldHow
    reason: str = ""


class WeatherTold(FactBody, frozen=True, kw_only=True):
    """Service users were told that times may change, or are to be rung; `next_at`: when it is looked at again."""

    told: tuple[Newly, ...] = ()
    next_at: datetime | None = None


class RingDone(FactBody, frozen=True, kw_only=True):
    """Somebody on the list of whom a person is to ring has been heard of: `rung` by a member of staff who says so,
    `answered` themselves, or `visited`. `said_at`: when. The subject is the weather."""

    person: str
    how: RingHow
    said_at: datetime
    by: str | None = None


class RingUndone(FactBody, frozen=True, kw_only=True):
    """A member of staff takes it back: they are still to be rung."""

    person: str
    by: str


class SituationReported(FactBody, frozen=True, kw_only=True):
    """The report of the hour to one council desk; `desk` None: none answers now, and the next hour tries again."""

    desk: str | None
    message: str | None
    late: int
    covered: int
    red: int
    hour_passed: int
    """Of those without somebody on the way: so many are past the hour of spec 22.4."""


class SituationDue(FactBody, frozen=True, kw_only=True):
    """The reports of this hour are decided; the next ones come then."""

    next_at: datetime | None


class FamilyCoverConfirmed(FactBody, frozen=True, kw_only=True):
    """A next of kin said to a named person of ours that the family sees to somebody who is ranked green, in this
    weather alone. The subject is the weather."""

    person: str
    next_of_kin: str
    by: str
    confirmed_at: datetime
    note: Evidence | None = None


class FamilyCoverWithdrawn(FactBody, frozen=True, kw_only=True):
    """It does not hold any more."""

    person: str
    by: str


class StepLeftOut(FactBody, frozen=True, kw_only=True):
    """What the bad weather leaves out of an alert's procedure. The subject is the alert."""

    weather: str
    step: LeftOut


class DayRolledOver(FactBody, frozen=True, kw_only=True):
    """04:00 local."""

    day: date


class WatchFault(FactBody, frozen=True, kw_only=True):
    """The core failed on this subject's deadline; staff are summoned with a fixed text (design: the engine)."""

    error: str


AnyBody = (
    JournalOpened
    | LeadershipTaken
    | PolicyAdopted
    | DutyAdopted
    | ContractsAdopted
    | DutyMoved
    | HolidaysAdopted
    | PeopleChanged
    | RotaBegun
    | RotaAdopted
    | PolicySpread
    | RotaLooked
    | VisitPlanned
    | VisitReplanned
    | HomeConfirmed
    | VisitCancelled
    | FirstVisitAdopted
    | FirstVisitKept
    | VisitLooked
    | WorkerAnswered
    | VisitAway
    | VisitBack
    | VisitMissed
    | MissWithdrawn
    | VisitClosed
    | RowRefused
    | RowMended
    | CheckInRecorded
    | ArrivalRecorded
    | DepartureRecorded
    | DepartureWithdrawn
    | CheckOutAsked
    | CheckOutAnswered
    | NearRecorded
    | NearWithdrawn
    | AlertRaised
    | AlertTaken
    | AlertLapsed
    | AlertGathered
    | AlertEnded
    | CheckWanted
    | CheckRecorded
    | ChecksReminded
    | NoticeWanted
    | NoticeAnswered
    | NoticeReturned
    | NoticesReminded
    | StaffChangesTold
    | StaffChangesChecked
    | AlertClosed
    | LineWaits
    | LinesJoined
    | LineLeft
    | AnswerphoneBegan
    | AnswerphoneEnded
    | TrackMoved
    | ReplacementAccepted
    | ReplacementDeclined
    | OffersHeld
    | TellingWaits
    | StaffTold
    | CouncilMoved
    | MessageIntended
    | MessageAttempted
    | MessageAccepted
    | MessageDeferred
    | MessageChased
    | MessageSettled
    | AnswerHeard
    | TextTaken
    | ReplyKept
    | TextsSeen
    | TextsTold
    | PersonReached
    | NumberWrong
    | NumberMended
    | PracticeCalled
    | ActionRecorded
    | DeviceWatched
    | AbsenceReported
    | AbsenceConfirmed
    | AwayQuestioned
    | AwayUnanswered
    | AwayAnswered
    | ReviewMoved
    | ReturnMoved
    | DayAtHome
    | AbsenceEnded
    | KinNotTold
    | PersonDied
    | DeathWithdrawn
    | WeatherDeclared
    | WeatherChanged
    | WeatherReminded
    | WeatherEnded
    | WeatherReported
    | WeatherTold
    | RingDone
    | RingUndone
    | SituationReported
    | SituationDue
    | FamilyCoverConfirmed
    | FamilyCoverWithdrawn
    | StepLeftOut
    | SignalLost
    | SignalFound
    | DayRolledOver
    | WatchFault
    | PlacingBody
    | ReferralBody
)
KINDS: dict[str, type[FactBody]] = {kind.__name__: kind for kind in AnyBody.__args__}
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


class UnknownFactError(Exception):
    """A kind or version that this release cannot read: it must not lead the desk (design rule 13)."""


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_body(body: FactBody) -> str:
    """The body's JSON text, as it is hashed and stored; never encoded again afterwards."""
    return _ENCODER.encode(body).decode()


def decode_body(kind: str, v: int, text: str) -> FactBody:
    """The body of a stored fact, lifted through the upcasters. Raises UnknownFactError, msgspec.ValidationError."""
    known = KINDS.get(kind)
    if known is None or v > known.VERSION:
        raise UnknownFactError(f"fact kind {kind} version {v} is newer than this release of callwatch")
    if v == known.VERSION:
        return msgspec.json.decode(text, type=known)
    old = msgspec.json.decode(text)
    for version in range(v, known.VERSION):
        lift = UPCASTERS.get((kind, version))
        if lift is None:
            raise UnknownFactError(f"fact kind {kind} version {version} cannot be lifted by this release")
        old = lift(old)
    return msgspec.convert(old, known)
