"""Who is told what of a package, and by which way (spec 7.29-7.33, appendix A and M).

A provider hears by text and by mail, where the directory has a line that takes texts and an address; the brokers on
duty now likewise; the brokerage mailbox has a copy of every bid, withdrawal and decline, because it validates the
invoices (appendix M 6). Nobody is told of another provider's bid. Providers and brokers are at work: what `public`
says of rehearsals is not for them. Names, wards and links enter where a message is rendered (`monitor.words_placing`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from config.policy import applying
from escalation.people import PersonView
from escalation.track import Contact, ContactChannel
from monitor.core.alerts import intend, managers, person_for
from monitor.core.placing import reach
from monitor.core.placing.model import CallOff, Placement
from monitor.core.placing.reach import INVITED, REMINDED, TURN
from monitor.core.state import Message
from monitor.core.work import Work

RECEIVED, RECEIVED_LATE = "BD-3", "BD-3B"
WITHDREW, DECLINED = "BD-8", "BD-9"
WON, LOST, CONFIRM = "BD-4", "BD-5", "BD-10"
TAKEN_BACK, PACKAGE_WITHDRAWN = "BD-11", "BD-12"
NOTHING_BID, PROPOSED, PAPERS = "BD-6", "BD-14", "BD-15"
UNCONFIRMED, UNPLACED, FIRST_VISIT, UNDECIDED = "BD-16", "BD-17", "BD-18", "BD-30"
NOT_LANDED, NOT_CALLED_OFF, EXTENDED = "BD-32", "BD-33", "BD-34"
BID_GONE, BID_LATE, NOT_REACHED = "BD-19", "BD-20", "BD-26"
COPY_BID, COPY_LATE, COPY_WITHDRAWN, COPY_DECLINED = "BD-21", "BD-21B", "BD-22", "BD-23"
COPY_FIRST_VISIT = "BD-24"
LIVES = timedelta(days=1)
"""So long a message is worth sending of which the words name no moment after which it is not (ours)."""


# --- to providers ---


def invite(work: Work, ref: str, providers: Iterable[str]) -> None:
    """They may bid now, each until its own window closes; in a ranked or direct round it is their turn."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    together = work.placing(placement).rounds[run.index].rule == "open"
    template = INVITED if together else TURN
    for provider in providers:
        asked = placement.was_asked(provider)
        until = asked.closes_at if asked is not None else run.closes_at
        told = to_provider(work, placement, provider, template, at=until, expires_at=until)
        if not told and asked is not None:
            reach.note(work, placement, run, asked, brokers(work))
            to_brokers(work, ref, NOT_REACHED, about=provider, at=until)


