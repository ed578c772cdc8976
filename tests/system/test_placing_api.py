"""A council's desk over HTTP, from outside: what each role sees and may, what is refused and how, what a 2xx promises.

One daemon for all stories; its windows are hours long, so that nothing here waits for one to close.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.system.daemon import Api, Daemon, Telephones, WarmStart, chain_break, in_s, now, of_kind, rfc

HALL = "hall"
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
DESK: dict[str, Any] = {
    "id": HALL,
    "kind": "council",
    "name": "The Brokerage",
    "public": "auto",
    "placing": {"standard": "bromley", "discharge": "bromley-discharge"},
    "areas": [
        {"id": "east", "name": "East", "wards": ["petts-wood"]},
        {"id": "west", "name": "West", "wards": ["penge"]},
    ],
    "duty": [{"person": "br-1", "role": "broker", "hours": "otherwise"}],
}
PROVIDERS = ("acorn", "beech", "cedar")


def provider(name: str, **more: Any) -> dict[str, Any]:
    """A patch provider of whom nothing speaks against a package; `cedar` is of the west."""
    said = {"id": name, "name": f"{name.title()} Homecare", "tier": "patch", "rating": GOOD, "rate": 21.5}
    said |= {
        "hours_declared": 900,
        "declared_on": "2026-03-01",
        "areas": ["west" if name == "cedar" else "east"],
    }
    return said | {"email": f"{name}@post.example"} | more


def package(name: str | None, **more: Any) -> dict[str, Any]:
    """Ten and a half hours a week in the east."""
    said = {"kind": "standard", "area": "east", "ward": "petts-wood", "hours_week": 10.5, "visits": [45, 45]}
    said |= {"start": rfc(in_s(172_800)), "text": "Lives alone on the first floor.", "by": "br-1"}
    return said | ({"id": name} if name is not None else {}) | more


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, warm: WarmStart) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("hall")
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, desks=[DESK], providers=PROVIDERS, warm=warm) as daemon,
    ):
        brokerage = daemon.api("broker", desk=HALL)
        brokerage.people({"id": "br-1", "role": "staff", "name": "Orla Pennyfarthing"})
        brokerage.put("./providers", {"providers": [provider(name) for name in PROVIDERS]})
        yield daemon
        assert chain_break(daemon.api("auditor", desk=HALL).facts(), HALL) is None


def own(daemon: Daemon, name: str) -> Api:
    """The provider's credential."""
    return daemon.api(desk=HALL, provider=name)


def place(daemon: Daemon, name: str, **more: Any) -> dict[str, Any]:
    answer = daemon.api("broker", desk=HALL).call("POST", "./placements", package(name, **more))
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.body
    return found


def test_a_package_bids_and_an_award_by_each_role_as_it_may(daemon: Daemon) -> None:
    placed = place(daemon, "ref-1")
    assert sorted(one["provider"] for one in placed["rounds"][0]["asked"]) == ["acorn", "beech"]
    start = rfc(in_s(172_800))
    for name, hours in (("acorn", 20), ("beech", 30)):
        answer = own(daemon, name).call(
            "POST", "./placements/ref-1/bids", {"start": start, "how": "our team", "hours_free": hours}
        )
        assert (answer.status, answer.body["late"], answer.body["what"]) == (200, False, "bid")
    seen = daemon.api("auditor", desk=HALL).get("./placements/ref-1")
    assert [(bid["provider"], bid["how"]) for bid in seen["bids"]] == [
        ("acorn", "our team"),
        ("beech", "our team"),
    ]
    mine = own(daemon, "acorn").get("./placements/ref-1")
    assert (mine["state"], mine["bid"]["hours_free"], mine["package"]["text"]) == (
        "open",
        20,
        "Lives alone on the first floor.",
    )
    award = {"provider": "beech", "reason": "emergency", "by": "br-1"}
    awarded = daemon.api("broker", desk=HALL).post("./placements/ref-1/award", award)
    assert (awarded["stage"], awarded["award"]["early"]) == ("awarded", True)
    assert own(daemon, "beech").get("./placements/ref-1")["state"] == "won"
    visit = {"action": "confirm_first_visit", "start": start, "end": rfc(in_s(176_400)), "supervisor": True}
    confirmed = own(daemon, "beech").post("./placements/ref-1/actions", visit)
    assert confirmed["first_visit"]["supervisor"]
    assert own(daemon, "acorn").call("POST", "./placements/ref-1/actions", visit).status == 403


