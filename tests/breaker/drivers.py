"""One interface for both breakers, so that one test runs with the synchronous and the asynchronous breaker."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, Permit, Snapshot, State, Store
from cbstore_sql.events import BreakerEvent, CallFinished
from tests.waiting import PATIENCE


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class SyncDriver:
    """Drives a `CircuitBreaker` and records its events."""

    def __init__(self, store: Store, *args: Any, **options: Any) -> None:
        self.events: list[BreakerEvent] = []
        # On a busy machine, a thread may not run within the default timeout of a quarter of a second.
        options.setdefault("store_timeout", PATIENCE)
        self.breaker: Any = self._make(store, *args, **options)
        self.breaker.add_listener(self.events.append)
        # Each test decides when the breaker asks a failed store again: it calls check_store.
        self.breaker._controller.outage.watch = lambda: None

    def _make(self, store: Store, *args: Any, **options: Any) -> Any:
        return CircuitBreaker(store, *args, **options)

    def close(self) -> None:
        self.run(self.breaker.close())

    def told(self) -> list[str]:
        """Return the names of the events, without `CallFinished`."""
        return [type(event).__name__ for event in self.events if not isinstance(event, CallFinished)]

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def run(self, value: Any) -> Any:
        return value

    def call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.run(self.breaker.call(name, self.wrap(function), *args, **kwargs))

    def decorated(self, name: str, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        guarded = self.breaker(name, **options)(self.wrap(function))
        return lambda *args, **kwargs: self.run(guarded(*args, **kwargs))

    @contextmanager
    def guard(self, name: str) -> Iterator[Permit]:
        with self.breaker.guard(name) as permit:
            yield permit

    def admit(self, name: str) -> Permit:
        return self.run(self.breaker.admit(name))  # type: ignore[no-any-return] # either breaker answers with one

    def state(self, name: str) -> State:
        return self.snapshot(name).state

    def snapshot(self, name: str) -> Snapshot:
        return self.run(self.breaker.snapshot(name))  # type: ignore[no-any-return] # either breaker answers with one

    def do(self, method: str, *args: Any) -> Any:
        return self.run(getattr(self.breaker, method)(*args))


class AsyncDriver(SyncDriver):
    """Drives an `AsyncCircuitBreaker`: runs each coroutine to its end in one event loop."""

    def _make(self, store: Store, *args: Any, **options: Any) -> Any:
        breaker = AsyncCircuitBreaker(store, *args, **options)
        self._loop = asyncio.new_event_loop()
        return breaker

    def close(self) -> None:
        super().close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return coroutine

    def run(self, value: Any) -> Any:
        return self._loop.run_until_complete(value) if inspect.isawaitable(value) else value

    @contextmanager
    def guard(self, name: str) -> Iterator[Permit]:
        guard = self.breaker.guard(name)
        permit = self.run(guard.__aenter__())
        try:
            yield permit
        except BaseException as error:
            self.run(guard.__aexit__(type(error), error, error.__traceback__))
            raise
        self.run(guard.__aexit__(None, None, None))
