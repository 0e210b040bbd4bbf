"""A subclass of ``circuitbreaker.CircuitBreaker``: keep your decorators, share the state through PostgreSQL.

::

    from circuitbreaker import circuit
    from cbstore_sql import SqlStore
    from cbstore_sql.integrations.circuitbreaker import SharedCircuitBreaker

    class Billing(SharedCircuitBreaker):
        STORE = SqlStore("postgresql://…")
        FAILURE_THRESHOLD = 3

    @circuit(cls=Billing, name="billing")
    def charge(order): ...

Thresholds, ``EXPECTED_EXCEPTION``, fallbacks and the monitor work as before. Two things differ. The state belongs to
every process that uses the same name, so give each breaker a name. After ``RECOVERY_TIMEOUT``, the
circuit admits one call of all processes as the probe. Until the probe has ended, all other calls raise
``CircuitBreakerError`` or use their fallback.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, wraps
from math import ceil, floor
from types import TracebackType
from typing import Any, ClassVar, Literal

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import CircuitBreakerOpenError, ConfigurationError
from cbstore_sql.extras import needs_extra
from cbstore_sql.stores.base import Store

with needs_extra("cbstore_sql.integrations.circuitbreaker", "circuitbreaker"):
    import circuitbreaker
    from circuitbreaker import STATE_HALF_OPEN, STATE_OPEN, CircuitBreakerError, CircuitBreakerMonitor


class SharedCircuitBreaker(circuitbreaker.CircuitBreaker):  # type: ignore[misc] # the package has no types
    """A ``circuitbreaker.CircuitBreaker`` whose state is in a store.

    Attributes:
        STORE: The store; set it in a subclass. Any synchronous store of this library works.
        PROBE_LEASE: Seconds after which another process may claim the probe if the owner of the probe has died.
        OPTIONS: More arguments for the constructor of `CircuitBreaker`, such as
            ``{"store_timeout": 1.0, "on_store_outage": "block"}``; see `BreakerBase.__init__`.
    """

    STORE: ClassVar[Store | None] = None
    PROBE_LEASE: ClassVar[float] = 60.0
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    # The constructor of the original class sets these attributes.
    _name: str | None
    _last_failure: BaseException | None

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a guarded function of the same kind as ``function``.

        Args:
            function: A function, generator function, coroutine function or asynchronous generator function.
        """
        if self.name is None:
            self._name = getattr(function, "__qualname__", None) or function.__name__
        CircuitBreakerMonitor.register(self)
        return _wrapper(self, function)

    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function if the circuit admits the call, report the outcome, and return the result.

        Args:
            func: The function to call.
            *args: The positional arguments for the function.
            **kwargs: The keyword arguments for the function.

        Raises:
            CircuitBreakerError: The call was refused.
        """
        with self._guarded():
            return func(*args, **kwargs)

    def call_generator(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a generator function if the circuit admits the call; see `call`.

        The call lasts until the generator ends.
        """
        with self._guarded():
            yield from func(*args, **kwargs)

    async def call_async(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Await a coroutine function if the circuit admits the call, report the outcome, and return the result."""
        async with self._guarded_async():
            return await func(*args, **kwargs)

    async def call_async_generator(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield the items of an asynchronous generator function if the circuit admits the call; see `call`.

        The call lasts until the generator ends.
        """
        async with self._guarded_async():
            async for item in func(*args, **kwargs):
                yield item

    def __enter__(self) -> None:
        """Begin a guarded block. As in the original, the block always runs.

        If the circuit refuses the block, the block runs, but its outcome is not reported.
        """
        try:
            permit = self._breaker.admit(self._key)
        except CircuitBreakerOpenError:
            permit = None
        self._blocks.append(permit)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> Literal[False]:
        permit: Permit | None = self._blocks.pop()
        failed = self._note(error)
        if permit is None:
            return False
        if error is not None and not isinstance(error, Exception) and not failed:
            self._breaker.release(permit)
        elif failed:
            self._breaker.failure(permit, error)
        else:
            self._breaker.success(permit)
        return False

    def reset(self) -> None:
        """Close the circuit for every process and set the counts of failures and successes to 0."""
        self._breaker.reset(self._key)
        self._last_failure = None

    def close(self) -> None:
        """Stop the background threads of this breaker. The store stays open, and the breaker can be used again."""
        if "_breaker" in vars(self):
            self._breaker.close()

    @property
    def state(self) -> str:
        """The state: ``closed``, ``open`` or ``half_open``.

        When the open time is over, the state is ``half_open`` until the circuit closes or opens again.
        """
        snapshot = self._snapshot()
        return STATE_HALF_OPEN if snapshot.state is State.OPEN and snapshot.probe_claimable else snapshot.state.value

    @property
    def opened(self) -> bool:
        """Whether the circuit is open and its open time is not over. This property reads the store."""
        return bool(self.state == STATE_OPEN)

    @property
    def open_remaining(self) -> int:
        """Whole seconds until the open time is over, by the store's clock; negative after the end of the open time.

        If the circuit never opened, the value is the recovery timeout, as in the package ``circuitbreaker``.
        """
        snapshot = self._snapshot()
        if snapshot.open_until == 0.0:
            return ceil(float(self._recovery_timeout))
        remaining = snapshot.open_until - snapshot.as_of
        whole: int = ceil(remaining) if remaining > 0 else floor(remaining)
        return whole

    @property
    def failure_count(self) -> int:
        """The number of failures in a row, in all processes."""
        return self._snapshot().failure_count

    @cached_property
    def _breaker(self) -> CircuitBreaker:
        return CircuitBreaker(self._store, self._policy, **self._options)

    @cached_property
    def _async_breaker(self) -> AsyncCircuitBreaker:
        return AsyncCircuitBreaker(self._store, self._policy, **self._options)

    @cached_property
    def _blocks(self) -> list[Permit | None]:
        return []

    @property
    def _store(self) -> Store:
        if self.STORE is None:
            raise ConfigurationError(f"set STORE = SqlStore(url) in a subclass of {type(self).__name__}")
        return self.STORE

    @property
    def _policy(self) -> BreakerPolicy:
        return BreakerPolicy(
            failure_threshold=self._failure_threshold,
            recovery_timeout=self._recovery_timeout,
            probe_lease=self.PROBE_LEASE,
        )

    @property
    def _options(self) -> dict[str, Any]:
        return {**self.OPTIONS, "record_on": (BaseException,), "is_failure": self._counts}

    @property
    def _key(self) -> str:
        return self._name or str(self)

    def _snapshot(self) -> Snapshot:
        return self._breaker.seen(self._key)

    def _counts(self, error: BaseException) -> bool:
        return bool(self.is_failure(type(error), error))

    def _note(self, error: BaseException | None) -> bool:
        """Return whether ``error`` counts. Store a failure that counts as the last failure; otherwise clear it."""
        failed = error is not None and self._counts(error)
        self._last_failure = error if failed else None
        return failed

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Guard a block; raise ``CircuitBreakerError`` if the circuit refuses it."""
        guard = self._breaker.guard(self._key)
        with _refusal_of(self):
            guard.__enter__()
        error = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            guard.__exit__(*self._verdict(error))

    @asynccontextmanager
    async def _guarded_async(self) -> AsyncIterator[None]:
        """Guard a block in an event loop; raise ``CircuitBreakerError`` if the circuit refuses it."""
        guard = self._async_breaker.guard(self._key)
        with _refusal_of(self):
            await guard.__aenter__()
        error = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            await guard.__aexit__(*self._verdict(error))

    def _verdict(
        self, error: BaseException | None
    ) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
        """Return the arguments for the guard's exit.

        As in the original, an `Exception` that does not count is a success.
        """
        failed = self._note(error)
        if error is None or (isinstance(error, Exception) and not failed):
            return None, None, None
        return type(error), error, error.__traceback__


@contextmanager
def _refusal_of(breaker: SharedCircuitBreaker) -> Iterator[None]:
    """Raise ``CircuitBreakerError`` in place of a `CircuitBreakerOpenError` that the block raises."""
    try:
        yield
    except CircuitBreakerOpenError as refused:
        raise CircuitBreakerError(breaker) from refused


def _wrapper(breaker: SharedCircuitBreaker, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the same kind as ``function`` that makes guarded calls and uses the breaker's fallback."""

    @wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        try:
            return breaker.call(function, *args, **kwargs)
        except CircuitBreakerError as refused:
            return _fallback(breaker, refused)(*args, **kwargs)

    @wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            yield from breaker.call_generator(function, *args, **kwargs)
        except CircuitBreakerError as refused:
            yield from _fallback(breaker, refused)(*args, **kwargs)

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        try:
            return await breaker.call_async(function, *args, **kwargs)
        except CircuitBreakerError as refused:
            return await _fallback(breaker, refused)(*args, **kwargs)

    @wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async for item in breaker.call_async_generator(function, *args, **kwargs):
                yield item
        except CircuitBreakerError as refused:
            async for item in _fallback(breaker, refused)(*args, **kwargs):
                yield item

    if inspect.isasyncgenfunction(function):
        return async_generator
    if inspect.iscoroutinefunction(function):
        return coroutine
    return generator if inspect.isgeneratorfunction(function) else plain


def _fallback(breaker: SharedCircuitBreaker, refused: CircuitBreakerError) -> Callable[..., Any]:
    """Return the fallback for a call that ``breaker`` refused. Any other refusal is raised again."""
    fallback: Callable[..., Any] | None = breaker.fallback_function
    if fallback is None or getattr(refused, "_circuit_breaker", None) is not breaker:
        raise refused
    return fallback