def remind(work: Work, ref: str, providers: Iterable[str]) -> None:
    """Whoever has not answered yet; not worth sending any more at the close."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    for provider in providers:
        to_provider(work, placement, provider, REMINDED, at=run.closes_at, expires_at=run.closes_at)


def receipt(work: Work, ref: str, provider: str, late: bool) -> None:
    """The bid is there, in time or after the close; the brokerage mailbox has a copy of it."""
    placement = work.placement(ref)
    if placement is None:
        return
    until = closed_for(placement, provider)
    to_provider(work, placement, provider, RECEIVED_LATE if late else RECEIVED, at=until)
    given = [bid for bid in (placement.late if late else placement.bids) if bid.provider == provider]
    for bid in given:
        to_mailbox(
            work, ref, COPY_LATE if late else COPY_BID, about=provider, at=bid.start, count=bid.changes
        )


def late_bid(work: Work, ref: str, provider: str) -> None:
    """The first bid of theirs after the close: a broker may admit it, and must say why."""
    to_brokers(work, ref, BID_LATE, about=provider)


def withdrawn(work: Work, ref: str, provider: str, late: bool) -> None:
    """A bid is taken back: its provider, the mailbox, and after the close the broker, for whom it stood."""
    _not_theirs(work, ref, provider, WITHDREW, COPY_WITHDRAWN, late)


def declined(work: Work, ref: str, provider: str, bid_gone: bool) -> None:
    """A provider does not take the package. `bid_gone`: a bid of theirs stood after the close, and stands no more."""
    _not_theirs(work, ref, provider, DECLINED, COPY_DECLINED, bid_gone)


def _not_theirs(work: Work, ref: str, provider: str, receipt: str, copy: str, bid_gone: bool) -> None:
    placement = work.placement(ref)
    if placement is None:
        return
    to_provider(work, placement, provider, receipt, at=closed_for(placement, provider))
    to_mailbox(work, ref, copy, about=provider)
    if bid_gone:
        to_brokers(work, ref, BID_GONE, about=provider)


def won(work: Work, ref: str) -> None:
    """The package is theirs: the winner, with the moment by which the first visit is to be confirmed."""
    placement = work.placement(ref)
    award = placement.award if placement is not None else None
    if placement is not None and award is not None:
        to_provider(work, placement, award.provider, WON, at=award.confirm_by)


def lost(work: Work, ref: str, providers: Iterable[str]) -> None:
    """Not this time (appendix A: who has heard nothing after 2.5 hours would have to assume it)."""
    placement = work.placement(ref)
    if placement is not None:
        for provider in providers:
            to_provider(work, placement, provider, LOST)


def confirm_reminder(work: Work, ref: str) -> None:
    """The winner has not said yet when the first visit is."""
    placement = work.placement(ref)
    award = placement.award if placement is not None else None
    if placement is not None and award is not None:
        until = award.confirm_by
        to_provider(work, placement, award.provider, CONFIRM, at=until, expires_at=until)


def extended(work: Work, ref: str) -> None:
    """The winner has longer to confirm day and time of the first visit."""
    placement = work.placement(ref)
    award = placement.award if placement is not None else None
    if placement is not None and award is not None:
        until = award.confirm_by
        to_provider(work, placement, award.provider, EXTENDED, at=until, expires_at=until)


def award_taken_back(work: Work, ref: str, provider: str) -> None:
    """The package is not theirs any more: nothing was confirmed in time, or the broker has sent it back."""
    placement = work.placement(ref)
    if placement is not None:
        to_provider(work, placement, provider, TAKEN_BACK)


def package_withdrawn(work: Work, ref: str, providers: Iterable[str]) -> None:
    """It is not to be placed any more: whoever was asked may put it away."""
    placement = work.placement(ref)
    if placement is not None:
        for provider in providers:
            to_provider(work, placement, provider, PACKAGE_WITHDRAWN)


# --- to brokers ---


def papers(work: Work, ref: str) -> None:
    """The full papers are to be sent under password protection, from the brokerage mailbox (appendix A, M 6)."""
    placement = work.placement(ref)
    if placement is not None and placement.award is not None:
        to_brokers(work, ref, PAPERS, about=placement.award.provider)


def proposed(work: Work, ref: str) -> None:
    """A round is over, and an award is proposed: a broker decides."""
    placement = work.placement(ref)
    if placement is not None and placement.proposed is not None:
        considered = sum(1 for bid in placement.bids if bid.counts)
        to_brokers(work, ref, PROPOSED, about=placement.proposed, count=considered)


def undecided(work: Work, ref: str) -> None:
    """Those who bid have been told, or would have to assume, that they lost: the proposal waits still."""
    placement = work.placement(ref)
    if placement is not None and placement.proposed is not None:
        to_brokers(work, ref, UNDECIDED, about=placement.proposed)


def nothing_bid(work: Work, ref: str) -> None:
    """A round placed nothing, and the next one opens when the broker says (BD-6)."""
    placement = work.placement(ref)
    run = placement.round if placement is not None else None
    if run is not None:
        to_brokers(work, ref, NOTHING_BID, count=len(run.silent), at=run.closed_at or run.closes_at)


def unconfirmed(work: Work, ref: str) -> None:
    """The winner has not confirmed in time. The alert summons; this mail says which package it is."""
    placement = work.placement(ref)
    if placement is not None and placement.award is not None:
        to_brokers(work, ref, UNCONFIRMED, about=placement.award.provider, by_text=False)


def unplaced(work: Work, ref: str) -> None:
    """No round is left. The alert summons; this mail says which package it is."""
    to_brokers(work, ref, UNPLACED, by_text=False)


def first_visit(work: Work, ref: str) -> None:
    """The winner has said when the first visit is: the brokers on duty, and the mailbox (appendix A: "by email")."""
    placement = work.placement(ref)
    visit = placement.first_visit if placement is not None else None
    award = placement.award if placement is not None else None
    if visit is not None and award is not None:
        to_brokers(work, ref, FIRST_VISIT, about=award.provider, at=visit.start)
        to_mailbox(work, ref, COPY_FIRST_VISIT, about=award.provider, at=visit.start)


def not_landed(work: Work, ref: str) -> None:
    """The first visit does not stand in the provider's own desk: somebody asks them to plan it by hand."""
    placement = work.placement(ref)
    visit = placement.first_visit if placement is not None else None
    if placement is not None and placement.award is not None and visit is not None:
        to_brokers(work, ref, NOT_LANDED, about=placement.award.provider, at=visit.start)


