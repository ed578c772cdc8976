"""What the board says: closed lists of the contract in plain English, times as clocks, alerts in their sections.

Pure. Red is only for what needs a person; nothing here ever puts a visit itself in question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from monitor.core.inputs import AwayReason, RaisedBy, SpokeTo
from monitor.core.views import (
    STAGES,
    AlertKind,
    AlertView,
    AnswerphoneCame,
    BoardAlert,
    BoardView,
    BoardVisit,
    CandidateView,
    CheckReason,
    CheckView,
    ContactView,
    RecordLine,
    Safeguarding,
    Stage,
    TrackView,
    VisitView,
)

KINDS: dict[AlertKind, str] = {
    "late_visit": "no arrival",
    "second_worker_missing": "second care worker missing",
    "no_reply": "no reply at the door",
    "help_asked": "asked for help",
    "lone_worker": "care worker not checked out",
    "very_short": "left very early",
    "very_early": "came too early",
    "unknown_visit": "visit not known",
    "home_unconfirmed": "home from hospital not confirmed",
    "incident": "several visits, one cause",
    "rota": "the rota needs mending",
    "watch_fault": "the watch itself has a fault",
    "message": "a caller reached nobody",
    "placement": "a package of care is not placed",
    "away": "somebody who is away",
}
KINDS_BY_REASON: dict[str, str] = {
    "stopped_texts": "wants no more texts from us",
    "cancellations": "visits called off again and again",
    "wrong_pins": "many wrong PINs on the free number",
    "while_down": "we were down, and visits became due",
    "weather_report": "the report of the bad weather is overdue",
    "dont_come": "texted that nobody should come",
    "several_unplaced": "several packages not placed",
    "at_door": "writes of a door that nobody opens",
    "caller_asked": "asked for a person on the free number",
    "caller_rang": "rang us and reached nobody",
    "caller_silent": "rang the free number and was not understood",
    "caller_wrong_pins": "rang the free number without a right PIN",
    "caller_unrecorded": "rang to check in, and it could not be recorded",
}
"""Where the reason says more than the kind."""
_LATE_KINDS: frozenset[AlertKind] = frozenset({"late_visit", "second_worker_missing"})
_FIRST_KINDS: tuple[AlertKind, ...] = ("help_asked", "no_reply", "watch_fault")

ENDED = {
    "arrived": "the care worker arrived",
    "other_worker_arrived": "another care worker arrived",
    "replacement_arrived": "the replacement arrived",
    "late_evidence": "it was on time, and the record reached us late",
    "cancelled_confirmed": "a cancellation was confirmed by a supervisor",
    "outcome_recorded": "a named person recorded the outcome",
    "merged": "it is part of another alert",
}

RECORDINGS: dict[AnswerphoneCame, str] = {
    "words": "A message was left",
    "nothing": "They rang, reached nobody, and said nothing",
    "unknown": "They rang and reached nobody; what they left has not come to us",
}

TRACKS = {
    "summon": "Person on duty",
    "reassure": "Service user",
    "locate": "Care worker",
    "replace": "Replacement",
    "inform": "Next of kin and council",
}
STEPS = {
    "waiting": "waiting its turn",
    "trying": "trying now",
    "reached": "reached",
    "not_reached": "not reached",
    "skipped": "set aside by the plan",
    "done": "done",
}

STANDS: dict[tuple[str, str], str] = {
    ("skipped", "in_incident"): "told of it by the alert of its cause",
    ("reached", "in_incident"): "has it with the alert of its cause",
    ("skipped", "in_digest"): "told of it with everything else of that time",
    ("skipped", "at_door"): "told of it by the alert about the door",
    ("reached", "at_door"): "somebody is at the door",
    ("done", "at_door"): "rests while somebody is at the door",
    ("trying", "open_offers"): "all who could go have other offers to answer first",
    ("trying", "room"): "asked who had answered another offer",
}
"""Where a track stands, by its step and its reason, if both together say it better."""


def stands(track: TrackView) -> str:
    """Where a track stands, and why."""
    said = STANDS.get((track.step, track.reason))
    return said or ", ".join(part for part in (STEPS[track.step], track.reason.replace("_", " ")) if part)


# whom a message was for, and never that they were reached: only an answer is contact
PURPOSES = {
    "ask_worker": "question to the care worker",
    "summon": "person on duty",
    "reassure": "service user",
    "locate": "search for the care worker",
    "offer": "offer of the visit",
    "tell_replacement": "word on who comes",
    "inform_next_of_kin": "next of kin",
    "inform_council": "council",
    "stand_down": "word that it is over",
    "notice": "notice",
    "join": "call to be joined to an open line",
    "practice": "practice call",
    "package": "package of care",
    "weather": "news of the bad weather",
}
CHANNELS = {"sms": "text", "call": "telephone", "email": "e-mail", "page": "this page", "person": "in person"}
RESULTS = {
    "intended": "queued",
    "attempted": "being sent",
    "delivered": "delivered, no answer yet",
    "answered": "answered",
    "voicemail": "voicemail, which is not contact",
    "busy": "busy",
    "no_answer": "no answer",
    "failed": "could not be sent",
    "cancelled": "not sent, no longer needed",
    "rehearsed": "would have been sent",
}

STAGE_WORDS: dict[Stage, str] = {
    "late": "late",
    "missed": "missed",
    "due": "due now",
    "arrived": "care worker is there",
    "planned": "to come",
    "left": "done",
    "cancelled": "cancelled, confirmed",
    "away": "away from home",
}
SIGNALS = {
    "known": "",
    "dark:device": "telephone silent",
    "dark:feed": "feed silent",
    "dark:broker": "broker away",
    "dark:clock": "clock in doubt",
}
PACKAGES = {
    "unnamed": "nobody is named yet",
    "called_off": "the council has it back, and the visit is called off",
    "kept": "the council has it back, and the visit is yours until you call it off",
}
VERDICTS = {
    "on_time": "on time",
    "late": "late",
    "early": "early",
    "short": "short",
    "overrun": "ran over",
    "place_inconsistent": "far from the home",
    "place_unclear": "place not clear",
    "manual": "entered by hand",
    "other_worker": "other care worker",
    "late_evidence": "record reached us late",
    "left_time_unknown": "time of leaving not known",
    "while_away": "checked in while marked away",
    "clock_doubtful": "a device's clock is not believed: the time at which it reached us was taken",
}

CAUSES = {
    "worker_dark": "Nothing is known of one care worker's telephone",
    "broker_dark": "No check-ins from any telephone: the broker is away",
    "feed_dark": "No check-ins from any telephone: what brings them is away",
    "worker_late": "One care worker is late at several visits",
    "line_late": "Several people on one telephone line",
    "several_late": "Several became late within a minute",
    "several_unplaced": "Several packages could not be placed within a minute",
}
"""What the alerts of an incident have in common, by its reason."""
DARK = {"device": "telephone dark", "feed": "feed dark", "broker": "broker dark", "clock": "clock in doubt"}

RISKS = {
    "still_at_last": "care worker still at the visit before, or late in the run",
    "too_far": "care worker too far away to be there in time",
    "phone_dark": "care worker's telephone silent",
}
"""Why a visit may become late (`risk` of a visit)."""
NO_CHECK_OUT = {
    "check_out_silent": "Asked by text and telephone whether they have left, and not answered",
    "check_out_ring_me": "They have asked to be rung",
    "check_out_dark": "Asked whether they have left; their telephone is off the network",
    "check_out_not_asked": "There was no way to ask whether they have left",
}
"""Why a care worker who has not checked out is looked for, by the reason of the alert."""
CHECK_OUTS = {
    "waiting": "no check-out yet, not asked",
    "texted": "no check-out: care worker texted",
    "again": "no check-out: care worker is rung once more",
    "rung": "no check-out: care worker rung",
    "on_call": "no check-out: the person on duty is asked to look",
    "left": "left, as the care worker says",
    "still_here": "still there, as the care worker says",
    "ring_me": "no check-out: care worker wants to be rung",
}
"""What is known of a check-out that did not come (`check_out` of a place)."""
AT_RISK_WITHIN = timedelta(hours=1)

ROW_PROBLEMS = {
    "no_person": "no service user",
    "no_time": "no time that can be read",
    "unknown_service_user": "service user not known",
}

PUBLIC = {
    "off": (
        "Public messages are off. Nobody outside the office is rung or texted; what would have been sent is shown here."
    ),
    "ask": "Public messages wait a little for the person on duty, then go out by themselves.",
    "auto": "Public messages go out by themselves.",
}

CLOSE_REASONS = {
    "seen_well": "A named person saw or spoke to them: all right",
    "visit_made": "The visit was made, and was not checked in",
    "taken_to_hospital": "They were taken to hospital",
    "away": "They are away, and who said so is in the note",
    "cancelled_confirmed": "A cancellation, confirmed by a supervisor with them or their next of kin",
    "raised_in_error": "The alert was raised in error",
    "asleep": "A short visit: they were asleep, as heard on the telephone",
    "declined": "A short visit: they declined, as heard on the telephone",
    "family_there": "A short visit: family was there, as heard on the telephone",
    "other": "Something else, told in the note",
}
"""Reason codes of `close` that the page offers."""
_OF_SHORT = frozenset({"asleep", "declined", "family_there"})
"""Why a visit was very short (spec 21.4): of that alert alone, which no cancellation ends."""
_OF_PACKAGE = frozenset({"other"})
_DECIDED_THERE = frozenset({"undecided", "unconfirmed"})
"""Reasons of alerts about a package that wait for a decision, which is made on the package's page."""


