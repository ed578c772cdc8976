"""The fold: one fact makes one new frozen value. It never decides, so replaying it years later gives the same.

`evolve_visit`, `evolve_alert` and `evolve_message` are used twice: on the desk's state, and by a decision that must
see what its own earlier facts have changed (`monitor.core.work`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Generic, TypeVar

from msgspec import Struct, structs

from config.placing import PlacingPolicy, decode_placing
from config.policy import Policy, decode_policy
from escalation import replace
from escalation.inform import Council
from escalation.on_call import HandOver
from escalation.replies import CHECK_OUT, Question, same_question
from escalation.track import Track
from monitor.core import facts as f
from monitor.core.absence_fold import evolve_absence
from monitor.core.facts import Draft, Happened
from monitor.core.placing import ledger
from monitor.core.placing.facts import PLACEMENT_FACTS, PlacingAdopted, ProviderAdopted
from monitor.core.placing.fold import evolve_placement
from monitor.core.placing.model import Provider
from monitor.core.referral_facts import REFERRAL_FACTS, ReferralAnswered, ReferralLapsed
from monitor.core.referral_fold import evolve_referral
from monitor.core.state import (
    AWAY,
    CHECKS,
    DAYS_KEPT,
    DEVICE_MEMORY,
    DUTY,
    ENGAGED,
    NOTICES,
    REPLAN,
    REVIEW_PASSED,
    ROTA,
    ROTA_CUT_OFF,
    ROTA_HALF,
    ROTA_OLD,
    STAFF_CHANGES,
    TEXTS,
    WEEK,
    WORDS_KEPT,
    Alert,
    Check,
    Dark,
    Device,
    Died,
    Held,
    Leaving,
    Message,
    Notice,
    Place,
    Practice,
    Pressed,
    Recording,
    RotaInPart,
    Said,
    Sent,
    Spoken,
    State,
    Telling,
    TextSeen,
    Unread,
    Unwatched,
    Values,
    Visit,
    WrongNumber,
)
from monitor.core.views import Purpose, Result
from monitor.core.weather_fold import WEATHER_FACTS, evolve_weather, weather_ref

T = TypeVar("T")
PolicyOf = Callable[[str], Policy]
"""The policy by its digest."""
CANCELLED_KEPT = 10
"""So many confirmed cancellations of one person are remembered."""
TEXTS_KEPT = 32
TEXTS_LAST = timedelta(days=2)
"""So many texts of a line, and for so long, are known again when the network hands them over once more (ours)."""
SLOT_REST = timedelta(hours=12)
"""A slot is not used again for that phone for this long (interface.md, "Answers by SMS")."""


class Step(Struct, Generic[T], frozen=True, gc=False):
    """A value before a fact and after it."""

    before: T | None
    after: T | None


class Fold(Struct, frozen=True, kw_only=True, gc=False):
    """What a decision has seen one of its own facts do.

    It spares `evolve` the work only while the value before is the very one that the desk has: the fold is a function
    of that value and the fact, so what comes after it is the same.
    """

    visit: Step[Visit] | None = None
    alert: Step[Alert] | None = None
    message: Step[Message] | None = None


NOT_SEEN = Fold()


def evolve(state: State, fact: Happened, seen: Fold = NOT_SEEN) -> None:
    """Fold one fact into the state; `seen`: what the decision on it has worked out already. Raises only on a
    programmer's error or a damaged journal."""
    _FOLDS.get(type(fact.body), _fold_desk)(state, fact, seen)
    state.seq = fact.seq


VISIT_FACTS: frozenset[type] = frozenset(
    (
        f.VisitPlanned,
        f.VisitReplanned,
        f.HomeConfirmed,
        f.VisitCancelled,
        f.FirstVisitAdopted,
        f.FirstVisitKept,
        f.VisitAway,
        f.VisitBack,
        f.VisitLooked,
        f.WorkerAnswered,
        f.VisitMissed,
        f.MissWithdrawn,
        f.VisitClosed,
        f.ArrivalRecorded,
        f.DepartureRecorded,
        f.DepartureWithdrawn,
        f.CheckOutAsked,
        f.CheckOutAnswered,
        f.NearRecorded,
        f.NearWithdrawn,
        f.CheckInRecorded,
    )
)
ALERT_FACTS: frozenset[type] = frozenset(
    (
        f.AlertRaised,
        f.AlertTaken,
        f.AlertLapsed,
        f.AlertGathered,
        f.AlertEnded,
        f.CheckWanted,
        f.CheckRecorded,
        f.NoticeWanted,
        f.NoticeAnswered,
        f.NoticeReturned,
        f.AlertClosed,
        f.LineWaits,
        f.LinesJoined,
        f.LineLeft,
        f.AnswerphoneBegan,
        f.AnswerphoneEnded,
        f.TrackMoved,
        f.ReplacementAccepted,
        f.ReplacementDeclined,
        f.OffersHeld,
        f.TellingWaits,
        f.StaffTold,
        f.CouncilMoved,
        f.ActionRecorded,
    )
)
MESSAGE_FACTS: frozenset[type] = frozenset(
    (
        f.MessageIntended,
        f.MessageAttempted,
        f.MessageAccepted,
        f.MessageDeferred,
        f.MessageChased,
        f.MessageSettled,
    )
)


# --- visits ---


def _fold_visit(state: State, fact: Happened, seen: Fold) -> None:
    values, visits = state.values, state.values.visits
    if isinstance(fact.body, f.CheckInRecorded):
        _remember(state, fact, fact.body)
    old = visits.get(fact.subject)
    if seen.visit is not None and seen.visit.before is old:
        new = seen.visit.after
    else:
        new = evolve_visit(old, fact, state.values.policy.closes_after)
    if new is None:
        if old is not None:
            del visits[fact.subject]
            state.forget_visit(old)
            _forget_asks(state, old, fact)
        return
    if new is old:
        return
    visits[fact.subject] = new
    state.index_visit(new, old)
    if isinstance(fact.body, f.ArrivalRecorded):
        _been_there(state, new, fact, fact.body)
    anew = isinstance(fact.body, f.VisitPlanned)
    for key in new.asks:
        if anew or _answered_by_itself(new, values.messages.get(key)):
            _close_question(state, key, fact)


def _answered_by_itself(visit: Visit, message: Message | None) -> bool:
    """What was asked is known: everybody has come, or they have left."""
    if visit.over or message is None or message.template not in CHECK_OUT:
        return visit.over or visit.all_there
    return all(place.worker != message.person or not place.inside for place in visit.places)


def _been_there(state: State, visit: Visit, fact: Happened, body: f.ArrivalRecorded) -> None:
    """Who comes is one of those whom they know, from here on."""
    values = state.values
    if body.worker is None:
        return
    day = state.calendar.day(body.arrived_at)
    if values.changes_told is None:
        # on the first evening nearly nobody is known yet: tomorrow at the hour is the first time
        over = fact.at >= state.calendar.at_local(day, values.policy.staff_changes_at)
        values.changes_told = values.changes_checked = day + timedelta(days=over)
        state.moved(STAFF_CHANGES)
    known = values.regulars.get(visit.service_user, {})
    if known.get(body.worker, date.min) < day:
        values.regulars[visit.service_user] = known | {body.worker: day}


