"""What people are assumed to do, as shares of 1 and spans of minutes, each with its reason.

Nobody has published how care workers answer such questions: every figure but `forgets` (the issue's) is an assumption
of ours, printed with the result, so that whoever doubts one can change it and run the days again. Where we were in
doubt we have assumed the worse. `halved` shows what becomes of the figures when everybody answers half as often.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


def assumed(value: float, reason: str, *, answers: bool = False) -> Any:
    """A share with its reason; `answers`: it says how readily somebody answers."""
    from dataclasses import field

    return field(default=value, metadata={"reason": reason, "answers": answers})


@dataclass(frozen=True, kw_only=True)
class Habits:
    """One row per habit."""

    forgets: float = assumed(
        0.08,
        "of the visits that are made, nobody presses *arrive*: the contract's floor is 90% logged (21.3)",
    )
    shares_position: float = assumed(
        0.4, "of the care workers, the phone sends positions on shift: two of them prove an arrival unpressed"
    )
    position_fails: float = assumed(
        0.3, "of their visits, no position comes out of the house: flats, batteries, permissions"
    )
    attentive: float = assumed(
        0.8, "of the care workers have the phone within reach; the others keep it in a bag"
    )
    notices: float = assumed(
        0.85, "of the texts in a visit, an attentive one sees within 7 minutes", answers=True
    )
    notices_bag: float = assumed(0.3, "the same, with the phone in a bag", answers=True)
    acts: float = assumed(
        0.9, "of those who saw that a check-in is missing do something about it", answers=True
    )
    only_checks_in: float = assumed(0.3, "of those, check in without answering the text")
    forgets_again: float = assumed(0.1, "of those who answered *there*, forget the check-in again")
    remembers_leaving: float = assumed(0.25, "of those who forgot notice it themselves when they leave")
    picks_up: float = assumed(0.5, "of calls during a visit, an attentive care worker takes", answers=True)
    reads_idle: float = assumed(
        0.8, "of texts between visits and at home, are read within 10 minutes", answers=True
    )
    overruns: float = assumed(0.04, "of the visits last 25 to 60 minutes longer: a fall, a doctor")
    never_comes: float = assumed(
        0.015, "of the visits nobody makes: asleep, ill, a swap that nobody wrote down"
    )
    says_cannot: float = assumed(0.4, "of those who do not come say so when they are asked", answers=True)
    goes: float = assumed(0.25, "of those who read an offer and are free take it", answers=True)
    cannot_after_all: float = assumed(0.04, "of those who took one give it back within 15 minutes")
    user_answers: float = assumed(0.7, "of the calls to service users are answered", answers=True)
    user_presses: float = assumed(0.85, "of those, a key is pressed", answers=True)
    staff_answers: float = assumed(0.8, "of the calls to whoever is on duty are taken", answers=True)
    staff_texts: float = assumed(0.5, "of the texts to them are answered in 3 minutes", answers=True)


def halved(habits: Habits) -> Habits:
    """Everybody answers half as often."""
    return replace(
        habits,
        **{row.name: getattr(habits, row.name) / 2 for row in fields(Habits) if row.metadata["answers"]},
    )


def described(habits: Habits) -> list[str]:
    """One line a habit: the share and the reason."""
    return [
        f"{getattr(habits, row.name):6.1%}  {row.name}: {row.metadata['reason']}" for row in fields(Habits)
    ]
