"""What the API and the board show of a desk, in the caller's own ids. Reads state and directory; changes nothing."""

from __future__ import annotations

from datetime import date, datetime
from functools import cached_property
from typing import Any

from escalation.track import Track
from monitor.core.alerts import CHECK_OUT_WORDS, STOPPED_TEXTS
from monitor.core.causes import is_incident, round_of
from monitor.core.signals import signal_of, silent_workers
from monitor.core.state import Absence, Alert, Check, Message, Notice, Place, Spoken, State, Visit
from monitor.core.views import (
    AbsenceView,
    AlertView,
    AwayPage,
    BoardAbsence,
    BoardAlert,
    BoardView,
    BoardVisit,
    CheckView,
    ContactView,
    DarkView,
    DeathView,
    LineView,
    NoticeView,
    PackageVisit,
    PlaceView,
    RecordingView,
    Signal,
    Stage,
    TrackView,
    UnwatchedRow,
    VisitView,
    WrongNumberView,
)
from monitor.directory import Directory
from monitor.weather_view import cover_view, weather_view

ELECTRONIC = frozenset({"pressed", "region", "two_fixes", "tag", "line"})


class Reads:
    """Views of one desk, taken at one moment."""

    def __init__(self, state: State, directory: Directory) -> None:
        self._state, self._directory = state, directory

    # --- visits ---

    def visits(self, day: date, now: datetime) -> list[VisitView]:
        """Visits whose planned start lies on that local day, by start."""
        found = [v for v in self._state.values.visits.values() if self._state.calendar.day(v.start) == day]
        return [self.visit(visit, now) for visit in sorted(found, key=lambda v: (v.start, v.ref))]

    def visit(self, visit: Visit, now: datetime) -> VisitView:
        """One visit."""
        out = self._directory.outside
        return VisitView(
            id=out(visit.ref),
            subject=visit.ref,
            service_user=out(visit.service_user),
            start=visit.start,
            end=visit.end,
            late_at=visit.late_at,
            stage=stage_of(visit, now),
            signal=self.signal(visit),
            verdicts=visit.verdicts,
            places=tuple(self._place(place) for place in visit.places),
            alert=visit.alerts[0] if visit.alerts else None,
            time_critical=visit.time_critical,
            planned=tuple(out(worker) for worker in visit.workers),
            kind=visit.kind,
            agreed_start=visit.agreed_start,
            conditional=visit.conditional or ("home_confirmed" if visit.returns is not None else None),
            home_confirmed_at=visit.home_at,
            risk=None if visit.all_there or visit.over or visit.alerted else visit.risk,
            family_cover=cover_view(self._state, self._directory, visit)
            if self._state.values.weathers
            else None,
            package=package_of(visit),
        )

    def _place(self, place: Place) -> PlaceView:
        who = place.worker if place.arrived_at is not None else place.planned
        evidence = None if place.proof is None else "electronic" if place.proof in ELECTRONIC else place.proof
        return PlaceView(
            worker=self._directory.outside(who) if who else None,
            arrived=place.arrived_at,
            left=place.left_at,
            evidence=evidence,
            check_out=place.leaving.step if place.leaving is not None else None,
            arrived_said=place.arrived_said,
            left_said=place.left_said,
        )

    def signal(self, visit: Visit) -> Signal:
        """Known, or dark with its cause (design rule 4)."""
        return signal_of(self._state, visit, self.silent)

    @cached_property
    def silent(self) -> frozenset[str]:
        """Care workers of whom nothing is known."""
        return silent_workers(self._state, self._directory.worker_of)

    # --- alerts ---

    def alerts(
        self, now: datetime, *, only_open: bool, unchecked: bool = False, unwritten: bool = False
    ) -> list[AlertView]:
        """Newest first. `unchecked`: only those that wait for the manager's check; `unwritten`: only those of which the
        written notice to the council waits."""
        found = [a for a in self._state.values.alerts.values() if not only_open or a.state != "ended"]
        if unchecked:
            found = [alert for alert in found if alert.ref in self._state.unchecked]
        if unwritten:
            found = [alert for alert in found if alert.ref in self._state.unwritten]
        return [self.alert(alert, now) for alert in sorted(found, key=lambda a: a.opened_at, reverse=True)]

    def alert(self, alert: Alert, now: datetime) -> AlertView:
        """One alert with its tracks and contacts."""
        out = self._directory.outside
        return AlertView(
            id=alert.ref,
            kind=alert.kind,
            visit=out(alert.visit) if alert.visit else None,
            service_user=out(alert.service_user) if alert.service_user else None,
            due_at=alert.due_at,
            opened_at=alert.opened_at,
            lateness_s=max((alert.opened_at - alert.due_at).total_seconds(), 0.0),
            state=alert.state,
            ended_reason=alert.ended_reason,
            ended_at=alert.ended_at,
            tracks=tuple(self._track(track) for track in alert.tracks),
            contacts=self._contacts(alert),
            taken_by=out(alert.taken_by) if alert.taken_by else None,
            taken_at=alert.taken_at,
            time_critical=alert.time_critical,
            reason=alert.reason,
            lines=tuple(
                LineView(
                    person=out(held.person),
                    other=out(held.other) if held.other else None,
                    since=held.since,
                    joined_at=held.joined_at,
                    ended_at=held.ended_at,
                    came=held.came,
                )
                for held in alert.lines
            ),
            visits=self._round(alert, now),
            incident=alert.incident,
            check=self.check(alert.check) if alert.check is not None else None,
            notice=self.notice(alert.notice) if alert.notice is not None else None,
            recordings=tuple(
                RecordingView(at=one.at, came=one.came, seconds=one.seconds) for one in alert.recordings
            ),
            absences=tuple(
                self.absence(absence)
                for absence in self._state.values.absences.values()
                if absence.service_user == alert.service_user and absence.ended_at is None
            ),
            placement=out(alert.placement) if alert.placement else None,
            person=out(said) if (said := _said_by(alert)) is not None else None,
        )

    def check(self, check: Check) -> CheckView:
        """The manager's check of an alert."""
        return CheckView(
            reasons=check.reasons,
            due_at=check.due_at,
            by=self._directory.outside(check.by) if check.by else None,
            at=check.at,
            adequate=check.adequate,
            safeguarding=check.safeguarding,
            serious_incident=check.serious_incident,
        )

    def notice(self, notice: Notice) -> NoticeView:
        """The written notice of 17.2 of an alert."""
        out, messages = self._directory.outside, self._state.values.messages
        calls = [messages[key] for key in notice.calls if key in messages]
        mail = messages.get(notice.message or "")
        return NoticeView(
            desk=out(notice.desk),
            calls=tuple(call.attempted_at or call.intended_at for call in calls),
            offer_at=notice.offer_at,
            due_at=notice.due_at,
            by=out(notice.by) if notice.by else None,
            at=notice.at,
            sent=notice.sent,
            result=mail.result if mail is not None else None,
        )

    def unwritten(self) -> list[Alert]:
        """Those of which the written notice waits, the first due first."""
        found = [self._state.values.alerts[ref] for ref in self._state.unwritten]
        return sorted(found, key=lambda a: (a.notice.due_at if a.notice else a.opened_at, a.ref))

    def unchecked(self) -> list[Alert]:
        """Those that wait for the manager's check, the first due first."""
        found = [self._state.values.alerts[ref] for ref in self._state.unchecked]
        return sorted(found, key=lambda a: (a.check.due_at if a.check else a.opened_at, a.ref))

    def _round(self, alert: Alert, now: datetime) -> tuple[str, ...]:
        if not is_incident(alert) or alert.state == "ended":
            return ()
        return tuple(self._directory.outside(visit.ref) for visit in round_of(self._state, alert, now))

    def round(self, alert: Alert, now: datetime) -> tuple[BoardVisit, ...]:
        """The visits of an incident's cause, with names; when it is over, those about which there was an alert."""
        if not is_incident(alert):
            return ()
        visits, alerts = self._state.values.visits, self._state.values.alerts.values()
        if alert.state != "ended":
            found = round_of(self._state, alert, now)
        else:
            late = (visits.get(one.visit or "") for one in alerts if one.incident == alert.ref)
            found = sorted((v for v in late if v is not None), key=lambda v: (v.start, v.ref))
        return tuple(self._board_visit(self.visit(visit, now)) for visit in found)

    def _track(self, track: Track) -> TrackView:
        return TrackView(
            name=track.name,
            step=track.step,
            next_at=track.next_at,
            reason=track.reason,
            rests_until=track.rests_until,
            rests_by=self._directory.outside(track.rests_by) if track.rests_by else None,
        )

    def _messages(self, alert: Alert) -> list[Message]:
        messages = self._state.values.messages
        return [messages[key] for key in alert.messages if key in messages]

    def _asked_before(self, alert: Alert) -> list[Message]:
        """What the care workers were asked, and told, before there was an alert (spec 5.1, 19.6.4)."""
        leaving = alert.kind == "lone_worker"
        asked = leaving or alert.hour_at is not None
        visit = self._state.values.visits.get(alert.visit or "") if asked else None
        found = (self._state.values.messages.get(key) for key in (visit.asks if visit is not None else ()))
        return [
            m
            for m in found
            if m is not None
            and m.intended_at <= alert.opened_at
            and (m.template in CHECK_OUT_WORDS) == leaving
            and (not leaving or m.person == alert.worker)
        ]

    def _contacts(self, alert: Alert) -> tuple[ContactView, ...]:
        sent = [self._contact(m) for m in (*self._asked_before(alert), *self._messages(alert))]
        return (*sent, *(self._spoken(one) for one in alert.spoken))

    def _spoken(self, one: Spoken) -> ContactView:
        """Who spoke to somebody by themselves, or took it on the page."""
        out = self._directory.outside
        return ContactView(
            key=one.key,
            person=out(one.person) if one.person else None,
            purpose=one.purpose,
            channel="page" if one.person == one.by else "person",
            intended_at=one.at,
            attempted_at=one.at,
            settled_at=one.at,
            result="answered",
            proof=f"person:{out(one.by)}",
            possibly_repeated=False,
        )

    def _contact(self, message: Message) -> ContactView:
        return ContactView(
            key=message.key,
            person=self._directory.outside(message.person),
            purpose=message.purpose,
            channel=message.channel,
            intended_at=message.intended_at,
            attempted_at=message.attempted_at,
            settled_at=message.settled_at,
            result=message.result,
            proof=self._proof(message.proof),
            possibly_repeated=message.possibly_repeated,
            unrecorded_at_send=message.unrecorded,
        )

    def _proof(self, proof: str | None) -> str | None:
        if proof is None or not proof.startswith("person:"):
            return proof or None
        return f"person:{self._directory.outside(proof.removeprefix('person:'))}"

    # --- who is away, who has died ---

    def absences(self, *, only_open: bool) -> list[AbsenceView]:
        """Those first about whom somebody must say something, then by their beginning; ended ones last."""
        found = [a for a in self._state.values.absences.values() if not only_open or a.ended_at is None]
        order = sorted(
            found, key=lambda a: (a.ended_at is not None, a.counts and not a.waits, a.from_at, a.ref)
        )
        return [self.absence(absence) for absence in order]

    def absence(self, absence: Absence) -> AbsenceView:
        """One absence, with the visits at which nobody is missed for it."""
        out = self._directory.outside

        def named(ref: str | None) -> str | None:
            return out(ref) if ref is not None else None

        over = absence.ended_at is not None
        refs = self._state.by_service_user.get(absence.service_user, ())
        visits = [self._state.values.visits[ref] for ref in sorted(refs)]
        return AbsenceView(
            id=absence.ref,
            service_user=out(absence.service_user),
            reason=absence.reason,
            from_at=absence.from_at,
            review_at=absence.review_at,
            state="ended" if over else "confirmed" if absence.counts else "unconfirmed",
            raised_by=absence.raised_by,
            by=out(absence.by),
            said_at=absence.said_at,
            confirmed_by=named(absence.confirmed_by),
            confirmed_at=absence.confirmed_at,
            spoke_to=absence.spoke_to,
            asked_by=named(absence.asked_by),
            asked_at=absence.asked_at,
            asked_whom=absence.asked_whom,
            waits=absence.counts and absence.waits,
            ended_at=absence.ended_at,
            ended_by=named(absence.ended_by),
            ended_as=absence.ended_as,
            visits=tuple(out(v.ref) for v in visits if v.away == absence.ref),
            came=tuple(out(v.ref) for v in visits if "while_away" in v.verdicts and v.end > absence.from_at),
            return_at=absence.return_at,
            home_from=absence.home_from,
            first_visit=next((out(v.ref) for v in visits if v.returns == absence.ref), None),
            weekly=absence.weekly,
            at_home=absence.at_home,
        )

    def death(self, person: str, *, visits: int | None = None) -> DeathView:
        """What is recorded of a service user's death."""
        died = self._state.values.died.get(person)
        if died is None:
            return DeathView(person=self._directory.outside(person), died=False, visits=visits or 0)
        return DeathView(
            person=self._directory.outside(person),
            died=True,
            by=self._directory.outside(died.by),
            at=died.at,
            visits=len(died.visits),
        )

    def board_away(self) -> tuple[BoardAbsence, ...]:
        """Who is away, with their names."""
        known = self._directory.known
        return tuple(
            BoardAbsence(absence=one, who=self._directory.full_name(known("person", one.service_user)))
            for one in self.absences(only_open=True)
        )

    def away_page(self, *, desk: str, name: str, now: datetime) -> AwayPage:
        """The page of those away, with names: for the desk's own people."""
        died = self._state.values.died
        out, full = self._directory.outside, self._directory.full_name
        homes = sorted(
            (full(ref), out(ref))
            for ref, person in self._directory.people.items()
            if person.given.role == "service_user" and ref not in died
        )
        return AwayPage(
            desk=desk,
            name=name,
            now=now,
            zone=self._state.values.policy.zone,
            away=self.board_away(),
            homes={ref: who for who, ref in homes},
            died={out(ref): full(ref) for ref in sorted(died)},
        )

    # --- the board ---

    def board(
        self, *, desk: str, name: str, now: datetime, degraded: bool, broker: str, telephones: str
    ) -> BoardView:
        """Everything the first board shows, with names: for the desk's own people."""
        values = self._state.values
        today = self.visits(self._state.calendar.day(now), now)
        due = [visit for visit in today if visit.start <= now and visit.stage not in ("cancelled", "away")]
        return BoardView(
            desk=desk,
            name=name,
            now=now,
            zone=values.policy.zone,
            degraded=degraded,
            public=values.public,
            alerts=tuple(self.board_alert(a, now) for a in values.alerts.values() if a.state != "ended"),
            dark=tuple(self._dark()),
            unwatched=tuple(self._unwatched()),
            wrong_numbers=tuple(self._wrong_numbers()),
            visits=tuple(self._board_visit(visit) for visit in today),
            watched=len(due),
            due_so_far=len(due) + len(values.unwatched),
            last_checkin_at=values.last_checkin_at,
            next_deadline_at=self._state.next_deadline(),
            broker=broker,
            telephones=telephones,
            checks=tuple(self.board_alert(alert, now) for alert in self.unchecked()),
            notices=tuple(self.board_alert(alert, now) for alert in self.unwritten()),
            away=self.board_away(),
            referrals=None if values.placing else sum(one.waits for one in values.referrals.values()),
            packages=tuple(self._packages(now)),
            **self._weather(now),
        )

    def _packages(self, now: datetime) -> list[BoardVisit]:
        found = [visit for visit in self._state.values.visits.values() if package_of(visit) is not None]
        found.sort(key=lambda visit: (visit.start, visit.ref))
        return [self._board_visit(self.visit(visit, now)) for visit in found]

    def _weather(self, now: datetime) -> dict[str, Any]:
        """With names: while it is declared, and as long as its report is owed."""
        if not self._state.values.weathers:
            return {}
        view = weather_view(self._state, self._directory, now)
        if not view.declared and view.reported_at is not None:
            return {}
        known, name = self._directory.known, self._directory.full_name
        kin = {one: self._kin(known("person", one)) for one in view.to_confirm}
        people = [*view.to_confirm, *[one.service_user for one in view.covers]]
        people += [one.service_user for one in view.to_ring]
        people += [cover.next_of_kin for cover in view.covers] + [
            ref for refs in kin.values() for ref in refs
        ]
        people += [one for one in (view.by, view.ended_by, *[cover.by for cover in view.covers]) if one]
        names = {one: name(known("person", one)) for one in people}
        return {"weather": view, "weather_names": names, "weather_kin": kin}

    def _kin(self, ref: str | None) -> tuple[str, ...]:
        person = self._directory.person(ref) if ref is not None else None
        return tuple(self._directory.outside(one) for one in (person.next_of_kin if person else ()))

    def board_alert(self, alert: Alert, now: datetime) -> BoardAlert:
        """An alert with the words a person needs."""
        visit = self._state.values.visits.get(alert.visit or "")
        carers = [alert.worker] if alert.worker else list(visit.workers) if visit else []
        person = self._directory.person(alert.service_user) if alert.service_user is not None else None
        return BoardAlert(
            alert=self.alert(alert, now),
            who=self._directory.full_name(alert.service_user or _said_by(alert)),
            carer=" and ".join(self._directory.full_name(worker) for worker in carers) or None,
            start=visit.start if visit else None,
            taken_by_name=self._directory.full_name(alert.taken_by) if alert.taken_by else None,
            doing=self._doing(alert),
            lives_alone=person is not None and person.plan.lives_alone,
        )

    def _doing(self, alert: Alert) -> str:
        """One line: which tracks run, and whom they are with."""
        parts = []
        summon = alert.track("summon")
        asked = [m for m in self._messages(alert) if m.purpose == "summon"]
        if summon is not None and summon.step == "trying" and asked:
            parts.append(f"summoning {self._directory.full_name(asked[-1].person)}")
        elif summon is not None and summon.reason == "nobody_on_duty":
            parts.append("nobody on duty can be summoned")
        reassure = alert.track("reassure")
        if reassure is not None:
            parts.append(DOING.get((reassure.step, reassure.reason)) or DOING.get((reassure.step, ""), ""))
        return "; ".join(part for part in parts if part)

    def _dark(self) -> list[DarkView]:
        found = []
        for entry in self._state.values.dark.values():
            owner = self._directory.worker_of(entry.subject)
            visits = sum(
                1
                for visit in self._state.values.visits.values()
                if (owner is None or owner in visit.workers)
                and not visit.anybody_there
                and not (visit.cancelled or visit.away)
            )
            who = self._directory.full_name(owner) if owner else entry.subject
            found.append(DarkView(cause=entry.cause, subject=who, since=entry.since, visits=visits))
        return found

    def _wrong_numbers(self) -> list[WrongNumberView]:
        found = []
        for ref, wrong in self._state.values.wrong_numbers.items():
            known = self._directory.person(ref)
            kinds = {line.ref: line.kind for line in known.lines} if known is not None else {}
            found += [
                WrongNumberView(
                    person=self._directory.outside(ref),
                    name=self._directory.full_name(ref),
                    line=kinds[one.line],
                    since=one.since,
                )
                for one in wrong
                if one.line in kinds
            ]
        return sorted(found, key=lambda one: (one.since, one.person))

    def _unwatched(self) -> list[UnwatchedRow]:
        return [
            UnwatchedRow(
                row=row.row,
                visit=None if row.key.startswith("row-") else self._directory.outside(row.key),
                code=row.code,
                since=row.since,
            )
            for row in self._state.values.unwatched.values()
        ]

    def _board_visit(self, view: VisitView) -> BoardVisit:
        visit = self._state.values.visits[view.subject]
        names = [self._directory.full_name(worker) for worker in visit.workers]
        return BoardVisit(visit=view, who=self._directory.full_name(visit.service_user), carers=tuple(names))


