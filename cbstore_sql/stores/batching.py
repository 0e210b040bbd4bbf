"""Stores that combine failures: failures that arrive together in one process become one write.

While a dependency is down, every call fails, and each failure updates the same row. A failure that arrives alone is
written at once. A failure that arrives while another failure of the same breaker is being written waits
``flush_interval`` seconds for more failures. Then one statement adds all waiting failures, and each caller gets an
answer when the statement has committed. Later failures of the breaker also wait, until only one failure arrives during
a wait.

Every caller waits until its failure is written, so a crash loses no failure that was reported. The circuit opens with
the same failure as without batching: the waiting failures are written as soon as they would reach the threshold from
zero.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.score import weights
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.stores.base import Store

# The parameters that may differ within one batch: the counts of a report, and the random number of a report.
_COUNTED = frozenset({"failures", "successes", *weights(0.0, 0.0), "stretch"})


def combines(command: Command) -> bool:
    """Return whether a command is a report of failures that one write may combine with other reports.

    A report of a probe and a report with its own time are never combined.

    Args:
        command: The command.
    """
    given = command.parameters
    # The report of a probe must take effect at once, and a report with a time must keep its time.
    return command.operation == "record_failure" and given["token"] == "" and given["now"] is None


def kind_of(command: Command) -> Hashable:
    """Return a key that is equal for two failure reports if one write may combine them.

    Args:
        command: The failure report.
    """
    given = {key: value for key, value in command.parameters.items() if key not in _COUNTED}
    return (command.name, *given.items())


class Batch:
    """A group of failure reports of one breaker that are written together as one report.

    Args:
        command: The first report, whose random number the combined report uses. The constructor does not count the
            report: the caller must also pass it to `add`.
        ahead: The number of failures of the same breaker that another caller is writing now.

    Attributes:
        name: The breaker's name.
        callers: The number of reports in the batch. Each report comes from one waiting caller.
    """

    def __init__(self, command: Command, ahead: int) -> None:
        self.name = command.name
        self._first = command
        self._ahead = ahead
        self._counted = {"failures": 0}
        # The decrease and the increase of the score by all reports, one after the other; see `BreakerPolicy.trip`.
        self._relief = self._evidence = 0.0
        self.callers = 0

    def add(self, command: Command) -> None:
        """Add one failure report to the batch.

        The successes of a report came before its failures. So if the report has successes, the failures in a row of the
        whole batch start again with this report.

        Args:
            command: The report. It must be of the same kind as the first report; see `kind_of`.
        """
        failures, successes = command.parameters["failures"], command.parameters["successes"]
        if successes:
            self._counted = {"failures": failures, "successes": self._counted.get("successes", 0) + successes}
        else:
            self._counted["failures"] += failures
        self._weigh(command.parameters["relief"], command.parameters["evidence"])
        self.callers += 1

    @property
    def is_full(self) -> bool:
        """Whether the batch must be written now, because it may open the circuit.

        The batch is full if its failures, together with the failures that are being written now, reach the failure
        threshold.
        """
        threshold: int = self._first.parameters["failure_threshold"]
        return self._ahead + self._counted["failures"] >= threshold

    def command(self) -> Command:
        """Return one command that reports all failures of the batch."""
        counted = {**self._counted, **weights(self._evidence, self._relief)}
        return self._first._replace(parameters={**self._first.parameters, **counted})

    def _weigh(self, relief: float, evidence: float) -> None:
        """Add the effect of one report on the score, under `FailureRate`.

        Args:
            relief: The decrease of the score by the successes. The score never falls below 0.
            evidence: The increase of the score by the failures, after the decrease.
        """
        if self._evidence >= relief:
            self._evidence += evidence - relief
        else:
            self._relief += relief - self._evidence
            self._evidence = evidence


# The largest number of breakers that the tracker remembers. If it forgets a breaker, the next failure is written alone.
_MOST_CROWDED = 1024


class ContentionTracker:
    """Remembers which breakers have failures that arrive together, so that these failures are written in batches.

    Threads may share one tracker.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone: dict[str, int] = {}
        self._crowded: RecentNames[bool] = RecentNames(_MOST_CROWDED)

    def begin_alone(self, command: Command) -> bool:
        """Decide whether a failure report is written at once or joins a batch.

        A report joins a batch if another report of the same breaker is being written now, or was recently.

        Args:
            command: The failure report.

        Returns:
            ``True`` if the caller must write the report at once, and then call `end_alone`. ``False`` if the caller
            must add the report to a batch.
        """
        name = command.name
        with self._lock:
            if name in self._alone:
                self._crowded.put(name, True)
            if name in self._crowded:
                return False
            self._alone[name] = command.parameters["failures"]
            return True

    def end_alone(self, command: Command) -> None:
        """Note that the write of a failure report, for which `begin_alone` returned ``True``, has ended.

        Args:
            command: The failure report.
        """
        with self._lock:
            self._alone.pop(command.name, None)

    def ahead_of(self, command: Command) -> int:
        """Return how many failures of a breaker are being written now by a caller that joined no batch.

        Args:
            command: A failure report; it names the breaker.
        """
        return self._alone.get(command.name, 0)

    def waited(self, batch: Batch) -> None:
        """Note that a batch has stopped waiting for more failures.

        If only one report arrived during the wait, the next failure of the breaker is written at once again.

        Args:
            batch: The batch that stopped waiting.
        """
        if batch.callers == 1:
            with self._lock:
                self._crowded.drop(batch.name)


