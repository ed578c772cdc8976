"""The table of routes by role in docs/interface.md, made from the rules themselves. Run it by `script/route-roles`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "script")]

import in_page  # noqa: E402  the scripts are no package

from connectors.http_access import NOT_YET, ROLES, RULES, Role, Rule, Way  # noqa: E402  the script is no package

BEGIN = "<!-- routes by role: written by script/route-roles -->"
END = "<!-- end of routes by role -->"

ENTERED: dict[Way, str] = {
    "token": "credential",
    "token_or_session": "credential, or a session",
    "session": "a session",
    "loopback_or_token": "open on loopback",
    "link": "a signed link",
    "signature": "a signature",
    "open": "open",
}


def table() -> str:
    """One row a route, in the order of the source."""
    heads = ["route", "entered by", *(f"`{role}`" for role in ROLES)]
    rules = ["---", "---", *(":-:" for _ in ROLES)]
    rows = [
        [
            f"`{rule.method} {rule.path}`",
            "*not yet*" if rule.path in NOT_YET else ENTERED[rule.way],
            *(cell(rule, role) for role in ROLES),
        ]
        for rule in RULES
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rules, *rows))


def cell(rule: Rule, role: Role) -> str:
    """`yes` at every desk, `council` or `provider` at desks of that kind alone, nothing: at none."""
    if "{desk}" not in rule.path:
        return "yes" if role in rule.roles else ""
    return {
        (True, True): "yes",
        (True, False): "provider",
        (False, True): "council",
        (False, False): "",
    }[role in rule.roles, role in rule.council]


def written(page: str) -> str:
    """The page with the present table. Raises ValueError: a mark is missing."""
    return in_page.written(page, BEGIN, END, table())


if __name__ == "__main__":
    sys.exit(
        in_page.run(written, "the routes are not those of connectors/http_access.py: run script/route-roles")
    )
