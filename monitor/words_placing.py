"""What is told of a package: to providers, to the brokers on duty, to the brokerage mailbox.

To a provider: ward, hours, visits, start, specialisms and its own signed link. What the referral says in words stands
on the page behind the link alone: an ordinary e-mail is a postcard, and a broker may have let through what looked like
a name (decision 0034). Nothing of what another provider did, nor whether there is one. Read from the state at the
moment of sending; who was told what stands in the facts.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from escalation.wording import Wording, render_phrase, text_day, text_time
from monitor.core.placing.model import Bid, Declined, Placement
from monitor.core.state import Message, State
from monitor.directory import Directory

LinkFor = Callable[[str, str], str]
"""The signed link of a placement for a provider, both by minted id; "" where there is no address to give."""
ROW = 180
"""Characters in one row of what somebody has written."""


class PackageWords:
    """The values of the BD texts. Reads state and directory; changes nothing."""

    def __init__(
        self,
        wording: Wording,
        state: State,
        directory: Directory,
        places: tuple[Mapping[str, str], Mapping[str, str]],
        link: LinkFor,
        board: str,
    ) -> None:
        self._wording, self._state, self._directory = wording, state, directory
        (self._areas, self._wards), self._link, self._board = places, link, board

    def values(self, message: Message, now: datetime, tel: str, *, to_provider: bool) -> dict[str, str]:
        """What may stand in a message about a package; {} when the package has left the state. What was written beside
        a bid, `words`, is the shell's to fill in (`written`)."""
        known = self._state.values.placements.get(message.placement or "")
        if known is None:
            return {}
        at = self._when(message.at, now) if message.at is not None else ""
        values = self._package(known, now) | {
            "now": self._clock(message.intended_at),
            "until": at,
            "start": at if message.template in OF_START else self._when_wanted(known, now),
            "received": self._to_the_second(message.intended_at),
            "min": str(_minutes_left(message, now)),
            "n": str(message.count) if message.count else "",
            "m": "",
            "link": self._where(known, message, tel) if to_provider else self._page(known),
            "words": "",
        }
        if message.template in OF_ROUND:
            values |= self._of_round(known)
        if message.template == "BD-14":
            values["n"] = str(message.count)
        return values | (self._own(known, message) if to_provider else self._of_provider(known, message))

    def written(self, message: Message) -> str | None:
        """The id of the evidence that a copy for the mailbox quotes; None: there is none, or it was changed since."""
        known = self._state.values.placements.get(message.placement or "")
        if known is None or message.about is None:
            return None
        bid, declined = _bid_of(known, message), _declined_of(known, message)
        evidence = bid.how if bid is not None else declined.note if declined is not None else None
        return evidence.id if evidence is not None else None

    # --- pieces ---

    def _package(self, known: Placement, now: datetime) -> dict[str, str]:
        said = known.package
        visits = ", ".join(str(minutes) for minutes in said.visits)
        by_day = "package_visits_1" if len(said.visits) == 1 else "package_visits"
        return {
            "ref": self._directory.outside(known.ref),
            "kind": self._say(f"package_{said.kind}"),
            "ward": self._place(known),
            "hours": f"{said.minutes_week / 60:.2f}".rstrip("0").rstrip("."),
            "visits": self._say(by_day, n=str(len(said.visits)), list=visits) if visits else "",
            "workers": self._say(f"package_workers_{said.care_workers}"),
            "critical": self._say("package_critical") if said.time_critical else "",
            "needs": ", ".join(said.specialisms),
            "discharge": self._when(said.discharge_at, now) if said.discharge_at is not None else "",
            "day": text_day(self._local(said.start)) if said.start is not None else "",
        }

    def _place(self, known: Placement) -> str:
        """The ward, else the area: by the council's own name for it, else by its id."""
        said = known.package
        if said.ward:
            return self._wards.get(said.ward) or _name(said.ward)
        return self._areas.get(said.area) or _name(said.area)

    def _when_wanted(self, known: Placement, now: datetime) -> str:
        return self._when(known.package.start, now) if known.package.start is not None else ""

    def _own(self, known: Placement, message: Message) -> dict[str, str]:
        """Of the provider's own bid: what a receipt says of it."""
        bid = known.bid_of(message.person)
        if message.template != "BD-3" or bid is None or bid.at != message.intended_at:
            return {"start": ""} if message.template == "BD-3" else {}
        return {"start": self._when(bid.start, message.intended_at)}

    def _of_provider(self, known: Placement, message: Message) -> dict[str, str]:
        """Of the provider of whom a broker or the mailbox is told."""
        bid, declined = _bid_of(known, message), _declined_of(known, message)
        visit = known.first_visit
        return {
            "provider": self._directory.full_name(message.about),
            "source": self._source(bid) if bid is not None else "",
            "free_hours": _number(bid.hours_free) if bid is not None else "",
            "declared_hours": _number(bid.hours_declared) if bid is not None else "",
            "reason": self._say(f"package_declined_{declined.reason}") if declined is not None else "",
            "supervisor": self._say("package_supervisor") if visit is not None and visit.supervisor else "",
        }

    def _of_round(self, known: Placement) -> dict[str, str]:
        """Of the round that placed nothing: bids that may not have it, and those who did not answer."""
        run = known.round
        if run is None:
            return {}
        failed = sum(1 for bid in known.bids if bid.index == run.index and bid.counts)
        return {"n": str(len(run.silent) or ""), "m": str(failed or "")}

    def _source(self, bid: Bid) -> str:
        if bid.source != "broker":
            return self._say(f"package_by_{bid.source}")
        staff = self._directory.full_name(bid.by)
        return (
            self._say("package_by_broker", staff=staff) if staff else self._say("package_by_broker_unknown")
        )

    def _where(self, known: Placement, message: Message, tel: str) -> str:
        return self._link(known.ref, message.person) or self._say("package_ring", tel=tel)

    def _page(self, known: Placement) -> str:
        return f"{self._board}/placements/{known.ref}" if self._board else ""

    def _say(self, phrase: str, **values: str) -> str:
        return render_phrase(self._wording, phrase, values)

    def _local(self, at: datetime) -> datetime:
        return self._state.calendar.local(at)

    def _clock(self, at: datetime) -> str:
        return text_time(self._local(at))

    def _when(self, at: datetime, now: datetime) -> str:
        """The time alone where that is today; within a week the day of the week before it; else the date."""
        there, here = self._local(at), self._local(now)
        if there.date() == here.date():
            return text_time(there)
        if timedelta(0) < there.date() - here.date() < timedelta(days=7):
            return f"{there:%a} {text_time(there)}"
        return f"{text_day(there)}, {text_time(there)}"

    def _to_the_second(self, at: datetime) -> str:
        there = self._local(at)
        return f"{text_day(there)} {there:%Y, %H:%M:%S}"


