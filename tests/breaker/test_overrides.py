"""Both breakers obey overrides, holds and ramps, with and without a view, and in an outage."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, InMemoryStore, State, StoreUnavailableError
from cbstore_sql.breaker import base, controller
from cbstore_sql.breaker.view import View
from cbstore_sql.errors import UnknownBreakerError
from cbstore_sql.events import OverrideCleared, OverrideSet, Rejected, WouldHaveOpened, WouldHaveRejected
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock, SyncDriver

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=10.0)
WHO = {"by": "alice", "reason": "test"}


class Shared(InMemoryStore):
    """A store that breakers use with a view, and that a test can make unavailable."""

    reads_locally = False
    keeps_deadlines = True
    out = False
    reads = 0

    def _read(self, name: str, now: float | None) -> Any:
        self._answer()
        self.reads += 1
        return super()._read(name, now)

    def _apply(self, command: Any) -> Any:
        self._answer()
        return super()._apply(command)

    def _answer(self) -> None:
        if self.out:
            raise StoreUnavailableError("out", applied=False)


@pytest.fixture
def shared(clock: Clock) -> Shared:
    return Shared(clock=clock)


@pytest.fixture(autouse=True)
def one_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the store, the view and the outage use one clock that only the test moves."""
    monkeypatch.setattr(controller, "monotonic", clock)
    monkeypatch.setattr(base, "make_view", lambda bound, *, needed: View(bound, clock) if bound and needed else None)


@pytest.fixture(params=[0.0, 3600.0], ids=["strict", "view"])
def breaker(request: pytest.FixtureRequest, make: Make, shared: Shared) -> SyncDriver:
    driver = make(shared, POLICY, max_staleness=request.param)
    driver.breaker._refresher = None
    return driver


def fail(breaker: SyncDriver) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaker.call("b", broken)


def locked(breaker: SyncDriver, mode: str, **more: Any) -> None:
    breaker.run(breaker.breaker.set_override("b", mode, **WHO, create=True, **more))


def refused(breaker: SyncDriver) -> CircuitBreakerOpenError:
    with pytest.raises(CircuitBreakerOpenError) as caught:
        breaker.call("b", str)
    return caught.value


def test_a_breaker_locked_open_refuses_every_call_with_the_reason(breaker: SyncDriver) -> None:
    locked(breaker, "open", seconds=60.0)
    for _ in range(2):
        error = refused(breaker)
        assert (error.state, error.reason) == ("open", "override")
        assert error.retry_after == pytest.approx(60.0)
        assert "is locked open" in str(error)
    rejected = [event for event in breaker.events if isinstance(event, Rejected)]
    assert [(event.state, event.reason) for event in rejected] == [(State.OPEN, "override")] * 2


def test_a_lock_with_a_duration_ends_without_a_write(breaker: SyncDriver, shared: Shared, clock: Clock) -> None:
    locked(breaker, "open", seconds=60.0)
    refused(breaker)
    clock.advance(60.0)
    before = shared.history("b")
    assert breaker.call("b", str) == ""
    assert shared.history("b") == before


def test_a_breaker_locked_open_admits_no_probe(breaker: SyncDriver, clock: Clock) -> None:
    breaker.do("force_open", "b", 5.0)
    locked(breaker, "open")
    clock.advance(6.0)
    assert refused(breaker).reason == "override"
    breaker.run(breaker.breaker.clear_override("b", by="bob"))
    assert breaker.call("b", str) == ""
    assert breaker.state("b") is State.CLOSED


def test_a_breaker_locked_closed_admits_every_call_while_its_circuit_opens(breaker: SyncDriver, clock: Clock) -> None:
    locked(breaker, "closed")
    for _ in range(5):
        fail(breaker)
    assert breaker.state("b") is State.OPEN
    assert breaker.call("b", str) == ""
    assert breaker.state("b") is State.OPEN, "no call but a probe closes it"
    clock.advance(11.0)
    assert breaker.call("b", str) == ""
    assert breaker.state("b") is State.CLOSED, "the first call after the open time was the probe"


def test_a_breaker_locked_closed_ignores_a_hold(breaker: SyncDriver, shared: Shared) -> None:
    shared.hold("b", 30.0)
    locked(breaker, "closed")
    assert breaker.call("b", str) == ""


def test_a_breaker_in_shadow_mode_admits_every_call_and_emits_the_rejections(breaker: SyncDriver) -> None:
    locked(breaker, "shadow")
    for _ in range(2):
        fail(breaker)
    assert breaker.call("b", str) == ""
    assert breaker.call("b", str) == ""
    told = breaker.told()
    assert told.count("WouldHaveOpened") == 1
    assert told.count("WouldHaveRejected") == 2
    assert "Rejected" not in told
    opened = next(event for event in breaker.events if isinstance(event, WouldHaveOpened))
    assert opened.snapshot.state is State.OPEN
    rejected = next(event for event in breaker.events if isinstance(event, WouldHaveRejected))
    assert (rejected.state, rejected.reason) == (State.OPEN, "state")
    assert rejected.retry_after == pytest.approx(10.0)