def _forget_asks(state: State, visit: Visit, fact: Happened) -> None:
    """What was asked before any alert leaves with the visit."""
    for key in visit.asks:
        _close_question(state, key, fact)
        if state.values.messages.pop(key, None) is not None:
            state.moved(key)


def evolve_visit(visit: Visit | None, fact: Draft, closes_after: timedelta) -> Visit | None:
    """The visit after the fact; None when it is not in the state (any more)."""
    body = fact.body
    if isinstance(body, f.VisitPlanned):
        return _planned(fact.subject, body, visit)
    if visit is None or isinstance(body, f.VisitClosed):
        return None
    match body:
        # the kinds of every day first: the others are asked for one by one
        case f.CheckInRecorded():
            return _checked(visit, body)
        case f.ArrivalRecorded():
            return _arrived(visit, body)
        case f.DepartureRecorded():
            return _departed(visit, fact, body, closes_after)
        case f.VisitReplanned():
            return _replanned(visit, body)
        case f.VisitLooked():
            return structs.replace(visit, look_at=body.next_at, risk=body.risk)
        case f.WorkerAnswered():
            return _said(visit, fact, body)
        case f.HomeConfirmed():
            return structs.replace(visit, home_at=body.confirmed_at, home_by=body.by)
        case f.VisitCancelled():
            cancelled = structs.replace(visit, cancelled=True, closes_at=fact.at + closes_after)
            by_council = body.reason == "called_off_by_council"
            return structs.replace(cancelled, package_over="called_off") if by_council else cancelled
        case f.FirstVisitAdopted():
            return structs.replace(visit, adopted=True)
        case f.FirstVisitKept():
            return structs.replace(visit, package_over=body.reason)
        case f.VisitAway():
            leaves = max(visit.end, fact.at) + closes_after
            return structs.replace(visit, away=body.absence, returns=None, closes_at=leaves, risk=None)
        case f.VisitBack():
            return _watched_again(visit, body)
        case f.VisitMissed():
            return structs.replace(visit, missed=True, closes_at=fact.at + closes_after)
        case f.MissWithdrawn():
            return structs.replace(visit, missed=False, closes_at=None)
        case f.CheckOutAsked() | f.CheckOutAnswered():
            return _leaving(visit, fact, body)
        case f.DepartureWithdrawn():
            back = structs.replace(
                visit.places[body.index], left=False, left_at=None, leaving=None, left_said=None
            )
            changed = structs.replace(visit, places=_with_place(visit, body.index, back), closes_at=None)
            return _with_times(changed)
        case f.NearRecorded():
            others = tuple(entry for entry in visit.near if entry[0] != body.worker)
            return structs.replace(visit, near=(*others, (body.worker, body.near_at)))
        case f.NearWithdrawn():
            return structs.replace(
                visit, near=tuple(entry for entry in visit.near if entry[0] != body.worker)
            )
        case _:
            return visit


def _watched_again(visit: Visit, body: f.VisitBack) -> Visit:
    """What was alerted about it was the absence: it may be late anew."""
    return structs.replace(
        visit,
        away=None,
        returns=body.returns,
        closes_at=None,
        late_at=body.late_at,
        missed_at=body.missed_at,
        overrun_at=body.overrun_at,
        look_at=body.look_at,
        alerted=tuple(kind for kind in visit.alerted if kind not in (*BY_ABSENCE, "home_unconfirmed")),
    )


def _said(visit: Visit, fact: Draft, body: f.WorkerAnswered) -> Visit:
    before = next((entry for entry in visit.said if entry.worker == body.worker), None)
    claimed = before.claimed_at if before is not None and body.answer != "cannot" else None
    said = Said(
        worker=body.worker,
        answer=body.answer,
        said_at=fact.at,
        eta_at=body.eta_at,
        claimed_at=claimed or (fact.at if body.answer == "there" else None),
    )
    others = tuple(entry for entry in visit.said if entry.worker != body.worker)
    return structs.replace(visit, said=(*others, said))


def _leaving(visit: Visit, fact: Draft, body: f.CheckOutAsked | f.CheckOutAnswered) -> Visit:
    """Each place for itself. Who says that they are there still has run over."""
    place = visit.places[body.index]
    if isinstance(body, f.CheckOutAnswered):
        leaving = Leaving(step=body.answer, since=fact.at, next_at=body.next_at)
    else:
        before = place.leaving.dark_since if place.leaving is not None else None
        leaving = Leaving(
            step=body.step,
            since=fact.at,
            next_at=body.next_at,
            rings=body.rings,
            dark_since=(before or fact.at) if body.reason == "dark" else None,
        )
    over: tuple[f.Verdict, ...] = ("overrun",) if leaving.step == "still_here" else ()
    return structs.replace(
        visit,
        places=_with_place(visit, body.index, structs.replace(place, leaving=leaving)),
        verdicts=_with(visit.verdicts, over),
    )


def _checked(visit: Visit, body: f.CheckInRecorded) -> Visit:
    doubt: tuple[f.Verdict, ...] = (
        ("place_inconsistent",) if body.outcome in ("flagged_place", "mock_position") else ()
    )
    return structs.replace(
        visit,
        verdicts=_with(visit.verdicts, doubt),
        prints=(*visit.prints[-(VISIT_MEMORY - 1) :], body.fingerprint),
    )


def _planned(ref: str, body: f.VisitPlanned, old: Visit | None) -> Visit:
    """Watched from the beginning. Open alerts and what was said about it stay with it if it is the same person's."""
    same = old is not None and old.service_user == body.service_user
    return Visit(
        ref=ref,
        service_user=body.service_user,
        start=body.start,
        end=body.end,
        agreed_start=body.start,
        late_at=body.late_at,
        missed_at=body.missed_at,
        overrun_at=body.overrun_at,
        places=_places((), body.workers, body.places),
        time_critical=body.time_critical,
        late_after=body.late_after,
        look_at=body.look_at,
        kind=body.visit_kind,
        conditional=body.conditional,
        agreed=body.agreed,
        placement=body.placement,
        alerts=old.alerts if old is not None and same else (),
        prints=old.prints if old is not None and same else (),
        # what was asked about it before is answered by nobody any more, and leaves with the visit
        asks=old.asks if old is not None else (),
        package_over=old.package_over if old is not None else "",
    )


def _replanned(visit: Visit, body: f.VisitReplanned) -> Visit:
    return structs.replace(
        visit,
        start=body.start,
        end=body.end,
        agreed_start=body.agreed_start,
        late_at=body.late_at,
        missed_at=body.missed_at,
        overrun_at=body.overrun_at,
        places=_places(visit.places, body.workers, body.places),
        time_critical=body.time_critical,
        late_after=body.late_after,
        look_at=body.look_at,
        kind=body.visit_kind,
        conditional=body.conditional,
        agreed=visit.agreed or body.reason == "agreed",
        adopted=visit.adopted or (visit.placement is not None and body.reason in ("rota", "agreed")),
    )


