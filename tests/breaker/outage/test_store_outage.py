"""With a store that fails, no answer is lost, no exception is replaced, and the outage is reported once."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from cbstore_sql import (
    BreakerPolicy,
    CircuitBreakerOpenError,
    ConfigurationError,
    InMemoryStore,
    InvalidNameError,
    InvalidStateError,
    Permit,
    SchemaError,
    State,
    StoreUnavailableError,
)
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.events import StoreDegraded
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock
from tests.breaker.test_circuit_breaker import POLICY, Down, fail


class Failing(InMemoryStore):
    """A store that raises given errors from reads, from writes, or after writes took effect."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.on_read: Exception | None = None
        self.on_write: Exception | None = None
        self.after_write: Exception | None = None
        self.reads = 0

    def _read(self, name: str, now: float | None) -> Snapshot:
        self.reads += 1
        if self.on_read:
            raise self.on_read
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        if self.on_write:
            raise self.on_write
        transition = super()._apply(command)
        if self.after_write:
            raise self.after_write
        return transition


@pytest.fixture
def failing(clock: Clock) -> Failing:
    return Failing(clock)


UNAVAILABLE = StoreUnavailableError("gone")


@pytest.mark.parametrize("error", [UNAVAILABLE, RuntimeError("a bug in somebody's store")], ids=["outage", "bug"])
def test_an_answer_is_never_lost_and_an_exception_never_replaced(
    make: Make, failing: Failing, error: Exception
) -> None:
    breaker = make(failing, POLICY)
    failing.record_failure("b")
    failing.on_write = error
    assert breaker.call("b", lambda: "answer") == "answer"
    with breaker.guard("b"):
        pass
    with pytest.raises(Down):
        breaker.call("b", fail)


