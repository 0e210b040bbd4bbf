"""The run as plain lines of text, for pipes, logs and simple terminals."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.cli.demo.run_state import Board
from cbstore_sql.cli.demo.wording import breaker_words, change_words, count_words

_PERIOD = 2.0


class PlainView:
    """Writes a line for each change, and one every two seconds.

    Args:
        write: Takes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._changes = 0
        self._healths = 0
        self._next = 0.0

    def show(self, board: Board) -> None:
        """Write what has changed since the last call."""
        if not self._next:
            self._next = monotonic()
            self._write(f"{len(board.workers)} worker processes, one circuit breaker in {board.place}; starting")
        if not board.began:
            return
        for health in board.health[self._healths :]:
            word = "recovers" if health.healthy else "begins to fail"
            self._write(f"{health.at - board.began:6.2f} s  the service {word}")
        self._healths = len(board.health)
        for change in board.changes[self._changes :]:
            self._write(change_words(change, board.began))
        self._changes = len(board.changes)
        if monotonic() >= self._next:
            self._next = monotonic() + _PERIOD
            self._write(self._line(board))

    def _line(self, board: Board) -> str:
        return f"{monotonic() - board.began:6.2f} s  {breaker_words(board)}; {count_words(board)}"
