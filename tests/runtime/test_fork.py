"""A process forks while its other threads work. In the child, no thread releases what these threads held."""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry

from cbstore_sql import BreakerPolicy, InMemoryStore, Permit, StoreUnavailableError, Transition
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox
from cbstore_sql.breaker.view import View
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Verdict
from cbstore_sql.metrics.prometheus import CircuitBreakerMetrics
from cbstore_sql.runtime import fork as forking
from cbstore_sql.runtime.fork import ForkSafeLock, after_fork_in_child
from cbstore_sql.runtime.periodic import Periodic
from cbstore_sql.stores.batching import CombiningStore
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.timeout import _MAX_THREADS as MOST
from cbstore_sql.stores.timeout import TimeoutWorkers
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

NEVER = BreakerPolicy(failure_threshold=1000)
CLOSED = InMemoryStore().read("b")


def in_child(work: Callable[[], object]) -> bool:
    """Fork, and return whether a function ends in the child."""
    ended, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            work()
            os.write(tell, b"!")
        os._exit(0)
    os.close(tell)
    ready, _, _ = select.select([ended], [], [], PATIENCE)
    came_to_its_end = bool(ready) and os.read(ended, 1) == b"!"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ended)
    return came_to_its_end


class Ticking:
    """An object with a background thread that does its work once."""

    def __init__(self) -> None:
        self.ticked = threading.Event()
        self.periodic = Periodic("ticking", lambda: 0.0, self.tick)

    def tick(self) -> bool:
        """Record that the work was done, and end the thread."""
        self.ticked.set()
        return False

    def work(self) -> None:
        """Start the work and wait until it is done."""
        self.periodic.ensure()
        assert self.ticked.wait(PATIENCE)


def local_breakers() -> LocalBreakers:
    return LocalBreakers(lambda _: NEVER, lambda _: None, reopen_on_no_verdict=False)


def owners() -> dict[str, tuple[object, Callable[[], object]]]:
    """Return objects with a lock, each with a function that needs the lock."""
    memory, view, owed, outage = InMemoryStore(), View(1.0), Outbox(), OutageDetector("allow", lambda _: None)
    local, ticking, metrics = local_breakers(), Ticking(), CircuitBreakerMetrics(CollectorRegistry())
    combining = CombiningStore(memory, 0.001)
    return {
        "memory": (memory, lambda: memory.reset("b")),
        "view": (view, lambda: view.record(CLOSED, 0.0)),
        "owed": (owed, owed.next),
        "outage": (outage, lambda: outage.mark_down("b", StoreUnavailableError("gone"))),
        "local": (local, lambda: local.settle(Permit("b", 0), Verdict.FAILURE, uncounted=True)),
        "periodic": (ticking.periodic, ticking.work),
        "metrics": (metrics, lambda: metrics.record_request("b", "success", 0.0)),
        "combining": (combining._company, lambda: combining.record_failure("b", NEVER)),
    }


@pytest.mark.parametrize("kind", owners())
def test_a_lock_held_by_a_thread_is_free_in_the_child(kind: str) -> None:
    owner, work = owners()[kind]
    # Another thread holds the lock, because a reentrant lock would admit this thread.
    with ThreadPoolExecutor(1) as holder, ExitStack() as stack:
        lock = getattr(owner, "_lock")  # noqa: B009 - not every owner is of one class
        holder.submit(lock.acquire).result()
        stack.callback(lambda: holder.submit(lock.release).result())
        assert in_child(work)


class Held(InMemoryStore):
    """A store that blocks its first write until a test releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.released = threading.Event()

    def _apply(self, command: Command) -> Transition | None:
        if not self.begun.is_set():
            self.begun.set()
            self.released.wait(PATIENCE)
        return super()._apply(command)


def let_go(store: CombiningStore, held: Held) -> None:
    """Release all waiting callers."""
    held.released.set()
    for batch in list(store._open.values()):
        batch.full.set()


def test_a_child_does_not_wait_for_a_batch_of_its_parent() -> None:
    held = Held()
    store = CombiningStore(held, PATIENCE)
    with ThreadPoolExecutor(2) as threads, ExitStack() as stack:
        stack.callback(let_go, store, held)
        first = threads.submit(store.record_failure, "b", NEVER)
        assert held.begun.wait(PATIENCE)
        second = threads.submit(store.record_failure, "b", BreakerPolicy(failure_threshold=3))
        assert eventually(lambda: store._open)
        assert in_child(lambda: store.record_failure("b", BreakerPolicy(failure_threshold=3)))
        let_go(store, held)
        assert first.result() is not None
        assert second.result() is not None


def test_hanging_work_of_the_parent_uses_no_thread_of_the_child() -> None:
    asked, workers, released = StoreCall("read", ("b",)), TimeoutWorkers(), threading.Event()
    with ThreadPoolExecutor(MOST) as callers, ExitStack() as stack:
        stack.callback(released.set)
        hanging = [callers.submit(workers.carry_out, asked, released.wait) for _ in range(MOST)]
        assert eventually(lambda: workers._workers._threads == MOST)
        assert in_child(lambda: workers.carry_out(asked, int))
        released.set()
        assert all(each.result() for each in hanging)


def test_a_deleted_object_is_not_reset_in_the_child_and_not_remembered() -> None:
    class Counted(ForkSafeLock):
        def begin(self) -> None:
            raise AssertionError

    before = len(forking._in_child._methods)
    counted = Counted()
    after_fork_in_child(counted.begin)
    assert len(forking._in_child._methods) == before + 1
    del counted
    gc.collect()
    assert len(forking._in_child._methods) <= before
    assert in_child(lambda: None)
