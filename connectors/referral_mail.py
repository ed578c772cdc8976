"""A council's referral as a mail: what can be read from its headers. What is written in it stays with it, as evidence.

A mailbox's rule, a mail gateway or a `.forward` pipe hands over the raw message (RFC 5322). Nothing in it is trusted
to delay anything: the clock runs from our receipt, and a time that the council names counts only as an end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TypeVar

from connectors.ports import ReferralMail

KNOWN = ("from", "date", "message-id", "subject", "received")
"""A mail has one of these at least; whatever has none is no mail."""
_BY = re.compile(r"\bby\s+([01]?[0-9]|2[0-3])[:.]([0-5][0-9])\b", re.IGNORECASE)
_DISCHARGE = re.compile(r"\b(?:d2a|discharges?)\b", re.IGNORECASE)
_LONGEST_SUBJECT = 200


T = TypeVar("T")


class NoMailError(Exception):
    """What came is no mail."""


def read_mail(raw: bytes) -> ReferralMail:
    """Reads the headers. Raises NoMailError; what cannot be read of a header is as if it were not there."""
    mail = message_from_bytes(raw)
    if not any(name in mail for name in KNOWN):
        raise NoMailError
    subject = _subject(mail)
    found = _BY.search(subject)
    message_id = str(mail.get("message-id", "")).strip()
    return ReferralMail(
        raw=raw,
        natural_key=message_id or hashlib.sha256(raw).hexdigest(),
        sent_at=_moment(mail, "date"),
        reply_by=_moment(mail, "reply-by"),
        by_clock=time(int(found[1]), int(found[2])) if found is not None else None,
        discharge=_DISCHARGE.search(subject) is not None,
    )


def subject_of(raw: bytes) -> str:
    """The subject of a mail, for who may read it; "" when there is none."""
    return _subject(message_from_bytes(raw))


def _subject(mail: Message) -> str:
    return _or(lambda: str(make_header(decode_header(str(mail.get("subject", ""))))), "")[:_LONGEST_SUBJECT]


def _moment(mail: Message, name: str) -> datetime | None:
    def read() -> datetime | None:
        text = mail.get(name)
        at = parsedate_to_datetime(str(text)) if text is not None else None
        # "-0000" says that the zone is not known: such a clock is taken for UTC
        return None if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)

    return _or(read, None)


def _or(read: Callable[[], T], otherwise: T) -> T:
    """What it reads. The library raises all of these for headers that no standard knows; a mail with such a header is
    a referral all the same, and must not be lost for it."""
    try:
        return read()
    except (ValueError, TypeError, IndexError, LookupError, OverflowError, HeaderParseError):
        return otherwise
