"""Which events the listeners of a breaker receive, and when a call is timed."""

from __future__ import annotations

import logging
import time

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, InMemoryStore
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.core.model import Verdict
from cbstore_sql.deadline import remaining, within
from cbstore_sql.events import BreakerEvent, CallFinished, ProbeLost
from cbstore_sql.metrics import log_events
from tests.breaker.conftest import Make


def test_a_call_is_timed_only_if_a_listener_existed_when_it_began() -> None:
    notifier = Notifier()
    received: list[BreakerEvent] = []
    began = notifier.call_began()
    notifier.add(received.append)
    notifier.call_ended("b", Verdict.SUCCESS, began)
    assert not received
    notifier.call_ended("b", Verdict.SUCCESS, notifier.call_began())
    assert [type(event) for event in received] == [CallFinished]


def test_the_listeners_of_the_constructor_are_used() -> None:
    assert not Notifier().listeners
    assert Notifier([lambda _: None]).listeners


def logged(caplog: pytest.LogCaptureFixture, name: str = "cbstore_sql") -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == name]


def test_each_opening_and_each_closing_is_one_log_line(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    store = InMemoryStore()
    breaker = make(store, BreakerPolicy(failure_threshold=2))
    other = make(store, BreakerPolicy(failure_threshold=2))
    for _ in range(2):
        breaker.do("failure", breaker.admit("b"))
    breaker.do("force_open", "b", 5.0)
    other.do("reset", "b")
    other.do("reset", "b")
    assert logged(caplog) == [
        (logging.WARNING, "circuit breaker 'b' opened for 60.0 s (failures: 2)"),
        (logging.WARNING, "circuit breaker 'b' closed"),
    ]
    assert [vars(record)["cb_event"] for record in caplog.records] == ["opened", "closed"]
    assert {vars(record)["cb_name"] for record in caplog.records} == {"b"}


def test_a_probe_that_closes_the_circuit_is_one_log_line(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    store = InMemoryStore()
    store.force_open("b", 0.0)
    make(store).call("b", str)
    assert logged(caplog) == [(logging.WARNING, "circuit breaker 'b' closed")]


def test_the_lines_can_be_silenced_with_a_filter(caplog: pytest.LogCaptureFixture) -> None:
    def quiet(record: logging.LogRecord) -> bool:
        return getattr(record, "cb_event", "") not in ("opened", "closed")

    logger = logging.getLogger("cbstore_sql")
    logger.addFilter(quiet)
    try:
        CircuitBreaker(InMemoryStore()).force_open("b", 5.0)
    finally:
        logger.removeFilter(quiet)
    assert not logged(caplog)


def test_a_listener_that_logs_events_replaces_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    CircuitBreaker(InMemoryStore(), listeners=[log_events()]).force_open("b", 5.0)
    assert not logged(caplog)
    assert len(logged(caplog, "cbstore_sql.events")) == 1


def test_the_time_of_a_listener_does_not_count_towards_the_deadline() -> None:
    notifier = Notifier([lambda _: time.sleep(0.05)])
    with within(60.0):
        before = remaining()
        notifier.emit(ProbeLost("b"))
        after = remaining()
    assert before is not None
    assert after is not None
    assert before - after < 0.05
