"""Failures that arrive together in one process become one write.

While a dependency is down every call fails, and each failure updates the same row. An isolated failure is written at
once. A failure that arrives while another one of its breaker is being written is not isolated: it waits
``flush_interval`` for more, one statement adds them all, and each caller gets its answer when that statement has
committed. The next failures do the same, until a batch has only one. No failure is held back where a crash could lose
it. The circuit opens with the same failure as without batching: as soon as the waiting failures would reach the
threshold from zero, they are written.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from cbstore_sql.core.commands import Command, weights
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.stores.base import Store

# What a report counts, and its random number: they may differ within one batch.
_COUNTED = frozenset({"failures", "successes", *weights(0.0, 0.0), "stretch"})


def combines(command: Command) -> bool:
    """Return whether a command is a failure report that may be combined with others."""
    given = command.parameters
    # A probe's verdict and a report with its own time stay single.
    return command.operation == "record_failure" and given["token"] == "" and given["now"] is None


def kind_of(command: Command) -> Hashable:
    """Return what commands must have in common to be combined."""
    given = {key: value for key, value in command.parameters.items() if key not in _COUNTED}
    return (command.name, *given.items())


class Batch:
    """Failure reports that become one.

    Args:
        command: The first report. Its random number is used for all.
        ahead: How many failures are being written already.

    Attributes:
        name: The breaker's name.
        callers: How many reports the batch holds.
    """

    def __init__(self, command: Command, ahead: int) -> None:
        self.name = command.name
        self._first = command
        self._ahead = ahead
        self._counted = {"failures": 0}
        # What the reports do to a score, one after the other, as one report: see `BreakerPolicy.trip`.
        self._relief = self._evidence = 0.0
        self.callers = 0

    def add(self, command: Command) -> None:
        """Add one report. A report applies its successes first, so they clear the failures before it."""
        failures, successes = command.parameters["failures"], command.parameters["successes"]
        if successes:
            self._counted = {"failures": failures, "successes": self._counted.get("successes", 0) + successes}
        else:
            self._counted["failures"] += failures
        self._weigh(command.parameters["relief"], command.parameters["evidence"])
        self.callers += 1

    @property
    def is_full(self) -> bool:
        """Whether these failures reach the threshold, together with those being written and no others."""
        threshold: int = self._first.parameters["failure_threshold"]
        return self._ahead + self._counted["failures"] >= threshold

    def command(self) -> Command:
        """Return the one command for all."""
        counted = {**self._counted, **weights(self._evidence, self._relief)}
        return self._first._replace(parameters={**self._first.parameters, **counted})

    def _weigh(self, relief: float, evidence: float) -> None:
        """Add a report that takes from a score and then adds to it; a score is never below 0."""
        if self._evidence >= relief:
            self._evidence += evidence - relief
        else:
            self._relief += relief - self._evidence
            self._evidence = evidence


# How many breakers with overlapping failures are remembered. One that is forgotten writes its next failure alone.
_MOST_CROWDED = 1024


class ContentionTracker:
    """Knows which breakers have failures that arrive together; of those, failures are combined."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone: dict[str, int] = {}
        self._crowded: RecentNames[bool] = RecentNames(_MOST_CROWDED)

    def begin_alone(self, command: Command) -> bool:
        """Return whether a failure is isolated and is to be written now. If so, call `end_alone` afterwards."""
        name = command.name
        with self._lock:
            if name in self._alone:
                self._crowded.put(name, True)
            if name in self._crowded:
                return False
            self._alone[name] = command.parameters["failures"]
            return True

    def end_alone(self, command: Command) -> None:
        """Note that an isolated failure is no longer being written."""
        with self._lock:
            self._alone.pop(command.name, None)

    def ahead_of(self, command: Command) -> int:
        """Return how many isolated failures of the same breaker are being written."""
        return self._alone.get(command.name, 0)

    def waited(self, batch: Batch) -> None:
        """Note that a batch waits no longer. If it has one report only, the breaker's failures are isolated again."""
        if batch.callers == 1:
            with self._lock:
                self._crowded.drop(batch.name)


def without_state_change(transition: Transition | None) -> Transition | None:
    """Return the answer for callers whose failure another caller reported: only that caller saw the state change."""
    return None if transition is None else transition._replace(previous_state=transition.snapshot.state)


def _error_for_others(error: BaseException) -> BaseException:
    """Return the error for the other callers of a batch when the one that writes it could not.

    An exception that was raised into that caller's thread on purpose (`KeyboardInterrupt`, a signal handler's) is
    meant for that thread alone.
    """
    if isinstance(error, Exception) and not from_signal_handler(error):
        return error
    return StoreUnavailableError("the thread that reported the failures was interrupted")


class _SyncBatch(Batch):
    def __init__(self, command: Command, ahead: int) -> None:
        super().__init__(command, ahead)
        self.full = threading.Event()
        self._written = threading.Event()
        self._transition: Transition | None = None
        self._error: BaseException | None = None

    def written(self, transition: Transition | None, error: BaseException | None = None) -> None:
        """Give the waiting callers their answer."""
        self._transition, self._error = transition, error
        self._written.set()

    def answer(self) -> Transition | None:
        """Wait for the answer until the deadline."""
        if not self._written.wait(remaining()):
            raise StoreUnavailableError("the failure was not reported in time")
        if self._error is not None:
            raise self._error
        return self._transition


class CombiningStore(Store):
    """A store that combines the failures of a closed circuit; everything else goes straight through.

    Args:
        store: The store that it calls.
        flush_interval: Seconds for which a failure that is not isolated waits for others; more than 0, usually a few
            milliseconds.

    Raises:
        InvalidPolicyError: The interval is not a number of seconds above 0.
    """

    def __init__(self, store: Store, flush_interval: float) -> None:
        super().__init__(store.namespace)
        self.reads_locally = store.reads_locally
        self.keeps_deadlines = store.keeps_deadlines
        self._store = store
        self._interval = check_seconds("flush_interval", flush_interval, minimum=0.0001)
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        """Start without waiting callers: the parent's threads do not exist in a forked process."""
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

    def _check_writable(self) -> None:
        self._store._check_writable()

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
            batch.written(None, _error_for_others(error))
            raise
        batch.written(transition)
        return transition

    def _shut(self, kind: Hashable) -> None:
        with self._lock:
            batch = self._open.pop(kind)
        self._company.waited(batch)

    def _history(self, name: str) -> str:
        return self._store._history(name)

    def _delete(self, name: str) -> None:
        self._store._delete(name)


def combining(store: Store, flush_interval: float) -> Store:
    """Return the store itself for an interval of 0, or a store that combines its failures."""
    return CombiningStore(store, flush_interval) if flush_interval > 0 else store
