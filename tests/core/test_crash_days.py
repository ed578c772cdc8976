"""The process dies after any one decision of a day of bad weather, of an absence, of a reported death, of a council's
referral: the day ends as it would have ended. No step is lost, and at most one message is repeated, and says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from config.policy import Duty
from escalation.people import LineView, PersonView
from escalation.replies import QUESTIONS
from monitor.core.inputs import AbsenceActed, AbsenceTold, DeathTold, ReferralActed, ReferralSeen, WeatherSaid
from monitor.core.state import Message
from tests.core.driver import DUTY, MONDAY, NOWHERE, Desk
from tests.core.theatre import Crash, Habit, Mortal, Reads, Seen, Theatre

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def says(*answers: str, never: tuple[str, ...] = ()) -> Reads:
    """Whoever is asked by text answers the first of these that the question knows."""

    def reads(message: Message) -> str | None:
        asked = {said: digit for digit, said in QUESTIONS.get(message.template, {}).items()}
        found = [str(asked[answer]) for answer in answers if answer in asked]
        return found[0] if found and message.template not in never else None

    return reads


TAKES = Habit(reads=says("take", "still_mine", never=("OC-3",)))
"""Who takes what they are asked to take, and nothing that somebody else has."""


def desk() -> Mortal:
    """ed's next of kin, and fay's, is ned; reff sees to referrals."""
    own = Duty(person="reff", role="referrals", hours="daily 07:00-19:00")
    one = Mortal(MONDAY, duty=(*DUTY, own))
    people = one.people.people
    people["reff"] = PersonView(ref="reff", role="staff", lines=(LineView(ref="l-reff"),))
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    people["fay"] = structs.replace(people["fay"], next_of_kin=("ned",))
    for ref, rank in (("ed", "amber"), ("fay", "green")):
        plan = structs.replace(people[ref].plan, weather_rank=rank)  # type: ignore[arg-type]
        people[ref] = structs.replace(people[ref], plan=plan)
    return one


HABITS = {
    "paul": TAKES,
    "olga": TAKES,
    "mary": TAKES,
    "dee": Habit(reads=says("cannot")),
    "kit": Habit(reads=says("go")),
    "ed": Habit(keys=("1",)),
    "ned": Habit(keys=("1", "1")),
    "reff": Habit(reads=says("pass_on")),
}


def weather(action: str, **more: Any) -> Callable[[Desk], Any]:
    return lambda desk: desk.tell(WeatherSaid(action=action, by="mary", at=desk.now, **more))  # type: ignore[arg-type]


def comes(theatre: Theatre, minutes: float, visit: str) -> None:
    """kit is there, for as long as it takes; her telephone says it until it is heard."""
    for n, kind in enumerate(("arrive", "leave")):
        more: dict[str, Any] = {"device": "d-kit", "visit": visit, "fingerprint": 1000 + int(minutes) + n}
        at = theatre.desk.now + timedelta(minutes=minutes + 20 * n)
        theatre.at(
            minutes + 20 * n,
            partial(
                lambda desk, kind, at, more: desk.check(kind, at=at, **more), kind=kind, at=at, more=more
            ),
        )


def closes(visit: str | None, kind: str = "late_visit") -> Callable[[Desk], Any]:
    """Paul closes the alert about that visit."""

    def act(desk: Desk) -> Any:
        (alert,) = [one for one in desk.alerts(kind) if one.visit == visit]
        return desk.act("close", "paul", alert=alert, reason="outcome_recorded")

    return act


def _snow(theatre: Theatre) -> None:
    """ed's visit is late in the snow; so is fay's, whose family is there, and then is not. The end of it comes before
    anybody does: others are asked to go to ed at last."""
    desk = theatre.desk
    for minutes, ref, who in ((20, "v1", "ed"), (25, "v2", "fay")):
        desk.plan(ref, start=MONDAY + minutes * MINUTE, service_user=who)
    theatre.at(1, weather("declare", until=MONDAY + 6 * HOUR))
    theatre.at(5, weather("cover", service_user="fay", next_of_kin="ned"))
    theatre.at(75, weather("uncover", service_user="fay"))
    theatre.at(100, weather("end"))
    comes(theatre, 105, "v2")
    comes(theatre, 115, "v1")


def _owed(theatre: Theatre) -> None:
    """Bad weather is over by its own end, and the council's report of it is made hours too late."""
    theatre.at(1, weather("declare", until=MONDAY + HOUR))
    theatre.at(13 * 60, weather("report"))


