"""Bodies as they are read at the edge: a time that nobody can mean is refused there, and not sent again for ever."""

from __future__ import annotations

import msgspec
import pytest

from connectors.board.away import moment
from connectors.http_wire import decode
from connectors.ports import AbsenceIn, ActionIn, ApiProblem

ACTION = {"action": "agree_change", "by": "st-1"}
AWAY = {"service_user": "su-1", "reason": "hospital", "raised_by": "family", "by": "st-1", "note": "her son"}
UNTHINKABLE = [
    "0001-01-01T00:00:00+14:00",  # there is no such instant in UTC
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59Z",  # nor an hour later
    "1899-12-31T23:59:59Z",
    "9001-01-01T00:00:00Z",
]


@pytest.mark.parametrize("name", ["at", "start", "end", "next_at"])
@pytest.mark.parametrize("text", UNTHINKABLE)
def test_a_time_that_nobody_can_mean_is_refused_and_names_its_field(text: str, name: str) -> None:
    with pytest.raises(ApiProblem) as refused:
        decode(msgspec.json.encode(ACTION | {name: text}), ActionIn)
    assert (refused.value.status, refused.value.code, refused.value.path) == (400, "wrong_type", name)


def test_the_field_is_named_as_the_body_writes_it() -> None:
    body = AWAY | {"review_at": "2026-11-25T09:00:00Z", "from": "9999-12-31T23:59:59Z"}
    with pytest.raises(ApiProblem) as refused:
        decode(msgspec.json.encode(body), AbsenceIn)
    assert refused.value.path == "from"


@pytest.mark.parametrize("text", ["1900-01-01T00:00:00Z", "9000-12-31T23:59:59-14:00"])
def test_the_first_and_the_last_year_are_taken(text: str) -> None:
    assert decode(msgspec.json.encode(ACTION | {"at": text}), ActionIn).at is not None


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59", "tomorrow"])
def test_a_form_of_the_pages_takes_no_such_time_either(text: str) -> None:
    with pytest.raises(ApiProblem) as refused:
        moment({"at": text}, "at", "Europe/London")
    assert (refused.value.status, refused.value.path) == (400, "at")
