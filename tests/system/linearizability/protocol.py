"""The eight methods of the dictionary protocol: random work by many processes, and a search for a valid order.

The model is what the protocol shows of a breaker, without its times: the state, the count, and whether a probe is
active. The work is chosen so that no time matters: open times and leases outlast it, and a claim is made at a time
when every open circuit is due.
"""

from __future__ import annotations

import math
import multiprocessing as mp
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple

from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import Backend, open_store

DUE = 1e10
"""Unix seconds at which every open circuit is due."""

THRESHOLD = 3
WORKERS = 8
NAMES = ("one", "two")

Arguments = tuple[Any, ...]


class Shown(NamedTuple):
    """What the protocol shows of a breaker, without its times."""

    state: str = "closed"
    failures: int = 0
    active: bool = False

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Shown:
        """Return what an answer shows."""
        return cls(answer["state"], answer["failure_count"], answer["half_open_probe_active"])


class MethodCall(NamedTuple):
    """One call of a method, with its answer.

    Attributes:
        method: Its name.
        name: The breaker's name.
        arguments: Its other arguments.
        began: Before the call, by the clock that all processes of a machine share, seconds.
        ended: After the answer.
        answer: The answer.
    """

    method: str
    name: str
    arguments: Arguments
    began: float
    ended: float
    answer: Any


def after(shown: Shown, call: MethodCall) -> Shown | None:
    """Return the breaker after a call, ``None`` if the call cannot have given its answer."""
    expected, answer = _STEPS[call.method](shown, *call.arguments)
    return expected if answer == _without_times(call.answer) else None


def _without_times(answer: Any) -> Any:
    if isinstance(answer, dict):
        return (Shown.of(answer), answer.get("_prev_state"))
    if isinstance(answer, tuple):
        return (answer[0], Shown.of(answer[1]), answer[2])
    return answer


def _get(shown: Shown) -> tuple[Shown, Any]:
    return shown, (shown, None)


def _set(shown: Shown, state: dict[str, Any]) -> tuple[Shown, Any]:
    return Shown(state["state"], state["failure_count"]), None


def _cas(shown: Shown, expected: str, updates: dict[str, Any]) -> tuple[Shown, Any]:
    return (shown._replace(failures=updates["failure_count"]), True) if shown.state == expected else (shown, False)


def _increment(shown: Shown) -> tuple[Shown, Any]:
    return shown._replace(failures=shown.failures + 1), shown.failures + 1


def _fail(shown: Shown, threshold: int, _timeout: float) -> tuple[Shown, Any]:
    counted = shown._replace(failures=shown.failures + 1)
    if shown.state == "half_open" or (shown.state == "closed" and counted.failures >= threshold):
        counted = Shown("open", counted.failures)
    return counted, (counted, shown.state)


def _succeed(shown: Shown, expected: str | None = None) -> tuple[Shown, Any]:
    closed = Shown() if shown.state != "open" and expected in (None, shown.state) else shown
    return closed, (closed, shown.state)


def _claim(shown: Shown, _now: float, _timeout: float) -> tuple[Shown, Any]:
    if shown.state == "closed" or shown.active:
        return shown, (False, shown, None)
    label = "open->half_open" if shown.state == "open" else "half_open_probe_claimed"
    claimed = Shown("half_open", shown.failures, True)
    return claimed, (True, claimed, label)


def _clear(shown: Shown) -> tuple[Shown, Any]:
    return Shown(), None


_STEPS: dict[str, Callable[..., tuple[Shown, Any]]] = {
    "get_state": _get,
    "set_state": _set,
    "cas_state": _cas,
    "increment_failure": _increment,
    "atomic_record_failure": _fail,
    "atomic_record_success": _succeed,
    "try_transition_and_claim_probe": _claim,
    "clear": _clear,
}
METHODS = tuple(_STEPS)


