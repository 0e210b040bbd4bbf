"""The resources of processes, and whether they grow."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

PAGE = resource.getpagesize()
MEBIBYTE = 1024 * 1024


class Usage(NamedTuple):
    """The resources of a process between two rounds.

    Attributes:
        threads: Live threads.
        tasks: Tasks of its event loop.
        files: Open file descriptors.
        memory: Resident memory, bytes.
    """

    threads: int
    tasks: int
    files: int
    memory: int


ALLOWED = Usage(threads=1, tasks=1, files=4, memory=8 * MEBIBYTE)
"""What the later readings may have more than the earlier ones, in the middle: a connection more or less is open."""

MIN_READINGS = 8
"""With fewer, there is no telling what is growth."""


def usage(tasks: int = 0) -> Usage:
    """Return the resources of this process."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return Usage(threading.active_count(), tasks, len(os.listdir("/proc/self/fd")), resident)


def halves(readings: Sequence[Usage]) -> tuple[Usage, Usage] | None:
    """Return the medians of the readings before and after the middle, without the first quarter (the warm-up)."""
    if len(readings) < MIN_READINGS:
        return None
    warm = readings[len(readings) // 4 :]
    middle = len(warm) // 2
    return _middle(warm[:middle]), _middle(warm[middle:])


def growth(readings: Sequence[Usage]) -> list[str]:
    """Return in words which resources have grown by more than is allowed."""
    compared = halves(readings)
    if compared is None:
        return []
    return [
        f"{what} grew from {before} to {after}"
        for what, before, after, allowed in zip(Usage._fields, *compared, ALLOWED, strict=True)
        if after > before + allowed
    ]


def _middle(readings: Sequence[Usage]) -> Usage:
    return Usage(*(int(median(column)) for column in zip(*readings, strict=True)))
