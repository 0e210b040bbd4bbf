"""Without a view, a success over a circuit that admission read as clean is sent, and other reports wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cbstore_sql import (
    DEFAULT_POLICY,
    AsyncCircuitBreaker,
    BreakerPolicy,
    FailureRate,
    InMemoryStore,
    Permit,
    StoreUnavailableError,
)
from cbstore_sql.core.commands import Command, record_success
from cbstore_sql.core.model import CleanPermit, Transition
from cbstore_sql.stores.memory import AsyncInMemoryStore
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock

SCORED = BreakerPolicy(trip=FailureRate(0.5, 0.9, 60.0))
LIMITED = BreakerPolicy(trip=FailureRate(0.5, 0.9, 60.0), min_reporters=2)
SLOW = BreakerPolicy(slow_after=10.0)


class Remote(InMemoryStore):
    """Notes which reports it was sent, and which ones somebody waited for."""

    reads_locally = False

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.sent: list[str] = []
        self.waited: list[str] = []

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        self.sent.append("record_success")
        super()._apply(record_success(permit, policy, None, None))
        return True

    def _apply(self, command: Command) -> Transition | None:
        self.waited.append(command.operation)
        return super()._apply(command)


@pytest.fixture
def remote(clock: Clock) -> Remote:
    return Remote(clock)


def test_a_success_over_a_clean_circuit_is_sent(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)
    assert driver.call("b", lambda: "answer") == "answer"
    assert (remote.sent, remote.waited) == (["record_success"], [])


def test_a_sent_success_clears_what_was_counted_during_the_call(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)
    driver.call("b", lambda: remote.record_failure("b"))
    assert remote.sent == ["record_success"]
    assert remote.read("b").failure_count == 0


def test_a_success_over_failures_is_waited_for(make: Make, remote: Remote) -> None:
    remote.record_failure("b")
    make(remote, max_staleness=0).call("b", str)
    assert (remote.sent, remote.waited[1:]) == ([], ["record_success"])


def test_a_success_over_a_score_is_waited_for(make: Make, remote: Remote) -> None:
    remote.record_failure("b", SCORED)
    remote.record_success("b")
    make(remote, SCORED, max_staleness=0).call("b", str)
    assert (remote.sent, remote.waited[2:]) == ([], ["record_success"])


def test_the_success_of_a_probe_is_waited_for(make: Make, remote: Remote, clock: Clock) -> None:
    remote.force_open("b", 1.0)
    clock.advance(2.0)
    make(remote, max_staleness=0).call("b", str)
    assert (remote.sent, remote.waited[1:]) == ([], ["claim_probe", "record_success"])


def test_a_failure_is_waited_for(make: Make, remote: Remote) -> None:
    with pytest.raises(ZeroDivisionError):
        make(remote, max_staleness=0).call("b", lambda: 1 / 0)
    assert (remote.sent, remote.waited) == ([], ["record_failure"])


def test_a_timed_call_waits_for_its_report(make: Make, remote: Remote) -> None:
    make(remote, SLOW, max_staleness=0).call("b", str)
    assert (remote.sent, remote.waited) == ([], ["record_success"])


def test_a_permit_admitted_by_hand_is_reported_the_same_way(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)
    permit = driver.admit("b")
    assert type(permit) is CleanPermit
    driver.do("success", permit)
    assert (remote.sent, remote.waited) == (["record_success"], [])


def test_a_view_sends_nothing(make: Make, remote: Remote) -> None:
    make(remote, max_staleness=60.0).call("b", str)
    assert (remote.sent, remote.waited) == ([], [])


def test_a_failure_of_a_store_that_cannot_send_begins_the_outage_policy(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)

    def broken(*_: object) -> Any:
        raise ConnectionError

    vars(remote).update(send_success=broken, _apply=broken)  # from here on
    assert driver.call("b", lambda: "answer") == "answer"
    assert driver.breaker._controller.is_out


def test_a_success_that_cannot_be_sent_is_reported(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)

    def broken(*_: object) -> bool:
        raise ConnectionError

    vars(remote).update(send_success=broken)  # from here on
    driver.call("b", lambda: remote.record_failure("b"))
    assert remote.waited == ["record_failure", "record_success"]
    assert remote.read("b").failure_count == 0
    assert not driver.breaker._controller.is_out


def test_a_success_clears_a_failure_that_the_store_may_have_counted(make: Make, remote: Remote) -> None:
    driver = make(remote, max_staleness=0)

    def lost(command: Command) -> Transition | None:
        if command.operation == "record_failure":
            raise StoreUnavailableError("the answer was lost", applied=None)
        return InMemoryStore._apply(remote, command)

    vars(remote).update(_apply=lost)  # from here on
    with pytest.raises(ZeroDivisionError):
        driver.call("b", lambda: 1 / 0)
    assert driver.do("check_store")
    assert driver.breaker._controller.outage.local.is_in_doubt
    driver.call("b", str)
    assert not driver.breaker._controller.outage.local.is_in_doubt


def test_a_success_is_reported_where_the_policy_limits_each_process(make: Make, remote: Remote) -> None:
    make(remote, LIMITED, max_staleness=0).call("b", str)
    assert (remote.sent, remote.waited) == ([], ["record_success"])


def test_an_asynchronous_success_is_sent_by_the_caller_s_own_task() -> None:
    senders: list[asyncio.Task[Any] | None] = []

    class Sending(AsyncInMemoryStore):
        reads_locally = False

        def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
            senders.append(asyncio.current_task())
            return True

    async def answer() -> str:
        return "answer"

    async def main() -> None:
        async with AsyncCircuitBreaker(Sending(), max_staleness=0) as breaker:
            assert await breaker.call("b", answer) == "answer"
            assert senders == [asyncio.current_task()]

    asyncio.run(main())
