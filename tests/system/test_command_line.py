"""The command line as an operator uses it: real commands in processes of their own, a real daemon where one is met.

Exit codes: 0 ok, 1 problems found, 2 usage or a configuration that cannot start, 3 store locked or not writable.
Every command is started as a process at least once; the rows of a table call `main` here (`quick`), because a process
takes a second or two to start.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import pytest

from config.tokens import hash_token
from connectors.sqlite_files import DATABASE
from monitor.__main__ import main
from monitor.commands import rota as rota_command
from tests.system.disks import tmpfs
from tests.system.stores import store_block
from tests.system.test_degraded import full
from tests.waiting import until_sync

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "monitor"]
DRAIN_S = 5
STARTS_S = 60.0
NEXT_YEAR = datetime.now(UTC).year + 1


# --- processes ---


def environment(**more: str) -> dict[str, str]:
    """Ours without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWATCH_")}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def callwatch(folder: Path, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """One command, in `folder`, to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def quick(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """One command in this process, with the environment that a process of its own would have."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(**env), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(list(map(str, words)))
        except SystemExit as left:  # argparse leaves so
            code = int(left.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


class Running:
    """A command that goes on until it is told to stop."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process, self._out, self.err = process, out, err

    @property
    def ready(self) -> dict[str, str] | None:
        """What the first line on stdout says, once it is whole."""
        line, end, _ = self._out.read_text().partition("\n")
        return json.loads(line) if end else None

    @property
    def url(self) -> str:
        assert self.ready is not None
        return f"http://{self.ready['http']}"

    def logged(self, event: str) -> bool:
        """Whether a line of the log begins so."""
        return f'"event":"{event}' in self.err.read_text()

    def ends(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code, and how many seconds the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(40), time.monotonic() - began


@contextlib.contextmanager
def running(folder: Path, *words: str | Path, **env: str) -> Iterator[Running]:
    """The command, from the moment at which it says that it is ready."""
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *map(str, words)], cwd=folder, env=environment(**env), stdout=stdout, stderr=stderr
        )
    try:
        one = Running(process, out, err)
        until_sync(lambda: one.ready or process.poll() is not None, STARTS_S, what="the line that says ready")
        assert one.ready, f"ended with {process.returncode}: {err.read_text()}"
        yield one
    finally:
        process.kill()
        process.wait(30)


def configured(folder: Path, block: str = "", *, data: Path | str = "data", desks: str = "") -> Path:
    path = folder / "callwatch.toml"
    path.write_text(
        f"""
data_dir = "{data}"
drain_s = {DRAIN_S}
[http]
listen = "127.0.0.1:0"
{block}
[[desk]]
id = "bright"
kind = "provider"
name = "Bright Care"
numbers = ["+441632960999"]
overrides = {{ late_after = "20m" }}
duty = [
  {{ person = "st-1", role = "office", hours = "Mon-Fri 09:00-17:00" }},
  {{ person = "st-2", role = "on_call", hours = "otherwise" }},
]
council_desks = [
  {{ name = "Duty care manager", phone = "+441632960010", hours = "Mon-Fri 09:00-17:00" }},
  {{ name = "EDT", phone = "+441632960012", hours = "otherwise" }},
]
{desks}
"""
    )
    return path


def written(folder: Path, name: str, body: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(body))
    return path


def visit(name: str, start: str, end: str | None = None, **more: Any) -> dict[str, Any]:
    later = (datetime.fromisoformat(start) + timedelta(minutes=30)).isoformat()
    return {
        "id": name,
        "service_user": "su-1",
        "start": start,
        "end": end or later,
        "workers": ["cw-1"],
    } | more


PEOPLE = {
    "people": [
        {"id": "su-1", "role": "service_user", "phones": [{"number": "01632 960001", "kind": "landline"}]},
        {"id": "cw-1", "role": "care_worker", "phones": [{"number": "07700 900001"}]},
        {"id": "st-1", "role": "staff", "phones": [{"number": "07700 900002"}]},
        {"id": "st-2", "role": "staff", "phones": [{"number": "07700 900003"}]},
    ]
}
SOON = f"{NEXT_YEAR}-06-15T10:00"


