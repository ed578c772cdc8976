"""The rules of placing packages, held against the council's journal alone: one function for each, with its source.

They share no code with the product. Each yields a line for every place where the journal does not keep it; that each
speaks when a journal is broken is shown in tests/unit/test_placing_rules.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.journal import Fact, span

BOUND = timedelta(seconds=10)
"""So much able time a step may be behind its moment."""
SETTLED = timedelta(minutes=2)
"""And what goes on between two desks, which is tried again with pauses."""
BY_A_PERSON = frozenset({"awarded", "withdrawn"})
LOST, WON = "lost", "won"


@dataclass(kw_only=True)
class Package:
    """Everything that the journal says of one package, in order."""

    ref: str
    policy: Mapping[str, Any]
    facts: list[Fact] = field(default_factory=list)
    messages: list[Fact] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Fact]:
        """The facts of these kinds."""
        return [fact for fact in self.facts if fact.kind in kinds]

    def after(self, fact: Fact, *kinds: str) -> Fact | None:
        """The first fact of these kinds that follows."""
        return next((one for one in self.of(*kinds) if one.seq > fact.seq), None)


@dataclass(kw_only=True)
class Placed:
    """What the rules look at. `able(since, until)`: how long the product was able to act in between; `answered`: the
    (package, provider, what) whose request had a success for an answer, by minted ids."""

    packages: dict[str, Package]
    alerts: list[Fact]
    ends_at: datetime
    able: Callable[[datetime, datetime], timedelta]
    answered: Sequence[tuple[str, str, str]] = ()
    offices: Sequence[Fact] = ()
    """The journals of the providers' own desks."""


Rule = Callable[[Placed], Iterator[str]]


def gather(
    facts: Sequence[Fact],
    able: Callable[[datetime, datetime], timedelta],
    ends_at: datetime,
    answered: Sequence[tuple[str, str, str]] = (),
    offices: Sequence[Fact] = (),
) -> Placed:
    """The journal by packages."""
    policies: dict[str, Mapping[str, Any]] = {}
    packages: dict[str, Package] = {}
    alerts: list[Fact] = []
    for fact in facts:
        if fact.kind == "PlacingAdopted":
            policies |= {terms["digest"]: terms["policy"] for terms in fact.body["terms"]}
        if fact.kind == "PlacementReceived":
            packages[fact.subject] = Package(ref=fact.subject, policy=policies[fact.policy])
        if fact.subject in packages:
            packages[fact.subject].facts.append(fact)
        if fact.kind == "MessageIntended" and fact.body.get("placement") in packages:
            packages[fact.body["placement"]].messages.append(fact)
        if fact.kind == "AlertRaised" and fact.body["kind"] == "placement":
            alerts.append(fact)
    return Placed(
        packages=packages, alerts=alerts, ends_at=ends_at, able=able, answered=answered, offices=offices
    )


# --- windows ---


def _closes(package: Package, opened: Fact, before: Fact) -> datetime:
    """When the window that `opened` began closes, as it was known right before that fact."""
    at = datetime.fromisoformat(opened.body["closes_at"])
    for fact in package.of("ProviderAsked"):
        if opened.seq < fact.seq < before.seq:
            at = datetime.fromisoformat(fact.body["closes_at"])
    return at


def every_window_closes(r: Placed) -> Iterator[str]:
    """Appendix A: a window closes once, by itself, at its moment: never before it, and at most a moment after."""
    for package in r.packages.values():
        for opened in package.of("RoundOpened"):
            closed = package.after(opened, "RoundClosed")
            again = package.after(opened, "RoundOpened")
            if closed is None or (again is not None and again.seq < closed.seq):
                at = _closes(package, opened, again or package.facts[-1])
                if again is not None or r.able(at, r.ends_at) > BOUND:
                    yield f"{package.ref}: a window of {opened.at} never closed"
                continue
            at = _closes(package, opened, closed)
            if closed.body["reason"] == "time" and closed.at < at:
                yield f"{package.ref}: closed at {closed.at}, {at - closed.at} too early"
            if r.able(at, closed.at) > BOUND:
                yield f"{package.ref}: closed at {closed.at}, {closed.at - at} too late"


