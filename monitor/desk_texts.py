"""Texts that nobody has answered, at the edge of one desk: what a stranger writes, and the page on which staff read.

The words are evidence and the number stands in the directory: both are shown on that page alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from connectors.ports import ApiProblem, TextsReadIn
from monitor.core import texts
from monitor.core.inputs import TextsRead
from monitor.core.state import Unread
from monitor.core.views import BoardText, TextsPage, TextsView
from monitor.directory import BadNumberError, e164

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell

log = structlog.get_logger("desk")

SAID = {
    "already_seen": "somebody has seen these texts already",
    "wrote_again": "they have written again since you looked: please read that too",
}
"""Why nothing changed, by the core's reason."""


class Texts:
    """What the edge does about texts of one desk that answered nothing."""

    def __init__(self, shell: DeskShell) -> None:
        self._shell = shell

    def strangers_line(self, sender: str) -> str | None:
        """The line of a number by which nobody is known, if one more text of it is kept. None where it is not: the list
        is full, or the sender is no number."""
        values, directory = self._shell.state.values, self._shell.directory
        try:
            number = e164(sender)
        except BadNumberError:
            return None
        # nothing is minted for what is not kept
        if not texts.takes(values, directory.known("line", number)):
            return None
        return directory.ref("line", number)

    # --- what people do ---

    async def read(self, line: str, said: TextsReadIn) -> None:
        """A named person has seen or answered them. Raises ApiProblem 400, 404, 409."""
        shell = self._shell
        seen = TextsRead(line=line, by=shell.staff(said.by, "by"), outcome=said.outcome, last=said.last)
        ticket = shell.tell(seen)
        # a refusal speaks of what somebody else did: that must be on disk too before it is told
        await shell.engine.durable(ticket.seq)
        refusal = ticket.decision.refusal
        if refusal is None:
            return
        if refusal.code == "not_found":
            raise ApiProblem(404, "not_found", "nothing waits from there")
        by = refusal.detail["by"]
        first = {"by": shell.directory.outside(by) if by else None, "at": refusal.detail["at"]}
        raise ApiProblem(409, refusal.code, SAID[refusal.code], extra=first)

    # --- what is shown ---

    def page(self, now: datetime, reader: str | None) -> TextsPage:
        """What the page of texts shows, without the words. `reader`: who looks, by the caller's id."""
        who = self._shell.directory.known("person", reader) if reader else None
        known = sorted(self._shell.state.values.unread.values(), key=lambda one: (one.last_at, one.line))
        waiting = [self._view(one, who) for one in known if one.waits]
        return TextsPage(
            desk=self._shell.id,
            name=self._shell.config.name,
            now=now,
            zone=self._shell.state.values.policy.zone,
            waiting=tuple(waiting),
            seen=tuple(self._view(one, who) for one in reversed(known) if not one.waits),
            full=sum(1 for one in waiting if one.unknown) >= texts.STRANGERS,
        )

    def _view(self, one: Unread, reader: str | None) -> TextsView:
        directory = self._shell.directory
        people = [directory.people[ref] for ref in one.persons if ref in directory.people]
        return TextsView(
            id=one.line,
            who=tuple(directory.full_name(ref) for ref in one.persons),
            roles=tuple(dict.fromkeys(person.given.role for person in people)),
            number=directory.number(one.line),
            unknown=not one.persons,
            first_at=one.first_at,
            last_at=one.last_at,
            count=one.count,
            at_most=not one.persons and one.count >= texts.OF_ONE,
            last=one.last,
            withheld=reader is not None and self._withheld(one, reader),
            seen_by=directory.outside(one.seen_by) if one.seen_by else None,
            seen_at=one.seen_at,
            outcome=one.outcome,
        )

    def _withheld(self, one: Unread, reader: str) -> bool:
        """Whether it is written by next of kin of somebody of whom this reader is never to be told."""
        views = (person.view for person in self._shell.directory.people.values())
        return any(
            reader in view.plan.never_tell and not set(one.persons).isdisjoint(view.next_of_kin)
            for view in views
        )

    def evidence_of(self, view: TextsView) -> tuple[str, ...]:
        """Where the words stand, the oldest first."""
        one = self._shell.state.values.unread.get(view.id)
        return tuple(words.id for words in one.words) if one is not None and not view.withheld else ()


def on_board(one: TextsView) -> BoardText:
    """A line of the board: who, when, how many; neither words nor number."""
    return BoardText(
        id=one.id, who=one.who, unknown=one.unknown, last_at=one.last_at, count=one.count, at_most=one.at_most
    )