def close_reasons(alert: AlertView) -> dict[str, str]:
    """Those that are offered for this alert: what would be refused is not. About a package nobody is at a door."""
    if alert.kind == "placement":
        offered = _OF_PACKAGE if alert.reason not in _DECIDED_THERE else frozenset()
    elif alert.kind == "very_short":
        offered = frozenset(CLOSE_REASONS) - {"cancelled_confirmed"}
    else:
        offered = frozenset(CLOSE_REASONS) - _OF_SHORT
    return {code: text for code, text in CLOSE_REASONS.items() if code in offered}


CHECK_REASONS: dict[CheckReason, str] = {
    "missed": "the visit was missed",
    "unreached": "they could not be reached",
    "help": "help was asked",
    "no_reply": "nobody answered the door",
    "breach": "nobody was sent within the hour",
}
"""Why an alert needs the manager's check (10.4)."""
SAFEGUARDING: dict[Safeguarding, str] = {
    "raised": "a safeguarding concern was raised",
    "not_raised": "a safeguarding concern was considered and not raised",
}

RAISED_BY: dict[RaisedBy, str] = {
    "service_user": "They themselves",
    "next_of_kin": "Their next of kin",
    "family": "Somebody else of the family",
    "care_worker": "A care worker passed it on",
    "council": "The council",
}
"""Who asked for a visit to be called off (spec 7.26-7.27)."""