def not_called_off(work: Work, ref: str, off: CallOff) -> None:
    """A first visit that nobody wants any more may still stand in the provider's own desk: somebody rings them."""
    to_brokers(work, ref, NOT_CALLED_OFF, about=off.provider, at=off.start)


# --- what becomes of it ---


def on_settled(work: Work, message: Message, result: str) -> None:
    """An invitation reached its provider by no way: a broker rings them while the window is open. Whoever was never
    told is not silent, also where that comes out after the close."""
    placement = work.placement(message.placement) if message.placement is not None else None
    found = reach.turn_of(placement, message) if placement is not None else None
    if result != "failed" or placement is None or found is None:
        return
    run, asked = found
    if not reach.failed(work, placement, asked):
        return
    waits = asked.answered_at is None and work.now < asked.closes_at
    told = brokers(work) if waits else ()
    if (waits or asked.provider in run.silent) and reach.note(work, placement, run, asked, told) and waits:
        to_brokers(work, placement.ref, NOT_REACHED, about=asked.provider, at=asked.closes_at)


# --- still wanted, when its turn has come ---


def pointless(work: Work, message: Message) -> str | None:
    """Why the message need not leave any more: what it says, or asks for, is not so by now."""
    placement = work.placement(message.placement) if message.placement is not None else None
    if placement is None:
        return "package_gone"
    if message.template in (INVITED, TURN, REMINDED):
        return _not_asked_now(placement, message)
    award = placement.award
    if message.template == NOT_REACHED and _heard(placement, message.about):
        return "answered"
    if message.template == NOT_CALLED_OFF and _called_off(placement, message):
        return "called_off"
    if message.template in (WON, CONFIRM, EXTENDED) and (award is None or award.provider != message.person):
        return "taken_back"
    if message.template in (CONFIRM, EXTENDED) and placement.first_visit is not None:
        return "confirmed"
    if message.template in (CONFIRM, EXTENDED) and award is not None and award.confirm_by != message.at:
        return "extended"
    if message.template == PAPERS and (award is None or award.papers_sent_at is not None):
        return "papers_sent"
    if message.template in (PROPOSED, UNDECIDED) and placement.proposed != message.about:
        return "proposed_anew"
    return "awarded" if message.template in (PROPOSED, UNDECIDED) and award is not None else None


def _heard(placement: Placement, provider: str | None) -> bool:
    """Whether they need not be rung any more: somebody has, or they have answered."""
    asked = placement.was_asked(provider or "")
    return asked is not None and (asked.spoken_at or asked.answered_at) is not None


