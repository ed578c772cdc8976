"""Packages, bids and what brokers do, at the edge of a council's desk: bodies of the contract to inputs, refusals to
answers, state to views.

What people write goes to the evidence, and the fact holds its id and digest alone. What was understood and refused is
decided by the core, which records it; what could not be understood is a 400 that names the place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import msgspec
import structlog
from msgspec import structs

from config.load import ward_names
from config.placing import PLACEMENT_KINDS, Area
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from connectors.ports import ApiProblem, EdgeError, EvidenceRow
from monitor import held_packages
from monitor.core.evidence import Evidence
from monitor.core.inputs import PeopleReceived
from monitor.core.placing import anonymous, bids
from monitor.core.placing.inputs import (
    DECLINE_REASONS,
    OVERRIDE_REASONS,
    PLACEMENT_ACTIONS,
    WITHDRAW_REASONS,
    BidGiven,
    BidRefusedByProvider,
    BidTakenBack,
    CareEndSaid,
    DeadLinkPressed,
    PackageReceived,
    PackageSaid,
    PlacementActed,
)
from monitor.core.placing.model import Placement
from monitor.core.placing.register import register
from monitor.core.placing.views import (
    AreasView,
    BidReceipt,
    HeldPage,
    HeldView,
    MarkView,
    OwnPlacement,
    PlacementPage,
    PlacementsPage,
    PlacementView,
    ProviderView,
    RegisterView,
)
from monitor.desk_providers import nearest, slug
from monitor.placing_reads import PlacingReads, evidence_of, own_evidence
from monitor.rota_reader import read_moment

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell

log = structlog.get_logger("desk")

ReadEvidence = Callable[[str, str], Awaitable[EvidenceRow | None]]
"""A row of a desk's evidence, once it is on disk."""
STEP = 15
"""Minutes: hours are planned in quarters (spec 7.21)."""
MOST_MINUTES = 2 * 7 * 24 * 60
MOST_VISITS = 24
MOST_TEXT = 4_000
"""Characters of a referral's text, of how a bid would be delivered, of a note."""
TIME_EXPECTED = "expected a time such as 2026-11-24T09:00:00Z, or a local one without its offset"
PAGES = frozenset({"new", "events", "fragment"})
"""What stands in a path where the id of a placement could."""
_WORDS = re.compile(r"[^\W\d_]+")
_Value = TypeVar("_Value", bound=str)

SAID: dict[str, tuple[int, str, str | None]] = {
    # bids
    "not_asked": (409, "this provider was not asked", "provider"),
    "link_revoked": (403, "this link was taken back", None),
    "link_expired": (403, "this link has ended", None),
    "start_past": (400, "expected a start that lies ahead", "start"),
    "pass_to": (400, "expected a partner to whom it may be passed on in this round, in time", "pass_to"),
    "no_bid": (409, "no bid of this provider stands", None),
    "awarded": (409, "the package is awarded", None),
    "ended": (409, "the package is placed, or nobody is looked for any more", None),
    "withdrawn": (409, "the package was withdrawn", None),
    # what brokers do, and the winner
    "reached": (409, "a text or mail had come to this provider, or it has answered", "provider"),
    "window_over": (409, "the time of this provider to answer is over", "provider"),
    "not_broker": (403, "expected a broker of this desk", "by"),
    "not_winner": (403, "the package is not this provider's", None),
    "no_note": (400, "expected why, in words", "note"),
    "no_late_bid": (409, "no late bid of this provider stands", "provider"),
    "late_bid": (409, "this bid came late: admit it first, and say why", "provider"),
    "never_bid": (409, "this provider has not bid", "provider"),
    "bid_withdrawn": (409, "this provider has withdrawn its bid", "provider"),
    "not_awarded": (409, "the package is not awarded", None),
    "already_awarded": (409, "the package is awarded already", None),
    "already_done": (409, "somebody has done that already", None),
    "already_ended": (409, "nothing is waited for any more", None),
    "round_open": (409, "a round is open", None),
    "not_held": (409, "nobody has this package", None),
    "no_more_rounds": (409, "there is no other round", None),
}
"""Why nothing changed, by the core's reason: status, words, path."""
WANTED = {"withdrawn": "reason", "kind": "kind", "area": "area"}
"""By the core's name of what it wanted: the field of the body, where that is another one."""


