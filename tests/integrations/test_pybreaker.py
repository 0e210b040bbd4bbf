"""pybreaker behaves with the shared storage as it does with its own storage in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pybreaker
import pytest

from cbstore_sql import InMemoryStore, Snapshot, State, StoreUnavailableError
from cbstore_sql.integrations.pybreaker import CircuitSharedStorage
from tests.integrations.conftest import Clock

NAME = "billing"


class DownError(Exception):
    """The service is down."""


class CustomerError(Exception):
    """The customer's mistake."""


def fail() -> None:
    raise DownError


def succeed() -> str:
    return "ok"


@dataclass(frozen=True)
class Storage:
    """One kind of storage.

    Attributes:
        make: Makes a storage object; all of them share one state.
        elapse: Lets the reset timeout of 60 seconds pass.
    """

    make: Callable[[], pybreaker.CircuitBreakerStorage]
    elapse: Callable[[], None]


@pytest.fixture(params=["pybreaker's memory", "shared"])
def storage(request: pytest.FixtureRequest, store: InMemoryStore, clock: Clock) -> Storage:
    if request.param == "shared":
        return Storage(lambda: CircuitSharedStorage(store, NAME), lambda: clock.advance(61.0))
    own = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)

    def elapse() -> None:
        own.opened_at = datetime.now(timezone.utc) - timedelta(seconds=61)

    return Storage(lambda: own, elapse)


def breaker(storage: Storage, **settings: Any) -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(**{"fail_max": 3, "state_storage": storage.make(), **settings})


def trip(guarded: pybreaker.CircuitBreaker) -> None:
    for _ in range(guarded.fail_max - 1):
        with pytest.raises(DownError):
            guarded.call(fail)
    with pytest.raises(pybreaker.CircuitBreakerError):
        guarded.call(fail)


def test_the_circuit_opens_after_fail_max_failures_in_a_row(storage: Storage) -> None:
    guarded = breaker(storage)
    trip(guarded)
    assert guarded.current_state == "open"
    assert guarded.fail_counter == 3
    with pytest.raises(pybreaker.CircuitBreakerError, match="Timeout not elapsed"):
        guarded.call(succeed)


def test_the_original_error_can_be_raised_on_the_trip(storage: Storage) -> None:
    guarded = breaker(storage, fail_max=1, throw_new_error_on_trip=False)
    with pytest.raises(DownError):
        guarded.call(fail)
    assert guarded.current_state == "open"


def test_a_success_in_between_restarts_the_count(storage: Storage) -> None:
    guarded = breaker(storage)
    for _ in range(4):
        for _ in range(2):
            with pytest.raises(DownError):
                guarded.call(fail)
        assert guarded.call(succeed) == "ok"
        assert guarded.fail_counter == 0


def test_a_successful_call_after_the_timeout_closes_the_circuit(storage: Storage) -> None:
    guarded = breaker(storage)
    trip(guarded)
    storage.elapse()
    assert guarded.call(succeed) == "ok"
    assert (guarded.current_state, guarded.fail_counter) == ("closed", 0)


def test_a_failed_call_after_the_timeout_opens_the_circuit_again(storage: Storage) -> None:
    guarded = breaker(storage)
    trip(guarded)
    storage.elapse()
    with pytest.raises(pybreaker.CircuitBreakerError, match="Trial call failed"):
        guarded.call(fail)
    assert guarded.current_state == "open"
    with pytest.raises(pybreaker.CircuitBreakerError, match="Timeout not elapsed"):
        guarded.call(succeed)


def test_success_threshold_successful_calls_close_the_circuit(storage: Storage) -> None:
    guarded = breaker(storage, success_threshold=3)
    trip(guarded)
    storage.elapse()
    for _ in range(2):
        guarded.call(succeed)
        assert guarded.current_state != "closed"
    guarded.call(succeed)
    assert guarded.current_state == "closed"


def test_excluded_exceptions_count_as_success(storage: Storage) -> None:
    guarded = breaker(storage, exclude=[CustomerError])

    def refuse() -> None:
        raise CustomerError

    with pytest.raises(DownError):
        guarded.call(fail)
    with pytest.raises(CustomerError):
        guarded.call(refuse)
    assert guarded.fail_counter == 0


