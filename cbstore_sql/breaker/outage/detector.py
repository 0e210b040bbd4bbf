"""The state of the store, as this process has seen it, and the log lines and events of an outage."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Literal, NoReturn, get_args

from cbstore_sql.breaker.outage.failures import described, kind_of
from cbstore_sql.core.model import State
from cbstore_sql.errors import (
    CircuitBreakerOpenError,
    ConfigurationError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
)
from cbstore_sql.events import BreakerEvent, Rejected, StoreDegraded, StoreRecovered
from cbstore_sql.runtime.fork import ForkSafeLock

OutagePolicy = Literal["local", "allow", "block", "raise"]
"""The treatment of calls while the store does not answer; see `CircuitBreaker`."""

log = logging.getLogger("cbstore_sql")


class OutageDetector(ForkSafeLock):
    """Remember whether the store answers, and log and emit the beginning and the end of each outage once.

    The store is in use, unavailable, or on trial. On trial means that calls use the store again after an outage, but it
    may not work for all calls yet. `mark_down` begins an outage. `try_again` begins a trial, without a log line. If the
    store fails during the trial, the same outage continues. `mark_up` ends the outage.

    Args:
        policy: What happens to calls during an outage: ``"local"``, ``"allow"``, ``"block"`` or ``"raise"``.
        emit: A function that receives `StoreDegraded` when an outage begins and `StoreRecovered` when the outage ends.

    Attributes:
        policy: The outage policy.
        is_out: Whether the store is unavailable, so that calls follow the outage policy.
        is_degraded: Whether the store is unavailable or on trial.
        name: The name of the breaker whose store call failed last.

    Raises:
        ConfigurationError: ``policy`` is not one of the four values.
    """

    def __init__(self, policy: OutagePolicy, emit: Callable[[BreakerEvent], None]) -> None:
        if policy not in get_args(OutagePolicy):
            raise ConfigurationError(f"on_store_outage must be one of {', '.join(get_args(OutagePolicy))}")
        self.policy = policy
        self.is_out = self.is_degraded = False
        self.name = ""
        self._emit = emit
        self._missing: SchemaError | None = None
        self._have_lock()

    def _renew_lock(self) -> None:
        super()._renew_lock()
        # The events that wait in the parent are emitted in the parent.
        self._unsaid: deque[BreakerEvent] = deque()
        self._is_saying = False

    def mark_down(self, name: str, error: StoreError) -> None:
        """Record that a store call failed. The first failure begins an outage: one log line, one `StoreDegraded`.

        Args:
            name: The name of the breaker whose store call failed.
            error: The error of the store.
        """
        missing = error if isinstance(error, SchemaError) else None
        kind = kind_of(error)
        with self._lock:
            begins, self.is_degraded, self.is_out, self.name = not self.is_degraded, True, True, name
            self._missing = missing
            if begins:
                self._unsaid.append(StoreDegraded(name, kind))
        if not begins:
            return
        if missing is None:
            log.warning("the breaker store does not answer (%s)", described(error))
        else:
            log.error("the breaker store cannot be used: %s", missing)
        self._say()

    def try_again(self) -> None:
        """Begin a trial: calls use the store again, but the outage ends only with `mark_up`."""
        self.is_out = False

    def mark_up(self) -> None:
        """End the outage, if there is one: one log line, one `StoreRecovered`."""
        with self._lock:
            ends, self.is_degraded, self.is_out = self.is_degraded, False, False
            if ends:
                self._unsaid.append(StoreRecovered(self.name))
        if ends:
            log.warning("the breaker store answers again")
            self._say()

    def refuse(self, name: str) -> NoReturn:
        """Raise the error for a call that the outage policy rejects.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The policy is ``"raise"``.
            CircuitBreakerOpenError: The policy is not ``"raise"``.
        """
        missing = self._missing
        what = "its store does not answer" if missing is None else str(missing)
        if self.policy == "raise" and missing is not None:
            raise SchemaError(what)
        if self.policy == "raise":
            raise StoreUnavailableError(f"circuit breaker {name!r}: {what}", applied=False)
        self._emit(Rejected(name, State.OPEN, 0.0))
        raise CircuitBreakerOpenError(f"circuit breaker {name!r}: {what}", name=name)

    def _say(self) -> None:
        """Emit the waiting events in order. One thread emits the events of all threads."""
        while True:
            with self._lock:
                if self._is_saying or not self._unsaid:
                    return
                self._is_saying = True
                event = self._unsaid.popleft()
            try:
                self._emit(event)
            finally:
                self._is_saying = False
