"""A text counts once, however often the network hands it over; and what is said twice is said twice."""

from __future__ import annotations

from pathlib import Path

from tests.system.daemon import (
    OFFICE,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    of_kind,
    service_user,
    staff,
    visit,
)
from tests.system.daemon import now as this_moment
from tests.waiting import until_sync

QUICK = {"late_after": "1s", "ask_worker": [], "summon_next": "5m", "summon_call_after": "2m"}
FAY = "+447700900102"


def test_a_text_handed_over_again_before_and_after_a_kill_changes_nothing(
    tmp_path: Path, warm: WarmStart
) -> None:
    with (
        Telephones() as phones,
        Daemon(tmp_path, phones=phones, warm=warm, overrides=QUICK, public="off") as daemon,
    ):
        office = daemon.api("office")
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", this_moment()))
        asked = phones.text(OFFICE)["body"]
        code = asked.partition("Reply ")[2].split()[0]
        first = phones.reply(OFFICE, code)
        until_sync(lambda: office.alerts(state="taken"), what="it is taken")
        texts = until_sync(lambda: len(phones.texts(OFFICE)) >= 2 and phones.texts(OFFICE), what="thanked")
        phones.again(OFFICE, first)
        daemon.kill()
        daemon.start()
        assert phones.again(OFFICE, first)["webhook_status"] == 200
        facts = office.facts()
        assert len(of_kind(facts, "TextTaken")) == 1
        assert len(of_kind(facts, "AlertTaken")) == 1
        assert len(of_kind(facts, "AnswerHeard")) == 1
        assert texts is not False
        assert chain_break(facts) is None


def test_two_texts_with_the_same_words_are_two(tmp_path: Path, warm: WarmStart) -> None:
    with Telephones() as phones, Daemon(tmp_path, phones=phones, warm=warm, overrides=QUICK) as daemon:
        office = daemon.api("office")
        phone = {"number": FAY, "kind": "mobile"}
        office.people(service_user(phones=[phone]), staff())
        for _ in range(2):
            phones.reply(FAY, "is anybody coming")
        assert len(of_kind(office.facts(), "ReplyKept")) == 2
        assert len(of_kind(office.facts(), "TextTaken")) == 2
