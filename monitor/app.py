"""The composition root: builds everything by constructor arguments, starts it in order, stops it in order.

Start: store, desks (load, fold), HTTP, feeds; deadlines and messages only after the feeds are drained. Stop, under one
deadline: intake, scheduler, outbox, what is undecided to disk, snapshots, store.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from zoneinfo import reset_tzpath

import structlog
from aiohttp import web

from config.holidays_england import england_bank_holidays
from config.load import DeskConfig, Loaded, ward_names
from config.settings import Mapping, Settings
from connectors.board import BoardOptions
from connectors.email import MailSender
from connectors.heartbeat import Heartbeat
from connectors.http_api import build_app, serve
from connectors.mqtt import MqttFeed
from connectors.owntracks_secret import Keys
from connectors.ports import EdgeError, Sender, Store, StoreFenced, StoreRefused
from connectors.redis_link import configured_address
from connectors.redis_store import RedisStore
from connectors.sqlite_store import SqliteStore
from connectors.twilio.sending import NotConfigured, TwilioSender
from connectors.twilio.webhooks import routes as twilio_routes
from monitor.clock import Clock, ScaledClock, SystemClock
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.downlink import Downlink
from monitor.engine import Engine
from monitor.feeds import Feeds
from monitor.file_feeds import FileFeeds, fed_by, names_of
from monitor.ids import Pool, minter
from monitor.metrics import Metrics
from monitor.notify import Notify
from monitor.outbox import Outbox
from monitor.placing_links import link_of
from monitor.quarantine import Quarantine
from monitor.scheduler import Scheduler, roll_over
from monitor.watch import Watch
from monitor.watchdog import LOOK_EVERY_S, Watchdog
from monitor.wording_file import desk_wording
from monitor.words import Office, Words, national

log = structlog.get_logger("app")

DRAIN_S = 25.0
"""How long the start waits for a broker's backlog; then what it holds is *unknown* and the watch begins (rule 3)."""


def store_of(loaded: Loaded) -> Store:
    """The store that a configuration names: a file in its data folder, or a server."""
    assert loaded.settings is not None
    if not loaded.settings.store.shared:
        return SqliteStore(loaded.settings.data_dir)
    return RedisStore(configured_address(loaded), loaded.settings.data_dir)


async def _off_loop(work: Callable[[], bytes]) -> bytes:
    return await asyncio.to_thread(work)


OWN_KEY_BYTES = 32
READ_TURNS = 10
"""So often the sockets are looked at before deadlines that passed meanwhile are fired."""


