"""The names and labels are contract: docs/interface.md, "Metrics"."""

from __future__ import annotations

from itertools import product
from math import prod
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config import tokens
from connectors.ports import REASONS
from monitor.core import facts, inputs, views
from monitor.metrics import CONTENT_TYPE, Metrics
from monitor.watch import Watch

DESKS = ("ealing", "bromley-south")
FEEDS = ("mqtt", "http")

CONTRACT: dict[str, tuple[str, ...]] = {
    "callwatch_checkins_total": ("desk", "source", "outcome"),
    "callwatch_ingest_durable_seconds_count": (),
    "callwatch_deadline_lateness_seconds_count": (),
    "callwatch_provider_lateness_seconds_count": (),
    "callwatch_visits": ("desk", "stage", "signal"),
    "callwatch_alerts_open": ("desk", "kind"),
    "callwatch_alerts_total": ("desk", "kind", "ended_reason"),
    "callwatch_messages_total": ("desk", "channel", "purpose", "result"),
    "callwatch_outbox_depth": ("priority",),
    "callwatch_feed_silence_seconds": ("feed",),
    "callwatch_journal_seq": ("desk",),
    "callwatch_journal_append_seconds_count": (),
    "callwatch_loop_lag_seconds": (),
    "callwatch_degraded": (),
    "callwatch_quarantine_total": ("source", "reason"),
    "callwatch_bid_windows_open": ("desk",),
    "callwatch_lease_held": ("desk",),
    "callwatch_rota_rows_unwatched": ("desk",),
    "callwatch_referrals_open": ("desk",),
    "callwatch_weather_declared": ("desk",),
    "callwatch_dark": ("desk", "cause"),
    "callwatch_deadline_overdue_seconds": ("desk",),
    "callwatch_alert_untaken_seconds": ("desk",),
    "callwatch_outbox_oldest_seconds": ("priority",),
    "callwatch_provider_answers_total": ("channel", "answer"),
    "callwatch_provider_failing": ("channel",),
    "callwatch_heartbeats_total": ("answer",),
    "callwatch_feed_up": ("feed",),
    "callwatch_decisions_failed_total": (),
    "callwatch_token_expires_timestamp_seconds": ("role",),
}

VALUES: dict[str, tuple[str, ...]] = {
    "desk": DESKS,
    "feed": FEEDS,
    "source": inputs.SOURCES,
    "outcome": inputs.OUTCOMES,
    "stage": views.STAGES,
    "signal": views.SIGNALS,
    "kind": views.ALERT_KINDS,
    "ended_reason": views.ENDED_REASONS,
    "channel": views.CHANNELS,
    "purpose": views.PURPOSES,
    "result": views.RESULTS,
    "priority": views.PRIORITIES,
    "reason": REASONS,
    "cause": ("device", "feed", "broker", "clock"),
    "answer": ("ok", *REASONS),
    "role": tokens.ROLES,
    "step": facts.LEFT_OUT,
    "what": facts.GATHERED,
    "how": ("alone", "together", "over"),
}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(metrics: Metrics) -> Series:
    text = metrics.render().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return scrape(metrics)[name, frozenset(labels.items())]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(DESKS, FEEDS)


@pytest.mark.parametrize("name", CONTRACT)
def test_every_series_of_the_contract_is_there_before_anything_happened(metrics: Metrics, name: str) -> None:
    labels = CONTRACT[name]
    found = {key[1] for key in scrape(metrics) if key[0] == name}
    wanted = {
        frozenset(zip(labels, values, strict=True))
        for values in product(*(VALUES[label] for label in labels))
    }
    assert found == wanted
    assert len(found) == prod(len(VALUES[label]) for label in labels)


def test_every_value_starts_at_nought_and_no_second_series_per_counter_is_written(metrics: Metrics) -> None:
    series = scrape(metrics)
    assert set(series.values()) == {0.0}
    assert not [name for name, _ in series if name.endswith("_created")]


def test_no_label_holds_a_word_that_is_in_no_list(metrics: Metrics) -> None:
    for _, labels in scrape(metrics):
        for label, text in labels:
            assert label == "le" or text in VALUES[label], (label, text)


PERSONAL = ("Mrs Jones", "+447700900123", "51.4039,0.0198", "su-017", "")


