"""The answerphone: nobody came for a caller, who leaves a message, and the message rings the chain (D2A clause 4.6.6).

Real daemon, real signed webhooks, phones as objects; the sound is fetched from the network as Twilio has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.daemon import (
    OFFICE,
    ON_CALL,
    OUR_NUMBER,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    chain_break,
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
            self.phones.do(self.phones.ringing(number, max(calls, 1), timeout=20), "no-answer")

    def seen(self, call: dict[str, Any], **wanted: Any) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            now = self.phones.call(call["sid"])
            return now if all(now[name] == value for name, value in wanted.items()) else None

        return until_sync(there, timeout=20, what=f"the call is {wanted}") or {}

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

        return until_sync(stands, timeout=20, what=f"{kind} {wanted}") or {}

    def summons(self, number: str) -> dict[str, Any]:
        """Our own call to this phone, once it rings."""

        def rings() -> dict[str, Any] | None:
            calls = [c for c in self.phones.calls(number) if c["direction"] == "outbound-api"]
            return next((c for c in calls if c["status"] == "ringing"), None)

        return until_sync(rings, timeout=20, what=f"we ring {number[-3:]}") or {}


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
        (recording,) = w.alert("message")["recordings"]
        assert (recording["came"], recording["seconds"]) == ("words", len(WORDS) // 20)
        assert chain_break(w.office.facts()) is None
