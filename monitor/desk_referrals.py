"""Councils' referrals at the edge of one desk: bodies of the contract to inputs, refusals to answers, state to views.

What a council wrote goes to the evidence; the fact holds its id and digest alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct, structs

from config.placing import PlacementKind
from connectors.ports import ApiProblem, EvidenceRow, ReferralActionIn, ReferralIn, ReferralMail
from connectors.referral_mail import subject_of
from monitor.core.inputs import DECLINE_REASONS, Evidence, ReferralActed, ReferralSeen
from monitor.core.referral_fold import Referral
from monitor.core.views import ReferralAnswerView, ReferralsPage, ReferralView, SummonsView

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell

KEPT_BYTES = 1 << 20
"""So much of a mail is kept, from its beginning: headers and words stand there, and long attachments are with the mail
itself."""
LONGEST_ID = 200
FIRST_YEAR, LAST_YEAR = 2000, 2200
SAID = {
    "already_known": (409, "another referral is logged under this id"),
    "already_taken": (409, "somebody deals with it already"),
    "already_answered": (409, "what the council was answered is recorded already"),
    "over": (409, "its time is over: record what the council was told"),
}
"""Why nothing changed, by the core's reason: who was first and when stands beside it."""
EXPECTED = {
    "arrived_at": "a time that has come",
    "answer_by": "a time after it has arrived",
    "at": "a time after it has arrived, and that has come",
    "starts_at": "the day and time at which it can start",
    "reason": f"one of {', '.join(DECLINE_REASONS)}",
}
PATHS = {"starts_at": "start"}


class Written(Struct, frozen=True, kw_only=True):
    """What is kept of what a person has logged."""

    subject: str | None = None
    text: str | None = None
    link: str | None = None