def answers(daemon: Daemon, name: str) -> list[Any]:
    """Everything that a provider can ask about a placement, without the moments at which it was asked itself."""
    api, start = own(daemon, "acorn"), rfc(now().replace(microsecond=0) + timedelta(days=3))
    bid = {"start": start, "how": "our team"}
    asked = [
        api.call("POST", f"./placements/{name}/bids", bid),
        api.call("POST", f"./placements/{name}/bids", bid | {"provider": "beech"}),
        api.call("POST", f"./placements/{name}/withdraw", {}),
        api.call("POST", f"./placements/{name}/withdraw", {}),
        api.call("POST", f"./placements/{name}/bids", bid),
        api.call("GET", f"./placements/{name}"),
        api.call("GET", f"./placements/{name}-not"),
        *(api.call("GET", path) for path in ("./register", "./facts", "./providers", "./alerts", "./areas")),
    ]
    return [(one.status, shape(one.body), sorted(one.headers.items() - times(one.headers))) for one in asked]


def times(headers: dict[str, str]) -> set[tuple[str, str]]:
    return {(name, value) for name, value in headers.items() if name in ("date",)}


def shape(body: Any) -> Any:
    """The body without its moments and the placement's own name."""
    if isinstance(body, dict):
        moments = ("at", "asked_at", "closes_at", "start", "id", "placement", "withdrawn_at")
        return {key: None if key in moments and value else shape(value) for key, value in body.items()}
    return [shape(item) for item in body] if isinstance(body, list) else body


def test_a_provider_s_answers_are_the_same_with_and_without_a_rival_s_bid(daemon: Daemon) -> None:
    place(daemon, "seal-1")
    alone = answers(daemon, "seal-1")
    place(daemon, "seal-2")
    rival = own(daemon, "beech")
    for hours in (10, 20, 30):
        said = {"start": rfc(in_s(90_000)), "how": "beech was here", "hours_free": hours}
        assert rival.call("POST", "./placements/seal-2/bids", said).status == 200
    assert answers(daemon, "seal-2") == alone
    assert "beech" not in str(own(daemon, "acorn").get("./placements")).lower()


def test_who_was_not_asked_finds_nothing_and_that_it_tried_is_on_record(daemon: Daemon) -> None:
    place(daemon, "west-no")
    stranger = own(daemon, "cedar")
    tried = stranger.call("POST", "./placements/west-no/bids", {"start": rfc(in_s(90_000))})
    nothing = stranger.call("POST", "./placements/never-was/bids", {"start": rfc(in_s(90_000))})
    assert (tried.status, tried.body) == (nothing.status, nothing.body) == (404, tried.body)
    assert stranger.get("./placements")["placements"] == []
    facts = daemon.api("auditor", desk=HALL).facts()
    assert of_kind(facts, "BidRefused", why="not_asked", source="api")


