"""What a council desk is told of an alert: reference and initials, what was tried and when, who is on the way.

Neither a name nor an address of the service user, no condition, nothing about keys: ordinary e-mail is a postcard
(wording.md, CO-2). Read from the state at the moment of sending; who was told what stands in the facts.
"""

from __future__ import annotations

from datetime import datetime

from escalation.replies import QUESTIONS
from escalation.wording import Wording, render_phrase, text_time
from monitor.core.state import Alert, Message, State
from monitor.directory import Directory
from monitor.hour_words import Standing, for_council, standing

WHO = {
    "reassure": "council_who_person",
    "ask_worker": "council_who_worker",
    "locate": "council_who_worker",
    "inform_next_of_kin": "council_who_kin",
    "inform_council": "council_who_desk",
}
"""Attempts that are told, by purpose; staff of ours who were summoned are our own affair."""
MOST_ATTEMPTS = 12
"""A mail is read by somebody in a hurry: the newest of them."""
BY_JOIN = frozenset({"COV-1", "COV-2"})
"""Calls to a council desk, also those that a person of ours began by a key."""
NOT_RUNG = frozenset({"intended", "cancelled", "rehearsed"})
"""Nothing went out: no attempt."""


def declines(message: Message) -> bool:
    """Whether an offer was answered with no, by key or code."""
    digit = (message.proof or "")[-1:]
    return message.proof == "key:2" or (
        digit.isdigit() and QUESTIONS.get(message.template, {}).get(int(digit)) == "no"
    )


def _answered(alert: Alert) -> bool:
    """The service user has answered us: the council hears of the hour alone."""
    track = alert.track("reassure")
    return track is not None and track.step == "reached"