class Site:
    """A daemon and what is needed to speak to it."""

    def __init__(self, folder: Path, config: Path, secret: str, daemon: Running) -> None:
        self.folder, self.config, self.secret, self.daemon = folder, config, secret, daemon

    def load(self, file: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        env.setdefault("CALLWATCH_TOKEN", self.secret)
        return quick("rota", "load", file, "--desk", "bright", "--url", self.daemon.url, *words, **env)

    def get(self, path: str) -> Any:
        asked = urllib.request.Request(f"{self.daemon.url}{path}")
        asked.add_header("Authorization", f"Bearer {self.secret}")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def site(folder: Path, data: Path | str = "data", more: str = "") -> Iterator[Site]:
    """From nothing, by commands alone: a token, a configuration, a daemon."""
    made = callwatch(folder, "token", "--role", "office", "--desk", "bright")
    assert made.returncode == 0, made.stderr
    secret, block = made.stdout.split("\n", 1)
    config = configured(folder, block + store_block(folder / data), data=data, desks=more)
    with running(folder, "run", "--config", config) as daemon:
        yield Site(folder, config, secret, daemon)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as one:
        yield one


# --- token ---


def test_token_prints_the_secret_alone_and_then_the_block_with_its_hash_and_writes_nothing(tmp_path: Path):
    made = callwatch(tmp_path, "token", "--role", "intake", "--desk", "bright", "--expires", "90d")
    assert made.returncode == 0
    secret, block = made.stdout.split("\n", 1)
    (token,) = tomllib.loads(block)["http"]["token"]
    assert token["hash"] == hash_token(secret)
    assert (token["role"], token["desk"], "device" in token) == ("intake", "bright", False)
    left = token["expires"] - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert secret not in block
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", [[], ["--role", "device"], ["--role", "intake"]])
def test_a_device_makes_the_credential_a_devices(role: list[str]):
    made = quick("token", *role, "--desk", "bright", "--device", "owntracks:u17/phone")
    (token,) = tomllib.loads(made.stdout.split("\n", 1)[1])["http"]["token"]
    assert (token["role"], token["device"]) == ("device", "owntracks:u17/phone")


def test_a_token_names_the_provider_that_bids_with_it_or_the_person_whose_own_it_is():
    for words, key in (
        (["provider", "--provider", "pr-7"], "provider"),
        (["broker", "--person", "br-1"], "person"),
    ):
        made = quick("token", "--desk", "hall", "--role", *words)
        (token,) = tomllib.loads(made.stdout.split("\n", 1)[1])["http"]["token"]
        assert (token["role"], token[key], "device" in token) == (words[0], words[-1], False)


def test_a_token_lasts_a_year_unless_said():
    made = quick("token", "--role", "operator", "--desk", "*")
    (token,) = tomllib.loads(made.stdout.split("\n", 1)[1])["http"]["token"]
    assert timedelta(days=364, hours=23) < token["expires"] - datetime.now(UTC) <= timedelta(days=365)


@pytest.mark.parametrize(
    "words",
    [
        ["--role", "queen", "--desk", "bright"],
        ["--role", "device", "--desk", "bright"],
        ["--role", "office", "--desk", "*"],
        ["--role", "office", "--desk", "Bright Care"],
        ["--role", "office"],
        ["--desk", "bright"],
        ["--desk", "bright", "--device", " "],
        ["--role", "provider", "--desk", "hall"],
        ["--role", "provider", "--desk", "hall", "--provider", " "],
        ["--role", "provider", "--desk", "*", "--provider", "pr-7"],
        ["--role", "broker", "--desk", "hall", "--provider", "pr-7"],
        ["--role", "intake", "--desk", "hall", "--person", "br-1"],
        ["--role", "office", "--desk", "bright", "--expires", "soon"],
        ["--role", "office", "--desk", "bright", "--expires", "0s"],
    ],
)
def test_a_token_that_no_configuration_could_hold_is_usage_and_prints_no_secret(words: list[str]):
    said = quick("token", *words)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr


def code_of(*words: str | Path, **env: str) -> int:
    """The exit code alone."""
    return quick(*words, **env).returncode


# --- check-config ---


def test_check_config_names_every_problem_at_once_with_its_path_and_what_was_expected(tmp_path: Path):
    config = configured(tmp_path, desks='[[desk]]\nid = "B B"\nkind = "shop"\nname = "B"\npolicy = "nix"')
    said = callwatch(tmp_path, "check-config", config, "--json")
    assert said.returncode == 1
    problems = json.loads(said.stdout)["problems"]
    by_path = {problem["path"]: problem for problem in problems if problem["severity"] == "error"}
    assert set(by_path) >= {"desk[1].id", "desk[1].kind", "desk[1].policy"}
    assert by_path["desk[1].policy"]["code"] == "unknown_policy"
    assert all(problem["message"] and problem["expected"] for problem in problems)
    assert "drama_number" in {problem["code"] for problem in problems if problem["severity"] == "warning"}


def test_check_config_in_words_lists_the_same_places(tmp_path: Path):
    config = configured(tmp_path, desks='[[desk]]\nid = "B B"\nkind = "shop"\nname = "B"')
    said = quick("check-config", config)
    assert said.returncode == 1
    assert "desk[1].id" in said.stdout
    assert "desk[1].kind" in said.stdout
    assert "drama_number" in said.stdout


def test_warnings_alone_are_no_reason_not_to_start(tmp_path: Path):
    said = quick("check-config", configured(tmp_path), "--json")
    assert said.returncode == 0
    assert {problem["severity"] for problem in json.loads(said.stdout)["problems"]} == {"warning"}


@pytest.mark.parametrize("data", ["taken", "taken/store"])
def test_a_folder_of_the_store_that_is_a_file_is_said_by_every_command_that_would_make_it(
    tmp_path: Path, data: str
):
    (tmp_path / "taken").write_text("")
    file = configured(tmp_path, data=data)
    found = json.loads(quick("check-config", "--json", file).stdout)["problems"]
    (problem,) = [one for one in found if one["severity"] == "error"]
    assert (problem["path"], problem["code"]) == ("data_dir", "bad_value")
    assert problem["expected"].startswith("a folder")
    for words in (("run", "--config", file), ("demo", "--data", tmp_path / data)):
        started = quick(*words)
        assert (started.returncode, started.stdout) == (2, "")
        assert "expected a folder" in started.stderr
        assert "Traceback" not in started.stderr


def test_a_configuration_that_cannot_be_read_is_a_problem(tmp_path: Path):
    said = quick("check-config", tmp_path / "nowhere.toml", "--json")
    assert said.returncode == 1
    (problem,) = json.loads(said.stdout)["problems"]
    assert problem["code"] == "file_unreadable"


def test_check_config_policy_prints_every_key_with_its_clause_and_value():
    lines = quick("check-config", "--policy", "bromley").stdout.splitlines()
    late_after = next(line for line in lines if line.startswith("late_after "))
    assert "30m" in late_after
    assert "21.2" in late_after
    said = json.loads(quick("check-config", "--policy", "bromley", "--json").stdout)
    # two tables: how visits are watched, and, of the same name, how packages are placed
    visits, packages = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert len(said["policy"]) == len(visits) - 1
    assert all(field["clause"] and field["meaning"] for field in said["policy"])
    assert all(any(line.startswith(row["name"]) for line in packages) for row in said["placing"])
    assert said["placing"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["a.toml", "--policy", "bromley"], 2),
        (["--policy", "nix"], 1),
        (["--policy", "nix.toml"], 1),
    ],
)
def test_check_config_asked_for_nothing_both_or_an_unknown_policy(words: list[str], code: int):
    assert code_of("check-config", *words) == code


