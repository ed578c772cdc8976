"""The manager's check from outside (spec 10.4): a real daemon, telephones as objects, a limit of seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.system.chromium import browser
from tests.system.daemon import (
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    Answer,
    Api,
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

DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
QUICK = {
    "late_after": "500ms",
    "ask_worker": [],
    "replace_within": "1s",
    "summon_next": "10m",
    "summon_call_after": "5m",
    "check_within": "2s",
}
ANSWERS = {"by": "st-2", "adequate": True, "safeguarding": "not_raised", "serious_incident": False}
BECAUSE = "She was at her sister's and quite well."


class World:
    """Edna was expected to be visited, and nobody was sent within her hour."""

    def __init__(self, daemon: Daemon, phones: Telephones, visits: int) -> None:
        self.daemon, self.phones = daemon, phones
        office = self.office
        office.people(
            *(service_user(f"su-{n}", f"+4416329601{n:02}") for n in range(1, visits + 1)),
            care_worker(),
            staff(),
            staff("st-2", ON_CALL) | {"name": "Petra Larkspur"},
        )
        rows = [visit(f"v-{n}", this_moment(), service_user=f"su-{n}") for n in range(1, visits + 1)]
        office.rota(*rows)

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    @property
    def manager(self) -> Api:
        return self.daemon.api("manager")

    def breached_and_over(self, visits: int = 1) -> list[str]:
        """Every hour passed, and a named person recorded each outcome. The alerts' ids."""

        def breached() -> bool:
            return len(of_kind(self.office.facts(), "TrackMoved", track="replace", index=3)) >= visits

        until_sync(breached, timeout=30, what="the hour has passed for all of them")
        ids = [alert["id"] for alert in self.office.alerts(kind="late_visit")]
        for one in ids:
            self.office.post(
                f"./alerts/{one}/actions", {"action": "close", "by": "st-1", "reason": "visit_made"}
            )
        return ids

    def waiting(self) -> list[dict[str, Any]]:
        found = self.office.get("./alerts?check=open")["alerts"]
        assert isinstance(found, list)
        return found

    def check(self, alert: str, api: Api | None = None, **answers: Any) -> Answer:
        body = {"action": "check"} | ANSWERS | {"note": BECAUSE} | answers
        return (api or self.manager).call("POST", f"./alerts/{alert}/actions", body)

    def reminders(self, number: str = ON_CALL) -> list[str]:
        return [t["body"] for t in self.phones.texts(number) if "manager's check" in t["body"]]


@contextmanager
def world(folder: Path, warm: WarmStart, visits: int = 1, **overrides: Any) -> Iterator[World]:
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, warm=warm, duty=DUTY, overrides=QUICK | overrides) as daemon,
    ):
        yield World(daemon, phones, visits)


def test_a_breach_waits_for_the_check_and_the_manager_who_does_not_answer_is_texted_again_and_again(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        (alert,) = w.breached_and_over()
        (waiting,) = w.waiting()
        assert (waiting["id"], waiting["check"]["reasons"], waiting["check"]["by"]) == (
            alert,
            ["breach"],
            None,
        )
        until_sync(lambda: len(w.reminders()) >= 2, timeout=40, what="she is reminded twice")
        assert "manager's check: 1," in w.reminders()[0]
        assert w.reminders(OFFICE) == w.reminders(EDNA) == []
        assert w.check(alert).status == 200
        assert w.waiting() == []
        lines = w.office.get(f"./alerts/{alert}/record")["lines"]
        (answered,) = [line for line in lines if line["kind"] == "CheckRecorded"]
        assert (answered["who"], answered["adequate"], answered["serious_incident"]) == ("st-2", True, False)
        assert answered["safeguarding"] == "not_raised"
        (written,) = [line for line in lines if line.get("action") == "check"]
        assert written["words"] == BECAUSE
        assert chain_break(w.office.facts()) is None


@pytest.mark.parametrize(
    ("role", "answers", "status", "path"),
    [
        ("manager", {"adequate": None}, 400, "adequate"),
        ("manager", {"safeguarding": None}, 400, "safeguarding"),
        ("manager", {"note": None}, 400, "note"),
        ("manager", {"serious_incident": None}, 400, "serious_incident"),
        ("manager", {"safeguarding": "perhaps"}, 400, "safeguarding"),
        ("manager", {"by": "st-1"}, 403, "by"),
        ("office", {}, 403, None),
        ("on_call", {}, 403, None),
    ],
)
def test_three_answers_of_a_manager_and_nothing_less(
    checked: World, role: str, answers: dict[str, Any], status: int, path: str | None
) -> None:
    (alert,) = checked.waiting()
    refused = checked.check(alert["id"], checked.daemon.api(role), **answers)
    assert (refused.status, refused.body["error"]["path"]) == (status, path)
    assert checked.waiting()[0]["check"]["by"] is None


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, warm: WarmStart) -> Iterator[World]:
    """One whose alert waits for its check for a long while."""
    with world(tmp_path_factory.mktemp("checked"), warm, check_within="1d") as w:
        w.breached_and_over()
        yield w


def test_thirty_that_wait_are_one_text_and_a_kill_loses_none_of_them(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, visits=30, check_within="20s", place_radius_m=80.0) as w:
        ids = w.breached_and_over(30)
        w.daemon.kill()
        w.daemon.start()
        w.phones.leads_to(w.daemon)
        assert {alert["id"] for alert in w.waiting()} == set(ids)
        until_sync(lambda: len(w.reminders()) == 1, timeout=40, what="one text for all of them")
        assert "manager's check: 30," in w.reminders()[0]
        assert len(of_kind(w.office.facts(), "ChecksReminded")) == 1
        for one in ids:
            assert w.check(one).status == 200
        assert w.waiting() == []


def test_a_wrong_value_of_the_query_is_said(checked: World) -> None:
    answer = checked.office.call("GET", "./alerts?check=closed")
    assert (answer.status, answer.body["error"]["path"]) == (400, "check")


async def test_the_board_lists_it_and_the_page_of_the_alert_has_the_form(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, check_within="1d") as w:
        (alert,) = w.breached_and_over()
        async with browser() as chromium:
            page = await (await chromium.new_context(viewport={"width": 1300, "height": 900})).new_page()
            await page.goto(f"{w.daemon.url}/board/{DESK}")
            await page.locator("#d-checks summary").click()
            await expect(page.locator("#d-checks li")).to_contain_text("nobody was sent within the hour")
            await page.locator(f"#c-{alert}").click()
            await page.locator("#by").select_option("st-2")
            await page.locator("#adequate").select_option("no")
            await page.locator("#safeguarding").select_option("not_raised")
            await page.locator("#serious_incident").select_option("yes")
            await page.locator("#check").click()
            await expect(page.locator("body")).to_contain_text(
                "why no safeguarding concern was raised, in words"
            )
            await page.go_back()
            await page.locator("#by").select_option("st-2")
            await page.locator("#note").fill(BECAUSE)
            await page.locator("#adequate").select_option("no")
            await page.locator("#safeguarding").select_option("not_raised")
            await page.locator("#serious_incident").select_option("yes")
            await page.locator("#check").click()
            await expect(page.locator(".alert-head")).to_contain_text(
                "Checked by Petra Larkspur: action not adequate; "
                "a safeguarding concern was considered and not raised; serious incident."
            )
            await expect(page.locator(".record q").first).to_have_text(BECAUSE)
            assert await page.locator("#check-form").count() == 0
        assert w.waiting() == []
