"""A guard guards one block at a time. The lease of a probe is renewed only while its call makes progress."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    GuardInUseError,
    InMemoryStore,
    Permit,
)
from cbstore_sql.breaker.reentrancy import PROBE_CAP, RENEWALS_PER_LEASE, ProbeScope, note_progress
from cbstore_sql.events import BreakerEvent, ProbeExpired, ProbeStalled

QUICK = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0, probe_lease=0.003)
PROBE = Permit("b", 1, "token")


def test_a_guard_entered_twice_at_once_raises_an_error_that_names_the_remedy() -> None:
    breaker = CircuitBreaker(InMemoryStore())
    guard = breaker.guard("b")
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            guard.__enter__()
        except GuardInUseError as error:
            errors.append(error)

    with guard:
        enter()
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(errors) == 2
    assert "write breaker.guard('b') for each block" in str(errors[0])
    with guard:
        pass


def test_an_asynchronous_guard_entered_twice_at_once_raises_an_error() -> None:
    async def main() -> None:
        breaker = AsyncCircuitBreaker(InMemoryStore())
        guard = breaker.guard("b")

        async def enter() -> None:
            async with guard:
                await asyncio.sleep(0)

        async with guard:
            outcomes = await asyncio.gather(enter(), enter(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [GuardInUseError, GuardInUseError]
        outcomes = await asyncio.gather(enter(), enter(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), GuardInUseError]

    asyncio.run(main())


def test_a_guard_can_be_entered_again_after_a_refusal_and_after_a_failure() -> None:
    store = InMemoryStore()
    guard = CircuitBreaker(store, BreakerPolicy(failure_threshold=1)).guard("b")
    with pytest.raises(OSError, match="down"), guard:
        raise OSError("down")
    for _ in range(2):
        with pytest.raises(CircuitBreakerOpenError), guard:
            pass
    store.reset("b")
    with guard:
        pass


@pytest.fixture
def scope() -> Iterator[ProbeScope]:
    made = ProbeScope(PROBE)
    yield made
    made.end()


def test_a_lease_is_renewed_for_ten_leases_after_the_last_sign_of_progress(scope: ProbeScope) -> None:
    whole = PROBE_CAP * RENEWALS_PER_LEASE
    assert [scope.take_renewal() for _ in range(whole + 2)] == [True] * whole + [False] * 2
    note_progress(PROBE)
    assert [scope.take_renewal() for _ in range(whole + 1)] == [True] * whole + [False]


def test_progress_of_a_call_that_is_not_a_probe_is_ignored(scope: ProbeScope) -> None:
    scope.take_renewal()
    note_progress(Permit("b", 1))
    note_progress(PROBE._replace(token="another"))
    assert sum(scope.take_renewal() for _ in range(100)) == PROBE_CAP * RENEWALS_PER_LEASE - 1


class Stalled:
    """A listener that sets an event when a probe has stalled."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.events: list[BreakerEvent] = []

    def __call__(self, event: BreakerEvent) -> None:
        self.events.append(event)
        if isinstance(event, ProbeStalled):
            self.event.set()


def test_the_lease_of_a_stalled_probe_is_not_renewed(caplog: pytest.LogCaptureFixture) -> None:
    stalled, store = Stalled(), InMemoryStore()
    store.force_open("b", 0.0)
    with CircuitBreaker(store, QUICK, listeners=[stalled]).guard("b") as permit:
        assert stalled.event.wait(60.0)
        until = store.read("b").probe_until
        assert store.claim_probe("b", QUICK, now=until) is not None
    assert ProbeStalled("b", permit) in stalled.events
    assert isinstance(stalled.events[-1], ProbeExpired)
    assert "its probe showed no progress for 10 leases" in caplog.text


def test_the_lease_of_a_stalled_asynchronous_probe_is_not_renewed() -> None:
    stalled, store = Stalled(), InMemoryStore()
    store.force_open("b", 0.0)

    async def main() -> None:
        async with AsyncCircuitBreaker(store, QUICK, listeners=[stalled]) as breaker, breaker.guard("b"):
            assert await asyncio.to_thread(stalled.event.wait, 60.0)

    asyncio.run(main())


@pytest.mark.parametrize("sign", ["progress", "renew"])
def test_a_lease_is_renewed_while_the_call_makes_progress(sign: str) -> None:
    renewed = threading.Event()
    after: list[int] = []

    class CountingStore(InMemoryStore):
        def renew_probe(self, *args: Any, **kwargs: Any) -> Any:
            after.append(1)
            if len(after) > 2 * PROBE_CAP * RENEWALS_PER_LEASE:
                renewed.set()
            mark()
            return super().renew_probe(*args, **kwargs)

    store, stalled = CountingStore(), Stalled()
    store.force_open("b", 0.0)
    breaker = CircuitBreaker(store, BreakerPolicy(probe_lease=0.06), listeners=[stalled])
    marks: dict[str, Callable[[], None]] = {}

    def mark() -> None:
        marks.get("now", lambda: None)()

    with breaker.guard("b") as permit:
        if sign == "progress":
            marks["now"] = lambda: breaker.progress(permit)
        else:
            threading.Thread(target=lambda: [breaker.renew(permit) for _ in range(100)], daemon=True).start()
            marks["now"] = lambda: note_progress(permit)
        assert renewed.wait(60.0)
    assert not stalled.event.is_set()
