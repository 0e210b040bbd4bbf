"""Data can be pickled and copied. All other objects raise an error with the reason."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import (
    DEFAULT_POLICY,
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerMetrics,
    CircuitBreakerOpenError,
    FleetCollector,
    InMemoryStore,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    OpenTelemetryMetrics,
    RedisStore,
    SqlStore,
    State,
    Verdict,
    events,
)
from cbstore_sql.stores.batching import combining
from cbstore_sql.stores.threaded import ThreadedStore


def through_pickle(value: object) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - it is our own


WAYS = pytest.mark.parametrize("duplicate", [through_pickle, copy.copy, copy.deepcopy])

memory = InMemoryStore()
permit = memory.read("b").permit
opened = memory.force_open("b", 30.0)

DATA = [
    DEFAULT_POLICY,
    BreakerPolicy(failure_threshold=3, recovery_jitter=0.5),
    LLMCircuitBreakerConfig(enabled=True),
    permit,
    opened,
    opened.snapshot,
    State.OPEN,
    Verdict.NONE,
    CircuitBreakerOpenError(name="b", retry_after=2.0),
]

# A value for each type that a field of an event can have.
FIELDS: dict[str, Any] = {
    "name": "b",
    "previous_state": State.CLOSED,
    "snapshot": opened.snapshot,
    "state": State.OPEN,
    "retry_after": 1.5,
    "verdict": Verdict.FAILURE,
    "seconds": 0.25,
    "permit": permit,
    "took_over": True,
    "error": "StoreUnavailableError",
    "staleness": 0.1,
    "by": "alice",
    "reason": "override",
}


def an_event(kind: Any) -> Any:
    required = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    return kind(**{name: FIELDS[name] for name in required})


EVENTS = [
    an_event(kind)
    for name in events.__all__
    if inspect.isclass(kind := getattr(events, name)) and issubclass(kind, events.BreakerEvent)
]


@WAYS
@pytest.mark.parametrize("value", [*DATA, *EVENTS], ids=lambda value: type(value).__name__)
def test_data_can_be_pickled_and_copied(value: Any, duplicate: Callable[[object], Any]) -> None:
    twin = duplicate(value)
    assert type(twin) is type(value)
    assert repr(twin) == repr(value)


def bound_to_the_process() -> list[Any]:
    store = InMemoryStore()
    breaker = CircuitBreaker(store)
    awaited = AsyncCircuitBreaker(AsyncInMemoryStore())
    return [
        store,
        AsyncInMemoryStore(),
        SqlStore("sqlite:///never-opened.db"),
        AsyncSqlStore("postgresql://app@127.0.0.1:1/app"),
        RedisStore.from_url("redis://127.0.0.1:1"),
        combining(SqlStore("sqlite:///never-opened.db"), 0.01),
        ThreadedStore(store),
        breaker,
        awaited,
        breaker.guard("b"),
        awaited.guard("b"),
        LLMCircuitBreaker(LLMCircuitBreakerConfig(enabled=True)),
        CircuitBreakerMetrics(),
        OpenTelemetryMetrics(),
    ]


@WAYS
@pytest.mark.parametrize("value", bound_to_the_process(), ids=lambda value: type(value).__name__)
def test_an_object_of_one_process_refuses_pickling_and_copying_with_the_reason(
    value: Any, duplicate: Callable[[object], Any]
) -> None:
    with pytest.raises(TypeError, match=rf"^{type(value).__name__} cannot be pickled or copied: .* in each process$"):
        duplicate(value)


def test_an_object_that_holds_a_store_names_the_store() -> None:
    with pytest.raises(TypeError, match=r"^SqlStore cannot be pickled"):
        pickle.dumps(FleetCollector(SqlStore("sqlite:///never-opened.db")))
