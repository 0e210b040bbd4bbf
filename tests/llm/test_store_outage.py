"""With a failing store, of the library or custom, no answer is lost and no exception is replaced."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from cbstore_sql import (
    CircuitBreakerOpenError,
    InMemoryStore,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    SchemaError,
    StoreUnavailableError,
)
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from tests.llm.dictionary import Dictionary
from tests.llm.tools import NAME, Api, ApiError, Bench, busy


class Failing(InMemoryStore):
    """A store that raises a given error from reads or from given operations."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception = StoreUnavailableError("postgresql://app:secret@db")
        self.failing: set[str] = set()

    def _read(self, name: str, now: float | None) -> Snapshot:
        self._fail("read")
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        self._fail(command.operation)
        return super()._apply(command)

    def _fail(self, operation: str) -> None:
        if operation in self.failing:
            raise self.error


class Broken(RuntimeError):
    """An error that only a custom store raises."""


OUTAGE = StoreUnavailableError("postgresql://app:secret@db")
BUG = Broken("postgresql://app:secret@db")

ERRORS = pytest.mark.parametrize("error", [OUTAGE, BUG], ids=["outage", "bug"])
KINDS = pytest.mark.parametrize("kind", [lambda store: store, Dictionary], ids=["ours", "somebody's own"])


@pytest.fixture
def failing() -> Failing:
    return Failing()


@ERRORS
@KINDS
def test_an_answer_is_never_lost(failing: Failing, error: Exception, kind: Any) -> None:
    bench = Bench(kind(failing))
    failing.error, failing.failing = error, {"record_success"}
    assert bench.call(Api("answer")) == "answer"


@ERRORS
@KINDS
@pytest.mark.parametrize("answer", [ApiError(500), ApiError(429), busy(600), ApiError(400)], ids=str)
def test_an_exception_is_never_replaced(failing: Failing, error: Exception, kind: Any, answer: ApiError) -> None:
    bench = Bench(kind(failing))
    failing.error, failing.failing = error, {"record_failure", "force_open", "replace_state"}
    with pytest.raises(ApiError) as raised:
        bench.call(Api(answer), max_retries=1)
    assert raised.value is answer


@ERRORS
@KINDS
def test_a_store_that_fails_after_a_failure_does_not_end_the_retries(
    failing: Failing, error: Exception, kind: Any
) -> None:
    async def then_fail() -> None:
        failing.error = error
        failing.failing.update({"read", "record_failure"})
        raise ApiError(500)

    bench = Bench(kind(failing))
    bench.on_nap = failing.failing.clear
    assert bench.call(Api(then_fail, "answer")) == "answer"
    assert len(bench.naps) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [(lambda store: store, OUTAGE), (Dictionary, OUTAGE), (Dictionary, BUG)],
    ids=["ours", "somebody's own", "somebody's own with a bug"],
)
def test_calls_are_admitted_while_the_store_does_not_answer(failing: Failing, kind: Any, error: Exception) -> None:
    bench = Bench(kind(failing))
    failing.error, failing.failing = error, {"read"}
    assert bench.call(Api("answer")) == "answer"
    assert bench.told()[0] == "StoreDegraded"
    failing.failing = set()
    assert asyncio.run(bench.breaker._awaited.check_store())
    assert bench.call(Api("answer")) == "answer"
    assert "StoreRecovered" in bench.told()


def test_on_store_outage_selects_what_happens_without_the_store(failing: Failing) -> None:
    failing.failing = {"read"}
    config = LLMCircuitBreakerConfig(enabled=True)
    assert LLMCircuitBreaker(config, store=failing, on_store_outage="block").should_block() is True
    with pytest.raises(StoreUnavailableError):
        LLMCircuitBreaker(config, store=failing, on_store_outage="raise").should_block()
    assert LLMCircuitBreaker(config, store=failing).should_block() is False


def test_a_call_admitted_without_the_store_is_not_reported(failing: Failing) -> None:
    bench = Bench(failing)
    failing.failing = {"read"}
    assert bench.breaker.should_block() is False
    failing.failing = set()
    bench.breaker.record_failure()
    assert bench.breaker.failure_count == 0


@KINDS
def test_a_missing_table_does_not_stop_calls(failing: Failing, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(kind(failing))
    failing.error, failing.failing = SchemaError("run cbstore migrate"), {"read"}
    assert bench.call(Api("answer")) == "answer"
    assert "run cbstore migrate" in caplog.text


def test_a_long_retry_after_opens_the_circuit_of_this_process_without_the_store(failing: Failing) -> None:
    bench = Bench(failing)
    failing.failing = {"read", "force_open"}
    with pytest.raises(ApiError):
        bench.call(Api(busy(600)), max_retries=1)
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(Api("answer"))


@ERRORS
@KINDS
@pytest.mark.parametrize("asked", [True, False])
def test_a_direct_report_raises_the_store_s_error(failing: Failing, error: Exception, kind: Any, asked: bool) -> None:
    bench = Bench(kind(failing))
    # A success writes only if there is a failure to clear.
    failing.record_failure(NAME)
    if asked:
        bench.breaker.should_block()
    failing.error, failing.failing = error, {"record_failure", "record_success"}
    for report in (bench.breaker.record_failure, bench.breaker.record_success):
        with pytest.raises(type(error)) as raised:
            report()
        assert raised.value is error


def test_a_bug_in_a_custom_store_does_not_stop_calls_and_is_raised_by_direct_operations(failing: Failing) -> None:
    bench = Bench(Dictionary(failing))
    failing.error, failing.failing = BUG, {"read"}
    assert bench.breaker.should_block() is False
    for ask in (lambda: bench.state, bench.breaker.reset):
        with pytest.raises(StoreUnavailableError) as raised:
            ask()
        assert raised.value.__cause__ is BUG
    assert repr(bench.breaker) == "LLMCircuitBreaker(state=unknown, backend='claude')"


@ERRORS
@KINDS
def test_the_log_names_the_class_and_no_secret(
    failing: Failing, error: Exception, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = Bench(kind(failing))
    failing.error, failing.failing = error, {"record_success", "record_failure", "force_open", "replace_state"}
    bench.call(Api("answer"))
    with pytest.raises(ApiError):
        bench.call(Api(busy(600)))
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text


def test_an_open_circuit_still_refuses_while_only_writes_fail(failing: Failing) -> None:
    bench = Bench(failing)
    bench.breaker.force_open()
    failing.failing = {"claim_probe", "record_failure", "record_success"}
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(Api())
    assert failing.read(NAME).state.value == "open"
