"""What a soak consists of, and what its workers report."""

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
    """One soak.

    Attributes:
        seconds: How long the workers work.
        seed: Of the schedule of faults and of everything else that is random.
        begins: When the first round begins, by the clock that all processes of a machine share.
    """

    seconds: float
    seed: int
    begins: float

    @property
    def rounds(self) -> int:
        """How many rounds there are."""
        return max(1, round(self.seconds / ROUND_SECONDS))

    def left_of(self, round_: int) -> float:
        """Seconds until a round ends."""
        return self.begins + (round_ + 1) * ROUND_SECONDS - time.monotonic()


@dataclass
class Report:
    """What one worker did in one round.

    Attributes:
        worker: Its name.
        round: Which round; one after the last tells what came after everything was closed.
        calls: What was asked of the store and what it answered.
        guarded: How guarded calls ended.
        probes: The permits that calls were let through with as probes.
        slowest: The longest that a guarded call took beyond its dependency, seconds.
        wrongs: What must not be, in words.
        usage: What is held after the round.
    """

    worker: str
    round: int
    calls: list[Call] = field(default_factory=list)
    guarded: Counter[str] = field(default_factory=Counter)
    probes: list[Permit] = field(default_factory=list)
    slowest: float = 0.0
    wrongs: list[str] = field(default_factory=list)
    usage: Usage | None = None
