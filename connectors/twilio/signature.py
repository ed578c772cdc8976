"""Is a webhook really Twilio's? Its signature covers our public URL as called and every parameter of the form."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from multidict import MultiMapping
from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from connectors.links import Link, sign

Verdict = Literal["genuine", "unsigned", "forged"]


def called_url(public_url: str, raw_path: str, path_prefix: str = "") -> str:
    """The URL that Twilio called: our public one, then the path and query byte for byte as they were received.

    `path_prefix` is what a proxy puts before `/twilio/…` on this side only. Never the Host header: whoever calls
    writes it.
    """
    return public_url.rstrip("/") + raw_path.removeprefix(path_prefix.rstrip("/"))


def check(
    tokens: Sequence[str], url: str, form: MultiMapping[str], headers: MultiMapping[str] | dict[str, str]
) -> Verdict:
    """`genuine` when any token (current or previous, during a rotation) signed this URL and all of `form`.

    An empty token never counts: anybody can sign with it.
    """
    signature = headers.get(SIGNATURE_HEADER, "")
    if not signature:
        return "unsigned"
    algorithm = get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER, ""))
    if algorithm.upper() not in (HMAC_SHA1, HMAC_SHA256):
        return "forged"
    for token in tokens:
        if token and RequestValidator(token).validate(url, form, signature, algorithm):
            return "genuine"
    return "forged"


# --- links of ours, which Twilio fetches without a signature ---


def link(tokens: Sequence[str], alert: str, lasts_s: int) -> tuple[str, str]:
    """Until when (Unix time) the recording about this alert may be fetched, and the signature of that
    (`connectors.links`), with the present token: it is taken away together with what it gives access to."""
    until = int(time.time()) + lasts_s
    return str(until), _signed(tokens[0] if tokens else "", alert, until)


def link_holds(tokens: Sequence[str], alert: str, until: str, signed: str) -> bool:
    """Whether the link was made by us, with any of our tokens, and its time has not passed."""
    if not (until.isascii() and until.isdigit() and len(until) < 12) or int(until) <= time.time():
        return False
    return any(
        token and hmac.compare_digest(_signed(token, alert, int(until)).encode(), signed.encode())
        for token in tokens
    )


def _signed(token: str, alert: str, until: int) -> str:
    # whoever fetches it knows the account and no desk, and is no person
    end = datetime.fromtimestamp(until, UTC)
    recording = Link(purpose="recording", desk="", intent=alert, person="", until=end)
    return sign(hashlib.sha256(token.encode()).digest(), recording)
