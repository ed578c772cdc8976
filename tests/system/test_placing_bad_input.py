"""Bad input at a council's desk: by its API, by a provider's link, by the broker's form; changes while a window runs.

One daemon for all of it. What is refused has its status and code, repeats nothing that was written, and changes
nothing; what was understood and refused is a fact (`BidRefused`), what could not be read is put aside.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from tests.system.daemon import (
    Answer,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    chain_break,
    in_s,
    instant,
    now,
    of_kind,
    request,
    rfc,
    secret_of,
)
from tests.system.test_sign_in import Browser
from tests.waiting import until_sync

HALL, PAGES = "hall", "/desks/hall/placements"
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
WINDOW_S = 3
SHORT = {"name": "all", "tiers": ["patch"], "window": f"{WINDOW_S}s", "next": "end"}
DESK: dict[str, Any] = {
    "id": HALL,
    "kind": "council",
    "name": "The Brokerage",
    "numbers": ["+441632960998"],
    "placing": {"standard": "bromley", "discharge": "bromley-discharge"},
    "placing_overrides": {"discharge": {"rounds": [SHORT]}},
    "areas": [
        {"id": "east", "name": "East", "wards": ["petts-wood"]},
        {"id": "west", "name": "West", "wards": ["penge"]},
    ],
    "duty": [{"person": name, "role": "broker", "hours": "otherwise"} for name in ("br-1", "br-2")],
}
PHONES = {"acorn": "+447700900311", "beech": "+447700900312", "cedar": "+447700900313"}
PERSONAL = "Mrs Ottoline Mossgrove, 07700 900123"
"""What nobody may repeat: no answer, no log."""


def provider(name: str, **more: Any) -> dict[str, Any]:
    """A patch provider of the east, `cedar` of the west, of whom nothing speaks against a package."""
    said = {"id": name, "name": f"{name.title()} Homecare", "tier": "patch", "rating": GOOD, "rate": 21.5}
    said |= {"areas": ["west" if name == "cedar" else "east"], "hours_declared": 900}
    said |= {"phones": [{"number": PHONES[name], "kind": "mobile"}], "declared_on": "2026-03-01"}
    return said | more


def package(name: str, **more: Any) -> dict[str, Any]:
    """Ten and a half hours a week in the east."""
    said = {"id": name, "kind": "standard", "area": "east", "ward": "petts-wood", "hours_week": 10.5}
    said |= {"visits": [45, 45], "start": rfc(in_s(172_800)), "text": "Lives alone on the first floor."}
    return said | {"by": "br-1"} | more


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, warm: WarmStart) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("hall")
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, desks=[DESK], providers=[*PHONES, "ghost"], warm=warm) as daemon,
    ):
        broker = daemon.api("broker", desk=HALL)
        broker.people(
            {"id": "br-1", "role": "staff", "name": "Orla Pennyfarthing"},
            {"id": "br-2", "role": "staff", "name": "Bo Nettlebed"},
        )
        assert broker.put("./providers", {"providers": [provider(name) for name in PHONES]})["problems"] == []
        yield daemon
        assert chain_break(daemon.api("auditor", desk=HALL).facts(), HALL) is None
        for word in ("Mossgrove", "900123", "/b/"):
            assert word not in daemon.log
        assert "http_failed" not in daemon.log


def own(daemon: Daemon, name: str) -> Api:
    return daemon.api(desk=HALL, provider=name)


def place(daemon: Daemon, name: str, **more: Any) -> None:
    answer = daemon.api("broker", desk=HALL).call("POST", "./placements", package(name, **more))
    assert answer.status == 201, answer


def link(daemon: Daemon, name: str, of: str) -> str:
    """The path in the text by which a provider was asked for that package."""
    phones = daemon.phones
    assert phones is not None

    def found() -> str | None:
        texts = [text["body"] for text in phones.texts(PHONES[name]) if f"{of}:" in text["body"]]
        return match[0] if texts and (match := re.search(r"/b/\w+", texts[0])) else None

    path = until_sync(found, 15, what=f"the link of {name} to {of}")
    assert path is not None
    return path


def press(daemon: Daemon, path: str, **form: str) -> Answer:
    """A provider presses a button of its page."""
    body = urlencode(form).encode()
    kind = "application/x-www-form-urlencoded"
    return request(daemon.port, "POST", path, body, {"Content-Type": kind, "Accept": "text/html"})


def local(**ahead: float) -> str:
    """As the field of a browser takes it."""
    return f"{(now() + timedelta(**ahead)).astimezone(ZoneInfo('Europe/London')):%Y-%m-%dT%H:%M}"


def facts(daemon: Daemon, after: int = 0) -> list[dict[str, Any]]:
    """Those of packages: what a telephone says of a message comes when it comes."""
    found = daemon.api("auditor", desk=HALL).facts(after)
    return [fact for fact in found if not fact["kind"].startswith("Message")]


def aside(daemon: Daemon) -> int:
    return len(list((daemon.data / "quarantine").glob("*-http-bad_body-hall")))


def stage(daemon: Daemon, name: str, wanted: str) -> dict[str, Any]:
    broker = daemon.api("broker", desk=HALL)

    def there() -> dict[str, Any] | None:
        seen: dict[str, Any] = broker.get(f"./placements/{name}")
        return seen if seen["stage"] == wanted else None

    found = until_sync(there, 15, what=f"{name} is {wanted}")
    assert found is not None
    return found


def reloaded(daemon: Daemon, text: str) -> None:
    """The configuration is this one from here on."""
    count = daemon.log.count("configuration loaded again")
    daemon.config.write_text(text)
    daemon.send(signal.SIGHUP)
    until_sync(lambda: daemon.log.count("configuration loaded again") > count, 15, what="SIGHUP was heard")


# --- what cannot be read ---

UNREADABLE: tuple[tuple[str, bytes], ...] = (
    ("multipart/form-data", b"no boundary"),
    ("multipart/form-data; boundary=x", b"nothing of it here"),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="action"\r\n\r\n\xff\r\n--x--\r\n',
    ),
    ("application/x-www-form-urlencoded", b"action=\xff\xfe"),
    ("application/x-www-form-urlencoded; charset=bogus", b"action=decline%3Arate"),
    ("application/json", b'{"action":"decline:rate"}'),
    ("text/plain", b"action=decline:rate"),
)


def test_a_form_that_is_none_is_400_and_never_an_invitation_to_send_it_again(daemon: Daemon) -> None:
    place(daemon, "form-1")
    path, before = link(daemon, "acorn", "form-1"), len(facts(daemon))
    for kind, body in UNREADABLE:
        answer = request(daemon.port, "POST", path, body, {"Content-Type": kind})
        assert (answer.status, "Nothing was taken down" in answer.body) == (400, True), (kind, body)
    packed = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert request(daemon.port, "POST", path, b"action=decline%3Arate", packed).status == 400
    assert request(daemon.port, "POST", path, b"a=" + b"a" * 3_000_000).status in (400, 413)
    for kind, body in UNREADABLE[:5]:
        answer = request(daemon.port, "POST", "/sign-in", body, {"Content-Type": kind})
        assert (answer.status, answer.body["error"]["code"]) == (400, "bad_body"), (kind, body)
    assert len(facts(daemon)) == before


API_BIDS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"start": PERSONAL}, "bad_time", "start"),
    ({"start": "2099-05-01"}, "bad_time", "start"),
    ({"start": "2099-05-01T09:00+25:00"}, "bad_time", "start"),
    ({"start": 1_900_000_000}, "wrong_type", "start"),
    ({"start": "2099-05-01T09:00", "hours_free": 10.3}, "wrong_type", "hours_free"),
    ({"start": "2099-05-01T09:00", "hours_free": "ten"}, "wrong_type", "hours_free"),
    ({"start": "2099-05-01T09:00", "hours_declared": -1}, "out_of_range", "hours_declared"),
    ({"start": "2099-05-01T09:00", "how": PERSONAL * 200}, "too_long", "how"),
    ({"start": "2099-05-01T09:00", "how": [PERSONAL]}, "wrong_type", "how"),
)
"""What a provider's system sends, the code, and the field."""

