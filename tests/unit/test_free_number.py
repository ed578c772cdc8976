"""The free number, branch by branch: what each key leads to, and that every way ends with a record or a person."""

from __future__ import annotations

import copy
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from escalation.free_number import (
    A_DAY,
    HOUSEHOLD,
    STAGES,
    TRIES_A_DAY,
    TRIES_AT_MOST,
    TRIES_KEPT,
    TRIES_WITHIN,
    CheckIn,
    FreeCall,
    Heard,
    Rung,
    Wants,
    begin,
    begin_again,
    check_free_number,
    checked,
    guessing,
    guessing_slowly,
    heard,
    joining,
    not_joined,
    want,
)
from escalation.wording import clock_time, decode_wording
from monitor.core.inputs import OUTCOMES

ED = ("ed",)
COUPLE = ("ed", "flo")
OLGA, PAUL = Rung(person="olga", line="l1"), Rung(person="paul", line="l2")
NOW = datetime(2026, 11, 23, 7, 32, tzinfo=UTC)


class Book:
    """dee has 4711, kit 08150815; ed's home is 118, flo's 2207, gus lives elsewhere, 33333."""

    def worker_by_pin(self, pin: str) -> str | None:
        return {"4711": "dee", "08150815": "kit"}.get(pin)

    def home_by_number(self, number: str) -> str | None:
        return {"118": "ed", "2207": "flo", "33333": "gus"}.get(number)


def play(homes: tuple[str, ...], *keyed: str, placed: bool = True, withheld: bool = False) -> Heard:
    """A call from its beginning; "" is silence."""
    now = begin(homes, placed=placed, withheld=withheld)
    for digits in keyed:
        now = heard(now.call, digits, Book())
    return now


ARRIVE, INSTEAD = CheckIn(kind="arrive"), CheckIn(kind="arrive", instead=True)


@pytest.mark.parametrize(
    ("homes", "keyed", "act"),
    [
        (ED, ("4711", "1"), ARRIVE),
        (ED, ("08150815", "1"), ARRIVE),
        (ED, ("4711", "2"), CheckIn(kind="leave")),
        (ED, ("4711", "3"), CheckIn(kind="no_reply")),
        (ED, ("4711", "4"), INSTEAD),
        (ED, ("4711", "9"), Wants(why="help")),
        (ED, ("9",), Wants(why="help")),
        (ED, ("0",), Wants(why="asked")),
        (ED, ("*",), Wants(why="asked")),
        (ED, ("47*11",), Wants(why="asked")),
        (ED, ("4711", "0"), Wants(why="asked")),
        (ED, ("4711", "*"), Wants(why="asked")),
        (ED, ("", ""), Wants(why="silent")),
        (ED, ("", "4711", "1"), ARRIVE),
        (ED, ("", "4711", "", ""), Wants(why="silent")),
        (ED, ("4711", "", "1"), ARRIVE),
        (ED, ("4711", "5", "1"), ARRIVE),
        (ED, ("4711", "5", "8"), Wants(why="silent")),
        (ED, ("4711", "#", "1"), ARRIVE),
        (ED, ("4711", "#", "#"), Wants(why="silent")),
        (ED, ("1234", "1235", "4711", "1"), ARRIVE),
        (ED, ("1234", "1235", "1236"), Wants(why="wrong_pins")),
        (ED, ("1234", "", "1235", "1236"), Wants(why="wrong_pins")),
        (ED, ("1234", "", ""), Wants(why="silent")),
        (ED, ("1",), None),
        (COUPLE, ("4711", "1", "1"), ARRIVE),
        (COUPLE, ("4711", "2", "2"), CheckIn(kind="leave")),
        (COUPLE, ("4711", "3", "3"), Wants(why="silent")),
        (COUPLE, ("4711", "", ""), Wants(why="silent")),
        (COUPLE, ("4711", "0"), Wants(why="asked")),
        (COUPLE, ("4711", "9"), Wants(why="help")),
        ((), ("4711", "118", "1"), ARRIVE),
        ((), ("4711", "999", "998", "118", "1"), ARRIVE),
        ((), ("4711", "999", "998", "997"), Wants(why="silent")),
        ((), ("4711", "", "118", "4"), INSTEAD),
        ((), ("4711", "0"), Wants(why="asked")),
        ((), ("4711", "9"), Wants(why="help")),
        ((), ("118",), None),
    ],
)
def test_what_is_keyed_leads_to(
    homes: tuple[str, ...], keyed: tuple[str, ...], act: CheckIn | Wants | None
) -> None:
    assert play(homes, *keyed).act == act


