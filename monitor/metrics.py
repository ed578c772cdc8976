"""Everything Prometheus is told, by the names of the contract (docs/interface.md, "Metrics").

Every series is there from the first scrape on, with 0: an alarm on a series that appears only with the first
trouble is an alarm that stays silent. A label value comes from a closed list or from the configuration, so a
person's name or number cannot become one: anything else is refused and counted, not shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Literal, TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from config.tokens import ROLES
from connectors.ports import REASONS
from monitor.core.facts import GATHERED, LEFT_OUT
from monitor.core.inputs import OUTCOMES, SOURCES
from monitor.core.views import (
    ALERT_KINDS,
    CHANNELS,
    ENDED_REASONS,
    PRIORITIES,
    PURPOSES,
    RESULTS,
    SIGNALS,
    STAGES,
)
from monitor.desk_series import DeskSeries

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The promises are "durable within a second": most buckets lie below it, the rest say how bad it is.
APPEND_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
LATENESS_BUCKETS = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip

CAUSES = ("device", "feed", "broker", "clock")
"""What can be dark (design rule 4); the store that does not answer is `callwatch_degraded`."""
ANSWERS = ("ok", *REASONS)

ZEROS_UP_TO = 100
"""Desks. Of more, what is counted by several labels has a series from the start only where an alarm watches it:
a thousand for each desk would be a million lines of zeros at every scrape."""

_Family = Counter | Gauge
_F = TypeVar("_F", Counter, Gauge)

_CLOSED: dict[str, tuple[str, ...]] = {
    "source": SOURCES,
    "outcome": OUTCOMES,
    "stage": STAGES,
    "signal": SIGNALS,
    "kind": ALERT_KINDS,
    "ended_reason": ENDED_REASONS,
    "channel": CHANNELS,
    "purpose": PURPOSES,
    "result": RESULTS,
    "priority": PRIORITIES,
    "reason": REASONS,
    "cause": CAUSES,
    "answer": ANSWERS,
    "role": ROLES,
    "step": LEFT_OUT,
    "what": GATHERED,
    "how": ("alone", "together", "over"),
}


class Tally(Collector):
    """A histogram that one thread counts in: one look-up an observation, where the library's walks all buckets."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """For the registry, at a scrape."""
        names = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)


NOBODYS = frozenset(product(("mqtt", "owntracks"), ("unknown_device", "retained")))
"""Source and outcome of what the broker may hand over from a device that is no desk's."""


