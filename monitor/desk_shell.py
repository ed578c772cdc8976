"""One desk's shell: engine, directory and words together. Turns what connectors bring into inputs, and serves the
outbox. The way of a check-in: connector -> `check_in` -> `Engine.submit` (decide, evolve) -> journal -> answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import structlog
from msgspec import UNSET, structs

from config.load import CouncilDeskEntry, DeskConfig
from config.placing import Area, placing_terms
from config.policy import CouncilDesk, Duty
from connectors.links import without_links
from connectors.ports import (
    ActionIn,
    ApiProblem,
    Degraded,
    EdgeError,
    EvidenceRow,
    HomeConfirmedIn,
    OutboundMessage,
    PersonIn,
    SeenCheckIn,
    StatusCallback,
    WeatherIn,
)
from escalation import dialog
from escalation.people import reaches_the_dead
from escalation.replies import read_reply
from monitor.clock import Clock
from monitor.core import lines, phones
from monitor.core import messages as core_messages
from monitor.core.answerphone import Offer
from monitor.core.inputs import (
    ActionTaken,
    AnswerphoneBegins,
    AnswerphoneHeard,
    CheckInSeen,
    DeliveryReported,
    Evidence,
    HomeSaid,
    Input,
    KeyPressed,
    LineAnswered,
    LineBack,
    LineTurn,
    PeopleReceived,
    PolicyLoaded,
    Position,
    PracticeWanted,
    ReplyReceived,
    RotaTaken,
    SendReported,
    SendTurn,
    WeatherSaid,
)
from monitor.core.messages import SayBack
from monitor.core.placing.inputs import PlacingLoaded
from monitor.core.state import Message, State
from monitor.core.upload import AT_ONCE, Plan, Steps, outcome, portions, prepared
from monitor.core.views import (
    AlertView,
    CheckInAnswer,
    LeftMessage,
    PeopleAnswer,
    PeopleProblem,
    PracticeView,
    Record,
    RotaAnswer,
    Script,
    VisitView,
    WeatherView,
)
from monitor.desk_absence import Absences
from monitor.desk_referrals import Referrals
from monitor.desk_texts import Texts
from monitor.directory import BadNumberError, Directory, e164, tag_name
from monitor.engine import DecideFailedError, Engine, Ticket
from monitor.metrics import Metrics
from monitor.reads import Reads
from monitor.rota_reader import Reading, head_problems, read_rota
from monitor.rota_reader import answer as rota_answer
from monitor.turns import in_turns, others_first
from monitor.weather_view import weather_view
from monitor.words import Words

log = structlog.get_logger("desk")

UNRECORDED: dict[str, str] = {
    "OC-22": "OC-20",
    "OC-221": "OC-20",
    "BD-41": "OC-20",
    "OC-24": "OC-24",
    "OC-25": "OC-25",
    "OC-26": "OC-26",
}
"""What is texted back while nothing can be recorded: to staff the truth, to the public nothing (design: the only
exception to "nothing leaves before it is durable" is staff)."""
MAILBOX = "brokerage"
"""The one outside name of the brokerage mailbox: its address may change, and it stays the same to the facts."""
KEEP_EVIDENCE = timedelta(days=365)
"""How long evidence is kept until the desk's retention policy says otherwise (a later release)."""
COUNCIL_CALLS = frozenset({"COV-1", "COV-2"})
"""Calls to a council desk."""
ASKED_TO_SPEAK = 2
"""So often a caller who says nothing is asked to leave a message (ours)."""
HOLD_S = 2
"""How often a line that is kept comes back: who presses the key is joined within so long."""
SAID_EVERY = 5
"""Of so many times it is asked once to stay: silence would be a dead line, and more is a nuisance."""
FIRST = {
    "already_taken": "somebody has it already",
    "already_sent": "somebody is on the way already",
    "already_ended": "it has ended",
    "already_stopped": "somebody has stopped that already",
    "moved_on": "that has gone on since this was shown",
    "not_running": "there is nothing that runs by itself just now",
    "somebody_comes": "everybody who is needed is on the way, or says that they are there",
    "reached": "the service user has answered",
    "no_check": "this alert needs no manager's check, or is not over yet",
    "not_conditional": "this visit waits for nobody to come home",
    "already_confirmed": "somebody has confirmed that already",
    "already_checked": "it has been checked already",
    "no_notice_owed": "no written notice to the council is owed for this alert",
    "already_answered": "somebody has sent the notice already, or said that it is not sent",
    "died": "it is recorded that this person has died: nothing more is sent about them by itself",
    "package_waits": "the package waits for a decision: it ends with that, and not before",
    "not_open": "nobody is waited for any more: there is no time left to agree",
}
"""Why an action changed nothing: who was first and when stands beside it, where somebody was."""
WEATHER = {
    "until": "an end that lies ahead, at most 48 hours",
    "next_of_kin": "the id of a next of kin of this person who may be told of them",
    "not_manager": "only a manager of the desk's duty list declares bad weather, moves its end, or ends it",
    "never_told": "this person is not to be told anything about that service user",
    "already_declared": "bad weather is declared already: change its end",
    "already_reported": "the report to the council is recorded already",
    "no_weather": "no bad weather is declared",
    "not_listed": "nobody with this id is on today's list of whom a person is to ring",
    "already_rung": "somebody has rung them already, or they have been heard of",
    "not_green": "only somebody ranked green is seen to by the family",
    "not_covered": "nobody has confirmed that the family sees to this person",
}
"""Why nothing was taken down about the weather."""
PORTION = 200
"""Rows of an upload that are decided in one turn of the loop, and then stand in one append: some 5 ms."""
PEOPLE = 100
"""People of an upload who are taken in in one turn: some 5 ms."""
RandomBytes = Callable[[int], bytes]