# --- run ---


def test_a_bad_configuration_does_not_start_and_says_why(tmp_path: Path):
    config = configured(tmp_path, desks='[[desk]]\nid = "bright"\nkind = "shop"\nname = "B"')
    said = callwatch(tmp_path, "run", "--config", config)
    assert (said.returncode, said.stdout) == (2, "")
    assert "desk[1].kind" in said.stderr
    assert not (tmp_path / "data").exists()


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path):
    said = callwatch(tmp_path, "run", "--config", tmp_path / "absent.toml")
    assert said.returncode == 2
    assert "absent.toml" in said.stderr


def test_a_second_daemon_on_the_same_data_ends_with_3_and_names_the_first(here: Site):
    said = callwatch(here.folder, "run", "--config", here.config)
    assert (said.returncode, said.stdout) == (3, "")
    assert str(here.daemon.process.pid) in said.stderr
    assert here.daemon.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_with_0_within_drain_s_and_it_starts_again(tmp_path: Path, number: int):
    config = configured(tmp_path, store_block(tmp_path / "data"))
    for _ in range(2):
        with running(tmp_path, "run", "--config", config) as daemon:
            assert daemon.ready is not None
            assert daemon.ready["event"] == "ready"
            assert not daemon.url.endswith(":0")
            code, seconds = daemon.ends(number)
            assert code == 0, daemon.err.read_text()
            assert seconds < DRAIN_S + 1


def test_sighup_takes_a_new_configuration_whole_or_not_at_all(tmp_path: Path):
    rota = written(tmp_path, "rota.json", {"visits": [visit("v-1", SOON)]})
    with site(tmp_path) as one:
        secret, block = quick("token", "--role", "intake", "--desk", "bright").stdout.split("\n", 1)
        block += store_block(tmp_path / "data")
        configured(tmp_path, block, desks="[[desk]]")
        one.daemon.process.send_signal(signal.SIGHUP)
        until_sync(lambda: one.daemon.logged("configuration refused"), what="the refusal in the log")
        assert one.load(rota, CALLWATCH_TOKEN=secret).returncode == 2
        assert one.load(rota).returncode == 0
        configured(tmp_path, block)
        one.daemon.process.send_signal(signal.SIGHUP)
        until_sync(lambda: one.daemon.logged("configuration loaded again"), what="the new one in the log")
        assert one.load(rota, CALLWATCH_TOKEN=secret).returncode == 0
        assert one.load(rota).returncode == 2  # its token is not in the new one
        assert one.daemon.ends()[0] == 0