AWAY_REASONS: dict[AwayReason, str] = {
    "hospital": "In hospital",
    "respite": "In respite",
    "family": "With family",
    "day_centre": "At a day centre",
    "other": "Away",
}
SPOKE_TO: dict[SpokeTo, str] = {
    "service_user": "They themselves",
    "next_of_kin": "Their next of kin",
    "place": "The ward, respite home or day centre",
}
"""With whom a member of staff has spoken about an absence."""


# --- times ---


def local(at: datetime, zone: str) -> datetime:
    """An instant on the desk's own clocks."""
    return at.astimezone(ZoneInfo(zone))


def is_change_day(at: datetime, zone: str) -> bool:
    """Do the desk's clocks change on this local day? Only then is the zone written beside a time."""
    day = local(at, zone).date()
    where = ZoneInfo(zone)
    starts = datetime.combine(day, time(), where)
    ends = datetime.combine(day + timedelta(days=1), time(), where)
    return starts.utcoffset() != ends.utcoffset()


def clock(at: datetime | None, zone: str, now: datetime | None = None) -> str:
    """`07:30`; with the day when it is another than today; with the zone on a day on which the clocks change."""
    if at is None:
        return ""
    here = local(at, zone)
    text = here.strftime("%H:%M")
    if is_change_day(at, zone):
        text += f" {here.tzname()}"
    if now is not None and here.date() != local(now, zone).date():
        text = f"{here.strftime('%a %-d %b')}, {text}"
    return text


