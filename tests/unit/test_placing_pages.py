"""The pages of a council's desk and the provider's bid page over HTTP: what each shows, and what each press does.

Behind them is a real desk with its clock in the hand where a story is played, and views set by the test elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from config.placing import PLACEMENT_KINDS, Cutoff, PlacingPolicy, Round
from config.policy import Calendar
from connectors.board import BoardOptions
from connectors.board import placing_words as said
from connectors.board.placing import READS_PACKAGES
from connectors.http_access import RULES
from connectors.http_api import build_app
from connectors.links import Link, Shown
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from connectors.ports import ApiProblem, Credential
from escalation.wording import forbidden
from monitor.core.placing import evaluate, facts, inputs, rules
from monitor.core.placing import views as v
from monitor.core.placing.inputs import CallOffSettled
from tests.core.council import STANDARD
from tests.fakes.council import (
    LETTERS,
    NAMES,
    FakeCouncil,
    asked,
    bid_view,
    own_view,
    package_view,
    placement_view,
    round_view,
    row_view,
    rule_view,
)
from tests.fakes.desks import NOW, FakeDesks, alert_view, board_view, on_board
from tests.unit.council_edge import Edge, council, rfc

HTML = {"Accept": "text/html"}
LIST = "/desks/hall/placements"
STAFF = {"st-1": "Anna Weber", "bea": "Beatrice Fernsby"}
Client = TestClient[web.Request, web.Application]


async def no_metrics() -> bytes:
    return b""


@asynccontextmanager
async def browser(desks: FakeDesks, now: Any = lambda: NOW) -> AsyncIterator[Client]:
    options = BoardOptions(session_key=b"k" * 32, staff=lambda _: STAFF)
    app = build_app(desks, metrics=no_metrics, loopback=True, board=options, now=now)
    async with TestClient(TestServer(app), cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield client


async def page(client: Client, path: str, status: int = 200) -> str:
    answer = await client.get(path, headers=HTML)
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "text/html"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    return text


def plain(html: str) -> str:
    """What a person reads, without the mark-up."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("&#39;", "'").split())


