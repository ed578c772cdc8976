"""Files that are fetched: a watched folder, an SFTP server, an HTTPS server, all real; and what their silence means."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from signal import SIGHUP
from typing import Any
from zoneinfo import ZoneInfo

import asyncssh
import pytest

from connectors.fetch import MOST_FILES
from tests.system.daemon import (
    Daemon,
    WarmStart,
    care_worker,
    in_s,
    now,
    of_kind,
    service_user,
    table,
)
from tests.system.prometheus import Prometheus
from tests.system.vendors import LOOPBACK, TOKEN, USER, Https, Sftp
from tests.waiting import until_sync

QUICK = {"every": "200ms", "fresh_within": "1h", "timeout": "5s"}

MAPPINGS = """
[[mapping]]
name = "rota"
what = "rota"
columns = { id = "Visit", service_user = "Client", start = "From", end = "To", workers = "Carer", status = "Status" }

[[mapping]]
name = "ecm"
what = "checkins"
columns = { visit = "Visit", worker = "Carer", arrived = "In", left = "Out", edited = "Edited by" }

[[mapping]]
name = "ecm-rows"
what = "checkins"
fresh = "rows"
columns = { visit = "Visit", worker = "Carer", arrived = "In", left = "Out" }

[[mapping]]
name = "ecm-beat"
what = "checkins"
fresh = "heartbeat"
columns = { visit = "Visit", worker = "Carer", arrived = "In", left = "Out", heartbeat = "Alive" }
"""


def local(at: datetime) -> str:
    return at.astimezone(ZoneInfo("Europe/London")).strftime("%d/%m/%Y %H:%M:%S")


def feed(name: str, kind: str, mapping: str, **more: Any) -> str:
    return table("[feed]", {"name": name, "desk": "bright", "kind": kind, "mapping": mapping} | QUICK | more)


def rota_of(*visits: tuple[str, datetime], status: str = "Confirmed") -> bytes:
    rows = [
        f"{name},su-1,{local(start)},{local(start + timedelta(minutes=30))},cw-1,{status}"
        for name, start in visits
    ]
    return "\r\n".join(["Visit,Client,From,To,Carer,Status", *rows, ""]).encode()


def ecm_of(*rows: tuple[str, datetime | None, datetime | None, str]) -> bytes:
    lines = [f"{v},cw-1,{local(i) if i else ''},{local(o) if o else ''},{e}" for v, i, o, e in rows]
    return "\r\n".join(["Visit,Carer,In,Out,Edited by", *lines, ""]).encode()


def moved_in(path: Path, body: bytes, at: datetime | None = None) -> None:
    """As a careful vendor does it: written under another name, renamed into place."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(body)
    if at is not None:
        os.utime(part, (at.timestamp(), at.timestamp()))
    part.replace(path)


def people(daemon: Daemon) -> None:
    daemon.api().people(service_user(), care_worker())


def state_of(daemon: Daemon, name: str) -> str:
    return str(daemon.api("operator").get("/healthz")["feeds"][name])


def signal(daemon: Daemon, visit: str) -> str:
    seen = daemon.api().visit(visit)
    return "" if seen is None else str(seen["signal"])


def places(daemon: Daemon, visit: str) -> Mapping[str, Any]:
    seen = daemon.api().visit(visit)
    assert seen is not None
    (place,) = seen["places"]
    return dict(place)


@pytest.fixture(name="incoming")
def _incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


@pytest.fixture(name="watching")
def _watching(tmp_path: Path, incoming: Path, warm: WarmStart) -> Iterator[Daemon]:
    feeds = feed("rota-in", "folder", "rota", path=str(incoming), pattern="rota*.csv")
    feeds += feed("ecm-in", "folder", "ecm", path=str(incoming), pattern="ecm*.csv")
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        people(daemon)
        yield daemon


# --- a folder ---


