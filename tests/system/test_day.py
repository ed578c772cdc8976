"""One day seen from outside: a real broker, a real store, real telephones of the stand-in, the command as it is run."""

from __future__ import annotations

from pathlib import Path

from tests.system.daemon import (
    EDNA,
    OFFICE,
    Daemon,
    Telephones,
    care_worker,
    chain_break,
    instant,
    now,
    of_kind,
    service_user,
    staff,
    visit,
)


def test_nobody_came_and_within_a_second_it_is_on_disk_and_the_telephones_ring(tmp_path: Path) -> None:
    with Telephones() as phones, Daemon(tmp_path, phones=phones, overrides={"late_after": "2s"}) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        start = now()
        office.rota(visit("v-1", start))
        alert = office.alert("v-1")
        (raised,) = of_kind(office.facts(), "AlertRaised")
        assert 0 <= (instant(raised["at"]) - instant(raised["due_at"])).total_seconds() < 1
        assert (alert["kind"], alert["state"]) == ("late_visit", "open")
        phones.text(OFFICE)
        phones.ringing(EDNA)
        assert chain_break(office.facts()) is None