def dated(at: datetime, zone: str) -> str:
    """`Tue 1 Jan 2030, 10:00`: a time that may be years away, and was said by a clock that is wrong."""
    here = local(at, zone) if 1900 <= at.year <= 9000 else at  # beyond them a zone may lead out of all years
    return here.strftime(f"%a %-d %b {here.year}, %H:%M")


def span(seconds: float) -> str:
    """A duration as people say it: `12 s`, `38 min`, `2 h 05 min`, `3 d`. Never negative."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d"


def since(at: datetime, now: datetime) -> str:
    """How long ago."""
    return span((now - at).total_seconds())


def until(at: datetime, now: datetime) -> str:
    """`06:40` while it is less than an hour away, `now` once it has come."""
    left = int((at - now).total_seconds())
    if left <= 0:
        return "now"
    return f"{left // 60:02d}:{left % 60:02d}" if left < 3600 else span(left)


# --- alerts ---


def counts_from(alert: AlertView, start: datetime | None) -> datetime:
    """From when the alert's clock counts: the planned start of a visit that is late, else the alert itself."""
    return start if start is not None and alert.kind in _LATE_KINDS else alert.opened_at


def is_late_kind(kind: AlertKind) -> bool:
    """Does its clock say "late" rather than "ago"?"""
    return kind in _LATE_KINDS


def _urgency(one: BoardAlert) -> tuple[int, bool, datetime]:
    kind = one.alert.kind
    rank = _FIRST_KINDS.index(kind) if kind in _FIRST_KINDS else len(_FIRST_KINDS)
    return rank, not one.alert.time_critical, counts_from(one.alert, one.start)


def in_state(alerts: Sequence[BoardAlert], state: Literal["open", "taken"]) -> list[BoardAlert]:
    """The alerts of one section, the most pressing first: help, the door, time-critical, then the longest. An incident
    stands before the alerts of its visits: it is as pressing as the most pressing of them."""
    found = [one for one in alerts if one.alert.state == state]
    pressing: dict[str, tuple[int, bool, datetime]] = {}
    for one in found:
        for key in {one.alert.id, one.alert.incident or one.alert.id}:
            pressing[key] = min(pressing.get(key, _urgency(one)), _urgency(one))
    return sorted(found, key=lambda one: (pressing[one.alert.id], one.alert.kind != "incident"))


def kind(alert: AlertView) -> str:
    """What it is about, as its heading says it."""
    return _kind(alert.kind, alert.reason)


def _kind(kind: AlertKind, reason: str) -> str:
    return KINDS_BY_REASON.get(reason, KINDS[kind]) if kind in ("incident", "help_asked") else KINDS[kind]


class Line(Struct, frozen=True, kw_only=True):
    """One line of an alert's record. `tone`: person (a human answered), open (under way), quiet.

    `whom` is an id, for which the page shows the name; `words` is what somebody wrote.
    """

    at: datetime
    what: str
    whom: str
    how: str
    result: str
    proof: str
    tone: Literal["person", "open", "quiet"]
    words: str = ""
    said_at: datetime | None = None
    """What the clock of a device said, which is not believed."""


def timeline(alert: AlertView) -> list[Line]:
    """The record of an alert, newest first, one line an event."""
    lines = [_contact_line(one) for one in alert.contacts]
    lines.append(_plain(alert.opened_at, f"Alert raised: {kind(alert)}", alert.reason))
    if alert.taken_at is not None:
        lines.append(_plain(alert.taken_at, "Taken", "", whom=alert.taken_by or ""))
    if alert.ended_at is not None and alert.ended_reason is not None:
        lines.append(_plain(alert.ended_at, "Ended", ENDED[alert.ended_reason]))
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _plain(at: datetime, what: str, result: str, whom: str = "") -> Line:
    return Line(at=at, what=what, whom=whom, how="", result=result.replace("_", " "), proof="", tone="quiet")


def _contact_line(one: ContactView) -> Line:
    result = RESULTS[one.result]
    if one.possibly_repeated:
        result += "; possibly sent twice"
    if one.unrecorded_at_send:
        result += "; sent before it could be put on disk"
    under_way = one.result in ("intended", "attempted", "delivered")
    return Line(
        at=one.settled_at or one.attempted_at or one.intended_at,
        what=PURPOSES[one.purpose].capitalize(),
        whom=one.person or "",
        how=CHANNELS[one.channel],
        result=result,
        proof=proof(one.proof),
        tone="person" if one.proof else "open" if under_way else "quiet",
    )


