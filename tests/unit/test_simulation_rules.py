"""The rules that judge a simulated day's journal: quiet about a journal that is right, and each speaks about its own
fault. A rule that cannot be broken here is a rule that cannot fail."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.inputs import Input
from monitor.core.state import Message
from tests.core.driver import MONDAY, Desk
from tests.simulation.journal import Fact, Person, Reading
from tests.simulation.rules import RULES, broken

ROOT = Path(__file__).parents[2]
PEOPLE = {
    "ed": Person(
        id="ed", role="service_user", numbers=("l-ed",), landlines=frozenset({"l-ed"}), kin=("ned",)
    ),
    "ned": Person(id="ned", role="contact", numbers=("l-ned",)),
    **{one: Person(id=one, role="care_worker", numbers=(f"l-{one}",)) for one in ("dee", "kit", "lou")},
    **{one: Person(id=one, role="staff", numbers=(f"l-{one}",)) for one in ("olga", "paul", "mary")},
}
Journal = tuple[Fact, ...]


class Told(Desk):
    """A desk in the hand whose facts know what caused them, and whose telephones say what they are told to."""

    def __init__(self) -> None:
        self.journal: list[Fact] = []
        super().__init__()
        people = self.people.people
        people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
        people["lou"] = PersonView(ref="lou", role="care_worker", lines=(LineView(ref="l-lou"),))

    def tell(self, seen: Input) -> Decision:
        """As the engine does."""
        before = len(self.facts)
        decision = super().tell(seen)
        for fact in self.facts[before:]:
            body = json.loads(f.encode_body(fact.body))
            kind, cause = type(fact.body).__name__, f"{type(seen).__name__}:{before}"
            self.journal.append(
                Fact(
                    seq=fact.seq,
                    at=fact.at,
                    due_at=fact.due_at,
                    kind=kind,
                    subject=fact.subject,
                    cause=cause,
                    policy=fact.policy,
                    body=body,
                )
            )
        return decision

    def minutes(self, count: int, answers: Mapping[str, Callable[[Told, Message], None]]) -> None:
        """So many minutes in which everything leaves and is answered by its words' own answer, else not at all."""
        for _ in range(6 * count):
            self.advance(seconds=10)
            for message in self.send_all():
                if message.template in answers:
                    answers[message.template](self, message)
                current = self.message(message.key)
                if current.phase != "settled":
                    self.deliver(current, "no_answer" if message.channel == "call" else "delivered")


def _says(digit: int, *persons: str) -> Callable[[Told, Message], None]:
    def says(desk: Told, message: Message) -> None:
        if not persons or message.person in persons:
            desk.text(message.person, f"{message.slot}{digit}", line=message.line)

    return says


def _keys(*digits: str) -> Callable[[Told, Message], None]:
    def presses(desk: Told, message: Message) -> None:
        desk.press(message, *digits)
        desk.deliver(message, "completed")

    return presses


@cache
def told(story: str) -> Journal:
    """A journal that is right."""
    desk = Told()
    if story == "two":
        desk.plan(workers=("dee", "kit"), places=2)
        desk.check()
        desk.minutes(40, {})
        desk.check(device="d-kit", service_user="ed")
    elif story == "replaced":
        desk.plan(start=MONDAY + timedelta(minutes=1))
        desk.minutes(32, {})
        desk.minutes(10, {"CW-7": _says(1, "kit"), "NOKV-1": _keys("1", "1")})
        desk.minutes(6, {})
        desk.check(device="d-kit", service_user="ed")
    else:
        desk.plan(start=MONDAY + timedelta(minutes=1))
        desk.minutes(110, {"OC-1": _says(1, "paul")})
        desk.act("close", "paul", reason="seen_well")
    desk.minutes(3, {})
    return tuple(desk.journal)


def reading(journal: Journal, **people: Person) -> Reading:
    """As the rules read it: the clock was right and the product was up all the time."""
    return Reading(
        desk="bright",
        facts=list(journal),
        names={ref: ref for ref in PEOPLE},
        people=PEOPLE | people,
        able=lambda begin, until: max(until - begin, timedelta()),
        steady=lambda begin, until: True,
    )


