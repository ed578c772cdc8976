"""The ledger read: what a provider holds of the packages that were placed, and what it is about to get."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from monitor.core.state import State


class Held(Struct, frozen=True, kw_only=True):
    """Minutes a week, and how many packages they are."""

    minutes: int = 0
    packages: int = 0


def held(state: State, provider: str, now: datetime, span: timedelta) -> Held:
    """What the provider was awarded in the span, and has."""
    since = now - span
    won = [one for one in state.values.ledger.get(provider, ()) if one.won and one.at >= since]
    return Held(minutes=sum(one.minutes_week for one in won), packages=len(won))


def proposed(state: State, provider: str, *, without: str) -> Held:
    """What waits for a broker's word to be the provider's, beside the package `without`: of many windows that close
    together each one's proposal counts for the next."""
    waiting = [
        one.package.minutes_week
        for one in state.values.placements.values()
        if one.proposed == provider and one.ref != without and one.stage == "proposed"
    ]
    return Held(minutes=sum(waiting), packages=len(waiting))
