"""Each breaker guards suitable functions. A function that a breaker cannot guard never counts as a failure."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, CircuitBreaker, InMemoryStore, InvalidArgumentError, State

POLICY = BreakerPolicy(failure_threshold=1)


async def fetch(value: int = 1) -> int:
    return value


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as API clients do: return a plain function that returns the result of the inner function."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Client:
    """An API client whose methods are wrapped."""

    @checked
    async def create(self, value: int = 1) -> int:
        return value

    async def __call__(self) -> int:
        return 1

    @classmethod
    async def make(cls) -> int:
        return 1


class LikeFuture:
    """An object that can be awaited but is not a coroutine."""

    def __await__(self) -> Generator[Any, None, int]:
        yield from ()
        return 1


def annotated() -> Awaitable[int]:
    return fetch()


def generator() -> Iterator[int]:
    yield 1


def lazy() -> Any:
    return (value for value in range(3))


async def async_generator() -> AsyncIterator[int]:
    yield 1


@contextlib.contextmanager
def connection() -> Iterator[int]:
    yield 1


@contextlib.asynccontextmanager
async def async_connection() -> AsyncIterator[int]:
    yield 1


AWAITED = [fetch, partial(fetch, 1), Client().create, partial(Client().create, 1), Client(), Client.make, annotated]


@pytest.mark.parametrize("function", [*AWAITED, LikeFuture])
def test_an_asynchronous_breaker_guards_every_function_whose_result_is_awaited(function: Callable[..., Any]) -> None:
    async def main() -> None:
        breaker = AsyncCircuitBreaker(InMemoryStore(), POLICY)
        assert await breaker("b")(function)() == 1
        assert await breaker.call("b", function) == 1

    asyncio.run(main())


def test_methods_of_the_openai_client_are_guarded() -> None:
    openai = pytest.importorskip("openai")
    create = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9", max_retries=0).chat.completions.create
    blocking = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9", max_retries=0).chat.completions.create
    request = {"model": "m", "messages": []}

    async def main() -> None:
        breaker = AsyncCircuitBreaker(InMemoryStore(), POLICY)
        for name, function in (
            ("decorated", breaker("decorated")(create)),
            ("called", partial(breaker.call, "called", create)),
        ):
            with pytest.raises(openai.APIConnectionError):
                await function(**request)
            assert await breaker.state(name) is State.OPEN

    asyncio.run(main())
    breaker = CircuitBreaker(InMemoryStore(), POLICY)
    with pytest.raises(openai.APIConnectionError):
        breaker("b")(blocking)(**request)
    assert breaker.state("b") is State.OPEN


@pytest.mark.parametrize("function", [fetch, partial(fetch, 1), Client(), Client.make])
def test_a_synchronous_breaker_refuses_coroutine_functions(function: Any) -> None:
    breaker = CircuitBreaker(InMemoryStore(), POLICY)
    uses: list[Callable[[Any], Any]] = [breaker("b"), lambda wrong: breaker.call("b", wrong)]
    for use in uses:
        with pytest.raises(InvalidArgumentError, match="guard it with AsyncCircuitBreaker"):
            use(function)
    assert breaker.snapshot("b").failure_count == 0


@pytest.mark.parametrize("function", [Client().create, annotated, LikeFuture, generator, lazy, connection])
def test_a_result_whose_work_is_not_finished_is_refused_and_does_not_count(function: Any) -> None:
    breaker = CircuitBreaker(InMemoryStore(), POLICY)
    heard = CircuitBreaker(InMemoryStore(), POLICY, listeners=[lambda _: None])
    for one in (breaker, heard):
        with pytest.raises(InvalidArgumentError):
            one.call("b", function)
        assert one.snapshot("b").failure_count == 0


@pytest.mark.parametrize("function", [len, lambda: 1, str])
def test_an_asynchronous_decorator_refuses_functions_that_are_not_awaited(function: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="guard it with CircuitBreaker"):
        AsyncCircuitBreaker(InMemoryStore())("b")(function)


def test_a_result_that_cannot_be_awaited_is_refused_and_does_not_count() -> None:
    async def main() -> None:
        for listeners in ([], [lambda _: None]):
            breaker = AsyncCircuitBreaker(InMemoryStore(), POLICY, listeners=listeners)
            function: Any = lambda: 1  # noqa: E731 - typed, since it is wrong on purpose
            with pytest.raises(InvalidArgumentError, match="cannot be awaited"):
                await breaker.call("b", function)
            assert (await breaker.snapshot("b")).failure_count == 0

    asyncio.run(main())


@pytest.mark.parametrize("kind", [CircuitBreaker, AsyncCircuitBreaker])
@pytest.mark.parametrize("function", [generator, async_generator, partial(generator), connection, async_connection])
def test_functions_whose_work_begins_after_the_call_are_refused_by_the_decorator(kind: Any, function: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="its call ends before its work begins"):
        kind(InMemoryStore())("b")(function)


@pytest.mark.parametrize("kind", [CircuitBreaker, AsyncCircuitBreaker])
@pytest.mark.parametrize("wrong", [None, 5, "text", classmethod(lambda kind: kind)])
def test_an_object_that_is_not_a_function_is_refused(kind: Any, wrong: Any) -> None:
    breaker = kind(InMemoryStore())
    with pytest.raises(InvalidArgumentError, match="function"):
        breaker("b")(wrong)

    async def call() -> None:
        called = breaker.call("b", wrong)
        await called

    with pytest.raises(InvalidArgumentError, match="function"):
        asyncio.run(call())


def test_a_coroutine_in_place_of_a_function_is_refused_and_closed() -> None:
    wrong: Any = fetch()
    with pytest.raises(InvalidArgumentError, match="without calling it"):
        CircuitBreaker(InMemoryStore()).call("b", wrong)


def test_a_static_method_is_guarded() -> None:
    class Shop:
        @staticmethod
        def sell() -> int:
            return 1

    assert CircuitBreaker(InMemoryStore())("b")(vars(Shop)["sell"])() == 1