async def token_of(client: Client, path: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', await page(client, path))
    assert found is not None
    return found[1]


async def signed_in(client: Client, role: str) -> None:
    form = {"token": await token_of(client, "/sign-in"), "password": f"secret of the {role}"}
    answer = await client.post("/sign-in", data=form, headers=HTML, allow_redirects=False)
    assert answer.status == 303


async def press(client: Client, path: str, **form: Any) -> aiohttp.ClientResponse:
    """A form of a broker's page, sent."""
    token = await token_of(client, path)
    target = LIST if path.endswith("/new") else f"{path}/actions"
    return await client.post(
        target, data={"token": token, "by": "st-1"} | form, headers=HTML, allow_redirects=False
    )


@pytest.fixture
def hall() -> FakeCouncil:
    desks = FakeCouncil()
    desks.boards["hall"] = board_view("hall", name="Bright Brokerage")
    desks.give_link()
    desks.owned["k1", "ace"] = own_view()
    desks.show(placement_view())
    return desks


@pytest.fixture
async def broker(hall: FakeCouncil) -> AsyncIterator[Client]:
    async with browser(hall) as client:
        await signed_in(client, "broker")
        yield client


@pytest.fixture
async def anybody(hall: FakeCouncil) -> AsyncIterator[Client]:
    async with browser(hall) as client:
        yield client


# --- the list ---


async def test_a_broker_begins_with_the_packages_and_the_board_of_a_council_leads_there(
    broker: Client,
) -> None:
    for path in ("/", "/board/hall"):
        answer = await broker.get(path, headers=HTML, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, LIST)


async def test_a_broker_with_a_secret_of_their_own_is_asked_for_no_name(
    hall: FakeCouncil, broker: Client
) -> None:
    hall.show(placement_view(stage="proposed", proposed="ace", proposed_at=NOW))
    for path in (LIST, f"{LIST}/new", f"{LIST}/k1"):
        html = await page(broker, path)
        assert "You are Anna Weber" in plain(html), path
        assert re.findall(r'<(?:select|input)[^>]* name="by"(?! value="st-1")', html) == [], path


async def test_who_may_not_see_packages_begins_with_the_board_of_the_council(hall: FakeCouncil) -> None:
    hall.credentials["secret of the office"] = Credential(role="office", desk="hall", person="st-1")
    async with browser(hall) as client:
        await signed_in(client, "office")
        answer = await client.get("/", headers=HTML, allow_redirects=False)
        assert answer.headers["Location"] == "/board/hall"
        assert "Bright Brokerage" in await page(client, "/board/hall")
        assert (await client.get(LIST, headers=HTML)).status == 403


async def test_what_needs_a_person_stands_apart_and_discharge_first(
    hall: FakeCouncil, broker: Client
) -> None:
    discharge = package_view(kind="discharge")
    proposed = {"proposed": "ace", "proposed_at": NOW}
    hall.show(
        placement_view("k1", "open"),
        placement_view("k2", "proposed", received_at=NOW - timedelta(hours=3), **proposed),
        placement_view("k3", "waiting", package=discharge),
        placement_view("k4", "unplaced", received_at=NOW - timedelta(hours=5)),
        placement_view("k5", "received"),
    )
    html = await page(broker, LIST)
    needs, rest = html.split('id="h-windows"')
    assert re.findall(r'id="p-(\w+)"', needs) == ["k3", "k4", "k2", "k5"]
    assert re.findall(r'id="p-(\w+)"', rest) == ["k1"]
    assert "waits <time" in needs
    assert "hospital discharge" in plain(needs)
    assert 'data-open="4"' in html


async def test_an_open_window_has_a_live_clock_and_what_closes_next_is_first(
    hall: FakeCouncil, broker: Client
) -> None:
    closes = NOW + timedelta(minutes=10)
    hall.show(
        placement_view("k1"), placement_view("k2", closes_at=closes, rounds=(round_view(asked("ace")),))
    )
    html = await page(broker, LIST)
    assert re.findall(r'id="p-(\w+)"', html) == ["k2", "k1"]
    assert f'data-tick="until" datetime="{closes.isoformat()}">10:00</time>' in html
    assert "2 asked, 1 answered, 1 bid so far" in plain(html)


async def test_the_page_does_not_say_that_nobody_is_texted_since_providers_always_are(
    hall: FakeCouncil, broker: Client
) -> None:
    hall.boards["hall"] = board_view("hall", name="Bright Brokerage", public="off")
    assert "Public messages" not in plain(await page(broker, LIST))


async def test_an_awarded_package_waits_for_its_first_visit(hall: FakeCouncil, broker: Client) -> None:
    hall.show(placement_view("k1", "awarded", award=award_view()))
    text = plain(await page(broker, LIST))
    assert "Nothing needs you." in text
    assert "Acorn Care" in text
    assert "to be confirmed by 12:02 ( 4 h 00 min ) · papers not sent" in text


async def test_the_alert_of_an_unplaced_package_is_taken_on_from_its_card(
    hall: FakeCouncil, broker: Client
) -> None:
    hall.show(placement_view("k1", "unplaced", alert="al-1"))
    await hall.raise_alert(
        on_board(alert_view(kind="placement", visit=None, service_user=None), who=""), "hall"
    )
    html = await page(broker, LIST)
    assert html.count('id="take-al-1"') == 1
    form = {"token": await token_of(broker, LIST), "by": "st-1", "action": "take", "back": "board"}
    answer = await broker.post(
        "/board/hall/alerts/al-1/actions", data=form, headers=HTML, allow_redirects=False
    )
    assert answer.status == 303
    assert [action.action for _, _, action in hall.actions] == ["take"]


async def test_the_page_of_an_alert_about_a_package_leads_there_and_asks_nothing_about_a_visit(
    hall: FakeCouncil, broker: Client
) -> None:
    about = {"kind": "placement", "visit": None, "service_user": None, "placement": "P 1"}
    await hall.raise_alert(on_board(alert_view(**about), who=""), "hall")
    html = await page(broker, "/board/hall/alerts/al-1")
    assert f'href="{LIST}/P%201"' in html
    assert re.findall(r'<option value="(\w+)">Something else', html) == ["other"]
    assert "seen_well" not in html
    assert 'id="raised_by"' not in html


async def test_an_alert_of_another_kind_needs_somebody_too(hall: FakeCouncil, broker: Client) -> None:
    await hall.raise_alert(on_board(alert_view(kind="watch_fault", visit=None), who=""), "hall")
    needs = (await page(broker, LIST)).split('id="h-windows"')[0]
    assert "the watch itself has a fault" in needs


async def test_an_alert_about_a_package_that_no_card_shows_leads_to_the_package(
    hall: FakeCouncil, broker: Client
) -> None:
    hall.show(placement_view("k1", "awarded", award=award_view(), alert="al-1"))
    about = alert_view(kind="placement", visit=None, service_user=None, placement="k1")
    await hall.raise_alert(on_board(about, who="Package k1"), "hall")
    needs = (await page(broker, LIST)).split('id="h-windows"')[0]
    assert f'href="{LIST}/k1"' in needs
    assert 'id="take-al-1"' in needs
    assert f'href="{LIST}/k1"' in await page(broker, "/board/hall/alerts/al-1")


async def test_the_alert_of_several_packages_leads_to_them(hall: FakeCouncil, broker: Client) -> None:
    bundle = alert_view(kind="incident", reason="several_unplaced", visit=None, service_user=None)
    await hall.raise_alert(on_board(bundle, who=""), "hall")
    assert "several packages not placed" in await page(broker, LIST)
    html = await page(broker, "/board/hall/alerts/al-1")
    assert "Several packages could not be placed within a minute" in html
    assert "To the packages, each with an alert of its own" in html
    assert "h-round" not in html


async def test_an_auditor_reads_everything_and_is_offered_nothing_to_press(hall: FakeCouncil) -> None:
    hall.show(placement_view("k1", "proposed", proposed="ace", proposed_at=NOW))
    async with browser(hall) as client:
        await signed_in(client, "auditor")
        for path in (LIST, f"{LIST}/k1"):
            html = await page(client, path)
            assert not re.findall(r'action="(?!/sign-out)[^"]*"', html)
        assert (await client.get(f"{LIST}/new", headers=HTML)).status == 403
        answer = await client.post(f"{LIST}/k1/actions", data={"action": "award"}, headers=HTML)
        assert answer.status == 403
    assert hall.placing == []


# --- a package's page ---


def award_view(**more: Any) -> v.AwardView:
    """Awarded to `ace` now."""
    values: dict[str, Any] = {"provider": "ace", "at": NOW, "by": "st-1", "early": False, "reason": None}
    values |= {"proposed": "ace", "confirm_by": NOW + timedelta(hours=4), "papers_sent_at": None}
    values |= {"papers_by": None, "papers_reminded_at": None, "reminded_at": None}
    return v.AwardView(**values | more)


async def test_the_page_tells_who_was_asked_and_what_each_answered_and_when(
    hall: FakeCouncil, broker: Client
) -> None:
    no = v.DeclineView(
        provider="bee",
        round=0,
        at=NOW - timedelta(minutes=3),
        reason="no_capacity",
        source="broker",
        late=False,
        note="until Monday",
    )
    hall.show(placement_view(declined=(no,)))
    text = plain(await page(broker, f"{LIST}/k1"))
    assert "Acorn Care can start Wed 25 Nov, 08:02, 12 h a week free, 900 h declared" in text
    assert "Two regular care workers." in text
    assert "received 07:57:00 by their link, in time" in text
    assert "Beech Homecare asked 07:32: declined, 07:59:00 by telephone: no capacity until Monday" in text


async def test_a_proposal_shows_every_provider_and_every_rule_in_plain_words(
    hall: FakeCouncil, broker: Client
) -> None:
    good = rule_view("cqc", why="overall_good", at=NOW - timedelta(days=100))
    bad = rule_view("cqc", "fails", why="safe_requires_improvement", at=NOW)
    limit = rule_view("hours_limit", why="under", value=900, limit=3000, added=420)
    late = rule_view("start", "fails", why="too_late", value=90, at=NOW)
    lacks = rule_view("specialisms", "fails", why="missing", names=("peg_feeding",), value=0, limit=1)
    hall.show(
        placement_view(
            stage="proposed",
            proposed="ace",
            proposed_at=NOW,
            proposal=(row_view("ace", 1, good, limit), row_view("bee", None, bad, late, lacks)),
        )
    )
    text = plain(await page(broker, f"{LIST}/k1"))
    assert "CQC, overall: Good, 15 Aug 2026" in text
    assert (
        "Hours of care a week: 900 of at most 3,000 declared, and 7 h since then and with this package"
        in text
    )
    assert "CQC, safe: Requires Improvement, 23 Nov 2026 (fails)" in text
    assert "Can start 08:02, 1 h 30 min later than wanted (fails)" in text
    assert "Does not have: peg feeding (fails)" in text
    assert "Beech Homecare may not have it" in text


async def test_why_every_bid_of_a_closed_round_failed_is_seen_while_the_next_one_is_open(
    hall: FakeCouncil, broker: Client
) -> None:
    bad = rule_view("cqc", "fails", why="overall_requires_improvement", at=NOW)
    late = rule_view("start", "fails", why="too_late", value=480, at=NOW)
    rows = (row_view("ace", None, late), row_view("bee", None, bad), row_view("sea", None, answer="silent"))
    over = round_view(asked("ace", True), closed_at=NOW, reason="time", evaluation=rows, evaluated_at=NOW)
    hall.show(placement_view(rounds=(over, round_view(index=1, name="framework"))))
    text = plain(await page(broker, f"{LIST}/k1"))
    assert "Nobody was proposed, 08:02:00: what the rules said of each" in text
    assert "Acorn Care may not have it Can start 08:02, 8 h 00 min later than wanted (fails)" in text
    assert "Beech Homecare may not have it CQC, overall: Requires Improvement, 23 Nov 2026 (fails)" in text


async def test_the_proposal_that_stands_is_shown_once(hall: FakeCouncil, broker: Client) -> None:
    rows = (row_view("ace", 1, rule_view(why="overall_good")),)
    over = round_view(asked("ace", True), closed_at=NOW, reason="time", evaluation=rows, evaluated_at=NOW)
    standing = placement_view(
        stage="proposed", proposed="ace", proposed_at=NOW, proposal=rows, rounds=(over,)
    )
    hall.show(standing)
    text = plain(await page(broker, f"{LIST}/k1"))
    assert text.count("CQC, overall: Good") == 1
    hall.show(structs.replace(standing, stage="open", proposal=(), proposed=None))
    text = plain(await page(broker, f"{LIST}/k1"))
    assert "What was proposed, 08:02:00: what the rules said of each" in text


def test_every_name_of_a_rule_s_result_has_its_words() -> None:
    for rule, whys in rules.WHYS.items():
        for why in whys:
            one = rule_view(rule, why=why, value=1, limit=2, at=NOW, names=("dementia",))
            text = said.result(one, "Europe/London", NOW)
            assert "_" not in text
            assert text


async def test_a_proposal_shows_who_did_not_bid_what_waits_and_a_rating_that_came_in_the_window(
    hall: FakeCouncil, broker: Client
) -> None:
    good = rule_view(why="overall_good")
    hall.show(
        placement_view(
            "k1",
            "proposed",
            proposed="ace",
            proposed_at=NOW,
            rounds=(round_view(closed_at=NOW),),
            proposal=(
                row_view("ace", 1, good, rated_at=NOW, minutes_proposed=90),
                row_view("bee", None, answer="declined", start=None),
            ),
        )
    )
    text = plain(await page(broker, f"{LIST}/k1"))
    assert "2 won, 1.5 h a week more proposed" in text
    assert "This rating was told to us 08:02, after the window had opened" in text
    assert "Beech Homecare declined" in text
    assert "may not have it" not in text


@pytest.mark.parametrize(
    ("spoken", "listed"),
    [
        (said.TIES, evaluate.DECIDED_BY),
        (said.DECLINED, inputs.DECLINE_REASONS),
        (said.OVERRIDES, inputs.OVERRIDE_REASONS),
        (said.WITHDRAWN, inputs.WITHDRAW_REASONS),
        (said.MARKS, inputs.MARK_KINDS),
        (said.REMARKED, inputs.PLACEMENT_ACTIONS),
        (said.CALLED_OFF, inputs.CallOffOutcome.__args__),  # type: ignore[attr-defined]
        (said.STAGES, v.Stage.__args__),  # type: ignore[attr-defined]
        (said.SOURCES, inputs.BidSource.__args__),  # type: ignore[attr-defined]
        (said.LEVELS, (*inputs.RATING_LEVELS, rules.NOT_SAID)),
        (said.RULES, facts.RULES),
        (said.CLOSED, facts.CloseReason.__args__),  # type: ignore[attr-defined]
        ({"": "", **said.CROSSES}, facts.Crosses.__args__),  # type: ignore[attr-defined]
        (said.ANSWERS, facts.RowAnswer.__args__),  # type: ignore[attr-defined]
        (said.TARGETS, v.Target.__args__),  # type: ignore[attr-defined]
        (said.KINDS, PLACEMENT_KINDS),
    ],
)
def test_every_value_of_a_closed_list_has_its_words(spoken: dict[str, str], listed: tuple[str, ...]) -> None:
    assert set(spoken) == set(listed)


def test_who_begins_with_the_packages_is_whom_the_table_of_routes_lets_in() -> None:
    rule = next(one for one in RULES if (one.method, one.path) == ("GET", "/desks/{desk}/placements"))
    assert rule.council == READS_PACKAGES


AT, AT_REF = f"{LIST}/k1", f"{LIST}/ref-1"


async def test_every_button_of_a_broker_does_what_it_says(hall: FakeCouncil, broker: Client) -> None:
    hall.show(placement_view(stage="proposed", proposed="ace", proposed_at=NOW))
    start, end = "2026-11-26T08:00", "2026-11-26T09:00"
    pressed: list[dict[str, str]] = [
        {"action": "award"},
        {"action": "award", "provider": "bee", "reason": "geography", "note": "next door"},
        {"action": "open_next", "note": "they rang"},
        {"action": "admit_late:bee", "note": "their mail was down"},
        {"action": "spoke_provider:bee"},
        {"action": "papers_sent"},
        {"action": "confirm_first_visit", "visit_start": start, "visit_end": end, "supervisor": "yes"},
        {
            "action": "extend:ace",
            "until": end,
            "was": "2026-11-23T12:00:00.5+00:00",
            "note": "a bank holiday",
        },
        {"action": "send_back", "note": "they rang"},
        {"action": "revoke_link", "provider": "bee"},
        {"action": "withdraw", "reason": "not_needed"},
        {"action": "bid", "provider": "bee", "start": start, "how": "two of us", "hours_free": "9"},
        {"action": "decline", "provider": "bee", "reason": "rate"},
        {"action": "take_back", "provider": "bee"},
    ]
    for form in pressed:
        answer = await press(broker, AT, **form)
        assert (answer.status, answer.headers.get("Location")) == (303, AT), await answer.text()
    assert all(who == Speaker(source="broker", by="st-1") for _, _, _, who in hall.placing)
    assert [body for _, _, body, _ in hall.placing] == [
        PlacementActionIn(action="award", by="st-1"),
        PlacementActionIn(action="award", by="st-1", provider="bee", reason="geography", note="next door"),
        PlacementActionIn(action="open_next", by="st-1", note="they rang"),
        PlacementActionIn(action="admit_late", by="st-1", provider="bee", note="their mail was down"),
        PlacementActionIn(action="spoke_provider", by="st-1", provider="bee"),
        PlacementActionIn(action="papers_sent", by="st-1"),
        PlacementActionIn(action="confirm_first_visit", by="st-1", start=start, end=end, supervisor=True),
        PlacementActionIn(
            action="extend",
            by="st-1",
            provider="ace",
            note="a bank holiday",
            until=end,
            was="2026-11-23T12:00:00.5+00:00",
        ),
        PlacementActionIn(action="send_back", by="st-1", note="they rang"),
        PlacementActionIn(action="revoke_link", by="st-1", provider="bee"),
        PlacementActionIn(action="withdraw", by="st-1", reason="not_needed"),
        BidIn(start=start, how="two of us", hours_free=9, provider="bee", by="st-1"),
        DeclineIn(reason="rate", provider="bee", by="st-1"),
        TakeBackIn(provider="bee", by="st-1"),
    ]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"action": "award", "token": "forged"}, 403),
        ({"action": "award", "by": "st-9"}, 403),
        ({"action": "told_everybody"}, 400),
        ({"action": "confirm_first_visit", "visit_start": "2026-11-26T08:00"}, 400),
        ({"action": "bid", "provider": "bee"}, 400),
        ({"action": "bid", "start": "2026-11-26T08:00"}, 400),
        ({"action": "bid", "provider": "bee", "start": "2026-11-26T08:00", "hours_free": "-1"}, 400),
        ({"action": "decline", "provider": "bee"}, 400),
        ({"action": "extend:ace"}, 400),
        ({"action": "send_back", "note": "x" * 2001}, 400),
    ],
)
async def test_a_press_that_cannot_be_recorded_does_nothing_and_leads_back(
    hall: FakeCouncil, broker: Client, form: dict[str, str], status: int
) -> None:
    answer = await press(broker, AT, **form)
    assert answer.status == status
    assert f'href="{AT}"' in await answer.text()
    assert hall.placing == []