def test_a_rota_and_its_checkins_come_in_by_a_folder(watching: Daemon, incoming: Path) -> None:
    start = in_s(-600)
    moved_in(incoming / "rota.csv", rota_of(("v-1", start), ("v-2", in_s(7200))))
    until_sync(lambda: len(watching.api().visits()) == 2, what="both are watched")
    arrived, left = start + timedelta(seconds=30), in_s(-5)
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", arrived, None, "")))
    until_sync(lambda: places(watching, "v-1")["arrived"], what="the arrival")
    assert places(watching, "v-1")["evidence"] == "electronic"
    # the whole file is exported anew: the row has gained its departure
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", arrived, left, "")))
    until_sync(lambda: places(watching, "v-1")["left"], what="the departure")
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", arrived, left, ""), ("v-2", None, None, "")))
    moved_in(incoming / "ecm-2.csv", ecm_of(("v-1", arrived, left, "")))
    memory = watching.data / "feeds" / "ecm-in" / "memory.json"
    until_sync(lambda: "ecm-2.csv" in memory.read_text(), what="the second export was read")
    facts = watching.api("auditor").facts()
    assert len(of_kind(facts, "ArrivalRecorded")) == len(of_kind(facts, "DepartureRecorded")) == 1
    assert {json.loads(fact["body"])["source"] for fact in of_kind(facts, "CheckInRecorded")} == {"file"}


def test_a_row_that_the_vendors_office_edited_is_manual(watching: Daemon, incoming: Path) -> None:
    moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(-60))))
    until_sync(lambda: watching.api().visits(), what="the rota")
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", in_s(-20), None, "J. Office")))
    until_sync(lambda: places(watching, "v-1")["arrived"], what="the arrival")
    assert places(watching, "v-1")["evidence"] == "manual"


def test_a_file_that_is_still_being_written_is_not_read(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    whole = rota_of(*((f"v-{n}", in_s(3600 + 60 * n)) for n in range(40)))
    # a writer that is slow, and never slower than the two looks are apart: that is a second and a half here
    feeds = feed("rota-in", "folder", "rota", path=str(incoming), pattern="rota*.csv", every="1500ms")
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        people(daemon)
        (incoming / "rota-a.csv.part").write_bytes(whole)
        (incoming / ".rota-b.csv").write_bytes(whole)
        with (incoming / "rota.csv").open("wb", buffering=0) as file:
            for first in range(0, len(whole), 20):
                file.write(whole[first : first + 20])
                assert daemon.api().visits() == {}, "a part of it was read"
                time.sleep(0.03)
        until_sync(lambda: len(daemon.api().visits()) == 40, what="the whole of it")
        assert len(of_kind(daemon.api("auditor").facts(), "RotaAdopted")) == 1


def test_a_file_that_cannot_be_used_is_put_aside_with_its_report_and_the_others_go_on(
    watching: Daemon, incoming: Path
) -> None:
    moved_in(incoming / "rota-1.csv", b"PK\x03\x04 this is a spreadsheet")
    moved_in(incoming / "rota-2.csv", rota_of(("v-1", in_s(3600))))
    until_sync(lambda: watching.api().visits(), what="the other one was read")
    (alert,) = until_sync(lambda: watching.api().alerts(kind="rota", state="open"), what="the alarm")
    assert alert["reason"] == "file_refused"
    aside = sorted((watching.data / "feeds" / "rota-in" / "aside").iterdir())
    assert [file.name[12:] for file in aside] == ["-rota-1.csv", "-rota-1.csv.report.json"]
    assert json.loads(aside[1].read_text())["code"] == "not_text"
    assert aside[0].stat().st_mode & 0o077 == 0
    moved_in(incoming / "rota-1.csv", rota_of(("v-2", in_s(3600))))
    until_sync(lambda: not watching.api().alerts(kind="rota", state="open"), what="it is over")
    until_sync(lambda: len(watching.api().visits()) == 2, what="the mended one was read")


def test_a_checkin_that_came_before_its_rota_finds_its_visit_afterwards(
    watching: Daemon, incoming: Path
) -> None:
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", in_s(-30), None, "")))
    unknown = {"desk": "bright", "source": "file", "outcome": "unknown_person"}
    until_sync(lambda: watching.api().metric("callwatch_checkins_total", **unknown) == 1, what="it was read")
    moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(-60))))
    until_sync(lambda: watching.api().visits() and places(watching, "v-1")["arrived"], what="the arrival")


