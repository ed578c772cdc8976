"""The day that is measured: people, visits, check-ins of a desk, made by number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

UPLOAD_ROWS = 1_000


def in_parts(items: list[dict[str, Any]], size: int = UPLOAD_ROWS) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def people(prefix: str, count: int) -> list[dict[str, Any]]:
    """`count` care workers, each with a device, and as many service users, each with a home."""
    rows: list[dict[str, Any]] = []
    for n in range(count):
        worker = {"id": f"{prefix}-cw-{n}", "role": "care_worker", "name": f"Worker {n}"}
        rows.append(worker | {"devices": [f"callwatch:{prefix}-{n}"]})
        home = {"lat": 51.3 + (n % 500) * 0.0004, "lon": (n // 500) * 0.004, "radius_m": 20}
        rows.append(
            {"id": f"{prefix}-su-{n}", "role": "service_user", "name": f"Person {n}", "homes": [home]}
        )
    return rows


def visits(prefix: str, count: int, start: datetime, late_after: str | None = None) -> list[dict[str, Any]]:
    """`count` visits of half an hour that all start at `start`."""
    end = start + timedelta(minutes=30)
    extra = {} if late_after is None else {"late_after": late_after}
    return [
        {
            "id": f"{prefix}-v-{n}",
            "service_user": f"{prefix}-su-{n}",
            "start": text(start),
            "end": text(end),
            "workers": [f"{prefix}-cw-{n}"],
            **extra,
        }
        for n in range(count)
    ]


def text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
