"""Six defects of the published massgen 0.1.78, which this library does not have.

Each is a scene, played by either code. Our breaker gets it right; the published one is played too, where it is
installed, so that a scene that could not fail would be noticed.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from cbstore_sql import InMemoryStore, LLMCircuitBreaker, LLMCircuitBreakerConfig, extract_retry_after
from cbstore_sql.llm import dict_store as dictionaries
from tests.llm.dictionary import Dictionary
from tests.llm.tools import NAME, RESET, Api, ApiError, Caller, Clock
from tests.system.compat.published import Published

A_YEAR = 365 * 86_400.0


@dataclass
class Code:
    """One of the two implementations, with a clock that only the test moves.

    Attributes:
        clock: The clock.
        store: An in-memory store of that code.
        extract_retry_after: The function of that name.
    """

    clock: Clock
    store: Any
    extract_retry_after: Any
    _breaker: Any
    _config: Any

    def breaker(self, store: Any = None) -> Any:
        """Make a breaker whose circuit opens after one failure."""
        config = self._config(enabled=True, max_failures=1, reset_time_seconds=RESET)
        return self._breaker(config, NAME, store=store or self.store)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Code:
    clock = Clock()
    monkeypatch.setattr(dictionaries, "time", SimpleNamespace(time=clock))
    return Code(clock, InMemoryStore(clock=clock), extract_retry_after, LLMCircuitBreaker, LLMCircuitBreakerConfig)


@pytest.fixture
def theirs(published: Published, monkeypatch: pytest.MonkeyPatch) -> Code:
    clock = Clock()
    for module in (published.breaker, published.store):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=clock, monotonic=clock, perf_counter=clock))
    code = published.breaker
    return Code(
        clock,
        published.store.InMemoryStore(),
        code.extract_retry_after,
        code.LLMCircuitBreaker,
        code.LLMCircuitBreakerConfig,
    )


class CannotTakeSuccess(Exception):
    """The error of the store of the first defect."""


def answer_while_the_store_takes_no_success(code: Code) -> object:
    def refuse(*report: object, **options: object) -> None:
        raise CannotTakeSuccess

    store = Dictionary(InMemoryStore())
    store.__dict__["atomic_record_success"] = refuse
    return asyncio.run(code.breaker(store).call_with_retry(Api("answer")))


def test_a_store_that_fails_after_a_successful_call_does_not_lose_the_answer(ours: Code) -> None:
    assert answer_while_the_store_takes_no_success(ours) == "answer"


def test_massgen_loses_the_answer_if_the_store_fails_afterwards(theirs: Code) -> None:
    with pytest.raises(CannotTakeSuccess):
        answer_while_the_store_takes_no_success(theirs)


def refused_a_year_after_the_owner_of_the_probe_died(code: Code) -> bool:
    breaker = code.breaker()
    breaker.record_failure()
    code.clock.advance(RESET)
    with Caller() as owner:
        assert owner.does(breaker.should_block) is False
    code.clock.advance(A_YEAR)
    refused: bool = breaker.should_block()
    return refused


def test_a_probe_whose_owner_died_is_free_after_its_lease(ours: Code) -> None:
    assert refused_a_year_after_the_owner_of_the_probe_died(ours) is False


def test_massgen_refuses_for_ever_after_the_owner_of_a_probe_died(theirs: Code) -> None:
    assert refused_a_year_after_the_owner_of_the_probe_died(theirs) is True


def state_after_the_success_of_a_call_that_is_not_the_probe(code: Code) -> str:
    breaker = code.breaker()
    with Caller() as slow, Caller() as owner:
        assert slow.does(breaker.should_block) is False
        breaker.record_failure()
        code.clock.advance(RESET)
        assert owner.does(breaker.should_block) is False
        slow.does(breaker.record_success)
        state: str = breaker.state.value
        return state


def test_a_success_of_another_call_than_the_probe_does_not_close_the_circuit(ours: Code) -> None:
    assert state_after_the_success_of_a_call_that_is_not_the_probe(ours) == "half_open"


def test_massgen_closes_the_circuit_on_a_success_of_another_call_than_the_probe(theirs: Code) -> None:
    assert state_after_the_success_of_a_call_that_is_not_the_probe(theirs) == "closed"


def wait_asked_for_as_a_date(code: Code) -> float | None:
    now = code.clock.now
    headers = {"retry-after": formatdate(now + 90, usegmt=True), "date": formatdate(now, usegmt=True)}
    wait: float | None = code.extract_retry_after(ApiError(429, headers))
    return wait


def test_a_retry_after_that_is_a_date_is_read(ours: Code) -> None:
    assert wait_asked_for_as_a_date(ours) == 90.0


def test_massgen_does_not_read_a_retry_after_that_is_a_date(theirs: Code) -> None:
    assert wait_asked_for_as_a_date(theirs) is None


def store_is_asked_on_the_event_loops_thread(code: Code) -> bool:
    asked_on: list[int] = []

    class Noting(Dictionary):
        def __getattribute__(self, name: str) -> Any:
            asked_on.append(threading.get_ident())
            return super().__getattribute__(name)

    store = Noting(InMemoryStore())
    breaker = code.breaker(store)
    asked_on.clear()
    asyncio.run(breaker.call_with_retry(Api("answer")))
    assert asked_on
    return threading.get_ident() in asked_on


def test_the_store_is_never_called_on_the_event_loop_s_thread(ours: Code) -> None:
    assert store_is_asked_on_the_event_loops_thread(ours) is False


def test_massgen_calls_the_store_on_the_event_loop_s_thread(theirs: Code) -> None:
    assert store_is_asked_on_the_event_loops_thread(theirs) is True


def refused_after_the_open_time_although_failures_came_late(code: Code) -> bool:
    breaker = code.breaker()
    with Caller() as slow:
        assert slow.does(breaker.should_block) is False
        breaker.record_failure()
        code.clock.advance(RESET - 1)
        slow.does(breaker.record_failure)
    code.clock.advance(1)
    refused: bool = breaker.should_block()
    return refused


def test_a_failure_reported_to_an_open_circuit_does_not_prolong_the_open_time(ours: Code) -> None:
    assert refused_after_the_open_time_although_failures_came_late(ours) is False


def test_massgen_prolongs_the_open_time_on_a_late_failure(theirs: Code) -> None:
    assert refused_after_the_open_time_although_failures_came_late(theirs) is True
