"""Alternatives that take turns in one process, each call timed by itself."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TypeVar

from benchmarks.sizes import Sizes

NANOSECONDS = 1_000_000_000

T = TypeVar("T")

Turn = Callable[[int, float], "array[int]"]
"""Makes some calls, within some seconds, and returns how long each took, nanoseconds."""


@dataclass(frozen=True)
class Contestant:
    """One alternative.

    Attributes:
        name: The row of the table.
        turn: Makes its calls.
    """

    name: str
    turn: Turn


@dataclass(frozen=True)
class Latency:
    """How long one alternative's calls took, microseconds."""

    median: float
    p99: float


def calling(operation: Callable[[], object], prepare: Callable[[], object] | None = None) -> Turn:
    """Time an operation.

    Args:
        operation: What is timed.
        prepare: What is done before each, untimed.
    """

    def turn(calls: int, seconds: float) -> array[int]:
        taken = array("q")
        deadline = perf_counter_ns() + int(seconds * NANOSECONDS)
        for _ in range(calls):
            if prepare is not None:
                prepare()
            began = perf_counter_ns()
            operation()
            ended = perf_counter_ns()
            taken.append(ended - began)
            if ended > deadline:
                break
        return taken

    return turn


def awaiting(loop: asyncio.AbstractEventLoop, operation: Callable[[], Awaitable[object]]) -> Turn:
    """Time an asynchronous operation, awaited one after the other in a loop that runs only meanwhile."""

    async def awaited(calls: int, seconds: float) -> array[int]:
        taken = array("q")
        deadline = perf_counter_ns() + int(seconds * NANOSECONDS)
        for _ in range(calls):
            began = perf_counter_ns()
            await operation()
            ended = perf_counter_ns()
            taken.append(ended - began)
            if ended > deadline:
                break
        return taken

    return lambda calls, seconds: loop.run_until_complete(awaited(calls, seconds))


def take_turns(contestants: Sequence[Contestant], sizes: Sizes) -> dict[str, Latency]:
    """Let the alternatives take turns, each round in another order, after one turn that does not count."""
    taken = {contestant.name: array("q") for contestant in contestants}
    for contestant in contestants:
        contestant.turn(sizes.calls // 4 + 1, sizes.turn)
    for number in range(sizes.rounds):
        for contestant in rotated(contestants, number):
            taken[contestant.name].extend(contestant.turn(sizes.calls, sizes.turn))
    return {name: latency(times) for name, times in taken.items()}


def rotated(members: Sequence[T], number: int) -> list[T]:
    """Return them in the order of one round: another member comes first in the next."""
    first = number % len(members)
    return [*members[first:], *members[:first]]


def latency(nanoseconds: array[int]) -> Latency:
    """Sum up how long calls took."""
    ordered = sorted(nanoseconds)
    return Latency(_quantile(ordered, 0.5), _quantile(ordered, 0.99))


def _quantile(ordered: Sequence[int], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000
