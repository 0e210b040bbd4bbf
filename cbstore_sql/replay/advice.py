"""The comparison of several policies over one log, and the recommendation of one policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from cbstore_sql.core.policy import BreakerPolicy, FailureRate
from cbstore_sql.replay.engine import Replay, replay
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import Health

# The values that `normal_for` can return. More values between them would hardly change the result of a replay.
_NORMAL_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)

# The values of ``broken``. With a high ``normal``, the first value is so close that the test would need too many calls.
_BROKEN, _CLEARLY_BROKEN = 0.5, 0.7

# A day after the log may be worse than the worst stretch of calls in the log.
_HEADROOM = 1.25


class Candidate(NamedTuple):
    """A policy together with the result of running a log through the policy.

    Attributes:
        label: The arguments of `BreakerPolicy` that distinguish the policy, such as ``failure_threshold=5``.
        policy: The policy.
        result: What a breaker with this policy would have done: openings, false alarms, refused and failed calls.
    """

    label: str
    policy: BreakerPolicy
    result: Replay


def normal_for(health: Health) -> float:
    """Return the ``normal`` of a `FailureRate` policy that suits a dependency.

    Args:
        health: The health of the dependency.

    Returns:
        The smallest rate of 0.01, 0.02, 0.05, 0.1, 0.15, 0.2 and 0.3 that is at least twice ``health.failure_rate`` and
        at least 1.25 times ``health.worst_rate``. If no rate is large enough, 0.3.
    """
    needed = max(health.failure_rate * 2, health.worst_rate * _HEADROOM)
    return next((rate for rate in _NORMAL_RATES if rate >= needed), _NORMAL_RATES[-1])


def candidates(base: BreakerPolicy, normal: float) -> dict[str, BreakerPolicy]:
    """Return the policies to compare.

    Args:
        base: The policy whose times all compared policies have: ``recovery_timeout``, ``slow_after`` and ``ramp_up``.
        normal: The ``normal`` that the log suggests for a `FailureRate` policy; see `normal_for`. It is a share from
            0 to 1.

    Returns:
        The policies by label. Four policies open the circuit after 3, 5, 10 or 20 failures in a row. The others have a
        `FailureRate` whose ``normal`` is 0.02, 0.05, 0.1 or the given ``normal``.
    """
    policies = {f"failure_threshold={count}": replace(base, failure_threshold=count) for count in (3, 5, 10, 20)}
    for rate in sorted({0.02, 0.05, 0.1, normal}):
        broken = _BROKEN if rate < _NORMAL_RATES[-2] else _CLEARLY_BROKEN
        label = f"trip=FailureRate(normal={rate:g}, broken={broken:g})"
        policies[label] = replace(base, trip=FailureRate(normal=rate, broken=broken))
    return policies


def compare(calls: Sequence[LoggedCall], policies: dict[str, BreakerPolicy], health: Health) -> list[Candidate]:
    """Run a log through several policies and return one candidate for each policy, in the same order.

    Args:
        calls: The calls of the log, in the order in which they ended.
        policies: The policies by label, as `candidates` returns them.
        health: The health of the dependency, with the outages that each policy should notice.
    """
    return [Candidate(label, policy, replay(calls, policy, health.outages)) for label, policy in policies.items()]


def best(found: Sequence[Candidate], normal: float) -> Candidate:
    """Return the candidate to recommend.

    The function prefers candidates that opened the circuit in every outage and raised no false alarm. If no candidate
    did both, the function compares all candidates. Among the compared candidates, the one that lost the fewest calls
    wins. If several lost equally few calls, as in a log without an outage, the `FailureRate` policy whose ``normal`` is
    closest to the given ``normal`` wins.

    Args:
        found: The candidates. The sequence must not be empty.
        normal: The ``normal`` that suits the dependency, a share from 0 to 1; see `normal_for`.
    """
    right = [one for one in found if not one.result.false_alarms and not one.result.missed]

    def cost(one: Candidate) -> tuple[int, float]:
        trip = one.policy.trip
        misfit = abs(trip.normal - normal) if trip is not None else 1.0
        return one.result.calls_lost, misfit

    return min(right or found, key=cost)
