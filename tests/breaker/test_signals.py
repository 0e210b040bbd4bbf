"""An exception that a signal handler raises inside the breaker reaches the program."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, InMemoryStore
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Transition
from cbstore_sql.events import BreakerEvent, CallFinished


class TimeLimit(Exception):
    """A task queue's soft time limit."""


def on_signal(*_: Any) -> None:
    raise TimeLimit


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(10**6):  # until the interpreter runs the handler
        pass


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, on_signal)
    yield
    signal.signal(signal.SIGUSR1, before)


class InterruptedStore(InMemoryStore):
    """A store that a signal interrupts during a write."""

    def _apply(self, command: Command) -> Transition | None:
        interrupt()
        return super()._apply(command)


def listener(event: BreakerEvent) -> None:
    if isinstance(event, CallFinished):
        interrupt()


def predicate(_: object) -> bool:
    interrupt()
    return False


WHERE: list[Any] = [
    pytest.param(InterruptedStore, {}, id="in a report"),
    pytest.param(InMemoryStore, {"listeners": [listener]}, id="in a listener"),
    pytest.param(InMemoryStore, {"is_failed_result": predicate}, id="in a predicate"),
]


@pytest.mark.parametrize(("store", "options"), WHERE)
def test_an_exception_of_a_signal_handler_reaches_the_caller_of_a_synchronous_breaker(
    store: type[InMemoryStore], options: dict[str, Any]
) -> None:
    breaker = CircuitBreaker(store(), store_timeout=None, **options)
    with pytest.raises(TimeLimit):
        breaker.call("b", lambda: "answer")


@pytest.mark.parametrize(("store", "options"), WHERE[1:])
def test_an_exception_of_a_signal_handler_reaches_the_caller_of_an_asynchronous_breaker(
    store: type[InMemoryStore], options: dict[str, Any]
) -> None:
    async def answer() -> str:
        return "answer"

    async def main() -> None:
        await AsyncCircuitBreaker(store(), **options).call("b", answer)

    with pytest.raises(TimeLimit):
        asyncio.run(main())