def _places(old: tuple[Place, ...], workers: tuple[str, ...], count: int) -> tuple[Place, ...]:
    """`count` places (at least one per worker); whoever has arrived keeps the place, with its times."""
    size = max(count, len(workers), 1, sum(1 for place in old if place.arrived_at is not None))
    named: list[str | None] = list(workers) + [None] * (size - len(workers))
    arrived = [place for place in old if place.arrived_at is not None]
    places: list[Place] = []
    for planned in named:
        mine = next((place for place in arrived if planned is not None and place.worker == planned), None)
        if mine is not None:
            arrived.remove(mine)
        places.append(structs.replace(mine, planned=planned) if mine else Place(planned=planned))
    for at, place in enumerate(places):
        if place.arrived_at is None and arrived:
            places[at] = structs.replace(arrived.pop(0), planned=place.planned)
    return tuple(places)


def _with_place(visit: Visit, index: int, place: Place) -> tuple[Place, ...]:
    return (*visit.places[:index], place, *visit.places[index + 1 :])


def _with(old: tuple[f.Verdict, ...], more: tuple[f.Verdict, ...]) -> tuple[f.Verdict, ...]:
    return old + tuple([verdict for verdict in more if verdict not in old]) if more else old


def _arrived(visit: Visit, body: f.ArrivalRecorded) -> Visit:
    place = structs.replace(
        visit.places[body.index],
        worker=body.worker,
        arrived_at=body.arrived_at,
        proof=body.proof,
        left=False,
        left_at=None,
        leaving=None,
        assumed=body.assumed,
        arrived_said=body.said_at,
        left_said=None,
    )
    near = tuple([entry for entry in visit.near if entry[0] != body.worker]) if visit.near else ()
    changed = structs.replace(
        visit,
        places=_with_place(visit, body.index, place),
        verdicts=_with(visit.verdicts, body.verdicts),
        near=near,
        overrun_at=body.overrun_at or visit.overrun_at,
        away=None,
    )
    if changed.risk is not None and changed.all_there:
        changed = structs.replace(changed, risk=None)
    if changed.closes_at is None or changed.over:
        return changed
    return structs.replace(changed, closes_at=None)


def _departed(visit: Visit, fact: Draft, body: f.DepartureRecorded, closes_after: timedelta) -> Visit:
    said = visit.places[body.index].leaving if body.claim else None
    place = structs.replace(
        visit.places[body.index], left=True, left_at=body.left_at, leaving=said, left_said=body.said_at
    )
    changed = structs.replace(
        visit,
        places=_with_place(visit, body.index, place),
        verdicts=_with(visit.verdicts, body.verdicts),
    )
    changed = _with_times(changed)
    return structs.replace(
        changed, closes_at=fact.at + closes_after if changed.all_left or changed.over else None
    )


def _with_times(visit: Visit) -> Visit:
    """A check-out that comes after all, and somebody who is back, take it back that a time is not known."""
    if "left_time_unknown" not in visit.verdicts or any(p.left and p.left_at is None for p in visit.places):
        return visit
    known = tuple(verdict for verdict in visit.verdicts if verdict != "left_time_unknown")
    return structs.replace(visit, verdicts=known)


def _remember(state: State, fact: Happened, body: f.CheckInRecorded) -> None:
    values = state.values
    values.last_checkin_at = fact.at
    key = body.device or ""
    device = values.devices.get(key) or Device(ref=key)
    values.devices[key] = structs.replace(
        device,
        recent=(*device.recent[-(DEVICE_MEMORY - 1) :], body.fingerprint),
        heard_at=fact.at if body.live else device.heard_at,
    )


# --- alerts ---


ON_VISIT: frozenset[type] = frozenset((f.AlertRaised, f.AlertEnded))
"""The facts of an alert that stand on its visit too."""


OF_CHECK: frozenset[type] = frozenset((f.CheckWanted, f.CheckRecorded))
"""The facts that say whether the manager's check of it waits."""


OF_NOTICE: frozenset[type] = frozenset((f.NoticeWanted, f.NoticeAnswered, f.NoticeReturned))
"""The facts that say whether its written notice to the council waits."""


ON_SHELF: frozenset[type] = frozenset((f.AlertRaised, f.AlertEnded, f.AlertGathered))
"""The facts that say among which of the open alerts it stands."""


def _fold_alert(state: State, fact: Happened, seen: Fold) -> None:
    values, ref, kind = state.values, fact.subject, type(fact.body)
    old = values.alerts.get(ref)
    if seen.alert is not None and seen.alert.before is old:
        new = seen.alert.after
    else:
        new = evolve_alert(old, fact, state.policy_of)
    if new is None:
        if old is not None:
            _forget_alert(state, old, fact)
        return
    values.alerts[ref] = new
    state.moved(ref)
    if kind in ON_SHELF:
        state.index_alert(new, old)
    if kind is f.OffersHeld:
        state.index_owing(new)
    if isinstance(fact.body, f.StaffTold) and fact.body.person is not None:
        told = values.staff_told.get(fact.body.person, ())
        values.staff_told[fact.body.person] = tuple(dict.fromkeys((*told, fact.at)))[-2:]
    if kind in OF_CHECK:
        state.index_check(new)
    if kind in OF_NOTICE:
        state.index_notice(new)
    if kind is f.AlertRaised and new.reason == REVIEW_PASSED:
        _note_review_told(state, new)
    if kind is f.AlertRaised and new.kind == "rota":
        if new.reason == ROTA_CUT_OFF:
            values.rota_begun = None  # told; the alert says the rest
        state.moved(ROTA)
    if isinstance(fact.body, f.AlertEnded):
        if new.reason == ROTA_HALF and fact.body.by is not None:
            values.rota_sizes = {}  # a person has looked: what comes next is how large it is now
        called_off = fact.body.reason == "cancelled_confirmed" and fact.body.outcome != ENDED_AWAY
        if called_off and new.service_user is not None:
            before = values.cancelled.get(new.service_user, ())
            values.cancelled[new.service_user] = (*before, fact.at)[-CANCELLED_KEPT:]
        for key in new.messages:
            _close_question(state, key, fact)
        state.index_owing(new)
        state.forget_offers(new)
    if kind in ON_VISIT and new.visit is not None:
        _note_on_visit(state, fact, new, seen)


