"""A process that does nothing but append, and says so: to be killed, or to stand in the way. See test_sqlite_store.py.

`python -m tests.contract.appender FOLDER [URL]` prints `DESK SEQ` after each append that was answered, and ends by
itself when nobody listens any more. With a URL the store is that server.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from connectors.ports import Store
from connectors.redis_store import RedisStore, read_address
from connectors.sqlite_store import SqliteStore
from tests.contract.stores import Journalist, evidence, person


async def append_for_ever(store: Store, name: str) -> None:
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
    folder, *url = sys.argv[1:]
    store: Store = RedisStore(read_address(url[0]), Path(folder)) if url else SqliteStore(Path(folder))
    await store.open()
    await asyncio.gather(*(append_for_ever(store, f"desk-{n}") for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main())