def late_is_late(r: Placed) -> Iterator[str]:
    """A bid is late from the very moment of the close on, by receipt and the journal's order; never before."""
    for package in r.packages.values():
        for bid in package.of("BidRecorded", "BidDeclined", "BidWithdrawn"):
            # it belongs to the round in which they were asked, also when another one has opened since
            opened = _asked_in(package, bid)
            closed = package.after(opened[-1], "RoundClosed") if opened else None
            over = closed is not None and closed.seq < bid.seq
            late = bool(bid.body.get("late"))
            if opened and not late and (over or bid.at >= _deadline(package, opened[-1], bid)):
                yield f"{package.ref}: {bid.kind} of {bid.at} counts, and came after the close"
            if opened and late and not over and bid.at < _deadline(package, opened[-1], bid):
                yield f"{package.ref}: {bid.kind} of {bid.at} is late, and came before the close"


def _asked_in(package: Package, bid: Fact) -> list[Fact]:
    """The rounds in which who bids had been asked by then."""
    found: list[Fact] = []
    for fact in package.of("RoundOpened", "ProviderAsked"):
        if fact.seq > bid.seq:
            break
        if fact.kind == "RoundOpened":
            last = fact
        asked = fact.body["asked"] if fact.kind == "RoundOpened" else [fact.body["provider"]]
        if bid.body["provider"] in asked:
            found.append(last)
    return found


def _deadline(package: Package, opened: Fact, bid: Fact) -> datetime:
    """Until when this provider might answer."""
    at = datetime.fromisoformat(opened.body["closes_at"])
    for fact in package.of("ProviderAsked"):
        if opened.seq < fact.seq < bid.seq and fact.body["provider"] == bid.body["provider"]:
            at = datetime.fromisoformat(fact.body["closes_at"])
    return at


def silence_is_recorded(r: Placed) -> Iterator[str]:
    """Who was asked, had the whole of their window and neither bid nor declined in it stands as silent, or as never
    reached; nobody else."""
    for package in r.packages.values():
        for opened in package.of("RoundOpened"):
            closed = package.after(opened, "RoundClosed")
            if closed is None:
                continue
            meanwhile = [fact for fact in package.facts if opened.seq < fact.seq < closed.seq]
            until = dict.fromkeys(opened.body["asked"], datetime.fromisoformat(opened.body["closes_at"]))
            for fact in meanwhile:
                if fact.kind == "ProviderAsked":
                    # whoever was asked before has had their turn
                    until = {one: min(at, fact.at) for one, at in until.items()}
                    until[fact.body["provider"]] = datetime.fromisoformat(fact.body["closes_at"])
            answers = (fact for fact in meanwhile if fact.kind in ("BidRecorded", "BidDeclined"))
            said = {fact.body["provider"] for fact in answers if not fact.body.get("late")}
            waited = {one for one, at in until.items() if at <= closed.at}
            silent, missed = (closed.body.get(name, ()) for name in ("silent", "not_reached"))
            if sorted((*silent, *missed)) != sorted(waited - said):
                yield f"{package.ref}: the silent of the round of {opened.at} are others"


# --- awards ---


def _standing(package: Package, before: Fact) -> set[str]:
    """Whose bid counts right before that fact."""
    standing: set[str] = set()
    late: set[str] = set()
    for fact in package.facts:
        if fact.seq >= before.seq:
            break
        provider = fact.body.get("provider")
        if fact.kind == "BidRecorded":
            (late if fact.body.get("late") else standing).add(provider)
        elif fact.kind == "LateBidAdmitted" and provider in late:
            standing.add(provider)
        elif fact.kind in ("BidWithdrawn", "BidDeclined"):
            standing.discard(provider)
    return standing


def the_proposed_have_bid(r: Placed) -> Iterator[str]:
    """What is proposed, or awarded, is a bid that counts."""
    for package in r.packages.values():
        for fact in package.of("ProposalMade", "PlacementAwarded"):
            provider = fact.body.get("proposed" if fact.kind == "ProposalMade" else "provider")
            if provider is not None and provider not in _standing(package, fact):
                yield f"{package.ref}: {fact.kind} names somebody whose bid does not count"


