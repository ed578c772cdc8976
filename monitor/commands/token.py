"""Make a credential. Line 1 is the secret, which is shown once and kept nowhere; the rest is the block for the
configuration, which holds only its hash."""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime, timedelta

from config.tokens import ROLES, SECRET_BYTES, SIGNS_IN, SPEAKS_FOR, Role, hash_token, new_token, token_block
from monitor.commands.common import OK, Stop, complain, duration, say, stopped

A_YEAR = timedelta(days=365)
_DESK = re.compile(r"[a-z0-9-]{1,40}")


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch token --role R --desk D [--device ID | --provider ID | --person ID] [--expires 90d]`."""
    parser.add_argument("--role", choices=ROLES, help="what its holder may do (docs/interface.md)")
    parser.add_argument("--desk", required=True, help='the desk\'s id; "*" for an operator of all')
    parser.add_argument("--device", metavar="ID", help="makes a device's credential (role device)")
    parser.add_argument("--provider", metavar="ID", help="for which provider it bids (role provider)")
    parser.add_argument("--person", metavar="ID", help="whose own it is: the id of a member of staff")
    parser.add_argument("--expires", type=duration, default=A_YEAR, metavar="90d", help="how long (365d)")


def run(args: argparse.Namespace) -> int:
    """0; 2 for what no configuration could hold."""
    try:
        role = _role(args)
    except Stop as stop:
        return stopped(stop)
    secret = new_token(os.urandom(SECRET_BYTES))
    expires = datetime.now(UTC) + args.expires
    say(secret)
    of = {"provider": args.provider, "person": args.person}
    say(token_block(hash_token(secret), role, args.desk, args.device, expires, **of).rstrip("\n"))
    return OK


def _role(args: argparse.Namespace) -> Role:
    for name, example in (
        ("device", "owntracks:u17/phone or phone-17"),
        ("provider", "pr-7"),
        ("person", "st-1"),
    ):
        value = getattr(args, name)
        if value is not None and not value.strip():
            raise Stop(f"--{name}: expected an id such as {example}")
    role: Role | None = "device" if args.device is not None else args.role
    if role is None:
        raise Stop("expected --role, or --device for a device's credential")
    for alone, name in SPEAKS_FOR.items():
        if (role == alone) != (getattr(args, name) is not None):
            raise Stop(f"--{name} and the role {alone} go together: it speaks for that {name} alone")
    if args.person is not None and role not in SIGNS_IN:
        raise Stop(f"--person: nobody signs in with a credential of role {role}")
    if not _DESK.fullmatch(args.desk) and not (args.desk == "*" and role == "operator"):
        raise Stop('--desk: expected the id of a desk (a-z, 0-9, -); "*" only for an operator')
    if args.role not in (None, role):
        complain(f"note: --device makes the role device, not {args.role}")
    return role
