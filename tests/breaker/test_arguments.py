"""Both breakers refuse wrong arguments at once, with an error that says what to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    BreakerPolicy,
    CircuitBreaker,
    InMemoryStore,
    InvalidArgumentError,
    InvalidNameError,
    InvalidPolicyError,
    LLMCircuitBreakerConfig,
)
from cbstore_sql.deadline import within
from cbstore_sql.events import BreakerEvent
from tests.breaker.conftest import Make
from tests.breaker.test_circuit_breaker import fail


async def awaited(_: object) -> bool:
    return True


class AwaitedObject:
    """An object whose call returns a coroutine."""

    async def __call__(self, _: object) -> bool:
        return True


class Metrics:
    """An object that is not a listener, but has a method that is one."""

    def listener(self, event: BreakerEvent) -> None:
        """Receive an event."""


def hidden(event: object) -> Any:
    """A plain function that returns a coroutine."""
    return awaited(event)


def no_arguments() -> bool:
    return True


KINDS = pytest.mark.parametrize("kind", [CircuitBreaker, AsyncCircuitBreaker])

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"record_on": "OSError"}, "without quotes"),
    ({"record_on": ["OSError"]}, "without quotes"),
    ({"record_on": (OSError, "KeyError")}, "without quotes"),
    ({"record_on": OSError("down")}, "write OSError, not an instance"),
    ({"record_on": [OSError()]}, "write OSError, not an instance"),
    ({"record_on": None}, "leave it out"),
    ({"record_on": 5}, "takes exception classes, got int"),
    ({"record_on": [int]}, "takes exception classes, got int"),
    ({"record_on": KeyboardInterrupt}, "never counts"),
    ({"record_on": (OSError, asyncio.CancelledError)}, "never counts"),
    ({"ignore": ("KeyError",)}, "without quotes"),
    ({"ignore": KeyError()}, "write KeyError"),
    ({"ignore": int}, "takes exception classes, got int"),
    ({"is_failure": OSError}, "write exception classes in record_on"),
    ({"is_failure": "OSError"}, "function of one argument"),
    ({"is_failure": awaited}, "nothing awaits it"),
    ({"is_failure": no_arguments}, "must take one argument"),
    ({"is_failed_result": 503}, "function of one argument"),
    ({"is_failed_result": AwaitedObject()}, "nothing awaits it"),
    ({"is_failed_result": no_arguments}, "must take one argument"),
    ({"fallback": "nothing"}, "write fallback=lambda refused: value"),
    ({"fallback": no_arguments}, "must take one argument"),
    ({"listeners": "print"}, "write listeners=\\[function\\]"),
    ({"listeners": 5}, "write listeners=\\[function\\]"),
    ({"listeners": [Metrics()]}, "write Metrics\\(…\\).listener"),
    ({"listeners": [no_arguments]}, "must take one argument"),
    ({"policy": {"failure_threshold": 3}}, "BreakerPolicy\\(\\*\\*it\\)"),
    ({"policy": None}, "leave it out"),
    ({"policy": BreakerPolicy}, "write BreakerPolicy\\(…\\)"),
    ({"policy": 5}, "got int"),
    ({"policies": {"b": {"failure_threshold": 3}}}, "policies\\['b'\\] must be a BreakerPolicy"),
    ({"policies": BreakerPolicy()}, "policies must be a dictionary"),
    ({"policies": [("b", BreakerPolicy())]}, "policies must be a dictionary"),
    ({"reopen_on_no_verdict": "no"}, "True or False"),
    ({"push": "off"}, "True or False"),
    ({"store": "postgresql://app:secret@db/app"}, "write make_store\\(url\\)"),
    ({"store": InMemoryStore}, "write InMemoryStore\\(…\\)"),
    ({"store": None}, "got NoneType"),
    ({"store": {}}, "got dict"),
]


@KINDS
@pytest.mark.parametrize(("options", "remedy"), WRONG)
def test_a_wrong_argument_is_refused_by_the_constructor(kind: Any, options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InvalidArgumentError, match=remedy) as refused:
        kind(**{"store": InMemoryStore(), **options})
    assert isinstance(refused.value, (ValueError, TypeError))
    assert "secret" not in str(refused.value)


@KINDS
def test_a_wrong_name_in_policies_is_refused(kind: Any) -> None:
    with pytest.raises(InvalidNameError):
        kind(InMemoryStore(), policies={5: BreakerPolicy()})


@pytest.mark.parametrize("options", [{"fallback": awaited}, {"listeners": [awaited]}, {"listeners": AwaitedObject()}])
def test_a_synchronous_breaker_refuses_coroutine_functions_as_options(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"await|coroutine"):
        CircuitBreaker(InMemoryStore(), **options)
    AsyncCircuitBreaker(InMemoryStore(), **options)


def test_a_synchronous_breaker_refuses_an_asynchronous_store() -> None:
    store: Any = AsyncInMemoryStore()
    with pytest.raises(InvalidArgumentError, match="use AsyncCircuitBreaker"):
        CircuitBreaker(store)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"record_on": OSError}, True),
        ({"record_on": [OSError]}, True),
        ({"record_on": {OSError, KeyError}}, True),
        ({"record_on": (KeyError, (OSError, ValueError))}, True),
        ({"record_on": BaseException}, True),
        ({"record_on": []}, False),
        ({"ignore": OSError}, False),
        ({"ignore": [ConnectionError, OSError]}, False),
        ({"ignore": KeyError}, True),
        ({"ignore": KeyboardInterrupt}, True),
    ],
)
def test_exceptions_may_be_one_class_a_list_or_a_set(make: Make, options: dict[str, Any], counts: bool) -> None:
    breaker = make(InMemoryStore(), **options)
    with pytest.raises(OSError, match="down"):
        breaker.call("b", fail, OSError("down"))
    assert breaker.snapshot("b").failure_count == int(counts)


@KINDS
def test_a_decorator_without_a_name_is_refused_when_it_is_applied(kind: Any) -> None:
    def charge() -> None:
        """Never called."""

    breaker = kind(InMemoryStore())
    with pytest.raises(InvalidArgumentError, match='write @breaker\\("charge"\\)'):
        breaker(charge)
    for name in (None, 5, "\0"):
        with pytest.raises(InvalidNameError):
            breaker(name)
    with pytest.raises(InvalidArgumentError, match="fallback"):
        breaker("b", fallback=5)


def test_a_synchronous_decorator_refuses_a_coroutine_function_as_fallback() -> None:
    with pytest.raises(InvalidArgumentError, match="only AsyncCircuitBreaker awaits it"):
        CircuitBreaker(InMemoryStore())("b", fallback=awaited)


@pytest.mark.parametrize("wrong", ["text", 5, None, OSError()])
def test_a_report_refuses_an_argument_that_is_not_a_permit(make: Make, wrong: Any) -> None:
    breaker = make(InMemoryStore())
    for method in ("success", "failure", "release", "renew"):
        with pytest.raises(InvalidArgumentError, match="what admit\\(name\\) returned"):
            breaker.do(method, wrong)


@pytest.mark.parametrize("wrong", ["down", OSError, 503])
def test_failure_refuses_an_error_that_is_not_an_exception(make: Make, wrong: Any) -> None:
    breaker = make(InMemoryStore())
    permit = breaker.admit("b")
    with pytest.raises(InvalidArgumentError, match="the exception that the call raised"):
        breaker.do("failure", permit, wrong)


def test_add_listener_refuses_an_object_that_is_not_a_listener(make: Make) -> None:
    breaker = make(InMemoryStore()).breaker
    for wrong in (5, Metrics(), no_arguments):
        with pytest.raises(InvalidArgumentError):
            breaker.add_listener(wrong)


@pytest.mark.parametrize("wrong", ["500", ("500",), 5, (5,), (True,), 500.0, (None,)])
def test_status_codes_that_are_not_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="retryable_status_codes"):
        LLMCircuitBreakerConfig(retryable_status_codes=wrong)


@pytest.mark.parametrize(("given", "taken"), [(503, (503,)), ([500, 503], (500, 503)), ((), ())])
def test_status_codes_may_be_any_collection(given: Any, taken: tuple[int, ...]) -> None:
    assert LLMCircuitBreakerConfig(retryable_status_codes=given).retryable_status_codes == taken


@pytest.mark.parametrize("setting", ["enabled", "reopen_on_no_verdict"])
def test_a_boolean_llm_setting_refuses_other_values(setting: str) -> None:
    settings: dict[str, Any] = {setting: "yes"}
    with pytest.raises(InvalidArgumentError, match=setting):
        LLMCircuitBreakerConfig(**settings)


def test_within_refuses_a_deadline_that_is_not_a_number_of_seconds() -> None:
    wrong: Any = "0.25"
    with pytest.raises(InvalidArgumentError):
        within(wrong)
    for seconds in (-1.0, float("nan")):
        with pytest.raises(InvalidPolicyError):
            within(seconds)


@pytest.mark.parametrize("listen", [awaited, AwaitedObject(), partial(awaited), hidden])
def test_an_asynchronous_breaker_awaits_its_listeners(listen: Callable[[Any], Any]) -> None:
    heard: list[object] = []

    async def main() -> None:
        async def listener(event: BreakerEvent) -> None:
            await listen(event)
            await asyncio.sleep(0)
            heard.append(event)

        async with AsyncCircuitBreaker(InMemoryStore(), listeners=[listener]) as breaker:
            breaker.add_listener(listen)
            await breaker.force_open("b", 5.0)
        assert len(heard) == 1, "close waits for the listeners that still run"

    asyncio.run(main())


def test_a_failing_coroutine_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def listener(_: BreakerEvent) -> None:
        raise ValueError("a secret of the application")

    async def main() -> None:
        async with AsyncCircuitBreaker(InMemoryStore(), listeners=[listener]) as breaker:
            await breaker.force_open("b", 5.0)

    asyncio.run(main())
    assert "a listener failed on Opened with ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_a_coroutine_that_a_synchronous_listener_returns_is_closed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    breaker = CircuitBreaker(InMemoryStore(), listeners=[hidden])
    breaker.force_open("b", 5.0)
    assert "only AsyncCircuitBreaker awaits it" in caplog.text
