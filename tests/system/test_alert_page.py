"""The page of an alert and its record, on a real daemon with telephones as objects and a person at a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.system.chromium import browser
from tests.system.daemon import (
    DAVE,
    DESK,
    EDNA,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
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
COUNCIL = [{"name": "EDT", "phone": "+441632960900", "hours": "daily 00:00-24:00"}]
NED, NORA, NIECE = "+447700900301", "+447700900018", "+447700900302"
QUICK = {
    "late_after": "2s",
    "ask_worker": ["500ms"],
    "reassure_retry": "1m",
    "summon_next": "1m",
    "summon_call_after": "30s",
}


class World:
    """Edna is late-visited; Davina should be there, Nora could go; Ned is to be told, and the niece never."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones
        self.office = daemon.api("office")
        edna = service_user(
            next_of_kin=["nok-1", "nok-2"], contact_plan={"lives_alone": True, "never_tell": ["nok-2"]}
        )
        self.office.people(
            edna,
            care_worker(),
            care_worker("cw-2", NORA) | {"name": "Nora Fairweather"},
            kin("nok-1", NED, "Ned Quillfeather"),
            kin("nok-2", NIECE, "Nell Quillfeather"),
            staff(),
            staff("st-2", ON_CALL) | {"name": "Petra Larkspur"},
        )
        self.office.rota(visit("v-1", this_moment()))
        self.alert = self.office.alert("v-1", timeout=40)["id"]

    def act(self, action: str, by: str = "st-1", **more: Any) -> Any:
        return self.office.post(f"./alerts/{self.alert}/actions", {"action": action, "by": by, **more})

    def refused(self, action: str, by: str, **more: Any) -> tuple[int, dict[str, Any]]:
        answer = self.office.call("POST", self.path("actions"), {"action": action, "by": by, **more})
        return answer.status, answer.body

    def path(self, tail: str) -> str:
        return f"./alerts/{self.alert}/{tail}"

    def record(self, api: Api | None = None) -> list[dict[str, Any]]:
        found = (api or self.office).get(f"./alerts/{self.alert}/record")
        assert isinstance(found["lines"], list)
        return found["lines"]


def kin(name: str, number: str, full: str) -> dict[str, Any]:
    return {"id": name, "role": "contact", "name": full, "phones": [{"number": number, "kind": "mobile"}]}


@contextmanager
def world(folder: Path, warm: WarmStart, **overrides: Any) -> Iterator[World]:
    options = {"duty": DUTY, "overrides": QUICK | overrides, "council_desks": COUNCIL}
    with Telephones(speed=20) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        yield World(daemon, phones)


def some(lines: list[dict[str, Any]], kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        one
        for one in lines
        if one["kind"] == kind and all(one.get(name) == value for name, value in fields.items())
    ]


def test_the_record_answers_when_by_which_channel_with_what_proof_and_who_also_when_it_is_long_over(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, closes_after="1s") as w:
        w.phones.text(DAVE)
        call = w.phones.do(w.phones.ringing(EDNA, timeout=40), "answer")
        w.phones.do(call, "press", digits="1")
        w.act("take")
        w.act("note", by="st-2", note="The key is with the warden.")
        assert [one["worker"] for one in w.office.get(f"./alerts/{w.alert}/candidates")["candidates"]][
            :1
        ] == ["cw-2"]
        w.act("assign_replacement", to="cw-2", minutes=12)
        w.act("close", reason="seen_well")
        gone = f"./alerts/{w.alert}"
        before = w.office.get(gone)
        until_sync(lambda: not w.office.alerts(id=w.alert), what="it left the state")
        after = w.office.get(gone)
        assert after.keys() == before.keys()
        assert (after["state"], after["taken_by"], after["due_at"]) == ("ended", "st-1", before["due_at"])
        assert {one["key"] for one in after["contacts"]} >= {one["key"] for one in before["contacts"][2:]}
        lines = w.record(w.daemon.api("auditor"))
        assert [one["seq"] for one in lines] == sorted(one["seq"] for one in lines)
        (raised,) = some(lines, "AlertRaised")
        assert (raised["result"], raised["who"]) == ("late_visit", "su-1")
        asked = some(lines, "MessageAttempted", purpose="ask_worker")
        assert [(one["who"], one["channel"]) for one in asked] == [("cw-1", "sms"), ("cw-1", "call")]
        assert asked[0]["at"] < raised["at"], "what was asked before the alert belongs to it"
        rung = some(lines, "MessageAttempted", purpose="reassure")
        assert [(one["who"], one["channel"]) for one in rung] == [("su-1", "call")]
        (reached,) = some(lines, "PersonReached", purpose="reassure")
        assert reached["proof"] == "key:1"
        done = [(one["action"], one["who"], one.get("to")) for one in some(lines, "ActionRecorded")]
        assert done == [
            ("take", "st-1", None),
            ("note", "st-2", None),
            ("assign_replacement", "st-1", "cw-2"),
            ("close", "st-1", None),
        ]
        assert some(lines, "ActionRecorded", action="note")[0]["words"] == "The key is with the warden."
        assert some(lines, "ReplacementAccepted")[0]["proof"] == "person:st-1"
        assert some(lines, "AlertEnded")[0]["by"] == "st-1"
        view = w.office.get(f"{gone}/record")["alert"]
        assert (view["state"], view["ended_reason"]) == ("ended", "outcome_recorded")
        until_sync(lambda: "record_read" in w.daemon.log, what="that it was read is logged")
        assert "warden" not in w.daemon.log
        for role in ("intake", "operator"):
            assert w.daemon.api(role).call("GET", w.path("record")).status == 403
        assert w.daemon.api("auditor").call("GET", w.path("candidates")).status == 403
        assert w.office.call("GET", "./alerts/a-nowhere/record").status == 404
        assert w.office.call("GET", "./alerts/a-nowhere").status == 404


