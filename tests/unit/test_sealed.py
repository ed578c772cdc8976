"""Bids are sealed: what a provider can see is the same, byte for byte, whatever its rivals do (issue 5).

Two worlds with one clock: in the one the rivals bid, change, withdraw, decline, come late; in the other they are
silent. Bee does the same in both, and everything that reaches her is compared: her view, her receipts, her refusals,
the texts and mails that are meant for her. Only what she is told of the outcome, at the award or 2.5 hours after the
opening, may tell the worlds apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.ports import ApiProblem
from monitor.placing_links import link_of
from tests.unit.council_edge import Edge, council, rfc

RIVALS = ("ace", "cat")
Does = Literal["bid", "decline", "take_back", "look"]
Step = tuple[int, str, Does, int]
"""Minutes that go by, who, what, and on which day they could start."""

STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(("bee", "bee", *RIVALS)),
        st.sampled_from(Does.__args__),  # type: ignore[attr-defined]
        st.integers(2, 9),
    ),
    max_size=14,
)
TOLD_AT = timedelta(hours=2, minutes=30)


def seen(edge: Edge, said: Any) -> list[Any]:
    """What reached Bee by now: an answer, her view, and what was meant for her."""
    refs = {ref for ref in edge.shell.state.values.providers if edge.shell.directory.outside(ref) == "bee"}
    messages = [
        (message.template, message.channel, message.at, message.expires_at)
        for message in edge.shell.state.values.messages.values()
        if message.person in refs
    ]
    return [said, messages]


async def do(edge: Edge, who: str, does: Does, day: int) -> Any:
    """What somebody does, as its answer's bytes; a refusal as its status, code and words."""
    try:
        match does:
            case "bid":
                found: Any = await edge.bid(who, start=rfc(edge, days=day), how=f"from day {day}")
            case "decline":
                found = await edge.decline(who, note="nobody is free")
            case "take_back":
                found = await edge.take_back(who)
            case "look":
                found = [await edge.own(who), await edge.placing.owned(who, only_open=False)]
    except ApiProblem as problem:
        return problem.status, problem.code, str(problem), problem.path, problem.extra
    return msgspec.json.encode(found)


async def live(steps: Sequence[Step], silent: frozenset[str]) -> list[Any]:
    """One world, in which those who are `silent` do nothing: everything that reaches Bee until she is told."""
    async with council() as edge:
        await edge.provider("cat")
        await edge.place(id="ref-1", text="E.M., needs help to wash.")
        gone, found = 0, []
        for minutes, who, does, day in steps:
            gone += minutes
            if timedelta(minutes=gone) >= TOLD_AT:
                break
            edge.wait(minutes=minutes)
            if who not in silent:
                said = await do(edge, who, does, day)
                found += seen(edge, said) if who == "bee" else []
            found += seen(edge, await do(edge, "bee", "look", day))
        return found


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_what_a_provider_sees_is_the_same_bytes_whatever_its_rivals_do(steps: list[Step]) -> None:
    loud = asyncio.run(live(steps, frozenset()))
    assert loud == asyncio.run(live(steps, frozenset(RIVALS)))
    told = b" ".join(one for one in loud if isinstance(one, bytes))
    assert not any(name in told for name in (b"Ace Homecare", b"Cat Homecare", b'"ace"', b'"cat"'))


def test_the_worlds_do_differ_for_the_broker() -> None:
    """The comparison could fail: rivals' bids are there, and the broker sees them."""

    async def brokers(silent: frozenset[str]) -> bytes:
        async with council() as edge:
            await edge.place(id="ref-1")
            if "ace" not in silent:
                await edge.bid("ace")
            return msgspec.json.encode(await edge.placing.one("ref-1"))

    assert asyncio.run(brokers(frozenset())) != asyncio.run(brokers(frozenset(("ace",))))


async def test_a_provider_s_link_is_its_own_whatever_its_rivals_do() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        (known,) = edge.shell.state.values.placements.values()
        refs = {edge.shell.directory.outside(ref): ref for ref in edge.shell.state.values.providers}
        before = link_of("hall", edge.shell.state, known, refs["bee"])
        await edge.bid("ace")
        await edge.decline("ace")
        (known,) = edge.shell.state.values.placements.values()
        assert link_of("hall", edge.shell.state, known, refs["bee"]) == before
