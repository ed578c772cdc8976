"""A single telephone goes dark (domain.md: *a dead phone is one incident with its whole round*; devices.md).

Two things say so, and each has its time of grace: its last will, since telephones reconnect; and silence of one that
reports by itself, while its care worker has visits to go. A telephone that only ever sent check-ins, or its place only
while it moves, is never dark for its silence: it says nothing between two visits anyway. Who is inside a home is known
to be there, whatever their telephone says. Darkness silences nothing; its care worker is told how to check in by any
telephone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from config.policy import Policy
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core.alerts import intend, person_for
from monitor.core.causes import ROUND
from monitor.core.incidents import way_back, way_lost
from monitor.core.inputs import CheckInSeen
from monitor.core.shifts import SHIFT, on_shift, visits_of
from monitor.core.state import Device, Message, Visit
from monitor.core.work import Work

TEXT = "CW-140"
"""How to check in without the telephone that is dark."""


def silent_after(policy: Policy) -> timedelta:
    """So long without a word a telephone that reports by itself is dark: as long as its last position says where its
    care worker is (ours; half an hour: telephones at rest report every fifteen minutes at most)."""
    return policy.position_kept


def reconnects_within(policy: Policy) -> timedelta:
    """So long after its last will a telephone may come back before it is dark (ours; five minutes)."""
    return policy.position_kept / 6


def tells_within(policy: Policy) -> timedelta:
    """So long one that is back may take to say what it has kept meanwhile, before it is known again (ours; ten
    seconds)."""
    return policy.position_kept / 180


def longest_gap(policy: Policy) -> timedelta:
    """A telephone that reports by itself does so at least this often (ours; twenty minutes)."""
    return policy.position_kept * 2 / 3


# --- what it says ---


def last_will(work: Work, check: CheckInSeen) -> None:
    """The telephone is off the network. It counts when it has not come back in time."""
    device = check.device
    if device is None or work.ctx.people.worker_of(device) is None or _is_dark(work, device):
        return
    if _watched(work, device) != "last_will":
        watch(work, device, work.now + reconnects_within(work.policy()), "last_will")


def spoke(work: Work, check: CheckInSeen, worker: str | None, *, live: bool) -> None:
    """Their care worker was heard, by this telephone or by any other. What was kept meanwhile is read before anything
    is over: an old message alone ends nothing yet."""
    if check.manual:
        return
    device, dark = check.device, _dark_of(work, check.device, worker)
    if dark and live:
        _known_again(work, dark)
    elif dark:
        if _watched(work, dark[0]) != "buffered":
            watch(work, dark[0], work.now + tells_within(work.policy()), "buffered")
    elif device is not None and _watched(work, device) in ("last_will", "gone"):
        watch(work, device, None, "heard")


def reported(work: Work, check: CheckInSeen, worker: str | None) -> None:
    """A position came on shift, live: a telephone that has sent them at rest, too, is missed from here on when it does
    not. Many send them only while they move: of those silence means nothing but that somebody sits somewhere."""
    device, policy = check.device, work.policy()
    if device is None or worker is None or not silent_after(policy):
        return
    if _watched(work, device) == "reports" or _is_dark(work, device):
        return
    by_itself = work.ctx.rests.get(device, timedelta()) >= silent_after(policy)
    if by_itself and _to_go(work, worker):
        watch(work, device, work.now + silent_after(policy), "reports")


def off_the_network(work: Work, worker: str | None) -> bool:
    """A telephone of theirs has said its last will, and has not been heard since; or it is dark."""
    if worker is None:
        return False
    owner, devices = work.ctx.people.worker_of, work.state.values.devices.values()
    gone = (device for device in devices if device.watched in ("last_will", "gone"))
    return any(owner(device.ref) == worker for device in gone) or bool(_dark_of(work, None, worker))


def watch(work: Work, device: str, next_at: datetime | None, reason: f.WatchReason) -> None:
    """Look at it again then, or no more."""
    work.emit(device, f.DeviceWatched(next_at=next_at, reason=reason))


def _watched(work: Work, device: str) -> f.WatchReason | None:
    known = work.state.values.devices.get(device)
    return known.watched if known is not None else None


def _is_dark(work: Work, device: str) -> bool:
    return f"device:{device}" in work.state.values.dark


def _dark_of(work: Work, device: str | None, worker: str | None) -> list[str]:
    """The dark telephones of whoever was heard."""
    if not work.state.values.dark:
        return []
    owner = work.ctx.people.worker_of
    found = [entry.subject for entry in work.state.values.dark.values() if entry.cause == "device"]
    return sorted(ref for ref in found if ref == device or (worker is not None and owner(ref) == worker))


def _known_again(work: Work, devices: list[str]) -> None:
    for device in devices:
        work.emit(device, f.SignalFound(cause="device"))
    way_back(work)


# --- what it does not say ---


def on_deadline(work: Work, device: Device) -> None:
    """Its moment has come: is it back, does nobody need it now, or is it dark?"""
    worker = work.ctx.people.worker_of(device.ref)
    if device.watched == "buffered":
        watch(work, device.ref, None, "heard")
        _known_again(work, _dark_of(work, device.ref, worker))
        return
    policy = work.policy()
    wait = reconnects_within(policy) if device.watched == "last_will" else silent_after(policy)
    if worker is None or _is_dark(work, device.ref) or not wait:
        watch(work, device.ref, None, "heard")
    elif any(way in ("broker", "clock") for way in _ways_dark(work)):
        # nothing could have been heard, or its time is not believed
        watch(work, device.ref, work.now + wait, device.watched or "reports")
    elif not on_shift(work, worker, work.now) or not _to_go(work, worker):
        _rests(work, device, worker, wait)
    else:
        _judge(work, device, worker, wait)


def _ways_dark(work: Work) -> set[str]:
    return {entry.cause for entry in work.state.values.dark.values()}


def _rests(work: Work, device: Device, worker: str, wait: timedelta) -> None:
    """Off shift nobody's telephone is looked at. One that left the network is looked at when the next shift begins."""
    following = [v.start for v in visits_of(work, worker) if worker in v.absent and v.start > work.now]
    begins = min(following) - SHIFT + wait if following else None
    if device.watched != "last_will" or begins is None or begins <= work.now:
        # off the network with nobody left to go to: no darkness, but who has not checked out cannot have said so
        watch(work, device.ref, None, "gone" if device.watched == "last_will" else "off_shift")
    else:
        watch(work, device.ref, begins, "last_will")