def explains(calls: Iterable[MethodCall]) -> bool:
    """Whether each breaker's calls have an order, true to real time, that gives every answer."""
    histories: dict[str, list[MethodCall]] = defaultdict(list)
    for call in calls:
        histories[call.name].append(call)
    return all(_has_order(sorted(history, key=lambda call: call.began)) for history in histories.values())


def _has_order(calls: Sequence[MethodCall]) -> bool:
    stack = [(0, 0, Shown())]
    tried = set(stack)
    while stack:
        base, mask, shown = stack.pop()
        if base == len(calls):
            return True
        first_end = math.inf
        for index in range(base, len(calls)):
            call = calls[index]
            if call.began > first_end:
                break
            if mask >> (index - base) & 1:
                continue
            first_end = min(first_end, call.ended)
            following = after(shown, call)
            if following is not None:
                step = _with(base, mask | 1 << (index - base), following)
                if step not in tried:
                    tried.add(step)
                    stack.append(step)
    return False


def _with(base: int, mask: int, shown: Shown) -> tuple[int, int, Shown]:
    while mask & 1:
        base, mask = base + 1, mask >> 1
    return base, mask, shown


def drive(store: ProtocolStore, seed: str, calls: int) -> list[MethodCall]:
    """Call random methods, and return the calls."""
    rng = random.Random(seed)
    return [called(store, *_choice(rng), rng.choice(NAMES)) for _ in range(calls)]


def called(store: Any, method: str, arguments: Arguments, name: str) -> MethodCall:
    """Call one method, and return the call."""
    began = time.monotonic()
    answer = getattr(store, method)(name, *arguments)
    return MethodCall(method, name, arguments, began, time.monotonic(), answer)


def _choice(rng: random.Random) -> tuple[str, Arguments]:
    state = rng.choice(("closed", "open", "half_open"))
    arguments: dict[str, tuple[int, Arguments]] = {
        "get_state": (3, ()),
        "set_state": (1, ({"state": state, "failure_count": rng.randrange(3), "open_until": 2e9},)),
        "cas_state": (2, (state, {"failure_count": rng.randrange(3)})),
        "increment_failure": (2, ()),
        "atomic_record_failure": (6, (THRESHOLD, 60.0)),
        "atomic_record_success": (8, rng.choice(((), (state,)))),
        "try_transition_and_claim_probe": (4, (DUE, 60.0)),
        "clear": (1, ()),
    }
    (method,) = rng.choices(list(arguments), [weight for weight, _ in arguments.values()])
    return method, arguments[method][1]


def histories(backend: Backend, seed: int, calls: int = 40) -> list[MethodCall]:
    """Let many workers call at once: threads for memory, processes elsewhere."""
    if backend.name.endswith("memory"):
        return _in_threads(backend.open(), seed, calls)
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    open_ = partial(open_store, backend.name, backend.url, uuid.uuid4().hex)
    barrier, results = context.Barrier(WORKERS, timeout=60.0), context.Queue()
    workers = [
        context.Process(target=_work, args=(open_, f"{seed}/{worker}", calls, barrier, results))
        for worker in range(WORKERS)
    ]
    for process in workers:
        process.start()
    found = [call for _ in workers for call in results.get(timeout=120.0)]
    for process in workers:
        process.join()
    return found


def _work(open_: Callable[[], ProtocolStore], seed: str, calls: int, barrier: Barrier, results: mp.Queue[Any]) -> None:
    found: list[MethodCall] = []
    try:
        with open_() as store:
            barrier.wait()
            found = drive(store, seed, calls)
    finally:
        results.put(found)


def _in_threads(store: ProtocolStore, seed: int, calls: int) -> list[MethodCall]:
    found: list[MethodCall] = []
    barrier = threading.Barrier(WORKERS, timeout=60.0)

    def work(worker: int) -> None:
        barrier.wait()
        found.extend(drive(store, f"{seed}/{worker}", calls))

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return found
