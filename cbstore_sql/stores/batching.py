"""Many failures of one process within a moment become one write.

While a dependency is down, every call fails, and each failure wants the same row. A failure that comes alone is
written at once. One that comes while another of its breaker is being written is not alone: it waits ``flush_interval``
for others, then adds them all in one statement, and each of them gets its answer when that statement has committed. So
does the next, until one has waited for nobody. Nothing is kept back that a crash could lose, and the circuit opens with
the same failure as without: as soon as those waiting would reach the threshold from zero, nobody waits any longer.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.stores.base import Store


def combines(command: Command) -> bool:
    """Whether a command is a failure that may be counted together with others."""
    given = command.parameters
    # A probe's verdict and a report with a time of its own are single.
    return command.operation == "record_failure" and given["token"] == "" and given["now"] is None


def kind_of(command: Command) -> Hashable:
    """Return what commands must have in common to be counted together."""
    given = {key: value for key, value in command.parameters.items() if key not in ("failures", "stretch")}
    return (command.name, *given.items())


class Batch:
    """Failures that will be one.

    Args:
        command: The first; its random number serves for all.
        ahead: How many are being written already.

    Attributes:
        name: The breaker's.
        callers: How many reports they come from.
    """

    def __init__(self, command: Command, ahead: int) -> None:
        self.name = command.name
        self._first = command
        self._ahead = ahead
        self._failures = 0
        self.callers = 0

    def add(self, command: Command) -> None:
        """Count one more report."""
        self._failures += command.parameters["failures"]
        self.callers += 1

    @property
    def is_full(self) -> bool:
        """Whether these reach the threshold, with those that are being written and no others."""
        threshold: int = self._first.parameters["failure_threshold"]
        return self._ahead + self._failures >= threshold

    def command(self) -> Command:
        """Return the one command for all."""
        return self._first._replace(parameters={**self._first.parameters, "failures": self._failures})


class ContentionTracker:
    """Which breakers' failures come alone; those of one that do not are together until they come alone again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone: dict[str, int] = {}
        self._crowded: set[str] = set()

    def begin_alone(self, command: Command) -> bool:
        """Return whether a failure is alone and is to be written now; `end_alone` follows."""
        name = command.name
        with self._lock:
            if name in self._alone:
                self._crowded.add(name)
            if name in self._crowded:
                return False
            self._alone[name] = command.parameters["failures"]
            return True

    def end_alone(self, command: Command) -> None:
        """A failure that was alone is not being written any more."""
        with self._lock:
            self._alone.pop(command.name, None)

    def ahead_of(self, command: Command) -> int:
        """Return how many failures of the same breaker are being written alone."""
        return self._alone.get(command.name, 0)

    def waited(self, batch: Batch) -> None:
        """Learn from a batch that waits no more whether there was anybody to wait for."""
        if batch.callers == 1:
            with self._lock:
                self._crowded.discard(batch.name)


def without_state_change(transition: Transition | None) -> Transition | None:
    """Return the answer for those whose failure another caller reported: only that one saw the state change."""
    return None if transition is None else transition._replace(previous_state=transition.snapshot.state)


class _SyncBatch(Batch):
    def __init__(self, command: Command, ahead: int) -> None:
        super().__init__(command, ahead)
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
        flush_interval: Seconds a failure that is not alone waits for others; more than 0, a few thousandths.

    Raises:
        InvalidPolicyError: The interval is no such number.
    """

    def __init__(self, store: Store, flush_interval: float) -> None:
        super().__init__(store.namespace)
        self.reads_locally = store.reads_locally
        self.keeps_deadlines = store.keeps_deadlines
        self._store = store
        self._interval = check_seconds("flush_interval", flush_interval, minimum=0.0001)
        self._start_anew()
        after_fork_in_child(self._start_anew)

    def _start_anew(self) -> None:
        """Begin with nobody waiting, as in a process just forked: the parent's threads are not here."""
        self._lock = threading.Lock()
        self._company = ContentionTracker()
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
        if not self._company.begin_alone(command):
            return self._apply_together(command)
        try:
            return self._store._apply(command)
        finally:
            self._company.end_alone(command)

    def _apply_together(self, command: Command) -> Transition | None:
        kind = kind_of(command)
        with self._lock:
            batch = self._open.get(kind)
            leads = batch is None
            if batch is None:
                batch = self._open[kind] = _SyncBatch(command, self._company.ahead_of(command))
            batch.add(command)
            if batch.is_full:
                batch.full.set()
        return self._flush(kind, batch) if leads else without_state_change(batch.answer())

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
            batch = self._open.pop(kind)
        self._company.waited(batch)

    def _delete(self, name: str) -> None:
        self._store._delete(name)


def combining(store: Store, flush_interval: float) -> Store:
    """Return the store itself for an interval of 0, or one that combines its failures."""
    return CombiningStore(store, flush_interval) if flush_interval > 0 else store
