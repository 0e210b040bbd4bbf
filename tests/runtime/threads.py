"""Simulates a system on which no thread can start."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

# No system gives a thread a stack of 64 TiB.
_TOO_LARGE = 1 << 46


@contextlib.contextmanager
def no_new_threads() -> Iterator[None]:
    """Make every `threading.Thread.start` fail, as at the system's limit of threads."""
    before = threading.stack_size(_TOO_LARGE)
    try:
        yield
    finally:
        threading.stack_size(before)
