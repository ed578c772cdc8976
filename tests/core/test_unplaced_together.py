"""Packages that stay unplaced together: the broker is summoned once, and each package keeps its own alert."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from monitor.core.causes import members
from monitor.core.inputs import Evidence
from monitor.core.placing.inputs import PlacementActed
from monitor.core.state import Alert
from tests.core.council import STANDARD, Council
from tests.core.days import quiet_ends

ALONE = structs.replace(STANDARD, rounds=STANDARD.rounds[:1])
NOTE = Evidence(id="e1", digest="11")


def unplaced(count: int, *, apart_s: float = 1, kind: str = "standard") -> Council:
    """So many packages whose one round nobody has answered, each so long after the one before."""
    desk = Council(placing=ALONE)
    desk.reaches = False
    for number in range(count):
        desk.sends(f"k{number}", kind=kind)
        desk.now += timedelta(seconds=apart_s)
    desk.advance(hours=2)
    return desk


def open_alerts(desk: Council) -> list[Alert]:
    return [alert for alert in desk.alerts("placement") if alert.state != "ended"]


def bundles(desk: Council) -> list[Alert]:
    return [alert for alert in desk.alerts("incident") if alert.state != "ended"]


def summoned(desk: Council) -> list[tuple[str, str]]:
    """Texts and calls that summon, and were not called off."""
    wanted = [m for m in desk.messages("summon") if m.result != "cancelled" and m.channel != "email"]
    return [(m.template, m.channel) for m in wanted]


def summon(alert: Alert) -> tuple[str, str]:
    track = alert.track("summon")
    assert track is not None
    return track.step, track.reason


def test_ten_packages_unplaced_in_a_minute_are_one_text_and_one_call_and_ten_alerts() -> None:
    desk = unplaced(10)
    desk.advance(minutes=2)
    alerts = open_alerts(desk)
    assert sorted(alert.placement or "" for alert in alerts) == sorted(f"k{n}" for n in range(10))
    (bundle,) = bundles(desk)
    assert (bundle.reason, {alert.incident for alert in alerts}) == ("several_unplaced", {bundle.ref})
    assert summoned(desk) == [("BD-40", "sms"), ("OCV-3", "call")]
    assert {summon(alert) for alert in alerts} == {("skipped", "in_incident")}
    assert quiet_ends(desk) == []
    assert desk.replayed().values == desk.state.values


def test_two_are_summoned_for_each_by_itself_and_the_third_makes_them_one() -> None:
    assert bundles(unplaced(2)) == []
    desk = unplaced(3)
    (bundle,) = bundles(desk)
    assert bundle.count == 3
    assert [summon(alert) for alert in open_alerts(desk)] == [("skipped", "in_incident")] * 3


def test_three_that_are_not_at_once_are_summoned_for_each_by_itself() -> None:
    desk = unplaced(3, apart_s=61)
    desk.advance(minutes=3)
    assert bundles(desk) == []
    assert len({m.alert for m in desk.messages("summon")}) == 3


def test_hospital_discharge_goes_to_the_top_and_lends_its_summons_to_nothing() -> None:
    desk = unplaced(5, kind="discharge")
    assert bundles(desk) == []
    assert len({m.alert for m in desk.messages("summon")}) == 5
    assert all(alert.time_critical for alert in open_alerts(desk))


def test_one_answer_takes_them_all() -> None:
    desk = unplaced(4)
    (text,) = [m for m in desk.messages("summon") if m.template == "BD-40" and m.channel == "sms"]
    desk.send(text)
    said = desk.text(text.person, f"{text.slot}1", line=text.line).answer
    assert {alert.taken_by for alert in open_alerts(desk)} == {"bea"}
    assert (said.template, said.alert) == ("BD-41", bundles(desk)[0].ref)


@pytest.mark.parametrize("bundle_closed_first", [False, True])
def test_what_is_done_about_a_package_ends_its_own_alert_and_the_last_one_ends_the_bundle(
    bundle_closed_first: bool,
) -> None:
    desk = unplaced(3)
    if bundle_closed_first:
        assert desk.act("close", "bea", alert=bundles(desk)[0], reason="other").refusal is None
        assert {summon(alert) for alert in open_alerts(desk)} == {("trying", "incident_over")}
    for left in (2, 1, 0):
        seen = PlacementActed(placement=f"k{left}", action="withdraw", by="bea", withdrawn="not_needed")
        assert desk.tell(seen).refusal is None
        assert len(open_alerts(desk)) == left
    assert bundles(desk) == []


def test_a_package_that_is_awarded_after_all_leaves_the_others_in_the_bundle() -> None:
    desk = unplaced(3)
    desk.bids("ace", "k1", source="broker", by="bea")
    late = PlacementActed(placement="k1", action="admit_late", by="bea", provider="ace", note=NOTE)
    award = PlacementActed(
        placement="k1", action="award", by="bea", provider="ace", reason="choice", note=NOTE
    )
    assert [desk.tell(seen).refusal for seen in (late, award)] == [None, None]
    (bundle,) = bundles(desk)
    assert [one.placement for one in members(desk.state, bundle.ref)] == ["k0", "k2"]


def test_an_outcome_of_one_of_them_ends_that_package_alone() -> None:
    desk = unplaced(3)
    assert desk.act("close", "bea", alert=open_alerts(desk)[0], reason="other").refusal is None
    assert [desk.placement(f"k{n}").ended for n in range(3)] == ["unplaced", None, None]
    assert len(bundles(desk)) == 1
