"""Real disks for tests: small, full, read-only, failing. Needs root; in CI that is a must."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSHING = 2


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    """Run a tool of the system; its output. Raises AssertionError with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in ok, f"{command}: {done.stderr or done.stdout}"
    return done.stdout


def not_permitted(why: object) -> NoReturn:
    """In CI a disk that cannot be had is a failure; a developer without root is told what was not tried."""
    text = f"mounting a small disk needs root (or CAP_SYS_ADMIN): {why}"
    if os.environ.get("CI"):
        pytest.fail(f"{text}; in CI nothing is skipped")
    pytest.skip(text)


@contextmanager
def tmpfs(at: Path, size: str) -> Iterator[Path]:
    """A small disk in memory, mounted at `at`."""
    at.mkdir()
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at)
    except (AssertionError, OSError) as exc:
        not_permitted(exc)
    try:
        yield at
    finally:
        run("umount", "-l", at)


class Ext4:
    """A disk with a real file system in an image file: it can break as real ones do, and be repaired."""

    def __init__(self, folder: Path) -> None:
        self._images = [folder / "disk-0.img"]
        self.at = folder / "disk"
        self.at.mkdir()
        with self._images[0].open("wb") as image:
            image.truncate(16 << 20)
        run("mkfs.ext4", "-q", "-F", self._images[0])
        self._mount()

    def _mount(self) -> None:
        try:
            run("mount", "-o", "loop,errors=remount-ro", self._images[-1], self.at)
        except (AssertionError, OSError) as exc:
            not_permitted(exc)

    def turns_read_only(self) -> None:
        """The kernel meets an error in the file system and takes no more writes, with files open."""
        device = Path(run("findmnt", "-no", "SOURCE", self.at).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def loses_power(self) -> None:
        """From now on nothing is written; what was not synced is lost, as when the plug is pulled."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING))
        finally:
            os.close(fd)

    def comes_back(self) -> None:
        """What the medium holds is checked, repaired and mounted at the same place; the old mount is gone."""
        repaired = self._images[0].with_name(f"disk-{len(self._images)}.img")
        run("cp", "--sparse=always", self._images[-1], repaired)
        run("e2fsck", "-fy", repaired, ok=(0, 1))
        run("umount", "-l", self.at)
        self._images.append(repaired)
        self._mount()

    def remove(self) -> None:
        """Unmount."""
        run("umount", "-l", self.at)


@contextmanager
def ext4(folder: Path) -> Iterator[Ext4]:
    """An ext4 disk of 16 MiB."""
    disk = Ext4(folder)
    try:
        yield disk
    finally:
        disk.remove()


def fill(folder: Path) -> Path:
    """Take all the room there is; answers with the file that took it."""
    ballast = folder / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 1):
            with pytest.raises(OSError, match="No space"):
                while True:
                    os.write(fd, bytes(size))
    finally:
        os.close(fd)
    return ballast
