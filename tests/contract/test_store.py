"""The Store port's contract, on every adapter: what an engine may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.ports import GENESIS, Head, Leadership, Snapshot, Store, StoreFenced, StoreUnavailable
from tests.contract.stores import (
    ADAPTERS,
    DESK,
    OTHER,
    Adapter,
    Journalist,
    evidence,
    fact,
    facts,
    head_of,
    person,
)


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Adapter]:
    name: str = request.param
    made = ADAPTERS[name](tmp_path / "data")
    yield made
    made.end()


@pytest.fixture
async def store(adapter: Adapter) -> AsyncIterator[Store]:
    made = adapter.make()
    await made.open()
    yield made
    await made.close()


async def refused(store: Store, leadership: Leadership, head: Head, count: int = 1) -> str:
    with pytest.raises(StoreFenced) as caught:
        await store.append(leadership, head, facts(count, leadership.desk, head))
    assert caught.value.permanent
    return caught.value.reason


# --- leading ---


async def test_every_lead_gets_a_higher_fence(store: Store) -> None:
    first, second = await store.lead(DESK), await store.lead(DESK)
    assert first.desk == second.desk == DESK
    assert 0 < first.fence < second.fence


async def test_the_fence_rises_over_a_restart(adapter: Adapter) -> None:
    first = adapter.make()
    await first.open()
    before = await first.lead(DESK)
    await first.close()
    second = adapter.make()
    await second.open()
    assert (await second.lead(DESK)).fence > before.fence
    await second.close()


async def test_desks_have_fences_of_their_own(store: Store) -> None:
    mine = await Journalist.begin(store, DESK)
    await Journalist.begin(store, OTHER)
    await mine.write()
    assert mine.head.seq == 1


async def test_an_older_leader_is_fenced_and_writes_nothing(store: Store) -> None:
    old = await Journalist.begin(store)
    new = await Journalist.begin(store)
    assert await refused(store, old.leadership, old.head) == "fenced"
    await new.write()
    assert [row.seq for row in await store.facts(DESK, 0)] == [1]


async def test_a_fence_nobody_gave_out_is_refused(store: Store) -> None:
    assert await refused(store, Leadership(desk="nobody", fence=1), Head()) == "fenced"
    held = await store.lead(DESK)
    assert await refused(store, Leadership(desk=DESK, fence=held.fence + 1), Head()) == "fenced"


async def test_the_secret_is_made_once_and_differs_between_desks(adapter: Adapter) -> None:
    store = adapter.make()
    await store.open()
    await store.lead(DESK)
    await store.lead(OTHER)
    mine, theirs = (await store.load(DESK)).secret, (await store.load(OTHER)).secret
    await store.close()
    again = adapter.make()
    await again.open()
    await again.lead(DESK)
    assert len(mine) == 32
    assert mine != theirs
    assert (await again.load(DESK)).secret == mine
    await again.close()


# --- appending ---


async def test_an_empty_desk_loads_empty(store: Store) -> None:
    loaded = await store.load("nobody")
    assert loaded.head == Head(seq=0, hash=GENESIS)
    assert (loaded.snapshots, loaded.tail, loaded.people, loaded.people_rev) == ((), (), (), 0)
    assert (loaded.input_position, loaded.secret) == (None, b"")
    assert await store.facts("nobody", 0) == []
    assert await store.evidence("nobody", "e-1") is None


async def test_what_was_appended_is_read_back_byte_for_byte(adapter: Adapter) -> None:
    body = '{"text":"Tür \\u0000 \u0000 \U0001f514","n":0.1000}'
    made = facts(3, body=body)
    store = adapter.make()
    await store.open()
    lead = await store.lead(DESK)
    head = await store.append(lead, Head(), made)
    assert head == head_of(made)
    await store.close()
    again = adapter.make()
    await again.open()
    assert await again.facts(DESK, 0) == made
    assert (await again.load(DESK)).tail == tuple(made)
    assert (await again.load(DESK)).head == head
    await again.close()


async def test_a_moved_head_is_refused_and_nothing_is_written(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write(2)
    assert await refused(store, desk.leadership, Head()) == "head_moved"
    other_history = head_of(facts(2, body='{"n":2}'))
    assert await refused(store, desk.leadership, other_history) == "head_moved"
    assert await refused(store, desk.leadership, head_of(facts(3))) == "head_moved"
    assert len(await store.facts(DESK, 0)) == 2


async def test_a_refused_append_leaves_no_people_no_evidence_and_no_position(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write()
    with pytest.raises(StoreFenced):
        await store.append(
            desk.leadership, Head(), facts(1, body="{}"), [person()], [evidence()], "elsewhere"
        )
    loaded = await store.load(DESK)
    assert (loaded.people, loaded.input_position) == ((), None)
    assert await store.evidence(DESK, "e-1") is None


async def test_the_very_same_append_again_is_answered_and_not_written_twice(store: Store) -> None:
    lead = await store.lead(DESK)
    made = facts(3)
    first = await store.append(lead, Head(), made, [person()], [evidence()], "7")
    assert await store.append(lead, Head(), made, [person()], [evidence()], "7") == first
    assert await store.facts(DESK, 0) == made


async def test_facts_that_do_not_follow_are_the_callers_mistake(store: Store) -> None:
    lead = await store.lead(DESK)
    made = facts(3)
    for wrong in ([made[1]], [made[0], made[2]], [made[0], fact(DESK, Head(seq=1, hash=bytes(32)))]):
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(lead, Head(), wrong)
    assert await store.facts(DESK, 0) == []


async def test_the_position_moves_without_a_fact_and_stays_without_a_position(store: Store) -> None:
    desk = await Journalist.begin(store)
    assert await store.append(desk.leadership, desk.head, [], input_position="mqtt:41") == desk.head
    await desk.write()
    assert (await store.load(DESK)).input_position == "mqtt:41"
    await store.append(desk.leadership, desk.head, [], input_position="mqtt:42")
    assert (await store.load(DESK)).input_position == "mqtt:42"


async def test_many_desks_append_at_once_each_in_its_own_order(store: Store) -> None:
    names = [f"desk-{n}" for n in range(20)]
    desks = [await Journalist.begin(store, name) for name in names]

    async def work(desk: Journalist) -> None:
        for _ in range(10):
            await desk.write(3)

    await asyncio.gather(*(work(desk) for desk in desks))
    for desk in desks:
        loaded = await store.load(desk.leadership.desk)
        assert [row.seq for row in loaded.tail] == list(range(1, 31))
        assert loaded.head == desk.head


async def test_a_refused_append_harms_no_other_that_came_with_it(store: Store) -> None:
    desks = [await Journalist.begin(store, f"desk-{n}") for n in range(10)]
    stale = Leadership(desk="desk-3", fence=desks[3].leadership.fence)
    await store.lead("desk-3")
    calls = [store.append(desk.leadership, Head(), facts(2, desk.leadership.desk)) for desk in desks]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(refusal) for refusal in refusals] == [StoreFenced]
    assert await store.facts(stale.desk, 0) == []
    assert [len(await store.facts(f"desk-{n}", 0)) for n in (0, 2, 4, 9)] == [2, 2, 2, 2]


# --- reading ---


PAGES = [
    (0, 1000, [1, 2, 3, 4, 5]),
    (0, 2, [1, 2]),
    (2, 2, [3, 4]),
    (4, 1000, [5]),
    (5, 9, []),
    (99, 9, []),
    (-3, 2, [1, 2]),
    (0, 0, []),
]


@pytest.mark.parametrize(("after", "limit", "wanted"), PAGES)
async def test_facts_are_paged_in_order(store: Store, after: int, limit: int, wanted: list[int]) -> None:
    await (await Journalist.begin(store, OTHER)).write(7)
    await (await Journalist.begin(store, DESK)).write(5)
    await (await Journalist.begin(store, "zz")).write(7)
    assert [row.seq for row in await store.facts(DESK, after, limit)] == wanted


async def test_evidence_belongs_to_its_desk(store: Store) -> None:
    desk, row = await Journalist.begin(store), evidence()
    await Journalist.begin(store, OTHER)
    await store.append(desk.leadership, desk.head, facts(1), evidence=[row, evidence("e-2", b"")])
    assert await store.evidence(DESK, "e-1") == row
    assert await store.evidence(DESK, "e-2") == evidence("e-2", b"")
    assert await store.evidence(DESK, "e-3") is None
    assert await store.evidence(OTHER, "e-1") is None


# --- people ---


async def test_a_later_row_replaces_a_person_and_the_rev_is_the_highest_seen(store: Store) -> None:
    desk = await Journalist.begin(store)
    await store.append(desk.leadership, desk.head, [], [person(rev=3), person("p-2", b"Tom", rev=4)])
    await store.append(desk.leadership, desk.head, [], [person(body=b"Edith May", rev=5)])
    loaded = await store.load(DESK)
    assert loaded.people == (person(body=b"Edith May", rev=5), person("p-2", b"Tom", rev=4))
    assert loaded.people_rev == 5


async def test_an_erased_person_keeps_the_row_without_details(store: Store) -> None:
    desk = await Journalist.begin(store)
    await store.append(desk.leadership, desk.head, [], [person(rev=1), person("p-2", rev=1)])
    await store.append(desk.leadership, desk.head, [], [person(body=None, rev=2)])
    people = (await store.load(DESK)).people
    assert [(row.ref, row.body) for row in people] == [("p-1", None), ("p-2", b"Edith")]


async def test_the_same_person_twice_in_one_append_ends_as_the_last(store: Store) -> None:
    desk = await Journalist.begin(store)
    await store.append(desk.leadership, desk.head, [], [person(rev=1), person(body=b"later", rev=2)])
    assert (await store.load(DESK)).people == (person(body=b"later", rev=2),)


# --- snapshots ---


def snapshot(head: Head, body: bytes = b"state") -> Snapshot:
    return Snapshot(version=1, head=head, body=body)


async def test_one_snapshot_leaves_the_tail_after_it(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write(3)
    await store.save_snapshot(desk.leadership, snapshot(desk.head))
    later = await desk.write(2)
    loaded = await store.load(DESK)
    assert (loaded.head, loaded.tail) == (desk.head, tuple(later))
    assert [kept.head.seq for kept in loaded.snapshots] == [3]


async def test_two_snapshots_are_kept_and_the_tail_begins_after_the_older(store: Store) -> None:
    desk, bodies = await Journalist.begin(store), {}
    for number in range(4):
        await desk.write(2)
        bodies[desk.head.seq] = bytes([number]) * 10
        await store.save_snapshot(desk.leadership, snapshot(desk.head, bodies[desk.head.seq]))
    loaded = await store.load(DESK)
    assert [(kept.head.seq, kept.body) for kept in loaded.snapshots] == [(8, bodies[8]), (6, bodies[6])]
    assert [row.seq for row in loaded.tail] == [7, 8]
    assert loaded.head == desk.head


async def test_a_snapshot_larger_than_one_part_comes_back_whole(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write()
    body = bytes(range(256)) * 4096 * 2 + b"end"
    await store.save_snapshot(desk.leadership, snapshot(desk.head, b""))
    await desk.write()
    await store.save_snapshot(desk.leadership, snapshot(desk.head, body))
    assert [kept.body for kept in (await store.load(DESK)).snapshots] == [body, b""]


async def test_a_snapshot_at_the_same_fact_replaces_the_one_before(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write()
    for body in (b"old", b"new"):
        await store.save_snapshot(desk.leadership, snapshot(desk.head, body))
    assert [kept.body for kept in (await store.load(DESK)).snapshots] == [b"new"]


async def test_a_stale_leader_saves_no_snapshot(store: Store) -> None:
    old = await Journalist.begin(store)
    await old.write()
    await store.lead(DESK)
    with pytest.raises(StoreFenced) as caught:
        await store.save_snapshot(old.leadership, snapshot(old.head))
    assert caught.value.reason == "fenced"
    assert (await store.load(DESK)).snapshots == ()


async def test_a_snapshot_of_facts_that_are_not_on_disk_is_refused(store: Store) -> None:
    desk = await Journalist.begin(store)
    await desk.write(2)
    for head in (head_of(facts(3)), head_of(facts(2, body='{"n":2}'))):
        with pytest.raises(StoreFenced) as caught:
            await store.save_snapshot(desk.leadership, snapshot(head))
        assert caught.value.reason == "head_moved"
    assert (await store.load(DESK)).snapshots == ()


async def test_a_snapshot_before_the_first_fact_is_allowed(store: Store) -> None:
    desk = await Journalist.begin(store)
    await store.save_snapshot(desk.leadership, snapshot(Head()))
    await desk.write(2)
    assert len((await store.load(DESK)).tail) == 2


# --- open and closed ---


async def test_a_healthy_store_passes_the_probe(store: Store) -> None:
    await store.probe()


async def test_a_closed_store_takes_and_gives_nothing(adapter: Adapter) -> None:
    store = adapter.make()
    with pytest.raises(StoreUnavailable):
        await store.lead(DESK)
    await store.open()
    desk = await Journalist.begin(store)
    await store.close()
    await store.close()
    calls = (
        store.append(desk.leadership, desk.head, facts(1)),
        store.load(DESK),
        store.facts(DESK, 0),
        store.evidence(DESK, "e-1"),
        store.save_snapshot(desk.leadership, snapshot(desk.head)),
        store.probe(),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call


async def test_closing_finishes_the_appends_under_way(adapter: Adapter) -> None:
    store = adapter.make()
    await store.open()
    desks = [await Journalist.begin(store, f"desk-{n}") for n in range(5)]
    writes = [asyncio.ensure_future(desk.write(5)) for desk in desks]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    again = adapter.make()
    await again.open()
    assert [len(await again.facts(f"desk-{n}", 0)) for n in range(5)] == [5] * 5
    await again.close()


async def test_a_cancelled_append_can_be_made_again(store: Store) -> None:
    lead, made = await store.lead(DESK), facts(4)
    task = asyncio.ensure_future(store.append(lead, Head(), made))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.append(lead, Head(), made) == head_of(made)
    assert await store.facts(DESK, 0) == made
