"""The real daemon as a process of its own, real telephones of the stand-in, and an HTTP client: what an outsider has.

Everything here is synchronous: the telephones run in a thread of their own, so a test may wait, kill and poll as it
likes. The driver knows docs/interface.md and nothing of what is inside.

`WarmStart` starts the same command by `fork` from a process that has already imported it: a cold start of Python costs
seconds of CPU, a hundred of them would make a test about crashes a test about imports. What is forked is an ordinary
process, with its own memory, files and sockets; SIGKILL ends it as it ends any other.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config.tokens import hash_token
from connectors.twilio.standin import TelephoneNetwork, serving
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.system.broker import LOOPBACK, Mosquitto
from tests.system.stores import on_redis, server_of
from tests.waiting import PATIENCE_S, until_sync

ROOT = Path(__file__).parents[2]
STARTS_S = 60.0
ROLES = ("office", "on_call", "manager", "auditor", "intake", "operator")
DESK = "bright"
OUR_NUMBER = "+441632960999"
ACCOUNT, AUTH_TOKEN = "AC" + "7" * 32, "the-token-of-the-stand-in"


# --- time, as the contract writes it ---


def now() -> datetime:
    """The wall clock of the test."""
    return datetime.now(UTC)


def in_s(seconds: float) -> datetime:
    """That many seconds from now; negative is ago."""
    return now() + timedelta(seconds=seconds)


def rfc(at: datetime) -> str:
    """RFC 3339."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """Read back."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def day_of(at: datetime) -> str:
    """The local date of an instant, as `?date=` wants it."""
    return at.astimezone(ZoneInfo("Europe/London")).date().isoformat()


def left_of_day_s() -> float:
    """Seconds until the local day ends: a test that lays out today's visits would end with yesterday's."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight.astimezone(UTC) - local.astimezone(UTC)).total_seconds()


# --- an HTTP client ---


class Answer(NamedTuple):
    """Status, body (JSON when it is JSON, else text), headers in lower case."""

    status: int
    body: Any
    headers: dict[str, str]


def request(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 40.0,
) -> Answer:
    """One request. `body`: bytes go out as they are, anything else as JSON. Raises OSError when nobody answers."""
    sent = dict(headers or {})
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if raw is not None:
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request(method, path, raw, sent)
        answer = connection.getresponse()
        text = answer.read()
        seen = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, _read(text), seen)
    except http.client.HTTPException as error:
        raise ConnectionError(f"no answer: {error!r}") from error
    finally:
        connection.close()


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


class Api:
    """The daemon's routes with one credential."""

    def __init__(self, port: int, secret: str | None, desk: str = DESK, user: str | None = None) -> None:
        self.port, self.secret, self.desk = port, secret, desk
        self._headers: dict[str, str] = {}
        if user is not None:
            self._headers["Authorization"] = "Basic " + b64encode(f"{user}:{secret}".encode()).decode()
        elif secret is not None:
            self._headers["Authorization"] = f"Bearer {secret}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Any route; a path that begins with `./` is the desk's own."""
        whole = f"/v1/desks/{self.desk}/{path[2:]}" if path.startswith("./") else path
        return request(self.port, method, whole, body, self._headers | headers)

    def get(self, path: str) -> Any:
        """The body of an answer that must be 200."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.body

    def put(self, path: str, body: Any) -> Any:
        """The body of an answer that must be 200."""
        answer = self.call("PUT", path, body)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path: str, body: Any) -> Any:
        """The body of an answer that must be 200."""
        answer = self.call("POST", path, body)
        assert answer.status == 200, answer
        return answer.body

    # --- the routes that every test needs ---

    def people(self, *people: Mapping[str, Any]) -> Any:
        """PUT people."""
        return self.put("./people", {"people": list(people)})

    def rota(self, *visits: Mapping[str, Any], **more: Any) -> Any:
        """PUT rota."""
        return self.put("./rota", {"visits": list(visits)} | more)

    def checkin(self, **fields: Any) -> dict[str, Any]:
        """POST one check-in; its result."""
        (result,) = self.post("./checkins", fields)["results"]
        assert isinstance(result, dict)
        return result

    def visit(self, name: str, date: str | None = None) -> dict[str, Any] | None:
        """One visit of a day, or None (see `visits`)."""
        return self.visits(date).get(name)

    def visits(self, date: str | None = None) -> dict[str, dict[str, Any]]:
        """The visits of a day by their ids; unless a day is said, of yesterday, today and tomorrow: a test that runs
        at midnight must find them too."""
        days = (date,) if date else tuple(day_of(now() + timedelta(days=off)) for off in (-1, 0, 1))
        return {one["id"]: one for day in days for one in self.get(f"./visits?date={day}")["visits"]}

    def alerts(self, **fields: Any) -> list[dict[str, Any]]:
        """The alerts whose fields are as given."""
        seen = self.get("./alerts")["alerts"]
        return [one for one in seen if all(one[name] == value for name, value in fields.items())]

    def alert(self, visit: str, timeout: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        """The one alert of a visit, as soon as it is there and its fields are as given."""
        (found,) = until_sync(
            lambda: self.alerts(visit=visit, **fields), timeout, what=f"an alert of {visit} with {fields}"
        )
        return found

    def facts(self, after: int = 0) -> list[dict[str, Any]]:
        """Every fact, page by page."""
        facts: list[dict[str, Any]] = []
        while True:
            page = self.get(f"./facts?after={after}")
            facts += page["facts"]
            if page["next"] == after:
                return facts
            after = page["next"]

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all samples of this name whose labels are as given; NaN-free, 0.0 when there is none."""
        text = self.call("GET", "/metrics").body
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in text.splitlines():
            key, _, value = line.rpartition(" ")
            if key.split("{")[0] == name and all(want in key for want in wanted):
                total += float(value)
        return total


