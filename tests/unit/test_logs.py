"""Nothing about a person gets into the log, and the log never holds up the watch."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from monitor.logs import CODES, NUMBERS, TEXTS, LineQueue, Logs, Mask, start_logs
from tests.waiting import until_sync


class Log:
    """A started log and what it wrote."""

    def __init__(self, kind: Any = "json", level: Any = "info") -> None:
        self.stream = io.BytesIO()
        self.counted = 0
        self.logs: Logs = start_logs(kind, level, stream=self.stream, on_withheld=self._count)

    def _count(self) -> None:
        self.counted += 1

    def text(self) -> str:
        self.logs.close()
        return self.stream.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def mask(**values: Any) -> dict[str, Any]:
    return dict(Mask()(None, "info", values))


def test_a_line_is_one_json_object_with_level_and_utc_time() -> None:
    log = Log()
    structlog.get_logger().info("rota taken", desk="ealing", rows=300, took_s=0.25)
    [line] = log.lines()
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.utcoffset() == timedelta(0)
    assert line == {"event": "rota taken", "desk": "ealing", "rows": 300, "took_s": 0.25, "level": "info"}
    assert log.counted == log.logs.withheld == 0


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "first_name",
        "number",
        "to",
        "sender",
        "body",
        "lat",
        "lon",
        "note",
        "raw",
        "url",
        "email",
        "device",
    ],
)
@pytest.mark.parametrize("value", ["alice", 51.4, {"a": 1}, ["x"], b"raw"])
def test_a_key_that_is_in_no_list_keeps_its_name_and_loses_its_value(key: str, value: Any) -> None:
    assert mask(event="x", **{key: value}) == {"event": "x", key: "withheld"}


@pytest.mark.parametrize(
    "number",
    [
        "07700900123",
        "+447700900123",
        "07700 900 123",
        "07700-900-123",
        "(07700) 900123",
        "01632.960.123",
        "0044 7700 900123",
        "tel:07700900123",
        "/2010-04-01/Calls/+447700900123.json",
    ],
)
def test_a_telephone_number_is_masked_under_every_key(number: str) -> None:
    digits = "900123" if "900123" in number else "123"
    for key in ("event", "reason", "route", "ref", "expected"):
        assert digits not in str(mask(**{key: number})[key])


@pytest.mark.parametrize("place", ["51.4039", "51.4039,0.0198", "-0.01984", "at 51.40391 0.01982"])
def test_a_position_is_masked_under_every_key(place: str) -> None:
    for key in ("event", "reason", "ref", "expected"):
        shown = str(mask(**{key: place})[key])
        assert "51.40" not in shown
        assert "0198" not in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Alice Brown did not answer", "withheld withheld did not answer"),
        ("call to O'Neill-Brown failed", "call to withheld failed"),
        ("no arrival at Zoë's", "no arrival at withheld"),
        ("wrote to alice@example.org", "wrote to withheld"),
        ("MQTT connection lost", "MQTT connection lost"),
        ("store is back, 12 facts appended", "store is back, 12 facts appended"),
        ("listening on 127.0.0.1:8080", "listening on 127.0.0.1:8080"),
        (
            "clock stepped at 2026-10-25T01:30:00.123456+00:00",
            "clock stepped at 2026-10-25T01:30:00.123456+00:00",
        ),
    ],
)
def test_a_sentence_loses_its_names_and_keeps_its_sense(said: str, shown: str) -> None:
    assert mask(event=said)["event"] == shown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reason", "provider_down"),
        ("error", "ConnectionRefusedError"),
        ("kind", "AlertRaised"),
        ("route", "/v1/desks/{desk}/visits"),
        ("listen", "127.0.0.1:8080"),
        ("visit", "v01jd3k9"),
        ("signal", "dark:device"),
        ("hash", "94edc256424af38762eb31306eed28beb9f0efc50a8837492c9d6fd6004aed79"),
        ("feeds", ["mqtt", "http"]),
        ("status", 503),
    ],
)
def test_words_of_a_program_pass(key: str, value: Any) -> None:
    assert mask(**{key: value})[key] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reason", "Mrs Jones rang"),
        ("ref", 447700900123),
        ("seq", "07700900123"),
        ("count", "three"),
        ("kind", object()),
        ("reason", ["ok", {"name": "Alice"}]),
        ("code", "x" * 201),
    ],
)
def test_a_listed_key_is_no_way_round(key: str, value: Any) -> None:
    shown = mask(**{key: value})[key]
    assert shown == "withheld" or shown == ["ok", "withheld"]


def test_a_key_that_may_itself_be_a_name_is_masked() -> None:
    assert mask(**{"Alice Brown": 1}) == {"withheld": "withheld"}


def test_an_exception_shows_its_classes_and_places_and_never_its_message() -> None:
    log = Log()
    try:
        try:
            raise KeyError("Alice Brown 07700900123")
        except KeyError as inner:
            raise ValueError("51.4039") from inner
    except ValueError:
        structlog.get_logger().exception("input put aside")
    [line] = log.lines()
    assert line["error"] == ["ValueError", "KeyError"]
    assert line["where"][-1].startswith("tests.unit.test_logs.test_an_exception_shows")
    assert "Alice" not in log.text()
    assert "51.4039" not in log.text()


def test_what_a_library_says_comes_without_its_arguments() -> None:
    log = Log()
    logging.getLogger("twilio.http_client").warning(
        "POST Request: %s to %s", "https://x/07700900123", "Alice"
    )
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task name='alice'>")
    logging.getLogger("aiohttp.access").info("GET /v1/desks/ealing/people")
    first, second = log.lines()
    assert (first["logger"], first["event"], first["level"]) == (
        "twilio.http_client",
        "withheld withheld",
        "warning",
    )
    assert second["event"] == "task exception was never retrieved"
    assert "alice" not in log.text().lower()


def test_lines_below_the_level_are_not_written() -> None:
    log = Log(level="warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in log.lines()] == ["loud"]


def test_the_console_shows_the_same_masked_values() -> None:
    log = Log("console")
    structlog.get_logger().info("alert raised", desk="ealing", name="Alice", feeds=["mqtt", "http"])
    text = log.text()
    assert text.endswith("info    alert raised  desk=ealing name=withheld feeds=mqtt,http\n")


def test_a_value_that_no_encoder_knows_does_not_raise() -> None:
    log = Log()
    structlog.get_logger().info("odd \ud800 text", reason="\ud800", at=datetime.now(UTC), desk=object())
    assert len(log.lines()) == 1


def test_a_reader_that_reads_nothing_holds_up_nobody_and_the_gap_is_told() -> None:
    reading, writing = os.pipe()
    dropped = []
    with os.fdopen(writing, "wb", buffering=0) as stream, os.fdopen(reading, "rb") as reader:
        lines = LineQueue(stream, on_dropped=lambda: dropped.append(1), limit=50)
        began = time.monotonic()
        for _ in range(2_000):
            lines.write(b"x" * 999 + b"\n")
        took = time.monotonic() - began
        got: list[bytes] = []
        reads = threading.Thread(target=lambda: got.extend(reader), daemon=True)
        reads.start()
        until_sync(lambda: lines._lines.empty(), what="the backlog was written")
        lines.write(b"after\n")
        lines.close()
        stream.close()
        reads.join(30)
    assert took < 10
    assert lines.dropped == len(dropped) > 1_000
    assert got[-1] == b"after\n"
    told = [json.loads(line) for line in got if line.startswith(b"{")]
    assert sum(line["dropped"] for line in told) == lines.dropped
    assert len(got) - len(told) == 2_001 - lines.dropped


def test_a_stream_that_breaks_is_counted_and_stops_nothing() -> None:
    stream = io.BytesIO()
    stream.close()
    lines = LineQueue(stream)
    lines.write(b"lost\n")
    until_sync(lambda: lines.dropped == 1)
    lines.close()
    lines.close()


SPEAKS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
ROOT = Path(__file__).parents[2]


def keys_logged() -> set[tuple[str, str]]:
    """(file, key) of every call of a logger in the program's own source."""
    files = [file for floor in ("config", "monitor", "connectors") for file in (ROOT / floor).rglob("*.py")]
    return {
        (file.name, keyword.arg or "**")
        for file in files
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in SPEAKS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in ("log", "_log")
        for keyword in call.keywords
    }


def test_every_key_that_the_program_logs_is_in_the_list_so_that_no_line_is_useless() -> None:
    logged = keys_logged()
    assert ("demo_phones.py", "error") in logged, "the walk finds what is there"
    allowed = CODES | NUMBERS | TEXTS | {"exc_info"}
    assert {(file, key) for file, key in logged if key not in allowed} == set()
