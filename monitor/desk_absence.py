"""Absences and deaths at the edge of one desk: bodies of the contract to inputs, refusals to answers, state to views.

A note is what somebody said, in words: it goes to the evidence, and the fact holds its id and digest alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.ports import AbsenceActionIn, AbsenceIn, ApiProblem, DeathIn, EvidenceRow
from monitor.core.inputs import AbsenceActed, AbsenceTold, DeathTold, Evidence
from monitor.core.views import AbsenceView, AwayPage, DeathView
from monitor.reads import Reads

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell

SAID = {
    "already_away": (409, "an absence of this person is recorded already"),
    "already_ended": (409, "this absence has ended"),
    "already_confirmed": (409, "this absence is confirmed already"),
    "already_recorded": (409, "this is recorded already"),
    "not_recorded": (409, "no death is recorded of this person"),
    "not_confirmed": (409, "nobody has confirmed this absence yet"),
    "died": (409, "it is recorded that this person has died"),
    "not_supervisor": (403, "expected a person of the duty list whose word counts for this"),
    "not_manager": (403, "expected a manager of the duty list"),
}
"""Why nothing changed, in words, by the core's reason."""


class Absences:
    """What the edge does about absences and deaths of one desk."""

    def __init__(self, shell: DeskShell) -> None:
        self._shell = shell

    # --- what is told ---

    async def report(self, said: AbsenceIn) -> AbsenceView:
        """Somebody is away. Raises ApiProblem 400, 403, 404, 409."""
        shell, now = self._shell, self._shell.now()
        rows, note = self._note(said.note, "note", needed=True)
        assert note is not None
        told = AbsenceTold(
            service_user=self._service_user(said.service_user),
            reason=said.reason,
            from_at=(said.from_at or now).astimezone(UTC),
            review_at=said.review_at.astimezone(UTC),
            raised_by=said.raised_by,
            by=shell.staff(said.by, "by"),
            note=note,
            spoke_to=said.spoke_to,
            at=now,
            return_at=said.return_at.astimezone(UTC) if said.return_at is not None else None,
            home_from=said.home_from,
            weekly=said.weekly,
        )
        ref = await self._told(told, rows)
        return self._view(ref)

    async def act(self, absence: str, action: AbsenceActionIn) -> AbsenceView:
        """A named person did something about it. Raises ApiProblem 400, 403, 404, 409."""
        shell, now = self._shell, self._shell.now()
        rows, note = self._note(action.note, "note", needed=False)
        acted = AbsenceActed(
            absence=absence,
            action=action.action,
            by=shell.staff(action.by, "by"),
            at=action.at.astimezone(UTC) if action.at is not None else now,
            spoke_to=action.spoke_to,
            review_at=action.review_at.astimezone(UTC) if action.review_at is not None else None,
            outcome=action.outcome,
            return_at=action.return_at.astimezone(UTC) if action.return_at is not None else None,
            home_from=action.home_from,
            day=action.day,
            note=note,
        )
        return self._view(await self._told(acted, rows))

    async def died(self, person: str, said: DeathIn, *, undo: bool) -> DeathView:
        """A death is recorded, or taken back. Raises ApiProblem 400, 403, 404, 409."""
        shell, now = self._shell, self._shell.now()
        rows, note = self._note(said.note, "note", needed=True)
        assert note is not None
        ref = self._service_user(person)
        told = DeathTold(service_user=ref, by=shell.staff(said.by, "by"), at=now, note=note, undo=undo)
        visits = await self._told(told, rows)
        return self._reads().death(ref, visits=visits)

    def _note(
        self, words: str | None, path: str, *, needed: bool
    ) -> tuple[tuple[EvidenceRow, ...], Evidence | None]:
        if words is None or not words.strip():
            if needed:
                raise ApiProblem(400, "missing", "expected who said so, in words", path)
            return (), None
        row, digest = self._shell.put_aside("absence", words.encode())
        return (row,), Evidence(id=row.id, digest=digest)

    def _service_user(self, outside: str) -> str:
        directory = self._shell.directory
        ref = directory.known("person", outside)
        person = directory.people.get(ref or "")
        if ref is None or person is None or person.given.role != "service_user":
            raise ApiProblem(
                404, "unknown_person", "this desk has no service user with this id", "service_user"
            )
        return ref

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
            return ApiProblem(404, "not_found", "there is no such absence")
        if code not in SAID:
            return ApiProblem(400, "bad_body", f"expected {', '.join(detail['expected'])}", code)
        status, words = SAID[code]
        by = detail.get("by")
        extra: dict[str, Any] = {}
        if status == 409 and "at" in detail:
            extra = {"by": self._shell.directory.outside(by) if by else None, "at": detail.get("at")}
        if "absence" in detail:
            extra["absence"] = detail["absence"]
        return ApiProblem(status, code, words, extra=extra)

    # --- what is shown ---

    def _reads(self) -> Reads:
        return self._shell.reads

    def _view(self, ref: str) -> AbsenceView:
        return self._reads().absence(self._shell.state.values.absences[ref])

    async def one(self, ref: str) -> AbsenceView:
        """One absence. Raises ApiProblem 404."""
        absence = self._shell.state.values.absences.get(ref)
        if absence is None:
            raise ApiProblem(404, "not_found", "there is no such absence")
        view = self._reads().absence(absence)
        await self._shell.engine.durable()
        return view

    async def all(self, *, only_open: bool) -> list[AbsenceView]:
        """All that are open, or have ended a short while ago; those that somebody must answer for first."""
        found = self._reads().absences(only_open=only_open)
        await self._shell.engine.durable()
        return found

    async def death(self, person: str) -> DeathView:
        """What is recorded of a service user's death. Raises ApiProblem 404."""
        view = self._reads().death(self._service_user(person))
        await self._shell.engine.durable()
        return view

    def page(self, now: datetime) -> AwayPage:
        """What the page of those away shows, with names: for the desk's own people."""
        return self._reads().away_page(desk=self._shell.id, name=self._shell.config.name, now=now)
