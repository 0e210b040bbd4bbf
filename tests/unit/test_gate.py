"""What the gate hands to its parts, and what it asks of nobody."""

from __future__ import annotations

import pytest

from cbstore_sql.errors import InvalidNameError, TooManyBreakersError
from cbstore_sql.events import BreakerEvent, CallFinished, ViewRefreshed
from cbstore_sql.gate import Gate
from cbstore_sql.model import Row, Snapshot, State, Transition, Verdict
from cbstore_sql.outcomes import Outcomes
from cbstore_sql.view import View
from tests.breaker.drivers import Clock
from tests.unit.answers import answered

CLEAN = Snapshot.of("b", Row(generation=4), 5000.0)
OPEN = Snapshot.of("b", Row("open", generation=5, open_until=5060.0), 5000.0)
OPENED = Transition(State.CLOSED, OPEN)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_read_ages_by_the_view_s_clock(clock: Clock) -> None:
    gate = Gate(view=View(0.25, clock))
    assert answered(gate.admit("b"), CLEAN) == CLEAN.permit
    assert gate.admit_at_once("b") == CLEAN.permit
    clock.advance(0.26)
    assert gate.admit_at_once("b") is None


def test_after_a_slow_answer_the_next_refresh_comes_earlier(clock: Clock) -> None:
    view = View(0.25, clock)
    view.note(CLEAN, clock())
    before, steps = view.period, Gate(view=view).refresh()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert view.period < before


def test_a_healthy_call_has_the_view_s_own_answers() -> None:
    view = View(0.25)
    gate = Gate(view=view)
    assert (gate.admitted, gate.is_clean) == (view.admitted, view.is_clean)
    without = Gate()
    assert without.admitted("b") is None
    assert not without.is_clean(CLEAN.permit)


def test_a_change_is_announced() -> None:
    announced: list[Transition] = []
    answered(Gate(announce=announced.append).force_open("b", 60.0), OPENED)
    assert announced == [OPENED]
    assert answered(Gate().force_open("b", 60.0), OPENED) == OPENED


def test_unless_told_otherwise_every_exception_counts() -> None:
    assert Gate().outcomes == Outcomes()


def test_a_call_nobody_listens_to_is_not_timed() -> None:
    gate = Gate()
    heard: list[BreakerEvent] = []
    began = gate.began()
    gate.add_listener(heard.append)
    gate.finished("b", Verdict.SUCCESS, began)
    assert not heard
    gate.finished("b", Verdict.SUCCESS, gate.began())
    assert [type(event) for event in heard] == [CallFinished]


def test_who_listens_from_the_start_is_heard_of() -> None:
    assert not Gate().listeners
    assert Gate(listeners=[lambda _: None]).listeners


def test_a_success_that_has_nothing_to_clear_asks_nobody(clock: Clock) -> None:
    gate = Gate(view=View(0.25, clock))
    answered(gate.admit("b"), CLEAN)
    answered(gate.success(CLEAN.permit))


def test_one_refresh_asks_for_all_and_says_how_old_the_oldest_was(clock: Clock) -> None:
    heard: list[BreakerEvent] = []
    gate = Gate(view=View(0.25, clock), listeners=[heard.append])
    assert answered(gate.refresh()) is answered(Gate().refresh()) is False
    answered(gate.admit("b"), CLEAN)
    clock.advance(0.1)
    answered(gate.admit("c"), CLEAN._replace(name="c"))
    clock.advance(0.1)
    assert answered(gate.refresh(), {"b": CLEAN, "c": CLEAN._replace(name="c")}) is True
    assert isinstance(heard[0], ViewRefreshed)
    assert heard[0].name == "b"
    assert heard[0].staleness == pytest.approx(0.2)
    clock.advance(0.2)
    assert gate.admit_at_once("b") == CLEAN.permit
    clock.advance(0.1)
    assert gate.admit_at_once("b") is None


def test_what_is_refreshed_ages_from_before_it_was_asked(clock: Clock) -> None:
    gate = Gate(view=View(0.25, clock))
    answered(gate.admit("b"), CLEAN)
    steps = gate.refresh()
    next(steps)
    clock.advance(0.2)
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    clock.advance(0.1)
    assert gate.admit_at_once("b") is None


def test_a_refresh_of_what_was_dropped_meanwhile_tells_nothing(clock: Clock) -> None:
    heard: list[BreakerEvent] = []
    gate = Gate(view=View(0.25, clock), listeners=[heard.append])
    answered(gate.admit("b"), CLEAN)
    steps = gate.refresh()
    next(steps)
    assert gate.view is not None
    gate.view.clear()
    with pytest.raises(StopIteration):
        steps.send({"b": CLEAN})
    assert not heard


@pytest.mark.parametrize("step", ["settle", "trip"])
def test_that_a_namespace_is_full_is_logged_once(step: str, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    for _ in range(2):
        steps = gate.settle(CLEAN.permit, Verdict.FAILURE) if step == "settle" else gate.trip("b", 60.0)
        answered(steps, TooManyBreakersError("default", 1))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not gate.is_out


def test_nobody_is_asked_about_a_name_that_is_none() -> None:
    gate = Gate()
    for asked in (gate.admit, gate.snapshot):
        with pytest.raises(InvalidNameError):
            answered(asked("\0"))


def test_only_a_probe_without_a_verdict_is_news_to_the_store() -> None:
    gate = Gate()
    assert gate.settled_at_once(CLEAN.permit, Verdict.NONE)
    assert not gate.settled_at_once(CLEAN.permit._replace(token="me"), Verdict.NONE)
    assert not gate.settled_at_once(CLEAN.permit, Verdict.FAILURE)
