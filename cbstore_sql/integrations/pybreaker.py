"""A storage for ``pybreaker.CircuitBreaker``: keep pybreaker, share its state through PostgreSQL, admit one probe.

pybreaker computes the next state in Python and writes it to a storage. This storage turns the writes into the store's
atomic operations, fenced by the generation in which the call began::

    import pybreaker
    from cbstore_sql import SqlStore
    from cbstore_sql.integrations.pybreaker import CircuitSharedStorage

    storage = CircuitSharedStorage(SqlStore("postgresql://…"), "billing", reset_timeout=30)
    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=30, state_storage=storage)

Only one process at a time becomes half-open. The other processes see ``open`` until the probe ends or its lease runs
out. Give each ``pybreaker.CircuitBreaker`` a separate storage object.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any, TypeVar

from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import MAX_THRESHOLD
from cbstore_sql.errors import StoreError
from cbstore_sql.extras import needs_extra
from cbstore_sql.stores.dict_protocol import ProtocolStore

with needs_extra("cbstore_sql.integrations.pybreaker", "pybreaker"):
    import pybreaker

log = logging.getLogger("cbstore_sql")

T = TypeVar("T")

# pybreaker reads the state twice and resets the counter when it notices that another process changed the state. That
# reset must not reach the shared count.
_READS_OF_AN_OBSERVER = 2


def _or(default: Callable[[Any], T]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Make a decorator that returns a default if the store fails, as pybreaker's Redis storage does.

    Args:
        default: A function that receives the storage and returns the default.
    """

    def decorate(method: Callable[..., T]) -> Callable[..., T]:
        @wraps(method)
        def guarded(self: CircuitSharedStorage, *args: Any) -> T:
            try:
                return method(self, *args)
            except StoreError as error:
                log.warning("pybreaker storage %r: %s", self.name, type(error).__name__)
                return default(self)

        return guarded

    return decorate


def _fallback(storage: CircuitSharedStorage) -> str:
    return storage._fallback


def _never(_: Any) -> datetime | None:
    return None