def away(action: str, **more: Any) -> Callable[[Desk], Any]:
    """Paul does this about the absence."""

    def act(desk: Desk) -> Any:
        (absence,) = desk.state.values.absences.values()
        return desk.tell(AbsenceActed(absence=absence.ref, action=action, by="paul", at=desk.now, **more))  # type: ignore[arg-type]

    return act


def in_hospital(desk: Desk) -> Any:
    """A care worker has heard that ed is in hospital; nobody has confirmed it."""
    said: dict[str, Any] = {
        "service_user": "ed",
        "reason": "hospital",
        "raised_by": "care_worker",
        "by": "paul",
    }
    since, until = MONDAY - HOUR, MONDAY + timedelta(days=2)
    return desk.tell(AbsenceTold(from_at=since, review_at=until, note=NOWHERE, at=desk.now, **said))


def _hospital(theatre: Theatre) -> None:
    """ed's visit is late, then he is in hospital, which counts from its confirmation on; nobody answers the morning's
    question, so that it is an alarm; a care worker comes in vain; he returns, and his next visit is late again."""
    desk = theatre.desk
    for hours, ref in ((0, "v1"), (2, "v2"), (25, "v3"), (29, "v4")):
        desk.plan(ref, start=MONDAY + hours * HOUR)
    theatre.at(33, in_hospital)
    theatre.at(41, away("confirm", spoke_to="next_of_kin"))
    theatre.at(28 * 60 + 20, away("asked", spoke_to="place"))
    comes(theatre, 25 * 60 + 5, "v3")
    theatre.at(28 * 60 + 30, away("end", outcome="returned"))
    comes(theatre, 29 * 60 + 50, "v4")


def _never_away(theatre: Theatre) -> None:
    """It was passed on that ed is in hospital, and confirmed; it was the wrong man. He is missed at once."""
    desk = theatre.desk
    desk.plan("v1", start=MONDAY)
    theatre.at(10, in_hospital)
    theatre.at(15, away("confirm", spoke_to="next_of_kin"))
    theatre.at(55, away("end", outcome="withdrawn"))
    comes(theatre, 90, "v1")


def died(*, by: str, undo: bool = False) -> Callable[[Desk], Any]:
    return lambda desk: desk.tell(DeathTold(service_user="ed", by=by, at=desk.now, note=NOWHERE, undo=undo))


def _death(theatre: Theatre) -> None:
    """ed's visit is late, and while everybody is being told he is reported dead; it was a mistake, and his later visit
    is late in its turn."""
    desk = theatre.desk
    for hours, ref in ((0, "v1"), (3, "v2")):
        desk.plan(ref, start=MONDAY + hours * HOUR)
    desk.plan("v3", start=MONDAY + HOUR, service_user="fay", workers=("kit",))
    theatre.at(32, died(by="paul"))
    comes(theatre, 62, "v3")
    theatre.at(200, died(by="mary", undo=True))
    comes(theatre, 230, "v2")


def asks(ref: str, package: str, fingerprint: int) -> Callable[[Desk], Any]:
    """A council's question reaches the desk."""
    return lambda desk: desk.tell(
        ReferralSeen(
            ref=ref,
            package=package,  # type: ignore[arg-type]
            source="api",
            arrived_at=desk.now,
            evidence=NOWHERE,
            fingerprint=fingerprint,
        )
    )


def bids(desk: Desk) -> Any:
    """The first of them is answered."""
    at, starts_at = desk.now, desk.now + 20 * HOUR
    return desk.tell(ReferralActed(referral="r1", by="olga", at=at, outcome="bid", starts_at=starts_at))