def proof(code: str | None) -> str:
    """`key:1` as words: what a human did that proves contact."""
    kind, _, value = (code or "").partition(":")
    words = {
        "key": f"pressed {value}",
        "reply": f"replied {value}",
        "link": "confirmed by the link",
        "person": f"recorded by {value}",
    }
    return words.get(kind, "")


# --- the record out of the journal ---

EVENTS: dict[str, str] = {
    "AlertRaised": "Alert raised",
    "AlertTaken": "Taken",
    "AlertLapsed": "Taking lapsed",
    "AlertEnded": "Ended",
    "AlertGathered": "Told to staff together with others of one cause",
    "OffersHeld": "Asked later, other offers to answer first",
    "TellingWaits": "To be told to staff, with others",
    "StaffTold": "Told to staff",
    "CouncilMoved": "Council",
    "LineWaits": "Open line kept",
    "LinesJoined": "Lines joined",
    "LineLeft": "Open line ended",
    "AnswerphoneBegan": "Caller asked to leave a message",
    "AnswerphoneEnded": "Answerphone",
    "ReplacementAccepted": "Goes instead",
    "ReplacementDeclined": "Does not go",
    "ReplyKept": "Wrote back",
    "VisitLooked": "No arrival yet, looked at",
    "WorkerAnswered": "Care worker said",
    "VisitReplanned": "Plan changed",
    "VisitCancelled": "Visit cancelled",
    "VisitAway": "Marked away",
    "VisitBack": "Watched again",
    "VisitMissed": "Visit missed",
    "MissWithdrawn": "Not missed after all",
    "CheckInRecorded": "Check-in",
    "ArrivalRecorded": "Arrived",
    "DepartureRecorded": "Left",
    "CheckOutAsked": "No check-out, looked at",
    "CheckOutAnswered": "Care worker said",
    "DepartureWithdrawn": "Back at the visit",
    "NearRecorded": "Near the home",
    "AnswerHeard": "Answered an older question",
    "WatchFault": "Fault of the watch",
    "HomeConfirmed": "Home confirmed",
    "CheckWanted": "Manager's check wanted",
    "CheckRecorded": "Manager's check",
    "NoticeWanted": "Written notice to the council (17.2) owed",
    "NoticeAnswered": "Written notice to the council (17.2)",
    "NoticeReturned": "Written notice to the council could not be mailed",
}
UNSHOWN = frozenset({"MessageAccepted", "MessageChased", "AlertClosed"})
"""Steps between us and the network, which tell a person nothing."""
ACTIONS = {
    "take": "Took it",
    "hand_over": "Handed it over",
    "spoke_service_user": "Spoke to the service user",
    "spoke_care_worker": "Spoke to the care worker",
    "assign_replacement": "Sent somebody",
    "told_next_of_kin": "Told the next of kin",
    "told_council": "Told the council",
    "pause": "Stopped the calls to the service user",
    "stop_track": "Stopped",
    "do_now": "Told to go on now",
    "note": "Note",
    "close": "Recorded the outcome",
    "check": "Checked it, and wrote",
    "confirm_home": "Confirmed that they are home",
    "send_notice": "Sent the written notice to the council",
    "no_notice": "Said that no written notice is sent",
}
ANSWERS = {
    "there": "is there",
    "on_my_way": "is on the way",
    "cannot": "cannot get there",
    "left": "has left",
    "still_here": "is still there",
    "ring_me": "wants to be rung",
    "spoke": "spoken to",
    "take": "has it",
    "dont_come": "asked that nobody comes: the visit stays in place",
}
PARTS = {
    "free": "free",
    "near": "near",
    "skills": "skills",
    "preference": "preference",
    "continuity": "knows them",
    "hours_left": "hours left",
}
BARRED = {
    "excluded": "not for this person",
    "never_tell": "must not be told",
    "skills": "lacks a skill that is needed",
    "no_line": "no telephone",
    "not_their_hours": "takes no offers at this time",
    "busy": "at another visit for too long",
    "too_far": "too far away",
    "on_this_visit": "planned for this visit already",
    "open_offers": "has other offers to answer first",
}
TEXTS_SHOWN = 8
"""So many lines of texts stand on the board itself; their page has all."""
TEXT_ROLES = {
    "service_user": "service user",
    "care_worker": "care worker",
    "contact": "next of kin",
    "staff": "staff",
    "provider": "provider",
}
TEXT_OUTCOMES = {"seen": "seen", "answered": "answered"}