@pytest.mark.parametrize(
    ("homes", "placed", "keyed", "home", "proven"),
    [
        (ED, True, ("4711", "1"), "ed", True),
        (ED, False, ("4711", "1"), "ed", False),
        (COUPLE, True, ("4711", "2", "1"), "flo", True),
        ((), False, ("4711", "33333", "1"), "gus", False),
        (tuple(f"p{n}" for n in range(HOUSEHOLD + 1)), True, ("4711", "33333", "1"), "gus", False),
        ((*(f"p{n}" for n in range(HOUSEHOLD)), "gus"), True, ("4711", "33333", "1"), "gus", True),
    ],
    ids=[
        "landline",
        "mobile",
        "a couple",
        "unknown",
        "a switchboard, elsewhere",
        "a switchboard, of that home",
    ],
)
def test_the_line_says_whose_home_it_is_and_how_sure_that_is(
    homes: tuple[str, ...], placed: bool, keyed: tuple[str, ...], home: str, proven: bool
) -> None:
    call = play(homes, *keyed, placed=placed).call
    assert (call.worker, call.home, call.placed) == ("dee", home, proven)


def test_a_household_of_eight_is_asked_by_key_and_one_of_nine_by_number() -> None:
    people = tuple(f"p{n}" for n in range(HOUSEHOLD + 1))
    assert play(people[:HOUSEHOLD], "4711").call.stage == "which"
    assert play(people[:HOUSEHOLD], "4711", "8").call.home == "p7"
    assert play(people, "4711").call.stage == "home"


def test_only_a_wrong_pin_is_counted_as_one() -> None:
    assert play(ED, "1234").wrong_pin
    assert play(ED, "1234", "1235", "1236").wrong_pin
    assert not any(play(ED, *keyed).wrong_pin for keyed in [("",), ("0",), ("9",), ("4711",), ("4711", "7")])


def test_a_withheld_line_is_told_that_it_is_withheld() -> None:
    assert play((), "4711", withheld=True).lines == ("withheld_line",)
    assert play((), "4711").lines == ("unknown_line",)


def test_each_question_has_a_number_of_its_own() -> None:
    turns = [play(ED, *("1234", "", "4711", "7")[:n]).call.turn for n in range(5)]
    assert turns == sorted(set(turns))


def test_a_call_that_nobody_remembers_begins_again_with_a_later_question() -> None:
    again = begin_again(ED, placed=True, turn=4)
    assert (again.call.stage, again.call.turn, again.lines) == ("pin", 5, ("lost", "pin"))


# --- what became of it ---


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize(
    "act", [ARRIVE, CheckIn(kind="leave"), CheckIn(kind="no_reply")], ids=lambda a: a.kind
)
def test_whatever_became_of_it_is_said(act: CheckIn, outcome: str) -> None:
    said = checked(play(ED, "4711").call, act, outcome)
    assert said.lines
    assert said.call.stage in ("over", "noted", "stay")


@pytest.mark.parametrize(
    ("kind", "outcome", "line"),
    [
        ("arrive", "arrived", "arrived"),
        ("arrive", "arrived_late", "arrived"),
        ("arrive", "arrived_early", "arrived"),
        ("arrive", "retracts_alert", "arrived"),
        ("arrive", "duplicate", "known"),
        ("arrive", "unplanned", "not_planned"),
        ("arrive", "flagged_place", "looked_at"),
        ("arrive", "clock_doubtful", "looked_at"),
        ("leave", "left", "left"),
        ("leave", "left_short", "left"),
        ("leave", "left_overrun", "left"),
        ("leave", "unplanned", "not_planned"),
        ("no_reply", "no_reply", "no_reply"),
        ("no_reply", "unplanned", "no_reply"),
        ("no_reply", "duplicate", "known"),
    ],
)
def test_nobody_hears_that_they_arrived_who_did_not(kind: str, outcome: str, line: str) -> None:
    act = CheckIn(kind=kind)  # type: ignore[arg-type]
    assert checked(play(ED, "4711").call, act, outcome).lines == (line,)


def test_what_is_not_on_disk_is_said_not_to_be_and_a_person_is_fetched() -> None:
    said = checked(play(ED, "4711").call, ARRIVE, None)
    assert (said.act, said.lines) == (Wants(why="unrecorded"), ("unrecorded",))


@pytest.mark.parametrize(
    ("keyed", "act"), [("0", Wants(why="asked")), ("9", Wants(why="help")), ("", None), ("7", None)]
)
def test_after_no_reply_a_person_can_be_had_and_silence_is_a_goodbye(keyed: str, act: Wants | None) -> None:
    stays = checked(play(ED, "4711").call, CheckIn(kind="no_reply"), "no_reply")
    after = heard(stays.call, keyed, Book())
    assert after.act == act
    assert act is not None or after.lines == ("goodbye",)


# --- a person ---


def test_those_on_duty_are_rung_one_after_the_other_and_then_it_is_said_that_nobody_came() -> None:
    call = want(play(ED, "4711").call, "help").call
    first = joining(call, "help", "a1", (OLGA, PAUL))
    assert (first.lines, first.call.rungs, first.call.alert) == (("help",), (OLGA, PAUL), "a1")
    second = not_joined(first.call)
    assert (second.lines, second.call.rungs) == (("next_person",), (PAUL,))
    last = not_joined(second.call)
    assert (last.lines, last.call.stage) == (("nobody",), "over")


