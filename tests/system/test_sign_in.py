"""Signing in and signed links from outside: a real daemon, its cookie, its key, a reload, a kill.

Bea is the broker of `hall` and of `town`; the office of the provider on the same installation must see nothing of it.
"""

from __future__ import annotations

import http.cookiejar
import json
import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.links import Link, sign
from tests.system.daemon import Daemon, Telephones, WarmStart, in_s, instant, of_kind, rfc, secret_of, staff
from tests.waiting import until_sync

HALL: dict[str, Any] = {
    "id": "hall",
    "kind": "council",
    "name": "The Brokerage",
    "placing": {"standard": "bromley"},
    "areas": [{"id": "east", "name": "East", "wards": ["petts-wood"]}],
    "duty": [{"person": "br-1", "role": "broker", "hours": "otherwise"}],
}

OURS, ACES = "+441632960998", "+447700900071"
PACKAGES = "/desks/hall/placements"
SOON = timedelta(seconds=3)
TOWN = HALL | {"id": "town", "name": "The Town", "placing_overrides": {"standard": {"link_lasts": "3s"}}}
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
ACE = {"id": "ace", "name": "Ace Homecare Ltd", "tier": "patch", "areas": ["east"], "rating": GOOD}
ACE |= {"phones": [{"number": ACES}]}
BEE = ACE | {"id": "bee", "name": "Bee Homecare Ltd", "phones": []}
LASTS = timedelta(days=42)


class Browser:
    """A browser without pictures: it keeps its cookie, follows where it is sent, and posts forms."""

    def __init__(self, daemon: Daemon) -> None:
        jar = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open
        self._url = daemon.url

    def go(self, path: str, **form: str) -> tuple[int, str, str]:
        """Status, the path where it ended, and the page."""
        data = urllib.parse.urlencode(form).encode() if form else None
        asked = urllib.request.Request(self._url + path, data, {"Accept": "text/html"})
        try:
            with self._open(asked, timeout=20) as answer:
                return answer.status, urllib.parse.urlsplit(answer.url).path, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, urllib.parse.urlsplit(refused.url).path, refused.read().decode()

    def sign_in(self, secret: str, after: str) -> tuple[int, str, str]:
        """Types a secret on the sign-in page."""
        found = re.search(r'name="token" value="([^"]+)"', self.go("/sign-in")[2])
        assert found is not None
        return self.go("/sign-in", token=found[1], password=secret, next=after)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, warm: WarmStart) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("hall")
    hall = HALL | {"numbers": [OURS]}
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, desks=[hall, TOWN], providers=["ace", "bee"], warm=warm) as daemon,
    ):
        yield daemon


def test_a_broker_signs_in_with_their_own_secret_until_it_is_taken_out(daemon: Daemon) -> None:
    browser, secret = Browser(daemon), secret_of("broker", "hall")
    # without a password the board is the office's, on this machine
    assert browser.go("/board/bright")[0] == 200
    assert browser.go(PACKAGES)[:2] == (200, "/sign-in")
    assert browser.sign_in(secret_of("provider", "hall", "ace"), PACKAGES)[0] == 403
    assert browser.sign_in(secret, PACKAGES)[:2] == (200, PACKAGES)
    assert browser.go("/")[:2] == (200, PACKAGES)
    assert browser.go("/board/bright")[0] == 403
    whole = daemon.config.read_text()
    block = next(one for one in whole.split("[[http.token]]") if 'role = "broker"' in one)
    daemon.config.write_text(whole.replace("[[http.token]]" + block, ""))
    daemon.send(signal.SIGHUP)
    until_sync(lambda: browser.go(PACKAGES)[1] == "/sign-in", what="the session ends with its token")
    daemon.config.write_text(whole)
    daemon.send(signal.SIGHUP)
    until_sync(lambda: browser.go(PACKAGES)[1] == PACKAGES, what="the token holds again")
    assert secret not in daemon.log


