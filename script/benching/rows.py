"""The day that is measured: people, visits, check-ins of a desk, made by number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

UPLOAD_ROWS = 1_000


def in_parts(items: list[dict[str, Any]], size: int = UPLOAD_ROWS) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def staff() -> dict[str, Any]:
    """The one on duty, with a telephone that can be texted and rung."""
    return {"id": "st-1", "role": "staff", "name": "Boss", "phones": [{"number": "+447700900123"}]}


def care_worker(prefix: str, n: int) -> dict[str, Any]:
    worker = {"id": f"{prefix}-cw-{n}", "role": "care_worker", "name": f"Worker {n}"}
    return worker | {"devices": [f"callwatch:{prefix}-{n}"]}


def service_user(prefix: str, n: int) -> dict[str, Any]:
    home = {"lat": 51.3 + (n % 500) * 0.0004, "lon": (n // 500) * 0.004, "radius_m": 20}
    return {"id": f"{prefix}-su-{n}", "role": "service_user", "name": f"Person {n}", "homes": [home]}


def people(prefix: str, count: int) -> list[dict[str, Any]]:
    """`count` care workers, each with a device, and as many service users, each with a home."""
    return [make(prefix, n) for n in range(count) for make in (care_worker, service_user)]


def visits(prefix: str, count: int, start: datetime, late_after: str | None = None) -> list[dict[str, Any]]:
    """`count` visits of half an hour that all start at `start`, each of its own two people."""
    extra = {} if late_after is None else {"late_after": late_after}
    return [_visit(prefix, n, n, n, start) | extra for n in range(count)]


def _visit(prefix: str, n: int, user: int, worker: int, start: datetime) -> dict[str, Any]:
    return {
        "id": f"{prefix}-v-{n}",
        "service_user": f"{prefix}-su-{user}",
        "start": text(start),
        "end": text(start + timedelta(minutes=30)),
        "workers": [f"{prefix}-cw-{worker}"],
    }


# --- an office's day: three visits a service user, twelve a care worker (synthetic.py has the same measure) ---


def day_people(prefix: str, count: int) -> list[dict[str, Any]]:
    workers = [care_worker(prefix, n) for n in range(-(-count // 12))]
    return [staff(), *workers, *[service_user(prefix, n) for n in range(-(-count // 3))]]


def day_visits(prefix: str, count: int, begins: datetime) -> list[dict[str, Any]]:
    """Round by round: each care worker goes from one to the next, an hour apart."""
    workers, users = -(-count // 12), -(-count // 3)
    return [
        _visit(prefix, n, n % users, n % workers, begins + timedelta(hours=n // workers))
        for n in range(count)
    ]


def text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