def evolve_alert(alert: Alert | None, fact: Draft, policy_of: PolicyOf) -> Alert | None:
    """The alert after the fact; None when it is not in the state (any more)."""
    body = fact.body
    if isinstance(body, f.AlertRaised):
        return _raised(fact, body)
    if alert is None or isinstance(body, f.AlertClosed):
        return None
    match body:
        # the kind that each alert has most of first: the others are asked for one by one
        case f.TrackMoved():
            return structs.replace(alert, tracks=_with_track(alert, body))
        case f.AlertTaken():
            return structs.replace(
                alert, state="taken", taken_by=body.by, taken_at=fact.at, unrecorded=body.unrecorded
            )
        case f.AlertLapsed():
            return structs.replace(alert, state="open", taken_by=None, taken_at=None, unrecorded=False)
        case f.AlertEnded():
            return structs.replace(
                alert,
                state="ended",
                ended_reason=body.reason,
                ended_at=fact.at,
                closes_at=fact.at + policy_of(fact.policy).closes_after,
            )
        case f.CheckWanted():
            return structs.replace(alert, check=Check(reasons=body.reasons, due_at=body.check_by))
        case f.CheckRecorded():
            return _checked_by(alert, fact, body, policy_of(fact.policy).closes_after)
        case f.NoticeWanted():
            owed = Notice(desk=body.desk, calls=body.calls, offer_at=body.offer_at, due_at=body.notice_by)
            return structs.replace(alert, notice=owed)
        case f.NoticeAnswered() | f.NoticeReturned():
            return _noticed(alert, fact, body, policy_of(fact.policy).closes_after)
        case f.LineWaits() | f.LinesJoined() | f.LineLeft():
            return structs.replace(alert, lines=_lines(alert, fact, body))
        case f.ReplacementAccepted():
            others = tuple(sent for sent in alert.sent if sent.worker != body.worker)
            return structs.replace(
                alert,
                sent=(*others, Sent(worker=body.worker, eta_at=body.eta_at, proof=body.proof, at=fact.at)),
            )
        case f.ReplacementDeclined():
            kept = tuple(sent for sent in alert.sent if sent.worker != body.worker)
            return structs.replace(alert, sent=kept, declined=(*alert.declined, body.worker))
        case f.AlertGathered():
            return structs.replace(alert, incident=body.incident)
        case f.OffersHeld():
            return structs.replace(alert, offers_held=body.workers, offers_owed=body.owed)
        case f.TellingWaits():
            return _telling(alert, Telling(what=body.what, next_at=body.next_at))
        case f.StaffTold():
            return _telling(alert, Telling(what=body.what, message=body.message))
        case f.AnswerphoneBegan():
            return structs.replace(alert, answerphone=body.evidence.id if body.evidence else "")
        case f.AnswerphoneEnded():
            call = alert.answerphone if body.came == "unknown" else None
            return structs.replace(alert, answerphone=call, recordings=_recorded(alert, fact, body))
        case f.CouncilMoved():
            return structs.replace(alert, council=_council(fact, body, alert.council))
        case f.ActionRecorded(track=name) if name is not None:
            pressed = Pressed(action=body.action, track=name, by=body.by, at=fact.at)
            before = tuple(one for one in alert.pressed if one.track != name)
            return structs.replace(alert, pressed=(*before, pressed))
        case f.ActionRecorded(action=action) if action in SPOKEN:
            return structs.replace(alert, spoken=(*alert.spoken, _spoke(alert, body)))
        case _:
            return alert


def _telling(alert: Alert, now: Telling) -> Alert:
    others = tuple(one for one in alert.tellings if one.what != now.what)
    return structs.replace(alert, tellings=(*others, now))


SPOKEN: dict[str, Purpose] = {
    "take": "summon",
    "spoke_service_user": "reassure",
    "spoke_care_worker": "locate",
    "told_next_of_kin": "inform_next_of_kin",
    "told_council": "inform_council",
}
"""What a person of ours does by themselves that the machine would send a message for."""


def _spoke(alert: Alert, body: f.ActionRecorded) -> Spoken:
    return Spoken(
        key=f"{alert.ref}-{len(alert.spoken) + 1}",
        purpose=SPOKEN[body.action],
        by=body.by,
        person=body.by if body.action == "take" else body.to,
        at=body.done_at,
    )


def _checked_by(alert: Alert, fact: Draft, body: f.CheckRecorded, closes_after: timedelta) -> Alert:
    """Answered: it stays as long as one that has just ended, so that who has answered still sees it."""
    check = alert.check or Check(reasons=(), due_at=fact.at)
    answered = structs.replace(
        check,
        by=body.by,
        at=fact.at,
        adequate=body.adequate,
        safeguarding=body.safeguarding,
        serious_incident=body.serious_incident,
    )
    return structs.replace(alert, check=answered, closes_at=fact.at + closes_after)


def _noticed(
    alert: Alert, fact: Draft, body: f.NoticeAnswered | f.NoticeReturned, closes_after: timedelta
) -> Alert:
    """Answered: it stays as long as one that has just ended. What could not be mailed waits again."""
    notice = alert.notice
    if notice is None:
        return alert
    if isinstance(body, f.NoticeReturned):
        back = structs.replace(notice, by=None, at=None, sent=False, offer_at=body.offer_at)
        return structs.replace(alert, notice=back)
    told = structs.replace(notice, by=body.by, at=fact.at, sent=body.sent, message=body.message)
    closes_at = fact.at + closes_after if alert.state == "ended" else alert.closes_at
    return structs.replace(alert, notice=told, closes_at=closes_at)


def _recorded(alert: Alert, fact: Draft, body: f.AnswerphoneEnded) -> tuple[Recording, ...]:
    came = Recording(
        at=fact.at,
        came=body.came,
        seconds=body.seconds,
        recording=body.evidence.id if body.evidence is not None else None,
        fingerprint=body.fingerprint,
    )
    return (*alert.recordings, came)


def with_message(alert: Alert, message: Message) -> Alert:
    """The alert after a message about it was intended."""
    return structs.replace(alert, messages=(*alert.messages, message.key))


def _raised(fact: Draft, body: f.AlertRaised) -> Alert:
    return Alert(
        ref=body.alert,
        kind=body.kind,
        due_at=fact.due_at or fact.at,
        opened_at=fact.at,
        policy=fact.policy,
        visit=body.visit,
        service_user=body.service_user,
        worker=body.worker,
        index=body.index,
        time_critical=body.time_critical,
        reason=body.reason,
        count=body.count,
        line=body.line,
        hour_at=body.hour_at,
        placement=body.placement,
        tracks=_waiting(fact, body),
    )


def _lines(alert: Alert, fact: Draft, body: f.LineWaits | f.LinesJoined | f.LineLeft) -> tuple[Held, ...]:
    if isinstance(body, f.LineWaits):
        held = Held(
            call=body.call,
            person=body.person,
            room=body.room,
            since=fact.at,
            until=body.until,
            other=body.other,
        )
        return (*alert.lines, held)
    changed: dict[str, Any]
    if isinstance(body, f.LinesJoined):
        changed = {
            "joined_at": fact.at,
            "other": body.person,
            "message": body.message,
            "came": "joined",
        }
    else:
        changed = {"ended_at": fact.at, "came": body.came}
    return tuple(
        structs.replace(held, **changed) if held.room == body.room and held.ended_at is None else held
        for held in alert.lines
    )


