"""`callwatch`: the command line of docs/interface.md."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "run": "the daemon",
    "demo": "the daemon with embedded parts, a synthetic day, and telephones you can answer",
    "phones": "the stand-in telephone network alone",
    "check-config": "every problem of a configuration at once",
    "rota": "load a rota or people into a running daemon",
    "token": "make a credential; writes nothing",
    "verify": "check the chain of facts",
    "preview": "what would happen, and when, for each visit of a rota",
    "backup": "a consistent copy of a running store",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run one command; the return value is the exit code."""
    parser = argparse.ArgumentParser(
        prog="callwatch", description="Notices the visit that nobody made, and sees it through."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = sys.argv[1:] if argv is None else list(argv)
    chosen = next((word for word in words if word in COMMANDS), None)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text)
        if name == chosen:
            # only what is asked for is imported: a token is made in a moment, the daemon is large
            module = importlib.import_module(f"monitor.commands.{name.replace('-', '_')}")
            sub.description = module.__doc__
            module.add(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(words)
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
