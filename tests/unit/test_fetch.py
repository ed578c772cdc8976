"""When a file is complete, and what a folder does that hangs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.feed_memory import KEEP_ASIDE, Drawer, Memory, Unplaced
from connectors.fetch import MOST_FILES, Known, Look, Mark, Seen, is_wanted
from connectors.fetch_folder import Detached, FolderFetcher
from connectors.ports import EdgeError
from tests.waiting import until


def utc_now() -> datetime:
    return datetime.now(UTC)


def fetcher(folder: Path, *, most_bytes: int = 1000, every_s: float = 0.05) -> FolderFetcher:
    return FolderFetcher(
        "f", str(folder), "*.csv", most_bytes=most_bytes, timeout_s=5, every_s=every_s, now=utc_now
    )


def names(look: Look) -> list[str]:
    return [file.name for file in look.files]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("rota.csv", True),
        ("ROTA.CSV", True),
        ("rota.csv.part", False),
        ("rota.csv.filepart", False),
        ("rota.csv~", False),
        (".rota.csv", False),
        ("~$rota.csv", False),
        ("rota.txt", False),
    ],
)
def test_what_is_hidden_or_still_being_written_is_left_alone(name: str, wanted: bool) -> None:
    assert is_wanted(name, "*.csv") is wanted


async def test_files_come_in_the_order_in_which_they_were_written_and_once(tmp_path: Path) -> None:
    for age, name in ((60, "b.csv"), (120, "a.csv"), (90, "c.csv")):
        (tmp_path / name).write_text(name)
        at = utc_now().timestamp() - age
        os.utime(tmp_path / name, (at, at))
    (tmp_path / "d.csv").mkdir()
    (tmp_path / "e.csv").symlink_to(tmp_path / "a.csv")
    look = await fetcher(tmp_path).look(Seen())
    assert names(look) == ["a.csv", "c.csv", "b.csv"]
    assert [file.body for file in look.files] == [b"a.csv", b"c.csv", b"b.csv"]
    assert look.newest is not None
    assert timedelta(seconds=50) < utc_now() - look.newest < timedelta(seconds=70)
    known = {file.name: Known(mark=file.mark, digest="") for file in look.files if file.mark is not None}
    assert names(await fetcher(tmp_path).look(Seen(files=known))) == []


async def test_one_that_was_read_right_after_it_was_written_is_read_once_more(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    [file] = (await fetcher(tmp_path).look(Seen())).files
    assert file.mark is not None
    unsure = Seen(files={"a.csv": Known(mark=file.mark, digest="", sure=False)})
    assert names(await fetcher(tmp_path).look(unsure)) == ["a.csv"]


def written(folder: Path, name: str, age_s: float) -> Mark:
    (folder / name).write_text(name)
    at = utc_now().timestamp() - age_s
    os.utime(folder / name, (at, at))
    found = (folder / name).stat()
    return Mark(found.st_size, found.st_mtime_ns, found.st_ino)


async def test_what_was_never_read_and_what_changed_come_before_what_is_to_be_read_again(
    tmp_path: Path,
) -> None:
    known = {
        f"a-{n:03}.csv": Known(mark=written(tmp_path, f"a-{n:03}.csv", 900), digest="", sure=False)
        for n in range(MOST_FILES)
    }
    written(tmp_path, "a-007.csv", 30)
    written(tmp_path, "new.csv", 20)
    look = await fetcher(tmp_path).look(Seen(files=known))
    assert names(look)[:2] == ["a-007.csv", "new.csv"]
    assert len(look.files) == MOST_FILES
    assert not look.more, "what was read once already keeps nobody waiting"


@pytest.mark.parametrize(("there", "more"), [(MOST_FILES, False), (MOST_FILES + 1, True)])
async def test_a_look_says_whether_it_left_files_that_were_never_read(
    tmp_path: Path, there: int, more: bool
) -> None:
    for n in range(there):
        written(tmp_path, f"a-{n:03}.csv", 900 - n)
    look = await fetcher(tmp_path).look(Seen())
    assert (len(look.files), look.more) == (MOST_FILES, more)
    assert look.files[0].name == "a-000.csv"


async def test_one_that_grows_between_the_two_looks_is_read_by_neither(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("half")
    looking = asyncio.create_task(fetcher(tmp_path, every_s=0.3, most_bytes=1_000_000).look(Seen()))
    while not looking.done():  # in the same loop as the pause between the two: whatever stands still, both do
        path.write_text(path.read_text() + " and half")
        await asyncio.sleep(0.01)
    assert names(await looking) == []
    assert names(await fetcher(tmp_path).look(Seen())) == ["a.csv"]


async def test_history_and_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("x")
    week = utc_now().timestamp() - 7 * 86_400 - 60
    os.utime(tmp_path / "old.csv", (week, week))
    (tmp_path / "large.csv").write_text("x" * 1001)
    (tmp_path / "fits.csv").write_text("x" * 1000)
    look = await fetcher(tmp_path).look(Seen())
    assert sorted((file.name, file.refused, len(file.body)) for file in look.files) == [
        ("fits.csv", None, 1000),
        ("large.csv", "too_large", 0),
    ]


async def test_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(EdgeError) as caught:
        await fetcher(tmp_path / "gone").look(Seen())
    assert (caught.value.reason, caught.value.permanent) == ("unreachable", False)


async def test_a_call_that_hangs_is_given_up_and_no_second_one_is_begun_behind_it() -> None:
    """A network share that went away blocks whoever touches it, for minutes and in the kernel."""
    detached, hangs, begun = Detached("f", 0.1), threading.Event(), []

    def work() -> str:
        begun.append(1)
        hangs.wait(10)
        return "late"

    for _ in range(3):
        with pytest.raises(EdgeError) as caught:
            await detached.run(work)
        assert caught.value.reason == "timeout"
    assert len(begun) == 1
    hangs.set()
    await until(
        lambda: not any(thread.name == "folder:f" for thread in threading.enumerate()), what="it ended"
    )
    answer: Callable[[], str] = lambda: "at once"  # noqa: E731
    assert await detached.run(answer) == "at once"


# --- what is kept ---


def test_what_a_feed_kept_is_there_again_and_readable_by_us_alone(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path / "feeds" / "f")
    kept = Memory(
        files={"a.csv": Known(mark=Mark(1, 2, 3), digest="d")},
        proved_at=datetime(2026, 3, 16, tzinfo=UTC),
        unplaced={"1f": Unplaced(tries=2, again_at=datetime(2026, 3, 16, tzinfo=UTC))},
    )
    drawer.keep(kept)
    assert Drawer(tmp_path / "feeds" / "f").memory() == kept
    assert (tmp_path / "feeds" / "f" / "memory.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "feeds" / "f").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("body", [None, b"", b"{", b'{"files": 7}'])
def test_a_memory_that_is_lost_or_torn_is_an_empty_one(tmp_path: Path, body: bytes | None) -> None:
    if body is not None:
        (tmp_path / "memory.json").write_bytes(body)
    assert Drawer(tmp_path).memory() == Memory()


def test_what_is_put_aside_is_bounded_and_its_name_harmless(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path)
    for n in range(KEEP_ASIDE + 5):
        drawer.put_aside("../../etc/Mrs Quill feather.csv", f"{n:02}" * 16, b"x", {"n": n})
    kept = sorted(file.name for file in (tmp_path / "aside").iterdir())
    assert len(kept) == 2 * KEEP_ASIDE
    assert all(name.split("-", 1)[1].startswith(".._.._etc_Mrs_Quill_feather.csv") for name in kept)
