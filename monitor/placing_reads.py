"""What the API and the pages show of a council's desk, in the caller's own ids. Reads state and directory only.

`own` is a provider's view. It is built out of what concerns that provider alone: whatever is added here must be the
same bytes whether or not another provider has bid (tests/unit/test_sealed.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import structs

from config.placing import Cutoff
from monitor.core.evidence import Evidence
from monitor.core.placing.facts import Row, RuleResult
from monitor.core.placing.inputs import ProviderSaid
from monitor.core.placing.model import (
    Asked,
    Award,
    Bid,
    CallOff,
    Declined,
    FirstVisit,
    Placement,
    Provider,
    Remark,
    RoundRun,
)
from monitor.core.placing.views import (
    AreasView,
    AreaView,
    AskedView,
    AwardView,
    BidView,
    CallOffView,
    CutoffView,
    DeclineView,
    FirstVisitView,
    OwnBid,
    OwnDecline,
    OwnPlacement,
    OwnState,
    PackageView,
    PlacementView,
    ProviderPhone,
    ProviderView,
    RatingView,
    RemarkView,
    RoundView,
    RowView,
    RuleView,
    ScoreView,
)
from monitor.core.state import State
from monitor.directory import Directory

Texts = Mapping[str, str]
"""What was written, by the id of its evidence; what is not in it was not read."""
NOTHING: Texts = {}


class PlacingReads:
    """Views of one council's desk at one moment."""

    def __init__(
        self,
        state: State,
        directory: Directory,
        council: str,
        telephone: str | None = None,
        area_names: Mapping[str, str] = NOTHING,
        ward_names: Mapping[str, str] = NOTHING,
    ) -> None:
        self._state, self._directory = state, directory
        self._council, self._telephone = council, telephone
        self._area_names, self._ward_names = area_names, ward_names

    # --- providers and areas ---

    def providers(self) -> list[ProviderView]:
        """All of them, by their ids."""
        found = [self.provider(one) for one in self._state.values.providers.values()]
        return sorted(found, key=lambda one: one.id)

    def provider(self, known: Provider) -> ProviderView:
        """One provider, with what the directory has."""
        said, out = known.said, self._directory.outside
        person = self._directory.people.get(said.ref)
        phones = person.given.phones if person is not None else ()
        return ProviderView(
            id=out(said.ref),
            name=self._directory.full_name(said.ref),
            tier=said.tier,
            areas=said.areas,
            specialisms=said.specialisms,
            rating=_rating(said),
            rate_pence=said.rate_pence,
            hours_declared=said.hours_declared,
            declared_on=said.declared_on,
            scores=tuple(ScoreView(area=one.area, score=one.score) for one in said.scores),
            partners=tuple(out(one) for one in said.partners),
            active=said.active,
            desk=said.desk,
            since=known.since,
            email=person.given.email if person is not None else None,
            phones=tuple(ProviderPhone(number=one.number, kind=one.kind) for one in phones),
        )

    def areas(self) -> AreasView:
        """What a package may name here."""
        values = self._state.values
        kinds = tuple(sorted(values.placing))
        offered = {name for one in values.providers.values() for name in one.said.specialisms}
        return AreasView(
            areas=tuple(
                AreaView(
                    id=area.id,
                    wards=area.wards,
                    name=self._area_names.get(area.id, ""),
                    ward_names={one: self._ward_names[one] for one in area.wards if one in self._ward_names},
                )
                for area in values.areas
            ),
            kinds=kinds,
            unconfirmed=tuple(
                kind for kind in kinds if not values.placing_policies[values.placing[kind]].confirmed
            ),
            specialisms=tuple(sorted(offered)),
        )

    def names(self, refs: Iterable[str]) -> dict[str, str]:
        """The names behind minted ids, by the caller's own ids: for the desk's own people."""
        directory = self._directory
        return {directory.outside(ref): directory.full_name(ref) for ref in sorted(set(refs))}

    # --- the broker's view ---

    def placements(self, *, only_open: bool) -> list[PlacementView]:
        """Hospital discharge first, then the oldest; those that have ended last."""
        found = [one for one in self._state.values.placements.values() if not only_open or one.ended is None]
        return [self.placement(one) for one in sorted(found, key=_urgency)]

    def placement(self, known: Placement, texts: Texts = NOTHING) -> PlacementView:
        """One placement, whole."""
        out = self._directory.outside
        policy = self._state.placing_of(known)
        running = known.running
        return PlacementView(
            id=out(known.ref),
            subject=known.ref,
            stage=known.stage,
            package=self._package(known, texts),
            received_at=known.received_at,
            by=out(known.by),
            confirmed=policy.confirmed,
            closes_at=running.closes_at if running is not None else None,
            marks=known.marks,
            rounds=tuple(self._round(known, run) for run in known.rounds),
            bids=tuple(self._bid(bid, texts) for bid in known.bids),
            late_bids=tuple(self._bid(bid, texts) for bid in known.late),
            declined=tuple(self._declined(one, texts) for one in known.declined),
            proposal=tuple(self._row(row) for row in known.rows),
            proposed=out(known.proposed) if known.proposed else None,
            proposed_at=known.proposed_at,
            award=self._award(known.award, texts) if known.award is not None else None,
            taken_back=tuple(out(one) for one in known.taken_back),
            first_visit=self._first_visit(known.first_visit) if known.first_visit is not None else None,
            revoked=tuple(out(one) for one in known.revoked),
            alert=known.alert,
            unplaced_at=known.unplaced_at,
            ended_at=known.ended_at,
            ended=known.ended,
            withdrawn=known.withdrawn,
            override=_text(known.override, texts),
            call_offs=tuple(self._call_off(one) for one in known.call_offs),
            remarks=tuple(self._remark(one, texts) for one in known.remarks),
        )

    def _package(self, known: Placement, texts: Texts) -> PackageView:
        said, policy = known.package, self._state.placing_of(known)
        return PackageView(
            kind=said.kind,
            area=said.area,
            ward=said.ward,
            minutes_week=said.minutes_week,
            hours_week=said.minutes_week / 60,
            visits=said.visits,
            care_workers=said.care_workers,
            time_critical=said.time_critical,
            specialisms=said.specialisms,
            start=said.start,
            discharge_at=said.discharge_at,
            text=_text(known.text, texts),
            area_name=self._area_names.get(said.area, ""),
            ward_name=self._ward_names.get(said.ward or "", ""),
            at_most_s=int(policy.at_most.total_seconds()) if policy.at_most is not None else None,
            cutoff=_cutoff(policy.cutoff) if policy.cutoff is not None else None,
        )

    def _round(self, known: Placement, run: RoundRun) -> RoundView:
        out = self._directory.outside
        held = self._state.placing_of(known).rounds[run.index]
        return RoundView(
            index=run.index,
            name=held.name,
            rule=held.rule,
            opened_at=run.opened_at,
            closes_at=run.closes_at,
            closed_at=run.closed_at,
            reason=run.reason,
            by=out(run.by) if run.by else None,
            crosses=run.crosses,
            asked=tuple(
                AskedView(
                    provider=out(one.provider),
                    at=one.at,
                    closes_at=one.closes_at,
                    answered_at=one.answered_at,
                    not_reached_at=one.not_reached_at,
                    spoken_at=one.spoken_at,
                    spoken_by=out(one.spoken_by) if one.spoken_by else None,
                )
                for one in run.asked
            ),
            line=tuple(out(one) for one in run.line),
            silent=tuple(out(one) for one in run.silent),
            not_reached=tuple(out(one) for one in run.not_reached),
            losers_told_at=run.told_at if run.told else None,
            evaluation=tuple(self._row(row) for row in run.rows),
            evaluated_at=run.judged_at,
        )

    def _bid(self, bid: Bid, texts: Texts) -> BidView:
        out = self._directory.outside
        return BidView(
            provider=out(bid.provider),
            round=bid.index,
            at=bid.at,
            first_at=bid.first_at,
            start=bid.start,
            source=bid.source,
            late=bid.late,
            admitted=bid.admitted,
            counts=bid.counts,
            withdrawn_at=bid.withdrawn_at,
            changes=bid.changes,
            by=out(bid.by) if bid.by else None,
            hours_free=bid.hours_free,
            hours_declared=bid.hours_declared,
            how=_text(bid.how, texts),
        )

    def _declined(self, one: Declined, texts: Texts) -> DeclineView:
        return DeclineView(
            provider=self._directory.outside(one.provider),
            round=one.index,
            at=one.at,
            reason=one.reason,
            source=one.source,
            late=one.late,
            note=_text(one.note, texts),
            pass_to=self._directory.outside(one.pass_to) if one.pass_to is not None else None,
        )

    def _row(self, row: Row) -> RowView:
        return RowView(
            provider=self._directory.outside(row.provider),
            results=tuple(_result(one) for one in row.results),
            minutes_held=row.minutes_held,
            packages_won=row.packages_won,
            start=row.start,
            rate_pence=row.rate_pence,
            score=row.score,
            late=row.late,
            place=row.place,
            decided_by=row.decided_by,
            answer=row.answer,
            minutes_proposed=row.minutes_proposed,
            rated_at=row.rated_at,
        )

    def _award(self, award: Award, texts: Texts) -> AwardView:
        out = self._directory.outside
        return AwardView(
            provider=out(award.provider),
            at=award.at,
            by=out(award.by) if award.by else None,
            early=award.early,
            reason=award.reason,
            proposed=out(award.proposed) if award.proposed else None,
            confirm_by=award.confirm_by,
            papers_sent_at=award.papers_sent_at,
            papers_by=out(award.papers_by) if award.papers_by else None,
            papers_reminded_at=award.papers_reminded_at,
            reminded_at=award.reminded_at,
            note=_text(award.note, texts),
            extended_at=award.extended_at,
            extended_by=out(award.extended_by) if award.extended_by else None,
        )

    def _first_visit(self, visit: FirstVisit) -> FirstVisitView:
        return FirstVisitView(
            start=visit.start,
            end=visit.end,
            at=visit.at,
            source=visit.source,
            supervisor=visit.supervisor,
            by=self._directory.outside(visit.by) if visit.by else None,
            landed=visit.landed is not None,
        )

    def _remark(self, one: Remark, texts: Texts) -> RemarkView:
        out = self._directory.outside
        return RemarkView(
            action=one.action,
            at=one.at,
            by=out(one.by),
            provider=out(one.provider) if one.provider is not None else None,
            note=_text(one.note, texts),
        )

    def _call_off(self, off: CallOff) -> CallOffView:
        return CallOffView(
            provider=self._directory.outside(off.provider),
            start=off.start,
            at=off.at,
            outcome=off.outcome,
            settled_at=off.settled_at,
            missed_at=off.missed_at,
        )

    # --- a provider's own view ---

    def owned(self, provider: str, now: datetime, *, only_open: bool) -> list[OwnPlacement]:
        """What this provider was asked to bid for, the newest first."""
        found = [one for one in self._state.values.placements.values() if one.was_asked(provider) is not None]
        views = [self.own(one, provider, now) for one in found]
        kept = [view for view in views if not only_open or view.state in ("open", "won")]
        return sorted(kept, key=lambda view: (view.asked_at, view.id), reverse=True)

    def own(self, known: Placement, provider: str, now: datetime, texts: Texts = NOTHING) -> OwnPlacement:
        """What the provider may know of it. Raises ValueError when it was never asked."""
        asked = known.was_asked(provider)
        if asked is None:
            raise ValueError("expected a provider that was asked")
        state = own_state(known, provider, now)
        declined = next((one for one in known.declined if one.provider == provider), None)
        won = known.award if state == "won" else None
        visit = known.first_visit if won is not None else None
        return OwnPlacement(
            id=self._directory.outside(known.ref),
            council=self._council,
            state=state,
            package=self._package(known, texts),
            asked_at=asked.at,
            closes_at=asked.closes_at,
            confirm_by=won.confirm_by if won is not None else None,
            first_visit=_unsigned(self._first_visit(visit)) if visit is not None else None,
            partners=tuple(self.names(self._partners(known, provider))),
            partner_names=self.names(self._partners(known, provider)),
            revoked=provider in known.revoked,
            link_serial=known.link_serial(provider),
            telephone=self._telephone,
            bid=_own_bid(known.bid_of(provider), texts),
            late_bid=_own_bid(next((b for b in known.late if b.provider == provider), None), texts),
            declined=self._own_decline(declined, texts),
        )

    def _own_decline(self, one: Declined | None, texts: Texts) -> OwnDecline | None:
        if one is None:
            return None
        said = self._declined(one, texts)
        return OwnDecline(
            at=said.at,
            reason=said.reason,
            source=said.source,
            late=said.late,
            note=said.note,
            pass_to=said.pass_to,
        )

    def _partners(self, known: Placement, provider: str) -> tuple[str, ...]:
        runs = [run for run in known.rounds if any(one.provider == provider for one in run.asked)]
        policy, said = self._state.placing_of(known), self._state.values.providers.get(provider)
        if not runs or said is None or not policy.rounds[runs[-1].index].passes_on:
            return ()
        return said.said.partners


