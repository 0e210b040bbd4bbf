"""Which policy to take, after a log was run through several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from cbstore_sql.core.policy import BreakerPolicy, FailureRate
from cbstore_sql.replay.engine import Replay, replay
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import Health

# Upper bounds of a healthy day, from which one is chosen; between two of them the choice hardly matters.
_NORMAL_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)

# The failure rate called broken; next to a high normal rate it would take too many calls to tell them apart.
_BROKEN, _CLEARLY_BROKEN = 0.5, 0.7

# A day that was not recorded may be worse than the worst stretch of those that were.
_HEADROOM = 1.25


class Candidate(NamedTuple):
    """One policy and what it would have done.

    Attributes:
        label: The policy as one would write it.
        policy: The policy.
        result: What it would have done.
    """

    label: str
    policy: BreakerPolicy
    result: Replay


def normal_for(health: Health) -> float:
    """Return the ``normal`` of a failure rate test for a dependency: above the worst that is healthy."""
    needed = max(health.failure_rate * 2, health.worst_rate * _HEADROOM)
    return next((rate for rate in _NORMAL_RATES if rate >= needed), _NORMAL_RATES[-1])


def candidates(base: BreakerPolicy, normal: float) -> dict[str, BreakerPolicy]:
    """Return the policies to compare, by how one would write them.

    Args:
        base: The times that all of them share.
        normal: The failure rate that the log suggests as an upper bound of a healthy day.
    """
    policies = {f"failure_threshold={count}": replace(base, failure_threshold=count) for count in (3, 5, 10, 20)}
    for rate in sorted({0.02, 0.05, 0.1, normal}):
        broken = _BROKEN if rate < _NORMAL_RATES[-2] else _CLEARLY_BROKEN
        label = f"trip=FailureRate(normal={rate:g}, broken={broken:g})"
        policies[label] = replace(base, trip=FailureRate(normal=rate, broken=broken))
    return policies


def compare(calls: Sequence[LoggedCall], policies: dict[str, BreakerPolicy], health: Health) -> list[Candidate]:
    """Run a log through each policy."""
    return [Candidate(label, policy, replay(calls, policy, health.outages)) for label, policy in policies.items()]


def best(found: Sequence[Candidate], normal: float) -> Candidate:
    """Return the policy to take.

    It is the one that loses the fewest calls among those that noticed every outage without a false alarm, or among
    all if there is no such policy. If they tie, as in a log without an outage, it is the one that fits the healthy
    rate.
    """
    right = [one for one in found if not one.result.false_alarms and not one.result.missed]

    def cost(one: Candidate) -> tuple[int, float]:
        trip = one.policy.trip
        misfit = abs(trip.normal - normal) if trip is not None else 1.0
        return one.result.calls_lost, misfit

    return min(right or found, key=cost)
