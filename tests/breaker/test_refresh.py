"""Tests of the refresh of the view: one read for all breakers in use."""

from __future__ import annotations

import pytest

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.events import BreakerEvent, ViewRefreshed
from tests.breaker.answers import answered
from tests.breaker.drivers import Clock

CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)


def test_the_next_refresh_comes_earlier_after_a_slow_answer(clock: Clock) -> None:
    view = View(0.25, clock)
    view.record(CLEAN, clock())
    before, steps = view.period, BreakerController(view=view).refresh.run()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert view.period < before


def test_one_refresh_reads_all_breakers_and_reports_the_oldest_age(clock: Clock) -> None:
    received: list[BreakerEvent] = []
    controller = BreakerController(view=View(0.25, clock), notifier=Notifier([received.append]))
    assert answered(controller.refresh.run()) is answered(BreakerController().refresh.run()) is False
    answered(controller.admission("b"), CLEAN)
    clock.advance(0.1)
    answered(controller.admission("c"), CLEAN._replace(name="c"))
    clock.advance(0.1)
    assert answered(controller.refresh.run(), {"b": CLEAN, "c": CLEAN._replace(name="c")}) is True
    assert isinstance(received[0], ViewRefreshed)
    assert received[0].name == "b"
    assert received[0].staleness == pytest.approx(0.2)
    clock.advance(0.2)
    assert controller.fresh_permit("b") == CLEAN.permit
    clock.advance(0.1)
    assert controller.fresh_permit("b") is None


def test_the_age_of_a_refreshed_state_begins_before_the_read(clock: Clock) -> None:
    controller = BreakerController(view=View(0.25, clock))
    answered(controller.admission("b"), CLEAN)
    steps = controller.refresh.run()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    clock.advance(0.1)
    assert controller.fresh_permit("b") is None


def test_a_refresh_of_a_cleared_view_emits_no_event(clock: Clock) -> None:
    received: list[BreakerEvent] = []
    controller = BreakerController(view=View(0.25, clock), notifier=Notifier([received.append]))
    answered(controller.admission("b"), CLEAN)
    steps = controller.refresh.run()
    next(steps)
    assert controller.view is not None
    controller.view.clear()
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert not received
