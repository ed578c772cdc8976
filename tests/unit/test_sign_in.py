"""Signing in with one's own secret: what it opens, under whose name, and when it ends.

Alice is on duty at `dom`, Bea is a broker at `hall`, Ada audits `dom`; Charlie, of `eve`, must see nothing of either.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from config.load import load_text
from connectors.board import BoardOptions
from connectors.http_access import is_oneself, opened
from connectors.http_api import build_app
from connectors.links import Link, Shown
from connectors.ports import ApiProblem, Credential
from monitor.app import App
from tests.fakes.desks import NOW, FakeDesks, alert_view

HTML = {"Accept": "text/html"}
# of the word "visit", with argon2's cheapest settings
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$5EpC5tdkPumJNeom/rWqzlOtVFBm+saAU5MkFhtWYWM"
STAFF = {"dom": {"st-1": "Alice", "st-2": "Bob"}, "hall": {"br-1": "Bea"}}
Client = TestClient[web.Request, web.Application]


def whose() -> dict[str, Credential]:
    return {
        "cw_alice": Credential(role="on_call", desk="dom", person="st-1", name="st-1"),
        "cw_duty": Credential(role="office", desk="dom"),
        "cw_gone": Credential(role="office", desk="dom", person="st-9", name="st-9"),
        "cw_ada": Credential(role="auditor", desk="dom", person="au-1", name="au-1"),
        "cw_bea": Credential(role="broker", desk="hall", person="br-1", name="br-1"),
        "cw_charlie": Credential(role="office", desk="eve"),
    }


@pytest.fixture
def desks() -> FakeDesks:
    desks = FakeDesks(("dom", "eve", "hall"), credentials=whose())
    desks.councils = {"hall"}
    desks.alert_views = {"al-1": alert_view()}
    return desks


def staff(desk: str) -> Mapping[str, str]:
    return STAFF.get(desk, {})


@asynccontextmanager
async def board(
    desks: FakeDesks,
    *,
    password: str | None = HASH,
    moment: list[datetime] | None = None,
    loopback: bool | None = None,
) -> AsyncIterator[Client]:
    async def metrics() -> bytes:
        return b""

    options = BoardOptions(session_key=b"k" * 32, password_hash=password, staff=staff)
    clock = moment or [NOW]
    own = password is None if loopback is None else loopback
    app = build_app(desks, metrics=metrics, loopback=own, board=options, now=lambda: clock[0])
    async with TestClient(TestServer(app), cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield client


async def text_of(client: Client, path: str, status: int = 200) -> str:
    async with client.get(path, headers=HTML) as answer:
        assert answer.status == status, path
        return await answer.text()


async def leads_to(client: Client, path: str) -> tuple[int, str]:
    async with client.get(path, headers=HTML, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", "")


async def token_on(client: Client, path: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', await text_of(client, path))
    assert found is not None
    return found[1]


async def sign_in(client: Client, shown: str, after: str = "") -> tuple[int, str]:
    form = {"token": await token_on(client, "/sign-in"), "password": shown, "next": after}
    async with client.post("/sign-in", data=form, headers=HTML, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", "")


async def press(client: Client, action: str, **fields: str) -> tuple[int, str]:
    form = {"token": await token_on(client, "/board/dom/alerts/al-1"), "action": action, **fields}
    path = "/board/dom/alerts/al-1/actions"
    async with client.post(path, data=form, headers=HTML, allow_redirects=False) as answer:
        return answer.status, await answer.text()


# --- what it opens ---


async def test_ones_own_secret_opens_ones_own_desk_and_goes_where_one_was_going(desks: FakeDesks) -> None:
    async with board(desks) as client:
        assert await leads_to(client, "/board/dom") == (303, "/sign-in?next=/board/dom")
        assert await sign_in(client, "cw_alice", "/board/dom") == (303, "/board/dom")
        assert "Bright Care" in await text_of(client, "/board/dom")
        assert await leads_to(client, "/") == (303, "/board/dom")
        assert await leads_to(client, "/sign-in") == (303, "/")
        for other in ("eve", "hall"):
            assert "another desk" in await text_of(client, f"/board/{other}", 403)


@pytest.mark.parametrize("shown", ["", "anything"])
async def test_without_a_password_a_board_that_others_can_reach_opens_by_ones_own_secret_alone(
    desks: FakeDesks, shown: str
) -> None:
    async with board(desks, password=None, loopback=False) as client:
        assert await leads_to(client, "/board/dom") == (303, "/sign-in?next=/board/dom")
        assert (await sign_in(client, shown, "/board/dom"))[0] == 403
        assert await leads_to(client, "/board/dom") == (303, "/sign-in?next=/board/dom")
        assert await sign_in(client, "cw_alice", "/board/dom") == (303, "/board/dom")
        await text_of(client, "/board/eve", 403)


async def test_a_page_that_is_not_ones_own_leads_to_ones_own_desk_or_to_another_sign_in(
    desks: FakeDesks,
) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_alice")
        page = await text_of(client, "/board/eve", 403)
        assert 'href="/"' in page
        found = re.search(r'href="(/sign-in\?[^"]+)"', page)
        assert found is not None
        form = {"token": await token_on(client, found[1].replace("&amp;", "&")), "password": "cw_charlie"}
        form["next"] = "/board/eve"
        async with client.post("/sign-in", data=form, headers=HTML, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/board/eve")
        await text_of(client, "/board/eve")
        await text_of(client, "/board/dom", 403)


async def test_the_way_back_after_signing_in_may_be_a_councils_page(desks: FakeDesks) -> None:
    async with board(desks) as client:
        assert await sign_in(client, "cw_bea", "/desks/hall/placements") == (303, "/desks/hall/placements")


async def test_a_secret_that_was_pasted_with_a_blank_is_the_same_secret(desks: FakeDesks) -> None:
    async with board(desks) as client:
        assert (await sign_in(client, " cw_alice\n"))[0] == 303


@pytest.mark.parametrize("shown", ["cw_", "cw_nobody", ""])
async def test_a_secret_that_nobody_has_slows_down_guessing_and_keeps_nobody_out_who_has_one(
    desks: FakeDesks, shown: str
) -> None:
    async with board(desks) as client:
        for _ in range(5):
            assert (await sign_in(client, shown))[0] == 403
        assert (await sign_in(client, "visit"))[0] == 429
        assert (await sign_in(client, "cw_alice", "/board/dom")) == (303, "/board/dom")
    async with board(desks) as client:
        for _ in range(4):
            await sign_in(client, shown)
        await sign_in(client, "cw_alice")
        await sign_in_again(
            client, shown, 403
        )  # who has a secret of their own guesses the password no faster
        assert (await sign_in(client, "visit"))[0] == 429


async def test_signing_out_ends_a_session_of_ones_own(desks: FakeDesks) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_alice")
        form = {"token": await token_on(client, "/board/dom")}
        async with client.post("/sign-out", data=form, headers=HTML, allow_redirects=False) as answer:
            assert answer.status == 303
        assert (await leads_to(client, "/board/dom"))[0] == 303


# --- when it ends ---


async def test_a_session_ends_with_the_token_whether_it_has_expired_or_was_taken_out(
    desks: FakeDesks,
) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_alice")
        await text_of(client, "/board/dom")
        held = desks.credentials.pop("cw_alice")
        assert await leads_to(client, "/board/dom") == (303, "/sign-in?next=/board/dom")
        async with client.get("/v1/desks/dom/alerts") as answer:
            assert answer.status == 401
        # the same secret with another role is another person's business: it opens what it opens now
        desks.credentials["cw_alice"] = Credential(role="intake", desk="dom")
        assert (await leads_to(client, "/board/dom"))[0] == 303
        desks.credentials["cw_alice"] = held
        await text_of(client, "/board/dom")


async def test_a_session_of_ones_own_ends_after_12_hours(desks: FakeDesks) -> None:
    moment = [NOW]
    async with board(desks, moment=moment) as client:
        await sign_in(client, "cw_alice")
        moment[0] = NOW + timedelta(hours=12, seconds=-1)
        assert (await leads_to(client, "/board/dom"))[0] == 200
        moment[0] = NOW + timedelta(hours=12)
        assert (await leads_to(client, "/board/dom"))[0] == 303


# --- under whose name ---


async def test_who_signed_in_by_name_acts_under_it_without_being_asked_and_under_no_other(
    desks: FakeDesks,
) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_alice")
        for path in ("/board/dom", "/board/dom/alerts/al-1", "/board/dom/away", "/board/dom/referrals"):
            page = await text_of(client, path)
            assert "You are" in page, path
            assert "Alice" in page, path
            assert re.findall(r'<(?:select|input)[^>]* name="by"(?! value="st-1")', page) == [], path
        assert "choose your name" not in page
        assert (await press(client, "take"))[0] == 303
        assert (await press(client, "note", by="st-1", note="rang her"))[0] == 303
        status, text = await press(client, "take", by="st-2")
        assert status == 403
        assert "somebody else has signed in" in text.lower()
    assert [(action.action, action.by) for _, _, action in desks.actions] == [
        ("take", "st-1"),
        ("note", "st-1"),
    ]


async def test_who_signed_in_by_name_passes_an_alert_on_to_a_colleague(desks: FakeDesks) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_alice")
        page = await text_of(client, "/board/dom/alerts/al-1")
        assert re.search(r'<select id="to" name="to">.*?<option value="st-2">Bob</option>', page, re.DOTALL)
        assert (await press(client, "hand_over", to="st-2"))[0] == 303
    assert [(action.action, action.by, action.to) for _, _, action in desks.actions] == [
        ("hand_over", "st-1", "st-2")
    ]


@pytest.mark.parametrize("secret", ["cw_duty", "cw_gone", "visit"])
async def test_whose_secret_names_nobody_whom_the_desk_knows_is_asked_who_they_are(
    desks: FakeDesks, secret: str
) -> None:
    async with board(desks) as client:
        await sign_in(client, secret)
        assert "Bob" in await text_of(client, "/board/dom/alerts/al-1")
        status, text = await press(client, "take")
        assert (status, "say who you are" in text.lower()) == (400, True)
        assert (await press(client, "take", by="st-9"))[0] == 400
        assert (await press(client, "take", by="st-2"))[0] == 303
    assert [action.by for _, _, action in desks.actions] == ["st-2"]


async def test_on_the_api_too_a_persons_own_credential_acts_for_nobody_else(desks: FakeDesks) -> None:
    at = "/v1/desks/dom"
    day = "2026-11-23T08:00:00Z"
    away = {
        "service_user": "su-1",
        "reason": "hospital",
        "review_at": day,
        "raised_by": "next_of_kin",
        "note": "n",
    }
    bodies: dict[str, dict[str, Any]] = {
        f"{at}/alerts/al-1/actions": {"action": "take"},
        f"{at}/absences": away,
        f"{at}/absences/a-1/actions": {"action": "asked", "spoke_to": "place"},
        f"{at}/people/su-1/died": {"note": "n"},
        f"{at}/people/su-1/practice-call": {},
        f"{at}/weather": {"action": "end"},
        f"{at}/visits/v-1/home-confirmed": {},
    }
    async with board(desks) as client:
        headers = {"Authorization": "Bearer cw_alice"}
        for path, body in bodies.items():
            async with client.post(path, json={**body, "by": "st-2"}, headers=headers) as answer:
                error = (await answer.json())["error"]
                assert (answer.status, error["code"], error["path"]) == (403, "identity", "by"), path
        for path, body in bodies.items():
            async with client.post(path, json={**body, "by": "st-1"}, headers=headers) as answer:
                assert answer.status != 403, path


def test_a_credential_of_nobody_in_particular_says_who_it_was() -> None:
    is_oneself(Credential(role="office", desk="dom"), "st-2")
    is_oneself(Credential(role="office", desk="dom", person="st-2"), "st-2")
    with pytest.raises(ApiProblem, match="another person"):
        is_oneself(Credential(role="office", desk="dom", person="st-2"), "st-1")


async def test_an_auditor_reads_and_is_offered_nothing_to_press(desks: FakeDesks) -> None:
    async with board(desks) as client:
        await sign_in(client, "cw_ada")
        for path in ("/board/dom", "/board/dom/alerts/al-1", "/board/dom/away", "/board/dom/weather"):
            assert '<body class="reads"' in await text_of(client, path)
        assert (await press(client, "take", by="st-1"))[0] == 403
        await sign_in_again(client, "cw_alice")
        assert 'class="reads"' not in await text_of(client, "/board/dom")
    assert desks.actions == []


async def sign_in_again(client: Client, secret: str, status: int = 303) -> None:
    form = {"token": await token_on(client, "/board/dom")}
    async with client.post("/sign-out", data=form, allow_redirects=False):
        pass
    assert (await sign_in(client, secret))[0] == status


# --- the board without a password ---


async def test_the_open_board_is_the_office_and_asks_for_ones_own_secret_where_that_is_not_enough(
    desks: FakeDesks,
) -> None:
    async with board(desks, password=None) as client:
        await text_of(client, "/board/dom")
        assert await leads_to(client, "/board/hall") == (303, "/sign-in?next=/board/hall")
        listed = await text_of(client, "/")
        assert all(f'href="/board/{desk}"' in listed for desk in ("dom", "eve"))
        assert 'href="/desks/hall/placements"' in listed
        async with client.get("/board/hall/fragment") as answer:
            assert answer.status == 403
        assert (await sign_in(client, "wrong"))[0] == 403
        assert (await sign_in(client, "cw_bea", "/board/hall"))[0] == 303
        await text_of(client, "/board/hall")
        assert "another desk" in (await text_of(client, "/board/dom", 403))
        async with client.get("/v1/desks/hall/alerts") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"]
)
async def test_the_open_board_is_shut_to_what_a_proxy_hands_on_whatever_name_it_asks_for(
    desks: FakeDesks, header: str
) -> None:
    async with board(desks, password=None) as client:
        for path in ("/", "/board/dom", "/board/dom/away", "/board/dom/fragment"):
            async with client.get(path, headers={header: "8.8.8.8"}, allow_redirects=False) as answer:
                assert answer.status == 403, path
                assert "this machine only" in await answer.text()
        token = await token_on(client, "/board/dom")
        act = {"action": "take", "by": "st-1", "token": token}
        async with client.post("/board/dom/alerts/al-1/actions", data=act, headers={header: "x"}) as answer:
            assert answer.status == 403
        assert desks.actions == []


async def test_the_one_password_offers_the_desks_of_providers_alone(desks: FakeDesks) -> None:
    async with board(desks) as client:
        await sign_in(client, "visit")
        listed = await text_of(client, "/")
        assert 'href="/board/eve"' in listed
        assert "hall" not in listed
        assert "another desk" in await text_of(client, "/board/hall", 403)


# --- links ---


def test_a_link_that_does_not_open_says_why_with_the_code_of_the_contract() -> None:
    link = Link(purpose="bid", desk="hall", intent="pl-1", person="pr-7", until=NOW)
    assert opened(Shown(verdict="genuine", link=link)) == link
    for shown, status, code in (
        (Shown(verdict="forged"), 404, "unknown_link"),
        (Shown(verdict="expired", link=link), 403, "link_expired"),
    ):
        with pytest.raises(ApiProblem) as refused:
            opened(shown)
        assert (refused.value.status, refused.value.code) == (status, code)


CONFIG = """
data_dir = "data"
[[desk]]
id = "hall"
kind = "council"
name = "The Brokerage"
"""


def test_the_daemon_makes_a_key_for_links_once_and_keeps_it_to_itself(tmp_path: Path) -> None:
    first = App(load_text(CONFIG, tmp_path, {}))._link_keys()
    file = tmp_path / "data" / "links.key"
    assert first == [file.read_bytes()]
    assert len(first[0]) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert App(load_text(CONFIG, tmp_path, {}))._link_keys() == first


def test_a_key_that_a_crash_has_cut_short_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "data" / "links.key"
    file.parent.mkdir()
    file.write_bytes(b"cut")
    (key,) = App(load_text(CONFIG, tmp_path, {}))._link_keys()
    assert (len(key), file.read_bytes()) == (32, key)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["links.key"]


def test_configured_keys_sign_links_and_a_reload_takes_others(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name[0] * 32)
    text = 'key_files = ["one"]'
    app = App(load_text(CONFIG + "[links]\n" + text, tmp_path, {}))
    app.watch.links.replace_keys(app._link_keys())
    link = Link(purpose="bid", desk="hall", intent="pl-1", person="pr-7", until=NOW + timedelta(days=1))
    old = app.watch.links.text(link)
    app.reload(load_text(CONFIG + '[links]\nkey_files = ["two", "one"]', tmp_path, {}))
    assert app.watch.links.look(old, NOW).verdict == "genuine"
    assert app.watch.links.text(link) != old
    app.reload(load_text(CONFIG + '[links]\nkey_files = ["two"]', tmp_path, {}))
    assert app.watch.links.look(old, NOW).verdict == "forged"
    assert not (tmp_path / "data" / "links.key").exists()