def test_a_failed_call_through_an_open_circuit_in_shadow_mode_changes_nothing(
    breaker: SyncDriver, shared: Shared
) -> None:
    locked(breaker, "shadow")
    for _ in range(2):
        fail(breaker)
    before = shared.read("b")
    fail(breaker)
    assert shared.read("b") == before


def test_a_call_of_a_breaker_locked_closed_does_not_take_over_the_probe(
    breaker: SyncDriver, shared: Shared, clock: Clock
) -> None:
    breaker.do("force_open", "b", 0.0)
    assert shared.claim_probe("b", POLICY, token="other") is not None
    locked(breaker, "closed")
    assert breaker.call("b", str) == ""
    fail(breaker)
    assert shared.read("b").probe_token == "other"


def test_a_hold_refuses_calls_of_a_closed_circuit_until_it_ends(
    breaker: SyncDriver, shared: Shared, clock: Clock
) -> None:
    shared.hold("b", 30.0)
    error = refused(breaker)
    assert error.reason == "hold"
    assert error.retry_after == pytest.approx(30.0)
    assert "on hold" in str(error)
    clock.advance(30.0)
    assert breaker.call("b", str) == ""


def test_overrides_emit_events_and_refuse_the_name_of_an_unknown_breaker(breaker: SyncDriver, shared: Shared) -> None:
    with pytest.raises(UnknownBreakerError):
        breaker.run(breaker.breaker.set_override("typo", "open", **WHO))
    with pytest.raises(UnknownBreakerError):
        breaker.run(breaker.breaker.clear_override("typo", by="bob"))
    assert shared.read("typo").generation == 0
    locked(breaker, "open", seconds=60.0)
    breaker.run(breaker.breaker.clear_override("b", by="bob"))
    told = [event for event in breaker.events if isinstance(event, (OverrideSet, OverrideCleared))]
    assert isinstance(told[0], OverrideSet)
    assert (told[0].snapshot.override, told[0].snapshot.override_by) == ("open", "alice")
    assert told[1:] == [OverrideCleared("b", "bob")]


def test_the_last_known_override_applies_in_an_outage_until_it_ends(
    breaker: SyncDriver, shared: Shared, clock: Clock
) -> None:
    locked(breaker, "open", seconds=60.0)
    refused(breaker)
    shared.out = True
    breaker.do("check_store")
    assert refused(breaker).reason == "override"
    clock.advance(61.0)
    assert breaker.call("b", str) == ""


def test_an_override_that_has_ended_does_not_apply_in_an_outage(make: Make, shared: Shared, clock: Clock) -> None:
    shared.set_override("b", "open", by="alice", reason="test", seconds=1.0, create=True)
    clock.advance(5000.0)
    breaker = make(shared, POLICY, max_staleness=0.0)
    assert breaker.call("b", str) == ""
    shared.out = True
    breaker.do("check_store")
    assert breaker.call("b", str) == ""


def test_a_breaker_in_shadow_mode_refuses_no_call_in_an_outage(breaker: SyncDriver, shared: Shared) -> None:
    locked(breaker, "shadow")
    assert breaker.call("b", str) == ""
    shared.out = True
    for _ in range(5):
        fail(breaker)
    assert breaker.call("b", str) == ""


def test_a_call_under_an_override_is_answered_by_the_view(make: Make, shared: Shared, clock: Clock) -> None:
    breaker = make(shared, POLICY, max_staleness=3600.0)
    for mode in ("open", "closed", "shadow"):
        shared.reset("b")
        shared.force_open("b", 1000.0)
        breaker.run(breaker.breaker.set_override("b", mode, **WHO))
        before = shared.reads
        for _ in range(20):
            if mode == "open":
                refused(breaker)
            else:
                breaker.call("b", str)
        assert shared.reads == before


def test_the_ramp_admits_a_growing_share_after_closing(make: Make, shared: Shared, clock: Clock) -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=1.0, ramp_up=100.0)
    breaker = make(shared, policy, max_staleness=0.0)
    breaker.do("force_open", "b", 1.0)
    clock.advance(1.0)
    breaker.call("b", str)
    assert breaker.state("b") is State.CLOSED
    shares = []
    for _ in range(3):
        admitted = 0
        for _ in range(100):
            with suppress(CircuitBreakerOpenError):
                breaker.call("b", str)
                admitted += 1
        shares.append(admitted)
        clock.advance(50.0)
    assert shares == [pytest.approx(10, abs=1), pytest.approx(55, abs=1), 100]
    rejected = {(event.reason, event.state) for event in breaker.events if isinstance(event, Rejected)}
    assert rejected == {("ramp_up", State.CLOSED)}


def test_explain_gives_the_sentences_of_cbstore_explain_and_works_without_the_store(
    breaker: SyncDriver, shared: Shared
) -> None:
    for _ in range(2):
        fail(breaker)
    text = breaker.run(breaker.breaker.explain("b"))
    assert "b is open: calls are refused. It became open" in text
    assert "the failures reached the threshold" in text
    assert [change.cause for change in breaker.run(breaker.breaker.history("b"))] == ["count"]
    shared.out = True
    text = breaker.run(breaker.breaker.explain("b"))
    assert "b is open: calls are refused." in text
    assert text.endswith("this is what this process knows and does by itself.")
