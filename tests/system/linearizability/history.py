"""What was asked of a store and what it answered: the evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.core.rules import BY_SCORE, UNFENCED

READ = "read"
"""The operation of a read, which the rules know nothing of."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation on one breaker, as its caller saw it.

    Attributes:
        worker: Who called.
        command: What was asked; a read is a command named `READ`.
        began: When it was asked, by the clock that all processes of a machine share, seconds.
        ended: When the answer was there; ``math.inf`` where none came and nobody knows whether it had an effect.
        earliest: Unix seconds when it was asked.
        latest: Unix seconds when the answer was there; ``math.inf`` where none came.
        answer: A `Transition` for an effect, ``None`` for none, a `Snapshot` for a read.
        failures: How many statements of it failed: what a store may repeat, it may have repeated so often.
    """

    worker: int
    command: Command
    began: float
    ended: float
    earliest: float
    latest: float
    answer: Snapshot | Transition | None = None
    failures: int = 0

    @property
    def answered(self) -> bool:
        """Whether it is known what became of it."""
        return self.ended != math.inf

    @property
    def effect(self) -> Transition | None:
        """What it changed, as far as is known."""
        return self.answer if isinstance(self.answer, Transition) else None

    @property
    def silent_twins(self) -> list[Call]:
        """The effects it may have had without anybody having been told: once for each statement that failed.

        Of a count there is one at most, whatever the store did: a count is not to be repeated.
        """
        possible = self.failures if is_repeatable(self.command) else 0
        silent = replace(self, ended=math.inf, latest=math.inf, answer=None, failures=0)
        return [silent] * (possible if self.answered else max(1, possible))

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.command.parameters.items())
        told = "no effect" if self.answer is None else _told(self.answer)
        return (
            f"worker {self.worker} [{self.began:.6f} … {self.ended:.6f}] {self.command.operation}({given})"
            f" -> {told if self.answered else 'no answer'}"
        )


def is_repeatable(command: Command) -> bool:
    """Whether a store may do it again when it does not know whether it was done."""
    if command.operation == "record_success":
        given = command.parameters
        if given["test"] == BY_SCORE and given["token"] == "":
            return False
        return bool(given["generation"] != UNFENCED or given["success_threshold"] == 1)
    return command.operation not in (READ, "record_failure")


def _told(answer: Snapshot | Transition) -> str:
    return str(seen(answer)) if isinstance(answer, Snapshot) else f"{answer.previous_state} -> {seen(answer.snapshot)}"


_FORGOTTEN = Row().previous_state


def visible(row: Row) -> Row:
    """A row as a snapshot shows it: without the state before and the history, and only with a score that counts."""
    score = row.score if row.score_generation == row.generation else 0.0
    return replace(row, previous_state=_FORGOTTEN, history="", score=score, score_generation=row.generation)


def seen(snapshot: Snapshot) -> Row:
    """The row that a snapshot shows."""
    return visible(snapshot._to_row())


def by_name(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """The histories of single breakers: what is linearizable for each is so for all."""
    histories: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        histories[call.command.name].append(call)
    return histories
