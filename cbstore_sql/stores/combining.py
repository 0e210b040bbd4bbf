"""Many failures of one process within a moment become one write.

While a dependency is down, every call fails, and each failure wants the same row. Failures that arrive within
``flush_interval`` of the first are counted together: the first caller waits for the others, then adds them all in
one statement, and each of them gets its answer when that statement has committed. Nothing is kept back that a crash
could lose, and the circuit opens with the same failure as without: as soon as those waiting would reach the
threshold from zero, nobody waits any longer.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from cbstore_sql.commands import Command
from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.model import Snapshot, Transition
from cbstore_sql.policy import check_seconds
from cbstore_sql.store import Store


def combines(command: Command) -> bool:
    """Whether a command is a failure that may be counted together with others."""
    given = command.given
    # A probe's verdict and a report with a time of its own are single.
    return command.operation == "record_failure" and given["token"] == "" and given["now"] is None


def kind_of(command: Command) -> Hashable:
    """Return what commands must have in common to be counted together."""
    given = {key: value for key, value in command.given.items() if key not in ("failures", "stretch")}
    return (command.name, *given.items())


class Batch:
    """Failures that will be one.

    Args:
        command: The first; its random number serves for all.
    """

    def __init__(self, command: Command) -> None:
        self._first = command
        self.failures = 0

    def add(self, command: Command) -> None:
        """Count one more."""
        self.failures += command.given["failures"]

    @property
    def is_full(self) -> bool:
        """Whether these alone reach the threshold."""
        threshold: int = self._first.given["failure_threshold"]
        return self.failures >= threshold

    def command(self) -> Command:
        """Return the one command for all."""
        return self._first._replace(given={**self._first.given, "failures": self.failures})


def as_follower(transition: Transition | None) -> Transition | None:
    """Return the answer for those whose failure another caller reported: only that one saw the state change."""
    return None if transition is None else transition._replace(previous_state=transition.snapshot.state)


class _SyncBatch(Batch):
    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.full = threading.Event()
        self._written = threading.Event()
        self._transition: Transition | None = None
        self._error: BaseException | None = None

    def written(self, transition: Transition | None, error: BaseException | None = None) -> None:
        """Give those who wait their answer."""
        self._transition, self._error = transition, error
        self._written.set()

    def answer(self) -> Transition | None:
        """Wait for the answer, until the deadline."""
        if not self._written.wait(remaining()):
            raise StoreUnavailableError("the failure was not reported in time")
        if self._error is not None:
            raise self._error
        return self._transition


class CombiningStore(Store):
    """A store that counts failures of a closed circuit together; all else goes straight through.

    Args:
        store: Where to.
        flush_interval: Seconds the first failure waits for others; more than 0, a few thousandths.

    Raises:
        InvalidPolicyError: The interval is no such number.
    """

    def __init__(self, store: Store, flush_interval: float) -> None:
        super().__init__(store.namespace)
        self.reads_locally = store.reads_locally
        self.keeps_deadlines = store.keeps_deadlines
        self._store = store
        self._interval = check_seconds("flush_interval", flush_interval, minimum=0.0001)
        self._lock = threading.Lock()
        self._open: dict[Hashable, _SyncBatch] = {}

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _read(self, name: str, now: float | None) -> Snapshot:
        return self._store._read(name, now)

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return self._store._read_many(names, now)

    def _apply(self, command: Command) -> Transition | None:
        if not combines(command):
            return self._store._apply(command)
        kind = kind_of(command)
        with self._lock:
            batch = self._open.get(kind)
            leads = batch is None
            if batch is None:
                batch = self._open[kind] = _SyncBatch(command)
            batch.add(command)
            if batch.is_full:
                batch.full.set()
        return self._flush(kind, batch) if leads else as_follower(batch.answer())

    def _flush(self, kind: Hashable, batch: _SyncBatch) -> Transition | None:
        try:
            batch.full.wait(self._interval)
        except BaseException:
            self._shut(kind)
            batch.written(None, StoreUnavailableError("the failure was not reported", applied=False))
            raise
        self._shut(kind)
        try:
            transition = self._store._apply(batch.command())
        except BaseException as error:
            batch.written(None, error)
            raise
        batch.written(transition)
        return transition

    def _shut(self, kind: Hashable) -> None:
        with self._lock:
            del self._open[kind]

    def _delete(self, name: str) -> None:
        self._store._delete(name)


def combining(store: Store, flush_interval: float) -> Store:
    """Return the store itself for an interval of 0, or one that combines its failures.

    Raises:
        InvalidPolicyError: The interval is no number of seconds from 0.
    """
    return CombiningStore(store, flush_interval) if check_seconds("flush_interval", flush_interval) > 0 else store
