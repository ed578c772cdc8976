"""The log: structlog, one JSON object a line, on stderr, and nothing about a person in it.

A log is read by people who may not know who is cared for where, is copied to machines that nobody lists and is
kept for ever. So only keys of a closed list are written; the value of any other key is `withheld` and counted,
and so is, under every key, whatever looks like a telephone number, a position or a name.

Writing never blocks: lines go through a bounded queue to a thread of their own. When nobody reads stderr the
newest lines are thrown away, counted, and said to be missing as soon as there is room.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import sys
import threading
from collections.abc import Callable, MutableMapping
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, BinaryIO, Literal

import msgspec
import structlog

Kind = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]

WITHHELD = "withheld"
QUEUE_LINES = 10_000
MAX_TEXT = 500

CODES = frozenset(
    {
        "alert", "api", "attempt_key", "broker", "by_role", "cause", "channel", "client_id", "code", "command",
        "desk", "desks", "digest", "direction", "ended_reason", "error", "event_kind", "evidence", "fact", "feed",
        "feeds", "file", "format", "hash", "head", "http", "input", "job", "key", "key_path", "kind", "level",
        "listen", "logger", "message_key", "method", "min_reader", "outcome", "policy", "priority", "problem",
        "provider_ref", "purpose", "reason", "ref", "result", "role", "route", "signal", "source", "stage",
        "state", "status", "step", "store", "subject", "task", "template", "timestamp", "track", "upload", "url_host",
        "webhook", "version", "visit", "where",
    }
)  # fmt: skip
"""Keys whose values are one word of a program: an enum value, a class, a route's template, a *minted* id."""

NUMBERS = frozenset(
    {
        "after", "asked", "attempt", "backlog", "bytes", "cancelled", "changed", "connections", "count", "covers",
        "degraded", "delay_s", "depth", "dropped", "due", "duplicates", "facts", "fence", "generation", "held",
        "kept", "keys", "lag_s", "late_s", "lateness_s", "limit", "mid", "ms", "new", "offset_s", "open", "people",
        "people_rev", "permanent", "pid", "port", "problems", "queued", "ready", "refused", "retries", "row",
        "rows", "seconds", "seq", "size", "skipped", "stalled_s", "step_s", "took_s", "turns", "unchanged", "v",
        "visits", "wait_s", "watched", "withheld",
    }
)  # fmt: skip
"""Keys whose values are counts, durations, positions in the journal, yes or no."""

TEXTS = frozenset({"event", "expected", "hint"})
"""Keys whose values are sentences of ours, written in the source and without values in them."""

# Words with a capital that our own sentences use. Any other such word may be somebody's name.
_OUR_WORDS = frozenset(
    {
        "ACL", "API", "APScheduler", "CPU", "Ctrl-C", "GET", "GSM", "HTTP", "HTTPS", "I", "ID", "JSON", "MQTT",
        "OwnTracks", "PATCH", "PINs", "POST", "PUBACK", "PUT", "QoS", "Redis", "SIGHUP", "SIGINT", "SIGTERM", "SMS",
        "SQLite", "TLS", "TOML", "TTL", "Traccar", "TwiML", "Twilio", "URL", "UTC", "Valkey", "WAL",
    }
)  # fmt: skip

_PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:[ \-().]*\d){8,}(?![\w])")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_COORDINATE = re.compile(r"(?<![\w.])-?\d{1,3}\.\d{3,}(?![\w.])")
_MAIL = re.compile(r"\S+@\S+")
_WORD = re.compile(r"[^\W\d_][\w'’\-]*")
_CODE = re.compile(r"[\w.:/#{}\-+*\[\]$<>=~%]{0,200}")
# an instant holds ten digits and more, so it is recognised before anything is taken for a number
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?")

Count = Callable[[], None]


def _nothing() -> None:
    return None


class Mask:
    """The structlog processor that lets only the closed list through. `on_withheld` is called once a value."""

    def __init__(self, on_withheld: Count = _nothing) -> None:
        self._on_withheld = on_withheld
        self.count = 0

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Every key stays, so that one sees that something was said; values are masked."""
        return {self._key(key): self._value(key, value) for key, value in event.items()}

    def _withhold(self) -> str:
        self.count += 1
        self._on_withheld()
        return WITHHELD

    def _key(self, key: str) -> str:
        return key if key in CODES or key in NUMBERS or key in TEXTS else _plain_key(key)

    def _value(self, key: str, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if key in NUMBERS:
            return self._number(value)
        if key in CODES:
            return self._codes(value)
        if key in TEXTS and isinstance(value, str):
            return self._text(value)
        return self._withhold()

    def _number(self, value: Any) -> Any:
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, int | float):
            return value
        return self._withhold()

    def _codes(self, value: Any) -> Any:
        if isinstance(value, list | tuple | set | frozenset):
            return [self._code(item) for item in value]
        return self._code(value)

    def _code(self, value: Any) -> Any:
        if isinstance(value, int | float):
            return value if abs(value) < 1e8 else self._withhold()
        if isinstance(value, datetime | date):
            return value.isoformat()
        if not isinstance(value, str) or not _CODE.fullmatch(value) or _looks_personal(value):
            return self._withhold()
        return value

    def _text(self, value: str) -> str:
        text = value[:MAX_TEXT].encode(errors="replace").decode()
        instants = _INSTANT.findall(text)
        between = [self._sentence(piece) for piece in _INSTANT.split(text)]
        return "".join(piece + at for piece, at in zip(between, [*instants, ""], strict=True))

    def _sentence(self, text: str) -> str:
        for pattern in (_MAIL, _PHONE, _COORDINATE):
            text = pattern.sub(self._found, text)
        return _WORD.sub(self._word, text)

    def _found(self, match: re.Match[str]) -> str:
        return match[0] if _harmless(match[0]) else self._withhold()

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        return word if word == word.lower() or word in _OUR_WORDS else self._withhold()


def _plain_key(key: str) -> str:
    # a key is normally a keyword argument; a dict handed in by mistake may be keyed by names
    return key if re.fullmatch(r"_?[a-z][a-z0-9_]{0,30}", key) else WITHHELD


def _harmless(text: str) -> bool:
    return bool(_IPV4.fullmatch(text) or _INSTANT.fullmatch(text))


def _looks_personal(value: str) -> bool:
    if _harmless(value):
        return False
    return any(
        not _harmless(found[0])
        for pattern in (_MAIL, _PHONE, _COORDINATE)
        for found in pattern.finditer(value)
    )


def describe_error(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` becomes `error`, the class names of the chain, and `where`, the innermost frames.

    Never the message of an exception: it quotes what was wrong, and that may be a person's.
    """
    found = event.pop("exc_info", None)
    error = _exception(found)
    if error is not None:
        event["error"] = _chain(error)
        event["where"] = _frames(error.__traceback__)
    return event


