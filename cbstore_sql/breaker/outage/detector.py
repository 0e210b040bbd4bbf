"""Whether the store is out, as this process has seen it, and what listeners and the log hear of it."""

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
"""What happens to calls while the store does not answer; see `CircuitBreaker`."""

log = logging.getLogger("cbstore_sql")


class OutageDetector(ForkSafeLock):
    """The state of the store: in use, out, or on trial after an outage.

    An outage begins with `mark_down`: one log line and one `StoreDegraded`. `try_again` uses the store again without
    saying so; if the store then fails, the outage goes on as if it had not been interrupted. `mark_up` ends the outage:
    one log line and one `StoreRecovered`.

    Args:
        policy: What happens to calls meanwhile.
        emit: Called with the events, always in pairs and in this order.

    Attributes:
        policy: As given.
        is_out: Whether calls go by the outage policy.
        is_degraded: Whether an outage was announced and its end was not: the store is out or on trial.
        name: The breaker that noticed the outage last.

    Raises:
        ConfigurationError: The policy is not one of the four.
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
        # What a thread of the parent had yet to say is said there.
        self._unsaid: deque[BreakerEvent] = deque()
        self._is_saying = False

    def mark_down(self, name: str, error: StoreError) -> None:
        """Note that the store failed."""
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
        """Use the store again, on trial."""
        self.is_out = False

    def mark_up(self) -> None:
        """Note that the store answers again."""
        with self._lock:
            ends, self.is_degraded, self.is_out = self.is_degraded, False, False
            if ends:
                self._unsaid.append(StoreRecovered(self.name))
        if ends:
            log.warning("the breaker store answers again")
            self._say()

    def refuse(self, name: str) -> NoReturn:
        """Refuse a call because the store does not answer.

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

    def _say(self) -> None:
        """Emit what is unsaid, in order, whichever threads noted it: one thread emits for all."""
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