def about_the_store(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the log lines that are not about an opening or a closing of a circuit."""
    return [record for record in caplog.records if "cb_event" not in vars(record)]


def test_the_policy_allow_admits_every_call_in_an_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY, on_store_outage="allow")
    failing.on_read = UNAVAILABLE
    assert breaker.call("b", lambda: "answer") == "answer"
    permit = breaker.admit("b")
    for _ in range(9):
        with pytest.raises(Down):
            breaker.call("b", fail)
    failing.on_read = None
    assert breaker.do("check_store")
    for report in ("success", "failure", "release"):
        breaker.do(report, permit)
    assert failing.read("b").failure_count == 0


def test_the_policy_block_rejects_every_call_in_an_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY, on_store_outage="block")
    failing.on_read = UNAVAILABLE
    with pytest.raises(CircuitBreakerOpenError, match="store"):
        breaker.call("b", lambda: "answer")
    assert breaker.told() == ["StoreDegraded", "Rejected"]


def test_the_policy_raise_raises_the_store_s_error_in_an_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY, on_store_outage="raise")
    failing.on_read = UNAVAILABLE
    with pytest.raises(StoreUnavailableError):
        breaker.call("b", lambda: "answer")


def test_a_missing_table_is_logged_as_one_error_and_calls_follow_the_outage_policy(
    make: Make, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    failing.on_read = SchemaError("run cbstore migrate")
    for policy in ("local", "allow"):
        breaker = make(failing, POLICY, on_store_outage=policy)
        assert [breaker.call("b", lambda: "answer") for _ in range(3)] == ["answer"] * 3
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert "run cbstore migrate" in caplog.text
    raising = make(failing, POLICY, on_store_outage="raise")
    for _ in range(2):
        with pytest.raises(SchemaError, match="run cbstore migrate"):
            raising.call("b", lambda: "answer")
    with pytest.raises(CircuitBreakerOpenError, match="run cbstore migrate"):
        make(failing, POLICY, on_store_outage="block").call("b", lambda: "answer")


@pytest.mark.parametrize("policy", ["local", "allow", "block", "raise"])
def test_after_the_first_failure_of_the_store_no_call_asks_it(make: Make, failing: Failing, policy: str) -> None:
    breaker = make(failing, POLICY, on_store_outage=policy)
    failing.on_read = UNAVAILABLE
    for _ in range(5):
        with suppress(CircuitBreakerOpenError, StoreUnavailableError):
            breaker.call("b", lambda: "answer")
    assert failing.reads == 1
    failing.on_read = None
    assert breaker.do("check_store")
    breaker.call("b", lambda: "answer")
    assert failing.reads == 3


def test_check_store_does_not_end_the_outage_of_a_store_that_still_fails(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    assert breaker.do("check_store")
    failing.on_read = UNAVAILABLE
    breaker.call("b", lambda: "answer")
    assert not breaker.do("check_store")
    assert breaker.told() == ["StoreDegraded"]


def test_an_outage_and_its_end_are_each_emitted_and_logged_once(
    make: Make, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = make(failing, POLICY)
    with caplog.at_level(logging.INFO, logger="cbstore_sql"):
        failing.on_read = StoreUnavailableError("password=s3cr3t")
        for _ in range(3):
            breaker.call("b", lambda: None)
        failing.on_read = None
        for _ in range(3):
            assert breaker.do("check_store")
            breaker.call("b", lambda: None)
    assert breaker.told() == ["StoreDegraded", "StoreRecovered"]
    assert len(about_the_store(caplog)) == 2
    assert "s3cr3t" not in caplog.text


def test_a_failed_renewal_does_not_end_the_probe(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    failing.force_open("b", 0.0)
    permit = breaker.admit("b")
    failing.on_write = UNAVAILABLE
    assert breaker.do("renew", permit) is True
    failing.on_write = None
    assert breaker.do("check_store")
    assert breaker.do("renew", permit) is True
    failing.reset("b")
    assert breaker.do("renew", permit) is False


def test_force_open_and_reset_raise_when_the_store_is_unavailable(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    failing.on_write = UNAVAILABLE
    for operation in (("force_open", "b", 1.0), ("reset", "b")):
        with pytest.raises(StoreUnavailableError):
            breaker.do(*operation)


UNEXPECTED = [
    RuntimeError("can't start new thread"),
    ConfigurationError("the store is in use in another event loop"),
    UnicodeEncodeError("latin-1", "s3cr3t", 0, 1, "s3cr3t"),
    AttributeError("poll"),
]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["on_read", "on_write", "after_write"])
def test_any_exception_of_a_store_begins_an_outage_and_is_logged_once_with_its_class(
    make: Make, failing: Failing, error: Exception, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = make(failing, POLICY)
    failing.record_failure("b")
    permit = breaker.admit("b")
    setattr(failing, where, error)
    assert [breaker.call("b", lambda: "answer") for _ in range(3)] == ["answer"] * 3
    breaker.do("failure", permit)
    breaker.do("success", permit)
    assert breaker.do("seen", "b").state is State.CLOSED
    (line,) = caplog.records
    assert type(error).__name__ in line.getMessage()
    assert "s3cr3t" not in caplog.text
    degraded = [event for event in breaker.events if isinstance(event, StoreDegraded)]
    assert [event.error for event in degraded] == [type(error).__name__]
    setattr(failing, where, None)
    assert breaker.do("check_store")
    reads = failing.reads
    breaker.call("b", lambda: "answer")
    assert failing.reads > reads, "the store is used again"


def test_operations_that_a_person_calls_raise_a_store_error(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    failing.on_read = failing.on_write = KeyError("a bug in a store")
    for operation in (("snapshot", "b"), ("force_open", "b", 1.0), ("reset", "b")):
        with pytest.raises(StoreUnavailableError, match="KeyError") as raised:
            breaker.do(*operation)
        assert isinstance(raised.value.__cause__, KeyError)


def test_a_wrong_argument_of_the_caller_does_not_begin_an_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    with pytest.raises(InvalidNameError):
        breaker.call("\0", lambda: "answer")
    with pytest.raises(InvalidStateError):
        breaker.do("renew", Permit("b", 0))
    assert breaker.told() == []


def test_check_store_reads_and_writes_when_called(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    assert breaker.do("check_store")
    failing.on_write = UNAVAILABLE
    assert not breaker.do("check_store"), "it can be read and takes no writes"
    assert breaker.told() == ["StoreDegraded"]
    failing.on_write = None
    assert breaker.do("check_store")
    assert breaker.told() == ["StoreDegraded", "StoreRecovered"]


class RefusingCounts(Failing):
    """Accepts everything but counts, like a database whose disk is full or whose row is locked."""

    error: Exception | None = None

    def _apply(self, command: Command) -> Transition | None:
        if self.error is not None and command.operation in ("record_failure", "force_open"):
            raise self.error
        return super()._apply(command)


@pytest.mark.parametrize("applied", [None, False])
def test_a_store_that_rejects_only_counts_is_one_outage_in_which_circuits_open(
    make: Make, clock: Clock, applied: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = RefusingCounts(clock)
    breaker = make(store, BreakerPolicy(failure_threshold=3, recovery_timeout=600.0))
    breaker.call("b", lambda: "answer")
    store.error = StoreUnavailableError("the row is locked", applied=applied)
    for _ in range(3):
        with pytest.raises(Down):
            breaker.call("b", fail)
        breaker.do("check_store")
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: "answer")
    assert len(about_the_store(caplog)) == 1
    assert breaker.told() == ["StoreDegraded", "Opened", "Rejected"]
    store.error = None
    assert breaker.do("check_store")
    assert store.read("b").state is State.OPEN
    assert breaker.told()[-1] == "StoreRecovered"
    assert len(about_the_store(caplog)) == 2


def test_the_first_counted_failure_ends_an_outage_that_began_with_a_write(make: Make, clock: Clock) -> None:
    store = RefusingCounts(clock)
    breaker = make(store, BreakerPolicy(failure_threshold=3))
    store.error = UNAVAILABLE
    with pytest.raises(Down):
        breaker.call("b", fail)
    store.error = None
    assert breaker.do("check_store")
    assert breaker.told() == ["StoreDegraded"], "nothing was written yet"
    with pytest.raises(Down):
        breaker.call("b", fail)
    assert breaker.told() == ["StoreDegraded", "StoreRecovered"]
    assert store.read("b").failure_count == 1


def test_a_success_of_the_breaker_whose_write_failed_ends_the_outage(make: Make, clock: Clock) -> None:
    store = RefusingCounts(clock)
    breaker = make(store, BreakerPolicy(failure_threshold=3))
    store.error = UNAVAILABLE
    with pytest.raises(Down):
        breaker.call("b", fail)
    assert breaker.do("check_store")
    breaker.call("b", lambda: "answer")
    assert breaker.do("check_store")
    assert breaker.told() == ["StoreDegraded", "StoreRecovered"]
