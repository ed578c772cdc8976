"""`python -m tests.simulation --seeds N [--seed S] [--hours H] [--go-on]`: simulated days, one line each; exit 1 on the
first violated rule, with the seed, the virtual time, the rule and the last events. `--go-on`: all of them, at the end
how often each rule was broken, and in which seeds."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time

from tests.simulation.run import Outcome, simulate
from tests.simulation.world import ALL_FAULTS

LAST = 60


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from --seed on")
    parser.add_argument("--seed", type=int, help="the first seed (and the only one unless --seeds is given)")
    parser.add_argument("--hours", type=float, help="how long the faults go on, in virtual hours")
    parser.add_argument(
        "--real-limit", type=float, default=120.0, help="seconds of real time a seed may take"
    )
    parser.add_argument(
        "--faults", help=f"only these, with commas, or none; of {', '.join(sorted(ALL_FAULTS))}"
    )
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first violated rule")
    given = parser.parse_args()
    faults = None if given.faults is None else frozenset(given.faults.split(",")) & ALL_FAULTS
    first = given.seed if given.seed is not None else 1
    count = 1 if given.seed is not None and "--seeds" not in " ".join(sys.argv) else given.seeds
    broken: dict[str, list[int]] = {}
    for seed in range(first, first + count):
        faulthandler.dump_traceback_later(given.real_limit + 30, exit=True, file=2)
        began = time.monotonic()
        outcome = simulate(seed, hours=given.hours, faults=faults, real_limit_s=given.real_limit)
        faulthandler.cancel_dump_traceback_later()
        print(_line(outcome, time.monotonic() - began), flush=True)
        if outcome.violation is not None:
            broken.setdefault(outcome.violation.rule, []).append(seed)
            if not given.go_on:
                _explain(outcome)
                return 1
            print(f"seed {seed} at {outcome.at}: {outcome.violation}", flush=True)
    for rule, seeds in sorted(broken.items()):
        print(f"{rule}: {len(seeds)} of {count} seeds: {', '.join(map(str, seeds))}")
    return 1 if broken else 0


def _line(outcome: Outcome, seconds: float) -> str:
    counts = outcome.counts
    return (
        f"seed {outcome.seed}: {outcome.hash[:12] or 'FAILED'} {counts['facts']} facts, "
        f"{counts['AlertRaised']} alerts, {counts['sent:sms']} texts, {counts['sent:call']} calls, "
        f"{counts['lives']} restarts, {seconds:.1f} s"
    )


def _explain(outcome: Outcome) -> None:
    print("\n".join(outcome.log[-LAST:]))
    print(f"\nseed {outcome.seed} at {outcome.at}: {outcome.violation}")
    if outcome.violation is not None and outcome.violation.__cause__ is not None:
        import traceback

        traceback.print_exception(outcome.violation.__cause__)
    print(f"again: script/simulate --seed {outcome.seed}")


if __name__ == "__main__":
    sys.exit(main())