DOING: dict[tuple[str, str], str] = {
    ("trying", ""): "contacting the service user",
    ("waiting", "dark"): "holding the call to the service user: their care worker's phone is dark",
    ("waiting", "clock_doubted"): "holding the call to the service user: our clock is doubted",
    ("waiting", "ask_public"): "about to contact the service user unless somebody stops it",
    ("reached", ""): "the service user answered",
    ("not_reached", ""): "the service user has not been reached",
    ("skipped", "public_off"): "public messages are off: a person has to ring the service user",
    ("skipped", "person_only"): "a person has to ring the service user",
    ("skipped", ""): "the service user is not contacted by us",
}


def package_of(visit: Visit) -> PackageVisit | None:
    """How the office stands to the first visit of a package; None: there is nothing to be said of it (any more)."""
    if visit.package_over and visit.cancelled:
        return "called_off"
    if visit.over or visit.anybody_there:
        return None
    if visit.package_over:
        return "kept"
    return "unnamed" if visit.placement is not None else None


def stage_of(visit: Visit, now: datetime) -> Stage:
    """Where the visit stands; *due* is *planned* after its start."""
    if visit.cancelled:
        return "cancelled"
    if visit.all_left:
        return "left"
    if visit.anybody_there:
        return "arrived"
    if visit.away is not None:
        return "away"
    if visit.missed:
        return "missed"
    if "late_visit" in visit.alerted:
        return "late"
    return "due" if now >= visit.start else "planned"


def _said_by(alert: Alert) -> str | None:
    """Whose word the alert is, if it is about what somebody said of themselves."""
    own_word = alert.kind == "help_asked" or alert.reason == STOPPED_TEXTS
    return alert.worker or alert.service_user if own_word else None
