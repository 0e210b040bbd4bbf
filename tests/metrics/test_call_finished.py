"""Tests of the event `CallFinished` of both breakers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, InMemoryStore, Snapshot
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Transition, Verdict
from cbstore_sql.events import CallFinished
from tests.breaker.drivers import AsyncDriver, Clock, SyncDriver


class Slow(InMemoryStore):
    """A store whose operations take a hundred seconds."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._steady = clock

    def _read(self, name: str, now: float | None) -> Snapshot:
        self._steady.advance(100.0)
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        self._steady.advance(100.0)
        return super()._apply(command)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("cbstore_sql.breaker.notifier.time.perf_counter", clock)
    return clock


@pytest.mark.parametrize("driver", [SyncDriver, AsyncDriver])
def test_call_finished_has_the_verdict_and_the_duration_without_the_store(
    driver: type[SyncDriver], clock: Clock
) -> None:
    breaker = driver(Slow(clock))

    def work(error: BaseException | None) -> None:
        clock.advance(2.5)
        if error:
            raise error

    breaker.call("api", work, None)
    with pytest.raises(ZeroDivisionError):
        breaker.call("api", work, ZeroDivisionError())
    with pytest.raises(SystemExit), breaker.guard("api"):
        work(SystemExit())
    breaker.close()
    assert [event for event in breaker.events if isinstance(event, CallFinished)] == [
        CallFinished("api", Verdict.SUCCESS, 2.5),
        CallFinished("api", Verdict.FAILURE, 2.5),
        CallFinished("api", Verdict.NONE, 2.5),
    ]


def test_admit_and_success_emit_no_call_finished(clock: Clock) -> None:
    breaker = SyncDriver(InMemoryStore())
    breaker.do("success", breaker.admit("api"))
    assert breaker.events == []


def test_no_clock_is_read_without_a_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> Any:
        raise AssertionError

    async def answer() -> str:
        return "answer"

    store = InMemoryStore()
    monkeypatch.setattr("cbstore_sql.breaker.notifier.time.perf_counter", read)
    assert CircuitBreaker(store).call("api", lambda: "answer") == "answer"
    assert asyncio.run(AsyncCircuitBreaker(store).call("api", answer)) == "answer"