PAGE_BIDS: tuple[dict[str, str], ...] = (
    {"start": ""},
    {"start": PERSONAL},
    {"start": "2099-05-01"},
    {"start": "2099-05-01T09:00", "hours_free": "10.3"},
    {"start": "2099-05-01T09:00", "hours_free": "nan"},
    {"start": "2099-05-01T09:00", "hours_declared": "-1"},
    {"start": "2099-05-01T09:00", "how": PERSONAL * 200},
)


def test_a_bid_that_cannot_be_read_is_put_aside_whichever_way_it_came(daemon: Daemon) -> None:
    place(daemon, "read-1")
    path, before, kept = link(daemon, "acorn", "read-1"), len(facts(daemon)), aside(daemon)
    api = own(daemon, "acorn")
    for body, code, field in API_BIDS:
        answer = api.call("POST", "./placements/read-1/bids", body)
        error = answer.body["error"]
        assert (answer.status, error["code"], error["path"]) == (400, code, field), body
        assert "Mossgrove" not in str(answer)
    assert api.call("POST", "./placements/read-1/withdraw", [PERSONAL]).status == 400
    for form in PAGE_BIDS:
        answer = press(daemon, path, action="bid", **form)
        assert (answer.status, "Nothing was taken down" in answer.body) == (400, True), form
    assert press(daemon, path, action="decline:busy").status == 400
    assert press(daemon, path, action="award", provider="acorn").status == 400
    assert aside(daemon) - kept == len(API_BIDS) + 1 + len(PAGE_BIDS) + 2
    assert len(facts(daemon)) == before
    assert daemon.api("broker", desk=HALL).get("./placements/read-1")["bids"] == []