class Placing:
    """What the edge does about packages of one council's desk."""

    def __init__(self, shell: DeskShell, read: ReadEvidence) -> None:
        self._shell, self._read = shell, read

    # --- a package ---

    async def place(self, said: PlacementIn, speaker: Speaker) -> tuple[PlacementView, bool]:
        """A package is to be placed, or was said before. Raises ApiProblem 400, 409."""
        shell = self._shell
        by = self._broker(said.by, speaker)
        print_ = self._fingerprint(said)
        known = shell.directory.known("placement", said.id) if said.id is not None else None
        if known is not None:
            return await self._again(known, print_), False
        if all(entry.person != by for entry in self._shell.state.values.duty):
            raise self._refused("not_broker", {})
        package = self._package(said)
        marks = self._marks(said)
        override = (said.override or "").strip()
        if marks and not override:
            log.info("a referral may name somebody and was refused", desk=shell.id, reason="not_anonymous")
            raise _not_anonymous(marks)
        ref = shell.mint("g")
        rows, text = self._words(ref, said.text)
        more, reason = self._words(ref, override if marks else "")
        received = PackageReceived(
            ref=ref,
            package=package,
            by=by,
            text=text,
            marks=tuple(sorted({mark.kind for mark in marks})),
            override=reason,
        )
        ticket = shell.tell(received, (*rows, *more))
        if ticket.decision.refusal is None and said.id is not None:
            # no await since the decision: the id goes into the same append as the package
            shell.directory.bind("placement", said.id, ref, print_)
            shell.tell(PeopleReceived(new=(), changed=(), people_rev=shell.directory.rev))
        await shell.engine.durable(ticket.seq)
        if ticket.decision.refusal is not None:
            raise self._refused(ticket.decision.refusal.code, ticket.decision.refusal.detail)
        return await self.one(ref), True

    async def _again(self, ref: str, print_: bytes) -> PlacementView:
        if self._shell.directory.said(ref) != print_:
            await self._shell.engine.durable()
            raise ApiProblem(409, "id_taken", "another package was sent with this id", "id")
        if ref not in self._shell.state.values.placements:
            raise ApiProblem(409, "already_over", "this package was placed, or withdrawn, long ago", "id")
        return await self.one(ref)

    def _fingerprint(self, said: PlacementIn) -> bytes:
        """By what a body that comes again is known, and from which nobody reads it."""
        body = msgspec.json.encode(said, order="sorted")
        keyed = hashlib.blake2b(body, digest_size=16, key=self._shell.engine.secret, person=b"placement")
        return keyed.hexdigest().encode()

    def _package(self, said: PlacementIn) -> PackageSaid:
        area = self._area(said.area)
        if said.ward is not None and said.ward not in area.wards:
            _bad("unknown_ward", "expected a ward of this area", "ward", nearest(said.ward, area.wards))
        if said.care_workers not in (1, 2):
            _bad("out_of_range", "expected 1 or 2 care workers", "care_workers")
        if said.id is not None and (not 0 < len(said.id.strip()) <= 64 or said.id in PAGES):
            _bad("bad_id", "expected an id of 1 to 64 characters, other than those of our pages", "id")
        start = self._moment(said.start, "start") if said.start is not None else None
        if start is not None and self._past(start):
            _bad("start_past", "expected a start that lies ahead", "start")
        discharge = self._moment(said.discharge_at, "discharge_at") if said.discharge_at is not None else None
        if discharge is not None and self._past(discharge):
            _bad("discharge_past", "expected a discharge from hospital that lies ahead", "discharge_at")
        return PackageSaid(
            kind=_one_of(said.kind, PLACEMENT_KINDS, "kind", "unknown_kind"),
            area=area.id,
            minutes_week=_minutes_week(said),
            visits=_visits(said.visits),
            ward=said.ward,
            care_workers=2 if said.care_workers == 2 else 1,
            time_critical=said.time_critical,
            specialisms=self._specialisms(said.specialisms),
            start=start,
            discharge_at=discharge,
        )

    def _past(self, at: datetime) -> bool:
        """By the minute: nobody means the seconds."""
        return at < self._shell.now().replace(second=0, microsecond=0)

    def _area(self, name: str) -> Area:
        areas = {area.id: area for area in self._shell.state.values.areas}
        if name not in areas:
            _bad("unknown_area", "expected an area of this desk", "area", nearest(name, areas))
        return areas[name]

    def _specialisms(self, names: tuple[str, ...]) -> tuple[str, ...]:
        known = set(self._reads().areas().specialisms)
        found = set()
        for at, name in enumerate(names):
            wanted = slug(name)
            if wanted is None or wanted not in known:
                text = "expected a specialism that some provider of this desk has"
                _bad("unknown_specialism", text, f"specialisms[{at}]", nearest(name, known))
            found.add(wanted)
        return tuple(sorted(found))

    def _marks(self, said: PlacementIn) -> tuple[MarkView, ...]:
        fields = {"text": said.text, "id": said.id or ""}
        years = anonymous.CHILD_YEARS if said.kind == "children" else anonymous.ADULT_YEARS
        return tuple(mark for path in sorted(fields) for mark in self.marks_of(fields[path], path, years))

    def marks_of(self, text: str, path: str, years: int = anonymous.ADULT_YEARS) -> tuple[MarkView, ...]:
        """The places of a field that may name somebody."""
        today = self._shell.state.calendar.day(self._shell.now())
        found = anonymous.find(text, today=today, known=self._places(), years=years)
        return tuple(MarkView(kind=mark.kind, path=path, start=mark.start, end=mark.end) for mark in found)

    def _places(self) -> set[str]:
        """Words of the council's own wards, areas and providers, which name no service user."""
        values = self._shell.state.values
        named = [name for area in values.areas for name in (area.id, *area.wards)]
        named += ward_names(self._shell.config.areas).values()
        named += [self._shell.directory.full_name(ref) for ref in values.providers]
        return {
            word for name in (*named, self._shell.config.name) for word in _WORDS.findall(name.casefold())
        }

    # --- bids ---

    async def bid(self, placement: str, said: BidIn, speaker: Speaker) -> BidReceipt:
        """A provider can take it. Raises ApiProblem 400, 403, 404, 409."""
        provider, by = self._bidder(said.provider, said.by, speaker)
        ref = await self._asked(placement, provider, speaker)
        rows, how = self._words(ref, said.how, "how")
        given = BidGiven(
            placement=ref,
            provider=provider,
            start=self._moment(said.start, "start", of_day=True),
            source=speaker.source,
            by=by,
            how=how,
            hours_free=_in_range(said.hours_free, "hours_free"),
            hours_declared=_in_range(said.hours_declared, "hours_declared"),
            link=speaker.link,
        )
        receipt = await self._told(given, rows, speaker)
        warnings = self.marks_of(said.how, "how")
        return self._receipt(
            ref, provider, "bid", receipt, start=given.start, changes=receipt.change, warnings=warnings
        )

    async def decline(self, placement: str, said: DeclineIn, speaker: Speaker) -> BidReceipt:
        """A provider does not take it. Raises ApiProblem 400, 403, 404, 409."""
        provider, by = self._bidder(said.provider, said.by, speaker)
        ref = await self._asked(placement, provider, speaker)
        rows, note = self._words(ref, said.note, "note")
        declined = BidRefusedByProvider(
            placement=ref,
            provider=provider,
            reason=_one_of(said.reason, DECLINE_REASONS, "reason"),
            source=speaker.source,
            by=by,
            note=note,
            pass_to=self._provider(said.pass_to, "pass_to") if said.pass_to is not None else None,
            link=speaker.link,
        )
        receipt = await self._told(declined, rows, speaker)
        return self._receipt(ref, provider, "declined", receipt, warnings=self.marks_of(said.note, "note"))

    async def take_back(self, placement: str, said: TakeBackIn, speaker: Speaker) -> BidReceipt:
        """A provider withdraws its bid. Raises ApiProblem 403, 404, 409."""
        provider, by = self._bidder(said.provider, said.by, speaker)
        ref = await self._asked(placement, provider, speaker)
        gone = BidTakenBack(placement=ref, provider=provider, source=speaker.source, by=by, link=speaker.link)
        return self._receipt(ref, provider, "withdrawn", await self._told(gone, (), speaker))

    async def dead_link(self, placement: str, provider: str) -> None:
        """Somebody has pressed on a provider's link whose time is over. On disk when it returns."""
        ticket = self._shell.tell(DeadLinkPressed(placement=placement, provider=provider))
        await self._shell.engine.durable(ticket.seq)

    def _bidder(self, provider: str | None, by: str | None, speaker: Speaker) -> tuple[str, str | None]:
        """For whom it counts, and which broker entered it."""
        if speaker.provider is None:
            return self._provider(provider, "provider"), self._broker(by, speaker)
        own = self._own_provider(speaker.provider)
        if by is not None or (provider is not None and self._known_provider(provider) != own):
            raise ApiProblem(403, "identity", "this credential bids for one provider alone", "provider")
        return own, None

    async def _asked(self, outside: str, provider: str, speaker: Speaker) -> str:
        """The minted id. For a provider that was never asked there is none: what else is placed here is not for it, and
        nothing that it sends tells whether it is there. That it tried is on record."""
        known = self._known(outside)
        if speaker.provider is not None and known.was_asked(provider) is None:
            await self._told(
                BidTakenBack(placement=known.ref, provider=provider, source=speaker.source), (), speaker
            )
        return known.ref

    def _receipt(
        self,
        ref: str,
        provider: str,
        what: Literal["bid", "declined", "withdrawn"],
        receipt: bids.Receipt,
        **more: Any,
    ) -> BidReceipt:
        out = self._shell.directory.outside
        return BidReceipt(
            placement=out(ref),
            provider=out(provider),
            what=what,
            at=receipt.at,
            late=receipt.late,
            closes_at=receipt.until,
            **more,
        )

    # --- what brokers do ---

    async def act(self, placement: str, said: PlacementActionIn, speaker: Speaker) -> PlacementView:
        """A broker, or the winner for its first visit, does something. Raises ApiProblem 400, 403, 404, 409."""
        action = _one_of(said.action, PLACEMENT_ACTIONS, "action")
        if speaker.provider is None:
            ref, by = self._known(placement).ref, self._broker(said.by, speaker)
        elif action != "confirm_first_visit":
            raise ApiProblem(403, "role", "a provider confirms its first visit, and does nothing else here")
        else:
            by = self._own_provider(speaker.provider)
            ref = await self._asked(placement, by, speaker)
        rows, note = self._words(ref, said.note, "note")
        acted = PlacementActed(
            placement=ref,
            action=action,
            by=by,
            source=speaker.source,
            provider=self._provider(said.provider, "provider") if said.provider is not None else None,
            reason=_one_of(said.reason, OVERRIDE_REASONS, "reason")
            if said.reason is not None and action == "award"
            else None,
            withdrawn=_one_of(said.reason or "", WITHDRAW_REASONS, "reason")
            if action == "withdraw"
            else None,
            note=note,
            start=self._moment(said.start, "start", of_day=True) if said.start is not None else None,
            end=self._moment(said.end, "end", of_day=True) if said.end is not None else None,
            supervisor=said.supervisor,
            until=self._moment(said.until, "until", of_day=True) if said.until is not None else None,
            was=self._moment(said.was, "was", of_day=True) if said.was is not None else None,
            link=speaker.link,
        )
        await self._told(acted, rows, speaker)
        return await self.one(ref)

    # --- what is shown ---

    def _reads(self) -> PlacingReads:
        shell, config = self._shell, self._shell.config
        telephone = config.telephone or next(iter(config.numbers), None)
        names = {area.id: area.name for area in config.areas}
        wards = ward_names(config.areas)
        return PlacingReads(shell.state, shell.directory, config.name, telephone, names, wards)

    async def providers(self) -> list[ProviderView]:
        """All of them."""
        found = self._reads().providers()
        await self._shell.engine.durable()
        return found

    async def areas(self) -> AreasView:
        """What a package may name here."""
        found = self._reads().areas()
        await self._shell.engine.durable()
        return found

    async def all(self, *, only_open: bool) -> list[PlacementView]:
        """Every placement that is in the state."""
        found = self._reads().placements(only_open=only_open)
        await self._shell.engine.durable()
        return found

    async def one(self, placement: str) -> PlacementView:
        """One placement with what was written. Raises ApiProblem 404."""
        known = self._known(placement)
        await self._shell.engine.durable()
        texts = await self._texts(evidence_of(known))
        return self._reads().placement(known, texts)

    async def owned(self, provider: str, *, only_open: bool) -> list[OwnPlacement]:
        """What a provider was asked to bid for. Raises ApiProblem 403."""
        own = self._own_provider(provider)
        found = self._reads().owned(own, self._shell.now(), only_open=only_open)
        await self._shell.engine.durable()
        return found

    async def own(self, placement: str, provider: str) -> OwnPlacement:
        """One of those. Raises ApiProblem 403, 404."""
        own, known = self._own_provider(provider), self._known(placement)
        if known.was_asked(own) is None:
            raise _not_found()
        now = self._shell.now()
        await self._shell.engine.durable()
        texts = await self._texts(own_evidence(known, own))
        return self._reads().own(known, own, now, texts)

    async def held(self) -> list[HeldView]:
        """The packages that providers hold, with names."""
        found = held_packages.held(self._shell)
        await self._shell.engine.durable()
        return list(found)

    def held_page(self) -> HeldPage:
        """What the page of those shows."""
        return held_packages.page(self._shell, self._reads().names(self._shell.state.values.providers))

    async def care_ended(self, placement: str, said: CareEndedIn, speaker: Speaker) -> HeldView:
        """On which day the care of a package ends. Raises ApiProblem 400, 403, 404, 409."""
        shell = self._shell
        ref = shell.directory.known("placement", placement) or placement
        seen = CareEndSaid(placement=ref, by=self._broker(said.by, speaker), on=said.on)
        line = await self._told(seen, (), speaker)
        return held_packages.view(shell, shell.state.values.ledger[line])

    async def register(self, since: date | None) -> RegisterView:
        """How each provider has answered from that local day on, with names. Raises ApiProblem 404."""
        shell, directory = self._shell, self._shell.directory
        begins = shell.state.calendar.at_local(since, time()) if since is not None else None
        found = register(shell.state, shell.now(), begins)
        await shell.engine.durable()
        if found is None:
            raise ApiProblem(404, "no_policy", "this desk has no policy by which packages are placed")
        out, name = directory.outside, directory.full_name
        rows = [
            structs.replace(row, provider=out(row.provider), name=name(row.provider)) for row in found.rows
        ]
        rows.sort(key=lambda row: (row.tier, row.name, row.provider))
        return structs.replace(found, rows=tuple(rows))

    def page(self) -> PlacementsPage:
        """What the page of all packages shows, with names: for the desk's own people."""
        shell, reads = self._shell, self._reads()
        brokers = self._staff()
        refs = (*shell.state.values.providers, *brokers)
        return PlacementsPage(
            desk=shell.id,
            name=shell.config.name,
            now=shell.now(),
            degraded=shell.engine.reason is not None,
            placements=tuple(reads.placements(only_open=False)),
            names=reads.names(refs),
            areas=reads.areas(),
            providers=tuple(reads.providers()),
            brokers=tuple(shell.directory.outside(ref) for ref in brokers),
        )

    async def one_page(self, placement: str) -> PlacementPage:
        """What the page of one placement shows. Raises ApiProblem 404."""
        shell, known = self._shell, self._known(placement)
        try:
            texts = await self._texts(evidence_of(known))
        except EdgeError:
            texts = {}  # the page shows what the state has, and says that the store is away
        reads, brokers = self._reads(), self._staff()
        return PlacementPage(
            desk=shell.id,
            name=shell.config.name,
            now=shell.now(),
            degraded=shell.engine.reason is not None,
            placement=reads.placement(shell.state.values.placements.get(known.ref, known), texts),
            names=reads.names((*shell.state.values.providers, *brokers)),
            providers=tuple(reads.providers()),
            brokers=tuple(shell.directory.outside(ref) for ref in brokers),
        )

    def _staff(self) -> list[str]:
        people = self._shell.directory.people.values()
        listed = {entry.person for entry in self._shell.config.duty}
        found = [one.ref for one in people if one.given.role == "staff" or one.given.id in listed]
        return sorted(found, key=self._shell.directory.full_name)

    # --- ids, times, words ---

    def _known(self, placement: str) -> Placement:
        ref = self._shell.directory.known("placement", placement) or placement
        known = self._shell.state.values.placements.get(ref)
        if known is None:
            raise _not_found()
        return known

    def _known_provider(self, outside: str) -> str | None:
        providers = self._shell.state.values.providers
        ref = self._shell.directory.known("person", outside) or outside
        return ref if ref in providers else None

    def _provider(self, outside: str | None, path: str) -> str:
        ref = self._known_provider(outside) if outside is not None else None
        if ref is None:
            _bad("unknown_provider", "expected the id of a provider of this desk", path)
        return ref

    def _own_provider(self, outside: str) -> str:
        """Of a credential: a council may not have told us of them yet, or any more."""
        ref = self._known_provider(outside)
        if ref is None:
            raise ApiProblem(403, "unknown_provider", "the council has not named this provider yet")
        return ref

    def _broker(self, by: str | None, speaker: Speaker) -> str:
        if speaker.by is not None and by is not None and by != speaker.by:
            raise ApiProblem(403, "identity", "this credential is another person's", "by")
        named = by or speaker.by
        if named is None:
            raise ApiProblem(400, "missing", "expected the id of the broker who does it", "by")
        return self._shell.staff(named, "by")

    def _moment(self, text: str, path: str, *, of_day: bool = False) -> datetime:
        """`of_day`: a day alone will not do; read as its midnight it would be earlier than any honest bid."""
        at = read_moment(text, self._shell.state.calendar, day_alone=not of_day).at
        if at is None:
            _bad("bad_time", TIME_EXPECTED, path)
        return at.astimezone(UTC)

    def _words(
        self, subject: str, words: str, path: str = "text"
    ) -> tuple[tuple[EvidenceRow, ...], Evidence | None]:
        if len(words) > MOST_TEXT:
            _bad("too_long", f"expected at most {MOST_TEXT} characters", path)
        if not words.strip():
            return (), None
        row, digest = self._shell.put_aside(subject, words.encode())
        return (row,), Evidence(id=row.id, digest=digest)

    async def _texts(self, wanted: Collection[Evidence]) -> dict[str, str]:
        found = {}
        for evidence in wanted:
            row = await self._read(self._shell.id, evidence.id)
            if row is not None:
                found[evidence.id] = row.body.decode(errors="replace")
        return found

    async def _told(self, seen: Any, rows: tuple[EvidenceRow, ...], speaker: Speaker) -> Any:
        ticket = self._shell.tell(seen, rows)
        # a refusal is a fact too, and may speak of what somebody else did: both must be on disk before it is told
        await self._shell.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is None:
            return ticket.decision.answer
        if refusal.code == "not_asked" and speaker.provider is not None:
            raise _not_found()
        raise self._refused(refusal.code, refusal.detail)

    def _refused(self, code: str, detail: dict[str, Any]) -> ApiProblem:
        if code == "not_found":
            return _not_found()
        extra = self._beside(detail)
        if code in SAID and (code not in WANTED or "expected" not in detail):
            status, words, path = SAID[code]
            return ApiProblem(status, code, words, path, extra=extra)
        expected = ", ".join(detail.get("expected", ()))
        path = WANTED.get(code, code)
        return ApiProblem(
            400, "unknown_kind" if code == "kind" else "missing", f"expected {expected}", path, extra
        )

    def _beside(self, detail: dict[str, Any]) -> dict[str, Any]:
        """What else is said: who was first and when, what was expected."""
        out = self._shell.directory.outside
        said = ("at", "reason", "expected")
        extra: dict[str, Any] = {name: detail[name] for name in said if name in detail}
        extra |= {name: out(detail[name]) for name in ("by", "provider") if detail.get(name)}
        return {"by": None} | extra if "at" in extra else extra


