"""Check every desk's chain of facts from the first to the last, also while the daemon runs; name the broken fact.

A tail that was cut off leaves a whole chain: compare the number of facts and the head with figures written down
elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from connectors import redis_copy, sqlite_store
from connectors.ports import EdgeError
from monitor.commands.common import Stop, add_folder, no_report, report, stopped, where


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch verify [--data DIR | --config PATH] [--json]`."""
    add_folder(parser)
    parser.add_argument(
        "--json", action="store_true", help='{"ok","desks":[{"desk","facts","head","broken"}]}'
    )


def run(args: argparse.Namespace) -> int:
    """0 when every chain is whole, 1 when one is broken, 2 without a store there, 3 when it cannot be read now."""
    try:
        place = where(args)
        found = sqlite_store.verify(place) if isinstance(place, Path) else redis_copy.verify(place)
        return report(found, as_json=args.json)
    except EdgeError as error:
        return no_report(error, as_json=args.json)
    except Stop as stop:
        return stopped(stop)
