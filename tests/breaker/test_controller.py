"""What the controller hands to its parts, and what it asks of nobody."""

from __future__ import annotations

import pytest

from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Row, Snapshot, State, Transition, Verdict
from cbstore_sql.errors import InvalidNameError, TooManyBreakersError
from cbstore_sql.events import BreakerEvent, CallFinished, ViewRefreshed
from tests.breaker.answers import answered
from tests.breaker.drivers import Clock

CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
OPEN = Snapshot.of("b", Row("open", generation=5, open_until=5060.0), 5000.0)
OPENED = Transition(State.CLOSED, OPEN)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_read_ages_by_the_view_s_clock(clock: Clock) -> None:
    controller = BreakerController(view=View(0.25, clock))
    assert answered(controller.admit("b"), CLEAN) == CLEAN.permit
    assert controller.admit_without_io("b") == CLEAN.permit
    clock.advance(0.26)
    assert controller.admit_without_io("b") is None


def test_after_a_slow_answer_the_next_refresh_comes_earlier(clock: Clock) -> None:
    view = View(0.25, clock)
    view.record(CLEAN, clock())
    before, steps = view.period, BreakerController(view=view).refresh()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert view.period < before


def test_a_healthy_call_has_the_view_s_own_answers() -> None:
    view = View(0.25)
    controller = BreakerController(view=view)
    assert (controller.admitted, controller.is_clean) == (view.fresh_permit, view.is_clean)
    without = BreakerController()
    assert without.admitted("b") is None
    assert not without.is_clean(CLEAN.permit)


def test_a_change_is_announced() -> None:
    announced: list[Transition] = []
    answered(BreakerController(announce=announced.append).force_open("b", 60.0), OPENED)
    assert announced == [OPENED]
    assert answered(BreakerController().force_open("b", 60.0), OPENED) == OPENED


def test_unless_told_otherwise_every_exception_counts() -> None:
    assert BreakerController().outcomes == OutcomeClassifier()


def test_a_call_nobody_listens_to_is_not_timed() -> None:
    controller = BreakerController()
    heard: list[BreakerEvent] = []
    began = controller.began()
    controller.add_listener(heard.append)
    controller.finished("b", Verdict.SUCCESS, began)
    assert not heard
    controller.finished("b", Verdict.SUCCESS, controller.began())
    assert [type(event) for event in heard] == [CallFinished]


def test_who_listens_from_the_start_is_heard_of() -> None:
    assert not BreakerController().listeners
    assert BreakerController(listeners=[lambda _: None]).listeners


def test_a_success_that_has_nothing_to_clear_asks_nobody(clock: Clock) -> None:
    controller = BreakerController(view=View(0.25, clock))
    answered(controller.admit("b"), CLEAN)
    answered(controller.success(CLEAN.permit))


def test_one_refresh_asks_for_all_and_says_how_old_the_oldest_was(clock: Clock) -> None:
    heard: list[BreakerEvent] = []
    controller = BreakerController(view=View(0.25, clock), listeners=[heard.append])
    assert answered(controller.refresh()) is answered(BreakerController().refresh()) is False
    answered(controller.admit("b"), CLEAN)
    clock.advance(0.1)
    answered(controller.admit("c"), CLEAN._replace(name="c"))
    clock.advance(0.1)
    assert answered(controller.refresh(), {"b": CLEAN, "c": CLEAN._replace(name="c")}) is True
    assert isinstance(heard[0], ViewRefreshed)
    assert heard[0].name == "b"
    assert heard[0].staleness == pytest.approx(0.2)
    clock.advance(0.2)
    assert controller.admit_without_io("b") == CLEAN.permit
    clock.advance(0.1)
    assert controller.admit_without_io("b") is None


def test_what_is_refreshed_ages_from_before_it_was_asked(clock: Clock) -> None:
    controller = BreakerController(view=View(0.25, clock))
    answered(controller.admit("b"), CLEAN)
    steps = controller.refresh()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    clock.advance(0.1)
    assert controller.admit_without_io("b") is None


def test_a_refresh_of_what_was_dropped_meanwhile_tells_nothing(clock: Clock) -> None:
    heard: list[BreakerEvent] = []
    controller = BreakerController(view=View(0.25, clock), listeners=[heard.append])
    answered(controller.admit("b"), CLEAN)
    steps = controller.refresh()
    next(steps)
    assert controller.view is not None
    controller.view.clear()
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert not heard


@pytest.mark.parametrize("step", ["settle", "trip"])
def test_that_a_namespace_is_full_is_logged_once(step: str, caplog: pytest.LogCaptureFixture) -> None:
    controller = BreakerController()
    for _ in range(2):
        steps = controller.settle(CLEAN.permit, Verdict.FAILURE) if step == "settle" else controller.trip("b", 60.0)
        answered(steps, TooManyBreakersError("default", 1))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not controller.is_out


def test_nobody_is_asked_about_a_name_that_is_none() -> None:
    controller = BreakerController()
    for asked in (controller.admit, controller.snapshot):
        with pytest.raises(InvalidNameError):
            answered(asked("\0"))


def test_only_a_probe_without_a_verdict_is_news_to_the_store() -> None:
    controller = BreakerController()
    assert controller.settle_without_io(CLEAN.permit, Verdict.NONE)
    assert not controller.settle_without_io(CLEAN.permit._replace(token="me"), Verdict.NONE)
    assert not controller.settle_without_io(CLEAN.permit, Verdict.FAILURE)