class Referrals:
    """What the edge does about referrals of one desk."""

    def __init__(self, shell: DeskShell) -> None:
        self._shell = shell

    # --- what comes in ---

    async def log(self, given: ReferralIn, source: Literal["api", "page"]) -> ReferralView:
        """A referral that somebody, or a program of theirs, has logged. Raises ApiProblem 400, 409."""
        shell = self._shell
        written = Written(subject=given.subject, text=given.text, link=given.link)
        body = msgspec.json.encode(written)
        by = shell.staff(given.by, "by") if given.by is not None else None
        if given.id is not None and not 0 < len(given.id) <= LONGEST_ID:
            raise ApiProblem(400, "wrong_type", f"expected at most {LONGEST_ID} characters", "id")
        whole = msgspec.json.encode(structs.replace(given, by=None))
        return await self._seen(
            body,
            ref=self._ref(given.id),
            package=given.kind,
            source=source,
            arrived_at=_utc(given.arrived_at, "arrived_at") or shell.now(),
            answer_by=_utc(given.answer_by, "answer_by"),
            council=self._council(given.council),
            by=by,
            fingerprint=shell.fingerprint(f"referral {whole.decode()}") if given.id is not None else 0,
        )

    async def mail(self, mail: ReferralMail, kind: PlacementKind | None, council: str | None) -> ReferralView:
        """A referral that has come by mail: its clock runs from now, whatever the mail says of itself."""
        now = self._shell.now()
        package: PlacementKind = kind or ("discharge" if mail.discharge else "standard")
        return await self._seen(
            mail.raw[:KEPT_BYTES],
            ref=self._ref(None),
            package=package,
            source="email",
            arrived_at=now,
            answer_by=self._asked_by(mail, now),
            council=self._council(council),
            by=None,
            sent_at=mail.sent_at,
            fingerprint=self._shell.fingerprint(f"mail {mail.natural_key}"),
        )

    def _asked_by(self, mail: ReferralMail, now: datetime) -> datetime | None:
        """The end that the mail names, if it lies ahead within a week: a wrong one must not stretch the clock for
        ever, nor end it before it began."""
        calendar = self._shell.state.calendar
        clock = calendar.at_local(calendar.day(now), mail.by_clock) if mail.by_clock is not None else None
        named = [
            at for at in (mail.reply_by, clock) if at is not None and now < at <= now + timedelta(days=7)
        ]
        return min(named, default=None)

    def _ref(self, outside: str | None) -> str:
        return (
            self._shell.directory.ref("referral", outside) if outside is not None else self._shell.mint("rf")
        )

    def _council(self, outside: str | None) -> str | None:
        if outside is None:
            return None
        if not 0 < len(outside) <= LONGEST_ID:
            raise ApiProblem(400, "wrong_type", f"expected at most {LONGEST_ID} characters", "council")
        return self._shell.directory.ref("council", outside)

    async def _seen(self, body: bytes, **given: Any) -> ReferralView:
        row, digest = self._shell.put_aside("referral", body)
        seen = ReferralSeen(evidence=Evidence(id=row.id, digest=digest), **given)
        return self._view(await self._told(seen, (row,)))

    # --- what people do ---

    async def act(self, referral: str, action: ReferralActionIn) -> ReferralView:
        """A named person deals with it, or has answered the council. Raises ApiProblem 400, 404, 409."""
        shell = self._shell
        rows: tuple[EvidenceRow, ...] = ()
        note = None
        if action.note is not None and action.note.strip():
            row, digest = shell.put_aside("referral", action.note.encode())
            rows, note = (row,), Evidence(id=row.id, digest=digest)
        acted = ReferralActed(
            referral=self._find(referral).ref,
            by=shell.staff(action.by, "by"),
            at=_utc(action.at, "at") or shell.now(),
            outcome=action.outcome,
            reason=action.reason,
            starts_at=_utc(action.start, "start"),
            note=note,
        )
        return self._view(await self._told(acted, rows))

    async def _told(self, seen: Any, rows: tuple[EvidenceRow, ...]) -> Any:
        ticket = self._shell.tell(seen, rows)
        # a refusal speaks of what somebody else did: that must be on disk too before it is told
        await self._shell.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is not None:
            raise self._refused(refusal.code, refusal.detail)
        return ticket.decision.answer

    def _refused(self, code: str, detail: dict[str, Any]) -> ApiProblem:
        if code == "not_found":
            return _not_found()
        if code in EXPECTED:
            return ApiProblem(400, "wrong_type", f"expected {EXPECTED[code]}", PATHS.get(code, code))
        status, words = SAID[code]
        by = detail.get("by")
        first = {"by": self._shell.directory.outside(by) if by else None, "at": detail.get("at")}
        return ApiProblem(status, code, words, extra=first)

    # --- what is shown ---

    def _find(self, outside: str) -> Referral:
        values = self._shell.state.values.referrals
        found = values.get(self._shell.directory.known("referral", outside) or outside)
        if found is None:
            raise _not_found()
        return found

    async def one(self, outside: str) -> ReferralView:
        """One referral. Raises ApiProblem 404."""
        view = self._view(self._find(outside).ref)
        await self._shell.engine.durable()
        return view

    async def all(self, *, only_open: bool) -> list[ReferralView]:
        """Those that wait, by the end of their time; then the others, the newest first."""
        found = self._all()
        await self._shell.engine.durable()
        return [one for one in found if not only_open or one.state in ("open", "taken")]

    def _all(self) -> list[ReferralView]:
        known = self._shell.state.values.referrals.values()
        waiting = sorted((one for one in known if one.waits), key=lambda one: (one.answer_by, one.ref))
        others = sorted((one for one in known if not one.waits), key=lambda one: (one.answer_by, one.ref))
        return [self._view(one.ref) for one in (*waiting, *reversed(others))]

    def page(self, now: datetime) -> ReferralsPage:
        """What the page of referrals shows."""
        found = self._all()
        return ReferralsPage(
            desk=self._shell.id,
            name=self._shell.config.name,
            now=now,
            zone=self._shell.state.values.policy.zone,
            waiting=tuple(one for one in found if one.state in ("open", "taken")),
            silent=tuple(one for one in found if one.state == "silent"),
            answered=tuple(one for one in found if one.state == "answered"),
        )

    def evidence_of(self, view: ReferralView) -> str:
        """The id of what the council wrote; "" when the referral has left the state meanwhile."""
        known = self._shell.directory.known("referral", view.id) or view.id
        found = self._shell.state.values.referrals.get(known)
        return found.evidence if found is not None else ""

    def _view(self, ref: str) -> ReferralView:
        one, out = self._shell.state.values.referrals[ref], self._shell.directory.outside
        response = (one.answer.done_at - one.arrived_at) if one.answer is not None else None
        return ReferralView(
            id=out(one.ref),
            kind=one.package,
            state=_state(one),
            source=one.source,
            arrived_at=one.arrived_at,
            logged_at=one.logged_at,
            answer_by=one.answer_by,
            half_at=one.half_at,
            last_at=one.last_at,
            council=out(one.council) if one.council else None,
            logged_by=out(one.by) if one.by else None,
            sent_at=one.sent_at,
            taken_by=out(one.taken_by) if one.taken_by else None,
            taken_at=one.taken_at,
            lapsed_at=one.lapsed_at,
            summons=tuple(
                SummonsView(
                    at=told.at,
                    mark=told.mark,
                    person=out(told.person) if told.person else None,
                    reason=told.reason,
                )
                for told in one.summons
            ),
            answer=self._answer(one),
            response_s=response.total_seconds() if response is not None else None,
            within_30_min=self._within(one, response, timedelta(minutes=30)),
            within_60_min=self._within(one, response, timedelta(hours=1)),
        )

    def _answer(self, one: Referral) -> ReferralAnswerView | None:
        if one.answer is None:
            return None
        return ReferralAnswerView(
            outcome=one.answer.outcome,
            by=self._shell.directory.outside(one.answer.by),
            at=one.answer.done_at,
            recorded_at=one.answer.recorded_at,
            late=one.answer.late,
            reason=one.answer.reason,
            start=one.answer.starts_at,
        )

    def _within(self, one: Referral, response: timedelta | None, limit: timedelta) -> bool | None:
        """Of a discharge: answered within so long; False also while nobody has answered and it has passed."""
        if one.package != "discharge":
            return None
        if response is not None:
            return response <= limit
        return False if self._shell.now() - one.arrived_at > limit else None


def _state(one: Referral) -> Literal["open", "taken", "silent", "answered"]:
    if one.answer is not None:
        return "answered"
    if one.lapsed_at is not None:
        return "silent"
    return "taken" if one.taken_by is not None else "open"


def with_words(view: ReferralView, body: bytes) -> ReferralView:
    """The view with the subject and the link of what the council wrote."""
    if view.source == "email":
        return structs.replace(view, subject=subject_of(body) or None)
    written = msgspec.json.decode(body, type=Written)
    return structs.replace(view, subject=written.subject, link=written.link)


def _utc(at: datetime | None, path: str) -> datetime | None:
    """In UTC. Raises ApiProblem(400) for a year that no arithmetic could leave, and that nobody means."""
    if at is not None and not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ApiProblem(400, "wrong_type", f"expected a time from {FIRST_YEAR} to {LAST_YEAR}", path)
    return at.astimezone(UTC) if at is not None else None


def _not_found() -> ApiProblem:
    return ApiProblem(404, "not_found", "there is no such referral")