def _waiting(fact: Draft, body: f.AlertRaised) -> tuple[Track, ...]:
    """An alert with an hour begins with *replace* waiting: the hour runs from the alert, whatever else happens."""
    if body.hour_at is None:
        return ()
    half = fact.at + (body.hour_at - fact.at) * replace.WARNED[0]
    return (Track(name="replace", step="waiting", reason="locating", next_at=half),)


def _council(fact: Draft, body: f.CouncilMoved, before: Council | None) -> Council:
    return Council(
        step=body.step,
        reason=body.reason,
        desk=body.desk,
        tries=body.tries,
        next_at=body.next_at,
        moved_at=fact.at,
        told_at=fact.at if body.step == "reached" else before.told_at if before is not None else None,
    )


def _with_track(alert: Alert, body: f.TrackMoved) -> tuple[Track, ...]:
    moved = Track(
        name=body.track,
        step=body.step,
        reason=body.reason,
        next_at=body.next_at,
        index=body.index,
        round=body.round,
        phase=body.phase,
        since=body.since,
        rests_until=body.rests_until,
        rests_by=body.rests_by,
    )
    for at, track in enumerate(alert.tracks):
        if track.name == moved.name:
            return (*alert.tracks[:at], moved, *alert.tracks[at + 1 :])
    return (*alert.tracks, moved)


def _note_on_visit(state: State, fact: Happened, alert: Alert, seen: Fold) -> None:
    visit = state.values.visits.get(alert.visit or "")
    if visit is None:
        return
    if (
        seen.visit is not None
        and seen.visit.before is visit
        and seen.alert is not None
        and seen.alert.after is alert
    ):
        new = seen.visit.after
    else:
        new = evolve_visit_for_alert(visit, fact, alert)
    if new is not None and new is not visit:
        state.values.visits[visit.ref] = new
        state.index_visit(new, visit)


def evolve_visit_for_alert(visit: Visit, fact: Draft, alert: Alert) -> Visit:
    """An alert's beginning and end stand on its visit too."""
    body = fact.body
    if isinstance(body, f.AlertRaised):
        alerted = visit.alerted if alert.kind in visit.alerted else (*visit.alerted, alert.kind)
        places = visit.places
        if alert.kind == "lone_worker":
            places = tuple(
                [_on_call(place, fact.at) if place.worker == alert.worker else place for place in places]
            )
        return structs.replace(
            visit,
            places=places,
            alerts=(*visit.alerts, alert.ref),
            alerted=alerted,
            # said from elsewhere it has a reason: nobody is known to be there, and the visit is waited for
            at_door=visit.at_door or (alert.kind == "no_reply" and not alert.reason),
        )
    if isinstance(body, f.AlertEnded) and alert.ref in visit.alerts:
        settled = body.by is not None and alert.kind in RESOLVING and body.reason != "merged"
        settled = settled and not (body.reason == "cancelled_confirmed" and body.outcome == ENDED_AWAY)
        settled = settled and body.outcome != "home_confirmed"
        ended = structs.replace(
            visit,
            alerts=tuple(ref for ref in visit.alerts if ref != alert.ref),
            resolved=visit.resolved or settled,
            cancelled=visit.cancelled or (settled and body.reason == "cancelled_confirmed"),
            at_door=visit.at_door and (alert.kind != "no_reply" or bool(alert.reason)),
        )
        done = visit.closes_at is not None or ended.over
        return structs.replace(ended, closes_at=alert.closes_at if done else None)
    return visit


def _on_call(place: Place, at: datetime) -> Place:
    """Staff are summoned about it, also where an old journal says no more than that."""
    if place.leaving is not None and place.leaving.step == "on_call":
        return place
    return structs.replace(place, leaving=Leaving(step="on_call", since=at))


BY_ABSENCE = ("late_visit", "second_worker_missing", "no_reply")
"""Alerts that an absence explains."""
ENDED_AWAY = "away"
"""The outcome of an alert that a confirmed absence has ended: its visits are away, and not called off."""
RESOLVING = ("late_visit", "no_reply", "home_unconfirmed")
"""A named person's outcome on one of these settles the visit itself: nobody is watched for any more. An alert that
was merged into another settles nothing: the other one goes on."""
VISIT_MEMORY = 64
"""Fingerprints kept per visit."""


def _forget_alert(state: State, alert: Alert, fact: Happened) -> None:
    del state.values.alerts[alert.ref]
    state.moved(alert.ref)
    state.index_alert(None, alert)
    state.unchecked.pop(alert.ref, None)
    state.unwritten.pop(alert.ref, None)
    for key in alert.messages:
        _close_question(state, key, fact)
        if state.values.messages.pop(key, None) is not None:
            state.moved(key)
    if alert.reason == ROTA_OLD:
        state.moved(ROTA)


# --- messages ---


def _fold_message(state: State, fact: Happened, seen: Fold) -> None:
    values = state.values
    old = values.messages.get(fact.subject)
    if seen.message is not None and seen.message.before is old:
        message = seen.message.after
    else:
        message = evolve_message(old, fact)
    if message is None:
        return
    values.messages[message.key] = message
    state.moved(message.key)
    if isinstance(fact.body, f.MessageSettled) and message.attempts == 0:
        _never_asked(state, message, fact)
    if isinstance(fact.body, f.MessageIntended):
        _note_question(state, fact, message)
        _note_on_alert(state, message, seen)
        state.index_offer(message)


def _note_on_alert(state: State, message: Message, seen: Fold) -> None:
    alert = state.values.alerts.get(message.alert or "")
    visit = state.values.visits.get(message.visit or "") if message.alert is None else None
    if visit is not None:
        state.values.visits[visit.ref] = structs.replace(visit, asks=(*visit.asks, message.key))
    placement = state.values.placements.get(message.placement or "")
    if placement is not None:
        noted = structs.replace(placement, messages=(*placement.messages, message.key))
        state.values.placements[placement.ref] = noted
    if alert is None:
        return
    if seen.alert is not None and seen.alert.before is alert and seen.alert.after is not None:
        state.values.alerts[alert.ref] = seen.alert.after
    else:
        state.values.alerts[alert.ref] = with_message(alert, message)


