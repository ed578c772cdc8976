"""The board as a person meets it: over HTTP, and in a real browser that sees an alert appear and takes it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import argon2
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from connectors.board import BoardOptions, words
from connectors.http_api import build_app, serve
from connectors.ports import ApiProblem, EdgeError
from escalation.wording import forbidden
from monitor.core import views
from monitor.core.views import (
    BoardVisit,
    CandidateView,
    DarkView,
    PackageVisit,
    PlaceView,
    RecordingView,
    RecordLine,
    TelephoneView,
    TrackView,
    UnwatchedRow,
    VisitView,
    WrongNumberView,
)
from tests.fakes.desks import NOW, FakeDesks, alert_view, board_view, contact, on_board
from tests.system.chromium import browser
from tests.waiting import until

pytestmark = pytest.mark.store_once("the desks behind the pages are fakes: no store is opened")

PASSWORD = "a long walk before breakfast"
HASH = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
STAFF = {"st-1": "Anna Weber", "st-2": "Priya Nair"}
HTML = {"Accept": "text/html"}
BOARD = Path(__file__).parents[2] / "connectors" / "board"

Client = TestClient[web.Request, web.Application]


async def no_metrics() -> bytes:
    return b""


def options(**changes: Any) -> BoardOptions:
    return BoardOptions(**{"session_key": b"k" * 32, "staff": lambda _: STAFF, **changes})


def application(desks: FakeDesks, *, loopback: bool = True, **changes: Any) -> web.Application:
    return build_app(desks, metrics=no_metrics, loopback=loopback, board=options(**changes))


def client_of(desks: FakeDesks, **changes: Any) -> Client:
    app = application(desks, **changes)
    # the test server listens on 127.0.0.1, whose cookies aiohttp's client keeps only when told to
    return TestClient(TestServer(app), cookie_jar=aiohttp.CookieJar(unsafe=True))


@pytest.fixture
def desks() -> FakeDesks:
    return FakeDesks(("dom",))


@pytest.fixture
async def open_board(desks: FakeDesks) -> AsyncIterator[Client]:
    """No password, on loopback, as in the demo."""
    async with client_of(desks) as client:
        yield client


@pytest.fixture
async def locked_board(desks: FakeDesks) -> AsyncIterator[Client]:
    async with client_of(desks, loopback=False, password_hash=HASH) as client:
        yield client


async def page(client: Client, path: str, status: int = 200) -> str:
    answer = await client.get(path, headers=HTML)
    assert answer.status == status
    assert answer.content_type == "text/html"
    return await answer.text()


async def token_of(client: Client, path: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', await page(client, path))
    assert found is not None
    return found[1]


async def sign_in(client: Client, password: str = PASSWORD, after: str = "") -> aiohttp.ClientResponse:
    form = {"token": await token_of(client, "/sign-in"), "password": password, "next": after}
    return await client.post("/sign-in", data=form, headers=HTML, allow_redirects=False)


# --- signing in ---


async def test_a_page_asks_for_the_password_first_and_then_goes_where_it_was_going(
    locked_board: Client,
) -> None:
    answer = await locked_board.get("/board/dom", headers=HTML, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/board/dom")
    answer = await sign_in(locked_board, after="/board/dom")
    assert (answer.status, answer.headers["Location"]) == (303, "/board/dom")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=43200" in cookie
    assert "Bright Care" in await page(locked_board, "/board/dom")


async def test_the_cookie_is_secure_behind_https(desks: FakeDesks) -> None:
    async with client_of(desks, loopback=False, password_hash=HASH, https=True) as client:
        answer = await client.get("/sign-in", headers=HTML)
        assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/board/", "/\\evil.example", "/v1"]
)
async def test_signing_in_never_leads_to_another_site(locked_board: Client, elsewhere: str) -> None:
    answer = await sign_in(locked_board, after=elsewhere)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_a_wrong_password_is_refused_and_the_sixth_try_must_wait_even_when_right(
    locked_board: Client,
) -> None:
    for _ in range(5):
        assert (await sign_in(locked_board, "guess")).status == 403
    answer = await sign_in(locked_board)
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert "Please wait" in await answer.text()


async def test_a_sign_in_form_without_its_token_is_refused(locked_board: Client) -> None:
    await token_of(locked_board, "/sign-in")
    answer = await locked_board.post("/sign-in", data={"password": PASSWORD, "token": "x"}, headers=HTML)
    assert answer.status == 403
    assert "open it again" in await answer.text()


async def test_signing_out_ends_the_session_in_this_browser(locked_board: Client) -> None:
    await sign_in(locked_board)
    token = await token_of(locked_board, "/board/dom")
    assert (await locked_board.post("/sign-out", data={"token": token}, allow_redirects=False)).status == 303
    assert (await locked_board.get("/board/dom", headers=HTML, allow_redirects=False)).status == 303


async def test_a_session_ends_after_12_hours_and_with_the_password(desks: FakeDesks) -> None:
    moment = [NOW]
    app = build_app(
        desks,
        metrics=no_metrics,
        loopback=False,
        board=options(password_hash=HASH),
        now=lambda: moment[0],
    )
    jar = aiohttp.CookieJar(unsafe=True)
    async with TestClient(TestServer(app), cookie_jar=jar) as client:
        await sign_in(client)
        moment[0] = NOW + timedelta(hours=12, seconds=-1)
        assert (await client.get("/board/dom", headers=HTML, allow_redirects=False)).status == 200
        moment[0] = NOW + timedelta(hours=12)
        assert (await client.get("/board/dom", headers=HTML, allow_redirects=False)).status == 303
        cookie = jar.filter_cookies(client.make_url("/"))["callwatch"].value
    moment[0] = NOW
    other = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("another")
    async with client_of(desks, loopback=False, password_hash=other) as client:
        headers = {"Cookie": f"callwatch={cookie}", **HTML}
        assert (await client.get("/board/dom", headers=headers, allow_redirects=False)).status == 303


async def test_a_script_whose_session_is_over_hears_401(locked_board: Client) -> None:
    for path in ("/board/dom/fragment", "/board/dom/events"):
        assert (await locked_board.get(path)).status == 401


async def test_without_a_password_another_sites_name_opens_nothing(open_board: Client) -> None:
    assert (await open_board.get("/board/dom", headers=HTML)).status == 200
    assert (await open_board.get("/board/dom", headers={"Host": "evil.example", **HTML})).status == 403
    assert (await open_board.get("/v1/desks/dom/visits")).status == 401, (
        "no password is no session for the API"
    )


async def test_the_session_counts_as_office_on_the_api_and_needs_its_token_to_act(
    locked_board: Client, desks: FakeDesks
) -> None:
    desks.alert_views = {"al-1": alert_view()}
    assert (await locked_board.get("/v1/desks/dom/alerts")).status == 401
    await sign_in(locked_board)
    for path in ("visits", "alerts", "alerts/al-1", "facts"):
        assert (await locked_board.get(f"/v1/desks/dom/{path}")).status == 200
    assert (await locked_board.put("/v1/desks/dom/rota", json={"visits": []})).status == 401
    act = {"action": "take", "by": "st-1"}
    assert (await locked_board.post("/v1/desks/dom/alerts/al-1/actions", json=act)).status == 403
    token = {"X-CSRF-Token": await token_of(locked_board, "/board/dom")}
    answer = await locked_board.post("/v1/desks/dom/alerts/al-1/actions", json=act, headers=token)
    assert answer.status == 200
    assert [action.action for _, _, action in desks.actions] == ["take"]


# --- what it shows ---


def visit(
    visit_id: str,
    stage: Any,
    hour: int,
    *,
    signal: Any = "known",
    alert: str | None = None,
    risk: str | None = None,
    check_out: str | None = None,
) -> BoardVisit:
    start = NOW.replace(hour=hour, minute=30)
    return BoardVisit(
        visit=VisitView(
            id=visit_id,
            subject="m",
            service_user="su",
            start=start,
            end=start,
            late_at=start,
            stage=stage,
            signal=signal,
            verdicts=(),
            places=(
                PlaceView(
                    worker="cw-1", arrived=start, left=None, evidence="electronic", check_out=check_out
                ),
            )
            if check_out
            else (),
            alert=alert,
            time_critical=False,
            planned=(),
            risk=risk,
        ),
        who=f"who of {visit_id}",
        carers=("D.",),
    )


async def test_one_desk_is_opened_at_once_and_several_are_offered(
    desks: FakeDesks, open_board: Client
) -> None:
    answer = await open_board.get("/", headers=HTML, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/board/dom")
    desks.ids = ["dom", "eve"]
    text = await page(open_board, "/")
    assert 'href="/board/dom"' in text
    assert 'href="/board/eve"' in text


async def test_the_empty_board_says_that_the_watch_is_alive(open_board: Client) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", await page(open_board, "/board/dom")))
    assert "Nothing needs you." in text
    assert "watching 61 of 61 due" in text
    assert "Last check-in 12 s ago, next deadline 08:05." in text
    for section in ("Needs you", "Being dealt with", "Unknown", "At risk", "Not watched", "Today"):
        assert section in text


async def test_an_alert_about_nobody_in_particular_is_headed_by_the_desk(
    desks: FakeDesks, open_board: Client
) -> None:
    """The rota: its heading was a link without a word, and the page of it had no name."""
    rota = alert_view(kind="rota", visit=None, service_user=None, reason="rows_not_watched", contacts=())
    await desks.raise_alert(on_board(rota, who="", carer=None, start=None))
    board = await page(open_board, "/board/dom")
    assert re.search(r'<h3><a href="/board/dom/alerts/al-1" id="a-al-1">Bright Care</a>', board)
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "<title>the rota needs mending · Bright Care</title>" in text
    assert "<h1>Bright Care <strong>" in text


async def test_one_referral_and_one_visit_are_one(desks: FakeDesks, open_board: Client) -> None:
    desks.boards["dom"] = board_view(referrals=1, visits=(visit("v-1", "planned", 9),))
    text = re.sub(r"<[^>]+>", "", await page(open_board, "/board/dom"))
    assert "1 waits for an answer" in text
    assert re.search(r": 1 visit\b", text)
    assert "1 visits" not in text


async def test_a_wrong_number_is_shown_to_be_mended_and_no_number_with_it(
    desks: FakeDesks, open_board: Client
) -> None:
    assert "Wrong numbers" not in await page(open_board, "/board/dom")
    wrong = WrongNumberView(person="c-1", name="Ned Quillfeather", line="landline", since=NOW)
    desks.boards["dom"] = board_view(wrong_numbers=(wrong,))
    text = await page(open_board, "/board/dom")
    assert "Wrong numbers" in text
    assert "Ned Quillfeather (c-1): their landline" in text


async def test_first_visits_of_packages_say_what_the_office_has_to_do(
    desks: FakeDesks, open_board: Client
) -> None:
    assert "First visits of packages" not in await page(open_board, "/board/dom")
    said: dict[PackageVisit, str] = {
        "unnamed": "is planned and watched. Please put the person",
        "called_off": "is called off: the council has the package back",
        "kept": "stays and is watched, because you have planned it as your own",
    }
    visits = [(visit(f"package-hall-{how}", "planned", 9), how) for how in said]
    desks.boards["dom"] = board_view(
        packages=tuple(
            structs.replace(one, visit=structs.replace(one.visit, package=how)) for one, how in visits
        )
    )
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", await page(open_board, "/board/dom")))
    for how, told in said.items():
        assert f"package-hall-{how} {told}" in text


async def test_the_board_shows_every_section_with_what_belongs_there(
    desks: FakeDesks, open_board: Client
) -> None:
    late = on_board(alert_view(time_critical=True))
    held = on_board(
        alert_view("al-2", state="taken", taken_by="st-2", taken_at=NOW), who="M. 2214", taken_by_name="P."
    )
    over = on_board(alert_view("al-3", state="ended", ended_reason="arrived", ended_at=NOW), who="gone")
    desks.boards["dom"] = board_view(
        alerts=(late, held, over),
        dark=(DarkView(cause="device", subject="K.", since=NOW - timedelta(minutes=51), visits=4),),
        unwatched=(UnwatchedRow(row=14, visit="v-9", code="no_time", since=NOW),),
        visits=(
            visit("v-1", "late", 7, alert="al-1"),
            visit("v-2", "left", 6),
            visit("v-3", "planned", 8, risk="still_at_last"),
            visit("v-4", "planned", 9, risk="too_far"),
        ),
        public="off",
    )
    text = await page(open_board, "/board/dom")
    needs, rest = text.split('class="taken"')
    assert "E. 1187" in needs
    assert "32 min</time> late" in needs
    assert "due 07:30 with D." in needs
    assert "time critical" in needs
    assert "M. 2214" in rest
    assert "P. has it" in rest
    assert "telephone dark: K." in rest
    assert "4 visits not known" in rest
    assert "Row 14 (v-9): no time that can be read" in rest
    assert "1 visit in the next hour may become late" in rest  # not the one that begins in an hour and a half
    assert "care worker still at the visit before" in rest
    assert "<b>1</b> late" in rest
    assert "gone" not in text
    assert "Public messages are off" in text


async def test_who_has_not_checked_out_is_listed_while_they_are_asked(
    desks: FakeDesks, open_board: Client
) -> None:
    asked = ("texted", "rung", "again", "still_here")
    others = ("waiting", "on_call", "left", "ring_me")
    visits = [visit(f"v-{code}", "arrived", 7, check_out=code) for code in (*asked, *others)]
    desks.boards["dom"] = board_view(visits=tuple(visits))
    text = await page(open_board, "/board/dom")
    assert "4 visits without a check-out" in text
    listed = text.split('id="d-check-outs"')[1].split("</details>")[0]
    assert [code for code in (*asked, *others) if f"who of v-{code}" in listed] == list(asked)
    assert "no check-out: care worker texted" in listed
    desks.boards["dom"] = board_view(visits=())
    assert "without a check-out" not in await page(open_board, "/board/dom")


async def test_of_a_care_worker_who_has_not_checked_out_the_page_says_why_and_asks_whether_they_have_left(
    desks: FakeDesks, open_board: Client
) -> None:
    await desks.raise_alert(on_board(alert_view(kind="lone_worker", reason="check_out_silent")))
    desks.pages["al-1"] = everything()
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "not answered" in text
    assert 'value="spoke_care_worker:left"' in text
    assert 'value="spoke_care_worker:still_here"' in text
    assert 'value="spoke_care_worker:there"' not in text
    for said in ("left", "still_here"):
        assert (await press(open_board, action=f"spoke_care_worker:{said}", worker="cw-1")).status == 303
    assert [action.reason for _, _, action in desks.actions] == ["left", "still_here"]


async def test_the_degraded_board_tells_the_truth_in_words(desks: FakeDesks, open_board: Client) -> None:
    desks.degraded = True
    text = await page(open_board, "/board/dom")
    assert "The record cannot be written to disk" in text
    assert "contacting nobody but the people on duty" in text


async def test_names_are_escaped(desks: FakeDesks, open_board: Client) -> None:
    desks.boards["dom"] = board_view(
        name="<script>alert(1)</script>", alerts=(on_board(alert_view(), who="<b>E</b>"),)
    )
    text = await page(open_board, "/board/dom")
    assert "<script>alert" not in text
    assert "<b>E</b>" not in text


async def test_the_alert_page_is_a_timeline_newest_first(desks: FakeDesks, open_board: Client) -> None:
    contacts = (
        contact("k1", "st-1", "summon", "sms", "delivered"),
        contact("k2", "su-1187", "reassure", "call", "voicemail"),
        contact("k3", "su-1187", "reassure", "call", "answered", "key:1"),
        contact("k4", "su-1187", "reassure", "sms", "rehearsed"),
    )
    await desks.raise_alert(on_board(alert_view(contacts=contacts)))
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "voicemail, which is not contact" in text.lower()
    assert "pressed 1" in text
    assert "would have been sent" in text.lower()
    assert "Anna Weber" in text, "a member of staff by name"
    assert text.index("pressed 1") < text.index("Alert raised")
    assert "trying now, office hours" in text
    assert "next at 08:05" in text
    for button in ("I have it", "Record: I spoke to E. 1187", "Add the note", "Record the outcome"):
        assert button in text


async def test_what_a_caller_left_can_be_heard_on_the_alert_page(
    desks: FakeDesks, open_board: Client
) -> None:
    nothing = RecordingView(at=NOW, came="nothing", seconds=0)
    await desks.raise_alert(on_board(alert_view(kind="message", visit=None, recordings=(nothing,))))
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "reached nobody, and said nothing" in text
    words = RecordingView(at=NOW, came="words", seconds=9)
    left = alert_view(kind="message", visit=None, recordings=(nothing, words))
    desks.boards["dom"] = board_view(alerts=(on_board(left),))
    desks.alert_views["al-1"] = left
    async with open_board.get("/board/dom/alerts/al-1") as answer:
        html = await answer.text()
        assert "media-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "A message was left" in html
    assert 'src="/board/dom/alerts/al-1/recording"' in html
    desks.sound = b"sound"
    async with open_board.get("/board/dom/alerts/al-1/recording") as answer:
        assert (answer.status, await answer.read()) == (200, b"sound")
    for sound, status in ((None, 404), (EdgeError("provider_down"), 503)):
        desks.sound = sound
        async with open_board.get("/board/dom/alerts/al-1/recording") as answer:
            assert answer.status == status


async def test_an_alert_that_has_left_the_board_is_still_found(desks: FakeDesks, open_board: Client) -> None:
    desks.alert_views = {"al-1": alert_view(state="ended", ended_reason="late_evidence", ended_at=NOW)}
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "su-1187" in text
    assert "the record reached us late" in text
    assert "I have it" not in text
    assert "Record the outcome" not in text
    assert "nothing here" in (await page(open_board, "/board/dom/alerts/al-2", 404)).lower()


async def test_an_id_with_a_slash_and_odd_signs_is_found_by_its_link(
    desks: FakeDesks, open_board: Client
) -> None:
    odd = "late/v-1 & co?#é"
    await desks.raise_alert(on_board(alert_view(odd)))
    link = re.search(r'<h3><a href="([^"]+)"', await page(open_board, "/board/dom"))
    assert link is not None
    assert "E. 1187" in await page(open_board, link[1].replace("&amp;", "&"))


# --- what a person presses ---


async def press(client: Client, path: str = "/board/dom/alerts/al-1", **form: str) -> aiohttp.ClientResponse:
    form = {"token": await token_of(client, path), "by": "st-1", **form}
    return await client.post(f"{path}/actions", data=form, headers=HTML, allow_redirects=False)


async def test_every_button_does_what_it_says(desks: FakeDesks, open_board: Client) -> None:
    await desks.raise_alert(on_board(alert_view()))
    for form in (
        {"action": "take", "back": "board"},
        {"action": "spoke_service_user", "note": "had slept in"},
        {"action": "note", "note": "key is with the warden"},
        {"action": "spoke_care_worker:on_my_way", "minutes": "12", "worker": "cw-1"},
        {"action": "spoke_care_worker:cannot", "minutes": "", "worker": "cw-1"},
        {"action": "assign_replacement:9:cw:2"},
        {"action": "assign_replacement", "sent": "cw-3", "eta": "20"},
        {"action": "told_next_of_kin:nok-1"},
        {"action": "told_council", "note": "Mrs. Hay, ref. 44"},
        {"action": "hand_over", "to": "st-2"},
        {"action": "hand_over", "to": ""},
        {"action": "take_over"},
        {"action": "stop_track:reassure"},
        {"action": "do_now:locate:2026-11-23T08:05:00+00:00"},
        {"action": "close", "reason": "seen_well"},
        {"action": "send_notice"},
        {"action": "no_notice", "note": "they rang us back"},
    ):
        answer = await press(open_board, **form)
        assert answer.status == 303
        board = form.get("back") == "board"
        assert answer.headers["Location"] == ("/board/dom" if board else "/board/dom/alerts/al-1")
    done = [msgspec.to_builtins(action) for _, _, action in desks.actions]
    assert all(action["by"] == "st-1" for action in done)
    at = "2026-11-23T08:05:00Z"
    assert [{k: v for k, v in one.items() if k != "by" and v is not None} for one in done] == [
        {"action": "take"},
        {"action": "spoke_service_user", "note": "had slept in"},
        {"action": "note", "note": "key is with the warden"},
        {"action": "spoke_care_worker", "reason": "on_my_way", "to": "cw-1", "minutes": 12},
        {"action": "spoke_care_worker", "reason": "cannot", "to": "cw-1"},
        {"action": "assign_replacement", "to": "cw:2", "minutes": 9},
        {"action": "assign_replacement", "to": "cw-3", "minutes": 20},
        {"action": "told_next_of_kin", "to": "nok-1"},
        {"action": "told_council", "note": "Mrs. Hay, ref. 44"},
        {"action": "hand_over", "to": "st-2"},
        {"action": "hand_over"},
        {"action": "hand_over", "to": "st-1"},
        {"action": "stop_track", "track": "reassure"},
        {"action": "do_now", "track": "locate", "next_at": at},
        {"action": "close", "reason": "seen_well"},
        {"action": "send_notice"},
        {"action": "no_notice", "note": "they rang us back"},
    ]


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        ("adequate", "Choose whether the action was adequate"),
        ("safeguarding", "Choose whether a safeguarding concern was raised"),
        ("serious_incident", "Choose whether it was a serious incident"),
        ("note", "Write into the note why no safeguarding concern was raised, in words"),
    ],
)
async def test_a_manager_who_leaves_out_an_answer_is_told_which(
    desks: FakeDesks, open_board: Client, left_out: str, says: str
) -> None:
    """*Expected true or false* is said to a program."""
    await desks.raise_alert(on_board(alert_view()))
    answers = {"adequate": "yes", "safeguarding": "not_raised", "serious_incident": "no", "note": "seen well"}
    async with await press(open_board, action="check", **(answers | {left_out: ""})) as answer:
        assert answer.status == 400
        text = await answer.text()
    assert f"<p>{says}, then press again.</p>" in text
    assert not desks.actions


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"action": "take", "token": "forged"}, 403),
        ({"action": "take", "by": ""}, 400),
        ({"action": "take", "by": "st-99"}, 400),
        ({"action": "note", "note": "  "}, 400),
        ({"action": "no_notice"}, 400),
        ({"action": "note", "note": "x" * 2001}, 400),
        ({"action": "close", "reason": ""}, 400),
        ({"action": "close", "reason": "because"}, 400),
        ({"action": "told_everybody"}, 400),
        ({"action": "spoke_care_worker:asleep"}, 400),
        ({"action": "spoke_care_worker:on_my_way"}, 400),
        ({"action": "spoke_care_worker:on_my_way", "minutes": "601"}, 400),
        ({"action": "assign_replacement", "sent": "", "eta": "10"}, 400),
        ({"action": "assign_replacement", "sent": "cw-1", "eta": "soon"}, 400),
        ({"action": "stop_track:everything"}, 400),
        ({"action": "do_now:summon:yesterday"}, 400),
    ],
)
async def test_a_press_that_cannot_be_recorded_does_nothing_and_says_why(
    desks: FakeDesks, open_board: Client, form: dict[str, str], status: int
) -> None:
    await desks.raise_alert(on_board(alert_view()))
    answer = await press(open_board, **form)
    assert answer.status == status
    assert answer.content_type == "text/html"
    assert 'href="/board/dom/alerts/al-1"' in await answer.text(), "the way back"
    assert desks.actions == []


async def test_who_is_at_the_screen_is_asked_once(desks: FakeDesks, open_board: Client) -> None:
    await desks.raise_alert(on_board(alert_view()))
    token = await token_of(open_board, "/board/dom")
    await open_board.post("/board/dom/me", data={"token": token, "by": "st-2"}, allow_redirects=False)
    text = await page(open_board, "/board/dom")
    assert "I have it <small>Priya Nair</small>" in text
    assert (await press(open_board, action="take", by="")).status == 303
    assert desks.actions[0][2].by == "st-2"


async def test_the_second_to_press_hears_who_was_first(desks: FakeDesks, open_board: Client) -> None:
    await desks.raise_alert(on_board(alert_view()))
    await press(open_board, action="take")
    answer = await press(open_board, action="take", by="st-2")
    assert answer.status == 409
    assert "st-1 has it" in await answer.text(), "as the shell says it"


async def test_a_press_while_the_disk_is_away_is_heard_and_says_so(
    desks: FakeDesks, open_board: Client
) -> None:
    await desks.raise_alert(on_board(alert_view()))
    token = await token_of(open_board, "/board/dom")
    desks.degraded = True
    form = {"token": token, "by": "st-1", "action": "take"}
    answer = await open_board.post("/board/dom/alerts/al-1/actions", data=form, headers=HTML)
    assert answer.status == 503
    assert "You were heard" in await answer.text()


async def test_a_refusal_of_the_shell_reaches_the_person_in_words(
    desks: FakeDesks, open_board: Client
) -> None:
    desks.broken = ApiProblem(409, "confirm_needed", "somebody must confirm this first")
    assert "Somebody must confirm this first" in await page(open_board, "/board/dom", 409)


# --- live ---


async def test_an_event_comes_at_once_and_whenever_something_became_durable(
    desks: FakeDesks, open_board: Client
) -> None:
    answer = await open_board.get("/board/dom/events")
    assert answer.content_type == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    async with asyncio.timeout(30):
        assert await answer.content.readuntil(b"\r\n\r\n") == b"event: changed\r\ndata: now\r\n\r\n"
        await until(lambda: desks.watchers == 1, what="the stream watches the desk")
        await desks.move()
        assert await answer.content.readuntil(b"\r\n\r\n") == b"id: 1\r\nevent: changed\r\ndata: 1\r\n\r\n"
    answer.close()


async def test_a_browser_that_left_is_forgotten(
    desks: FakeDesks, open_board: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.board.pages._PING_S", 0.05)
    answer = await open_board.get("/board/dom/events")
    await until(lambda: desks.watchers == 1, what="the stream watches the desk")
    answer.close()
    await until(lambda: desks.watchers == 0, what="nobody watches any more")


async def test_a_stream_ends_after_a_while_so_that_the_session_is_looked_at_again(
    desks: FakeDesks, open_board: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.board.pages._STREAM_S", 0.1)
    answer = await open_board.get("/board/dom/events")
    async with asyncio.timeout(30):
        assert (await answer.content.read()).endswith(b"\r\n\r\n")
    await until(lambda: desks.watchers == 0, what="nobody watches any more")


async def test_stopping_the_listener_ends_the_streams_at_once(desks: FakeDesks) -> None:
    runner, address = await serve(application(desks), "127.0.0.1", 0, shutdown_s=30)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/board/dom/events") as answer,
    ):
        await answer.content.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(30):
            await runner.cleanup()
            assert await answer.content.read() == b""


# --- in a browser ---


@pytest.fixture
async def address(desks: FakeDesks) -> AsyncIterator[str]:
    runner, address = await serve(application(desks), "127.0.0.1", 0)
    yield f"http://{address}"
    await runner.cleanup()


class Eyes:
    """A browser, and everything that its console complained of: a refusal by the page's own policy is one."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.complaints = browser, list[str]()

    async def open(self, url: str, **context: Any) -> Page:
        page = await (await self.browser.new_context(**context)).new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        await page.goto(url)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture
