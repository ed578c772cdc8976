"""A package told for real: texts to stand-in telephones, mails through an SMTP server; a bid, its receipt, its copy."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from tests.ports import free_port
from tests.system.daemon import Daemon, Telephones, WarmStart, in_s, request, rfc, staff, table
from tests.system.test_email import Relay
from tests.system.test_windows_together import BROKERAGE, GOOD, PROVIDERS, council, sends
from tests.waiting import until_sync

ACE, BEE, BEA = "+447700900961", "+447700900962", "+447700900960"
MAILBOX = "brokerage@council.example"


class Post:
    """A mail relay on a port of its own, and what it took."""

    def __init__(self) -> None:
        self.relay, self.port = Relay(), free_port()
        self._controller = Controller(self.relay, hostname="127.0.0.1", port=self.port, ready_timeout=30)

    def __enter__(self) -> Post:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def to(self, address: str, subject: str) -> str:
        """The text of the first mail to that address whose subject has these words, once it is there."""
        found = until_sync(lambda: self._found(address, subject), 10, what=f"a mail: {subject}")
        assert found is not None
        return found

    def _found(self, address: str, subject: str) -> str | None:
        for envelope in self.relay.taken:
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            if envelope.rcpt_tos == [address] and subject in str(mail["Subject"]):
                return str(mail.get_content())
        return None

    def addressees(self, subject: str) -> set[str]:
        """Who had a mail with these words in its subject so far."""
        found = set()
        for envelope in self.relay.taken:
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            if subject in str(mail["Subject"]):
                found |= set(envelope.rcpt_tos)
        return found


@pytest.fixture
def post() -> Iterator[Post]:
    with Post() as post:
        yield post


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as phones:
        yield phones


def test_invited_by_text_and_mail_a_bid_has_its_receipt_and_the_mailbox_its_copy(
    tmp_path: Path, phones: Telephones, post: Post, warm: WarmStart
) -> None:
    relay = table("email", {"host": "127.0.0.1", "port": post.port, "from": "callwatch@council.example"})
    with Daemon(
        tmp_path, phones=phones, warm=warm, desks=[council("1h")], providers=PROVIDERS, tables=relay
    ) as daemon:
        office, broker = daemon.api(desk=BROKERAGE), daemon.api("broker", desk=BROKERAGE)
        office.people(staff("bea", BEA))
        said = [
            {
                "id": ref,
                "name": f"{ref.title()} Care",
                "tier": "patch",
                "areas": ["east"],
                "rating": GOOD,
                "rate": 21.0,
                "phones": [{"number": number}],
                "email": f"{ref}@care.example",
            }
            for ref, number in zip(PROVIDERS, (ACE, BEE), strict=True)
        ]
        assert broker.put("./providers", {"providers": said})["problems"] == []
        sends(broker, "pk-1")

        # both are asked, by text and mail, each with a link of its own
        links = {}
        for ref, number in zip(PROVIDERS, (ACE, BEE), strict=True):
            text = phones.text(number)["body"]
            assert text.startswith("Package pk-1: East, 7 h a week, start "), text
            (links[ref],) = re.findall(r"https?://\S+", text)
            mail = post.to(f"{ref}@care.example", "please bid or decline")
            assert links[ref] in mail
            assert "2 visits a day: 30, 30 min" in mail
        assert links["ace"] != links["bee"]
        path = re.sub(r"^https?://[^/]+", "", links["ace"])
        assert request(daemon.port, "GET", path).status == 200

        # one of them bids
        ace = daemon.api(desk=BROKERAGE, provider="ace")
        body = {"start": rfc(in_s(86_400 * 2)), "how": "Two who know the road.", "hours_free": 40}
        assert ace.call("POST", "./placements/pk-1/bids", body).status in (200, 201)
        assert "bid received" in phones.text(ACE, 2)["body"]
        assert "You can change or withdraw it" in post.to("ace@care.example", "your bid is received")
        copy = post.to(MAILBOX, "bid of Ace Care")
        assert "How they would deliver it: Two who know the road." in copy
        assert "Hours a week that they have free: 40" in copy
        assert links["ace"] not in copy

        # the other one withdraws nothing, declines, and hears of nobody
        bee = daemon.api(desk=BROKERAGE, provider="bee")
        assert bee.call("POST", "./placements/pk-1/decline", {"reason": "no_capacity"}).status in (200, 201)
        assert "declined, received" in phones.text(BEE, 2)["body"]
        assert "no capacity" in post.to(MAILBOX, "Bee Care has declined")
        assert post.addressees("bid of Ace Care") == {MAILBOX}
        assert not any("Ace" in text["body"] for text in phones.texts(BEE))
        assert phones.texts(BEA) == []
        assert "know the road" not in daemon.log
