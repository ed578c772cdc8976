"""Clause 22 of the specification (and 5.1, 21.2 to 21.4), duty by duty: each row is one thing that the clause asks for.

A row reads: given this desk, when that happens, then this holds. Its id is the clause and the duty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from config.policy import CouncilDesk
from escalation.people import LineView, PersonView, PlanView
from escalation.wording import forbidden
from monitor.core import facts as f
from monitor.core.inputs import KeyPressed, LineAnswered, LineBack, PolicyLoaded
from monitor.core.state import Message
from monitor.outbox import ORDER
from monitor.wording_file import load_wording
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)
LATE = MONDAY + 30 * MINUTE
HOUR = LATE + 60 * MINUTE
POLICY = Path(__file__).parents[2] / "config" / "policies" / "bromley.toml"

Given = Callable[[], Desk]
When = Callable[[Desk], Any]
Then = Callable[[Desk], bool]


class Row(Struct, frozen=True, kw_only=True):
    """One duty of one clause."""

    clause: str
    duty: str
    given: Given
    when: tuple[When, ...]
    then: Then


# --- given ---


def expects(
    person: str = "ed", *, public: str = "auto", workers: tuple[str, ...] = ("dee",), **row: Any
) -> Given:
    """The person expects their care worker at MONDAY; `kit` and `lou` could go instead, `ned` is next of kin."""

    def desk() -> Desk:
        made = Desk(public=public)
        people = made.people.people
        people[person] = structs.replace(people[person], next_of_kin=("ned",))
        people["lou"] = PersonView(ref="lou", role="care_worker", lines=(LineView(ref="l-lou"),))
        made.plan(service_user=person, workers=workers, **row)
        return made

    return desk


def with_plan(**plan: Any) -> Given:
    """The same, with a contact plan."""

    def desk() -> Desk:
        made = expects()()
        people = made.people.people
        people["ed"] = structs.replace(people["ed"], plan=PlanView(**plan))
        return made

    return desk


def by_text() -> Desk:
    """Service user and care worker both have a mobile, and are texted."""
    made = expects("fay")()
    people = made.people.people
    people["fay"] = structs.replace(people["fay"], plan=PlanView(channels=("text",)))
    return made


def kinless() -> Desk:
    made = expects()()
    made.people.people["ed"] = structs.replace(made.people.people["ed"], next_of_kin=())
    return made


def two_kin() -> Desk:
    """`ned` first, then `nan`."""
    made = expects()()
    people = made.people.people
    people["nan"] = PersonView(ref="nan", role="contact", lines=(LineView(ref="l-nan"),))
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned", "nan"))
    return made


def never_told() -> Desk:
    made = two_kin()
    ed = made.people.people["ed"]
    plan = structs.replace(ed.plan, never_tell=frozenset({"ned"}))
    made.people.people["ed"] = structs.replace(ed, plan=plan)
    return made


def unreachable_worker() -> Desk:
    made = expects()()
    made.people.people["dee"] = structs.replace(made.people.people["dee"], lines=())
    return made


# --- when ---


def minutes(count: float) -> When:
    return lambda desk: desk.advance(minutes=count)


def leaves(desk: Desk) -> list[Message]:
    """Everything that waits leaves, as the outbox orders it."""
    queued = [m for m in desk.messages() if m.phase == "queued"]
    queued.sort(key=lambda m: (ORDER[m.priority], m.intended_at))
    return [m for m in queued if desk.send(m) == "send"]


def out(desk: Desk, template: str, person: str | None = None) -> Message:
    """The newest message with these words; it has left."""
    message = [m for m in desk.messages() if m.template == template and person in (None, m.person)][-1]
    if message.phase == "queued":
        desk.send(message)
    return desk.message(message.key)


def texts(template: str, digit: int, person: str | None = None, **more: Any) -> When:
    """They answer the question that was put to them in these words."""

    def answer(desk: Desk) -> None:
        asked = out(desk, template, person)
        desk.text(asked.person, f"{asked.slot}{digit}", line=asked.line, **more)

    return answer


def keys(template: str, *digits: str) -> When:
    """They answer our call, and press these keys."""
    return lambda desk: desk.press(out(desk, template), *digits)


def rings_in_vain(template: str) -> When:
    return lambda desk: desk.deliver(out(desk, template), "no_answer")


def does(action: str, by: str = "paul", **more: Any) -> When:
    return lambda desk: desk.act(action, by, **more)


def agrees() -> Desk:
    """The council desk has agreed to be rung by the machine itself."""
    return _with_council(CouncilDesk(ref="c1", hours="otherwise", machine_calls=True))


def by_mail_alone() -> Desk:
    """The council desk has no telephone."""
    return _with_council(CouncilDesk(ref="c1", hours="otherwise", by_phone=False))


def _with_council(council: CouncilDesk) -> Desk:
    made = expects()()
    loaded = made.state.values
    made.tell(
        PolicyLoaded(
            policy=loaded.policy,
            duty=loaded.duty,
            council_desks=(council,),
            holidays=loaded.holidays,
            public=loaded.public,
        )
    )
    return made


def the_council_picks_up(desk: Desk) -> None:
    """And our person, who has pressed 1, is in the room with it."""
    desk.tell(LineAnswered(key=out(desk, "COV-2").key))


def the_council_goes(digit: str) -> When:
    """Its line is gone; our person presses a key, or nothing, and hangs up."""

    def gone(desk: Desk) -> None:
        ours = out(desk, "OCV-150")
        desk.tell(LineBack(key=ours.key))
        desk.tell(KeyPressed(key=ours.key, step="back_council", digit=digit))
        desk.deliver(desk.message(ours.key), "completed")

    return gone


LATE_NOW = minutes(30)
UNREACHED: tuple[When, ...] = (
    LATE_NOW,
    *(rings_in_vain("SUV-1"), minutes(3)) * 3,
)
UNREACHED_TAKEN: tuple[When, ...] = (
    LATE_NOW,
    lambda d: d.act("take", "paul"),
    *(rings_in_vain("SUV-1"), minutes(3)) * 2,
)
"""Two tries in vain, and paul has it: next of kin and council are told now."""
NOTHING_BUT_TIME: tuple[When, ...] = (*UNREACHED, minutes(9))
"""18 minutes after the alert nobody has taken it."""
REFUSED: tuple[When, ...] = (LATE_NOW, texts("CW-2", 3))
SENT: tuple[When, ...] = (*REFUSED, texts("CW-7", 1, "kit"))


# --- then ---


def meant(desk: Desk, template: str, person: str | None = None) -> list[Message]:
    """Messages with these words that were not cancelled."""
    return [
        m
        for m in desk.messages()
        if m.template == template and person in (None, m.person) and m.result != "cancelled"
    ]


def track(desk: Desk, name: Any) -> tuple[str, str]:
    found = desk.alert().track(name)
    return (found.step, found.reason) if found else ("", "")


def first_left(desk: Desk) -> list[str]:
    """What the messages were for, in the order in which they left."""
    left = [fact.subject for fact in desk.facts if isinstance(fact.body, f.MessageAttempted)]
    return [desk.message(key).purpose for key in left]


def contacted(desk: Desk, purpose: str) -> list[tuple[str, Any]]:
    """Who was contacted about the alert, and when: read from the alert's own facts alone."""
    ref = desk.alert().ref
    return [
        (fact.body.person, fact.at)
        for fact in desk.facts
        if fact.subject == ref and isinstance(fact.body, f.PersonReached) and fact.body.purpose == purpose
    ]


