"""The forms about councils' referrals, as the contract's bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.board.away import as_body, moment
from connectors.board.forms import field
from connectors.ports import ReferralActionIn, ReferralIn

_NOTE_CHARS = 2000
_SHORT = 200


def report(form: Mapping[str, Any], by: str, zone: str) -> ReferralIn:
    """A referral has come. Raises ApiProblem(400) for a field that cannot be read."""
    return as_body(
        ReferralIn,
        {
            "kind": field(form, "kind", _SHORT) or "standard",
            "council": field(form, "council", _SHORT) or None,
            "arrived_at": moment(form, "arrived_at", zone),
            "answer_by": moment(form, "answer_by", zone),
            "subject": field(form, "subject", _SHORT) or None,
            "text": field(form, "text", _NOTE_CHARS) or None,
            "link": field(form, "link", _NOTE_CHARS) or None,
            "by": by,
        },
    )


def action(form: Mapping[str, Any], by: str, zone: str) -> ReferralActionIn:
    """A pressed button about a referral. Raises ApiProblem(400)."""
    outcome = field(form, "action", _SHORT)
    return as_body(
        ReferralActionIn,
        {
            "by": by,
            "outcome": None if outcome == "take" else outcome,
            "at": moment(form, "at", zone),
            "reason": (field(form, "reason", _SHORT) or None) if outcome == "declined" else None,
            "start": moment(form, "start", zone) if outcome == "bid" else None,
            "note": field(form, "note", _NOTE_CHARS) or None,
        },
    )