async def eyes(address: str) -> AsyncIterator[Eyes]:
    # the address is asked for first, so that the pages are gone before their server is
    async with browser() as chromium:
        eyes = Eyes(chromium)
        yield eyes
    assert eyes.complaints == []


def now_board(**changes: Any) -> views.BoardView:
    return board_view(now=datetime.now(UTC), last_checkin_at=datetime.now(UTC), **changes)


async def test_an_alert_appears_without_reloading_and_is_taken_by_its_button(
    eyes: Eyes, address: str, desks: FakeDesks
) -> None:
    desks.boards["dom"] = now_board()
    page = await eyes.open(address)
    await expect(page.get_by_text("Nothing needs you.")).to_be_visible()
    await page.evaluate("window.notReloaded = true")
    await until(lambda: desks.watchers == 1, what="the page listens")

    now = datetime.now(UTC)
    await desks.raise_alert(on_board(alert_view(due_at=now - timedelta(minutes=2), opened_at=now)))
    card = page.locator("article.alert", has_text="E. 1187")
    await expect(card).to_contain_text("32 min late")
    assert await page.evaluate("window.notReloaded") is True
    await expect(page).to_have_title("(1) Bright Care · callwatch")

    await card.get_by_label("You are").select_option("st-2")
    await card.get_by_role("button", name="I have it").click()
    await expect(page.locator("section.taken article")).to_contain_text("E. 1187")
    await expect(page.locator("section.needs article")).to_have_count(0)
    assert [(alert, action.action, action.by) for _, alert, action in desks.actions] == [
        ("al-1", "take", "st-2")
    ]


