"""Series by desk are written as the library writes them, and in portions."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import generate_latest

from monitor.core.views import RESULTS
from monitor.desk_series import PORTION, DeskSeries
from monitor.metrics import ZEROS_UP_TO, Metrics

LABELS = {"source": ("mqtt", "phone"), "outcome": ("arrived", "not_seen", "left")}
ODD = 'a "b" \\ c\nd'
NUMBERS = (1.0, 3.0, 0.25, 12_345.0, 1_234_567.0, 1_800_000_000.0, -2.0, 1e21)


def theirs(kind: Literal["counter", "gauge"], counted: list[tuple[float, str, str, str]]) -> bytes:
    """What the library writes of the same series."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=False)
    family = (Counter if kind == "counter" else Gauge)(
        "n", "What it is.", ("desk", *LABELS), registry=registry
    )
    for desk in ("ealing", ODD):
        for source in LABELS["source"]:
            for outcome in LABELS["outcome"]:
                family.labels(desk, source, outcome)
    for value, *labels in counted:
        child = family.labels(*labels)
        child.inc() if isinstance(child, Counter) else child.set(value)
    return generate_latest(registry)


@pytest.mark.parametrize("kind", ["counter", "gauge"])
def test_it_is_what_the_library_would_have_written(kind: Literal["counter", "gauge"]) -> None:
    desks = ("ealing", ODD)
    places = [
        (desk, source, outcome)
        for desk in desks
        for source in LABELS["source"]
        for outcome in LABELS["outcome"]
    ]
    counted = [(number, *place) for number, place in zip(NUMBERS, places, strict=False)]
    ours = DeskSeries("n", "What it is.", kind, LABELS)
    for desk in desks:
        ours.open(desk)
    for value, *labels in counted:
        assert ours.inc(*labels) if kind == "counter" else ours.set(value, *labels)
    assert b"".join(ours.written()) == theirs(kind, counted)


def test_a_desk_nobody_opened_and_a_word_in_no_list_are_refused() -> None:
    ours = DeskSeries("n", "What it is.", "gauge", LABELS)
    ours.open("ealing")
    before = b"".join(ours.written())
    assert not ours.set(1, "kew", "mqtt", "arrived")
    assert not ours.set(1, "ealing", "mqtt", "Mrs Jones")
    assert not ours.inc("ealing", "mqtt")
    assert b"".join(ours.written()) == before


def test_many_desks_are_written_in_portions_that_are_whole_lines() -> None:
    ours = DeskSeries("n", "What it is.", "counter", LABELS)
    for number in range(1_000):
        ours.open(f"d{number}")
    parts = list(ours.written())
    assert len(parts) == 3
    assert all(part.endswith(b"\n") for part in parts)
    assert max(part.count(b"\n") for part in parts) <= PORTION + 6
    assert b"".join(parts).count(b"\nn_total{") == 6_000


def test_beyond_a_hundred_desks_what_has_many_labels_appears_with_its_first_value() -> None:
    metrics = Metrics([f"d{number}" for number in range(ZEROS_UP_TO)], [])
    metrics.add_desk("one-more")
    metrics.add_desk("d0")

    def of(desk: str) -> list[str]:
        return [line for line in metrics.render().decode().splitlines() if f'desk="{desk}"' in line]

    def families(desk: str) -> set[str]:
        return {line.partition("{")[0] for line in of(desk)}

    def results(desk: str) -> set[str]:
        return {found[1] for line in of(desk) if (found := re.search('result="(.*?)"', line))}

    assert families("d0") - families("one-more") == {"callwatch_checkins_total", "callwatch_alerts_total"}
    assert results("one-more") == {"failed"}
    assert results("d0") == set(RESULTS)
    metrics.checkin("one-more", "mqtt", "arrived")
    checkins = [line for line in of("one-more") if line.startswith("callwatch_checkins_total")]
    assert checkins == ['callwatch_checkins_total{desk="one-more",outcome="arrived",source="mqtt"} 1.0']