def _not_anonymous(marks: tuple[MarkView, ...]) -> ApiProblem:
    shown = [{"kind": one.kind, "path": one.path, "from": one.start, "to": one.end} for one in marks]
    text = "this may name somebody: take it out, or say in `override` why it does not"
    return ApiProblem(400, "not_anonymous", text, marks[0].path, extra={"marks": shown})


def _not_found() -> ApiProblem:
    return ApiProblem(404, "not_found", "there is no such placement")


def _bad(code: str, text: str, path: str, expected: Collection[str] | None = None) -> NoReturn:
    raise ApiProblem(
        400, code, text, path, extra={"expected": list(expected)} if expected is not None else {}
    )


def _one_of(value: str, known: tuple[_Value, ...], path: str, code: str = "unknown_value") -> _Value:
    for one in known:
        if one == value:
            return one
    _bad(code, f"expected one of: {', '.join(known)}", path, known)


def _in_range(hours: int | None, path: str) -> int | None:
    if hours is not None and not 0 <= hours <= 100_000:
        _bad("out_of_range", "expected 0 to 100000 hours a week", path)
    return hours


def _minutes_week(said: PlacementIn) -> int:
    if (said.hours_week is None) == (said.minutes_week is None):
        _bad("missing", "expected either hours_week or minutes_week", "hours_week")
    path = "hours_week" if said.hours_week is not None else "minutes_week"
    minutes = said.hours_week * 60 if said.hours_week is not None else said.minutes_week or 0
    if not 0 < minutes <= MOST_MINUTES:
        _bad("out_of_range", f"expected more than 0 and at most {MOST_MINUTES // 60} hours a week", path)
    if minutes % STEP:
        _bad("off_step", "expected a number of quarter hours", path)
    return int(minutes)


def _visits(visits: tuple[int, ...]) -> tuple[int, ...]:
    if not 0 < len(visits) <= MOST_VISITS:
        _bad("out_of_range", f"expected 1 to {MOST_VISITS} visits a day", "visits")
    for at, minutes in enumerate(visits):
        if not 0 < minutes <= 24 * 60:
            _bad("out_of_range", "expected the length of a visit in minutes, at most a day", f"visits[{at}]")
        if minutes % STEP:
            _bad("off_step", "expected a number of quarter hours, in minutes", f"visits[{at}]")
    return visits
