"""The scenario: a service works, fails and recovers while workers call it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from cbstore_sql.cli.demo.database import Stage
from cbstore_sql.cli.demo.processes import Crew, Member
from cbstore_sql.cli.demo.records import BREAKER, Failed
from cbstore_sql.cli.demo.run_state import Board, WorkerLine
from cbstore_sql.cli.demo.service import serve
from cbstore_sql.cli.demo.signals import Stopper
from cbstore_sql.cli.demo.timing import Pace
from cbstore_sql.cli.demo.worker import Job, work

_TICK = 0.1
_START_WITHIN = 60.0
_LAST_WORDS_WITHIN = 20.0


class View(Protocol):
    """Shows a run while it is under way."""

    def show(self, board: Board) -> None:
        """Show the current state; called about ten times a second."""


class BrokenOff(Exception):
    """The run was cut short by a signal or by a process that ended."""


class Play:
    """One run.

    Args:
        stage: The database.
        pace: The times.
        workers: How many workers.
        stopper: Knows whether a signal to end came.
        view: Shows the run.
    """

    def __init__(self, stage: Stage, pace: Pace, workers: int, stopper: Stopper, view: View) -> None:
        lines = [WorkerLine(number) for number in range(1, workers + 1)]
        self.board = Board(stage.place, pace, lines, leaves=stage.leaves)
        self._stage = stage
        self._stopper = stopper
        self._view = view
        self._crew = Crew()

    def run(self) -> Board:
        """Play the scenario from beginning to end; afterwards none of its processes is left.

        Raises:
            BrokenOff: The run was cut short.
            StoreError: The database failed.
        """
        with self._crew:
            service = self._crew.start("service", serve)
            self._watch(_START_WITHIN, lambda: self.board.port > 0, "the service did not start")
            workers = [self._crew.start(line.name, work, self._job(line)) for line in self.board.workers]
            self._watch(
                _START_WITHIN, lambda: all(line.pid for line in self.board.workers), "the workers did not start"
            )
            self._acts(service, workers)
            self._dismiss(workers)
            self._dismiss([service])
        self.board.snapshot = self._stage.store.read(BREAKER)
        self._view.show(self.board)
        return self.board

    def _acts(self, service: Member, workers: list[Member]) -> None:
        pace = self.board.pace
        self.board.began = time.monotonic()
        for worker in workers:
            worker.tell(None)
        self._watch(pace.healthy)
        service.tell(False)
        self._watch(pace.failing)
        self._watch(pace.patience, lambda: self.board.probe_failed)
        service.tell(True)
        self._watch(pace.recovering, lambda: len(self.board.served_again()) == len(workers))
        self._watch(pace.calm)

    def _watch(self, seconds: float, done: Callable[[], bool] | None = None, otherwise: str = "") -> None:
        """Listen and show for some seconds, or until ``done``; then raise ``otherwise``, if given and not done."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._listen(_TICK)
            if done is not None and done():
                return
            self._check_processes()
            self.board.snapshot = self._stage.store.read(BREAKER)
            self._view.show(self.board)
        if otherwise:
            raise BrokenOff(otherwise)

    def _dismiss(self, members: list[Member]) -> None:
        for member in members:
            member.tell(None)
        deadline = time.monotonic() + _LAST_WORDS_WITHIN
        while any(member.present for member in members) and time.monotonic() < deadline:
            self._listen(_TICK)

    def _listen(self, timeout: float) -> None:
        for member, message in self._crew.listen(timeout):
            if isinstance(message, Failed):
                raise BrokenOff(f"{member.name}: {message.reason}")
            self.board.take(message)

    def _check_processes(self) -> None:
        if self._stopper.signum is not None:
            raise BrokenOff
        for member in self._crew.members:
            if not member.present:
                raise BrokenOff(f"{member.name} ended unexpectedly")

    def _job(self, line: WorkerLine) -> Job:
        stage = self._stage
        return Job(line.number, stage.url, stage.schema, stage.store.namespace, self.board.port, self.board.pace)
