"""Mail to staff through a real SMTP server: beside the telephones, and alone where there is no account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from connectors.email import MailSender
from connectors.ports import EdgeError, OutboundMessage

pytestmark = pytest.mark.store_once("a relay and a sender: no store is opened")


class Relay:
    """A relay that keeps what it takes, or refuses."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if self.answer.startswith("2"):
            self.taken.append(envelope)
        return self.answer


@pytest.fixture
async def relay(free_port: int) -> AsyncIterator[tuple[Relay, int]]:
    handler = Relay()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port, ready_timeout=30)
    controller.start()
    yield handler, free_port
    controller.stop()


def mail(**more: Any) -> OutboundMessage:
    given = {
        "key": "m1",
        "desk": "bright",
        "channel": "email",
        "to": "olga@bright.example",
        "sender": "",
        "body": "Bright Care: a visit is late\nPlease look at the board.",
    }
    return OutboundMessage(**(given | more))


async def test_the_relay_gets_the_subject_and_the_words(relay: tuple[Relay, int]) -> None:
    handler, port = relay
    sent = await MailSender("127.0.0.1", port, "callwatch@bright.example").send(mail())
    (envelope,) = handler.taken
    text = envelope.content.decode()
    assert envelope.rcpt_tos == ["olga@bright.example"]
    assert "Subject: Bright Care: a visit is late" in text
    assert "Please look at the board." in text
    assert sent.provider_ref in text


async def test_a_refusal_for_good_is_permanent_and_names_no_address(relay: tuple[Relay, int]) -> None:
    handler, port = relay
    handler.answer = "550 no such mailbox olga@bright.example"
    with pytest.raises(EdgeError) as caught:
        await MailSender("127.0.0.1", port, "callwatch@bright.example").send(mail())
    assert caught.value.permanent
    assert caught.value.reason == "refused"
    assert "olga" not in str(caught.value)


async def test_a_relay_that_is_away_is_tried_again(free_port: int) -> None:
    with pytest.raises(EdgeError) as caught:
        await MailSender("127.0.0.1", free_port, "callwatch@bright.example").send(mail())
    assert not caught.value.permanent
    assert caught.value.reason == "provider_down"


async def test_a_status_says_delivered_and_never_more(free_port: int) -> None:
    status = await MailSender("127.0.0.1", free_port, "a@b.example").status(mail(), "<1@b.example>")
    assert status is not None
    assert status.status == "delivered"
