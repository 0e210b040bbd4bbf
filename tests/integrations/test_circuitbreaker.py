"""The package ``circuitbreaker`` behaves with a store as it does without one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import circuitbreaker
import pytest
from circuitbreaker import CircuitBreakerError, CircuitBreakerMonitor, circuit

from cbstore_sql import ConfigurationError, InMemoryStore, State
from cbstore_sql.integrations.circuitbreaker import SharedCircuitBreaker
from tests.integrations.conftest import Clock


class DownError(Exception):
    """The service is down."""


class CustomerError(Exception):
    """The customer's mistake."""


@dataclass(frozen=True)
class Kind:
    """The original class or ours.

    Attributes:
        base: The class to derive from.
        elapse: Lets the recovery timeout of 30 seconds pass.
    """

    base: Any
    elapse: Callable[[], None]


@pytest.fixture(autouse=True)
def _empty_monitor() -> Iterator[None]:
    CircuitBreakerMonitor.circuit_breakers = {}
    yield
    CircuitBreakerMonitor.circuit_breakers = {}


@pytest.fixture(params=["original", "shared"])
def kind(request: pytest.FixtureRequest, store: InMemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Kind:
    if request.param == "shared":
        return Kind(type("Shared", (SharedCircuitBreaker,), {"STORE": store}), lambda: clock.advance(31.0))
    monkeypatch.setattr(circuitbreaker, "monotonic", clock)
    return Kind(circuitbreaker.CircuitBreaker, lambda: clock.advance(31.0))


def functions(outcomes: list[Exception | str]) -> dict[str, Callable[..., Any]]:
    """Return one function of each kind; each call takes the next outcome."""

    def step() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def plain() -> str:
        return step()

    def generator() -> Iterator[str]:
        yield step()

    async def coroutine() -> str:
        return step()

    async def async_generator() -> AsyncIterator[str]:
        yield step()

    return {"plain": plain, "generator": generator, "coroutine": coroutine, "async_generator": async_generator}


def call(function: Callable[..., Any]) -> str:
    """Call a function of any kind and return its result."""

    async def gather() -> str:
        return "".join([item async for item in function()])

    if inspect.isasyncgenfunction(function):
        return asyncio.run(gather())
    if inspect.iscoroutinefunction(function):
        return str(asyncio.run(function()))
    return "".join(function())


@pytest.mark.parametrize("shape", ["plain", "generator", "coroutine", "async_generator"])
def test_the_circuit_opens_refuses_probes_and_closes(kind: Kind, shape: str) -> None:
    down = DownError("down")
    function = circuit(failure_threshold=2, name="billing", cls=kind.base)(functions([down, down, "ok", "ok"])[shape])
    breaker = CircuitBreakerMonitor.get("billing")
    for _ in range(2):
        with pytest.raises(DownError):
            call(function)
    assert (breaker.state, breaker.opened, breaker.failure_count) == ("open", True, 2)
    assert isinstance(breaker.last_failure, DownError)
    with pytest.raises(CircuitBreakerError, match=r'Circuit "billing" OPEN until .* \(2 failures'):
        call(function)
    kind.elapse()
    assert (breaker.state, breaker.closed) == ("half_open", False)
    assert breaker.open_remaining < 0
    assert call(function) == "ok"
    assert (breaker.state, breaker.failure_count) == ("closed", 0)
    assert breaker.last_failure is None
    assert call(function) == "ok"


def test_a_failed_probe_opens_the_circuit_again(kind: Kind) -> None:
    down = DownError("down")
    function = circuit(failure_threshold=2, name="billing", cls=kind.base)(functions([down] * 3)["plain"])
    breaker = CircuitBreakerMonitor.get("billing")
    for _ in range(2):
        with pytest.raises(DownError):
            function()
    kind.elapse()
    with pytest.raises(DownError):
        function()
    assert (breaker.state, breaker.failure_count) == ("open", 3)
    assert 0 < breaker.open_remaining <= 30


@pytest.mark.parametrize("expected", [DownError, (DownError, OSError), lambda kind, value: kind is DownError])
def test_an_unexpected_exception_is_a_success(kind: Kind, expected: Any) -> None:
    outcomes: list[Exception | str] = [DownError(), CustomerError(), DownError(), DownError()]
    guard = circuit(failure_threshold=2, expected_exception=expected, name="billing", cls=kind.base)
    function = guard(functions(outcomes)["plain"])
    breaker = CircuitBreakerMonitor.get("billing")
    for error, state in [(DownError, "closed"), (CustomerError, "closed"), (DownError, "closed"), (DownError, "open")]:
        with pytest.raises(error):
            function()
        assert breaker.state == state


@pytest.mark.parametrize("shape", ["plain", "generator", "coroutine", "async_generator"])
def test_the_fallback_answers_in_place_of_a_refused_call(kind: Kind, shape: str) -> None:
    fallback = functions(["fallback"])[shape]
    guard = circuit(failure_threshold=1, name="billing", fallback_function=fallback, cls=kind.base)
    function = guard(functions([DownError()])[shape])
    with pytest.raises(DownError):
        call(function)
    assert call(function) == "fallback"


def test_class_attributes_set_the_defaults(kind: Kind) -> None:
    nervous = type("Nervous", (kind.base,), {"FAILURE_THRESHOLD": 1, "EXPECTED_EXCEPTION": DownError})
    function = circuit(cls=nervous, name="billing")(functions([CustomerError(), DownError()])["plain"])
    with pytest.raises(CustomerError):
        function()
    with pytest.raises(DownError):
        function()
    assert CircuitBreakerMonitor.get("billing").opened
    assert not CircuitBreakerMonitor.all_closed()


def test_an_unnamed_breaker_is_named_after_its_function(kind: Kind) -> None:
    circuit(cls=kind.base)(succeeds)
    assert CircuitBreakerMonitor.get("succeeds") is not None


def succeeds() -> str:
    return "ok"


def test_a_block_reports_its_outcome(kind: Kind) -> None:
    breaker = kind.base(failure_threshold=2, name="billing")
    for _ in range(2):
        with pytest.raises(DownError), breaker:
            raise DownError
    assert breaker.opened
    breaker.reset()
    assert breaker.closed


def test_one_call_of_all_processes_is_the_probe(store: InMemoryStore, clock: Clock) -> None:
    shared = type("Shared", (SharedCircuitBreaker,), {"STORE": store})
    one, other = shared(failure_threshold=1, name="billing"), shared(failure_threshold=1, name="billing")
    with pytest.raises(DownError):
        one.call(functions([DownError()])["plain"])
    clock.advance(31.0)

    def probe() -> str:
        assert other.state == "half_open"
        with pytest.raises(CircuitBreakerError):
            Context().run(other.call, succeeds)  # In the context of the probe, the call would be part of the probe.
        return "ok"

    assert one.call(probe) == "ok"
    assert other.call(succeeds) == "ok"


def test_an_interrupted_probe_is_released(store: InMemoryStore, clock: Clock) -> None:
    breaker = type("Shared", (SharedCircuitBreaker,), {"STORE": store})(failure_threshold=1, name="billing")
    with pytest.raises(DownError):
        breaker.call(functions([DownError()])["plain"])
    clock.advance(31.0)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaker.call(interrupted)
    assert store.read("billing").state is State.HALF_OPEN
    assert breaker.call(succeeds) == "ok"


def test_a_class_without_a_store_raises_an_error_that_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match="STORE = SqlStore"):
        SharedCircuitBreaker(name="billing").call(succeeds)
