"""The recorded calls of a store and their answers."""

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
        worker: The number of the caller.
        command: The command. A read is a command named `READ`.
        began: When the call began, in seconds by the clock that all processes of a machine share.
        ended: When the answer arrived; ``math.inf`` without an answer, when the effect is unknown.
        earliest: The beginning in Unix seconds.
        latest: The end in Unix seconds; ``math.inf`` without an answer.
        answer: A `Transition` for an effect, ``None`` for none, a `Snapshot` for a read.
        failures: The number of failed statements. The store may have repeated the call so often.
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
        """Whether the call has an answer, so that its effect is known."""
        return self.ended != math.inf

    @property
    def effect(self) -> Transition | None:
        """The change of the call, if it is known."""
        return self.answer if isinstance(self.answer, Transition) else None

    @property
    def silent_twins(self) -> list[Call]:
        """Return the changes that the call may have made without an answer, one for each failed statement.

        A count has at most one such change, because a store must not repeat a count.
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
    """Whether a store may repeat the call if its effect is unknown."""
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
    """Return the parts of a row that a snapshot shows: no previous state, no history, and only a valid score."""
    score = row.score if row.score_generation == row.generation else 0.0
    return row._replace(previous_state=_FORGOTTEN, history="", score=score, score_generation=row.generation)


def seen(snapshot: Snapshot) -> Row:
    """Return the row that a snapshot shows."""
    return visible(snapshot._to_row())


def by_name(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Divide a history by breaker. The whole is linearizable if the history of each breaker is."""
    histories: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        histories[call.command.name].append(call)
    return histories
