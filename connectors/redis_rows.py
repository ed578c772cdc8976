"""What stands in Redis, key by key, and how rows become bytes and back. Pure: no I/O.

Every key of a desk carries its hash tag, so that one function reaches them all, in a cluster too:

| key | type | holds |
| --- | --- | --- |
| `callwatch:header` | hash | `format`, `min_reader`, `probe` |
| `callwatch:{desk}:desk` | hash | `fence`, `try`, `seq`, `hash`, `secret`, `position`, `snapshots` (a counter) |
| `callwatch:{desk}:journal` | stream | entry `SEQ-0`: `f` the fact, `h` its hash, `l` the fence of who wrote it |
| `callwatch:{desk}:people` | hash | kind and ref → outside, rev, body |
| `callwatch:{desk}:evidence` | hash | id → subject, keep_until, salt, body |
| `callwatch:{desk}:snapshots` | hash | number → seq, hash, version, parts; empty: does not count (yet, or any more) |
| `callwatch:{desk}:snapshot:N` | hash | its parts |
| `callwatch:{desk}:lease` | string | who leads, with an expiry |

Values are MessagePack; a fact is the array of its fields from `at` to `prev`, its seq stands in the entry's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from connectors.ports import EvidenceRow, Head, PeopleRow, Record

HEADER = "callwatch:header"
DESKS = "callwatch:{*}:desk"
"""A pattern that finds every desk."""
JOURNALS = "callwatch:{*}:journal"


class Keys(Struct, frozen=True, kw_only=True):
    """The keys of one desk."""

    desk: str
    journal: str
    people: str
    evidence: str
    snapshots: str
    lease: str

    def parts(self, number: int) -> str:
        """Where the parts of a snapshot lie."""
        return f"{self.snapshots[:-1]}:{number}"


def keys(name: str) -> Keys:
    """Of this desk."""
    tag = f"callwatch:{{{name}}}"
    fields = Keys.__struct_fields__
    return Keys(**{field: f"{tag}:{field}" for field in fields})


def desk_name(key: bytes) -> str:
    """The desk whose key this is."""
    return key.decode(errors="replace").partition("{")[2].rpartition("}")[0]


class Meta(Struct, frozen=True, array_like=True):
    """What is noted of a whole snapshot."""

    seq: int
    hash: bytes
    version: int
    parts: int


_encode = msgspec.msgpack.Encoder().encode
_Fact = tuple[str, str | None, str, int, str, str, int, str, str, bytes]
_fact = msgspec.msgpack.Decoder(_Fact).decode
_person_key = msgspec.msgpack.Decoder(tuple[str, str]).decode
_person = msgspec.msgpack.Decoder(tuple[str, int, bytes | None]).decode
_evidence = msgspec.msgpack.Decoder(tuple[str, str, bytes, bytes]).decode
_meta = msgspec.msgpack.Decoder(Meta).decode


def meta(snapshot_head: Head, version: int, parts: int) -> bytes:
    """The seq in front once more, for Lua: its own MessagePack knows no bytes."""
    return b"%d " % snapshot_head.seq + _encode(Meta(snapshot_head.seq, snapshot_head.hash, version, parts))


def read_meta(value: bytes) -> Meta:
    """Raises msgspec.DecodeError."""
    return _meta(value.partition(b" ")[2])


def fact_values(facts: Iterable[Record]) -> list[bytes]:
    """Two values a fact. Raises ValueError, OverflowError for what cannot be written (a lone surrogate, 70 bits)."""
    values: list[bytes] = []
    for f in facts:
        fields = (f.at, f.due_at, f.kind, f.v, f.subject, f.cause, f.people_rev, f.policy, f.body, f.prev)
        values += (_encode(fields), f.hash)
    return values


def people_values(people: Iterable[PeopleRow]) -> list[bytes]:
    """Field and value of each row."""
    values: list[bytes] = []
    for row in people:
        values += (_encode((row.kind, row.ref)), _encode((row.outside, row.rev, row.body)))
    return values


def evidence_values(evidence: Iterable[EvidenceRow]) -> list[bytes]:
    """Field and value of each row."""
    values: list[bytes] = []
    for row in evidence:
        values += (row.id.encode(), _encode((row.subject, row.keep_until, row.salt, row.body)))
    return values


def read_fact(entry: Sequence[Any]) -> Record:
    """An entry of the journal. Raises msgspec.DecodeError, ValueError for what cannot be read any more."""
    fields = entry[1]
    at, due_at, kind, v, subject, cause, people_rev, policy, body, prev = _fact(fields[1])
    return Record(
        seq=seq_of(entry),
        at=at,
        due_at=due_at,
        kind=kind,
        v=v,
        subject=subject,
        cause=cause,
        people_rev=people_rev,
        policy=policy,
        body=body,
        prev=prev,
        hash=fields[3],
    )


def seq_of(entry: Sequence[Any]) -> int:
    """The fact's number stands in the entry's id."""
    return int(entry[0].partition(b"-")[0])


def read_person(field: bytes, value: bytes) -> PeopleRow:
    """Raises msgspec.DecodeError."""
    (kind, ref), (outside, rev, body) = _person_key(field), _person(value)
    return PeopleRow(ref=ref, kind=kind, outside=outside, rev=rev, body=body)


def read_evidence(row_id: str, value: bytes) -> EvidenceRow:
    """Raises msgspec.DecodeError."""
    subject, keep_until, salt, body = _evidence(value)
    return EvidenceRow(id=row_id, subject=subject, keep_until=keep_until, salt=salt, body=body)
