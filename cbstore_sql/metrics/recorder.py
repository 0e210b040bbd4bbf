"""From events to measurements, whatever library keeps them."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import Protocol

from cbstore_sql.core.model import State, Verdict
from cbstore_sql.events import (
    BreakerEvent,
    CallFinished,
    ProbeClaimed,
    ProbeExpired,
    ProbeLost,
    Rejected,
    StateChanged,
    StoreDegraded,
    StoreRecovered,
    ViewRefreshed,
)
from cbstore_sql.runtime.fork import after_fork_in_child

log = logging.getLogger("cbstore_sql")

STATE_VALUES = {State.CLOSED.value: 0, State.HALF_OPEN.value: 1, State.OPEN.value: 2}
"""The number that stands for a state, the larger the fewer calls it lets through."""

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the latency histogram, seconds: from a query to a streamed answer of a language model."""

_REJECTED = "rejected_"
_OUTCOMES = {Verdict.SUCCESS: "success", Verdict.FAILURE: "failure", Verdict.NONE: "no_verdict"}


class Instruments(Protocol):
    """What a metrics library keeps; each method takes the labels, then the measurement."""

    def transition(self, backend: str, from_state: str, to_state: str, value: int) -> None:
        """Count a change of state and remember the number of the new one."""

    def request(self, backend: str, outcome: str) -> None:
        """Count a request."""

    def latency(self, backend: str, seconds: float) -> None:
        """Observe how long a request took."""

    def probe(self, backend: str, event: str) -> None:
        """Count something that happened to a probe."""

    def degraded(self, change: int) -> None:
        """Add to the number of breakers whose store does not answer."""

    def staleness(self, seconds: float) -> None:
        """Remember how old the oldest entry of a view was."""


class Recorder(ABC):
    """Takes measurements, from a breaker's events or by hand; nothing happens where the library is not installed.

    Safe to use from many threads. The instruments are made with the first measurement.
    """

    def __init__(self) -> None:
        self._renew_lock()
        after_fork_in_child(self._renew_lock)
        self._available: bool | None = None
        self._instruments: Instruments | None = None

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def listener(self, event: BreakerEvent) -> None:
        """Measure one event: ``CircuitBreaker(store, listeners=[metrics.listener])``."""
        match event:
            case CallFinished():
                self.record_request(event.name, _OUTCOMES[event.verdict], event.seconds)
            case Rejected():
                self.record_request(event.name, _REJECTED + event.state.value)
            case StateChanged():
                self.record_state_transition(event.name, event.previous_state.value, event.snapshot.state.value)
            case ProbeClaimed():
                self.record_probe(event.name, "claimed")
            case ProbeLost():
                self.record_probe(event.name, "lost")
            case ProbeExpired():
                self.record_probe(event.name, "expired")
            case StoreDegraded():
                self.record_store(degraded=True)
            case StoreRecovered():
                self.record_store(degraded=False)
            case ViewRefreshed():
                self.record_staleness(event.staleness)

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> None:
        """Count a change of state.

        Args:
            backend: The breaker's name. Each one is a series of its own: a name made of something that never ends
                (a URL, a user) fills the memory of whoever keeps the series.
            from_state: ``"closed"``, ``"half_open"`` or ``"open"``, in any case; others are counted too.
            to_state: The same; ``cb_current_state`` becomes its number, and -1 for one that is unknown.
        """
        if instruments := self._ready():
            instruments.transition(backend, from_state, to_state, self._state_value(to_state))

    def record_request(self, backend: str, outcome: str, latency_seconds: float | None = None) -> None:
        """Count a request.

        Args:
            backend: See `record_state_transition`.
            outcome: ``"success"``, ``"failure"``, ``"no_verdict"``, ``"rejected_open"``, ``"rejected_half_open"``,
                or a word of your own.
            latency_seconds: How long the call took; ``None`` where none was made. A refused request has no latency
                whatever is said here: its 0 seconds would pass for a fast call.
        """
        if instruments := self._ready():
            instruments.request(backend, outcome)
            if latency_seconds is not None and not outcome.startswith(_REJECTED):
                instruments.latency(backend, latency_seconds)

    def record_probe(self, backend: str, event: str) -> None:
        """Count what happened to a probe: ``"claimed"``, ``"lost"`` (another caller won it) or ``"expired"``."""
        if instruments := self._ready():
            instruments.probe(backend, event)

    def record_store(self, *, degraded: bool) -> None:
        """Note that a breaker's store stopped answering, or answers again."""
        if instruments := self._ready():
            instruments.degraded(1 if degraded else -1)

    def record_staleness(self, seconds: float) -> None:
        """Note how old the oldest of what a breaker's view knew was, just before it was read again."""
        if instruments := self._ready():
            instruments.staleness(seconds)

    def _ready(self) -> Instruments | None:
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
        except Exception as error:  # noqa: BLE001 - a registry that refuses must not make guarded calls fail
            log.error("no metrics are kept: making them failed with %s", type(error).__name__)
            return None

    @staticmethod
    def _state_value(state: str) -> int:
        return STATE_VALUES.get(state.lower(), -1)

    @abstractmethod
    def _import(self) -> None:
        """Import the library.

        Raises:
            ImportError: It is not installed.
        """

    @abstractmethod
    def _make(self) -> Instruments:
        """Make the instruments."""
