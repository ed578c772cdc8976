"""Which signed links are out at a council's desk: one for each provider that was asked, the same after every start."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from connectors.links import Link, Links
from monitor.core import facts as f
from monitor.core.placing.facts import PlacementClosed
from monitor.core.placing.inputs import PlacementActed
from monitor.metrics import Metrics
from monitor.placing_links import link_of, links_of
from monitor.watch import Watch
from tests.core.council import SEA, STANDARD, Council, provider
from tests.core.driver import MONDAY

KEY = b"k" * 32
LASTS = timedelta(days=42)


def asked(desk: Council) -> set[tuple[str, str]]:
    return {(link.intent, link.person) for link in links_of("hall", desk.state)}


def test_every_provider_that_was_asked_has_a_link_of_its_own_and_nobody_else_has_one() -> None:
    desk = Council()
    assert asked(desk) == set()
    desk.sends()
    desk.sends("k2", area="south")
    assert asked(desk) == {("k1", "ace"), ("k1", "bee"), ("k2", "sea")}
    assert {link.until for link in links_of("hall", desk.state)} == {MONDAY + LASTS}
    assert {(link.purpose, link.desk) for link in links_of("hall", desk.state)} == {("bid", "hall")}


def test_who_was_asked_in_an_earlier_round_keeps_the_same_link() -> None:
    desk = Council(providers=(provider("ace"), SEA, provider("frame", "framework", areas=())))
    desk.sends(area="south")
    before = link_of("hall", desk.state, desk.placement(), "sea")
    desk.advance(hours=3)
    assert len(desk.placement().rounds) > 1
    assert before in set(links_of("hall", desk.state))
    assert len(asked(desk)) > 1


def test_the_links_of_a_start_are_those_that_were_sent_before_it() -> None:
    desk = Council()
    desk.sends()
    sent = Links([KEY])
    texts = {who: sent.text(link_of("hall", desk.state, desk.placement(), who)) for who in ("ace", "bee")}
    again = Links([KEY])
    again.put_out(*links_of("hall", desk.restarted()))
    for who, text in texts.items():
        shown = again.look(text, MONDAY + LASTS - timedelta(seconds=1))
        assert (shown.verdict, shown.link) == ("genuine", link(who))
        assert again.look(text, MONDAY + LASTS).verdict == "expired"


def test_after_a_revoked_link_a_new_invitation_has_another_one_and_both_are_known() -> None:
    twice = (STANDARD.rounds[0], structs.replace(STANDARD.rounds[0], name="again"))
    desk = Council(placing=structs.replace(STANDARD, rounds=twice))
    desk.sends()
    old = link_of("hall", desk.state, desk.placement(), "ace")
    desk.tell(PlacementActed(placement="k1", action="revoke_link", by="bea", provider="ace"))
    assert link_of("hall", desk.state, desk.placement(), "ace") == old
    desk.advance(hours=2)
    new = link_of("hall", desk.state, desk.placement(), "ace")
    assert (old.serial, new.serial) == (0, 1)
    assert {one for one in links_of("hall", desk.restarted()) if one.person == "ace"} == {old, new}
    out = Links([KEY])
    assert out.text(old) != out.text(new)
    assert link_of("hall", desk.state, desk.placement(), "bee").serial == 0


@pytest.mark.parametrize(("durable", "verdict"), [(False, "genuine"), (True, "forged")])
def test_the_links_of_a_package_go_with_it_once_that_is_on_disk(durable: bool, verdict: str) -> None:
    unused: Any = None
    watch = Watch(unused, unused, Metrics([], []), unused, unused, unused, unused)
    watch.links.replace_keys([KEY])
    text, other = watch.links.text(link("ace")), watch.links.text(structs.replace(link("ace"), intent="k2"))
    fact = f.Happened(seq=9, at=MONDAY, subject="k1", body=PlacementClosed(), due_at=None, policy="")
    watch.released(SimpleNamespace(desk="hall"), fact, durable=durable)  # type: ignore[arg-type]
    assert watch.links.look(text, MONDAY).verdict == verdict
    assert watch.links.look(other, MONDAY).verdict == "genuine"


def link(who: str) -> Link:
    return Link(purpose="bid", desk="hall", intent="k1", person=who, until=MONDAY + LASTS)


def test_how_long_a_link_opens_is_said_by_the_policy_with_which_the_package_runs() -> None:
    desk = Council(placing=structs.replace(STANDARD, link_lasts=timedelta(seconds=5)))
    desk.sends()
    found = link_of("hall", desk.state, desk.placement(), "ace")
    assert found.until == MONDAY + timedelta(seconds=5)


def test_200_packages_of_50_providers_are_put_out_in_a_moment() -> None:
    many = [
        structs.replace(link("ace"), intent=f"k{n}", person=f"pr-{m}") for n in range(200) for m in range(50)
    ]
    out = Links([KEY, b"p" * 32])
    out.put_out(*many)
    assert all(out.look(out.text(one), MONDAY).link == one for one in many[::997])