async def test_the_second_broker_hears_who_was_first_and_keeps_what_they_wrote(
    hall: FakeCouncil, broker: Client
) -> None:
    first = {"by": "bea", "at": NOW - timedelta(seconds=9), "provider": "bee"}
    hall.says_no = ApiProblem(409, "already_awarded", "this changes nothing any more", extra=first)
    form = {"action": "award", "provider": "ace", "reason": "geography", "note": "they live next door"}
    answer = await press(broker, AT, **form)
    text = plain(await answer.text())
    assert answer.status == 409
    assert "Beatrice Fernsby was first, at 08:01:51, 9 s ago. It is awarded already." in text
    assert "You tried to award it." in text
    assert "they live next door" in text


async def test_two_brokers_award_at_once_over_a_real_desk_and_the_second_is_told() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        for provider in ("ace", "bee"):
            await edge.bid(provider)
        edge.wait(hours=2)
        await signed_in(client, "broker")
        one = f"{LIST}/ref-1"
        assert "award proposed" in plain(await page(client, one))
        token = await token_of(client, one)
        form = {"token": token, "by": "bea", "action": "award"}
        for status in (303, 409):
            answer = await client.post(f"{one}/actions", data=form, headers=HTML, allow_redirects=False)
            assert answer.status == status, await answer.text()
        assert "Beatrice Fernsby was first" in plain(await answer.text())
        assert (await edge.kinds()).count("PlacementAwarded") == 1


