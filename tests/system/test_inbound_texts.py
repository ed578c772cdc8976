"""A text counts once, however often the network hands it over; and what is said twice is said twice."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from monitor.core.texts import OF_ONE
from tests.system.daemon import (
    DESK,
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
FAY, DEE, NOBODYS = "+447700900102", "+447700900103", "+447700900987"
PAGE = f"/board/{DESK}/texts"


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


@pytest.mark.store_once("about the pages alone: what was said twice goes the same way on both")
def test_what_answers_no_question_stands_on_the_board_until_a_person_has_seen_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    open_ = build_opener(HTTPCookieProcessor()).open
    quick = QUICK | {"ack_expires": "3s"}
    with Telephones() as phones, Daemon(tmp_path, phones=phones, warm=warm, overrides=quick) as daemon:

        def go(path: str, **form: str) -> str:
            body = urlencode(form).encode() if form else None
            asked = Request(daemon.url + path, data=body, headers={"Accept": "text/html"})
            with open_(asked, timeout=15) as answer:
                return str(answer.read().decode())

        office = daemon.api("office")
        office.people(care_worker(phones=[{"number": DEE, "kind": "mobile"}]), staff())
        phones.reply(DEE, "The exhaust fell off in Elm Road")
        phones.reply(NOBODYS, "You have won <b>a prize</b>")
        until_sync(
            lambda: "waiting by text" in "".join(text["body"] for text in phones.texts(OFFICE)),
            what="whoever is on duty is told",
        )
        assert "a person reads this" in phones.texts(DEE)[-1]["body"]
        assert phones.texts(NOBODYS) == []

        board, page = go(f"/board/{DESK}"), go(PAGE)
        assert "Texts nobody has answered" in board
        assert "an unknown number" in board
        assert "exhaust" not in board
        assert NOBODYS not in board
        assert "The exhaust fell off in Elm Road" in page
        assert NOBODYS in page
        assert "&lt;b&gt;a prize" in page

        forms = re.findall(
            r'action="([^"]+/texts/[^"]+)".*?name="token" value="([^"]+)".*?"last" value="(\d+)"', page, re.S
        )
        for path, token, last in forms:
            go(path, token=token, last=last, by="st-1", action="seen")
        assert "No text waits for anybody." in go(PAGE)
        assert "Texts nobody has answered" not in go(f"/board/{DESK}")
        facts = office.facts()
        assert len(of_kind(facts, "TextsSeen")) == len(forms) == 2
        assert NOBODYS not in str(facts)
        assert "exhaust" not in str(facts)
        assert NOBODYS not in daemon.log
        for _ in range(OF_ONE + 1):
            phones.reply(NOBODYS, "You have won again")
        assert 'callwatch_quarantine_total{reason="stranger",source="phone"} 1.0' in go("/metrics")
        assert f"{OF_ONE} or more texts since" in go(PAGE)
