"""The plan of a soak, and the reports of its workers."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from cbstore_sql.core.model import Permit
from tests.system.linearizability.history import Call
from tests.system.soak.usage import Usage

ROUND_SECONDS = 1.0
"""How long the same breakers are used: their histories stay short enough to be searched."""


@dataclass(frozen=True)
class Soak:
    """The parameters of one soak.

    Attributes:
        seconds: The duration of the work.
        seed: The seed of the schedule of faults and of all other random numbers.
        begins: When the first round begins, by the clock that all processes of a machine share.
    """

    seconds: float
    seed: int
    begins: float

    @property
    def rounds(self) -> int:
        """The number of rounds."""
        return max(1, round(self.seconds / ROUND_SECONDS))

    def left_of(self, round_: int) -> float:
        """Return the seconds until a round ends."""
        return self.begins + (round_ + 1) * ROUND_SECONDS - time.monotonic()


@dataclass
class Report:
    """The report of one worker about one round.

    Attributes:
        worker: Its name.
        round: The number of the round. A further report covers the end of the worker.
        calls: The calls of the store with their answers.
        guarded: How guarded calls ended.
        probes: The permits of the calls that were made as probes.
        slowest: The longest that a guarded call took beyond its dependency, seconds.
        wrongs: What must not be, in words.
        usage: The resources of the worker after the round.
    """

    worker: str
    round: int
    calls: list[Call] = field(default_factory=list)
    guarded: Counter[str] = field(default_factory=Counter)
    probes: list[Permit] = field(default_factory=list)
    slowest: float = 0.0
    wrongs: list[str] = field(default_factory=list)
    usage: Usage | None = None