async def test_the_clocks_move_by_themselves_and_by_the_watchs_own_time(
    eyes: Eyes, address: str, desks: FakeDesks
) -> None:
    desks.boards["dom"] = now_board()
    page = await eyes.open(address)
    clock = page.locator(".alive time").first
    first = await clock.text_content()
    await expect(clock).not_to_have_text(first or "")
    assert re.fullmatch(r"\d+ s", await clock.text_content() or "")


async def test_a_page_that_has_lost_the_watch_says_so_loudly(eyes: Eyes, desks: FakeDesks) -> None:
    desks.boards["dom"] = now_board()
    runner, address = await serve(application(desks), "127.0.0.1", 0)
    page = await (await eyes.browser.new_context()).new_page()
    await page.clock.install()
    await page.goto(f"http://{address}/board/dom")
    await expect(page.locator("#lost")).to_be_hidden()
    await runner.cleanup()
    await page.clock.run_for(60_000)
    await expect(page.locator("#lost")).to_contain_text("lost contact with the watch")


async def test_what_a_person_is_doing_survives_the_swap(eyes: Eyes, address: str, desks: FakeDesks) -> None:
    desks.boards["dom"] = now_board(visits=(visit("v-1", "planned", 9),))
    await desks.raise_alert(on_board(alert_view()))
    page = await eyes.open(address)
    await page.locator("#d-planned summary").click()
    await page.get_by_label("You are").first.select_option("st-1")
    await page.locator("#take-al-1").focus()
    await desks.raise_alert(on_board(alert_view("al-2"), who="M. 0931"))
    await expect(page.locator("section.needs article")).to_have_count(2)
    assert await page.locator("#d-planned").get_attribute("open") is not None
    assert await page.locator("#by-al-1").input_value() == "st-1"
    assert await page.evaluate("document.activeElement.id") == "take-al-1"


