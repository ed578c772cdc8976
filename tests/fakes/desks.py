"""A fake of `connectors.ports.Desks`: what a connector's test needs of the shell, in memory, with faults to set.

It decides nothing about visits. It stores check-ins, remembers what was put aside and counted, answers reads from
lists that the test fills, and can be told that the store is away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec

from config.policy import Calendar, DeskKind
from config.tokens import hash_token
from connectors.ports import (
    GENESIS,
    AbsenceActionIn,
    AbsenceIn,
    ActionIn,
    ApiProblem,
    Credential,
    DeathIn,
    Degraded,
    HomeConfirmedIn,
    Reason,
    Record,
    SeenCheckIn,
    StatusCallback,
    WeatherIn,
    chain_hash,
)
from monitor.core.inputs import Outcome, Source
from monitor.core.placing.views import AreasView, PlacementsPage
from monitor.core.views import (
    AbsenceView,
    AlertPage,
    AlertView,
    AwayPage,
    BoardAbsence,
    BoardAlert,
    BoardView,
    CandidateView,
    CheckInAnswer,
    ContactView,
    DeathView,
    PeopleAnswer,
    PracticeView,
    RecordLine,
    RecordView,
    ReferralsPage,
    ReferralView,
    RotaAnswer,
    Script,
    TrackView,
    VisitView,
    WeatherView,
)

NOW = datetime(2026, 11, 23, 8, 2, tzinfo=UTC)
"""A Monday morning, an hour after the first visits."""


def record(seq: int, body: str = "{}", *, desk: str = "dom", prev: bytes = GENESIS) -> Record:
    """A fact of a desk's journal, rightly chained to `prev`."""
    at = "2026-11-23T08:02:00Z"
    digest = chain_hash(prev, desk, seq, at, None, "CheckInRecorded", 1, "v1", "c1", 1, "p", body)
    return Record(
        seq=seq,
        at=at,
        due_at=None,
        kind="CheckInRecorded",
        v=1,
        subject="v1",
        cause="c1",
        people_rev=1,
        policy="p",
        body=body,
        prev=prev,
        hash=digest,
    )


def alert_view(alert_id: str = "al-1", **changes: Any) -> AlertView:
    """An open late-visit alert: due 07:30, raised 08:00, nobody has it."""
    alert = AlertView(
        id=alert_id,
        kind="late_visit",
        visit="v-1",
        service_user="su-1187",
        due_at=NOW - timedelta(minutes=2),
        opened_at=NOW - timedelta(minutes=2),
        lateness_s=0.0,
        state="open",
        ended_reason=None,
        ended_at=None,
        tracks=(
            TrackView(
                name="summon", step="trying", next_at=NOW + timedelta(minutes=3), reason="office_hours"
            ),
            TrackView(name="reassure", step="trying", next_at=NOW + timedelta(minutes=1)),
        ),
        contacts=(contact("k1", "st-1", "summon", "sms", "delivered"),),
        taken_by=None,
        taken_at=None,
        time_critical=False,
    )
    return msgspec.structs.replace(alert, **changes)


def contact(
    key: str, person: str, purpose: Any, channel: Any, result: Any, proof: str | None = None
) -> ContactView:
    """One message of an alert, a minute old."""
    at = NOW - timedelta(minutes=1)
    return ContactView(
        key=key,
        person=person,
        purpose=purpose,
        channel=channel,
        intended_at=at,
        attempted_at=at,
        settled_at=at,
        result=result,
        proof=proof,
        possibly_repeated=False,
    )


def on_board(alert: AlertView, who: str = "E. 1187", carer: str | None = "D.", **changes: Any) -> BoardAlert:
    """The alert with the words that the desk's own people see."""
    one = BoardAlert(
        alert=alert,
        who=who,
        carer=carer,
        start=alert.due_at - timedelta(minutes=30),
        taken_by_name=None,
        doing="Ringing E. now, for the second time.",
    )
    return msgspec.structs.replace(one, **changes)


