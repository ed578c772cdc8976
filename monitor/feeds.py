"""The ways in, as they say of themselves: up, down, drained, unknown; and our clock, as others confirm it.

Dark is told to the desks (design rule 4): a broker that is away, or whose backlog is unknown, makes every visit
*dark*; staff hear at once, the service users only after `hold_public`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import structlog
from msgspec import Struct

from monitor.clock import Clock

log = structlog.get_logger("feeds")

FeedState = Literal["up", "down", "drained", "unknown"]
GRACE_S = 30.0
"""A connection that is back within this time was never dark."""


class FedDesk(Struct, frozen=True, kw_only=True):
    """Which desk a feed of files feeds. Only check-ins make its visits dark when they do not come."""

    desk: str
    checkins: bool


class Tell(Protocol):
    """How the desks hear of it."""

    def __call__(
        self, cause: Literal["feed", "broker", "clock"], subject: str, *, dark: bool, desk: str | None = None
    ) -> None:
        """One way in went dark, or is back; for one desk, or for all."""


class Feeds:
    """State of every feed of this process."""

    def __init__(
        self, clock: Clock, names: Sequence[str], of_files: Mapping[str, FedDesk] | None = None
    ) -> None:
        self._clock = clock
        self._of_files = dict(of_files or {})
        self._proved: dict[str, datetime] = {}
        self._spoken: set[str] = set()
        self._troubles: dict[tuple[str, str, str], bool] = {}
        self._states: dict[str, FeedState] = dict.fromkeys(names, "down")
        self._heard: dict[str, float] = {}
        self._started = clock.monotonic()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._settled = asyncio.Event()
        # a desk may have come out of its journal doubting: the first agreement after a start is told in any case
        self.clock_doubted = True
        self.tell: Tell | None = None
        if not names:
            self._settled.set()

    def add(self, feed: str, fed: FedDesk) -> None:
        """A feed of files that is configured now; one that is known already stays as it is."""
        self._of_files[feed] = fed
        # what it would have said until now nobody knows
        self._states.setdefault(feed, "unknown" if self.drained else "down")

    def remove(self, feed: str) -> list[tuple[str, str]]:
        """It is configured no more. Returns the troubles, with their desks, that it had told and not taken back."""
        self._no_grace(feed)
        self._states.pop(feed, None)
        self._of_files.pop(feed, None)
        self._proved.pop(feed, None)
        self._spoken.discard(feed)
        own = [(key, begun) for key, begun in self._troubles.items() if key[2] == feed]
        for key, _ in own:
            del self._troubles[key]
        self._settle()
        return [(desk, trouble) for (desk, trouble, _), begun in own if begun]

    def _settle(self) -> None:
        if all(self._is_settled(name, known) for name, known in self._states.items()):
            self._settled.set()

    @property
    def drained(self) -> bool:
        """Every feed's backlog has been read, or given up as unknown, since the start."""
        return self._settled.is_set()

    async def wait_drained(self) -> None:
        """Return when the deadlines may start (design rule 3: load, drain, then tick)."""
        await self._settled.wait()

    def give_up_waiting(self) -> None:
        """Nothing was heard of the broker in time: what it holds is unknown, and the watch begins all the same."""
        for name, state in list(self._states.items()):
            if state in ("down", "up"):
                self._dark_or_later(name)
        self._settled.set()

    def changed(self, feed: str, state: FeedState) -> None:
        """A feed says how it is."""
        self._states[feed] = state
        log.info("feed", feed=feed, state=state)
        self._spoken.add(feed)
        self._settle()
        if state == "drained":
            self._light(feed)
        elif state == "unknown" or (state == "down" and feed in self._of_files):
            # a feed of files is down when its bound has passed: that is its grace
            self._dark(feed)
        elif state == "down" and feed not in self._timers and self._settled.is_set():
            timer = asyncio.get_running_loop().call_later(GRACE_S, self._dark_or_later, feed)
            self._timers[feed] = timer

    def _is_settled(self, feed: str, state: FeedState) -> bool:
        """Nothing more is to be waited for before the deadlines start. *Down* is an answer where files are fetched."""
        return state in ("drained", "unknown") or (feed in self._of_files and feed in self._spoken)

    def _dark(self, feed: str) -> None:
        self._no_grace(feed)
        self._say(feed, dark=True)

    def _no_grace(self, feed: str) -> None:
        timer = self._timers.pop(feed, None)
        if timer is not None:
            timer.cancel()

    def _dark_or_later(self, feed: str) -> None:
        """For a timer and for the start, which can take no error: a desk that could not be told is told again."""
        try:
            self._dark(feed)
        except Exception as error:  # noqa: BLE001 - said again after another grace, unless it is back by then
            log.error("what is dark could not be told", feed=feed, error=type(error).__name__)
            timer = asyncio.get_running_loop().call_later(GRACE_S, self._dark_or_later, feed)
            self._timers[feed] = timer

    def _say(self, feed: str, *, dark: bool) -> None:
        if self.tell is None:
            return
        fed = self._of_files.get(feed)
        if feed == "mqtt":
            self.tell("broker", "", dark=dark)
        elif fed is None:
            self.tell("feed", feed, dark=dark)
        elif fed.checkins:
            self.tell("feed", feed, dark=dark, desk=fed.desk)

    def troubled(
        self, feed: str, desk: str, trouble: str, *, begun: bool, tell: Callable[[bool], None]
    ) -> None:
        """Note what a feed says of its files, after `tell` has told the desk how it is now: some feed is in trouble, or
        every feed that can be has said that it is not. Whatever `tell` raises is raised: nothing is noted then."""
        if self._troubles.get((desk, trouble, feed)) == begun:
            return
        own = [name for name, fed in self._of_files.items() if fed.desk == desk]
        # after a restart the alarm of one must not end with the first word of another
        all_said = all(name in self._spoken or name == feed for name in own)
        if begun or (all_said and not self._trouble_elsewhere(feed, desk, trouble)):
            tell(begun)
        self._troubles[desk, trouble, feed] = begun

    def _trouble_elsewhere(self, feed: str, desk: str, trouble: str) -> bool:
        return any(
            begun and of != feed
            for (at, what, of), begun in self._troubles.items()
            if (at, what) == (desk, trouble)
        )

    def in_trouble(self, desk: str, trouble: str) -> bool:
        """Whether any feed says so."""
        return self._trouble_elsewhere("", desk, trouble)

    def proved(self, feed: str, at: datetime) -> None:
        """The newest content of a feed of files is of this time; its silence counts from then."""
        self._proved[feed] = max(at, self._proved.get(feed, at))

    def _light(self, feed: str) -> None:
        self._no_grace(feed)
        self._say(feed, dark=False)

    def doubt_clock(self) -> None:
        """Wall clock and monotonic clock disagree (design rule 8)."""
        self.clock_doubted = True
        if self.tell is not None:
            self.tell("clock", "", dark=True)

    def clock_agrees(self) -> None:
        """A device's own clock agrees with ours: a second source."""
        if self.clock_doubted:
            self.clock_doubted = False
            log.info("the clock is confirmed by a device")
            if self.tell is not None:
                self.tell("clock", "", dark=False)

    def heard(self, source: str) -> None:
        """Something came in."""
        self._heard["mqtt" if source in ("mqtt", "owntracks") else source] = self._clock.monotonic()

    def silence(self) -> dict[str, float]:
        """Seconds since something came in, by feed; since the start for one that never spoke."""
        now, wall = self._clock.monotonic(), self._clock.now()
        return {
            name: max((wall - self._proved[name]).total_seconds(), 0.0)
            if name in self._proved
            else now - self._heard.get(name, self._started)
            for name in self._states
        }

    def states(self) -> dict[str, str]:
        """By feed."""
        return dict(self._states)

    def broker(self) -> str:
        """One word for the board."""
        return (
            "ok" if self._states.get("mqtt", "drained") in ("drained", "up") else self._states.get("mqtt", "")
        )
