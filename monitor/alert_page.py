"""The page of one alert: the record, who may be rung, who could go, and what is read to the council, with names.

Reads the desk as it is at this moment and changes nothing. Numbers are shown to the desk's own people only, and of
somebody who must never be told about the service user none is given.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from config.policy import on_duty as listed
from escalation.people import may_be_told
from escalation.replace import OFFERS
from monitor.core import alerts, council, cover
from monitor.core.state import Alert
from monitor.core.views import CandidateView, TelephoneView, TrackView
from monitor.core.work import Work
from monitor.desk_shell import DeskShell


class Page:
    """What there is to see of one alert that is in the state. `now`: the moment of the view."""

    def __init__(self, shell: DeskShell, alert: Alert, now: datetime) -> None:
        self._shell, self._alert, self._now = shell, alert, now
        self._directory, self._state = shell.directory, shell.state
        self._work = Work(shell.state, shell.engine.context(now))
        self._visit = self._work.visit(alert.visit)

    def candidates(self) -> tuple[CandidateView, ...]:
        """Every care worker of the desk, best first, those who are barred last, each with the reason."""
        if self._visit is None or self._alert.state == "ended":
            return ()
        asked = {m.person for m in self._work.messages_of(self._alert) if m.template in OFFERS}
        sent = {one.worker for one in self._alert.sent}
        return tuple(
            CandidateView(
                worker=self._directory.outside(score.ref),
                name=self._directory.full_name(score.ref),
                points=score.points,
                parts=dict(score.parts),
                drive_min=ceil(score.drive / timedelta(minutes=1)),
                ready_min=max(ceil((score.ready_at - self._now) / timedelta(minutes=1)), 1),
                barred=score.barred,
                asked=score.ref in asked,
                answer="sent" if score.ref in sent else "no" if score.ref in self._alert.declined else None,
            )
            for score in cover.candidates(self._work, self._alert, self._visit)
        )

    def telephones(self) -> tuple[TelephoneView, ...]:
        """Who may be rung about it: first who it is about, then who should come, then who else knows them."""
        found: dict[str, TelephoneView] = {}
        person = self._work.ctx.people.person(self._alert.service_user) if self._alert.service_user else None
        if person is not None:
            self._add(found, person.ref, "service_user")
            if person.plan.spokesperson:
                self._add(found, person.plan.spokesperson, "speaker")
        workers = self._visit.workers if self._visit is not None else ()
        for ref in (*workers, *([self._alert.worker] if self._alert.worker else [])):
            role = person_role if (person_role := self._role(ref)) != "contact" else "next_of_kin"
            self._add(found, ref, role if role != "service_user" else "care_worker")
        for sent in self._alert.sent:
            self._add(found, sent.worker, "replacement")
        for ref in self._named_by_plan():
            self._add(found, ref, "next_of_kin")
        for staff in alerts.duty_chain(self._work, self._alert.service_user):
            self._add(found, staff.ref, "staff")
        council = self._council()
        return (*found.values(), *([council] if council is not None else []))

    def _named_by_plan(self) -> list[str]:
        """Next of kin in their order, those who must never be told among them: whoever rings must see that."""
        known = self._directory.people.get(self._alert.service_user or "")
        plan = known.given.contact_plan if known is not None else None
        named = [*(known.given.next_of_kin if known is not None else ()), *(plan.never_tell if plan else ())]
        return [ref for one in named if (ref := self._directory.known("person", one)) is not None]

    def _role(self, ref: str) -> str:
        known = self._directory.people.get(ref)
        return known.given.role if known is not None else "care_worker"

    def _add(self, found: dict[str, TelephoneView], ref: str, role: str) -> None:
        known = self._directory.people.get(ref)
        if known is None or ref in found:
            return
        told = may_be_told(self._directory, self._alert.service_user, ref, "")
        if role == "next_of_kin" and known.given.role != "contact":
            role = "care_worker" if known.given.role == "care_worker" else "staff"
        found[ref] = TelephoneView(
            who=known.given.id,
            name=self._directory.full_name(ref),
            role=role,  # type: ignore[arg-type]
            numbers=tuple(dict.fromkeys(known.numbers.values())) if told else (),
            never_tell=not told,
        )

    def _council(self) -> TelephoneView | None:
        """The council desk that answers now, if this alert is one that a council hears of."""
        if self._alert.service_user is None:
            return None
        ref = council.council_desk(self._work, self._alert)
        entry = self._shell.council_desk(ref) if ref is not None else None
        if entry is None:
            return None
        numbers = (entry.phone,) if entry.phone else ()
        return TelephoneView(who=entry.name, name=entry.name, role="council", numbers=numbers)

    def council(self) -> TrackView | None:
        """How far the council has been told."""
        told = self._alert.council
        if told is None:
            return None
        return TrackView(name="inform", step=told.step, next_at=told.next_at, reason=told.reason)

    def script(self, reader: str | None) -> str | None:
        """What our person reads to the council desk; None where there is nobody to read it to."""
        if self._alert.service_user is None or council.council_desk(self._work, self._alert) is None:
            return None
        who = self._directory.known("person", reader) if reader else None
        who = who or self._alert.taken_by or self._on_duty()
        try:
            return self._shell.words().council_script(self._alert, who, self._now)
        except (KeyError, ValueError):
            return None  # words that cannot be filled in: the page goes on without them

    def notice(self) -> str | None:
        """The written notice of 17.2 while it waits for a manager; None where none does."""
        if self._alert.notice is None or not self._alert.notice.waits:
            return None
        try:
            return self._shell.words().notice(self._alert, self._now)
        except (KeyError, ValueError):
            return None  # words that cannot be filled in: the page goes on without them

    def _on_duty(self) -> str:
        on_duty = listed(self._state.values.duty, self._now, self._state.calendar)
        return on_duty[0].person if on_duty else ""