def actions(desk: Desk) -> list[tuple[str, str]]:
    """What staff did, and who: read from the alert's own facts alone."""
    mine = [fact.body for fact in desk.facts if fact.subject == desk.alert().ref]
    return [(body.action, body.by) for body in mine if isinstance(body, f.ActionRecorded)]


def spoken_words() -> list[str]:
    """Every text and every line of a call that a service user may get from us."""
    wording = load_wording()
    found = [entry.text for entry in wording.sms.values() if entry.audience == "service_user"]
    for entry in wording.call.values():
        if entry.audience == "service_user":
            found += list(entry.lines.values())
    return found


STAFF_DOES = (
    "take",
    "note",
    "spoke_service_user",
    "spoke_care_worker",
    "told_next_of_kin",
    "told_council",
    "pause",
    "hand_over",
)

ROWS: tuple[Row, ...] = (
    # --- 5.1 ---
    Row(
        clause="5.1",
        duty="possible lateness is asked about before anybody is alarmed, of the care worker alone",
        given=expects(),
        when=(minutes(29.9),),
        then=lambda d: (
            {(m.person, m.template) for m in d.messages()} == {("dee", "CW-1"), ("dee", "CWV-1")}
            and not d.alerts()
        ),
    ),
    Row(
        clause="5.1",
        duty="lateness that is known is told to the service user in good time",
        given=expects("fay"),
        when=(minutes(10), texts("CW-1", 2, number=40)),
        then=lambda d: [(m.person, m.at) for m in meant(d, "SU-8")] == [("fay", MONDAY + 50 * MINUTE)],
    ),
    # --- 21 ---
    Row(
        clause="21.2",
        duty="an alert within thirty minutes of the start, and not before",
        given=expects(),
        when=(minutes(29.999), lambda d: d.alerts() and pytest.fail("too early"), minutes(0.001)),
        then=lambda d: d.alert().opened_at == LATE,
    ),
    Row(
        clause="21.2",
        duty="a call that was made in time raises none",
        given=expects(),
        when=(minutes(29.9), lambda d: d.check(), minutes(10)),
        then=lambda d: not d.alerts(),
    ),
    Row(
        clause="21.3",
        duty="an identified person of the provider is summoned at the alert",
        given=expects(),
        when=(LATE_NOW,),
        then=lambda d: [(m.person, m.intended_at) for m in meant(d, "OC-1")] == [("paul", LATE)],
    ),
    Row(
        clause="21.3",
        duty="who does not answer is followed by the next, up to the registered manager",
        given=expects(),
        when=(LATE_NOW, *(leaves, minutes(1)) * 6),
        then=lambda d: {m.person for m in meant(d, "OC-1")} == {"paul", "mary"},
    ),
    Row(
        clause="21.4",
        duty="a visit that nobody made is recorded as missed, and never as delivered",
        given=expects(),
        when=(minutes(91),),
        then=lambda d: d.visit().missed and not d.visit().anybody_there,
    ),
    # --- 22.1 ---
    *(
        Row(
            clause="22.1",
            duty=f"what staff do about a late call is recorded: {action}",
            given=expects(),
            when=(LATE_NOW, does(action)),
            then=lambda d, action=action: actions(d) == [(action, "paul")],  # type: ignore[misc]
        )
        for action in STAFF_DOES
    ),
    Row(
        clause="22.1",
        duty="who is sent by hand is recorded, with who sent them",
        given=expects(),
        when=(LATE_NOW, does("assign_replacement", to="kit", minutes=20)),
        then=lambda d: (
            [(b.action, b.by, b.to, b.minutes) for b in d.bodies(f.ActionRecorded)]
            == [("assign_replacement", "paul", "kit", 20)]
        ),
    ),
    Row(
        clause="22.1",
        duty="how it ended is recorded, with who said so",
        given=expects(),
        when=(LATE_NOW, does("close", reason="seen_well")),
        then=lambda d: [(b.by, b.outcome) for b in d.bodies(f.AlertEnded)] == [("paul", "seen_well")],
    ),
    # --- 22.2 ---
    Row(
        clause="22.2",
        duty="the service user is contacted as soon as the alert is there",
        given=expects(),
        when=(LATE_NOW,),
        then=lambda d: (
            [(m.person, m.channel, m.intended_at) for m in d.messages("reassure")] == [("ed", "call", LATE)]
        ),
    ),
    Row(
        clause="22.2",
        duty="the service user first: on one lane their text leaves before the care worker's",
        given=by_text,
        when=(LATE_NOW, leaves),
        then=lambda d: [p for p in first_left(d) if p in ("reassure", "locate")] == ["reassure", "locate"],
    ),
    Row(
        clause="22.2",
        duty="the service user first, also where the visit is time-critical",
        given=lambda: _urgent(by_text()),
        when=(LATE_NOW, leaves),
        then=lambda d: [p for p in first_left(d) if p in ("reassure", "locate")] == ["reassure", "locate"],
    ),
    Row(
        clause="22.2",
        duty="to ensure that they are alright: an answer is contact, and only an answer",
        given=expects(),
        when=(LATE_NOW, keys("SUV-1", "1")),
        then=lambda d: (
            track(d, "reassure") == ("reached", "all_right") and contacted(d, "reassure") == [("ed", LATE)]
        ),
    ),
    Row(
        clause="22.2",
        duty="a voicemail or a telephone that rings out is not contact, and is tried again",
        given=expects(),
        when=(LATE_NOW, rings_in_vain("SUV-1"), minutes(3)),
        then=lambda d: track(d, "reassure")[0] == "trying" and len(meant(d, "SUV-1")) == 2,
    ),
    Row(
        clause="22.2",
        duty="who is not alright, or asks, gets a person: the whole chain is rung",
        given=expects(),
        when=(LATE_NOW, keys("SUV-1", "2")),
        then=lambda d: d.alert("help_asked").service_user == "ed",
    ),
    Row(
        clause="22.2",
        duty="to reassure them that the carer will call as soon as possible: the words say so",
        given=expects(),
        when=(),
        then=lambda _: (
            "will be with you as soon as possible" in load_wording().sms["SU-1"].text
            and "will be with you as soon as possible" in load_wording().call["SUV-1"].lines["why"]
        ),
    ),
    Row(
        clause="22.2",
        duty="never asked if they still need the carer to call",
        given=expects(),
        when=(),
        then=lambda _: len(spoken_words()) > 30 and not any(forbidden(text) for text in spoken_words()),
    ),
    Row(
        clause="22.2",
        duty="where the plan says a person, no machine rings and the one on duty is told",
        given=with_plan(channels=("person",)),
        when=(LATE_NOW,),
        then=lambda d: track(d, "reassure") == ("skipped", "person_only") and not d.messages("reassure"),
    ),
    # --- 22.3 ---
    Row(
        clause="22.3",
        duty="the care worker is contacted then, at the same alert, by text",
        given=expects(),
        when=(LATE_NOW,),
        then=lambda d: (
            [(m.person, m.channel, m.intended_at) for m in d.messages("locate")] == [("dee", "sms", LATE)]
        ),
    ),
    Row(
        clause="22.3",
        duty="and by telephone, when the text is not answered",
        given=expects(),
        when=(minutes(31),),
        then=lambda d: [m.template for m in d.messages("locate")] == ["CW-2", "CWV-1"],
    ),
    Row(
        clause="22.3",
        duty="that they are on the way is known, with their time",
        given=expects(),
        when=(LATE_NOW, texts("CW-2", 2, number=20)),
        then=lambda d: (
            track(d, "locate") == ("reached", "on_my_way") and d.visit().said[0].eta_at == LATE + 20 * MINUTE
        ),
    ),
    Row(
        clause="22.3",
        duty="a time that passed without an arrival is asked about again",
        given=expects(),
        when=(LATE_NOW, texts("CW-2", 2, number=20), minutes(25)),
        then=lambda d: track(d, "locate") == ("trying", "eta_missed"),
    ),
    Row(
        clause="22.3",
        duty="of two care workers the silence of one is not covered by the other's answer",
        given=expects(workers=("dee", "kit"), places=2),
        when=(LATE_NOW, texts("CW-2", 2, "dee", number=20), minutes(6)),
        then=lambda d: [m.person for m in meant(d, "CW-7")] == ["lou"],
    ),
    # --- 22.4 ---
    *(
        Row(
            clause="22.4",
            duty=f"unable for any reason, a replacement is looked for: {why}",
            given=given,
            when=when,
            then=lambda d: {m.person for m in meant(d, "CW-7")} >= {"lou"},
        )
        for why, given, when in (
            ("they say so", expects(), REFUSED),
            ("they said so before the alert", expects(), (minutes(10), texts("CW-1", 3))),
            ("they are silent", expects(), (minutes(36),)),
            ("they cannot be contacted at all", unreachable_worker, (minutes(31),)),
            ("nobody was planned", expects(workers=()), (LATE_NOW,)),
            ("they would come after the hour", expects(), (LATE_NOW, texts("CW-2", 2, number=75))),
            ("they say there, and do not check in", expects(), (LATE_NOW, texts("CW-2", 1), minutes(10))),
            ("their time passes twice", expects(), (LATE_NOW, texts("CW-2", 2, number=5), minutes(20))),
            (
                "one of two cannot, and the other is on the way",
                expects(workers=("dee", "kit"), places=2),
                (LATE_NOW, texts("CW-2", 3, "dee"), texts("CW-2", 2, "kit", number=10)),
            ),
            (
                "a person of ours has heard it from them",
                expects(),
                (LATE_NOW, does("spoke_care_worker", to="dee", reason="cannot")),
            ),
        )
    ),
    Row(
        clause="22.4",
        duty="sent is a named person who accepted, with their time",
        given=expects(),
        when=SENT,
        then=lambda d: (
            [s.worker for s in d.alert().sent] == ["kit"] and track(d, "replace") == ("reached", "sent")
        ),
    ),
    Row(
        clause="22.4",
        duty="within the hour, counted from the alert",
        given=expects(),
        when=(LATE_NOW,),
        then=lambda d: d.alert().hour_at == HOUR,
    ),
    Row(
        clause="22.4",
        duty="the hour runs on while the alert is taken by a person",
        given=expects(),
        when=(LATE_NOW, does("take"), minutes(6)),
        then=lambda d: d.alert().state == "taken" and bool(meant(d, "CW-7")),
    ),
    Row(
        clause="22.4",
        duty="the registered manager and the council are told when it passes",
        given=expects(),
        when=(*REFUSED, minutes(60)),
        then=lambda d: "mary" in {m.person for m in meant(d, "RM-1")} and bool(meant(d, "CO-2")),
    ),
    Row(
        clause="22.4",
        duty="somebody sent by hand for after the hour does not hide that it passed",
        given=expects(),
        when=(*REFUSED, does("assign_replacement", to="kit", minutes=90), minutes(60)),
        then=lambda d: bool(meant(d, "RM-1")) and track(d, "replace") == ("reached", "sent_late"),
    ),
    Row(
        clause="22.4",
        duty="a replacement who does not come in time is replaced",
        given=expects(),
        when=(*SENT, minutes(31)),
        then=lambda d: (
            d.alert().sent == () and track(d, "replace")[0] == "trying" and bool(meant(d, "OC-69"))
        ),
    ),
    Row(
        clause="22.4",
        duty="a replacement who misses their own time is asked first, by text and then by call",
        given=expects(),
        when=(*SENT, minutes(29.9)),
        then=lambda d: (
            [(m.person, m.template) for m in d.messages("locate", "kit")]
            == [("kit", "CW-150"), ("kit", "CWV-1")]
            and [s.worker for s in d.alert().sent] == ["kit"]
            and [m.about for m in meant(d, "OC-153")] == ["kit"]
            and not meant(d, "OC-69")
        ),
    ),
    Row(
        clause="22.4",
        duty="and not before their time has passed for good",
        given=expects(),
        when=(*SENT, minutes(24.9)),
        then=lambda d: d.messages("locate", "kit") == [],
    ),
    Row(
        clause="22.4",
        duty="a replacement who names a new time is waited for until then, and asked no second time",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 2, "kit", number=10), minutes(14.9)),
        then=lambda d: (
            [s.eta_at for s in d.alert().sent] == [LATE + 36 * MINUTE]
            and track(d, "replace") == ("reached", "sent")
            and len(meant(d, "CW-150")) == 1
        ),
    ),
    Row(
        clause="22.4",
        duty="a replacement who misses that one too is believed no more",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 2, "kit", number=10), minutes(15.1)),
        then=lambda d: d.alert().sent == () and len(meant(d, "CW-150")) == 1,
    ),
    Row(
        clause="22.4",
        duty="a replacement who says that they are there has ten minutes to check in",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 1, "kit"), minutes(9.9)),
        then=lambda d: [s.worker for s in d.alert().sent] == ["kit"] and bool(meant(d, "OC-62")),
    ),
    Row(
        clause="22.4",
        duty="and is replaced when they have not",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 1, "kit"), minutes(10.1)),
        then=lambda d: d.alert().sent == () and track(d, "replace")[0] == "trying",
    ),
    Row(
        clause="22.4",
        duty="a replacement who cannot after all gives it back at once",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 3, "kit")),
        then=lambda d: d.alert().sent == () and {m.person for m in meant(d, "CW-7")} == {"kit", "lou"},
    ),
    Row(
        clause="22.4",
        duty="the hour is not begun anew by somebody who does not come",
        given=expects(),
        when=(*SENT, minutes(31)),
        then=lambda d: d.alert().hour_at == HOUR,
    ),
    Row(
        clause="22.5",
        duty="and the service user hears a new name only when there is one",
        given=expects(),
        when=(*SENT, minutes(31)),
        then=lambda d: {m.about for m in d.messages("tell_replacement")} == {"kit"},
    ),
    Row(
        clause="22.5",
        duty="which is then told like the first one",
        given=expects(),
        when=(*SENT, minutes(31), texts("CW-7", 1, "lou")),
        then=lambda d: [m.about for m in d.messages("tell_replacement")][-1] == "lou",
    ),
    Row(
        clause="22.5",
        duty="and who was waited for in vain, and may be on the way still, hears that somebody else goes",
        given=expects(),
        when=(*SENT, minutes(31), texts("CW-7", 1, "lou")),
        then=lambda d: [m.person for m in meant(d, "CW-8B")][-1] == "kit",
    ),
    Row(
        clause="22.5",
        duty="which nobody is told who has said that they cannot",
        given=expects(),
        when=(*SENT, minutes(26), texts("CW-150", 3, "kit"), texts("CW-7", 1, "lou")),
        then=lambda d: not meant(d, "CW-8B", "kit"),
    ),
    Row(
        clause="22.4",
        duty="a replacement who takes it back is replaced, whichever question they answer",
        given=expects(),
        when=(*SENT, texts("CW-7", 2, "kit")),
        then=lambda d: d.alert().sent == () and track(d, "replace")[0] == "trying",
    ),
    Row(
        clause="22.4",
        duty="who says yes twice is not told that somebody else goes",
        given=expects(),
        when=(*SENT, texts("CW-7", 1, "kit")),
        then=lambda d: [s.worker for s in d.alert().sent] == ["kit"] and not meant(d, "CW-8B", "kit"),
    ),
    Row(
        clause="22.4",
        duty="when nobody is left to ask a person is told at once",
        given=unreachable_worker,
        when=(LATE_NOW, texts("CW-7", 2, "kit"), texts("CW-7", 2, "lou"), minutes(5)),
        then=lambda d: bool(meant(d, "OC-102")),
    ),
    Row(
        clause="22.4",
        duty="the other of two care workers, who is on the way, is not sent away",
        given=expects(workers=("dee", "kit"), places=2),
        when=(
            LATE_NOW,
            texts("CW-2", 3, "dee"),
            texts("CW-2", 2, "kit", number=10),
            texts("CW-7", 1, "lou"),
        ),
        then=lambda d: not meant(d, "CW-9", "kit") and track(d, "replace") == ("reached", "sent"),
    ),
    # --- 22.5 ---
    Row(
        clause="22.5",
        duty="then the service user is told that it is a replacement, and the name",
        given=expects(),
        when=SENT,
        then=lambda d: (
            [(m.person, m.template, m.about) for m in d.messages("tell_replacement")]
            == [("ed", "SUV-2", "kit")]
            and all(
                "{new}" in text
                for text in (load_wording().sms["SU-6"].text, load_wording().call["SUV-2"].lines["hello"])
            )
        ),
    ),
    Row(
        clause="22.5",
        duty="also when a person has sent somebody by hand",
        given=expects(),
        when=(LATE_NOW, does("assign_replacement", to="kit", minutes=20)),
        then=lambda d: [(m.person, m.about) for m in d.messages("tell_replacement")] == [("ed", "kit")],
    ),
    Row(
        clause="22.5",
        duty="that they heard it is recorded as contact",
        given=expects(),
        when=(*SENT, keys("SUV-2", "1")),
        then=lambda d: contacted(d, "tell_replacement") == [("ed", LATE)],
    ),
    Row(
        clause="22.5",
        duty="who does not answer is rung again, not sooner than three minutes",
        given=expects(),
        when=(*SENT, rings_in_vain("SUV-2"), minutes(2.9)),
        then=lambda d: (
            [m.not_before for m in meant(d, "SUV-2") if m.phase == "queued"] == [LATE + 3 * MINUTE]
        ),
    ),
    Row(
        clause="22.5",
        duty="and when nobody answers at all a person is asked to tell them",
        given=expects(),
        when=(*SENT, *(rings_in_vain("SUV-2"), minutes(3)) * 3),
        then=lambda d: len(meant(d, "SUV-2")) == 3 and [m.about for m in meant(d, "OC-100")] == ["kit"],
    ),
    Row(
        clause="22.5",
        duty="where no machine may tell them a person is asked to, at once",
        given=with_plan(channels=("person",)),
        when=SENT,
        then=lambda d: not meant(d, "SUV-2") and [m.about for m in meant(d, "OC-100")] == ["kit"],
    ),
    Row(
        clause="22.5",
        duty="who is not coming any more is announced by no call that still waits",
        given=expects(),
        when=(*REFUSED, texts("CW-7", 1, "kit"), texts("CW-8", 3, "kit"), lambda d: leaves(d)),
        then=lambda d: not meant(d, "SUV-2"),
    ),
    # --- 22.6 ---
    Row(
        clause="22.6",
        duty="unable to contact the service user: the next of kin is informed",
        given=expects(),
        when=UNREACHED,
        then=lambda d: (
            {(m.person, m.channel) for m in d.messages("inform_next_of_kin")}
            == {("ned", "sms"), ("ned", "call")}
        ),
    ),
    Row(
        clause="22.6",
        duty="unable to contact the service user: the council is informed, in writing at once",
        given=expects(),
        when=UNREACHED,
        then=lambda d: [(m.person, m.channel) for m in d.messages("inform_council")] == [("c1", "email")],
    ),
    Row(
        clause="22.6",
        duty="and by a person of ours, who is asked until it is done",
        given=expects(),
        when=(*UNREACHED, minutes(25)),
        then=lambda d: len(meant(d, "OC-61")) >= 3,
    ),
    Row(
        clause="22.6",
        duty="that the council was told is recorded, and nobody is asked again",
        given=expects(),
        when=(*UNREACHED, does("told_council"), minutes(40)),
        then=lambda d: (
            d.alert().council is not None
            and d.alert().council.step == "reached"
            and len(meant(d, "OC-61")) == 1
        ),
    ),
    Row(
        clause="22.6",
        duty="who has it is rung first, and the council not before they are there",
        given=expects(),
        when=UNREACHED_TAKEN,
        then=lambda d: (
            [(m.person, m.channel) for m in meant(d, "OCV-150")] == [("paul", "call")]
            and [m.person for m in meant(d, "OC-150")] == ["paul"]
            and not meant(d, "COV-2")
            and not meant(d, "OC-61")
        ),
    ),
    Row(
        clause="22.6",
        duty="who is there has the council rung, and is joined to it",
        given=expects(),
        when=(*UNREACHED_TAKEN, keys("OCV-150", "1"), the_council_picks_up),
        then=lambda d: (
            [(m.person, m.about) for m in meant(d, "COV-2")] == [("c1", "paul")]
            and d.alert().lines[-1].joined_at is not None
        ),
    ),
    Row(
        clause="22.6",
        duty="and says by a key that it is told, and is asked for name and reference",
        given=expects(),
        when=(
            *UNREACHED_TAKEN,
            keys("OCV-150", "1"),
            the_council_picks_up,
            the_council_goes("2"),
            minutes(30),
        ),
        then=lambda d: (
            d.alert().council is not None
            and (d.alert().council.step, d.alert().council.reason) == ("reached", "told")
            and [b.by for b in d.bodies(f.CouncilMoved) if b.step == "reached"] == ["paul"]
            and [m.person for m in meant(d, "OC-151")] == ["paul"]
            and len(meant(d, "OCV-150")) == 1
        ),
    ),
    Row(
        clause="22.6",
        duty="who hangs up when the council has gone has told nobody, and is rung again",
        given=expects(),
        when=(
            *UNREACHED_TAKEN,
            keys("OCV-150", "1"),
            the_council_picks_up,
            the_council_goes(""),
            minutes(11),
        ),
        then=lambda d: (
            d.alert().council is not None
            and d.alert().council.step == "trying"
            and len(meant(d, "OCV-150")) == 2
        ),
    ),
    Row(
        clause="22.6",
        duty="while they wait in the council's queue nobody rings them again",
        given=expects(),
        when=(*UNREACHED_TAKEN, keys("OCV-150", "1"), the_council_picks_up, minutes(29)),
        then=lambda d: (
            len(meant(d, "OCV-150")) == 1
            and d.alert().council is not None
            and (d.alert().council.reason, d.alert().council.tries) == ("on_the_line", 1)
        ),
    ),
    Row(
        clause="22.6",
        duty="who does not answer leaves the council unrung, and is tried again ten minutes later",
        given=expects(),
        when=(*UNREACHED_TAKEN, rings_in_vain("OCV-150"), minutes(10)),
        then=lambda d: len(meant(d, "OCV-150")) == 2 and not meant(d, "COV-2"),
    ),
    Row(
        clause="22.6",
        duty="who takes it later is rung at once",
        given=expects(),
        when=(*UNREACHED, does("take")),
        then=lambda d: [m.person for m in meant(d, "OCV-150")] == ["paul"],
    ),
    Row(
        clause="22.6",
        duty="who has told it meanwhile is not rung for it",
        given=expects(),
        when=(*UNREACHED_TAKEN, does("told_council"), lambda d: leaves(d)),
        then=lambda d: not [m for m in d.messages() if m.template == "OCV-150" and m.attempts],
    ),
    Row(
        clause="22.6",
        duty="a desk without a telephone is written to, and nobody waits for it",
        given=by_mail_alone,
        when=UNREACHED_TAKEN,
        then=lambda d: bool(meant(d, "CO-2")) and not meant(d, "OCV-150"),
    ),
    Row(
        clause="22.6",
        duty="in rehearsal nobody of ours is rung for it",
        given=expects(public="off"),
        when=(LATE_NOW, does("take"), minutes(45)),
        then=lambda d: bool(meant(d, "CO-2")) and not meant(d, "OCV-150"),
    ),
    Row(
        clause="22.6",
        duty="nobody of ours has it for twenty minutes: a desk that agreed is rung by the machine",
        given=agrees,
        when=(*NOTHING_BUT_TIME, lambda d: meant(d, "COV-1") and pytest.fail("too early"), minutes(9)),
        then=lambda d: [(m.person, m.channel) for m in meant(d, "COV-1")] == [("c1", "call")],
    ),
    Row(
        clause="22.6",
        duty="a desk that has not agreed is not",
        given=expects(),
        when=(*NOTHING_BUT_TIME, minutes(60)),
        then=lambda d: not meant(d, "COV-1"),
    ),
    Row(
        clause="22.6",
        duty="nor is one while somebody of ours has it",
        given=agrees,
        when=(*UNREACHED, does("take"), *(minutes(10), does("take")) * 3),
        then=lambda d: not meant(d, "COV-1"),
    ),
    *(
        Row(
            clause="22.6",
            duty=f"what a council's telephone presses: {what}",
            given=agrees,
            when=(*NOTHING_BUT_TIME, minutes(9), keys("COV-1", *digits)),
            then=lambda d, step=step, asked=asked: (  # type: ignore[misc]
                d.alert().council is not None
                and d.alert().council.step == step
                and bool(d.alerts("help_asked")) is asked
            ),
        )
        for what, digits, step, asked in (
            ("3, noted: told", ("3",), "reached", False),
            ("2 and then 3: told", ("2", "3"), "reached", False),
            ("nothing, or music: not told", ("", ""), "trying", False),
            ("a menu of its own: not told", ("9", "7"), "trying", False),
            ("1, to be joined: a person of ours, and not told before they say so", ("1",), "trying", True),
        )
    ),
    Row(
        clause="22.6",
        duty="a council that noted it is still spoken to by a person, who hears so",
        given=agrees,
        when=(*NOTHING_BUT_TIME, minutes(9), keys("COV-1", "3")),
        then=lambda d: bool(meant(d, "OC-152")),
    ),
    Row(
        clause="22.4",
        duty="a council that had been told hears of the breach: a second report at once, and by our person",
        given=expects(),
        when=(
            *UNREACHED_TAKEN,
            does("told_council"),
            minutes(14),
            does("take"),
            *(minutes(14), does("take")) * 3,
        ),
        then=lambda d: (
            [m.intended_at for m in meant(d, "CO-150")] == [HOUR]
            and d.alert().council is not None
            and (d.alert().council.step, len(meant(d, "OCV-150")) > 1) == ("trying", True)
            and len(meant(d, "CO-2")) == 1
        ),
    ),
    Row(
        clause="22.4",
        duty="and is told of it once",
        given=expects(),
        when=(*UNREACHED_TAKEN, does("told_council"), minutes(60), does("told_council"), minutes(90)),
        then=lambda d: (
            len(meant(d, "CO-150")) == 1
            and d.alert().council is not None
            and d.alert().council.step == "reached"
        ),
    ),
    Row(
        clause="22.4",
        duty="a council that is being told when the hour passes has it in writing then",
        given=expects(),
        when=(*UNREACHED, minutes(52)),
        then=lambda d: [m.intended_at for m in meant(d, "CO-150")] == [HOUR],
    ),
    Row(
        clause="22.4",
        duty="where somebody was sent in the hour the council hears of no breach",
        given=expects(),
        when=(
            *UNREACHED_TAKEN,
            does("told_council"),
            minutes(30),
            does("assign_replacement", to="kit", minutes=23),
            minutes(23),
        ),
        then=lambda d: not meant(d, "CO-150"),
    ),
    Row(
        clause="22.6",
        duty="without a next of kin the council is informed all the same",
        given=kinless,
        when=UNREACHED,
        then=lambda d: track(d, "inform") == ("skipped", "no_next_of_kin") and bool(meant(d, "CO-2")),
    ),
    Row(
        clause="22.6",
        duty="the next of kin follow each other in their order",
        given=two_kin,
        when=(*UNREACHED, rings_in_vain("NOKV-1")),
        then=lambda d: (
            # one whose call could not leave is not passed over: it is intended again
            list(dict.fromkeys(m.person for m in d.messages("inform_next_of_kin") if m.channel == "call"))
            == ["ned", "nan"]
        ),
    ),
    Row(
        clause="22.6",
        duty="who must never be told is not",
        given=never_told,
        when=UNREACHED,
        then=lambda d: {m.person for m in d.messages("inform_next_of_kin")} == {"nan"},
    ),
    Row(
        clause="22.6",
        duty="when no next of kin answers either a person is told so",
        given=expects(),
        when=(*UNREACHED, *(rings_in_vain("NOKV-1"), minutes(3)) * 3),
        then=lambda d: track(d, "inform")[0] == "not_reached" and len(meant(d, "OC-101")) == 1,
    ),
    Row(
        clause="22.6",
        duty="a service user without a telephone cannot be contacted: told at once",
        given=lambda: _without_lines(expects()()),
        when=(LATE_NOW,),
        then=lambda d: bool(d.messages("inform_next_of_kin")) and bool(meant(d, "CO-2")),
    ),
    Row(
        clause="22.6",
        duty="a step that the plan skips is not unable: it follows when nobody is on the way",
        given=with_plan(channels=("person",)),
        when=(LATE_NOW, lambda d: d.messages("inform_council") and pytest.fail("at once"), minutes(31)),
        then=lambda d: bool(meant(d, "CO-2")),
    ),
    # --- 22.7 ---
    Row(
        clause="22.7",
        duty="one location: every contact and action about it has the alert as its subject",
        given=expects(),
        when=(
            LATE_NOW,
            keys("SUV-1", "1"),
            texts("CW-2", 3),
            texts("CW-7", 1, "kit"),
            does("take"),
            does("note"),
        ),
        then=lambda d: (
            {
                fact.subject
                for fact in d.facts
                if isinstance(fact.body, f.PersonReached | f.ActionRecorded | f.AlertTaken)
            }
            == {d.alert().ref}
            and {m.alert for m in d.messages() if m.purpose != "ask_worker"} == {d.alert().ref}
        ),
    ),
    Row(
        clause="22.7",
        duty="the time of the alert",
        given=expects(),
        when=(LATE_NOW,),
        then=lambda d: (
            [(fact.at, fact.due_at) for fact in d.facts if isinstance(fact.body, f.AlertRaised)]
            == [(LATE, LATE)]
        ),
    ),
    Row(
        clause="22.7",
        duty="the time that the service user was contacted",
        given=expects(),
        when=(LATE_NOW, minutes(2), keys("SUV-1", "1")),
        then=lambda d: contacted(d, "reassure") == [("ed", LATE + 2 * MINUTE)],
    ),
    Row(
        clause="22.7",
        duty="the time that the staff member was contacted, by text",
        given=expects(),
        when=(LATE_NOW, minutes(0.5), texts("CW-2", 2, number=10)),
        then=lambda d: contacted(d, "locate") == [("dee", LATE + 0.5 * MINUTE)],
    ),
    Row(
        clause="22.7",
        duty="the time that the staff member was contacted, by a person of ours",
        given=expects(),
        when=(LATE_NOW, minutes(2), does("spoke_care_worker", to="dee", reason="on_my_way", minutes=10)),
        then=lambda d: contacted(d, "locate") == [("dee", LATE + 2 * MINUTE)],
    ),
    Row(
        clause="22.7",
        duty="any action taken, and a note after the end too",
        given=expects(),
        when=(LATE_NOW, does("take"), does("close", reason="seen_well"), does("note", "mary")),
        then=lambda d: actions(d) == [("take", "paul"), ("close", "paul"), ("note", "mary")],
    ),
    Row(
        clause="22.7",
        duty="what was tried in vain is recorded with its time",
        given=expects(),
        when=(LATE_NOW, rings_in_vain("SUV-1")),
        then=lambda d: (
            [(m.attempted_at, m.result, m.proof) for m in d.messages("reassure")]
            == [(LATE, "no_answer", None)]
        ),
    ),
)


def _urgent(desk: Desk) -> Desk:
    desk.plan(service_user="fay", time_critical=True)
    return desk


def _without_lines(desk: Desk) -> Desk:
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], lines=())
    return desk


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.clause} {row.duty}" for row in ROWS])
def test_the_clause(row: Row) -> None:
    desk = row.given()
    for step in row.when:
        step(desk)
    assert row.then(desk)


@pytest.mark.parametrize("clause", ["5.1", "21.2", "21.3", "21.4", *(f"22.{n}" for n in range(1, 8))])
def test_every_clause_has_rows_and_is_cited_by_the_shipped_policy(clause: str) -> None:
    assert any(row.clause == clause for row in ROWS)
    assert re.search(rf"(?<![0-9.]){re.escape(clause)}(?![0-9])", POLICY.read_text())