def own_state(known: Placement, provider: str, now: datetime) -> OwnState:
    """How it stands for this provider."""
    if known.award is not None and known.award.provider == provider:
        return "won"
    if known.ended == "withdrawn":
        return "withdrawn"
    if _may_bid(known, provider, now):
        return "open"
    if provider in known.taken_back:
        return "taken_back"
    told = {run.index for run in known.rounds if run.told_at is not None}
    bid = known.bid_of(provider)
    return "not_successful" if bid is not None and bid.counts and bid.index in told else "closed"


def _may_bid(known: Placement, provider: str, now: datetime) -> bool:
    run = known.running
    if run is None:
        return False
    asked: list[Asked] = [one for one in run.asked if one.provider == provider]
    turn = not run.line and len({one.at for one in run.asked}) <= 1
    return bool(asked) and now < asked[-1].closes_at and (turn or run.asked[-1].provider == provider)


def evidence_of(known: Placement) -> list[Evidence]:
    """Everything that was written about it, for the council's own people."""
    said = [bid.how for bid in (*known.bids, *known.late)]
    declined, remarks = [one.note for one in known.declined], [one.note for one in known.remarks]
    found = [known.text, known.override, *said, *declined, *remarks]
    return [one for one in found if one is not None]


def own_evidence(known: Placement, provider: str) -> list[Evidence]:
    """Everything that was written for this provider, or by it."""
    said = [bid.how for bid in (*known.bids, *known.late) if bid.provider == provider]
    notes = [one.note for one in known.declined if one.provider == provider]
    return [one for one in (known.text, *said, *notes) if one is not None]


