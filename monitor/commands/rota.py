"""Load a rota or people into a running daemon. The file is a body of `PUT …/rota` (a key `visits`) or of
`PUT …/people` (a key `people`), or with --mapping another vendor's CSV; the credential stands in CALLWATCH_TOKEN."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from config.settings import is_loopback
from monitor.commands.common import (
    OK,
    PROBLEMS,
    STORE,
    USAGE,
    Stop,
    complain,
    read_bytes,
    read_object,
    say,
    say_json,
    stopped,
)

CONNECT_S, TOTAL_S = 5.0, 60.0
REFUSED = frozenset({400, 409, 413})
"""What the file holds was refused; nothing was applied."""


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch rota load FILE --desk D --url U [--mapping NAME] [--confirm] [--json]`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    load = actions.add_parser("load", help="rota, people or check-ins, from a file", description=__doc__)
    load.add_argument("file", type=Path, metavar="FILE")
    load.add_argument("--desk", required=True, help="the desk's id")
    load.add_argument("--url", required=True, help="where the daemon answers, such as http://127.0.0.1:8080")
    load.add_argument(
        "--mapping", metavar="NAME", help="the file is CSV; the daemon's [[mapping]] to read it by"
    )
    load.add_argument("--confirm", action="store_true", help="cancel what the rota leaves out, however much")
    load.add_argument("--json", action="store_true", help="the route's answer as it is")


def run(args: argparse.Namespace) -> int:
    """0; 1 when rows or the whole upload were refused; 2 for usage, an unreachable daemon or a wrong credential; 3
    when the daemon cannot write to its store now."""
    try:
        token = _token(os.environ.get("CALLWATCH_TOKEN", ""))
        if args.mapping is not None:
            return _load_file(args, token)
        kind, body = _body(read_object(args.file), confirm=args.confirm)
        url = _route(args.url, args.desk, kind)
        status, raw = asyncio.run(_send(url, token, body))
        return _tell(kind, status, _answer(status, raw), as_json=args.json)
    except Stop as stop:
        return stopped(stop)


def _load_file(args: argparse.Namespace, token: str) -> int:
    """The daemon knows for what its mapping is: asked at the wrong route, it says so, and the file goes there."""
    kind, body = "rota", read_bytes(args.file)
    while True:
        url = _route(args.url, args.desk, kind) % {"mapping": args.mapping}
        url = url % {"confirm": "true"} if args.confirm and kind == "rota" else url
        status, raw = asyncio.run(_send(url, token, body, csv=True, post=kind == "checkins"))
        answer = _answer(status, raw)
        other = answer.get("what")
        if other not in ("people", "checkins") or kind != "rota":
            return _tell(kind, status, answer, as_json=args.json)
        kind = other


# --- what is sent ---


def _token(secret: str) -> str:
    token = secret.strip()
    if not token:
        raise Stop("CALLWATCH_TOKEN is not set: expected the secret of a token with role office or intake")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Stop("CALLWATCH_TOKEN cannot be used: expected the first line that `callwatch token` printed")
    return token


def _body(content: dict[str, Any], *, confirm: bool) -> tuple[str, bytes]:
    kinds = [kind for kind in ("visits", "people") if kind in content]
    if len(kinds) != 1:
        raise Stop("the file cannot be used: expected a JSON object with either `visits` or `people`")
    if kinds == ["people"]:
        return "people", msgspec.json.encode(content)
    return "rota", msgspec.json.encode(content | {"confirm": True} if confirm else content)


def _route(base: str, desk: str, kind: str) -> URL:
    try:
        url = URL(base)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise Stop("--url: expected http://host:port or https://host")
    if url.scheme == "http" and not is_loopback(url.host):
        complain("warning: the credential and the people go over the network in plain text; use https://")
    return url / "v1/desks" / desk / kind


async def _send(
    url: URL, token: str, body: bytes, *, csv: bool = False, post: bool = False
) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv" if csv else "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            # a redirect would carry the credential elsewhere
            session.request(
                "POST" if post else "PUT", url, data=io.BytesIO(body), headers=headers, allow_redirects=False
            ) as answer,
        ):
            return answer.status, await answer.read()
    except aiohttp.ClientConnectionError as error:
        raise Stop(f"no daemon answers at {url.origin()}: {_why(error)}") from error
    except TimeoutError as error:
        raise Stop(f"no answer within {TOTAL_S:g} s; sending the same file again does no harm") from error
    except aiohttp.ClientError as error:
        raise Stop(f"{url.origin()} does not speak as expected: {type(error).__name__}") from error


def _why(error: aiohttp.ClientConnectionError) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


# --- what is answered ---


def _answer(status: int, raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Stop(f"HTTP {status}, and no answer of callwatch: is --url right?") from error


def _tell(kind: str, status: int, answer: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        say_json(answer)
    if status != 200:
        return _refused(status, answer, as_json=as_json)
    problems = answer.get("problems", [])
    if not as_json:
        say("\n".join([_counted(kind, answer), *(_problem(problem) for problem in problems)]))
    return PROBLEMS if any(problem.get("severity") == "error" for problem in problems) else OK


def _counted(kind: str, answer: dict[str, Any]) -> str:
    counts = {name: number for name, number in answer.items() if isinstance(number, int)}
    if "results" in answer:
        counts["stored"] = len(answer["results"])
    return f"{kind}: " + ", ".join(f"{number} {name}" for name, number in counts.items())


def _problem(problem: dict[str, Any]) -> str:
    who = problem.get("visit") or problem.get("id")
    place = f"line {problem['line']}" if "line" in problem else f"row {problem.get('row')}"
    where = place + (f", {who}" if who else "")
    return f"{problem.get('severity')}: {where}: {problem.get('message')} [{problem.get('code')}]"


def _refused(status: int, answer: dict[str, Any], *, as_json: bool) -> int:
    error = answer.get("error") or {}
    where = f"{error['path']}: " if error.get("path") else ""
    complain(f"{where}{error.get('message', 'refused')} [{status} {error.get('code', 'unknown')}]")
    if error.get("code") == "confirm_needed" and not as_json:
        cancels = answer.get("cancels", [])
        say("\n".join(["it would cancel (--confirm does it):", *map(str, cancels)]))
    if status in REFUSED:
        return PROBLEMS
    return STORE if error.get("code") == "degraded" else USAGE
