r"""A Celery worker with the prefork pool. While a circuit is open, the tasks wait and try again later.

    cbstore migrate --url postgresql+psycopg://app@db/app
    BREAKERS_URL=postgresql+psycopg://app@db/app PAYMENTS_URL=http://payments.internal/charge \
        celery --app celery_worker worker --pool prefork --concurrency 8

Two processes must not share one database connection after a fork, so each worker process opens its own store when the
process starts. All worker processes that use the same database share every breaker, also on different machines.
"""

from __future__ import annotations

import os
import random

import httpx
from celery import Celery, Task
from celery.signals import worker_process_init, worker_process_shutdown

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, SqlStore

POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=30.0, probe_lease=20.0)

app = Celery("shop", broker=os.environ.get("BROKER_URL", "redis://localhost"))


class Worker:
    """The store and the breaker of the current worker process."""

    store: SqlStore
    breaker: CircuitBreaker


@worker_process_init.connect
def open_store(**_: object) -> None:
    Worker.store = SqlStore(os.environ["BREAKERS_URL"])
    Worker.breaker = CircuitBreaker(
        Worker.store,
        POLICY,
        record_on=(httpx.TransportError,),
        is_failed_result=lambda answer: answer.is_server_error,
    )


@worker_process_shutdown.connect
def close_store(**_: object) -> None:
    Worker.breaker.close()
    Worker.store.close()


@app.task(bind=True, max_retries=None)
def charge(self: Task, order: str) -> int:
    """Charge an order. If the breaker rejects the call, Celery runs the task again later.

    If the charge was sent and failed, the task fails. This example never repeats a charge that was sent.

    Args:
        self: The Celery task.
        order: The id of the order.

    Returns:
        The HTTP status of the answer.
    """
    try:
        answer = Worker.breaker.call("payments", pay, order, self.request.id)
    except CircuitBreakerOpenError as refused:
        raise self.retry(exc=refused, countdown=pause(refused)) from None
    return answer.raise_for_status().status_code


def pause(refused: CircuitBreakerOpenError) -> float:
    """Return how many seconds a rejected task waits. A random part prevents that all tasks return at the same time.

    While another caller makes the probe (half_open), ``retry_after`` is the longest time that the probe may take. Most
    probes end much earlier, so the task waits only for the random part.
    """
    due = refused.retry_after if refused.state == "open" else 0.0
    return due + random.uniform(0.0, 2.0)


def pay(order: str, key: str) -> httpx.Response:
    """Send one charge and return the answer.

    Args:
        order: The id of the order.
        key: The idempotency key. The service uses the key to recognize a repeated task.
    """
    url, headers = os.environ["PAYMENTS_URL"], {"Idempotency-Key": key}
    return httpx.post(url, json={"order": order}, headers=headers, timeout=10.0)
