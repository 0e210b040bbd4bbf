"""Operations of a store without a breaker, which a fault may make hang."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cbstore_sql import StoreError

RESCUE_SECONDS = 15.0
"""After this the fault is ended, so that a test of an operation that hangs fails and does not hang as well."""


@dataclass(frozen=True)
class Attempt:
    """How an operation ended.

    Attributes:
        answer: The result; ``None`` if the operation raised an error.
        error: The error, or ``None``.
        seconds: The duration.
    """

    answer: Any
    error: StoreError | None
    seconds: float


@contextlib.contextmanager
def ended_at_last(rescue: Callable[[], object]) -> Iterator[None]:
    """End the fault and fail the test if the block takes too long, because something in it waits for ever."""
    rescued = threading.Event()

    def end_the_fault() -> None:
        rescued.set()
        rescue()

    timer = threading.Timer(RESCUE_SECONDS, end_the_fault)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    assert not rescued.is_set(), "somebody waited for the end of the fault"


def attempt(operation: Callable[[], Any], rescue: Callable[[], object]) -> Attempt:
    """Run an operation. If the operation does not end by itself, ``rescue`` ends the fault."""
    answer, error = None, None
    with ended_at_last(rescue):
        began = time.monotonic()
        try:
            answer = operation()
        except StoreError as raised:
            error = raised
        seconds = time.monotonic() - began
    return Attempt(answer, error, seconds)