def board_view(desk: str = "dom", **changes: Any) -> BoardView:
    """A quiet desk that watches all of the 61 visits that are due."""
    view = BoardView(
        desk=desk,
        name="Bright Care",
        now=NOW,
        zone="Europe/London",
        degraded=False,
        public="auto",
        alerts=(),
        dark=(),
        unwatched=(),
        visits=(),
        watched=61,
        due_so_far=61,
        last_checkin_at=NOW - timedelta(seconds=12),
        next_deadline_at=NOW + timedelta(minutes=3),
        broker="ok",
        telephones="ok",
    )
    return msgspec.structs.replace(view, **changes)


class FakeDesks:
    """Two desks, `dom` and `eve`, unless told otherwise. Every list that a test asserts on is public."""

    def __init__(
        self, ids: Sequence[str] = ("dom", "eve"), credentials: Mapping[str, Credential] | None = None
    ) -> None:
        self.ids = list(ids)
        self.councils: set[str] = set()
        self.credentials = dict(credentials or {})
        self.devices: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self.seen: list[tuple[str, SeenCheckIn]] = []
        self.put_aside: list[tuple[str, Reason, bytes, str | None]] = []
        self.counts: list[tuple[str, Source, Outcome]] = []
        self.feeds: list[tuple[str, str]] = []
        self.people: list[tuple[str, list[Any]]] = []
        self.practised: list[tuple[str, str, str]] = []
        self.referrals_told: list[tuple[str, Any, Any]] = []
        self.absences_told: list[tuple[str, Any]] = []
        self.rotas: list[tuple[str, dict[str, Any], str]] = []
        self.weather_said: list[tuple[str, WeatherIn]] = []
        self.weather_view = WeatherView(declared=False)
        self.visit_views: list[VisitView] = []
        self.asked_days: list[date | None] = []
        self.alert_views: dict[str, AlertView] = {}
        self.records: dict[str, tuple[RecordLine, ...]] = {}
        self.pages: dict[str, dict[str, Any]] = {}
        """By alert: what of its page is other than nothing."""
        self.actions: list[tuple[str, str, ActionIn]] = []
        self.journal: dict[str, list[Record]] = {}
        self.boards: dict[str, BoardView] = {}
        self.statuses: list[StatusCallback] = []
        self.degraded = False
        self.stuck = False
        self.broken: Exception | None = None
        self.sound: bytes | Exception | None = None
        self.refuses: ApiProblem | None = None
        self.is_ready = True
        self.told: dict[str, list[bytes]] = {}
        self.watchers = 0
        self._moved = asyncio.Condition()
        self._seq = 0

    # what a test does

    async def move(self) -> None:
        """Something became durable: everybody who waits for a change or a fact wakes up."""
        async with self._moved:
            self._seq += 1
            self._moved.notify_all()

    async def add_facts(self, desk: str, bodies: Iterable[str]) -> None:
        """More facts, in order, chained."""
        journal = self.journal.setdefault(desk, [])
        for body in bodies:
            prev = journal[-1].hash if journal else GENESIS
            journal.append(record(len(journal) + 1, body, desk=desk, prev=prev))
        await self.move()

    async def raise_alert(self, one: BoardAlert, desk: str = "dom") -> None:
        """An alert appears, on the board too."""
        self.alert_views[one.alert.id] = one.alert
        view = self.boards.get(desk, board_view(desk))
        self.boards[desk] = msgspec.structs.replace(view, alerts=(*view.alerts, one))
        await self.move()

    def _check_store(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.degraded:
            raise Degraded("full", "the store is full")

    def _check_desk(self, desk: str) -> None:
        assert desk in self.ids, f"the connector let an unknown desk through: {desk}"
        self._check_store()

    # the port

    def desk_ids(self) -> Sequence[str]:
        return self.ids

    def credential(self, secret: str) -> Credential | None:
        return self.credentials.get(secret)

    def standing(self, token_hash: str) -> Credential | None:
        found = (who for secret, who in self.credentials.items() if hash_token(secret) == token_hash)
        return next(found, None)

    def calendar(self, desk: str) -> Calendar:
        return Calendar()

    async def placements_page(self, desk: str) -> PlacementsPage:
        return PlacementsPage(
            desk=desk,
            name="Bright Brokerage",
            now=NOW,
            degraded=self.degraded,
            placements=(),
            names={},
            areas=AreasView(areas=(), kinds=(), unconfirmed=(), specialisms=()),
            providers=(),
            brokers=(),
        )

    def desk_kind(self, desk: str) -> DeskKind | None:
        if desk not in self.ids:
            return None
        return "council" if desk in self.councils else "provider"

    def desk_of_device(self, device: str) -> str | None:
        return self.devices.get(device)

    def desk_of_number(self, number: str) -> str | None:
        return self.numbers.get(number)

    def check_in(self, desk: str, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        assert desk in self.ids
        if self.broken is not None:
            raise self.broken
        known = any(old.natural_key == seen.natural_key for _, old in self.seen)
        self.seen.append((desk, seen))
        future: asyncio.Future[CheckInAnswer] = asyncio.get_running_loop().create_future()
        if self.stuck:
            return future
        if self.degraded:
            future.set_exception(Degraded("full", "the store is full"))
            return future
        outcome: Outcome = "duplicate" if known else "arrived"
        future.set_result(
            CheckInAnswer(id=seen.id, stored=True, outcome=outcome, visit=seen.visit, seq=len(self.seen))
        )
        return future

    async def durable(self, desk: str) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: not self.degraded)

    async def quarantine(self, source: str, reason: Reason, raw: bytes, desk: str | None = None) -> None:
        self._check_store()
        self.put_aside.append((source, reason, raw, desk))

    def commands(self, desk: str, device: str) -> Sequence[bytes]:
        return self.told.pop(device, [])

    def feed_changed(self, feed: str, state: Literal["up", "down", "drained", "unknown"]) -> None:
        self.feeds.append((feed, state))

    def counted(self, desk: str, source: Source, outcome: Outcome) -> None:
        self.counts.append((desk, source, outcome))

    async def put_people(self, desk: str, people: Sequence[Any]) -> PeopleAnswer:
        self._check_desk(desk)
        if self.refuses is not None:
            raise self.refuses
        self.people.append((desk, list(people)))
        return PeopleAnswer(new=len(people), changed=0, unchanged=0, problems=())

    async def confirm_home(self, desk: str, visit: str, home: HomeConfirmedIn) -> VisitView:
        self._check_desk(desk)
        for one in self.visit_views:
            if one.id == visit:
                return msgspec.structs.replace(one, home_confirmed_at=home.at or NOW)
        raise ApiProblem(404, "not_found", "there is no such visit")

    async def practise(self, desk: str, person: str, by: str) -> PracticeView:
        self._check_desk(desk)
        self.practised.append((desk, person, by))
        return PracticeView(person=person, by=by, result="intended", asked_at=NOW)

    async def practice(self, desk: str, person: str) -> PracticeView:
        self._check_desk(desk)
        return PracticeView(person=person)

    def absence_view(self, absence: str, **more: Any) -> AbsenceView:
        known: dict[str, Any] = {
            "id": absence,
            "service_user": "su-1",
            "reason": "hospital",
            "from_at": NOW,
            "review_at": NOW + timedelta(days=3),
            "state": "unconfirmed",
            "raised_by": "care_worker",
            "by": "st-1",
            "said_at": NOW,
        }
        return AbsenceView(**(known | more))

    async def report_absence(self, desk: str, said: AbsenceIn) -> AbsenceView:
        self._check_desk(desk)
        self.absences_told.append((desk, said))
        return self.absence_view("b1")

    async def act_on_absence(self, desk: str, absence: str, action: AbsenceActionIn) -> AbsenceView:
        self._check_desk(desk)
        self.absences_told.append((desk, action))
        return self.absence_view(absence)

    async def absence(self, desk: str, absence: str) -> AbsenceView:
        self._check_desk(desk)
        return self.absence_view(absence)

    async def absences(self, desk: str, only_open: bool) -> list[AbsenceView]:
        self._check_desk(desk)
        return [self.absence_view("b1")] if only_open else []

    async def record_death(self, desk: str, person: str, said: DeathIn, *, undo: bool) -> DeathView:
        self._check_desk(desk)
        self.absences_told.append((desk, said))
        return DeathView(person=person, died=not undo, by=said.by, at=NOW)

    async def death(self, desk: str, person: str) -> DeathView:
        self._check_desk(desk)
        return DeathView(person=person, died=False)

    def referral_view(self, referral: str, **more: Any) -> ReferralView:
        known: dict[str, Any] = {
            "id": referral,
            "kind": "standard",
            "state": "open",
            "source": "api",
            "arrived_at": NOW,
            "logged_at": NOW,
            "answer_by": NOW + timedelta(hours=2),
            "half_at": NOW + timedelta(hours=1),
            "last_at": NOW + timedelta(minutes=110),
        }
        return ReferralView(**(known | more))

    async def log_referral(self, desk: str, given: Any, source: Any) -> ReferralView:
        self.referrals_told.append((desk, given, source))
        return self.referral_view("rf1", kind=given.kind, source=source)

    async def mail_referral(self, desk: str, mail: Any, kind: Any, council: Any) -> ReferralView:
        self.referrals_told.append((desk, mail, (kind, council)))
        return self.referral_view("rf1", source="email")

    async def act_on_referral(self, desk: str, referral: str, action: Any) -> ReferralView:
        self.referrals_told.append((desk, action, referral))
        return self.referral_view(referral)

    async def referral(self, desk: str, referral: str) -> ReferralView:
        return self.referral_view(referral)

    async def referrals(self, desk: str, only_open: bool) -> list[ReferralView]:
        return [self.referral_view("rf1")]

    async def referrals_page(self, desk: str) -> ReferralsPage:
        waiting = (self.referral_view("rf1"),)
        return ReferralsPage(desk=desk, name="Bright Care", now=NOW, zone="Europe/London", waiting=waiting)

    async def away_page(self, desk: str) -> AwayPage:
        self._check_desk(desk)
        away = (BoardAbsence(absence=self.absence_view("b1"), who="Edna"),)
        return AwayPage(
            desk=desk,
            name="Bright Care",
            now=NOW,
            zone="Europe/London",
            away=away,
            homes={"su-1": "Edna"},
            died={},
        )

    async def say_weather(self, desk: str, said: WeatherIn) -> WeatherView:
        self._check_desk(desk)
        if self.refuses is not None:
            raise self.refuses
        self.weather_said.append((desk, said))
        return WeatherView(declared=True, id="w1", by=said.by, until=said.until)

    async def weather(self, desk: str) -> WeatherView:
        self._check_desk(desk)
        return self.weather_view

    async def put_rota(self, desk: str, body: dict[str, Any], by: str) -> RotaAnswer:
        self._check_desk(desk)
        if self.refuses is not None:
            raise self.refuses
        self.rotas.append((desk, body, by))
        count = len(body["visits"])
        return RotaAnswer(new=count, changed=0, cancelled=0, unchanged=0, watched=count, problems=())

    async def visits(self, desk: str, day: date | None) -> list[VisitView]:
        self._check_desk(desk)
        self.asked_days.append(day)
        return self.visit_views

    async def alerts(
        self, desk: str, only_open: bool, *, unchecked: bool = False, unwritten: bool = False
    ) -> list[AlertView]:
        self._check_desk(desk)
        found = [one for one in self.alert_views.values() if not only_open or one.state != "ended"]
        found = [one for one in found if not unwritten or (one.notice is not None and one.notice.by is None)]
        return [one for one in found if not unchecked or (one.check is not None and one.check.by is None)]

    async def alert(self, desk: str, alert_id: str) -> AlertView | None:
        self._check_desk(desk)
        return self.alert_views.get(alert_id)

    async def record(self, desk: str, alert_id: str) -> RecordView | None:
        self._check_desk(desk)
        alert = self.alert_views.get(alert_id)
        return RecordView(alert=alert, lines=self.records.get(alert_id, ())) if alert is not None else None

    async def candidates(self, desk: str, alert_id: str) -> Sequence[CandidateView] | None:
        self._check_desk(desk)
        return self.page_of(desk, alert_id).candidates if alert_id in self.alert_views else None

    async def recording(self, alert: str) -> bytes | None:
        if isinstance(self.sound, Exception):
            raise self.sound
        return self.sound

    async def alert_page(self, desk: str, alert_id: str, reader: str | None) -> AlertPage | None:
        assert desk in self.ids
        if self.broken is not None:
            raise self.broken
        return self.page_of(desk, alert_id) if alert_id in self.alert_views else None

    def page_of(self, desk: str, alert_id: str) -> AlertPage:
        alert = self.alert_views[alert_id]
        view = self.boards.get(desk, board_view(desk))
        on = next((one for one in view.alerts if one.alert.id == alert_id), None)
        nameless = BoardAlert(
            alert=alert, who=alert.service_user or "", carer=None, start=None, taken_by_name=None, doing=""
        )
        page = AlertPage(
            one=on or nameless,
            signal="known",
            council=None,
            record=self.records.get(alert_id),
            names={},
            telephones=(),
            candidates=(),
            script=None,
        )
        return msgspec.structs.replace(page, **self.pages.get(alert_id, {}))

    async def act(self, desk: str, alert_id: str, action: ActionIn) -> AlertView:
        self._check_desk(desk)
        alert = self.alert_views.get(alert_id)
        if alert is None:
            raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id", "id")
        if action.action == "take" and alert.taken_by not in (None, action.by):
            raise ApiProblem(409, "taken", f"{alert.taken_by} has it", extra={"taken_by": alert.taken_by})
        self.actions.append((desk, alert_id, action))
        changed = self._after(alert, action)
        self.alert_views[alert_id] = changed
        self._show(desk, changed)
        await self.move()
        return changed

    def _after(self, alert: AlertView, action: ActionIn) -> AlertView:
        if action.action == "take":
            return msgspec.structs.replace(alert, state="taken", taken_by=action.by, taken_at=NOW)
        if action.action == "close":
            return msgspec.structs.replace(
                alert, state="ended", ended_reason="outcome_recorded", ended_at=NOW
            )
        return alert

    def _show(self, desk: str, alert: AlertView) -> None:
        view = self.boards.get(desk)
        if view is not None:
            alerts = tuple(
                msgspec.structs.replace(one, alert=alert, taken_by_name=alert.taken_by)
                if one.alert.id == alert.id
                else one
                for one in view.alerts
            )
            self.boards[desk] = msgspec.structs.replace(view, alerts=alerts)

    async def facts(self, desk: str, after: int, wait_s: float) -> list[Record]:
        self._check_desk(desk)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._moved:
                await self._moved.wait_for(lambda: len(self.journal.get(desk, ())) > after)
        return self.journal.get(desk, [])[after : after + 1000]

    async def board(self, desk: str) -> BoardView:
        assert desk in self.ids
        if self.broken is not None:
            raise self.broken
        view = self.boards.get(desk, board_view(desk))
        return msgspec.structs.replace(view, degraded=self.degraded or view.degraded)

    async def changes(self, desk: str) -> AsyncIterator[int]:
        seen = self._seq
        self.watchers += 1
        try:
            while True:
                async with self._moved:
                    while self._seq <= seen:
                        await self._moved.wait()
                    seen = self._seq
                yield seen
        finally:
            self.watchers -= 1

    async def sms_received(self, to: str, sender: str, body: str, provider_ref: str) -> str | None:
        return None

    async def call_received(self, to: str, caller: str, provider_ref: str) -> Script:
        return Script(say=("Hello.",))

    async def call_step(self, key: str, step: str, digit: str | None) -> Script:
        return Script(say=("Hello.",))

    async def call_status(self, callback: StatusCallback) -> None:
        self.statuses.append(callback)

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "degraded": self.degraded, "dark": [], "overdue": 0}

    def ready(self) -> bool:
        return self.is_ready
