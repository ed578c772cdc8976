"""The record of an alert, read from a journal in a store: nothing of it is missed, and nothing else is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from connectors.memory_store import MemoryStore
from connectors.ports import GENESIS, Head, Record, chain_hash
from monitor.core import facts as f
from monitor.core.state import Alert, State
from monitor.engine import as_fact, instant
from monitor.records import BEFORE, FROM_VISIT, PAGE, Records
from tests.core.test_offers_bounded import desk_with
from tests.golden.record import lines

DESK = "golden"


@cache
def journal() -> tuple[Record, ...]:
    """A day of a desk with alerts of many kinds, as an old release decided it, sealed into a chain."""
    kept: list[Record] = []
    for line in lines(1):
        envelope = line | {"cause": "test", "people_rev": 1, "prev": kept[-1].hash if kept else GENESIS}
        kept.append(Record(**envelope, hash=chain_hash(desk=DESK, **envelope)))
    return tuple(kept)


def sealed(facts: Iterable[f.Happened]) -> tuple[Record, ...]:
    """These facts as a store has them."""
    kept: list[Record] = []
    for fact in facts:
        envelope: dict[str, Any] = {
            "seq": fact.seq,
            "at": instant(fact.at),
            "due_at": instant(fact.due_at) if fact.due_at is not None else None,
            "kind": type(fact.body).__name__,
            "v": fact.body.VERSION,
            "subject": fact.subject,
            "cause": "test",
            "people_rev": 1,
            "policy": fact.policy,
            "body": f.encode_body(fact.body),
            "prev": kept[-1].hash if kept else GENESIS,
        }
        kept.append(Record(**envelope, hash=chain_hash(desk=DESK, **envelope)))
    return tuple(kept)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.open()
    leadership = await store.lead(DESK)
    await store.append(leadership, Head(), journal())
    return store


def raised() -> Iterator[f.Happened]:
    return (fact for record in journal() if record.kind == "AlertRaised" and (fact := as_fact(record)))


def wanted(of: f.Happened) -> set[int]:
    """What belongs to it, looked for in the plainest way."""
    assert isinstance(of.body, f.AlertRaised)
    facts = [as_fact(record) for record in journal()]
    intended = [fact for fact in facts if isinstance(fact.body, f.MessageIntended)]
    keys = {
        fact.subject
        for fact in intended
        if fact.body.alert == of.subject  # type: ignore[attr-defined]
        or (of.body.visit and fact.body.alert is None and fact.body.visit == of.body.visit)  # type: ignore[attr-defined]
    }
    found = set()
    for fact in facts:
        kind = type(fact.body).__name__
        if fact.at < min(of.at, of.due_at or of.at) - BEFORE:
            continue
        of_visit = of.body.visit is not None and fact.subject == of.body.visit and kind in FROM_VISIT
        if fact.subject in (of.subject, *keys) or of_visit:
            found.add(fact.seq)
        if fact.subject == of.subject and kind == "AlertClosed":
            break
    return found


async def test_every_fact_of_an_alert_its_messages_and_its_visit_is_in_its_record(store: MemoryStore) -> None:
    records, head = Records(store), journal()[-1].seq
    seen = 0
    for fact in raised():
        found = await records.of(DESK, head, fact.subject, None)
        assert found is not None
        own = {one.seq for one in found.facts if not isinstance(one.body, f.ReplyKept)}
        assert own == wanted(fact)
        seen += 1
    assert seen > 10


async def test_a_record_that_is_read_on_is_the_same_as_one_that_is_read_at_once(store: MemoryStore) -> None:
    head = journal()[-1].seq
    for fact in raised():
        bit_by_bit = Records(store)
        for upto in range(fact.seq, head + 1, 150):
            await bit_by_bit.of(DESK, upto, fact.subject, None)
        found = await bit_by_bit.of(DESK, head, fact.subject, None)
        whole = await Records(store).of(DESK, head, fact.subject, None)
        assert found is not None
        assert whole is not None
        assert found.facts == whole.facts


async def test_an_alert_that_left_the_state_is_folded_again_from_its_own_facts(store: MemoryStore) -> None:
    records, head = Records(store), journal()[-1].seq
    for fact in raised():
        found = await records.of(DESK, head, fact.subject, None)
        assert found is not None
        state, alert = found.as_it_was()
        assert isinstance(state, State)
        assert isinstance(alert, Alert)
        ended = [one.body for one in found.facts if isinstance(one.body, f.AlertEnded)]
        assert (alert.state == "ended") == bool(ended)
        assert set(alert.messages) <= set(state.values.messages)


async def test_a_text_for_several_alerts_is_in_the_record_of_each_of_them() -> None:
    desk = desk_with(4, 0)
    desk.advance(minutes=31)
    (text,) = [message for message in desk.messages("notice") if message.template == "OC-240"]
    desk.send(text)
    store = MemoryStore()
    await store.open()
    await store.append(await store.lead(DESK), Head(), sealed(desk.facts))
    told = []
    for alert in desk.alerts("late_visit"):
        found = await Records(store).of(DESK, len(desk.facts), alert.ref, None)
        assert found is not None
        told.append([type(one.body).__name__ for one in found.facts if one.subject == text.key])
        state, _ = found.as_it_was()
        assert (text.key in state.values.messages) == bool(told[-1])
    assert told == [[], *[["MessageIntended", "MessageAttempted", "MessageAccepted"]] * 3], (
        "the first had its own"
    )


async def test_an_alert_that_never_was_has_no_record(store: MemoryStore) -> None:
    assert await Records(store).of(DESK, journal()[-1].seq, "a-never", None) is None


async def test_an_alert_in_the_state_is_found_by_its_time_also_behind_a_page_of_facts(
    store: MemoryStore,
) -> None:
    assert journal()[-1].seq > PAGE, "more than one page"
    first, *_, last = list(raised())
    for fact in (first, last):
        alert = Alert(
            ref=fact.subject,
            kind="late_visit",
            due_at=fact.due_at or fact.at,
            opened_at=fact.at,
            policy="",
        )
        assert alert.opened_at > datetime(2020, 1, 1, tzinfo=UTC)
        known = await Records(store).of(DESK, journal()[-1].seq, fact.subject, alert)
        looked_for = await Records(store).of(DESK, journal()[-1].seq, fact.subject, None)
        assert known is not None
        assert looked_for is not None
        assert known.facts == looked_for.facts
