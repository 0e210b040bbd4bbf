"""``LLMCircuitBreaker`` over each of our stores: that of MassGen 0.1.78, unchanged, and ours with MassGen's rules."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cbstore_sql import SqlStore
from cbstore_sql.llm import massgen
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.system.compat.published import Published

BACKEND = "claude"


class ApiError(Exception):
    """What an API client raises: a status and, for some, a Retry-After header, seconds."""

    def __init__(self, status_code: int, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code
        self.response = SimpleNamespace(headers={} if retry_after is None else {"retry-after": str(retry_after)})


class Api:
    """An API with a list of answers: an exception is raised, anything else is returned. After the list, ``"ok"``."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.calls = 0

    async def __call__(self) -> object:
        """Make one call."""
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else "ok"
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def transitions() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def naps() -> list[float]:
    """Record how long the retries would have waited, and make them at once."""
    return []


@dataclass(frozen=True)
class Code:
    """One of the two codes.

    Attributes:
        module: Its names.
        options: Further arguments of its breaker.
        opened_meanwhile: What it says when the circuit opens between two attempts.
        refused: What it says when the circuit is open.
    """

    module: ModuleType
    options: dict[str, Any]
    opened_meanwhile: str
    refused: str


def published_code(published: Published, sleep: Any, patch: pytest.MonkeyPatch) -> Code:
    patch.setattr(published.breaker, "asyncio", SimpleNamespace(sleep=sleep))
    return Code(published.breaker, {}, "became open during retries", "Circuit breaker is open for claude")


def our_code(published: Published, sleep: Any, patch: pytest.MonkeyPatch) -> Code:
    # A loaded machine may answer late, and then the breaker would continue without the store.
    options = {"sleep": sleep, "store_timeout": None}
    return Code(massgen, options, "circuit breaker 'claude' is open", "circuit breaker 'claude' is open")