def speaks(journal: Journal, **people: Person) -> dict[str, list[str]]:
    """What each rule says."""
    found: dict[str, list[str]] = {}
    for rule, text in broken(reading(journal, **people)):
        found.setdefault(rule, []).append(text)
    return found


# --- how a journal is broken ---


def has(fact: Fact, kind: str, **body: Any) -> bool:
    """Whether it is a fact of this kind whose body says this."""
    return fact.kind == kind and body.items() <= fact.body.items()


def without(journal: Journal, kind: str, **body: Any) -> Journal:
    """Without those facts, which must have been there; of a message, without everything about it."""
    gone = [fact for fact in journal if has(fact, kind, **body)]
    assert gone, (kind, body)
    keys = {fact.subject for fact in gone if kind == "MessageIntended"}
    return tuple(fact for fact in journal if fact not in gone and fact.subject not in keys)


def changed(journal: Journal, kind: str, to: Mapping[str, Any], **body: Any) -> Journal:
    """The last such fact says something else."""
    at = max(n for n, fact in enumerate(journal) if has(fact, kind, **body))
    other = replace(journal[at], body=journal[at].body | dict(to))
    return (*journal[:at], other, *journal[at + 1 :])


def one(journal: Journal, kind: str, **body: Any) -> Fact:
    """The first such fact."""
    return next(fact for fact in journal if has(fact, kind, **body))


def at_the_end(journal: Journal, fact: Fact, **body: Any) -> Journal:
    """One more fact like this one."""
    last = journal[-1]
    more = replace(fact, seq=last.seq + 1, at=last.at, cause="more", body=fact.body | body)
    return (*journal, more)


def earlier(journal: Journal, kind: str, subject: str, at: datetime) -> Journal:
    """That fact happened at another moment."""
    return tuple(
        replace(fact, at=at) if fact.kind == kind and fact.subject == subject else fact for fact in journal
    )


