"""Who may use which route: the table of docs/interface.md walked against the application as it is really built.

Every route that answers is in the table; every role meets every route, at a provider's desk and at a council's, with
a credential and with a session; and the page says what the code does.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from config.load import load_text
from config.policy import DeskKind
from config.tokens import SIGNS_IN
from connectors.board import BoardOptions
from connectors.http_access import NOT_YET, ROLES, RULES, Role, Rule, refusal
from connectors.http_api import build_app
from connectors.http_wire import Limits
from connectors.ports import Credential
from connectors.twilio.webhooks import routes as twilio_routes
from monitor.app import App
from tests.fakes.desks import FakeDesks, alert_view

ROOT = Path(__file__).parents[2]
INTERFACE = ROOT / "docs" / "interface.md"
CONFIG = """
data_dir = "data"
[[desk]]
id = "dom"
kind = "provider"
name = "Bright Care"
[twilio]
account_sid = "ACabc"
auth_token_files = ["token"]
[http]
public_url = "https://watch.example"
"""
# of the word "visit", with argon2's cheapest settings
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$5EpC5tdkPumJNeom/rWqzlOtVFBm+saAU5MkFhtWYWM"
KINDS: dict[str, DeskKind] = {"dom": "provider", "eve": "provider", "hall": "council", "town": "council"}
OTHER = {"dom": "eve", "hall": "town"}
"""Another desk of the same kind."""
Client = TestClient[web.Request, web.Application]


# --- the page ---


def route_roles() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "script" / "route_roles.py"))


def table_of_the_page() -> dict[tuple[str, str], dict[str, str]]:
    """By route, then role: `yes`, `council`, `provider` or nothing, as docs/interface.md prints it."""
    section = INTERFACE.read_text().split("### Who may use which route")[1]
    table = section[section.index("\n| route") : section.index("|\n<!--") + 1]
    rows = [
        [cell.strip().strip("`") for cell in line[1:-1].split("|")] for line in table.strip().splitlines()
    ]
    found = {}
    for route, _, *cells in rows[2:]:
        method, path = route.split(" ")
        found[method, path] = dict(zip(rows[0][2:], cells, strict=True))
    return found


PAGE = table_of_the_page()


def allowed(rule: Rule, role: str, kind: DeskKind) -> bool:
    """What the page promises."""
    return PAGE[rule.method, rule.path][role] in ("yes", kind)


def name_of(rule: Rule) -> str:
    return f"{rule.method} {rule.path}"


def test_the_table_of_the_page_is_the_one_in_the_code() -> None:
    page = INTERFACE.read_text()
    assert route_roles()["written"](page) == page, "run script/route-roles"
    assert PAGE.keys() == {(rule.method, rule.path) for rule in RULES}
    assert len(PAGE) == len(RULES)


def test_a_page_with_another_table_would_be_noticed() -> None:
    page = INTERFACE.read_text()
    stale = page.replace(
        "| `PUT /v1/desks/{desk}/rota` | credential | yes |",
        "| `PUT /v1/desks/{desk}/rota` | credential |  |",
    )
    assert stale != page
    assert route_roles()["written"](stale) == page
    with pytest.raises(ValueError, match="expected the marks"):
        route_roles()["written"]("# The contract\n")


# --- the real application ---


def routes_of(app: web.Application) -> Iterator[tuple[str, str]]:
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            yield route.method, route.resource.canonical


async def test_every_route_of_the_daemon_is_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    loaded = load_text(CONFIG, tmp_path, {})
    assert not loaded.errors
    served = set(routes_of(App(loaded)._web()))
    assert len(served) > 50
    assert served <= PAGE.keys(), "a route that is not in the table"
    assert ("POST", "/twilio/sms") in served


async def test_what_is_in_the_table_is_served_or_stands_there_as_not_yet() -> None:
    async with everything() as client:
        assert isinstance(client.server, TestServer)
        served = set(routes_of(client.server.app))
    missing = {path for method, path in PAGE if (method, path) not in served}
    assert missing == NOT_YET
    rows = [line for line in INTERFACE.read_text().splitlines() if "| *not yet* |" in line]
    assert {row.split("`")[1].split(" ")[1] for row in rows} == NOT_YET


def test_a_route_that_is_not_in_the_table_keeps_the_daemon_from_starting() -> None:
    async def hook(_: web.Request) -> web.Response:
        return web.Response()

    for method, path in (("POST", "/twilio/other"), ("GET", "/twilio/sms"), ("GET", "/healthz")):
        with pytest.raises(AssertionError, match=path):
            built(FakeDesks(), extra_routes=[web.route(method, path, hook)])


def credentials() -> dict[str, Credential]:
    """One secret for each role at each desk, and one of everywhere."""
    made = {
        f"s-{role}-{desk}": Credential(
            role=role,
            desk=desk,
            device="owntracks:u17/phone" if role == "device" else None,
            provider="pr-7" if role == "provider" else None,
        )
        for role in ROLES
        for desk in KINDS
    }
    return {**made, "s-operator-*": Credential(role="operator", desk="*")}


def built(desks: FakeDesks, **options: Any) -> web.Application:
    async def metrics() -> bytes:
        return b""

    board = BoardOptions(session_key=b"k" * 32, password_hash=HASH)
    return build_app(desks, metrics=metrics, loopback=False, board=board, **options)


@asynccontextmanager
async def everything() -> AsyncIterator[Client]:
    """All routes, with the fake behind them and none of its answers of interest."""
    desks = FakeDesks(tuple(KINDS), credentials=credentials())
    desks.councils = {desk for desk, kind in KINDS.items() if kind == "council"}
    desks.alert_views["al-1"] = alert_view()
    hooks = twilio_routes(desks, ["secret"], lambda: "https://watch.example")
    async with TestClient(
        TestServer(built(desks, extra_routes=hooks, limits=Limits(wrong_tries=10_000)))
    ) as client:
        yield client


def registered(client: Client, *ways: str) -> list[Rule]:
    """The rules of the routes that this application serves."""
    assert isinstance(client.server, TestServer)
    served = set(routes_of(client.server.app))
    return [rule for rule in RULES if rule.way in ways and (rule.method, rule.path) in served]


def path_of(rule: Rule, desk: str, key: str = "") -> str:
    return rule.path.format(desk=desk, id="al-1", key=key, token="none", name="board.css", alert="al-1")


BY_CREDENTIAL = ("token", "token_or_session", "loopback_or_token")


async def refused(client: Client, rule: Rule, desk: str, secret: str | None = None, form: str = "") -> str:
    """Why the table did not let a request in: `role`, `desk`, `unknown_desk`, `unauthorised`; nothing: it did."""
    headers = {"X-CSRF-Token": form} if secret is None else {"Authorization": f"Bearer {secret}"}
    path = path_of(rule, desk, secret or "none")
    # the answer's head is enough: a stream of events has no end
    async with client.request(
        rule.method, path, headers=headers, data=b"[]", allow_redirects=False
    ) as answer:
        if answer.status not in (401, 403, 404):
            return ""
        error = (await answer.json())["error"]
        if answer.status == 403 and error["code"] not in ("role", "desk"):
            return ""  # let in, and refused by what it asked for: a form without its token
        return str(error["code"])


async def test_a_credential_opens_exactly_the_routes_that_the_page_promises_its_role() -> None:
    async with everything() as client:
        for rule in registered(client, *BY_CREDENTIAL):
            for role in ROLES:
                for desk in ("dom", "hall"):
                    said = await refused(client, rule, desk, f"s-{role}-{desk}")
                    may = allowed(rule, role, KINDS[desk])
                    assert (said == "role") is not may, f"{name_of(rule)} {role} at {desk}: {said}"


async def test_every_route_needs_a_credential_that_is_known() -> None:
    async with everything() as client:
        for rule in registered(client, *BY_CREDENTIAL):
            assert await refused(client, rule, "dom") == "unauthorised", name_of(rule)
            assert await refused(client, rule, "hall", "wrong") in ("unauthorised", "rate_limited", "")
            path = path_of(rule, "hall", "wrong")
            async with client.request(rule.method, path, headers={"Authorization": "Basic !!"}) as answer:
                assert answer.status in (401, 429), name_of(rule)


async def test_another_desk_is_403_and_an_unknown_one_404_for_a_right_credential() -> None:
    async with everything() as client:
        for rule in registered(client, *BY_CREDENTIAL):
            for own, other in OTHER.items() if "{desk}" in rule.path else ():
                for role in (role for role in ROLES if allowed(rule, role, KINDS[own])):
                    assert await refused(client, rule, other, f"s-{role}-{own}") == "desk", name_of(rule)
                    assert await refused(client, rule, "nowhere", f"s-{role}-{own}") == "unknown_desk"


# --- sessions ---


async def token_on(client: Client, path: str) -> str:
    """The session's token for forms; nothing for whom the page does not open."""
    async with client.get(path) as page:
        found = re.search(r'name="token" value="([^"]+)"', await page.text())
    return found[1] if found else ""