def test_local_times_are_read_by_the_councils_clocks_also_when_they_do_not_exist(daemon: Daemon) -> None:
    place(daemon, "time-1")
    path, api = link(daemon, "acorn", "time-1"), own(daemon, "acorn")
    for said, meant in (
        ("2027-05-01T09:00", "2027-05-01T08:00:00Z"),
        ("2027-03-28T01:30", "2027-03-28T01:30:00Z"),
        ("2027-10-31T01:30", "2027-10-31T00:30:00Z"),
    ):
        assert api.post("./placements/time-1/bids", {"start": said})["start"] == meant
        assert press(daemon, path, action="bid", start=said).status == 303
        assert api.get("./placements/time-1")["bid"]["start"] == meant


# --- what is understood and refused ---


def test_whoever_is_not_asked_not_known_or_of_another_desk_is_told_so_and_changes_nothing(
    daemon: Daemon,
) -> None:
    place(daemon, "who-1")
    before, start = len(facts(daemon)), {"start": rfc(in_s(172_800))}
    broker, acorn = daemon.api("broker", desk=HALL), own(daemon, "acorn")
    bids = "./placements/who-1/bids"
    at_bright = f"/v1/desks/bright/{bids[2:]}"
    by = start | {"by": "br-1"}
    for api, path, body, status, code in (
        (own(daemon, "ghost"), bids, start, 403, "unknown_provider"),
        (broker, bids, by | {"provider": PERSONAL}, 400, "unknown_provider"),
        (broker, bids, by | {"provider": "acorn", "by": PERSONAL}, 400, "unknown_person"),
        (acorn, bids, start | {"provider": "beech"}, 403, "identity"),
        (acorn, at_bright, start, 403, "desk"),
        (acorn, "/v1/desks/nowhere/placements/who-1/bids", start, 404, "unknown_desk"),
        (Api(daemon.port, secret_of("office"), HALL), bids, start, 403, "role"),
        (Api(daemon.port, "x" * 40, HALL), bids, start, 401, "unauthorised"),
        (Api(daemon.port, None, HALL), bids, start, 401, "unauthorised"),
    ):
        answer = api.call("POST", path, body)
        assert (answer.status, answer.body["error"]["code"]) == (status, code), (path, body, answer)
        assert "Mossgrove" not in str(answer)
    assert len(facts(daemon)) == before
    asked = broker.call("POST", bids, by | {"provider": "cedar"})
    assert (asked.status, asked.body["error"]["code"]) == (409, "not_asked")
    (refused,) = facts(daemon)[before:]
    assert (refused["kind"], json.loads(refused["body"])["why"]) == ("BidRefused", "not_asked")