def _exception(found: Any) -> BaseException | None:
    if found is True:
        return sys.exc_info()[1]
    if isinstance(found, tuple):
        return found[1] if isinstance(found[1], BaseException) else None
    return found if isinstance(found, BaseException) else None


def _chain(error: BaseException | None) -> list[str]:
    names: list[str] = []
    while error is not None and len(names) < 5:
        names.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return names


def _frames(traceback: TracebackType | None, innermost: int = 4) -> list[str]:
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}.{code.co_name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return places[-innermost:]


class LineQueue:
    """A file-like end that never blocks. `write` takes whole lines; a thread hands them to `stream`."""

    def __init__(self, stream: BinaryIO, on_dropped: Count = _nothing, limit: int = QUEUE_LINES) -> None:
        self._stream = stream
        self._on_dropped = on_dropped
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._missing = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> int:
        """Take a line or, when the queue is full, throw it away and count it."""
        if self._missing and not self._say_missing():
            self._drop()
        else:
            self._put_or_drop(line)
        return len(line)

    def flush(self) -> None:
        """Nothing: the thread flushes when it has caught up."""

    def _put_or_drop(self, line: bytes) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._drop()

    def _drop(self) -> None:
        self._missing += 1
        self.dropped += 1
        self._on_dropped()

    def _say_missing(self) -> bool:
        try:
            self._lines.put_nowait(b'{"event":"log lines are missing here","dropped":%d}\n' % self._missing)
        except queue.Full:
            return False
        self._missing = 0
        return True

    def _drain(self) -> None:
        while (line := self._lines.get()) is not None:
            # stderr may be closed or its disk full: the watch goes on without a log, not the other way round
            try:
                self._stream.write(line)
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                self._drop()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most `timeout_s` seconds. Safe to call twice."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)


class _Foreign(logging.Handler):
    """What libraries say. Only the sentence in their source is used: their arguments hold URLs and numbers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it to structlog, whose mask then takes out every word that may be a name."""
        level = max(logging.DEBUG, min(record.levelno, logging.CRITICAL))
        said = _sentence(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__.lower()
        structlog.get_logger().log(level, said, logger=record.name, exc_info=record.exc_info)


def _sentence(template: str) -> str:
    # some libraries format before they log: what is quoted, in brackets or behind a colon is a value, not theirs
    said = re.split(r"[\n'\"<{\[(=:]", template.strip(), maxsplit=1)[0].strip()
    return said[:1].lower() + said[1:] if said else "something"


class Logs:
    """The running log: how much was withheld and dropped, and how to end it."""

    def __init__(self, lines: LineQueue, mask: Mask) -> None:
        self.lines, self.mask = lines, mask

    @property
    def withheld(self) -> int:
        """Values masked so far."""
        return self.mask.count

    @property
    def dropped(self) -> int:
        """Lines thrown away so far."""
        return self.lines.dropped

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, bounded. Later lines go nowhere."""
        self.lines.close(timeout_s)


def start_logs(
    kind: Kind = "json",
    level: Level = "info",
    stream: BinaryIO | None = None,
    on_withheld: Count = _nothing,
    on_dropped: Count = _nothing,
) -> Logs:
    """Configure structlog and the standard library's root logger, both into one masked, unblocking stream.

    `stream` defaults to stderr. Call it once, in the composition root; calling it again replaces the first.
    """
    lines = LineQueue(stream or sys.stderr.buffer, on_dropped)
    mask = Mask(on_withheld)
    floor = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            describe_error,
            mask,
            # after the mask: it is ours, and every line has one
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _console if kind == "console" else _json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(floor),
        logger_factory=structlog.BytesLoggerFactory(lines),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    _take_over_root(max(floor, logging.WARNING))
    return Logs(lines, mask)


def _take_over_root(level: int) -> None:
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(level)


def _json(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event)


def _console(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    at, level, said = event.pop("timestamp"), event.pop("level"), event.pop("event")
    rest = " ".join(f"{key}={_shown(value)}" for key, value in event.items())
    return f"{at[11:19]}Z {level:7} {said}  {rest}".rstrip().encode()


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