# --- the chain, by the formula of the contract and nothing else ---


def chain_break(facts: Sequence[Mapping[str, Any]], desk: str = DESK) -> str | None:
    """Why these facts, from the first on, are no unbroken chain; None when they are."""
    prev = bytes(32)
    for number, fact in enumerate(facts, 1):
        if fact["seq"] != number:
            return f"fact {number} says that it is {fact['seq']}"
        if fact["prev"] != prev.hex():
            return f"fact {number} does not name the hash before it"
        names = ("at", "due_at", "kind", "v", "subject", "cause", "people_rev", "policy", "body")
        fields = [desk, fact["seq"], *(fact[name] for name in names)]
        prev = hashlib.sha256(prev + b"".join(map(_framed, fields))).digest()
        if fact["hash"] != prev.hex():
            return f"fact {number} has another hash"
    return None


def _framed(value: Any) -> bytes:
    if value is None:
        return b"\xff\xff\xff\xff"
    text = str(value).encode()
    return len(text).to_bytes(4, "big") + text


def of_kind(facts: Iterable[Mapping[str, Any]], kind: str, /, **body: Any) -> list[Mapping[str, Any]]:
    """The facts of a kind, and with these values in their body."""
    found = [fact for fact in facts if fact["kind"] == kind]
    return [fact for fact in found if body.items() <= json.loads(fact["body"]).items()]


# --- telephones ---


