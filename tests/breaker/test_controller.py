"""Tests of the controller: which part it uses, and what it decides without the store."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, InMemoryStore
from cbstore_sql.breaker import controller as module
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit, Row, Snapshot, State, Transition
from cbstore_sql.errors import CircuitBreakerOpenError, InvalidNameError
from cbstore_sql.events import BreakerEvent, Rejected
from tests.breaker.answers import answered
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock

CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
OPEN = Snapshot.of("b", Row("open", generation=5, open_until=5060.0), 5000.0)
OPENED = Transition(State.CLOSED, OPEN)


def test_the_clock_of_the_view_decides_the_age_of_an_admission(clock: Clock) -> None:
    controller = BreakerController(view=View(0.25, clock))
    assert answered(controller.admission("b"), CLEAN) == CLEAN.permit
    assert controller.fresh_permit("b") == CLEAN.permit
    clock.advance(0.26)
    assert controller.fresh_permit("b") is None


def test_a_healthy_call_uses_the_methods_of_the_view_directly() -> None:
    view = View(0.25)
    controller = BreakerController(view=view)
    assert (controller.fresh_permit, controller.takes_success) == (view.fresh_permit, view.takes_success)
    without = BreakerController()
    assert without.fresh_permit("b") is None
    assert not without.takes_success(CLEAN.permit)


class CountingView(View):
    """A view that counts the requests for permits and for snapshots."""

    def __init__(self) -> None:
        super().__init__(3600.0)
        self.asked: list[str] = []

    def fresh_permit(self, name: str) -> Permit | None:
        self.asked.append("permit")
        return super().fresh_permit(name)

    def fresh_snapshot(self, name: str) -> tuple[Snapshot, float] | None:
        self.asked.append("snapshot")
        return super().fresh_snapshot(name)


@pytest.mark.parametrize("how", ["call", "decorated", "guard", "admit"])
def test_a_call_without_a_fresh_view_asks_the_view_each_question_once(make: Make, how: str) -> None:
    breaker, view = make(InMemoryStore()), CountingView()
    breaker.breaker._controller = BreakerController(view=view)
    ways: dict[str, Any] = {
        "call": lambda: breaker.call("b", str),
        "decorated": breaker.decorated("b", str),
        "guard": lambda: breaker.guard("b").__enter__(),
        "admit": lambda: breaker.admit("b"),
    }
    ways[how]()
    assert view.asked == ["permit", "snapshot"]


@pytest.mark.parametrize("listeners", [0, 1])
def test_a_refused_call_makes_an_event_only_for_a_listener(listeners: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Rejected] = []

    def counted(*given: Any) -> Rejected:
        made.append(Rejected(*given))
        return made[-1]

    monkeypatch.setattr(module, "Rejected", counted)
    view, heard = View(3600.0), list[BreakerEvent]()
    controller = BreakerController(view=view, notifier=Notifier([heard.append] * listeners))
    view.record(OPENED.snapshot._replace(open_until=OPENED.snapshot.as_of + 60.0), view.clock())
    with pytest.raises(CircuitBreakerOpenError) as refused:
        controller.admit_without_io("b")
    assert (refused.value.state, refused.value.reason) == ("open", "state")
    assert refused.value.retry_after == pytest.approx(60.0, abs=1.0)
    assert heard == made
    assert len(made) == listeners


@pytest.mark.parametrize("kind", [CircuitBreaker, AsyncCircuitBreaker])
def test_both_breakers_show_the_options_of_their_constructor(kind: type) -> None:
    assert "max_staleness" in str(kind.__init__.__doc__)  # type: ignore[misc] # what help() shows


def test_a_change_of_state_is_announced_to_other_processes() -> None:
    announced: list[Transition] = []
    answered(BreakerController(announce=announced.append).changes.force_open("b", 60.0), OPENED)
    assert announced == [OPENED]
    assert answered(BreakerController().changes.force_open("b", 60.0), OPENED) == OPENED


def test_every_exception_counts_by_default() -> None:
    assert BreakerController().outcomes == OutcomeClassifier()


class FarStore(InMemoryStore):
    """A store in memory that breakers use with a view, like a store on a network."""

    reads_locally = False


def test_a_success_is_not_sent_to_the_store_if_the_view_shows_no_failures(make: Make) -> None:
    store = FarStore()
    breaker = make(store, max_staleness=3600.0)
    permit = breaker.admit("b")
    store.record_failure("b")
    breaker.do("success", permit)
    breaker.call("b", str)
    with breaker.guard("b"):
        pass
    breaker.decorated("b", str)()
    assert store.read("b").failure_count == 1, "the view still shows the breaker clean"


def test_an_invalid_name_never_reaches_the_store() -> None:
    controller = BreakerController()
    for asked in (controller.admission, controller.insight.snapshot):
        with pytest.raises(InvalidNameError):
            answered(asked("\0"))
