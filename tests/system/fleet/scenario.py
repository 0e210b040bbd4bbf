"""A scenario of a fleet and the outcome of one run, for simulated and for real processes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from cbstore_sql import BreakerPolicy


@dataclass(frozen=True)
class Scenario:
    """A fleet of equal processes that call one dependency.

    Each process makes calls at random moments (Poisson). Calls fail independently.

    Attributes:
        processes: The number of processes.
        rate: Calls a second of each.
        failing: The share of calls that fail.
        policy: The policy of the breaker.
        seconds: How long the run takes.
        breaks_at: When the dependency breaks, in seconds from the start; ``None`` means never.
        failing_then: The share of calls that fail from then on. The run ends with the first trip after it.
        poisoned_rate: Calls a second of one more process, all of whose calls fail; 0 means that there is none.
        max_staleness: See `CircuitBreaker`, seconds.
    """

    processes: int
    rate: float
    failing: float
    policy: BreakerPolicy
    seconds: float
    breaks_at: float | None = None
    failing_then: float = 1.0
    poisoned_rate: float = 0.0
    max_staleness: float = 0.25

    def members(self) -> Iterable[Member]:
        """Return the processes of the fleet."""
        yield from (Member(self.rate, poisoned=False) for _ in range(self.processes))
        if self.poisoned_rate:
            yield Member(self.poisoned_rate, poisoned=True)

    def fails(self, rng: random.Random, after: float) -> bool:
        """Decide whether a call that is made some seconds after the start fails."""
        broken = self.breaks_at is not None and after >= self.breaks_at
        return rng.random() < (self.failing_then if broken else self.failing)


@dataclass(frozen=True)
class Member:
    """One process: its calls a second, and whether all of them fail."""

    rate: float
    poisoned: bool


@dataclass
class Outcome:
    """The outcome of one run.

    Attributes:
        calls: Calls that were made.
        refused: Calls that were not.
        failed_after_break: Failed calls from the break to the trip.
        trips: How often the circuit opened from closed.
        writes: Statements that changed the row.
        refreshes: Statements that read it again in the background.
        opened_after: Seconds from the break to the trip; ``None`` without a trip.
        followed_after: Seconds from the trip until the last process refused calls.
    """

    calls: int = 0
    refused: int = 0
    failed_after_break: int = 0
    trips: int = 0
    writes: int = 0
    refreshes: int = 0
    opened_after: float | None = None
    followed_after: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Summary:
    """The outcomes of several runs of one scenario."""

    outcomes: list[Outcome]

    @property
    def trips(self) -> int:
        return sum(outcome.trips for outcome in self.outcomes)

    @property
    def calls(self) -> int:
        return sum(outcome.calls for outcome in self.outcomes)

    @property
    def writes_per_1000(self) -> float:
        return 1000 * sum(outcome.writes for outcome in self.outcomes) / self.calls

    @property
    def refreshes_per_1000(self) -> float:
        return 1000 * sum(outcome.refreshes for outcome in self.outcomes) / self.calls

    @property
    def opened_after(self) -> float:
        """The mean time to the trip, in seconds; infinite if a run did not trip."""
        times = [outcome.opened_after for outcome in self.outcomes]
        return fmean(time for time in times if time is not None) if None not in times else float("inf")

    @property
    def failed(self) -> float:
        return fmean(outcome.failed_after_break for outcome in self.outcomes)

    @property
    def most_failed(self) -> int:
        return max(outcome.failed_after_break for outcome in self.outcomes)

    @property
    def slowest_follower(self) -> float:
        return max((time for outcome in self.outcomes for time in outcome.followed_after), default=0.0)


def consistent_trips(failing: float, threshold: int, calls: int) -> float:
    """Return how often a breaker that sees every call at once trips on failures in a row, on average."""
    return calls * (1 - failing) / (failing**-threshold - 1)