ROLES = {
    "service_user": "service user",
    "speaker": "speaks for them",
    "care_worker": "care worker",
    "replacement": "goes instead",
    "next_of_kin": "next of kin",
    "council": "council",
    "staff": "on duty",
}


def in_order(tracks: Sequence[TrackView]) -> list[TrackView]:
    """The tracks in the order of the procedure, whichever moved last."""
    return sorted(tracks, key=lambda track: list(TRACKS).index(track.name))


def record(lines: Sequence[RecordLine], names: Mapping[str, str]) -> list[Line]:
    """The record as it is shown, newest first: one line an event, and none for steps that tell a person nothing."""
    left = {one.subject for one in lines if one.kind in ("MessageAttempted", "MessageSettled")}
    return [_event(one, names) for one in reversed(lines) if _is_shown(one, left)]


def _is_shown(one: RecordLine, left: Container[str]) -> bool:
    if one.kind == "AnswerHeard":
        return one.reason == "stale"
    return one.kind not in UNSHOWN and not (one.kind == "MessageIntended" and one.subject in left)


def _event(one: RecordLine, names: Mapping[str, str]) -> Line:
    said = [_result(one), _about(one, names), checked(one)]
    if one.said_at is not None and one.kind in ("ArrivalRecorded", "DepartureRecorded"):
        said.append("the time at which it reached us was taken")
    if one.possibly_repeated:
        said.append("possibly sent twice")
    if one.unrecorded_at_send:
        said.append("before it could be put on disk")
    answered = one.proof is not None or one.kind in ("AlertTaken", "ActionRecorded", "ReplyKept")
    under_way = one.kind in ("MessageIntended", "MessageAttempted")
    return Line(
        at=one.at,
        what=_what(one),
        whom=one.who or "",
        how=CHANNELS[one.channel] if one.channel is not None else "",
        result="; ".join(part for part in said if part),
        proof=proof(_named(one.proof, names)),
        tone="person" if answered else "open" if under_way else "quiet",
        words="no longer kept" if one.words_erased else one.words or "",
        said_at=one.said_at,
    )


def _what(one: RecordLine) -> str:
    if one.track is not None and one.kind == "TrackMoved":
        return TRACKS[one.track]
    if one.action is not None:
        at = f": {TRACKS[one.track].lower()}" if one.track is not None else ""
        return ACTIONS.get(one.action, one.action.replace("_", " ").capitalize()) + at
    if one.kind in EVENTS:
        return EVENTS[one.kind]
    if one.purpose is not None:
        return PURPOSES[one.purpose].capitalize()
    # a kind that nobody has found words for yet is at least read as words
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", one.kind).capitalize()


def _result(one: RecordLine) -> str:
    result, reason = one.result or "", (one.reason or "").replace("_", " ")
    if one.kind in ("TrackMoved", "CouncilMoved"):
        if (one.result, one.reason) in STANDS:
            return STANDS[one.result or "", one.reason or ""]
        result = STEPS.get(result, result)
    elif one.kind == "AlertRaised":
        result = KINDS.get(result, result)  # type: ignore[call-overload]
    elif one.kind == "AlertEnded":
        result = ENDED.get(result, result)
    elif one.kind == "MessageIntended":
        result = RESULTS["intended"]
    elif (one.channel, result) == ("call", "attempted"):
        result = "being rung"
    else:
        result = ANSWERS.get(result) or RESULTS.get(result) or result.replace("_", " ")
    same = one.reason in ("stale", one.result)
    return ", ".join(part for part in (result, "" if same else reason) if part)


def _about(one: RecordLine, names: Mapping[str, str]) -> str:
    parts = []
    if one.to is not None:
        parts.append(names.get(one.to, one.to))
    parts += [names.get(who, who) for who in one.people]
    if one.by is not None:
        parts.append(f"by {names.get(one.by, one.by)}")
    if one.minutes is not None:
        parts.append(f"{one.minutes} min")
    return ", ".join(parts)