def everything() -> dict[str, Any]:
    """A page on which every part is shown, with long names."""
    long = "Maximiliana Featherstonehaugh-Cholmondeley"
    roles: tuple[Any, ...] = ("service_user", "care_worker", "next_of_kin", "council")
    telephones = tuple(
        TelephoneView(who=role, name=long, role=role, numbers=("+441632960101",)) for role in roles
    )
    never = TelephoneView(who="nok-9", name=long, role="next_of_kin", numbers=(), never_tell=True)
    candidates = tuple(
        CandidateView(
            worker=f"cw-{n}",
            name=long,
            points=50 - n,
            parts={"free": 40, "near": 10 - n, "continuity": 5, "preference": -30, "hours_left": 5},
            drive_min=9,
            ready_min=9 + n,
            barred="not_their_hours" if n == 3 else None,
            asked=n == 1,
            answer="sent" if n == 2 else None,
        )
        for n in range(4)
    )
    note = RecordLine(seq=9, at=NOW, kind="ActionRecorded", subject="al-1", action="note", who="st-1")
    stopped = TrackView(
        name="reassure",
        step="waiting",
        next_at=NOW + timedelta(minutes=9),
        reason="paused",
        rests_until=NOW + timedelta(minutes=9),
        rests_by="st-1",
    )
    return {
        "telephones": (*telephones, never),
        "candidates": candidates,
        "council": stopped,
        "script": "My name is Anna. " * 40,
        "record": (structs.replace(note, words="A long note about the key. " * 30),),
    }