class DeskShell:
    """Everything the edge does for one desk."""

    def __init__(
        self,
        config: DeskConfig,
        engine: Engine,
        words: Callable[[], Words],
        clock: Clock,
        metrics: Metrics,
        mint: Callable[[str], str],
        random_bytes: RandomBytes,
    ) -> None:
        self.config, self.engine = config, engine
        self._words, self._clock, self._metrics = words, clock, metrics
        self._mint, self._random = mint, random_bytes
        self._upload = asyncio.Lock()
        """A rota is read and taken in by portions: uploads of one desk follow each other whole."""
        self._people = asyncio.Lock()
        """As do uploads of people."""
        self.plan_rev = 0
        """Rises with each upload of people or rota."""

    @property
    def id(self) -> str:
        """The desk's id."""
        return self.config.id

    @property
    def directory(self) -> Directory:
        """Its people."""
        return self.engine.directory

    @property
    def state(self) -> State:
        """What it knows now."""
        return self.engine.state

    @property
    def reads(self) -> Reads:
        """Views of this moment."""
        return Reads(self.engine.state, self.directory)

    @property
    def absences(self) -> Absences:
        """What is told about those who are away, or have died."""
        return Absences(self)

    @property
    def referrals(self) -> Referrals:
        """What councils have asked of this desk."""
        return Referrals(self)

    @property
    def texts(self) -> Texts:
        """What came by text and answered nothing."""
        return Texts(self)

    def fingerprint(self, natural_key: str) -> int:
        """63 bits by which something that comes again is known, at this desk alone."""
        return _fingerprint(self.engine.secret, natural_key)

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()

    def words(self) -> Words:
        """The words of this moment."""
        return self._words()

    def tell(self, seen: Input, evidence: Sequence[EvidenceRow] = ()) -> Ticket:
        """Submit an input with the ids that were minted for it. Raises DecideFailedError, Degraded."""
        return self.engine.submit(seen, evidence=evidence, people=self.directory.take_changes())

    def mint(self, prefix: str) -> str:
        """A fresh id with this prefix."""
        return self._mint(prefix)

    def put_aside(self, subject: str, body: bytes) -> tuple[EvidenceRow, str]:
        """A row for the evidence store, and the digest that the fact will hold."""
        salt = self._random(16)
        return self._evidence(subject, salt, body), hashlib.sha256(salt + body).hexdigest()

    def _evidence(self, subject: str, salt: bytes, body: bytes) -> EvidenceRow:
        keep = msgspec.to_builtins(self._clock.now() + KEEP_EVIDENCE)
        return EvidenceRow(id=self._mint("e"), subject=subject, keep_until=keep, salt=salt, body=body)

    def adopt(self, config: DeskConfig, holidays: Sequence[Any]) -> None:
        """Policy, duty list, council desks and bank holidays as configured, as an input (design: three stores)."""
        self.config = config
        self.directory.new_day(self._clock.now())
        ref = self.directory.ref
        duty = tuple(Duty(person=ref("person", d.person), role=d.role, hours=d.hours) for d in config.duty)
        councils = tuple(
            CouncilDesk(
                ref=ref("council_desk", c.name),
                hours=c.hours,
                contract=c.contract,
                client_group=c.client_group,
                by_phone=c.phone is not None,
                machine_calls=c.machine_calls and c.phone is not None,
            )
            for c in config.council_desks
        )
        loaded = PolicyLoaded(
            policy=config.policy,
            duty=duty,
            council_desks=councils,
            holidays=tuple(holidays),
            public=config.public,
            contracts=config.contracts,
        )
        self.tell(loaded)
        if config.kind == "council":
            self.tell(self._placing())

    def _placing(self) -> PlacingLoaded:
        """How the council places packages, as configured. The names of areas are for people, and no fact has them."""
        config = self.config
        return PlacingLoaded(
            terms=placing_terms(config.placing),
            areas=tuple(Area(id=area.id, wards=area.wards) for area in config.areas),
            mailbox=self.directory.ref("mailbox", MAILBOX) if config.mailbox is not None else None,
        )

    # --- check-ins ---

    def check_in(self, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        """Decide one check-in; the future is done when its facts are on disk (`connectors.ports.Desks`)."""
        future: asyncio.Future[CheckInAnswer] = asyncio.get_running_loop().create_future()
        began = self._clock.monotonic()
        row, digest = self.put_aside("checkin", seen.raw)
        check = self._as_input(seen, row, digest)
        try:
            ticket = self.tell(check, (row,))
        except (DecideFailedError, Degraded) as error:
            future.set_exception(_edge(error))
            return future
        decision = ticket.decision
        outcome = decision.outcome or "quarantined"
        worker = check.worker or (self.directory.worker_of(check.device) if check.device else None)
        if check.position is not None:
            self.engine.positions.note(worker, check, outcome)
        gap = phones.longest_gap(self.state.values.policy)
        self.engine.heard.note(worker, check, outcome, self._clock.now(), gap)
        self._metrics.checkin(self.id, seen.source, outcome)
        answer = CheckInAnswer(
            id=seen.id,
            stored=True,
            outcome=outcome,
            visit=self.directory.outside(decision.visit) if decision.visit else None,
            seq=ticket.first,
        )

        def done() -> None:
            self._metrics.ingested(self._clock.monotonic() - began)
            if not future.done():
                future.set_result(answer)

        def degraded(error: EdgeError) -> None:
            if not future.done():
                future.set_exception(error)

        if ticket.first is None and outcome != "duplicate":
            # it proved nothing and was not kept: there is nothing to wait for
            done()
        else:
            self.engine.when_durable(ticket.seq, done, degraded)
        return future

    def _as_input(self, seen: SeenCheckIn, row: EvidenceRow, digest: str) -> CheckInSeen:
        known = self.directory.known
        device = known("device", seen.device) if seen.device else None
        owner = self.directory.worker_of(device) if device else None
        # a device speaks for the one who carries it, whatever its body claims (devices.md, "Trust")
        claimed = seen.worker if owner is None or seen.manual else None
        worker = known("person", claimed) if claimed else None
        if worker is None and owner is None and seen.card is not None:
            worker = self.directory.card_holder(seen.card)
        visit = known("visit", seen.visit) if seen.visit else None
        person = known("person", seen.service_user) if seen.service_user else None
        tag = self._tagged(seen.tag)
        home = self.directory.home_of(seen.regions) if seen.regions else None
        if seen.tag_lasts and home is not None and home != tag:
            tag = None  # left from the last home: the region that they are inside says more
        # whose home it was is not known, nor where: it could be any region on the phone, the care worker's own home too
        nowhere = bool(seen.regions) and home is None and seen.lat is None and seen.kind != "fix"
        unknown = (
            (claimed is not None and worker is None)
            # an unknown visit is passed over only where the person is named: it may be one that the rota lacks, and
            # must not be credited to the next one of the care worker
            or (seen.visit is not None and visit is None and tag is None and person is None)
            or (seen.service_user is not None and person is None)
            or (seen.tag is not None and tag is None and seen.kind != "fix")
            or (nowhere and tag is None)
        )
        return CheckInSeen(
            ref=self._mint("k"),
            source=seen.source,
            kind=seen.kind,
            at=seen.at,
            fingerprint=_fingerprint(self.engine.secret, seen.natural_key),
            evidence=Evidence(id=row.id, digest=digest),
            device=device,
            worker=worker,
            service_user=tag or person or home,
            visit=visit,
            tag=tag is not None or seen.line,
            tag_lasts=tag is not None and seen.tag_lasts,
            unknown_device=seen.device is not None and owner is None and worker is None,
            claims_unknown=unknown,
            position=_position(seen),
            region_enter=seen.region_enter,
            retained=seen.retained,
            mock=seen.mock,
            manual=seen.manual,
            instead=seen.instead,
        )

    def _tagged(self, tag: str | None) -> str | None:
        """The person in whose home the tag hangs: tags are devices of service users (`tag:04a2…`)."""
        if tag is None:
            return None
        device = self.directory.known("device", tag_name(tag))
        return self.directory.worker_of(device) if device else None

    # --- people and rota ---

    async def put_people(
        self,
        items: Sequence[Any],
        taken: Callable[[str], bool],
        claim: Callable[[str], None],
        *,
        lines: Sequence[int] | None = None,
        partial: bool = False,
    ) -> PeopleAnswer:
        """Upsert people. Raises ApiProblem(409, device_taken) before anything is applied."""
        async with self._people:
            good, problems = await in_turns(self.directory.read(items, lines, partial=partial))
            self._claim(good, taken, claim, of_a_file=lines is not None)
            answer = await self._tell_people(good, problems, of_a_file=lines is not None)
            self.plan_rev += 1
        await self.engine.durable()
        return answer

    def _claim(
        self,
        good: Sequence[tuple[int, PersonIn]],
        taken: Callable[[str], bool],
        claim: Callable[[str], None],
        *,
        of_a_file: bool,
    ) -> None:
        """All devices of an upload or none, in one turn: of two desks that name the same one, one has it."""
        for row, person in good:
            if any(taken(device) for device in person.devices):
                log.error("a device of another desk was claimed", desk=self.id, row=row)
                self._metrics.quarantined("file" if of_a_file else "http", "identity")
                raise ApiProblem(
                    409,
                    "device_taken",
                    "another desk holds one of these devices",
                    f"line {row}" if of_a_file else f"people[{row - 1}].devices",
                )
        for device in (device for _, person in good for device in person.devices):
            claim(device)

    async def _tell_people(
        self, good: list[tuple[int, PersonIn]], problems: list[PeopleProblem], *, of_a_file: bool
    ) -> PeopleAnswer:
        """Portion by portion, each whole: a person stands alone, and absence removes nobody."""
        new = changed = unchanged = 0
        for at in range(0, len(good), PEOPLE):
            if at:
                await others_first()
            change = self.directory.apply(good[at : at + PEOPLE], problems, of_a_file=of_a_file)
            problems += self._not_practised(good[at : at + PEOPLE], of_a_file)
            self.tell(PeopleReceived(new=change.new, changed=change.changed, people_rev=self.directory.rev))
            new, changed = new + len(change.new), changed + len(change.changed)
            unchanged += change.unchanged
        # when all of them are known: a contact may stand after the person who names them
        problems += self.directory.naming_strangers(good, of_a_file=of_a_file)
        return PeopleAnswer(new=new, changed=changed, unchanged=unchanged, problems=tuple(problems))

    async def put_rota(
        self,
        body: dict[str, Any],
        by: str,
        *,
        lines: Sequence[int] | None = None,
        whole: bool = False,
        empty: bool | None = None,
    ) -> RotaAnswer:
        """One upload, one answer when all of it is on disk.

        Raises ApiProblem(409, confirm_needed): nothing was applied."""
        async with self._upload:
            row, digest = await in_turns(self._put_aside_rota(body))
            upload = await in_turns(read_rota(body, self._reading(row, digest, by, lines, whole, empty)))
            plan = await in_turns(prepared(self.state, upload, self._clock.now()))
            if plan.confirm_needed:
                # it speaks of what is planned now: that must be on disk too before it is told
                await self.engine.durable()
                raise self._confirm_needed(plan)
            taken, seq = await self._tell_rota(plan, row)
        self.plan_rev += 1
        await self.engine.durable(seq)
        self._metrics.rows_unwatched(self.id, len(self.engine.state.values.unwatched))
        answer = await in_turns(
            rota_answer(outcome(plan, taken), self.directory, of_a_file=lines is not None)
        )
        return structs.replace(answer, problems=(*head_problems(body), *answer.problems))

    async def _tell_rota(self, plan: Plan, row: EvidenceRow) -> tuple[RotaTaken, int]:
        """Portion by portion, each decided against the state as it is by then; in between the loop is free. Cut off,
        an upload has only added to the watch, and who sent it got no answer (docs/decisions/0014)."""
        taken, seq = RotaTaken(), 0
        for portion in portions(plan, PORTION):
            if seq:
                await others_first()
            ticket = self.tell(structs.replace(portion, before=taken), () if seq else (row,))
            taken, seq = ticket.decision.answer, ticket.seq
        return taken, seq

    def _confirm_needed(self, plan: Plan) -> ApiProblem:
        refs = (*(ref for ref, _ in plan.cancel), *plan.given_away)
        cancels = [self.directory.outside(ref) for ref in refs]
        return ApiProblem(
            409,
            "confirm_needed",
            "this upload would cancel visits; send it again with confirm if that is meant",
            extra={"cancels": cancels},
        )

    def _put_aside_rota(self, body: dict[str, Any]) -> Steps[tuple[EvidenceRow, str]]:
        """As `put_aside`, for a body that is too large to be written as JSON in one turn."""
        visits = body.get("visits")
        if not isinstance(visits, list) or len(visits) <= AT_ONCE:
            return self.put_aside("rota", msgspec.json.encode(body))
        salt = self._random(16)
        digest, parts = hashlib.sha256(salt), []
        head = msgspec.json.encode({key: value for key, value in body.items() if key != "visits"})
        before = head[:-1] + (b"," if len(head) > 2 else b"") + b'"visits":['
        for at in range(0, len(visits), AT_ONCE):
            part = before + msgspec.json.encode(visits[at : at + AT_ONCE])[1:-1]
            digest.update(part)
            parts.append(part)
            before = b","
            yield
        digest.update(b"]}")
        return self._evidence("rota", salt, b"".join([*parts, b"]}"])), digest.hexdigest()

    def _reading(
        self,
        row: EvidenceRow,
        digest: str,
        by: str,
        lines: Sequence[int] | None,
        whole: bool,
        empty: bool | None,
    ) -> Reading:
        return Reading(
            directory=self.directory,
            calendar=self.engine.state.calendar,
            policy=self.engine.state.values.policy,
            upload=self._mint("u"),
            evidence=row,
            digest=digest,
            by=by,
            lines=lines,
            whole=whole,
            empty=empty,
        )

    # --- alerts ---

    async def act(self, alert_id: str, action: ActionIn) -> AlertView:
        """A named person did something. Raises ApiProblem 404, 409 (who was first), 400."""
        evidence: tuple[EvidenceRow, ...] = ()
        note = None
        if action.action == "note" and not (action.note or "").strip():
            raise ApiProblem(400, "bad_body", "expected what there is to note, in words", "note")
        if action.note:
            row, digest = self.put_aside(alert_id, action.note.encode())
            evidence, note = (row,), Evidence(id=row.id, digest=digest)
        taken = ActionTaken(
            alert=alert_id,
            action=action.action,
            by=self.staff(action.by, "by"),
            at=action.at or self._clock.now(),
            reason=action.reason,
            to=self._other(action) if action.to else None,
            minutes=action.minutes,
            note=note,
            track=action.track,
            next_at=action.next_at,
            raised_by=action.raised_by,
            start=action.start.astimezone(UTC) if action.start is not None else None,
            end=action.end.astimezone(UTC) if action.end is not None else None,
            adequate=action.adequate,
            safeguarding=action.safeguarding,
            serious_incident=action.serious_incident,
        )
        ticket = self.tell(taken, evidence)
        # a refusal speaks of what somebody else did: that must be on disk too before it is told
        await self.engine.durable(ticket.seq)
        if ticket.decision.refusal is not None:
            raise self._refused(ticket.decision.refusal.code, ticket.decision.refusal.detail)
        alert = self.engine.state.values.alerts.get(alert_id)
        if alert is None:
            raise ApiProblem(404, "not_found", "there is no such alert")
        return self.reads.alert(alert, self._clock.now())

    async def confirm_home(self, outside: str, home: HomeConfirmedIn) -> VisitView:
        """The person of a conditional visit is home. Raises ApiProblem 404, 400, 403, 409."""
        ref = self.directory.known("visit", outside)
        at = home.at.astimezone(UTC) if home.at is not None else self._clock.now()
        ticket = self.tell(HomeSaid(visit=ref or "", by=self.staff(home.by, "by"), at=at))
        await self.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is not None and refusal.code == "not_found":
            raise ApiProblem(404, "not_found", "there is no such visit")
        if refusal is not None:
            raise self._refused(refusal.code, refusal.detail)
        return self.reads.visit(self.state.values.visits[ref or ""], self._clock.now())

    # --- practice calls ---

    async def practise(self, outside: str, by: str) -> PracticeView:
        """A practice call. Raises ApiProblem 404, 400, 409."""
        wanted = PracticeWanted(person=self._known_person(outside), by=self.staff(by, "by"))
        ticket = self.tell(wanted)
        await self.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is not None:
            words = {
                "no_line": "this person has no line that may be rung",
                "died": "it is recorded that this person has died",
                "practice_running": "a practice call to this person is out already",
            }
            raise ApiProblem(409, refusal.code, words[refusal.code])
        return await self.practice(outside)

    async def practice(self, outside: str) -> PracticeView:
        """How it stands. Raises ApiProblem 404."""
        known = self.engine.state.values.practice.get(self._known_person(outside))
        await self.engine.durable()
        if known is None:
            return PracticeView(person=outside)
        return PracticeView(
            person=outside,
            result=known.result,
            by=self.directory.outside(known.by),
            asked_at=known.asked_at,
            ended_at=known.ended_at,
            practised_at=known.practised_at,
        )

    # --- declared bad weather ---

    async def say_weather(self, said: WeatherIn) -> WeatherView:
        """A named person declares it, moves its end, and so on. Raises ApiProblem 400, 403, 404, 409."""
        evidence: tuple[EvidenceRow, ...] = ()
        note = None
        if said.note:
            row, digest = self.put_aside("weather", said.note.encode())
            evidence, note = (row,), Evidence(id=row.id, digest=digest)
        about = self._known_person(said.service_user) if said.service_user else None
        kin = self.directory.known("person", said.next_of_kin) if said.next_of_kin else None
        seen = WeatherSaid(
            action=said.action,
            by=self.staff(said.by, "by"),
            at=said.at or self._clock.now(),
            until=said.until.astimezone(UTC) if said.until is not None else None,
            service_user=about,
            next_of_kin=kin,
            note=note,
        )
        ticket = self.tell(seen, evidence)
        await self.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is not None:
            raise self._weather_refused(refusal.code, refusal.detail)
        return self.weather_now()

    async def weather(self) -> WeatherView:
        """How it stands."""
        view = self.weather_now()
        await self.engine.durable()
        return view

    def weather_now(self) -> WeatherView:
        """The weather that is declared, else the last one, in the caller's own ids."""
        return weather_view(self.engine.state, self.directory, self._clock.now())

    def _weather_refused(self, code: str, detail: dict[str, Any]) -> ApiProblem:
        if code in ("until", "next_of_kin"):
            return ApiProblem(400, "bad_body", f"expected {WEATHER[code]}", code)
        if code in ("not_manager", "never_told"):
            return ApiProblem(403, code, WEATHER[code], "by")
        by = detail.get("by")
        extra = {"by": self.directory.outside(by), "at": detail.get("at")} if by else {}
        return ApiProblem(409, code, WEATHER[code], extra=extra)

    def _known_person(self, outside: str) -> str:
        ref = self.directory.known("person", outside)
        person = self.directory.people.get(ref or "")
        if ref is None or person is None or person.given.role == "provider":
            raise ApiProblem(404, "unknown_person", "this desk has no person with this id", "id")
        return ref

    def _not_practised(self, people: Sequence[tuple[int, PersonIn]], of_a_file: bool) -> list[PeopleProblem]:
        """Who is given as *auto* and acts as *ask*, because no practice call was answered with a key."""
        values = self.engine.state.values
        if not values.policy.practice_first:
            return []
        found = []
        for row, person in people:
            plan, ref = person.contact_plan, self.directory.known("person", person.id)
            done = values.practice.get(ref or "")
            if plan is None or plan.public != "auto" or (done is not None and done.practised_at is not None):
                continue
            found.append(
                PeopleProblem(
                    row=row,
                    id=person.id,
                    code="not_practised",
                    severity="warning",
                    message="`auto` acts as `ask` until a practice call is answered with a key",
                    line=row if of_a_file else UNSET,
                )
            )
        return found

    def _other(self, action: ActionIn) -> str:
        """Whom the action is about: a colleague who takes over, a care worker who goes or was spoken to."""
        assert action.to is not None
        if action.action not in ("assign_replacement", "spoke_care_worker", "told_next_of_kin"):
            return self.staff(action.to, "to")
        ref = self.directory.known("person", action.to)
        person = self.directory.people.get(ref or "")
        wanted = "contact" if action.action == "told_next_of_kin" else "care_worker"
        if ref is None or person is None or person.given.role not in (wanted, "staff"):
            raise ApiProblem(400, "unknown_person", f"expected the id of a {wanted} of this desk", "to")
        return ref

    def staff(self, outside: str, path: str) -> str:
        """The minted id of a member of staff: only an identified person may take something on (spec 21.3)."""
        ref = self.directory.known("person", outside)
        person = self.directory.people.get(ref or "")
        on_duty_list = any(entry.person == outside for entry in self.config.duty)
        if ref is None or not (on_duty_list or (person is not None and person.given.role == "staff")):
            raise ApiProblem(400, "unknown_person", "expected the id of a member of staff of this desk", path)
        return ref

    def _refused(self, code: str, detail: dict[str, Any]) -> ApiProblem:
        if code == "not_found":
            return ApiProblem(404, "not_found", "there is no such alert")
        if code == "never_told":
            return ApiProblem(403, code, "this person is not to be told anything about that service user")
        if code == "reason":
            return ApiProblem(
                400, "bad_body", f"expected a reason code: {', '.join(detail['expected'])}", "reason"
            )
        if code == "not_manager":
            return ApiProblem(403, code, "expected a manager of the desk's duty list", "by")
        if code in ("raised_by", "note", "start", "at", "adequate", "safeguarding", "serious_incident"):
            return ApiProblem(400, "bad_body", f"expected {', '.join(detail['expected'])}", code)
        if code == "to":
            return ApiProblem(400, "bad_body", f"expected {detail['expected'][0]}", "to")
        if code == "alerts_open":
            return ApiProblem(
                409, code, "alerts of this digest are open: close each of them, and it ends by itself"
            )
        if code == "track":
            return ApiProblem(400, "bad_body", f"expected a track: {', '.join(detail['expected'])}", "track")
        by, worker = detail.get("by"), detail.get("worker")
        extra = {"by": self.directory.outside(by) if by else None, "at": detail.get("at")}
        if worker is not None:
            extra |= {"worker": self.directory.outside(worker), "eta_at": detail.get("eta_at")}
        return ApiProblem(409, code, FIRST.get(code, "it has ended"), extra=extra)

    # --- telephones: what comes in ---

    async def text_received(self, sender: str, body: str, provider_ref: str) -> str | None:
        """A text. Returns the automatic reply, or None; strangers get none (devices.md)."""
        try:
            line = self.directory.persons_on(e164(sender))
        except BadNumberError:
            line = None
        if line is None:
            log.warning("a text from a number that nobody is known by", desk=self.id)
            known = self.texts.strangers_line(sender)
            if known is None:
                self._metrics.quarantined("phone", "stranger")
                return None
            line = known, ()
        row, digest = self.put_aside(line[0], body.encode())
        read = read_reply(body)
        received = ReplyReceived(
            line=line[0],
            persons=line[1],
            code=read.code,
            word=read.word,
            number=read.number,
            door=read.door,
            against=read.against,
            thanks=read.thanks,
            evidence=Evidence(id=row.id, digest=digest),
            provider_ref=provider_ref,
            fingerprint=_fingerprint(self.engine.secret, f"text {provider_ref}") if provider_ref else 0,
        )
        ticket = self.tell(received, (row,))
        said = ticket.decision.answer
        recorded = await self._recorded(ticket.seq)
        if not isinstance(said, SayBack):
            return None
        template = said.template if recorded else UNRECORDED.get(said.template)
        if template is None:
            return None
        alert = self.engine.state.values.alerts.get(said.alert or "")
        return self._words().say_back(said, template, alert, self._clock.now())

    async def _recorded(self, seq: int) -> bool:
        """Whether it is on disk before the answer leaves; in degraded mode the answer says that it is not."""
        try:
            await self.engine.durable(seq)
        except Degraded:
            return False
        return True

    def at_rest(self, message: Message) -> bool:
        """Whether it goes to the home of somebody who has died, or tells anybody outside of them."""
        values = self.state.values
        if not values.died:
            return False
        alert = values.alerts.get(message.alert or "")
        visit = values.visits.get(message.visit or "")
        about = visit.service_user if visit is not None else message.about
        if alert is not None and alert.service_user is not None:
            about = alert.service_user
        return reaches_the_dead(self.directory, values.died, about, message.person, message.line or "")

    async def call_step(self, message: Message, step: str, digit: str | None) -> Script:
        """The next step of a call of ours, after what was pressed is on disk."""
        words = self._words()
        if digit is None and self.at_rest(message):
            # it rang when we heard: who has picked up is told who we are, and no more
            return words.excuse(message, self._clock.now())
        if digit is None and message.purpose == "join":
            return await self._party_picked_up(message)
        if digit is None:
            return self._step(message, words.opening(message))
        row = dialog.step_named(message.template, step)
        if row.kept or row.room:
            return await self._line_back(message, row)
        ticket = self.tell(KeyPressed(key=message.key, step=step, digit=digit))
        recorded = await self._recorded(ticket.seq)
        turn = ticket.decision.answer or dialog.Turn(step=step)
        # meanwhile it may have ended, or be somebody else's: nobody is told "it is yours" who does not have it
        truth = words.opening(message) if turn.answer == "take" else ""
        script = self._step(message, truth or turn.step)
        if not recorded and message.purpose == "offer" and turn.answer == "go":
            # nobody goes on the strength of a yes that a crash would forget
            return self._step(message, "unrecorded")
        if recorded or turn.answer is None or message.purpose != "summon":
            # a service user hears the script as it is: what troubles our disk is for staff
            return script
        unrecorded = "This cannot be recorded now, so we ask you again later. Nobody else is being told."
        return msgspec.structs.replace(script, say=(unrecorded, *script.say))

    async def _line_back(self, message: Message, row: dialog.Step) -> Script:
        """The line is open and asks on: it is kept, joined, or told what came of it; or it was joined, and is not."""
        if row.room:
            council = self._last_party(message) in {desk.ref for desk in self.state.values.council_desks}
            ticket = self.tell(LineBack(key=message.key))
            await self._recorded(ticket.seq)
            named = f"{row.back}_council"
            steps = dialog.DIALOGS[message.template].steps
            return self._step(message, named if council and named in steps else row.back)
        ticket = self.tell(LineTurn(key=message.key))
        await self._recorded(ticket.seq)
        stand = ticket.decision.answer
        script = self._step(message, row.came[stand.came])
        if stand.came == "waiting" and int(stand.waited_s) // HOLD_S % SAID_EVERY:
            return msgspec.structs.replace(script, say=())
        return script

    async def _party_picked_up(self, message: Message) -> Script:
        """Who was rung for one of ours is joined to them, if they still wait."""
        ticket = self.tell(LineAnswered(key=message.key))
        await self._recorded(ticket.seq)
        return self._step(message, "" if ticket.decision.answer.came == "joined" else "gone")

    def _last_party(self, message: Message) -> str | None:
        alert = self.state.values.alerts.get(message.alert or "")
        held = [held for held in (alert.lines if alert else ()) if held.call == message.key]
        return held[-1].other if held else None

    def _step(self, message: Message, step: str) -> Script:
        """One step of a call, with what its line does: kept, or in the room of another one. When that has just gone,
        the line goes on behind it: nobody is left in an empty room."""
        row = dialog.step_named(message.template, step)
        script = self._words().script(message, row.name, self._clock.now())
        if row.kept:
            return msgspec.structs.replace(script, hold_s=HOLD_S)
        if not row.room:
            return script
        room = lines.room_of(self.state.values.alerts.get(message.alert or ""), message.key)
        room = room or self._room_elsewhere(message.key)
        return msgspec.structs.replace(script, room=room) if room else self._step(message, row.back)

    def _room_elsewhere(self, key: str) -> str | None:
        """Who asks for help in a call about a visit waits under the alert about the help."""
        rooms = (lines.room_of(alert, key) for alert in self.state.values.alerts.values())
        return next((room for room in rooms if room is not None), None)

    async def call_status(self, callback: StatusCallback) -> None:
        """A status callback, on disk before it is answered where that is possible."""
        ticket = self.tell(_delivery(callback))
        await self._recorded(ticket.seq)

    # --- the answerphone ---

    async def answerphone(self, alert: str, call: str, tries: int = 1) -> Script | None:
        """Ask the caller of this call to leave a message, once that is on disk where the disk takes it. None: it cannot
        be decided, or the alert is gone."""
        row, digest = self.put_aside(alert, call.encode())
        begins = AnswerphoneBegins(alert=alert, call=Evidence(id=row.id, digest=digest))
        try:
            ticket = self.tell(begins, (row,))
        except (DecideFailedError, Degraded) as error:
            log.error("a caller could not be recorded", desk=self.id, error=type(error).__name__)
            return None
        await self._recorded(ticket.seq)
        offer = ticket.decision.answer
        if not isinstance(offer, Offer):
            return None
        asked = Record(alert=offer.alert, longest_s=offer.longest_s, tries=tries)
        return Script(say=self.words().answerphone("hello" if tries == 1 else "unheard"), record=asked)

    async def message_left(self, left: LeftMessage) -> Script:
        """What the network says of the answerphone (`connectors.ports.Desks`)."""
        words, silent = self.words(), left.recording is None
        if silent and left.on_line and left.tries < ASKED_TO_SPEAK:
            again = await self.answerphone(left.alert, left.call, left.tries + 1)
            if again is not None:
                return again
        recording, rows = None, tuple[EvidenceRow, ...]()
        if left.recording is not None:
            row, digest = self.put_aside(left.alert, left.recording.encode())
            recording, rows = Evidence(id=row.id, digest=digest), (row,)
        heard = AnswerphoneHeard(
            alert=left.alert,
            recording=recording,
            fingerprint=_fingerprint(self.engine.secret, f"recording {left.recording}") if recording else 0,
            seconds=left.seconds,
            last=left.on_line or left.tries >= ASKED_TO_SPEAK,
        )
        ticket = self.tell(heard, rows)
        if left.on_line:
            await self._recorded(ticket.seq)
        else:
            await self.engine.durable(ticket.seq)
        alert = self.state.values.alerts.get(left.alert)
        withheld = alert is not None and alert.line is None
        step = "thanks" if not silent else "nothing_withheld" if withheld else "nothing"
        return Script(say=words.answerphone(step), hang_up=True)

    def call_received(self, caller: str) -> Script | None:
        """A call to our number is put through to the office's own telephone (wording.md SUV-5). None: those on duty are
        rung for it, because an open alert concerns the caller, or because we would answer that telephone ourselves."""
        config = self.config
        dead = config.telephone is None or config.telephone in (*config.numbers, *config.checkin_numbers)
        if dead or config.telephone is None or self._concerned(caller):
            return None
        return self._words().plain_call(config.telephone)

    def _concerned(self, caller: str) -> bool:
        """A service user with an open alert, or one of their next of kin, is on this line."""
        try:
            found = self.directory.persons_on(e164(caller))
        except BadNumberError:
            return False
        here = set(found[1]) if found else set()
        for alert in self.state.values.alerts.values():
            person = self.directory.person(alert.service_user) if alert.service_user else None
            if alert.state != "ended" and person and here & {person.ref, *person.next_of_kin}:
                return True
        return False

    # --- telephones: what goes out (monitor.outbox.Desk) ---

    def queued(self, key: str) -> Message | None:
        """The message, while it waits for its turn or its answer."""
        message = self.engine.state.values.messages.get(key)
        return message if message is not None and message.phase in ("queued", "attempted") else None

    def rank(self, key: str) -> int:
        """Its place among its equals: what is about a time-critical visit, about any other, then packages of care, a
        hospital discharge before others."""
        message, values = self.engine.state.values.messages.get(key), self.engine.state.values
        placement = values.placements.get(message.placement or "") if message is not None else None
        if placement is not None:
            return 2 if placement.package.kind == "discharge" else 3
        alert = values.alerts.get(message.alert or "") if message is not None else None
        return 0 if alert is not None and alert.time_critical else 1

    def opens_at(self, message: Message) -> datetime | None:
        """Before which it need not have its turn; None: it may have it now."""
        return core_messages.opens_at(self.state.values.messages.values(), message, self._clock.now())

    async def attempt(self, key: str) -> OutboundMessage | None:
        """Its turn has come: is it wanted, what are its words; the attempt is on disk when this returns."""
        message = self.queued(key)
        if message is None or message.phase != "queued":
            return None
        unrecorded = self.engine.reason is not None
        if unrecorded and not core_messages.may_leave_unrecorded(message):
            return None
        outbound = self.outbound(key, unrecorded=unrecorded, written=await self._quoted(message))
        if outbound is None:
            self._unsendable(message)
            return None
        row, digest = self.put_aside(key, without_links(outbound.body).encode())
        turn = SendTurn(key=key, evidence=Evidence(id=row.id, digest=digest), unrecorded=unrecorded)
        ticket = self.tell(turn, (row,))
        if ticket.decision.answer != "send":
            return None
        if not unrecorded and not await self._recorded(ticket.seq):
            # the store went away in between: nothing has left, so it waits for its turn again
            self.refused(key, "unreachable", permanent=False, possibly_repeated=False)
            return None
        return outbound

    async def _quoted(self, message: Message) -> str:
        """What the mail quotes of what somebody has written; "" where that is nothing, or cannot be read now: the
        brokerage mailbox has the bid all the same, and the page has the words."""
        quoted = self._words().quotes(message) if message.channel == "email" else None
        try:
            row = await self.engine.evidence(quoted) if quoted is not None else None
        except EdgeError as error:
            log.warning("what a mail quotes cannot be read", desk=self.id, reason=error.reason)
            return ""
        return row.body.decode(errors="replace") if row is not None else ""

    def outbound(self, key: str, *, unrecorded: bool = False, written: str = "") -> OutboundMessage | None:
        """The message as it is sent; None when it has no number, or this desk has none to send from. `written`: what a
        mail quotes."""
        message = self.engine.state.values.messages.get(key)
        if message is not None and message.channel == "email":
            return self._mail(message, written)
        number = self.directory.number(message.line) if message and message.line else None
        if message is not None and message.template in COUNCIL_CALLS:
            number = self._council_number(message.person)
        if message is None or number is None or not self.config.numbers:
            return None
        asks = message.channel == "call" or message.slot is not None
        sender = self.config.numbers[0] if asks or not self.config.sender_name else self.config.sender_name
        if unrecorded:
            message = msgspec.structs.replace(message, unrecorded=True)
        return OutboundMessage(
            key=key,
            desk=self.id,
            channel=message.channel,
            to=number,
            sender=sender,
            body=self._body(message),
            ring_s=message.ring_s,
            validity_s=max(int((message.expires_at - self._clock.now()).total_seconds()), 1),
        )

    def _council_number(self, desk: str) -> str | None:
        """A council desk is no person: its number stands in the configuration."""
        found = self.council_desk(desk)
        return found.phone if found is not None else None

    def council_desk(self, desk: str) -> CouncilDeskEntry | None:
        """A council desk as it is configured, by its minted id."""
        ref = self.directory.ref
        return next((c for c in self.config.council_desks if ref("council_desk", c.name) == desk), None)

    def _mail(self, message: Message, written: str) -> OutboundMessage | None:
        council = self.council_desk(message.person)
        address = council.email if council is not None else self.directory.address(message.person)
        if message.person == self.directory.known("mailbox", MAILBOX):
            address = self.config.mailbox
        if address is None:
            return None
        return OutboundMessage(
            key=message.key,
            desk=self.id,
            channel="email",
            to=address,
            sender="",
            body=self._body(message, written),
        )

    def _body(self, message: Message, written: str = "") -> str:
        """The words. If they cannot be filled in, a plain line leaves all the same: a summons is never lost to a
        template."""
        words, now = self._words(), self._clock.now()
        try:
            if message.channel == "call":
                return " ".join(words.script(message, words.opening(message), now).say)
            return (
                words.mail(message, now, written) if message.channel == "email" else words.text(message, now)
            )
        except (ValueError, KeyError) as error:
            log.error("words cannot be filled in", template=message.template, error=type(error).__name__)
            if message.purpose == "summon":
                return f"{self.config.name}: please look at the board, something needs you."
            # whoever reads it may know nothing of a board, and nothing of whom it is about
            return f"{self.config.name}: please ring us. {words.tel}".strip()

    def _unsendable(self, message: Message) -> None:
        """No number, or no number of ours: the core advances the ladder at once."""
        row, digest = self.put_aside(message.key, b"")
        turn = SendTurn(key=message.key, evidence=Evidence(id=row.id, digest=digest))
        if self.tell(turn, (row,)).decision.answer == "send":
            self.refused(message.key, "bad_number", permanent=True, possibly_repeated=False)

    def accepted(self, key: str, provider_ref: str, *, found: bool) -> None:
        """The provider has it."""
        self.tell(SendReported(key=key, result="accepted", provider_ref=provider_ref, found=found))

    def refused(self, key: str, reason: str, *, permanent: bool, possibly_repeated: bool) -> None:
        """The provider did not take it, or nobody knows."""
        self.tell(
            SendReported(
                key=key,
                result="failed",
                reason=reason,
                permanent=permanent,
                possibly_repeated=possibly_repeated,
            )
        )

    def reported(self, callback: StatusCallback) -> None:
        """The provider's word on a message that was asked for."""
        self.tell(_delivery(callback))


def _delivery(callback: StatusCallback) -> DeliveryReported:
    return DeliveryReported(
        key=callback.key,
        status=callback.status,
        sequence=callback.sequence,
        answered_by=callback.answered_by,
        provider_ref=callback.provider_ref,
    )


@lru_cache(maxsize=4096)
def _keyed(secret: bytes) -> hashlib.blake2b:
    """A desk's keyed hash before it has eaten anything: a copy of it costs a twentieth of a new one."""
    return hashlib.blake2b(digest_size=8, key=secret)


def _fingerprint(secret: bytes, natural_key: str) -> int:
    """63 bits by which a check-in that comes again is known."""
    keyed = _keyed(secret).copy()
    keyed.update(natural_key.encode())
    return int.from_bytes(keyed.digest(), "big") >> 1


def _position(seen: SeenCheckIn) -> Position | None:
    if seen.lat is None or seen.lon is None:
        return None
    return Position(
        lat=seen.lat, lon=seen.lon, accuracy_m=seen.accuracy_m if seen.accuracy_m is not None else 50.0
    )


def _edge(error: Exception) -> EdgeError:
    return error if isinstance(error, EdgeError) else EdgeError("decide_failed", permanent=True)
