"""A line to a Redis or Valkey server: where it is, one connection, what its errors mean, and whether it keeps promises.

A server that acknowledges before its disk has it, or that throws keys away when memory is short, would lose what we
acknowledge: it is asked on every new connection that writes, and refused. Why each setting matters:
docs/decisions/0009-redis-store.md.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hiredis import pack_command
from msgspec import Struct
from redis import exceptions as errors
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from config.load import Loaded
from connectors import redis_rows as rows
from connectors.ports import FORMAT, EdgeError, Reason, StoreRefused, StoreUnavailable

Command = Sequence[str | bytes | int]


class Address(Struct, frozen=True, kw_only=True):
    """Where the server is. `shown` is the URL without name and password; the password stands in no repr."""

    shown: str
    host: str = ""
    port: int = 6379
    path: str = ""
    db: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"


def read_address(url: str, password: str | None = None, ca_file: str | None = None) -> Address:
    """`redis://[name:password@]host[:port][/db]`, `rediss://…` with TLS, `unix:///path[?db=N]`.

    `password` is put in the place of the URL's own. Raises ValueError.
    """
    found = urlsplit(url)
    own = unquote(found.password) if found.password else None
    name = unquote(found.username) if found.username else None
    if found.scheme == "unix":
        db = int((parse_qs(found.query).get("db") or ["0"])[0])
        path = unquote(found.path)
        shown = f"unix://{path}?db={db}"
        return Address(shown=shown, path=path, db=db, username=name, password=password or own)
    if found.scheme not in ("redis", "rediss") or not found.hostname:
        raise ValueError("expected redis://host:port/0, rediss://host:port/0 or unix:///path")
    db = int(found.path.strip("/") or 0)
    port = found.port or 6379
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    return Address(
        shown=f"{found.scheme}://{host}:{port}/{db}",
        host=found.hostname,
        port=port,
        db=db,
        tls=found.scheme == "rediss",
        username=name,
        password=password or own,
        ca_file=ca_file,
    )


def configured_address(loaded: Loaded) -> Address:
    """The one that a configuration names, with its secrets. Raises ValueError when that is no server."""
    assert loaded.settings is not None
    store, password = loaded.settings.store, loaded.secrets.store_password
    ca_file = str(store.ca_file) if store.ca_file else None
    return read_address(store.url, password.get_secret_value() if password else None, ca_file)


def options(address: Address, patience_s: float) -> dict[str, Any]:
    """What redis-py wants to know, for its connections of both kinds; nothing is tried again behind our back."""
    common: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "socket_timeout": patience_s,
        "socket_connect_timeout": patience_s,
        "protocol": 2,
        "client_name": "callwatch",
    }
    if address.path:
        return common | {"path": address.path}
    common |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if address.tls:
        common |= {"ssl_ca_certs": address.ca_file, "ssl_check_hostname": True, "ssl_cert_reqs": "required"}
    return common


def _connection(address: Address, patience_s: float) -> AbstractConnection:
    kind: Callable[..., AbstractConnection] = Connection
    if address.path:
        kind = UnixDomainSocketConnection
    elif address.tls:
        kind = SSLConnection
    return kind(**options(address, patience_s), retry=Retry(NoBackoff(), 0))


class Line:
    """One connection, made when it is needed. One caller at a time.

    After any trouble it is dropped, so that no answer is ever taken for another's.
    """

    def __init__(self, address: Address, patience_s: float, *, checked: bool = False) -> None:
        self.address = address
        self._patience_s = patience_s
        self._checked = checked
        self._connection = _connection(address, patience_s)

    @property
    def connected(self) -> bool:
        """Whether there was a connection when we last heard of it."""
        return bool(self._connection.is_connected)

    async def ask(self, *commands: Command) -> list[Any]:
        """Sent together, answered in order; an error of the server stands in the place of its answer.

        Once more when a connection that stood turns out to be dead (the server was started again meanwhile): all that
        we send may arrive twice (append.lua). Raises redis.exceptions.RedisError, OSError, TimeoutError (of all of
        it), EdgeError (`judge_server`).
        """
        stood = self.connected
        try:
            async with asyncio.timeout(patience(self._patience_s, *commands)):
                try:
                    return await self._ask(commands)
                except (errors.ConnectionError, OSError):
                    if not stood:
                        raise
                    await self.drop()
                return await self._ask(commands)
        except BaseException:
            await self.drop()
            raise

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        if not self.connected:
            await self._connect()
        return await self._exchange(commands)

    async def inspect(self) -> None:
        """Ask what the server promises. Raises as `ask` and `judge_server` do."""
        judge_server(await self.ask(*QUESTIONS), self.address)

    async def _connect(self) -> None:
        await self._connection.connect()  # type: ignore[no-untyped-call]
        if self._checked:
            judge_server(await self._exchange(QUESTIONS), self.address)

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        for chunk in await _packed(commands):
            await self._connection.send_packed_command(chunk, check_health=False)
        return [await self._answer() for _ in commands]

    async def _answer(self) -> Any:
        try:
            return await self._connection.read_response(timeout=math.inf)
        except errors.ResponseError as error:
            return error

    async def drop(self) -> None:
        """Forget the connection, without a word to the other end."""
        await self._connection.disconnect(nowait=True)


AGAIN_S = 0.5


async def ended(task: asyncio.Task[Any]) -> None:
    """Return when it has ended, told as often as it takes.

    redis-py writes through `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that finds its work done.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_S)


MANY = 20_000
"""Values of commands above which they are packed off the loop, and sent in pieces of SLICE."""
SLICE = 1_000
VALUES_PER_S = 20_000
"""How much longer an answer may take for what is sent; a tenth of what was measured."""


def patience(patience_s: float, *commands: Command) -> float:
    """Seconds to wait for the answers: what was decided in a long degraded time comes in one append."""
    return patience_s + sum(map(len, commands)) / VALUES_PER_S


async def _packed(commands: Sequence[Command]) -> list[bytes]:
    # redis-py's own packing is in Python: half of the CPU of an append
    if sum(map(len, commands)) <= MANY:
        return [b"".join(map(_pack, commands))]
    return await asyncio.to_thread(lambda: [piece for command in commands for piece in _pieces(command)])


def _pack(command: Command) -> bytes:
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


def _pieces(command: Command) -> Iterator[bytes]:
    """The same bytes in short calls, between which the interpreter may turn to the loop."""
    yield b"*%d\r\n" % len(command)
    for n in range(0, len(command), SLICE):
        yield _pack(command[n : n + SLICE]).partition(b"\r\n")[2]


# --- what errors mean ---

_TEXTS: dict[Reason, str] = {
    "full": "{} takes nothing more: its memory (maxmemory) or its disk is full",
    "read_only": "{} takes no writes: it is a replica, or its disk fails",
    "locked": "{} is kept busy by a script of somebody else's",
    "unreachable": "{} cannot be reached or does not answer",
    "unauthorised": "{} refuses our name or password, or a command we need (docs/operations.md)",
    "corrupt": "what stands in {} is damaged: restore a backup, keep the damaged files",
    "other": "{} refuses what we ask of it",
}
_BY_WORD: dict[str, Reason] = {
    "OOM": "full",
    "READONLY": "read_only",
    "BUSY": "locked",
    "NOREPLICAS": "read_only",
    "MASTERDOWN": "read_only",
    "CLUSTERDOWN": "unreachable",
    "LOADING": "unreachable",
    "TRYAGAIN": "unreachable",
    "NOSCRIPT": "unreachable",
    "NOPERM": "unauthorised",
    "NOAUTH": "unauthorised",
    "WRONGPASS": "unauthorised",
    "WRONGTYPE": "corrupt",
}
_BY_TYPE: tuple[tuple[type[Exception], Reason], ...] = (
    (errors.OutOfMemoryError, "full"),
    (errors.ReadOnlyError, "read_only"),
    (errors.NoPermissionError, "unauthorised"),
    (errors.AuthenticationError, "unauthorised"),
    (errors.AuthorizationError, "unauthorised"),
    (errors.ConnectionError, "unreachable"),
    (errors.TimeoutError, "unreachable"),
    (errors.ClusterDownError, "unreachable"),
    (errors.TryAgainError, "unreachable"),
    (errors.NoScriptError, "unreachable"),
    (TimeoutError, "unreachable"),
    (OSError, "unreachable"),
)


def unavailable(reason: Reason, address: Address) -> StoreUnavailable:
    """The passing kind of trouble, with its text for operators."""
    return StoreUnavailable(reason, _TEXTS[reason].format(address.shown))


def corrupt(address: Address) -> StoreRefused:
    """The lasting kind."""
    return StoreRefused("corrupt", _TEXTS["corrupt"].format(address.shown), permanent=True)


def edge_error(error: Exception, address: Address) -> EdgeError:
    """What an error of redis-py means: StoreUnavailable, or StoreRefused(corrupt).

    The error itself is chained by the caller only where its text cannot repeat what was sent.
    """
    if isinstance(error, EdgeError):
        return error
    reason = next((reason for kind, reason in _BY_TYPE if isinstance(error, kind)), None) or _by_text(error)
    return corrupt(address) if reason == "corrupt" else unavailable(reason, address)


def _by_text(error: Exception) -> Reason:
    text = str(error)
    word = getattr(error, "status_code", None) or text.partition(" ")[0]
    if word == "MISCONF":
        return "full" if "space" in text.lower() else "read_only"
    return _BY_WORD.get(word, "other")


def as_refused(error: EdgeError) -> StoreRefused:
    """At `open` there is nothing to fall back on: whatever it is, the store is refused."""
    if isinstance(error, StoreRefused):
        return error
    return StoreRefused(error.reason, str(error), permanent=True)


# --- what a server must promise ---

WANTED = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}
OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
WITH_REPLICAS = (7, 2)
"""Before it there is no WAITAOF, so no telling whether a replica has on disk what we acknowledge."""

QUESTIONS: tuple[Command, ...] = (
    ("INFO", "server"),
    ("INFO", "replication"),
    ("INFO", "cluster"),
    ("CONFIG", "GET", *WANTED),
    ("HMGET", rows.HEADER, "min_reader"),
)


def judge_server(answers: Sequence[Any], address: Address) -> None:
    """From the answers to QUESTIONS.

    Raises StoreUnavailable (`not_configured`, `read_only`, `unauthorised`), StoreRefused(newer_format).
    """
    for answer in answers:
        if isinstance(answer, Exception):
            raise edge_error(answer, address)
    info = _info(b"\n".join(answers[:3]))
    found = _pairs(answers[3])
    judge_header(answers[4][0], address)
    if info.get("role") != "master":
        raise unavailable("read_only", address)
    wrong = [*_wrong_version(info), *_wrong_settings(found)]
    if wrong:
        text = f"{address.shown} would lose what it acknowledged: {'; '.join(wrong)} (docs/operations.md)"
        raise StoreUnavailable("not_configured", text)


def judge_header(min_reader: bytes | None, address: Address) -> None:
    """Raises StoreRefused(newer_format, corrupt)."""
    if min_reader is None:
        return
    if not min_reader.isdigit():
        raise corrupt(address)
    if int(min_reader) > FORMAT:
        text = (
            f"{address.shown} was written by a newer callwatch (format {int(min_reader)}, this one reads"
            f" {FORMAT}): upgrade"
        )
        raise StoreRefused("newer_format", text, permanent=True)


def _wrong_settings(found: Mapping[str, str]) -> list[str]:
    return [
        f"{name} is {found.get(name, 'unknown')}, expected {value}"
        for name, value in WANTED.items()
        if found.get(name) != value
    ]


def _wrong_version(info: Mapping[str, str]) -> list[str]:
    name = "valkey" if "valkey_version" in info else "redis"
    text = info.get("valkey_version") or info.get("redis_version", "0.0")
    version = tuple(int(part) for part in text.split(".")[:2])
    oldest = OLDEST[name]
    if version < oldest:
        return [f"this is {name} {text}, expected {oldest[0]}.{oldest[1]} or newer"]
    wrong = ["this is a node of a cluster, expected a single server"] * (info.get("cluster_enabled") == "1")
    if version < WITH_REPLICAS and info.get("connected_slaves", "0") != "0":
        wrong.append(f"{name} {text} has replicas, expected none before 7.2")
    return wrong


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
