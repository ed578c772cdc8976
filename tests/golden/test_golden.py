"""Journals and snapshots of every released format are read by this release (design rule 13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.policy import Policy
from monitor.core.desk import JOURNAL_FORMAT, State, evolve
from monitor.core.state import STATE_VERSION, Values
from tests.core.days import copy_of
from tests.golden.record import HERE, encoded, fact_of, folder, lines, main

VERSIONS = sorted(int(path.name[1:]) for path in HERE.glob("v*") if path.is_dir())


def expected(version: int) -> Values:
    return msgspec.json.decode((folder(version) / "state.json").read_bytes(), type=Values)


def replayed(version: int, state: State | None = None) -> State:
    found = state or State()
    for line in lines(version):
        if line["seq"] > found.seq:
            evolve(found, fact_of(line))
    return found


LEARNT_LATER = {1: frozenset({"regulars", "changes_told", "changes_checked"})}
"""By format: what a later release folds out of the same facts, and a snapshot of that time cannot know."""


def stored(values: Values, version: int = JOURNAL_FORMAT) -> dict[str, Any]:
    """The values that were folded when the golden state was stored."""
    return {name: value for name, value in copy_of(values).items() if name not in LEARNT_LATER[version]}


def test_what_is_folded_since_is_found_in_the_released_journal_too() -> None:
    values = replayed(1).values
    arrived = [line for line in lines(1) if line["kind"] == "ArrivalRecorded"]
    bodies = [msgspec.json.decode(line["body"]) for line in arrived]
    assert {worker for known in values.regulars.values() for worker in known} == {
        body["worker"] for body in bodies if body.get("worker")
    }
    assert values.changes_told is not None


def snapshots(version: int) -> list[Path]:
    return sorted(folder(version).glob(f"snapshot-*.v{STATE_VERSION}.msgpack"))


def test_there_is_a_journal_of_every_format_up_to_the_present_one() -> None:
    assert list(range(1, JOURNAL_FORMAT + 1)) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_released_journal_folds_to_the_state_that_was_stored_with_it(version: int) -> None:
    state = replayed(version)
    assert state.seq == lines(version)[-1]["seq"]
    assert stored(state.values) == stored(expected(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_released_snapshot_with_the_facts_after_it_gives_the_same(version: int) -> None:
    for path in snapshots(version):
        seq = int(path.name.split("-")[1].split(".")[0])
        state = State(msgspec.msgpack.decode(path.read_bytes(), type=Values), seq)
        assert 0 < seq < lines(version)[-1]["seq"]
        assert stored(replayed(version, state).values) == stored(expected(version))


def test_this_release_s_snapshot_is_among_them() -> None:
    assert snapshots(JOURNAL_FORMAT)


def test_the_journal_is_rich_enough_to_mean_something() -> None:
    kinds = {line["kind"] for line in lines(1)}
    wanted = {
        "VisitPlanned",
        "ArrivalRecorded",
        "DepartureRecorded",
        "AlertRaised",
        "AlertEnded",
        "MessageSettled",
    }
    assert wanted <= kinds
    assert len(kinds) >= 30


def test_the_stored_state_is_what_its_text_says() -> None:
    old = msgspec.json.decode((folder(JOURNAL_FORMAT) / "state.json").read_bytes())
    new = msgspec.json.decode(encoded(expected(JOURNAL_FORMAT)))
    defaults = msgspec.json.decode(encoded(Policy()))
    policies = [(old["policy"], new["policy"])]
    policies += [(policy, new["policies"][digest]) for digest, policy in old["policies"].items()]
    for known, policy in policies:
        for key in policy.keys() - known.keys():
            assert policy.pop(key) == defaults[key], "a key of the policy that came later has its default"
    assert {visit.pop("kind") for visit in new["visits"].values()} == {"visit"}
    assert within(old, new)


def within(old: Any, new: Any) -> bool:
    """Whether all of `old` stands in `new`. A field that came later may stand beside it, with nothing in it."""
    if isinstance(old, dict) and isinstance(new, dict):
        kept = old.keys() <= new.keys() and all(within(value, new[key]) for key, value in old.items())
        return kept and not any(new[key] for key in new.keys() - old.keys())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(within, old, new))
    return bool(old == new)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": None}]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, False),
        ({"a": [{"b": 1}]}, {"a": []}, False),
        ({"a": 1}, {"c": None}, False),
    ],
)
def test_a_state_that_lost_or_changed_something_would_be_noticed(old: Any, new: Any, same: bool) -> None:
    assert within(old, new) is same


def test_a_released_journal_is_not_recorded_again(capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder(JOURNAL_FORMAT) / "journal.jsonl").read_bytes()
    assert main() == 1
    assert "not recorded again" in capsys.readouterr().out
    assert (folder(JOURNAL_FORMAT) / "journal.jsonl").read_bytes() == before
