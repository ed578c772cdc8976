"""Records the golden journal of the present format. Run deliberately: `python -m tests.golden.record`.

A journal of a released format is never recorded again: a new format gets a folder of its own beside the old ones,
and every one of them is replayed in every run (`tests/golden/test_golden.py`).
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from monitor.core import facts as f
from monitor.core.desk import JOURNAL_FORMAT, State, evolve
from monitor.core.state import STATE_VERSION
from tests.core.days import OPS, do
from tests.core.driver import Desk

HERE = Path(__file__).parent
SEED = 20261123
ROUNDS, STEPS = 5, 45
MIDDLE = 0.6
"""The snapshot is taken after this share of the journal."""


def folder(version: int) -> Path:
    """Where the journal of this format lies."""
    return HERE / f"v{version}"


def line_of(fact: f.Happened) -> dict[str, Any]:
    """One fact as a line: what the envelope says of it, and the body's text as it is stored."""
    return {
        "seq": fact.seq,
        "at": _instant(fact.at),
        "due_at": _instant(fact.due_at) if fact.due_at else None,
        "kind": type(fact.body).__name__,
        "v": fact.body.VERSION,
        "subject": fact.subject,
        "policy": fact.policy,
        "body": f.encode_body(fact.body),
    }


def fact_of(line: dict[str, Any]) -> f.Happened:
    """A line as the fold sees it."""
    return f.Happened(
        seq=line["seq"],
        at=datetime.fromisoformat(line["at"]),
        subject=line["subject"],
        body=f.decode_body(line["kind"], line["v"], line["body"]),
        due_at=datetime.fromisoformat(line["due_at"]) if line["due_at"] else None,
        policy=line["policy"],
    )


def lines(version: int) -> list[dict[str, Any]]:
    """The journal of this format."""
    text = (folder(version) / "journal.jsonl").read_text(encoding="utf-8")
    return [msgspec.json.decode(line) for line in text.splitlines()]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def write(desk: Desk, into: Path) -> None:
    """Journal, the snapshot in its middle, and the state at its end."""
    into.mkdir(parents=True)
    journal = b"\n".join(msgspec.json.encode(line_of(fact)) for fact in desk.facts)
    (into / "journal.jsonl").write_bytes(journal + b"\n")
    state = State()
    for fact in desk.facts[: int(len(desk.facts) * MIDDLE)]:
        evolve(state, fact)
    (into / f"snapshot-{state.seq}.v{STATE_VERSION}.msgpack").write_bytes(
        msgspec.msgpack.encode(state.values)
    )
    (into / "state.json").write_bytes(msgspec.json.format(encoded(desk.state.values), indent=1) + b"\n")


def encoded(values: Struct) -> bytes:
    """The values as text that a person can compare."""
    return msgspec.json.encode(values, order="deterministic")


def day() -> Desk:
    """A day in rounds: much happens, little time goes by, and somebody closes what is open."""
    rng = random.Random(SEED)
    desk = Desk(public="ask")
    for _ in range(ROUNDS):
        for _ in range(STEPS):
            name, a, b, c = rng.choice(OPS), rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)
            do(desk, (name, a % 5 if name == "wait" else a, b, c))
        for alert in [alert for alert in desk.alerts() if alert.state != "ended"][1:]:
            desk.act("close", "mary", alert=alert, reason="outcome_recorded")
    return desk


def main() -> int:
    """Write the journal of this format, unless it is there."""
    into = folder(JOURNAL_FORMAT)
    if into.exists():
        print(f"{into.name} is there: a released journal is not recorded again. Remove it if it never was.")
        return 1
    write(day(), into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
