"""An exception that a signal handler raised is told apart from one that the interrupted code raised."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from cbstore_sql.runtime.signals import raised_by_signal, reraise_from_signal


class TimeLimit(Exception):
    """What the handlers raise."""


def handler(*_: Any) -> None:
    raise TimeLimit


class Handlers:
    """The other kinds of handler."""

    def method(self, *_: Any) -> None:
        raise TimeLimit

    def __call__(self, *_: Any) -> None:
        self._deeper()

    def _deeper(self) -> None:
        raise TimeLimit


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def interrupted() -> BaseException:
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(10**6):
            pass
    except TimeLimit as error:
        return error
    raise AssertionError("no signal arrived")


@pytest.mark.parametrize(
    "installed",
    [handler, Handlers().method, Handlers(), partial(handler, 1)],
    ids=["function", "method", "object", "partial"],
)
def test_an_exception_of_a_handler_is_recognised(installed: Callable[..., Any]) -> None:
    signal.signal(signal.SIGUSR1, installed)
    error = interrupted()
    assert raised_by_signal(error)
    with pytest.raises(TimeLimit):
        reraise_from_signal(error)


def test_the_same_exception_from_other_code_is_not_a_signal_s() -> None:
    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(TimeLimit) as caught:
        raise TimeLimit
    assert not raised_by_signal(caught.value)
    reraise_from_signal(caught.value)


def test_another_thread_never_sees_a_signal_s_exception() -> None:
    signal.signal(signal.SIGUSR1, handler)
    error = interrupted()
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(raised_by_signal(error)))
    thread.start()
    thread.join()
    assert seen == [False]
