"""Copy a store, also a running one, as of one moment into a new folder; then check the copy's chains.

The copy is a store of its own: `verify --data DEST` checks it again, and a daemon can be started from it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from connectors.ports import EdgeError
from connectors.sqlite_store import backup
from monitor.commands.common import Stop, add_folder, no_report, report, stopped, where


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch backup DEST [--data DIR | --config PATH] [--json]`."""
    parser.add_argument("dest", type=Path, metavar="DEST", help="a new folder")
    add_folder(parser)
    parser.add_argument("--json", action="store_true", help="what verify says of the copy")


def run(args: argparse.Namespace) -> int:
    """0 for a whole copy, 1 when a chain is broken (it is copied all the same), 2 without a store or when DEST is
    there already, 3 when it cannot be read or written now."""
    try:
        progress = _progress if sys.stderr.isatty() else None
        return report(backup(_folder(args), args.dest, progress), as_json=args.json)
    except EdgeError as error:
        return no_report(error, as_json=args.json)
    except Stop as stop:
        return stopped(stop)


def _folder(args: argparse.Namespace) -> Path:
    place = where(args)
    if isinstance(place, Path):
        return place
    raise Stop(
        f"the store is the server {place.shown}, which makes its own copies: expected BGREWRITEAOF and a copy of"
        " its folder, or a replica (docs/operations.md); `callwatch verify` checks the running one"
    )


def _progress(done: int, pages: int) -> None:
    sys.stderr.write(f"\r{done} of {pages} pages{'' if done < pages else chr(10)}")
    sys.stderr.flush()
