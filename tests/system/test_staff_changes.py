"""Another care worker than the regular one comes tomorrow, from outside (spec 7.10, 16.10)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.system.daemon import EDNA, OFFICE, WarmStart, care_worker, now, of_kind, rfc, service_user, visit
from tests.system.test_unreachable import world
from tests.waiting import until_sync

FAY = "+447700900155"


NOT_YET = "23:59"


def a_minute_ago() -> str:
    """The hour at which changes are told is just over: they are told at once."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    return f"{max(local - timedelta(minutes=1), local.replace(hour=0, minute=0)):%H:%M}"


def test_the_service_user_is_told_the_name_and_of_the_badge_and_staff_of_those_who_could_not_be(
    tmp_path: Path, warm: WarmStart
) -> None:
    overrides = {"staff_changes_at": NOT_YET, "staff_changes_check": "1s", "late_after": "10m"}
    with world(tmp_path, warm, overrides=overrides) as w:
        w.lay_out(
            service_user("su-2", FAY, phones=[{"number": FAY, "kind": "mobile"}]),
            service_user("su-3", phones=[], first_name="Gus"),
            care_worker("cw-2", "+447700900277") | {"name": "Nia Okafor"},
        )
        today, tomorrow = now(), now() + timedelta(days=1)
        people = ("su-1", "su-2", "su-3")
        later = [visit(f"t-{whose}", tomorrow, service_user=whose, workers=["cw-2"]) for whose in people]
        w.office.rota(*(visit(f"v-{whose}", today, service_user=whose) for whose in people), *later)
        for whose in people:
            w.office.checkin(
                id=f"k-{whose}",
                kind="arrive",
                worker="cw-1",
                visit=f"v-{whose}",
                service_user=whose,
                at=rfc(today),
            )
        assert w.phones.texts(FAY) == []
        w.daemon.kill()
        config = w.daemon.config.read_text()
        assert NOT_YET in config
        w.daemon.config.write_text(config.replace(NOT_YET, a_minute_ago()))
        w.daemon.start()
        told = w.text(FAY, "badge")
        assert "Nia" in told
        assert "instead of Davina" in told
        assert "Okafor" not in told
        call = w.does(EDNA, "answer")
        assert "Nia" in " ".join(call["script"])
        w.presses(call, "1")
        # of the third there is no number: the office is asked to tell her
        assert "1 people" in w.text(OFFICE, "another carer than usual") or "first Gus" in w.text(
            OFFICE, "usual"
        )
        (fact,) = of_kind(w.office.facts(), "StaffChangesTold")
        assert fact["due_at"] is not None
        until_sync(
            lambda: of_kind(w.office.facts(), "StaffChangesChecked", untold=1), 10, what="it is looked again"
        )
        assert len(of_kind(w.office.facts(), "PersonReached", purpose="notice")) == 1
