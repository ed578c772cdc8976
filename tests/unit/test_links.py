"""Signed links: what opens, what does not, and from which second on."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.links import ALPHABET, LENGTH, Link, Links, Purpose, Shown, sign, without_links

CURRENT, PREVIOUS, NEXT = b"c" * 32, b"p" * 32, b"n" * 32
UNTIL = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BEFORE, AT = UNTIL - timedelta(seconds=1), UNTIL
BID = Link(purpose="bid", desk="brokerage", intent="pl-1:r1", person="pr-7", until=UNTIL)

texts = st.text(max_size=40)
links = st.builds(
    Link,
    purpose=st.sampled_from(Purpose.__args__),  # type: ignore[attr-defined]
    desk=texts,
    intent=texts,
    person=texts,
    until=st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    serial=st.integers(0, 3),
)


def test_a_link_has_at_least_100_bits_and_fits_a_text() -> None:
    assert LENGTH * math.log2(len(ALPHABET)) >= 100
    assert len(ALPHABET) == len(set(ALPHABET))
    assert ALPHABET.isalnum()
    assert len("https://watch.example.org" + Links([CURRENT]).path(BID)) < 50


@given(links)
def test_a_link_opens_what_it_was_made_for_and_is_the_same_when_made_again(link: Link) -> None:
    out = Links([CURRENT])
    text = out.text(link)
    assert out.look(text, link.until - timedelta(seconds=1)) == Shown(verdict="genuine", link=link)
    # after a start the links are made again from the state, and what was sent before still opens
    again = Links([CURRENT])
    again.put_out(link)
    assert again.look(text, link.until - timedelta(seconds=1)).link == link


@given(st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_no_letter_of_a_link_can_be_another_one(place: int, letter: str) -> None:
    out = Links([CURRENT, PREVIOUS])
    text = out.text(BID)
    changed = text[:place] + letter + text[place + 1 :]
    assert out.look(changed, BEFORE).verdict == ("genuine" if changed == text else "forged")


@given(links, links)
def test_no_two_links_have_one_text(one: Link, other: Link) -> None:
    assert (sign(CURRENT, one) == sign(CURRENT, other)) is (one == other)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "recording"},
        {"desk": "eve"},
        {"intent": "pl-2:r1"},
        {"intent": "pl-1:r2"},
        {"person": "pr-8"},
        {"until": UNTIL + timedelta(seconds=1)},
        # what stands at the end of one field is not what stands at the start of the next
        {"desk": "brokeragep", "intent": "l-1:r1"},
    ],
    ids=str,
)
def test_a_link_of_another_purpose_desk_placement_provider_or_time_is_another_link(
    other: dict[str, object],
) -> None:
    theirs = msgspec.structs.replace(BID, **other)
    ours = Links([CURRENT])
    ours.put_out(BID)
    assert ours.look(sign(CURRENT, theirs), BEFORE) == Shown(verdict="forged")
    both = Links([CURRENT])
    both.put_out(BID, theirs)
    assert both.look(sign(CURRENT, theirs), BEFORE).link == theirs


@pytest.mark.parametrize("shown", ["", "1", "1" * LENGTH, "ü" * LENGTH, "\udcff", "a" * 100_000])
def test_what_is_no_link_is_forged(shown: str) -> None:
    out = Links([CURRENT])
    out.put_out(BID)
    assert out.look(shown, BEFORE).verdict == "forged"


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (BEFORE, "genuine"),
        (AT - timedelta(microseconds=1), "genuine"),
        (AT, "expired"),
        (AT + timedelta(days=400), "expired"),
    ],
)
def test_a_link_opens_until_its_second_and_not_at_it(now: datetime, verdict: str) -> None:
    out = Links([CURRENT])
    shown = out.look(out.text(BID), now)
    assert (shown.verdict, shown.link) == (verdict, BID)


def test_a_link_of_the_previous_key_opens_until_that_key_is_taken_away() -> None:
    out = Links([PREVIOUS])
    old = out.text(BID)
    out.replace_keys([CURRENT, PREVIOUS])
    new = out.text(BID)
    assert new != old
    assert [out.look(text, BEFORE).verdict for text in (old, new)] == ["genuine", "genuine"]
    out.replace_keys([NEXT, CURRENT])
    assert [out.look(text, BEFORE).verdict for text in (old, new)] == ["forged", "genuine"]


def test_what_left_the_state_opens_nothing_and_harms_no_other() -> None:
    second = msgspec.structs.replace(BID, person="pr-8")
    others = [msgspec.structs.replace(BID, desk="eve"), msgspec.structs.replace(BID, intent="pl-2")]
    out = Links([CURRENT, PREVIOUS])
    gone, kept = [out.text(BID), out.text(second)], [out.text(other) for other in others]
    out.forget("brokerage", "pl-1:r1")
    out.forget("brokerage", "pl-1:r1")
    assert [out.look(one, BEFORE).verdict for one in gone] == ["forged", "forged"]
    assert [out.look(one, BEFORE).verdict for one in kept] == ["genuine", "genuine"]
    out.put_out(BID, BID)
    assert out.look(gone[0], BEFORE).verdict == "genuine"


def test_a_text_is_kept_without_its_link() -> None:
    out = Links([CURRENT])
    text = (
        f"Package pk-1: bid or decline: https://watch.example.org{out.path(BID)}. Ring 020 8464 3333 or /b/"
    )
    assert without_links(text) == (
        "Package pk-1: bid or decline: https://watch.example.org/b/…. Ring 020 8464 3333 or /b/"
    )
    assert without_links("nothing of the kind") == "nothing of the kind"


def test_a_key_must_be_long_and_a_time_must_be_an_instant() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign(b"short", BID)
    with pytest.raises(ValueError, match="at least one key"):
        Links([CURRENT]).replace_keys([])
    keyless = Links()
    with pytest.raises(IndexError):
        keyless.text(BID)
    assert keyless.look(sign(CURRENT, BID), BEFORE).verdict == "forged"
    keyless.replace_keys([CURRENT])
    assert keyless.look(sign(CURRENT, BID), BEFORE).verdict == "genuine"
    with pytest.raises(ValueError, match="offset"):
        sign(CURRENT, msgspec.structs.replace(BID, until=UNTIL.replace(tzinfo=None)))