def test_two_files_that_came_before_their_rota_both_find_their_visits(
    watching: Daemon, incoming: Path
) -> None:
    watching.api().people(care_worker("cw-2"))
    moved_in(incoming / "ecm-1.csv", ecm_of(("v-1", in_s(-30), None, "")))
    moved_in(incoming / "ecm-2.csv", ecm_of(("v-2", in_s(-30), None, "")).replace(b"cw-1", b"cw-2"))
    unknown = {"desk": "bright", "source": "file", "outcome": "unknown_person"}
    until_sync(
        lambda: watching.api().metric("callwatch_checkins_total", **unknown) == 2, what="both were read"
    )
    both = rota_of(("v-1", in_s(-60))) + rota_of(("v-2", in_s(-60))).replace(b"cw-1", b"cw-2")
    moved_in(incoming / "rota.csv", both)
    for visit in ("v-1", "v-2"):
        until_sync(
            lambda visit=visit: watching.api().visit(visit) and places(watching, visit)["arrived"],  # type: ignore[misc]
            what="the arrival",
        )


def test_one_that_waits_is_found_in_the_other_file_when_the_one_that_brought_it_last_has_gone(
    watching: Daemon, incoming: Path
) -> None:
    row = ecm_of(("v-1", in_s(-30), None, ""))
    memory = watching.data / "feeds" / "ecm-in" / "memory.json"
    for name in ("ecm-1.csv", "ecm-2.csv"):
        moved_in(incoming / name, row)
        until_sync(lambda name=name: memory.exists() and name in memory.read_text(), what=name)  # type: ignore[misc]
    (incoming / "ecm-2.csv").unlink()
    until_sync(lambda: "ecm-2.csv" not in memory.read_text(), what="it has gone")
    moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(-60))))
    until_sync(lambda: watching.api().visits() and places(watching, "v-1")["arrived"], what="the arrival")


def test_a_feed_with_more_files_than_one_look_reads_starves_none_of_them_behind_those_that_wait(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    for n in range(MOST_FILES + 30):
        at = in_s(-3600 + n)
        moved_in(incoming / f"ecm-{n:04}.csv", ecm_of((f"v-unknown-{n}", at, None, "")), at)
    feeds = feed("ecm-in", "folder", "ecm", path=str(incoming), pattern="ecm*.csv")
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        # drained means that all of it was read, not the first part
        assert state_of(daemon, "ecm-in") == "drained"
        assert daemon.api().metric("callwatch_checkins_total", source="file") == MOST_FILES + 30
        people(daemon)
        daemon.api().rota(
            {
                "id": "v-1",
                "service_user": "su-1",
                "start": in_s(-60).isoformat(),
                "end": in_s(1800).isoformat(),
                "workers": ["cw-1"],
            }
        )
        moved_in(incoming / "ecm-new.csv", ecm_of(("v-1", in_s(-30), None, "")))
        until_sync(lambda: places(daemon, "v-1")["arrived"], what="the arrival of the newest file")


def test_a_row_that_says_cancelled_calls_its_visit_off_and_one_that_is_near_waits_for_a_person(
    watching: Daemon, incoming: Path
) -> None:
    far, near = in_s(30 * 3600), in_s(3600)
    others = [(f"w-{n}", in_s(31 * 3600)) for n in range(8)]
    moved_in(incoming / "rota.csv", rota_of(("v-far", far), ("v-near", near), *others))
    api = watching.api()

    def stage(name: str, day: datetime) -> str:
        seen = api.visit(name, day.astimezone(ZoneInfo("Europe/London")).date().isoformat())
        return "" if seen is None else str(seen["stage"])

    until_sync(lambda: stage("v-near", near) and stage("v-far", far), what="the rota")
    moved_in(incoming / "rota.csv", rota_of(("v-far", far), status="Cancelled"))
    until_sync(lambda: stage("v-far", far) == "cancelled", what="the far one is called off")
    moved_in(incoming / "rota.csv", rota_of(("v-near", near), status="Cancelled"))
    (alert,) = until_sync(lambda: api.alerts(kind="rota", state="open"), what="a person is asked")
    assert alert["reason"] == "cancels_unconfirmed"
    assert stage("v-near", near) in ("planned", "due")
    api.put("./rota", {"visits": [{"id": "v-near", "cancelled": True}], "confirm": True})
    until_sync(lambda: stage("v-near", near) == "cancelled", what="it is confirmed")
    until_sync(lambda: not api.alerts(kind="rota", state="open"), what="nothing waits any more")


def test_what_was_read_is_not_told_again_after_a_kill(watching: Daemon, incoming: Path) -> None:
    moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(-120))))
    until_sync(lambda: watching.api().visits(), what="the rota")
    moved_in(incoming / "ecm.csv", ecm_of(("v-1", in_s(-60), in_s(-1), "")))
    until_sync(lambda: places(watching, "v-1")["left"], what="the departure")
    for lose in (False, True):
        watching.kill()
        if lose:
            for kept in (watching.data / "feeds").glob("*/memory.json"):
                kept.unlink()
        watching.start()
        moved_in(incoming / "ecm.csv", ecm_of(("v-1", in_s(-60), in_s(-1), "")), at=now())
        # both are drained: what was there has been read, and what it meant is on disk
        assert state_of(watching, "ecm-in") == state_of(watching, "rota-in") == "drained"
    facts = watching.api("auditor").facts()
    assert len(of_kind(facts, "VisitPlanned")) == 1
    assert len(of_kind(facts, "ArrivalRecorded")) == len(of_kind(facts, "DepartureRecorded")) == 1
    assert watching.verify()["ok"]


