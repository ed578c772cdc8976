"""Durations, the values of a policy, and what is refused as one."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.policy import (
    LONGEST,
    Policy,
    decode_policy,
    describe_policy,
    encode_policy,
    format_duration,
    parse_duration,
    policy_conflicts,
    policy_digest,
    policy_problems,
)

milliseconds = st.integers(0, LONGEST // timedelta(milliseconds=1)).map(lambda n: timedelta(milliseconds=n))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 2s ", 2),
        ("250ms", 0.25),
        ("1m5s", 65),
        ("1d12h", 129_600),
        ("0s", 0),
        ("366d", 366 * 86_400),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "30", "m", "-5m", "1.5h", "30 m", "1m s", "30M", "5 minutes", "٣s", "367d", "9" * 40 + "s"],
)
def test_what_is_no_duration_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(milliseconds)
def test_a_formatted_duration_reads_back_as_the_same_value(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(minutes=30), "30m"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=36), "1d12h"),
        (timedelta(), "0s"),
        (timedelta(milliseconds=250), "250ms"),
    ],
)
def test_a_duration_is_written_in_its_shortest_form(value: timedelta, text: str) -> None:
    assert format_duration(value) == text


def test_a_negative_duration_has_no_text() -> None:
    with pytest.raises(ValueError, match="not negative"):
        format_duration(timedelta(seconds=-1))


def test_the_defaults_are_what_the_specification_says() -> None:
    policy = Policy()
    assert policy.late_after == timedelta(minutes=30)  # 21.2
    assert policy.early_after == timedelta(minutes=15)  # KPI 3.6
    assert policy.replace_within == timedelta(hours=1)  # 22.4
    assert policy.min_visit == timedelta(minutes=30)  # 7.21
    assert policy.visit_step == timedelta(minutes=15)  # 7.21
    assert (policy.night_from, policy.night_to) == (time(23), time(7))  # 6.1


def test_the_defaults_pass_their_own_limits_and_agree_with_each_other() -> None:
    assert policy_problems(encode_policy(Policy())) == []
    assert policy_conflicts(Policy()) == []


def test_a_policy_written_out_reads_back_as_itself() -> None:
    policy = decode_policy(
        {"late_after": "2s", "ask_worker": [], "night_from": "22:30", "reassure_rounds": 5}
    )
    assert decode_policy(encode_policy(policy)) == policy


def test_values_are_laid_over_the_base_and_leave_the_rest_alone() -> None:
    base = decode_policy({"late_after": "20m", "catch_up": "1h"})
    policy = decode_policy({"late_after": "10m"}, base)
    assert (policy.late_after, policy.catch_up) == (timedelta(minutes=10), timedelta(hours=1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("late_after", "0s"),
        ("late_after", "4h"),
        ("late_after", timedelta(minutes=1)),
        ("summon_next", "100ms"),
        ("ask_worker", []),
        ("ask_worker", ["10m", "20m", "25m"]),
        ("reassure_rounds", 1),
        ("reassure_rounds", 20),
        ("short_share", 0),
        ("short_share", 1.0),
        ("place_radius_m", 2000),
        ("night_from", "00:00"),
        ("night_from", time(22, 15)),
        ("zone", "UTC"),
        ("zone", "Europe/Dublin"),
    ],
)
def test_a_value_at_the_edge_of_what_is_allowed_is_taken(key: str, value: Any) -> None:
    assert policy_problems({key: value}) == []
    decode_policy({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("late_after", "4h1ms"),  # "30h" for "30m" would be a silent watch
        ("late_after", 30),
        ("late_after", True),
        ("late_after", "half an hour"),
        ("late_after", "9" * 40 + "s"),
        ("late_after", timedelta(seconds=-1)),
        ("summon_next", "99ms"),  # no time between two attempts: a storm
        ("summon_next", "0s"),
        ("visit_step", "0s"),
        ("ask_worker", "10m"),
        ("ask_worker", ["20m", "10m"]),
        ("ask_worker", ["10m", "10m"]),
        ("ask_worker", ["10m", 5]),
        ("ask_worker", [f"{n}m" for n in range(11)]),
        ("reassure_rounds", 0),
        ("reassure_rounds", 21),
        ("reassure_rounds", 3.0),
        ("reassure_rounds", True),
        ("short_share", -0.01),
        ("short_share", 1.01),
        ("short_share", float("nan")),
        ("short_share", "a third"),
        ("place_radius_m", 0),
        ("place_radius_m", 2001),
        ("place_radius_m", float("inf")),
        ("night_from", "24:00"),
        ("night_from", "7:00"),
        ("night_from", "23:00:30"),
        ("night_from", "23:00+01:00"),
        ("night_from", time(23, 0, 30)),
        ("zone", "Mars/Olympus"),
        ("zone", "localtime"),
        ("zone", "right/Europe/London"),
        ("zone", "../Europe/London"),
        ("zone", ""),
        ("zone", 5),
        ("late_afetr", "30m"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_problem_and_never_a_policy(key: str, value: Any) -> None:
    [(where, message, expected)] = policy_problems({key: value})
    assert where == key
    assert message
    assert expected
    with pytest.raises(ValueError, match=r"."):
        decode_policy({key: value})


def test_every_problem_of_a_policy_is_named_at_once() -> None:
    values = {"late_after": 5, "nonsense": 1, "catch_up": "2h", "zone": "x", "short_share": 2}
    assert [key for key, _, _ in policy_problems(values)] == ["late_after", "nonsense", "zone", "short_share"]


@pytest.mark.parametrize(("informs", "conflicts"), [(3, []), (4, ["inform_after_rounds"])])
def test_next_of_kin_are_told_before_the_tries_end(informs: int, conflicts: list[str]) -> None:
    policy = Policy(reassure_rounds=3, inform_after_rounds=informs)
    assert [key for key, _, _ in policy_conflicts(policy)] == conflicts


def test_a_night_without_length_is_a_conflict() -> None:
    assert [key for key, _, _ in policy_conflicts(Policy(night_from=time(7), night_to=time(7)))] == [
        "night_to"
    ]


@pytest.mark.parametrize(
    ("late_after", "critical", "expected"),
    [("30m", "15m", "15m"), ("2s", "30m", "2s"), ("30m", "30m", "30m")],
)
def test_a_time_critical_visit_is_never_watched_longer_than_another(
    late_after: str, critical: str, expected: str
) -> None:
    policy = decode_policy({"late_after": late_after, "time_critical_late_after": critical})
    assert policy.tolerance(time_critical=True) == parse_duration(expected)
    assert policy.tolerance(time_critical=False) == parse_duration(late_after)


def test_every_key_has_a_clause_and_a_meaning() -> None:
    fields = describe_policy(Policy())
    assert [field.name for field in fields] == list(Policy.__struct_fields__)
    for field in fields:
        assert re.match(r"spec \d|spec appendix [A-M]|KPI \d|ours", field.clause), field
        assert len(field.meaning) > 10, field


def test_the_description_shows_values_as_people_write_them() -> None:
    values = {field.name: field.value for field in describe_policy(Policy())}
    assert values["late_after"] == "30m"
    assert values["ask_worker"] == "10m, 20m"
    assert values["night_from"] == "23:00"


def test_the_digest_names_the_values_and_not_how_they_were_written() -> None:
    same = decode_policy({"missed_after": "60m", "late_after": "1800s"})
    assert policy_digest(same) == policy_digest(Policy())
    assert re.fullmatch("[0-9a-f]{32}", policy_digest(same))


def test_another_value_has_another_digest() -> None:
    assert policy_digest(decode_policy({"late_after": "31m"})) != policy_digest(Policy())