@pytest.mark.parametrize("text", PERSONAL)
def test_nothing_personal_becomes_a_label_whatever_the_caller_hands_in(metrics: Metrics, text: str) -> None:
    before = set(scrape(metrics))
    metrics.checkin(text, "mqtt", "arrived")
    metrics.checkin("ealing", text, "arrived")
    metrics.checkin("ealing", "mqtt", text)
    metrics.visits(text, {})
    metrics.visits("ealing", {(text, "known"): 1})
    metrics.alerts_open("ealing", {text: 3})
    metrics.alert_ended("ealing", text, "arrived")
    metrics.message("ealing", "sms", text, "answered")
    metrics.outbox({text: 1})
    metrics.feed_silence(text, 3.0)
    metrics.quarantined(text, "bad_body")
    metrics.quarantined("http", text)
    metrics.lease(text, True)
    metrics.provider_answered("sms", text, about_message=True)
    metrics.dark("ealing", {text: 1})
    metrics.token_expires({text: 1.0})
    series = scrape(metrics)
    assert set(series) == before
    assert text == "" or text not in metrics.render().decode()
    refused = len(views.STAGES) * len(views.SIGNALS) + 10
    assert series["callwatch_labels_refused_total", frozenset()] == refused
    assert sum(series.values()) == refused


@pytest.mark.parametrize("outcome", ["unknown_device", "retained"])
@pytest.mark.parametrize(("desks", "counted"), [(("ealing",), "ealing"), (("ealing", "kew"), "")])
def test_what_no_desks_device_has_sent_counts_for_the_one_desk_or_for_none(
    metrics: Metrics, desks: tuple[str, ...], counted: str, outcome: Literal["unknown_device", "retained"]
) -> None:
    unused: Any = None
    watch = Watch(unused, unused, metrics, unused, unused, unused, unused)
    watch.shells.update(dict.fromkeys(desks, unused))
    watch.counted("", "owntracks", outcome)
    labels = {"desk": counted, "source": "owntracks", "outcome": outcome}
    assert value(metrics, "callwatch_checkins_total", **labels) == 1
    assert value(metrics, "callwatch_labels_refused_total") == 0


def test_what_is_counted_is_shown_under_its_own_labels_only(metrics: Metrics) -> None:
    metrics.checkin("ealing", "owntracks", "arrived")
    metrics.alert_ended("ealing", "late_visit", "late_evidence")
    metrics.message("bromley-south", "call", "reassure", "answered")
    metrics.quarantined("http", "too_deep")
    assert (
        value(metrics, "callwatch_checkins_total", desk="ealing", source="owntracks", outcome="arrived") == 1
    )
    assert (
        value(
            metrics,
            "callwatch_alerts_total",
            desk="ealing",
            kind="late_visit",
            ended_reason="late_evidence",
        )
        == 1
    )
    assert (
        value(
            metrics,
            "callwatch_messages_total",
            desk="bromley-south",
            channel="call",
            purpose="reassure",
            result="answered",
        )
        == 1
    )
    assert value(metrics, "callwatch_quarantine_total", source="http", reason="too_deep") == 1
    assert sum(scrape(metrics).values()) == 4


def test_a_count_by_stage_replaces_the_one_before(metrics: Metrics) -> None:
    metrics.visits("ealing", {("planned", "known"): 7, ("late", "dark:device"): 1})
    metrics.visits("ealing", {("planned", "known"): 5})
    assert value(metrics, "callwatch_visits", desk="ealing", stage="planned", signal="known") == 5
    assert value(metrics, "callwatch_visits", desk="ealing", stage="late", signal="dark:device") == 0


def test_states_of_the_process_are_plain_numbers(metrics: Metrics) -> None:
    metrics.degraded(True)
    metrics.lease("ealing", True)
    metrics.journal_seq("ealing", 4711)
    metrics.feed_silence("mqtt", 12.5)
    metrics.loop_lag(0.25)
    metrics.rows_unwatched("ealing", 2)
    metrics.outbox({"summon": 3})
    metrics.watchdog_turn()
    assert value(metrics, "callwatch_degraded") == 1
    assert value(metrics, "callwatch_lease_held", desk="ealing") == 1
    assert value(metrics, "callwatch_journal_seq", desk="ealing") == 4711
    assert value(metrics, "callwatch_feed_silence_seconds", feed="mqtt") == 12.5
    assert value(metrics, "callwatch_loop_lag_seconds") == 0.25
    assert value(metrics, "callwatch_rota_rows_unwatched", desk="ealing") == 2
    assert value(metrics, "callwatch_outbox_depth", priority="summon") == 3
    assert value(metrics, "callwatch_watchdog_turns_total") == 1


