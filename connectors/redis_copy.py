"""Looking on from another process: `callwatch verify` on a Redis, also while daemons write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from connectors import journal
from connectors import redis_rows as rows
from connectors.ports import Record, StoreRefused, VerifyFinding, VerifyReport
from connectors.redis_link import Address, edge_error, judge_header, options

PAGE = 2000
PATIENCE_S = 30.0
"""A person waits for it."""

Ask = Callable[..., Any]


def verify(address: Address) -> list[VerifyReport]:
    """Check every desk's chain from the first fact to the last, also while a daemon appends; blocks.

    As `connectors.sqlite_store.verify`. A tail that was cut off is seen here, as long as the desk knows its
    head (`gap`). Raises StoreRefused (nothing of callwatch there, unreachable, newer_format), StoreUnavailable.
    """
    connection = _connection(address)
    try:
        connection.connect()  # type: ignore[no-untyped-call]
        ask = _asker(connection)
        judge_header(ask("HGET", rows.HEADER, "min_reader"), address)
        desks = sorted({rows.desk_name(key) for key in _keys(ask, rows.DESKS, rows.JOURNALS)})
        if not desks and not ask("EXISTS", rows.HEADER):
            text = f"there is no callwatch store in {address.shown}"
            raise StoreRefused("unreachable", text, permanent=True)
        return [_verify_desk(ask, name) for name in desks]
    except (errors.RedisError, OSError) as error:
        raise edge_error(error, address) from error
    finally:
        connection.disconnect()  # type: ignore[no-untyped-call]


def _connection(address: Address) -> AbstractConnection:
    kind: Callable[..., AbstractConnection] = Connection
    if address.path:
        kind = UnixDomainSocketConnection
    elif address.tls:
        kind = SSLConnection
    return kind(**options(address, PATIENCE_S), retry=Retry(NoBackoff(), 0))


def _asker(connection: AbstractConnection) -> Ask:
    def ask(*command: str | bytes | int) -> Any:
        connection.send_command(*command)  # type: ignore[no-untyped-call]
        return connection.read_response()

    return ask


def _keys(ask: Ask, *patterns: str) -> Iterator[bytes]:
    for pattern in patterns:
        cursor = b"0"
        while True:
            cursor, found = ask("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            yield from found
            if cursor == b"0":
                break


def _verify_desk(ask: Ask, name: str) -> VerifyReport:
    key = rows.keys(name)
    known = int(ask("HGET", key.desk, "seq") or 0)
    unreadable: list[Exception] = []
    report = journal.verify_chain(name, _stream(ask, key.journal, unreadable))
    if report.broken is not None:
        return report
    if unreadable:
        return _broken(report, "body")
    # what the desk said before we began to read must be there
    return _broken(report, "gap") if report.facts < known else report


def _broken(report: VerifyReport, reason: str) -> VerifyReport:
    finding = VerifyFinding(seq=report.facts + 1, reason=reason)
    return msgspec.structs.replace(report, broken=finding)


def _stream(ask: Ask, key: str, unreadable: list[Exception]) -> Iterator[Record]:
    after = 0
    while entries := ask("XRANGE", key, after + 1, "+", "COUNT", PAGE):
        for entry in entries:
            try:
                fact = rows.read_fact(entry)
            except (msgspec.DecodeError, ValueError, IndexError, TypeError) as error:
                unreadable.append(error)
                return
            yield fact
            after = fact.seq
