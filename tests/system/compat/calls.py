"""Random calls of the eight methods."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from cbstore_sql.core.model import STATES
from tests.system.compat.clock import Clock

NAMES = ("claude", "", "深い:空 ☂", "a'b\"c\\d")

Arguments = tuple[Any, ...]
Call = tuple[str, str, Arguments]


def random_calls(seed: int, clock: Clock, *, calls: int, tick: float) -> Iterator[Call]:
    """Yield the method, the name and the further arguments of each call. Before each call, a random time passes.

    Args:
        seed: The same seed gives the same calls.
        clock: The clock that is moved before each call.
        calls: The number of calls.
        tick: Every time and duration is a multiple of this, seconds.
    """
    rng = random.Random(seed)
    for _ in range(calls):
        clock.now += rng.choice((0, 1, 2, 28)) * tick
        method = rng.choice(_METHODS)
        yield method, rng.choice(NAMES), ARGUMENTS[method](rng, clock.now, tick)


def _fields(rng: random.Random, now: float, tick: float) -> dict[str, Any]:
    fields = {
        "state": rng.choice((*STATES, "half_open")),
        "failure_count": rng.randrange(5),
        "last_failure_time": rng.choice((0.0, now - tick)),
        "open_until": rng.choice((0.0, now, now + rng.randint(-80, 80) * tick)),
        "half_open_probe_active": rng.random() < 0.3,
    }
    return {name: value for name, value in fields.items() if rng.random() < 0.5}


ARGUMENTS: dict[str, Callable[[random.Random, float, float], Arguments]] = {
    "get_state": lambda rng, now, tick: (),
    "set_state": lambda rng, now, tick: (_fields(rng, now, tick),),
    "cas_state": lambda rng, now, tick: (rng.choice((*STATES, "ajar")), _fields(rng, now, tick)),
    "increment_failure": lambda rng, now, tick: (),
    "atomic_record_failure": lambda rng, now, tick: (rng.randint(1, 4), rng.choice((0, 2 * tick, 7.0, 19))),
    "atomic_record_success": lambda rng, now, tick: (rng.choice((None, None, *STATES, "ajar")),),
    "try_transition_and_claim_probe": lambda rng, now, tick: (now + rng.choice((0, 0, -20, 20)) * tick, 60.0),
    "clear": lambda rng, now, tick: (),
}
"""The eight methods, and what each is given besides the name: drawn from a random source, the time and the tick."""

_WEIGHTS = {"atomic_record_failure": 4, "try_transition_and_claim_probe": 4, "cas_state": 3, "set_state": 2}
_METHODS = [method for method in ARGUMENTS for _ in range(_WEIGHTS.get(method, 1))]