def test_what_an_operator_must_know_has_numbers_of_its_own(metrics: Metrics) -> None:
    metrics.dark("ealing", {"broker": 1, "device": 3})
    metrics.dark("ealing", {"device": 2})
    metrics.deadline_overdue("ealing", 4.5)
    metrics.alert_untaken("ealing", 900)
    metrics.outbox_oldest({"summon": 75.0})
    metrics.provider_answered("sms", "timeout")
    metrics.token_expires({"intake": 1_800_000_000})
    assert value(metrics, "callwatch_dark", desk="ealing", cause="broker") == 0
    assert value(metrics, "callwatch_dark", desk="ealing", cause="device") == 2
    assert value(metrics, "callwatch_deadline_overdue_seconds", desk="ealing") == 4.5
    assert value(metrics, "callwatch_alert_untaken_seconds", desk="ealing") == 900
    assert value(metrics, "callwatch_outbox_oldest_seconds", priority="summon") == 75
    assert value(metrics, "callwatch_provider_answers_total", channel="sms", answer="timeout") == 1
    assert value(metrics, "callwatch_token_expires_timestamp_seconds", role="intake") == 1_800_000_000
    assert value(metrics, "callwatch_token_expires_timestamp_seconds", role="office") == 0


def test_a_decision_that_failed_is_counted_and_not_refused(metrics: Metrics) -> None:
    unused: Any = None
    watch = Watch(unused, unused, metrics, unused, unused, unused, unused)
    engine: Any = SimpleNamespace(desk="ealing")
    watch.quarantined(engine, "CheckInSeen", "AssertionError")
    assert value(metrics, "callwatch_decisions_failed_total") == 1
    assert value(metrics, "callwatch_labels_refused_total") == 0


def test_a_provider_fails_until_it_takes_a_message_and_one_bad_number_is_no_failure(metrics: Metrics) -> None:
    def failing() -> float:
        return value(metrics, "callwatch_provider_failing", channel="sms")

    metrics.provider_answered("sms", "bad_number", about_message=True)
    assert failing() == 0
    metrics.provider_answered("sms", "provider_down")
    metrics.provider_answered("sms", "bad_number", about_message=True)
    metrics.provider_answered("call", "ok")
    assert failing() == 1
    metrics.provider_answered("sms", "ok")
    assert failing() == 0


def test_a_restart_can_be_seen(metrics: Metrics) -> None:
    metrics.watch_process()
    assert value(metrics, "process_start_time_seconds") > 1_600_000_000


@pytest.mark.parametrize(
    ("name", "observe", "edge"),
    [
        ("callwatch_ingest_durable_seconds", "ingested", "0.5"),
        ("callwatch_journal_append_seconds", "appended", "0.0005"),
        ("callwatch_journal_append_seconds", "appended", "10.0"),
        ("callwatch_deadline_lateness_seconds", "deadline_late", "1.0"),
        ("callwatch_provider_lateness_seconds", "provider_late", "3600.0"),
    ],
)
def test_a_bucket_stands_at_the_promise(metrics: Metrics, name: str, observe: str, edge: str) -> None:
    getattr(metrics, observe)(float(edge))
    getattr(metrics, observe)(float(edge) * 1.001)
    assert value(metrics, f"{name}_bucket", le=edge) == 1
    assert value(metrics, f"{name}_count") == 2


def test_a_desk_or_feed_of_a_reload_appears_whole_and_disturbs_no_other(metrics: Metrics) -> None:
    metrics.journal_seq("ealing", 9)
    before = scrape(metrics)
    metrics.add_desk("plymouth")
    metrics.add_desk("ealing")
    metrics.add_feed("traccar")
    after = scrape(metrics)
    assert {key: after[key] for key in before} == before
    new = {key for key in after if key not in before}
    assert {labels for name, labels in new if name == "callwatch_lease_held"} == {
        frozenset({("desk", "plymouth")})
    }
    assert ("callwatch_feed_silence_seconds", frozenset({("feed", "traccar")})) in new


def test_two_processes_in_one_interpreter_do_not_share_a_registry() -> None:
    one, other = Metrics(["ealing"], ["mqtt"]), Metrics(["ealing"], ["mqtt"])
    one.degraded(True)
    assert value(other, "callwatch_degraded") == 0


def test_the_content_type_is_that_of_the_text_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
