"""What is read of an upload beside its visits."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.rota_reader import head_problems


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
