"""`script/trust`: how far an office can trust the watch, measured on simulated days; exit 1 when a bound is broken.

Days of an office of 300 visits are played in virtual time through the real core and shell. Care workers forget 8% of
their check-ins, run late, and do not come; they are asked, and answer as people do (`tests/trust/habits.py`: every
share is an assumption, and printed). Then the same days with everybody answering half as often, for comparison.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.trust.day import play
from tests.trust.figures import Figures, broken, count, table
from tests.trust.habits import Habits, described, halved
from tests.trust.office import AREAS


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/trust", description=__doc__)
    parser.add_argument("--days", type=int, default=6, help="how many days, from --seed on")
    parser.add_argument("--seed", type=int, default=1, help="the first day's seed")
    parser.add_argument("--areas", type=int, default=AREAS, help="20 visits each")
    parser.add_argument("--once", action="store_true", help="without the days of half the answers")
    given = parser.parse_args()
    usual = Habits()
    print("Assumed:\n  " + "\n  ".join(described(usual)) + "\n", flush=True)
    figures = _played(given, usual)
    print(table(figures), flush=True)
    if not given.once:
        print("\nThe same days, with everybody answering half as often (no bound is held against it):\n")
        print(table(_played(given, halved(usual))))
    for what in broken(figures):
        print(f"BROKEN: {what}")
    return 1 if broken(figures) else 0


def _played(given: argparse.Namespace, habits: Habits) -> Figures:
    began = time.monotonic()
    seeds = range(given.seed, given.seed + given.days)
    figures = count(play(seed, habits, areas=given.areas) for seed in seeds)
    print(f"{given.days} days in {time.monotonic() - began:.0f} s\n", flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
