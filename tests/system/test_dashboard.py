"""A real Prometheus scrapes a real daemon: each query of the dashboard has an answer, and real faults wake somebody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.system.broker import Mosquitto, phone, publish
from tests.system.daemon import (
    OFFICE,
    Api,
    Daemon,
    Telephones,
    by_day,
    care_worker,
    in_s,
    now,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.system.prometheus import Prometheus, dashboard
from tests.system.test_degraded import Disk, full
from tests.waiting import until_sync

GRAFANA = Path(__file__).parents[2] / "config" / "grafana"
MAY_BE_EMPTY = {
    "max by (priority) (callwatch_outbox_oldest_seconds": "a good outbox is empty: nothing waits",
}
"""Queries (by their beginning) that legitimately answer nothing, and why."""
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$desk": ".*"}


class Watched(NamedTuple):
    """A daemon with a day behind it, and who watches it."""

    daemon: Daemon
    phones: Telephones
    prometheus: Prometheus
    disk: Disk

    @property
    def office(self) -> Api:
        """The office's client."""
        return self.daemon.api("office")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with full(folder) as disk, Mosquitto(folder) as broker, Telephones() as phones:
        daemon = Daemon(
            folder, broker=broker, phones=phones, data=disk.data, overrides={"late_after": "1s"} | by_day()
        )
        with daemon, Prometheus(folder / "prometheus", daemon) as prometheus:
            one = Watched(daemon, phones, prometheus, disk)
            _a_morning(one, broker)
            prometheus.scraped_again()
            yield one


def _a_morning(one: Watched, broker: Mosquitto) -> None:
    """A visit in time over MQTT, a late one that ends, one that stays late, and a body that nobody can read."""
    device = "callwatch:phone-17"
    one.daemon.api("intake").people(service_user(), care_worker(devices=[device]), staff())
    visits = [visit(name, in_s(start)) for name, start in (("in-time", 60), ("late", -5), ("missed", -5))]
    one.daemon.api("intake").rota(*visits)
    late = one.office.alert("late")
    one.office.alert("missed")
    one.phones.text(OFFICE)
    arrived: dict[str, Any] = {"kind": "arrive", "at": rfc(now())}
    topic = "callwatch/bright/phone-17/checkin"
    with phone(broker) as handset:
        body = json.dumps({"id": "c-1", "visit": "in-time"} | arrived).encode()
        publish(handset, [(topic, body), (topic, b"{ this is no check-in")])
    one.daemon.api("intake").checkin(id="c-2", device=device, visit="late", **arrived)
    until_sync(lambda: one.office.alerts(id=late["id"], state="ended"), what="the late alert has ended")
    until_sync(lambda: one.office.metric("callwatch_quarantine_total") > 0, what="a body was put aside")


def queries() -> list[tuple[str, str]]:
    return [
        (panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel["targets"]
    ]


def with_values(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def test_every_query_of_the_dashboard_has_an_answer(watched: Watched) -> None:
    asked = queries()
    assert len(asked) > 30
    empty = {}
    for title, expression in asked:
        found = watched.prometheus.series(with_values(expression))
        if not found and not expression.startswith(tuple(MAY_BE_EMPTY)):
            empty[title] = expression
    assert empty == {}


def test_a_query_that_asks_for_nothing_would_be_found(watched: Watched) -> None:
    assert watched.prometheus.series("callwatch_no_such_series") == []
    with pytest.raises(AssertionError):
        watched.prometheus.series("sum by (")


def test_what_may_be_empty_is_still_asked() -> None:
    for start in MAY_BE_EMPTY:
        assert any(expression.startswith(start) for _, expression in queries()), start


def test_the_variables_offer_the_desk_and_the_process(watched: Watched) -> None:
    offered = {}
    for variable in dashboard()["templating"]["list"]:
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert found is not None
        offered[variable["name"]] = watched.prometheus.label_values(found[2], found[1])
    assert offered == {"instance": [f"127.0.0.1:{watched.daemon.port}"], "desk": ["bright"]}


def test_the_numbers_are_those_of_the_morning(watched: Watched) -> None:
    ask = watched.prometheus.values
    assert ask('sum(callwatch_visits{stage="late"})') == [1.0]
    assert ask('sum(callwatch_alerts_open{kind="late_visit"})') == [1.0]
    assert ask('sum(callwatch_checkins_total{source="mqtt",outcome=~"arrived.*"})') == [1.0]
    assert ask("sum(callwatch_quarantine_total)") == [1.0]
    until_sync(
        lambda: ask("callwatch_alert_untaken_seconds > 1"), what="an alert that nobody takes grows old"
    )
    (left,) = ask('callwatch_token_expires_timestamp_seconds{role="office"} - time()')
    assert 86_400 * 898 < left < 86_400 * 901


def test_grafana_is_told_of_the_source_that_the_dashboard_names_and_of_its_file() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/callwatch.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/callwatch.yml").read_text())["providers"]
    board = dashboard()
    used = {panel["datasource"]["uid"] for panel in board["panels"]}
    used |= {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    used |= {variable["datasource"]["uid"] for variable in board["templating"]["list"]}
    assert used == {source["uid"]}
    assert provider["type"] == "file"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_panels_lie_beside_each_other_and_not_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not taken & cells, panel["title"]
        taken |= cells


# --- real faults; the last one ends the daemon, so the order of these stands ---


def test_a_telephone_account_that_refuses_wakes_somebody(watched: Watched) -> None:
    assert "CallwatchProviderFailing" not in watched.prometheus.firing()
    watched.phones.fault("refuse")
    watched.daemon.api("intake").rota(visit("another", in_s(-5)))
    watched.office.alert("another")
    summary = watched.prometheus.fires("CallwatchProviderFailing")
    assert re.search(r"takes no (call|sms)\.", summary), summary
    watched.phones.mend()


def test_a_disk_that_is_full_wakes_somebody_and_room_ends_it(watched: Watched) -> None:
    assert "CallwatchDegraded" not in watched.prometheus.firing()
    watched.disk.breaks()
    watched.daemon.api("intake").call(
        "POST", "./checkins", {"id": "c-9", "kind": "leave", "device": "callwatch:phone-17", "at": rfc(now())}
    )
    assert "on disk" in watched.prometheus.fires("CallwatchDegraded")
    watched.disk.mends()
    watched.prometheus.clears("CallwatchDegraded")


def test_a_daemon_that_is_gone_wakes_somebody(watched: Watched) -> None:
    assert "CallwatchGone" not in watched.prometheus.firing()
    watched.daemon.kill()
    assert "Nobody watches" in watched.prometheus.fires("CallwatchGone")
