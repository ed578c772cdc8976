"""The answerphone: nobody came for a caller, who leaves a message, and the message rings the chain (D2A clause 4.6.6).

Real daemon, real signed webhooks, phones as objects; the sound is fetched from the network as Twilio has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    OUR_NUMBER,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    chain_break,
    of_kind,
    request,
    service_user,
    staff,
)
from tests.waiting import until_sync

DUTY = (
    {"person": "st-1", "role": "on_call", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
STRANGER = "+441632960555"
DESK_PHONE = "+441632960777"
WORDS = "This is Nora, the neighbour. She is at the window and I cannot get in."
QUICK = {"summon_next": "2m", "summon_call_after": "100ms", "answerphone_longest": "60s", "ack_expires": "1h"}


class World:
    """A desk with two on duty, no telephone of its own, and Edna on a landline."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones
        self.office.people(service_user(), staff(), staff("st-2", ON_CALL))

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def nobody_comes(self, *numbers: str) -> None:
        """Those on duty are rung for the caller one after the other, and none picks up."""
        for number in numbers:
            calls = len(self.phones.calls(number))
            self.phones.do(self.phones.ringing(number, max(calls, 1), timeout=40), "no-answer")

    def seen(self, call: dict[str, Any], **wanted: Any) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            now = self.phones.call(call["sid"])
            return now if all(now[name] == value for name, value in wanted.items()) else None

        return until_sync(there, timeout=40, what=f"the call is {wanted}") or {}

    def at_the_tone(self, number: str = STRANGER, **more: Any) -> dict[str, Any]:
        """They ring us, nobody comes, and the tone sounds."""
        call = self.phones.rings(number, OUR_NUMBER, **more)
        self.nobody_comes(OFFICE, ON_CALL)
        return self.seen(call, recording=True)

    def says(self, call: dict[str, Any], words: str = WORDS) -> None:
        self.phones.do(call, "say", words=words)
        self.phones.do(call, "hangup")

    def alert(self, kind: str, **wanted: Any) -> dict[str, Any]:
        def stands() -> dict[str, Any] | None:
            return next(iter(self.office.alerts(kind=kind, **wanted)), None)

        return until_sync(stands, timeout=40, what=f"{kind} {wanted}") or {}

    def summons(self, number: str) -> dict[str, Any]:
        """Our own call to this phone, once it rings."""

        def rings() -> dict[str, Any] | None:
            calls = [c for c in self.phones.calls(number) if c["direction"] == "outbound-api"]
            return next((c for c in calls if c["status"] == "ringing"), None)

        return until_sync(rings, timeout=40, what=f"we ring {number[-3:]}") or {}


@contextmanager
def world(folder: Path, warm: WarmStart, *, speed: float = 20.0, **changes: Any) -> Iterator[World]:
    overrides = QUICK | changes.pop("overrides", {})
    options = {"duty": DUTY, "overrides": overrides} | changes
    with Telephones(speed=speed) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        yield World(daemon, phones)


