r"""A Celery worker whose tasks come back when the circuit is due, with the prefork pool.

    cbstore migrate --url postgresql+psycopg://app@db/app
    BREAKERS_URL=postgresql+psycopg://app@db/app PAYMENTS_URL=http://payments.internal/charge \
        celery --app celery_worker worker --pool prefork --concurrency 8

A connection must not be used on both sides of a fork: each worker process opens its own store when it starts.
Over one database they share every breaker all the same, also with the workers of other machines.
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
    """What each worker process has for itself."""

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
    """Charge an order; while the circuit is open, come back when it may be tried again.

    What to do about a charge that was sent and failed is another question: here the task fails.
    """
    try:
        answer = Worker.breaker.call("payments", pay, order, self.request.id)
    except CircuitBreakerOpenError as refused:
        raise self.retry(exc=refused, countdown=pause(refused)) from None
    return answer.raise_for_status().status_code


def pause(refused: CircuitBreakerOpenError) -> float:
    """Return how long a refused task waits, seconds; at random, so that they do not all come back together.

    While a probe is under way (half_open), ``retry_after`` is the longest it may take; mostly it is over at once.
    """
    due = refused.retry_after if refused.state == "open" else 0.0
    return due + random.uniform(0.0, 2.0)


def pay(order: str, key: str) -> httpx.Response:
    """Send one charge; the key lets the service see that a repeated task is the same one."""
    url, headers = os.environ["PAYMENTS_URL"], {"Idempotency-Key": key}
    return httpx.post(url, json={"order": order}, headers=headers, timeout=10.0)