def _urgency(known: Placement) -> tuple[bool, bool, datetime, str]:
    return known.ended is not None, known.package.kind != "discharge", known.received_at, known.ref


def _text(evidence: Evidence | None, texts: Texts) -> str | None:
    return texts.get(evidence.id) if evidence is not None else None


def _cutoff(limits: Cutoff) -> CutoffView:
    names = CutoffView.__struct_fields__
    return CutoffView(**{name: getattr(limits, name).strftime("%H:%M") for name in names})


def _rating(said: ProviderSaid) -> RatingView:
    rating = said.rating
    return RatingView(
        overall=rating.overall,
        safe=rating.safe,
        effective=rating.effective,
        caring=rating.caring,
        responsive=rating.responsive,
        well_led=rating.well_led,
        published=rating.published,
    )


def _result(one: RuleResult) -> RuleView:
    return RuleView(
        rule=one.rule,
        outcome=one.outcome,
        why=one.why,
        value=one.value,
        limit=one.limit,
        at=one.at,
        added=one.added,
        names=one.names,
    )


def _unsigned(visit: FirstVisitView) -> FirstVisitView:
    """Without the id of the council's own person who entered it."""
    return structs.replace(visit, by=None)


def _own_bid(bid: Bid | None, texts: Texts) -> OwnBid | None:
    if bid is None:
        return None
    return OwnBid(
        at=bid.at,
        start=bid.start,
        source=bid.source,
        late=bid.late,
        withdrawn_at=bid.withdrawn_at,
        changes=bid.changes,
        hours_free=bid.hours_free,
        hours_declared=bid.hours_declared,
        how=_text(bid.how, texts),
    )