def test_a_link_that_is_forged_foreign_or_fetched_by_a_scanner_does_nothing(daemon: Daemon) -> None:
    place(daemon, "link-1")
    path, before = link(daemon, "acorn", "link-1"), len(facts(daemon))
    assert len({request(daemon.port, "GET", path).status for _ in range(3)}) == 1
    assert request(daemon.port, "HEAD", path).status == 200
    other = "a" if path[-1] != "a" else "b"
    for forged in (path[:-1] + other, path + "a", "/b/" + "a" * 18, "/b/%00", "/b/" + "a" * 3000):
        assert request(daemon.port, "GET", forged).status == 404
        assert press(daemon, forged, action="decline:rate").status == 404
    visit = {"visit_start": local(days=2), "visit_end": local(days=2, minutes=30), "supervisor": "on"}
    assert press(daemon, path, action="confirm_first_visit", **visit).status == 403
    assert request(daemon.port, "GET", "/v1/desks/hall/placements", headers={"Cookie": path}).status == 401
    assert len(facts(daemon)) == before


@pytest.mark.parametrize("over", ["awarded", "withdrawn"])
def test_nothing_is_taken_any_more_by_api_link_or_form_and_each_try_is_recorded(
    daemon: Daemon, over: str
) -> None:
    name = f"over-{over}"
    place(daemon, name)
    paths = {one: link(daemon, one, name) for one in ("acorn", "beech")}
    broker, acorn, beech = daemon.api("broker", desk=HALL), own(daemon, "acorn"), own(daemon, "beech")
    bid = {"start": rfc(in_s(172_800))}
    acorn.post(f"./placements/{name}/bids", bid)
    end = {"by": "br-1"} | (
        {"action": "award", "provider": "acorn", "reason": "emergency"}
        if over == "awarded"
        else {"action": "withdraw", "reason": "died"}
    )
    assert broker.post(f"./placements/{name}/actions", end)["stage"] == over
    again = broker.call("POST", f"./placements/{name}/actions", end)
    assert (again.status, again.body["by"]) == (409, "br-1")
    before = len(facts(daemon))
    answers = [
        beech.call("POST", f"./placements/{name}/bids", bid),
        beech.call("POST", f"./placements/{name}/decline", {"reason": "rate"}),
        acorn.call("POST", f"./placements/{name}/withdraw", {}),
        broker.call("POST", f"./placements/{name}/bids", bid | {"provider": "beech", "by": "br-1"}),
    ]
    assert {(one.status, one.body["error"]["code"]) for one in answers} == {(409, over)}
    pressed = [
        press(daemon, paths["beech"], action="bid", start=local(days=2), how="kept on the page"),
        press(daemon, paths["beech"], action="decline:rate"),
        press(daemon, paths["acorn"], action="take_back"),
    ]
    assert [one.status for one in pressed] == [409] * 3
    tries = [json.loads(fact["body"]) for fact in facts(daemon)[before:]]
    assert [one["why"] for one in tries] == [over] * 7
    assert [one["source"] for one in tries] == ["api"] * 3 + ["broker"] + ["link"] * 3


def test_a_revoked_link_is_refused_with_its_try_on_record_and_a_taken_back_bid_is_given_again(
    daemon: Daemon,
) -> None:
    place(daemon, "rev-1")
    path, broker = link(daemon, "acorn", "rev-1"), daemon.api("broker", desk=HALL)
    assert press(daemon, path, action="bid", start=local(days=2)).status == 303
    assert press(daemon, path, action="bid", start="2020-01-01T09:00").status == 400
    assert press(daemon, path, action="take_back").status == 303
    assert press(daemon, path, action="take_back").status == 409
    assert press(daemon, path, action="bid", start=local(days=3)).status == 303
    revoke = {"action": "revoke_link", "provider": "acorn", "by": "br-1"}
    seen = broker.post("./placements/rev-1/actions", revoke)
    assert (seen["revoked"], seen["answers_by_token"]) == (["acorn"], ["acorn", "beech"])
    assert press(daemon, path, action="take_back").status == 403
    assert request(daemon.port, "GET", path).status == 403
    (bid,) = broker.get("./placements/rev-1")["bids"]
    assert (bid["provider"], bid["changes"]) == ("acorn", 1)
    of = {fact["subject"] for fact in of_kind(facts(daemon), "LinkRevoked")}
    tries = [fact for fact in of_kind(facts(daemon), "BidRefused") if fact["subject"] in of]
    whys = [json.loads(fact["body"])["why"] for fact in tries]
    assert whys == ["start_past", "no_bid", "link_revoked"]
    by_token = own(daemon, "acorn").call("POST", "./placements/rev-1/bids", {"start": local(days=4)})
    assert by_token.status == 200, "the link is revoked, and not the provider"
    assert "answers_by_token" not in own(daemon, "acorn").get("./placements/rev-1")


