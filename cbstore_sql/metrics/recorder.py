"""A listener that turns a breaker's events into measurements, for any metrics library."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import Protocol

from cbstore_sql.core.model import State, Verdict
from cbstore_sql.core.validation import check_count
from cbstore_sql.events import (
    BreakerEvent,
    CallFinished,
    ProbeClaimed,
    ProbeExpired,
    ProbeLost,
    ProbeStalled,
    Rejected,
    StateChanged,
    StoreDegraded,
    StoreRecovered,
    ViewRefreshed,
    WouldHaveOpened,
    WouldHaveRejected,
)
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.runtime.pickling import NotPicklable

log = logging.getLogger("cbstore_sql")

STATE_VALUES = {State.CLOSED.value: 0, State.HALF_OPEN.value: 1, State.OPEN.value: 2}
"""The exported number of each state. A state with a higher number admits fewer calls."""

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the latency histogram in seconds, from a database query to a streamed answer of a language model."""

DEFAULT_MAX_BREAKERS = 1000
"""The default of ``max_breakers``: how many breaker names get their own series."""

OTHER = "(other)"
"""The name in the series of all breakers beyond ``max_breakers``."""

_REJECTED = "rejected_"
_OUTCOMES = {Verdict.SUCCESS: "success", Verdict.FAILURE: "failure", Verdict.NONE: "no_verdict"}


class Instruments(Protocol):
    """The counters, gauges and histograms of one metrics library, with one method for each kind of measurement."""

    def transition(self, backend: str, from_state: str, to_state: str, value: int) -> None:
        """Count one change of a circuit's state, and set the gauge that shows the state.

        Args:
            backend: The breaker's name.
            from_state: The state before the change.
            to_state: The state after the change.
            value: The number of the state after the change, for the gauge; see `STATE_VALUES`.
        """

    def request(self, backend: str, outcome: str) -> None:
        """Count one request, which may also be a rejected one.

        Args:
            backend: The breaker's name.
            outcome: The outcome of the request, such as ``"success"``; see `Recorder.record_request`.
        """

    def latency(self, backend: str, seconds: float) -> None:
        """Add the duration of one call to the latency histogram.

        Args:
            backend: The breaker's name.
            seconds: The duration in seconds.
        """

    def probe(self, backend: str, event: str) -> None:
        """Count one event of a probe, the call that tests whether the dependency works again.

        Args:
            backend: The breaker's name.
            event: The event, such as ``"claimed"``; see `Recorder.record_probe`.
        """

    def shadow(self, name: str, event: str) -> None:
        """Count what a breaker in shadow mode would have done.

        In shadow mode, a breaker records openings and rejections, but lets every call go ahead.

        Args:
            name: The breaker's name. Each name has its own series, up to ``max_breakers`` names.
            event: ``"opened"`` if the circuit would have opened, ``"rejected"`` if a call would have been rejected.
        """

    def degraded(self, change: int) -> None:
        """Raise or lower the gauge that counts the breakers whose store is unavailable.

        Args:
            change: 1 if the store of a breaker became unavailable, -1 if the store answers again.
        """

    def staleness(self, seconds: float) -> None:
        """Set the gauge that shows how old a breaker's copy of the shared state was before it was refreshed.

        Args:
            seconds: The age in seconds of the oldest snapshot in the copy.
        """


