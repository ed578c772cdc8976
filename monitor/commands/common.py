"""What the commands share: exit codes, how they speak, how they read a JSON file, where the store is."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from config.load import Loaded, load
from config.policy import parse_duration
from config.settings import split_listen
from connectors.ports import EdgeError, StoreRefused, VerifyReport
from connectors.redis_link import Address, configured_address

OK, PROBLEMS, USAGE, STORE = 0, 1, 2, 3
"""Exit codes (docs/interface.md)."""
DEFAULT_DATA = Path("data")
DATA_VARIABLE = "CALLWATCH_DATA_DIR"
"""The environment's word for `data_dir`: in the image it says where the store is (Dockerfile)."""


class Stop(Exception):
    """The command cannot go on. The text is for a person, `code` is the exit code."""

    def __init__(self, text: str, code: int = USAGE) -> None:
        super().__init__(text)
        self.code = code


# --- speaking ---


def say(text: str) -> None:
    """Lines on stdout."""
    _write(f"{text}\n")


def say_json(value: Any) -> None:
    """One line of JSON on stdout; instants in UTC as RFC 3339."""
    _write(msgspec.json.encode(value).decode() + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # `callwatch preview … | head`: who listened has heard enough, and the exit code stands
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"callwatch: {text}\n")


def stopped(stop: Stop) -> int:
    """Say why, and give the exit code."""
    complain(str(stop))
    return stop.code


def say_problems(loaded: Loaded, file: Path) -> None:
    """Every problem of a configuration on stderr: where, what, what was expected there."""
    for problem in loaded.problems:
        where = problem.path or str(file)
        complain(f"{problem.severity}: {where}: {problem.message}; expected {problem.expected}")


# --- reading ---


def duration(text: str) -> timedelta:
    """For argparse: `90d`, `12h`; longer than nothing."""
    try:
        read = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not read:
        raise argparse.ArgumentTypeError("expected a duration longer than nothing")
    return read


def listen_address(text: str) -> tuple[str, int]:
    """For argparse: host and port."""
    try:
        return split_listen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError('expected host:port such as "127.0.0.1:8081"') from error


def read_bytes(path: Path) -> bytes:
    """A file as it is. Raises Stop."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises Stop; its text repeats nothing of the file."""
    body = read_bytes(path)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _no_object(path, "expected JSON in UTF-8")
    return value if isinstance(value, dict) else _no_object(path, "expected a JSON object")


def _no_object(path: Path, expected: str) -> NoReturn:
    raise Stop(f"{path} cannot be used: {expected}") from None


# --- the store, looked at from outside ---


def add_folder(parser: argparse.ArgumentParser) -> None:
    """`--data DIR` or `--config PATH`: which store; without either, CALLWATCH_DATA_DIR or ./data."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--data", type=Path, metavar="DIR", help=f"folder of the store (./{DEFAULT_DATA})")
    which.add_argument("--config", type=Path, metavar="PATH", help="take the store from this configuration")


def where(args: argparse.Namespace) -> Path | Address:
    """The store's folder, or its server when a configuration names one.

    Raises Stop when the configuration that should name it cannot be used.
    """
    if args.config is None:
        return args.data or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)
    loaded = load(args.config)
    if loaded.settings is None:
        say_problems(loaded, args.config)
        raise Stop(f"{args.config} cannot be used; --data names the folder itself")
    return configured_address(loaded) if loaded.settings.store.shared else loaded.settings.data_dir


def no_report(error: EdgeError, *, as_json: bool) -> int:
    """Say why nothing could be walked over: 1 for a damaged store, 2 for none there (or a place that is taken), 3 for
    one that is locked, full, read-only or of a newer release."""
    if as_json:
        say_json({"ok": False, "desks": [], "error": {"code": error.reason, "message": str(error)}})
    complain(str(error))
    if not isinstance(error, StoreRefused):
        return STORE
    return {"corrupt": PROBLEMS, "unreachable": USAGE, "other": USAGE}.get(error.reason, STORE)


def report(reports: list[VerifyReport], *, as_json: bool) -> int:
    """Say what a walk over every desk's chain found; 1 when one is broken."""
    whole = all(found.broken is None for found in reports)
    if as_json:
        say_json({"ok": whole, "desks": reports})
    else:
        say("\n".join(_line(found) for found in reports) or "no desk has a fact yet")
    return OK if whole else PROBLEMS


def _line(found: VerifyReport) -> str:
    if found.broken is None:
        return f"{found.desk}: whole, {found.facts} facts, head {found.head}"
    return (
        f"{found.desk}: BROKEN at fact {found.broken.seq} ({found.broken.reason}), {found.facts} facts read"
    )
