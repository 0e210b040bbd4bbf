"""Searches for an order of the calls in which the state machine gives the recorded answers.

The search is Wing and Gong's with Lowe's memory of what was tried: a call may come next if no call still to come had
ended before it began; a state of the search is the set of calls already ordered and the row they left. A call without
an answer may come anywhere after it began, or never. A call that agrees with the row and leaves it as it is comes next
at once: that takes no other order away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cbstore_sql.core.model import Row, Transition
from tests.system.linearizability.history import Call, by_name
from tests.system.linearizability.outcomes import after_answer, after_silence

MAX_STATES = 500_000


class TooManyOrdersError(Exception):
    """Raised when a history has too many simultaneous calls without an answer."""


@dataclass(frozen=True)
class Violation:
    """No order of the calls explains the answers.

    Attributes:
        name: The breaker.
        ordered: The number of calls that the best attempt could order.
        row: The row after these calls.
        stuck: The calls of which one should follow next.
    """

    name: str
    ordered: int
    row: Row
    stuck: tuple[Call, ...]

    def __str__(self) -> str:
        calls = "\n  ".join(map(str, self.stuck))
        reached = f"{self.name}: after {self.ordered} calls the breaker is\n  {self.row}\n"
        return f"{reached}and none of these can follow:\n  {calls}"


class _Progress(NamedTuple):
    """The ordered calls: all answered ones before ``base``, those in ``mask``, and the silent ones in ``taken``."""

    base: int
    mask: int
    taken: int
    row: Row


def check(calls: Iterable[Call]) -> list[Violation]:
    """Check the histories of several breakers, each from its first call.

    Raises:
        TooManyOrdersError: A history has too many possible orders.
    """
    found = (check_one(history) for history in by_name(calls).values())
    return [violation for violation in found if violation is not None]


def check_one(calls: Sequence[Call]) -> Violation | None:
    """Check the history of one breaker.

    Raises:
        TooManyOrdersError: The history has too many possible orders.
    """
    return _Search(calls).run()


class _Search:
    def __init__(self, calls: Sequence[Call]) -> None:
        in_order = sorted(calls, key=lambda call: call.began)
        self._answered = [call for call in in_order if call.answered]
        self._silent = [twin for call in in_order for twin in call.silent_twins]
        self._best = _Progress(0, 0, 0, Row())

    def run(self) -> Violation | None:
        stack = [self._best]
        tried = set(stack)
        while stack:
            progress = self._settled(stack.pop())
            if progress.base == len(self._answered):
                return None
            if self._ordered(progress) > self._ordered(self._best):
                self._best = progress
            for following in self._moves(progress):
                if following not in tried:
                    tried.add(following)
                    stack.append(following)
            if len(tried) > MAX_STATES:
                raise TooManyOrdersError(f"{len(tried)} orders of {len(self._answered)} calls tried")
        return self._violation()

    def _next(self, progress: _Progress) -> tuple[list[int], float]:
        """Return the answered calls that may follow next, and the earliest end of a call."""
        upcoming, first_end = [], math.inf
        for index in range(progress.base, len(self._answered)):
            call = self._answered[index]
            if call.began > first_end:
                break
            if not progress.mask >> (index - progress.base) & 1:
                upcoming.append(index)
                first_end = min(first_end, call.ended)
        return upcoming, first_end

    def _settled(self, progress: _Progress) -> _Progress:
        """Order every call that changes nothing."""
        again = True
        while again:
            again = False
            for index in self._next(progress)[0]:
                call = self._answered[index]
                if not isinstance(call.answer, Transition) and after_answer(progress.row, call) is progress.row:
                    progress = _with(progress, index, progress.row)
                    again = True
        return progress

    def _moves(self, progress: _Progress) -> Iterator[_Progress]:
        upcoming, first_end = self._next(progress)
        for number, call in enumerate(self._silent):
            if call.began > first_end:
                break
            row = None if progress.taken >> number & 1 else after_silence(progress.row, call)
            if row not in (None, progress.row):
                yield progress._replace(taken=progress.taken | 1 << number, row=row)
        for index in upcoming:
            after = after_answer(progress.row, self._answered[index])
            if after is not None:
                yield _with(progress, index, after)

    def _ordered(self, progress: _Progress) -> int:
        return progress.base + progress.mask.bit_count()

    def _violation(self) -> Violation:
        upcoming, _ = self._next(self._best)
        stuck = tuple(self._answered[index] for index in upcoming)
        return Violation(stuck[0].command.name, self._ordered(self._best), self._best.row, stuck)


def _with(progress: _Progress, index: int, row: Row) -> _Progress:
    base, mask = progress.base, progress.mask | 1 << (index - progress.base)
    while mask & 1:
        base, mask = base + 1, mask >> 1
    return _Progress(base, mask, progress.taken, row)
