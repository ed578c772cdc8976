"""The largest upload beside everything else: how long a turn of the loop it takes, counted in facts and not in
seconds, and what a daemon that is killed in the middle finds again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from config.load import DeskConfig
from config.policy import Policy
from connectors.ports import ApiProblem, SeenCheckIn
from monitor import desk_shell
from monitor.core import facts as f
from monitor.core.replanning import CHANGED
from monitor.core.state import Visit
from monitor.core.upload import AT_ONCE, VISITS_AT_ONCE
from monitor.desk_shell import PEOPLE, PORTION, DeskShell
from monitor.directory import Directory
from monitor.engine import Engine
from monitor.ids import minter
from monitor.metrics import Metrics
from monitor.rota_reader import SLICE
from tests.system.stores import store_in

MOST = 20_000
"""Rows of one upload (docs/interface.md)."""
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
COVERS = {"from": NOON.isoformat(), "to": (NOON + timedelta(days=30)).isoformat()}


class Hand:
    """A clock in the hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()


class Nobody:
    """Hooks and metrics that tell nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_said, **_more: None


def config() -> DeskConfig:
    return DeskConfig(
        id="bright",
        kind="provider",
        name="Bright",
        policy=Policy(rota_old_after=timedelta(days=14)),
        public="off",
        numbers=(),
        sender_name=None,
        telephone=None,
        duty=(),
        council_desks=(),
    )


async def at_once(work: Callable[[], bytes]) -> bytes:
    return work()


@asynccontextmanager
async def desk(folder: Path, clock: Hand | None = None, seed: int = 1) -> AsyncIterator[DeskShell]:
    """A desk over a real store. Left, it is as if killed: what was not appended is gone."""
    hand = clock or Hand()
    random = Random(seed)
    mint = minter(random.randbytes, hand.now)
    store = store_in(folder)
    directory = Directory(mint, "Europe/London", 150)
    engine = Engine("bright", store, hand, mint, directory, Nobody(), off_loop=at_once)  # type: ignore[arg-type]
    metrics: Metrics = Nobody()  # type: ignore[assignment]
    shell = DeskShell(config(), engine, None, hand, metrics, mint, random.randbytes)  # type: ignore[arg-type]
    await store.open()
    await engine.start()
    shell.adopt(shell.config, ())
    task = asyncio.create_task(engine.run())
    try:
        yield shell
    finally:
        task.cancel()
        await asyncio.wait([task])
        await store.close()


def rota(numbers: range, *, later: timedelta = timedelta(), **upload: Any) -> dict[str, Any]:
    return {"visits": [visit(number, later) for number in numbers]} | upload


def visit(number: int, later: timedelta = timedelta()) -> dict[str, Any]:
    start = TOMORROW + timedelta(minutes=15 * (number % 90)) + later
    return {
        "id": f"v{number}",
        "service_user": f"p{number % 900}",
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "workers": [f"w{number % 300}"],
    }


class Turns:
    """What became of the desk within each turn of the loop, at the most. Seconds would say something of the machine."""

    def __init__(self, shell: DeskShell) -> None:
        self._shell, self._minted = shell, 0
        self.facts = self.ids = self.count = 0

    async def count_them(self) -> None:
        engine, directory = self._shell.engine, self._shell.directory
        facts, ids = engine.state.seq, len(directory._refs)
        while True:
            await asyncio.sleep(0)
            self.facts = max(self.facts, engine.state.seq - facts)
            self.ids = max(self.ids, len(directory._refs) - ids)
            self.count += 1
            facts, ids = engine.state.seq, len(directory._refs)


@asynccontextmanager
async def turns_of(shell: DeskShell) -> AsyncIterator[Turns]:
    turns = Turns(shell)
    task = asyncio.create_task(turns.count_them())
    try:
        yield turns
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_largest_upload_never_has_more_than_a_portion_of_the_loop(tmp_path: Path) -> None:
    async with desk(tmp_path) as shell:
        async with turns_of(shell) as turns:
            answer = await shell.put_rota(rota(range(MOST)), "st-1")
        assert (answer.new, answer.watched) == (MOST, MOST)
        assert turns.facts <= PORTION + 1  # RotaBegun stands with the first
        assert turns.ids <= 3 * SLICE  # a visit, a service user, a care worker
        read, judged, decided = MOST // SLICE, MOST // AT_ONCE, MOST // PORTION
        assert turns.count > read + judged + decided

        async with turns_of(shell) as turns:
            answer = await shell.put_rota(
                rota(
                    range(MOST // 2), later=timedelta(minutes=30), complete=True, covers=COVERS, confirm=True
                ),
                "st-1",
            )
        assert (answer.changed, answer.cancelled) == (MOST // 2, MOST // 2)
        assert turns.facts <= PORTION + 1
        assert turns.count > read / 2 + judged / 2 + decided + MOST // VISITS_AT_ONCE


async def test_the_largest_upload_of_people_never_has_more_than_a_portion_of_the_loop(tmp_path: Path) -> None:
    people = [
        {
            "id": f"p{number}",
            "role": "service_user",
            "name": "Ed",
            "phones": [{"number": "+441632960123", "kind": "landline"}],
            "devices": [f"tag:{number}"],
        }
        for number in range(3_000)
    ]
    async with desk(tmp_path) as shell:
        async with turns_of(shell) as turns:
            answer = await shell.put_people(people, lambda _: False, lambda _: None)
        assert (answer.new, answer.problems) == (3_000, ())
        assert turns.ids <= 2 * PEOPLE + 1
        again = await shell.put_people(people, lambda _: False, lambda _: None)
        assert (again.new, again.unchanged) == (0, 3_000)


async def test_a_device_of_another_desk_in_the_last_row_still_stops_the_whole_upload(tmp_path: Path) -> None:
    people = [
        {"id": f"w{number}", "role": "care_worker", "name": "Dee", "devices": [f"callwatch:phone-{number}"]}
        for number in range(1_200)
    ]
    claimed: list[str] = []
    async with desk(tmp_path) as shell:
        with pytest.raises(ApiProblem) as refused:
            await shell.put_people(people, lambda device: device == "callwatch:phone-1199", claimed.append)
        assert refused.value.code == "device_taken"
        assert (shell.directory.people, claimed) == ({}, [])


async def test_a_check_in_has_its_turn_while_an_upload_is_taken_in(tmp_path: Path) -> None:
    async with desk(tmp_path) as shell:
        await shell.put_rota(rota(range(2), later=timedelta(days=-1)), "st-1")
        upload = asyncio.create_task(shell.put_rota(rota(range(2, MOST // 4)), "st-1"))
        while shell.state.values.rota_begun is None:  # noqa: ASYNC110  the loop's turns are what is tested
            await asyncio.sleep(0)
        answer = await shell.check_in(
            SeenCheckIn(
                source="http",
                kind="arrive",
                at=NOON,
                device=None,
                natural_key="one",
                raw=b"{}",
                id="one",
                worker="w1",
                visit="v1",
            )
        )
        assert not upload.done()
        assert answer.visit == "v1"
        assert (await upload).new == MOST // 4 - 2
        # it stands in the middle of them, however long the store took to say so
        assert answer.seq is not None
        assert shell.state.seq - answer.seq > PORTION
        assert by_outside(shell)["v1"].anybody_there


def by_outside(shell: DeskShell) -> dict[str, Visit]:
    return {shell.directory.outside(ref): found for ref, found in shell.state.values.visits.items()}


def watched(shell: DeskShell) -> dict[str, tuple[Any, ...]]:
    """Every visit as it is watched, by the ids of outside."""
    outside = shell.directory.outside
    return {
        name: (
            outside(one.service_user),
            one.start,
            one.end,
            one.late_at,
            one.cancelled,
            [outside(worker) for worker in one.workers],
        )
        for name, one in by_outside(shell).items()
    }


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", [1, 2, 5, 9, 10, 11])
async def test_killed_between_two_portions_and_sent_again_nothing_is_lost_and_nothing_stands_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(desk_shell, "PORTION", 10)
    first = rota(range(100))
    second = rota(range(15, 120), later=timedelta(minutes=30), complete=True, covers=COVERS)

    async with desk(tmp_path / "whole") as shell:
        await shell.put_rota(first, "st-1")
        await shell.put_rota(second, "st-1")
        expected = watched(shell)
    assert sum(cancelled for *_, cancelled, _ in expected.values()) == 15

    async with desk(tmp_path / "killed") as shell:
        await shell.put_rota(first, "st-1")
        told, tell = 0, shell.tell

        def killed(*said: Any) -> Any:
            nonlocal told
            if told == after:
                raise Killed
            told += 1
            return tell(*said)

        monkeypatch.setattr(shell, "tell", killed)
        with pytest.raises(Killed):
            await shell.put_rota(second, "st-1")
        await shell.engine.durable()

    async with desk(tmp_path / "killed", seed=2) as shell:
        assert shell.state.values.rota_begun is not None
        half = watched(shell)
        cancelled = sum(cancelled for *_, cancelled, _ in half.values())
        assert cancelled == (0 if after < 11 else 5)  # 105 rows come before the 15 that are dropped
        await shell.put_rota(second, "st-1")
        assert watched(shell) == expected
        assert shell.state.values.rota_begun is None


async def test_the_upload_is_evidence_from_its_first_portion_on(tmp_path: Path) -> None:
    upload = rota(range(3 * AT_ONCE + 1), complete=True, covers=COVERS)
    async with desk(tmp_path) as shell:
        await shell.put_rota(upload, "st-1")
        store = shell.engine._store
        facts = [f.decode_body(one.kind, one.v, one.body) for one in await store.facts("bright", 0)]
        [begun] = [body for body in facts if isinstance(body, f.RotaBegun)]
        kept = await store.evidence("bright", begun.evidence.id)
        assert kept is not None
        assert msgspec.json.decode(kept.body) == upload
        assert hashlib.sha256(kept.salt + kept.body).hexdigest() == begun.evidence.digest


# --- another policy ---


async def test_another_policy_holds_the_loop_for_no_more_than_a_portion(tmp_path: Path) -> None:
    hand = Hand()
    async with desk(tmp_path, hand) as shell:
        await shell.put_rota(rota(range(1, 3 * CHANGED)), "office")
        tighter = msgspec.structs.replace(config().policy, late_after=timedelta(minutes=20))
        before = shell.state.seq
        shell.adopt(msgspec.structs.replace(shell.config, policy=tighter), ())
        assert shell.state.seq - before == 2, "adopted, and begun"
        turns = 0
        while shell.state.values.replan_at is not None:
            hand.at, before = shell.state.values.replan_at, shell.state.seq
            shell.engine.fire_due(50)
            assert 0 < shell.state.seq - before <= CHANGED + 1
            turns += 1
            await asyncio.sleep(0)
        await shell.engine.durable()
        assert turns == 3
        assert {v.late_at - v.start for v in shell.state.values.visits.values()} == {timedelta(minutes=20)}
