"""The words, filled with what one desk knows: each reads as a person would say it, and promises nothing unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from escalation.dialog import DIALOGS
from escalation.inform import Council
from escalation.track import Track
from monitor.core.messages import SayBack
from monitor.core.referral_fold import Referral, Summons
from monitor.core.state import Alert, Message, Place, Said, Sent, State, Telling, Unwatched, Values, Visit
from monitor.core.upload import finished
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.wording_file import load_wording
from monitor.words import Office, Words
from monitor.words_council import CouncilWords

START = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
NOW = START + timedelta(minutes=42)
ETA = START + timedelta(minutes=55)
OFFICE = Office(desk="bright", agency="Bright Care", tel="01632 960900", free="0800 123 4567")

PEOPLE: list[dict[str, Any]] = [
    {
        "id": "SU-7",
        "role": "service_user",
        "name": "Edna Rushbrook",
        "council_ref": "BR-1427",
        "homes": [{"lat": 51.4, "lon": -0.05, "area": "Anerley"}],
        "next_of_kin": ["kin"],
        "contact_plan": {"lives_alone": True},
    },
    {"id": "cw-1", "role": "care_worker", "name": "Dee Vale"},
    {"id": "cw-2", "role": "care_worker", "name": "Nia Okafor"},
    {"id": "cw-3", "role": "care_worker", "name": "Ray Pell"},
    {"id": "st-1", "role": "staff", "name": "Pat Moss"},
    {"id": "kin", "role": "contact", "name": "Tom Rushbrook"},
]


class Story:
    """A visit at half past seven that nobody came to, an alert about it, and words for what follows."""

    def __init__(self, *, office: Office = OFFICE) -> None:
        numbers = count(1)
        self.directory = Directory(lambda prefix: f"{prefix}{next(numbers)}", "Europe/London", 150.0)
        self.directory.apply(*finished(self.directory.read(PEOPLE)))
        visit = Visit(
            ref="v1",
            service_user=self.ref("SU-7"),
            start=START,
            end=START + timedelta(minutes=45),
            agreed_start=START,
            late_at=START + timedelta(minutes=30),
            missed_at=START + timedelta(hours=2),
            overrun_at=START + timedelta(hours=2),
            places=(Place(planned=self.ref("cw-1")),),
        )
        later = structs.replace(
            visit, ref="v2", start=START + timedelta(hours=1), end=START + timedelta(hours=2)
        )
        alert = Alert(
            ref="a1",
            kind="late_visit",
            due_at=visit.late_at,
            opened_at=visit.late_at,
            policy="",
            visit="v1",
            service_user=visit.service_user,
        )
        values = Values(visits={"v1": visit, "v2": later}, alerts={"a1": alert})
        self.state = State(values)
        self.words = Words(load_wording(), office, self.state, self.directory)
        self._keys = count(1)

    def ref(self, outside: str) -> str:
        return self.directory.ref("person", outside)

    def message(self, template: str, to: str, purpose: Any = "notice", **more: Any) -> Message:
        given: dict[str, Any] = {"channel": "sms", "alert": "a1", "visit": "v1"} | more
        if "about" in given:
            given["about"] = self.ref(given["about"])
        return Message(
            key=f"m{next(self._keys)}",
            person=self.ref(to),
            line="l1",
            purpose=purpose,
            template=template,
            priority="repeat",
            intended_at=NOW,
            expires_at=NOW + timedelta(minutes=10),
            policy="",
            **given,
        )

    def sent(self, template: str, to: str, purpose: Any, minutes: int, **more: Any) -> None:
        """A message that left so many minutes after the start."""
        at = START + timedelta(minutes=minutes)
        message = self.message(template, to, purpose, attempts=1, attempted_at=at, phase="settled", **more)
        self.state.values.messages[message.key] = structs.replace(message, settled_at=at)
        alert = self.state.values.alerts["a1"]
        self.state.values.alerts["a1"] = structs.replace(alert, messages=(*alert.messages, message.key))

    def alert(self, **more: Any) -> None:
        self.state.values.alerts["a1"] = structs.replace(self.state.values.alerts["a1"], **more)

    def arrives(self, who: str, minutes: int) -> None:
        place = Place(
            planned=self.ref("cw-1"), worker=self.ref(who), arrived_at=START + timedelta(minutes=minutes)
        )
        visits = self.state.values.visits
        visits["v1"] = structs.replace(visits["v1"], places=(place,))

    def text(self, template: str, to: str, purpose: Any = "notice", **more: Any) -> str:
        return self.words.text(self.message(template, to, purpose, **more), NOW)

    def said(
        self, template: str, to: str, purpose: Any = "notice", step: str | None = None, **more: Any
    ) -> str:
        message = self.message(template, to, purpose, channel="call", **more)
        begun = self.words.opening(message) if step is None else step
        return " ".join(self.words.script(message, begun, NOW).say)


@pytest.fixture
def story() -> Story:
    return Story()


ROWS: list[tuple[str, str, str, dict[str, Any], str]] = [
    (
        "SU-5",
        "SU-7",
        "reassure",
        {"about": "cw-1", "at": ETA},
        "Bright Care: Dee is on the way and should be with you by about 8.25am. To talk to us ring 01632 960900",
    ),
    (
        "SU-5",
        "SU-7",
        "reassure",
        {"about": "cw-1"},
        "Bright Care: Dee is on the way. To talk to us ring 01632 960900",
    ),
    (
        "SU-6",
        "SU-7",
        "tell_replacement",
        {"about": "cw-2", "at": ETA},
        "Bright Care: Nia is coming to you today instead of Dee, by about 8.25am, and will show you a badge. "
        "To talk to us ring 01632 960900",
    ),
    (
        "SU-7",
        "SU-7",
        "reassure",
        {"about": "cw-2", "at": ETA},
        "Bright Care: sorry, Nia is later than we said. New time about 8.25am. To talk to us ring 01632 960900",
    ),
    (
        "SU-8",
        "SU-7",
        "notice",
        {"at": ETA, "alert": None},
        "Bright Care: Dee is running about 55 minutes late today and should be with you by about 8.25am. "
        "Tel 01632 960900",
    ),
    (
        "SU-9",
        "SU-7",
        "notice",
        {"count": 20, "alert": None},
        "Bright Care: your carer has been held up and will be about 20 minutes late. We will tell you if that "
        "changes. Tel 01632 960900",
    ),
    (
        "NOK-1",
        "kin",
        "inform_next_of_kin",
        {"slot": 2},
        "Bright Care: Edna's carer, due 7.30am, has not signed in and Edna has not answered. We are dealing with it. "
        "Reply 21 I have spoken to Edna, 22 ring me, 23 I can go. Tel 01632 960900",
    ),
    (
        "CW-1",
        "cw-1",
        "ask_worker",
        {"slot": 1, "alert": None},
        "Dee, no check-in yet: Edna SU-7 7.30am. Reply 11 I am there, 12 + minutes if on my way (12 15), "
        "13 cannot get there. Driving? Stop first",
    ),
    (
        "CW-2",
        "cw-1",
        "locate",
        {"slot": 1},
        "Dee: Edna SU-7, due 7.30am, is now an alert. Reply 11 there, 12 + minutes, 13 cannot get there. "
        "In trouble? Ring 01632 960900",
    ),
    (
        "CW-3",
        "cw-1",
        "notice",
        {},
        "Thank you Dee. Please check in now with the tag or on 0800 123 4567 from any phone. "
        "It is not logged until you do.",
    ),
    ("CW-4", "cw-1", "notice", {"count": 15}, "Thank you, 15 minutes. We are telling Edna. No need to rush."),
    (
        "CW-5",
        "cw-1",
        "notice",
        {"slot": 1},
        "Thank you for telling us. We are finding cover for Edna SU-7. Are you all right? Reply 14 if not and we "
        "ring you at once.",
    ),
    (
        "CW-7",
        "cw-2",
        "offer",
        {"slot": 3, "count": 12, "at": START + timedelta(minutes=90)},
        "Cover wanted: Edna SU-7, Anerley, 7.30am, 45 min, about 12 min away. Reply 31 I will go, 32 no. "
        "First answer has it, until 9am. No reply is fine",
    ),
    (
        "CW-8",
        "cw-2",
        "notice",
        {"slot": 3, "at": ETA},
        "It is yours: Edna SU-7, by 8.25am. The office knows the rest: 01632 960900. If you cannot after all reply "
        "33 straight away.",
    ),
    ("CW-8B", "cw-3", "stand_down", {}, "Thank you Ray, Edna SU-7 is covered now. Nothing more to do."),
    (
        "CW-9",
        "cw-1",
        "stand_down",
        {"about": "cw-2"},
        "Nia is now going to Edna SU-7. Please go on to your next visit at 8.30am. Already there? Check in and ring "
        "01632 960900",
    ),
    (
        "CW-13",
        "cw-1",
        "ask_worker",
        {"about": "cw-3", "slot": 2},
        "Ray has not checked in at Edna SU-7. Please do not hoist alone. Tell Edna a second carer is coming. "
        "Reply 27 Ray is here, 28 not here",
    ),
]


@pytest.mark.parametrize(
    ("template", "to", "purpose", "more", "reads"), ROWS, ids=[f"{row[0]}-{n}" for n, row in enumerate(ROWS)]
)
def test_a_text_says_what_is_known(
    story: Story, template: str, to: str, purpose: str, more: dict[str, Any], reads: str
) -> None:
    if template == "CW-4":
        story.sent("SU-5", "SU-7", "reassure", 40)
    assert story.text(template, to, purpose, **more) == reads


def test_what_is_not_known_is_left_out_of_an_offer(story: Story) -> None:
    person = story.directory.people[story.ref("SU-7")]
    story.directory.people[person.ref] = structs.replace(
        person, given=structs.replace(person.given, homes=())
    )
    assert "Edna SU-7, 7.30am, 45 min. Reply 31" in story.text("CW-7", "cw-2", "offer", slot=3, at=ETA)


def test_nobody_is_told_that_the_service_user_hears_of_it_while_public_messages_are_off(story: Story) -> None:
    story.sent("SU-5", "SU-7", "reassure", 40, result="rehearsed")
    assert story.text("CW-4", "cw-1", count=15) == "Thank you, 15 minutes. No need to rush."


def test_a_link_goes_to_staff_alone() -> None:
    """The board knows no care worker: a page that asks for a password is no help to somebody in a street."""
    story = Story(office=structs.replace(OFFICE, public_url="https://cw.example"))
    assert "https" not in story.text("CW-8", "cw-2", slot=3, at=ETA)
    assert "https" not in story.text("CW-3", "cw-1")
    assert story.text("OC-6", "st-1").endswith(
        "Send someone: https://cw.example/board/bright/alerts/a1 or ring 01632 960900"
    )


# --- the automatic replies to a care worker ---


def test_the_reply_to_minutes_repeats_them_and_promises_only_what_happens(story: Story) -> None:
    said = SayBack(template="CW-4", alert=None, visit="v1", person=story.ref("cw-1"), count=15)
    assert story.words.say_back(said, "CW-4", None, NOW) == "Thank you, 15 minutes. No need to rush."
    story.sent("SU-8", "SU-7", "notice", 41)
    assert story.words.say_back(said, "CW-4", None, NOW) == (
        "Thank you, 15 minutes. We are telling Edna. No need to rush."
    )
    unsaid = structs.replace(said, count=0)
    assert story.words.say_back(unsaid, "CW-4", None, NOW).startswith("Thank you. We are")


def test_the_reply_to_there_asks_for_the_check_in(story: Story) -> None:
    said = SayBack(template="CW-3", alert="a1", person=story.ref("cw-1"))
    alert = story.state.values.alerts["a1"]
    assert story.words.say_back(said, "CW-3", alert, NOW).startswith("Thank you Dee. Please check in now")


# --- staff ---


def test_the_hour_says_what_is_left_and_how_many_were_asked(story: Story) -> None:
    story.sent("CW-7", "cw-2", "offer", 33, slot=3, proof="reply:32")
    story.sent("CW-7", "cw-3", "offer", 33, slot=3)
    story.sent("CWV-2", "cw-3", "offer", 35, channel="call", result="voicemail")
    assert story.text("OC-6", "st-1", "summon") == (
        "Edna SU-7: 48 min left of the hour, nobody sent yet. 2 asked, 1 said no. Send someone or ring 01632 960900"
    )


STAFF_HEAR = [
    ("OC-62", {"about": "cw-1"}, "Dee says: there, at Edna SU-7. No check-in yet."),
    ("OC-63", {"about": "cw-1", "at": ETA}, "Dee is on the way to Edna SU-7, there by about 8.25am."),
    ("OC-63", {"about": "cw-1"}, "Dee is on the way to Edna SU-7."),
    ("OC-64", {"about": "cw-1"}, "Dee cannot get to Edna SU-7."),
    ("OC-65", {"about": "cw-2", "at": ETA}, "Nia goes to Edna SU-7, there by about 8.25am."),
    ("OC-66", {"about": "kin"}, "the number we have for Tom, next of kin of Edna SU-7, is wrong."),
    ("OC-67", {"about": "kin"}, "Tom, next of kin of Edna SU-7, asks to be rung."),
    ("OC-68", {"about": "kin"}, "Tom, next of kin of Edna SU-7, has been told"),
    ("OC-69", {"about": "cw-2"}, "Nia was to be with Edna SU-7 by now"),
    (
        "OC-100",
        {"about": "cw-2", "at": ETA},
        "Nia goes to Edna SU-7, there by about 8.25am. Edna has not been told:",
    ),
    ("OC-101", {"count": 3}, "no next of kin of Edna SU-7 has answered, all tried 3 times."),
    ("OC-102", {"count": 4}, "nobody else can be asked to go to Edna SU-7, 4 asked so far."),
    ("OC-241", {}, "all who could go to Edna SU-7 have other offers to answer first"),
]


@pytest.mark.parametrize(
    ("template", "what", "phase"), [("OC-240", "nobody_left", "exhausted"), ("OC-242", "open_offers", "held")]
)
def test_what_is_said_of_several_visits_counts_those_of_which_it_is_still_true(
    story: Story, template: str, what: Any, phase: str
) -> None:
    text = story.message(template, "st-1", alert=None, visit=None, about="SU-7", count=4)
    track = Track(name="replace", step="trying", reason="", phase=phase)
    story.alert(tracks=(track,), tellings=(Telling(what=what, message=text.key),))
    first = story.state.values.alerts["a1"]
    for ref in ("a2", "a3"):
        story.state.values.alerts[ref] = structs.replace(first, ref=ref)
    story.state.values.alerts["a4"] = structs.replace(first, ref="a4", tracks=())
    said = story.words.text(text, NOW)
    assert ": 3, first Edna SU-7. Please send people: ring 01632 960900" in said


@pytest.mark.parametrize(("template", "more", "said"), STAFF_HEAR)
def test_staff_hear_of_whom_it_is_and_when(
    story: Story, template: str, more: dict[str, Any], said: str
) -> None:
    assert said in story.text(template, "st-1", **more)


def test_where_no_care_worker_is_known_staff_hear_any_carer(story: Story) -> None:
    visits = story.state.values.visits
    visits["v1"] = structs.replace(visits["v1"], places=(Place(),))
    assert "any carer cannot get to Edna" in story.text("OC-64", "st-1")


def test_where_a_care_worker_claims_to_be_there_staff_are_told_to_ring(story: Story) -> None:
    story.alert(tracks=(Track(name="reassure", step="skipped", reason="claimed_there"),))
    assert "A person has to ring Edna: please do" in story.words.mail(
        story.message("OC-1", "st-1", "summon", channel="email"), NOW
    )


def test_the_hour_is_the_alerts_own_and_counts_who_gave_it_back(story: Story) -> None:
    story.alert(hour_at=NOW + timedelta(minutes=20), declined=(story.ref("cw-3"),))
    story.sent("CW-7", "cw-3", "offer", 33, slot=3)
    assert "20 min left of the hour, nobody sent yet. 1 asked, 1 said no" in story.text("OC-6", "st-1")


TWO = (Place(planned="p-a"), Place(planned="p-b"))
ONE_THERE = (
    Place(planned="p-a", worker="p-a", arrived_at=START + timedelta(minutes=35)),
    Place(planned="p-b"),
)
ENDS = NOW + timedelta(minutes=18)
"""The end of the hour, in the rows below."""


def going(story: Story, *, minutes: float, who: str = "cw-2") -> Sent:
    """Who was sent, to be there so many minutes from now."""
    return Sent(worker=story.ref(who), eta_at=NOW + timedelta(minutes=minutes))


STANDS: list[tuple[str, tuple[Place, ...], list[float], str, str]] = [
    # of one place
    ("nobody", (Place(),), [], "nobody sent yet", "nobody is with the person yet"),
    ("one, in time", (Place(),), [18], "Nia sent, there by 8.30am", "who was sent is not there yet"),
    (
        "one, a moment too late",
        (Place(),),
        [18.02],
        "Nia sent, there only by 8.30am",
        "who was sent is not there yet",
    ),
    ("one, overdue", (Place(),), [-0.02], "Nia sent for 8.11am, not there", "who was sent is not there yet"),
    # of two
    ("nobody of two", TWO, [], "nobody sent yet", "nobody is with the person yet"),
    ("one of two", TWO, [10], "1 of 2 sent", "1 of 2 care workers are there or on the way"),
    ("both of two", TWO, [10, 12], "Ray sent, there by 8.24am", "who was sent is not there yet"),
    ("both, one too late", TWO, [10, 30], "Ray sent, there only by 8.42am", "who was sent is not there yet"),
    (
        "one there",
        ONE_THERE,
        [],
        "1 of 2 there, nobody sent yet",
        "1 of 2 care workers are there or on the way",
    ),
    ("one there, one sent", ONE_THERE, [10], "Nia sent, there by 8.22am", "who was sent is not there yet"),
]


@pytest.mark.parametrize(
    ("what", "places", "etas", "staff", "council"), STANDS, ids=[row[0] for row in STANDS]
)
def test_how_the_hour_stands_is_said_as_it_is(
    story: Story, what: str, places: tuple[Place, ...], etas: list[float], staff: str, council: str
) -> None:
    visits = story.state.values.visits
    visits["v1"] = structs.replace(visits["v1"], places=places)
    sent = tuple(going(story, minutes=at, who=who) for at, who in zip(etas, ("cw-2", "cw-3"), strict=False))
    story.alert(hour_at=ENDS, sent=sent, tracks=(Track(name="reassure", step="reached", reason="key"),))
    assert f"18 min left of the hour, {staff}. " in story.text("OC-6", "st-1")
    said = staff.replace(" yet", "")
    assert f"due 7.30am, {said}. Edna: answered us." in story.text("RM-1", "st-1")
    # the council hears of an hour that has passed, and of no other
    values = CouncilWords(load_wording(), story.state, story.directory)
    assert values.values(story.state.values.alerts["a1"], NOW)["hour"] == ""
    story.alert(hour_at=NOW)
    late = values.values(story.state.values.alerts["a1"], NOW)["hour"]
    assert late.endswith(council)


def test_who_has_promised_to_come_is_not_left_out(story: Story) -> None:
    visits = story.state.values.visits
    said = Said(worker=story.ref("cw-1"), answer="on_my_way", said_at=NOW, eta_at=ETA)
    visits["v1"] = structs.replace(visits["v1"], said=(said,))
    story.alert(hour_at=ENDS)
    assert "nobody sent yet, Dee says: on the way, 8.25am. 0 asked" in story.text("OC-6", "st-1")


@pytest.mark.parametrize(
    ("reached", "hour_at", "said"),
    [
        ("not_reached", ENDS, "Edna SU-7, not reached. Please ring the council"),
        ("not_reached", NOW, "Edna SU-7, not reached, and the hour has passed. Please"),
        ("reached", NOW, "Edna SU-7, the hour has passed. Please"),
    ],
)
def test_staff_hear_why_the_council_is_told(story: Story, reached: Any, hour_at: datetime, said: str) -> None:
    story.alert(hour_at=hour_at, tracks=(Track(name="reassure", step=reached, reason=""),))
    assert said in story.text("OC-61", "st-1", count=2)
    assert "try 2." in story.text("OC-61", "st-1", count=2)
    assert "join you to the council, try 2." in story.text("OC-150", "st-1", count=2)


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ("not_reached", "A service user has not been reached, and our own manager"),
        ("trying", "A service user has not been reached, and our own manager"),
        ("reached", "Nobody has come to a service user within the hour, and our own manager"),
    ],
)
def test_the_machine_tells_a_council_desk_what_is_so(story: Story, reached: Any, said: str) -> None:
    story.alert(hour_at=NOW, tracks=(Track(name="reassure", step=reached, reason=""),))
    assert said in story.said("COV-1", "edt", "inform_council")


def test_the_second_report_is_short_and_says_that_the_hour_has_passed(story: Story) -> None:
    story.alert(hour_at=NOW, council=Council(step="trying", reason="hour_passed", desk="c1", moved_at=NOW))
    mail = story.words.mail(story.message("CO-150", "edt", "inform_council", channel="email"), NOW)
    assert mail.startswith("The hour has passed: BR-1427 Bright Care")
    assert "The hour has passed, and nobody is with the person yet." in mail
    assert "- " not in mail.split("\n", 1)[1]
    read = story.words.council_script(story.state.values.alerts["a1"], story.ref("st-1"), NOW)
    assert "The hour has passed, and nobody is with the person yet. Next of kin" in read


def test_the_council_hears_who_is_on_the_way_and_that_it_was_spoken_to(story: Story) -> None:
    story.alert(
        sent=(Sent(worker=story.ref("cw-2"), eta_at=ETA),),
        council=Council(step="reached", reason="told", moved_at=NOW, told_at=NOW),
    )
    values = CouncilWords(load_wording(), story.state, story.directory)
    alert = story.state.values.alerts["a1"]
    found = values.values(alert, NOW)
    assert (found["sending"], found["spoken"]) == ("Nia is on the way, due 8.25am", "spoken to at 8.12am")
    assert values.told(alert) == "told 8.12am"


def test_who_rings_us_hears_who_comes_and_when_and_nothing_that_nobody_knows(story: Story) -> None:
    alert = story.state.values.alerts["a1"]
    assert " ".join(story.words.through(alert, NOW)).endswith("Bright Care. I am putting you through.")
    coming = structs.replace(alert, sent=(Sent(worker=story.ref("cw-2"), eta_at=ETA),))
    said = " ".join(story.words.through(coming, NOW))
    assert "Nia is on the way and should be with you at about twenty-five past eight" in said
    assert "on the way" not in " ".join(story.words.through(coming, ETA))


def test_a_no_by_key_is_counted_too(story: Story) -> None:
    story.sent("CWV-2", "cw-3", "offer", 35, channel="call", result="answered", proof="key:2")
    assert "1 asked, 1 said no" in story.text("OC-6", "st-1", "summon")


def test_the_breach_says_who_has_it_and_who_was_told(story: Story) -> None:
    story.alert(
        tracks=(Track(name="reassure", step="not_reached", reason="silent"),), taken_by=story.ref("st-1")
    )
    story.sent("CO-1", "edt", "inform_council", 40, channel="call", proof="key:1")
    assert story.text("RM-1", "st-1", "summon") == (
        "HOUR PASSED Edna SU-7, due 7.30am, nobody sent. Pat has it. Edna: not reached. Council: told 8.10am."
    )
    story.alert(tracks=(Track(name="reassure", step="reached", reason="key"),), taken_by=None, messages=())
    assert story.text("RM-1", "st-1", "summon") == (
        "HOUR PASSED Edna SU-7, due 7.30am, nobody sent. Edna: answered us. Council: no desk to tell."
    )


# --- it is over ---


def test_next_of_kin_and_council_hear_who_came_and_when(story: Story) -> None:
    story.arrives("cw-2", 57)
    assert story.text("NOK-5", "kin", "stand_down") == (
        "Bright Care: Nia has been with Edna since 8.27am. Thank you. If you want to talk to us ring 01632 960900"
    )
    assert story.text("CO-4", "edt", "stand_down") == (
        "Bright Care: your ref BR-1427, seen by Nia at 8.27am. E-mail follows. 01632 960900"
    )
    assert "How it ended: seen by Nia at 8.27am." in story.words.mail(
        story.message("CO-4", "edt", "stand_down", channel="email"), NOW
    )


def test_nobody_is_said_to_have_come_who_did_not(story: Story) -> None:
    assert story.text("NOK-5", "kin", "stand_down") == (
        "Bright Care: what we told you about Edna is dealt with. Please ring 01632 960900 to hear how. Thank you."
    )
    assert "seen by" not in story.text("CO-4", "edt", "stand_down")
    mail = story.words.mail(story.message("CO-4", "edt", "stand_down", channel="email"), NOW)
    assert "How it ended: closed by our office at 8.12am." in mail


# --- calls ---


def test_a_replacement_is_announced_by_name_and_time(story: Story) -> None:
    assert story.said("SUV-2", "SU-7", "reassure", about="cw-2", at=ETA).startswith(
        "Hello. This is Bright Care. Nia is coming to you instead of Dee, at about twenty-five past eight."
    )


def test_the_one_who_was_expected_is_not_announced_as_somebody_else(story: Story) -> None:
    said = story.said("SUV-2", "SU-7", "reassure", about="cw-1", at=ETA)
    assert said.startswith(
        "Hello. This is Bright Care. Dee is on the way and should be with you at about twenty-five"
    )
    assert "instead" not in said


def test_a_call_that_is_answered_after_the_arrival_says_that_it_is_over(story: Story) -> None:
    story.alert(state="ended", ended_reason="arrived")
    assert "has signed in" in story.said("SUV-2", "SU-7", "reassure", about="cw-2", at=ETA)
    assert "dealt with" in story.said("CWV-1", "cw-1", "locate")


def test_a_late_care_worker_is_asked_for_minutes_that_are_ended_with_hash(story: Story) -> None:
    assert "no check-in at your half past seven visit" in story.said("CWV-1", "cw-1", "locate")
    message = story.message("CWV-1", "cw-1", "locate", channel="call")
    minutes = story.words.script(message, "minutes", NOW)
    assert (minutes.digits, minutes.keys) == (3, True)
    assert story.words.script(message, "", NOW).digits == 1


def test_an_offer_by_telephone_says_where_and_how_far(story: Story) -> None:
    said = story.said("CWV-2", "cw-2", "offer", count=12, at=ETA)
    assert said.startswith("Hello Nia, Bright Care. Driving?")
    assert "Edna SU, 7, Anerley, at half past seven, about 12 minutes from you." in said
    assert "Nia" in story.said("CWV-2", "cw-3", "offer", step="gone", about="cw-2")


def test_next_of_kin_hear_their_own_name_before_anything_else(story: Story) -> None:
    said = story.said("NOKV-1", "kin", "inform_next_of_kin")
    assert "Is this Tom? Press 1 for yes." in said
    assert "Edna" not in said
    assert "The carer due at half past seven has not signed in" in story.said(
        "NOKV-1", "kin", "inform_next_of_kin", step="why"
    )


@pytest.mark.parametrize("template", sorted(set(DIALOGS) - {"FREE-2", "SUV-4", "SUV-5"}))
def test_every_step_of_every_call_of_the_procedure_can_be_filled_in(story: Story, template: str) -> None:
    for step, row in DIALOGS[template].steps.items():
        assert bool(story.said(template, "st-1", "summon", step=step)) is bool(row.lines)


# --- the council ---


def council_mail(story: Story) -> str:
    return story.words.mail(story.message("CO-2", "edt", "inform_council", channel="email"), NOW)


def test_the_report_to_the_council_says_what_was_tried_and_when(story: Story) -> None:
    story.alert(taken_by=story.ref("st-1"))
    story.sent("SUV-1", "SU-7", "reassure", 30, channel="call", result="no_answer")
    story.sent("SU-1", "SU-7", "reassure", 31, result="cancelled")
    story.sent("SUV-1", "SU-7", "reassure", 34, channel="call", result="answered")
    story.sent("OC-1", "st-1", "summon", 30, result="delivered")
    story.sent("CWV-1", "cw-1", "locate", 35, channel="call", result="voicemail")
    story.sent("NOKV-1", "kin", "inform_next_of_kin", 38, channel="call", result="busy")
    story.sent("CW-7", "cw-2", "offer", 36, slot=3)
    assert council_mail(story).split("\n") == [
        "Not reached BR-1427 Bright Care Monday 23 November 2026 7.30am - for the duty officer",
        "",
        "Your reference: BR-1427, initials ER.",
        "Visit due: 7.30am on Monday 23 November 2026.",
        "What we found: No arrival is recorded, and the person has not answered our calls.",
        "- 8am, the person, telephone: not answered",
        "- 8.04am, the person, telephone: not answered",
        "- 8.05am, the care worker, telephone: answering machine",
        "- 8.08am, next of kin, telephone: engaged",
        "Next of kin: not reached so far.",
        "What we are doing: care workers asked to go so far: 1.",
        "What we ask of you: please ring us if you know anything, such as a hospital admission, and tell us your name "
        "and reference.",
        "Our person on duty: Pat, 01632 960900.",
        "At your desk: not rung yet.",
        "Our record: a1.",
        "",
        "Bright Care",
    ]


def test_a_council_desk_that_does_not_answer_is_said_so_in_the_mail(story: Story) -> None:
    for minutes in (40, 50, 60):
        story.sent("CO-1", "edt", "inform_council", minutes, channel="call", result="no_answer")
    assert "At your desk: rung at 8.10am, 8.20am, 8.30am: NOT ANSWERED." in council_mail(story)
    notice = story.words.mail(story.message("CO-5", "edt", "inform_council", channel="email"), NOW)
    assert "we rang edt at 8.10am, 8.20am, 8.30am to report BR-1427 and were not answered." in notice


def test_the_council_learns_neither_name_nor_telephone_nor_home_of_the_service_user(story: Story) -> None:
    story.sent("SUV-1", "SU-7", "reassure", 30, channel="call", result="no_answer")
    told = [
        council_mail(story),
        story.words.council_script(story.state.values.alerts["a1"], story.ref("st-1"), NOW),
        story.said("COV-1", "edt", "inform_council", step="reference"),
        story.text("CO-3", "edt", "inform_council"),
    ]
    for text in told:
        assert not {"Edna", "Rushbrook", "SU-7", "Anerley", "Tom"} & set(text.replace(",", " ").split()), text


def test_our_person_reads_a_whole_report_aloud(story: Story) -> None:
    read = story.words.council_script(story.state.values.alerts["a1"], story.ref("st-1"), NOW)
    assert read.startswith(
        "My name is Pat, on call for Bright Care. I am reporting under your missed visit clause. Your reference "
        "BR-1427, initials ER. Visit due 7.30am today."
    )
    assert "Lives alone: yes." in read


def test_at_the_door_the_mail_says_no_reply(story: Story) -> None:
    story.alert(kind="no_reply")
    mail = council_mail(story)
    assert mail.startswith("No reply BR-1427")
    assert "Our carer is at the door and has no answer." in mail


def test_without_a_reference_the_mail_says_that_there_is_none(story: Story) -> None:
    person = story.directory.people[story.ref("SU-7")]
    given = structs.replace(person.given, council_ref=None)
    story.directory.people[person.ref] = structs.replace(person, given=given)
    assert "Your reference: (no reference known to us), initials ER." in council_mail(story)


# --- everything, to everybody ---

NOT_SENT_YET: set[str] = set()
"""Texts whose values come with a part that does not send them yet."""
WITH_A_PACKAGE = "BD-"
"""These are about a package and no visit: `test_words_placing` fills every one of them."""
TO = {"service_user": "SU-7", "next_of_kin": "kin", "care_worker": "cw-1", "staff": "st-1", "council": "edt"}


def every_text(story: Story) -> list[tuple[str, str, str]]:
    """(template, audience, what is read or heard) of all that this release may send."""
    wording, said = load_wording(), []
    for name, sms in wording.sms.items():
        if name not in NOT_SENT_YET and not name.startswith(WITH_A_PACKAGE):
            slot = 4 if sms.answerable else None
            purpose = "reassure" if sms.audience == "service_user" else "notice"
            text = story.text(name, TO[sms.audience], purpose, slot=slot, about="cw-2", at=ETA, count=5)
            said.append((name, sms.audience, text))
    for name, dialog in DIALOGS.items():
        for step in dialog.steps:
            if name not in ("FREE-2", "SUV-5"):
                audience = wording.call[name].audience
                heard = story.said(name, TO[audience], "summon", step=step, about="cw-2", at=ETA, count=5)
                said.append((f"{name} {step}", audience, heard))
    return said


@pytest.mark.parametrize("kind", ["late_visit", "no_reply", "second_worker_missing", "help_asked"])
def test_no_surname_no_home_and_no_plan_leaves_the_office(kind: Any) -> None:
    story = Story()
    story.alert(kind=kind)
    said = every_text(story)
    assert len(said) > 100
    for template, audience, text in said:
        for surname in ("Rushbrook", "Vale", "Okafor", "Moss"):
            assert surname not in text, template
        if audience != "staff":
            assert "lives alone" not in text, template
            assert "51.4" not in text, template
        if audience not in ("staff", "care_worker"):
            assert "SU-7" not in text, template
            assert "SU, 7" not in text, template
            assert "Anerley" not in text, template
        assert not set("{}[]") & set(text), template


def test_what_is_not_sent_yet_cannot_be_filled_and_says_which_value_it_needs(story: Story) -> None:
    for name in NOT_SENT_YET:
        with pytest.raises(ValueError, match=f"{name} needs a value for"):
            story.text(name, "st-1", "notice")


# --- to whom it goes, and by which sender ---


def shell(story: Story, *, sender_name: str | None = "Bright Care") -> DeskShell:
    config = SimpleNamespace(
        id="bright",
        name="Bright Care",
        numbers=("+441632960001",),
        sender_name=sender_name,
        council_desks=(SimpleNamespace(name="EDT", phone=None, email="edt@council.example"),),
    )
    engine = SimpleNamespace(state=story.state, directory=story.directory)
    clock = SimpleNamespace(now=lambda: NOW)
    rest = cast(Any, None)
    return DeskShell(
        cast(Any, config), cast(Any, engine), lambda: story.words, cast(Any, clock), rest, rest, rest
    )


def put(story: Story, message: Message) -> str:
    story.state.values.messages[message.key] = message
    return message.key


def test_a_question_leaves_from_a_number_and_a_statement_may_leave_under_a_name(story: Story) -> None:
    line = story.directory.ref("line", "+447700900123")
    asked = structs.replace(story.message("SU-1", "SU-7", "reassure", slot=1, bare=True), line=line)
    told = structs.replace(story.message("SU-5", "SU-7", "reassure", about="cw-1", at=ETA), line=line)
    sent = [shell(story).outbound(put(story, message)) for message in (asked, told)]
    assert [message.sender for message in sent if message] == ["+441632960001", "Bright Care"]


def test_a_council_s_mail_goes_to_the_address_of_the_configuration(story: Story) -> None:
    mail = story.message("CO-2", "edt", "inform_council", channel="email")
    mail = structs.replace(mail, person=story.directory.ref("council_desk", "EDT"))
    sent = shell(story).outbound(put(story, mail))
    assert sent is not None
    assert sent.to == "edt@council.example"
    assert sent.body.startswith("Not reached BR-1427 Bright Care Monday")


@pytest.mark.parametrize(
    ("purpose", "reads"),
    [
        ("summon", "Bright Care: please look at the board, something needs you."),
        ("reassure", "Bright Care: please ring us. 01632 960900"),
    ],
)
def test_words_that_cannot_be_filled_in_still_leave_and_tell_the_public_of_no_board(
    story: Story, purpose: Any, reads: str
) -> None:
    line = story.directory.ref("line", "+447700900123")
    message = structs.replace(story.message("BD-1", "SU-7", purpose), line=line)
    sent = shell(story).outbound(put(story, message))
    assert sent is not None
    assert sent.body == reads


@pytest.mark.parametrize("template", ["OC-44", "OC-46", "OC-141"])
def test_words_about_a_rota_say_how_much_of_it_there_is_and_not_how_many_rows_are_refused(
    story: Story, template: str
) -> None:
    story.alert(kind="rota", reason="rota_half", visit=None, service_user=None, count=37)
    said = story.text(template, "st-1", "summon", count=37, slot=1, visit=None)
    assert " 37 " in said


def test_words_about_refused_rows_count_those_that_are_not_mended_yet(story: Story) -> None:
    story.alert(kind="rota", reason="rows_not_watched", visit=None, service_user=None, count=37)
    story.state.values.unwatched["row-1"] = Unwatched(key="row-1", row=1, code="no_time", since=NOW)
    assert "NOT WATCHED: 1." in story.text("OC-16", "st-1", "summon", count=37, slot=1, visit=None)


# --- a council's referral ---


def referral(story: Story, *keys: str, **more: Any) -> None:
    """A discharge that came half an hour ago, to be answered in twenty and a half minutes; asked about by these."""
    summons = Summons(at=NOW, mark="half", person=story.ref("st-1"), messages=keys)
    story.state.values.referrals["rf1"] = Referral(
        ref="rf1",
        package="discharge",
        source="email",
        arrived_at=NOW - timedelta(minutes=30),
        logged_at=NOW - timedelta(minutes=30),
        answer_by=NOW + timedelta(minutes=20, seconds=30),
        half_at=NOW,
        last_at=NOW + timedelta(minutes=10),
        summons=(summons,),
        **more,
    )


REFERRALS = [
    (
        "RF-1",
        "Bright Care 8.12am: a hospital discharge from a council. It expects the answer by 8.32am, 21 min left. "
        "Reply 21 I deal with it, 22 pass on.",
    ),
    (
        "RF-2",
        "Bright Care 8.12am: nobody deals with a hospital discharge from a council yet. 21 min left, until 8.32am. "
        "Reply 21 I deal with it, 22 pass on.",
    ),
    (
        "RF-3",
        "Bright Care: 21 min left to answer the council on a hospital discharge, until 8.32am. You have it, and no "
        "answer is recorded. Please answer, then record it. Reply 22 pass on.",
    ),
]


@pytest.mark.parametrize(("template", "reads"), REFERRALS)
def test_a_referral_says_until_when_and_how_much_is_left(story: Story, template: str, reads: str) -> None:
    text = story.message(template, "st-1", alert=None, visit=None, slot=2)
    referral(story, text.key)
    assert story.words.text(text, NOW) == reads


def test_by_mail_and_by_telephone_a_referral_says_the_same(story: Story) -> None:
    mail = story.message("RF-1", "st-1", alert=None, visit=None, channel="email")
    call = story.message("RFV-1", "st-1", alert=None, visit=None, channel="call")
    referral(story, mail.key, call.key)
    assert story.words.mail(mail, NOW).splitlines()[0] == (
        "Bright Care: a hospital discharge from a council, to be answered by 8.32am"
    )
    said = " ".join(story.words.script(call, "tell", NOW).say)
    assert "It is about a hospital discharge. The answer is expected by" in said
    assert story.words.opening(call) == ""
    referral(story, call.key, taken_by=story.ref("cw-1"))
    assert story.words.opening(call) == "gone"
    story.state.values.referrals.clear()
    assert story.words.opening(call) == "over"


def test_the_manager_hears_of_silence_by_text_or_mail(story: Story) -> None:
    more: dict[str, Any] = {"alert": None, "visit": None, "at": ETA}
    assert story.text("RF-4", "st-1", **more).startswith(
        "Bright Care: a council's referral was to be answered by 8.25am, and no answer is recorded."
    )
    mail = story.words.mail(story.message("RF-4", "st-1", channel="email", **more), NOW)
    assert "was to be answered by 8.25am, and no answer is recorded" in mail
    assert "Pat has recorded the answer" in story.text("RF-8", "cw-1", about="st-1", **more)


def test_who_takes_it_hears_until_when(story: Story) -> None:
    referral(story, "m1", taken_by=story.ref("st-1"), taken_at=NOW)
    said = SayBack(template="RF-5", alert=None, person=story.ref("st-1"))
    assert story.words.say_back(said, "RF-5", None, NOW) == (
        "Thank you, the referral is yours. Please answer the council by 8.32am, then record what you have answered."
    )


def test_who_takes_an_incident_hears_how_many_visits_they_have(story: Story) -> None:
    values = story.state.values
    found = structs.replace(
        values.alerts["a1"],
        kind="incident",
        reason="worker_dark",
        worker=story.ref("cw-1"),
        visit=None,
        service_user=None,
    )
    values.alerts["a1"] = found
    story.state.by_worker[story.ref("cw-1")] = {"v1", "v2"}
    said = SayBack(template="OC-221", alert="a1", person=story.ref("st-1"))
    assert story.words.say_back(said, "OC-221", found, NOW).startswith(
        "Thank you. You have all 2 visits of this cause, first "
    )


# --- an alert that is about nobody in particular ---

NOBODYS: list[tuple[Any, str, str]] = [
    ("rota", "rows_not_watched", "rows of the rota not watched"),
    ("rota", "tomorrow_empty", "no visit planned for the next day"),
    ("incident", "wrong_pins", "wrong PINs on the free number"),
    ("incident", "while_down", "visits while we were down"),
    ("incident", "weather_report", "the report of the bad weather"),
    ("watch_fault", "clock_doubted", "the clock has jumped"),
    ("message", "", "a caller who reached nobody"),
    ("away", "not_asked", "people who are away"),
]


@pytest.mark.parametrize(("kind", "reason", "called"), NOBODYS)
def test_who_has_an_alert_about_nobody_hears_which_it_is(
    story: Story, kind: Any, reason: str, called: str
) -> None:
    """*Thank you. You have . We ask you again*: the manager had two of them, and could not tell which."""
    story.alert(kind=kind, reason=reason, visit=None, service_user=None, taken_by=story.ref("st-1"))
    alert = story.state.values.alerts["a1"]

    def back(template: str) -> str:
        said = SayBack(template=template, alert="a1", person=story.ref("st-1"))
        return story.words.say_back(said, template, alert, NOW)

    assert back("OC-22") == (f'Thank you. You have "{called}". We ask you again in 15 min unless it is over.')
    assert back("OC-24") == f'Thank you. "{called}" goes to the next person now. Nothing for you to do.'
    more: dict[str, Any] = {"visit": None, "slot": 1}
    assert story.text("OC-3", "st-1", "stand_down", **more).startswith(f'Pat has "{called}" since 8.12am.')
    still = story.text("OC-2", "st-1", "summon", **more)
    assert still.startswith(f'You have had "{called}" since 8am, and it is not over yet. Reply 13')


def test_a_broker_who_has_a_package_hears_which(story: Story) -> None:
    ref = story.directory.ref("placement", "P-12")
    story.alert(kind="placement", reason="unplaced", visit=None, service_user=None, placement=ref)
    said = SayBack(template="OC-22", alert="a1", person=story.ref("st-1"))
    told = story.words.say_back(said, "OC-22", story.state.values.alerts["a1"], NOW)
    assert told.startswith("Thank you. You have package P-12. We ask you again in 15 min unless it is over.")


@pytest.mark.parametrize(
    ("kind", "still"),
    [
        ("late_visit", "still no arrival"),
        ("second_worker_missing", "still no arrival"),
        ("lone_worker", "and it is not over yet"),
        ("no_reply", "and it is not over yet"),
        ("help_asked", "and it is not over yet"),
    ],
)
def test_who_has_an_alert_hears_of_no_arrival_where_one_is_missing_alone(
    story: Story, kind: Any, still: str
) -> None:
    """At the door, and where nobody has checked out, somebody has arrived."""
    story.alert(kind=kind, taken_at=NOW)
    said = story.text("OC-2", "st-1", "summon", slot=1)
    assert said == f"You have had Edna SU-7 since 8.12am, {still}. Reply 13 still mine, 12 pass on."


@pytest.mark.parametrize(
    ("kind", "reason", "says"),
    [
        ("rota", "tomorrow_half", "Only 37 visits planned"),
        ("rota", "rota_half", "has 37 visits"),
        ("away", "not_asked", "Marked away: 37."),
    ],
)
def test_a_call_says_the_number_that_the_text_says(story: Story, kind: Any, reason: str, says: str) -> None:
    story.alert(kind=kind, reason=reason, visit=None, service_user=None, count=37)
    assert says in story.said("OCV-3", "st-1", "summon", "tell", count=37, visit=None)
    mail = story.words.mail(
        story.message("OC-33", "st-1", "summon", channel="email", count=37, visit=None), NOW
    )
    assert says in mail


def test_a_call_counts_the_rows_that_are_not_mended_yet(story: Story) -> None:
    story.alert(kind="rota", reason="rows_not_watched", visit=None, service_user=None, count=37)
    story.state.values.unwatched["row-1"] = Unwatched(key="row-1", row=1, code="no_time", since=NOW)
    assert "not watched: 1." in story.said("OCV-3", "st-1", "summon", "tell", count=37, visit=None)


# --- one of them, and numbers that people dial ---


@pytest.mark.parametrize(
    ("template", "more", "says"),
    [
        ("OC-4", {}, "1 visit not known, first"),
        (
            "OC-170",
            {"alert": None, "visit": None, "about": "SU-7", "count": 1},
            "1 visit ended, nothing is sent",
        ),
        (
            "OC-174",
            {"alert": None, "visit": None, "about": "SU-7", "count": 1},
            "1 visit watched again: please",
        ),
        ("OC-15", {"count": 1}, "NOT REACHED, 1 try, due"),
        ("OC-160", {"alert": None, "visit": None, "count": 1}, "tomorrow to 1 person not told of it yet."),
        ("OC-17", {"count": 1}, "1 visit of that time without an arrival"),
    ],
)
def test_one_is_one(story: Story, template: str, more: dict[str, Any], says: str) -> None:
    if template == "OC-4":
        story.alert(
            kind="incident", reason="worker_dark", worker=story.ref("cw-1"), visit=None, service_user=None
        )
        story.state.by_worker[story.ref("cw-1")] = {"v1"}
    assert says in story.text(template, "st-1", "summon", slot=1, **more)


def test_a_care_worker_who_is_a_minute_away_is_thanked_for_one_minute(story: Story) -> None:
    said = SayBack(template="CW-4", alert="a1", person=story.ref("cw-1"), count=1)
    alert = story.state.values.alerts["a1"]
    assert story.words.say_back(said, "CW-4", alert, NOW).startswith("Thank you, 1 minute.")


def test_a_time_of_less_than_a_minute_is_a_minute_and_not_none(story: Story) -> None:
    values = story.state.values
    values.policy = structs.replace(values.policy, ack_expires=timedelta(seconds=20))
    said = SayBack(template="OC-22", alert="a1", person=story.ref("st-1"))
    assert " in 1 min " in story.words.say_back(said, "OC-22", values.alerts["a1"], NOW)


def test_our_number_is_said_as_it_is_dialled() -> None:
    """*Ring +441632960900*, which nobody in Britain dials, and a voice reads as plus four four."""
    story = Story(office=structs.replace(OFFICE, tel="+441632960900"))
    assert story.words.tel == "01632960900"
    assert "Tel 01632960900" in story.text("SU-1", "SU-7", "reassure", slot=1)
    assert "0 1 6 3 2 9 6 0 9 0 0" in story.said("NOKV-1", "kin", "inform_next_of_kin", "over")


def test_next_of_kin_hear_nothing_that_is_true_in_the_morning_alone(story: Story) -> None:
    """They are rung at every hour: *so early* and *this morning* were said in the afternoon, too."""
    for step in DIALOGS["NOKV-1"].steps:
        said = story.said("NOKV-1", "kin", "inform_next_of_kin", step)
        assert "early" not in said
        assert "morning" not in said


# --- no mail that did not go ---


@pytest.mark.parametrize("template", ["RM-2", "RM-150"])
def test_the_manager_is_told_of_a_report_by_mail_only_when_one_went(story: Story, template: str) -> None:
    """A host without a mail relay told her that the report had gone by e-mail."""
    none = story.text(template, "st-1", "summon", count=3)
    assert "It has had no e-mail from us." in none
    story.sent("CO-2", "edt", "inform_council", 50, channel="email", result="failed")
    assert "It has had no e-mail from us." in story.text(template, "st-1", "summon", count=3)
    story.sent("CO-2", "edt", "inform_council", 55, channel="email", result="delivered")
    assert "It was e-mailed at 8.25am." in story.text(template, "st-1", "summon", count=3)


def test_nobody_is_told_on_the_telephone_of_a_mail_that_did_not_go(story: Story) -> None:
    assert "no e-mail" in story.said("OCV-150", "st-1", "notice", "no_key")
    assert "mail" not in story.said("COV-1", "edt", "inform_council", "reference")
    story.sent("CO-2", "edt", "inform_council", 55, channel="email", result="delivered")
    assert "It was e-mailed at 8.25am." in story.said("OCV-150", "st-1", "notice", "no_key")
    assert "The e-mail that we sent you at 8.25am says the rest." in story.said(
        "COV-1", "edt", "inform_council", "reference"
    )


def test_whom_nobody_knows_is_named_once(story: Story) -> None:
    """*LATE su-9 su-9*: of a service user who is in no file the id is all that is known."""
    unknown = story.ref("su-99")
    visits = story.state.values.visits
    visits["v1"] = structs.replace(visits["v1"], service_user=unknown)
    story.alert(service_user=unknown)
    assert " LATE su-99, due 7.30am" in story.text("OC-1", "st-1", "summon", slot=1)
    told = story.said("OCV-1", "st-1", "summon", "tell")
    assert told.startswith("su, 9 9. Due half past seven.")


@pytest.mark.parametrize(("minutes", "reads"), [(0, "less than 1 min"), (1, "1 min"), (7, "7 min")])
def test_who_left_at_once_left_after_less_than_a_minute(story: Story, minutes: int, reads: str) -> None:
    story.alert(kind="very_short", reason="left_short", worker=story.ref("cw-1"), count=minutes)
    assert f" Dee left after {reads}." in story.text("OC-21", "st-1", "summon", slot=1)


def test_a_broker_hears_which_package_is_over_and_who_has_said_so(story: Story) -> None:
    """*Over. outcome recorded by Birch*: of which package, and of whom, was not said."""
    ref = story.directory.ref("placement", "P-12")
    story.alert(
        kind="placement",
        reason="unconfirmed",
        visit=None,
        service_user=None,
        placement=ref,
        state="ended",
        ended_reason="outcome_recorded",
        taken_by=story.ref("cw-2"),
    )
    said = story.text("OC-29", "st-1", "stand_down", visit=None)
    assert said == (
        "Bright Care 8.12am: over: package P-12. outcome recorded by Nia Okafor. Nothing more for you to do."
    )