async def sign_in(client: Client, shown: str) -> int:
    form = {"token": await token_on(client, "/sign-in"), "password": shown}
    async with client.post("/sign-in", data=form, allow_redirects=False) as answer:
        return answer.status


@pytest.mark.parametrize("role", sorted(SIGNS_IN))
async def test_a_session_opens_exactly_the_pages_that_the_page_promises_its_role(role: Role) -> None:
    for desk, kind in (("dom", "provider"), ("hall", "council")):
        async with everything() as client:
            assert await sign_in(client, f"s-{role}-{desk}") == 303
            form = await token_on(client, f"/board/{desk}")
            for rule in registered(client, "session", "token_or_session"):
                said = await refused(client, rule, desk, form=form)
                assert (said == "role") is not allowed(rule, role, kind), f"{name_of(rule)} at {desk}: {said}"
                if "{desk}" in rule.path and allowed(rule, role, kind):
                    assert await refused(client, rule, OTHER[desk], form=form) == "desk", name_of(rule)


@pytest.mark.parametrize("role", sorted(set(ROLES) - SIGNS_IN))
async def test_a_machines_secret_is_nobodys_at_the_sign_in_page(role: Role) -> None:
    async with everything() as client:
        assert await sign_in(client, f"s-{role}-dom") == 403
        assert await sign_in(client, f"s-{role}-hall") == 403


