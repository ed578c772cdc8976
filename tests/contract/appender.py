"""A process that does nothing but append, and says so: to be killed, or to stand in the way. See test_sqlite_store.py.

`python -m tests.contract.appender FOLDER` prints `DESK SEQ` after each append that was answered, and ends by itself
when nobody listens any more.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from connectors.sqlite_store import SqliteStore
from tests.contract.stores import Journalist, evidence, person


async def append_for_ever(store: SqliteStore, name: str) -> None:
    """Facts, a person and evidence in every append, told only when it was answered."""
    desk = await Journalist.begin(store, name)
    while True:
        head = desk.head
        await desk.write(3)
        await store.append(
            desk.leadership,
            desk.head,
            [],
            [person(rev=head.seq)],
            [evidence(f"e-{desk.head.seq}")],
            f"{desk.head.seq}",
        )
        print(name, desk.head.seq, flush=True)


async def main() -> None:
    """Four desks at once, so that groups form."""
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await asyncio.gather(*(append_for_ever(store, f"desk-{n}") for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main())
