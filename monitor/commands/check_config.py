"""Every problem of a configuration at once, with its key path and what was expected there; or, with --policy, every
key of a policy with its value, clause and meaning."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from config.load import (
    PolicyRefused,
    Problem,
    describe,
    describe_placing,
    load,
    policy_named,
    shipped_policies,
)
from config.policy import describe_policy
from monitor.commands.common import OK, PROBLEMS, say, say_json
from monitor.wording_file import with_words


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch check-config PATH | --policy NAME [--json]`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", nargs="?", type=Path, metavar="PATH", help="the configuration file")
    what.add_argument("--policy", metavar="NAME", help="a shipped policy, or the path of a .toml file")
    parser.add_argument(
        "--json", action="store_true", help='{"problems":[…]}, or {"policy":[…],"problems":[]}'
    )


def run(args: argparse.Namespace) -> int:
    """0 when there is at most a warning, 1 with an error."""
    return _policy(args.policy, as_json=args.json) if args.path is None else _file(args)


def _file(args: argparse.Namespace) -> int:
    loaded = with_words(load(args.path, os.environ, now=datetime.now(UTC)))
    if args.json:
        say_json({"problems": loaded.problems})
    else:
        say(_in_words(args.path, loaded.problems))
    return OK if loaded.settings is not None else PROBLEMS


def _policy(name: str, *, as_json: bool) -> int:
    """A name may be that of a policy for visits, of one for placing packages, or of both."""
    try:
        placing = describe_placing(name)
        fields = [] if placing and not _is_about_visits(name) else describe_policy(policy_named(name))
    except PolicyRefused as refused:
        if as_json:
            say_json({"policy": [], "problems": refused.problems})
        else:
            say(_in_words(name, refused.problems))
        return PROBLEMS
    if as_json:
        said = {"placing": [{"name": key, "value": value} for key, value in placing]} if placing else {}
        say_json({"policy": fields, **said, "problems": []})
        return OK
    if fields:
        say(describe(name))
    if placing:
        width = max(len(key) for key, _ in placing)
        say("\n".join([*([""] if fields else []), "placing packages", *_columns(placing, width)]))
    return OK


def _is_about_visits(name: str) -> bool:
    return not name.endswith(".toml") and name in shipped_policies()


def _columns(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    return [f"{key.ljust(width)}  {value}" for key, value in rows]


def _in_words(what: Path | str, problems: Sequence[Problem]) -> str:
    errors = sum(1 for problem in problems if problem.severity == "error")
    lines = [
        f"{problem.severity}: {problem.path or what}: {problem.message}; expected {problem.expected}"
        f" [{problem.code}]"
        for problem in problems
    ]
    verdict = "cannot be used" if errors else "can be used"
    counted = f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"
    return "\n".join([*lines, f"{what} {verdict}: {counted}"])


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
