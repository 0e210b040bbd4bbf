"""Reports under ``min_reporters``: what is sent, and what a failed report leaves behind."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, State
from cbstore_sql.breaker.score_limit import ScoreLimit
from cbstore_sql.core.model import Permit, Row, Snapshot, Transition
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.stores.call import StoreCall
from tests.breaker.drivers import Clock

RATE = FailureRate(0.05, 0.5)
ONE = BreakerPolicy(trip=RATE)
TWO = BreakerPolicy(trip=RATE, min_reporters=2)
CALL = Permit("b", 4)
DIRTY = Transition(State.CLOSED, Snapshot.of("b", Row(generation=4, score=0.9, score_generation=4), 5000.0))


def failure(policy: BreakerPolicy, failures: int = 1) -> StoreCall:
    return StoreCall("record_failure", (CALL, policy), {"failures": failures})


def limit(policy: BreakerPolicy, clock: Clock, successes: int = 0) -> ScoreLimit:
    return ScoreLimit(lambda _: policy, clock, lambda *_: successes)


def sent(scores: ScoreLimit, report: StoreCall, answer: object = DIRTY, permit: Permit = CALL) -> StoreCall:
    steps = scores.send(report, permit)
    asked = next(steps)
    with pytest.raises((StopIteration, StoreUnavailableError)):
        steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    return asked


@pytest.mark.parametrize("policy", [BreakerPolicy(), ONE])
def test_where_one_process_may_open_a_circuit_a_report_is_sent_as_it_is(policy: BreakerPolicy, clock: Clock) -> None:
    report = failure(policy)
    assert sent(limit(policy, clock), report) is report


def test_the_report_of_a_probe_is_sent_as_it_is(clock: Clock) -> None:
    report = failure(TWO)
    assert sent(limit(TWO, clock), report, permit=Permit("b", 4, "me")) is report


def test_failures_add_up_to_the_limit_of_this_process(clock: Clock) -> None:
    scores = limit(TWO, clock)
    first = sent(scores, failure(TWO, 3)).keywords["evidence"]
    assert first == pytest.approx(3 * RATE.failure_step)
    assert first + sent(scores, failure(TWO, 100)).keywords["evidence"] == pytest.approx(0.9)
    assert sent(scores, failure(TWO)).keywords["evidence"] == 0.0


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (None, False),
        (StoreUnavailableError("gone", applied=False), False),
        (StoreUnavailableError("gone", applied=None), True),
    ],
)
def test_a_report_that_certainly_had_no_effect_takes_nothing_of_the_limit(
    answer: object, counts: bool, clock: Clock
) -> None:
    scores = limit(TWO, clock)
    sent(scores, failure(TWO, 100), answer)
    assert sent(scores, failure(TWO, 100)).keywords["evidence"] == pytest.approx(0.0 if counts else 0.9)


def test_successes_lower_what_this_process_has_added(clock: Clock) -> None:
    scores = limit(TWO, clock)
    sent(scores, failure(TWO, 100))
    report = StoreCall("record_success", (CALL, TWO), {"successes": 2})
    assert sent(scores, report) is report
    assert sent(scores, failure(TWO, 100)).keywords["evidence"] == pytest.approx(2 * RATE.success_step)
    sent(scores, StoreCall("record_success", (CALL, TWO)))
    assert sent(scores, failure(TWO, 100)).keywords["evidence"] == pytest.approx(RATE.success_step)


def test_a_clean_circuit_gives_back_the_part_of_the_successes(clock: Clock) -> None:
    scores = limit(TWO, clock, successes=3)
    sent(scores, failure(TWO, 100))
    scores.follow(DIRTY.snapshot, clock.now + 1.0)
    assert sent(scores, failure(TWO, 100)).keywords["evidence"] == 0.0
    scores.follow(DIRTY.snapshot._replace(score=0.0), clock.now + 1.0)
    assert sent(scores, failure(TWO, 100)).keywords["evidence"] == pytest.approx(3 * RATE.success_step)