def without_state_change(transition: Transition | None) -> Transition | None:
    """Return a copy of a transition in which the previous state equals the new state.

    When one caller writes the failures of several callers in a batch, the other callers get this copy. So only the
    caller that wrote the batch sees the change of state, and each change is seen once.

    Args:
        transition: The answer for the caller that wrote the batch; ``None`` gives ``None``.
    """
    return None if transition is None else transition._replace(previous_state=transition.snapshot.state)


def _error_for_others(error: BaseException) -> BaseException:
    """Return the error for the callers that waited for another thread's write, after the write failed.

    An interrupt of the writing thread (`KeyboardInterrupt`, or an exception of a signal handler) concerns only the
    writing thread. So after an interrupt, the waiting callers get a `StoreUnavailableError`.

    Args:
        error: The error in the writing thread.
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
        """Set the outcome of the write, so that the waiting callers go on.

        Args:
            transition: The store's answer, or ``None`` if the write failed or the permit is stale.
            error: The error of the write, or ``None`` if the write succeeded.
        """
        self._transition, self._error = transition, error
        self._written.set()

    def answer(self) -> Transition | None:
        """Wait for the outcome of the write until the deadline, and return the store's answer.

        Raises:
            StoreUnavailableError: The write had no outcome by the deadline.
        """
        if not self._written.wait(remaining()):
            raise StoreUnavailableError("the failure was not reported in time")
        if self._error is not None:
            raise self._error
        return self._transition


class CombiningStore(Store):
    """A store that passes all operations to another store, and combines failures that arrive together into one write.

    Args:
        store: The store that carries out the operations. `close` of this object closes that store.
        flush_interval: Seconds for which a failure waits for more failures if others of its breaker are being written;
            at least 0.0001, usually 0.001.

    Raises:
        InvalidPolicyError: ``flush_interval`` is out of range.
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
        """Forget all waiting callers in a forked process, because the parent's threads do not exist there."""
        self._lock = threading.Lock()
        self._company = ContentionTracker()
        self._open: dict[Hashable, _SyncBatch] = {}

    def close(self) -> None:
        """Close the store to which this object passes its operations."""
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

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send a success without waiting, if the other store can; see `Store.send_success`."""
        return self._store.send_success(permit, policy)

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
    """Return a store that combines failures that arrive together into one write, or the given store itself.

    Args:
        store: The store that carries out the operations.
        flush_interval: Seconds for which a failure waits for more failures. 0 means that no failure waits; then the
            function returns ``store`` itself.
    """
    return CombiningStore(store, flush_interval) if flush_interval > 0 else store