def test_nobody_of_a_provider_sees_anything_of_the_council_on_the_same_installation(daemon: Daemon) -> None:
    for role in ("office", "on_call", "manager", "auditor", "intake", "operator"):
        api = daemon.api(role)
        for path in ("placements", "providers", "facts", "alerts", "people/ace/died"):
            answer = api.call("GET", f"/v1/desks/hall/{path}")
            assert answer.status == 403, f"{role} {path}"
            assert answer.body["error"]["code"] in ("role", "desk")


def placed(daemon: Daemon, desk: str) -> list[str]:
    """A package is sent out there, and two providers are asked: their minted ids."""
    broker = daemon.api("broker", desk=desk)
    broker.people(staff("br-1") | {"name": "Bea Rowan"})
    broker.put("./providers", {"providers": [ACE, BEE]})
    package = {"kind": "standard", "area": "east", "hours_week": 7, "visits": [30, 30], "by": "br-1"}
    package |= {"id": "pk-1", "start": rfc(in_s(2 * 86_400))}
    answer = broker.call("POST", "./placements", package)
    assert answer.status == 201, answer
    (opened,) = of_kind(broker.facts(), "RoundOpened")
    return list(json.loads(opened["body"])["asked"])


def link(daemon: Daemon, desk: str, person: str, lasts: timedelta = LASTS) -> Link:
    """What the daemon signs, from what its journal says."""
    (received,) = of_kind(daemon.api("broker", desk=desk).facts(), "PlacementReceived")
    until = instant(received["at"]) + lasts
    return Link(purpose="bid", desk=desk, intent=received["subject"], person=person, until=until)


def test_a_link_opens_after_a_kill_too_until_its_end_until_it_is_revoked_and_no_other_does(
    daemon: Daemon,
) -> None:
    ace, bee = placed(daemon, "hall")
    there, _ = placed(daemon, "town")
    key = daemon.data / "links.key"
    assert key.stat().st_mode & 0o777 == 0o600

    def path(made: Link) -> str:
        return "/b/" + sign(key.read_bytes(), made)

    own, theirs = link(daemon, "hall", ace), link(daemon, "hall", bee)
    assert daemon.phones is not None
    said = daemon.phones.text(ACES)["body"]
    assert said.endswith((daemon.url + path(own), daemon.url + path(theirs))), said
    soon = link(daemon, "town", there, SOON)
    daemon.kill()
    daemon.start()
    browser = Browser(daemon)
    for one in (own, theirs):
        assert browser.go(path(one))[0] == 200
    strangers = (
        "/b/x",
        path(own)[:-1] + ("1" if path(own)[-1] != "1" else "2"),
        path(replace(own, desk="town")),
        path(replace(own, person=there)),
        path(replace(own, purpose="recording")),
        path(replace(own, until=own.until + timedelta(days=1))),
        "/b/" + sign(b"another key of thirty-two bytes..", own),
    )
    for stranger in strangers:
        assert browser.go(stranger)[0] == 404, stranger
    until_sync(lambda: browser.go(path(soon))[0] == 403, what="the link of the other council ends")
    assert browser.go(path(soon), action="decline", reason="no_capacity")[0] == 403
    revoke = {"action": "revoke_link", "provider": own.person, "by": "br-1"}
    answer = daemon.api("broker", desk="hall").call("POST", "./placements/pk-1/actions", revoke)
    assert answer.status == 200, answer
    assert browser.go(path(own))[0] == 403
    assert browser.go(path(theirs))[0] == 200
    assert not any(one.removeprefix("/b/") in daemon.log for one in (path(own), path(theirs), *strangers[1:]))
    kept = b"".join(file.read_bytes() for file in daemon.data.iterdir() if file.is_file())
    assert not any(path(one)[3:].encode() in kept for one in (own, theirs)), "a link stands in the store"
    for desk in ("hall", "town"):
        asked = of_kind(daemon.api("broker", desk=desk).facts(), "BidDeclined")
        assert asked == [], "GET acts on nothing, and a link that has ended neither"