@pytest.fixture(params=[published_code, our_code], ids=["published", "ours"])
def code(
    request: pytest.FixtureRequest, published: Published, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> Code:
    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    made: Callable[..., Code] = request.param
    return made(published, sleep, monkeypatch)


@pytest.fixture
def make_breaker(published: Published, code: Code, transitions: list[tuple[str, str]]) -> Any:
    class Metrics(published.metrics.CircuitBreakerMetrics):  # type: ignore[misc,name-defined] # loaded at run time
        def record_state_transition(self, backend: str, from_state: str, to_state: str) -> None:
            assert backend == BACKEND
            transitions.append((from_state, to_state))

    def make(store: ProtocolStore, **config: Any) -> Any:
        settings = {"enabled": True, "max_failures": 3, "reset_time_seconds": 60, **config}
        return code.module.LLMCircuitBreaker(
            code.module.LLMCircuitBreakerConfig(**settings),
            backend_name=BACKEND,
            metrics=Metrics(),
            store=store,
            **code.options,
        )

    return make


@pytest.fixture
def breaker(make_breaker: Any, store: ProtocolStore) -> Any:
    return make_breaker(store)


def open_time_elapses(store: ProtocolStore) -> None:
    assert store.cas_state(BACKEND, "open", {"open_until": time.time() - 1})


def fail(breaker: Any, times: int) -> None:
    for _ in range(times):
        assert breaker.should_block() is False
        breaker.record_failure("http_500", "upstream is down")


def call(breaker: Any, api: Api, **options: Any) -> object:
    return asyncio.run(breaker.call_with_retry(api, **options))


def test_the_modules_of_massgen_are_the_published_ones(published: Published) -> None:
    digests = published.digests()
    assert len(digests) == 3
    for path, (recorded, found) in digests.items():
        assert recorded == found, path


def test_our_stores_satisfy_the_published_protocol(published: Published, store: ProtocolStore) -> None:
    assert isinstance(store, published.store.CircuitBreakerStore)


def test_failures_open_the_circuit_and_a_successful_probe_closes_it(
    breaker: Any, store: ProtocolStore, transitions: list[tuple[str, str]], published: Published, code: Code
) -> None:
    fail(breaker, 3)
    assert breaker.should_block() is True
    open_time_elapses(store)
    assert breaker.should_block() is False, "the probe"
    assert breaker.should_block() is True, "only one"
    breaker.record_success()
    assert breaker.should_block() is False
    assert transitions == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    assert code.module is massgen or [message for _, message, _ in published.log[-5:]] == [
        "Failure recorded",
        "Failure recorded",
        "Circuit breaker opened",
        "Circuit breaker half-open, allowing probe request",
        "Circuit breaker closed after success",
    ]


def test_a_failed_probe_opens_the_circuit_again(
    breaker: Any, store: ProtocolStore, transitions: list[tuple[str, str]]
) -> None:
    fail(breaker, 3)
    open_time_elapses(store)
    fail(breaker, 1)
    assert breaker.should_block() is True
    assert store.get_state(BACKEND)["open_until"] > time.time() + 50
    assert transitions[-1] == ("half_open", "open")


def test_a_success_clears_the_count(breaker: Any) -> None:
    fail(breaker, 2)
    breaker.record_success()
    fail(breaker, 2)
    assert breaker.should_block() is False


def test_state_and_failure_count_are_those_of_the_store(breaker: Any, store: ProtocolStore) -> None:
    assert (breaker.state.value, breaker.failure_count) == ("closed", 0)
    fail(breaker, 2)
    assert (breaker.state.value, breaker.failure_count) == ("closed", 2)
    fail(breaker, 1)
    assert (breaker.state.value, breaker.failure_count) == ("open", 3)
    open_time_elapses(store)
    assert breaker.should_block() is False
    assert (breaker.state.value, breaker.failure_count) == ("half_open", 3)
    assert repr(breaker) == "LLMCircuitBreaker(state=half_open, failures=3/3, backend='claude')"


def test_force_open_never_shortens_an_open_time(breaker: Any, store: ProtocolStore) -> None:
    breaker.force_open("quota", open_for_seconds=600)
    until = store.get_state(BACKEND)["open_until"]
    breaker.force_open("quota", open_for_seconds=120)
    assert store.get_state(BACKEND)["open_until"] == until
    assert until > time.time() + 500


def test_a_success_does_not_close_a_circuit_that_was_forced_open(breaker: Any) -> None:
    breaker.force_open("quota")
    breaker.record_success()
    assert breaker.should_block() is True


def test_reset_closes_the_circuit_and_clears_the_count(breaker: Any, transitions: list[tuple[str, str]]) -> None:
    fail(breaker, 3)
    breaker.reset()
    assert breaker.should_block() is False
    assert breaker.failure_count == 0
    assert transitions[-1] == ("open", "closed")


def test_two_breakers_over_one_store_share_one_circuit(make_breaker: Any, store: ProtocolStore) -> None:
    one, other = make_breaker(store), make_breaker(store)
    fail(one, 2)
    assert other.failure_count == 2
    fail(other, 1)
    assert one.should_block() is True
    open_time_elapses(store)
    assert [one.should_block(), other.should_block()] == [False, True]
    other.reset()
    assert one.state.value == "closed"


def test_a_long_retry_after_opens_the_circuit_for_that_time(
    breaker: Any, store: ProtocolStore, naps: list[float]
) -> None:
    api = Api(ApiError(429, retry_after=600))
    with pytest.raises(ApiError):
        call(breaker, api)
    state = store.get_state(BACKEND)
    assert (state["state"], api.calls, naps) == ("open", 1, [])
    assert state["open_until"] - state["last_failure_time"] == pytest.approx(600)


def test_the_call_waits_for_a_short_retry_after_which_does_not_count(breaker: Any, naps: list[float]) -> None:
    assert call(breaker, Api(ApiError(429, retry_after=7), "answer")) == "answer"
    assert (naps, breaker.failure_count) == ([7.0], 0)


def test_statuses_429_without_retry_after_count_until_the_circuit_opens(
    breaker: Any, code: Code, naps: list[float]
) -> None:
    api = Api(*(ApiError(429) for _ in range(9)))
    with pytest.raises(ApiError):
        call(breaker, api, max_retries=2)
    assert (breaker.state.value, breaker.failure_count) == ("closed", 2)
    with pytest.raises(code.module.CircuitBreakerOpenError, match=code.opened_meanwhile):
        call(breaker, api, max_retries=3)
    assert (breaker.state.value, api.calls, len(naps)) == ("open", 3, 2)


def test_server_errors_are_counted_and_retried_and_a_success_clears_the_count(breaker: Any, naps: list[float]) -> None:
    assert call(breaker, Api(ApiError(500), ApiError(503), "answer")) == "answer"
    assert (breaker.state.value, breaker.failure_count, len(naps)) == ("closed", 0, 2)


def test_server_errors_open_the_circuit_and_no_further_call_is_made(
    breaker: Any, code: Code, naps: list[float]
) -> None:
    api = Api(*(ApiError(500) for _ in range(9)))
    with pytest.raises(ApiError):
        call(breaker, api, max_retries=5)
    assert (breaker.state.value, api.calls) == ("open", 3)
    with pytest.raises(code.module.CircuitBreakerOpenError, match=code.refused):
        call(breaker, api)
    assert api.calls == 3


@pytest.mark.parametrize("ends", [ApiError(400), asyncio.CancelledError()], ids=["an error", "a cancellation"])
def test_a_probe_without_a_verdict_opens_the_circuit_again(
    breaker: Any, store: ProtocolStore, naps: list[float], ends: BaseException
) -> None:
    fail(breaker, 3)
    open_time_elapses(store)
    with pytest.raises(type(ends)):
        call(breaker, Api(ends))
    state = store.get_state(BACKEND)
    assert (state["state"], state["half_open_probe_active"]) == ("open", False)
    assert state["open_until"] > time.time() + 50


def test_a_successful_call_as_the_probe_closes_the_circuit(breaker: Any, store: ProtocolStore) -> None:
    fail(breaker, 3)
    open_time_elapses(store)
    assert call(breaker, Api("answer")) == "answer"
    assert (breaker.state.value, breaker.failure_count) == ("closed", 0)


def test_a_probe_is_admitted_after_the_open_time_on_the_real_clock(
    make_breaker: Any, migrated_postgres_url: str
) -> None:
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        breaker = make_breaker(store, max_failures=1, reset_time_seconds=1)
        fail(breaker, 1)
        assert breaker.should_block() is True
        time.sleep(max(0.0, store.get_state(BACKEND)["open_until"] - time.time()) + 0.01)
        assert breaker.should_block() is False
        breaker.record_success()
        assert breaker.state.value == "closed"