async def test_what_somebody_wrote_is_shown_and_never_run(hall: FakeCouncil, broker: Client) -> None:
    evil = "<script>alert(1)</script>"
    hall.show(placement_view(package=package_view(text=evil), bids=(bid_view(how=evil),)))
    html = await page(broker, AT)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;") == 2


async def test_a_package_that_is_not_there_is_404_with_a_way_back(broker: Client) -> None:
    assert f'href="{LIST}"' in await page(broker, f"{LIST}/k99", 404)


# --- a package is sent out ---

NEW: dict[str, Any] = {
    "id": "ref-1",
    "kind": "standard",
    "place": "east/petts-wood",
    "hours_week": "10.5",
    "visit-1": "30",
    "visit-2": "45",
    "care_workers": "2",
    "time_critical": "yes",
    "start": "2026-11-26T08:00",
    "specialisms": "dementia",
    "text": "Lives alone.",
}


async def test_a_package_is_sent_out_as_it_was_filled_in(hall: FakeCouncil, broker: Client) -> None:
    html = await page(broker, f"{LIST}/new")
    assert '<optgroup label="East">' in html
    assert 'value="east/petts-wood"' in html
    assert 'step="0.25"' in html
    assert "Hospital discharge (timings unconfirmed)" in html
    answer = await press(broker, f"{LIST}/new", **NEW)
    assert (answer.status, answer.headers["Location"]) == (303, f"{LIST}/ref-1")
    assert hall.placing[0][2] == PlacementIn(
        kind="standard",
        area="east",
        ward="petts-wood",
        id="ref-1",
        by="st-1",
        hours_week=10.5,
        visits=(30, 45),
        care_workers=2,
        time_critical=True,
        specialisms=("dementia",),
        start="2026-11-26T08:00",
        text="Lives alone.",
    )


async def test_a_package_without_a_reference_has_one_of_ours_and_two_presses_send_one(
    hall: FakeCouncil, broker: Client
) -> None:
    html = await page(broker, f"{LIST}/new")
    fresh = re.search(r'name="fresh" value="(pk-[a-z]{6})"', html)
    assert fresh is not None
    for _ in range(2):
        await press(broker, f"{LIST}/new", **NEW | {"id": "", "fresh": fresh[1]})
    assert [body.id for _, _, body, _ in hall.placing] == [fresh[1]] * 2


async def test_refused_text_is_shown_with_its_marked_places_and_can_be_overridden(
    hall: FakeCouncil, broker: Client
) -> None:
    marks = [{"kind": "name", "path": "text", "from": 0, "to": 10}]
    hall.says_no = ApiProblem(400, "not_anonymous", "…", "text", extra={"marks": marks})
    answer = await press(broker, f"{LIST}/new", **NEW | {"text": "Mrs. Smith lives alone."})
    html = await answer.text()
    assert answer.status == 400
    assert "<mark>Mrs. Smith</mark> <small>(a name)</small> lives alone." in html
    assert 'value="east/petts-wood" selected' in html, "what was filled in is not lost"
    assert 'value="10.5"' in html
    assert hall.placing == []
    hall.says_no = None
    why = {"text": "Mrs. Smith lives alone.", "override": "a made-up name"}
    assert (await press(broker, f"{LIST}/new", **NEW | why)).status == 303
    assert hall.placing[0][2].override == "a made-up name"


@pytest.mark.parametrize("gone", ["kind", "place", "hours_week", "visit-1"])
async def test_a_form_with_a_gap_says_what_is_missing_and_keeps_the_rest(
    hall: FakeCouncil, broker: Client, gone: str
) -> None:
    form = {name: value for name, value in NEW.items() if name not in (gone, "visit-2")}
    answer = await press(broker, f"{LIST}/new", **form)
    html = await answer.text()
    assert answer.status == 400
    assert "then press again" in html
    assert "Lives alone." in html
    assert hall.placing == []


# --- the register ---


def register_row(provider: str, **more: Any) -> v.RegisterRow:
    """A provider that was offered ten packages and answered nearly all."""
    within = (v.Within(kind="discharge", limit_s=1800, answered=3, of=4),)
    values: dict[str, Any] = {"provider": provider, "name": NAMES[provider], "tier": "patch", "active": True}
    values |= {"offered": 10, "bid": 6, "declined": 3, "declined_for": {"no_capacity": 3}, "silent": 1}
    values |= {"withdrew": 0, "unanswered": 0, "late": 0, "won": 4, "taken_back": 0, "median_s": 1500}
    values |= {"within": within, "minutes_held": 2430, "hours_declared": 2900, "declared_on": NOW.date()}
    values |= {"minutes_since": 2430, "hours_limit": 3000, "in_a_row": 0, "refused_share": 0.4}
    return v.RegisterRow(**values | more)