def check_reasons(check: CheckView) -> str:
    """Why it needs the check: `the visit was missed; nobody was sent within the hour`."""
    return "; ".join(CHECK_REASONS[reason] for reason in check.reasons)


def checked(one: RecordLine | CheckView) -> str:
    """A manager's three answers: what was said, and no finding (10.3)."""
    if one.adequate is None or one.safeguarding is None or one.serious_incident is None:
        return ""
    adequate = "action adequate" if one.adequate else "action not adequate"
    serious = "serious incident" if one.serious_incident else "no serious incident"
    return f"{adequate}; {SAFEGUARDING[one.safeguarding]}; {serious}"


def _named(proof: str | None, names: Mapping[str, str]) -> str | None:
    """`person:st-1` with the name in place of the id."""
    kind, _, value = (proof or "").partition(":")
    return f"person:{names.get(value, value)}" if kind == "person" else proof


def score(one: CandidateView) -> str:
    """A candidate's points in their parts: `free 40, near 17`."""
    return ", ".join(f"{PARTS.get(name, name)} {points:+d}" for name, points in one.parts.items() if points)


def tel(number: str) -> str:
    """A number as people dial it."""
    return "0" + number[3:] if number.startswith("+44") else number


# --- what a person pressed, and could not have ---

TRIED = {
    "take": "take it on",
    "hand_over": "hand it over",
    "spoke_service_user": "record that you spoke to the service user",
    "spoke_care_worker": "record what the care worker said",
    "assign_replacement": "send somebody",
    "told_next_of_kin": "record that you told the next of kin",
    "told_council": "record that you told the council",
    "stop_track": "stop a part of the procedure",
    "do_now": "make a part of the procedure go on now",
    "note": "add a note",
    "close": "record the outcome",
    "check": "answer the manager's check",
    "confirm_home": "confirm that they are home",
    "send_notice": "send the written notice to the council",
    "no_notice": "say that no written notice is sent",
}


# --- the day ---


class StageRow(Struct, frozen=True, kw_only=True):
    """One stage of today with the visits that it counts."""

    stage: Stage
    words: str
    visits: tuple[BoardVisit, ...]


def by_stage(visits: Sequence[BoardVisit]) -> list[StageRow]:
    """Every stage that has visits, the one that needs eyes first."""
    assert set(STAGE_WORDS) == set(STAGES)
    rows = (
        StageRow(
            stage=stage,
            words=words,
            visits=tuple(sorted((v for v in visits if v.visit.stage == stage), key=lambda v: v.visit.start)),
        )
        for stage, words in STAGE_WORDS.items()
    )
    return [row for row in rows if row.visits]


def at_risk(view: BoardView) -> list[BoardVisit]:
    """The visits of the next hour that may become late, and those that have begun so, by their start."""
    until_ = view.now + AT_RISK_WITHIN
    found = [one for one in view.visits if one.visit.risk is not None and one.visit.start <= until_]
    return sorted(found, key=lambda one: (one.visit.start, one.visit.id))


ENDS_AFTER = (2, 4, 6, 9, 12, 18, 24, 36, 47)
"""Hours after which bad weather may be said to end."""


