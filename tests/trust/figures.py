"""What some days came to: counted from what was true and from the journals, and held against the bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from config.policy import Policy
from tests.trust.day import Played, Seen
from tests.trust.folk import Truth

RUNG_AT_MOST = 0.2
"""Of the forgotten check-ins, this share may reach a service user (issue 4, "Done means")."""
AT_ONCE = timedelta(seconds=60)
"""So soon after the alert staff are written to and the service user is rung (21.3, 22.2: "as soon as")."""
FORETOLD = timedelta(minutes=15)
POLICY = Policy()


@dataclass(kw_only=True)
class Missed:
    """One visit that nobody planned for it makes; spans are counted from the alert, the alert's from the start."""

    visit: str
    alert: timedelta | None = None
    summoned: timedelta | None = None
    rung: timedelta | None = None
    sent: timedelta | None = None
    told: timedelta | None = None
    """The registered manager hears that the hour has passed."""


@dataclass(kw_only=True)
class Figures:
    """The sums over all days."""

    days: int = 0
    visits: int = 0
    forgotten: int = 0
    by_position: int = 0
    """Of the forgotten: two positions proved the arrival, and nobody was asked in vain."""
    before_alert: int = 0
    left_alone: int = 0
    """An alert, and whoever came was known before anything reached the service user."""
    by_person: int = 0
    by_machine: int = 0
    missed: list[Missed] = field(default_factory=list)
    breaches: int = 0
    foretold: int = 0
    foretold_later: int = 0
    warnings: int = 0
    empty: int = 0
    told_late: int = 0
    """Of the empty warnings: they came more than 15 minutes late all the same (KPI 3.6)."""
    troubles: list[str] = field(default_factory=list)

    @property
    def in_question(self) -> int:
        """Forgotten check-ins that no position proved: only asking can help."""
        return self.forgotten - self.by_position

    @property
    def rung(self) -> int:
        """Of those, so many reached a service user, by a machine or as a person's task."""
        return self.by_machine + self.by_person

    @property
    def rung_share(self) -> float:
        """The share that the bound is held against."""
        return self.rung / self.in_question if self.in_question else 0.0


def count(days: Iterable[Played]) -> Figures:
    """The figures of these days."""
    figures = Figures()
    for played in days:
        figures.days += 1
        figures.troubles += played.troubles
        by_visit = _by_visit(played.facts)
        for truth in played.truth.values():
            facts = by_visit.get(truth.visit.id, [])
            figures.visits += 1
            _forgotten(figures, truth, facts)
            _missed(figures, truth, facts)
            _foretold(figures, truth, facts)
    return figures


def _by_visit(facts: Sequence[Seen]) -> dict[str, list[Seen]]:
    """The facts of a visit, of its late alert and of the messages about it, in their order."""
    belongs: dict[str, str] = {}
    found: dict[str, list[Seen]] = {}
    for fact in facts:
        visit = fact.body.get("visit")
        if fact.kind in ("AlertRaised", "MessageIntended") and visit:
            if fact.kind == "AlertRaised" and fact.body["kind"] != "late_visit":
                continue
            belongs[fact.subject] = visit
        found.setdefault(belongs.get(fact.subject, fact.subject), []).append(fact)
    return found


def _alert(facts: Sequence[Seen]) -> Seen | None:
    return next((fact for fact in facts if fact.kind == "AlertRaised"), None)


def _attempted(facts: Sequence[Seen], purpose: str, template: str = "") -> list[datetime]:
    keys = {
        fact.subject
        for fact in facts
        if fact.kind == "MessageIntended"
        and fact.body["purpose"] == purpose
        and template in ("", fact.body["template"])
    }
    return [fact.at for fact in facts if fact.kind == "MessageAttempted" and fact.subject in keys]


def _forgotten(figures: Figures, truth: Truth, facts: Sequence[Seen]) -> None:
    if truth.never is not None or not truth.forgets or truth.by not in truth.visit.workers:
        return
    if truth.inside_at is None or truth.inside_at >= truth.visit.start + POLICY.late_after:
        return  # nobody was there when the alert came: whoever was rung was rung rightly
    figures.forgotten += 1
    arrived = next((fact for fact in facts if fact.kind == "ArrivalRecorded"), None)
    if arrived is not None and arrived.body.get("proof") == "two_fixes":
        figures.by_position += 1
    elif _alert(facts) is None:
        figures.before_alert += 1
    elif _attempted(facts, "reassure"):
        figures.by_machine += 1
    elif any(_skipped_for_a_claim(fact) for fact in facts):
        figures.by_person += 1
    else:
        figures.left_alone += 1


def _skipped_for_a_claim(fact: Seen) -> bool:
    body = fact.body
    return fact.kind == "TrackMoved" and body["track"] == "reassure" and body["reason"] == "claimed_there"


def _missed(figures: Figures, truth: Truth, facts: Sequence[Seen]) -> None:
    if truth.never is None:
        return
    row = Missed(visit=truth.visit.id)
    figures.missed.append(row)
    alert = _alert(facts)
    if alert is None:
        return
    row.alert = alert.at - truth.visit.start
    row.summoned = _after(alert, [*_attempted(facts, "summon"), *_in_incident(facts)])
    row.rung = _after(alert, _attempted(facts, "reassure"))
    row.sent = _after(alert, [fact.at for fact in facts if fact.kind == "ReplacementAccepted"])
    row.told = _after(alert, _attempted(facts, "notice", "RM-1"))