# --- the broker's form ---

BAD_FORMS: tuple[dict[str, str], ...] = (
    {"hours_week": "10.3"},
    {"hours_week": "Mossgrove"},
    {"start": "2020-01-01T09:00"},
    {"start": "soon"},
    {"place": "north/x"},
    {"by": "nobody"},
    {"visit-1": "7"},
    {"kind": "x"},
    {"care_workers": "x"},
    {"text": PERSONAL},
)
BAD_BIDS: tuple[tuple[dict[str, str], int], ...] = (
    ({"provider": "ghost"}, 400),
    ({"provider": "cedar"}, 409),
    ({"start": "2020-01-01T09:00"}, 400),
    ({"start": ""}, 400),
    ({"hours_free": "10.3"}, 400),
    ({"by": "nobody"}, 400),
    ({"action": "bribe"}, 400),
)


def test_the_broker_s_forms_refuse_what_the_api_refuses(daemon: Daemon) -> None:
    browser = Browser(daemon)
    assert browser.sign_in(secret_of("broker", HALL), PAGES)[0] == 200
    token = re.search(r'name="token" value="([^"]+)"', browser.go(f"{PAGES}/new")[2])
    assert token is not None
    form = {"token": token[1], "by": "br-1", "id": "page-1", "kind": "standard", "place": "east/petts-wood"}
    form |= {"hours_week": "10.5", "visit-1": "45", "start": local(days=2), "text": "Lives alone."}
    before = len(facts(daemon))
    for bad in BAD_FORMS:
        assert browser.go(PAGES, **(form | bad))[0] == 400, bad
    assert len(facts(daemon)) == before
    assert browser.go(PAGES, **form)[:2] == browser.go(PAGES, **form)[:2] == (200, f"{PAGES}/page-1")
    assert len(of_kind(facts(daemon)[before:], "PlacementReceived")) == 1
    entered = {"token": token[1], "by": "br-1", "action": "bid", "provider": "acorn", "start": local(days=2)}
    for one, status in BAD_BIDS:
        assert browser.go(f"{PAGES}/page-1/actions", **(entered | one))[0] == status, one
    assert daemon.api("broker", desk=HALL).get("./placements/page-1")["bids"] == []
    tries = [json.loads(fact["body"]) for fact in of_kind(facts(daemon)[before:], "BidRefused")]
    assert [(one["why"], one["source"]) for one in tries] == [
        ("not_asked", "broker"),
        ("start_past", "broker"),
    ]


# --- what changes while a window runs ---