async def test_that_somebody_lives_alone_stands_on_the_card_and_on_the_page(
    desks: FakeDesks, open_board: Client
) -> None:
    await desks.raise_alert(on_board(alert_view(), lives_alone=True))
    for path in ("/board/dom", "/board/dom/alerts/al-1"):
        assert "lives alone" in await page(open_board, path)
    desks.boards["dom"] = board_view()
    await desks.raise_alert(on_board(alert_view()))
    for path in ("/board/dom", "/board/dom/alerts/al-1"):
        assert "lives alone" not in await page(open_board, path)


async def test_the_page_of_an_alert_offers_every_action_and_hides_numbers_of_who_must_not_be_told(
    desks: FakeDesks, open_board: Client
) -> None:
    await desks.raise_alert(on_board(alert_view()))
    desks.pages["al-1"] = everything()
    text = await page(open_board, "/board/dom/alerts/al-1")
    for button in (
        "stop_track:summon",
        "assign_replacement:9:cw-0",
        "told_next_of_kin:next_of_kin",
        "told_council",
    ):
        assert f'value="{button}"' in text
    assert "do_now:summon:2026-11-23T08:05:00+00:00" in text
    assert "assign_replacement:12:cw-3" not in text, "takes no offers at this time"
    assert text.count('href="tel:') == 4
    assert "must not be told anything" in text
    assert "A long note about the key." in text
    assert "told_next_of_kin:nok-9" not in text