# --- rota load ---


def test_people_and_rota_go_into_the_running_daemon(here: Site):
    people = callwatch(
        here.folder,
        *("rota", "load", written(here.folder, "people.json", PEOPLE), "--json"),
        *("--desk", "bright", "--url", here.daemon.url),
        CALLWATCH_TOKEN=here.secret,
    )
    assert people.returncode == 0, people.stderr
    answer = json.loads(people.stdout)
    assert (answer["new"] + answer["unchanged"], answer["problems"]) == (4, [])
    rota = here.load(written(here.folder, "rota.json", {"visits": [visit("in-1", SOON)]}))
    assert rota.returncode == 0, rota.stderr
    found = here.get(f"/v1/desks/bright/visits?date={SOON[:10]}")["visits"]
    assert "in-1" in {one["id"] for one in found}


def test_refused_rows_are_1_and_named_and_the_others_are_watched(here: Site):
    rows = [visit("ok-1", SOON), {"id": "no-1", "start": SOON}, visit("no-2", "9999-12-31T23:00:00Z")]
    file = written(here.folder, "refused.json", {"visits": rows})
    said = here.load(file, "--json")
    assert said.returncode == 1
    answer = json.loads(said.stdout)
    errors = {one["visit"]: one["code"] for one in answer["problems"] if one["severity"] == "error"}
    assert errors == {"no-1": "no_person", "no-2": "no_time"}
    assert answer["watched"] == 1
    in_words = here.load(file)
    assert in_words.returncode == 1
    assert "no-1" in in_words.stdout
    assert "no_time" in in_words.stdout


def test_an_upload_that_cancels_much_is_1_until_it_is_confirmed(here: Site):
    day = f"{NEXT_YEAR}-09-14"
    planned = written(
        here.folder, "full.json", {"visits": [visit(f"c-{n}", f"{day}T1{n}:00") for n in range(3)]}
    )
    assert here.load(planned).returncode == 0
    covers = {"from": f"{day}T00:00", "to": f"{day}T23:59"}
    empty = written(here.folder, "empty.json", {"visits": [], "complete": True, "covers": covers})
    refused = here.load(empty, "--json")
    assert refused.returncode == 1
    answer = json.loads(refused.stdout)
    assert answer["error"]["code"] == "confirm_needed"
    assert sorted(answer["cancels"]) == ["c-0", "c-1", "c-2"]
    confirmed = here.load(empty, "--json", "--confirm")
    assert (confirmed.returncode, json.loads(confirmed.stdout)["cancelled"]) == (0, 3)


def test_a_wrong_credential_another_desk_and_no_credential_are_2_and_never_shown(here: Site):
    file = written(here.folder, "rota.json", {"visits": [visit("in-1", SOON)]})
    wrong = here.load(file, CALLWATCH_TOKEN="cw_not-the-secret")
    assert wrong.returncode == 2
    assert "401" in wrong.stderr
    assert "cw_not" not in wrong.stderr + wrong.stdout
    assert here.load(file, CALLWATCH_TOKEN="").returncode == 2
    words = ("rota", "load", file, "--desk", "nowhere", "--url", here.daemon.url)
    elsewhere = quick(*words, CALLWATCH_TOKEN=here.secret)
    assert elsewhere.returncode == 2
    assert "404" in elsewhere.stderr


def test_a_body_that_is_refused_whole_is_1_and_says_where(here: Site):
    body = {"visits": [], "covers": {"from": "yesterday", "to": "today"}}
    said = here.load(written(here.folder, "bad.json", body))
    assert said.returncode == 1
    assert "covers.from" in said.stderr


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"visits": [], "people": []}', "\xff", "[" * 5000, None]
)
def test_a_file_that_is_neither_rota_nor_people_is_2_and_said_to_be_the_reason(
    content: str | None, tmp_path: Path, here: Site
):
    file = tmp_path / "file.json"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    said = here.load(file)
    assert (said.returncode, said.stdout) == (2, "")
    assert "file" in said.stderr


def load_to(url: str, file: Path, desk: str = "bright") -> subprocess.CompletedProcess[str]:
    return quick("rota", "load", file, "--desk", desk, "--url", url, CALLWATCH_TOKEN="cw_secret")


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://", "http://user:pw@host", "http://[", ""])
def test_a_url_that_leads_nowhere_is_usage(url: str, tmp_path: Path):
    said = load_to(url, written(tmp_path, "rota.json", {"visits": []}))
    assert said.returncode == 2
    assert "pw" not in said.stderr


