"""What was asked of a store and what it answered: the evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields

from cbstore_sql.commands import Command
from cbstore_sql.model import Row, Snapshot, Transition

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
    """

    worker: int
    command: Command
    began: float
    ended: float
    earliest: float
    latest: float
    answer: Snapshot | Transition | None = None

    @property
    def answered(self) -> bool:
        """Whether it is known what became of it."""
        return self.ended != math.inf

    @property
    def effect(self) -> Transition | None:
        """What it changed, as far as is known."""
        return self.answer if isinstance(self.answer, Transition) else None

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.command.given.items())
        told = "no effect" if self.answer is None else _told(self.answer)
        return (
            f"worker {self.worker} [{self.began:.6f} … {self.ended:.6f}] {self.command.operation}({given})"
            f" -> {told if self.answered else 'no answer'}"
        )


def _told(answer: Snapshot | Transition) -> str:
    return str(seen(answer)) if isinstance(answer, Snapshot) else f"{answer.previous_state} -> {seen(answer.snapshot)}"


_SHOWN = tuple(field.name for field in fields(Row) if field.name != "previous_state")


def seen(snapshot: Snapshot) -> Row:
    """The row that a snapshot shows, without the state before, which it does not show."""
    return Row(**{column: getattr(snapshot, column) for column in _SHOWN} | {"state": snapshot.state.value})


def by_name(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """The histories of single breakers: what is linearizable for each is so for all."""
    histories: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        histories[call.command.name].append(call)
    return histories
