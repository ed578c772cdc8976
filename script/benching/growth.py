"""The shape of growth: 1 to 1,000 desks, 1,000 to 1,000,000 visits, as docs/growth.json and docs/growth.svg.

The figures are measured by anybody; the picture wants matplotlib (`pip install -r requirements/plot.txt`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from benching.table import restart, say, storm

SIZES = ((1, 1_000), (10, 1_000), (100, 1_000), (1_000, 1_000), (1, 10_000), (10, 10_000), (1, 100_000))
"""(desks, visits of each)."""


async def measured() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for desks, visits in SIZES:
        say(f"{desks:,} desks of {visits:,} visits")
        again = await restart(desks, visits)
        due = max(desks, min(10_000, desks * visits // 10))
        last, stall = await storm(desks, visits, due, "", "")
        found.append(
            {
                "desks": desks,
                "visits": desks * visits,
                "ready_s": again.ready_s,
                "ready_after_kill_s": again.ready_after_kill_s,
                "bytes_per_visit": again.bytes_alone,
                "bytes_per_visit_with_people": again.bytes_with_people,
                "due": due,
                "last_s": float(last.measured.removesuffix(" s")),
                "stall_ms": float(stall.measured.removesuffix(" ms").replace(",", "")),
            }
        )
        say(f"  {found[-1]}")
    return found


def draw(found: list[dict[str, Any]], path: Path) -> None:
    import matplotlib  # type: ignore[import-not-found,unused-ignore]

    matplotlib.use("svg")
    from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

    pyplot.rcParams |= {"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "svg.hashsalt": "callwatch"}
    figure, (memory, start, due) = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for desks, mark in ((1, "o"), (10, "s"), (100, "^"), (1_000, "D")):
        line = sorted((one for one in found if one["desks"] == desks), key=lambda one: one["visits"])
        label = f"{desks:,} desk{'s' if desks > 1 else ''}"
        visits = [one["visits"] for one in line]
        memory.plot(visits, [one["bytes_per_visit"] / 1000 for one in line], mark + "-", label=label)
        start.plot(visits, [one["ready_s"] for one in line], mark + "-", label=label)
        due.plot([one["due"] for one in line], [one["last_s"] for one in line], mark + "-", label=label)
    memory.set(xscale="log", xlabel="open visits", ylabel="kB", title="memory per open visit", ylim=(0, None))
    start.set(xscale="log", xlabel="open visits", ylabel="s", title="ready after a restart", ylim=(0, None))
    due.set(
        xscale="log",
        xlabel="deadlines in one second",
        ylabel="s",
        title="the last one journalled",
        ylim=(0, None),
    )
    start.legend()
    figure.savefig(path, metadata={"Date": None})


def main(docs: Path) -> int:
    data = docs / "growth.json"
    found = asyncio.run(measured())
    data.write_text(json.dumps(found, indent=1) + "\n")
    try:
        draw(found, docs / "growth.svg")
    except ImportError:
        print("bench: docs/growth.json is written; the picture wants requirements/plot.txt", file=sys.stderr)
        return 1
    return 0
