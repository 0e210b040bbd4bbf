"""Artificial logs of calls."""

from __future__ import annotations

import random

from cbstore_sql import Verdict
from cbstore_sql.replay.log import LoggedCall


def calls(
    *stretches: tuple[int, float], every: float = 0.1, seconds: float = 0.01, processes: int = 1, seed: int = 1
) -> list[LoggedCall]:
    """Make a log of stretches. Each stretch is a number of calls and the share of calls that fail at random."""
    rng = random.Random(seed)
    made: list[LoggedCall] = []
    for count, failing in stretches:
        for _ in range(count):
            verdict = Verdict.FAILURE if rng.random() < failing else Verdict.SUCCESS
            number = len(made)
            made.append(LoggedCall(1000.0 + number * every, verdict, seconds, f"web-{number % processes}"))
    return made
