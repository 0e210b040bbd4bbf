"""Operations of a bare store that a fault may keep from ever coming to an end."""

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
        answer: What it returned; ``None`` where it raised.
        error: What it raised.
        seconds: How long it took.
        rescued: Whether it ended only because the fault did.
    """

    answer: Any
    error: StoreError | None
    seconds: float
    rescued: bool


@contextlib.contextmanager
def ended_at_last(rescue: Callable[[], object]) -> Iterator[threading.Event]:
    """End the fault if the block does not; the event tells whether that was needed."""
    rescued = threading.Event()

    def end_the_fault() -> None:
        rescued.set()
        rescue()

    timer = threading.Timer(RESCUE_SECONDS, end_the_fault)
    timer.start()
    try:
        yield rescued
    finally:
        timer.cancel()
        timer.join()


def attempt(operation: Callable[[], Any], rescue: Callable[[], object]) -> Attempt:
    """Carry out an operation; `rescue` ends the fault if the operation does not end by itself."""
    answer, error = None, None
    began = time.monotonic()
    with ended_at_last(rescue) as rescued:
        try:
            answer = operation()
        except StoreError as raised:
            error = raised
    return Attempt(answer, error, time.monotonic() - began, rescued.is_set())
