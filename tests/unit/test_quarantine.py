"""Bodies that nobody can read: kept before they are acknowledged, bounded, the oldest thrown away first."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from connectors.ports import EdgeError
from monitor import quarantine
from monitor.quarantine import Quarantine


def bodies(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


async def test_a_body_is_on_disk_when_it_is_said_to_be(tmp_path: Path) -> None:
    assert await Quarantine(tmp_path / "q").put("mqtt", "bad_body", b"what", "bright")
    assert bodies(tmp_path / "q") == [b"what"]


async def test_of_a_large_body_the_beginning_is_kept(tmp_path: Path) -> None:
    await Quarantine(tmp_path / "q").put("mqtt", "too_large", b"x" * (quarantine.KEPT_OF_ONE + 1), None)
    assert bodies(tmp_path / "q") == [b"x" * quarantine.KEPT_OF_ONE]


async def test_a_folder_that_cannot_be_written_is_an_error_and_never_a_yes(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("a file stands where the folder should be")
    with pytest.raises(EdgeError):
        await Quarantine(tmp_path / "q").put("mqtt", "bad_body", b"what", "bright")


async def test_a_flood_of_one_source_loses_its_bodies_and_silences_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PER_SOURCE_PER_MINUTE", 3)
    kept = Quarantine(tmp_path / "q")
    assert [await kept.put("mqtt", "bad_body", b"a", None) for _ in range(4)] == [True, True, True, False]
    assert await kept.put("owntracks", "bad_body", b"b", None)


async def test_a_check_in_on_which_the_core_failed_is_never_the_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PER_SOURCE_PER_MINUTE", 1)
    kept = Quarantine(tmp_path / "q")
    for _ in range(3):
        assert await kept.put("mqtt", "decide_failed", b"an arrival", "bright")
    assert bodies(tmp_path / "q") == [b"an arrival"] * 3


async def test_the_oldest_go_when_there_is_too_much_or_they_are_a_month_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "q"
    for number in range(4):
        await Quarantine(folder).put("mqtt", "bad_body", bytes([number]) * 10, None)
    old, *_ = sorted(folder.iterdir())
    month_ago = time.time() - quarantine.KEEP_S - 1
    os.utime(old, (month_ago, month_ago))
    monkeypatch.setattr(quarantine, "MOST_BYTES", 25)
    await Quarantine(folder).put("mqtt", "bad_body", b"new", None)
    assert bodies(folder) == [bytes([2]) * 10, bytes([3]) * 10, b"new"]
