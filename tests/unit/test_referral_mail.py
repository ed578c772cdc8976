"""What is read of a council's mail, and what is not believed of it."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from connectors.referral_mail import NoMailError, read_mail, subject_of

HEAD = b"From: brokerage@council.example\r\nMessage-ID: <a@b>\r\n"
BODY = b"\r\nTwo visits a day, by 18:40 please.\r\n"


def with_subject(text: str) -> bytes:
    return HEAD + b"Subject: " + text.encode() + b"\r\n" + BODY


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n\r\n", b"no header at all", b"\x00\xff\xfe", b'{"id":"r1"}', b"X-Own: 1\r\n\r\n"]
)
def test_what_has_no_header_of_a_mail_is_no_mail(raw: bytes) -> None:
    with pytest.raises(NoMailError):
        read_mail(raw)


@pytest.mark.parametrize(
    ("subject", "clock"),
    [
        ("Package, bids by 18:40", time(18, 40)),
        ("Package, BY 9.05 today", time(9, 5)),
        ("Package by 24:10", None),
        ("Package by 6:7", None),
        ("Standby 18:40", None),
        ("Package 18:40", None),
        ("", None),
    ],
)
def test_a_time_in_the_subject_counts_when_it_is_plain(subject: str, clock: time | None) -> None:
    assert read_mail(with_subject(subject)).by_clock == clock


@pytest.mark.parametrize(
    ("subject", "discharge"),
    [
        ("Discharge: ward 7", True),
        ("D2A bid", True),
        ("hospital discharges", True),
        ("Charge sheet", False),
        ("", False),
    ],
)
def test_a_subject_that_speaks_of_a_discharge_has_the_shorter_window(subject: str, discharge: bool) -> None:
    assert read_mail(with_subject(subject)).discharge is discharge


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Fri, 27 Nov 2026 16:40:00 +0000", datetime(2026, 11, 27, 16, 40, tzinfo=UTC)),
        ("Fri, 27 Nov 2026 17:40:00 +0100", datetime(2026, 11, 27, 16, 40, tzinfo=UTC)),
        ("Fri, 27 Nov 2026 16:40:00 -0000", datetime(2026, 11, 27, 16, 40, tzinfo=UTC)),
        ("yesterday", None),
        ("Fri, 99 Nov 2026 16:40:00 +0000", None),
        ("Fri, 27 Nov 2026 16:40:00 +9999999999", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("header", ["Date", "Reply-By"])
def test_a_date_that_cannot_be_read_is_none_and_loses_no_mail(
    header: str, text: str, at: datetime | None
) -> None:
    mail = read_mail(HEAD + f"{header}: {text}\r\n".encode() + BODY)
    assert (mail.sent_at if header == "Date" else mail.reply_by) == at


@pytest.mark.parametrize(
    ("subject", "reads"),
    [
        (b"=?utf-8?q?Caf=C3=A9?= ward", "Café ward"),
        (b"=?nosuchset?q?abc?=", ""),
        (b"=?utf-8?b?%%%?=", None),
        (b"\xff\xfe raw bytes", None),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_a_subject_in_any_coding_loses_no_mail(subject: bytes, reads: str | None) -> None:
    raw = HEAD + b"Subject: " + subject + b"\r\n" + BODY
    assert read_mail(raw).raw == raw
    if reads is not None:
        assert subject_of(raw) == reads


def test_the_same_mail_is_known_by_its_id_and_one_without_by_all_of_it() -> None:
    assert read_mail(HEAD + BODY).natural_key == read_mail(with_subject("again")).natural_key == "<a@b>"
    one, other = (b"From: a@b\r\n\r\none", b"From: a@b\r\n\r\nother")
    assert read_mail(one).natural_key == read_mail(one).natural_key != read_mail(other).natural_key
