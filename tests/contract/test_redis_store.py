"""What only the shared store promises: a server that must keep its word, its death in the middle, leases, retries."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from hiredis import pack_command
from redis import Redis

from connectors import redis_rows as rows
from connectors.ports import (
    GENESIS,
    EdgeError,
    Head,
    Record,
    Snapshot,
    StoreFenced,
    StoreRefused,
    StoreUnavailable,
    VerifyFinding,
)
from connectors.redis_link import Line, _packed, _pieces, edge_error
from connectors.redis_store import RedisStore, read_address, verify
from connectors.redis_writer import APPEND, call
from tests.contract.stores import DESK, OTHER, Journalist, evidence, facts, head_of, person
from tests.redis_server import PROGRAMS, RedisServer, redis_server
from tests.waiting import until

ROOT = Path(__file__).parents[2]
KEY = rows.keys(DESK)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "server") as one:
        yield one


@asynccontextmanager
async def opened(
    server: RedisServer, folder: Path | None = None, patience_s: float = 5.0, lease_s: float = 10.0
) -> AsyncIterator[RedisStore]:
    store = RedisStore(read_address(server.url), folder, patience_s=patience_s, lease_s=lease_s)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def shell(server: RedisServer) -> Iterator[Redis]:
    """Somebody with redis-cli."""
    client = Redis(port=server.port)
    try:
        yield client
    finally:
        client.close()


async def refusal(server: RedisServer, **more: str | None) -> StoreRefused:
    with pytest.raises(StoreRefused) as caught:
        await RedisStore(read_address(server.url, **more)).open()
    return caught.value


# --- a server that would not keep its word ---


WRONG = [
    ("appendfsync", "everysec", "appendfsync is everysec, expected always"),
    ("appendonly", "no", "appendonly is no, expected yes"),
    ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru, expected noeviction"),
    ("no-appendfsync-on-rewrite", "yes", "no-appendfsync-on-rewrite is yes, expected no"),
]


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize(("setting", "value", "said"), WRONG)
async def test_a_server_that_would_lose_what_it_acknowledged_is_refused_with_what_was_expected(
    tmp_path: Path, kind: str, setting: str, value: str, said: str
) -> None:
    with redis_server(tmp_path / "server", kind, **{setting: value}) as server:
        error = await refusal(server)
        assert (error.reason, error.permanent) == ("not_configured", True)
        assert said in str(error)
        assert [other for _, _, other in WRONG if other != said and other in str(error)] == []


async def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    with redis_server(tmp_path / "server", **{setting: value for setting, value, _ in WRONG}) as server:
        text = str(await refusal(server))
    assert [said for _, _, said in WRONG if said not in text] == []


async def test_a_setting_that_is_changed_while_we_run_is_noticed_and_nothing_more_is_acknowledged(
    server: RedisServer,
) -> None:
    async with opened(server, lease_s=0.3) as store:
        desk = await Journalist.begin(store)
        await desk.write()
        server.set("appendfsync", "everysec")
        made = facts(1, after=desk.head)

        async def refused() -> bool:
            try:
                # nothing but the position: it may be written as often as it likes
                await store.append(desk.leadership, desk.head, [], input_position="x")
            except StoreUnavailable as error:
                return error.reason == "not_configured"
            return False

        await until(refused, what="the change is noticed")
        with pytest.raises(StoreUnavailable, match="appendfsync is everysec, expected always"):
            await store.append(desk.leadership, desk.head, made)
        server.set("appendfsync", "always")
        assert await store.append(desk.leadership, desk.head, made) == head_of(made)


async def test_a_replica_is_refused(server: RedisServer) -> None:
    server.ask("REPLICAOF", "127.0.0.1", "1")
    assert (await refusal(server)).reason == "read_only"


async def test_redis_before_7_2_with_replicas_is_refused(server: RedisServer, tmp_path: Path) -> None:
    with redis_server(tmp_path / "other") as replica:
        replica.ask("REPLICAOF", "127.0.0.1", str(server.port))
        with shell(server) as redis:
            await until(lambda: redis.info("replication")["connected_slaves"] == 1)
        assert "has replicas, expected none before 7.2" in str(await refusal(server))


async def test_a_server_that_is_not_there_is_refused_in_bounded_time(server: RedisServer) -> None:
    server.kill()
    assert (await refusal(server)).reason == "unreachable"


async def test_a_store_of_a_newer_release_is_refused_and_left_alone(server: RedisServer) -> None:
    async with opened(server):
        pass
    with shell(server) as redis:
        redis.hset(rows.HEADER, "min_reader", 99)
    for _ in range(2):
        assert (await refusal(server)).reason == "newer_format"
    with pytest.raises(StoreRefused) as seen:
        verify(read_address(server.url))
    assert seen.value.reason == "newer_format"


# --- who may in ---


async def test_the_password_is_asked_for_and_never_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path / "server", requirepass="open-sesame") as server:
        for password in (None, "wrong-password"):
            error = await refusal(server, password=password)
            assert error.reason == "unauthorised"
            assert "password" not in str(error).replace("name or password", "")
        address = read_address(server.url.replace("//", "//:open-sesame@"))
        assert "sesame" not in f"{address!r} {address.shown}"
        store = RedisStore(address)
        await store.open()
        await (await Journalist.begin(store)).write(2)
        await store.close()
        assert [report.facts for report in verify(address)] == [2]


async def test_an_account_with_the_rights_that_operations_names_is_enough_and_with_fewer_it_is_said(
    server: RedisServer,
) -> None:
    (rights,) = re.findall(r"`(~callwatch:\*[^`]*)`", (ROOT / "docs" / "operations.md").read_text())
    with shell(server) as redis:
        redis.execute_command("ACL", "SETUSER", "callwatch", "on", ">secret", *rights.split())
        redis.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "~callwatch:*", "+@connection")
    address = read_address(server.url.replace("//", "//callwatch:secret@"))
    store = RedisStore(address, lease_s=0.3)
    await store.open()
    desk = await Journalist.begin(store)
    await desk.write(2)
    await store.save_snapshot(desk.leadership, Snapshot(version=1, head=desk.head, body=b"state"))
    await store.append(desk.leadership, desk.head, [], [person(body=None)])
    with shell(server) as redis:
        await until(lambda: redis.info("stats")["total_forks"] >= 1, what="its file is written anew")
        assert [line for line in redis.acl_log() if line["username"] == "callwatch"] == []
    assert len((await store.load(DESK)).snapshots) == 1
    await store.close()
    assert [report.facts for report in verify(address)] == [2]
    poor = RedisStore(read_address(server.url.replace("//", "//poor:secret@")))
    with pytest.raises(StoreRefused) as caught:
        await poor.open()
    assert caught.value.reason == "unauthorised"


async def test_over_a_socket_of_this_machine(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "redis.sock"
    with redis_server(tmp_path / "server", unixsocket=str(path)) as server:
        address = read_address(f"unix://{path}?db=3")
        store = RedisStore(address)
        await store.open()
        await (await Journalist.begin(store)).write(2)
        await store.close()
        assert [report.facts for report in verify(address)] == [2]
        async with opened(server) as other:
            assert (await other.load(DESK)).head == Head()


async def test_over_tls_with_a_certificate_that_is_vouched_for_and_no_other(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls = {"tls_cert_file": str(cert), "tls_key_file": str(key), "tls_auth_clients": "no"}
    with redis_server(tmp_path / "server", **tls) as server:
        port = server.port + 1_000
        server.set("tls-port", str(port))
        url = f"rediss://127.0.0.1:{port}/0"
        stranger = RedisStore(read_address(url))
        with pytest.raises(StoreRefused) as caught:
            await stranger.open()
        assert caught.value.reason == "unreachable"
        known = RedisStore(read_address(url, ca_file=str(cert)))
        await known.open()
        await (await Journalist.begin(known)).write(2)
        await known.close()
        assert [report.facts for report in verify(read_address(url, ca_file=str(cert)))] == [2]


def certificate(folder: Path) -> tuple[Path, Path]:
    """One of 127.0.0.1's own."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    assert ssl.create_default_context(cafile=str(cert)).cert_store_stats()["x509"] == 1
    return cert, key