def test_what_changes_in_the_window_counts_at_its_close_and_a_reload_leaves_it_its_policy_and_area(
    daemon: Daemon,
) -> None:
    place(daemon, "load-east")
    place(daemon, "load-west", area="west", ward="penge", kind="discharge")
    place(daemon, "rate-1", kind="discharge")
    broker, whole = daemon.api("broker", desk=HALL), daemon.config.read_text()
    start = {"start": rfc(in_s(90_000))}
    for name, of in (("cedar", "load-west"), ("acorn", "rate-1"), ("beech", "rate-1")):
        own(daemon, name).post(f"./placements/{of}/bids", start)
    changed = [
        provider("acorn", rating=GOOD | {"overall": "requires_improvement"}),
        provider("beech", active=False),
    ]
    assert broker.put("./providers", {"providers": changed})["changed"] == 2
    closes = broker.get("./placements/load-east")["closes_at"]
    try:
        reloaded(daemon, another(whole))
        own(daemon, "cedar").post("./placements/load-west/bids", start)
        assert broker.get("./placements/load-east")["closes_at"] == closes
        assert stage(daemon, "load-west", "proposed")["proposed"] == "cedar"
        assert fails(stage(daemon, "rate-1", "unplaced")) == {
            "acorn": [("cqc", "overall_requires_improvement")],
            "beech": [("active", "inactive")],
        }
        west = broker.call("POST", "./placements", package("load-2", area="west", ward="penge", by="br-2"))
        assert (west.status, west.body["error"]["code"]) == (400, "unknown_area")
        whoever_left_the_duty_list_does_nothing(daemon)
        assert broker.post("./placements/load-west/award", {"by": "br-2"})["stage"] == "awarded"
    finally:
        reloaded(daemon, whole)
        broker.put("./providers", {"providers": [provider(name) for name in PHONES]})


def another(whole: str) -> str:
    """The configuration without the west and without `br-1`, with other windows and another policy."""
    for old, new in (
        (', { id = "west", name = "West", wards = ["penge"] }', ""),
        ('{ person = "br-1", role = "broker", hours = "otherwise" }, ', ""),
        (f'window = "{WINDOW_S}s"', 'window = "9h"'),
        ('standard = "bromley"', 'standard = "example-lewisham"'),
    ):
        assert old in whole
        whole = whole.replace(old, new)
    return whole


def fails(placement: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """By provider the rules that it fails, and why."""
    return {
        row["provider"]: [(one["rule"], one["why"]) for one in row["results"] if one["outcome"] == "fails"]
        for row in placement["proposal"]
        if row["answer"] == "bid"
    }


def whoever_left_the_duty_list_does_nothing(daemon: Daemon) -> None:
    broker, before = daemon.api("broker", desk=HALL), len(facts(daemon))
    for path, body in (
        ("./placements", package("load-3")),
        ("./placements/load-west/award", {"by": "br-1"}),
        ("./placements/load-east/actions", {"by": "br-1", "action": "withdraw", "reason": "died"}),
    ):
        answer = broker.call("POST", path, body)
        assert (answer.status, answer.body["error"]["code"]) == (403, "not_broker"), path
    assert len(facts(daemon)) == before


def test_killed_around_the_close_windows_close_once_with_the_bids_that_were_in_time(daemon: Daemon) -> None:
    receipts = {}
    for name in ("kill-1", "kill-2", "kill-3"):
        place(daemon, name, kind="discharge")
        bid = {"start": rfc(in_s(90_000))}
        receipts[name] = own(daemon, "acorn").post(f"./placements/{name}/bids", bid)
    # the first has closed, the last one has not
    stage(daemon, "kill-1", "proposed")
    daemon.kill()
    last = instant(receipts["kill-3"]["closes_at"])
    until_sync(lambda: now() > last, 15, 0.005, what="the last close has passed")
    daemon.start()
    for name, receipt in receipts.items():
        late = own(daemon, "beech").post(f"./placements/{name}/bids", {"start": rfc(in_s(80_000))})
        seen = stage(daemon, name, "proposed")
        assert (late["late"], seen["proposed"]) == (True, "acorn")
        assert [bid["at"] for bid in seen["bids"]] == [receipt["at"]]
        closed = [
            fact for fact in of_kind(facts(daemon), "RoundClosed") if fact["subject"] == seen["subject"]
        ]
        assert [instant(fact["due_at"]) for fact in closed] == [instant(receipt["closes_at"])]


# --- sealed ---


def test_a_proxy_and_a_rival_s_credential_open_no_page_that_counts(daemon: Daemon) -> None:
    rival = own(daemon, "beech")
    for path in ("/metrics", "/healthz", "/readyz"):
        assert rival.call("GET", path, **{"X-Forwarded-For": "192.0.2.1"}).status in (401, 403)
    for page in ("", "/new", "/events", "/fragment", "/read-1"):
        assert rival.call("GET", PAGES + page).status == 403
    for route in ("facts", "alerts", "register", "register.csv", "providers", "areas"):
        assert rival.call("GET", f"./{route}").status == 403
