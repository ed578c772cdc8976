"""What is read of an upload beside its visits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from config.policy import Calendar, Policy
from connectors.ports import ApiProblem, EvidenceRow
from monitor.core.inputs import RotaReceived
from monitor.directory import Directory
from monitor.rota_reader import Reading, head_problems, read_moment, read_rota

CALENDAR = Calendar(zone="Europe/London")
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)


def read(body: dict[str, Any]) -> RotaReceived:
    """An upload, as the core has it."""
    evidence = EvidenceRow(id="e", subject="s", keep_until="", salt=b"", body=b"")
    directory = Directory(lambda prefix: f"{prefix}1", "Europe/London", 80.0)
    reading = Reading(
        directory=directory,
        calendar=CALENDAR,
        policy=Policy(),
        upload="u",
        evidence=evidence,
        digest="",
        by="office",
    )
    steps = read_rota(body, reading)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            upload: RotaReceived = end.value
            return upload


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T10:00:00Z",
        "2026-11-25t10:00:00z",
        "2026-11-25 10:00:00Z",
        " 2026-11-25T10:00:00Z\n",
        "2026-11-25T11:00:00+01:00",
        "2026-11-25T10:00:00.000-00:00",
        "2026-11-25T10:00",
    ],
)
def test_a_time_is_read_as_rfc_3339_writes_it_or_as_a_local_one(text: str) -> None:
    assert read_moment(text, CALENDAR).at == TEN


@pytest.mark.parametrize("day", ["2026-11-25", "20261125", " 2026-11-25 "])
def test_a_row_with_a_day_and_no_time_is_no_visit_at_midnight(day: str) -> None:
    visit = {"id": "v-1", "service_user": "su-1", "start": day, "end": day}
    (row,) = read({"visits": [visit]}).rows
    assert row.start is None
    (row,) = read({"visits": [visit | {"start": "2026-11-25T10:00"}]}).rows
    assert (row.start, row.end) == (TEN, datetime(2026, 11, 25, 10, 29, tzinfo=UTC)), (
        "as an end that is not given"
    )


def test_a_moved_visit_of_the_spring_night_keeps_its_length_in_every_spelling() -> None:
    times = {"start": "2027-03-28t01:30", "end": " 2027-03-28t02:15"}
    (row,) = read({"visits": [{"id": "v-1", "service_user": "su-1"} | times]}).rows
    assert row.start == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    assert row.end == datetime(2027, 3, 28, 2, 15, tzinfo=UTC)


def test_an_upload_covers_whole_days_by_their_names() -> None:
    upload = read({"visits": [], "complete": True, "covers": {"from": "2026-11-25", "to": "2026-11-26"}})
    assert (upload.covers_from, upload.covers_to) == (
        datetime(2026, 11, 25, tzinfo=UTC),
        datetime(2026, 11, 26, tzinfo=UTC),
    )


@pytest.mark.parametrize("to", ["2026-11-24", "2026-11-25"])
def test_an_upload_that_covers_no_time_at_all_is_refused(to: str) -> None:
    with pytest.raises(ApiProblem) as refused:
        read({"visits": [], "complete": True, "covers": {"from": "2026-11-25", "to": to}})
    assert (refused.value.status, refused.value.code, refused.value.path) == (400, "bad_body", "covers.to")


@pytest.mark.parametrize(
    "body",
    [{"bogus": 1}, {"complet": True}, {"covers": {"from": "2026-11-23", "to": "2026-11-30", "till": 1}}],
)
def test_a_field_beside_the_visits_that_nobody_knows_is_a_warning_of_no_row(body: dict[str, Any]) -> None:
    (problem,) = head_problems({"visits": []} | body)
    assert (problem.row, problem.visit, problem.code, problem.severity) == (
        0,
        None,
        "unknown_field",
        "warning",
    )


def test_the_fields_of_the_contract_are_known() -> None:
    covers = {"from": "2026-11-23T00:00Z", "to": "2026-11-30T00:00Z"}
    assert head_problems({"visits": [], "covers": covers, "complete": True, "confirm": False}) == ()


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-25", None, 7]
)
def test_a_conversation_at_a_time_that_nobody_can_mean_is_a_warning_of_its_row_alone(at: object) -> None:
    agreed = {"by": "st-1", "raised_by": "service_user", "at": at}
    (row,) = read(
        {"visits": [{"id": "v-1", "service_user": "su-1", "start": "2026-11-25T10:00", "agreed": agreed}]}
    ).rows
    assert (row.start, row.agreed) == (TEN, None)
    assert "unknown_field" in row.warnings