def evolve_message(message: Message | None, fact: Draft) -> Message | None:
    """The message after the fact; None when it left the state with its alert."""
    body = fact.body
    if isinstance(body, f.MessageIntended):
        return _intended(fact, body)
    if message is None:
        return None
    match body:
        case f.MessageAttempted():
            return structs.replace(
                message,
                phase="attempted",
                attempts=body.attempt,
                attempted_at=fact.at,
                result="attempted",
                not_before=None,
                next_at=None,
                possibly_repeated=message.possibly_repeated or body.possibly_repeated,
                unrecorded=message.unrecorded or body.unrecorded_at_send,
            )
        case f.MessageAccepted():
            return structs.replace(
                message,
                phase="accepted",
                provider_ref=body.provider_ref,
                next_at=fact.at + callback_due(message, 0),
            )
        case f.MessageDeferred():
            return structs.replace(
                message,
                phase="queued",
                result="intended",
                reason=body.reason,
                not_before=body.next_at,
                # what waits for a line is asked when it is free, and expires at its time all the same
                next_at=message.expires_at
                if body.reason == ENGAGED
                else max(message.expires_at, body.next_at),
                possibly_repeated=message.possibly_repeated or body.possibly_repeated,
            )
        case f.MessageChased():
            return structs.replace(
                message, chased=body.tries, next_at=fact.at + callback_due(message, body.tries)
            )
        case f.MessageSettled():
            return structs.replace(
                message,
                phase="settled",
                settled_at=fact.at,
                result=body.result,
                reason=body.reason,
                proof=body.proof or message.proof,
                next_at=None,
            )
        case _:
            return message


def callback_due(message: Message, tries: int) -> timedelta:
    """When a provider's silence is long enough to ask it: past the ring, and at least a minute."""
    return timedelta(seconds=60 + (message.ring_s if message.channel == "call" else 0) + 60 * tries)


def _intended(fact: Draft, body: f.MessageIntended) -> Message:
    return Message(
        key=fact.subject,
        person=body.person,
        line=body.line,
        purpose=body.purpose,
        channel=body.channel,
        template=body.template,
        priority=body.priority,
        intended_at=fact.at,
        expires_at=body.expires_at,
        policy=fact.policy,
        alert=body.alert,
        visit=body.visit,
        about=body.about,
        placement=body.placement,
        count=body.count,
        at=body.at,
        slot=body.slot,
        bare=body.bare,
        ring_s=body.ring_s,
        next_at=body.expires_at,
    )


def without_step(alert: Alert, body: f.StepLeftOut) -> Alert:
    """The alert of which bad weather has left that out."""
    return structs.replace(alert, left_out=tuple(dict.fromkeys((*alert.left_out, body.step))))


def _fold_weather(state: State, fact: Happened, _: Fold) -> None:
    ref, weathers = weather_ref(fact), state.values.weathers
    alert = state.values.alerts.get(fact.subject)
    if isinstance(fact.body, f.StepLeftOut) and alert is not None:
        state.values.alerts[alert.ref] = without_step(alert, fact.body)
    after = evolve_weather(weathers.get(ref), fact)
    if after is not None:
        weathers[ref] = after
        state.moved(ref)


def _never_asked(state: State, message: Message, fact: Happened) -> None:
    """It never left, so nobody can answer it; but an earlier text with the same code may be answered still."""
    alert = state.values.alerts.get(message.alert or "")
    visit = state.values.visits.get(message.visit or "")
    keys = (*(visit.asks if visit else ()), *(alert.messages if alert else ()))
    found = (state.values.messages.get(key) for key in keys)
    same = (message.line, message.slot)
    sent = [
        m
        for m in found
        if m is not None
        and m.attempts
        and (m.line, m.slot) == same
        and same_question(m.template, message.template)
    ]
    if not sent or message.line is None or message.slot is None:
        _close_question(state, message.key, fact)
        return
    state.values.questions[message.line] = tuple(
        structs.replace(question, key=sent[-1].key) if question.key == message.key else question
        for question in state.values.questions.get(message.line, ())
    )


def _note_question(state: State, fact: Happened, message: Message) -> None:
    if message.slot is None or message.line is None:
        return
    kept = tuple(
        question
        for question in state.values.questions.get(message.line, ())
        if (question.open or fact.at - _last_used(question) < SLOT_REST)
        # asked again about the same alert: the slot goes on, so that the older text's code still answers it
        and not (question.open and question.slot == message.slot)
    )
    state.values.questions[message.line] = (*kept, asked(message))


def asked(message: Message) -> Question:
    """The question that a text puts. Raises AssertionError for a message that puts none."""
    assert message.slot is not None
    return Question(
        slot=message.slot,
        template=message.template,
        key=message.key,
        opened_at=message.intended_at,
        open=True,
    )


def _last_used(question: Question) -> datetime:
    return question.closed_at or question.opened_at


# --- the desk itself ---


def _fold_desk(state: State, fact: Happened, _: Fold) -> None:
    values = state.values
    match fact.body:
        case f.LeadershipTaken() as body:
            values.fence = body.fence
        case f.PolicyAdopted() as body:
            _adopt_policy(state, body)
            state.moved(STAFF_CHANGES)
        case f.DutyAdopted() as body:
            values.duty, values.council_desks = body.duty, body.council_desks
            values.duty_seen_at = body.asks_from
            state.moved(DUTY)
        case f.DutyMoved() as body:
            _hand_over(state, fact, body)
        case f.ContractsAdopted() as body:
            _adopt_contracts(state, body)
        case f.HolidaysAdopted() as body:
            values.holidays = body.dates
            state.refresh_calendar()
            state.moved(DUTY)
        case f.RotaBegun() as body:
            values.rota_begun = RotaInPart(at=fact.at, rows=body.rows)
            state.moved(ROTA)
        case f.RotaAdopted() as body:
            _adopt_rota(state, fact, body)
        case f.PolicySpread() as body:
            values.replan_at = body.next_at
            if not body.looked:
                state.to_replan = deque(values.visits)
            for _looked in range(min(body.looked, len(state.to_replan))):
                state.to_replan.popleft()
            state.moved(REPLAN)
        case f.RotaLooked() as body:
            values.rota_looked_on = body.day
            kept = {day: size for day, size in values.day_sizes.items() if body.day - day <= DAYS_KEPT}
            values.day_sizes = kept | {body.day: body.visits}
            state.moved(ROTA)
        case f.RowRefused() as body:
            known = values.unwatched.get(fact.subject)
            since = known.since if known else fact.at
            values.unwatched[fact.subject] = Unwatched(
                key=fact.subject, row=body.row, code=body.code, since=since
            )
        case f.RowMended():
            values.unwatched.pop(fact.subject, None)
        case (
            f.AbsenceReported()
            | f.AbsenceConfirmed()
            | f.AwayAnswered()
            | f.ReviewMoved()
            | f.ReturnMoved()
            | f.DayAtHome()
            | f.AbsenceEnded()
            | f.AwayQuestioned()
        ):
            _fold_absence(state, fact)
        case f.AwayUnanswered():
            values.away_alarmed_at = fact.at
            state.moved(AWAY)
        case f.PersonDied() as body:
            values.died[fact.subject] = Died(by=body.by, at=fact.at, visits=body.visits)
        case f.DeathWithdrawn():
            values.died.pop(fact.subject, None)
        case PlacingAdopted() as body:
            _adopt_placing(state, body)
        case ProviderAdopted() as body:
            values.providers[fact.subject] = _provider(values.providers.get(fact.subject), fact.at, body)
        case f.PersonReached() as body:
            _prove(state, fact, body)
        case f.PracticeCalled() as body:
            values.practice[fact.subject] = _practised(values.practice.get(fact.subject), fact, body)
        case f.ReplyKept() as body:
            _note_reply(state, fact, body)
        case f.TextsSeen() as body:
            _texts_seen(state, fact, body)
        case f.TextsTold() as body:
            _texts_told(state, fact, body)
        case f.NumberWrong() as body:
            others = (one for one in values.wrong_numbers.get(fact.subject, ()) if one.line != body.line)
            values.wrong_numbers[fact.subject] = (*others, WrongNumber(line=body.line, since=fact.at))
        case f.NumberMended() as body:
            left = tuple(one for one in values.wrong_numbers.get(fact.subject, ()) if one.line != body.line)
            values.wrong_numbers[fact.subject] = left
            if not left:
                del values.wrong_numbers[fact.subject]
        case f.TextTaken() as body:
            seen = TextSeen(at=fact.at, fingerprint=body.fingerprint)
            values.texts[fact.subject] = (*values.texts.get(fact.subject, ()), seen)[-TEXTS_KEPT:]
        case f.SignalLost() as body:
            dark = Dark(cause=body.cause, subject=fact.subject, since=body.since or fact.at)
            values.dark[f"{body.cause}:{fact.subject}"] = dark
            _watch_device(state, fact.subject, body.cause, None, None)
        case f.SignalFound() as body:
            values.dark.pop(f"{body.cause}:{fact.subject}", None)
            _watch_device(state, fact.subject, body.cause, None, None)
        case f.DeviceWatched() as body:
            _watch_device(state, fact.subject, "device", body.next_at, body.reason)
        case f.ChecksReminded() as body:
            values.checks_next_at = body.next_at
            state.moved(CHECKS)
        case f.NoticesReminded() as body:
            values.notices_next_at = body.next_at
            state.moved(NOTICES)
        case f.StaffChangesTold() as body:
            values.changes_told = body.day
            state.moved(STAFF_CHANGES)
        case f.StaffChangesChecked() as body:
            values.changes_checked = body.day
            state.moved(STAFF_CHANGES)
        case f.DayRolledOver() as body:
            values.day = body.day
            state.moved(DUTY)
            _tidy(state, fact)
        case _:
            pass