def test_a_daemon_that_is_not_there_or_never_answers_is_2_in_bounded_time(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rota_command, "TOTAL_S", 0.3)
    file = written(tmp_path, "rota.json", {"visits": []})
    assert load_to(f"http://127.0.0.1:{free_port}", file).returncode == 2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert load_to(f"http://127.0.0.1:{silent.getsockname()[1]}", file).returncode == 2
        assert time.monotonic() - began < 5


class _Elsewhere(BaseHTTPRequestHandler):
    """A server that is not ours: it redirects, or answers with a page."""

    asked: list[str]

    def do_PUT(self) -> None:
        self.asked.append(self.path)
        moved = "/moved" not in self.path and "bright" in self.path
        self.send_response(307 if moved else 200)
        self.send_header("Location", "/moved")
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.mark.parametrize("desk", ["bright", "other"])
def test_what_is_no_callwatch_is_2_and_a_redirect_is_not_followed(desk: str, tmp_path: Path):
    file = written(tmp_path, "rota.json", {"visits": []})
    _Elsewhere.asked = []
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            assert load_to(url, file, desk).returncode == 2
        finally:
            server.shutdown()
            thread.join(5)
    assert _Elsewhere.asked == [f"/v1/desks/{desk}/rota"]


def test_a_daemon_whose_disk_is_full_says_3_and_the_same_file_goes_in_when_there_is_room(tmp_path: Path):
    with full(tmp_path, "3m") as disk, site(tmp_path, disk.data) as one:
        people = written(tmp_path, "people.json", PEOPLE)
        assert one.load(people).returncode == 0
        disk.breaks()
        rota = written(tmp_path, "rota.json", {"visits": [visit(f"v-{n}", SOON) for n in range(2_000)]})
        refused = one.load(rota)
        assert refused.returncode == 3, refused.stderr
        assert "503" in refused.stderr
        disk.mends()
        until_sync(lambda: one.load(rota).returncode == 0, 30, every=0.5, what="the rota is taken")
        assert code_of("verify", "--config", one.config) == 0
        assert one.daemon.ends()[0] == 0


# --- verify and backup ---


def test_verify_looks_on_while_the_daemon_runs(here: Site):
    said = callwatch(here.folder, "verify", "--config", here.config, "--json")
    assert said.returncode == 0
    answer = json.loads(said.stdout)
    assert answer["ok"] is True
    (desk,) = answer["desks"]
    assert (desk["desk"], desk["broken"]) == ("bright", None)
    assert desk["facts"] >= 1
    assert len(bytes.fromhex(desk["head"])) == 32
    last = here.get(f"/v1/desks/bright/facts?after={desk['facts'] - 1}")["facts"][0]
    assert last["hash"] == desk["head"]
    assert here.daemon.process.poll() is None


@pytest.mark.sqlite_alone("the folder is the store", instead=None)
def test_verify_needs_no_configuration_where_the_folder_is_the_store(here: Site):
    said = callwatch(here.folder, "verify", "--json")  # ./data
    assert (said.returncode, json.loads(said.stdout)["ok"]) == (0, True)
    assert code_of("verify", "--data", here.folder / "data") == 0


@pytest.mark.sqlite_alone(
    "a server makes its own copies",
    instead="tests/system/test_redis.py::test_a_copy_of_the_servers_folder_is_whole_and_a_daemon_starts_from_it",
)
def test_a_backup_of_a_running_store_is_whole_and_a_daemon_starts_from_it(here: Site, tmp_path: Path):
    copy = tmp_path / "copy"
    made = callwatch(here.folder, "backup", copy, "--json")
    assert made.returncode == 0, made.stderr
    (told,) = json.loads(made.stdout)["desks"]
    checked = quick("verify", "--data", copy, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["desks"]) == (0, [told])
    assert code_of("backup", copy, "--config", here.config) == 2  # it is there already
    with running(tmp_path, "run", "--config", configured(tmp_path, data=copy)) as daemon:
        assert daemon.ends()[0] == 0
    after = quick("verify", "--data", copy, "--json")
    assert json.loads(after.stdout)["desks"][0]["facts"] > told["facts"]


@pytest.mark.sqlite_alone(
    "it is broken by its own language",
    instead="tests/contract/test_redis_store.py::test_verify_names_the_broken_fact_and_clears_the_other_desk",
)
def test_verify_names_the_broken_fact(here: Site, tmp_path: Path):
    copy = tmp_path / "copy"
    assert code_of("backup", copy, "--config", here.config) == 0
    with sqlite3.connect(copy / DATABASE) as conn:
        ids = [row[0] for row in conn.execute("SELECT id FROM fact ORDER BY id LIMIT 3")]
        conn.execute("UPDATE fact SET body = body || ' ' WHERE id = ?", (ids[2],))
    conn.close()
    said = quick("verify", "--data", copy, "--json")
    assert said.returncode == 1
    answer = json.loads(said.stdout)
    assert answer["ok"] is False
    assert answer["desks"][0]["broken"] == {"seq": 3, "reason": "hash"}
    assert code_of("verify", "--data", copy) == 1
    assert code_of("backup", tmp_path / "again", "--data", copy) == 1