# --- silence ---


def test_a_feed_that_falls_silent_makes_its_visits_dark_and_comes_back(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    feeds = feed("ecm-in", "folder", "ecm", path=str(incoming), fresh_within="2s")
    moved_in(incoming / "ecm.csv", ecm_of())
    another = {"id": "other", "kind": "provider", "name": "Another", "policy": "bromley"}
    with Daemon(tmp_path, tables=MAPPINGS + feeds, desks=[another], warm=warm) as daemon:
        people(daemon)
        daemon.api().rota(
            {
                "id": "v-1",
                "service_user": "su-1",
                "start": in_s(3600).isoformat(),
                "end": in_s(5400).isoformat(),
                "workers": ["cw-1"],
            }
        )
        other = daemon.api(desk="other")
        other.people(service_user())
        other.rota(
            {
                "id": "v-1",
                "service_user": "su-1",
                "start": in_s(3600).isoformat(),
                "end": in_s(5400).isoformat(),
            }
        )
        until_sync(lambda: signal(daemon, "v-1") == "dark:feed", what="dark")
        assert state_of(daemon, "ecm-in") == "down"
        assert daemon.api("operator").get("/healthz")["status"] == "trouble"
        assert daemon.api().metric("callwatch_feed_silence_seconds", feed="ecm-in") > 2
        seen = other.visit("v-1")
        assert seen is not None
        assert seen["signal"] == "known", "no feed of that desk is silent"
        for kept in range(3):
            moved_in(incoming / "ecm.csv", ecm_of(*[("v-9", None, None, "")] * kept))
            until_sync(lambda: signal(daemon, "v-1") == "known", what="it is back")
            until_sync(lambda: signal(daemon, "v-1") == "dark:feed", what="dark again")
        # over a restart it stays what it is, without a word more
        before = len(of_kind(daemon.api("auditor").facts(), "SignalLost"))
        daemon.kill()
        daemon.start()
        assert signal(daemon, "v-1") == "dark:feed"
        assert len(of_kind(daemon.api("auditor").facts(), "SignalLost")) == before
        moved_in(incoming / "ecm.csv", ecm_of())
        until_sync(lambda: signal(daemon, "v-1") == "known", what="it is back")


def test_a_feed_that_falls_silent_wakes_an_operator_and_a_file_ends_it(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    feeds = feed("ecm-in", "folder", "ecm", path=str(incoming), fresh_within="3s")
    moved_in(incoming / "ecm.csv", ecm_of())
    with (
        Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon,
        Prometheus(tmp_path / "prometheus", daemon) as prometheus,
    ):

        def quiet_while_files_come() -> bool:
            moved_in(incoming / "ecm.csv", ecm_of())
            return not {"CallwatchFeedDark", "CallwatchFeedDown"} & prometheus.firing().keys()

        until_sync(quiet_while_files_come, 20, 0.5, "nobody is woken")
        assert "(feed)" in prometheus.fires("CallwatchFeedDark")
        assert "ecm-in" in prometheus.fires("CallwatchFeedDown")
        until_sync(quiet_while_files_come, 20, 0.5, "it is over")


def test_rows_or_a_heartbeat_prove_freshness_where_the_mapping_says_so(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    feeds = feed("by-rows", "folder", "ecm-rows", path=str(incoming), pattern="a.csv", fresh_within="10m")
    feeds += feed("by-beat", "folder", "ecm-beat", path=str(incoming), pattern="b.csv", fresh_within="10m")
    moved_in(incoming / "a.csv", ecm_of(("v-9", in_s(-1200), None, "")))
    moved_in(incoming / "b.csv", f"Visit,Carer,In,Out,Alive\n,,,,{local(in_s(-1200))}\n".encode())
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        assert (state_of(daemon, "by-rows"), state_of(daemon, "by-beat")) == ("down", "down")
        assert daemon.api().metric("callwatch_feed_silence_seconds", feed="by-beat") > 1100
        moved_in(incoming / "a.csv", ecm_of(("v-9", in_s(-60), None, "")))
        moved_in(incoming / "b.csv", f"Visit,Carer,In,Out,Alive\n,,,,{local(in_s(-60))}\n".encode())
        until_sync(
            lambda: state_of(daemon, "by-rows") == state_of(daemon, "by-beat") == "drained", what="fresh"
        )


def test_a_rota_that_does_not_come_any_more_is_an_alarm_and_nothing_is_dark(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    feeds = feed("rota-in", "folder", "rota", path=str(incoming), fresh_within="2s")
    moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(3600))))
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        people(daemon)
        (alert,) = until_sync(lambda: daemon.api().alerts(kind="rota", state="open"), what="the alarm")
        assert alert["reason"] == "rota_feed_old"
        assert signal(daemon, "v-1") == "known"
        os.utime(incoming / "rota.csv")
        until_sync(lambda: not daemon.api().alerts(kind="rota", state="open"), what="it is over")


def test_a_folder_that_is_gone_is_unknown_from_the_start_and_the_watch_begins(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    feeds = feed("ecm-in", "folder", "ecm", path=str(incoming / "mounted"))
    with Daemon(tmp_path, tables=MAPPINGS + feeds, warm=warm) as daemon:
        assert state_of(daemon, "ecm-in") == "unknown"
        (incoming / "mounted").mkdir()
        until_sync(lambda: state_of(daemon, "ecm-in") == "drained", what="it is mounted")


# --- SFTP ---


def sftp_feed(server: Sftp, **more: Any) -> str:
    place = {
        "host": LOOPBACK,
        "port": server.port,
        "user": USER,
        "path": "/",
        "known_hosts": str(server.known_hosts),
    }
    return feed("ecm-in", "sftp", "ecm", key_file=str(server.key_file), **place, **more)


def test_checkins_are_fetched_from_an_sftp_server_that_goes_away_and_is_back(
    tmp_path: Path, warm: WarmStart
) -> None:
    with Sftp(tmp_path) as server:
        moved_in(server.root / "ecm.csv", ecm_of(("v-1", in_s(-30), None, "")))
        (server.root / "ecm-later.csv.filepart").write_bytes(b"half of")
        with Daemon(tmp_path, tables=MAPPINGS + sftp_feed(server, fresh_within="4s"), warm=warm) as daemon:
            people(daemon)
            daemon.api().rota(
                {
                    "id": "v-1",
                    "service_user": "su-1",
                    "start": in_s(-60).isoformat(),
                    "end": in_s(1800).isoformat(),
                    "workers": ["cw-1"],
                }
            )
            until_sync(lambda: places(daemon, "v-1")["arrived"], what="the arrival")
            server.do(server.end)
            until_sync(lambda: signal(daemon, "v-1") == "dark:feed", what="dark")
            server.do(server.begin)
            moved_in(server.root / "ecm.csv", ecm_of(("v-1", in_s(-30), in_s(-1), "")))
            until_sync(lambda: places(daemon, "v-1")["left"], what="the departure")
            until_sync(lambda: signal(daemon, "v-1") == "known", what="it is back")


def test_a_server_with_another_host_key_is_not_believed(tmp_path: Path, warm: WarmStart) -> None:
    with Sftp(tmp_path) as server:
        server.write_known_hosts(asyncssh.generate_private_key("ssh-ed25519"))
        moved_in(server.root / "ecm.csv", ecm_of(("v-1", in_s(-30), None, "")))
        with Daemon(tmp_path, tables=MAPPINGS + sftp_feed(server), warm=warm) as daemon:
            assert state_of(daemon, "ecm-in") == "unknown"
            until_sync(lambda: '"reason":"identity"' in daemon.log.replace(" ", ""), what="the log says why")
            assert daemon.api().metric("callwatch_checkins_total", source="file") == 0


# --- HTTPS ---


def https_feed(server: Https, folder: Path, **more: Any) -> str:
    (folder / "token").write_text(TOKEN + "\n")
    place = {"url": server.url, "token_file": str(folder / "token"), "ca_file": str(server.ca_file)}
    return feed("ecm-in", "https", "ecm", **(place | more))


def test_checkins_are_pulled_over_https_and_only_when_they_changed(tmp_path: Path, warm: WarmStart) -> None:
    with Https(tmp_path) as server:
        server.serve(ecm_of(("v-1", in_s(-30), None, "")), modified=now())
        with Daemon(
            tmp_path, tables=MAPPINGS + https_feed(server, tmp_path, fresh_within="4s"), warm=warm
        ) as daemon:
            people(daemon)
            daemon.api().rota(
                {
                    "id": "v-1",
                    "service_user": "su-1",
                    "start": in_s(-60).isoformat(),
                    "end": in_s(1800).isoformat(),
                    "workers": ["cw-1"],
                }
            )
            until_sync(lambda: places(daemon, "v-1")["arrived"], what="the arrival")
            until_sync(lambda: server.asked[-3:] == [304, 304, 304], what="nothing new")
            until_sync(
                lambda: signal(daemon, "v-1") == "dark:feed", what="it answers, and its content is old"
            )
            server.serve(ecm_of(("v-1", in_s(-30), in_s(-1), "")), modified=now())
            until_sync(lambda: places(daemon, "v-1")["left"], what="the departure")
            until_sync(lambda: signal(daemon, "v-1") == "known", what="it is back")
            assert TOKEN not in daemon.log


def test_a_certificate_of_nobody_we_know_is_not_believed(tmp_path: Path, warm: WarmStart) -> None:
    with Https(tmp_path) as server:
        more = {"ca_file": "/etc/ssl/certs/ca-certificates.crt"}
        with Daemon(tmp_path, tables=MAPPINGS + https_feed(server, tmp_path, **more), warm=warm) as daemon:
            assert state_of(daemon, "ecm-in") == "unknown"
            until_sync(lambda: '"reason":"identity"' in daemon.log.replace(" ", ""), what="the log says why")
            assert server.asked == []


def test_an_export_that_comes_empty_or_half_is_an_alarm_and_what_was_planned_is_still_watched(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    whole = [(f"v-{n}", in_s(30 * 3600)) for n in range(10)]
    mappings = MAPPINGS.replace('what = "rota"', 'what = "rota"\ncomplete = true', 1)
    feeds = feed("rota-in", "folder", "rota", path=str(incoming), pattern="rota*.csv")
    with Daemon(tmp_path, tables=mappings + feeds, warm=warm) as daemon:
        api = daemon.api()

        def reasons(state: str) -> set[str]:
            return {alert["reason"] for alert in api.alerts(kind="rota", state=state)}

        people(daemon)
        moved_in(incoming / "rota.csv", rota_of(*whole))
        until_sync(lambda: of_kind(daemon.api("auditor").facts(), "RotaAdopted"), what="the rota")
        assert reasons("open") == set()
        moved_in(incoming / "rota.csv", rota_of(*whole[:4]))
        until_sync(lambda: reasons("open") == {"rota_half", "cancels_unconfirmed"}, what="the half")
        moved_in(incoming / "rota.csv", rota_of())
        until_sync(lambda: "rota_empty" in reasons("open"), what="the empty one")
        assert not of_kind(daemon.api("auditor").facts(), "VisitCancelled")
        moved_in(incoming / "rota.csv", rota_of(*whole))
        until_sync(lambda: not reasons("open"), what="it is whole again")
        assert {"rota_half", "rota_empty"} <= reasons("ended")


# --- a reload ---


def reloaded(daemon: Daemon, before: str, after: str) -> None:
    """The configuration with other feeds, and a SIGHUP."""
    text = daemon.config.read_text()
    assert before in text
    daemon.config.write_text(text.replace(before, after))
    daemon.send(SIGHUP)


def feeds_of(daemon: Daemon) -> Mapping[str, str]:
    return dict(daemon.api("operator").get("/healthz")["feeds"])


def test_a_reload_adds_changes_and_removes_feeds_and_leaves_the_others_alone(
    tmp_path: Path, incoming: Path, warm: WarmStart
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    rota = feed("rota-in", "folder", "rota", path=str(incoming), pattern="rota*.csv")
    ecm = feed("ecm-in", "folder", "ecm", path=str(incoming), pattern="ecm*.csv")
    with Daemon(tmp_path, tables=MAPPINGS + rota, warm=warm) as daemon:
        people(daemon)
        moved_in(incoming / "rota.csv", rota_of(("v-1", in_s(-120))))
        until_sync(lambda: daemon.api().visits(), what="the rota")
        moved_in(incoming / "ecm.csv", ecm_of(("v-1", in_s(-60), None, "")))

        reloaded(daemon, rota, rota + ecm)
        until_sync(lambda: places(daemon, "v-1")["arrived"], what="the added feed brings the arrival")
        until_sync(lambda: feeds_of(daemon).get("ecm-in") == "drained", what="it says so")

        moved = feed("ecm-in", "folder", "ecm", path=str(other), pattern="ecm*.csv")
        moved_in(other / "ecm.csv", ecm_of(("v-1", in_s(-60), in_s(-1), "")))
        reloaded(daemon, ecm, moved)
        until_sync(lambda: places(daemon, "v-1")["left"], what="the changed feed brings the departure")
        assert feeds_of(daemon)["rota-in"] == "drained"

        moved_in(incoming / "rota.csv", b"no header of ours")
        until_sync(lambda: daemon.api().alerts(kind="rota", state="open"), what="the bad file")
        reloaded(daemon, rota, "")
        until_sync(lambda: set(feeds_of(daemon)) == {"ecm-in"}, what="the removed feed is gone")
        until_sync(lambda: not daemon.api().alerts(kind="rota", state="open"), what="and its alarm")
        assert "rota-in" not in daemon.api("operator").call("GET", "/metrics").body
        moved_in(incoming / "rota.csv", rota_of(("v-2", in_s(600))))
        moved_in(other / "ecm-2.csv", ecm_of(("v-1", in_s(-30), None, "")))
        memory = daemon.data / "feeds" / "ecm-in" / "memory.json"
        until_sync(lambda: "ecm-2.csv" in memory.read_text(), what="the other one looks on")
        assert daemon.api().visit("v-2") is None


@pytest.mark.parametrize("restart", [False, True])
def test_what_a_feed_left_dark_is_known_again_when_it_is_removed(
    tmp_path: Path, incoming: Path, warm: WarmStart, restart: bool
) -> None:
    ecm = feed("ecm-in", "folder", "ecm", path=str(tmp_path / "nowhere"), pattern="ecm*.csv")
    with Daemon(tmp_path, tables=MAPPINGS + ecm, warm=warm) as daemon:
        people(daemon)
        daemon.api().rota(
            {
                "id": "v-1",
                "service_user": "su-1",
                "start": in_s(600).isoformat(),
                "end": in_s(2400).isoformat(),
                "workers": ["cw-1"],
            }
        )
        until_sync(lambda: signal(daemon, "v-1") == "dark:feed", what="dark")
        if restart:
            daemon.kill()
            daemon.config.write_text(daemon.config.read_text().replace(ecm, ""))
            daemon.start()
        else:
            reloaded(daemon, ecm, "")
        until_sync(lambda: signal(daemon, "v-1") == "known", what="known again")
