"""Fills the words of `config/wording` with what one desk knows at this moment.

The core decided *which* words go to *whom*, as references. Names, numbers and local times enter here, right before
a message leaves, and the result is evidence: never a fact, never a log line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from escalation import dialog
from escalation.check_out import CALL as CHECK_OUT_CALL
from escalation.free_number import TEMPLATE, WHISPER, FreeCall
from escalation.on_call import call_after
from escalation.replies import codes_for
from escalation.wording import (
    Audience,
    Wording,
    clock_time,
    render_line,
    render_mail,
    render_page,
    render_phrase,
    render_sms,
    spoken_time,
    text_day,
    text_time,
)
from monitor import hour_words
from monitor.core import gathering, referrals, texts, written_notice
from monitor.core.alerts import CANNOT, SPEAK_OF_ABOUT
from monitor.core.answerphone import newest_words
from monitor.core.causes import SEVERAL_UNPLACED, is_incident, members, round_of
from monitor.core.council import RING_US
from monitor.core.lines import waiting_on
from monitor.core.messages import SayBack
from monitor.core.placing.calling_off import CALLED_OFF, KEPT
from monitor.core.placing.landing import WORDS as LANDED
from monitor.core.referral_fold import Referral
from monitor.core.staff_changes import BY_CALL, BY_TEXT
from monitor.core.state import Alert, Message, Place, State, Visit
from monitor.core.views import Script
from monitor.directory import Directory
from monitor.words_council import CouncilWords, declines
from monitor.words_placing import COPIES, PackageWords, rows
from monitor.words_weather import WeatherWords

DOING = {
    "trying": {"call": "doing_ringing", "sms": "doing_texting"},
    "public_off": "doing_off",
    "ask_public": "doing_ask",
    "dark": "doing_dark",
    "clock_doubted": "doing_dark",
    "person_only": "doing_person",
    "quiet_hours": "doing_quiet",
    "never_told": "doing_withheld",
    "nobody_speaks": "doing_nobody_speaks",
    "claimed_there": "doing_claimed",
    "same_line": "doing_same_line",
    "no_line": "doing_nobody",
    "nobody_known": "doing_nobody",
}


BY_REASON = ("watch_fault", "rota", "help_asked", "incident", "message", "lone_worker", "away", "placement")
"""Kinds of alert of which the reason chooses the words, where it has words of its own."""


ANSWERPHONE = {
    "words": "kind_message_left",
    "nothing": "kind_message_none",
    "unknown": "kind_message_unknown",
}
"""What staff are told of a caller who was asked to leave a message, by what came of it."""


TELLS_OF_ARRIVAL = {"OC-19": None, "OC-29": None, "NOK-5": "NOK-5B", "CO-4": "CO-4B"}
"""Texts that it is over, with what is said outside in their place when nobody is known to have arrived."""
MOMENTS = frozenset({"SU-5", "SU-6", "SU-7", "SU-8", "SU-10", "SUV-2", "SUV-5", "SUV-10", "CW-8"})
"""Words whose {time} is when somebody will be there: the planned start would be a promise that nobody made."""
NAMES_NEW = frozenset(
    {"SU-6", "SU-10", "SUV-2", "SUV-10", "CW-9", "CW-13", "CWV-2", "CO-2", "CO-150", "CO-5"}
)
"""Words that are about the one who comes instead, or is missing; elsewhere `Message.about` is {carer}."""
HOUR_WORDS = frozenset({"OC-6", "RM-1"})
"""Words that say how the hour stands."""
OF_MAIL = frozenset({"RM-2", "RM-150", RING_US})
"""Words that say whether the report to the council went by e-mail."""
WHY_COUNCIL = frozenset({"OC-61", "OC-150", RING_US})
"""Words that say why the council is to be told."""


OF_DUTY = frozenset({"OC-7", "OC-181", "OC-182", "OC-183", "RM-180", "OCV-180"})
"""Words about the start of somebody's duty on call: of {new}, who is told or spoken of."""
FIRST_VISIT = frozenset({LANDED, CALLED_OFF, KEPT})
"""Words about the first visit of a package, which may be days away."""
OF_BOARD = FIRST_VISIT | {"OC-185"}
"""Words about a visit with the way to the board."""
OF_HOME = frozenset({"OC-185", "OC-186"})
"""Words about somebody who is to come home: they say who is asked whether they are."""
OF_CHECKS = frozenset({"OC-180"})
"""Words about all alerts that wait for the manager's check."""
OF_NOTICES = frozenset({written_notice.WORDS, written_notice.FAILED})
"""Words about written notices to a council."""


LATE = frozenset({"late_visit", "second_worker_missing"})
"""Kinds of alert in which an arrival is missing: at a door, or where nobody has checked out, somebody is there."""
OF_TEXTS = frozenset({texts.WORDS})
"""Words about all texts that nobody has answered."""


OF_REFERRAL = referrals.QUESTIONS | {referrals.LAPSED, referrals.ANSWERED}
"""Words about a council's referral."""
REFERRAL_MAILS = {referrals.LAPSED: "referral_silent", referrals.ANSWERED: "referral_done"}
"""What a mail in their place says; any other says what the council asks for, and until when."""


