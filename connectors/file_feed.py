"""Files that are fetched each minute: rota, people, check-ins of another vendor's app. Most agencies run one, and this
is how they are watched at all.

    Fetcher.look -> complete files, oldest first -> the same entry as over HTTP -> on disk -> remembered

Everything is idempotent: what was read and is read again is `unchanged` or `duplicate`. And a feed is judged by what
it brings: content older than `fresh_within`, or a source that cannot be reached for so long, makes the visits *dark*.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import structlog
from msgspec import structs

from config.settings import Feed as FeedConfig
from config.settings import Mapping as CsvMapping
from connectors import csv_intake
from connectors.feed_memory import Drawer, Memory, Unplaced, still_unplaced
from connectors.fetch import FRESHLY_WRITTEN_S, Fetched, Fetcher, Known, Look, Seen
from connectors.ports import ApiProblem, Degraded, Desks, EdgeError, SeenCheckIn
from monitor.core.views import CheckInAnswer

log = structlog.get_logger("feed")

PUT_AGAIN = timedelta(hours=6)
"""A rota that is exported anew and says the same is put again this often: it is not old."""
OLDEST = timedelta(hours=36)
"""Check-ins older than this belong to visits that have left the state: an export of a month is not told again."""
TRIES = 5
"""How often a check-in that found no visit is given again, after uploads that may have brought it."""
MOST_DONE = 100_000
MOST_PORTIONS = 500
"""Looks that follow each other at once: 100,000 files. Who writes faster than we read is never said to be read."""
AGAIN = "|again:"
LOOK_FOR_STALENESS_S = 1.0
Verdict = Literal["drained", "down", "unknown"]


class FileFeed:
    """One `[[feed]]`: `connectors.ports.Feed`. `mapping` gives the one of the configuration in force."""

    def __init__(
        self,
        desks: Desks,
        config: FeedConfig,
        mapping: Callable[[], CsvMapping],
        fetcher: Fetcher,
        drawer: Drawer,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.name = config.name
        self._desks, self._config, self._mapping = desks, config, mapping
        self._fetcher, self._drawer, self._now = fetcher, drawer, now
        self._memory = Memory()
        self._began = now()
        self._reached = False
        self._said: Verdict | None = None
        self._done: dict[int, None] = {}
        self._stale_said = False
        self._plan_rev = -1
        """The uploads after which this feed last put a rota."""
        self._tried: dict[str, int] = {}
        """The uploads after which a check-in that waits was last given."""
        self._changed = False
        self._failing: str | None = None

    async def run(self) -> None:
        """Until cancelled. A look that fails is the next one's to make good."""
        self._began = self._now()
        await self._remember_all()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_again_and_again(), name=f"looks:{self.name}")
                group.create_task(self._judge_again_and_again(), name=f"bound:{self.name}")
        finally:
            await self._fetcher.close()

    async def _remember_all(self) -> None:
        try:
            self._memory = await asyncio.to_thread(self._drawer.memory)
            if self._memory.proved_at is not None:
                self._proved(self._memory.proved_at)
        except Exception as error:  # noqa: BLE001 - everything is read again then, and that changes nothing
            log.error("what a feed had kept cannot be used", feed=self.name, error=type(error).__name__)
            self._memory = Memory()

    async def _look_again_and_again(self) -> None:
        every_s = self._config.every.total_seconds()
        while True:
            await self._one_look()
            # several feeds of one vendor must not knock all at once
            await asyncio.sleep(every_s * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, no secret

    async def _judge_again_and_again(self) -> None:
        pause_s = min(LOOK_FOR_STALENESS_S, self._config.fresh_within.total_seconds() / 5)
        while True:
            await asyncio.sleep(pause_s)
            if self._said is not None:
                self._judge_safely()

    def _judge_safely(self) -> None:
        """A desk that cannot take it now is told again: nothing may end the loop that notices a silence."""
        try:
            self._judge()
        except Exception as error:  # noqa: BLE001 - said again with the next look
            log.error("a feed's state could not be told", feed=self.name, error=type(error).__name__)

    # --- one look ---

    async def _one_look(self) -> None:
        try:
            for _ in range(MOST_PORTIONS):
                if not await self._one_portion():
                    break
            self._note_failing(None)
        except EdgeError as error:
            self._note_failing(error.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look is made; it is counted as a failed one
            self._note_failing(type(error).__name__)
        self._judge_safely()

    async def _one_portion(self) -> bool:
        """Read what one look brings. Whether to go on at once: files are left that were never read, and until they are,
        nobody knows what they say."""
        memory = self._memory
        look = await self._fetcher.look(self._seen())
        whole = await self._take(look)
        self._reached = self._reached or not look.more
        # what was not stored, or waits for a visit or a confirmation, is to be had again
        again = not whole or self._waits()
        memory.etag, memory.last_modified = (None, None) if again else (look.etag, look.last_modified)
        await asyncio.to_thread(self._drawer.keep, memory)
        return look.more and whole and bool(look.files)

    def _seen(self) -> Seen:
        """What was read; of that, what holds something that may find its place now is to be read again."""
        memory, now, rev = self._memory, self._now(), self._desks.plan_rev(self._config.desk)
        due = {one.file for key, one in memory.unplaced.items() if self._is_due(key, one, now, rev)}
        files = {
            name: structs.replace(known, sure=False) if name in due or name in memory.unconfirmed else known
            for name, known in memory.files.items()
        }
        return Seen(files=files, etag=memory.etag, last_modified=memory.last_modified)

    def _is_due(self, key: str, one: Unplaced, now: datetime, rev: int) -> bool:
        return one.tries < TRIES and one.again_at <= now and self._tried.get(key) != rev

    def _note_failing(self, reason: str | None) -> None:
        if reason != self._failing:
            if reason is not None:
                log.warning("a feed could not be read", feed=self.name, reason=reason)
            elif self._failing is not None:
                log.info("a feed is read again", feed=self.name)
        self._failing = reason

    async def _take(self, look: Look) -> bool:
        """Each file by itself: a bad one is put aside, the others go on. False: something was not stored, and the
        look is to be made again."""
        mapping = self._mapping()
        whole = True
        self._changed = False
        for fetched in look.files:
            try:
                await self._take_file(mapping, fetched)
            except Degraded:
                # not on disk: not remembered, so that it is read again
                whole = False
        self._memory.unplaced = still_unplaced(self._memory.unplaced, self._now() - OLDEST)
        self._tried = {key: rev for key, rev in self._tried.items() if key in self._memory.unplaced}
        self._forget_what_is_gone(look)
        if not look.more:
            # the newest file proves nothing while it has not been read
            self._prove(mapping, look)
        self._tell_troubles()
        return whole

    async def _take_file(self, mapping: CsvMapping, fetched: Fetched) -> None:
        digest = hashlib.sha256(fetched.body).hexdigest()
        known = self._memory.files.get(fetched.name)
        unchanged = known is not None and known.digest == digest and fetched.refused is None
        self._changed = self._changed or not unchanged
        if not unchanged or self._wants_again(mapping, fetched.name):
            try:
                if fetched.refused is not None:
                    raise ApiProblem(400, fetched.refused, "the file is larger than max_bytes")
                await self._hand_over(mapping, fetched, digest)
                self._memory.refused.pop(fetched.name, None)
            except ApiProblem as problem:
                await self._refuse(fetched, digest, problem)
            except EdgeError:
                raise
            except Exception as error:  # noqa: BLE001 - one file on which we fail must not keep the others from being read
                log.error("a file failed", feed=self.name, error=type(error).__name__)
                await self._refuse(
                    fetched, digest, ApiProblem(500, "decide_failed", "callwatch failed on it")
                )
        self._remember(fetched, digest)

    def _wants_again(self, mapping: CsvMapping, name: str) -> bool:
        """Whether the same content is worth handing over once more."""
        now, rev = self._now(), self._desks.plan_rev(self._config.desk)
        if mapping.what == "checkins":
            waiting = self._memory.unplaced.items()
            return any(
                one.tries < TRIES
                and (not one.file or (one.file == name and self._is_due(key, one, now, rev)))
                for key, one in waiting
            )
        others_did = self._plan_rev != rev
        put_at = self._memory.put_at
        old = put_at is None or now - put_at > PUT_AGAIN
        # somebody uploaded something: the confirmation that was waited for, perhaps
        return mapping.what == "rota" and (old or (others_did and name in self._memory.unconfirmed))

    def _waits(self) -> bool:
        """Something of what was read waits for a visit, or for a confirmation."""
        memory = self._memory
        return bool(memory.unconfirmed) or any(one.tries < TRIES for one in memory.unplaced.values())

    def _remember(self, fetched: Fetched, digest: str) -> None:
        if fetched.mark is None:
            return
        age_s = (self._now() - fetched.mark.at).total_seconds()
        sure = age_s > FRESHLY_WRITTEN_S
        self._memory.files[fetched.name] = Known(mark=fetched.mark, digest=digest, sure=sure)

    async def _refuse(self, fetched: Fetched, digest: str, problem: ApiProblem) -> None:
        log.error("a file could not be used", feed=self.name, desk=self._config.desk, reason=problem.code)
        self._memory.refused[fetched.name] = problem.code
        content = self._report(fetched, "refused", {"code": problem.code, "message": str(problem)})
        # PINs are nowhere to be read, in a file that could not be used neither
        body = b"" if "pin" in self._mapping().columns else fetched.body
        await asyncio.to_thread(self._drawer.put_aside, fetched.name, digest, body, content)

    def _report(self, fetched: Fetched, result: str, more: dict[str, Any]) -> dict[str, Any]:
        return {"file": fetched.name, "read_at": self._now(), "result": result} | more

    def _forget_what_is_gone(self, look: Look) -> None:
        memory = self._memory
        for kept in (memory.files, memory.refused, memory.unconfirmed):
            for name in [name for name in kept if name not in look.there]:
                del kept[name]
        waiting = memory.unplaced.items()
        self._search([key for key, one in waiting if one.file and one.file not in look.there])

    # --- what the file holds ---

    async def _hand_over(self, mapping: CsvMapping, fetched: Fetched, digest: str) -> None:
        if mapping.what == "rota":
            answer: Any = await self._put_rota(mapping, fetched, digest)
        elif mapping.what == "people":
            answer = await csv_intake.put_people(self._desks, self._config.desk, mapping, fetched.body)
        else:
            answer = await self._check_in(mapping, fetched)
        if answer is not None:
            await self._tell(fetched, answer)

    async def _tell(self, fetched: Fetched, answer: Any) -> None:
        content = self._report(fetched, "read", msgspec.to_builtins(answer))
        log.info("a file was read", feed=self.name, desk=self._config.desk, problems=len(content["problems"]))
        await asyncio.to_thread(self._drawer.report, content)

    async def _put_rota(self, mapping: CsvMapping, fetched: Fetched, digest: str) -> Any:
        """Whole; where it would cancel visits and nobody has confirmed that, everything but the cancelling."""
        read = await csv_intake.read_rota(mapping, fetched.body)
        rows = hashlib.sha256(msgspec.json.encode((read.items, read.covers))).hexdigest()
        if rows == self._memory.put and not self._wants_again(mapping, fetched.name):
            return None  # only columns changed that are none of ours
        by = f"feed:{self.name}"
        try:
            answer = await csv_intake.put_rota_rows(self._desks, self._config.desk, read, by)
            self._memory.unconfirmed.pop(fetched.name, None)
        except ApiProblem as problem:
            if problem.code != "confirm_needed":
                raise
            self._memory.unconfirmed[fetched.name] = digest
            answer = await csv_intake.put_rota_rows(self._desks, self._config.desk, read, by, complete=False)
        self._memory.put, self._memory.put_at = rows, self._now()
        self._plan_rev = self._desks.plan_rev(self._config.desk)
        return answer

    async def _check_in(self, mapping: CsvMapping, fetched: Fetched) -> Any:
        desk = self._config.desk
        read = await csv_intake.read_checkins(self._desks, desk, mapping, fetched.body, manual=False)
        now, rev = self._now(), self._desks.plan_rev(desk)
        self._note_holder(fetched, read.seen, rev)
        fresh = [self._again(one) for one in read.seen if self._is_wanted(one, now, rev)]
        outcomes: dict[str, int] = {}

        def taken(one: SeenCheckIn, answer: CheckInAnswer) -> None:
            outcomes[answer.outcome] = outcomes.get(answer.outcome, 0) + 1
            self._note_done(one, answer, now, fetched.name, rev)

        await csv_intake.hand_in(self._desks, desk, fresh, taken)
        newest = read.heartbeat if mapping.fresh == "heartbeat" else read.newest
        if mapping.fresh in ("rows", "heartbeat") and newest is not None:
            self._proved(newest)
        return {"checkins": len(read.seen), "outcomes": outcomes, "problems": read.problems}

    def _note_holder(self, fetched: Fetched, seen: Sequence[SeenCheckIn], rev: int) -> None:
        """Which of those that wait this file holds, and which it holds no more."""
        waiting = self._memory.unplaced
        if not waiting:
            return
        held = {f"{_key(one):x}" for one in seen}
        for key in held & waiting.keys():
            waiting[key] = structs.replace(waiting[key], file=fetched.name)
        dropped = [key for key, one in waiting.items() if one.file == fetched.name and key not in held]
        if fetched.mark is None:
            # there is no other file to look into
            self._tried |= dict.fromkeys(dropped, rev)
        else:
            self._search(dropped)

    def _search(self, lost: Sequence[str]) -> None:
        """The file that held them has gone or changed, and another may hold them too: each is read once more."""
        memory = self._memory
        if lost:
            memory.unplaced |= {key: structs.replace(memory.unplaced[key], file="") for key in lost}
            memory.files = {name: structs.replace(known, sure=False) for name, known in memory.files.items()}

    def _is_wanted(self, one: SeenCheckIn, now: datetime, rev: int) -> bool:
        key = _key(one)
        waiting = self._memory.unplaced.get(f"{key:x}")
        if waiting is not None:
            return self._is_due(f"{key:x}", waiting, now, rev)
        return key not in self._done and now - one.at < OLDEST

    def _again(self, one: SeenCheckIn) -> SeenCheckIn:
        """One that found no visit is given under another key: under its own, the desk knows it as a repeat."""
        waiting = self._memory.unplaced.get(f"{_key(one):x}")
        if waiting is None:
            return one
        return structs.replace(one, natural_key=f"{one.natural_key}{AGAIN}{waiting.tries + 1}")

    def _note_done(self, one: SeenCheckIn, answer: CheckInAnswer, now: datetime, file: str, rev: int) -> None:
        key = _key(one)
        before = self._memory.unplaced.pop(f"{key:x}", None)
        if answer.outcome in ("unplanned", "unknown_person", "unknown_device"):
            tries = before.tries + 1 if before is not None else 0
            again = now + timedelta(minutes=tries * tries)
            self._memory.unplaced[f"{key:x}"] = Unplaced(tries=tries, again_at=again, file=file)
            self._tried[f"{key:x}"] = rev
            return
        self._done[key] = None
        if len(self._done) > MOST_DONE:
            del self._done[next(iter(self._done))]

    # --- how fresh it is ---

    def _prove(self, mapping: CsvMapping, look: Look) -> None:
        if mapping.fresh == "reached":
            self._proved(self._now())
        elif mapping.fresh == "file" and look.newest is not None:
            self._proved(look.newest)
        elif mapping.fresh == "file" and self._changed:
            # no word on when it was made: what changed just now is as new as that
            self._proved(self._now())

    def _proved(self, at: datetime) -> None:
        """A time to come proves nothing but a wrong clock: it counts as now."""
        at = min(at, self._now())
        if self._memory.proved_at is None or at > self._memory.proved_at:
            self._memory.proved_at = at
        self._desks.feed_proved(self.name, self._memory.proved_at)

    def _verdict(self) -> Verdict:
        """*Unknown* until it was reached once: what it would have said while we were away, nobody knows."""
        if not self._reached:
            return "unknown"
        return "down" if self._is_stale() else "drained"

    def _is_stale(self) -> bool:
        return self._now() - (self._memory.proved_at or self._began) > self._config.fresh_within

    def _judge(self) -> None:
        verdict, stale = self._verdict(), self._is_stale()
        if verdict != self._said:
            self._desks.feed_changed(self.name, verdict)
        if (verdict, stale) != (self._said, self._stale_said):
            self._tell_troubles()
        # what could not be told is no news that was told: it is told with the next judgement
        self._said, self._stale_said = verdict, stale

    def _tell_troubles(self) -> None:
        desk, what = self._config.desk, self._mapping().what
        self._desks.feed_trouble(self.name, desk, "file_refused", begun=bool(self._memory.refused))
        if what == "rota":
            self._desks.feed_trouble(
                self.name, desk, "cancels_unconfirmed", begun=bool(self._memory.unconfirmed)
            )
            self._desks.feed_trouble(self.name, desk, "rota_feed_old", begun=self._is_stale())


def _key(one: SeenCheckIn) -> int:
    natural = one.natural_key.partition(AGAIN)[0]
    return int.from_bytes(hashlib.blake2b(natural.encode(), digest_size=8).digest(), "big")
