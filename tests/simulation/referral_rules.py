"""The rules of a council's referral at a provider's desk, held against the desk's journal alone: one function for
each, with its source.

They share no code with the product. Each yields a line for every place where the journal does not keep it; that each
speaks when a journal is broken is shown in tests/unit/test_referral_rules.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from tests.simulation.journal import Fact

BOUND = timedelta(seconds=10)
"""So much able time a step may be behind its moment."""
ORDER = {"arrival": 1, "half": 2, "last": 3}
OVER = ("ReferralAnswered", "ReferralLapsed")
ASKS = frozenset({"RF-1", "RF-2", "RF-3", "RFV-1"})
LAPSED = "RF-4"
People = Callable[[datetime], frozenset[str]]
"""Who stands on a list at that moment, by minted ids."""


class Answered(Struct, frozen=True, kw_only=True):
    """An answer whose request was answered with success."""

    ref: str
    by: str
    outcome: str


@dataclass(kw_only=True)
class Referral:
    """Everything that the journal says of one of them, in order."""

    ref: str
    facts: list[Fact] = field(default_factory=list)
    sent: dict[str, Fact] = field(default_factory=dict)
    """The summons by the keys of their messages."""

    def of(self, *kinds: str) -> list[Fact]:
        """The facts of these kinds."""
        return [fact for fact in self.facts if fact.kind in kinds]

    @property
    def logged(self) -> Fact:
        """How it came."""
        return self.facts[0]

    def moment(self, name: str) -> datetime:
        """An instant of its clock."""
        return datetime.fromisoformat(self.logged.body[name])

    def holder(self, seq: int) -> str | None:
        """Who had it right before that fact."""
        found: str | None = None
        for fact in self.facts:
            if fact.seq >= seq:
                break
            if fact.kind == "ReferralTaken":
                found = fact.body["by"]
            elif fact.kind == "ReferralPassed" and fact.body["by"] == found:
                found = None
        return found


@dataclass(kw_only=True)
class Told:
    """What the rules look at. `able(since, until)`: how long the product was able to act in between; `steady`: whether
    its wall clock was right all the time; `own`: who sees to referrals; `on_duty`: who is on duty, managers too."""

    referrals: dict[str, Referral]
    messages: dict[str, list[Fact]]
    """Of every message the fact of its intent and of its attempts."""
    ends_at: datetime
    able: Callable[[datetime, datetime], timedelta]
    steady: Callable[[datetime, datetime], bool]
    own: People
    on_duty: People
    logged: Sequence[str] = ()
    """Those whose request was answered with success."""
    answered: Sequence[Answered] = ()

    def overdue(self, moment: datetime, until: datetime) -> bool:
        """Whether the product had time enough to do at that moment what it has not done before `until`."""
        return self.able(moment, until) > BOUND and self.steady(moment, until)


Rule = Callable[[Told], Iterator[str]]


def gather(facts: Sequence[Fact], **seen: object) -> Told:
    """The journal by referrals."""
    referrals: dict[str, Referral] = {}
    messages: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.kind == "ReferralLogged":
            referrals.setdefault(fact.subject, Referral(ref=fact.subject))
        if fact.kind.startswith("Referral") and fact.subject in referrals:
            referrals[fact.subject].facts.append(fact)
            referrals[fact.subject].sent |= dict.fromkeys(fact.body.get("messages", ()), fact)
        if fact.kind in ("MessageIntended", "MessageAttempted"):
            messages.setdefault(fact.subject, []).append(fact)
    return Told(referrals=referrals, messages=messages, **seen)  # type: ignore[arg-type]


def summoned_in_time(r: Told) -> Iterator[str]:
    """Domain, "The provider's side": somebody is summoned at arrival, at half time and when ten minutes are left, until
    somebody has it; who has it is reminded at the last of them."""
    for one in r.referrals.values():
        for mark, name in (("arrival", "arrived_at"), ("half", "half_at"), ("last", "last_at")):
            moment = max(one.moment(name), one.logged.at)
            after = [
                f for f in one.facts if f.at >= moment or ORDER.get(f.body.get("mark", ""), 0) >= ORDER[mark]
            ]
            done = next((f for f in after if _serves(f, mark)), None)
            over = next(iter(one.of(*OVER)), None)
            closed = over is not None and over.at <= moment
            held = mark != "last" and any(f.at <= moment for f in one.of("ReferralTaken"))
            if closed or held:
                continue
            if r.overdue(moment, done.at if done is not None else r.ends_at):
                yield f"{one.ref}: nobody was summoned at {moment} ({mark})"
            elif done is not None and done.kind == "ReferralSummoned" and done.at < moment:
                yield f"{one.ref}: summoned at {done.at}, {moment - done.at} before its moment ({mark})"


def _serves(fact: Fact, mark: str) -> bool:
    """Whether after that fact nobody needs to be summoned at that mark any more."""
    if fact.kind == "ReferralSummoned":
        return ORDER[fact.body["mark"]] >= ORDER[mark]
    return fact.kind in OVER or (fact.kind == "ReferralTaken" and mark != "last")


def who_is_summoned_may_act(r: Told) -> Iterator[str]:
    """Each time it is whoever is on duty then: at first who sees to referrals, if somebody does at that hour."""
    for one in r.referrals.values():
        for fact in one.of("ReferralSummoned"):
            person, reason = fact.body.get("person"), fact.body.get("reason")
            own, others = r.own(fact.at), r.on_duty(fact.at)
            if person is None:
                if own | others:
                    yield f"{one.ref}: at {fact.at} nobody was summoned, and somebody is on duty"
            elif reason != "reminded" and person not in own | others:
                yield f"{one.ref}: at {fact.at} somebody was summoned who is not on duty"
            elif fact is one.of("ReferralSummoned")[0] and own and person not in own:
                yield f"{one.ref}: who sees to referrals was not the first to hear of it"


def a_summons_is_a_message(r: Told) -> Iterator[str]:
    """Whoever is summoned has a message, and from half time on, since a text was not enough, a call too."""
    for one in r.referrals.values():
        for fact in one.of("ReferralSummoned"):
            if fact.body.get("person") is None:
                continue
            found = [r.messages[key][0] for key in fact.body.get("messages", ()) if key in r.messages]
            to = {message.body["person"] for message in found}
            if to != {fact.body["person"]}:
                yield f"{one.ref}: the summons of {fact.at} has no message"
            rings = any(message.body["channel"] == "call" for message in found)
            if fact.body["mark"] != "arrival" and fact.body.get("reason") != "reminded" and not rings:
                yield f"{one.ref}: from half time on there is a call, and at {fact.at} there was none"


def never_after(r: Told) -> Iterator[str]:
    """Nobody is summoned about what is answered or over, and no question about it leaves; nor to anybody but who has
    it, while somebody does."""
    for one in r.referrals.values():
        over = next(iter(one.of(*OVER)), None)
        for fact in one.of("ReferralSummoned"):
            if over is not None and fact.seq > over.seq:
                yield f"{one.ref}: somebody is summoned at {fact.at}, and it is over"
            holder = one.holder(fact.seq)
            if holder not in (None, fact.body.get("person")):
                yield f"{one.ref}: somebody is summoned at {fact.at}, and somebody else has it"
        for key in one.sent:
            intended, *attempts = r.messages.get(key, [one.logged])
            for attempt in attempts:
                holder = one.holder(attempt.seq)
                if over is not None and attempt.seq > over.seq:
                    yield f"{key} leaves at {attempt.at}, and {one.ref} is over"
                elif holder not in (None, intended.body.get("person")):
                    yield f"{key} leaves at {attempt.at}, and somebody else has {one.ref}"


def silence_is_told(r: Told) -> Iterator[str]:
    """Without an answer at the end of its time the managers are told, at that moment and not before: silence is never
    success."""
    for one in r.referrals.values():
        ends = max(one.moment("answer_by"), one.logged.at)
        over = next(iter(one.of(*OVER)), None)
        if over is None or over.kind == "ReferralAnswered":
            if (over is None or over.at > ends) and r.overdue(ends, over.at if over else r.ends_at):
                yield f"{one.ref}: unanswered at {ends}, and nobody was told"
            continue
        if over.at < ends:
            yield f"{one.ref}: over at {over.at}, {ends - over.at} too early"
        elif r.overdue(ends, over.at):
            yield f"{one.ref}: over at {over.at}, {over.at - ends} too late"
        told = over.body.get("told", ())
        said = {
            found[0].body["person"]
            for found in r.messages.values()
            if found[0].body.get("template") == LAPSED
            and found[0].cause == over.cause
            and found[0].at == over.at
        }
        if not set(told) <= said:
            yield f"{one.ref}: who is said to be told at {over.at} has no message"
        if not told and r.on_duty(over.at):
            yield f"{one.ref}: unanswered at {ends}, and nobody is told"


def who_answered_is_recorded(r: Told) -> Iterator[str]:
    """What was acknowledged stands in the journal: each referral once, each answer with who gave it, and whether it was
    too late."""
    for ref in r.logged:
        if len(r.referrals[ref].of("ReferralLogged") if ref in r.referrals else ()) != 1:
            yield f"{ref} was acknowledged, and is not logged once"
    stands = Counter(
        (one.ref, f.body["by"], f.body["outcome"])
        for one in r.referrals.values()
        for f in one.of("ReferralAnswered")
    )
    for said in r.answered:
        if stands[said.ref, said.by, said.outcome] != 1:
            yield f"{said.ref}: the answer of {said.by} was acknowledged, and does not stand once"
    for one in r.referrals.values():
        for fact in one.of("ReferralAnswered"):
            done_at = datetime.fromisoformat(fact.body["done_at"])
            if bool(fact.body.get("late")) != (done_at >= one.moment("answer_by")):
                yield f"{one.ref}: answered at {done_at}, and late is {bool(fact.body.get('late'))}"
        if len(one.of("ReferralAnswered")) > 1:
            yield f"{one.ref} is answered twice"


def one_has_it(r: Told) -> Iterator[str]:
    """A referral is one person's at a time."""
    for one in r.referrals.values():
        for fact in one.of("ReferralTaken"):
            if one.holder(fact.seq) is not None:
                yield f"{one.ref}: taken at {fact.at} while somebody had it"


RULES: tuple[Rule, ...] = (
    summoned_in_time,
    who_is_summoned_may_act,
    a_summons_is_a_message,
    never_after,
    silence_is_told,
    who_answered_is_recorded,
    one_has_it,
)


def broken(told: Told) -> Iterator[tuple[str, str]]:
    """(rule, where) for everything that is not kept."""
    for rule in RULES:
        for text in rule(told):
            yield rule.__name__, text