def test_without_anybody_to_ring_it_is_said_at_once() -> None:
    assert joining(want(FreeCall(), "asked").call, "asked", "a1", ()).lines == ("nobody",)


def test_what_was_to_be_said_first_is_said_first() -> None:
    call = want(FreeCall(), "unrecorded").call
    assert joining(call, "unrecorded", "a1", (OLGA,), ("unrecorded",)).lines == ("unrecorded",)


@pytest.mark.parametrize("stage", ["joining", "over"])
def test_a_key_while_somebody_is_fetched_changes_nothing(stage: str) -> None:
    call = FreeCall(stage=stage)  # type: ignore[arg-type]
    assert heard(call, "1", Book()) == Heard(call=call)


# --- guessing ---


@pytest.mark.parametrize(
    ("tries", "ago", "guesses"),
    [
        (TRIES_AT_MOST - 1, timedelta(), False),
        (TRIES_AT_MOST, timedelta(), True),
        (TRIES_AT_MOST, TRIES_WITHIN - timedelta(seconds=1), True),
        (TRIES_AT_MOST, TRIES_WITHIN, False),
        (TRIES_AT_MOST, -timedelta(seconds=1), False),
    ],
    ids=["nine", "ten", "ten, 14:59 ago", "ten, 15:00 ago", "a clock that was set back"],
)
def test_ten_wrong_pins_within_a_quarter_of_an_hour_are_guesses(
    tries: int, ago: timedelta, guesses: bool
) -> None:
    assert guessing([NOW - ago] * tries, NOW) is guesses


@pytest.mark.parametrize(
    ("tries", "ago", "pins", "guesses"),
    [
        (TRIES_A_DAY - 1, timedelta(), 0, False),
        (TRIES_A_DAY, timedelta(), 0, True),
        (TRIES_A_DAY, A_DAY - timedelta(seconds=1), 0, True),
        (TRIES_A_DAY, A_DAY, 0, False),
        (TRIES_A_DAY, -timedelta(seconds=1), 0, False),
        (TRIES_A_DAY, timedelta(), TRIES_A_DAY, True),
        (TRIES_A_DAY, timedelta(), TRIES_A_DAY + 1, False),
        (TRIES_A_DAY + 1, timedelta(), TRIES_A_DAY + 1, True),
        (TRIES_KEPT, timedelta(), TRIES_KEPT + 1, True),
    ],
    ids=[
        "29",
        "30",
        "30, a day less a second ago",
        "30, a day ago",
        "a clock that was set back",
        "30 of 30",
        "30 of 31",
        "31 of 31",
        "more PINs than tries are kept",
    ],
)
def test_thirty_wrong_pins_within_a_day_are_guesses_and_one_of_each_care_worker_is_not(
    tries: int, ago: timedelta, pins: int, guesses: bool
) -> None:
    assert guessing_slowly([NOW - ago] * tries, NOW, pins) is guesses


# --- words ---

EN_GB = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "config" / "wording" / "en-GB.toml").read_text("utf-8")
)


def test_the_shipped_words_name_every_key_and_no_other() -> None:
    assert list(check_free_number(decode_wording(EN_GB))) == []


@pytest.mark.parametrize(
    ("line", "text", "code"),
    [
        ("menu", "Press 1 for arriving.", "keys"),
        ("pin", "Key your PIN.", "keys"),
        ("withheld_line", "Key the number.", "keys"),
        ("nobody", "Press 5.", "keys"),
        ("which_one", None, "missing"),
        ("left", None, "missing"),
    ],
)
def test_a_key_that_is_not_named_or_a_line_that_is_not_there_is_a_problem(
    line: str, text: str | None, code: str
) -> None:
    data = copy.deepcopy(EN_GB)
    data["call"]["FREE-1"]["lines"].pop(line)
    if text is not None:
        data["call"]["FREE-1"]["lines"][line] = text
    assert [p.code for p in check_free_number(decode_wording(data))] == [code]


def test_words_without_this_call_are_a_problem() -> None:
    data = copy.deepcopy(EN_GB)
    del data["call"]["FREE-1"]
    assert [p.path for p in check_free_number(decode_wording(data))] == ["call.FREE-1"]


def test_no_prompt_offers_a_key_that_does_not_do_what_it_says() -> None:
    assert STAGES["menu"].keys == set("123490")


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [
        (7, 32, "seven thirty-two"),
        (8, 5, "eight oh five"),
        (8, 0, "eight o'clock"),
        (12, 0, "midday"),
        (0, 0, "midnight"),
        (0, 1, "twelve oh one"),
        (12, 59, "twelve fifty-nine"),
        (20, 20, "eight twenty"),
        (21, 40, "nine forty"),
        (13, 13, "one thirteen"),
    ],
)
def test_a_time_is_said_as_it_stands_on_a_clock(hour: int, minute: int, said: str) -> None:
    assert clock_time(NOW.replace(hour=hour, minute=minute)) == said
