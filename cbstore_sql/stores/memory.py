"""The store in the memory of a process: for one process, for tests, and as the reference for other backends."""

from __future__ import annotations

import time
from collections.abc import Callable

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.core.validation import DEFAULT_MAX_BREAKERS, check_max_breakers
from cbstore_sql.errors import TooManyBreakersError
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.dict_protocol import DEFAULT_PROBE_LEASE, ProtocolStore

_UNWRITTEN = Row()


class InMemoryStore(ForkSafeLock, ProtocolStore):
    """A store in the memory of this process. No other process sees the breakers; they are lost when the process ends.

    Args:
        namespace: The name of this set of breakers, at most 512 bytes of UTF-8. Two instances never share breakers,
            even with the same namespace.
        clock: A function that returns Unix seconds; it is the store's clock.
        max_breakers: The largest number of breakers, at least 1. An operation that would add one more breaker raises
            `TooManyBreakersError`. ``None`` means no limit.
        protocol_probe_lease: The seconds for which a probe belongs to its owner if it was claimed through the methods
            of MassGen's stores; at least 0.001. See `ProtocolStore`.

    Raises:
        ConfigurationError: ``max_breakers`` is out of range.
        InvalidNameError: The namespace is too long or has characters that a store cannot keep.
        InvalidPolicyError: ``protocol_probe_lease`` is out of range.
    """

    reads_locally = True
    keeps_deadlines = True

    def __init__(
        self,
        namespace: str = "default",
        *,
        clock: Callable[[], float] = time.time,
        max_breakers: int | None = DEFAULT_MAX_BREAKERS,
        protocol_probe_lease: float = DEFAULT_PROBE_LEASE,
    ) -> None:
        super().__init__(namespace, protocol_probe_lease=protocol_probe_lease)
        self._clock = clock
        self._max_breakers = check_max_breakers(max_breakers)
        self._have_lock()
        self._rows: dict[str, Row] = {}
        self._writes = 0

    def _read(self, name: str, now: float | None) -> Snapshot:
        as_of = self._clock() if now is None else now
        return Snapshot.of(name, self._rows.get(name, _UNWRITTEN), as_of)

    def _apply(self, command: Command) -> Transition | None:
        with self._lock:
            while True:
                writes = self._writes
                now = self._clock()
                known = command.name in self._rows
                row = command.apply_to(self._rows.get(command.name, _UNWRITTEN), now)
                if row is None or not (known or command.creates):
                    return None
                if not known:
                    self._refuse_when_full()
                # The lock is reentrant, so a signal handler may have written in between. Python runs a signal handler
                # after calls and at jumps backwards, so never between this comparison and the write.
                if self._writes == writes:
                    self._writes = writes + 1
                    self._rows[command.name] = row
                    break
        return Transition.of(command.name, row, command.clock(now))

    def _history(self, name: str) -> str:
        return self._rows.get(name, _UNWRITTEN).history

    def _delete(self, name: str) -> None:
        with self._lock:
            self._rows.pop(name, None)

    def _refuse_when_full(self) -> None:
        if self._max_breakers is not None and len(self._rows) >= self._max_breakers:
            raise TooManyBreakersError(self.namespace, self._max_breakers)


class AsyncInMemoryStore(AsyncStore):
    """A store in the memory of this process, for callers in an event loop. Every operation ends at once.

    Args:
        namespace: The name of this set of breakers, at most 512 bytes of UTF-8. Two instances never share breakers,
            unless one was made with `sharing`.
        clock: A function that returns Unix seconds; it is the store's clock.
        max_breakers: The largest number of breakers, at least 1. An operation that would add one more breaker raises
            `TooManyBreakersError`. ``None`` means no limit.

    Raises:
        ConfigurationError: ``max_breakers`` is out of range.
        InvalidNameError: The namespace is too long or has characters that a store cannot keep.
    """

    reads_locally = True
    keeps_deadlines = True

    def __init__(
        self,
        namespace: str = "default",
        *,
        clock: Callable[[], float] = time.time,
        max_breakers: int | None = DEFAULT_MAX_BREAKERS,
    ) -> None:
        super().__init__(namespace)
        self._store = InMemoryStore(namespace, clock=clock, max_breakers=max_breakers)

    @classmethod
    def sharing(cls, store: InMemoryStore) -> AsyncInMemoryStore:
        """Make an asynchronous store that works on the same breakers as a synchronous store in memory.

        Args:
            store: The synchronous store. Changes through one of the two stores are visible through the other.
        """
        shared = cls(store.namespace)
        shared._store = store
        return shared

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return self._store._read(name, now)

    async def _apply(self, command: Command) -> Transition | None:
        return self._store._apply(command)

    async def _history(self, name: str) -> str:
        return self._store._history(name)

    async def _delete(self, name: str) -> None:
        self._store._delete(name)
