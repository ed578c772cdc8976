"""The late-visit procedure played from outside (spec 5.1, 22): a real daemon and store, phones as objects, and the
words that arrive, which must be true at that moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.daemon import (
    DAVE,
    EDNA,
    OFFICE,
    ON_CALL,
    Answer,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
    of_kind,
    service_user,
    staff,
    visit,
)
from tests.system.daemon import now as this_moment
from tests.waiting import until_sync

KIT, LOU, MAX, NORA = "+447700900018", "+447700900019", "+441632960301", "+447700900021"
EDNAS_MOBILE = "+447700900101"
COUNCIL = "+441632960900"
DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
DESKS = [{"name": "EDT", "phone": COUNCIL, "email": "edt@example.org", "hours": "daily 00:00-24:00"}]
QUICK = {
    "late_after": "1h",
    "ask_worker": ["1s"],
    "summon_call_after": "10m",
    "summon_next": "20m",
    "reassure_retry": "10m",
    "offer_wave": "10m",
}
"""Asked after a second; nothing else comes by itself unless a story makes it quick."""
AT_ONCE = QUICK | {"late_after": "1s", "ask_worker": []}
"""The alert after a second, and nobody is asked before it."""


def named(person: dict[str, Any], name: str) -> dict[str, Any]:
    """The same person by another name."""
    return person | {"name": name}


KIT_COMES = named(care_worker("cw-2", KIT), "Kit Larkspur")
LOU_COMES = named(care_worker("cw-3", LOU), "Lou Merriweather")
MAX_COMES = named(care_worker("cw-4", phones=[{"number": MAX, "kind": "landline"}]), "Max Oakshott")
NORA_COMES = named(care_worker("cw-9", NORA), "Nora Peabody")
EDNA_TEXTS = service_user(
    phones=[{"number": EDNAS_MOBILE, "kind": "mobile"}], contact_plan={"channels": ["text"]}
)


class World:
    """A desk on which Davina is expected at Edna's now; whoever else is given could go instead."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def lay_out(self, *others: dict[str, Any], edna: dict[str, Any], **row: Any) -> None:
        both = (staff(), named(staff("st-2", ON_CALL), "Philippa Nightingale"))
        answer = self.office.people(edna, care_worker(), *others, *both)
        assert [one for one in answer["problems"] if one["severity"] == "error"] == []
        self.office.rota(visit("v-1", this_moment(), **row))

    # --- what is seen ---

    def alert(self, **fields: Any) -> dict[str, Any]:
        """The late visit's alert by its own route, once its fields are as given."""
        found = self.office.alert("v-1", timeout=40, **fields)
        seen = self.office.get(f"./alerts/{found['id']}")
        assert isinstance(seen, dict)
        return seen

    def track(self, name: str, step: str, reason: str | None = None) -> dict[str, Any]:
        """The track, once it stands there."""

        def stands() -> dict[str, Any] | None:
            for alert in self.office.alerts(visit="v-1"):
                for track in alert["tracks"]:
                    if (track["name"], track["step"]) == (name, step) and reason in (None, track["reason"]):
                        return dict(track)
            return None

        return until_sync(stands, timeout=40, what=f"{name} is {step} {reason or ''}") or {}

    def contacts(self, purpose: str, person: str | None = None) -> list[dict[str, Any]]:
        found = self.alert()["contacts"]
        return [c for c in found if c["purpose"] == purpose and person in (None, c["person"])]

    def told(self, number: str, words: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th text to this phone in which the words stand."""

        def texts() -> list[dict[str, Any]]:
            return [text for text in self.phones.texts(number) if words in text["body"]]

        until_sync(
            lambda: len(texts()) >= count,
            timeout=40,
            what=f"{words!r} at {number[-3:]}: {self.heard(number)}",
        )
        text = texts()[count - 1]
        true_words(text["body"])
        return text

    def heard(self, number: str) -> list[str]:
        return [text["body"] for text in self.phones.texts(number)]

    # --- what people do ---

    def says(self, number: str, text: dict[str, Any], answer: str, more: str = "") -> None:
        """They answer a text with the code that stands before these words in it."""
        self.phones.reply(number, f"{code_of(text, answer)}{more}")

    def arrives(self, worker: str, **more: Any) -> dict[str, Any]:
        about = {"kind": "arrive", "worker": worker, "service_user": "su-1", "at": this_moment().isoformat()}
        return self.daemon.api("intake").checkin(id=f"k-{worker}-{len(self.office.facts())}", **about | more)

    def act(self, action: str, by: str = "st-1", **more: Any) -> Answer:
        alert = self.alert()
        body = {"action": action, "by": by} | more
        return self.office.call("POST", f"./alerts/{alert['id']}/actions", body)

    def cannot(self) -> dict[str, Any]:
        """Davina is asked before any alert and cannot get there: the procedure opens at once."""
        self.says(DAVE, self.told(DAVE, "no check-in yet"), "cannot get there")
        return self.alert()


def code_of(text: dict[str, Any], answer: str) -> str:
    found = re.search(rf"(\d+) {re.escape(answer)}", text["body"])
    assert found, f"no code for {answer!r} in {text['body']!r}"
    return found[1]


def true_words(said: str) -> None:
    """Nothing was left unfilled, and nothing is said twice or of nobody."""
    assert "{" not in said, said
    assert "  " not in said, said
    assert not re.search(r"\b(None|nan)\b|\b0 minutes| ,| \.", said), said


def spoken(call: dict[str, Any]) -> str:
    said = " ".join(call["script"])
    true_words(said)
    return said


@contextmanager
def world(
    folder: Path,
    warm: WarmStart,
    *others: dict[str, Any],
    edna: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    row: dict[str, Any] | None = None,
    speed: float = 20.0,
    **changes: Any,
) -> Iterator[World]:
    overrides = (QUICK if policy is None else policy) | by_day()
    options = {"duty": DUTY, "overrides": overrides, "council_desks": DESKS} | changes
    with Telephones(speed=speed) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        made = World(daemon, phones)
        made.lay_out(*others, edna=edna or service_user(), **(row or {}))
        yield made
        assert chain_break(made.office.facts()) is None
        assert "Traceback" not in daemon.log


# --- before the alert: the care worker alone is asked (5.1) ---


def test_there_is_thanked_and_claims_no_arrival_and_a_person_is_asked_to_ring(
    tmp_path: Path, warm: WarmStart
) -> None:
    policy = QUICK | {"late_after": "9s", "locate_gives_up": "1m"}
    with world(tmp_path, warm, KIT_COMES, policy=policy) as w:
        asked = w.told(DAVE, "no check-in yet: Edna su-1")
        w.says(DAVE, asked, "I am there")
        w.told(DAVE, "Thank you Davina. Please check in now")
        assert w.phones.calls(EDNA) == []
        alert = w.alert()
        assert w.office.visit("v-1")["places"][0]["arrived"] is None
        w.track("reassure", "skipped", "claimed_there")
        w.track("locate", "reached", "there")
        summons = w.told(OFFICE, "LATE Edna su-1")
        assert "Davina says: there. A person has to ring Edna: please do" in summons["body"]
        assert w.phones.calls(EDNA) == []
        assert w.phones.texts(KIT) == []
        assert alert["ended_reason"] is None


def test_cannot_opens_the_procedure_at_once_and_14_rings_for_help(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES) as w:
        alert = w.cannot()
        assert alert["reason"] == "cannot"
        w.told(OFFICE, "Davina CANNOT GET to Edna su-1, due")
        assert [c["proof"] for c in alert["contacts"] if c["purpose"] == "ask_worker"] == ["reply:13"]
        w.track("locate", "not_reached", "cannot")
        thanks = w.told(DAVE, "We are finding cover for Edna su-1")
        w.told(KIT, "Cover wanted: Edna su-1")
        w.says(DAVE, thanks, "if not and we ring you at once")
        (help_asked,) = (
            until_sync(lambda: w.office.alerts(kind="help_asked"), timeout=40, what="help for Davina") or ()
        )
        assert help_asked["service_user"] is None
        called = w.phones.do(w.phones.ringing(OFFICE, timeout=40), "answer")
        assert called["waiting_for_key"]


def test_a_bare_digit_is_an_answer_while_one_question_is_open(tmp_path: Path, warm: WarmStart) -> None:
    policy = QUICK | {"ask_worker": ["1s", "2s"]}
    with world(tmp_path, warm, policy=policy) as w:
        first, second = w.told(DAVE, "no check-in yet"), w.told(DAVE, "no check-in yet", 2)
        assert code_of(first, "I am there") == code_of(second, "I am there"), (
            "the same question keeps its code"
        )
        w.phones.reply(DAVE, "3")
        assert w.alert()["reason"] == "cannot"


def test_what_was_asked_before_the_alert_is_answered_with_the_same_code_after_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    policy = QUICK | {"late_after": "3s"}
    with world(tmp_path, warm, KIT_COMES, policy=policy) as w:
        before = w.told(DAVE, "no check-in yet")
        after = w.told(DAVE, "is now an alert")
        assert code_of(after, "there") == code_of(before, "I am there")
        w.says(DAVE, before, "cannot get there")
        w.track("locate", "not_reached", "cannot")
        w.told(KIT, "Cover wanted: Edna su-1")


def test_a_time_beyond_the_tolerance_is_told_to_the_service_user(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, edna=EDNA_TEXTS, policy=QUICK | {"late_after": "10m"}) as w:
        w.says(DAVE, w.told(DAVE, "no check-in yet"), "+ minutes", " 25")
        told = w.told(
            EDNAS_MOBILE, "Davina is running about 25 minutes late today and should be with you by about"
        )
        assert "Bright Care" in told["body"]
        w.told(DAVE, "Thank you, 25 minutes. We are telling Edna.")
        assert w.office.alerts() == []


def test_who_comes_when_they_said_raises_no_alert(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, policy=QUICK | {"ask_worker": ["1s", "40s"], "late_after": "1m"}) as w:
        w.says(DAVE, w.told(DAVE, "no check-in yet"), "+ minutes", " 5")
        thanks = w.told(DAVE, "Thank you, 5 minutes.")
        assert "telling" not in thanks["body"], "Edna has a landline alone: nobody tells her"
        assert w.arrives("cw-1")["outcome"] == "arrived"
        assert w.office.visit("v-1")["stage"] == "arrived"
        assert w.office.alerts() == []
        assert len(w.phones.texts(DAVE)) == 2


# --- the promised time ---


def test_a_promised_time_that_is_missed_is_asked_again_and_then_replaced(
    tmp_path: Path, warm: WarmStart
) -> None:
    policy = AT_ONCE | {"locate_gives_up": "6s"}
    with world(tmp_path, warm, KIT_COMES, policy=policy) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "+ minutes", " 0")
        w.track("locate", "reached", "on_my_way")
        w.told(OFFICE, "Davina is on the way to Edna su-1")
        w.track("locate", "trying", "eta_missed")
        w.told(DAVE, "is now an alert", 2)
        assert w.phones.texts(KIT) == []
        w.track("locate", "not_reached", "silent")
        w.told(KIT, "Cover wanted: Edna su-1")
        answered = [c["proof"] for c in w.contacts("locate", "cw-1") if c["proof"]]
        assert answered == ["reply:12"]


def test_a_promised_time_that_is_kept_ends_the_alert(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, policy=AT_ONCE) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "+ minutes", " 20")
        w.track("locate", "reached", "on_my_way")
        assert w.arrives("cw-1")["outcome"] == "arrived_late"
        alert = w.alert(state="ended")
        assert alert["ended_reason"] == "arrived"
        w.told(OFFICE, "Davina")
        assert w.phones.texts(KIT) == []


# --- replaced within the hour (22.4), and told the name (22.5) ---


def test_the_first_acceptance_has_it_and_everybody_is_told(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, edna=EDNA_TEXTS, policy=AT_ONCE) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "cannot get there")
        kit, lou = w.told(KIT, "Cover wanted: Edna su-1"), w.told(LOU, "Cover wanted: Edna su-1")
        assert "about 20 min away" in kit["body"]
        w.says(KIT, kit, "I will go")
        w.told(KIT, "It is yours: Edna su-1, by")
        w.told(LOU, "Thank you Lou, Edna su-1 is covered now")
        told = w.told(EDNAS_MOBILE, "Kit is coming to you today instead of Davina, by about")
        assert "badge" in told["body"]
        w.told(OFFICE, "Kit goes to Edna su-1, there by about")
        w.track("replace", "reached", "sent")
        (proof,) = [c["proof"] for c in w.contacts("offer", "cw-2") if c["proof"]]
        assert proof == f"reply:{code_of(kit, 'I will go')}"
        w.says(LOU, lou, "I will go")
        w.told(LOU, "covered now", 2)
        w.arrives("cw-2")
        assert w.alert(state="ended")["ended_reason"] == "replacement_arrived"


def test_whoever_was_expected_is_told_that_somebody_else_goes(tmp_path: Path, warm: WarmStart) -> None:
    policy = AT_ONCE | {"locate_gives_up": "1s"}
    with world(tmp_path, warm, KIT_COMES, policy=policy) as w:
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(DAVE, "Kit is now going to Edna su-1. Please go on to your next visit")


def test_who_accepts_twice_is_not_told_that_it_is_covered(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES) as w:
        w.cannot()
        offer = w.told(KIT, "Cover wanted")
        w.says(KIT, offer, "I will go")
        w.told(KIT, "It is yours")
        w.says(KIT, offer, "I will go")
        w.told(KIT, "It is yours", 2)
        assert not [text for text in w.heard(KIT) if "Nothing more to do" in text]
        assert len(of_kind(w.office.facts(), "ReplacementAccepted")) == 1


def test_two_keys_accept_on_a_landline_and_the_words_keep_to_it(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, MAX_COMES, edna=EDNA_TEXTS) as w:
        w.cannot()
        call = w.phones.do(w.phones.ringing(MAX, timeout=40), "answer")
        said = spoken(call)
        assert "Hello Max" in said
        assert "Edna" in said
        call = w.phones.do(call, "press", digits="1")
        assert of_kind(w.office.facts(), "ReplacementAccepted") == []
        call = w.phones.do(call, "press", digits="3")
        assert "It is yours" in spoken(call)
        assert "in a text" not in spoken(call), "no text can reach a landline"
        w.told(EDNAS_MOBILE, "Max is coming to you today instead of Davina")
        (proof,) = [c["proof"] for c in w.contacts("offer", "cw-4") if c["proof"]]
        assert proof == "key:3"


def test_who_confirms_by_key_when_it_is_covered_hears_so(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, MAX_COMES) as w:
        w.cannot()
        call = w.phones.do(w.phones.ringing(MAX, timeout=40), "answer")
        call = w.phones.do(call, "press", digits="1")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(KIT, "It is yours")
        call = w.phones.do(call, "press", digits="3")
        assert "It is yours" not in spoken(call)
        assert "Kit has just taken that visit" in spoken(call)
        assert len(of_kind(w.office.facts(), "ReplacementAccepted")) == 1


def test_a_refusal_at_the_alert_and_a_wave_that_declines_bring_the_next_wave_at_once(
    tmp_path: Path, warm: WarmStart
) -> None:
    policy = AT_ONCE | {"offer_wave_size": 1}
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, policy=policy) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "cannot get there")
        until_sync(lambda: w.heard(KIT) or w.heard(LOU), timeout=40, what="the first wave")
        first, second = (KIT, LOU) if w.heard(KIT) else (LOU, KIT)
        assert w.phones.texts(second) == []
        w.says(first, w.told(first, "Cover wanted"), "no")
        w.says(second, w.told(second, "Cover wanted"), "I will go")
        w.told(second, "It is yours")
        assert len(w.phones.texts(first)) == 1, "who said no is left in peace"


def test_two_acceptances_in_the_same_instant_have_one_winner(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, LOU_COMES) as w:
        w.cannot()
        codes = {n: code_of(w.told(n, "Cover wanted"), "I will go") for n in (KIT, LOU)}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: w.phones.reply(n, codes[n]), codes))
        w.track("replace", "reached", "sent")
        (won,) = of_kind(w.office.facts(), "ReplacementAccepted")
        answers = of_kind(w.office.facts(), "PersonReached", purpose="offer", answer="go")
        assert answers[0]["seq"] < won["seq"], "the journal's order decides"
        until_sync(
            lambda: any("It is yours" in said for n in codes for said in w.heard(n)), what="one has it"
        )
        (mine,) = [n for n in codes if any("It is yours" in said for said in w.heard(n))]
        (other,) = set(codes) - {mine}
        w.told(other, "covered now")
        assert not [text for text in w.heard(other) if "It is yours" in text]
        assert not [text for text in w.heard(mine) if "covered" in text]


def test_acceptance_after_the_arrival_is_covered(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES) as w:
        w.cannot()
        offer = w.told(KIT, "Cover wanted")
        w.arrives("cw-1")
        w.alert(state="ended")
        answer = w.phones.reply(KIT, code_of(offer, "I will go"))
        said = until_sync(
            lambda: [t for t in w.heard(KIT) if "covered" in t], timeout=40, what=f"covered {answer}"
        )
        assert said
        assert of_kind(w.office.facts(), "ReplacementAccepted") == []


def test_cannot_after_all_asks_the_next_and_those_who_were_told_it_is_covered(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, edna=EDNA_TEXTS) as w:
        w.cannot()
        w.told(LOU, "Cover wanted")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(LOU, "covered now")
        w.says(KIT, w.told(KIT, "It is yours"), "straight away")
        again = w.told(LOU, "Cover wanted", 2)
        w.says(LOU, again, "I will go")
        w.told(LOU, "It is yours")
        w.told(EDNAS_MOBILE, "Lou is coming to you today instead of Davina")
        w.told(OFFICE, "Kit cannot get to Edna su-1")


def test_who_was_sent_and_is_not_there_is_asked_before_others_are(tmp_path: Path, warm: WarmStart) -> None:
    policy = AT_ONCE | {"locate_gives_up": "6s", "summon_call_after": "1s", "replace_within": "1h"}
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, edna=EDNA_TEXTS, policy=policy) as w:
        assert w.act("assign_replacement", to="cw-2", minutes=0).status == 200
        w.told(EDNAS_MOBILE, "Kit is coming to you today")
        asked = w.told(KIT, "no check-in at Edna su-1 by")
        assert not [text for text in w.heard(LOU) if "Cover wanted" in text]
        w.told(OFFICE, "Kit was sent to Edna su-1")
        w.says(KIT, asked, "cannot get there")
        w.says(LOU, w.told(LOU, "Cover wanted"), "I will go")
        w.told(EDNAS_MOBILE, "Lou is coming to you today")


def test_who_was_sent_and_says_nothing_gives_way(tmp_path: Path, warm: WarmStart) -> None:
    policy = AT_ONCE | {"locate_gives_up": "2s", "summon_call_after": "1s", "replace_within": "1h"}
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, policy=policy) as w:
        assert w.act("assign_replacement", to="cw-2", minutes=0).status == 200
        w.told(KIT, "no check-in at Edna su-1 by")
        w.phones.do(w.phones.ringing(KIT, timeout=40), "no-answer")
        w.told(OFFICE, "Others are being asked again")
        w.told(LOU, "Cover wanted")


def test_nobody_accepts_and_the_hour_passes(tmp_path: Path, warm: WarmStart) -> None:
    policy = AT_ONCE | {"replace_within": "8s", "locate_gives_up": "1s"}
    with world(tmp_path, warm, KIT_COMES, policy=policy) as w:
        w.told(KIT, "Cover wanted: Edna su-1")
        half = w.told(OFFICE, "left of the hour, nobody sent yet. 1 asked, 0 said no")
        w.told(OFFICE, "left of the hour, nobody sent yet", 2)
        breach = w.told(ON_CALL, "HOUR PASSED Edna su-1")
        assert "nobody sent" in breach["body"]
        assert "Edna:" in breach["body"]
        w.told(OFFICE, "HOUR PASSED")
        w.told(OFFICE, "ring the council")
        assert half["body"] != breach["body"]
        assert w.contacts("inform_council")[0]["channel"] == "email"
        assert w.alert()["state"] == "open", "a breach ends nothing"


# --- both arrive ---


def test_the_first_of_both_ends_it_and_the_other_is_told(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, policy=AT_ONCE | {"locate_gives_up": "1s"}) as w:
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(KIT, "It is yours")
        w.arrives("cw-1")
        assert w.alert(state="ended")["ended_reason"] == "arrived"
        w.told(KIT, "Thank you Kit, Edna su-1 is covered now")
        assert w.arrives("cw-2")["outcome"] == "unplanned", "kept for the record; the place is filled"
        assert len(w.office.alerts(visit="v-1")) == 1


def test_the_replacement_first_and_then_the_one_who_was_expected(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, policy=AT_ONCE) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "+ minutes", " 90")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(DAVE, "Kit is now going to Edna su-1")
        w.arrives("cw-2")
        assert w.alert(state="ended")["ended_reason"] == "replacement_arrived"
        w.arrives("cw-1")
        assert w.alert()["ended_reason"] == "replacement_arrived"
        assert w.office.visit("v-1")["places"][0]["worker"] == "cw-2"


# --- two care workers ---


def test_places_are_filled_one_by_one(tmp_path: Path, warm: WarmStart) -> None:
    row = {"workers": ["cw-1", "cw-9"], "places": 2}
    policy = AT_ONCE | {"locate_gives_up": "1s"}
    with world(
        tmp_path, warm, NORA_COMES, KIT_COMES, LOU_COMES, edna=EDNA_TEXTS, policy=policy, row=row
    ) as w:
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(KIT, "It is yours")
        w.track("replace", "trying")
        w.told(EDNAS_MOBILE, "Kit is coming to you")
        assert not [text for text in w.heard(LOU) if "covered" in text]
        assert not [text for text in w.heard(DAVE) if "is now going" in text], (
            "one of the two is still wanted"
        )
        w.says(LOU, w.told(LOU, "Cover wanted"), "I will go")
        w.told(LOU, "It is yours")
        w.track("replace", "reached", "sent")
        w.told(EDNAS_MOBILE, "Lou is coming to you")
        w.told(DAVE, "is now going to Edna su-1")
        w.told(NORA, "is now going to Edna su-1")
        assert not [text for text in w.heard(KIT) if "covered" in text]


def test_who_promised_to_come_is_not_sent_away_when_the_second_place_is_filled(
    tmp_path: Path, warm: WarmStart
) -> None:
    row = {"workers": ["cw-1", "cw-9"], "places": 2}
    with world(tmp_path, warm, NORA_COMES, KIT_COMES, policy=AT_ONCE, row=row) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "+ minutes", " 15")
        w.says(NORA, w.told(NORA, "is now an alert"), "cannot get there")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(KIT, "It is yours")
        w.track("replace", "reached", "sent")
        w.told(OFFICE, "Kit goes to Edna")
        assert not [text for text in w.heard(DAVE) if "is now going" in text]


# --- who is not asked ---


def test_who_is_excluded_lacks_skills_must_not_be_told_or_has_other_hours_is_not_asked(
    tmp_path: Path, warm: WarmStart
) -> None:
    numbers = {f"cw-{n}": f"+4477009004{n:02d}" for n in range(20, 24)}
    able = {"skills": ["hoist"]}
    others = [
        care_worker("cw-20", numbers["cw-20"], **able),  # not with her
        care_worker("cw-21", numbers["cw-21"]),  # cannot hoist
        care_worker("cw-22", numbers["cw-22"], **able),  # must never hear of her
        care_worker("cw-23", numbers["cw-23"], **able, offer_hours="holidays 03:00-03:01"),
        KIT_COMES | able,
    ]
    edna = service_user(needs=["hoist"], not_with=["cw-20"], contact_plan={"never_tell": ["cw-22"]})
    with world(tmp_path, warm, *others, edna=edna) as w:
        w.cannot()
        w.says(KIT, w.told(KIT, "Cover wanted"), "no")
        w.track("replace", "trying", "nobody_left")
        assert [w.heard(number) for number in numbers.values()] == [[]] * 4
        assert {c["person"] for c in w.contacts("offer")} == {"cw-2"}


# --- by a person of ours ---


def test_a_person_assigns_and_the_second_is_told_who_was_first(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, LOU_COMES, edna=EDNA_TEXTS) as w:
        w.cannot()
        w.told(LOU, "Cover wanted")
        assert w.act("assign_replacement", to="cw-2", minutes=15).status == 200
        w.told(KIT, "It is yours: Edna su-1, by")
        w.told(LOU, "covered now")
        w.told(EDNAS_MOBILE, "Kit is coming to you today instead of Davina, by about")
        second = w.act("assign_replacement", "st-2", to="cw-3", minutes=10)
        assert second.status == 409
        assert second.body["error"]["code"] == "already_sent"
        assert (second.body["worker"], second.body["by"]) == ("cw-2", "st-1")
        assert not [text for text in w.heard(LOU) if "It is yours" in text]


def test_two_take_it_at_once_and_the_second_hears_who_was_first(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.cannot()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda by: w.act("take", by), ("st-1", "st-2")))
        assert sorted(answer.status for answer in answers) == [200, 409]
        first = w.alert()["taken_by"]
        (refused,) = [answer.body for answer in answers if answer.status == 409]
        assert refused["error"]["code"] == "already_taken"
        assert refused["by"] == first
        assert refused["at"]


def test_what_a_person_heard_from_the_care_worker_counts(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES, edna=EDNA_TEXTS, policy=AT_ONCE) as w:
        w.told(DAVE, "is now an alert")
        assert w.act("spoke_care_worker", minutes=20).status == 200
        w.track("locate", "reached", "on_my_way")
        w.told(EDNAS_MOBILE, "Davina is on the way and should be with you by about")
        reached = of_kind(w.office.facts(), "PersonReached", purpose="locate")
        assert len(reached) == 1
        assert w.act("spoke_care_worker", reason="cannot").status == 200
        w.told(KIT, "Cover wanted: Edna su-1")
        assert w.act("spoke_care_worker", reason="perhaps").status == 400


def test_a_new_time_is_told_as_what_it_is(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, edna=EDNA_TEXTS, policy=QUICK | {"late_after": "10m"}) as w:
        asked = w.told(DAVE, "no check-in yet")
        w.says(DAVE, asked, "+ minutes", " 25")
        w.told(EDNAS_MOBILE, "about 25 minutes late")
        w.says(DAVE, asked, "+ minutes", " 40")
        w.told(EDNAS_MOBILE, "sorry, Davina is later than we said. New time about")
        w.says(DAVE, asked, "+ minutes", " 30")
        w.told(EDNAS_MOBILE, "Davina is running about 30 minutes late")
        assert len([text for text in w.heard(EDNAS_MOBILE) if "later than we said" in text]) == 1


def test_words_of_a_care_worker_that_are_no_answer_go_before_a_person(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, policy=AT_ONCE) as w:
        w.told(DAVE, "is now an alert")
        w.phones.reply(DAVE, "stuck behind a lorry love, no idea")
        w.told(DAVE, "we could not tell what you answered")
        w.told(OFFICE, "Davina has written about Edna su-1")
        w.track("locate", "trying")


def test_who_was_sent_for_nothing_and_takes_no_texts_is_rung_by_a_person(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, MAX_COMES) as w:
        w.cannot()
        call = w.phones.do(w.phones.ringing(MAX, timeout=40), "answer")
        w.phones.do(w.phones.do(call, "press", digits="1"), "press", digits="3")
        w.track("replace", "reached", "sent")
        w.arrives("cw-1")
        w.alert(state="ended")
        w.told(OFFICE, "Edna su-1 is covered without Max, who takes no texts. Please ring Max")


def test_who_was_sent_for_the_second_place_is_not_sent_away_by_the_first_arrival(
    tmp_path: Path, warm: WarmStart
) -> None:
    row = {"workers": ["cw-1", "cw-9"], "places": 2}
    with world(tmp_path, warm, NORA_COMES, KIT_COMES, edna=EDNA_TEXTS, policy=AT_ONCE, row=row) as w:
        w.says(DAVE, w.told(DAVE, "is now an alert"), "+ minutes", " 15")
        w.says(NORA, w.told(NORA, "is now an alert"), "cannot get there")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.told(EDNAS_MOBILE, "Kit is coming to you today instead of Nora, by about")
        w.arrives("cw-1")
        (late,) = (
            until_sync(
                lambda: w.office.alerts(kind="late_visit", state="ended"),
                timeout=40,
                what="the first has come",
            )
            or ()
        )
        assert late["ended_reason"] == "arrived"
        w.arrives("cw-2")
        until_sync(
            lambda: w.office.alerts(kind="second_worker_missing", state="ended"),
            timeout=40,
            what="both are there",
        )
        assert not [text for text in w.heard(KIT) if "covered" in text]


def test_what_is_said_late_of_not_being_all_right_still_rings(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, KIT_COMES) as w:
        w.cannot()
        thanks = w.told(DAVE, "We are finding cover")
        w.says(KIT, w.told(KIT, "Cover wanted"), "I will go")
        w.arrives("cw-2")
        w.alert(state="ended")
        w.says(DAVE, thanks, "if not and we ring you at once")
        w.phones.do(w.phones.ringing(OFFICE, timeout=40), "no-answer")
        assert w.office.alerts(kind="help_asked", state="open")
