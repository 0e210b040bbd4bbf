"""Waiting for an effect in another process."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds after which a condition is given up on; far more than any takes."""


def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Return whether a condition becomes true within the time limit."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
