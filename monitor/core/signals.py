"""*Known*, or dark with its cause (design rule 4): unknown is not absent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from monitor.core.state import State, Visit
from monitor.core.views import Signal

WorkerOf = Callable[[str], str | None]
CAUSES: tuple[tuple[str, Signal], ...] = (
    ("clock", "dark:clock"),
    ("broker", "dark:broker"),
    ("feed", "dark:feed"),
)
"""What makes every visit dark, gravest first."""


def signal_of(state: State, visit: Visit | None, silent: frozenset[str]) -> Signal:
    """The visit's signal; `silent` are the care workers of whom nothing is known (`silent_workers`)."""
    signal = signal_of_all(state, silent)
    if signal is not None:
        return signal
    return "dark:device" if visit is not None and not silent.isdisjoint(visit.workers) else "known"


def signal_of_all(state: State, silent: frozenset[str]) -> Signal | None:
    """The signal that every visit of the desk has; None: it depends on the visit's care workers."""
    dark = {entry.cause for entry in state.values.dark.values()}
    for cause, signal in CAUSES:
        if cause in dark:
            return signal
    return None if silent else "known"


def silent_workers(state: State, worker_of: WorkerOf) -> frozenset[str]:
    """Care workers one of whose devices went dark, and no other one of theirs was heard since."""
    since: dict[str, datetime] = {}
    for entry in state.values.dark.values():
        owner = worker_of(entry.subject) if entry.cause == "device" else None
        if owner is not None:
            before = since.get(owner)
            since[owner] = entry.since if before is None else max(before, entry.since)
    if not since:
        return frozenset()
    return frozenset(since) - _heard_since(state, worker_of, since)


def _heard_since(state: State, worker_of: WorkerOf, since: dict[str, datetime]) -> frozenset[str]:
    heard = set()
    for device in state.values.devices.values():
        owner = worker_of(device.ref)
        if owner in since and device.heard_at is not None and device.heard_at > since[owner]:
            heard.add(owner)
    return frozenset(owner for owner in heard if owner is not None)
