"""What the dependency demands: in the store, and without it in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import CircuitBreakerOpenError, State
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.demands import Demands
from cbstore_sql.core.model import Permit, Row, Snapshot, Transition, UnreportedPermit, Verdict
from cbstore_sql.errors import StoreUnavailableError, TooManyBreakersError
from cbstore_sql.stores.call import StoreCalls
from tests.breaker.answers import answered

GONE = StoreUnavailableError("gone", applied=False)
CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
OPENED = Transition(State.CLOSED, Snapshot.of("b", Row("open", generation=5, open_until=5060.0), 5000.0))
HELD = Transition(State.CLOSED, CLEAN._replace(hold_until=5060.0))

Demand = Callable[[Demands], StoreCalls[Any]]


def trip(demands: Demands) -> StoreCalls[Any]:
    return demands.trip("b", 60.0)


def hold(demands: Demands) -> StoreCalls[Any]:
    return demands.hold("b", 60.0)


@pytest.mark.parametrize(("demand", "answer"), [(trip, OPENED), (hold, HELD)])
def test_while_the_store_answers_the_change_is_made_there_only(demand: Demand, answer: Transition) -> None:
    controller = BreakerController()
    answered(demand(controller.demands), answer)
    assert not controller.is_out
    assert controller.outage.local._store.read("b").state is State.CLOSED
    assert controller.outage.local._store.read("b").hold_until == 0.0


@pytest.mark.parametrize("demand", [trip, hold])
@pytest.mark.parametrize("answers", [[GONE], []])
def test_without_the_store_the_change_is_made_in_this_process(demand: Demand, answers: list[Exception]) -> None:
    controller = BreakerController()
    if not answers:
        answered(controller.admission("another"), GONE)
    answered(demand(controller.demands), *answers)
    assert controller.is_out
    with pytest.raises(CircuitBreakerOpenError):
        controller.admit_without_io("b")


@pytest.mark.parametrize("demand", [trip, hold])
def test_nothing_changes_here_where_calls_are_let_through(demand: Demand) -> None:
    controller = BreakerController(on_store_outage="allow")
    answered(demand(controller.demands), GONE)
    answered(controller.settling.by_store(Permit("b", 0), Verdict.FAILURE), GONE)
    assert isinstance(controller.admit_without_io("b"), UnreportedPermit)
    assert answered(controller.recovery.recover()) is True, "and the store hears of nothing"


@pytest.mark.parametrize("demand", [trip, hold])
def test_a_full_namespace_is_logged_once_and_is_no_outage(demand: Demand, caplog: pytest.LogCaptureFixture) -> None:
    controller = BreakerController()
    for _ in range(2):
        answered(demand(controller.demands), TooManyBreakersError("default", 1))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not controller.is_out
    assert controller.outage.local.pending() == []
