"""Signing in from outside: a real daemon, its cookie, a reload.

Bea is the broker of `hall`; the office of the provider on the same installation must see nothing of it.
"""

from __future__ import annotations

import http.cookiejar
import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.daemon import Daemon, WarmStart, secret_of
from tests.waiting import until_sync

HALL: dict[str, Any] = {
    "id": "hall",
    "kind": "council",
    "name": "The Brokerage",
    "placing": {"standard": "bromley"},
    "areas": [{"id": "east", "name": "East", "wards": ["petts-wood"]}],
    "duty": [{"person": "br-1", "role": "broker", "hours": "otherwise"}],
}


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
    with Daemon(folder, desks=[HALL], providers=["ace", "bee"], warm=warm) as daemon:
        yield daemon


def test_a_broker_signs_in_with_their_own_secret_until_it_is_taken_out(daemon: Daemon) -> None:
    browser, secret = Browser(daemon), secret_of("broker", "hall")
    assert (
        browser.go("/board/bright")[0] == 200
    )  # without a password the board is the office's, on this machine
    assert browser.go("/board/hall")[:2] == (200, "/sign-in")
    assert browser.sign_in(secret_of("provider", "hall", "ace"), "/board/hall")[0] == 403
    assert browser.sign_in(secret, "/board/hall")[:2] == (200, "/board/hall")
    assert browser.go("/board/bright")[0] == 403
    whole = daemon.config.read_text()
    block = next(one for one in whole.split("[[http.token]]") if 'role = "broker"' in one)
    daemon.config.write_text(whole.replace("[[http.token]]" + block, ""))
    daemon.send(signal.SIGHUP)
    until_sync(lambda: browser.go("/board/hall")[1] == "/sign-in", what="the session ends with its token")
    daemon.config.write_text(whole)
    daemon.send(signal.SIGHUP)
    until_sync(lambda: browser.go("/board/hall")[1] == "/board/hall", what="the token holds again")
    assert secret not in daemon.log


def test_nobody_of_a_provider_sees_anything_of_the_council_on_the_same_installation(daemon: Daemon) -> None:
    for role in ("office", "on_call", "manager", "auditor", "intake", "operator"):
        api = daemon.api(role)
        for path in ("placements", "providers", "facts", "alerts", "people/ace/died"):
            answer = api.call("GET", f"/v1/desks/hall/{path}")
            assert answer.status == 403, f"{role} {path}"
            assert answer.body["error"]["code"] in ("role", "desk")