async def test_the_page_of_an_incident_lists_its_visits_and_leads_to_their_alerts(
    desks: FakeDesks, open_board: Client
) -> None:
    cause = alert_view(kind="incident", visit=None, service_user=None, reason="worker_dark")
    await desks.raise_alert(on_board(cause, who="", carer="Davina Thistlewood"))
    late, to_come = visit("v-1", "late", 7), visit("v-2", "planned", 9)
    late = structs.replace(late, visit=structs.replace(late.visit, alert="al-7", signal="dark:device"))
    desks.pages["al-1"] = {"round": (late, to_come)}
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "one care worker&#39;s telephone: Davina Thistlewood" in text
    assert 'href="/board/dom/alerts/al-7"' in text
    assert "telephone silent" in text
    assert text.index("/alerts/al-7") < text.index("to come")
    desks.pages["al-1"] = {"round": ()}
    assert "Nobody of them is waited for" in await page(open_board, "/board/dom/alerts/al-1")


async def test_an_alert_of_an_incident_leads_to_it(desks: FakeDesks, open_board: Client) -> None:
    await desks.raise_alert(on_board(alert_view(incident="al-9")))
    assert 'href="/board/dom/alerts/al-9"' in await page(open_board, "/board/dom/alerts/al-1")


async def test_what_somebody_wrote_is_shown_and_never_run(desks: FakeDesks, open_board: Client) -> None:
    await desks.raise_alert(on_board(alert_view()))
    line = RecordLine(
        seq=9, at=NOW, kind="ReplyKept", subject="l", who="su-1187", words="<script>alert(1)</script>"
    )
    erased = RecordLine(seq=10, at=NOW, kind="ActionRecorded", subject="a", action="note", words_erased=True)
    desks.records["al-1"] = (line, erased)
    text = await page(open_board, "/board/dom/alerts/al-1")
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "no longer kept" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1360])
async def test_everything_can_be_read_and_pressed(
    eyes: Eyes, address: str, desks: FakeDesks, width: int, scheme: Any
) -> None:
    desks.boards["dom"] = now_board(
        visits=tuple(visit(f"v-{n}", "planned", 6 + n % 16) for n in range(60)),
        dark=(DarkView(cause="device", subject="K.", since=NOW, visits=4),),
        unwatched=(UnwatchedRow(row=14, visit="v-9", code="no_time", since=NOW),),
        public="ask",
        referrals=2,
    )
    await desks.raise_alert(
        on_board(alert_view(kind="no_reply", incident="al-2"), who="A very long name indeed, of somebody")
    )
    desks.pages["al-1"] = everything()
    for path in ("/board/dom", "/board/dom/alerts/al-1"):
        page = await eyes.open(address + path, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
        small = await page.evaluate(
            """wide => [...document.querySelectorAll('button, select, textarea, summary, ' + (wide ? 'a.button' : 'a'))]
                .filter(el => el.offsetParent && el.getBoundingClientRect().height < 43.5).map(el => el.outerHTML)""",
            width > 400,
        )
        assert small == [], "44 px to press"
        tiny = await page.evaluate(
            """() => [...document.querySelectorAll('p, li, td, button, label, summary, time')]
                .filter(el => el.offsetParent && el.innerText && parseFloat(getComputedStyle(el).fontSize) < 16.1)
                .map(el => el.outerHTML)"""
        )
        assert tiny == [], "17 px and up (16.15 in a section's capitals)"
        tall = await page.evaluate(
            """() => {
                const go = document.querySelector('.press .go');
                go.insertAdjacentHTML('beforeend', ' <small>Petra Larkspur</small>');
                return go.getBoundingClientRect().height;
            }"""
        )
        assert tall < 104, "who takes it is written in words, not letter by letter"
        uneven = await page.evaluate(
            "new Set([...document.querySelectorAll('.strip .hour')].map(el => el.offsetHeight)).size"
        )
        assert uneven <= 1, "the hours stand on one line, and so do their bars"


# --- words ---


@pytest.mark.parametrize(
    "file",
    [path for path in sorted(BOARD.rglob("*")) if path.suffix in (".py", ".html", ".js")],
    ids=lambda p: p.name,
)
def test_no_page_ever_puts_the_visit_itself_in_question(file: Path) -> None:
    assert forbidden(file.read_text()) == []


@pytest.mark.parametrize(
    ("spoken", "listed"),
    [
        (words.KINDS, views.ALERT_KINDS),
        (words.ENDED, views.ENDED_REASONS),
        (words.PURPOSES, views.PURPOSES),
        (words.CHANNELS, views.CHANNELS),
        (words.RESULTS, views.RESULTS),
        (words.STAGE_WORDS, views.STAGES),
        (words.SIGNALS, views.SIGNALS),
    ],
)
def test_every_value_of_a_closed_list_has_its_words(spoken: dict[str, str], listed: tuple[str, ...]) -> None:
    assert set(spoken) == set(listed)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 00 min"), (172800, "2 d")],
)
def test_spans_are_said_as_people_say_them(seconds: int, text: str) -> None:
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-23T07:30:00+00:00", "07:30"),
        ("2026-11-22T23:30:00+00:00", "Sun 22 Nov, 23:30"),
        ("2026-10-25T00:30:00+00:00", "Sun 25 Oct, 01:30 BST"),
        ("2026-10-25T01:30:00+00:00", "Sun 25 Oct, 01:30 GMT"),
        ("2026-10-25T12:00:00+00:00", "Sun 25 Oct, 12:00 GMT"),
        ("2026-10-26T12:00:00+00:00", "Mon 26 Oct, 12:00"),
    ],
)
def test_a_time_names_its_zone_only_on_a_day_on_which_the_clocks_change(at: str, text: str) -> None:
    assert words.clock(datetime.fromisoformat(at), "Europe/London", NOW) == text