class App:
    """One daemon. `run` returns when `stop` is set; `reload` takes a new configuration, whole or not at all."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        store: Store | None = None,
        notify: Notify | None = None,
    ) -> None:
        assert loaded.settings is not None
        reset_tzpath(())  # the pinned tzdata, not the host's (design rule 1)
        self.settings: Settings = loaded.settings
        self._loaded, self._random = loaded, random_bytes
        self._notify = notify or Notify({}, 0)
        self._small = Pool(random_bytes)
        self.clock = clock or SystemClock()
        self.metrics = Metrics([desk.id for desk in loaded.desks], self._feed_names())
        self.metrics.watch_process()
        self.store: Store = store or store_of(loaded)
        self.feeds = Feeds(self.clock, self._feed_names(), fed_by(loaded))
        self.address = ""
        self.twilio_tokens = [secret.get_secret_value() for secret in loaded.secrets.twilio_tokens]
        self.phone_keys = Keys()
        self._take_phone_keys(loaded)
        self.sender = self._sender()
        email = self.settings.email
        self.mail: Sender | None = MailSender(email.host, email.port, email.from_) if email else None
        self.outbox = self._outbox()
        quarantine = Quarantine(self.settings.data_dir / "quarantine")
        self.watch = Watch(
            self.store, self.clock, self.metrics, self.outbox, quarantine, self.feeds, self.sender
        )
        self.feeds.tell = self.watch.signal
        self.watch.telephones = "ok" if self.settings.twilio else "not_configured"
        self.mqtt = self._mqtt()
        self.downlink = self._downlink()
        self.file_feeds = FileFeeds(self.watch, self.metrics, self.clock, loaded)
        self.heartbeat = self._heartbeat()
        self.scheduler = self._scheduler()
        self._wordings = {desk.id: desk_wording(desk.wording) for desk in loaded.desks}
        self._stop = asyncio.Event()

    # --- building ---

    def _feed_names(self) -> list[str]:
        return names_of(self._loaded)

    def _take_phone_keys(self, loaded: Loaded) -> None:
        of_devices, of_desks = loaded.secrets.keys_of_devices, loaded.secrets.keys_of_desks
        self.phone_keys.replace(
            {device: key.get_secret_value().encode() for device, key in of_devices.items()},
            {desk: key.get_secret_value().encode() for desk, key in of_desks.items()},
        )

    def _link_keys(self) -> list[bytes]:
        """What signs our links: as configured, else our own."""
        configured = [key.get_secret_value().encode() for key in self._loaded.secrets.links]
        return configured or [_own_key(self.settings.data_dir, "links.key", self._random)]

    def _sender(self) -> TwilioSender | NotConfigured:
        twilio = self.settings.twilio
        if twilio is None:
            log.error("no telephone account: nothing can be texted or rung, the board is all there is")
            return NotConfigured()
        return TwilioSender(twilio.account_sid, self.twilio_tokens[0], twilio.api_url, self.public_url)

    def public_url(self) -> str:
        """Where the outside reaches us; our own listener unless configured."""
        return (self.settings.http.public_url or f"http://{self.address}").rstrip("/")

    def _outbox(self) -> Outbox:
        twilio = self.settings.twilio
        return Outbox(
            self.sender,
            self.clock,
            calls_per_s=twilio.calls_per_s if twilio else 1.0,
            sms_per_s=twilio.sms_per_s if twilio else 1.0,
            on_late=self.metrics.provider_late,
            on_provider=lambda *said: self.watch.provider_is(*said),
            mail=self.mail,
            spread=lambda: int.from_bytes(self._random(2), "big") / 65_536,
        )

    def _downlink(self) -> Downlink:
        enabled = self.settings.owntracks.downlink
        downlink = Downlink(lambda: self.watch.shells, self.clock, self.phone_keys, enabled=enabled)
        downlink.publish = self.mqtt.tell if self.mqtt is not None else None
        self.watch.downlink = downlink
        return downlink

    def _mqtt(self) -> MqttFeed | None:
        mqtt = self.settings.mqtt
        if mqtt is None:
            return None
        password = self._loaded.secrets.mqtt_password
        return MqttFeed(
            self.watch,
            url=mqtt.url,
            client_id=mqtt.client_id,
            username=mqtt.username,
            password=password.get_secret_value() if password else None,
            ca_file=mqtt.ca_file,
            keys=self.phone_keys,
            clock=self.clock.now,
        )

    def _heartbeat(self) -> Heartbeat | None:
        beat = self.settings.heartbeat
        if beat is None:
            return None
        return Heartbeat(beat.url, beat.every.total_seconds(), self.watch.well, self.metrics.heartbeat)

    def _scheduler(self) -> Scheduler:
        scheduler = Scheduler(
            self.clock,
            lambda: self.watch.shells,
            settle=self._settle,
            doubt_clock=self.feeds.doubt_clock,
            told=self.metrics,
            fault=lambda error: self.metrics.decision_failed(),
            wall=self.clock.wall if isinstance(self.clock, ScaledClock) else lambda at: at,
        )
        self.watch.on_decided = scheduler.decided
        return scheduler

    async def _settle(self, seconds: float) -> None:
        """What already waits in sockets and queues is read first (docs/interface.md, "Order")."""
        self.watch.listen_anew()
        if self.mqtt is not None:
            await self.mqtt.settle(seconds)
        # turns of the loop and not only time: a request is accepted in one, read in another, decided in a third, and
        # a machine that was busy elsewhere gives us all of the time in one of them
        for _ in range(READ_TURNS):
            await asyncio.sleep(min(0.05, seconds) / READ_TURNS)

    def _shell(self, config: DeskConfig) -> DeskShell:
        mint = minter(self._small, self.clock.now)
        directory = Directory(
            mint, config.policy.zone, config.policy.place_radius_m, mail=self.mail is not None
        )
        engine = Engine(config.id, self.store, self.clock, mint, directory, self.watch, off_loop=_off_loop)

        def bid_url(placement: str, provider: str) -> str:
            known = engine.state.values.placements[placement]
            link = link_of(config.id, engine.state, known, provider)
            return self.public_url() + self.watch.links.path(link)

        def words() -> Words:
            current = shell.config
            tel = current.telephone or (current.numbers[0] if current.numbers else "")
            office = Office(
                desk=current.id,
                agency=current.name,
                tel=tel,
                free=national(current.checkin_numbers[0]) if current.checkin_numbers else "",
                public_url=self.settings.http.public_url,
                bid_url=bid_url,
                areas={area.id: area.name for area in current.areas},
                wards=ward_names(current.areas),
            )
            return Words(self._wordings[current.id], office, engine.state, directory)

        shell = DeskShell(config, engine, words, self.clock, self.metrics, mint, self._small)
        return shell

    def _web(self) -> web.Application:
        extra: list[web.RouteDef] = []
        if self.settings.twilio is not None:
            extra = twilio_routes(self.watch, self.twilio_tokens, self.public_url)
        board = BoardOptions(
            session_key=_own_key(self.settings.data_dir, "session.key", self._random),
            password_hash=self.settings.http.password_hash,
            https=self.public_url().startswith("https:"),
            staff=self._staff,
        )
        return build_app(
            self.watch,
            metrics=self._render_metrics,
            loopback=self.settings.http.on_loopback,
            board=board,
            extra_routes=extra,
            keys=self.phone_keys,
            now=self.clock.now,
            mappings=self._mappings,
        )

    def _mappings(self) -> dict[str, Mapping]:
        assert self._loaded.settings is not None
        return {mapping.name: mapping for mapping in self._loaded.settings.mapping}

    async def _render_metrics(self) -> bytes:
        await self.watch.refresh_metrics()
        parts = []
        for part in self.metrics.written():  # a thousand desks are a hundred thousand lines of text
            parts.append(part)
            await asyncio.sleep(0)
        return b"".join(parts)

    def _staff(self, desk: str) -> dict[str, str]:
        shell = self.watch.shells.get(desk)
        if shell is None:
            return {}
        known = {entry.person: entry.person for entry in shell.config.duty}
        named = {
            person.given.id: person.given.name or person.given.id
            for person in shell.directory.people.values()
            if person.given.role == "staff"
        }
        return known | named

    # --- running ---

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    def reload(self, loaded: Loaded) -> None:
        """A configuration that was checked whole: policies, duty, tokens and secrets hold from now on. Desks are
        neither added nor removed without a restart, and the log says so."""
        self._loaded = loaded
        self.twilio_tokens[:] = [secret.get_secret_value() for secret in loaded.secrets.twilio_tokens]
        self._take_phone_keys(loaded)
        self.watch.links.replace_keys(self._link_keys())
        assert loaded.settings is not None
        self.downlink.enabled = loaded.settings.owntracks.downlink
        self.watch.trust(loaded.settings.http.token)
        self._wordings |= {desk.id: desk_wording(desk.wording) for desk in loaded.desks}
        for config in loaded.desks:
            shell = self.watch.shells.get(config.id)
            if shell is None:
                log.warning("a new desk needs a restart", desk=config.id)
            elif not shell.engine.lost:
                shell.adopt(config, self._holidays())
        self.file_feeds.take(loaded)
        log.info("configuration loaded again")

    def _holidays(self) -> tuple[date, ...]:
        year = self.clock.now().year
        return england_bank_holidays(year - 1, year + 2)

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve until `stop`. `ready` gets `host:port` once HTTP answers. Raises StoreRefused, OSError."""
        # the store's thread must get the interpreter while the loop is busy: nine times the facts (decision 0002)
        sys.setswitchinterval(0.0005)
        await self.store.open()
        gc.disable()  # nothing of what is loaded is rubbish; `_spare_the_collector` has it at work again
        try:
            await self._run(ready)
        finally:
            gc.enable()
            await self.store.close()
            await self.sender.close()

    async def _run(self, ready: Callable[[str], None]) -> None:
        self.watch.links.replace_keys(self._link_keys())
        for config in self._loaded.desks:
            shell = self._shell(config)
            await shell.engine.start()
            self.watch.add(shell)
            shell.adopt(config, self._holidays())
        self.watch.trust(self.settings.http.token)
        host, port = self.settings.http.address
        # the port is only known once we listen, and the callback URLs need it
        runner, self.address = await serve(self._web(), host, port)
        watchdog = self._watchdog()
        try:
            await self._serve(ready, watchdog)
        finally:
            watchdog.stop()
            self.scheduler.stop()
            await runner.cleanup()

    def _watchdog(self) -> Watchdog:
        def turned() -> None:
            self.metrics.watchdog_turn()
            self._notify.alive()

        every_s = min(LOOK_EVERY_S, self._notify.alive_every_s or LOOK_EVERY_S)
        return Watchdog(lambda: self.scheduler.turns, turned, look_every_s=every_s)

    async def _serve(self, ready: Callable[[str], None], watchdog: Watchdog) -> None:
        async with asyncio.TaskGroup() as group:
            committers = [
                group.create_task(_guarded(shell.engine), name=f"commit:{shell.id}")
                for shell in self.watch.shells.values()
            ]
            tasks = [group.create_task(self.outbox.run(), name="outbox")]
            tasks.append(group.create_task(self.downlink.run(), name="downlink"))
            tasks.append(group.create_task(self.watch.answerphones.run(), name="answerphones"))
            tasks.append(group.create_task(self.watch.landing.run(), name="landing"))
            if self.mqtt is not None:
                tasks.append(group.create_task(self.mqtt.run(), name="mqtt"))
            self.file_feeds.start(group)
            if self.heartbeat is not None:
                tasks.append(group.create_task(self.heartbeat.run(), name="heartbeat"))
            _spare_the_collector()
            self.watch.opened = True
            ready(self.address)
            tasks.append(group.create_task(self._open(watchdog), name="open"))
            await self._stop.wait()
            log.info("stopping")
            self._notify.stopping()
            await self._end([*tasks, *self.file_feeds.stop()], committers)

    async def _open(self, watchdog: Watchdog) -> None:
        """Load is done; drain, then tick (design rule 3)."""
        with contextlib.suppress(TimeoutError):
            # a broker that does not come in time is dark, and the watch begins: staff are told of every visit
            async with asyncio.timeout(DRAIN_S):
                await self.feeds.wait_drained()
        if not self.feeds.drained:
            self.feeds.give_up_waiting()
        self.scheduler.start([desk.policy.zone for desk in self._loaded.desks], self._new_day)
        watchdog.start()
        self.watch.start_sending()
        self._notify.ready()
        log.info("watching", desks=len(self.watch.shells))

    async def _new_day(self, zone: str) -> None:
        of_zone = [one for one in self.watch.shells.values() if one.config.policy.zone == zone]
        roll_over(of_zone, self._holidays(), self.clock.now())

    async def _end(
        self, tasks: Sequence[asyncio.Task[None]], committers: Sequence[asyncio.Task[None]]
    ) -> None:
        """Intake, scheduler and outbox stop; what is decided goes to disk; all within `drain_s`."""
        self.scheduler.stop()
        for task in tasks:
            task.cancel()
        drained = [self._last_words(shell.engine) for shell in self.watch.shells.values()]
        await asyncio.gather(*drained)
        for task in committers:
            task.cancel()

    async def _last_words(self, engine: Engine) -> None:
        try:
            async with asyncio.timeout(self.settings.drain_s):
                if engine.started:
                    await engine.drain()
                    await engine.snapshot()
        except (TimeoutError, EdgeError) as error:
            log.error(
                "not everything is on disk",
                desk=engine.desk,
                backlog=engine.backlog,
                error=type(error).__name__,
            )


def _spare_the_collector() -> None:
    """What was loaded stays: the collector need not look at it again. What comes later is mostly structs and texts
    that it never looks at: so it looks often, at few objects, and seldom at all of them (decision 0014)."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 500)


async def _guarded(engine: Engine) -> None:
    """One desk's committer. A desk that is led elsewhere, or whose store must not be used, is given up alone; the
    others go on, and health and metrics say which one it is."""
    try:
        await engine.run()
    except (StoreFenced, StoreRefused) as error:
        log.critical("the desk is not led here any more", desk=engine.desk, reason=error.reason)


def _own_key(folder: Path, name: str, random_bytes: Callable[[int], bytes]) -> bytes:
    """A key of our own, for sessions or for links: made once, kept beside the store, readable by us alone."""
    path, unfinished = folder / name, folder / f"{name}.new"
    if path.exists() and len(key := path.read_bytes()) == OWN_KEY_BYTES:
        return key
    folder.mkdir(parents=True, exist_ok=True)
    unfinished.unlink(missing_ok=True)
    key = random_bytes(OWN_KEY_BYTES)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)
    return key