def _watch_device(
    state: State, ref: str, cause: str, look_at: datetime | None, watched: f.WatchReason | None
) -> None:
    device = state.values.devices.get(ref) or Device(ref=ref)
    if cause == "device" and (device.look_at, device.watched) != (look_at, watched):
        state.values.devices[ref] = structs.replace(device, look_at=look_at, watched=watched)
        state.moved(ref)


def _fold_absence(state: State, fact: Happened) -> None:
    absences, body = state.values.absences, fact.body
    if isinstance(body, f.AwayQuestioned):
        for ref in body.absences:
            absences[ref] = structs.replace(absences[ref], questioned_at=fact.at)
    else:
        absences[fact.subject] = evolve_absence(absences.get(fact.subject), fact)
    state.moved(AWAY)


def _note_review_told(state: State, alert: Alert) -> None:
    """That the review date of their absence has passed is told once."""
    for ref, absence in state.values.absences.items():
        if absence.service_user == alert.service_user and absence.counts:
            state.values.absences[ref] = structs.replace(absence, review_told=True)
    state.moved(AWAY)


def _adopt_rota(state: State, fact: Happened, body: f.RotaAdopted) -> None:
    values = state.values
    values.rota_at = fact.at
    begun = values.rota_begun
    if begun is not None and body.new + body.changed + body.unchanged + body.refused >= begun.rows:
        # an upload of a few rows does not finish the large one that was cut off
        values.rota_begun = None
    if body.size is not None:
        today = state.calendar.day(fact.at)
        kept = {day: size for day, size in values.rota_sizes.items() if today - day <= 2 * WEEK}
        values.rota_sizes = kept | {today: body.size}
    state.moved(ROTA)


def _hand_over(state: State, fact: Happened, body: f.DutyMoved) -> None:
    """One step of a start of duty. Who has started, or whose duty is over, is asked no more."""
    values, person = state.values, fact.subject
    known = values.hand_overs.get(person)
    same = known is not None and known.began_at == body.began_at
    asked = known.messages if known is not None and same else ()
    if body.step in ("started", "over"):
        for line in list(values.questions):
            _close_asked(state, line, asked, fact)
    if body.step == "over":
        values.hand_overs.pop(person, None)
    else:
        values.hand_overs[person] = HandOver(
            person=person,
            began_at=body.began_at,
            step=body.step,
            until=body.until,
            outgoing=body.outgoing,
            next_at=body.next_at,
            messages=(*asked, body.message) if body.message is not None else asked,
        )
        values.duty_seen_at = max(values.duty_seen_at or body.began_at, body.began_at)
    state.moved(DUTY)


def _close_asked(state: State, line: str, keys: tuple[str, ...], fact: Happened) -> None:
    """The questions of these messages on that line, also where the message itself has left the state."""
    before = state.values.questions[line]
    if any(question.open and question.key in keys for question in before):
        state.values.questions[line] = tuple(
            structs.replace(question, open=False, closed_at=fact.at)
            if question.open and question.key in keys
            else question
            for question in before
        )


def _practised(known: Practice | None, fact: Happened, body: f.PracticeCalled) -> Practice:
    before = known.practised_at if known is not None else None
    if body.result == "intended":
        return Practice(by=body.by, message=body.message, asked_at=fact.at, practised_at=before)
    return Practice(
        by=body.by,
        message=body.message,
        asked_at=known.asked_at if known is not None else fact.at,
        result=body.result,
        ended_at=fact.at,
        practised_at=fact.at if body.result == "practised" else before,
    )


def _adopt_policy(state: State, body: f.PolicyAdopted) -> None:
    values = state.values
    values.policy = decode_policy(body.policy)
    values.policy_digest = body.digest
    values.public = body.public
    values.policies = _in_use(values) | {body.digest: values.policy}
    state.refresh_calendar()
    state.moved(ROTA)
    state.moved(DUTY)
    state.moved(AWAY)


def _in_use(values: Values) -> dict[str, Policy]:
    """The policies of contracts and of alerts that are still here, beside the desk's own."""
    digests = {alert.policy for alert in values.alerts.values()} | {one.digest for one in values.contracts}
    return {digest: policy for digest, policy in values.policies.items() if digest in digests}


def _adopt_contracts(state: State, body: f.ContractsAdopted) -> None:
    values = state.values
    values.contracts = tuple(structs.replace(terms, policy={}) for terms in body.contracts)
    theirs = {terms.digest: decode_policy(terms.policy) for terms in body.contracts}
    values.policies = _in_use(values) | theirs | {values.policy_digest: values.policy}


def _prove(state: State, fact: Happened, body: f.PersonReached) -> None:
    message = state.values.messages.get(body.message or "")
    if message is not None:
        # a human answered: neither *delivered* nor a wrong "voicemail" says more than that
        sent = message.phase == "settled" and message.attempts > 0
        result: Result = "answered" if sent else message.result
        state.values.messages[message.key] = structs.replace(message, proof=body.proof, result=result)