def one_has_it(r: Placed) -> Iterator[str]:
    """A package belongs to one provider at a time."""
    for package in r.packages.values():
        holder: str | None = None
        for fact in package.of("PlacementAwarded", "AwardTakenBack", "FirstVisitConfirmed"):
            if fact.kind == "PlacementAwarded":
                if holder is not None:
                    yield f"{package.ref}: awarded at {fact.at} while somebody had it"
                holder = fact.body["provider"]
            elif fact.body["provider"] != holder:
                yield f"{package.ref}: {fact.kind} of somebody who does not have it"
            elif fact.kind == "AwardTakenBack":
                holder = None


def answered_is_recorded(r: Placed) -> Iterator[str]:
    """What a provider was told is received stands in the journal."""
    kinds = {"bid": "BidRecorded", "decline": "BidDeclined", "withdraw": "BidWithdrawn"}
    wanted = Counter((ref, provider, kinds[what]) for ref, provider, what in r.answered)
    found: Counter[tuple[str, str, str]] = Counter()
    for package in r.packages.values():
        for fact in package.of(*kinds.values()):
            found[package.ref, fact.body["provider"], fact.kind] += 1
    for key, count in wanted.items():
        if found[key] < count:
            yield f"{key[0]}: {key[2]} was acknowledged {count} times, and stands {found[key]} times"


# --- everyone is told ---


def who_is_asked_is_told(r: Placed) -> Iterator[str]:
    """Whoever is asked has a message about it."""
    for package in r.packages.values():
        told = {fact.body["person"] for fact in package.messages}
        asked = {ref for fact in package.of("RoundOpened") for ref in fact.body["asked"]}
        asked |= {fact.body["provider"] for fact in package.of("ProviderAsked")}
        for _ in sorted(asked - told):
            yield f"{package.ref}: somebody was asked and never told"


def losers_hear_of_it(r: Placed) -> Iterator[str]:
    """Appendix A: at 2.5 hours nobody who bid in vain has to guess: they are told, once, and never the winner."""
    for package in r.packages.values():
        after = span(package.policy["lost_told_after"])
        told = Counter(ref for fact in package.of("LosersTold") for ref in fact.body.get("told", ()))
        holders = {fact.body["provider"] for fact in package.of("PlacementAwarded")}
        for ref, times in sorted(told.items()):
            if times > 1 + sum(1 for one in package.of("RoundOpened") if ref in one.body["asked"]):
                yield f"{package.ref}: somebody was told {times} times that they lost"
        awards = package.of("PlacementAwarded")
        ended = package.of("PlacementEnded")
        if not awards or package.of("AwardTakenBack"):
            continue
        for _ in sorted(_standing(package, awards[0]) - holders - set(told)):
            opened = [one for one in package.of("RoundOpened") if one.seq < awards[0].seq][-1]
            due = max(awards[0].at, opened.at + after)
            if not ended and r.able(due, r.ends_at) > BOUND:
                yield f"{package.ref}: somebody bid in vain and was never told"


# --- no quiet end ---


def unplaced_summons(r: Placed) -> Iterator[str]:
    """After the last round a human is summoned, as for any alert."""
    raised = {fact.body["alert"] for fact in r.alerts}
    for package in r.packages.values():
        for fact in package.of("PlacementUnplaced"):
            if fact.body["alert"] not in raised:
                yield f"{package.ref}: nobody was summoned"


def no_quiet_end(r: Placed) -> Iterator[str]:
    """A package that is not over has a window that runs, somebody who has it, or somebody of ours who was told."""
    for package in r.packages.values():
        last = package.facts[-1]
        if package.of("PlacementEnded", "PlacementClosed", "FirstVisitConfirmed"):
            continue
        opened = package.of("RoundOpened")
        running = opened and package.after(opened[-1], "RoundClosed") is None
        held = len(package.of("PlacementAwarded")) > len(package.of("AwardTakenBack"))
        closed = package.of("RoundClosed")
        told_ours = bool(closed) and any(fact.seq >= closed[-1].seq for fact in package.messages)
        waits = held or running or told_ours or bool(package.of("PlacementUnplaced"))
        if not waits and r.able(last.at, r.ends_at) > BOUND:
            yield f"{package.ref}: it stands still after {last.kind} of {last.at}, and nobody was told"