def _judge(work: Work, device: Device, worker: str, wait: timedelta) -> None:
    heard = [at for at in (work.ctx.heard.get(worker), device.heard_at) if at is not None]
    starts = [at for at in (*heard, work.ctx.listening_since, _inside_until(work, worker)) if at is not None]
    quiet_from = max(starts, default=work.now - wait)
    if work.now - quiet_from < wait:
        watch(work, device.ref, quiet_from + wait, device.watched or "reports")
        return
    work.emit(device.ref, f.SignalLost(cause="device", since=max(heard, default=None)))
    way_lost(work, "device", device.ref)
    _tell(work, worker)


def _inside_until(work: Work, worker: str) -> datetime | None:
    """Until when they are known to be in a home: what their telephone says there does not matter."""
    return max(
        (
            visit.end
            for visit in visits_of(work, worker)
            for place in visit.places
            if place.worker == worker and place.arrived_at is not None and not place.left
        ),
        default=None,
    )


def _to_go(work: Work, worker: str) -> list[Visit]:
    """The visits where they are still waited for, now and in the next hours, by their start."""
    found = [
        visit
        for visit in visits_of(work, worker)
        if worker in visit.absent and not (visit.over or visit.missed) and visit.start <= work.now + ROUND
    ]
    return sorted(found, key=lambda visit: (visit.start, visit.ref))


# --- their care worker is told ---


def _tell(work: Work, worker: str) -> None:
    """By text, which waits in the network until a telephone is on again, or reaches another one of theirs."""
    line = person_for(work, worker, None).text_line()
    visits = _to_go(work, worker)
    if line is None or not visits:
        return
    contact = Contact(
        person=worker,
        line=line.ref,
        channel="sms",
        purpose="notice",
        template=TEXT,
        priority="time_critical",
        count=len(visits),
    )
    alert = next(
        (a for a in work.open_of("incident") if (a.reason, a.worker) == ("worker_dark", worker)), None
    )
    intend(work, contact, alert=alert, visit=None if alert is not None else visits[0])


def told_still(work: Work, message: Message) -> str | None:
    """Why they need not be told any more, or None."""
    return None if _dark_of(work, None, message.person) else "heard"