def _called_off(placement: Placement, message: Message) -> bool:
    """Whether it is known by now what became of every first visit of theirs that nobody wants any more."""
    return all(one.outcome is not None for one in placement.call_offs if one.provider == message.about)


def _not_asked_now(placement: Placement, message: Message) -> str | None:
    asked, run = placement.was_asked(message.person), placement.running
    if asked is None or run is None or asked not in run.asked:
        return "closed"
    return "answered" if message.template == REMINDED and asked.answered_at is not None else None


# --- by which way ---


def to_provider(
    work: Work,
    placement: Placement,
    provider: str,
    template: str,
    *,
    at: datetime | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """By text and by mail, whichever there is. Returns whether there is either."""
    view = person_for(work, provider, None)
    return _both(work, placement.ref, view, template, at=at, expires_at=expires_at)


def to_brokers(
    work: Work,
    ref: str,
    template: str,
    *,
    about: str | None = None,
    at: datetime | None = None,
    count: int = 0,
    expires_at: datetime | None = None,
    by_text: bool = True,
) -> None:
    """Every broker on duty now, by text and mail; when none of them can be reached, the mailbox alone."""
    reached = [
        _both(
            work,
            ref,
            person_for(work, broker, None),
            template,
            about=about,
            at=at,
            count=count,
            expires_at=expires_at,
            by_text=by_text,
        )
        for broker in brokers(work)
    ]
    if not any(reached):
        to_mailbox(work, ref, template, about=about, at=at, count=count)


def to_mailbox(
    work: Work,
    ref: str,
    template: str,
    *,
    about: str | None = None,
    at: datetime | None = None,
    count: int = 0,
) -> None:
    """A mail to the brokerage mailbox, if the desk has one."""
    mailbox = work.state.values.mailbox
    if mailbox is not None:
        _tell(work, ref, mailbox, "", "email", template, about=about, at=at, count=count)


def brokers(work: Work) -> tuple[str, ...]:
    """Whose hours hold now, in the order of the duty list; outside of all hours the managers."""
    minute = work.now.replace(second=0, microsecond=0)
    now = applying(work.state.values.duty, minute, work.state.calendar)
    found = dict.fromkeys(entry.person for entry in now if entry.role != "manager")
    return tuple(found) or tuple(managers(work))


def is_broker(work: Work, person: str | None) -> bool:
    """Whether they stand on the council's duty list, whatever their hours."""
    return any(entry.person == person for entry in work.state.values.duty)


def closed_for(placement: Placement, provider: str) -> datetime | None:
    """Until when the provider may answer, or might have; None: it was never asked."""
    asked = placement.was_asked(provider)
    return asked.closes_at if asked is not None else None


def _both(
    work: Work,
    ref: str,
    view: PersonView,
    template: str,
    *,
    about: str | None = None,
    at: datetime | None = None,
    count: int = 0,
    expires_at: datetime | None = None,
    by_text: bool = True,
) -> bool:
    line = view.text_line() if by_text else None
    ways: list[tuple[str, ContactChannel]] = [(line.ref, "sms")] if line is not None else []
    ways += [("", "email")] if view.mail else []
    for where, channel in ways:
        _tell(
            work,
            ref,
            view.ref,
            where,
            channel,
            template,
            about=about,
            at=at,
            count=count,
            expires_at=expires_at,
        )
    return bool(ways)


def _tell(
    work: Work,
    ref: str,
    person: str,
    line: str,
    channel: ContactChannel,
    template: str,
    *,
    about: str | None,
    at: datetime | None,
    count: int,
    expires_at: datetime | None = None,
) -> None:
    contact = Contact(
        person=person,
        line=line,
        channel=channel,
        purpose="package",
        template=template,
        priority="repeat",
        about=about,
        at=at,
        count=count,
    )
    intend(work, contact, alert=None, placement=ref, expires_at=expires_at or work.now + LIVES)