def rounds_in_order(r: Placed) -> Iterator[str]:
    """The rounds of the policy are held in their order, each once; a ranked one goes on with others in a run of its
    own, and asks nobody again."""
    for package in r.packages.values():
        runs = package.of("RoundOpened")
        held = [fact.body["index"] for fact in runs]
        again = {index for index in held if held.count(index) > 1}
        asked = [ref for fact in runs if fact.body["index"] in again for ref in fact.body["asked"]]
        rules = {package.policy["rounds"][index]["rule"] for index in again}
        if held != sorted(held) or rules - {"ranked"} or len(set(asked)) < len(asked):
            yield f"{package.ref}: rounds {held}"


# --- first visits in the providers' own desks ---


def _unwanted(package: Package) -> list[Fact]:
    """The facts by which nobody wants a first visit any more that was confirmed in a desk here."""
    found: list[Fact] = []
    stands = False
    for fact in package.of("FirstVisitConfirmed", "AwardTakenBack", "PlacementEnded"):
        if fact.kind == "FirstVisitConfirmed":
            stands = fact.body.get("desk") is not None
        elif stands and fact.body["reason"] != "started":
            found.append(fact)
            stands = False
    return found


def what_is_confirmed_lands(r: Placed) -> Iterator[str]:
    """Issue 5: the first visit lands in the provider's own desk: once, and as long as somebody wants it."""
    planned = Counter(fact.subject for fact in r.offices if _is_first_visit(fact))
    for visit, times in sorted(planned.items()):
        if times > 1:
            yield f"{visit}: planned {times} times"
    for package in r.packages.values():
        confirmed = [fact for fact in package.of("FirstVisitConfirmed") if fact.body.get("desk") is not None]
        if not confirmed or len(_unwanted(package)) == len(confirmed):
            continue
        landed = package.after(confirmed[-1], "FirstVisitLanded")
        if landed is None and r.able(confirmed[-1].at, r.ends_at) > SETTLED:
            yield f"{package.ref}: its first visit never landed"


def what_nobody_wants_is_called_off(r: Placed) -> Iterator[str]:
    """Decision 39: a first visit of a package that went is watched no more where it was to be made; whatever the
    council was told is so there; and nothing else is called off."""
    off = {
        fact.subject
        for fact in r.offices
        if fact.kind == "VisitCancelled" and fact.body["reason"] == "called_off_by_council"
    }
    for package in r.packages.values():
        unwanted, settled = _unwanted(package), package.of("FirstVisitCalledOff")
        known = [fact.body["index"] for fact in settled]
        visits = {fact.subject for fact in r.offices if _is_first_visit(fact, package.ref)}
        if sorted(set(known)) != sorted(known) or any(index >= len(unwanted) for index in known):
            yield f"{package.ref}: settled {known} of {len(unwanted)}"
        for index, fact in enumerate(unwanted):
            if index not in known and r.able(fact.at, r.ends_at) > SETTLED:
                yield f"{package.ref}: what nobody wanted since {fact.at} was never called off"
        said = sum(1 for fact in settled if fact.body["outcome"] == "called_off")
        if not said <= len(visits & off) <= len(unwanted):
            yield f"{package.ref}: {len(visits & off)} visits are off, and the council was told of {said}"


def _is_first_visit(fact: Fact, package: str | None = None) -> bool:
    of = fact.body.get("placement") if fact.kind == "VisitPlanned" else None
    return of is not None and package in (None, of)


RULES: tuple[Rule, ...] = (
    every_window_closes,
    late_is_late,
    silence_is_recorded,
    the_proposed_have_bid,
    one_has_it,
    answered_is_recorded,
    who_is_asked_is_told,
    losers_hear_of_it,
    unplaced_summons,
    no_quiet_end,
    rounds_in_order,
    what_is_confirmed_lands,
    what_nobody_wants_is_called_off,
)


def broken(placed: Placed) -> Iterator[tuple[str, str]]:
    """(rule, where) for everything that is not kept."""
    for rule in RULES:
        for text in rule(placed):
            yield rule.__name__, text


def by_ref(answered: Sequence[tuple[str, str, str]], names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(package, provider, what) by minted ids instead of the caller's."""
    refs: dict[str, list[str]] = defaultdict(list)
    for ref, outside in names.items():
        refs[outside].append(ref)
    return [(refs[package][0], refs[provider][0], what) for package, provider, what in answered]
