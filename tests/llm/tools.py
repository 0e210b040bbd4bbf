"""Helpers for the tests of the LLM breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace, TracebackType
from typing import Any, TypeVar

from cbstore_sql import InMemoryStore, LLMCircuitBreaker, LLMCircuitBreakerConfig
from cbstore_sql.events import BreakerEvent
from tests.waiting import PATIENCE

T = TypeVar("T")

NAME = "claude"
RESET = 60
LEASE = 600.0


class ApiError(Exception):
    """The error of an API client, with a status and a response with headers."""

    def __init__(self, status_code: int, headers: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code
        self.response = SimpleNamespace(status_code=status_code, headers=dict(headers or {}))


def busy(retry_after: object) -> ApiError:
    """Return a 429 error with a Retry-After."""
    return ApiError(429, {"Retry-After": str(retry_after)})


class Api:
    """An API with a list of answers: it raises exceptions, calls functions and returns other values; then ``"ok"``."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.calls = 0

    async def __call__(self) -> object:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else "ok"
        if isinstance(answer, BaseException):
            raise answer
        return await answer() if callable(answer) else answer


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Recorded:
    """A metrics object that records its measurements."""

    def __init__(self) -> None:
        self.transitions: list[tuple[str, str]] = []
        self.requests: list[str] = []

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> None:
        assert backend == NAME
        self.transitions.append((from_state, to_state))

    def record_request(self, backend: str, outcome: str, latency_seconds: float) -> None:
        assert backend == NAME
        assert latency_seconds >= 0
        self.requests.append(outcome)


class Caller:
    """A separate thread that runs given functions."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._thread.shutdown()

    def does(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self._thread.submit(function, *args, **kwargs).result()


class Bench:
    """One LLM breaker with its store, clock, metrics and events."""

    def __init__(self, store: Any = None, **config: Any) -> None:
        self.clock = Clock()
        self.store = InMemoryStore(clock=self.clock) if store is None else store
        self.metrics = Recorded()
        self.events: list[BreakerEvent] = []
        self.naps: list[float] = []
        self.on_nap: Callable[[], object] = lambda: None
        self.breaker = self.another(**config)

    def another(self, **config: Any) -> LLMCircuitBreaker:
        """Make a breaker over the same store."""
        settings = {"enabled": True, "max_failures": 3, "reset_time_seconds": RESET, "ramp_up_seconds": 0.0, **config}
        return LLMCircuitBreaker(
            LLMCircuitBreakerConfig(**settings),
            NAME,
            self.metrics,
            self.store,
            listeners=[self.events.append],
            store_timeout=PATIENCE,  # on a busy machine an answer may take longer than the default
            sleep=self._sleep,
            sleep_sync=self._sleep_sync,
        )

    async def _sleep(self, seconds: float) -> None:
        self._sleep_sync(seconds)

    def _sleep_sync(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock.advance(seconds)
        self.on_nap()

    def paused(self, *waits: float) -> bool:
        """Return whether the pauses were the waits of the API, each longer by at most a fifth."""
        pairs = zip(self.naps, waits, strict=True)
        return all(wait <= nap <= 1.2 * wait for nap, wait in pairs)

    @property
    def state(self) -> str:
        """The circuit's state."""
        return self.breaker.state.value

    def told(self) -> list[str]:
        """The names of the events."""
        return [type(event).__name__ for event in self.events]

    def call(self, api: Callable[[], Any], **options: Any) -> object:
        return asyncio.run(self.breaker.call_with_retry(api, **options))

    def open(self) -> None:
        """Open the circuit as another process would."""
        self.store.force_open(NAME, RESET)

    def due(self) -> None:
        """Open the circuit and let its time elapse."""
        self.open()
        self.clock.advance(RESET)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
