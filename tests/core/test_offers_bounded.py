"""Many late visits want the same care workers: nobody gets a dozen offers, no alert waits in silence (spec 22.4)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from escalation.people import LineView, PersonView
from escalation.track import Track
from monitor.core import facts as f
from monitor.core import offers
from monitor.core.inputs import RotaRow
from monitor.core.state import Alert
from monitor.core.work import Ctx, Work
from tests.core.days import copy_of, quiet_ends
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)


def desk_with(
    late: int, free: int, *, critical: tuple[int, ...] = (), apart_s: float = 0.0, **policy: Any
) -> Desk:
    """So many visits whose own care workers have no telephone, and so many others who could go; their ids tell the
    order in which they are ranked. Visits of `critical` numbers are time-critical."""
    desk = Desk(**policy)
    for ref in ("dee", "kit"):
        del desk.people.people[ref]
    for number in range(free):
        ref = f"w{number}"
        desk.people.people[ref] = PersonView(ref=ref, role="care_worker", lines=(LineView(ref=f"l-{ref}"),))
    rows = []
    for number in range(late):
        person, worker = f"p{number:02}", f"x{number:02}"
        line = LineView(ref=f"l-{person}", kind="landline")
        desk.people.people[person] = PersonView(ref=person, role="service_user", lines=(line,))
        desk.people.people[worker] = PersonView(ref=worker, role="care_worker", lines=())
        start = MONDAY + timedelta(seconds=number * apart_s)
        rows.append(
            RotaRow(
                row=number,
                key=f"v{number:02}",
                visit=f"v{number:02}",
                service_user=person,
                start=start,
                end=start + 30 * MINUTE,
                workers=(worker,),
                time_critical=number in critical,
            )
        )
    desk.upload(*rows)
    return desk


def late(desk: Desk, number: int) -> Alert:
    (found,) = [alert for alert in desk.alerts("late_visit") if alert.visit == f"v{number:02}"]
    return found


def replace(alert: Alert) -> Track:
    track = alert.track("replace")
    assert track is not None
    return track


def work(desk: Desk) -> Work:
    return Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))


def open_at(desk: Desk) -> Counter[str]:
    """How many offers each care worker has to answer."""
    found: Counter[str] = Counter()
    for alert in desk.alerts("late_visit"):
        if alert.state != "ended":
            found.update(offers.asked(work(desk), alert) - set(alert.declined))
    return found


def say(desk: Desk, worker: str, alert: Alert, digit: int) -> None:
    """The care worker answers the offer about that alert by text."""
    (offer,) = [m for m in desk.messages("offer", worker) if m.alert == alert.ref and m.template == "CW-7"]
    if offer.phase == "queued":
        desk.send(offer)
    desk.text(worker, f"{offer.slot}{digit}")


def test_sixty_late_visits_are_not_sixty_offers_at_one_telephone() -> None:
    desk = desk_with(60, 8)
    desk.advance(minutes=31)
    assert set(open_at(desk).values()) == {2}, "the third place is a time-critical visit's"
    desk.advance(minutes=40)
    assert max(open_at(desk).values()) <= 2
    assert quiet_ends(desk) == []


def test_the_last_place_is_a_time_critical_visit_s() -> None:
    desk = desk_with(6, 2, critical=(5,), apart_s=1.0)
    desk.advance(minutes=31)
    assert open_at(desk) == {"w0": 3, "w1": 3}
    assert replace(late(desk, 5)).phase == "offering"
    assert [replace(late(desk, number)).phase for number in (2, 3, 4)] == ["held"] * 3


def test_with_one_place_there_is_none_to_keep() -> None:
    desk = desk_with(2, 1, critical=(1,), apart_s=1.0, open_offers=1)
    desk.advance(minutes=31)
    assert open_at(desk) == {"w0": 1}
    assert replace(late(desk, 1)).phase == "held"


def test_who_is_passed_over_for_that_is_named_in_the_record_of_the_alert() -> None:
    desk = desk_with(3, 2, apart_s=1.0)
    desk.advance(minutes=31)
    held = [(fact.subject, fact.body) for fact in desk.facts if isinstance(fact.body, f.OffersHeld)]
    assert held == [(late(desk, 2).ref, f.OffersHeld(workers=("w0", "w1"), owed=3))]
    track = replace(late(desk, 2))
    assert (track.step, track.reason, track.phase) == ("trying", "open_offers", "held")


def test_a_wave_goes_past_who_has_no_room_to_those_who_have() -> None:
    desk = desk_with(3, 3, apart_s=1.0, offer_wave_size=2)
    desk.advance(minutes=31)
    asked = [sorted(offers.asked(work(desk), late(desk, number))) for number in range(3)]
    assert asked == [["w0", "w1"], ["w0", "w1"], ["w2"]]
    assert late(desk, 2).offers_held == ("w0", "w1")
    assert late(desk, 2).offers_owed == 1


def test_an_answer_makes_room_and_whoever_waited_is_asked_in_that_moment() -> None:
    desk = desk_with(4, 1, apart_s=1.0)
    desk.advance(minutes=31)
    assert [bool(offers.asked(work(desk), late(desk, number))) for number in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    say(desk, "w0", late(desk, 0), 2)
    assert offers.asked(work(desk), late(desk, 2)) == {"w0"}
    assert replace(late(desk, 2)).reason == "room"
    assert not offers.asked(work(desk), late(desk, 3))
    say(desk, "w0", late(desk, 1), 2)
    assert offers.asked(work(desk), late(desk, 3)) == {"w0"}


def test_the_time_critical_one_is_served_first() -> None:
    desk = desk_with(4, 1, critical=(3,), apart_s=1.0, open_offers=1)
    desk.advance(minutes=31)
    say(desk, "w0", late(desk, 0), 2)
    assert offers.asked(work(desk), late(desk, 3)) == {"w0"}
    assert not offers.asked(work(desk), late(desk, 1))


def test_whoever_goes_to_one_has_that_one_in_hand() -> None:
    desk = desk_with(3, 1, apart_s=1.0)
    desk.advance(minutes=31)
    say(desk, "w0", late(desk, 0), 1)
    assert late(desk, 0).sent
    assert not offers.asked(work(desk), late(desk, 2)), "one on the way and one to answer are two"


def test_a_visit_that_is_over_makes_room() -> None:
    desk = desk_with(3, 1, apart_s=1.0)
    desk.advance(minutes=31)
    desk.act("close", "mary", alert=late(desk, 0), reason="other")
    assert offers.asked(work(desk), late(desk, 2)) == {"w0"}


def test_an_offer_that_nobody_answers_lapses_when_it_says_so() -> None:
    desk = desk_with(3, 1, apart_s=1.0)
    desk.advance(minutes=31)
    first = late(desk, 0)
    assert first.hour_at is not None
    desk.advance(seconds=(first.hour_at - desk.now).total_seconds() - 1)
    assert not offers.asked(work(desk), late(desk, 2))
    desk.advance(seconds=1)
    assert offers.asked(work(desk), late(desk, 2)) == {"w0"}


def test_everybody_held_back_is_told_to_a_person_at_once() -> None:
    desk = desk_with(3, 1, apart_s=1.0)
    desk.advance(minutes=30, seconds=2)
    (told,) = [m for m in desk.messages("notice") if m.template == "OC-241"]
    assert (told.alert, told.person) == (late(desk, 2).ref, "paul")
    assert told.intended_at == late(desk, 2).opened_at


def test_a_storm_that_has_used_up_everybody_is_told_in_one_text_that_stands_for_all() -> None:
    desk = desk_with(40, 2)
    desk.advance(minutes=30)
    texts = [m.template for m in desk.messages("notice", "paul") if m.template in ("OC-241", "OC-242")]
    assert texts == ["OC-241"]
    desk.advance(minutes=1)
    together = [m for m in desk.messages("notice", "paul") if m.template == "OC-242"]
    assert [m.count for m in together] == [37]
    told = {alert.ref for alert in desk.alerts("late_visit") for one in alert.tellings if one.message}
    assert len(told) == 38, "forty, without the two that are offered"
    desk.advance(minutes=28)
    assert len([m for m in desk.messages("notice", "paul") if m.template in ("OC-241", "OC-242")]) == 2


def test_nobody_else_can_be_asked_is_one_text_for_all_of_the_same_minute() -> None:
    desk = desk_with(20, 0)
    desk.advance(minutes=31)
    texts = [(m.template, m.count) for m in desk.messages("notice") if m.template in ("OC-102", "OC-240")]
    assert texts == [("OC-102", 0), ("OC-240", 19)]


def test_the_text_for_several_speaks_of_the_worst_first_and_says_in_each_record_that_it_was_told() -> None:
    desk = desk_with(5, 0, critical=(3,), apart_s=1.0)
    desk.advance(minutes=32)
    (text,) = [m for m in desk.messages("notice") if m.template == "OC-240"]
    assert (text.about, text.alert, text.count) == ("p03", None, 4)
    told = f.StaffTold(what="nobody_left", person="paul", message=text.key, count=4)
    subjects = {fact.subject for fact in desk.facts if fact.body == told}
    assert subjects == {late(desk, number).ref for number in (1, 2, 3, 4)}


def test_more_that_follow_are_told_together_once_in_a_rung() -> None:
    desk = desk_with(12, 0, apart_s=50.0)
    desk.advance(minutes=45)
    texts = [m for m in desk.messages("notice") if m.template in ("OC-102", "OC-240")]
    assert [(m.intended_at - MONDAY) // MINUTE for m in texts] == [30, 31, 36, 41]
    assert sum(max(m.count, 1) for m in texts) == 12


def test_a_time_critical_visit_waits_for_no_more_than_the_moment() -> None:
    desk = desk_with(4, 0, critical=(3,), apart_s=50.0)
    desk.advance(minutes=45)
    (alert,) = [a for a in desk.alerts("late_visit") if a.time_critical]
    (told,) = [one for one in alert.tellings if one.message is not None]
    assert desk.message(told.message or "").intended_at - alert.opened_at <= MINUTE


def test_what_is_no_longer_so_is_not_told_and_says_so() -> None:
    desk = desk_with(3, 0)
    desk.advance(minutes=30)
    gone = late(desk, 2)
    desk.act("assign_replacement", "paul", alert=gone, to="x01", minutes=10)
    desk.advance(minutes=1)
    texts = [(m.template, m.count) for m in desk.messages("notice") if m.template in ("OC-102", "OC-240")]
    assert texts == [("OC-102", 0), ("OC-102", 0)]
    told = [
        fact.body for fact in desk.facts if isinstance(fact.body, f.StaffTold) and fact.subject == gone.ref
    ]
    assert told == [f.StaffTold(what="nobody_left")]


def test_what_was_no_longer_so_and_is_so_again_is_told_after_all() -> None:
    desk = desk_with(3, 0)
    desk.advance(minutes=30)
    gone = late(desk, 2)
    desk.act("assign_replacement", "paul", alert=gone, to="x01", minutes=10)
    desk.advance(minutes=1)
    assert [one.message for one in late(desk, 2).tellings] == [None]
    desk.advance(minutes=25)
    assert replace(late(desk, 2)).phase == "exhausted", "nobody has come, and nobody else can be asked"
    assert [m.template for m in desk.messages("notice") if m.alert == gone.ref and m.template == "OC-102"]


def test_a_text_for_several_leaves_as_long_as_it_is_true_of_one_of_them() -> None:
    desk = desk_with(3, 0)
    desk.advance(minutes=31)
    (text,) = [m for m in desk.messages("notice") if m.template == "OC-240"]
    desk.act("close", "mary", alert=late(desk, 1), reason="other")
    assert desk.message(text.key).phase == "queued"
    desk.act("close", "mary", alert=late(desk, 2), reason="other")
    assert desk.send(text) == "no"
    assert (desk.message(text.key).result, desk.message(text.key).reason) == ("cancelled", "covered")


def test_after_a_restart_the_same_storm_goes_on_in_the_same_way() -> None:
    desk = desk_with(12, 3, critical=(4,), apart_s=7.0)
    desk.advance(minutes=31, seconds=30)
    say(desk, "w0", late(desk, 0), 2)
    assert copy_of(desk.replayed().values) == copy_of(desk.state.values)
    other = desk.restarted()
    assert (other.offers, other.owing) == (desk.state.offers, desk.state.owing)
    desk.restart()
    desk.advance(minutes=20)
    assert max(open_at(desk).values()) <= 3
    assert quiet_ends(desk) == []