async def test_the_one_password_is_the_offices_of_every_provider_and_opens_nothing_of_a_council() -> None:
    async with everything() as client:
        assert await sign_in(client, "visit") == 303
        form = await token_on(client, "/board/dom")
        for rule in registered(client, "session", "token_or_session"):
            for desk in ("dom", "eve"):
                said = await refused(client, rule, desk, form=form)
                assert (said == "role") is not allowed(rule, "office", "provider"), name_of(rule)
            if "{desk}" in rule.path:
                assert await refused(client, rule, "hall", form=form) in ("desk", "role"), name_of(rule)


async def test_no_page_opens_for_whom_has_not_signed_in_whatever_secret_is_in_the_header() -> None:
    async with everything() as client:
        for rule in registered(client, "session"):
            assert await refused(client, rule, "hall") == "unauthorised", name_of(rule)
            assert await refused(client, rule, "hall", "s-broker-hall") == "unauthorised", name_of(rule)


# --- the rule itself, for every row ---


def kind_of(desk: str) -> DeskKind | None:
    return KINDS.get(desk)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_every_role_at_every_kind_of_desk_is_as_the_page_says(rule: Rule) -> None:
    desks = ("dom", "hall") if "{desk}" in rule.path else (None,)
    for desk in desks:
        for role in ROLES:
            said = refusal(rule, Credential(role=role, desk=desk or "dom"), desk, kind_of)
            kind = "provider" if desk is None else KINDS[desk]
            assert (said is None) is allowed(rule, role, kind)
            assert said is None or (said.status, said.code) == (403, "role")


def placement(rule: Rule) -> bool:
    return any(part in rule.path for part in ("/placements", "/providers", "/register"))


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("broker", lambda rule: True),
        ("auditor", lambda rule: rule.method == "GET" and not rule.path.endswith("/new")),
        (
            "provider",
            lambda rule: (
                rule.path.startswith("/v1/")
                and (
                    rule.path.endswith(
                        ("/{id}", "/bids", "/decline", "/withdraw", "/placements/{id}/actions")
                    )
                    or (rule.method, rule.path) == ("GET", "/v1/desks/{desk}/placements")
                )
            ),
        ),
        *[
            (role, lambda rule: False)
            for role in ("office", "on_call", "manager", "intake", "device", "operator")
        ],
    ],
)
def test_of_placements_the_broker_may_all_the_auditor_reads_a_provider_bids_and_no_other_sees_anything(
    role: Role, may: Callable[[Rule], bool]
) -> None:
    for rule in filter(placement, RULES):
        assert (role in rule.council) is may(rule), name_of(rule)
        assert not rule.roles, name_of(rule)


def test_a_provider_does_nothing_but_with_placements() -> None:
    assert all(placement(rule) for rule in RULES if "provider" in rule.roles | rule.council)


def test_what_a_signed_link_opens_needs_no_role() -> None:
    by_link = {name_of(rule) for rule in RULES if rule.way == "link"}
    assert by_link == {"GET /b/{token}", "POST /b/{token}"}