def _died_before(journal: Journal, kind: str, of: str = "", **body: Any) -> Journal:
    """ed is reported dead right before the first such fact: in the place of the fact that was there."""
    subject = one(journal, of, **body).subject if of else None
    first = next(f for f in journal if f.kind == kind and subject in (None, f.subject))
    at = journal.index(first) - 1
    died = replace(journal[at], kind="PersonDied", subject="ed", body={"by": "paul"})
    return (*journal[:at], died, *journal[at + 1 :])


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A rule, a journal that is right, and what is done to it."""

    rule: str
    story: str
    breaks: Callable[[Journal], Journal] = lambda journal: journal
    people: Mapping[str, Person] = field(default_factory=dict)


def _swapped(journal: Journal) -> Journal:
    """The care worker is asked before the service user."""
    asked = one(journal, "MessageIntended", purpose="locate")
    spoken = one(journal, "TrackMoved", track="reassure")
    swap = {asked.seq: replace(spoken, seq=asked.seq), spoken.seq: replace(asked, seq=spoken.seq)}
    return tuple(swap.get(fact.seq, fact) for fact in journal)


def _no_alert(journal: Journal) -> Journal:
    about = one(journal, "AlertRaised").subject
    keys = {fact.subject for fact in journal if fact.body.get("alert") == about}
    kept = (fact for fact in journal if fact.subject not in keys | {about})
    return tuple(fact for fact in kept if fact.kind != "ArrivalRecorded")


def _two_alerts(journal: Journal) -> Journal:
    raised = one(journal, "AlertRaised")
    at = journal.index(raised) + 1
    again = replace(raised, subject="a-again", body=raised.body | {"alert": "a-again"})
    return (*journal[:at], again, *journal[at:])


def _rung_again_at_once(journal: Journal) -> Journal:
    calls = [fact.subject for fact in journal if has(fact, "MessageIntended", purpose="reassure")]
    attempts = [fact for fact in journal if fact.kind == "MessageAttempted" and fact.subject in calls]
    return earlier(journal, "MessageAttempted", attempts[1].subject, attempts[0].at + timedelta(seconds=60))


def _sent_twice(journal: Journal) -> Journal:
    accepted = one(journal, "ReplacementAccepted", worker="kit")
    at = next(n for n, fact in enumerate(journal) if fact.seq > accepted.seq + 20)
    second = replace(accepted, seq=journal[at].seq, body=accepted.body | {"worker": "lou"})
    return (*journal[:at], second, *journal[at:])


def _leaves_after_the_end(journal: Journal) -> Journal:
    summons = one(journal, "MessageIntended", purpose="summon", channel="sms").subject
    (attempt,) = [f for f in journal if f.kind == "MessageAttempted" and f.subject == summons]
    return at_the_end(journal, attempt, possibly_repeated=True)


def _attempted_again(journal: Journal) -> Journal:
    return at_the_end(journal, next(fact for fact in journal if fact.kind == "MessageAttempted"))


def _six_replies(journal: Journal) -> Journal:
    kept = replace(
        journal[-1],
        kind="ReplyKept",
        subject="l-ed",
        body={"line": "l-ed", "persons": ["ed"], "word": "other", "answered": True},
    )
    for _ in range(6):
        journal = at_the_end(journal, kept)
    return journal


def _text_to_a_landline(journal: Journal) -> Journal:
    return changed(journal, "MessageIntended", {"channel": "sms"}, purpose="reassure")


NO_MACHINE = replace(PEOPLE["ed"], by_person_only=True)
BROKEN = (
    Broken(rule="one_alert", story="alone", breaks=_no_alert),
    Broken(rule="one_alert", story="alone", breaks=_two_alerts),
    Broken(rule="service_user_first", story="alone", breaks=_swapped),
    Broken(rule="plan_obeyed", story="alone", breaks=_text_to_a_landline),
    Broken(rule="plan_obeyed", story="alone", people={"ed": NO_MACHINE}),
    Broken(
        rule="never_told",
        story="alone",
        people={"ed": replace(PEOPLE["ed"], never_tell=frozenset({"ned"}))},
    ),
    Broken(
        rule="never_told",
        story="alone",
        people={"ed": replace(PEOPLE["ed"], never_tell=frozenset({"paul"}))},
    ),
    Broken(
        rule="not_excluded",
        story="replaced",
        people={"ed": replace(PEOPLE["ed"], not_with=frozenset({"kit"}))},
    ),
    Broken(
        rule="off_is_off",
        story="alone",
        breaks=lambda journal: changed(journal, "PolicyAdopted", {"public": "off"}),
    ),
    Broken(rule="off_is_off", story="alone", people={"ed": replace(PEOPLE["ed"], public="off")}),
    Broken(rule="rung_apart", story="alone", breaks=_rung_again_at_once),
    Broken(
        rule="contact_is_proved",
        story="replaced",
        breaks=lambda journal: changed(journal, "PersonReached", {"proof": ""}),
    ),
    Broken(
        rule="contact_is_proved",
        story="replaced",
        breaks=lambda journal: without(journal, "AnswerHeard", answer="go"),
    ),
    Broken(
        rule="no_quiet_end",
        story="alone",
        breaks=lambda journal: changed(
            journal, "TrackMoved", {"next_at": None}, track="summon", phase="held"
        ),
    ),
    Broken(
        rule="no_quiet_end",
        story="alone",
        breaks=lambda journal: changed(
            journal, "TrackMoved", {"next_at": None, "reason": "at_door"}, track="summon", phase="held"
        ),
    ),
    Broken(
        rule="no_quiet_end",
        story="replaced",
        breaks=lambda journal: changed(journal, "CouncilMoved", {"next_at": None}, step="trying"),
    ),
    Broken(
        rule="no_quiet_end",
        story="alone",
        breaks=lambda journal: (
            journal[: journal.index(one(journal, "AlertEnded"))]
            + tuple(replace(f, kind="DayRolledOver", subject="-") for f in journal[-1:])
            + tuple(
                replace(f, kind="DayRolledOver", subject="-", at=f.at + timedelta(hours=1))
                for f in journal[-1:]
            )
        ),
    ),
    Broken(
        rule="skipped_says_so",
        story="alone",
        breaks=lambda journal: changed(journal, "TrackMoved", {"reason": ""}, step="not_reached"),
    ),
    Broken(
        rule="skipped_says_so",
        story="alone",
        breaks=lambda journal: without(journal, "TrackMoved", track="locate"),
    ),
    Broken(rule="first_has_it", story="replaced", breaks=_sent_twice),
    Broken(
        rule="first_has_it",
        story="replaced",
        breaks=lambda journal: without(
            without(journal, "ReplacementAccepted", worker="kit"), "MessageIntended", template="CW-8"
        ),
    ),
    Broken(
        rule="the_others_are_told",
        story="replaced",
        breaks=lambda journal: without(journal, "MessageIntended", template="CW-8B", person="lou"),
    ),
    Broken(
        rule="the_name_is_told",
        story="replaced",
        breaks=lambda journal: without(
            without(journal, "MessageIntended", purpose="tell_replacement"),
            "MessageIntended",
            template="OC-100",
        ),
    ),
    Broken(
        rule="the_hour",
        story="alone",
        breaks=lambda journal: without(journal, "MessageIntended", template="OC-6", count=30),
    ),
    Broken(
        rule="the_hour",
        story="alone",
        breaks=lambda journal: without(journal, "MessageIntended", template="RM-1"),
    ),
    Broken(
        rule="they_are_informed",
        story="alone",
        breaks=lambda journal: without(journal, "TrackMoved", track="inform"),
    ),
    Broken(
        rule="they_are_informed",
        story="alone",
        breaks=lambda journal: tuple(fact for fact in journal if fact.kind != "CouncilMoved"),
    ),
    Broken(
        rule="they_are_informed",
        story="alone",
        people={"ed": replace(PEOPLE["ed"], kin=())},
    ),
    Broken(
        rule="over_is_told",
        story="replaced",
        breaks=lambda journal: without(journal, "MessageIntended", purpose="stand_down", person="paul"),
    ),
    Broken(
        rule="over_is_told",
        story="alone",
        breaks=lambda journal: without(journal, "MessageIntended", template="CO-4"),
    ),
    Broken(rule="nothing_after_the_end", story="alone", breaks=_leaves_after_the_end),
    Broken(rule="few_automatic_replies", story="alone", breaks=_six_replies),
    Broken(rule="repeats_are_marked", story="alone", breaks=_attempted_again),
    Broken(
        rule="the_record_answers",
        story="alone",
        breaks=lambda journal: changed(journal, "AlertEnded", {"by": None}),
    ),
    Broken(
        rule="the_record_answers",
        story="alone",
        breaks=lambda journal: tuple(
            fact
            for fact in journal
            if not (
                fact.kind == "MessageSettled"
                and fact.subject == one(journal, "MessageIntended", purpose="reassure").subject
            )
        ),
    ),
    Broken(
        rule="stale_means_nothing",
        story="replaced",
        breaks=lambda journal: changed(journal, "AnswerHeard", {"stale": True}, answer="go"),
    ),
    Broken(
        rule="one_of_two_rings_nobody",
        story="two",
        breaks=lambda journal: without(journal, "MessageIntended", template="CW-13"),
    ),
    Broken(
        rule="nothing_to_the_dead", story="alone", breaks=lambda journal: _died_before(journal, "AlertRaised")
    ),
    Broken(
        rule="nothing_to_the_dead",
        story="alone",
        breaks=lambda journal: _died_before(
            journal, "MessageAttempted", "MessageIntended", purpose="reassure"
        ),
    ),
)


@pytest.mark.parametrize("story", ["alone", "replaced", "two"])
def test_a_journal_that_is_right_breaks_no_rule(story: str) -> None:
    assert speaks(told(story)) == {}
    assert len(told(story)) > 40


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case.rule}-{case.story}")
def test_a_broken_journal_is_caught_by_its_rule(case: Broken) -> None:
    assert case.rule in speaks(case.breaks(told(case.story)), **case.people)


def test_every_rule_has_a_journal_that_breaks_it() -> None:
    assert {case.rule for case in BROKEN} == {rule.__name__ for rule in RULES}


def test_every_rule_names_its_clause() -> None:
    for rule in RULES:
        source = (rule.__doc__ or "").split(":")[0]
        assert source.startswith(("Spec ", "Domain, ", "Devices", "Contract, ", "Issue ")), rule.__name__


@pytest.mark.parametrize("name", ["journal", "rules"])
def test_the_rules_share_no_code_with_the_product(name: str) -> None:
    tree = ast.parse((ROOT / "tests" / "simulation" / f"{name}.py").read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    others = {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names}
    assert others <= {"__future__", "tests.simulation.journal"}