class CircuitSharedStorage(pybreaker.CircuitBreakerStorage):
    """A storage that keeps the state of one ``pybreaker.CircuitBreaker`` in a store, which all processes share.

    Args:
        store: Any synchronous store of this library.
        name: The breaker's name in the store. Processes that use the same name share the breaker.
        reset_timeout: The ``reset_timeout`` of the pybreaker object, in seconds.
        probe_lease: Seconds after which another process may claim the probe if the owner of the probe has died. Choose
            more than the duration of the longest guarded call.
        fallback_state: The state that pybreaker sees while the store does not answer: ``"closed"``, ``"open"`` or
            ``"half-open"``.

    Raises:
        InvalidPolicyError: ``reset_timeout`` or ``probe_lease`` is out of range.
    """

    def __init__(
        self,
        store: ProtocolStore,
        name: str,
        *,
        reset_timeout: float = 60.0,
        probe_lease: float = 60.0,
        fallback_state: str = pybreaker.STATE_CLOSED,
    ) -> None:
        super().__init__(name)
        self._store = store
        self._fallback = fallback_state
        # pybreaker compares the counters with its thresholds, so the store must not apply a threshold.
        self._policy = BreakerPolicy(
            failure_threshold=MAX_THRESHOLD,
            success_threshold=MAX_THRESHOLD,
            recovery_timeout=reset_timeout,
            probe_lease=probe_lease,
        )
        self._admitted: Permit | None = None
        self._probe: Permit | None = None
        self._successes: int | None = None
        self._reads = 0

    @property
    def state(self) -> str:
        """The circuit's state in pybreaker's words: ``closed``, ``open`` or ``half-open``.

        Only the process that owns the probe sees ``half-open``. The others see ``open`` meanwhile.
        """
        return self._state()

    @state.setter
    def state(self, state: str) -> None:
        """Carry out the state change that pybreaker has decided, as one operation of the store.

        ``half-open`` claims the probe, ``open`` opens the circuit, and ``closed`` closes it.

        Raises:
            pybreaker.CircuitBreakerError: The state is ``half-open``, but another process owns the probe.
        """
        self._reads = 0
        if state == pybreaker.STATE_HALF_OPEN:
            self._claim()
        elif state == pybreaker.STATE_OPEN:
            self._open()
        else:
            self._close()

    @_or(_fallback)
    def _state(self) -> str:
        """Read the state that pybreaker sees, and remember the permit of a closed circuit."""
        self._reads += 1
        snapshot = self._read()
        if snapshot.state is State.CLOSED:
            self._admitted, self._probe = snapshot.permit, None
            return pybreaker.STATE_CLOSED
        self._admitted = None
        if self._probe is not None and snapshot.probe_token == self._probe.token and snapshot.probe_active:
            return pybreaker.STATE_HALF_OPEN
        self._probe = None
        return pybreaker.STATE_OPEN

    @_or(lambda self: None)
    def _claim(self) -> None:
        claim = self._store.claim_probe(self.name, self._policy)
        if claim is None:
            raise pybreaker.CircuitBreakerError("Another process is testing the service, circuit breaker still open")
        self._probe, self._successes = claim.permit, None

    @_or(lambda self: None)
    def _open(self) -> None:
        probe, self._probe, self._admitted = self._probe, None, None
        if probe is not None:
            self._store.record_failure(probe, self._policy)
        elif self._read().state is not State.HALF_OPEN:
            # A failure of a call that began before another process's probe must not end that probe.
            self._store.force_open(self.name, self._policy.recovery_timeout)

    @_or(lambda self: None)
    def _close(self) -> None:
        probed, self._successes, self._probe = self._successes is not None, None, None
        if probed:
            closed = {"state": "closed", "failure_count": 0, "half_open_probe_active": False}
            self._store.cas_state(self.name, State.HALF_OPEN.value, closed)
        else:
            self._store.reset(self.name)

    @_or(lambda self: None)
    def increment_counter(self) -> None:
        """Count one failed call. The method ignores a call that did not begin while the circuit was closed."""
        self._reads = 0
        if self._admitted is not None:
            self._store.record_failure(self._admitted, self._policy)

    @_or(lambda self: None)
    def reset_counter(self) -> None:
        """Set the count of failures to 0 after a success.

        If this process made no call and only noticed a state change, the method does nothing.
        """
        observes, self._reads = self._reads >= _READS_OF_AN_OBSERVER, 0
        if self._admitted is not None and not observes:
            self._store.record_success(self._admitted, self._policy)

    @_or(lambda self: None)
    def increment_success_counter(self) -> None:
        """Report the success of the probe. Until the circuit closes, the next call may claim the probe again."""
        self._reads = 0
        probe, self._probe = self._probe, None
        if probe is None:
            return
        settled = self._store.record_success(probe, self._policy)
        # `None` means that the lease ran out and another process claimed the probe.
        self._successes = None if settled is None else settled.snapshot.success_count

    def reset_success_counter(self) -> None:
        """Do nothing, because the store clears the count of successful probes when the circuit opens or closes."""

    @property
    def counter(self) -> int:
        """The number of failures in a row, in all processes; 0 while the store does not answer."""
        return self._counter()

    @_or(lambda self: 0)
    def _counter(self) -> int:
        self._reads = 0
        return self._read().failure_count

    @property
    def success_counter(self) -> int:
        """The number of successful probes since the circuit became half_open; 0 before a success in this process."""
        return self._successes or 0

    @property
    def opened_at(self) -> datetime | None:
        """The moment at which the circuit opened, by this process's clock; ``None`` if the circuit never opened."""
        return self._opened_at()

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        """Ignore the assigned moment, because the store itself knows when the circuit opened."""

    @_or(_never)
    def _opened_at(self) -> datetime | None:
        """Read the moment at which the circuit opened, by this process's clock."""
        self._reads = 0
        snapshot = self._read()
        if snapshot.open_until == 0.0:
            return None
        now = datetime.now(timezone.utc)
        if snapshot.probe_claimable:
            return now - timedelta(seconds=self._policy.recovery_timeout)
        if snapshot.state is State.HALF_OPEN:
            return now
        # pybreaker adds reset_timeout to this moment. The sum is the end of the open time, even if the clocks differ.
        return now + timedelta(seconds=snapshot.retry_after - self._policy.recovery_timeout)

    def _read(self) -> Snapshot:
        return self._store.read(self.name)
