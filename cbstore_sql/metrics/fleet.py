"""The ``cb_fleet_*`` series: all breakers of a database, read from the table at each scrape.

The processes that use the breakers report nothing. The gauges show the rows of the table, by the store's clock.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cbstore_sql.core.admission import admission
from cbstore_sql.core.model import STATES, Snapshot, State
from cbstore_sql.core.validation import check_count, check_store_timeout
from cbstore_sql.deadline import within
from cbstore_sql.errors import StoreError
from cbstore_sql.metrics.recorder import STATE_VALUES

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger("cbstore_sql")

DEFAULT_SCRAPE_TIMEOUT = 1.5
"""The default limit of a scrape in seconds, much less than the 10 seconds that Prometheus waits."""

Breakers = Sequence[tuple[str, Snapshot]]


class ReadsAll(Protocol):
    """A store that can read all its breakers at once, such as `SqlStore`."""

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Read all breakers of all namespaces.

        Returns:
            One pair for each breaker: its namespace, and its snapshot (the breaker's state and counts).
        """


class FleetCollector:
    """Export the state of all breakers of a store to Prometheus, with one SQL statement for each scrape.

    Use it as ``registry.register(FleetCollector(store))``. While the store cannot be read, ``cb_fleet_up`` is 0 and the
    series of the breakers are absent, because old values would look current.

    The state is one number for each breaker (0 closed, 1 half_open, 2 open), in one series instead of three. In a
    query, ``> 0`` selects all breakers that reject calls, including a breaker that alternates between open and
    half_open. ``max`` gives the worst state of several breakers.

    Args:
        store: The store to read.
        max_breakers: How many breakers get their own series, 1 or more. Open breakers come first, then half_open
            breakers. ``cb_fleet_breakers`` counts all breakers. ``cb_fleet_dropped_breakers`` counts only the breakers
            without series.
        timeout: Seconds within which the store must answer a scrape; after that, ``cb_fleet_up`` is 0. ``None`` means
            no limit. If you made the store from your own engine or client, the timeouts of that engine or client apply
            instead.

    Raises:
        InvalidPolicyError: ``timeout`` is not a number of seconds of at least 0.001.
        InvalidStateError: ``max_breakers`` is not a whole number of at least 1.
    """

    def __init__(
        self, store: ReadsAll, *, max_breakers: int = 1000, timeout: float | None = DEFAULT_SCRAPE_TIMEOUT
    ) -> None:
        self._store = store
        self._timeout = check_store_timeout(timeout)
        self._limit = check_count("max_breakers", max_breakers, minimum=1)

    def describe(self) -> Iterable[Metric]:
        """Return the names and descriptions of all series, without values.

        prometheus_client calls this method when the collector is registered. This method does not read the store.
        """
        return (*_scrape(up=False, seconds=0.0), *_totals((), 0), *_each_breaker(()))

    def collect(self) -> Iterator[Metric]:
        """Read the store and yield the series with their values.

        If the store cannot be read, the method yields ``cb_fleet_up`` with the value 0 and no series of breakers.
        """
        began = time.perf_counter()
        try:
            with within(self._timeout):
                breakers = self._store.read_all()
        except StoreError as error:
            log.warning("cannot read the breaker store for metrics (%s)", type(error).__name__)
            yield from _scrape(up=False, seconds=time.perf_counter() - began)
            return
        yield from _scrape(up=True, seconds=time.perf_counter() - began)
        shown = _most_severe(breakers, self._limit)
        yield from _totals(breakers, len(breakers) - len(shown))
        yield from _each_breaker(shown)


# "backend" repeats "name" for one release, so that queries for version 0.1 still work.
_LABELS = ("namespace", "name", "backend")


class _Series(NamedTuple):
    """A gauge with one value for each breaker.

    Attributes:
        name: The name of the gauge.
        help: The description of the gauge for Prometheus.
        value: A function that returns the value for a snapshot; ``None`` if the breaker has no value in this gauge.
    """

    name: str
    help: str
    value: Callable[[Snapshot], float | None]


def _remaining(snapshot: Snapshot) -> float:
    return snapshot.retry_after if snapshot.state is State.OPEN else 0.0


def _probe_active(snapshot: Snapshot) -> float:
    return float(snapshot.state is State.HALF_OPEN and snapshot.probe_active)