def _close_question(state: State, key: str, fact: Happened) -> None:
    message = state.values.messages.get(key)
    if message is None or message.line is None:
        return
    state.values.questions[message.line] = tuple(
        structs.replace(question, open=False, closed_at=fact.at)
        if question.key == key and question.open
        else question
        for question in state.values.questions.get(message.line, ())
    )


def _note_reply(state: State, fact: Happened, body: f.ReplyKept) -> None:
    values = state.values
    if body.word == "stop":
        values.stopped_lines[body.line] = fact.at
    if body.answered:
        values.replies_to[body.line] = (*values.replies_to.get(body.line, ()), fact.at)[-5:]
    if body.waits:
        values.unread[body.line] = _unread(values.unread.get(body.line), fact, body)
        state.moved(TEXTS)


def _unread(known: Unread | None, fact: Happened, body: f.ReplyKept) -> Unread:
    """One more text of a line, beside those of it that nobody has answered."""
    before = known if known is not None and known.waits else None
    untold = before.untold if before is not None else None
    if untold is None and body.persons and not body.told:
        untold = fact.at
    return Unread(
        line=body.line,
        persons=body.persons,
        first_at=before.first_at if before is not None else fact.at,
        last_at=fact.at,
        count=before.count + 1 if before is not None else 1,
        last=fact.seq,
        words=(*(before.words if before is not None else ()), body.evidence)[-WORDS_KEPT:],
        untold=untold,
    )


def _texts_seen(state: State, fact: Happened, body: f.TextsSeen) -> None:
    unread = state.values.unread
    seen = structs.replace(
        unread[fact.subject], untold=None, seen_by=body.by, seen_at=fact.at, outcome=body.outcome
    )
    unread[fact.subject] = seen
    state.moved(TEXTS)


def _texts_told(state: State, fact: Happened, body: f.TextsTold) -> None:
    values = state.values
    values.texts_told_at, values.texts_again_at = fact.at, body.next_at
    for line, one in list(values.unread.items()):
        if one.untold is not None:
            values.unread[line] = structs.replace(one, untold=None)
    state.moved(TEXTS)


def _fold_placement(state: State, fact: Happened, seen: Fold) -> None:
    values = state.values
    known = values.placements.get(fact.subject)
    new = evolve_placement(known, fact.subject, fact.at, fact.policy, fact.body)
    ledger.fold(state, known, fact)
    state.moved(fact.subject)
    if new is None:
        values.placements.pop(fact.subject, None)
        values.placing_policies = _placing_in_use(state)
    else:
        values.placements[fact.subject] = new


def _provider(known: Provider | None, at: datetime, body: ProviderAdopted) -> Provider:
    said = body.provider
    rated = known.rated_since if known is not None and known.said.rating == said.rating else at
    return Provider(said=said, since=at, rated_since=rated)


def _fold_referral(state: State, fact: Happened, _: Fold) -> None:
    new = evolve_referral(state.values.referrals.get(fact.subject), fact)
    if new is None:
        state.values.referrals.pop(fact.subject, None)
    else:
        state.values.referrals[fact.subject] = new
    state.moved(fact.subject)
    if isinstance(fact.body, ReferralAnswered | ReferralLapsed) and new is not None:
        for line in list(state.values.questions):
            _close_asked(state, line, new.messages, fact)


def _adopt_placing(state: State, body: PlacingAdopted) -> None:
    values = state.values
    values.placing = {terms.kind: terms.digest for terms in body.terms}
    values.areas, values.mailbox = body.areas, body.mailbox
    values.placing_policies |= {terms.digest: decode_placing(terms.policy) for terms in body.terms}
    values.placing_policies = _placing_in_use(state)


def _placing_in_use(state: State) -> dict[str, PlacingPolicy]:
    values = state.values
    digests = {*values.placing.values(), *(placement.policy for placement in values.placements.values())}
    return {digest: policy for digest, policy in values.placing_policies.items() if digest in digests}


def _tidy(state: State, fact: Happened) -> None:
    """The roll-over drops what was carried long enough; open visits and alerts are never touched."""
    values = state.values
    span = max((policy.fair_share_span for policy in values.placing_policies.values()), default=None)
    if span is not None:
        ledger.tidy(state, fact.at - span)
    for line, questions in list(values.questions.items()):
        kept = tuple(q for q in questions if q.open or fact.at - _last_used(q) < SLOT_REST)
        if kept:
            values.questions[line] = kept
        else:
            del values.questions[line]
    for person, called_off in list(values.cancelled.items()):
        if fact.at - called_off[-1] > 2 * WEEK:
            del values.cancelled[person]
    for line, texts in list(values.texts.items()):
        if fact.at - texts[-1].at > TEXTS_LAST:
            del values.texts[line]
    for line, unread in list(values.unread.items()):
        stranger = fact.at - unread.last_at > WEEK and not unread.persons
        if stranger or (unread.seen_at is not None and fact.at - unread.seen_at > timedelta(days=1)):
            del values.unread[line]
    for ref, absence in list(values.absences.items()):
        if absence.ended_at is not None and fact.at - absence.ended_at > values.policy.closes_after:
            del values.absences[ref]
    for ref, weather in list(values.weathers.items()):
        ended, owed = weather.ended_at, weather.reported_at is None
        if ended is not None and not owed and fact.at - ended > 2 * WEEK:
            del values.weathers[ref]
    for line, times in list(values.replies_to.items()):
        if fact.at - times[-1] > timedelta(days=1):
            del values.replies_to[line]
    duty = {key for one in values.hand_overs.values() for key in one.messages}
    duty |= {key for referral in values.referrals.values() for key in referral.messages}
    since = state.calendar.day(fact.at) - values.policy.regular_for
    for person, known in list(values.regulars.items()):
        kept_known = {worker: last for worker, last in known.items() if last >= since}
        if kept_known:
            values.regulars[person] = kept_known
        else:
            del values.regulars[person]
    for key, message in list(values.messages.items()):
        its_visit = message.alert is None and message.visit in values.visits
        its_visit = its_visit or message.placement in values.placements
        if (
            message.phase == "settled"
            and message.alert not in values.alerts
            and not its_visit
            and key not in duty
        ):
            del values.messages[key]


_FOLDS: dict[type, Callable[[State, Happened, Fold], None]] = {
    **dict.fromkeys(VISIT_FACTS, _fold_visit),
    **dict.fromkeys(ALERT_FACTS, _fold_alert),
    **dict.fromkeys(MESSAGE_FACTS, _fold_message),
    **dict.fromkeys(WEATHER_FACTS, _fold_weather),
    **dict.fromkeys(PLACEMENT_FACTS, _fold_placement),
    **dict.fromkeys(REFERRAL_FACTS, _fold_referral),
}
"""By kind of fact; every other one is of the desk itself."""