async def test_the_register_says_who_is_spoken_of_and_leads_to_the_spreadsheet(
    hall: FakeCouncil, broker: Client
) -> None:
    hall.kept = v.RegisterView(
        since=NOW - timedelta(days=90),
        until=NOW,
        rows=(register_row("ace"), register_row("bee", in_a_row=5, persistent=("in_a_row",))),
        placed=10,
        placed_with_patch=5,
        patch_share=0.5,
        patch_target=(0.6, 0.7),
        target="below",
        in_a_row=3,
        share=0.5,
        at_least=4,
    )
    html = await page(broker, "/desks/hall/register?since=2026-08-25")
    text = plain(html)
    assert "50% : 5 of 10 packages, below the target of 60% to 70%." in text
    assert "Beech Homecare : the last 5 packages declined, given back or not answered" in text
    assert "10: 6 bid, 3 declined, 1 without an answer" in text
    assert (
        "25 min in the middle · discharge: 3 of 4 within 30 min".replace("discharge", "hospital discharge")
        in text
    )
    assert "2,900 a week declared, 23 Nov 2026, and 40.5 h since, of at most 3,000" in text
    found = re.search(r'href="(/v1/desks/hall/register\.csv[^"]*)"', html)
    assert found is not None
    answer = await broker.get(found[1])
    assert (answer.status, answer.content_type) == (200, "text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert (await answer.text()).count("\r\n") == 3
    assert hall.asked_since == [date(2026, 8, 25)] * 2
    for strange in ("soon", "0001-01-01"):
        answer = await broker.get(f"/v1/desks/hall/register?since={strange}")
        assert (answer.status, (await answer.json())["error"]["path"]) == (400, "since")
        assert (await broker.get(f"/desks/hall/register?since={strange}", headers=HTML)).status == 400


async def test_a_real_desk_s_register_has_names_and_the_callers_own_ids() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        await edge.decline("ace")
        await signed_in(client, "auditor")
        text = plain(await page(client, "/desks/hall/register"))
        assert "Ace Homecare Ltd" in text
        assert "1: 0 bid, 1 declined, 0 without an answer" in text
        assert "no capacity 1" in text
        body = await (await client.get("/v1/desks/hall/register")).json()
        assert [row["provider"] for row in body["rows"]] == ["frame", "ace", "bee", "sea"]


async def test_a_broker_says_that_care_has_ended_and_mends_it_on_the_page_and_by_the_api() -> None:
    held = "/desks/hall/register/held"
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        await edge.bid("ace")
        edge.wait(hours=2)
        await edge.act("award")
        await signed_in(client, "broker")
        assert held in await page(client, "/desks/hall/register")
        listed = plain(await page(client, held))
        assert "Ace Homecare Ltd 7 h a week" in listed
        assert "The care has ended" in listed
        form = {"token": await token_of(client, f"{held}?package=ref-1"), "by": "bea"}
        for on, status in (("", 400), ("2026-11-22", 400), ("2026-11-23", 303)):
            pressed = form | {"action": "care_ended:ref-1", "on": on}
            answer = await client.post(held, data=pressed, headers=HTML, allow_redirects=False)
            assert answer.status == status, await answer.text()
        assert "care ended 23 Nov 2026" in plain(await page(client, held))
        (row,) = (await (await client.get("/v1/desks/hall/register/held")).json())["held"]
        assert (row["provider"], row["ended_on"], row["held"]) == ("ace", "2026-11-23", False)
        answer = await client.post(held, data=form | {"action": "goes_on:ref-1"}, headers=HTML)
        assert answer.status == 200
        (again,) = await edge.placing.held()
        assert (again.ended_on, again.held) == (None, True)
        assert (await edge.kinds()).count("CareEnded") == 2


async def test_an_end_of_care_is_said_by_the_packages_own_id_long_after_it_has_left_the_state() -> None:
    async with real_hall() as (edge, _):
        await edge.place(id="ref-1")
        await edge.bid("ace")
        edge.wait(hours=2)
        await edge.act("award")
        begin = rfc(edge, days=2)
        await edge.act("confirm_first_visit", start=begin, end=rfc(edge, days=2, minutes=30), supervisor=True)
        edge.wait(days=4)
        assert edge.shell.state.values.placements == {}
        said = CareEndedIn(on=date(2026, 11, 26), by="bea")
        found = await edge.placing.care_ended("ref-1", said, Speaker(source="broker", by="bea"))
        assert (found.placement, found.provider, found.held) == ("ref-1", "ace", False)
        problem = await edge.refused(
            edge.placing.care_ended("ref-9", said, Speaker(source="broker", by="bea"))
        )
        assert (problem.status, problem.code) == (404, "not_found")


async def test_an_auditor_reads_what_is_held_and_presses_nothing(hall: FakeCouncil) -> None:
    hall.holding = (
        v.HeldView(
            placement="k1",
            provider="ace",
            kind="discharge",
            minutes_week=600,
            hours_week=10.0,
            won_at=NOW,
            until=NOW + timedelta(weeks=6),
            ended_on=None,
            held=True,
            name="Acorn Care",
        ),
    )
    async with browser(hall) as client:
        await signed_in(client, "auditor")
        html = await page(client, "/desks/hall/register/held?package=k1")
        assert "at most until" in plain(html)
        assert '<form class="press"' not in html
        assert "The care has ended" not in html


# --- the bid page ---


async def test_a_bid_page_says_how_long_it_lasts_and_until_when_so_early_a_start_is_told(
    hall: FakeCouncil, anybody: Client
) -> None:
    limits = v.CutoffView(
        same_day="15:00", next_morning="17:00", weekend_same_day="13:00", weekend_next_morning="13:00"
    )
    package = package_view(ward_name="Petts Wood and Knoll", at_most_s=6 * 7 * 86400, cutoff=limits)
    hall.owned["k1", "ace"] = own_view(package=package)
    text = plain(await page(anybody, f"/b/{LETTERS}"))
    assert "Petts Wood and Knoll" in text
    assert "6 weeks at most" in text
    week = "for a start the same day by 15:00, for one the next morning by 17:00; at weekends by 13:00"
    assert week in text
    hall.owned["k1", "ace"] = own_view()
    text = plain(await page(anybody, f"/b/{LETTERS}"))
    assert "at most" not in text
    assert "at weekends" not in text


@pytest.mark.parametrize(
    ("seconds", "reads"),
    [(6 * 7 * 86400, "6 weeks"), (7 * 86400, "1 week"), (10 * 86400, "10 days"), (3600, "1 h 00 min")],
)
def test_how_long_a_package_lasts(seconds: int, reads: str) -> None:
    assert said.lasts(seconds) == reads


async def test_a_provider_s_view_has_the_limits_of_the_policy_that_the_package_runs_by() -> None:
    limits = Cutoff(
        same_day=time(15), next_morning=time(17), weekend_same_day=time(13), weekend_next_morning=time(12)
    )
    policy = structs.replace(STANDARD, cutoff=limits, at_most=timedelta(weeks=6))
    async with council(policy) as edge:
        await edge.place(id="ref-1", ward="petts-wood")
        package = (await edge.own("ace")).package
    assert package.at_most_s == 6 * 7 * 86400
    assert package.cutoff is not None
    assert "the next morning by 17:00; at weekends by 13:00 and 12:00" in said.told_by(package.cutoff)


async def test_fetching_a_link_does_nothing_however_often(hall: FakeCouncil, anybody: Client) -> None:
    for _ in range(3):
        html = await page(anybody, f"/b/{LETTERS}")
    assert hall.placing == []
    assert "Set-Cookie" not in (await anybody.get(f"/b/{LETTERS}")).headers
    text = plain(html)
    assert "Package k1 1 h 30 min left" in text
    assert "Bid or decline by 09:32:00." in text
    assert "Our clock decides: it said 08:02:00" in text
    assert "Nothing from you yet." in text
    assert 'href="tel:+441632960111"' in html


async def test_every_button_of_a_provider_speaks_for_it_alone(hall: FakeCouncil, anybody: Client) -> None:
    start, end = "2026-11-26T08:00", "2026-11-26T09:00"
    for form in (
        {"action": "bid", "start": start, "how": "two of us", "hours_free": "", "provider": "bee"},
        {"action": "take_back", "provider": "bee"},
        {"action": "decline:no_capacity", "note": "until Monday", "pass_to": ""},
        {"action": "confirm_first_visit", "visit_start": start, "visit_end": end, "supervisor": "yes"},
    ):
        answer = await anybody.post(f"/b/{LETTERS}", data=form, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, f"/b/{LETTERS}")
    visit = PlacementActionIn(action="confirm_first_visit", start=start, end=end, supervisor=True)
    assert hall.placing == [
        (what, "k1", body, Speaker(source="link", provider="ace"))
        for what, body in (
            ("bid", BidIn(start=start, how="two of us")),
            ("take_back", TakeBackIn()),
            ("decline", DeclineIn(reason="no_capacity", note="until Monday")),
            ("confirm_first_visit", visit),
        )
    ]


@pytest.mark.parametrize("action", ["award", "open_next", "withdraw", "admit_late:ace", "send_back", ""])
async def test_a_link_presses_no_button_of_a_broker(hall: FakeCouncil, anybody: Client, action: str) -> None:
    answer = await anybody.post(f"/b/{LETTERS}", data={"action": action, "provider": "ace"})
    assert answer.status == 400
    assert hall.placing == []


async def test_links_that_open_nothing_say_so_each_with_its_status(
    hall: FakeCouncil, anybody: Client
) -> None:
    hall.give_link("ended", ended=True)
    hall.give_link("foreign", provider="bee")
    hall.give_link("other")
    hall.links["other"] = Shown(
        verdict="genuine", link=Link(purpose="recording", desk="hall", intent="k1", person="ace", until=NOW)
    )
    hall.give_link("revoked", provider="cee")
    hall.owned["k1", "cee"] = own_view(revoked=True)
    hall.give_link("older", provider="dee")
    hall.owned["k1", "dee"] = own_view(link_serial=1)
    for text, status, words in (
        ("forged", 404, "This link is not known"),
        ("other", 404, "This link is not known"),
        ("foreign", 404, "This link is not known"),
        ("ended", 403, "Its time is over"),
        ("revoked", 403, "The brokerage has taken this link back"),
        ("older", 403, "The brokerage has taken this link back"),
    ):
        html = await page(anybody, f"/b/{text}", status)
        assert "dead_link" not in [one[0] for one in hall.placing] or text != "ended"
        assert words in html
        assert "ring the brokerage" in html
        assert "k1" not in html
        answer = await anybody.post(f"/b/{text}", data={"action": "bid", "start": "2026-11-26T08:00"})
        assert answer.status == (status if text not in ("foreign", "revoked", "older") else answer.status)
    assert [one[0] for one in hall.placing if one[3].provider == "ace"] == ["dead_link"]


async def test_a_press_comes_with_the_number_of_its_link(hall: FakeCouncil, anybody: Client) -> None:
    hall.give_link("second", serial=2)
    hall.owned["k1", "ace"] = own_view(link_serial=2)
    await page(anybody, "/b/second")
    answer = await anybody.post("/b/second", data={"action": "bid", "start": "2026-11-26T08:00"})
    assert answer.status == 200
    assert [one[3].link for one in hall.placing] == [2]


async def test_whom_no_text_and_no_mail_could_reach_is_named_to_the_broker(
    hall: FakeCouncil, broker: Client
) -> None:
    missed = structs.replace(asked("bee"), not_reached_at=NOW - timedelta(minutes=20))
    hall.show(placement_view(rounds=(round_view(asked("ace", answered=True), missed),)))
    assert "Beech Homecare could not be told by text or e-mail" in plain(await page(broker, LIST))
    one = plain(await page(broker, f"{LIST}/k1"))
    assert "not reached by text or e-mail" in one
    assert "please ring them before" in one
    assert 'value="spoke_provider:bee"' in await page(broker, f"{LIST}/k1")
    told = structs.replace(missed, spoken_at=NOW - timedelta(minutes=5), spoken_by="st-1")
    hall.show(placement_view(rounds=(round_view(told),)))
    assert "could not be told" not in plain(await page(broker, LIST))
    one = await page(broker, f"{LIST}/k1")
    assert "told by telephone 07:57 by Anna Weber, and asked since then" in plain(one)
    assert "spoke_provider" not in one
    over = round_view(missed, not_reached=("bee",), closed_at=NOW, reason="time")
    hall.show(placement_view(stage="waiting", rounds=(over,), bids=(), closes_at=None))
    assert "please ring them" not in plain(await page(broker, f"{LIST}/k1"))


async def test_who_revokes_a_link_is_told_who_can_answer_by_a_token_of_their_own(
    hall: FakeCouncil, broker: Client
) -> None:
    rounds = (round_view(asked("ace"), asked("bee")),)
    hall.show(placement_view(rounds=rounds, answers_by_token=("ace",)))
    html = await page(broker, AT)
    assert "can answer all the same: Acorn Care. Who" in plain(html)
    assert "they can still answer" not in html
    hall.show(placement_view(rounds=rounds, revoked=("ace", "bee"), answers_by_token=("ace",)))
    text = plain(await page(broker, AT))
    assert text.count("link revoked; they can still answer by their own token") == 1
    assert text.count("link revoked") == 2
    hall.show(placement_view(rounds=rounds))
    assert 'id="by-token"' not in await page(broker, AT)


async def test_a_refused_bid_keeps_what_was_written(hall: FakeCouncil, anybody: Client) -> None:
    hall.says_no = ApiProblem(409, "start_past", "this changes nothing any more")
    form = {"action": "bid", "start": "2026-11-20T08:00", "how": "with two regulars"}
    answer = await anybody.post(f"/b/{LETTERS}", data=form)
    html = await answer.text()
    assert answer.status == 409
    assert "Nothing was taken down." in html
    assert "The start lies in the past." in plain(html)
    assert "with two regulars" in html
    assert 'value="2026-11-20T08:00"' in html


async def test_while_the_disk_takes_nothing_the_page_says_so_and_promises_nothing(
    hall: FakeCouncil, anybody: Client
) -> None:
    hall.degraded = True
    assert "cannot be read just now" in await page(anybody, f"/b/{LETTERS}", 503)
    answer = await anybody.post(f"/b/{LETTERS}", data={"action": "bid", "start": "2026-11-26T08:00"})
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "may not be there" in await answer.text()
    hall.degraded, hall.says_no = False, ApiProblem(409, "awarded", "…")
    hall.owned["k1", "ace"] = ApiProblem(404, "not_found", "there is no such placement")
    answer = await anybody.post(f"/b/{LETTERS}", data={"action": "take_back"})
    assert answer.status == 404


async def test_words_that_may_name_somebody_are_kept_and_the_provider_is_told() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        form = {"action": "bid", "start": rfc(edge, days=2), "how": "Ring Mrs. Smith on 07700 900123."}
        answer = await client.post("/b/ace", data=form)
        assert answer.status == 200
        text = plain(await answer.text())
        assert "Received. Your words look as if they named somebody" in text
        assert "Received 08:00:00 by your link, in time." in text


def own_bid(**more: Any) -> v.OwnBid:
    values: dict[str, Any] = {"at": NOW, "start": NOW + timedelta(days=2), "source": "link", "late": False}
    return v.OwnBid(
        **values | {"withdrawn_at": None, "changes": 0, "hours_free": None, "hours_declared": None} | more
    )


CLOSES = NOW.replace(hour=12, minute=0)


@pytest.mark.parametrize(
    ("bid", "words"),
    [
        (CLOSES - timedelta(milliseconds=1), "Received 11:59:59 by their link, in time."),
        (CLOSES, "Received 12:00:00 by their link, after the close at 12:00:00: kept and marked late."),
    ],
)
async def test_the_page_says_the_truth_about_the_second_of_the_close(
    hall: FakeCouncil, anybody: Client, bid: Any, words: str
) -> None:
    given = own_bid(at=bid, late=bid >= CLOSES)
    hall.owned["k1", "ace"] = own_view("closed", closes_at=CLOSES, bid=given)
    assert words.replace("by their link", "by your link") in plain(await page(anybody, f"/b/{LETTERS}"))


@pytest.mark.parametrize(
    ("state", "more", "shown", "buttons"),
    [
        ("open", {}, "Bid or decline by", {"bid", "decline"}),
        ("open", {"bid": own_bid()}, "You can start Wed 25 Nov, 08:02", {"bid", "take_back", "decline"}),
        ("closed", {}, "You hear what was decided.", {"bid"}),
        (
            "won",
            {"confirm_by": NOW},
            "Please confirm day and time of the first visit",
            {"confirm_first_visit"},
        ),
        ("not_successful", {"bid": own_bid()}, "not successful this time", set()),
        ("taken_back", {}, "no longer yours", set()),
        ("withdrawn", {}, "Nobody is looked for any more", set()),
    ],
)
async def test_each_state_offers_what_can_still_be_done(
    hall: FakeCouncil, anybody: Client, state: Any, more: Any, shown: str, buttons: set[str]
) -> None:
    hall.owned["k1", "ace"] = own_view(state, **more)
    html = await page(anybody, f"/b/{LETTERS}")
    assert shown in plain(html)
    offered = {value.partition(":")[0] for value in re.findall(r'name="action" value="([^"]+)"', html)}
    assert offered == buttons


async def test_a_decline_is_one_press_with_its_reason_and_may_pass_on_to_a_partner(
    hall: FakeCouncil, anybody: Client
) -> None:
    hall.owned["k1", "ace"] = own_view(partners=("bee",), partner_names={"bee": NAMES["bee"]})
    html = await page(anybody, f"/b/{LETTERS}")
    for reason in inputs.DECLINE_REASONS:
        assert f'value="decline:{reason}"' in html
    assert '<option value="bee">Beech Homecare</option>' in html


# --- sealed, over a real desk ---


class RealHall(FakeCouncil):
    """The pages' desk is a real one, its clock in the hand; links open the package `ref-1` for whoever they name."""

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self.edge = edge
        self.credentials["secret of the broker"] = Credential(role="broker", desk="hall", person="bea")
        self.boards["hall"] = board_view("hall", name="Hall Council")
        for provider in ("ace", "bee", "sea", "frame"):
            link = Link(
                purpose="bid", desk="hall", intent="ref-1", person=provider, until=NOW + timedelta(days=9)
            )
            self.links[provider] = Shown(verdict="genuine", link=link)

    def calendar(self, desk: str) -> Calendar:
        return self.edge.shell.state.calendar

    async def placements_page(self, desk: str) -> v.PlacementsPage:
        return self.edge.placing.page()

    async def placement_page(self, desk: str, placement: str) -> v.PlacementPage:
        return await self.edge.placing.one_page(placement)

    async def held(self, desk: str) -> list[v.HeldView]:
        return await self.edge.placing.held()

    async def held_page(self, desk: str) -> v.HeldPage:
        return self.edge.placing.held_page()

    async def care_ended(self, desk: str, placement: str, said: CareEndedIn, speaker: Speaker) -> v.HeldView:
        return await self.edge.placing.care_ended(placement, said, speaker)

    async def register(self, desk: str, since: date | None) -> v.RegisterView:
        return await self.edge.placing.register(since)

    async def place(self, desk: str, said: PlacementIn, speaker: Speaker) -> tuple[v.PlacementView, bool]:
        return await self.edge.placing.place(said, speaker)

    async def own_placement(self, desk: str, placement: str, provider: str) -> v.OwnPlacement:
        return await self.edge.placing.own(placement, provider)

    async def bid(self, desk: str, placement: str, said: BidIn, speaker: Speaker) -> v.BidReceipt:
        return await self.edge.placing.bid(placement, said, speaker)

    async def decline(self, desk: str, placement: str, said: DeclineIn, speaker: Speaker) -> v.BidReceipt:
        return await self.edge.placing.decline(placement, said, speaker)

    async def take_back(self, desk: str, placement: str, said: TakeBackIn, speaker: Speaker) -> v.BidReceipt:
        return await self.edge.placing.take_back(placement, said, speaker)

    async def act_on_placement(
        self, desk: str, placement: str, said: PlacementActionIn, speaker: Speaker
    ) -> v.PlacementView:
        return await self.edge.placing.act(placement, said, speaker)


@asynccontextmanager
async def real_hall(placing: PlacingPolicy = STANDARD) -> AsyncIterator[tuple[Edge, Client]]:
    async with council(placing) as edge, browser(RealHall(edge), edge.clock.now) as client:
        yield edge, client


async def test_a_provider_s_page_is_the_same_bytes_whatever_its_rivals_do() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1", text="E.M., needs help to wash.")
        before = await page(client, "/b/bee")
        await edge.bid("ace", how="with our own team in Petts Wood")
        assert await page(client, "/b/bee") == before
        await edge.take_back("ace")
        await edge.decline("ace", note="nobody is free")
        assert await page(client, "/b/bee") == before
        for word in ("ace", "Ace", "frame", "asked", "own team"):
            assert word not in plain(before)


async def test_the_live_stream_and_the_pages_of_the_council_open_to_no_link_and_to_no_stranger(
    hall: FakeCouncil, anybody: Client
) -> None:
    for path in (f"{LIST}/events", f"{LIST}/fragment", AT):
        assert (await anybody.get(path)).status in (401, 403)
        assert (await anybody.get(path, headers={"Authorization": f"Bearer {LETTERS}"})).status in (401, 403)
    assert (await anybody.get(f"/b/{LETTERS}/events")).status == 404


async def test_whoever_was_not_asked_learns_nothing_by_a_link_of_theirs() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        html = await page(client, "/b/sea", 404)
        assert "ref-1" not in html
        answer = await client.post("/b/sea", data={"action": "bid", "start": rfc(edge, days=2)})
        assert answer.status == 404
        assert "ref-1" not in await answer.text()


async def test_a_bid_is_changed_taken_back_and_given_again_by_the_page_and_late_it_is_kept() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        for hours in (48, 47):
            form = {"action": "bid", "start": rfc(edge, hours=hours), "how": f"from hour {hours}"}
            assert (await client.post("/b/ace", data=form, allow_redirects=False)).status == 303
        text = plain(await page(client, "/b/ace"))
        assert "from hour 47" in text
        assert "Changed" in text
        assert (
            await client.post("/b/ace", data={"action": "take_back"}, allow_redirects=False)
        ).status == 303
        assert "Taken back" in plain(await page(client, "/b/ace"))
        edge.wait(hours=2)
        form = {"action": "bid", "start": rfc(edge, hours=40)}
        assert (await client.post("/b/ace", data=form, allow_redirects=False)).status == 303
        assert "Kept and marked late" in plain(await page(client, "/b/ace"))


async def test_a_lead_passes_a_package_on_by_its_page_and_its_partner_takes_it_by_theirs() -> None:
    direct = Round(name="locality_partner", tiers=("patch",), rule="direct", passes_on=True, next="broker")
    async with real_hall(structs.replace(STANDARD, rounds=(direct,))) as (edge, client):
        await edge.provider("sea", partners=["frame"])
        await edge.place(id="ref-1", area="south", ward="darwin")
        await page(client, "/b/frame", 404)
        assert '<option value="frame">Frame Homecare Ltd</option>' in await page(client, "/b/sea")
        passed = {"action": "decline:no_capacity", "pass_to": "frame"}
        assert (await client.post("/b/sea", data=passed, allow_redirects=False)).status == 303
        lead = await page(client, "/b/sea")
        form = {"action": "bid", "start": rfc(edge, days=2), "how": "with our night team"}
        assert (await client.post("/b/frame", data=form, allow_redirects=False)).status == 303
        assert await page(client, "/b/sea") == lead, "whoever passed it on does not learn what came of it"
        assert "no capacity, passed on to Frame Homecare Ltd." in plain(lead)
        await signed_in(client, "broker")
        text = plain(await page(client, f"{LIST}/ref-1"))
        assert "The partner of the locality" in text
        assert "with our night team" in text
        declined = "Sea Homecare Ltd asked 08:00: declined, 08:00:00 by their link: no capacity"
        assert f"{declined}, passed on to Frame Homecare Ltd" in text


async def test_a_call_to_whom_nothing_could_reach_is_recorded_on_the_page_and_the_second_is_told() -> None:
    async with real_hall() as (edge, client):
        await edge.provider("ace", email=None)
        await edge.place(id="ref-1")
        await signed_in(client, "broker")
        one = f"{LIST}/ref-1"
        html = await page(client, one)
        assert 'id="spoke-ace"' in html
        assert 'id="spoke-bee"' not in html
        edge.wait(minutes=20)
        form = {"token": await token_of(client, one), "by": "bea", "action": "spoke_provider:ace"}
        for status in (303, 409):
            answer = await client.post(f"{one}/actions", data=form, headers=HTML, allow_redirects=False)
            assert answer.status == status, await answer.text()
        assert "told by telephone" in plain(await page(client, one))
        edge.wait(minutes=5)
        await edge.bid("ace", "ref-1")
        (row,) = [row for row in (await edge.placing.register(None)).rows if row.provider == "ace"]
        assert (row.median_s, row.not_reached, row.bid) == (300, 0, 1)


async def test_papers_that_go_after_the_first_visit_is_confirmed_are_recorded_all_the_same() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        await edge.bid("ace")
        await edge.act("award", provider="ace", reason="emergency", note="comes home now")
        await edge.act("confirm_first_visit", start=rfc(edge, days=2), end=rfc(edge, days=2, hours=1))
        await signed_in(client, "broker")
        assert "papers not sent" in plain(await page(client, LIST))
        html = await page(client, f"{LIST}/ref-1")
        assert "The papers are not sent." in plain(html)
        assert 'id="papers"' in html
        assert "waits <time" not in html, "nobody waits for it any more"
        assert (await press(client, f"{LIST}/ref-1", by="bea", action="papers_sent")).status == 303
        html = await page(client, f"{LIST}/ref-1")
        assert "The papers were sent" in plain(html)
        assert 'id="papers"' not in html
        assert "papers not sent" not in plain(await page(client, LIST))


async def test_longer_to_confirm_is_given_once_by_the_page_and_what_was_written_is_shown() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        await edge.bid("ace")
        await edge.act("award", provider="ace", reason="emergency", note="comes home now")
        await signed_in(client, "broker")
        form = dict(
            re.findall(r'<input type="hidden" name="(was)" value="([^"]+)"', await page(client, AT_REF))
        )
        later = {
            "by": "bea",
            "action": "extend:ace",
            "until": "2026-11-24T18:00",
            "note": "their van is away",
        }
        assert (await press(client, AT_REF, **form, **later)).status == 303
        second = await press(client, AT_REF, **form, **later | {"note": "mine"})
        assert second.status == 409
        assert "Beatrice Fernsby" in plain(await second.text())
        text = plain(await page(client, AT_REF))
        assert "Beatrice Fernsby gave them longer" in text
        assert "gave longer to confirm (Ace Homecare Ltd): their van is away" in text
        assert "mine" not in text
        assert (await edge.own("ace")).confirm_by == datetime(2026, 11, 24, 18, tzinfo=UTC)


async def test_the_award_is_taken_back_by_the_page_also_after_the_first_visit_is_confirmed() -> None:
    async with real_hall() as (edge, client):
        await edge.provider("ace", desk="bright")
        await edge.place(id="ref-1")
        await edge.bid("ace")
        await edge.act("award", provider="ace", reason="emergency", note="comes home now")
        await edge.act("confirm_first_visit", start=rfc(edge, days=2), end=rfc(edge, days=2, hours=1))
        await signed_in(client, "broker")
        assert 'id="send-back"' in await page(client, AT_REF)
        back = {"by": "bea", "action": "send_back:ace", "note": "they cannot after all"}
        assert (await press(client, AT_REF, **back)).status == 303
        text = plain(await page(client, AT_REF))
        assert "in the desk of Ace Homecare Ltd: not called off yet" in text
        (known,) = edge.shell.state.values.placements.values()
        edge.shell.tell(CallOffSettled(placement=known.ref, index=0, desk="bright", outcome="kept"))
        assert "their office had made the visit its own" in plain(await page(client, AT_REF))


async def test_where_nobody_bid_nobody_is_said_to_be_told_or_proposed() -> None:
    first = Round(name="patch", tiers=("patch",), closes_early="all_declined")
    second = Round(name="framework", tiers=("framework",), area="any", next="end")
    async with real_hall(structs.replace(STANDARD, rounds=(first, second))) as (edge, client):
        await edge.place(id="ref-1")
        for name in ("ace", "bee"):
            await edge.decline(name)
        await edge.bid("frame")
        await signed_in(client, "broker")
        await edge.act("award", provider="frame", reason="emergency", note="comes home now")
        text = plain(await page(client, f"{LIST}/ref-1"))
        assert "1. Patch providers of the area" in text
        assert "were told" not in text


async def test_a_window_that_was_closed_before_its_time_names_no_moment_to_a_rival() -> None:
    async with real_hall() as (edge, client):
        await edge.place(id="ref-1")
        await edge.bid("ace")
        edge.wait(minutes=10)
        await edge.act("award", provider="ace", reason="emergency", note="comes home now")
        edge.wait(minutes=10)
        text = plain(await page(client, "/b/bee"))
        assert "The window is closed. You hear what was decided." in text
        assert "08:10" not in text
        form = {"action": "bid", "start": rfc(edge, days=2)}
        answer = await client.post("/b/bee", data=form)
        assert answer.status == 409
        assert "It is awarded already" in plain(await answer.text())


async def test_in_a_ranked_round_nobody_sees_who_else_stands_in_line() -> None:
    ranked = Round(name="locality", tiers=("patch",), rule="ranked", order="rate", next="broker")
    async with real_hall(structs.replace(STANDARD, rounds=(ranked,))) as (edge, client):
        await edge.provider("ace", rate=20.0)
        await edge.place(id="ref-1")
        await page(client, "/b/bee", 404)
        first = plain(await page(client, "/b/ace"))
        edge.wait(hours=2)
        second = plain(await page(client, "/b/bee"))
        assert "Bid or decline by 12:00:00" in second
        assert "The window closed at 10:00:00" in plain(await page(client, "/b/ace"))
        for text, rival in ((first, "Bee"), (second, "Ace")):
            assert rival not in text
        await signed_in(client, "broker")
        assert "Bee Homecare Ltd asked 10:00" in plain(await page(client, f"{LIST}/ref-1"))


# --- words ---


@pytest.mark.parametrize(
    "file",
    [
        *sorted((Path(__file__).parents[2] / "connectors" / "board" / "templates").glob("*plac*")),
        *sorted((Path(__file__).parents[2] / "connectors" / "board" / "templates").glob("*bid*")),
    ],
    ids=lambda path: path.name,
)
def test_every_field_of_a_form_has_its_label_and_no_question_is_forbidden(file: Path) -> None:
    html = file.read_text()
    assert forbidden(html) == []
    for found in re.finditer(r"<(input|select|textarea) ([^>]*)", html):
        if 'type="hidden"' not in found[2]:
            name = re.search(r'\bid="([^"]+)"', found[2])
            assert name is not None, found[0]
            assert f'for="{name[1]}"' in html, found[0]


@pytest.mark.parametrize(
    ("minutes", "text"), [(15, "0.25 h"), (420, "7 h"), (630, "10.5 h"), (675, "11.25 h"), (6000, "100 h")]
)
def test_hours_are_said_in_quarters(minutes: int, text: str) -> None:
    assert said.hours(minutes) == text


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        ((45,), "1 visit a day of 45 minutes"),
        ((30, 30), "2 visits a day of 30 minutes each"),
        ((30, 45, 30), "3 visits a day: 30, 45 and 30 minutes"),
    ],
)
def test_visits_are_said_as_people_say_them(lengths: tuple[int, ...], text: str) -> None:
    assert said.visits(lengths) == text
