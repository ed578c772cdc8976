"""A spreadsheet's export through the running daemon: every mistake named with its line, everything else watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.system.daemon import (
    ROOT,
    Answer,
    Daemon,
    care_worker,
    day_of,
    in_s,
    secret_of,
    service_user,
    visit,
)
from tests.waiting import until_sync

FILE = ROOT / "tests" / "files" / "rota_twenty_mistakes.csv"

MAPPINGS = """
[[mapping]]
name = "acme-rota"
what = "rota"
columns = { id = "visit id", service_user = "Client Ref", start = ["Date", "Start"], end = ["Date", "End"], \
workers = "Carer(s)", places = "Carers needed", time_critical = "Time critical", late_after = "Grace (min)", \
status = "Status" }

[[mapping]]
name = "acme-people"
what = "people"
columns = { id = "Ref", name = "Name", mobile = "Mobile", landline = "Home tel" }
fixed = { role = "care_worker" }

[[mapping]]
name = "acme-ecm"
what = "checkins"
columns = { visit = "Visit ID", worker = "Carer", arrived = ["Date", "In"], left = ["Date", "Out"], \
edited = "Edited by" }

[[mapping]]
name = "acme-devices"
what = "checkins"
columns = { device = "Device", at = "Time" }
fixed = { kind = "arrive" }
"""

TWENTY = {
    (4, "duplicate_id"),
    (7, "no_person"),
    (8, "no_time"),
    (9, "time_unreadable"),
    (10, "date_not_day_first"),
    (11, "number_damaged"),
    (12, "short_visit"),
    (13, "off_step"),
    (15, "overlap"),
    (16, "no_travel_time"),
    (17, "unknown_worker"),
    (18, "no_worker"),
    (19, "unknown_service_user"),
    (21, "time_does_not_exist"),
    (22, "cell_error"),
    (23, "cells_missing"),
    (24, "cells_extra"),
    (25, "quote_open"),
    (26, "character_unreadable"),
    (27, "value_unknown"),
}
NOT_WATCHED = {7, 8, 9, 10, 11}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    other = {"id": "other", "kind": "council", "name": "Another"}
    with Daemon(tmp_path_factory.mktemp("csv"), tables=MAPPINGS, desks=[other]) as running:
        running.api().people(
            *(service_user(f"su-{n}", f"+44163296010{n}") for n in range(1, 5)),
            *(care_worker(name, f"+44770090010{n}") for n, name in enumerate(("A12", "B7", "C3", "D4"))),
        )
        yield running


def put(daemon: Daemon, path: str, body: bytes) -> Answer:
    return daemon.api("intake").call("PUT", path, body, **CSV)


def test_twenty_planted_mistakes_give_twenty_named_problems_and_all_else_is_watched(daemon: Daemon) -> None:
    assert len(TWENTY) == len({code for _, code in TWENTY}) == 20
    answer = put(daemon, "./rota?mapping=acme-rota", FILE.read_bytes())
    assert answer.status == 200, answer
    problems = answer.body["problems"]
    assert {(problem["line"], problem["code"]) for problem in problems} == TWENTY
    assert len(problems) == 20
    assert {p["line"] for p in problems if p["severity"] == "error"} == NOT_WATCHED
    assert all(problem["row"] == problem["line"] for problem in problems)
    assert answer.body["new"] == answer.body["watched"] == 19

    api = daemon.api()
    seen = api.visits("2031-03-31") | api.visits("2031-03-30")
    assert len(seen) == 19
    assert seen["V001"]["start"] == "2031-03-31T16:00:00Z"
    assert seen["V016"]["start"] == "2031-03-30T01:30:00Z"
    assert seen["V023"]["end"] == "2031-04-01T05:00:00Z"
    assert seen["V002"]["planned"] == ["A12", "B7"]
    assert seen["V002"]["late_at"] == "2031-03-31T07:45:00Z"
    assert seen["V022"]["time_critical"] is True
    assert api.metric("callwatch_rota_rows_unwatched", desk="bright") == 5
    (alert,) = until_sync(lambda: api.alerts(kind="rota", state="open"), what="the office is told")
    assert alert["reason"] == "rows_not_watched"


def test_the_mended_file_ends_the_alarm(daemon: Daemon) -> None:
    mended = (
        FILE.read_bytes()
        .replace(b"V003,,", b"V003,su-3,")
        .replace(b",31/03/2031,,10:30", b",31/03/2031,10:00,10:30")
    )
    mended = (
        mended.replace(b"half past ten", b"10:30")
        .replace(b"03/31/2031", b"31/03/2031")
        .replace(b"4.47701E+11", b"su-4")
    )
    answer = put(daemon, "./rota?mapping=acme-rota", mended)
    assert answer.body["watched"] == 24
    assert not [problem for problem in answer.body["problems"] if problem["severity"] == "error"]
    until_sync(lambda: not daemon.api().alerts(kind="rota", state="open"), what="the alarm is over")


def load(daemon: Daemon, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "monitor",
            "rota",
            "load",
            str(file),
            "--desk",
            "bright",
            "--url",
            daemon.url,
            *words,
        ],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CALLWATCH_TOKEN": secret_of("office")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_names_the_lines_and_says_that_rows_were_refused(daemon: Daemon) -> None:
    done = load(daemon, FILE, "--mapping", "acme-rota")
    assert done.returncode == 1, done
    assert "error: line 10, V006: a date with the month first" in done.stdout
    assert "half past" not in done.stdout
    told = json.loads(load(daemon, FILE, "--mapping", "acme-rota", "--json").stdout)
    assert {(problem["line"], problem["code"]) for problem in told["problems"]} == TWENTY


def test_people_of_a_file_keep_what_it_does_not_say(daemon: Daemon, tmp_path: Path) -> None:
    daemon.api().people(care_worker("cw-9", devices=["callwatch:phone-9"]))
    file = tmp_path / "people.csv"
    file.write_bytes(
        "Ref;Name;Mobile;Home tel\r\ncw-9;Zoë Hart;7700900123;\r\ncw-8;Ann;4.47701E+11;\r\n".encode("cp1252")
    )
    # the daemon says for what the mapping is: nobody has to
    done = load(daemon, file, "--mapping", "acme-people", "--json")
    told = json.loads(done.stdout)
    assert (told["new"], told["changed"]) == (1, 1)
    assert [(p["line"], p["id"], p["code"]) for p in told["problems"]] == [(3, "cw-8", "number_damaged")]
    again = daemon.api().people(
        {
            "id": "cw-9",
            "role": "care_worker",
            "name": "Zoë Hart",
            "phones": [{"number": "07700900123", "kind": "mobile"}],
            "devices": ["callwatch:phone-9"],
        }
    )
    assert again["unchanged"] == 1, "the phone was given back its nought, and the device was kept"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("./rota?mapping=nobodys", CSV, "unknown_mapping"),
        ("./rota?mapping=acme-people", CSV, "other_mapping"),
        ("./rota", CSV, "missing"),
        ("./rota?mapping=acme-rota", {"Content-Type": "application/json"}, "bad_body"),
        ("./rota?mapping=acme-rota", CSV, "no_header"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    daemon: Daemon, path: str, headers: dict[str, str], code: str
) -> None:
    answer = daemon.api("intake").call("PUT", path, b"a,b\r\n1,2\r\n", **headers)
    assert (answer.status, answer.body["error"]["code"]) == (400, code)


ECM = (
    "Visit ID,Carer,Date,In,Out,Edited by\r\n"
    "V900,A12,{day},{arrived},,\r\n"
    "V901,B7,{day},{arrived},{left},J. Office\r\n"
    "V902,,{day},,,\r\n"
    "V903,A12,{day},half past,,\r\n"
    ",,{day},{arrived},,\r\n"
)


def test_checkins_of_a_file_are_decided_and_the_whole_file_sent_again_is_only_repeats(daemon: Daemon) -> None:
    api, start = daemon.api(), in_s(-600)
    api.rota(
        visit("V900", start, workers=["A12"], service_user="su-1"),
        visit("V901", start, workers=["B7"], service_user="su-2"),
    )
    local = in_s(-60).astimezone(ZoneInfo("Europe/London"))
    told = {"day": f"{local:%d/%m/%Y}", "arrived": f"{local:%H:%M:%S}", "left": ""}
    feed = daemon.api("intake")
    body = ECM.format(**told).encode()
    answer = feed.call("POST", "./checkins?mapping=acme-ecm", body, **CSV)
    assert answer.status == 200, answer
    assert [(one["id"], one["outcome"], one["stored"]) for one in answer.body["results"]] == [
        ("V900:arrive", "arrived", True),
        ("V901:arrive", "arrived", True),
    ]
    assert [(one["line"], one["code"], one["severity"]) for one in answer.body["problems"]] == [
        (5, "time_unreadable", "error"),
        (6, "no_subject", "error"),
    ]
    seen = api.visits(day_of(start))
    assert [seen[name]["places"][0]["evidence"] for name in ("V900", "V901")] == ["electronic", "manual"]
    # the vendor exports the whole file anew, and one row has gained its departure
    left = ECM.format(
        **told | {"left": f"{in_s(-1).astimezone(ZoneInfo('Europe/London')):%H:%M:%S}"}
    ).encode()
    again = feed.call("POST", "./checkins?mapping=acme-ecm", left, **CSV).body["results"]
    assert [one["outcome"] for one in again] == ["duplicate", "duplicate", "left_short"]
    # entered by the office's own hand it is never electronic; a device speaks by no file
    api.rota(visit("V904", start, workers=["D4"], service_user="su-4"))
    by_hand = (
        b"Visit ID,Carer,Date,In,Out,Edited by\r\nV904,D4,"
        + f"{told['day']},{told['arrived']},,\r\n".encode()
    )
    assert api.call("POST", "./checkins?mapping=acme-ecm", by_hand, **CSV).status == 200
    assert api.visits(day_of(start))["V904"]["places"][0]["evidence"] == "manual"


def test_a_file_of_checkins_names_no_device_of_another_desk(daemon: Daemon) -> None:
    daemon.api(desk="other").people(care_worker("x-1", devices=["callwatch:theirs"]))
    body = f"Device,Time\r\ntheirs,{in_s(-5).astimezone(ZoneInfo('Europe/London')):%d/%m/%Y %H:%M:%S}\r\n".encode()
    answer = daemon.api("intake").call("POST", "./checkins?mapping=acme-devices", body, **CSV)
    assert answer.body["results"] == []
    assert [(one["line"], one["code"], one["severity"]) for one in answer.body["problems"]] == [
        (2, "identity", "error")
    ]