@pytest.mark.sqlite_alone(
    "the folder is the store",
    instead="tests/contract/test_redis_store.py::test_verify_of_a_server_without_a_store_says_so",
)
def test_no_store_is_2_and_a_damaged_one_is_1(tmp_path: Path):
    assert code_of("verify", "--data", tmp_path) == 2
    assert code_of("backup", tmp_path / "copy", "--data", tmp_path) == 2
    assert list((tmp_path / "copy").glob(f"{DATABASE}*")) == []
    (tmp_path / DATABASE).write_bytes(b"this is no database, whatever its name says" * 100)
    said = quick("verify", "--data", tmp_path, "--json")
    answer = json.loads(said.stdout)
    assert said.returncode == 1
    assert (answer["ok"], answer["error"]["code"]) == (False, "corrupt")


@pytest.mark.sqlite_alone("a server makes its own copies", instead=None)
def test_a_backup_onto_a_full_disk_is_3_and_leaves_no_database(here: Site, tmp_path: Path):
    with tmpfs(tmp_path / "disk", "64k") as disk:
        said = quick("backup", disk / "copy", "--config", here.config)
        assert said.returncode == 3, said.stderr
        assert not (disk / "copy" / DATABASE).exists()


@pytest.mark.sqlite_alone("the folder is the store", instead=None)
def test_without_a_word_the_store_is_where_the_environment_says(here: Site):
    assert code_of("verify", CALLWATCH_DATA_DIR=str(here.folder / "data")) == 0
    assert code_of("verify", CALLWATCH_DATA_DIR=str(here.folder / "nowhere")) == 2


def test_which_store_is_said_once_and_by_a_configuration_that_can_be_used(tmp_path: Path):
    assert code_of("verify", "--data", "a", "--config", "b") == 2
    assert code_of("verify", "--config", tmp_path / "nowhere.toml") == 2


# --- preview ---


def last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


SPRING, AUTUMN = last_sunday(NEXT_YEAR, 3), last_sunday(NEXT_YEAR, 10)


def test_preview_and_the_running_daemon_agree_on_both_nights_of_the_change_and_at_christmas(here: Site):
    starts = [
        *(f"{SPRING}T{local}" for local in ("00:59", "01:30", "02:00")),
        *(f"{AUTUMN}T{local}" for local in ("00:59", "01:30", "02:00")),
        f"{NEXT_YEAR}-12-25T10:00",
    ]
    rows = [visit(f"n-{n}", start, late_after="45m") for n, start in enumerate(starts)]
    file = written(here.folder, "nights.json", {"visits": rows})
    said = quick("preview", "--config", here.config, "--rota", file, "--json")
    assert said.returncode == 0, said.stderr
    foreseen = json.loads(said.stdout)["visits"]
    assert here.load(file).returncode == 0
    kept = {
        one["id"]: one
        for day in {start[:10] for start in starts}
        for one in here.get(f"/v1/desks/bright/visits?date={day}")["visits"]
    }
    assert [one["id"] for one in foreseen] == [row["id"] for row in rows]
    for one in foreseen:
        for name in ("start", "end", "late_at"):
            assert instant(one[name]) == instant(kept[one["id"]][name]), one
    at = {one["id"]: one["start"] for one in foreseen}
    assert at["n-1"] == f"{SPRING}T01:30:00Z"
    assert at["n-4"] == f"{AUTUMN}T00:30:00Z"


