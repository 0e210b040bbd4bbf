"""The course of the demo: a service works, fails and recovers, and workers call the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from cbstore_sql.cli.demo.database import DemoDatabase
from cbstore_sql.cli.demo.processes import Child, ChildProcesses
from cbstore_sql.cli.demo.records import BREAKER, Failed
from cbstore_sql.cli.demo.run_state import RunState, WorkerStatus
from cbstore_sql.cli.demo.service import serve
from cbstore_sql.cli.demo.signals import SignalRecorder
from cbstore_sql.cli.demo.timing import Timing
from cbstore_sql.cli.demo.worker import WorkerTask, work

_TICK = 0.1
_START_WITHIN = 60.0
_LAST_WORDS_WITHIN = 20.0


class View(Protocol):
    """The interface of a display that shows the demo while the demo runs."""

    def show(self, run: RunState) -> None:
        """Show the current state of the demo. The scenario calls this method about ten times a second.

        Args:
            run: The state of the demo.
        """


class RunAborted(Exception):
    """Raised when the demo ends early.

    The reason is a signal, a worker that failed, or a process that did not start or ended too early.
    """


class Scenario:
    """One run of the demo: starts the service and the workers, lets the service fail and recover, and ends them.

    Args:
        database: The database with the breaker.
        timing: The planned durations of the parts of the demo.
        workers: The number of workers.
        signals: The recorder of signals. A recorded signal ends the demo.
        view: The display of the demo.
    """

    def __init__(
        self, database: DemoDatabase, timing: Timing, workers: int, signals: SignalRecorder, view: View
    ) -> None:
        lines = [WorkerStatus(number) for number in range(1, workers + 1)]
        self.state = RunState(database.place, timing, lines, leaves=database.leaves)
        self._database = database
        self._signals = signals
        self._view = view
        self._children = ChildProcesses()

    def run(self) -> RunState:
        """Run the demo from beginning to end. When this method returns or raises, all child processes have ended.

        Returns:
            The final state of the demo.

        Raises:
            RunAborted: The demo ended early.
            StoreError: The breaker cannot be read from the database.
        """
        with self._children:
            service = self._children.start("service", serve)
            self._watch(_START_WITHIN, lambda: self.state.port > 0, "the service did not start")
            workers = [self._children.start(line.name, work, self._job(line)) for line in self.state.workers]
            self._watch(
                _START_WITHIN, lambda: all(line.pid for line in self.state.workers), "the workers did not start"
            )
            self._acts(service, workers)
            self._dismiss(workers)
            self._dismiss([service])
        self.state.snapshot = self._database.store.read(BREAKER)
        self._view.show(self.state)
        return self.state

    def _acts(self, service: Child, workers: list[Child]) -> None:
        timing = self.state.timing
        self.state.began = time.monotonic()
        for worker in workers:
            worker.tell(None)
        self._watch(timing.healthy)
        service.tell(False)
        self._watch(timing.failing)
        self._watch(timing.patience, lambda: self.state.probe_failed)
        service.tell(True)
        self._watch(timing.recovering, lambda: len(self.state.served_again()) == len(workers))
        self._watch(timing.calm)

    def _watch(self, seconds: float, done: Callable[[], bool] | None = None, otherwise: str = "") -> None:
        """Read messages and show the demo for some seconds, or until a condition is true.

        Args:
            seconds: The greatest number of seconds.
            done: The condition. ``None`` means that this method waits for the whole time.
            otherwise: The reason with which this method aborts the demo if the condition never became true. ``""``
                means that the demo continues.

        Raises:
            RunAborted: A signal arrived, a process was lost, or the condition never became true.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._listen(_TICK)
            if done is not None and done():
                return
            self._check_processes()
            self.state.snapshot = self._database.store.read(BREAKER)
            self._view.show(self.state)
        if otherwise:
            raise RunAborted(otherwise)

    def _dismiss(self, children: list[Child]) -> None:
        for child in children:
            child.tell(None)
        deadline = time.monotonic() + _LAST_WORDS_WITHIN
        while any(child.present for child in children) and time.monotonic() < deadline:
            self._listen(_TICK)

    def _listen(self, timeout: float) -> None:
        for child, message in self._children.listen(timeout):
            if isinstance(message, Failed):
                raise RunAborted(f"{child.name}: {message.reason}")
            self.state.take(message)

    def _check_processes(self) -> None:
        if self._signals.signum is not None:
            raise RunAborted
        for child in self._children.children:
            if not child.present:
                raise RunAborted(f"{child.name} ended unexpectedly")

    def _job(self, line: WorkerStatus) -> WorkerTask:
        database = self._database
        return WorkerTask(
            line.number, database.url, database.schema, database.store.namespace, self.state.port, self.state.timing
        )
