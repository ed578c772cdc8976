"""`script/bench`: the table of docs/performance.md, filled on this machine by one command.

Each row starts a real daemon on one core (SQLite, all rules, metrics and journal on), a real mosquitto and the load
on the other, and looks at the journal from outside. What others' figures say stands beside ours. About 15 minutes for
all rows; ratios travel, absolute figures do not: quote them with the machine and its load, which the table names.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benching import growth
from benching.hosts import Failed
from benching.table import ROWS, Row, say

ROOT = Path(__file__).resolve().parents[2]
PEERS = "\n".join(
    f"| {who} | {figure} |"
    for who, figure in (
        ("peer, measured on a like machine", "its figure"),
        ("---", "---"),
        (
            "healthchecks 4.3, both cores",
            "130-330 pings/s; 1,000 due together: first alert after 3 s, last after 23 s; "
            "10,000: last after 208 s",
        ),
        ("Alertmanager 0.25", "7,000-10,000 alerts/s, in memory only, 15 kB each"),
        (
            "APScheduler 3.11, one job a visit",
            "10,000 due together: the last fires after 0.3 s, the loop blocked meanwhile; 1.1 GB near a million",
        ),
        (
            "bare prototype: aiomqtt, manual acknowledgement, SQLite, no rules",
            "15,000 check-ins/s; 10,000 due together: durable after 74 ms",
        ),
    )
)


def machine() -> str:
    """One line: what this was measured on."""
    version = importlib.metadata.version
    parts = ", ".join(f"{part} {version(part)}" for part in ("aiohttp", "aiomqtt", "msgspec", "uvloop"))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{platform.node()}, {os.cpu_count()} cores, {_cpu()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, callwatch {version('callwatch')} ({_revision()}), {parts}, "
        f"{_broker()}; load {load} when it began, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, cwd=ROOT)
    return said.stdout.strip() or "no git"


def _broker() -> str:
    command = [shutil.which("mosquitto") or "mosquitto", "-h"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return said.stdout.partition("\n")[0].strip()


def as_text(rows: list[Row], measured_on: str) -> str:
    """The table in Markdown, with the machine under it."""
    lines = ["| work | bar | goal | measured | |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.work.replace('  ', '&nbsp;&nbsp;', 1) if row.work.startswith('  ') else row.work} | {row.bar} "
        f"| {row.goal} | {row.measured} | {row.note} |"
        for row in rows
    ]
    return "\n".join([*lines, "", f"Measured on: {measured_on}."])


def write(path: Path, name: str, text: str) -> None:
    """Puts the text between the two marks of that name. Raises Failed when they are not there."""
    begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise Failed(f"{path.name}: expected the marks {begin.strip()} and {end.strip()}")
    path.write_text(before + begin + text + end + after)


async def measure(names: list[str], count: int) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        say(f"{name} …")
        found = await ROWS[name](count)
        for row in found:
            say(f"  {row.work.strip()}: {row.measured} {row.note}")
        rows += found
    return rows


def main() -> int:
    """0 when every figure could be taken, 1 when not, with what was expected."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"which rows (all): {', '.join(ROWS)}")
    parser.add_argument("--count", type=int, default=40_000, help="check-ins of each kind (40000)")
    parser.add_argument(
        "--write", action="store_true", help="put the table into README and docs/performance.md"
    )
    parser.add_argument(
        "--growth", action="store_true", help="measure the shape of growth instead, and plot it"
    )
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; expected some of {', '.join(ROWS)}")
    try:
        if options.growth:
            return growth.main(ROOT / "docs")
        measured_on = machine()
        table = as_text(asyncio.run(measure(options.rows or list(ROWS), options.count)), measured_on)
        print(table, PEERS, sep="\n\n")
        if options.write:
            for path in (ROOT / "README.md", ROOT / "docs" / "performance.md"):
                write(path, "bench", table)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
