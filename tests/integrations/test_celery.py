"""Tests of the task class, run as a worker runs it. `tests/docs/test_celery_worker.py` uses a real prefork worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Ignore

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, ConfigurationError, InMemoryStore
from cbstore_sql.integrations.celery import GuardedTask
from tests.integrations.conftest import Clock

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0)


class Sent:
    """Records the messages that tasks send, in place of a broker."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []


@pytest.fixture
def app() -> Celery:
    return Celery("shop", task_cls=GuardedTask, broker="memory://", backend="cache+memory://", set_as_current=False)


@pytest.fixture
def breaker(store: InMemoryStore) -> Iterator[CircuitBreaker]:
    with CircuitBreaker(store, POLICY) as made:
        yield made


@pytest.fixture
def sent(app: Celery, monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()

    def apply_async(signature: Any, *args: Any, **kwargs: Any) -> None:
        sent.messages.append({"task": signature.task, **signature.options})

    monkeypatch.setattr("celery.canvas.Signature.apply_async", apply_async)
    return sent


def run(app: Celery, task: Any, retries: int = 0) -> Any:
    """Run a task as a worker does and return the state it ends in."""
    app.finalize()
    trace = build_tracer(task.name, task, app=app)
    request = {"id": "1", "retries": retries, "is_eager": False, "delivery_info": {}, "args": ["order"], "kwargs": {}}
    outcome = trace("1", ["order"], {}, request)
    return outcome.info.state if outcome.info is not None else "SUCCESS"


def test_a_failed_run_counts_and_a_successful_run_clears_the_count(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore
) -> None:
    outcomes = [OSError("down"), None]

    @app.task(shared=False, breaker=breaker, breaker_name="payments")
    def charge(order: str) -> None:
        if (error := outcomes.pop(0)) is not None:
            raise error

    assert run(app, charge) == "FAILURE"
    assert store.read("payments").failure_count == 1
    assert run(app, charge) == "SUCCESS"
    assert store.read("payments").failure_count == 0


def test_a_refused_run_is_retried_after_the_open_time_without_using_up_a_retry(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore, sent: Sent
) -> None:
    called: list[str] = []

    @app.task(shared=False, breaker=breaker, breaker_name="payments", max_retries=3)
    def charge(order: str) -> None:
        called.append(order)

    store.force_open("payments", 30.0)
    assert run(app, charge, retries=3) == "RETRY"
    assert called == []
    [message] = sent.messages
    assert 30.0 <= message["countdown"] <= 45.0
    assert message["retries"] == 3


def test_a_refused_run_fails_with_retry_refused_false(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore, sent: Sent
) -> None:
    @app.task(shared=False, breaker=breaker, breaker_name="payments", retry_refused=False)
    def charge(order: str) -> None: ...

    store.force_open("payments", 30.0)
    assert run(app, charge) == "FAILURE"
    assert sent.messages == []


def test_with_autoretry_the_exception_that_caused_the_retry_counts(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore, sent: Sent
) -> None:
    @app.task(shared=False, breaker=breaker, breaker_name="payments", autoretry_for=(OSError,), max_retries=5)
    def charge(order: str) -> None:
        raise OSError("down")

    assert run(app, charge) == "RETRY"
    assert store.read("payments").failure_count == 1


def test_a_task_that_raises_ignore_counts_as_a_success(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore
) -> None:
    @app.task(shared=False, breaker=breaker, breaker_name="payments")
    def charge(order: str) -> None:
        raise Ignore

    store.record_failure("payments")
    run(app, charge)
    assert store.read("payments").failure_count == 0


def test_a_task_called_directly_raises_the_error_of_a_refusal(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore, clock: Clock
) -> None:
    @app.task(shared=False, breaker=breaker, breaker_name="payments")
    def charge(order: str) -> str:
        return order

    assert charge("order") == "order"
    store.force_open("payments", 30.0)
    with pytest.raises(CircuitBreakerOpenError):
        charge("order")
    assert charge.apply(["order"]).state == "FAILURE"


def test_a_task_without_a_breaker_is_unguarded_and_the_default_name_is_the_task_s(
    app: Celery, breaker: CircuitBreaker, store: InMemoryStore
) -> None:
    @app.task(shared=False)
    def free(order: str) -> str:
        return order

    @app.task(shared=False, name="shop.charge", breaker=breaker)
    def charge(order: str) -> None:
        raise OSError("down")

    assert free("order") == "order"
    assert run(app, charge) == "FAILURE"
    assert store.read("shop.charge").failure_count == 1


def test_an_object_that_is_not_a_breaker_is_refused(app: Celery, store: InMemoryStore) -> None:
    @app.task(shared=False, breaker=store)
    def charge(order: str) -> None: ...

    with pytest.raises(ConfigurationError, match="needs a CircuitBreaker"):
        charge("order")
