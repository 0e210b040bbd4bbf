from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from cbstore_sql import DEFAULT_POLICY, BreakerPolicy, CircuitBreakerError, InvalidPolicyError
from cbstore_sql.core.policy import policy_of
from cbstore_sql.core.validation import MAX_SECONDS, MAX_THRESHOLD

NO_NUMBERS = [True, False, "5", b"5", [], math.nan, math.inf, -math.inf, 10**400, 10**5000, -(10**400)]
THRESHOLDS = ["failure_threshold", "success_threshold"]
DURATIONS = ["recovery_timeout", "probe_lease", "max_recovery_timeout"]
FACTORS = {"backoff_multiplier": (1.0, 1000.0), "recovery_jitter": (0.0, 1.0)}


def shown(value: object) -> str:
    return type(value).__name__ if isinstance(value, int) and abs(value) > 10**20 else repr(value)


def make(field: str, value: Any) -> Any:
    """Return the value that a policy stores for one given value."""
    return getattr(BreakerPolicy(**{field: value}), field)


def refuse(**values: Any) -> None:
    (field,) = values
    with pytest.raises(InvalidPolicyError, match=field) as caught:
        BreakerPolicy(**values)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, CircuitBreakerError)


def test_the_default_is_five_failures_sixty_seconds_one_success_and_a_fixed_open_time() -> None:
    assert BreakerPolicy() == DEFAULT_POLICY
    assert (DEFAULT_POLICY.failure_threshold, DEFAULT_POLICY.success_threshold) == (5, 1)
    assert (DEFAULT_POLICY.recovery_timeout, DEFAULT_POLICY.probe_lease) == (60.0, 60.0)
    assert (DEFAULT_POLICY.backoff_multiplier, DEFAULT_POLICY.recovery_jitter) == (1.0, 0.0)


@pytest.mark.parametrize("field", THRESHOLDS)
@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 0, -1, 1.0, 2.5, MAX_THRESHOLD + 1], ids=shown)
def test_an_invalid_threshold_is_refused(field: str, value: Any) -> None:
    refuse(**{field: value})


@pytest.mark.parametrize("field", THRESHOLDS)
@pytest.mark.parametrize("value", [1, MAX_THRESHOLD])
def test_the_smallest_and_the_largest_threshold_are_accepted(field: str, value: int) -> None:
    assert make(field, value) == value


@pytest.mark.parametrize("field", DURATIONS)
@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, -0.001, math.nextafter(MAX_SECONDS, math.inf)], ids=shown)
def test_an_invalid_duration_is_refused(field: str, value: Any) -> None:
    refuse(**{field: value})


def test_recovery_timeout_may_be_0_and_probe_lease_may_not() -> None:
    assert make("recovery_timeout", 0) == 0.0
    assert make("probe_lease", 0.001) == 0.001
    refuse(probe_lease=0)
    refuse(probe_lease=0.0009)
    refuse(recovery_timeout=None)
    refuse(probe_lease=None)


def test_the_longest_durations_are_accepted() -> None:
    policy = BreakerPolicy(recovery_timeout=MAX_SECONDS, probe_lease=MAX_SECONDS, max_recovery_timeout=MAX_SECONDS)
    assert policy.recovery_timeout_cap == MAX_SECONDS


def test_durations_given_as_whole_numbers_are_kept_as_floats() -> None:
    policy = BreakerPolicy(recovery_timeout=30, probe_lease=5, max_recovery_timeout=90, backoff_multiplier=2)
    durations = (policy.recovery_timeout, policy.probe_lease, policy.recovery_timeout_cap, policy.backoff_multiplier)
    assert durations == (30.0, 5.0, 90.0, 2.0)
    assert {type(duration) for duration in durations} == {float}


@pytest.mark.parametrize(("recovery_timeout", "cap"), [(0.0, 3600.0), (60.0, 3600.0), (7200.0, 7200.0)])
def test_the_default_cap_is_an_hour_or_a_longer_recovery_timeout(recovery_timeout: float, cap: float) -> None:
    assert BreakerPolicy(recovery_timeout=recovery_timeout).recovery_timeout_cap == cap


def test_a_cap_below_the_recovery_timeout_is_refused() -> None:
    assert BreakerPolicy(recovery_timeout=60.0, max_recovery_timeout=60.0).recovery_timeout_cap == 60.0
    with pytest.raises(InvalidPolicyError, match="max_recovery_timeout"):
        BreakerPolicy(recovery_timeout=60.0, max_recovery_timeout=59.9)


@pytest.mark.parametrize("field", FACTORS)
@pytest.mark.parametrize("value", [*NO_NUMBERS, None, -0.1, 1000.1], ids=shown)
def test_an_invalid_factor_is_refused(field: str, value: Any) -> None:
    refuse(**{field: value})


@pytest.mark.parametrize(("field", "limits"), FACTORS.items())
def test_a_factor_may_be_at_the_ends_of_its_range_but_not_beyond(field: str, limits: tuple[float, float]) -> None:
    for limit in limits:
        assert make(field, limit) == limit
    refuse(**{field: math.nextafter(limits[0], -math.inf)})
    refuse(**{field: math.nextafter(limits[1], math.inf)})


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULT_POLICY.failure_threshold = 0  # type: ignore[misc] # the refusal is the point


def test_the_same_threshold_and_timeout_give_the_same_policy() -> None:
    policy = policy_of(3, 1.5)
    assert policy == BreakerPolicy(failure_threshold=3, recovery_timeout=1.5)
    assert policy_of(3, 1.5) is policy
    assert policy_of(4, 1.5) != policy


@pytest.mark.parametrize("value", NO_NUMBERS, ids=shown)
def test_a_policy_of_no_number_is_refused_also_if_the_number_that_it_equals_was_accepted(value: Any) -> None:
    policy_of(1, 1)
    with pytest.raises(InvalidPolicyError, match="failure_threshold"):
        policy_of(value, 1.0)
    with pytest.raises(InvalidPolicyError, match="recovery_timeout"):
        policy_of(1, value)
