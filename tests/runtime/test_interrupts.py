"""Tests that distinguish exceptions of a signal handler from exceptions of the interrupted code."""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import pytest

from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.interrupts import from_signal_handler

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")


class TimeLimit(Exception):
    """The error that a task queue raises in a task that takes too long."""


class Handler:
    """Handlers that are not plain functions."""

    def method(self, number: int, frame: object) -> NoReturn:
        raise TimeLimit

    def __call__(self, number: int, frame: object) -> NoReturn:
        self.deeper()

    def deeper(self) -> NoReturn:
        raise TimeLimit


def plain(number: int, frame: object) -> NoReturn:
    raise TimeLimit


def collecting(*_: object) -> NoReturn:
    raise TimeLimit


def with_more(extra: str, number: int, frame: object) -> NoReturn:
    raise TimeLimit


HANDLERS: dict[str, Callable[..., Any]] = {
    "function": plain,
    "collecting": collecting,
    "method": Handler().method,
    "object": Handler(),
    "partial": functools.partial(with_more, "extra"),
}


@pytest.fixture(params=HANDLERS)
def interrupted(request: pytest.FixtureRequest) -> Generator[Callable[[], None]]:
    """Return a function that a signal interrupts."""
    before = signal.signal(signal.SIGUSR1, HANDLERS[request.param])
    yield lambda: signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_an_exception_raised_by_a_signal_handler_is_recognised(interrupted: Callable[[], None]) -> None:
    with pytest.raises(TimeLimit) as raised:
        interrupted()
    assert from_signal_handler(raised.value)


def raises(*_: object) -> NoReturn:
    raise TimeLimit


def test_an_exception_raised_by_other_code_is_not_from_a_signal_handler() -> None:
    calls: list[Callable[[], object]] = [raises, lambda: raises(1, None, sys), lambda: plain(1, None)]
    for call in calls:
        with pytest.raises(TimeLimit) as raised:
            call()
        assert not from_signal_handler(raised.value)
    assert not from_signal_handler(TimeLimit())


def test_an_exception_of_a_signal_handler_is_not_thrown_into_a_generator(interrupted: Callable[[], None]) -> None:
    ended = []

    def steps() -> Generator[str, None, str]:
        try:
            yield "request"
        except TimeLimit:
            return "swallowed"
        finally:
            ended.append(True)
        return "answered"

    async def do_async(_: str) -> None:
        interrupted()

    with pytest.raises(TimeLimit):
        sansio.run(steps(), lambda _: interrupted())
    with pytest.raises(TimeLimit):
        asyncio.run(sansio.run_async(steps(), do_async))
    assert ended == [True, True], "the generator is closed at once"
