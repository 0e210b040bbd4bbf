"""The outages of a dependency, which this module finds in a log of calls.

A replay must know when the dependency was really broken: only then can it tell a correct opening from a false alarm.
This module therefore divides the log into healthy and broken stretches of calls. It chooses the most likely division: a
Viterbi path over two states. Each change between healthy and broken must make the division a thousand times more
likely. The module estimates the failure rates of both states from the log. For each call it uses all calls of the log,
before and after the call. A breaker cannot do this, because it does not know the later calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from cbstore_sql.core.model import Verdict
from cbstore_sql.replay.log import LoggedCall

# The gain in log-likelihood that a change between healthy and broken needs. Without it, every second failure would be
# an outage.
_SWITCH = math.log(1000.0)

_ROUNDS = 4
_HEALTHY_RATES = (0.001, 0.3)
_BROKEN_RATES = (0.45, 0.99)


class Outage(NamedTuple):
    """A stretch of calls of which most failed.

    Attributes:
        began: The time at which the first failed call of the stretch ended, in Unix seconds.
        ended: The time at which the last failed call of the stretch ended, in Unix seconds.
        calls: The number of calls in the stretch.
        failures: The number of failed calls in the stretch.
    """

    began: float
    ended: float
    calls: int
    failures: int


class Health(NamedTuple):
    """The health of a dependency, computed from a log of calls.

    Attributes:
        outages: The outages of the dependency, in the order of time.
        failure_rate: The share of failed calls among all calls outside outages, from 0 to 1. 0 if no call was outside.
        worst_rate: The greatest share of failed calls among 300 successive calls outside outages, from 0 to 1. If there
            are fewer than 300 such calls, the same number as ``failure_rate``.
    """

    outages: list[Outage]
    failure_rate: float
    worst_rate: float


def health_of(calls: Sequence[LoggedCall], slow_after: float | None = None) -> Health:
    """Divide a log into healthy and broken stretches, and return the health of the dependency.

    The function ignores calls whose verdict is `Verdict.NONE`.

    Args:
        calls: The calls of the log, in the order in which they ended.
        slow_after: Seconds. A successful call that took longer counts as failed. ``None`` means that a successful call
            may take any time.
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
    """Return whether a call counts as failed: the call failed, or the call succeeded too slowly.

    Args:
        call: The call.
        slow_after: Seconds. A successful call that took longer counts as failed. ``None`` means that a successful call
            may take any time.
    """
    slow = slow_after is not None and call.verdict is Verdict.SUCCESS and call.seconds > slow_after
    return slow or call.verdict is Verdict.FAILURE


def _broken_calls(failed: Sequence[bool], healthy: float, broken: float) -> list[bool]:
    """Return for each call whether the call belongs to a broken stretch.

    Args:
        failed: For each call in the order of time, whether the call failed.
        healthy: The share of failed calls while the dependency is healthy, from 0 to 1.
        broken: The share of failed calls while the dependency is broken, from 0 to 1.
    """
    fails, answers = math.log(broken / healthy), math.log((1 - broken) / (1 - healthy))
    # The log-likelihood of the best division that ends broken, minus that of the best division that ends healthy.
    lead = -_SWITCH
    entered, left = [], []
    for failure in failed:
        entered.append(lead < -_SWITCH)
        left.append(lead > _SWITCH)
        lead = min(max(lead, -_SWITCH), _SWITCH) + (fails if failure else answers)
    marks, state = [], lead > 0.0
    for enters, leaves in zip(reversed(entered), reversed(left), strict=True):
        marks.append(state)
        # If the followed path entered its state at this call, the previous call was in the other state.
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