def _referrals(theatre: Theatre) -> None:
    """One is passed on at its arrival, rung about at half time and taken, reminded of and answered in its last minutes;
    one of half an hour runs out unread meanwhile."""
    theatre.at(1, asks("r1", "standard", 7))
    theatre.at(20, asks("r2", "discharge", 8))
    theatre.at(118, bids)


STORIES: dict[str, tuple[Callable[[Theatre], None], float]] = {
    "snow": (_snow, 3),
    "owed": (_owed, 14),
    "hospital": (_hospital, 31),
    "never_away": (_never_away, 3),
    "death": (_death, 6),
    "referrals": (_referrals, 3),
}
"""Each with how many hours it lasts."""
EVER = {
    "snow": {"WeatherEnded", "WeatherTold", "FamilyCoverWithdrawn", "StepLeftOut", "SituationReported"},
    "owed": {"WeatherReminded", "AlertRaised", "WeatherReported", "AlertEnded"},
    "hospital": {"AwayQuestioned", "AwayUnanswered", "VisitAway", "VisitBack", "AbsenceEnded"},
    "never_away": {"VisitAway", "VisitBack", "AbsenceEnded"},
    "death": {"PersonDied", "VisitCancelled", "DeathWithdrawn", "VisitPlanned"},
    "referrals": {"ReferralPassed", "ReferralTaken", "ReferralAnswered", "ReferralLapsed"},
}
"""What happens in each: a story in which it does not proves nothing of it."""


def play(story: str, crash: Crash | None = None) -> Seen:
    happens, hours = STORIES[story]
    theatre = Theatre(desk=desk(), habits=HABITS, crash=crash)
    happens(theatre)
    return theatre.play(hours)


BEFORE: dict[str, Seen] = {}
"""Each story as it ends when nobody dies."""


def undisturbed(story: str) -> Seen:
    if story not in BEFORE:
        BEFORE[story] = play(story)
    return BEFORE[story]


@pytest.mark.parametrize("story", STORIES)
def test_a_day_on_which_nobody_dies_has_what_it_is_about_and_nothing_wrong(story: str) -> None:
    seen = undisturbed(story)
    assert seen.wrong == ()
    assert EVER[story] <= set(seen.steps)
    assert (seen.repeated, seen.marked) == ((), frozenset())


@pytest.mark.parametrize("story", STORIES)
def test_killed_after_any_decision_the_day_ends_as_it_would_have_ended(story: str) -> None:
    seen, failed = undisturbed(story), []
    for number in range(1, seen.decisions + 1):
        for found in (False, True) if number in seen.attempts else (False,):
            crash = Crash(decisions=number, posted=number in seen.attempts, found=found)
            failed += [f"{crash}: {what}" for what in differences(seen, play(story, crash))]
    assert failed == []


def differences(seen: Seen, after: Seen) -> list[str]:
    """What a crash has changed that it must not."""
    found = list(after.wrong)
    found += [f"{name}: {after.end[name]}" for name in seen.end if after.end[name] != seen.end[name]]
    found += [f"never said: {words}" for words in seen.said - after.said]
    if len(after.repeated) > 1 or not set(after.repeated) <= after.marked:
        found.append(f"repeated: {after.repeated}, and marked: {after.marked}")
    # whoever has a question twice may answer it twice, and is answered
    if (more := after.said - seen.said).total() > len(after.repeated):
        found.append(f"said besides: {more}")
    return found


def test_what_was_posted_and_is_not_found_is_sent_once_more_and_says_so() -> None:
    number = min(undisturbed("never_away").attempts)
    after = play("never_away", Crash(decisions=number, posted=True))
    assert len(after.repeated) == 1
    assert set(after.repeated) <= after.marked
    assert play("never_away", Crash(decisions=number, posted=True, found=True)).repeated == ()


def test_a_crash_that_loses_a_step_is_seen() -> None:
    """The comparison is none that everything passes: a day whose last act never happened differs."""
    happens, hours = STORIES["death"]
    theatre = Theatre(desk=desk(), habits=HABITS)
    happens(theatre)
    cut = theatre.play(hours - 3)
    assert differences(undisturbed("death"), cut) != []