class Metrics:
    """One process's metrics, on a registry of their own. Never raises on a label it does not know.

    `desks` and `feeds` are the configured ones; a reload adds more by `add_desk` and `add_feed`.
    """

    def __init__(self, desks: Iterable[str], feeds: Iterable[str]) -> None:
        # one `_created` gauge per series would double what is scraped
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self._values: dict[str, set[str]] = {name: set(values) for name, values in _CLOSED.items()}
        self._values |= {"feed": set()}
        self._of_desks: list[DeskSeries] = []
        self._desks: set[str] = set()
        self._labels: dict[_Family, tuple[str, ...]] = {}
        self._children: dict[tuple[_Family, tuple[str, ...]], _Family] = {}
        self._make_desk_families()
        self._make_process_families()
        for feed in feeds:
            self.add_feed(feed)
        for desk in desks:
            self.add_desk(desk)

    def _make_desk_families(self) -> None:
        counter, gauge = self._desk_counter, self._desk_gauge
        self._checkins = counter("checkins", "Check-ins by what became of them.", "source", "outcome")
        self._visits = gauge("visits", "Visits in the state.", "stage", "signal")
        self._alerts_open = gauge("alerts_open", "Alerts that have not ended.", "kind")
        self._alerts = counter("alerts", "Alerts that ended, and why.", "kind", "ended_reason")
        self._messages = counter(
            "messages", "Messages by each result they reached.", "channel", "purpose", "result"
        )
        self._journal_seq = gauge("journal_seq", "Sequence of the last durable fact.")
        self._journal_waiting = gauge(
            "journal_waiting",
            "Facts that are decided and not yet on disk.",
        )
        self._bid_windows = gauge("bid_windows_open", "Bid windows that are open.")
        self._lease = gauge("lease_held", "1 while this process leads the desk.")
        self._dark = gauge("dark", "Ways in of which nothing is known.", "cause")
        self._overdue = gauge(
            "deadline_overdue_seconds",
            "How long the desk's earliest deadline has been waiting.",
        )
        self._untaken = gauge(
            "alert_untaken_seconds",
            "How long the oldest alert has been open that nobody has taken.",
        )
        self._referrals = gauge("referrals_open", "Referrals of councils that wait for an answer.")
        self._weather = gauge("weather_declared", "1 while bad weather is declared.")
        self._left_out = counter("weather_left_out", "Steps that declared bad weather has left out.", "step")
        self._held = counter("offers_held", "Offers held back: who was to be asked had others open.")
        self._told = counter(
            "staff_told", "Alerts of which staff were told alone, together, or not any more.", "what", "how"
        )
        self._unwatched = gauge(
            "rota_rows_unwatched",
            "Rows of the rota that nobody watches until they are mended.",
        )

    def _make_process_families(self) -> None:
        self._outbox = self._gauge("outbox_depth", "Messages waiting for their turn.", "priority")
        self._oldest = self._gauge(
            "outbox_oldest_seconds", "How long the oldest waiting message has been intended.", "priority"
        )
        self._answers = self._counter(
            "provider_answers", "What providers answered to a message handed over.", "channel", "answer"
        )
        self._beats = self._counter("heartbeats", "What the outside answered to our heartbeat.", "answer")
        self._failing = self._gauge(
            "provider_failing", "1 while the last answer on the channel was a refusal of all.", "channel"
        )
        self._expires = self._gauge(
            "token_expires_timestamp_seconds", "When the first token of a role expires; 0: none.", "role"
        )
        self._feed_up = self._gauge("feed_up", "1 while a feed answers within its bound.", "feed")
        self._silence = self._gauge("feed_silence_seconds", "Since a feed was last heard.", "feed")
        self._quarantine = self._counter("quarantine", "Bodies put aside.", "source", "reason")
        self._failed = self._counter("decisions_failed", "Inputs and wake-ups on which the core failed.")
        self._degraded = self._gauge("degraded", "1 while facts cannot be stored.")
        self._loop_lag = self._gauge("loop_lag_seconds", "How late the event loop's last beat was.")
        self._watchdog = self._counter("watchdog_turns", "Turns of the loop the watchdog has seen.")
        self._withheld = self._counter("log_values_withheld", "Values that the log masked.")
        self._dropped = self._counter("log_lines_dropped", "Log lines thrown away: nobody read them.")
        self._refused = self._counter("labels_refused", "Values counted nowhere: their label is in no list.")
        self._ingest = self._histogram(
            "ingest_durable_seconds", "From the receipt of a check-in to its facts on disk.", APPEND_BUCKETS
        )
        self._append = self._histogram("journal_append_seconds", "One append to the store.", APPEND_BUCKETS)
        self._deadline = self._histogram(
            "deadline_lateness_seconds", "From a deadline to its facts on disk.", LATENESS_BUCKETS
        )
        self._provider = self._histogram(
            "provider_lateness_seconds",
            "From a message's due time to the provider's acceptance.",
            LATENESS_BUCKETS,
        )

    def _desk_counter(self, name: str, text: str, *labels: str) -> DeskSeries:
        return self._desk_series(name, text, "counter", labels)

    def _desk_gauge(self, name: str, text: str, *labels: str) -> DeskSeries:
        return self._desk_series(name, text, "gauge", labels)

    def _desk_series(
        self, name: str, text: str, kind: Literal["counter", "gauge"], labels: tuple[str, ...]
    ) -> DeskSeries:
        family = DeskSeries(f"callwatch_{name}", text, kind, {label: _CLOSED[label] for label in labels})
        self._of_desks.append(family)
        return family

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return self._closed(Counter(f"callwatch_{name}", text, labels, registry=self.registry), labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return self._closed(Gauge(f"callwatch_{name}", text, labels, registry=self.registry), labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Tally:
        tally = Tally(f"callwatch_{name}", text, buckets)
        self.registry.register(tally)
        return tally

    def _closed(self, family: _F, labels: tuple[str, ...]) -> _F:
        self._labels[family] = labels
        if labels and "feed" not in labels:
            for values in product(*(_CLOSED[name] for name in labels)):
                family.labels(*values)
        return family

    def add_desk(self, desk: str) -> None:
        """Every series of a configured desk, at 0. A desk that is known already stays as it is."""
        if desk in self._desks:
            return
        self._desks.add(desk)
        first = dict[DeskSeries, tuple[tuple[str, ...], ...]]()
        if len(self._desks) > ZEROS_UP_TO:
            failed = tuple(values for values in self._messages.values if values[-1] == "failed")
            first = {self._checkins: (), self._alerts: (), self._messages: failed}
        for family in self._of_desks:
            family.open(desk, first.get(family))

    def add_feed(self, feed: str) -> None:
        """Every series of a configured feed, at 0."""
        if feed in self._values["feed"]:
            return
        self._values["feed"].add(feed)
        for family, labels in self._labels.items():
            if labels == ("feed",):
                family.labels(feed)

    def remove_feed(self, feed: str) -> None:
        """Its series end: an alert about a feed that is configured no more would never end."""
        self._values["feed"].discard(feed)
        for family in [family for family, labels in self._labels.items() if labels == ("feed",)]:
            self._children.pop((family, (feed,)), None)
            family.remove(feed)

    def _child(self, family: _F, *values: str) -> _F | None:
        found = self._children.get((family, values))
        if found is not None:
            return cast(_F, found)
        for label, value in zip(self._labels[family], values, strict=True):
            if value not in self._values[label]:
                self._refused.inc()
                return None
        child = family.labels(*values) if values else family
        self._children[(family, values)] = child
        return child

    def _count(self, family: Counter | DeskSeries, *values: str) -> None:
        if isinstance(family, DeskSeries):
            if not family.inc(*values):
                self._refused.inc()
        elif child := self._child(family, *values):
            child.inc()

    def _set(self, family: Gauge | DeskSeries, value: float, *labels: str) -> None:
        if isinstance(family, DeskSeries):
            if not family.set(value, *labels):
                self._refused.inc()
        elif child := self._child(family, *labels):
            child.set(value)

    # --- what the desks do ---

    def checkin(self, desk: str, source: str, outcome: str) -> None:
        """A check-in was decided, or refused before it reached a desk's decision. `desk` "": it is no desk's device."""
        if not desk and (source, outcome) in NOBODYS:
            self._checkins.open("", ())
        self._count(self._checkins, desk, source, outcome)

    def visits(self, desk: str, counts: Mapping[tuple[str, str], int]) -> None:
        """All visits of a desk by (stage, signal); what is not named is 0."""
        for stage, signal in product(STAGES, SIGNALS):
            self._set(self._visits, counts.get((stage, signal), 0), desk, stage, signal)

    def alerts_open(self, desk: str, counts: Mapping[str, int]) -> None:
        """All open alerts of a desk by kind; what is not named is 0."""
        for kind in ALERT_KINDS:
            self._set(self._alerts_open, counts.get(kind, 0), desk, kind)

    def alert_ended(self, desk: str, kind: str, ended_reason: str) -> None:
        """An alert ended."""
        self._count(self._alerts, desk, kind, ended_reason)

    def message(self, desk: str, channel: str, purpose: str, result: str) -> None:
        """A message reached a result; one message counts under each result it goes through."""
        self._count(self._messages, desk, channel, purpose, result)

    def referrals(self, desk: str, waiting: int) -> None:
        """How many referrals wait for an answer to the council."""
        self._set(self._referrals, waiting, desk)

    def weather(self, desk: str, declared: bool) -> None:
        """Whether bad weather is declared now."""
        self._set(self._weather, declared, desk)

    def left_out(self, desk: str, step: str) -> None:
        """Declared bad weather has left a step out."""
        self._count(self._left_out, desk, step)

    def offers_held(self, desk: str, workers: int) -> None:
        """So many care workers were to be asked to go, and had as many offers open as one may have."""
        for _ in range(workers):
            self._count(self._held, desk)

    def staff_told(self, desk: str, what: str, how: str) -> None:
        """An alert was told of to staff, by a text of its own or one for several, or was no longer to be told of."""
        self._count(self._told, desk, what, how)

    def rows_unwatched(self, desk: str, count: int) -> None:
        """Rows of the rota that are not watched now."""
        self._set(self._unwatched, count, desk)

    def dark(self, desk: str, counts: Mapping[str, int]) -> None:
        """All that is dark for a desk by cause; what is not named is 0."""
        for cause in CAUSES:
            self._set(self._dark, counts.get(cause, 0), desk, cause)

    def deadline_overdue(self, desk: str, seconds: float) -> None:
        """The earliest deadline came this long ago and was not asked yet; 0 when none waits."""
        self._set(self._overdue, seconds, desk)

    def alert_untaken(self, desk: str, seconds: float) -> None:
        """The oldest open alert that nobody has is this old; 0 when there is none."""
        self._set(self._untaken, seconds, desk)

    def journal_seq(self, desk: str, seq: int) -> None:
        """The durable end of a desk's journal."""
        self._set(self._journal_seq, seq, desk)

    def journal_waiting(self, desk: str, facts: int) -> None:
        """So many facts of a desk are decided and not yet durable."""
        self._set(self._journal_waiting, facts, desk)

    def bid_windows_open(self, desk: str, count: int) -> None:
        """Bid windows that are open now."""
        self._set(self._bid_windows, count, desk)

    def lease(self, desk: str, held: bool) -> None:
        """Whether this process leads the desk."""
        self._set(self._lease, held, desk)

    # --- how the process is ---

    def ingested(self, seconds: float) -> None:
        """A check-in is durable this long after it was received."""
        self._ingest.observe(seconds)

    def appended(self, seconds: float) -> None:
        """One append took this long."""
        self._append.observe(seconds)

    def deadline_late(self, seconds: float) -> None:
        """The facts of a deadline are durable this long after it."""
        self._deadline.observe(seconds)

    def provider_late(self, seconds: float) -> None:
        """A provider accepted a message this long after the message was due."""
        self._provider.observe(seconds)

    def outbox(self, depths: Mapping[str, int]) -> None:
        """Messages waiting, by priority; what is not named is 0."""
        for priority in PRIORITIES:
            self._set(self._outbox, depths.get(priority, 0), priority)

    def outbox_oldest(self, ages_s: Mapping[str, float]) -> None:
        """Seconds since the oldest waiting message was intended, by priority; what is not named is 0."""
        for priority in PRIORITIES:
            self._set(self._oldest, ages_s.get(priority, 0.0), priority)

    def provider_answered(self, channel: str, answer: str, *, about_message: bool = False) -> None:
        """A provider said `ok`, or why it did not take a message; `about_message`: it would take another one."""
        self._count(self._answers, channel, answer)
        if not about_message:
            self._set(self._failing, answer != "ok", channel)

    def heartbeat(self, answer: str) -> None:
        """The outside took our heartbeat, or why not."""
        self._count(self._beats, answer)

    def token_expires(self, timestamps: Mapping[str, float]) -> None:
        """When the first token of each role expires, as a Unix time; what is not named is 0."""
        for role in ROLES:
            self._set(self._expires, timestamps.get(role, 0.0), role)

    def watch_process(self) -> None:
        """Add what Prometheus knows of every process: start, memory, descriptors, CPU."""
        ProcessCollector(registry=self.registry)

    def feed_up(self, feed: str, up: bool) -> None:
        """Whether a feed answers: the broker is connected, the files are fresh."""
        self._set(self._feed_up, up, feed)

    def feed_silence(self, feed: str, seconds: float) -> None:
        """Since when a feed was not heard. Set it right before `render`, or a stopped loop looks lively."""
        self._set(self._silence, seconds, feed)

    def quarantined(self, source: str, reason: str) -> None:
        """A body was put aside."""
        self._count(self._quarantine, source, reason)

    def decision_failed(self) -> None:
        """The core failed on an input, or a wake-up did: a defect of ours."""
        self._failed.inc()

    def degraded(self, on: bool) -> None:
        """Facts can or cannot be stored."""
        self._degraded.set(on)

    def loop_lag(self, seconds: float) -> None:
        """How late the loop's last beat was."""
        self._loop_lag.set(seconds)

    def watchdog_turn(self) -> None:
        """The watchdog saw the loop turn."""
        self._watchdog.inc()

    def log_withheld(self) -> None:
        """The log masked a value. Safe from any thread."""
        self._withheld.inc()

    def log_dropped(self) -> None:
        """The log threw a line away. Safe from any thread."""
        self._dropped.inc()

    def written(self) -> Iterator[bytes]:
        """The answer of /metrics, of type `CONTENT_TYPE`, in portions of a few milliseconds."""
        yield generate_latest(self.registry)
        for family in self._of_desks:
            yield from family.written()

    def render(self) -> bytes:
        """All of it at once."""
        return b"".join(self.written())