class CouncilWords:
    """The values of CO-1, CO-2, CO-4, CO-5 and COV-1. Reads state and directory; changes nothing."""

    def __init__(self, wording: Wording, state: State, directory: Directory) -> None:
        self._wording, self._state, self._directory = wording, state, directory

    def values(self, alert: Alert, now: datetime) -> dict[str, str]:
        """Everything that may stand in a report to the council."""
        person, local = alert.service_user or "", self._state.calendar.local
        visit = self._state.values.visits.get(alert.visit or "")
        due = local(visit.start if visit else alert.due_at)
        door = alert.kind == "no_reply"
        return {
            "ref": self._directory.council_ref(person) or self._say("council_no_reference"),
            "init": self._directory.initials(person),
            "date": f"{due:%A} {due.day} {due:%B %Y}",
            "time": text_time(due),
            "heading": self._say(self._heading(alert)),
            "procedure": self._say("council_procedure_no_reply" if door else "council_procedure_late"),
            "found": self._found(alert),
            "cause": self._say("council_cause_hour" if _answered(alert) else "council_cause_not_reached"),
            "hour": for_council(self._wording, alert, standing(alert, visit, now)),
            "attempts": "\n".join(self._attempts(alert)),
            "kin": self._kin(alert),
            "sending": self._sending(alert, standing(alert, visit, now)),
            "spoken": self._spoken(alert),
            "rung": self._rung(alert),
            "mailed": self._mailed(alert),
            "desk": self._desk(alert),
            "ending": self._ending(alert, now),
            "record": alert.ref,
            "alone": self._alone(person),
        }

    def notice(self, alert: Alert, now: datetime) -> dict[str, str]:
        """What the written notice of 17.2 says beside that: the calls that nobody answered, by their desks, on the day
        of the first of them; when somebody was spoken to after all; and how our own procedure has gone on."""
        owed = alert.notice
        found = [self._state.values.messages.get(key) for key in (owed.calls if owed is not None else ())]
        calls = [message for message in found if message is not None]
        if not calls:
            return {"later": ""}
        desks = dict.fromkeys(self._directory.outside(message.person) for message in calls)
        first = self._state.calendar.local(calls[0].attempted_at or calls[0].intended_at)
        later = self._spoken_at(alert)
        over, visit = alert.state == "ended", self._state.values.visits.get(alert.visit or "")
        return {
            "date": f"{first:%A} {first.day} {first:%B %Y}",
            "desk": " and ".join(desks),
            "rung": ", ".join(self._clock(m.attempted_at or m.intended_at) for m in calls),
            "later": self._clock(later) if later is not None else "",
            "sending": self._ending(alert, now)
            if over
            else self._sending(alert, standing(alert, visit, now)),
        }

    def told(self, alert: Alert) -> str:
        """Whether the council was spoken to, for the registered manager."""
        at = self._spoken_at(alert)
        if at is not None:
            return self._say("told_at", time=self._clock(at))
        nobody = alert.council is not None and alert.council.reason == "no_council_desk"
        return self._say("told_nobody" if nobody or not self._state.values.council_desks else "told_not")

    def mail(self, alert: Alert) -> str:
        """Whether the report went by e-mail, and when; nothing is promised that did not go."""
        at = self._mailed(alert)
        return self._say("mail_went", mailed=at) if at else self._say("mail_none")

    # --- pieces ---

    def _say(self, phrase: str, **values: str) -> str:
        return render_phrase(self._wording, phrase, values)

    def _clock(self, at: datetime) -> str:
        return text_time(self._state.calendar.local(at))

    def _messages(self, alert: Alert) -> list[Message]:
        found = (self._state.values.messages.get(key) for key in alert.messages)
        return [message for message in found if message is not None]

    def _to_desk(self, alert: Alert, channel: str) -> list[Message]:
        return [
            m
            for m in self._messages(alert)
            if (m.purpose == "inform_council" or m.template in BY_JOIN)
            and m.channel == channel
            and m.attempts
        ]

    def _heading(self, alert: Alert) -> str:
        if alert.kind == "no_reply":
            return "council_heading_no_reply"
        return "council_heading_hour" if _answered(alert) else "council_heading_not_reached"

    def _found(self, alert: Alert) -> str:
        if alert.kind == "no_reply":
            return self._say("council_found_no_reply")
        return self._say("council_found_reached" if _answered(alert) else "council_found_late")

    def _attempts(self, alert: Alert) -> list[str]:
        told = [
            m
            for m in self._messages(alert)
            if (m.purpose in WHO or m.template in BY_JOIN) and m.result not in NOT_RUNG
        ]
        return [
            self._say(
                "council_attempt",
                time=self._clock(m.attempted_at or m.intended_at),
                who=self._say("council_who_desk" if m.template in BY_JOIN else WHO[m.purpose]),
                how=self._say(f"council_how_{m.channel}"),
                result=self._result(m),
            )
            for m in told[-MOST_ATTEMPTS:]
        ]

    def _result(self, message: Message) -> str:
        if message.result == "answered" and message.proof is None:
            return self._say(
                "council_result_no_answer"
            )  # the line was open and nobody pressed anything: not contact
        name = f"council_result_{message.result}"
        return self._say(name if name in self._wording.phrase else "council_result_out")

    def _kin(self, alert: Alert) -> str:
        mine = [m for m in self._messages(alert) if m.purpose == "inform_next_of_kin"]
        told = [m for m in mine if m.proof is not None]
        if told:
            return self._say("council_kin_told", time=self._clock(told[0].settled_at or told[0].intended_at))
        if any(m.attempts for m in mine):
            return self._say("council_kin_not_reached")
        person = self._directory.people.get(alert.service_user or "")
        return self._say(
            "council_kin_not_told" if person and person.given.next_of_kin else "council_kin_none"
        )

    def _sending(self, alert: Alert, stands: Standing) -> str:
        going = stands.going
        if going and self._directory.name(going[0].worker):
            new, time = self._directory.name(going[0].worker), self._clock(going[0].eta_at)
            named = "council_sending_named" if stands.filled else "council_sending_one"
            return self._say(named, new=new, time=time)
        asked = {m.person for m in self._messages(alert) if m.purpose == "offer" and m.attempts}
        if asked:
            return self._say("council_sending_asking", n=str(len(asked)))
        return self._say("council_sending_nobody")

    def _spoken(self, alert: Alert) -> str:
        at = self._spoken_at(alert)
        if at is not None:
            return self._say("council_spoken_at", time=self._clock(at))
        return (
            self._say("council_not_answered", rung=self._rung(alert))
            if self._to_desk(alert, "call")
            else self._say("council_not_rung")
        )

    def _spoken_at(self, alert: Alert) -> datetime | None:
        """When somebody of theirs was spoken to: a person of ours said so, or they pressed a key."""
        if alert.council is not None and alert.council.told_at is not None:
            return alert.council.told_at
        reached = [m for m in self._to_desk(alert, "call") if m.proof is not None]
        return (reached[0].settled_at or reached[0].intended_at) if reached else None

    def _rung(self, alert: Alert) -> str:
        calls = self._to_desk(alert, "call")
        return ", ".join(self._clock(m.attempted_at or m.intended_at) for m in calls)

    def _mailed(self, alert: Alert) -> str:
        mails = [m for m in self._to_desk(alert, "email") if m.result not in ("failed", "cancelled")]
        return self._clock(mails[0].attempted_at or mails[0].intended_at) if mails else ""

    def _desk(self, alert: Alert) -> str:
        told = [m for m in self._messages(alert) if m.purpose == "inform_council" or m.template in BY_JOIN]
        return self._directory.outside(told[-1].person) if told else ""

    def _ending(self, alert: Alert, now: datetime) -> str:
        visit = self._state.values.visits.get(alert.visit or "")
        there = [
            (p.arrived_at, p.worker) for p in (visit.places if visit else ()) if p.arrived_at is not None
        ]
        if not there:
            return self._say("council_ending_closed", now=self._clock(now))
        at, worker = max(there, key=lambda pair: pair[0])
        carer = self._directory.name(worker) or self._say("no_carer")
        return self._say("council_ending_seen", carer=carer, time=self._clock(at))

    def _alone(self, person: str) -> str:
        found = self._directory.people.get(person)
        plan = found.given.contact_plan if found else None
        return self._say("not_known" if plan is None else "yes" if plan.lives_alone else "no")