REFUSED: tuple[tuple[str, str, str, Any, int, str, str | None], ...] = (
    ("broker", "POST", "./placements", package(None, hours_week=10.3), 400, "off_step", "hours_week"),
    ("broker", "POST", "./placements", package(None, area="eats"), 400, "unknown_area", "area"),
    ("broker", "POST", "./placements", package(None, start="2020-01-01T09:00"), 400, "start_past", "start"),
    ("broker", "POST", "./placements", package(None, visits="30"), 400, "wrong_type", "visits"),
    ("broker", "POST", "./placements", package(None, text="Mrs Moss"), 400, "not_anonymous", "text"),
    ("broker", "POST", "./placements", package(None, by="acorn"), 400, "unknown_person", "by"),
    ("broker", "POST", "./placements", package("err-1", visits=[30]), 409, "id_taken", "id"),
    (
        "broker",
        "POST",
        "./placements/err-1/bids",
        {"start": "2099-01-01T09:00Z"},
        400,
        "unknown_provider",
        "provider",
    ),
    (
        "broker",
        "POST",
        "./placements/err-1/award",
        {"by": "br-1", "provider": "acorn"},
        409,
        "never_bid",
        "provider",
    ),
    (
        "broker",
        "POST",
        "./placements/err-1/actions",
        {"by": "br-1", "action": "?"},
        400,
        "unknown_value",
        "action",
    ),
    (
        "broker",
        "POST",
        "./placements/none/actions",
        {"by": "br-1", "action": "open_next"},
        404,
        "not_found",
        None,
    ),
    ("broker", "PUT", "./rota", {"visits": []}, 404, "not_provider", "desk"),
    ("broker", "PUT", "./providers", {"providers": {}}, 400, "wrong_type", "providers"),
    ("acorn", "POST", "./placements/err-1/bids", {"start": "2020-01-01T09:00"}, 400, "start_past", "start"),
    ("acorn", "POST", "./placements/err-1/bids", {}, 400, "wrong_type", None),
    ("acorn", "POST", "./placements/err-1/decline", {"reason": "busy"}, 400, "unknown_value", "reason"),
    ("acorn", "POST", "./placements/err-1/withdraw", {}, 409, "no_bid", None),
    ("acorn", "POST", "./placements", package(None), 403, "role", None),
    ("acorn", "POST", "./placements/err-1/award", {"provider": "acorn"}, 403, "role", None),
    (
        "acorn",
        "POST",
        "./placements/err-1/actions",
        {"action": "withdraw", "reason": "died"},
        403,
        "role",
        None,
    ),
    ("acorn", "GET", "./facts", None, 403, "role", None),
    ("auditor", "POST", "./placements/err-1/award", {"by": "br-1"}, 403, "role", None),
)


def test_what_is_refused_says_why_and_where(daemon: Daemon) -> None:
    place(daemon, "err-1")
    for who, method, path, body, status, code, at in REFUSED:
        api = daemon.api(who, desk=HALL) if who in ("broker", "auditor") else own(daemon, who)
        answer = api.call(method, path, body)
        error = answer.body["error"]
        assert (answer.status, error["code"], error["path"]) == (status, code, at), (path, body, answer)
        assert "Moss" not in str(answer.body)
    at_provider_s = daemon.api("office").call("GET", "./placements")
    assert at_provider_s.status == 403
    assert list((daemon.data / "quarantine").glob("*-http-bad_body-hall"))


def test_what_was_answered_is_there_after_a_kill_and_said_again_it_is_the_same(daemon: Daemon) -> None:
    said = package("kill-1")
    brokerage = daemon.api("broker", desk=HALL)
    assert brokerage.call("POST", "./placements", said).status == 201
    bid = own(daemon, "acorn").post(
        "./placements/kill-1/bids", {"start": rfc(in_s(90_000)), "how": "with two"}
    )
    daemon.kill()
    daemon.start()
    again = brokerage.call("POST", "./placements", said)
    assert (again.status, again.body["id"]) == (200, "kill-1")
    (kept,) = again.body["bids"]
    assert (kept["at"], kept["how"]) == (bid["at"], "with two")
    assert own(daemon, "acorn").get("./placements/kill-1")["bid"]["how"] == "with two"
    assert brokerage.call("POST", "./placements", package("kill-1", hours_week=11)).status == 409
