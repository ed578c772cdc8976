"""The lock on a data folder: one daemon of this machine at a time. It ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from connectors.ports import StoreRefused

LOCK = "callwatch.lock"


def lock_folder(path: Path) -> int:
    """The descriptor that holds it until it is closed. Raises StoreRefused(locked) naming the holder's pid, OSError."""
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        text = f"another callwatch process (pid {holder}) holds {path}; stop it first"
        raise StoreRefused("locked", text, permanent=True) from exc
    # the number is for the message above only: a full disk must not keep us from starting
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
