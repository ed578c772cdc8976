"""`kill -9` between any two facts of the late-visit procedure: the story ends as it would have ended.

In virtual time the process dies after every single append of a story, and right after every message that came to be
at the provider (tests/simulation/stories.py). A few of the same over the real daemon, with a real SIGKILL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.simulation.stories import (
    COUNCIL,
    DAVE,
    EDNA,
    KIT,
    LOU,
    NED,
    NORA,
    OLGA,
    Crash,
    End,
    Habits,
    Stage,
    Told,
    code,
    tell,
)
from tests.system.daemon import WarmStart, chain_break, of_kind
from tests.system.test_unreachable import World, world

IN_MEMORY = pytest.mark.store_once("stories of the store in memory")


class Story(Struct, frozen=True, kw_only=True):
    """What happens, and what everybody is like."""

    happens: Callable[[Stage], Awaitable[None]]
    habits: Mapping[str, Habits]


async def _unreachable(stage: Stage) -> None:
    await stage.until(lambda: stage.facts("CouncilMoved", step="trying") and stage.facts("AlertTaken"))
    await stage.minutes(42)
    await stage.acts("late_visit", "told_council", note="J. Hart, 88-1204")
    await stage.minutes(55)
    await stage.checks_in("cw-1")


UNREACHABLE = Story(
    happens=_unreachable,
    habits={
        EDNA: Habits(rung=("voicemail", "busy", "no_answer")),
        NED: Habits(rung=({"hello": "9"},)),
        NORA: Habits(rung=({"hello": "1", "why": "1"},)),
        OLGA: Habits(rung=({"wake": "1", "tell": "2"},)),
    },
)


async def _replaced(stage: Stage) -> None:
    await stage.until(lambda: stage.facts("ReplacementAccepted"))
    await stage.until(lambda: stage.facts("PersonReached", purpose="tell_replacement"))
    await stage.minutes(28)
    await stage.checks_in("cw-3")


REPLACED = Story(
    happens=_replaced,
    habits={
        EDNA: Habits(rung=({"hello": "1"},)),
        DAVE: Habits(reads=code("cannot get there")),
        KIT: Habits(reads=code(r"no\.")),
        LOU: Habits(reads=code("I will go"), thinks_s=40),
        OLGA: Habits(reads=code("I have it")),
    },
)


def _on_my_way(body: str) -> str | None:
    found = re.search(r"(\d+) \+ minutes", body)
    return f"{found[1]} 15" if found is not None else None


async def _joined(stage: Stage) -> None:
    await stage.until(lambda: stage.facts("LineLeft", came="spoke"))
    await stage.acts("help_asked", "close", reason="seen_well")
    await stage.minutes(50)
    await stage.checks_in("cw-1")


JOINED = Story(
    happens=_joined,
    habits={
        EDNA: Habits(rung=({"hello": "2"},)),
        DAVE: Habits(reads=_on_my_way),
        OLGA: Habits(rung=({"urgent": "1", "urgent_again": "1"},)),
    },
)


async def _forgotten(stage: Stage) -> None:
    await stage.checks_in("cw-1")
    await stage.until(lambda: stage.facts("AlertTaken"), minutes=120)
    await stage.minutes(120)
    await stage.acts("lone_worker", "close", reason="seen_well")


FORGOTTEN = Story(
    happens=_forgotten,
    habits={DAVE: Habits(rung=("busy", "no_answer")), OLGA: Habits(reads=code("I have it"))},
)


async def _still_there(stage: Stage) -> None:
    await stage.checks_in("cw-1")
    await stage.until(lambda: len(stage.facts("CheckOutAnswered", answer="still_here")) == 2, minutes=180)
    await stage.minutes(150)
    await stage.checks_in("cw-1", "leave")


STILL_THERE = Story(happens=_still_there, habits={DAVE: Habits(reads=code("still here"), thinks_s=40)})


async def _told(stage: Stage) -> None:
    await stage.until(lambda: stage.facts("CouncilMoved", step="reached"))
    await stage.minutes(55)
    await stage.checks_in("cw-1")


TOLD = Story(
    happens=_told,
    habits={
        NED: Habits(reads=code("I have spoken")),
        OLGA: Habits(rung=({"wake": "1", "tell": "2", "back_council": "2"},)),
        COUNCIL: Habits(rung=("busy", {})),
    },
)
"""Olga has it and is rung; the council is engaged, then picks up; she says by a key that it is told."""


async def _overdue(stage: Stage) -> None:
    await stage.until(lambda: stage.facts("ReplacementDeclined", after_all=True))
    await stage.until(lambda: len(stage.facts("ReplacementAccepted")) > 1)
    await stage.minutes(75)
    await stage.checks_in("cw-3")


OVERDUE = Story(
    happens=_overdue,
    habits={
        EDNA: Habits(rung=({"hello": "1"},)),
        DAVE: Habits(reads=code("cannot get there")),
        KIT: Habits(reads=code("I will go")),
        LOU: Habits(reads=code("I will go"), thinks_s=40),
        OLGA: Habits(reads=code("I have it")),
    },
)
"""Kit accepts, does not come and says nothing when asked; Lou, who had been told that it is covered, goes."""
STORIES = {
    "unreachable": UNREACHABLE,
    "replaced": REPLACED,
    "joined": JOINED,
    "forgotten": FORGOTTEN,
    "still_there": STILL_THERE,
    "told": TOLD,
    "overdue": OVERDUE,
}


@IN_MEMORY
@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", STORIES)
def test_killed_after_any_fact_the_story_ends_in_the_same_way(name: str) -> None:
    story = STORIES[name]
    whole = tell(story.happens, story.habits)
    assert whole.lives == 1
    wrong = []
    for seq in whole.appended:
        told = tell(story.happens, story.habits, Crash(facts=seq))
        assert told.lives == 2
        wrong += [f"after {whole.kinds[seq - 1]} {seq}: {why}" for why in differs(whole, told)]
    print(f"{name}: {len(whole.appended)} kills between {whole.facts} facts")
    assert wrong == [], "\n".join(wrong)


@IN_MEMORY
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", STORIES)
def test_killed_right_after_any_message_was_made_it_is_found_and_not_sent_again(name: str) -> None:
    story = STORIES[name]
    whole = tell(story.happens, story.habits)
    wrong = []
    for number in range(1, whole.posts + 1):
        told = tell(story.happens, story.habits, Crash(posts=number))
        assert told.lives == 2
        wrong += [f"after message {number}: {why}" for why in differs(whole, told)]
    print(f"{name}: {whole.posts} kills between message and answer")
    assert wrong == [], "\n".join(wrong)


def differs(whole: Told, told: Told) -> list[str]:
    """In which ways this ending is another one than that of the story that nothing disturbed."""
    found = []
    for field in End.__dataclass_fields__:
        mine, theirs = getattr(told.end, field), getattr(whole.end, field)
        if isinstance(mine, frozenset):
            found += [f"{field}: more {sorted(mine - theirs)}"] if mine - theirs else []
            found += [f"{field}: without {sorted(theirs - mine)}"] if theirs - mine else []
        elif mine != theirs:
            found.append(f"{field}: {mine} instead of {theirs}")
    if len(told.repeated) > 1 or not told.marked.issuperset(told.repeated):
        found.append(f"repeated {told.repeated}, marked {sorted(told.marked)}")
    more: Counter[Any] = told.texts - whole.texts
    if more.total() > 1:
        found.append(f"texts beyond those of the story: {dict(more)}")
    return found


# --- the same over the real daemon ---


MOMENTS = ("she is rung", "a next of kin is rung", "one of them is told", "the council is told", "it is over")


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_process_is_killed_and_she_who_is_not_reached_is_looked_after_all_the_same(
    tmp_path: Path, warm: WarmStart, moment: str
) -> None:
    killed_at: list[datetime] = []
    with world(tmp_path, warm, speed=4) as w:

        def passes(now: str) -> None:
            if now == moment:
                w.daemon.kill()
                killed_at.append(datetime.now(UTC))
                w.daemon.start()

        w.lay_out()
        w.late()
        edna = w.call(EDNA)
        passes("she is rung")
        w.phones.do(edna, "no-answer")
        w.does(EDNA, "no-answer", 2)
        ned = w.call(NED)
        passes("a next of kin is rung")
        w.presses(w.phones.do(ned, "answer"), "9")
        w.presses(w.does(NORA, "answer"), "1", "1")
        passes("one of them is told")
        w.stands("inform", "reached", "spoke")
        w.mailbox.mail("Not reached", at_most=2)
        w.act("told_council", note="J. Hart, reference 88-1204")
        passes("the council is told")
        w.arrives()
        passes("it is over")
        w.text(NORA, "has been with Edna")
        w.mailbox.mail("Over:")
        said_once(w, *killed_at)


def said_once(w: World, killed_at: datetime) -> None:
    """Every text is at the provider once, but for one that says that it may be there twice; the chain is whole.

    A kill may catch several on their way, a text and a mail at once: only what was wanted before it may say so.
    """
    alert = w.alert(state="ended")
    assert alert["ended_reason"] == "arrived"
    numbers = {one["to"] for number in (NORA, NED, OLGA, DAVE) for one in w.phones.texts(number)}
    copies = Counter((n, one["body"]) for n in sorted(numbers) for one in w.phones.texts(n))
    marked = [one for one in alert["contacts"] if one["possibly_repeated"]]
    assert sum(count - 1 for count in copies.values()) <= sum(1 for one in marked if one["channel"] == "sms")
    assert all(datetime.fromisoformat(one["intended_at"]) < killed_at for one in marked)
    facts = w.office.facts()
    reached = of_kind(facts, "PersonReached", purpose="inform_next_of_kin")
    assert len(reached) == 1
    assert len(of_kind(facts, "CouncilMoved", step="reached")) == 1
    assert chain_break(facts) is None