def ends_in(zone: str, now: datetime) -> list[tuple[str, str]]:
    """Ends of bad weather that may be chosen, on the full hour: the instant, and how it is written."""
    found = []
    for hours in ENDS_AFTER:
        at = (now + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        found.append((at.isoformat(), clock(at, zone, now)))
    return found


LEFT_OUT = {
    "summons": "calls to staff about one visit, told in a bundle",
    "offers": "searches for somebody else to go",
    "hour_warning": "warnings that the hour runs out",
    "council_breach": "mails to the council about one visit",
}
"""What declared bad weather leaves out, as a count is read."""
RUNG = {
    "rung": "spoken to",
    "answered": "has answered us",
    "visited": "somebody of ours has been there",
}
"""How it is known of somebody on that list that they need not be rung any more."""
TO_RING = {
    "person_only": "by plan a person rings",
    "nobody_speaks": "nobody speaks for them",
    "no_line": "no line that a machine may use",
    "not_reached": "did not answer",
}
"""Why a person is to ring somebody about the weather."""


def remarks(visit: VisitView) -> list[str]:
    """What is to be said of a visit beside its stage."""
    parts = ["time critical"] if visit.time_critical else []
    if visit.package is not None:
        parts.append(f"first visit of a package: {PACKAGES[visit.package]}")
    if visit.family_cover is not None:
        parts.append("covered by family, nobody of ours was there")
    if visit.risk is not None:
        parts.append(f"at risk: {RISKS.get(visit.risk, visit.risk.replace('_', ' '))}")
    parts += [CHECK_OUTS.get(code, code.replace("_", " ")) for code in check_outs(visit)]
    if visit.signal != "known":
        parts.append(f"unknown: {SIGNALS[visit.signal]}")
    return parts + [VERDICTS.get(code, code.replace("_", " ")) for code in visit.verdicts]


def check_outs(visit: VisitView) -> list[str]:
    """What is known of the check-outs that did not come, each once."""
    return list(dict.fromkeys(place.check_out for place in visit.places if place.check_out is not None))


def not_checked_out(view: BoardView) -> list[BoardVisit]:
    """The visits from which a check-out is asked for now, before anybody looks for the care worker, by their end."""
    waits = {"texted", "again", "rung", "still_here"}
    found = [one for one in view.visits if not waits.isdisjoint(check_outs(one.visit))]
    return sorted(found, key=lambda one: (one.visit.end, one.visit.id))


Shade = Literal["alert", "unknown", "there", "coming", "done"]
SHADES: dict[Shade, str] = {
    "alert": "late",
    "unknown": "unknown",
    "there": "there now",
    "coming": "to come",
    "done": "done",
}


def shade(one: BoardVisit) -> Shade:
    """How a visit is drawn in the strip of the day. Late is late, also where its telephone is dark."""
    visit = one.visit
    if visit.stage in ("late", "missed"):
        return "alert"
    if visit.stage in ("left", "cancelled", "away"):
        return "done"
    if visit.signal != "known":
        return "unknown"
    return "there" if visit.stage == "arrived" else "coming"


class Hour(Struct, frozen=True, kw_only=True):
    """One column of the day's strip: visits by shade, and its height in twentieths of the fullest hour."""

    label: str
    total: int
    height: int
    parts: tuple[tuple[Shade, int], ...]
    now: bool


def hours(view: BoardView) -> list[Hour]:
    """Today's planned starts, hour by hour on the desk's clocks, without gaps."""
    counts: dict[int, Counter[Shade]] = {}
    for one in view.visits:
        counts.setdefault(local(one.visit.start, view.zone).hour, Counter())[shade(one)] += 1
    if not counts:
        return []
    fullest = max(sum(counter.values()) for counter in counts.values())
    here = local(view.now, view.zone).hour
    return [
        _hour(hour, counts.get(hour, Counter()), fullest, here)
        for hour in range(min(counts), max(counts) + 1)
    ]


def _hour(hour: int, counter: Counter[Shade], fullest: int, here: int) -> Hour:
    total = counter.total()
    return Hour(
        label=f"{hour:02d}",
        total=total,
        height=-(-20 * total // fullest),
        # above about thirty in one hour the parts are drawn to scale, never rounded away
        parts=tuple((name, max(1, round(30 * counter[name] / total))) for name in SHADES if counter[name]),
        now=hour == here,
    )


REFERRAL_KINDS = {
    "standard": "standard",
    "discharge": "discharge from hospital",
    "palliative": "palliative",
    "children": "children",
}
REFERRAL_SOURCES = {"api": "by a program", "page": "logged here", "email": "by e-mail"}
REFERRAL_MARKS = {"arrival": "at its arrival", "half": "at half time", "last": "when little time was left"}
REFERRAL_OUTCOMES = {
    "bid": "Bid",
    "declined": "Declined",
    "too_late": "Too late to answer",
    "withdrawn": "Withdrawn by the council",
}
DECLINED_FOR = {
    "no_capacity": "no capacity",
    "no_skills": "no skills for it",
    "area": "outside our area",
    "hours": "the hours do not fit",
    "start": "cannot start in time",
    "rate": "the rate",
    "other": "another reason",
}
