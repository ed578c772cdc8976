"""A decision at work: the facts so far, and the values as those facts have left them.

`decide` never touches the state. What a later step of the same decision must see of an earlier one (an alert that
was just raised, a message that was just cancelled) it sees through the overlay here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from config.placing import PlacingPolicy
from config.policy import Policy
from escalation.people import People, PersonView
from escalation.replies import Question
from monitor.core import facts as f
from monitor.core.evolve import (
    ALERT_FACTS,
    MESSAGE_FACTS,
    NOT_SEEN,
    ON_VISIT,
    VISIT_FACTS,
    Fold,
    Step,
    asked,
    evolve_alert,
    evolve_message,
    evolve_visit,
    evolve_visit_for_alert,
    with_message,
    without_step,
)
from monitor.core.inputs import Outcome, Position
from monitor.core.places import Home
from monitor.core.placing.facts import PLACEMENT_FACTS
from monitor.core.placing.fold import evolve_placement
from monitor.core.placing.model import Placement
from monitor.core.referral_facts import REFERRAL_FACTS
from monitor.core.referral_fold import Referral, evolve_referral
from monitor.core.state import Alert, Message, State, Visit, Weather, shelf
from monitor.core.weather_fold import WEATHER_FACTS, evolve_weather, weather_ref


class PeopleView(People):
    """What a decision may see of the directory, at one `people_rev`. Positions never go into a fact."""

    def homes(self, ref: str, at: datetime) -> tuple[Home, ...]:
        """The person's homes that are valid on the local day of `at`."""
        raise NotImplementedError

    def worker_of(self, device: str) -> str | None:
        """The care worker to whom a device belongs."""
        raise NotImplementedError

    def care_workers(self) -> tuple[PersonView, ...]:
        """Every care worker of the desk; the same tuple until one of them changes."""
        raise NotImplementedError


class Ctx(Struct, frozen=True, kw_only=True, gc=False):
    """What a decision may look at beside the state. `now` was read once, at the edge."""

    now: datetime
    mint: Callable[[str], str]
    """A fresh id with this prefix."""
    people: Any
    """A PeopleView."""
    unrecorded: bool = False
    """The store does not answer: what is decided now is not on disk yet (degraded mode)."""
    positions: dict[str, tuple[datetime, Position]] = {}
    """By care worker: the last position on shift; volatile, at most 30 minutes old."""
    positions_before: dict[str, tuple[datetime, Position]] = {}
    """And the one before it: whether they come nearer."""
    heard: dict[str, datetime] = {}
    """By care worker: when one of their telephones was last heard; volatile."""
    rests: dict[str, timedelta] = {}
    """By device: how long it has gone on saying where it is though it did not move; volatile."""
    listening_since: datetime | None = None
    """From when on silence counts: we may have heard nothing before."""


class Refusal(Struct, frozen=True, kw_only=True):
    """The input was understood and not taken; nothing changed. `code` is the contract's."""

    code: str
    detail: dict[str, Any] = {}


class Decision(Struct, frozen=True, kw_only=True, gc=False):
    """What `decide` answers: the facts, and what the sender is told."""

    drafts: tuple[f.Draft, ...] = ()
    folds: tuple[Fold, ...] = ()
    """What each of the drafts changes, as far as the decision itself had to see it: `evolve` need not work it out
    again."""
    outcome: Outcome | None = None
    visit: str | None = None
    """The visit that a check-in was found to belong to (minted)."""
    answer: Any = None
    refusal: Refusal | None = None


TOUCHING = frozenset((f.AlertRaised, f.TrackMoved, f.AlertTaken, f.AlertLapsed, f.AlertEnded))