def _in_incident(facts: Sequence[Seen]) -> list[datetime]:
    """Staff are summoned, or were, by the incident of its cause, which lists this visit (decision 0021)."""
    return [
        fact.at
        for fact in facts
        if fact.kind == "TrackMoved"
        and (fact.body["track"], fact.body["reason"]) == ("summon", "in_incident")
    ]


def _after(alert: Seen, moments: Sequence[datetime]) -> timedelta | None:
    return min(moments) - alert.at if moments else None


def _foretold(figures: Figures, truth: Truth, facts: Sequence[Seen]) -> None:
    """A warning is a named risk, or an answer that they cannot come in time; a breach, that nobody was there."""
    late_at = truth.visit.start + POLICY.late_after
    there = truth.inside_at if truth.by in truth.visit.workers else None
    breach = there is None or there >= late_at
    warned = next((fact.at for fact in facts if _warns(fact, late_at) and fact.at < late_at), None)
    figures.breaches += breach
    if warned is None:
        return
    figures.warnings += 1
    if breach:
        figures.foretold += late_at - warned >= FORETOLD
        figures.foretold_later += late_at - warned < FORETOLD
    else:
        figures.empty += 1
        assert there is not None
        figures.told_late += there - truth.visit.start > FORETOLD


def _warns(fact: Seen, late_at: datetime) -> bool:
    body = fact.body
    if fact.kind == "VisitLooked":
        return body.get("risk") is not None
    if fact.kind != "WorkerAnswered":
        return False
    eta = body.get("eta_at")
    return body["answer"] == "cannot" or (eta is not None and datetime.fromisoformat(eta) >= late_at)


# --- bounds ---


def broken(figures: Figures) -> list[str]:
    """Every bound that does not hold, in words."""
    found = [f"trouble: {trouble}" for trouble in figures.troubles]
    if figures.rung_share > RUNG_AT_MOST:
        found.append(
            f"{figures.rung_share:.0%} of the forgotten check-ins reach a service user (at most 20%)"
        )
    for row in figures.missed:
        found += [f"{row.visit}: {what}" for what in _waits(row)]
    return found


def _waits(row: Missed) -> list[str]:
    """What a visit that nobody made has waited for longer than its clause allows."""
    if row.alert is None:
        return ["nobody comes, and no alert was raised (21.2)"]
    found = []
    if row.alert > POLICY.late_after + timedelta(seconds=10):
        found.append(f"the alert came {row.alert} after the start (21.2)")
    if row.summoned is None or row.summoned > AT_ONCE:
        found.append(f"staff were summoned {row.summoned} after the alert (21.3)")
    if row.rung is None or row.rung > AT_ONCE:
        found.append(f"the service user was rung {row.rung} after the alert (22.2)")
    ended = row.sent or row.told
    if ended is None or ended > POLICY.replace_within + AT_ONCE:
        found.append(f"somebody was sent, or the manager told that nobody is, {ended} after the alert (22.4)")
    return found


# --- the table ---


def table(figures: Figures) -> str:
    """As docs/trust.md has it."""
    rows = [
        ("days, visits", f"{figures.days}, {figures.visits}", ""),
        ("forgotten check-ins", f"{figures.forgotten}", ""),
        ("… proved by the phone's own positions", _of(figures.by_position, figures.forgotten), ""),
        ("the others, for whom only asking helps", f"{figures.in_question}", ""),
        ("… checked in before the alert", _of(figures.before_alert, figures.in_question), ""),
        ("… alert, nobody rung", _of(figures.left_alone, figures.in_question), ""),
        ("… a person was to ring the service user", _of(figures.by_person, figures.in_question), ""),
        ("… a machine rang the service user", _of(figures.by_machine, figures.in_question), ""),
        ("**forgotten check-ins that reach a service user**", f"**{figures.rung_share:.1%}**", "at most 20%"),
        ("visits that nobody planned for them makes", f"{len(figures.missed)}", ""),
        ("… start to alert", _spans([m.alert for m in figures.missed]), "30 min (21.2)"),
        ("… alert to staff summoned", _spans([m.summoned for m in figures.missed]), "at once (21.3)"),
        ("… alert to service user rung", _spans([m.rung for m in figures.missed]), "at once (22.2)"),
        ("… alert to somebody sent", _spans([m.sent for m in figures.missed]), "the hour (22.4)"),
        (
            "… nobody sent: manager told",
            _spans([m.told for m in figures.missed if m.sent is None]),
            "the hour",
        ),
        ("real breaches (nobody planned there in 30 min)", f"{figures.breaches}", ""),
        ("… foretold 15 min ahead or more", _of(figures.foretold, figures.breaches), ""),
        ("… foretold later", _of(figures.foretold_later, figures.breaches), ""),
        ("warnings that a visit is at risk", f"{figures.warnings}", ""),
        ("… empty: somebody came in time", _of(figures.empty, figures.warnings), ""),
        ("… of these, more than 15 min late (KPI 3.6)", _of(figures.told_late, figures.empty), ""),
    ]
    return "\n".join(
        ["| what | figure | bound |", "| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    )


def _of(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "0"


def _spans(found: Sequence[timedelta | None]) -> str:
    known = [span for span in found if span is not None]
    if not known:
        return "none"
    return f"{len(known)} of {len(found)}; median {_minutes(median(known))}, longest {_minutes(max(known))}"


def _minutes(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