OF_ALERT = frozenset({"OC-2", "OC-3", "OC-22", "OC-23", "OC-24"})
"""Words that name any alert: one about nobody in particular by what it is."""


INBOUND_WHISPER = "INV-1"
"""The same for a caller on an ordinary number."""


def _is_inside(visit: Visit, worker: str) -> bool:
    return any(place.inside and place.worker == worker for place in visit.places)


def national(number: str | None) -> str:
    """An E.164 number as it is dialled in Britain."""
    return "0" + number[3:] if number is not None and number.startswith("+44") else number or ""


def _minutes(wait: timedelta) -> str:
    """A wait in whole minutes, never *0* while there is any of it."""
    return str(math.ceil(wait / timedelta(minutes=1)))


def no_link(_: str, __: str) -> str:
    """Nothing is signed here."""
    return ""


class Office(Struct, frozen=True, kw_only=True):
    """What a desk calls itself, and where people reach it."""

    desk: str
    agency: str
    tel: str
    free: str = ""
    """The free number on which care workers check in; "" when there is none."""
    public_url: str | None = None
    bid_url: Callable[[str, str], str] = no_link
    """Where a provider bids for a placement, both by minted id: a signed link, which is out from then on."""
    areas: dict[str, str] = {}
    """Of a council's desk: names of its areas, by id."""
    wards: dict[str, str] = {}
    """And of its wards, of those that have one."""


