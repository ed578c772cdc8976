"""A check-out that does not come, played from outside (spec 19.6.4): a real daemon and store, phones as objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.daemon import (
    DAVE,
    OFFICE,
    WarmStart,
    of_kind,
    rfc,
    service_user,
    visit,
)
from tests.system.daemon import now as this_moment
from tests.system.test_late_visit import QUICK, World, code_of, world
from tests.waiting import until_sync

FORGETS = QUICK | {"ask_worker": [], "overrun_after": "1s", "locate_gives_up": "5m"}
"""The text a second after the planned end; nothing else comes by itself."""
IN_TURN = FORGETS | {"locate_gives_up": "2s"}
"""The call two seconds after the text, the person on duty two seconds after the call."""
A_MOMENT = 1 / 30
"""Minutes: two seconds."""


@contextmanager
def forgotten(folder: Path, warm: WarmStart, policy: dict[str, Any] = FORGETS) -> Iterator[World]:
    """Davina was at Edna's for two seconds, and has not checked out."""
    with world(folder, warm, policy=policy, row={"minutes": A_MOMENT}) as made:
        assert made.arrives("cw-1")["outcome"] == "arrived"
        yield made


def seen(w: World, name: str = "v-1") -> dict[str, Any]:
    return w.office.visits()[name]


def check_out(w: World, name: str = "v-1") -> str | None:
    (place,) = seen(w, name)["places"]
    return str(place["check_out"]) if place["check_out"] is not None else None


def asked(w: World, count: int = 1) -> dict[str, Any]:
    return w.told(DAVE, "no check-out from Edna", count)


def nobody_else_was_told(w: World) -> None:
    assert w.office.alerts() == []
    assert w.phones.texts(OFFICE) == []
    assert w.phones.calls(DAVE) == []


def test_who_has_left_says_so_and_nobody_is_woken(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm) as w:
        w.says(DAVE, asked(w), "I have left")
        w.told(DAVE, "That is not a check-out")
        one = seen(w)
        (place,) = one["places"]
        assert (one["stage"], "left_time_unknown" in one["verdicts"]) == ("left", True)
        assert (place["left"], place["check_out"]) == (None, "left")
        (departure,) = of_kind(w.office.facts(), "DepartureRecorded")
        assert '"claim":"reply:' in departure["body"]
        nobody_else_was_told(w)


def test_who_is_there_still_is_asked_again_and_shown_as_run_over(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm, FORGETS | {"locate_gives_up": "8s"}) as w:
        first = asked(w)
        w.says(DAVE, first, "still here")
        w.told(DAVE, "You are still with Edna")
        assert (seen(w)["stage"], "overrun" in seen(w)["verdicts"]) == ("arrived", True)
        assert code_of(asked(w, 2), "still here") == code_of(first, "still here")
        w.says(DAVE, first, "I have left")
        until_sync(lambda: check_out(w) == "left", timeout=40, what="the claim is shown")
        assert w.office.alerts(kind="lone_worker") == []


def test_who_wants_to_be_rung_is_told_to_the_person_on_duty_at_once(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm) as w:
        w.says(DAVE, asked(w), "I want someone")
        w.told(DAVE, "Somebody rings you now")
        assert "Planned" not in w.told(OFFICE, "asks to be rung")["body"]
        alert = w.alert()
        assert (alert["kind"], alert["reason"], alert["state"]) == (
            "lone_worker",
            "check_out_ring_me",
            "open",
        )
        assert check_out(w) == "on_call"


def test_silence_to_text_and_call_is_told_to_the_person_on_duty_with_what_was_asked(
    tmp_path: Path, warm: WarmStart
) -> None:
    with forgotten(tmp_path, warm, IN_TURN) as w:
        asked(w)
        w.phones.do(w.phones.ringing(DAVE, timeout=40), "no-answer")
        w.told(OFFICE, "has not answered us")
        alert = w.alert()
        assert (alert["kind"], alert["reason"]) == ("lone_worker", "check_out_silent")
        asks = [(one["channel"], one["person"]) for one in w.contacts("ask_worker")]
        assert asks == [("sms", "cw-1"), ("call", "cw-1")]
        record = w.office.get(f"./alerts/{alert['id']}/record")["lines"]
        steps = [(one["result"], one["who"]) for one in record if one["kind"] == "CheckOutAsked"]
        assert steps == [("texted", "cw-1"), ("rung", "cw-1"), ("on_call", "cw-1")]
        # found after all: who was told is told
        leave = {"kind": "leave", "worker": "cw-1", "visit": "v-1", "at": rfc(this_moment())}
        assert w.daemon.api("intake").checkin(id="k-l", **leave)["outcome"] == "left_overrun"
        assert w.alert(state="ended")["ended_reason"] == "late_evidence"
        assert "has checked out" in w.told(OFFICE, "over.")["body"]


def test_who_answers_the_call_by_a_key_wakes_nobody(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm, FORGETS | {"locate_gives_up": "6s"}) as w:
        call = w.phones.do(w.phones.ringing(DAVE, timeout=40), "answer")
        assert "no check-out from your" in " ".join(call["script"])
        w.phones.do(call, "press", digits="1")
        until_sync(lambda: check_out(w) == "left", timeout=40, what="the claim is shown")
        assert w.office.alerts(kind="lone_worker") == []


def test_the_next_arrival_elsewhere_ends_the_asking(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm, IN_TURN | {"locate_gives_up": "30s"}) as w:
        fay = service_user("su-2", phones=[{"number": "+441632960155", "kind": "landline"}])
        asked(w)
        w.office.people(fay)
        w.office.rota(visit("v-2", this_moment(), service_user="su-2"))
        assert w.arrives("cw-1", service_user="su-2")["outcome"] == "arrived"
        assert (seen(w)["stage"], check_out(w)) == ("left", None)
        assert "left_time_unknown" in seen(w)["verdicts"]
        nobody_else_was_told(w)


def test_a_check_out_meanwhile_takes_the_question_back(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm) as w:
        text = asked(w)
        leave = {"kind": "leave", "worker": "cw-1", "visit": "v-1", "at": rfc(this_moment())}
        assert w.daemon.api("intake").checkin(id="k-l", **leave)["outcome"] == "left_overrun"
        left = seen(w)["places"][0]["left"]
        assert left is not None
        w.says(DAVE, text, "I have left")
        w.told(DAVE, "question is closed")
        assert seen(w)["places"][0]["left"] == left
        nobody_else_was_told(w)


def test_the_office_finds_them_and_nobody_is_asked_any_more(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm) as w:
        w.says(DAVE, asked(w), "I want someone")
        w.told(OFFICE, "asks to be rung")
        refused = w.act("spoke_care_worker", reason="cannot")
        assert (refused.status, refused.body["error"]["code"]) == (400, "bad_body")
        assert w.act("spoke_care_worker", reason="left").status == 200
        assert w.alert(state="ended")["ended_reason"] == "outcome_recorded"
        (place,) = seen(w)["places"]
        assert (seen(w)["stage"], place["left"], place["check_out"]) == ("left", None, "left")


def test_killed_in_the_middle_nothing_is_asked_twice(tmp_path: Path, warm: WarmStart) -> None:
    with forgotten(tmp_path, warm, FORGETS | {"locate_gives_up": "6s"}) as w:
        asked(w)
        w.daemon.kill()
        w.daemon.start()
        w.phones.do(w.phones.ringing(DAVE, timeout=30), "no-answer")
        w.told(OFFICE, "has not answered us")
        assert len([t for t in w.phones.texts(DAVE) if "no check-out" in t["body"]]) == 1
        assert len(w.phones.calls(DAVE)) == 1
