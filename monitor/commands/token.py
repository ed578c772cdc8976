"""Make a credential. Line 1 is the secret, which is shown once and kept nowhere; the rest is the block for the
configuration, which holds only its hash."""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime, timedelta

from config.tokens import ROLES, SECRET_BYTES, Role, hash_token, new_token, token_block
from monitor.commands.common import OK, Stop, complain, duration, say, stopped

A_YEAR = timedelta(days=365)
_DESK = re.compile(r"[a-z0-9-]{1,40}")


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch token --role R --desk D [--device ID] [--expires 90d]`."""
    parser.add_argument("--role", choices=ROLES, help="what its holder may do (docs/interface.md)")
    parser.add_argument("--desk", required=True, help='the desk\'s id; "*" for an operator of all')
    parser.add_argument("--device", metavar="ID", help="makes a device's credential (role device)")
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
    say(token_block(hash_token(secret), role, args.desk, args.device, expires).rstrip("\n"))
    return OK


def _role(args: argparse.Namespace) -> Role:
    if args.device is not None and not args.device.strip():
        raise Stop("--device: expected a device such as owntracks:u17/phone or phone-17")
    role: Role | None = "device" if args.device is not None else args.role
    if role is None:
        raise Stop("expected --role, or --device for a device's credential")
    if role == "device" and args.device is None:
        raise Stop("a credential of role device needs --device: it speaks for that device alone")
    if not _DESK.fullmatch(args.desk) and not (args.desk == "*" and role == "operator"):
        raise Stop('--desk: expected the id of a desk (a-z, 0-9, -); "*" only for an operator')
    if args.role not in (None, role):
        complain(f"note: --device makes the role device, not {args.role}")
    return role
