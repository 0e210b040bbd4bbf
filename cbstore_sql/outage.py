"""What a guarded call does when the store cannot answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal, get_args

from cbstore_sql.errors import CircuitBreakerOpenError, ConfigurationError, SchemaError, StoreError
from cbstore_sql.events import BreakerEvent, Rejected, StoreDegraded, StoreRecovered
from cbstore_sql.model import Permit, State

OutagePolicy = Literal["allow", "block", "raise"]

log = logging.getLogger("cbstore_sql")

_UNFENCED = -1


class Outage:
    """Whether the store is out, and what is decided without it.

    Args:
        policy: ``"allow"`` lets every call through and reports none of them, ``"block"`` refuses them, ``"raise"``
            raises the store's error. A missing or outdated table is raised whatever the policy says: it is no
            outage but a deployment without its migration.
        emit: Called with `StoreDegraded` at the first failure and `StoreRecovered` at the first answer after it.

    Raises:
        ConfigurationError: The policy is none of these.
    """

    def __init__(self, policy: OutagePolicy, emit: Callable[[BreakerEvent], None]) -> None:
        if policy not in get_args(OutagePolicy):
            raise ConfigurationError(f"on_store_outage must be one of {', '.join(get_args(OutagePolicy))}")
        self._policy = policy
        self._emit = emit
        self._lock = threading.Lock()
        self._out = False

    def admit(self, name: str, error: StoreError) -> Permit:
        """Decide about a call that the store could not be asked about.

        Raises:
            StoreError: The policy is ``"raise"``, or the table is missing.
            CircuitBreakerOpenError: The policy is ``"block"``.
        """
        if isinstance(error, SchemaError):
            raise error
        self.begin(name, error)
        if self._policy == "raise":
            raise error
        if self._policy == "block":
            self._emit(Rejected(name, State.OPEN, 0.0))
            raise CircuitBreakerOpenError(f"circuit breaker {name!r}: its store does not answer", name=name) from error
        return Permit(name, _UNFENCED)

    def admitted(self, permit: Permit) -> bool:
        """Whether a permit was given without the store: there is nothing to report to it."""
        return permit.generation == _UNFENCED

    def begin(self, name: str, error: StoreError) -> None:
        """Note that the store failed; the first time it is an event and a log line."""
        if self._becomes(out=True):
            log.warning("the breaker store does not answer (%s)", type(error).__name__)
            self._emit(StoreDegraded(name, type(error).__name__))

    def end(self, name: str) -> None:
        """Note that the store answered; after an outage it is an event and a log line."""
        if self._out and self._becomes(out=False):
            log.warning("the breaker store answers again")
            self._emit(StoreRecovered(name))

    def _becomes(self, *, out: bool) -> bool:
        with self._lock:
            changed = self._out is not out
            self._out = out
        return changed
