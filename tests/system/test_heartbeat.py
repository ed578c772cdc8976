"""The ping to the outside: it comes while the watch is well, stays away when it is not, and never holds anything up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aiohttp import web

from config.load import load
from connectors.heartbeat import Heartbeat
from tests.ports import free_port
from tests.system.broker import LOOPBACK
from tests.system.daemon import Daemon, table
from tests.system.test_degraded import locked
from tests.waiting import until, until_sync

PATH = "/ping/7a1c"


class Outside:
    """Who waits for the ping."""

    def __init__(self) -> None:
        self.beats: list[str] = []
        beats = self.beats

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                beats.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer((LOOPBACK, free_port()), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}{PATH}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)


@pytest.fixture
def outside() -> Iterator[Outside]:
    one = Outside()
    yield one
    one.close()


def test_it_comes_while_the_watch_is_well_and_stays_away_while_nothing_can_be_stored(
    tmp_path: Path, outside: Outside
) -> None:
    with locked(tmp_path) as disk:
        tables = table("heartbeat", {"url": outside.url, "every": "1s"})
        with Daemon(tmp_path, data=disk.data, tables=tables) as daemon:
            until_sync(lambda: len(outside.beats) >= 2, what="two beats")
            assert set(outside.beats) == {PATH}
            disk.breaks()
            # a write that fails is what makes it degraded
            body = {"id": "c-1", "kind": "arrive", "device": "x", "at": "2026-01-01T00:00:00Z", "visit": "v"}
            daemon.api("intake").call(
                "PUT", "./people", {"people": [{"id": "st-1", "role": "staff", "name": "X"}]}
            )
            daemon.api("intake").call("POST", "./checkins", body)
            until_sync(lambda: daemon.api().metric("callwatch_degraded") == 1, 20, what="degraded")
            until_sync(lambda: _none_for(outside, 2.5), 20, 0, "no beat for more than two periods")
            disk.mends()
            seen = len(outside.beats)
            until_sync(lambda: len(outside.beats) > seen, 20, what="it beats again")
            assert daemon.api().metric("callwatch_heartbeats_total", answer="ok") >= 3
        assert outside.url not in daemon.log


def _none_for(outside: Outside, seconds: float) -> bool:
    before = len(outside.beats)
    try:
        until_sync(lambda: len(outside.beats) > before, seconds)
    except AssertionError:
        return True
    return False


# --- what the other side may do ---


@asynccontextmanager
async def answering(status: int = 200, *, hangs: bool = False) -> AsyncIterator[str]:
    done = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        if hangs:
            await done.wait()
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    app = web.Application()
    app.router.add_get(PATH, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        yield f"http://{LOOPBACK}:{port}{PATH}"
    finally:
        done.set()
        await runner.cleanup()


async def beaten(url: str, *, well: bool = True, longest_s: float = 20.0) -> list[str]:
    told: list[str] = []
    asked: list[int] = []

    def is_well() -> bool:
        asked.append(1)
        return well

    beat = Heartbeat(url, 0.02, is_well, told.append, longest_s=longest_s)
    task = asyncio.create_task(beat.run())
    try:
        await until(lambda: len(told) >= 2 or len(asked) > 20, what="beats")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return told


@pytest.mark.parametrize(
    ("status", "said"), [(200, "ok"), (204, "ok"), (302, "refused"), (404, "refused"), (503, "provider_down")]
)
async def test_each_answer_has_its_name_and_it_goes_on(status: int, said: str) -> None:
    async with answering(status) as url:
        assert set(await beaten(url)) == {said}


async def test_one_that_never_answers_is_left_in_time() -> None:
    async with answering(hangs=True) as url:
        assert await beaten(url, longest_s=0.3) == ["timeout", "timeout"]


async def test_nobody_there_ends_nothing() -> None:
    assert set(await beaten(f"http://{LOOPBACK}:{free_port()}{PATH}")) == {"unreachable"}


async def test_a_watch_that_is_not_well_sends_nothing() -> None:
    async with answering() as url:
        assert await beaten(url, well=False) == []


async def test_a_host_that_has_no_thread_left_costs_beats_and_nothing_else() -> None:
    """What the resolver gets then is a RuntimeError, which is nobody's `ClientError`."""
    loop, none_left = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    none_left.shutdown()
    told: list[str] = []
    async with answering() as url:
        loop.set_default_executor(none_left)
        named = url.replace(LOOPBACK, "localhost")
        task = asyncio.create_task(Heartbeat(named, 0.02, lambda: True, told.append).run())
        try:
            await until(lambda: told.count("other") >= 2 or task.done(), what="beats that fail")
            loop.set_default_executor(ThreadPoolExecutor(1))
            await until(lambda: "ok" in told or task.done(), what="a beat that is taken")
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), "only we end it"


async def test_a_watch_that_cannot_say_whether_it_is_well_sends_nothing_and_is_asked_again() -> None:
    asked: list[str] = []

    def well() -> bool:
        asked.append("")
        if len(asked) < 3:
            raise KeyError(asked[0])
        return True

    told: list[str] = []
    async with answering() as url:
        task = asyncio.create_task(Heartbeat(url, 0.02, well, told.append).run())
        try:
            await until(lambda: "ok" in told or task.done(), what="a beat after two that failed")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert told[:3] == ["other", "other", "ok"]


@pytest.mark.parametrize("every", ["999ms", "61m", "soon"])
def test_a_beat_too_fast_or_too_slow_is_refused(every: str, tmp_path: Path) -> None:
    file = tmp_path / "callwatch.toml"
    beat = table("heartbeat", {"url": "https://ping.example.org/x", "every": every})
    desk = table("[desk]", {"id": "a", "kind": "provider", "name": "A"})
    file.write_text(f'data_dir = "data"\n{beat}\n{desk}')
    assert "heartbeat.every" in {problem.path for problem in load(file, {}).errors}
