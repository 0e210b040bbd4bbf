"""The view of the demo as lines of text, for pipes, logs and simple terminals."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.cli.demo.run_state import RunState
from cbstore_sql.cli.demo.wording import describe_breaker, describe_change, describe_counts

_PERIOD = 2.0


class PlainView:
    """A display of the demo as plain text: one line for each change, and a summary line every two seconds.

    Args:
        write: The function that writes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._changes = 0
        self._healths = 0
        self._next = 0.0

    def show(self, run: RunState) -> None:
        """Write a line for each change of the breaker or the service since the last call of this method.

        Every two seconds, this method also writes a summary line. Before the workers begin, it writes only that the
        demo is starting.

        Args:
            run: The current state of the demo.
        """
        if not self._next:
            self._next = monotonic()
            self._write(f"{len(run.workers)} worker processes, one circuit breaker in {run.place}; starting")
        if not run.began:
            return
        for health in run.health[self._healths :]:
            word = "recovers" if health.healthy else "begins to fail"
            self._write(f"{health.at - run.began:6.2f} s  the service {word}")
        self._healths = len(run.health)
        for change in run.changes[self._changes :]:
            self._write(describe_change(change, run.began))
        self._changes = len(run.changes)
        if monotonic() >= self._next:
            self._next = monotonic() + _PERIOD
            self._write(self._line(run))

    def _line(self, run: RunState) -> str:
        return f"{monotonic() - run.began:6.2f} s  {describe_breaker(run)}; {describe_counts(run)}"
