"""Tests of the settings of the LLM breaker."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, ConfigurationError, LLMCircuitBreaker, LLMCircuitBreakerConfig
from tests.llm.tools import Api, run


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_failures", 0),
        ("max_failures", 2.5),
        ("reset_time_seconds", 0.9),
        ("reset_time_seconds", math.nan),
        ("reset_time_seconds", math.inf),
        ("backoff_multiplier", 0.9),
        ("backoff_multiplier", math.nan),
        ("max_backoff_seconds", 0.9),
        ("retry_after_threshold_seconds", -1),
        ("retry_after_threshold_seconds", math.nan),
        ("probe_lease_seconds", 0),
    ],
)
def test_an_invalid_value_raises_a_value_error_that_names_the_setting(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        LLMCircuitBreakerConfig(**{field: value})  # type: ignore[arg-type] # what is wrong is the point


@pytest.mark.parametrize(
    "settings",
    [
        {"max_failures": 1, "reset_time_seconds": 1, "backoff_multiplier": 1.0, "max_backoff_seconds": 1.0},
        {"retry_after_threshold_seconds": 0},
        {"retry_after_threshold_seconds": math.inf},
    ],
)
def test_values_at_the_limits_are_accepted(settings: dict[str, Any]) -> None:
    LLMCircuitBreakerConfig(**settings)


def test_policy_contains_the_settings_of_the_circuit() -> None:
    config = LLMCircuitBreakerConfig(max_failures=2, reset_time_seconds=3, probe_lease_seconds=4)
    assert config.policy == BreakerPolicy(ramp_up=1.0, failure_threshold=2, recovery_timeout=3, probe_lease=4)


def test_a_breaker_with_the_default_config_admits_every_call_and_records_nothing() -> None:
    breaker = LLMCircuitBreaker()
    for _ in range(9):
        breaker.record_failure("http_500")
    breaker.force_open("quota")
    breaker.record_success()
    assert breaker.should_block() is False
    assert (breaker.state.value, breaker.failure_count) == ("closed", 0)
    failing = Api(RuntimeError("down"))
    with pytest.raises(RuntimeError, match="down"):
        run(breaker.call_with_retry(failing, max_retries=0))
    assert run(breaker.call_with_retry(failing)) == "ok"


@pytest.mark.parametrize("store", [object(), {"state": "closed"}])
def test_an_object_that_is_not_a_store_is_refused(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="store must be"):
        LLMCircuitBreaker(store=store)


def test_an_invalid_backend_name_is_refused() -> None:
    with pytest.raises(ValueError, match="backend_name"):
        LLMCircuitBreaker(backend_name="a\x00b")