def test_decorator_context_manager_and_generator_are_guarded(storage: Storage) -> None:
    guarded = breaker(storage, fail_max=9)
    with pytest.raises(DownError):
        guarded(fail)()
    with pytest.raises(DownError), guarded.calling():
        fail()

    def produce() -> Any:
        yield 1
        fail()

    with pytest.raises(DownError):
        list(guarded.call(produce))
    assert guarded.fail_counter == 3


def test_open_and_close_change_the_circuit(storage: Storage) -> None:
    guarded = breaker(storage)
    guarded.open()
    assert guarded.current_state == "open"
    guarded.close()
    assert guarded.call(succeed) == "ok"


def test_listeners_receive_every_call_and_change(storage: Storage) -> None:
    heard: list[str] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            heard.append(new_state.name)

        def failure(self, cb: Any, exc: BaseException) -> None:
            heard.append("failure")

        def success(self, cb: Any) -> None:
            heard.append("success")

    guarded = breaker(storage, fail_max=1, listeners=[Listener()])
    trip(guarded)
    storage.elapse()
    guarded.call(succeed)
    assert heard == ["failure", "open", "half-open", "closed", "success"]


def shared(store: InMemoryStore, **settings: Any) -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(**{"fail_max": 3, "state_storage": CircuitSharedStorage(store, NAME), **settings})


def test_processes_count_together(store: InMemoryStore) -> None:
    one, other = shared(store), shared(store)
    for guarded in (one, other):
        with pytest.raises(DownError):
            guarded.call(fail)
    with pytest.raises(pybreaker.CircuitBreakerError):
        one.call(fail)
    assert other.current_state == "open"


def test_a_process_that_only_notices_a_change_clears_no_count(store: InMemoryStore) -> None:
    one, other = shared(store), shared(store)
    trip(one)
    with pytest.raises(pybreaker.CircuitBreakerError):
        other.call(succeed)
    store.reset(NAME)
    with pytest.raises(DownError):
        one.call(fail)
    assert other.state.name == "closed"
    assert store.read(NAME).failure_count == 1


def test_other_processes_see_the_circuit_open_during_a_probe(store: InMemoryStore, clock: Clock) -> None:
    one, other = shared(store), shared(store)
    trip(one)
    clock.advance(61.0)

    def probe() -> str:
        assert one.current_state == "half-open"
        assert other.current_state == "open"
        with pytest.raises(pybreaker.CircuitBreakerError):
            other.call(succeed)
        return "ok"

    assert one.call(probe) == "ok"
    assert other.call(succeed) == "ok"


def test_another_process_probes_when_the_owner_has_died(store: InMemoryStore, clock: Clock) -> None:
    guarded = shared(store)
    trip(guarded)
    clock.advance(61.0)
    assert store.claim_probe(NAME) is not None
    with pytest.raises(pybreaker.CircuitBreakerError):
        guarded.call(succeed)
    clock.advance(61.0)
    assert guarded.call(succeed) == "ok"
    assert store.read(NAME).state is State.CLOSED


def test_an_owner_whose_lease_expired_cannot_report(store: InMemoryStore, clock: Clock) -> None:
    guarded = shared(store)
    trip(guarded)
    clock.advance(61.0)

    def slow() -> str:
        clock.advance(61.0)
        assert store.claim_probe(NAME) is not None
        return "ok"

    guarded.call(slow)
    assert store.read(NAME).state is State.HALF_OPEN


def test_a_late_failure_does_not_end_another_process_s_probe(store: InMemoryStore, clock: Clock) -> None:
    one, other = shared(store), shared(store, fail_max=1)

    def late() -> None:
        trip(one)
        clock.advance(61.0)
        assert store.claim_probe(NAME) is not None
        fail()

    with pytest.raises(pybreaker.CircuitBreakerError):
        other.call(late)
    assert store.read(NAME).state is State.HALF_OPEN


class FailingStore(InMemoryStore):
    """A store that does not answer."""

    def _read(self, name: str, now: float | None) -> Snapshot:
        raise StoreUnavailableError("gone")


@pytest.mark.parametrize(("fallback", "calls"), [("closed", True), ("open", False)])
def test_the_fallback_state_decides_while_the_store_does_not_answer(fallback: str, calls: bool) -> None:
    storage = CircuitSharedStorage(FailingStore(), NAME, fallback_state=fallback, reset_timeout=60.0)
    guarded = pybreaker.CircuitBreaker(state_storage=storage)
    assert guarded.current_state == fallback
    if calls:
        assert guarded.call(succeed) == "ok"
        with pytest.raises(DownError):
            guarded.call(fail)
    assert guarded.fail_counter == 0