def test_of_two_who_act_at_once_the_second_hears_who_was_first(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.act("take")
        status, body = w.refused("take", "st-2")
        assert (status, body["error"]["code"], body["by"]) == (409, "already_taken", "st-1")
        assert body["at"]
        w.act("assign_replacement", to="cw-2", minutes=12)
        status, body = w.refused("assign_replacement", "st-2", to="cw-1", minutes=3)
        assert (status, body["error"]["code"], body["by"], body["worker"]) == (
            409,
            "already_sent",
            "st-1",
            "cw-2",
        )
        w.act("stop_track", by="st-2", track="reassure")
        status, body = w.refused("stop_track", "st-1", track="reassure")
        assert (status, body["error"]["code"], body["by"]) == (409, "already_stopped", "st-2")
        w.act("close", by="st-2", reason="seen_well")
        status, body = w.refused("close", "st-1", reason="away")
        assert (status, body["error"]["code"], body["by"]) == (409, "already_ended", "st-2")
        assert w.refused("stop_track", "st-1")[0] == 409, "it is over, whatever is missing"


async def opened(chromium: Any, w: World, **context: Any) -> Page:
    page: Page = await (await chromium.new_context(**context)).new_page()
    await page.goto(f"{w.daemon.url}/board/{DESK}/alerts/{w.alert}")
    return page


async def test_a_person_steers_an_alert_from_its_page(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        async with browser() as chromium:
            page = await opened(chromium, w, viewport={"width": 1300, "height": 900})
            await page.locator("#by").select_option("st-1")
            await expect(page.locator("a[href='tel:+441632960101']")).to_contain_text(
                "Ring Edna Quillfeather"
            )
            await expect(page.locator(".phones")).to_contain_text(
                "Nell Quillfeather (next of kin): must not be told"
            )
            assert await page.locator(f"a[href='tel:{NIECE}']").count() == 0
            await page.locator("#d-script summary").click()
            await expect(page.locator(".script")).to_contain_text("Bright Care")

            await page.locator("#stop-reassure").click()
            await expect(page.locator(".tracks")).to_contain_text("stopped by Orla Pennyfarthing")
            await expect(page.locator(".record")).to_contain_text("Stopped: service user")

            await page.locator("#now-replace").click()
            await expect(page.locator(".candidates")).to_contain_text("Asked, no answer yet")
            await page.locator("#note").fill("Nora knows Edna.")
            await page.get_by_role("button", name="Send Nora Fairweather,").click()
            await expect(page.locator(".candidates")).to_contain_text("Nora Fairweather is going.")
            await expect(page.locator(".record q").first).to_have_text("Nora knows Edna.")

            await page.get_by_role("button", name="Record: I spoke to Edna Quillfeather, all right").click()
            await expect(page.locator(".tracks")).to_contain_text("Service user reached")
            await page.locator("#note").press_sequentially("draft")
            await page.locator("#reason").select_option("seen_well")
            await page.locator("#close").click()
            await expect(page.locator(".held-by")).to_contain_text("Over")
        actions = [one["action"] for one in some(w.record(), "ActionRecorded")]
        assert actions == ["stop_track", "do_now", "assign_replacement", "spoke_service_user", "close"]


async def test_the_second_keeps_what_they_wrote_on_a_telephone_without_scripts(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        async with browser() as chromium:
            page = await opened(
                chromium, w, viewport={"width": 360, "height": 740}, java_script_enabled=False
            )
            await page.locator("#by").select_option("st-2")
            await page.locator("#note").fill("I am ten minutes away.")
            w.act("assign_replacement", to="cw-2", minutes=5)
            await page.locator("#sent").select_option("cw-1")
            await page.locator("#eta").fill("10")
            await page.locator("#send").click()
            await expect(page.locator("h1")).to_have_text("Somebody was first")
            await expect(page.locator("main")).to_contain_text("Orla Pennyfarthing was first, at")
            await expect(page.locator("#note")).to_have_value("I am ten minutes away.")
            await page.locator("#keep").click()
            await expect(page.locator(".record q").first).to_have_text("I am ten minutes away.")
        notes = some(w.record(), "ActionRecorded", action="note")
        assert [(one["who"], one["words"]) for one in notes] == [("st-2", "I am ten minutes away.")]
