"""Silence and what only looks like it: a provider that no text and no mail could reach has kept none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from config.placing import Round
from monitor.core.inputs import Evidence, SendReported
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import PlacementActed
from monitor.core.placing.model import Share, share_key
from monitor.core.placing.register import register
from monitor.core.state import Message
from monitor.core.work import Refusal
from tests.core.council import STANDARD, Council, provider
from tests.core.driver import MONDAY

WINDOW = timedelta(hours=2)
ALONE = structs.replace(STANDARD, rounds=STANDARD.rounds[:1])


def invitations(desk: Council, provider: str, template: str = "BD-1") -> list[Message]:
    return [m for m in desk.messages("package", provider) if m.template == template]


def fails(desk: Council, *messages: Message) -> None:
    """The network says for good that they cannot be delivered."""
    for message in messages:
        desk.tell_turn(message)
        desk.tell(SendReported(key=message.key, result="failed", reason="refused", permanent=True))


def line(desk: Council, ref: str = "k1", provider: str = "ace") -> Share:
    return desk.state.values.ledger[share_key(provider, ref)]


def closed(desk: Council) -> p.RoundClosed:
    found: p.RoundClosed = desk.bodies(p.RoundClosed)[-1]
    return found


def unheard_of(desk: Council) -> list[str]:
    return [body.provider for body in desk.bodies(p.ProviderNotReached)]


def test_whom_every_invitation_missed_is_not_silent_and_the_broker_learns_it_while_the_window_is_open() -> (
    None
):
    desk = Council()
    desk.sends()
    text, mail = invitations(desk, "ace")
    fails(desk, text)
    assert unheard_of(desk) == []
    fails(desk, mail)
    (found,) = desk.bodies(p.ProviderNotReached)
    assert (found.provider, found.asked_at, found.told) == ("ace", MONDAY, ("bea",))
    assert {m.person for m in desk.messages("package") if m.template == "BD-26"} == {"bea"}
    (ace, bee) = desk.placement().rounds[0].asked
    assert (ace.not_reached_at, bee.not_reached_at) == (MONDAY, None)
    desk.advance(hours=2)
    assert (closed(desk).silent, closed(desk).not_reached) == (("bee",), ("ace",))
    assert (line(desk).silent, line(desk).not_reached, line(desk).refused) == (False, True, False)
    assert line(desk, provider="bee").silent


def test_it_stands_apart_in_the_register_and_never_for_the_contract_meeting() -> None:
    desk = Council(placing=ALONE)
    for number in range(6):
        desk.sends(f"k{number}")
        fails(desk, *invitations(desk, "ace"))
        desk.advance(hours=2)
    found = register(desk.state, desk.now)
    assert found is not None
    ace, bee = (next(row for row in found.rows if row.provider == ref) for ref in ("ace", "bee"))
    assert (ace.not_reached, ace.silent, ace.unanswered, ace.in_a_row, ace.persistent) == (6, 0, 0, 0, ())
    assert (bee.not_reached, bee.silent, bee.persistent) == (0, 6, ("in_a_row", "share"))
    assert desk.replayed().values.ledger == desk.state.values.ledger


def test_a_provider_without_any_address_is_not_reached_from_the_start() -> None:
    desk = Council()
    desk.people.people["ace"] = structs.replace(desk.people.people["ace"], lines=(), mail=False)
    desk.sends()
    assert unheard_of(desk) == ["ace"]
    desk.advance(hours=2)
    assert closed(desk).not_reached == ("ace",)


def shortly_before_the_close(desk: Council) -> None:
    """The mails wait; everybody but ace is told."""
    desk.reaches = False
    for message in invitations(desk, "bee"):
        desk.send(message)
        desk.deliver(message, "delivered")
    desk.advance(hours=1, minutes=59, seconds=50)


@pytest.mark.parametrize("result", ["accepted", "delivered"])
def test_one_way_that_leads_to_them_makes_their_quiet_a_silence(result: str) -> None:
    desk = Council()
    desk.sends()
    text, mail = invitations(desk, "ace")
    fails(desk, text)
    shortly_before_the_close(desk)
    desk.send(mail)
    if result == "delivered":
        desk.deliver(mail, "delivered")
    desk.advance(seconds=10)
    assert (closed(desk).silent, unheard_of(desk)) == (("ace", "bee"), [])


def test_a_reminder_that_arrives_has_told_them() -> None:
    desk = Council()
    desk.sends()
    fails(desk, *invitations(desk, "ace"))
    desk.advance(minutes=90)
    reminder = invitations(desk, "ace", "BD-2")[0]
    desk.send(reminder)
    desk.deliver(reminder, "delivered")
    desk.advance(minutes=30)
    assert closed(desk).silent == ("ace", "bee")


def test_what_waits_still_at_the_close_has_told_nobody() -> None:
    desk = Council(placing=ALONE)
    desk.reaches = False
    desk.sends()
    desk.advance(hours=2)
    assert (closed(desk).silent, closed(desk).not_reached) == ((), ("ace", "bee"))


def test_what_comes_out_after_the_close_mends_the_register_and_rings_nobody() -> None:
    desk = Council(placing=ALONE)
    desk.sends()
    shortly_before_the_close(desk)
    for message in invitations(desk, "ace"):
        desk.send(message)
    desk.advance(seconds=10)
    assert line(desk).silent
    for message in invitations(desk, "ace"):
        desk.deliver(message, "undelivered")
    assert (line(desk).silent, line(desk).not_reached) == (False, True)
    run = desk.placement().rounds[0]
    assert (run.silent, run.not_reached) == (("bee",), ("ace",))
    assert desk.bodies(p.ProviderNotReached)[-1].told == ()
    assert [m for m in desk.messages("package") if m.template == "BD-26"] == []


def test_who_was_silent_in_a_round_that_reached_them_stays_so() -> None:
    twice = structs.replace(
        STANDARD, rounds=(STANDARD.rounds[0], structs.replace(STANDARD.rounds[0], name="b"))
    )
    desk = Council(placing=twice)
    desk.sends()
    desk.advance(hours=2)
    again = [m for m in invitations(desk, "ace") if m.intended_at == desk.now]
    assert [m.phase for m in again] == ["settled", "settled"]
    desk.people.people["bee"] = structs.replace(desk.people.people["bee"], lines=(), mail=False)
    desk.sends("k2")
    desk.advance(hours=2)
    assert (line(desk, "k2", "bee").not_reached, line(desk, "k2", "bee").silent) == (True, False)
    assert (line(desk).silent, line(desk).not_reached) == (True, False)


@pytest.mark.parametrize("says", ["bids", "declines"])
def test_who_answers_after_a_call_of_the_broker_has_answered(says: str) -> None:
    desk = Council()
    desk.sends()
    fails(desk, *invitations(desk, "ace"))
    getattr(desk, says)("ace", source="broker", by="bea")
    desk.advance(hours=2)
    assert (closed(desk).silent, closed(desk).not_reached) == (("bee",), ())
    assert (line(desk).bid, line(desk).not_reached) == (says == "bids", False)


def test_in_a_line_the_next_is_asked_because_the_one_before_was_not_reached() -> None:
    ranked = Round(name="ranked", tiers=("patch",), rule="ranked", window=WINDOW, next="end")
    desk = Council(
        placing=structs.replace(STANDARD, rounds=(ranked,)), providers=(provider("ace"), provider("bee"))
    )
    desk.sends()
    fails(desk, *invitations(desk, "ace", "BD-7"))
    desk.advance(hours=2)
    assert [(body.provider, body.reason) for body in desk.bodies(p.ProviderAsked)] == [("bee", "not_reached")]
    desk.advance(hours=2)
    assert (closed(desk).silent, closed(desk).not_reached) == (("bee",), ("ace",))


# --- a broker rings them ---


def rings(desk: Council, provider: str = "ace", by: str = "bea", **more: Any) -> Refusal | None:
    seen = PlacementActed(placement="k1", action="spoke_provider", by=by, provider=provider, **more)
    return desk.tell(seen).refusal


def missed_one() -> Council:
    """ace could be told by nothing; it is 20 minutes later."""
    desk = Council(placing=ALONE)
    desk.sends()
    fails(desk, *invitations(desk, "ace"))
    desk.advance(minutes=20)
    return desk


def test_whom_a_broker_has_told_by_telephone_counts_as_asked_from_then() -> None:
    desk = missed_one()
    assert rings(desk) is None
    (found,) = desk.bodies(p.ProviderSpokenTo)
    assert (found.provider, found.asked_at, found.by) == ("ace", MONDAY, "bea")
    (ace, _) = desk.placement().rounds[0].asked
    assert (ace.spoken_at, ace.spoken_by, ace.at) == (desk.now, "bea", MONDAY)
    desk.advance(minutes=25)
    desk.bids("ace")
    desk.bids("bee")
    assert (line(desk).answered_s, line(desk, provider="bee").answered_s) == (25 * 60, 45 * 60)
    assert desk.replayed().values.ledger == desk.state.values.ledger


def test_a_decline_by_telephone_is_as_quick_as_the_call() -> None:
    desk = missed_one()
    rings(desk)
    desk.declines("ace", source="broker", by="bea")
    assert (line(desk).answered_s, line(desk).not_reached) == (0, False)


def test_who_was_told_by_telephone_and_says_nothing_is_silent() -> None:
    desk = missed_one()
    rings(desk)
    desk.advance(hours=2)
    assert (closed(desk).silent, closed(desk).not_reached) == (("ace", "bee"), ())
    assert (line(desk).silent, line(desk).not_reached) == (True, False)


def test_what_fails_after_the_call_makes_nobody_unreached_and_a_broker_is_not_asked_to_ring_again() -> None:
    desk = Council(placing=ALONE)
    desk.reaches = False
    desk.sends()
    assert rings(desk) is None
    fails(desk, *invitations(desk, "ace"))
    assert unheard_of(desk) == []
    desk.advance(hours=2)
    assert closed(desk).silent == ("ace",)


def test_the_text_that_asks_to_ring_them_need_not_leave_when_somebody_has() -> None:
    desk = missed_one()
    waiting = [m for m in desk.messages("package") if m.template == "BD-26"]
    rings(desk)
    assert waiting
    assert [desk.send(message) for message in waiting].count("send") == 0


def test_the_second_who_has_rung_them_hears_who_was_first() -> None:
    desk = missed_one()
    rings(desk)
    first = desk.now
    desk.advance(minutes=1)
    refusal = rings(desk)
    assert refusal is not None
    assert (refusal.code, refusal.detail) == ("already_done", {"by": "bea", "at": first})
    assert len(desk.bodies(p.ProviderSpokenTo)) == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"provider": "bee"}, "reached"),
        ({"provider": "sea"}, "not_asked"),
        ({"provider": "nobody"}, "not_asked"),
        ({"by": "ed"}, "not_broker"),
        ({"by": "ace"}, "not_broker"),
    ],
)
def test_a_call_is_recorded_of_whom_nothing_has_reached_and_by_a_broker(
    said: dict[str, str], code: str
) -> None:
    desk = missed_one()
    refusal = rings(desk, **said)
    assert (refusal.code if refusal is not None else None) == code
    assert desk.bodies(p.ProviderSpokenTo) == []


def test_a_call_after_their_answer_or_after_the_close_records_nothing() -> None:
    answered, over = missed_one(), missed_one()
    answered.bids("ace", source="broker", by="bea")
    over.advance(hours=2, minutes=-20)
    found = [rings(answered), rings(over)]
    assert [one.code if one is not None else None for one in found] == ["reached", "window_over"]


def test_what_was_said_in_the_call_stands_with_the_package() -> None:
    desk = missed_one()
    note = Evidence(id="e1", digest="00")
    rings(desk, note=note)
    (remark,) = desk.placement().remarks
    assert (remark.action, remark.by, remark.provider, remark.note) == ("spoke_provider", "bea", "ace", note)


def test_in_a_line_it_is_the_turn_that_runs_of_which_a_call_is_recorded() -> None:
    ranked = Round(name="ranked", tiers=("patch",), rule="ranked", window=WINDOW, next="end")
    desk = Council(
        placing=structs.replace(STANDARD, rounds=(ranked,)), providers=(provider("ace"), provider("bee"))
    )
    desk.sends()
    fails(desk, *invitations(desk, "ace", "BD-7"))
    desk.advance(hours=2)
    refusal = rings(desk)
    assert refusal is not None
    assert refusal.code == "window_over"