def test_the_most_pressing_alert_stands_first() -> None:
    plain = on_board(alert_view("plain"))
    critical = on_board(alert_view("critical", time_critical=True))
    door = on_board(alert_view("door", kind="no_reply"))
    helped = on_board(alert_view("help", kind="help_asked"))
    older = on_board(alert_view("older", due_at=NOW - timedelta(hours=1)))
    found = words.in_state((plain, older, critical, door, helped), "open")
    assert [one.alert.id for one in found] == ["help", "door", "critical", "older", "plain"]


@pytest.mark.parametrize(
    ("incident", "first", "order"),
    [
        ("cause", {}, ["door", "cause", "first", "second", "other"]),
        ("cause", {"time_critical": True}, ["door", "cause", "first", "second", "other"]),
        (None, {}, ["door", "first", "second", "other", "cause"]),
        (None, {"state": "taken"}, ["door", "second", "other", "cause"]),
    ],
)
def test_an_incident_stands_before_the_alerts_of_its_visits(
    incident: str | None, first: dict[str, Any], order: list[str]
) -> None:
    cause = on_board(
        alert_view("cause", kind="incident", due_at=NOW, opened_at=NOW), start=None, who="", carer=None
    )
    hour = timedelta(hours=1)
    alerts = (
        on_board(alert_view("other", due_at=NOW - hour / 2)),
        on_board(alert_view("second", due_at=NOW - hour, incident=incident)),
        on_board(alert_view("first", due_at=NOW - 2 * hour, incident=incident, **first)),
        on_board(alert_view("door", kind="no_reply")),
        cause,
    )
    assert [one.alert.id for one in words.in_state(alerts, "open")] == order