class Words:
    """Renders one desk's messages. Reads state and directory; changes nothing."""

    def __init__(
        self,
        wording: Wording,
        office: Office,
        state: State,
        directory: Directory,
    ) -> None:
        office = structs.replace(office, tel=national(office.tel))
        self._wording, self._office, self._state, self._directory = wording, office, state, directory
        board = f"{office.public_url}/desks/{office.desk}" if office.public_url else ""
        self._packages = PackageWords(
            wording, state, directory, (office.areas, office.wards), office.bid_url, board
        )
        self._council = CouncilWords(wording, state, directory)
        self._weather = WeatherWords(wording, state, directory)

    @property
    def tel(self) -> str:
        """The number that a person answers."""
        return self._office.tel

    def text(self, message: Message, now: datetime) -> str:
        """The text of an SMS, ready to be sent. Raises ValueError, KeyError: a template that cannot be filled."""
        return render_sms(self._wording, self._template(message), self._values(message, now))

    def mail(self, message: Message, now: datetime, written: str = "") -> str:
        """A mail: the subject in the first line. To staff what has happened and where it stands; to a council its
        own words, which name nobody. `written`: what it quotes (`quotes`). Raises as `text` does."""
        values = self._values(message, now)
        if written:
            values["words"] = rows(written)
        if message.template in self._wording.mail:
            return render_mail(self._wording, message.template, values)
        subject = f"{self._office.agency}: {values.get('what') or 'something needs you'}"
        reach = [f"The board: {values['link']}"] if values.get("link") else []
        lines = [subject, f"{subject}.", values.get("doing", ""), values.get("degraded", ""), *reach]
        return "\n".join(line for line in lines if line)

    def quotes(self, message: Message) -> str | None:
        """The id of the evidence whose words the mail gives in full; None: it quotes nothing."""
        return self._packages.written(message) if message.template in COPIES else None

    def council_script(self, alert: Alert, person: str, now: datetime) -> str:
        """What our person reads to the duty officer (wording.md CO-1). `person`: who reads it."""
        values = self._about(alert, self._visit(alert, None), now) | self._council.values(alert, now)
        return render_page(self._wording, "CO-1", values | {"staff": self._directory.name(person)})

    def notice(self, alert: Alert, now: datetime) -> str:
        """The written notice of 17.2 as it would go out now, its subject first (wording.md CO-5)."""
        values = self._about(alert, self._visit(alert, None), now) | self._council.values(alert, now)
        return render_mail(self._wording, written_notice.NOTICE, values | self._council.notice(alert, now))

    def say_back(self, said: SayBack, template: str, alert: Alert | None, now: datetime) -> str:
        """An automatic reply. `template`: the words that are true now, which may not be those first meant."""
        visit = self._visit(alert, said.visit)
        values = self._about(alert, visit, now) | self._to(said.person)
        person = self._directory.person(said.person)
        if person is not None and person.role == "care_worker":
            values |= {"carer": self._directory.name(said.person), "link": ""}
            values["min"] = str(said.count) if said.count else ""
        if template == "CW-4" and not self._tells_service_user(visit):
            values["first"] = ""
        if template in OF_DUTY:
            values |= self._duty(said.person)
        if template in OF_ALERT and alert is not None:
            values |= self._which(alert, values)
        if template == referrals.YOURS:
            values |= {"until": ""} | self._referral(self._taken_last(said.person), now)
        return render_sms(self._wording, template, values)

    def script(self, message: Message, step: str, now: datetime) -> Script:
        """One step of a call, by the dialog's row. "" is the first one."""
        row = dialog.step_named(message.template, step)
        values = self._values(message, now)
        before, after = dialog.around_recording(self._wording, message.template, row.name, values)
        alert = self._state.values.alerts.get(message.alert or "")
        played = (
            alert.ref if row.play_after and alert is not None and newest_words(alert) is not None else None
        )
        return Script(
            say=before if played else (*before, *after),
            play=played,
            then=after if played else (),
            keys=row.awaits_key,
            step=row.name,
            wait_s=row.wait_s,
            digits=row.digits,
        )

    def excuse(self, message: Message, now: datetime) -> Script:
        """What is said in a call that rang when we heard of a death: who we are, and nothing else (SUV-170)."""
        return self.script(structs.replace(message, template="SUV-170"), "", now)

    def plain_call(self, tel: str) -> Script:
        """A call to our own number: a person answers it (wording.md SUV-5). Nobody: it comes back, as turn 0."""
        return Script(say=self.through(), dial=tel, turn=0)

    def answerphone(self, step: str) -> tuple[str, ...]:
        """What a caller hears whom nobody came for (wording.md section 9)."""
        return dialog.script(self._wording, "NIGHT-1", step, {"agency": self._office.agency})

    def through(self, alert: Alert | None = None, now: datetime | None = None) -> tuple[str, ...]:
        """What somebody hears who has rung us and is put through; where an alert about their visit is open and somebody
        is known to be on the way, who that is and when (SUV-5)."""
        values = {"agency": self._office.agency}
        coming = self._coming(alert, now) if alert is not None and now is not None else None
        if coming is None:
            return dialog.script(self._wording, "SUV-5", "through", values)
        worker, at = coming
        values |= {"carer": self._directory.name(worker)} | self._moment(at)
        return dialog.script(self._wording, "SUV-5", "on_the_way", values)

    def _coming(self, alert: Alert, now: datetime) -> tuple[str, datetime] | None:
        """Who is on the way, as far as is known: who was sent, else who is planned and has named a time to come."""
        visit = self._visit(alert, None)
        there = {place.worker for place in visit.places} if visit is not None else set()
        sent = [
            (one.eta_at, one.worker) for one in alert.sent if one.worker not in there and one.eta_at > now
        ]
        said = [
            (one.eta_at, one.worker)
            for one in (visit.said if visit is not None else ())
            if visit is not None
            and one.worker in visit.workers
            and one.worker not in there
            and one.answer == "on_my_way"
            and one.eta_at is not None
            and one.eta_at > now
        ]
        named = [(at, who) for at, who in (sent or said) if self._directory.name(who)]
        return (min(named)[1], min(named)[0]) if named else None

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

    def whisper(self, step: str, alert: Alert | None, now: datetime, *, inbound: bool = False) -> Script:
        """What the person who is rung for that caller hears before they are joined."""
        template = INBOUND_WHISPER if inbound else WHISPER
        row = dialog.step_named(template, step)
        values = {"what": ""} | self._about(alert, self._visit(alert, None), now)
        said = dialog.script(self._wording, template, row.name, values)
        return Script(
            say=said, keys=row.awaits_key, step=row.name, wait_s=row.wait_s, hang_up=row.name != "tell"
        )

    def opening(self, message: Message) -> str:
        """With which step a call begins that was answered now: the usual one, or that it is over or taken."""
        alert = self._state.values.alerts.get(message.alert or "")
        row = dialog.DIALOGS.get(message.template)
        if row is None:
            return ""
        if message.template == "OCV-180":
            one = self._state.values.hand_overs.get(message.person)
            return "over" if one is None or one.answered else ""
        if message.template == referrals.RINGS:
            return self._referral_opening(message)
        if alert is not None and alert.state == "ended" and "over" in row.openings:
            return "over"
        if message.purpose == "offer":
            track = alert.track("replace") if alert is not None else None
            return "gone" if track is not None and track.step in ("reached", "done") else ""
        if alert is not None and message.template == RING_US:
            told = alert.council is None or alert.council.step != "trying"
            return "over" if told else "gone" if alert.taken_by != message.person else ""
        if alert is not None and message.purpose == "summon":
            elsewhere = alert.state == "taken" and alert.taken_by != message.person
            if elsewhere:
                return "gone" if "gone" in row.openings else ""
            return "urgent" if "urgent" in row.openings and waiting_on(alert) is not None else ""
        visit = self._visit(alert, message.visit)
        if message.template == CHECK_OUT_CALL:
            return "" if visit is not None and _is_inside(visit, message.person) else "over"
        if alert is None and visit is not None and visit.all_there and "over" in row.openings:
            return "over"
        expected = message.about is None or (visit is not None and message.about in visit.workers)
        return "coming" if "coming" in row.openings and expected else ""

    # --- values ---

    def _template(self, message: Message) -> str:
        """The words in which it is true: nobody is said to have come of whom no arrival is known."""
        instead = TELLS_OF_ARRIVAL.get(message.template)
        alert = self._state.values.alerts.get(message.alert or "")
        return (
            instead
            if instead is not None and self._arrival(self._visit(alert, message.visit)) is None
            else (message.template)
        )

    def _audience(self, message: Message) -> Audience | None:
        wording = self._wording
        entry = (
            wording.call.get(message.template)
            if message.channel == "call"
            else (wording.sms.get(message.template) or wording.mail.get(message.template))
        )
        return entry.audience if entry is not None else None

    def _values(self, message: Message, now: datetime) -> dict[str, str]:
        alert = self._state.values.alerts.get(message.alert or "")
        visit = self._visit(alert, message.visit)
        values = self._about(alert, visit, now) | self._to(message.person)
        if message.placement is not None:
            of_provider = self._audience(message) == "provider"
            return values | self._packages.values(message, now, self._office.tel, to_provider=of_provider)
        values["n"] = str(self._count(alert, now, message.count))
        if message.template in gathering.TOGETHER:
            still = gathering.stands_for(self._state.values.alerts.values(), message)
            values |= {"n": str(max(still, 1))} | self._person(message.about)
        if message.template in SPEAK_OF_ABOUT:
            values |= self._spoken_of(message, visit)
        elif message.about is not None:
            values["new" if message.template in NAMES_NEW else "carer"] = self._directory.name(message.about)
        audience = self._audience(message)
        if audience == "staff":
            at = message.at
            values["until"] = text_time(self._state.calendar.local(at)) if at is not None else ""
        if alert is None and visit is None and message.channel != "call":
            values |= self._of_desk(message, audience)
        if audience == "care_worker":
            values |= self._for_worker(message, visit, values)
        elif audience == "service_user":
            values |= self._for_service_user(message, visit)
        elif audience == "council" and alert is not None:
            values |= self._council.values(alert, now)
            if message.template == written_notice.NOTICE:
                values |= self._council.notice(alert, now)
        elif audience == "staff" and message.at is not None:
            values["until"] = text_time(self._state.calendar.local(message.at))
        if audience != "staff":
            values["link"] = ""
        if message.template in MOMENTS:
            values |= self._moment(message.at)
        if message.template in TELLS_OF_ARRIVAL and alert is not None:
            values |= self._ending(alert, message.about if message.template == "OC-29" else None)
        if alert is not None and alert.kind == "very_short":
            # of a visit that was refused at the door nobody says how long it lasted
            left = str(alert.count) if alert.count else "less than 1"
            values["min"] = left if alert.reason == "left_short" else ""
        if alert is not None and alert.kind == "very_early":
            values["min"] = str(alert.count)
        if alert is not None and message.template in HOUR_WORDS:
            values |= self._hour(alert, visit, now, message.template)
        if alert is not None and message.template in WHY_COUNCIL:
            values["why"] = hour_words.why(self._wording, alert, hour_words.standing(alert, visit, now), now)
        if alert is not None and message.template in OF_MAIL:
            values["mail"] = self._council.mail(alert)
        if alert is not None and message.template in OF_ALERT:
            values |= self._which(alert, values)
        if message.template in OF_CHECKS:
            values |= self._unchecked()
        if message.template in OF_NOTICES:
            values |= self._unwritten(message)
        if message.template in OF_TEXTS:
            values |= self._unread()
        if message.template in OF_HOME:
            values["whom"] = self._asked_home(visit)
        if message.template in OF_BOARD and self._office.public_url:
            values["link"] = f"{self._office.public_url}/board/{self._office.desk}"
        if message.template in FIRST_VISIT and visit is not None:
            values["day"] = text_day(self._state.calendar.local(visit.start))
        if message.template in OF_DUTY:
            values |= self._duty(message.about or message.person)
        if message.template in OF_REFERRAL:
            values |= self._referral(self._referral_of(message), now)
        if message.template in OF_REFERRAL and message.channel == "email":
            phrase = REFERRAL_MAILS.get(message.template, "referral_asked")
            values["what"] = render_phrase(self._wording, phrase, values)
        if message.unrecorded or message.template == "OC-13":
            # what is meant to be done for the service user waits for the disk: it must not be told as being done
            values |= {"degraded": self._wording.phrase["degraded"], "doing": ""}
        if message.slot is not None:
            values |= codes_for(message.template, message.slot, bare=message.bare)
        return values

    def _duty(self, person: str) -> dict[str, str]:
        """Whose duty on call begins when, until when, who had it before, how many alerts are open as this leaves."""
        one = self._state.values.hand_overs.get(person)
        local, values = self._state.calendar.local, self._state.values
        until = one.until if one is not None else None
        return {
            "new": self._directory.name(person),
            "from": text_time(local(one.began_at)) if one is not None else "",
            "to": text_time(local(until)) if until is not None else "",
            "staff": self._directory.name(one.outgoing) if one is not None else "",
            "n": str(sum(1 for alert in values.alerts.values() if alert.state != "ended")),
            "min": _minutes(call_after(values.policy)),
        }

    def _referral_opening(self, message: Message) -> str:
        """It is over, or somebody else has it, by the time that they pick up."""
        referral = self._referral_of(message)
        if referral is None or not referral.waits:
            return "over"
        return "" if referral.taken_by in (None, message.person) else "gone"

    def _referral_of(self, message: Message) -> Referral | None:
        found = self._state.values.referrals.values()
        return next((one for one in found if message.key in one.messages), None)

    def _taken_last(self, person: str) -> Referral | None:
        """The referral that they have taken last."""
        found = [one for one in self._state.values.referrals.values() if one.taken_by == person]
        return max(found, key=lambda one: one.taken_at or one.logged_at, default=None)

    def _referral(self, referral: Referral | None, now: datetime) -> dict[str, str]:
        """What the council asks for, until when, how much of that is left as this leaves."""
        board = f"{self._office.public_url}/board/{self._office.desk}" if self._office.public_url else ""
        link = {"link": f"{board}/referrals" if board else ""}
        if referral is None:
            return link
        until, left = self._state.calendar.local(referral.answer_by), referral.answer_by - now
        day = f"{text_day(until)} " if until.date() != self._state.calendar.local(now).date() else ""
        return link | {
            "what": self._wording.phrase[f"referral_{referral.package}"],
            "until": day + text_time(until),
            "spoken_time": spoken_time(until),
            "min": str(max(0, math.ceil(left / timedelta(minutes=1)))),
        }

    def _unchecked(self) -> dict[str, str]:
        """How many alerts wait for the manager's check as this leaves, and on which day the first of them was over."""
        found = [self._state.values.alerts[ref] for ref in self._state.unchecked]
        days = [self._state.calendar.local(a.ended_at) for a in found if a.ended_at is not None]
        board = f"{self._office.public_url}/board/{self._office.desk}" if self._office.public_url else ""
        return {
            "n": str(len(found)),
            "day": f"{min(days):%A}" if days else "",
            "link": board,
        }

    def _unwritten(self, message: Message) -> dict[str, str]:
        """How many written notices wait as this leaves, and of whom it speaks, if of one."""
        board = f"{self._office.public_url}/board/{self._office.desk}" if self._office.public_url else ""
        return {"n": str(len(self._state.unwritten)), "link": board} | self._person(message.about)

    def _unread(self) -> dict[str, str]:
        """How many people wait for an answer to what they have texted as this leaves."""
        board = (
            f"{self._office.public_url}/board/{self._office.desk}/texts" if self._office.public_url else ""
        )
        waiting = [one for one in self._state.values.unread.values() if one.waits and one.persons]
        return {"n": str(len(waiting)), "link": board}

    def _spoken_of(self, message: Message, visit: Visit | None) -> dict[str, str]:
        """Of whom it speaks without an alert: who is away or back, or has died, with who recorded that."""
        died = self._state.values.died.get(message.about or "")
        staff = self._directory.name(died.by) if died is not None else self._office.agency
        values = self._person(message.about) | self._away(message.about) | {"staff": staff}
        if self._office.public_url is not None:
            values["link"] = f"{self._office.public_url}/board/{self._office.desk}/away"
        if visit is not None:
            values["day"] = text_day(self._state.calendar.local(visit.start))
        return values

    def _away(self, service_user: str | None) -> dict[str, str]:
        """Why somebody is away, and since when."""
        absence = next(
            (
                one
                for one in self._state.values.absences.values()
                if one.service_user == service_user and one.ended_at is None
            ),
            None,
        )
        if absence is None or service_user is None:
            return {"away": "", "day": ""}
        why = render_phrase(self._wording, f"away_{absence.reason}", {})
        return {"away": why, "day": text_day(self._state.calendar.local(absence.from_at))}

    def _asked_home(self, visit: Visit | None) -> str:
        """Who is asked whether they are home: as their absence says, else the ward."""
        absence = self._state.values.absences.get(visit.returns or "") if visit is not None else None
        asked = absence.home_from if absence is not None else None
        ward = absence is None or (absence.reason == "hospital" and asked == "place")
        return render_phrase(self._wording, "home_from_ward" if ward else f"home_from_{asked or 'place'}", {})

    def _of_desk(self, message: Message, audience: Audience | None) -> dict[str, str]:
        """Of a message that is about no one visit: the declared weather, and the board as a whole."""
        values = self._weather.values(message)
        if audience == "staff" and self._office.public_url is not None:
            values["link"] = f"{self._office.public_url}/board/{self._office.desk}"
        if audience == "next_of_kin":
            values["first"] = self._directory.name(message.about)
        return values

    def _visit(self, alert: Alert | None, ref: str | None) -> Visit | None:
        return self._state.values.visits.get((alert.visit if alert is not None else None) or ref or "")

    def _moment(self, at: datetime | None) -> dict[str, str]:
        """When somebody will be there, or nothing: an invented time is worse than none."""
        if at is None:
            return {"time": "", "spoken_time": ""}
        local = self._state.calendar.local(at)
        return {"time": text_time(local), "spoken_time": spoken_time(local)}

    def _for_worker(self, message: Message, visit: Visit | None, values: dict[str, str]) -> dict[str, str]:
        """{carer} is who reads it. Of an offer: what one must know to say yes or no."""
        local = self._state.calendar.local
        filled = {
            "min": str(message.count) if message.count else "",
            "drive": str(message.count) if message.count else "",
            "until": text_time(local(message.at or message.expires_at)),
            "new": values["new"] if message.about is not None else "",
        }
        if message.template == "CW-13" and message.about is None:
            filled["new"] = self._missing(visit)
        if message.template not in NAMES_NEW - {"CWV-2"}:
            filled["carer"] = self._directory.name(message.person)
        if visit is not None:
            minutes = round((visit.end - visit.start).total_seconds() / 60)
            filled |= {"area": self._directory.area(visit.service_user, visit.start), "len": str(minutes)}
        if message.template == "CWV-2":
            filled["new"] = self._sent(message) or filled["new"]
        if message.template == "CW-4" and not self._tells_service_user(visit):
            filled["first"] = ""
        if message.template == "CW-9":
            filled["time"] = self._next_visit(message.person, visit)
        return filled

    def _sent(self, message: Message) -> str:
        """Who goes instead, other than who is spoken to."""
        alert = self._state.values.alerts.get(message.alert or "")
        sent = [going.worker for going in (alert.sent if alert else ()) if going.worker != message.person]
        return self._directory.name(sent[-1]) if sent else ""

    def _next_visit(self, worker: str, visit: Visit | None) -> str:
        """When the next visit of that care worker begins; "" when there is none today."""
        after = visit.start if visit is not None else None
        visits = (self._state.values.visits[ref] for ref in self._state.by_worker.get(worker, ()))
        starts = [
            v.start
            for v in visits
            if after is not None
            and v.start > after
            and worker in v.workers
            and not v.over
            and not v.anybody_there
        ]
        day = self._state.calendar.local
        if after is None or not starts or day(min(starts)).date() != day(after).date():
            return ""
        return text_time(day(min(starts)))

    def _for_service_user(self, message: Message, visit: Visit | None) -> dict[str, str]:
        """{carer} is who was expected; how late they are is what was said, or follows from the promised time."""
        filled = {"min": str(message.count) if message.count else ""}
        if visit is not None and message.template in (BY_TEXT, BY_CALL):
            regular = self._regular(visit)
            return {"carer": regular, "day": f"{self._state.calendar.local(visit.start):%A}"}
        if visit is not None and message.about in visit.workers:
            filled["carer"] = self._directory.name(message.about)
        elif visit is not None and message.about is not None and len(visit.places) > 1:
            filled |= self._instead_of(message, visit)
        if not message.count and message.at is not None and visit is not None and message.at > visit.start:
            filled["min"] = str(round((message.at - visit.start).total_seconds() / 60))
        return filled

    def _regular(self, visit: Visit) -> str:
        """Who was with them last, of those who are not planned for this visit."""
        known = self._state.values.regulars.get(visit.service_user, {})
        others = sorted((last, worker) for worker, last in known.items() if worker not in visit.workers)
        return self._directory.name(others[-1][1]) if others else self._wording.phrase["no_carer"]

    def _instead_of(self, message: Message, visit: Visit) -> dict[str, str]:
        """Of two who were expected, the one for whom somebody else comes: not who is on the way."""
        alert = self._state.values.alerts.get(message.alert or "")
        sent = [going.worker for going in (alert.sent if alert else ())]
        coming = {said.worker for said in visit.said if said.answer == "on_my_way"}
        absent = [p.planned for p in visit.places if p.arrived_at is None and p.planned]
        absent = [worker for worker in absent if worker not in coming]
        at = sent.index(message.about) if message.about in sent else len(absent)
        return {"carer": self._directory.name(absent[at])} if at < len(absent) else {}

    def _tells_service_user(self, visit: Visit | None) -> bool:
        """Whether a time for this visit is on its way to the service user, really and not as a rehearsal."""
        return visit is not None and any(
            m.visit == visit.ref
            and m.template in ("SU-5", "SU-7", "SU-8", "SUV-2")
            and m.result not in ("rehearsed", "cancelled", "failed")
            for m in self._state.values.messages.values()
        )

    def _hour(self, alert: Alert, visit: Visit | None, now: datetime, template: str) -> dict[str, str]:
        """What is left of the hour in which somebody must be sent (spec 22.4), and how it stands."""
        standing = hour_words.standing(alert, visit, now)
        policy = self._state.policy_of(alert.policy)
        ends = alert.hour_at or alert.opened_at + policy.replace_within
        offers = {m.person for m in self._messages(alert) if m.purpose == "offer" and m.attempts}
        declined = {m.person for m in self._messages(alert) if m.purpose == "offer" and declines(m)}
        return {
            "min": _minutes(max(timedelta(0), ends - now)),
            "n": str(len(offers)),
            "m": str(len(declined | set(alert.declined))),
            "reached": self._reached(alert),
            "told": self._council.told(alert),
            "sent": hour_words.for_staff(
                self._wording, standing, self._clock, self._directory.name, yet=template == "OC-6"
            ),
        }

    def _clock(self, at: datetime) -> str:
        return text_time(self._state.calendar.local(at))

    def _messages(self, alert: Alert) -> list[Message]:
        found = (self._state.values.messages.get(key) for key in alert.messages)
        return [message for message in found if message is not None]

    def _reached(self, alert: Alert) -> str:
        track = alert.track("reassure")
        name = "reached_no"
        if track is not None and track.step == "reached":
            name = "reached_yes"
        elif track is None or track.step == "skipped" or track.reason == "public_off":
            name = "reached_off"
        return render_phrase(self._wording, name, {})

    def _count(self, alert: Alert | None, now: datetime, decided: int) -> int:
        """How many: alerts of a digest, rows of the rota; taken now, not when it was `decided`, as tries are."""
        values = self._state.values
        if alert is not None and is_incident(alert):
            return self._size(alert, now)
        if alert is not None and alert.kind == "incident" and alert.reason == "while_down":
            return sum(
                1 for a in values.alerts.values() if a.reason == "while_down" and a.kind == "late_visit"
            )
        if alert is not None and alert.kind == "rota" and alert.reason == "rows_not_watched":
            return len(values.unwatched)
        return decided

    def _about(self, alert: Alert | None, visit: Visit | None, now: datetime) -> dict[str, str]:
        office = self._office
        local = self._state.calendar.local
        values = {
            "agency": office.agency,
            "tel": office.tel,
            "free": office.free,
            "now": text_time(local(now)),
            "min": _minutes(self._state.values.policy.ack_expires),
            "first": "",
            "id": "",
            "ref": "",
            "carer": self._wording.phrase["no_carer"],
            "new": self._missing(visit),
            "staff": "",
            "n": "0",
        }
        if visit is not None:
            values |= self._person(visit.service_user) | self._when(visit.start)
            values["carer"] = self._planned(visit) or values["carer"]
        return values if alert is None else values | self._about_alert(alert, visit, values, now)

    def _about_alert(
        self, alert: Alert, visit: Visit | None, values: dict[str, str], now: datetime
    ) -> dict[str, str]:
        office, local = self._office, self._state.calendar.local
        about = alert.service_user or alert.worker
        due = visit.start if visit else alert.due_at
        if alert.kind == "lone_worker" and visit:
            due = visit.end
        found = self._person(about) | self._when(due)
        found |= {
            "who": self._who(alert) or self._directory.name(about),
            "since": text_time(local(alert.taken_at or alert.opened_at)),
            "staff": self._directory.name(alert.taken_by),
            "flags": self._flags(alert),
            "doing": self._doing(alert),
            "n": str(self._count(alert, now, max(alert.count, 1))),
        }
        carer = self._carer(alert, visit)
        if alert.kind == "late_visit" and alert.reason == CANNOT:
            carer = self._who_said(visit, CANNOT) or carer
        if carer:
            found["carer"] = carer
        if is_incident(alert):
            found |= self._round(alert, now)
        package = self._package(alert)
        if package is not None:
            found["ref"] = self._directory.outside(package)
        if alert.kind == "away":
            found |= self._away(alert.service_user)
        if office.public_url is not None:
            found["link"] = f"{office.public_url}/board/{office.desk}/alerts/{alert.ref}"
        found["what"] = self._what(alert, values | found)
        return found

    def _package(self, alert: Alert) -> str | None:
        """The package that it is about; of a bundle the first of its packages."""
        if alert.reason != SEVERAL_UNPLACED:
            return alert.placement
        return next((one.placement for one in members(self._state, alert.ref)), None)

    def _size(self, incident: Alert, now: datetime) -> int:
        """How many visits, or packages, are its cause's now."""
        if incident.reason == SEVERAL_UNPLACED:
            return max(len(members(self._state, incident.ref)), 1)
        return max(len(round_of(self._state, incident, now)), 1)

    def _round(self, incident: Alert, now: datetime) -> dict[str, str]:
        """How many visits its cause concerns, and the first of them. Whom somebody must not hear of is not named: an
        incident is told to all who are on duty."""
        found = round_of(self._state, incident, now)
        people = (self._directory.person(visit.service_user) for visit in found)
        named = [person.ref for person in people if person is not None and not person.plan.never_tell]
        first = self._person(named[0] if named else None)
        return first | {"n": str(self._size(incident, now))} | self._when(self._dark_since(incident))

    def _dark_since(self, incident: Alert) -> datetime:
        """When the last sign of life came in, as far as is known; else when the incident began."""
        way = incident.reason.removesuffix("_dark")
        owner = self._directory.worker_of
        since = [
            entry.since
            for entry in self._state.values.dark.values()
            if entry.cause == way
            or (way == "worker" and entry.cause == "device" and owner(entry.subject) == incident.worker)
        ]
        return min(since, default=incident.opened_at)

    def _person(self, ref: str | None) -> dict[str, str]:
        return {"first": self._directory.name(ref), "id": self._directory.outside(ref) if ref else ""}

    def _when(self, at: datetime) -> dict[str, str]:
        local = self._state.calendar.local(at)
        return {"time": text_time(local), "spoken_time": spoken_time(local)}

    def _to(self, person: str) -> dict[str, str]:
        return {"nok": self._directory.name(person)}

    def _who(self, alert: Alert) -> str:
        """Who waits, or waited last, on an open line: it may be their next of kin."""
        held = [held for held in alert.lines if held.call == held.room]
        return self._directory.name(held[-1].person) if held else ""

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
        return self._planned(visit) if visit else ""

    def _planned(self, visit: Visit) -> str:
        return " and ".join(self._directory.name(worker) for worker in visit.workers)

    def _who_said(self, visit: Visit | None, answer: str) -> str:
        said = visit.said if visit is not None else ()
        return " and ".join(self._directory.name(entry.worker) for entry in said if entry.answer == answer)

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
        values = {
            "first": self._directory.name(alert.service_user),
            "min": _minutes(self._state.values.policy.ask_public),
            "carer": self._who_said(self._visit(alert, None), "there"),
        }
        return render_phrase(self._wording, name, values)

    def _what(self, alert: Alert, values: dict[str, str]) -> str:
        name = (
            "kind_catch_up"
            if alert.reason == "while_down" and alert.kind == "incident"
            else f"kind_{alert.kind}"
        )
        if alert.kind in BY_REASON and f"kind_{alert.reason}" in self._wording.phrase:
            name = f"kind_{alert.reason}"
        if alert.recordings:
            name = ANSWERPHONE[alert.recordings[-1].came]
        if name not in self._wording.phrase:
            return ""
        defaults = {"spoken_time": values.get("now", "")}
        if alert.kind in ("help_asked", "message"):
            values = values | self._caller(alert)
        if alert.recordings:
            values = values | {"n": str(max(alert.recordings[-1].seconds, 1))}
        return render_phrase(self._wording, name, defaults | values)

    def _caller(self, alert: Alert) -> dict[str, str]:
        """Who rang the free number, from whose line; the number itself only where it is nobody's that we know."""
        unknown = alert.line is not None and alert.service_user is None
        here = self._directory.on_line(alert.line) if alert.line is not None and unknown else ()
        known = alert.worker or (next(iter(here)) if len(here) == 1 else None)
        return {
            "carer": self._directory.name(known) or self._wording.phrase["somebody"],
            "first": self._directory.name(alert.service_user),
            "id": self._directory.outside(alert.service_user) if alert.service_user else "",
            "caller": national(self._directory.number(alert.line or "")) if unknown else "",
        }

    def _left_or_not(self, alert: Alert) -> dict[str, str]:
        """What has become of somebody who had not checked out, and when they were to have left."""
        visit = self._visit(alert, None)
        places = visit.places if visit is not None else ()
        place = next((place for place in places if place.worker == alert.worker), None)
        name = "ended_outcome_recorded"
        if place is not None and alert.ended_reason == "late_evidence":
            step = place.leaving.step if place.leaving is not None else None
            named = {"left": "ended_said_left", "still_here": "ended_still_here"}
            known = "ended_checked_out" if place.left_at is not None else "ended_elsewhere"
            name = named.get(step or "", known)
        carer = self._directory.name(alert.worker) or self._wording.phrase["no_carer"]
        staff = self._directory.name(alert.taken_by) or self._office.agency
        said = render_phrase(self._wording, name, {"carer": carer, "staff": staff})
        return {"carer": carer, "what": said} | (self._when(visit.end) if visit is not None else {})

    def _arrival(self, visit: Visit | None) -> Place | None:
        """The last one who came."""
        arrived = [(p.arrived_at, p) for p in (visit.places if visit else ()) if p.arrived_at is not None]
        return max(arrived, key=lambda pair: pair[0])[1] if arrived else None

    def _is_about(self, alert: Alert) -> str:
        """What an alert is about that is about nobody in particular, in a few words."""
        if alert.placement is not None:
            return render_phrase(
                self._wording, "package_named", {"ref": self._directory.outside(alert.placement)}
            )
        known = (f"over_{alert.reason}", f"over_{alert.kind}")
        return next((self._wording.phrase[name] for name in known if name in self._wording.phrase), "")

    def _which(self, alert: Alert, values: dict[str, str]) -> dict[str, str]:
        """Which alert it is where words name it by a person, who may be nobody; and what is still so."""
        found = {"still": self._wording.phrase["still_no_arrival" if alert.kind in LATE else "still_open"]}
        if values["first"] or values["id"]:
            return found
        if alert.placement is not None:
            return found | {"id": self._is_about(alert)}
        return found | {"id": f'"{self._is_about(alert) or self._wording.phrase["over_alert"]}"'}

    def _ending(self, alert: Alert, by: str | None) -> dict[str, str]:
        """What became of it, and by whom: `by`, where somebody has said so."""
        last = self._arrival(self._visit(alert, None))
        closed = by or alert.taken_by
        # a provider, too, ends what is about its package: its name is more than its first word
        named = self._directory.name if alert.placement is None else self._directory.full_name
        values = {"staff": named(closed) or self._office.agency}
        if over := self._is_about(alert):
            values["over"] = over
        if last is not None and last.arrived_at is not None:
            values["carer"] = self._directory.name(last.worker) or self._wording.phrase["no_carer"]
            values["time"] = text_time(self._state.calendar.local(last.arrived_at))
        if alert.kind == "lone_worker":
            return values | self._left_or_not(alert)
        # no outcome was recorded by anybody: the disk is back
        by_itself = f"ended_{alert.reason}"
        name = by_itself if by_itself in self._wording.phrase else f"ended_{alert.ended_reason}"
        if name in self._wording.phrase:
            filled = {"carer": self._wording.phrase["no_carer"], "time": ""} | values
            values["what"] = render_phrase(self._wording, name, filled)
        return values
