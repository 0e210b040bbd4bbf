"""What the table says about every breaker, read when Prometheus asks.

No process of the fleet has to report anything: the gauges are the rows, by the store's clock, whoever wrote them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cbstore_sql.core.model import STATES, Snapshot, State
from cbstore_sql.core.validation import check_count
from cbstore_sql.errors import StoreError
from cbstore_sql.metrics.recorder import STATE_VALUES

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger("cbstore_sql")

Breakers = Sequence[tuple[str, Snapshot]]


class ReadsAll(Protocol):
    """A store that can tell of every breaker at once, like `SqlStore`."""

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace, with its namespace."""


class FleetCollector:
    """A collector for prometheus_client: each scrape is one statement.

    ``registry.register(FleetCollector(store))``. While the store cannot be read, ``cb_fleet_up`` is 0 and no other
    number about breakers is given out: an old one would pass for the present one.

    The state is one number for each breaker (0 closed, 1 half_open, 2 open) and no set of three series: ``> 0`` is
    every breaker that refuses calls, however often it goes to and fro between open and half_open; ``max`` is the
    worst of many; a state timeline draws it as it is; and it is a third of the series.

    Args:
        store: Where the breakers are kept.
        max_breakers: How many breakers get series of their own; the open ones come first, then the half-open ones.
            The rest is in ``cb_fleet_breakers`` and counted by ``cb_fleet_dropped_breakers``.

    Raises:
        InvalidStateError: ``max_breakers`` is no whole number above 0.
    """

    def __init__(self, store: ReadsAll, *, max_breakers: int = 1000) -> None:
        self._store = store
        self._limit = check_count("max_breakers", max_breakers, minimum=1)

    def describe(self) -> Iterable[Metric]:
        """Name the series, so that a registry that asks on registration does not read the store."""
        return (*_scrape(up=False, seconds=0.0), *_totals((), 0), *_each_breaker(()))

    def collect(self) -> Iterator[Metric]:
        """Read the store and give out what it says."""
        began = time.perf_counter()
        try:
            breakers = self._store.read_all()
        except StoreError as error:
            log.warning("the breaker store cannot be read for metrics (%s)", type(error).__name__)
            yield from _scrape(up=False, seconds=time.perf_counter() - began)
            return
        yield from _scrape(up=True, seconds=time.perf_counter() - began)
        shown = _most_severe(breakers, self._limit)
        yield from _totals(breakers, len(breakers) - len(shown))
        yield from _each_breaker(shown)


class _Series(NamedTuple):
    """A gauge of each breaker; ``None`` leaves a breaker out."""

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


_SERIES = (
    _Series("cb_fleet_state", "0 closed, 1 half_open, 2 open.", lambda breaker: STATE_VALUES[breaker.state.value]),
    _Series("cb_fleet_failures", "Failures since the last success.", lambda breaker: breaker.failure_count),
    _Series(
        "cb_fleet_generation",
        "Grows with every change of state and every claim of a probe.",
        lambda breaker: breaker.generation,
    ),
    _Series("cb_fleet_open_seconds_remaining", "Seconds until a probe is due; 0 unless open.", _remaining),
    _Series("cb_fleet_probe_active", "1 while somebody holds the probe and its lease.", _probe_active),
    _Series(
        "cb_fleet_probe_lease_seconds_remaining",
        "Seconds left of the probe's lease: 0 when its owner let it run out, absent when there is no owner.",
        _lease_remaining,
    ),
    _Series(
        "cb_fleet_probe_overdue_seconds",
        "Seconds since a probe could have been claimed and nobody did; 0 when none is due.",
        _overdue,
    ),
    _Series(
        "cb_fleet_last_failure_timestamp_seconds",
        "When the last failure was, Unix time; absent when there was none.",
        lambda breaker: breaker.last_failure_time or None,
    ),
)

_SEVERITY = (State.OPEN, State.HALF_OPEN, State.CLOSED)


def _most_severe(breakers: Breakers, limit: int) -> Breakers:
    # The order within a state stays, so that the same breakers keep their series from scrape to scrape.
    return sorted(breakers, key=lambda pair: _SEVERITY.index(pair[1].state))[:limit]


def _scrape(*, up: bool, seconds: float) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    yield GaugeMetricFamily("cb_fleet_up", "1 when the store could be read.", up)
    yield GaugeMetricFamily("cb_fleet_scrape_duration_seconds", "Seconds that reading the store took.", seconds)


def _totals(breakers: Breakers, dropped: int) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    counts = Counter(snapshot.state.value for _, snapshot in breakers)
    by_state = GaugeMetricFamily("cb_fleet_breakers", "Breakers by state, all of them.", labels=["state"])
    for state in STATES:
        by_state.add_metric([state], counts[state])
    yield by_state
    yield GaugeMetricFamily("cb_fleet_dropped_breakers", "Breakers over the limit, without series.", dropped)


def _each_breaker(breakers: Breakers) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    for series in _SERIES:
        family = GaugeMetricFamily(series.name, series.help, labels=["namespace", "backend"])
        for namespace, snapshot in breakers:
            value = series.value(snapshot)
            if value is not None:
                family.add_metric([namespace, snapshot.name], value)
        yield family
