"""Whether the store answers, as this process has seen, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, NoReturn, get_args

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
"""What becomes of calls while the store does not answer; see `CircuitBreaker`."""

log = logging.getLogger("cbstore_sql")


class OutageDetector(ForkSafeLock):
    """The store's own circuit: open from its first failure until it was seen to answer again.

    Args:
        policy: What becomes of calls meanwhile.
        emit: Called with `StoreDegraded` at the first failure and with `StoreRecovered` at its end.

    Attributes:
        policy: As given.
        out: Whether the store does not answer.
        name: The breaker that noticed it last.

    Raises:
        ConfigurationError: There is no such policy.
    """

    def __init__(self, policy: OutagePolicy, emit: Callable[[BreakerEvent], None]) -> None:
        if policy not in get_args(OutagePolicy):
            raise ConfigurationError(f"on_store_outage must be one of {', '.join(get_args(OutagePolicy))}")
        self.policy = policy
        self.is_out = False
        self.name = ""
        self._emit = emit
        self._have_lock()
        self._missing: SchemaError | None = None

    def mark_down(self, name: str, error: StoreError) -> None:
        """Note that the store failed; the first time it is an event and a log line."""
        with self._lock:
            begins, self.is_out, self.name = not self.is_out, True, name
            self._missing = error if isinstance(error, SchemaError) else None
        if not begins:
            return
        if self._missing is None:
            log.warning("the breaker store does not answer (%s)", type(error).__name__)
        else:
            log.error("the breaker store cannot be used: %s", error)
        self._emit(StoreDegraded(name, type(error).__name__))

    def mark_up(self) -> None:
        """Note that the store answers again; it is an event and a log line."""
        with self._lock:
            ends, self.is_out = self.is_out, False
        if ends:
            log.warning("the breaker store answers again")
            self._emit(StoreRecovered(self.name))

    def refuse(self, name: str) -> NoReturn:
        """Refuse a call because the store cannot be asked.

        Raises:
            StoreError: The policy is ``"raise"``.
            CircuitBreakerOpenError: Otherwise.
        """
        missing = self._missing
        what = "its store does not answer" if missing is None else str(missing)
        if self.policy == "raise" and missing is not None:
            raise SchemaError(what)
        if self.policy == "raise":
            raise StoreUnavailableError(f"circuit breaker {name!r}: {what}", applied=False)
        self._emit(Rejected(name, State.OPEN, 0.0))
        raise CircuitBreakerOpenError(f"circuit breaker {name!r}: {what}", name=name)