def instant(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


ROTA = {
    "visits": [
        visit("twice", "2026-10-25T01:30", "2026-10-25T02:30"),
        visit("gap-26", "2026-03-29T01:30", "2026-03-29T03:00"),
        visit("gap-27", "2027-03-28T01:30", "2027-03-28T03:00"),
        visit("boxing-26", "2026-12-28T10:00"),
        visit("boxing-27", "2027-12-27T10:00"),
        visit("monday", "2026-11-23T10:00"),
    ]
}


def test_preview_says_when_each_visit_is_due_who_answers_then_and_what_follows(tmp_path: Path):
    file = written(tmp_path, "rota.json", ROTA)
    said = callwatch(tmp_path, "preview", "--config", configured(tmp_path), "--rota", file, "--json")
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    assert {(one["visit"], one["code"]) for one in answer["problems"]} == {
        ("twice", "time_exists_twice"),
        ("gap-26", "time_does_not_exist"),
        ("gap-27", "time_does_not_exist"),
    }
    seen = {one["id"]: (one["start"], one["duty"], one["council_desk"]) for one in answer["visits"]}
    assert seen == {
        "twice": ("2026-10-25T00:30:00Z", ["st-2"], "EDT"),
        "gap-26": ("2026-03-29T01:30:00Z", ["st-2"], "EDT"),
        "gap-27": ("2027-03-28T01:30:00Z", ["st-2"], "EDT"),
        "boxing-26": ("2026-12-28T10:00:00Z", ["st-2"], "EDT"),
        "boxing-27": ("2027-12-27T10:00:00Z", ["st-2"], "EDT"),
        "monday": ("2026-11-23T10:00:00Z", ["st-1"], "Duty care manager"),
    }
    for one in answer["visits"]:
        late_at = instant(one["start"]) + timedelta(minutes=20)
        assert instant(one["late_at"]) == late_at
        raised = [instant(step["at"]) for step in one["timeline"] if step["step"] == "alert_raised"]
        assert raised == [late_at]
        assert f"summon sms {one['duty'][0]}" in {step["step"] for step in one["timeline"]}


def test_preview_in_words_names_the_offset_of_its_local_times(tmp_path: Path):
    file = written(tmp_path, "rota.json", ROTA)
    said = quick("preview", "--config", configured(tmp_path), "--rota", file)
    assert said.returncode == 0
    assert "01:30 BST" in said.stdout
    assert "alert_raised" in said.stdout
    assert "time_exists_twice" in said.stdout


def test_preview_under_another_policy_keeps_the_desks_overrides(tmp_path: Path):
    (tmp_path / "other.toml").write_text('late_after = "5m"\nsummon_call_after = "7m"\nsummon_next = "20m"\n')
    file = written(tmp_path, "rota.json", {"visits": [visit("v1", "2026-11-23T10:00")]})
    words = ["preview", "--config", configured(tmp_path), "--rota", file, "--json"]
    (one,) = json.loads(quick(*words, "--policy", tmp_path / "other.toml").stdout)["visits"]
    assert one["late_at"] == "2026-11-23T10:20:00Z"
    assert {"at": "2026-11-23T10:27:00Z", "step": "summon call st-1"} in one["timeline"]
    assert code_of(*words, "--policy", "nix") == 2


def test_preview_reads_people_and_the_now_it_is_given(tmp_path: Path):
    file = written(tmp_path, "rota.json", {"visits": [visit("v1", "2026-11-23T10:00")]})
    people = written(tmp_path, "people.json", PEOPLE)
    words = ["preview", "--config", configured(tmp_path), "--rota", file, "--json"]
    said = quick(*words, "--people", people, "--at", "2026-11-23T11:00:00Z")
    (one,) = json.loads(said.stdout)["visits"]
    assert one["timeline"][0] == {"at": "2026-11-23T11:00:00Z", "step": "alert_raised"}
    assert code_of(*words, "--at", "teatime") == 2
    assert code_of(*words, "--people", file) == 2


def test_preview_of_a_row_that_would_not_be_watched_is_1(tmp_path: Path):
    file = written(tmp_path, "rota.json", {"visits": [{"id": "v1", "start": SOON}]})
    words = ["preview", "--config", configured(tmp_path), "--rota", file]
    said = quick(*words, "--json")
    assert said.returncode == 1
    answer = json.loads(said.stdout)
    assert answer["visits"] == []
    assert [one["code"] for one in answer["problems"]] == ["no_person"]
    assert code_of(*words) == 1
    no_rota = written(tmp_path, "none.json", {"visits": "all"})
    assert code_of(*words[:3], "--rota", no_rota) == 1


def test_preview_of_one_of_several_desks_wants_to_know_which(tmp_path: Path):
    second = '[[desk]]\nid = "other"\nkind = "provider"\nname = "Other"'
    config, file = configured(tmp_path, desks=second), written(tmp_path, "rota.json", ROTA)
    words = ["preview", "--config", config, "--rota", file, "--json"]
    assert code_of(*words) == 2
    assert code_of(*words, "--desk", "nowhere") == 2
    assert code_of(*words, "--desk", "bright") == 0
    assert code_of("preview", "--config", tmp_path / "nowhere.toml", "--rota", file) == 2
    assert code_of(*words[:3], "--rota", tmp_path / "nowhere.json", "--desk", "bright") == 2


def test_who_stops_listening_gets_no_trace(tmp_path: Path):
    rows = [visit(f"v-{n}", "2026-11-23T10:00") for n in range(100)]
    file = written(tmp_path, "rota.json", {"visits": rows})
    with subprocess.Popen(
        [*COMMAND, "preview", "--config", configured(tmp_path), "--rota", file],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


# --- phones ---


def text_to(url: str, token: str, number: str = "+447700900001") -> int:
    """Ask the stand-in to send a text, as the provider's API is asked; the HTTP status."""
    asked = urllib.request.Request(f"{url}/2010-04-01/Accounts/AC1/Messages.json", method="POST")
    asked.add_header("Authorization", "Basic " + b64encode(f"AC1:{token}".encode()).decode())
    asked.data = urlencode({"To": number, "From": "+441632960999", "Body": "hello"}).encode()
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def written_by(url: str, number: str, body: str) -> int:
    """A phone writes back to who last wrote to it; how our webhook answered."""
    asked = urllib.request.Request(f"{url}/phones/{number}/reply", method="POST")
    asked.add_header("Content-Type", "application/json")
    asked.data = json.dumps({"body": body}).encode()
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return int(json.load(answer)["webhook_status"])


def texts_of(url: str, number: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/phones/{number}", timeout=30) as answer:
        return [text["body"] for text in json.load(answer)["texts"]]


def test_the_telephones_alone_take_a_text_of_any_account_and_end_with_0(tmp_path: Path):
    with running(tmp_path, "phones", "--listen", "127.0.0.1:0", "--speed", "50") as phones:
        assert phones.ready is not None
        assert phones.ready["event"] == "ready"
        assert text_to(phones.url, "demo") == 201
        assert text_to(phones.url, "") == 401
        assert texts_of(phones.url, "447700900001") == ["hello"]
        port = phones.url.rsplit(":", 1)[1]
        taken = callwatch(tmp_path, "phones", "--listen", f"127.0.0.1:{port}")
        assert (taken.returncode, taken.stdout) == (2, "")
        assert phones.ends() == (0, pytest.approx(0, abs=5))


def test_by_commands_alone_a_visit_that_nobody_made_reaches_the_telephone_of_who_is_on_duty(tmp_path: Path):
    (tmp_path / "twilio.secret").write_text("of my own making\n")
    (tmp_path / "phones").mkdir()
    with running(tmp_path / "phones", "phones", "--listen", "127.0.0.1:0", "--speed", "20") as phones:
        account = f'[twilio]\naccount_sid = "AC1234"\napi_url = "{phones.url}"\n'
        with site(tmp_path, more=account + 'auth_token_files = ["twilio.secret"]') as one:
            assert one.load(written(tmp_path, "people.json", PEOPLE)).returncode == 0
            now = datetime.now(UTC).isoformat()
            rota = {"visits": [visit("v-1", now, late_after="1s")]}
            assert one.load(written(tmp_path, "rota.json", rota)).returncode == 0
            duty = ("447700900002", "447700900003")
            until_sync(lambda: any(texts_of(phones.url, number) for number in duty), 20, what="a summons")
            (alert,) = one.get("/v1/desks/bright/alerts?open=true")["alerts"]
            assert (alert["kind"], alert["visit"]) == ("late_visit", "v-1")
            # nobody told the telephones where the daemon is, nor which token it has: its own messages did
            (asked,) = [number for number in duty if texts_of(phones.url, number)]
            assert written_by(phones.url, asked, "11") == 200
            (taken,) = one.get("/v1/desks/bright/alerts?open=true")["alerts"]
            assert taken["state"] == "taken"
            assert one.daemon.ends()[0] == 0
        assert phones.ends()[0] == 0


def test_the_telephones_take_their_tokens_from_files(tmp_path: Path):
    (tmp_path / "current").write_text("first\n")
    words = ("--listen", "127.0.0.1:0", "--token-file", "current", "--auth-token", "second")
    with running(tmp_path, "phones", *words) as phones:
        assert text_to(phones.url, "first") == 201
        assert text_to(phones.url, "second") == 201
        assert text_to(phones.url, "demo") == 401
        assert phones.ends(signal.SIGINT)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--listen", "here"],
        ["--listen", "127.0.0.1:99999"],
        ["--listen", "127.0.0.1:0", "--speed", "0"],
        ["--listen", "127.0.0.1:0", "--speed", "fast"],
        ["--listen", "127.0.0.1:0", "--token-file", "/nowhere/at/all"],
        ["--listen", "127.0.0.1:0", "--token-file", "/dev/null"],
    ],
)
def test_telephones_that_cannot_be_had_as_asked_are_usage(words: list[str]):
    assert code_of("phones", *words) == 2


# --- all of them ---


def test_every_command_explains_itself(tmp_path: Path):
    said = callwatch(tmp_path, "--help")
    assert said.returncode == 0
    for name in ("run", "demo", "phones", "check-config", "rota", "token", "verify", "preview", "backup"):
        assert name in said.stdout
        assert code_of(name, "--help") == 0
    assert code_of() == 2
    assert code_of("dance") == 2