# --- two processes ---


async def test_who_keeps_its_lease_keeps_the_desk_and_the_second_is_told_by_whom_it_is_led(
    server: RedisServer,
) -> None:
    async with opened(server, lease_s=3) as first, opened(server, lease_s=3) as second:
        desk = await Journalist.begin(first)
        with pytest.raises(StoreRefused) as caught:
            await second.lead(DESK)
        assert caught.value.reason == "locked"
        assert "pid" in str(caught.value)
        await desk.write()


async def test_a_desk_that_was_given_back_is_led_at_once(server: RedisServer) -> None:
    async with opened(server, lease_s=60) as first:
        before = (await Journalist.begin(first)).leadership
    async with opened(server, lease_s=60) as second:
        async with asyncio.timeout(20):
            assert (await second.lead(DESK)).fence > before.fence


async def test_the_same_data_folder_leads_again_at_once_after_a_crash(
    server: RedisServer, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    with appender(server, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(StoreRefused) as caught:
            await RedisStore(read_address(server.url), folder).open()
        assert f"pid {process.pid}" in str(caught.value)
    async with opened(server, folder, lease_s=60) as store, asyncio.timeout(20):
        await (await Journalist.begin(store, "desk-0")).write()


async def test_a_lease_that_ran_out_is_taken_over_and_the_old_leader_is_fenced(server: RedisServer) -> None:
    async with opened(server, lease_s=0.5) as first, opened(server, lease_s=0.5) as second:
        old = await Journalist.begin(first)
        await old.write()
        assert first._keeper is not None
        first._keeper.cancel()  # a process that is not scheduled any more
        new = await Journalist.begin(second)
        await new.write()
        with pytest.raises(StoreFenced) as caught:
            await old.write()
        assert caught.value.reason == "fenced"
        assert len(await second.facts(DESK, 0)) == 2


async def test_the_fence_is_above_the_last_one_in_the_journal_too(server: RedisServer) -> None:
    async with opened(server) as store:
        for _ in range(5):
            desk = await Journalist.begin(store)
        await desk.write()
        with shell(server) as redis:
            redis.hset(KEY.desk, "fence", 2)  # as a counter of an older copy would say
        assert (await store.lead(DESK)).fence == desk.leadership.fence + 1


# --- answers that got lost ---


def lost(
    leadership_fence: int, tried: int, at: Head, made: list[Record], position: str = ""
) -> tuple[object, ...]:
    """The very bytes of an append, as they would come in from a connection that is long forgotten."""
    head = (leadership_fence, tried, at.seq, at.hash, f"={position}" if position else "")
    keys = (KEY.desk, KEY.journal, KEY.people, KEY.evidence)
    return tuple(call(APPEND, keys, (*head, len(made), 0, 0, *rows.fact_values(made))))


async def test_an_append_whose_answer_was_lost_is_repeated_and_stands_once(server: RedisServer) -> None:
    async with opened(server, patience_s=2) as store:
        lead, made = await store.lead(DESK), facts(3)
        await store.append(lead, Head(), [], [person()])
        server.pause()
        with pytest.raises(StoreUnavailable) as caught:
            await store.append(lead, Head(), made, [person(rev=2)], [evidence()], "7")
        assert caught.value.reason == "unreachable"
        server.resume()
        # it had arrived, and is done before the repeat is read
        assert await store.append(lead, Head(), made, [person(rev=2)], [evidence()], "7") == head_of(made)
        loaded = await store.load(DESK)
        assert (loaded.tail, loaded.people, loaded.input_position) == (tuple(made), (person(rev=2),), "7")


async def test_a_try_that_arrives_late_after_a_newer_one_does_nothing(server: RedisServer) -> None:
    async with opened(server) as store:
        lead, made = await store.lead(DESK), facts(2)
        await store.append(lead, Head(), [], input_position="old")
        await store.append(lead, Head(), [], input_position="new")
        line = Line(read_address(server.url), 5.0)
        late = [lost(lead.fence, tried, Head(), [], "late") for tried in (1, 2)]
        answers = await line.ask(*late, lost(lead.fence, 2, Head(), made))  # type: ignore[arg-type]
        await line.drop()
        assert [answer[0] for answer in answers] == [b"judge"] * 3
        loaded = await store.load(DESK)
        assert (loaded.head, loaded.input_position) == (Head(), "new")


# --- the server dies, hangs, forgets, is full ---


async def test_a_server_that_was_started_again_has_forgotten_our_functions_and_is_taught_them(
    server: RedisServer,
) -> None:
    async with opened(server) as store:
        desks = [await Journalist.begin(store, f"desk-{n}") for n in range(10)]
        await asyncio.gather(*(desk.write(2) for desk in desks))
        server.kill()
        server.start()
        await asyncio.gather(*(desk.write(2) for desk in desks))
        server.ask("SCRIPT", "FLUSH")
        await asyncio.gather(*(desk.write(2) for desk in desks))
        await store.save_snapshot(desks[0].leadership, Snapshot(version=1, head=desks[0].head, body=b"state"))
    assert [(report.facts, report.broken) for report in verify(read_address(server.url))] == [(6, None)] * 10


async def test_a_full_memory_is_said_nothing_is_lost_and_everything_goes_on_when_there_is_room(
    server: RedisServer,
) -> None:
    async with opened(server) as store:
        desk = await Journalist.begin(store)
        await desk.write(5)
        server.set("maxmemory", "1")
        made = facts(3, after=desk.head)
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                await store.append(desk.leadership, desk.head, made, [person()], [evidence()], "9")
            assert (caught.value.reason, caught.value.permanent) == ("full", False)
        with pytest.raises(StoreUnavailable):
            await store.probe()
        loaded = await store.load(DESK)
        assert (loaded.head, loaded.people, loaded.input_position) == (desk.head, (), None)
        server.set("maxmemory", "0")
        await store.probe()
        assert await store.append(desk.leadership, desk.head, made, [person()], [evidence()], "9") == head_of(
            made
        )
        assert len(await store.facts(DESK, 0)) == 8


async def test_a_server_that_hangs_is_told_in_time(server: RedisServer) -> None:
    async with opened(server, patience_s=1) as store:
        desk = await Journalist.begin(store)
        server.pause()
        for call_ in (desk.write, store.probe, lambda: store.load(DESK), lambda: store.facts(DESK, 0)):
            async with asyncio.timeout(15):
                with pytest.raises(StoreUnavailable) as caught:
                    await call_()
            assert caught.value.reason == "unreachable"
        server.resume()
        await until(lambda: _well(store), what="it goes on")
        await desk.write()


async def test_a_store_is_closed_also_when_who_keeps_the_lease_misses_that_it_ends(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does in Python 3.11 when the end comes together with the server's answer."""
    begun = asyncio.Event()

    async def misses_it(_: RedisStore) -> None:
        if not begun.is_set():
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    monkeypatch.setattr(RedisStore, "_ask_again", misses_it)
    async with asyncio.timeout(20):
        async with opened(server, lease_s=0.3):
            await begun.wait()


async def _well(store: RedisStore) -> bool:
    try:
        await store.probe()
    except StoreUnavailable:
        return False
    return True


async def test_a_key_of_another_kind_is_damage_and_nothing_is_written_beside_it(server: RedisServer) -> None:
    async with opened(server) as store:
        desk = await Journalist.begin(store)
        await desk.write(2)
        with shell(server) as redis:
            redis.set(KEY.evidence, "somebody's")
            with pytest.raises(StoreRefused) as caught:
                await desk.write(1)
            assert caught.value.reason == "corrupt"
            assert redis.xlen(KEY.journal) == 2
            redis.delete(KEY.evidence)
        await desk.write(1)


async def test_a_journal_without_its_tail_is_not_written_to_nor_led(server: RedisServer) -> None:
    async with opened(server) as store:
        desk = await Journalist.begin(store)
        await desk.write(3)
        with shell(server) as redis:
            redis.xdel(KEY.journal, "3-0")
        for call_ in (desk.write, lambda: store.load(DESK), lambda: store.lead(DESK)):
            with pytest.raises(StoreRefused) as caught:
                await call_()
            assert caught.value.reason == "corrupt"


# --- kill -9 ---


@contextmanager
def appender(server: RedisServer, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that appends; killed at the end."""
    command = [sys.executable, "-m", "tests.contract.appender", str(folder), server.url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.kill()


def stands(server: RedisServer, told: dict[str, int]) -> None:
    """Nothing acknowledged is lost, nothing is there twice."""
    reports = {report.desk: report for report in verify(read_address(server.url))}
    assert {name: report.broken for name, report in reports.items()} == dict.fromkeys(reports)
    for name, seq in told.items():
        assert reports[name].facts >= seq


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_kill_9_of_the_server_in_the_middle_loses_nothing_acknowledged_and_doubles_nothing(
    tmp_path: Path, kind: str
) -> None:
    dice = random.Random(3)
    with redis_server(tmp_path / "server", kind) as server:
        async with opened(server) as store:
            desks = [await Journalist.begin(store, f"desk-{n}") for n in range(4)]
            stop = asyncio.Event()
            writing = [asyncio.create_task(patiently(desk, stop)) for desk in desks]
            for _ in range(5):
                before = [desk.head.seq for desk in desks]
                await until(
                    lambda: all(desk.head.seq > seq + 9 for desk, seq in zip(desks, before, strict=True)),  # noqa: B023 - awaited here
                    what="all of them write",
                )
                await asyncio.sleep(dice.uniform(0.0, 0.2))
                told = {desk.leadership.desk: desk.head.seq for desk in desks}
                server.kill()
                await asyncio.to_thread(server.start)
                await until(lambda: _well(store), what="it is back")
                stands(server, told)
            stop.set()
            await asyncio.gather(*writing)
            for desk in desks:
                loaded = await store.load(desk.leadership.desk)
                assert loaded.head == desk.head
                assert loaded.head.seq > 50
                assert loaded.input_position == str(desk.head.seq)
                assert len(loaded.people) == 1


async def patiently(desk: Journalist, stop: asyncio.Event) -> None:
    """As the engine does: the very same append until it returns."""
    while not stop.is_set():
        made = facts(3, desk.leadership.desk, desk.head)
        more = ([person(rev=made[-1].seq)], [evidence(f"e-{made[-1].seq}")], str(made[-1].seq))
        while True:
            try:
                desk.head = await desk.store.append(desk.leadership, desk.head, made, *more)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.01)


async def test_kill_9_of_the_process_loses_nothing_that_was_acknowledged(
    server: RedisServer, tmp_path: Path
) -> None:
    dice = random.Random(4)
    for _ in range(3):
        with appender(server, tmp_path / "data") as process:
            told = acknowledged(process, dice.uniform(0.0, 0.3))
        stands(server, told)


def acknowledged(process: subprocess.Popen[str], moment: float) -> dict[str, int]:
    """Kill the process some time after its first word; what it had said by then, by desk."""
    assert process.stdout is not None
    first = process.stdout.readline()
    killer = threading.Timer(moment, process.kill)
    killer.start()
    said = [first, *process.stdout]
    killer.join()
    lines = [line.split() for line in said if line.endswith("\n")]
    return {name: int(seq) for name, seq in lines}


# --- much at once ---


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """How long the loop was not free, turn by turn, in seconds."""
    seen: list[float] = []
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            seen.append(loop.time() - before)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_an_append_of_many_thousand_facts_is_one(server: RedisServer) -> None:
    made = facts(20_000)
    async with opened(server, patience_s=20) as store:
        lead = await store.lead(DESK)
        assert await store.append(lead, Head(), made) == head_of(made)
        loaded = await store.load(DESK)
        assert len(loaded.tail) == 20_000
        assert loaded.tail[-1] == made[-1]
    assert verify(read_address(server.url))[0].facts == 20_000


async def test_a_long_journal_is_loaded_page_by_page_with_the_loop_free_in_between(
    server: RedisServer,
) -> None:
    made = facts(20_000)
    async with opened(server, patience_s=20) as store:
        lead = await store.lead(DESK)
        at = Head()
        for n in range(0, len(made), 4000):
            at = await store.append(lead, at, made[n : n + 4000])
        async with stalls() as turns:
            await store.load(DESK)
        assert len(turns) > 20_000 / 1000


@pytest.mark.parametrize("values", [1, 999, 1_000, 1_001, 20_001, 45_678])
async def test_a_large_command_is_packed_in_pieces_to_the_very_same_bytes(values: int) -> None:
    command = ("EVALSHA", "digest", 0, *(f"värde {n}\r\n" if n % 2 else b"\x00*3\r\n" for n in range(values)))
    assert b"".join(_pieces(command)) == pack_command(command)
    assert b"".join(await _packed([command, ("PING",)])) == pack_command(command) + pack_command(("PING",))


async def test_a_hundred_thousand_facts_of_a_long_degraded_time_are_one_append(server: RedisServer) -> None:
    made = facts(100_000)
    async with opened(server, patience_s=0.5) as store:
        lead = await store.lead(DESK)
        assert await store.append(lead, Head(), made) == head_of(made)
        assert await store.append(lead, Head(), made) == head_of(made)
    assert verify(read_address(server.url))[0].facts == 100_000


async def test_what_waits_goes_out_together(server: RedisServer) -> None:
    async with opened(server) as store:
        desks = [await Journalist.begin(store, f"desk-{n}") for n in range(50)]
        with shell(server) as redis:
            before = redis.info("stats")["total_reads_processed"]
            await asyncio.gather(*(desk.write(4) for desk in desks))
            assert redis.info("stats")["total_reads_processed"] - before < 25


async def test_a_value_that_no_store_takes_harms_only_its_own_append(server: RedisServer) -> None:
    async with opened(server) as store:
        desks = [await Journalist.begin(store, f"desk-{n}") for n in range(4)]
        calls = [
            store.append(
                desk.leadership,
                desk.head,
                facts(2, desk.leadership.desk),
                [person(outside="\ud800" if n == 1 else "su", rev=2**70 if n == 2 else 1)],
            )
            for n, desk in enumerate(desks)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        bad = [answer for answer in answers if isinstance(answer, BaseException)]
        assert [isinstance(answer, BaseException) for answer in answers] == [False, True, True, False]
        for error in bad:
            assert isinstance(error, EdgeError)
            assert (error.reason, error.permanent, error.__cause__) == ("undecodable", True, None)


async def test_what_was_erased_leaves_the_servers_files_too(server: RedisServer) -> None:
    async with opened(server, lease_s=0.3) as store:
        desk = await Journalist.begin(store)
        await store.append(desk.leadership, desk.head, [], [person(body=b"Edith Example 020 7946", rev=1)])
        assert holding(server, b"Edith Example 020 7946")
        await store.append(desk.leadership, desk.head, [], [person(body=None, rev=2)])
        await until(lambda: not holding(server, b"Edith Example 020 7946"), what="erased from all files")
        assert [row.body for row in (await store.load(DESK)).people] == [None]


def holding(server: RedisServer, text: bytes) -> list[str]:
    found = []
    for file in server.folder.rglob("*"):
        # the server writes its files anew while we look: one that has gone holds nothing
        with suppress(FileNotFoundError):
            found += [file.name] if file.is_file() and text in file.read_bytes() else []
    return found


# --- verify ---


async def filled(server: RedisServer, count: int = 9) -> None:
    async with opened(server) as store:
        for name in (DESK, OTHER):
            await (await Journalist.begin(store, name)).write(count)


def rewritten(redis: Redis, changes: dict[int, bytes | None]) -> None:
    """The journal anew, with other bytes for some facts (None: without it)."""
    entries = redis.xrange(KEY.journal)
    redis.delete(KEY.journal)
    for entry, fields in entries:
        seq = int(entry.partition(b"-")[0])
        fact = changes.get(seq, fields[b"f"])
        if fact is not None:
            redis.xadd(KEY.journal, {"f": fact, "h": fields[b"h"], "l": fields[b"l"]}, id=entry)


def changed(redis: Redis, seq: int, old: bytes, new: bytes) -> dict[int, bytes | None]:
    (entry,) = redis.xrange(KEY.journal, seq, seq)
    assert old in entry[1][b"f"]
    return {seq: entry[1][b"f"].replace(old, new)}


TAMPERINGS = {
    "a changed body": (5, b'{"n":1}', b'{"n":2}', "hash"),
    "a changed time": (1, b"00.123456Z", b"00.123457Z", "hash"),
    "a flipped byte": (6, b'{"n":1}', b'{"n\xff:1', "body"),
    "a changed link": (3, None, None, "prev"),
    "a deleted fact": (5, None, None, "gap"),
    "a deleted first fact": (1, None, None, "gap"),
    "a tail cut off": (9, None, None, "gap"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_verify_names_the_broken_fact_and_clears_the_other_desk(server: RedisServer, what: str) -> None:
    seq, old, new, reason = TAMPERINGS[what]
    await filled(server)
    with shell(server) as redis:
        if old is not None and new is not None:
            rewritten(redis, changed(redis, seq, old, new))
        elif reason == "prev":
            prev = facts(9)[seq - 1].prev
            rewritten(redis, changed(redis, seq, prev, GENESIS))
        else:
            redis.xdel(KEY.journal, f"{seq}-0")
    mine, other = verify(read_address(server.url))
    assert (mine.desk, mine.broken) == (DESK, VerifyFinding(seq=seq, reason=reason))
    assert (other.desk, other.facts, other.broken) == (OTHER, 9, None)


async def test_verify_of_a_server_without_a_store_says_so(server: RedisServer) -> None:
    with pytest.raises(StoreRefused, match="no callwatch store"):
        verify(read_address(server.url))
    server.kill()
    with pytest.raises(StoreUnavailable):
        verify(read_address(server.url))


# --- what errors mean ---

ERRORS = [
    ("MISCONF Errors writing to the AOF file: No space left on device", "full"),
    ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk", "read_only"),
    ("BUSY Redis is busy running a script", "locked"),
    ("NOREPLICAS Not enough good replicas to write", "read_only"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", "corrupt"),
    ("ERR something that nobody has seen yet", "other"),
]


@pytest.mark.parametrize(("text", "reason"), ERRORS)
def test_an_error_of_the_server_has_its_reason_and_none_of_its_text(text: str, reason: str) -> None:
    from redis._parsers.base import BaseParser

    error = edge_error(BaseParser.parse_error(text), read_address("redis://store/0"))
    assert (error.reason, error.permanent) == (reason, reason == "corrupt")
    assert text.partition(" ")[2] not in str(error)