class Work:
    """One decision in the making."""

    def __init__(self, state: State, ctx: Ctx) -> None:
        self.state, self.ctx, self.now = state, ctx, ctx.now
        self.drafts: list[f.Draft] = []
        self._folds: list[Fold] = []
        """What the first of the drafts have changed, as far as a later step has looked."""
        self._visits: dict[str, Visit | None] = {}
        self._alerts: dict[str, Alert | None] = {}
        self._messages: dict[str, Message | None] = {}
        self._slots: dict[str, tuple[Question, ...]] = {}
        self._weathers: dict[str, Weather] = {}
        self._placements: dict[str, Placement | None] = {}
        self._referrals: dict[str, Referral | None] = {}
        self._stopped: set[str] = set()
        self._died: dict[str, bool] = {}
        self._wrong: set[tuple[str, str]] = set()
        self._one_policy = True
        self.touched: dict[str, None] = {}
        """Alerts that were raised, one of whose tracks moved, or whose visit was planned anew: what follows is the
        procedure's to say."""
        self._unseen: list[f.Draft] = []
        """Facts that no step of this decision has looked for yet: most decisions end before one does."""

    # --- what is there now ---

    def visit(self, ref: str | None) -> Visit | None:
        """The visit, with this decision's facts."""
        if ref is None:
            return None
        if self._unseen:
            self._catch_up()
        return self._visits[ref] if ref in self._visits else self.state.values.visits.get(ref)

    def alert(self, ref: str | None) -> Alert | None:
        """The alert, with this decision's facts."""
        if ref is None:
            return None
        if self._unseen:
            self._catch_up()
        return self._alerts[ref] if ref in self._alerts else self.state.values.alerts.get(ref)

    def message(self, key: str | None) -> Message | None:
        """The message, with this decision's facts."""
        if key is None:
            return None
        if self._unseen:
            self._catch_up()
        return self._messages[key] if key in self._messages else self.state.values.messages.get(key)

    def changed_alerts(self) -> list[str]:
        """The alerts that this decision has touched so far."""
        self._catch_up()
        return list(self._alerts)

    def weather_of(self, ref: str) -> Weather | None:
        """Bad weather that was declared, also when it is over, with this decision's facts."""
        if self._unseen:
            self._catch_up()
        return self._weathers.get(ref) or self.state.values.weathers.get(ref)

    def placement(self, ref: str) -> Placement | None:
        """The package, with this decision's facts."""
        if self._unseen:
            self._catch_up()
        return self._placements[ref] if ref in self._placements else self.state.values.placements.get(ref)

    def referral(self, ref: str) -> Referral | None:
        """The referral, with this decision's facts."""
        if self._unseen:
            self._catch_up()
        return self._referrals[ref] if ref in self._referrals else self.state.values.referrals.get(ref)

    def placing(self, placement: Placement) -> PlacingPolicy:
        """The policy under which the package was received, and runs to its end."""
        return self.state.placing_of(placement)

    def weather(self) -> Weather | None:
        """The bad weather that is declared now; one that this very decision declares only by `weather_of`."""
        if not self.state.values.weathers:
            return None
        if self._unseen:
            self._catch_up()
        known = self.state.values.weathers | self._weathers
        return next((one for one in known.values() if one.ended_at is None), None)

    def new_messages(self) -> list[str]:
        """Keys of the messages of this decision that the desk does not have yet."""
        if self._unseen:
            self._catch_up()
        return [key for key in self._messages if key not in self.state.values.messages]

    def messages_of(self, alert: Alert) -> list[Message]:
        """The alert's messages, oldest first."""
        if not alert.messages:
            return []
        found = [self.message(key) for key in alert.messages]
        return [message for message in found if message is not None]

    def open_alerts(self, visit: Visit) -> list[Alert]:
        """Alerts about the visit that have not ended."""
        found = (self.alert(ref) for ref in visit.alerts)
        return [alert for alert in found if alert is not None and alert.state != "ended"]

    def all_open_alerts(self) -> list[Alert]:
        """Every alert of the desk that has not ended."""
        found = [self.alert(ref) for ref in self.alert_refs()]
        return [alert for alert in found if alert is not None and alert.state != "ended"]

    def open_of(self, *shelves: str) -> list[Alert]:
        """The open alerts that belong to these incidents, or are of these kinds and belong to none."""
        self._catch_up()
        refs = [ref for name in shelves for ref in self.state.open_by.get(name, ())]
        found = [self.alert(ref) for ref in dict.fromkeys((*refs, *self._alerts))]
        return [alert for alert in found if alert is not None and shelf(alert) in shelves]

    def alert_refs(self) -> Iterator[str]:
        """Every alert of the desk, those of this decision last. Decide nothing while you walk."""
        self._catch_up()
        known = self.state.values.alerts
        yield from known
        yield from (ref for ref in self._alerts if ref not in known)

    def questions(self, line: str) -> tuple[Question, ...]:
        """The questions put to a line, those of this decision included."""
        self._catch_up()
        return (*self.state.values.questions.get(line, ()), *self._slots.get(line, ()))

    def stopped(self, line: str) -> bool:
        """Whether STOP came from the line, also if just now."""
        return line in self.state.values.stopped_lines or line in self._stopped

    def has_died(self, person: str | None) -> bool:
        """Whether their death is recorded, also if just now."""
        if person is None or not (self._died or self.state.values.died):
            return False
        return self._died.get(person, person in self.state.values.died)

    @property
    def dead(self) -> Container[str]:
        """The service users who have died; empty where nobody has."""
        died = self.state.values.died
        return [ref for ref in {**died, **self._died} if self.has_died(ref)] if self._died else died

    def wrong_lines(self, person: str) -> tuple[str, ...]:
        """Lines of which somebody said there, also if just now, that they are not this person's."""
        before = tuple(one.line for one in self.state.values.wrong_numbers.get(person, ()))
        now = (line for ref, line in sorted(self._wrong) if ref == person and line not in before)
        return (*before, *now) if self._wrong else before

    def policy(self, alert: Alert | None = None) -> Policy:
        """The policy under which the alert opened, else the desk's present one."""
        return self.state.policy_of(alert.policy) if alert else self.state.values.policy

    def policy_for(self, service_user: str | None) -> Policy:
        """The policy of their contract, else the desk's own."""
        if not self.state.values.contracts:
            return self.state.values.policy
        return self.state.policy_of(self.digest_for(service_user))

    def digest_for(self, service_user: str | None) -> str:
        """Under which name that policy stands."""
        known = self.ctx.people.person(service_user) if service_user is not None else None
        terms = self.state.terms(known)
        return terms.digest if terms is not None else self.state.values.policy_digest

    # --- one more fact ---

    def emit(
        self, subject: str, body: f.FactBody, *, due_at: datetime | None = None, policy: str = ""
    ) -> None:
        """Decide one fact, and see it from here on."""
        digest = policy or self.state.values.policy_digest
        draft = f.Draft(at=self.now, subject=subject, body=body, due_at=due_at, policy=digest)
        self.drafts.append(draft)
        if type(body) in TOUCHING:
            self.touched[subject] = None
        elif type(body) is f.VisitReplanned:
            visit = self.visit(subject)
            self.touched |= dict.fromkeys(visit.alerts if visit is not None else ())
        self._unseen.append(draft)
        if type(body) in (f.PersonDied, f.DeathWithdrawn):
            self._died[subject] = type(body) is f.PersonDied
        if type(body) is f.ReplyKept and body.word == "stop":
            self._stopped.add(subject)
        elif type(body) is f.NumberWrong:
            self._wrong.add((subject, body.line))

    def _catch_up(self) -> None:
        unseen, self._unseen = self._unseen, []
        for draft in unseen:
            kind = type(draft.body)
            see = _SEE.get(kind)
            fold = see(self, draft) if see is not None else NOT_SEEN
            # under a policy that this very decision adopts, the fold may come to another end
            self._one_policy = self._one_policy and kind is not f.PolicyAdopted
            self._folds.append(fold if self._one_policy else NOT_SEEN)

    def _see_visit(self, draft: f.Draft) -> Fold:
        before = self.visit(draft.subject)
        after = evolve_visit(before, draft, self.state.values.policy.closes_after)
        self._visits[draft.subject] = after
        return Fold(visit=Step(before, after))

    def _see_alert(self, draft: f.Draft) -> Fold:
        before = self.alert(draft.subject)
        after = evolve_alert(before, draft, self.state.policy_of)
        self._alerts[draft.subject] = after
        visit = self.visit(after.visit) if after is not None and type(draft.body) in ON_VISIT else None
        if after is None or visit is None:
            return Fold(alert=Step(before, after))
        noted = self._visits[visit.ref] = evolve_visit_for_alert(visit, draft, after)
        return Fold(alert=Step(before, after), visit=Step(visit, noted))

    def _see_message(self, draft: f.Draft) -> Fold:
        before = self.message(draft.subject)
        after = self._messages[draft.subject] = evolve_message(before, draft)
        if after is None or type(draft.body) is not f.MessageIntended:
            return Fold(message=Step(before, after))
        if after.slot is not None and after.line is not None:
            self._slots[after.line] = (*self._slots.get(after.line, ()), asked(after))
        alert = self.alert(after.alert)
        if alert is None:
            return Fold(message=Step(before, after))
        told = self._alerts[alert.ref] = with_message(alert, after)
        return Fold(message=Step(before, after), alert=Step(alert, told))

    def _see_weather(self, draft: f.Draft) -> Fold:
        ref = weather_ref(draft)
        after = evolve_weather(self._weathers.get(ref) or self.state.values.weathers.get(ref), draft)
        if after is not None:
            self._weathers[ref] = after
        alert = self.alert(draft.subject) if isinstance(draft.body, f.StepLeftOut) else None
        if alert is not None and isinstance(draft.body, f.StepLeftOut):
            self._alerts[alert.ref] = without_step(alert, draft.body)
        return NOT_SEEN

    def _see_placement(self, draft: f.Draft) -> Fold:
        before = self.placement(draft.subject)
        after = evolve_placement(before, draft.subject, draft.at, draft.policy, draft.body)
        self._placements[draft.subject] = after
        return NOT_SEEN

    def _see_referral(self, draft: f.Draft) -> Fold:
        self._referrals[draft.subject] = evolve_referral(self.referral(draft.subject), draft)
        return NOT_SEEN

    def decision(self, **answer: Any) -> Decision:
        """The decision as it stands."""
        unseen = [NOT_SEEN] * len(self._unseen)
        return Decision(drafts=tuple(self.drafts), folds=(*self._folds, *unseen), **answer)


_SEE: dict[type[f.FactBody], Callable[[Work, f.Draft], Fold]] = {
    **dict.fromkeys(VISIT_FACTS, Work._see_visit),
    **dict.fromkeys(ALERT_FACTS, Work._see_alert),
    **dict.fromkeys(MESSAGE_FACTS, Work._see_message),
    **dict.fromkeys(WEATHER_FACTS, Work._see_weather),
    **dict.fromkeys(PLACEMENT_FACTS, Work._see_placement),
    **dict.fromkeys(REFERRAL_FACTS, Work._see_referral),
}
