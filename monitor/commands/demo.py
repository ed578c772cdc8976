"""The daemon with embedded parts only (SQLite, a broker of its own, stand-in telephones), a synthetic day of an example
provider, and a council that places two packages. The first alert comes within a minute. A second start carries on with
the same day; `--data` says where it is kept. Everything listens on this machine only."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import Struct

from config.load import Loaded, load_text
from config.settings import is_loopback
from config.tokens import SECRET_BYTES, new_token
from connectors.embedded_broker import embedded_broker
from connectors.ports import EdgeError, StoreRefused, StoreUnavailable
from connectors.twilio.network import TelephoneNetwork
from connectors.twilio.standin import serving
from monitor import demo_council
from monitor.app import App
from monitor.clock import ScaledClock
from monitor.commands.run import STORE, USAGE, loop_factory
from monitor.demo_phones import run_phones
from monitor.logs import start_logs
from monitor.synthetic import SyntheticDay, synthetic_day

log = structlog.get_logger("demo")

DESK = "bright"
OUR_NUMBER, COUNCIL_NUMBER = "+441632960999", "+441632960998"
FREE_NUMBER = "+448081570042"
ZONE = ZoneInfo("Europe/London")
"""Of both desks: the clock of their boards."""
A_DAY = timedelta(hours=14)
"""A day older than this is over: the next start lays on a new one, in the same store."""


class Laid(Struct, kw_only=True):
    """What makes the day the same again: the generator's seed and moment."""

    seed: int
    now: datetime
    loaded: bool = False
    secret: str = ""
    """With which the broker signs in."""


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch demo [--speed N] [--listen H:P] [--data DIR] [--store URL]`."""
    parser.add_argument("--speed", type=float, default=1.0, help="how many seconds pass in one of ours (1)")
    parser.add_argument(
        "--listen", default="127.0.0.1:8080", help="where the board answers, on this machine only"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("demo-data"), help="where the day is kept (demo-data)"
    )
    parser.add_argument(
        "--store",
        default="sqlite:",
        metavar="URL",
        help="keep its facts in a Redis: redis://127.0.0.1:6379/0",
    )


def run(args: argparse.Namespace) -> int:
    """0 after Ctrl-C; 2 for arguments that cannot be; 3 for a store that cannot be used."""
    host, _, port = args.listen.rpartition(":")
    if not is_loopback(host) or not port.isdigit() or not 0.1 <= args.speed <= 600:
        sys.stderr.write("callwatch demo: expected --listen 127.0.0.1:PORT and --speed from 0.1 to 600\n")
        return USAGE
    try:
        args.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"callwatch demo: --data {args.data}: expected a folder: {error.strerror}\n")
        return USAGE
    with (args.data / "demo.log").open("ab") as file:
        logs = start_logs("json", stream=file)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(_demo(args.data.absolute(), args.listen, int(port), args.speed, args.store))
        finally:
            logs.close()


async def _demo(data: Path, listen: str, port: int, speed: float, store: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(embedded_broker(data / "broker"))
            laid = await asyncio.to_thread(_laid, data)
            day = await asyncio.to_thread(synthetic_day, laid.seed, laid.now)
            network = _network(day, speed, f"http://127.0.0.1:{port}")
            phones = await stack.enter_async_context(_telephones(network, port + 1))
            clock = ScaledClock(max(laid.now, datetime.now(UTC)), speed)
            text = _configuration(data, listen, broker, phones, day, store) + demo_council.configuration(
                laid.secret
            )
            app = App(_loaded(text, data), clock=clock)
            await _watch(app, day, laid, data, broker, phones, speed, clock, stop)
    except (StoreRefused, StoreUnavailable) as error:
        sys.stderr.write(f"callwatch: the store cannot be used: {error}\n")
        return STORE
    except (OSError, EdgeError) as error:
        sys.stderr.write(f"callwatch: cannot start: {getattr(error, 'strerror', None) or error}\n")
        return USAGE
    _say("Stopped. Start it again and it carries on.")
    return 0


async def _watch(
    app: App,
    day: SyntheticDay,
    laid: Laid,
    data: Path,
    broker: str,
    phones: str,
    speed: float,
    clock: ScaledClock,
    stop: asyncio.Event,
) -> None:
    """The daemon, then people and rota, then the care workers' phones; all ends with `stop`."""
    addresses: asyncio.Queue[str] = asyncio.Queue()
    daemon = asyncio.create_task(app.run(addresses.put_nowait), name="daemon")
    answering = asyncio.create_task(addresses.get(), name="answering")
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    walking: asyncio.Task[None] | None = None
    try:
        first: set[asyncio.Task[Any]] = {daemon, answering}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not daemon.done():
            await _lay_on(app, day, laid, data)
            _say(welcome(answering.result(), phones, laid, datetime.now(UTC)))
            walk = run_phones(day, broker, clock, speed, progress=data / "phones.progress")
            walking = asyncio.create_task(walk, name="phones")
            either: set[asyncio.Task[Any]] = {daemon, stopping}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if walking is not None:
            walking.cancel()
            await asyncio.wait({walking})
        stopping.cancel()
        answering.cancel()
        app.stop()
        await daemon


async def _lay_on(app: App, day: SyntheticDay, laid: Laid, data: Path) -> None:
    """People and rota, once: a second start has them in its store."""
    if laid.loaded:
        return
    await app.watch.put_people(DESK, day.people_body["people"])
    await app.watch.put_rota(DESK, day.rota_body, "demo")
    await demo_council.lay_on(app.watch, laid.now)
    laid.loaded = True
    await asyncio.to_thread(_keep, data, laid)


def _laid(data: Path) -> Laid:
    """The day of the last start, or a new one if that is over."""
    file, now = data / "day.json", datetime.now(UTC)
    if file.exists():
        laid = msgspec.json.decode(file.read_bytes(), type=Laid)
        if now - laid.now < A_DAY and laid.secret:
            return laid
    for old in data.glob("phones.progress*"):
        old.unlink()
    laid = Laid(seed=int.from_bytes(os.urandom(3), "big"), now=now, secret=_secret())
    _keep(data, laid)
    return laid


def _secret() -> str:
    return new_token(os.urandom(SECRET_BYTES))


def _keep(data: Path, laid: Laid) -> None:
    beside = data / "day.new"
    beside.write_bytes(msgspec.json.encode(laid))
    beside.replace(data / "day.json")


def _network(day: SyntheticDay, speed: float, board: str) -> TelephoneNetwork:
    labels = {COUNCIL_NUMBER: "the council's Emergency Duty Team"} | demo_council.labels()
    for person in day.people_body["people"]:
        for phone in person.get("phones", ()):
            labels[phone["number"]] = f"{person['name']}, {person['role'].replace('_', ' ')}"
    return TelephoneNetwork(
        ["demo"], sms_url=f"{board}/twilio/sms", voice_url=f"{board}/twilio/voice", speed=speed, labels=labels
    )


@asynccontextmanager
async def _telephones(network: TelephoneNetwork, port: int) -> AsyncIterator[str]:
    """On the port beside the board's; any free one if that is taken."""
    async with AsyncExitStack() as stack:
        try:
            yield await stack.enter_async_context(serving(network, "127.0.0.1", port))
        except OSError:
            log.info("the port beside the board is taken, using another")
            yield await stack.enter_async_context(serving(network))


def _configuration(data: Path, listen: str, broker: str, phones: str, day: SyntheticDay, store: str) -> str:
    """The host's part of the demo's configuration, and the provider's desk."""
    (data / "twilio.token").write_text("demo")
    duty = ", ".join(
        "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in line.items()) + " }"
        for line in day.duty
    )
    return f"""
data_dir = {json.dumps(str(data / "store"))}
[store]
url = {json.dumps(store)}
[http]
listen = {json.dumps(listen)}
[mqtt]
url = {json.dumps(broker)}
[twilio]
account_sid = "ACdemo"
auth_token_files = ["twilio.token"]
api_url = {json.dumps(phones)}
[[desk]]
id = "{DESK}"
kind = "provider"
name = "Bright Care"
policy = "example"
numbers = ["{OUR_NUMBER}"]
checkin_numbers = ["{FREE_NUMBER}"]
public = "auto"
# the day has no tomorrow, of which an empty rota would be told at six
overrides = {{ time_critical_late_after = "30m", rota_look_at = "03:00" }}
duty = [{duty}]
council_desks = [{{ name = "Emergency Duty Team", phone = "{COUNCIL_NUMBER}", hours = "otherwise" }}]
"""


def _loaded(text: str, data: Path) -> Loaded:
    """Checked like anybody else's configuration."""
    loaded = load_text(text, data, {})
    if loaded.settings is None:
        raise EdgeError("other", "; ".join(f"{p.path}: {p.message}" for p in loaded.errors))
    return loaded


def welcome(address: str, phones: str, laid: Laid, now: datetime) -> str:
    """Where everything is, and what comes next, by the clock that the board shows."""
    return f"""
callwatch is watching a synthetic day of "Bright Care": 25 care workers, 120 service users.

  the board        http://{address}/board/{DESK}
  the telephones   {phones}/phones      answer the calls, read the texts, press keys, reply

On that page any telephone can ring the free number for check-ins, 0808 157 0042. Care workers' PINs are 4701 to 4725.

{_what_comes(laid, now)}

A council's desk is there too: two packages are to be placed with four providers, who are texted on that page.

  its packages     http://{address}{demo_council.PAGES}      sign in with {laid.secret}

Ctrl-C stops it; started again, it carries on.
"""


def _what_comes(laid: Laid, now: datetime) -> str:
    began, first = laid.now.astimezone(ZONE), (laid.now + timedelta(seconds=30)).astimezone(ZONE)
    if first < now:
        return f"The day began at {began:%H:%M}; it goes on where it was stopped."
    return f"One care worker never comes: the first alert is due at {first:%H:%M:%S}."


def _say(text: str) -> None:
    sys.stdout.write(text.strip("\n") + "\n")
    sys.stdout.flush()