class Recorder(NotPicklable, ABC):
    """A base class of listeners that turn a breaker's events into measurements of a metrics library.

    An application may also call the ``record_*`` methods directly.

    If the metrics library is not installed, the recorder does nothing. Several threads may use one object. The first
    measurement makes the counters, gauges and histograms.

    Args:
        max_breakers: How many breaker names get their own series, 1 or more. All further names share the series of the
            name ``(other)``.

    Raises:
        InvalidStateError: ``max_breakers`` is not a whole number of at least 1.
    """

    def __init__(self, max_breakers: int = DEFAULT_MAX_BREAKERS) -> None:
        self._max_breakers = check_count("max_breakers", max_breakers, minimum=1)
        self._names: set[str] = set()
        self._full = False
        self._renew_lock()
        after_fork_in_child(self._renew_lock)
        self._available: bool | None = None
        self._instruments: Instruments | None = None

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def listener(self, event: BreakerEvent) -> None:
        """Measure one event of a breaker. A breaker calls this method if you pass it in ``listeners``.

        Write ``CircuitBreaker(store, listeners=[metrics.listener])``.

        Args:
            event: Any event of `cbstore_sql.events`; events of unknown classes are ignored.
        """
        match event:
            case CallFinished():
                self.record_request(event.name, _OUTCOMES[event.verdict], event.seconds)
            case Rejected():
                self.record_request(event.name, _REJECTED + event.state.value)
            case StateChanged():
                self.record_state_transition(event.name, event.previous_state.value, event.snapshot.state.value)
            case WouldHaveOpened():
                self.record_shadow(event.name, "opened")
            case WouldHaveRejected():
                self.record_shadow(event.name, "rejected")
            case ProbeClaimed():
                self.record_probe(event.name, "claimed")
            case ProbeLost():
                self.record_probe(event.name, "lost")
            case ProbeExpired():
                self.record_probe(event.name, "expired")
            case ProbeStalled():
                self.record_probe(event.name, "stalled")
            case StoreDegraded():
                self.record_store(degraded=True)
            case StoreRecovered():
                self.record_store(degraded=False)
            case ViewRefreshed():
                self.record_staleness(event.staleness)

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> None:
        """Count one change of a circuit's state, and set ``cb_current_state`` to the new state.

        Args:
            backend: The breaker's name. Each name has its own series, up to ``max_breakers`` names.
            from_state: The state before the change: ``"closed"``, ``"half_open"`` or ``"open"``, in upper or lower
                case. The method also counts other values.
            to_state: The state after the change, with the same values. ``cb_current_state`` is the number of this
                state: 0 closed, 1 half_open, 2 open, or -1 for an unknown state.
        """
        if instruments := self._ready():
            instruments.transition(self._label(backend), from_state, to_state, self._state_value(to_state))

    def record_request(self, backend: str, outcome: str, latency_seconds: float | None = None) -> None:
        """Count one request by its outcome, and measure its duration.

        Args:
            backend: The breaker's name. Each name has its own series, up to ``max_breakers`` names.
            outcome: ``"success"``, ``"failure"``, ``"no_verdict"`` (the outcome says nothing about the dependency),
                ``"rejected_open"``, ``"rejected_half_open"``, or another word.
            latency_seconds: The duration of the call in seconds; ``None`` if no call was made. The duration of a
                rejected request is ignored, because it would look like a fast call.
        """
        if instruments := self._ready():
            name = self._label(backend)
            instruments.request(name, outcome)
            if latency_seconds is not None and not outcome.startswith(_REJECTED):
                instruments.latency(name, latency_seconds)

    def record_probe(self, backend: str, event: str) -> None:
        """Count one event of a probe, the call that tests whether the dependency works again.

        Args:
            backend: The breaker's name. Each name has its own series, up to ``max_breakers`` names.
            event: ``"claimed"`` (this process makes the probe), ``"lost"`` (another caller makes the probe),
                ``"expired"`` (this process reported too late, so the report had no effect) or ``"stalled"`` (the probe
                shows no progress, so this process no longer keeps it from other callers).
        """
        if instruments := self._ready():
            instruments.probe(self._label(backend), event)

    def record_shadow(self, name: str, event: str) -> None:
        """Count what a breaker in shadow mode would have done.

        In shadow mode, a breaker records openings and rejections, but lets every call go ahead.

        Args:
            name: The breaker's name. Each name has its own series, up to ``max_breakers`` names.
            event: ``"opened"`` if the circuit would have opened, ``"rejected"`` if a call would have been rejected.
        """
        if instruments := self._ready():
            instruments.shadow(self._label(name), event)

    def record_store(self, *, degraded: bool) -> None:
        """Change the number of breakers whose store is unavailable by one.

        Args:
            degraded: ``True`` if the store of a breaker became unavailable, which adds 1. ``False`` if it answers
                again, which subtracts 1.
        """
        if instruments := self._ready():
            instruments.degraded(1 if degraded else -1)

    def record_staleness(self, seconds: float) -> None:
        """Record how old a breaker's copy of the shared state was before it was refreshed.

        Args:
            seconds: The age in seconds of the oldest snapshot in the copy.
        """
        if instruments := self._ready():
            instruments.staleness(seconds)

    def _label(self, name: str) -> str:
        """Return the label for a breaker name: the name itself, or `OTHER` if the limit is reached."""
        if name in self._names:
            return name
        with self._lock:
            if name in self._names or len(self._names) < self._max_breakers:
                self._names.add(name)
                return name
            if not self._full:
                self._full = True
                log.warning("more than %d breaker names: the others are measured as %s", self._max_breakers, OTHER)
        return OTHER

    def _ready(self) -> Instruments | None:
        """Return the instruments. The first call makes them.

        Returns:
            ``None`` if the metrics library is not installed or making the instruments failed.
        """
        if self._available is None:
            with self._lock:
                if self._available is None:
                    self._instruments = self._make_or_do_without()
                    self._available = self._instruments is not None
        return self._instruments if self._available else None

    def _make_or_do_without(self) -> Instruments | None:
        try:
            self._import()
        except ImportError:
            return None
        try:
            return self._make()
        except Exception as error:  # noqa: BLE001 - a registry that refuses must not fail guarded calls
            log.error("metrics are off: making the instruments failed with %s", type(error).__name__)
            return None

    @staticmethod
    def _state_value(state: str) -> int:
        return STATE_VALUES.get(state.lower(), -1)

    @abstractmethod
    def _import(self) -> None:
        """Import the metrics library.

        Raises:
            ImportError: The library is not installed.
        """

    @abstractmethod
    def _make(self) -> Instruments:
        """Make the instruments of the metrics library and return them."""
