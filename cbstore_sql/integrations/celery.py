"""Celery: a task class whose runs a breaker guards. A refused run is sent again later.

::

    from celery import Celery
    from cbstore_sql import CircuitBreaker, SqlStore
    from cbstore_sql.integrations.celery import GuardedTask

    breaker = CircuitBreaker(SqlStore("postgresql://…"))
    app = Celery("shop", task_cls=GuardedTask)
    app.conf.broker_url = "redis://localhost"

    @app.task(breaker=breaker, breaker_name="payments", autoretry_for=(ConnectionError,), max_retries=10)
    def charge(order): ...

A refused run does not call the function. The task class retries the run after ``retry_after`` seconds with
jitter. This retry does not use up ``max_retries``. With ``autoretry_for``, the breaker counts the exception that caused
the retry. The store may be made before the pool forks, because each process opens its own connections.
"""

from __future__ import annotations

from typing import Any

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.extras import needs_extra
from cbstore_sql.runtime.rng import rng

with needs_extra("cbstore_sql.integrations.celery", "celery"):
    from celery import Task
    from celery.exceptions import Retry, TaskPredicate

__all__ = ["GuardedTask"]

_LEAST_COUNTDOWN = 1.0
_JITTER = 0.5


class GuardedTask(Task):  # type: ignore[misc] # celery has no types
    """A base class for Celery tasks. A circuit breaker guards each run of such a task.

    Attributes:
        breaker: The breaker; ``None`` means that the task runs unguarded.
        breaker_name: The breaker's name; ``None`` means the task's name.
        retry_refused: Whether the task class retries a refused run later, when the circuit may admit the run. With
            ``False``, a refused run fails with `CircuitBreakerOpenError`.
    """

    abstract = True
    breaker: CircuitBreaker | None = None
    breaker_name: str | None = None
    retry_refused: bool = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task if the circuit admits it.

        Raises:
            CircuitBreakerOpenError: The run was refused, and ``retry_refused`` is false or the task does not run in a
                worker (the application called the task directly or eagerly).
            InvalidArgumentError: ``breaker`` is not a `CircuitBreaker`.
        """
        if self.breaker is None:
            return super().__call__(*args, **kwargs)
        guard = check_breaker(self.breaker, CircuitBreaker).guard(self.breaker_name or self.name)
        try:
            guard.__enter__()
        except CircuitBreakerOpenError as refused:
            return self._come_back(refused)
        return self._run(guard, args, kwargs)

    def _run(self, guard: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            result = super().__call__(*args, **kwargs)
        except BaseException as error:
            cause = _cause(error)
            guard.__exit__(None if cause is None else type(cause), cause, None)
            raise
        guard.__exit__(None, None, None)
        return result

    def _come_back(self, refused: CircuitBreakerOpenError) -> Any:
        """Send the same task again, with a delay. A refusal does not add to the number of retries."""
        request = self.request
        if not self.retry_refused or request.called_directly or request.is_eager:
            raise refused
        countdown = max(_LEAST_COUNTDOWN, refused.retry_after) * (1.0 + _JITTER * rng.random())
        again = self.signature_from_request(request, countdown=countdown, retries=request.retries)
        again.apply_async()
        raise Retry(exc=refused, when=countdown, sig=again)


def _cause(error: BaseException) -> BaseException | None:
    """Return the exception to classify: the cause of a retry, or ``None`` for ``Ignore`` and ``Reject``."""
    if isinstance(error, Retry):
        return error.exc if isinstance(error.exc, BaseException) else None
    return None if isinstance(error, TaskPredicate) else error
