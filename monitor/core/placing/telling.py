"""What providers and brokers are told of a package."""

from __future__ import annotations

from datetime import datetime

from escalation.track import Contact
from monitor.core.alerts import duty_chain, intend
from monitor.core.work import Work


def invite(work: Work, ref: str, providers: tuple[str, ...]) -> None:
    """They are asked to bid."""
    _to(work, ref, providers, "BD-1", _until(work, ref))


def remind(work: Work, ref: str, providers: tuple[str, ...]) -> None:
    """They have not answered yet."""
    _to(work, ref, providers, "BD-2", _until(work, ref))


def to_brokers(work: Work, ref: str, template: str) -> None:
    """The brokers on duty now are told."""
    _to(work, ref, tuple(person.ref for person in duty_chain(work, None)), template, None)


def _until(work: Work, ref: str) -> datetime | None:
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    return run.closes_at if run is not None else None


def _to(work: Work, ref: str, people: tuple[str, ...], template: str, until: datetime | None) -> None:
    for one in people:
        known = work.ctx.people.person(one)
        line = known.text_line() if known is not None else None
        if line is None:
            continue
        contact = Contact(
            person=one,
            line=line.ref,
            channel="sms",
            purpose="notice",
            template=template,
            priority="repeat",
            at=until,
        )
        intend(work, contact, alert=None, placement=ref, expires_at=until)
