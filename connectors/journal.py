"""What every Store adapter judges in the same way: may this append be written, and where is a chain broken?

Pure: no I/O. SQLite, memory and Redis use it, so that one contract suite can hold all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from connectors.ports import (
    Head,
    Leadership,
    Record,
    StoreFenced,
    VerifyFinding,
    VerifyReport,
    record_hash,
)

Judgement = Literal["write", "already_written"]


def judge_append(
    fence: int | None, head: Head, leadership: Leadership, expected: Head, facts: Sequence[Record]
) -> Judgement:
    """Say whether an append is to be written, or was written by an earlier try whose answer got lost.

    `fence` is the highest given out (None: nobody ever led), `head` where the journal ends now. Raises StoreFenced
    (`fenced`, `head_moved`).
    """
    if fence is None or leadership.fence != fence:
        raise StoreFenced("fenced", f"fence {leadership.fence} is not the last one given out", permanent=True)
    if head == expected:
        return "write"
    if facts and head == head_of(facts[-1]):
        return "already_written"
    raise StoreFenced(
        "head_moved", f"the journal ends at {head.seq}, not at {expected.seq} as expected", permanent=True
    )


def judge_snapshot(fence: int | None, known: bytes | None, leadership: Leadership, at: Head) -> None:
    """Refuse a snapshot of a desk led elsewhere, or taken at a fact (`known`: its hash) that is not on disk.

    Raises StoreFenced.
    """
    if fence is None or leadership.fence != fence:
        raise StoreFenced("fenced", f"fence {leadership.fence} is not the last one given out", permanent=True)
    if known != at.hash:
        raise StoreFenced("head_moved", f"the journal has no such fact {at.seq}", permanent=True)


def head_of(record: Record) -> Head:
    """The head of a journal that ends with this fact."""
    return Head(seq=record.seq, hash=record.hash)


def must_follow(head: Head, facts: Sequence[Record]) -> None:
    """Raise ValueError for facts that do not follow `head`: a mistake of the caller, found before anything waits."""
    seq, last = head.seq, head.hash
    for record in facts:
        seq += 1
        if record.seq != seq or record.prev != last:
            raise ValueError(f"fact {record.seq} does not follow {seq - 1}")
        last = record.hash


def broken_link(start: Head, facts: Iterable[Record]) -> VerifyFinding | None:
    """The first fact that does not follow the one before, by seq (`gap`: the one missing) or by `prev`.

    Cheap enough for every load: nothing is hashed.
    """
    for finding, _ in _walk("", start, facts, hashed=False):
        if finding is not None:
            return finding
    return None


def verify_chain(desk: str, facts: Iterable[Record]) -> VerifyReport:
    """Walk a whole journal, hash every fact again (interface.md, "The chain"), name the first that is broken.

    A tail cut off leaves a whole chain: compare `head` with one written down elsewhere.
    """
    broken, head, count = None, Head(), 0
    for finding, record in _walk(desk, head, facts, hashed=True):
        count, head = count + 1, head_of(record)
        broken = broken or finding
    return VerifyReport(desk=desk, facts=count, head=head.hash.hex(), broken=broken)


def _walk(
    desk: str, start: Head, facts: Iterable[Record], *, hashed: bool
) -> Iterator[tuple[VerifyFinding | None, Record]]:
    seq, last = start.seq, start.hash
    for record in facts:
        yield _fault(desk, seq + 1, last, record, hashed=hashed), record
        seq, last = record.seq, record.hash


def _fault(desk: str, seq: int, last: bytes, record: Record, *, hashed: bool) -> VerifyFinding | None:
    if record.seq != seq:
        return VerifyFinding(seq=seq, reason="gap")
    if record.prev != last:
        return VerifyFinding(seq=seq, reason="prev")
    if hashed:
        return _hash_fault(desk, record)
    return None


def _hash_fault(desk: str, record: Record) -> VerifyFinding | None:
    try:
        same = record_hash(desk, record) == record.hash
    except UnicodeEncodeError:
        return VerifyFinding(seq=record.seq, reason="body")
    return None if same else VerifyFinding(seq=record.seq, reason="hash")
