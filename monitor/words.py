"""Fills the words of `config/wording` with what one desk knows at this moment.

The core decided *which* words go to *whom*, as references. Names, numbers and local times enter here, right before
a message leaves, and the result is evidence: never a fact, never a log line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from escalation import dialog
from escalation.free_number import TEMPLATE, WHISPER, FreeCall
from escalation.replies import codes_for
from escalation.wording import (
    Wording,
    clock_time,
    render_line,
    render_phrase,
    render_sms,
    spoken_time,
    text_time,
)
from monitor.core.state import Alert, Message, State, Visit
from monitor.core.views import Script
from monitor.directory import Directory

DOING = {
    "trying": {"call": "doing_ringing", "sms": "doing_texting"},
    "public_off": "doing_off",
    "ask_public": "doing_ask",
    "dark": "doing_dark",
    "clock_doubted": "doing_dark",
    "person_only": "doing_person",
    "no_line": "doing_nobody",
    "nobody_known": "doing_nobody",
}


BY_REASON = ("watch_fault", "rota", "help_asked", "incident")
"""Kinds of alert of which the reason chooses the words, where it has words of its own."""


def national(number: str | None) -> str:
    """An E.164 number as it is dialled in Britain."""
    return "0" + number[3:] if number is not None and number.startswith("+44") else number or ""


class Office(Struct, frozen=True, kw_only=True):
    """What a desk calls itself, and where people reach it."""

    desk: str
    agency: str
    tel: str
    public_url: str | None = None


class Words:
    """Renders one desk's messages. Reads state and directory; changes nothing."""

    def __init__(self, wording: Wording, office: Office, state: State, directory: Directory) -> None:
        self._wording, self._office, self._state, self._directory = wording, office, state, directory

    def text(self, message: Message, now: datetime) -> str:
        """The text of an SMS, ready to be sent. Raises ValueError, KeyError: a template that cannot be filled."""
        return render_sms(self._wording, message.template, self._values(message, now))

    def mail(self, message: Message, now: datetime) -> str:
        """A mail to staff: the subject in the first line, then what has happened and where it stands."""
        values = self._values(message, now)
        subject = f"{self._office.agency}: {values.get('what') or 'something needs you'}"
        reach = [f"The board: {values['link']}"] if values.get("link") else []
        lines = [subject, f"{subject}.", values.get("doing", ""), values.get("degraded", ""), *reach]
        return "\n".join(line for line in lines if line)

    def say_back(self, template: str, alert: Alert | None, person: str, now: datetime) -> str:
        """An automatic reply."""
        values = self._about(alert, now) | self._to(person)
        return render_sms(self._wording, template, values)

    def script(self, message: Message, step: str, now: datetime) -> Script:
        """One step of a call, by the dialog's row. "" is the first one."""
        row = dialog.step_named(message.template, step)
        said = dialog.script(self._wording, message.template, row.name, self._values(message, now))
        return Script(say=said, keys=row.awaits_key, step=row.name, wait_s=row.wait_s)

    def plain_call(self, tel: str) -> Script:
        """A call to our own number: a person answers it (wording.md SUV-5)."""
        hello = f"Hello, this is {self._office.agency}. I am putting you through."
        return Script(say=(hello,), dial=tel)

    def free_number(self, lines: Sequence[str], call: FreeCall, at: datetime) -> tuple[str, ...]:
        """What a caller on the free number hears. `at`: the moment that a check-in says."""
        name = self._directory.name
        values = {
            "agency": self._office.agency,
            "carer": name(call.worker) if call.worker else "",
            "spoken_time": clock_time(self._state.calendar.local(at)),
        }
        said: list[str] = []
        for line in lines:
            if line == "which":
                # each by a key of their own, before the way to a person
                for key, home in enumerate(call.homes, start=1):
                    own = {"n": str(key), "first": name(home)}
                    said.append(render_line(self._wording, TEMPLATE, "which_one", own))
            said.append(render_line(self._wording, TEMPLATE, line, values))
        return tuple(said)

    def whisper(self, step: str, alert: Alert | None, now: datetime) -> Script:
        """What the person who is rung for that caller hears before they are joined."""
        row = dialog.step_named(WHISPER, step)
        values = {"what": ""} | self._about(alert, now)
        said = dialog.script(self._wording, WHISPER, row.name, values)
        return Script(
            say=said, keys=row.awaits_key, step=row.name, wait_s=row.wait_s, hang_up=row.name != "tell"
        )

    def opening(self, message: Message) -> str:
        """With which step a call begins that was answered now: the usual one, or that it is over or taken."""
        alert = self._state.values.alerts.get(message.alert or "")
        row = dialog.DIALOGS.get(message.template)
        if alert is None or row is None:
            return ""
        if alert.state == "ended" and "over" in row.openings:
            return "over"
        if message.purpose == "summon" and alert.state == "taken" and alert.taken_by != message.person:
            return "gone" if "gone" in row.openings else ""
        return ""

    # --- values ---

    def _values(self, message: Message, now: datetime) -> dict[str, str]:
        alert = self._state.values.alerts.get(message.alert or "")
        values = self._about(alert, now) | self._to(message.person)
        values["n"] = str(self._count(message, alert))
        if message.purpose == "reassure":
            values["first"] = self._directory.name(message.person)
        if message.about is not None:
            values["carer"] = self._directory.name(message.about)
        if message.template in ("OC-19", "OC-29") and alert is not None:
            values |= self._ending(alert)
        if message.unrecorded or message.template == "OC-13":
            # what is meant to be done for the service user waits for the disk: it must not be told as being done
            values |= {"degraded": self._wording.phrase["degraded"], "doing": ""}
        if message.slot is not None:
            values |= codes_for(message.template, message.slot, bare=message.bare)
        return values

    def _count(self, message: Message, alert: Alert | None) -> int:
        """How many: alerts of a digest, rows of the rota, tries; taken now, not when it was decided."""
        values = self._state.values
        if alert is not None and alert.kind == "incident":
            return sum(
                1 for a in values.alerts.values() if a.reason == "while_down" and a.kind == "late_visit"
            )
        if alert is not None and alert.kind == "rota":
            return len(values.unwatched)
        return message.count

    def _about(self, alert: Alert | None, now: datetime) -> dict[str, str]:
        office = self._office
        local = self._state.calendar.local
        values = {
            "agency": office.agency,
            "tel": office.tel,
            "now": text_time(local(now)),
            "min": str(round(self._state.values.policy.ack_expires.total_seconds() / 60)),
            "first": "",
            "id": "",
            "carer": self._wording.phrase["no_carer"],
            "staff": "",
            "n": "0",
        }
        if alert is None:
            return values
        visit = self._state.values.visits.get(alert.visit or "")
        about = alert.service_user or alert.worker
        due = visit.start if visit else alert.due_at
        if alert.kind == "lone_worker" and visit:
            due = visit.end
        values |= {
            "first": self._directory.name(about),
            "id": self._directory.outside(about) if about else "",
            "time": text_time(local(due)),
            "since": text_time(local(alert.taken_at or alert.opened_at)),
            "spoken_time": spoken_time(local(due)),
            "staff": self._directory.name(alert.taken_by),
            "flags": self._flags(alert),
            "doing": self._doing(alert),
            "new": self._missing(visit),
        }
        carer = self._carer(alert, visit)
        if carer:
            values["carer"] = carer
        if office.public_url is not None:
            values["link"] = f"{office.public_url}/board/{office.desk}/alerts/{alert.ref}"
        values["what"] = self._what(alert, values)
        return values

    def _to(self, person: str) -> dict[str, str]:
        return {"nok": self._directory.name(person)}

    def _carer(self, alert: Alert, visit: Visit | None) -> str:
        if alert.worker is not None:
            return self._directory.name(alert.worker)
        there = (
            next((place.worker for place in visit.places if place.arrived_at is not None), None)
            if visit
            else None
        )
        if alert.kind == "second_worker_missing" and there is not None:
            return self._directory.name(there)
        return " and ".join(self._directory.name(worker) for worker in visit.workers) if visit else ""

    def _missing(self, visit: Visit | None) -> str:
        """The care worker who is planned and not there."""
        absent = [p.planned for p in visit.places if p.arrived_at is None and p.planned] if visit else []
        return self._directory.name(absent[0]) if absent else "the second carer"

    def _flags(self, alert: Alert) -> str:
        found = []
        if alert.time_critical:
            found.append(self._wording.phrase["flag_time_critical"])
        person = self._directory.people.get(alert.service_user or "")
        plan = person.given.contact_plan if person else None
        if plan is not None and plan.lives_alone:
            found.append(self._wording.phrase["flag_lives_alone"])
        return ", ".join(found)

    def _doing(self, alert: Alert) -> str:
        """What the machine is doing about the service user, in words for the person who is summoned."""
        track = alert.track("reassure")
        if track is None:
            return ""
        name = DOING.get(track.reason)
        if track.step == "trying":
            channels = [
                m.channel
                for key in alert.messages
                if (m := self._state.values.messages.get(key)) is not None and m.purpose == "reassure"
            ]
            name = "doing_texting" if channels and channels[-1] == "sms" else "doing_ringing"
        if not isinstance(name, str):
            return ""
        minutes = round(self._state.values.policy.ask_public.total_seconds() / 60)
        values = {"first": self._directory.name(alert.service_user), "min": str(minutes)}
        return render_phrase(self._wording, name, values)

    def _what(self, alert: Alert, values: dict[str, str]) -> str:
        name = (
            "kind_catch_up"
            if alert.reason == "while_down" and alert.kind == "incident"
            else f"kind_{alert.kind}"
        )
        if alert.kind in BY_REASON and f"kind_{alert.reason}" in self._wording.phrase:
            name = f"kind_{alert.reason}"
        if name not in self._wording.phrase:
            return ""
        defaults = {"spoken_time": values.get("now", ""), "n": str(max(alert.count, 1))}
        if alert.kind == "help_asked":
            values = values | self._caller(alert)
        return render_phrase(self._wording, name, defaults | values)

    def _caller(self, alert: Alert) -> dict[str, str]:
        """Who rang the free number, from whose line; the number itself only where it is nobody's that we know."""
        unknown = alert.line is not None and alert.service_user is None
        return {
            "carer": self._directory.name(alert.worker) or self._wording.phrase["somebody"],
            "first": self._directory.name(alert.service_user),
            "id": self._directory.outside(alert.service_user) if alert.service_user else "",
            "caller": national(self._directory.number(alert.line or "")) if unknown else "",
        }

    def _ending(self, alert: Alert) -> dict[str, str]:
        visit = self._state.values.visits.get(alert.visit or "")
        arrived = [p for p in visit.places if p.arrived_at is not None] if visit else []
        last = max(arrived, key=lambda place: place.arrived_at or alert.opened_at, default=None)
        values = {"staff": self._directory.name(alert.taken_by) or self._office.agency}
        if last is not None and last.arrived_at is not None:
            values["carer"] = self._directory.name(last.worker) or self._wording.phrase["no_carer"]
            values["time"] = text_time(self._state.calendar.local(last.arrived_at))
        # no outcome was recorded by anybody: the disk is back
        by_itself = f"ended_{alert.reason}"
        name = by_itself if by_itself in self._wording.phrase else f"ended_{alert.ended_reason}"
        if name in self._wording.phrase:
            filled = {"carer": self._wording.phrase["no_carer"], "time": ""} | values
            values["what"] = render_phrase(self._wording, name, filled)
        return values
