"""Next of kin, from outside: on a landline they are told that it is over, and a wrong number is wrong for ever after,
until the office has changed it."""

from __future__ import annotations

from pathlib import Path

from tests.system.daemon import EDNA, OFFICE, WarmStart, chain_break, now, of_kind, visit
from tests.system.test_unreachable import NED, NORA, World, kin, world
from tests.waiting import until_sync

NED_AT_HOME, NED_NOW = "+441632960301", "+447700900303"


def not_reached(w: World, times: int = 0) -> None:
    """Edna does not answer her telephone twice; it has rung so often before."""
    for count in (1, 2):
        w.does(EDNA, "no-answer", times + count)


def test_on_a_landline_a_short_call_says_that_it_is_over_and_asks_nothing(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out(kin("c-1", "Ned Quillfeather", NED_AT_HOME, "landline"), next_of_kin=["c-1"])
        w.late()
        not_reached(w)
        w.presses(w.does(NED_AT_HOME, "answer"), "1", "1")
        w.stands("inform", "reached", "spoke")
        w.arrives()
        ned = w.does(NED_AT_HOME, "answer", 2)
        over = until_sync(
            lambda: seen if (seen := w.phones.call(ned["sid"]))["status"] == "completed" else None,
            timeout=40,
            what="he has heard it",
        )
        assert over is not None
        said = " ".join(over["script"])
        assert said.count("dealt with") == 2
        assert "Press" not in said
        for told_to_a_voicemail in ("Edna", "Davina", "Quillfeather", "carer"):
            assert told_to_a_voicemail not in said
        assert w.phones.texts(NED_AT_HOME) == []
        assert ("c-1", "stand_down", "call") in {
            (one["person"], one["purpose"], one["channel"]) for one in w.alert()["contacts"]
        }


def test_a_landline_that_nobody_picks_up_is_rung_by_a_person(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out(kin("c-1", "Ned Quillfeather", NED_AT_HOME, "landline"), next_of_kin=["c-1"])
        w.late()
        not_reached(w)
        w.presses(w.does(NED_AT_HOME, "answer"), "1", "1")
        w.stands("inform", "reached", "spoke")
        w.arrives()
        w.does(NED_AT_HOME, "no-answer", 2)
        assert "Ned" in w.text(OFFICE, "has not been told")


def test_a_wrong_number_is_passed_over_next_time_until_the_office_has_changed_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out()
        w.late()
        not_reached(w)
        w.presses(w.does(NED, "answer"), "9")
        w.presses(w.does(NORA, "answer"), "1", "1")
        w.stands("inform", "reached", "spoke")
        w.arrives()
        assert len(of_kind(w.office.facts(), "NumberWrong")) == 1
        written = len(w.phones.texts(NED))

        # another day, after a restart: nobody rings or writes to that stranger
        w.daemon.kill()
        w.daemon.start()
        rung = len(w.phones.calls(EDNA))
        w.office.rota(visit("v-2", now()))
        not_reached(w, rung)
        w.presses(w.does(NORA, "answer", 2), "1", "1")
        assert (len(w.phones.calls(NED)), len(w.phones.texts(NED))) == (1, written)
        (second,) = w.office.alerts(kind="late_visit", visit="v-2")
        passed_over = [one for one in second["contacts"] if one["person"] == "c-1"]
        assert {one["result"] for one in passed_over} == {"cancelled"}

        # the office finds his number
        w.office.people(kin("c-1", "Ned Quillfeather", NED_NOW))
        assert len(of_kind(w.office.facts(), "NumberMended")) == 1
        rung = len(w.phones.calls(EDNA))
        w.office.rota(visit("v-3", now()))
        not_reached(w, rung)
        ned = w.does(NED_NOW, "answer")
        assert "Is this Ned" in " ".join(ned["script"])
        assert chain_break(w.office.facts()) is None
