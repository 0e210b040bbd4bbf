"""Tests of the view: what it answers, for how long, and when the store must be read."""

from __future__ import annotations

import pytest

from cbstore_sql import InMemoryStore, InvalidPolicyError, State
from cbstore_sql.breaker.view import View, make_view
from cbstore_sql.core.admission import Action, admission
from cbstore_sql.core.model import Row, Snapshot
from tests.breaker.drivers import Clock

BOUND = 0.25

CLOSED = Snapshot.of("b", Row(generation=4), 5000.0)
DIRTY = CLOSED._replace(failure_count=1)
OPEN = CLOSED._replace(state=State.OPEN, generation=5, open_until=5000.1)
PROBING = CLOSED._replace(state=State.HALF_OPEN, generation=6, probe_token="me", probe_until=5000.1)


def refusal(view: View) -> tuple[State, float] | None:
    """Return the state and the seconds left if the view refuses a call; ``None`` if the store must be read."""
    seen = view.fresh_snapshot("b")
    decided = admission(*seen) if seen else None
    if seen is None or decided is None or decided.action is not Action.REFUSE:
        return None
    return seen[0].state, decided.retry_after


@pytest.fixture
def view(clock: Clock) -> View:
    return View(BOUND, clock)


def test_the_view_does_not_answer_for_a_breaker_it_never_saw(view: View) -> None:
    assert view.fresh_permit("b") is None
    assert refusal(view) is None
    assert not view.takes_success(CLOSED.permit)


def test_the_view_admits_calls_of_a_closed_circuit_until_the_bound(view: View, clock: Clock) -> None:
    view.record(CLOSED, clock())
    clock.advance(BOUND)
    assert view.fresh_permit("b") == CLOSED.permit
    clock.advance(0.001)
    assert view.fresh_permit("b") is None


def test_the_age_of_an_entry_begins_before_the_read(view: View, clock: Clock) -> None:
    asked_at = clock()
    clock.advance(BOUND + 0.001)
    view.record(CLOSED, asked_at)
    assert view.fresh_permit("b") is None


@pytest.mark.parametrize("snapshot", [OPEN, PROBING])
def test_the_view_refuses_calls_of_an_open_or_half_open_circuit_until_its_deadline(
    view: View, clock: Clock, snapshot: Snapshot
) -> None:
    view.record(snapshot, clock())
    clock.advance(0.06)
    assert view.fresh_permit("b") is None
    refused = refusal(view)
    assert refused is not None
    assert refused[0] is snapshot.state
    assert refused[1] == pytest.approx(0.04)
    clock.advance(0.05)
    assert refusal(view) is None, "the deadline is reached: the store is asked"


def test_the_view_refuses_calls_until_the_bound(view: View, clock: Clock) -> None:
    view.record(OPEN._replace(open_until=9000.0), clock())
    clock.advance(BOUND)
    assert refusal(view) is not None
    clock.advance(0.001)
    assert refusal(view) is None


def test_the_view_does_not_answer_at_the_deadline_of_an_open_circuit(view: View, clock: Clock) -> None:
    view.record(OPEN._replace(open_until=5000.125), clock())
    clock.advance(0.125)
    assert refusal(view) is None


def test_the_view_takes_a_success_only_for_a_clean_breaker_of_the_same_generation(view: View, clock: Clock) -> None:
    view.record(CLOSED, clock())
    assert view.takes_success(CLOSED.permit)
    assert not view.takes_success(CLOSED.permit._replace(generation=3))
    assert not view.takes_success(CLOSED.permit._replace(generation=5))
    view.record(DIRTY, clock())
    assert not view.takes_success(CLOSED.permit)
    view.record(CLOSED, clock())
    clock.advance(BOUND)
    assert view.takes_success(CLOSED.permit)
    clock.advance(0.001)
    assert not view.takes_success(CLOSED.permit)


@pytest.mark.parametrize("snapshot", [OPEN, PROBING, CLOSED._replace(probe_token="odd")])
def test_a_breaker_is_not_clean_if_it_is_not_closed_or_has_an_old_probe(
    view: View, clock: Clock, snapshot: Snapshot
) -> None:
    view.record(snapshot, clock())
    assert not view.takes_success(snapshot.permit)


def took(view: View, clock: Clock, seconds: float) -> None:
    asked_at = clock()
    clock.advance(seconds)
    view.answered(asked_at)


