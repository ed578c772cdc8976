"""The daemon. One line on stdout when HTTP answers; logs go to stderr; SIGTERM ends it, SIGHUP loads the configuration
again, whole or not at all."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from config.load import Loaded, load
from connectors.ports import StoreRefused, StoreUnavailable
from monitor.app import App
from monitor.commands.common import say_problems
from monitor.logs import start_logs
from monitor.notify import Notify
from monitor.wording_file import with_words

log = structlog.get_logger("run")

USAGE, STORE = 2, 3


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch run --config PATH`."""
    parser.add_argument("--config", required=True, type=Path, help="the TOML file (docs/configuration.md)")


def run(args: argparse.Namespace) -> int:
    """0 after an orderly end; 2 for a configuration that cannot start; 3 for a store that cannot be used."""
    loaded = read(args.config)
    if loaded.settings is None:
        say_problems(loaded, args.config)
        return USAGE
    return serve(loaded, lambda: read(args.config))


def read(path: Path) -> Loaded:
    """The configuration as it stands in the file and the environment now."""
    return with_words(load(path, os.environ, now=datetime.now(UTC)))


def serve(loaded: Loaded, again: Callable[[], Loaded]) -> int:
    """Run one daemon until a signal ends it."""
    assert loaded.settings is not None
    logs = start_logs(loaded.settings.log)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_serve(loaded, again))
    finally:
        logs.close()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: less CPU for HTTP and MQTT (measured.md); optional."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(loaded: Loaded, again: Callable[[], Loaded]) -> int:
    app = App(loaded, notify=Notify(os.environ, os.getpid()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: reload(app, again))
    try:
        await app.run(say_ready)
    except (StoreRefused, StoreUnavailable) as error:
        sys.stderr.write(f"callwatch: the store cannot be used: {error}\n")
        return STORE
    except OSError as error:
        where = f": {error.filename}" if isinstance(error.filename, str) else ""
        sys.stderr.write(f"callwatch: cannot start: {error.strerror or type(error).__name__}{where}\n")
        return USAGE
    return 0


def reload(app: App, again: Callable[[], Loaded]) -> None:
    """SIGHUP: whole or not at all; a bad one leaves what runs."""
    loaded = again()
    if loaded.settings is None:
        for problem in loaded.errors:
            log.error("configuration refused, the old one stays", key_path=problem.path, code=problem.code)
        return
    app.reload(loaded)


def say_ready(address: str) -> None:
    """The contract's one line on stdout."""
    sys.stdout.write(json.dumps({"event": "ready", "http": address}, separators=(",", ":")) + "\n")
    sys.stdout.flush()
