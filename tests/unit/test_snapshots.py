"""A state of any size is the same after it was encoded in portions and read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from connectors.ports import Head, Snapshot
from monitor import snapshots
from monitor.core.state import STATE_VERSION, Device, Place, Values, Visit

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def visit(number: int) -> Visit:
    start = NOON + timedelta(minutes=number)
    later = start + timedelta(hours=1)
    return Visit(
        ref=f"v{number}",
        service_user="p1",
        start=start,
        end=later,
        agreed_start=start,
        late_at=later,
        missed_at=later,
        overrun_at=later,
        places=(Place(planned="p2"),),
        prints=(number,),
    )


def values(count: int) -> Values:
    return Values(
        fence=3,
        visits={f"v{n}": visit(n) for n in range(count)},
        devices={f"d{n}": Device(ref=f"d{n}", heard_at=NOON) for n in range(count // 2)},
        day=NOON.date(),
    )


def read(body: bytes) -> Values | None:
    return snapshots.read(Snapshot(version=STATE_VERSION, head=Head(), body=body))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 999, 1_000, 1_001, 1_015, 1_016, 2_500])
def test_what_was_encoded_in_portions_is_read_as_it_was(count: int) -> None:
    state = values(count)
    assert read(snapshots.encode(state)) == state


def test_one_piece_and_portions_are_read_alike() -> None:
    state = values(1_300)
    assert read(msgspec.msgpack.encode(state)) == read(snapshots.encode(state))


def test_a_damaged_one_and_one_of_another_version_are_not_read() -> None:
    body = snapshots.encode(values(20))
    assert read(body[:-1]) is None
    assert snapshots.read(Snapshot(version=STATE_VERSION + 1, head=Head(), body=body)) is None