def test_the_refresh_period_leaves_time_for_two_answers_within_the_bound(view: View, clock: Clock) -> None:
    assert view.period == pytest.approx(0.8 * BOUND)
    took(view, clock, 0.05 * BOUND)
    assert view.period == pytest.approx(0.8 * BOUND)
    took(view, clock, 0.1 * BOUND)
    assert view.period == pytest.approx(0.6 * BOUND)


def test_the_refresh_period_is_at_least_half_the_bound(view: View, clock: Clock) -> None:
    took(view, clock, 3.0 * BOUND)
    assert view.period == pytest.approx(0.5 * BOUND)


def test_the_effect_of_a_slow_answer_on_the_refresh_period_fades(view: View, clock: Clock) -> None:
    took(view, clock, 0.1 * BOUND)
    took(view, clock, 0.0)
    assert view.period == pytest.approx(0.64 * BOUND)
    for _ in range(20):
        took(view, clock, 0.0)
    assert view.period == pytest.approx(0.8 * BOUND)


def test_the_answer_to_the_next_refresh_comes_within_the_bound_at_any_speed(view: View, clock: Clock) -> None:
    for seconds in (0.0, 0.01, 0.05, 0.1, 0.2, 0.25):
        took(view, clock, seconds * BOUND)
        assert 2.0 * seconds * BOUND + view.period <= BOUND


def test_the_higher_generation_wins_and_then_the_later_read(view: View, clock: Clock) -> None:
    early = clock()
    clock.advance(0.1)
    view.record(CLOSED, clock())
    view.record(OPEN, early)
    assert view.fresh_permit("b") is None, "an earlier question that found a higher generation"
    view.record(CLOSED, clock())
    assert view.fresh_permit("b") is None, "a late answer of an earlier generation"
    view.record(CLOSED._replace(generation=7), clock())
    view.record(DIRTY._replace(generation=7), early)
    assert view.takes_success(CLOSED.permit._replace(generation=7)), "an earlier question of the same generation"


def test_a_breaker_with_a_lower_generation_replaces_only_a_stale_entry(view: View, clock: Clock) -> None:
    view.record(OPEN, clock())
    clock.advance(BOUND)
    view.record(Snapshot.of("b", Row(), 1.0), clock())
    assert view.fresh_permit("b") is None
    clock.advance(0.001)
    view.record(Snapshot.of("b", Row(), 1.0), clock())
    assert view.fresh_permit("b") is not None


def test_a_forgotten_breaker_is_read_again(view: View, clock: Clock) -> None:
    view.record(CLOSED, clock())
    view.forget("b")
    assert view.fresh_permit("b") is None
    view.record(CLOSED, clock())
    held = view._lock
    view._reset_after_fork()
    assert view._lock is not held, "a thread that holds it does not exist in the child"
    assert view.fresh_permit("b") is None


@pytest.mark.parametrize("answers", [True, False])
def test_a_breaker_unused_for_a_long_time_is_not_refreshed(view: View, clock: Clock, answers: bool) -> None:
    other = CLOSED._replace(name="other")
    view.record(CLOSED, clock())
    view.record(other, clock())
    view.fresh_permit("other")
    for refresh in range(100):
        view.fresh_permit("b")
        in_use = view.in_use()
        assert in_use == (["b", "other"] if refresh <= 25 else ["b"])
        for name in in_use if answers else ():
            view.record(CLOSED._replace(name=name), clock())


def test_a_breaker_that_the_view_could_not_answer_for_is_in_use(view: View, clock: Clock) -> None:
    view.record(CLOSED, clock())
    clock.advance(BOUND + 1.0)
    for _ in range(100):
        assert view.fresh_permit("b") is None
        assert view.in_use() == ["b"]


def test_staleness_returns_the_age_of_each_entry(view: View, clock: Clock) -> None:
    view.record(CLOSED, clock())
    clock.advance(0.1)
    assert view.staleness() == {"b": pytest.approx(0.1)}


@pytest.mark.parametrize("bound", [-1.0, float("nan"), float("inf"), "1", None])
def test_an_invalid_bound_is_refused(bound: float) -> None:
    with pytest.raises(InvalidPolicyError):
        make_view(bound, needed=True)


def test_no_view_is_made_with_max_staleness_0_or_for_a_store_that_reads_locally() -> None:
    assert make_view(0, needed=True) is None
    assert make_view(BOUND, needed=not InMemoryStore.reads_locally) is None
    assert make_view(BOUND, needed=True) is not None