OF_START = frozenset({"BD-18", "BD-21", "BD-21B", "BD-24", "BD-32", "BD-33"})
"""Words whose moment is a start: the bid's, or that of the first visit."""
OF_ROUND = frozenset({"BD-6"})
"""Words about what came of the round that closed last."""
COPIES = frozenset({"BD-21", "BD-21B", "BD-23"})
"""Mails that quote what a provider has written."""


def rows(text: str) -> str:
    """What somebody has written, in rows that fit one value of a mail each."""
    lines = (line for part in text.splitlines() for line in textwrap.wrap(part, ROW))
    return "\n".join(lines)


def _bid_of(known: Placement, message: Message) -> Bid | None:
    """The bid of which the message is a copy; None: it was changed since, and that one has its own copy."""
    if message.template not in ("BD-21", "BD-21B"):
        return None
    mine = (bid for bid in (*known.bids, *known.late) if bid.provider == message.about)
    return next((bid for bid in mine if bid.changes == message.count), None)


def _declined_of(known: Placement, message: Message) -> Declined | None:
    if message.template != "BD-23":
        return None
    mine = (one for one in known.declined if one.provider == message.about)
    return next((one for one in mine if one.at == message.intended_at), None)


def _minutes_left(message: Message, now: datetime) -> int:
    if message.at is None:
        return 0
    return max(1, math.ceil((message.at - now) / timedelta(minutes=1)))


def _name(slug: str) -> str:
    """The id of a ward or area as a name."""
    return " ".join(part[:1].upper() + part[1:] for part in slug.replace("_", "-").split("-") if part)


def _number(hours: int | None) -> str:
    return "" if hours is None else str(hours)
