"""When a dependency was broken, found in a log after the fact.

Whether an opened circuit was right cannot be told from the circuit. So the log is first divided into healthy and broken
stretches, in the way that makes it most likely: a Viterbi path over two states, in which entering or leaving a broken
stretch must be worth a likelihood ratio of a thousand. The failure rates of both states are estimated from the
log itself. This looks at the whole log, before and after each call, which no breaker can do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from cbstore_sql.core.model import Verdict
from cbstore_sql.replay.log import LoggedCall

# What a change between healthy and broken must be worth; without it every second failure would be an outage.
_SWITCH = math.log(1000.0)

_ROUNDS = 4
_HEALTHY_RATES = (0.001, 0.3)
_BROKEN_RATES = (0.45, 0.99)


class Outage(NamedTuple):
    """One stretch of calls that mostly failed.

    Attributes:
        began: When its first failed call ended, Unix seconds.
        ended: When its last failed call ended, Unix seconds.
        calls: How many calls it holds.
        failures: How many of them failed.
    """

    began: float
    ended: float
    calls: int
    failures: int


class Health(NamedTuple):
    """What a log says about the dependency.

    Attributes:
        outages: Its outages, in order.
        failure_rate: The share of calls that failed outside them.
        worst_rate: The same for the worst stretch of a few hundred calls outside them.
    """

    outages: list[Outage]
    failure_rate: float
    worst_rate: float


def health_of(calls: Sequence[LoggedCall], slow_after: float | None = None) -> Health:
    """Divide a log into healthy and broken stretches.

    Args:
        calls: In the order in which they ended.
        slow_after: Seconds after which an answered call counts as failed; ``None`` lets calls take any time.
    """
    judged = [call for call in calls if call.verdict is not Verdict.NONE]
    failed = [has_failed(call, slow_after) for call in judged]
    healthy, broken = 0.02, 0.7
    marks = [False] * len(failed)
    for _ in range(_ROUNDS):
        marks = _broken_calls(failed, healthy, broken)
        healthy = _rate(failed, marks, False, _HEALTHY_RATES)
        broken = _rate(failed, marks, True, _BROKEN_RATES)
    outside = [failure for failure, mark in zip(failed, marks, strict=True) if not mark]
    rate = sum(outside) / len(outside) if outside else 0.0
    return Health(_outages(judged, failed, marks), rate, _worst(outside, rate))


def has_failed(call: LoggedCall, slow_after: float | None) -> bool:
    """Whether a call counts as failed: it did, or it took longer than ``slow_after`` seconds."""
    slow = slow_after is not None and call.verdict is Verdict.SUCCESS and call.seconds > slow_after
    return slow or call.verdict is Verdict.FAILURE


def _broken_calls(failed: Sequence[bool], healthy: float, broken: float) -> list[bool]:
    """Return for each call whether it lies in a broken stretch."""
    fails, answers = math.log(broken / healthy), math.log((1 - broken) / (1 - healthy))
    # How much more likely the best division that ends broken is than the best that ends healthy.
    lead = -_SWITCH
    entered, left = [], []
    for failure in failed:
        entered.append(lead < -_SWITCH)
        left.append(lead > _SWITCH)
        lead = min(max(lead, -_SWITCH), _SWITCH) + (fails if failure else answers)
    marks, state = [], lead > 0.0
    for enters, leaves in zip(reversed(entered), reversed(left), strict=True):
        marks.append(state)
        # Where either path came from the other state, so did the one that is followed.
        state = (state and not enters) or (not state and leaves)
    return marks[::-1]


def _rate(failed: Sequence[bool], marks: Sequence[bool], kind: bool, bounds: tuple[float, float]) -> float:
    chosen = [failure for failure, mark in zip(failed, marks, strict=True) if mark is kind]
    low, high = bounds
    return min(max(sum(chosen) / len(chosen) if chosen else low, low), high)


def _outages(calls: Sequence[LoggedCall], failed: Sequence[bool], marks: Sequence[bool]) -> list[Outage]:
    found: list[Outage] = []
    inside: list[int] = []
    for index, mark in enumerate([*marks, False]):
        if mark:
            inside.append(index)
        elif inside:
            failures = [at for at in inside if failed[at]]
            found.append(Outage(calls[failures[0]].ended, calls[failures[-1]].ended, len(inside), len(failures)))
            inside = []
    return found


_WORST_STRETCH = 300


def _worst(outside: Sequence[bool], rate: float) -> float:
    size = min(_WORST_STRETCH, len(outside))
    if size == 0:
        return rate
    worst = running = sum(outside[:size])
    for index in range(size, len(outside)):
        running += outside[index] - outside[index - size]
        worst = max(worst, running)
    return worst / size
