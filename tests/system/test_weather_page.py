"""The board's page of declared bad weather, over HTTP: what it shows, and what its forms say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import msgspec
import pytest

from connectors.board import words
from escalation.wording import forbidden
from monitor.core.views import CoverView, SituationView, ToRingView, WeatherView
from tests.fakes.desks import NOW, FakeDesks, board_view
from tests.system.test_board import HTML, Client, client_of, page, token_of

pytestmark = pytest.mark.store_once("the desks behind the pages are fakes: no store is opened")

PAGE = "/board/dom/weather"
COVER = CoverView(service_user="su-3", next_of_kin="c-1", by="st-2", confirmed_at=NOW - timedelta(minutes=5))
SNOW = WeatherView(
    declared=True,
    id="w1",
    by="st-1",
    declared_at=NOW - timedelta(hours=1),
    until=NOW + timedelta(hours=5),
    remind_at=NOW + timedelta(hours=4, minutes=30),
    report_by=NOW + timedelta(hours=11),
    ranks={"red": 3, "amber": 4, "green": 2},
    to_confirm=("su-4",),
    covers=(COVER,),
    told=4,
    to_ring=(ToRingView(service_user="su-5", reason="person_only"),),
    left_out={"summons": 6, "offers": 5},
    reports=(
        SituationView(at=NOW, desk="EDT", result="delivered", late=4, covered=1, red=1, hour_passed=2),
        SituationView(at=NOW, desk=None, result=None, late=0, covered=0, red=0, hour_passed=0),
    ),
)
NAMES = {
    "su-3": "Gus Inkpen",
    "su-4": "Gay Lark",
    "su-5": "Flo Hart",
    "c-1": "Ned Inkpen",
    "c-2": "Nora Lark",
}


@pytest.fixture
def desks() -> FakeDesks:
    return FakeDesks(("dom",))


@pytest.fixture
async def board(desks: FakeDesks) -> AsyncIterator[Client]:
    async with client_of(desks) as client:
        yield client


def snowed_in(desks: FakeDesks) -> None:
    desks.weather_view = SNOW
    kin = {"su-4": ("c-2",)}
    desks.boards["dom"] = board_view(weather=SNOW, weather_names=NAMES, weather_kin=kin)


async def test_without_weather_the_page_offers_to_declare_it_and_the_board_leads_there(board: Client) -> None:
    shown = await page(board, PAGE)
    assert "Bad weather is not declared" in shown
    assert 'value="declare"' in shown
    assert f'href="{PAGE}"' in await page(board, "/board/dom")


async def test_the_page_shows_who_declared_it_what_is_left_out_and_who_is_to_be_rung(
    desks: FakeDesks, board: Client
) -> None:
    snowed_in(desks)
    shown = unescape(await page(board, PAGE))
    for text in (
        "Anna Weber",
        "Gus Inkpen: Ned Inkpen said so to Priya Nair",
        "Flo Hart: by plan a person rings",
    ):
        assert text in shown
    for text in ("6 calls to staff", "report to EDT: 4 late", "no council desk answered", "Nora Lark"):
        assert text in shown
    assert forbidden(shown) == []


async def test_the_board_has_a_banner_while_it_lasts(desks: FakeDesks, board: Client) -> None:
    snowed_in(desks)
    shown = unescape(await page(board, "/board/dom"))
    assert "Bad weather until" in shown
    assert "1 green without a word from the family" in shown
    assert "missed all the same" in shown
    assert forbidden(shown) == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            {"action": "declare", "until": "2026-11-23T15:00:00+00:00"},
            {"action": "declare", "until": "2026-11-23T15:00:00Z"},
        ),
        ({"action": "end"}, {"action": "end"}),
        ({"action": "report", "note": "J. Hart"}, {"action": "report", "note": "J. Hart"}),
        (
            {"action": "cover:su:4", "next_of_kin": "c-2"},
            {"action": "cover", "service_user": "su:4", "next_of_kin": "c-2"},
        ),
        ({"action": "uncover:su-3"}, {"action": "uncover", "service_user": "su-3"}),
    ],
)
async def test_each_form_says_what_its_button_says(
    desks: FakeDesks, board: Client, form: dict[str, str], said: dict[str, str]
) -> None:
    fields = {"token": await token_of(board, PAGE), "by": "st-1"} | form
    answer = await board.post(PAGE, data=fields, headers=HTML, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, PAGE)
    ((_, sent),) = desks.weather_said
    found = {key: value for key, value in msgspec.to_builtins(sent).items() if value is not None}
    assert found == {"by": "st-1"} | said


@pytest.mark.parametrize("form", [{"action": "snow"}, {"action": "declare", "until": "tomorrow"}])
async def test_a_form_that_this_page_does_not_have_is_refused(
    desks: FakeDesks, board: Client, form: dict[str, str]
) -> None:
    fields = {"token": await token_of(board, PAGE), "by": "st-1"} | form
    answer = await board.post(PAGE, data=fields, headers=HTML, allow_redirects=False)
    assert answer.status == 400
    assert desks.weather_said == []


def test_the_ends_that_may_be_chosen_lie_ahead_on_the_full_hour_and_within_two_days() -> None:
    ends = words.ends_in("Europe/London", NOW)
    assert all(":00" in text for _, text in ends)
    last = ends[-1][0]
    assert msgspec.convert(ends[0][0], type=type(NOW)) > NOW
    assert msgspec.convert(last, type=type(NOW)) <= NOW + timedelta(hours=48)