class Telephones:
    """The stand-in network on a port of its own, in a thread of its own, spoken to over HTTP.

    At twenty times the speed of life a telephone would ring for a second and a key be waited for a third of one, which
    is less than a busy machine may take between two lines of a test: `patience_s` is how long both last at the least.
    """

    def __init__(self, *, speed: float = 20.0, patience_s: float = 3.0) -> None:
        self.network: TelephoneNetwork
        self.port = free_port()
        self._speed, self._patience_s = speed, patience_s
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telephones", daemon=True)

    @property
    def url(self) -> str:
        """What the configuration calls api_url."""
        return f"http://{LOOPBACK}:{self.port}"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.network = TelephoneNetwork(
            [AUTH_TOKEN], speed=self._speed, patience_s=self._patience_s, account_sid=ACCOUNT
        )
        async with serving(self.network, LOOPBACK, self.port):
            self._up.set()
            await self._stop.wait()

    def __enter__(self) -> Telephones:
        self._thread.start()
        assert self._up.wait(PATIENCE_S), "the telephones are not there"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = request(self.port, method, path, body, timeout_s=40)
        assert answer.status == 200, answer
        return answer.body

    def leads_to(self, daemon: Daemon) -> None:
        """What a phone begins (texts, calls to us) goes to this daemon."""
        urls = {"sms_url": f"{daemon.url}/twilio/sms", "voice_url": f"{daemon.url}/twilio/voice"}
        self._ask("POST", "/numbers", urls)

    def fault(self, kind: str, **more: Any) -> None:
        """From now on: refuse, hang, timeout_after_send, lose, double, reorder, undelivered; `count` is how often."""
        self._ask("POST", "/faults", {"kind": kind} | more)

    def mend(self) -> None:
        """No faults any more."""
        self._ask("DELETE", "/faults")

    def faults(self) -> dict[str, Any]:
        """What still strikes."""
        left = self._ask("GET", "/faults")["faults"]
        assert isinstance(left, dict)
        return left

    def texts(self, number: str) -> list[dict[str, Any]]:
        """What we wrote to this phone, oldest first."""
        seen = self._ask("GET", f"/phones/{number}")["texts"]
        return [text for text in seen if text["to"] == number]

    def calls(self, number: str) -> list[dict[str, Any]]:
        """How we rang this phone, oldest first."""
        return [call for call in self._ask("GET", f"/phones/{number}")["calls"] if call["to"] == number]

    def text(self, number: str, count: int = 1, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """The `count`-th text to this phone, once it is there."""
        until_sync(lambda: len(self.texts(number)) >= count, timeout, what=f"text {count} to {number[-3:]}")
        return self.texts(number)[count - 1]

    def ringing(self, number: str, count: int = 1, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """The `count`-th call to this phone, once it rings."""

        def seen() -> dict[str, Any] | None:
            calls = self.calls(number)
            return (
                calls[count - 1] if len(calls) >= count and calls[count - 1]["status"] == "ringing" else None
            )

        call = until_sync(seen, timeout, what=f"call {count} to {number[-3:]} rings")
        assert call is not None
        return call

    def reply(self, number: str, body: str, to: str = OUR_NUMBER) -> dict[str, Any]:
        """This phone writes to us."""
        answer = self._ask("POST", f"/phones/{number}/reply", {"body": body, "to": to})
        assert isinstance(answer, dict)
        return answer

    def again(self, number: str, text: Mapping[str, Any]) -> dict[str, Any]:
        """The network hands this phone's text over once more."""
        answer = self._ask("POST", f"/phones/{number}/reply", {"again": text["sid"]})
        assert isinstance(answer, dict)
        return answer

    def rings(self, number: str, to: str, *, withheld: bool = False) -> dict[str, Any]:
        """This phone rings one of our numbers; the call when it is asked something, joined or over."""
        answer = self._ask("POST", f"/phones/{number}/call", {"to": to, "withheld": withheld})
        assert isinstance(answer, dict)
        return answer

    def call(self, sid: str) -> dict[str, Any]:
        """One call as it stands."""
        answer = self._ask("GET", f"/calls/{sid}")
        assert isinstance(answer, dict)
        return answer

    def do(self, call: Mapping[str, Any], action: str, **more: Any) -> dict[str, Any]:
        """answer, press (`digits`), say (`words`, after the tone), voicemail, busy, no-answer, hangup."""
        answer = self._ask("POST", f"/calls/{call['sid']}/{action}", more)
        assert isinstance(answer, dict)
        return answer


# --- the configuration ---


def toml(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)  # text, numbers and booleans are written alike


def table(name: str, values: Mapping[str, Any]) -> str:
    """A table, or a block of an array of tables when the name is in brackets."""
    return "\n".join([f"[{name}]", *(f"{key} = {toml(value)}" for key, value in values.items()), ""])


def secret_of(role: str, desk: str = DESK, device: str | None = None) -> str:
    """The secret that a daemon of this driver gives to a role, to a device, or to a provider by its id."""
    return re.sub(r"[^a-z0-9]", "-", f"cw-test-{role}-{desk}-{device or 'none'}".lower())


ALWAYS = ({"person": "st-1", "role": "office", "hours": "otherwise"},)
"""One duty line: the office is there at every hour, so that no test depends on the hour at which it runs."""


def by_day() -> dict[str, str]:
    """Overrides that put the night, in which a call comes first, as far away as it can be: tests run at any hour."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    return {f"night_{end}": f"{local + timedelta(hours=h):%H:%M}" for end, h in (("from", 11), ("to", 13))}


def no_evening() -> dict[str, str]:
    """An override that puts the daily look at tomorrow's rota, which no test of today has, as far away as it can be."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    return {"rota_look_at": f"{local + timedelta(hours=12):%H:%M}"}


class Daemon:
    """`callwatch run`: configured by keywords, on a port and with a data folder that stay over restarts.

    `overrides` are keys of the policy; `first` more keys of its desk; `desks` are more `[[desk]]` tables; `tables` are
    texts appended to the file; `providers` get a credential each at every council's desk;
    `env` (may be changed between two starts) and `prefix` (words before the command) are for libfaketime and the like;
    `warm` forks from a `WarmStart`; `redis` is the server of its store (else tests/system/stores.py decides).
    """

    def __init__(
        self,
        folder: Path,
        *,
        broker: Mosquitto | None = None,
        phones: Telephones | None = None,
        overrides: Mapping[str, Any] | None = None,
        duty: Sequence[Mapping[str, Any]] = ALWAYS,
        public: str = "auto",
        devices: Sequence[str] = (),
        providers: Sequence[str] = (),
        desks: Sequence[Mapping[str, Any]] = (),
        council_desks: Sequence[Mapping[str, Any]] = (),
        checkin_numbers: Sequence[str] = (),
        first: Mapping[str, Any] | None = None,
        mqtt: Mapping[str, Any] | None = None,
        twilio: Mapping[str, Any] | None = None,
        tables: str = "",
        data: Path | None = None,
        drain_s: float = 5,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        warm: WarmStart | None = None,
        redis: RedisServer | None = None,
    ) -> None:
        self.folder, self.port, self.data = folder, free_port(), data or folder / "data"
        self.phones, self.env, self._prefix, self._warm = phones, dict(env or {}), list(prefix), warm
        self.config, self._out, self._err = folder / "callwatch.toml", folder / "stdout", folder / "stderr"
        self.starts_s: list[float] = []
        self._process: subprocess.Popen[bytes] | Forked | None = None
        own = {
            "id": DESK,
            "kind": "provider",
            "name": "Bright Care",
            "numbers": [OUR_NUMBER],
            "checkin_numbers": list(checkin_numbers),
            "public": public,
            "overrides": no_evening() | dict(overrides or {}),
            "duty": list(duty),
            "council_desks": list(council_desks),
        }
        blocks = [f"data_dir = {toml(str(self.data))}\ndrain_s = {drain_s}\n"]
        self.redis = redis or (server_of(self.data) if on_redis() else None)
        if self.redis is not None:
            blocks.append(table("store", {"url": self.redis.url}))
        blocks.append(table("http", {"listen": f"{LOOPBACK}:{self.port}"}))
        if broker is not None:
            blocks.append(table("mqtt", {"url": broker.url} | dict(mqtt or {})))
        if phones is not None:
            blocks.append(table("twilio", self._account(phones) | dict(twilio or {})))
        all_desks = (own | dict(first or {}), *desks)
        blocks += [table("[http.token]", token) for token in _tokens(all_desks, devices, providers)]
        blocks += [table("[desk]", desk) for desk in all_desks]
        self.config.write_text("\n".join([*blocks, tables]))

    def _account(self, phones: Telephones) -> dict[str, Any]:
        (self.folder / "twilio.token").write_text(AUTH_TOKEN + "\n")
        paced = {"calls_per_s": 50, "sms_per_s": 50}
        files = [str(self.folder / "twilio.token")]
        return {"account_sid": ACCOUNT, "auth_token_files": files, "api_url": phones.url} | paced

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> str:
        """All that it ever wrote to stderr, over every start."""
        return self._err.read_text(errors="replace") if self._err.exists() else ""

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def api(
        self,
        role: str = "office",
        *,
        desk: str = DESK,
        device: str | None = None,
        provider: str | None = None,
        user: str | None = None,
    ) -> Api:
        """A client with this role's credential; `device` makes it the device's, `provider` the provider's at this
        council's desk, `user` sends it as basic auth."""
        role = "device" if device else "provider" if provider else role
        return Api(self.port, secret_of(role, desk, device or provider), desk, user)

    # --- life ---

    def launch(self) -> None:
        """Started, and that is all that is known of it when this returns."""
        assert self._process is None, "it runs already"
        self._out.write_bytes(b"")
        self._process = self._spawn()

    def start(self, *, watching: bool = True) -> Daemon:
        """Ready when it returns; with `watching` also drained, so that deadlines are looked at."""
        began = time.monotonic()
        self.launch()
        assert self._process is not None
        until_sync(
            lambda: self._ready() or not self.running, STARTS_S, 0.005, what="the line that says ready"
        )
        assert self._ready(), f"ended with {self._process.poll()}:\n{self.log[-4000:]}"
        self.starts_s.append(time.monotonic() - began)
        if watching:
            self.wait_watching()
        return self

    def wait_watching(self, timeout: float = 40.0) -> None:
        """Until /readyz says that the backlog is read and deadlines are watched."""
        until_sync(lambda: self._readyz() == 200, timeout, what="/readyz is 200")

    def _readyz(self) -> int:
        try:
            return request(self.port, "GET", "/readyz").status
        except OSError:
            assert self.running, f"ended:\n{self.log[-4000:]}"
            return 0

    def _ready(self) -> bool:
        return b"\n" in self._out.read_bytes()

    def _spawn(self) -> subprocess.Popen[bytes] | Forked:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CALLWATCH_")}
        words = ["run", "--config", str(self.config)]
        if self._warm is not None:
            assert not self.env, "what is forked has the environment of the process that forks it"
            assert not self._prefix
            return self._warm.fork(words, self._out, self._err)
        with self._out.open("ab") as out, self._err.open("ab") as err:
            return subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "monitor", *words],
                cwd=self.folder,
                env=env | {"PYTHONPATH": str(ROOT)} | self.env,
                stdout=out,
                stderr=err,
            )

    def send(self, number: signal.Signals) -> None:
        """A signal, such as SIGSTOP, SIGCONT or SIGHUP."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, as a power cut would have it."""
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait(PATIENCE_S)
        self._process = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        code = self._process.wait(40)
        self._process = None
        return code

    def verify(self) -> dict[str, Any]:
        """What `callwatch verify --json` says of its store."""
        where = ["--config", str(self.config)] if self.redis else ["--data", str(self.data)]
        said = subprocess.run(
            [sys.executable, "-m", "monitor", "verify", *where, "--json"],
            cwd=self.folder,
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        answer = json.loads(said.stdout)
        assert isinstance(answer, dict)
        return answer

    def __enter__(self) -> Daemon:
        self.start()
        if self.phones is not None:
            self.phones.leads_to(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()


def _tokens(
    desks: Sequence[Mapping[str, Any]], devices: Sequence[str], providers: Sequence[str]
) -> Iterator[dict[str, Any]]:
    expires = rfc(in_s(86_400 * 900))
    for desk, council in ((str(desk["id"]), desk.get("kind") == "council") for desk in desks):
        for role in (*ROLES, "broker") if council else ROLES:
            yield {"hash": hash_token(secret_of(role, desk)), "role": role, "desk": desk, "expires": expires}
        for provider in providers if council else ():
            of = {"role": "provider", "desk": desk, "provider": provider, "expires": expires}
            yield {"hash": hash_token(secret_of("provider", desk, provider))} | of
    for device in devices:
        of = {"role": "device", "desk": DESK, "device": device, "expires": expires}
        yield {"hash": hash_token(secret_of("device", DESK, device))} | of


# --- fast starts ---


class Forked:
    """A process that a `WarmStart` forked, as far as it is like a Popen."""

    def __init__(self, pid: int, ended: Callable[[int], int | None]) -> None:
        self.pid, self._ended = pid, ended
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code once it has ended (negative: the signal)."""
        self._code = self._code if self._code is not None else self._ended(self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        """The exit code; raises AssertionError when it does not end in time."""
        until_sync(lambda: self.poll() is not None, timeout, 0.002, what="the daemon has ended")
        code = self.poll()
        assert code is not None
        return code


class WarmStart:
    """A process that has imported the command line and forks it when asked; see the module's docstring.

    `env` is over the test's own environment, for it and for all that it forks.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWATCH_")}
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.daemon", str(theirs.fileno())],
                cwd=ROOT,
                env=kept | {"PYTHONPATH": str(ROOT)} | dict(env or {}),
                pass_fds=[theirs.fileno()],
            )
        self._line = ours.makefile("rw")
        self._socket = ours

    def _ask(self, *words: Any) -> Any:
        self._line.write(json.dumps(words) + "\n")
        self._line.flush()
        return json.loads(self._line.readline())

    def fork(self, words: Sequence[str], out: Path, err: Path) -> Forked:
        """A process that runs `callwatch WORDS`, its output appended to the files."""
        return Forked(self._ask("fork", list(words), str(out), str(err)), self._ended)

    def _ended(self, pid: int) -> int | None:
        code: int | None = self._ask("poll", pid)
        return code

    def close(self) -> None:
        """No more."""
        self._line.close()
        self._socket.close()
        assert self._process.wait(PATIENCE_S) == 0


@contextmanager
def warm_start(env: Mapping[str, str] | None = None) -> Iterator[WarmStart]:
    """For as long as the block lasts."""
    warm = WarmStart(env)
    try:
        yield warm
    finally:
        warm.close()


def _serve_forks(descriptor: int) -> None:
    # everything that the command would import; the library loads every country of the world when it is first asked
    for name in ("monitor.__main__", "monitor.commands.run", "holidays.countries"):
        importlib.import_module(name)
    with socket.socket(fileno=descriptor) as wire, wire.makefile("rw") as line:
        for words in line:
            verb, *rest = json.loads(words)
            answer = _forked(wire, *rest) if verb == "fork" else _polled(*rest)
            line.write(json.dumps(answer) + "\n")
            line.flush()


def _forked(wire: socket.socket, words: list[str], out: str, err: str) -> int:
    assert threading.active_count() == 1, "a process with threads must not be forked"
    pid = os.fork()
    if pid:
        return pid
    # the copy of the socket must not keep the parent's end open
    os.close(wire.fileno())
    code = 70
    try:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), number)
        from monitor.__main__ import main

        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _polled(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


# --- a cast ---

EDNA, DAVE, OFFICE, ON_CALL = "+441632960101", "+447700900017", "+447700900201", "+447700900202"


def service_user(name: str = "su-1", number: str = EDNA, **more: Any) -> dict[str, Any]:
    """Somebody with a landline and a home in Bromley."""
    phone = {"number": number, "kind": "landline"}
    home = {"lat": 51.4060, "lon": 0.0157, "radius_m": 80}
    return {
        "id": name,
        "role": "service_user",
        "name": "Edna Quillfeather",
        "phones": [phone],
        "homes": [home],
    } | more


def care_worker(
    name: str = "cw-1", number: str = DAVE, devices: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """Somebody with a mobile."""
    phone = {"number": number, "kind": "mobile"}
    one = {"id": name, "role": "care_worker", "name": "Davina Thistlewood", "phones": [phone]}
    return one | {"devices": list(devices)} | more


def staff(name: str = "st-1", number: str = OFFICE, **more: Any) -> dict[str, Any]:
    """Somebody who is on duty."""
    phone = {"number": number, "kind": "mobile"}
    return {"id": name, "role": "staff", "name": "Orla Pennyfarthing", "phones": [phone]} | more


def visit(
    name: str, start: datetime, *, minutes: float = 30, workers: Sequence[str] = ("cw-1",), **more: Any
) -> dict[str, Any]:
    """A row of a rota."""
    end = start + timedelta(minutes=minutes)
    row = {"id": name, "service_user": "su-1", "start": rfc(start), "end": rfc(end)}
    return row | {"workers": list(workers)} | more


if __name__ == "__main__":
    _serve_forks(int(sys.argv[1]))
