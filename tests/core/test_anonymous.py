"""What is found in a referral that may name somebody, and what is left alone.

The sentences stand in `tests.core.referral_sentences`; what was measured with them, in decision 0037.
"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.placing.anonymous import CHILD_YEARS, find, is_nhs_number
from tests.core.referral_sentences import CANNOT, NAMING, SILENT, UNSEEN_NAMING, UNSEEN_SILENT

TODAY = date(2026, 11, 23)


def kinds(text: str) -> list[str]:
    return [mark.kind for mark in find(text, today=TODAY)]


def marked(text: str, **more: object) -> list[tuple[str, str]]:
    return [(mark.kind, text[mark.start : mark.end]) for mark in find(text, today=TODAY, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "kind"), [*NAMING, *UNSEEN_NAMING])
def test_what_names_somebody_is_found(text: str, kind: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize("text", [*SILENT, *UNSEEN_SILENT])
def test_what_names_nobody_is_left_alone(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize("text", CANNOT)
def test_what_it_cannot_find_is_said_in_the_decision(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Mrs Moss, BR1 3UH", [("name", "Mrs Moss"), ("postcode", "BR1 3UH")]),
        ("Her daughter Susan has a key.", [("name", "Susan")]),
        (
            "D.O.B 3/4/41, tel 07700 900123 2 times",
            [("birth_date", "D.O.B 3/4/41"), ("telephone", "07700 900123")],
        ),
        ("+44 (0)7700 900123", [("telephone", "+44 (0)7700 900123")]),
        ("NHS 943 476 5919", [("nhs_number", "943 476 5919")]),
        ("at 14 Elm Road, BR1", [("address", "14 Elm Road")]),
        ("susan.moss@mail.example", [("email", "susan.moss@mail.example")]),
        ("Mr and Mrs Fernsby share.", [("name", "Mr and Mrs Fernsby")]),
        ("GP Dr Ali at Station Rd Surgery.", [("name", "Dr Ali")]),
    ],
)
def test_the_place_itself_is_marked_and_no_more(text: str, places: list[tuple[str, str]]) -> None:
    assert marked(text) == places


@pytest.mark.parametrize(
    ("day", "found"),
    [("23/11/2011", True), ("24/11/2011", False), ("23/11/11", True), ("24/11/11", False)],
)
def test_a_day_of_birth_lies_fifteen_years_back_to_the_day(day: str, found: bool) -> None:
    assert ("birth_date" in kinds(f"Day {day}.")) is found


def test_in_a_child_s_package_a_day_of_the_year_before_last_is_one_too() -> None:
    assert marked("Day 3/4/2019.", years=CHILD_YEARS) == [("birth_date", "3/4/2019")]
    assert marked("Day 3/4/2026.", years=CHILD_YEARS) == []


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("9434765919", True),
        ("9434765918", False),
        ("943 476 5919", True),
        ("0000000000", False),
        ("943476591", False),
    ],
)
def test_an_nhs_number_has_its_check_digit(number: str, right: bool) -> None:
    assert is_nhs_number(number) is right


def test_words_of_the_council_s_own_places_name_nobody() -> None:
    assert marked("Lives in Quarry Thornleigh.") == [("name", "Quarry Thornleigh")]
    assert marked("Lives in Quarry Thornleigh.", known={"quarry", "thornleigh"}) == []


@given(
    st.text(max_size=300) | st.lists(st.sampled_from([text for text, _ in NAMING]), max_size=6).map("\n".join)
)
def test_marks_lie_in_the_text_one_behind_the_other(text: str) -> None:
    last = 0
    for mark in find(text, today=TODAY):
        assert last <= mark.start < mark.end <= len(text)
        last = mark.end