def _lease_remaining(snapshot: Snapshot) -> float | None:
    owned = snapshot.state is State.HALF_OPEN and snapshot.probe_token
    return max(0.0, snapshot.probe_until - snapshot.as_of) if owned else None


def _overdue(snapshot: Snapshot) -> float:
    due = max(snapshot.open_until, snapshot.probe_until)
    return max(0.0, snapshot.as_of - due) if snapshot.probe_claimable else 0.0


def _override_remaining(snapshot: Snapshot) -> float | None:
    ends = snapshot.active_override and snapshot.override_until
    return snapshot.override_until - snapshot.as_of if ends else None


def _would_reject(snapshot: Snapshot) -> float:
    return float(admission(snapshot).would_refuse)


OVERRIDE_VALUES = {"": 0, "shadow": 1, "closed": 2, "open": 3}
"""The exported number of each kind of override; ``""`` means no override."""

_SERIES = (
    _Series("cb_fleet_state", "0 closed, 1 half_open, 2 open.", lambda breaker: STATE_VALUES[breaker.state.value]),
    _Series("cb_fleet_failures", "Number of failures since the last success.", lambda breaker: breaker.failure_count),
    _Series(
        "cb_fleet_generation",
        "Grows with every change of state and every claim of a probe.",
        lambda breaker: breaker.generation,
    ),
    _Series("cb_fleet_open_seconds_remaining", "Seconds until a probe is due; 0 unless open.", _remaining),
    _Series("cb_fleet_probe_active", "1 while a caller holds the probe and its lease is valid.", _probe_active),
    _Series(
        "cb_fleet_probe_lease_seconds_remaining",
        "Seconds left of the probe's lease: 0 after it expired, absent without an owner.",
        _lease_remaining,
    ),
    _Series(
        "cb_fleet_probe_overdue_seconds",
        "Seconds since a probe became due without a claim; 0 when none is due.",
        _overdue,
    ),
    _Series(
        "cb_fleet_last_failure_timestamp_seconds",
        "Unix time of the last failure; absent before the first.",
        lambda breaker: breaker.last_failure_time or None,
    ),
    _Series("cb_fleet_score", "Score of a FailureRate policy, as a share of its limit.", lambda breaker: breaker.score),
    _Series(
        "cb_fleet_override",
        "Override in force: 0 none, 1 shadow, 2 closed, 3 open.",
        lambda breaker: OVERRIDE_VALUES[breaker.active_override],
    ),
    _Series(
        "cb_fleet_override_seconds_remaining",
        "Seconds until the override ends; absent without one, or if it has no end.",
        _override_remaining,
    ),
    _Series("cb_fleet_would_reject", "1 while only shadow mode lets calls through.", _would_reject),
    _Series(
        "cb_fleet_hold_seconds_remaining",
        "Seconds for which the dependency asked to wait; 0 without a hold.",
        lambda breaker: max(0.0, breaker.hold_until - breaker.as_of),
    ),
)

_SEVERITY = (State.OPEN, State.HALF_OPEN, State.CLOSED)


def _most_severe(breakers: Breakers, limit: int) -> Breakers:
    # The sort is stable, so the same breakers keep their series from scrape to scrape.
    return sorted(breakers, key=lambda pair: _SEVERITY.index(pair[1].state))[:limit]


def _scrape(*, up: bool, seconds: float) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    yield GaugeMetricFamily("cb_fleet_up", "1 when the store could be read.", up)
    yield GaugeMetricFamily("cb_fleet_scrape_duration_seconds", "How long reading the store took, in seconds.", seconds)


def _totals(breakers: Breakers, dropped: int) -> Iterator[Metric]:
    """Yield the number of breakers by state, and the number of breakers without series."""
    from prometheus_client.metrics_core import GaugeMetricFamily

    counts = Counter(snapshot.state.value for _, snapshot in breakers)
    by_state = GaugeMetricFamily("cb_fleet_breakers", "Breakers by state, with or without series.", labels=["state"])
    for state in STATES:
        by_state.add_metric([state], counts[state])
    yield by_state
    yield GaugeMetricFamily("cb_fleet_dropped_breakers", "Breakers without series, beyond the limit.", dropped)


def _each_breaker(breakers: Breakers) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    for series in _SERIES:
        family = GaugeMetricFamily(series.name, series.help, labels=_LABELS)
        for namespace, snapshot in breakers:
            value = series.value(snapshot)
            if value is not None:
                family.add_metric([namespace, snapshot.name, snapshot.name], value)
        yield family
