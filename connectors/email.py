"""Mail to the desk's own people, through the relay of `[email]`: a `Sender` like the telephones, for channel `email`.

A mail that the relay has taken is *delivered* at most, and never contact. Errors name no address.
"""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.utils import make_msgid

import aiosmtplib

from connectors.ports import EdgeError, OutboundMessage, Sent, StatusCallback

TIMEOUT_S = 10.0


class MailSender:
    """One relay. `send` takes the body's first line as the subject."""

    def __init__(self, host: str, port: int, from_: str) -> None:
        self._host, self._port, self._from = host, port, from_

    async def send(self, message: OutboundMessage) -> Sent:
        """Hand it to the relay. Raises EdgeError; on `timeout` the relay may have it all the same."""
        mail, reference = self._mail(message)
        try:
            await aiosmtplib.send(mail, hostname=self._host, port=self._port, timeout=TIMEOUT_S)
        except aiosmtplib.SMTPException as error:
            raise _edge_error(error) from None  # the library's texts quote the address
        except OSError as error:
            raise EdgeError("provider_down", "the mail relay cannot be reached") from error
        return Sent(provider_ref=reference)

    def _mail(self, message: OutboundMessage) -> tuple[EmailMessage, str]:
        subject, _, body = message.body.partition("\n")
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._from, message.to, subject
        reference = make_msgid(idstring=message.key, domain=self._from.rpartition("@")[2])
        mail["Message-ID"] = reference
        mail.set_content(body.strip() + "\n")
        return mail, reference

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """A relay keeps no list: what is in doubt is sent again, marked, and a second mail is better than none."""
        return None

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """A mail does not ring."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """The relay took it, and nothing more will ever be known."""
        return StatusCallback(key=message.key, status="delivered", provider_ref=provider_ref)

    async def close(self) -> None:
        """Nothing stays open between two mails."""


def _edge_error(error: aiosmtplib.SMTPException) -> EdgeError:
    if isinstance(error, aiosmtplib.SMTPTimeoutError | aiosmtplib.SMTPReadTimeoutError):
        return EdgeError("timeout", "the mail relay did not answer in time")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return EdgeError("refused", f"the mail relay answered {error.code}", permanent=error.code >= 500)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return EdgeError("refused", "the mail relay refused the address", permanent=True)
    return EdgeError("provider_down", f"the mail relay failed: {type(error).__name__}")