def test_what_a_caller_leaves_rings_the_chain_and_is_heard_there(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        caller = w.at_the_tone()
        said = " ".join(caller["script"])
        assert "Say who you are and what has happened" in said
        assert "dial 9 9 9" in said
        w.says(caller)

        alert = w.alert("message")
        assert alert["reason"] == "caller_rang"
        on_call = w.phones.do(w.summons(OFFICE), "answer")
        assert WORDS not in " ".join(on_call["script"]), "a voicemail may be listening"
        told = w.phones.do(on_call, "press", digits="1")
        assert WORDS in told["script"]
        assert "left a message" in " ".join(told["script"])
        w.phones.do(on_call, "press", digits="*")
        assert w.phones.call(on_call["sid"])["script"].count(WORDS) == 2
        w.phones.do(on_call, "press", digits="2")
        assert w.alert("message", state="taken")["taken_by"] == "st-1"

        # and by a key the one who has it talks to the one who rang
        w.phones.do(on_call, "press", digits="4")
        back = w.phones.do(w.summons(STRANGER), "answer")
        until_sync(
            lambda: (
                (room := w.phones.call(back["sid"])["conference"]) is not None
                and room == w.phones.call(on_call["sid"])["conference"]
            ),
            what="the two talk to each other",
        )
        # who has taken it by text, or sits at the board, hears it there
        assert w.office.get(f"/v1/desks/{DESK}/alerts/{alert['id']}/recording") == WORDS
        (recording,) = w.alert("message")["recordings"]
        assert (recording["came"], recording["seconds"]) == ("words", len(WORDS) // 20)
        assert chain_break(w.office.facts()) is None


def test_unanswered_the_message_goes_on_to_the_registered_manager(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, overrides={"summon_next": "4s"}) as w:
        w.says(w.at_the_tone())
        w.phones.do(w.summons(OFFICE), "busy")
        manager = w.phones.do(w.summons(ON_CALL), "answer")
        assert WORDS in w.phones.do(manager, "press", digits="1")["script"]


def test_a_service_user_who_rings_at_night_rings_everybody_with_her_words(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.says(w.at_the_tone(EDNA), "I have fallen")
        alert = w.alert("help_asked")
        assert (alert["service_user"], alert["reason"]) == ("su-1", "caller_rang")
        for call in [w.summons(OFFICE), w.summons(ON_CALL)]:
            told = w.phones.do(w.phones.do(call, "answer"), "press", digits="1")
            assert "I have fallen" in told["script"]


def test_who_puts_the_telephone_down_without_a_word_is_rung_for_all_the_same(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.phones.do(w.at_the_tone(), "hangup")
        told = w.phones.do(w.phones.do(w.summons(OFFICE), "answer"), "press", digits="1")
        said = " ".join(told["script"])
        assert "reached nobody" in said
        assert "01632960555" in said.replace(" ", "")
        (recording,) = w.alert("message")["recordings"]
        assert recording["came"] in ("nothing", "unknown")


def test_who_says_nothing_is_asked_once_more_and_then_told_that_we_ring_back(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        call = w.at_the_tone()
        over = w.seen(call, status="completed")
        said = " ".join(over["script"])
        assert over["script"].count("(tone)") == 2
        assert "I have not heard you" in said
        assert "we ring you back" in over["script"][-1]
        w.summons(OFFICE)
        assert w.alert("message")["recordings"][-1]["came"] == "nothing"


def test_a_withheld_number_is_not_promised_a_ring(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        call = w.at_the_tone(withheld=True)
        assert "number is withheld" in w.seen(call, status="completed")["script"][-1]
        on_call = w.phones.do(w.summons(OFFICE), "answer")
        w.phones.do(on_call, "press", digits="1")
        w.phones.do(on_call, "press", digits="2")
        assert "number was withheld" in " ".join(w.phones.do(on_call, "press", digits="4")["script"])


def test_an_office_telephone_that_does_not_answer_hands_over_to_those_on_duty(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, first={"telephone": DESK_PHONE}) as w:
        caller = w.phones.rings(STRANGER, OUR_NUMBER)
        w.phones.do(w.phones.ringing(DESK_PHONE), "no-answer")
        w.nobody_comes(OFFICE, ON_CALL)
        w.says(w.seen(caller, recording=True))
        told = w.phones.do(w.phones.do(w.summons(OFFICE), "answer"), "press", digits="1")
        assert WORDS in told["script"]


def test_with_nobody_on_duty_the_message_is_kept_and_rings_whoever_comes(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, duty=()) as w:
        call = w.seen(w.phones.rings(STRANGER, OUR_NUMBER), recording=True)
        w.says(call)
        until_sync(lambda: w.alert("message")["recordings"], what="what was said is on record")
        alert = w.alert("message")
        assert alert["recordings"][-1]["came"] == "words"
        assert (alert["tracks"][0]["reason"], alert["state"]) == ("nobody_on_duty", "open")


@pytest.mark.parametrize("fault", ["lose", "double"])
def test_callbacks_that_are_lost_or_doubled_change_nothing(
    tmp_path: Path, warm: WarmStart, fault: str
) -> None:
    with world(tmp_path, warm) as w:
        call = w.at_the_tone()
        w.phones.fault(fault, count=1)
        w.says(call)
        told = w.phones.do(w.phones.do(w.summons(OFFICE), "answer"), "press", digits="1")
        assert WORDS in told["script"]
        assert [one["came"] for one in w.alert("message")["recordings"]] == ["words"]


def test_killed_while_they_speak_the_words_are_fetched_after_the_start(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, overrides={"answerphone_longest": "2s"}) as w:
        call = w.at_the_tone()
        w.daemon.kill()
        w.says(call)  # nobody hears of it: neither its action nor its callback reaches us
        w.seen(call, status="completed")
        w.daemon.start()
        came = until_sync(
            lambda: (
                seen
                if (seen := w.alert("message")["recordings"])[-1:] and seen[-1]["came"] == "words"
                else None
            ),
            timeout=40,
            what="the words are here",
        )
        assert [one["came"] for one in came or ()] == ["unknown", "words"]
        until_sync(
            lambda: (
                WORDS in w.phones.do(w.phones.do(w.summons(OFFICE), "answer"), "press", digits="1")["script"]
            ),
            timeout=40,
            what="the message is heard",
        )
        assert chain_break(w.office.facts()) is None


def test_neither_the_recording_nor_who_rang_stands_in_a_fact_a_log_or_an_address(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.says(w.at_the_tone())
        w.phones.do(w.phones.do(w.summons(OFFICE), "answer"), "press", digits="1")
        (sid,) = w.phones.network.recordings
        written = "".join(fact["body"] + fact["subject"] for fact in w.office.facts()) + w.daemon.log
        for secret in (sid, STRANGER, "1632960555", "Nora"):
            assert secret not in written
        assert of_kind(w.office.facts(), "AnswerphoneEnded")[-1]


def test_the_sound_is_given_only_to_a_link_of_ours(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.says(w.at_the_tone())
        w.summons(OFFICE)
        alert = w.alert("message")["id"]
        for query in ("", "?until=9999999999&sig=" + "0" * 40):
            assert request(w.daemon.port, "GET", f"/twilio/recording/{alert}{query}").status == 403
