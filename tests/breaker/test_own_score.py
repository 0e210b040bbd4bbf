"""Tests of how much one process may add to the shared score."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbstore_sql.breaker.own_score import Contribution, OwnScores, clip_for
from cbstore_sql.core.model import Row, Snapshot
from tests.breaker.drivers import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scores(clock: Clock) -> OwnScores:
    return OwnScores(clock)


def report(scores: OwnScores, step: float, successes: float = 0.0, clip: float = 0.9) -> float:
    """Send a report that the store confirms, and return how much it adds to the score."""
    sent = scores.begin("b", 0, step, clip)
    scores.end(sent, successes, applied=True)
    return sent.gain


@pytest.mark.parametrize(("reporters", "clip"), [(2, 0.9), (4, 0.3), (10, 0.1), (1, float("inf"))])
def test_the_clips_of_all_reporters_but_one_add_up_to_less_than_the_limit(reporters: int, clip: float) -> None:
    assert clip_for(reporters) == pytest.approx(clip)


def test_a_process_adds_up_to_its_clip_and_no_more(scores: OwnScores) -> None:
    assert [report(scores, 0.4) for _ in range(4)] == pytest.approx([0.4, 0.4, 0.1, 0.0])


def test_confirmed_successes_allow_further_failures_to_be_added(scores: OwnScores) -> None:
    report(scores, 0.9)
    report(scores, 0.0, successes=0.3)
    assert report(scores, 0.9) == pytest.approx(0.3)


def test_successes_of_a_report_that_may_be_lost_allow_no_further_failures(scores: OwnScores) -> None:
    report(scores, 0.9)
    scores.end(scores.begin("b", 0, 0.0, 0.9), 0.3, applied=None)
    assert report(scores, 0.9) == 0.0


def test_a_gain_that_surely_was_not_counted_may_be_sent_again(scores: OwnScores) -> None:
    scores.end(scores.begin("b", 0, 0.9, 0.9), 0.0, applied=False)
    assert report(scores, 0.9) == pytest.approx(0.9)


def test_a_gain_that_may_have_been_counted_is_not_sent_again(scores: OwnScores) -> None:
    scores.end(scores.begin("b", 0, 0.9, 0.9), 0.0, applied=None)
    assert report(scores, 0.9) == 0.0


def test_successes_allow_no_further_failures_while_another_report_is_running(scores: OwnScores) -> None:
    first = scores.begin("b", 0, 0.2, 0.9)
    second = scores.begin("b", 0, 0.3, 0.9)
    scores.end(first, 0.5, applied=True)
    scores.end(second, 0.5, applied=True)
    assert report(scores, 0.9) == pytest.approx(0.4)


def look(scores: OwnScores, score: float, asked_at: float, relief: float = 1.0, generation: int = 0) -> None:
    """Process a read of the store's score. ``relief`` is the effect of this process's own successes."""
    scores.seen(
        Snapshot.of("b", Row(generation=generation, score=score, score_generation=generation), 0.0),
        asked_at,
        lambda _: relief,
    )


def test_unreported_successes_at_a_clean_circuit_allow_further_failures(scores: OwnScores, clock: Clock) -> None:
    report(scores, 0.9)
    clock.advance(1.0)
    look(scores, 0.0, clock(), relief=0.5)
    assert report(scores, 0.9) == pytest.approx(0.5)


def test_successes_of_other_processes_allow_no_further_failures_of_this_process(
    scores: OwnScores, clock: Clock
) -> None:
    report(scores, 0.9)
    clock.advance(1.0)
    look(scores, 0.0, clock(), relief=0.0)
    assert report(scores, 0.9) == 0.0


def test_each_success_at_a_clean_circuit_is_used_once(scores: OwnScores, clock: Clock) -> None:
    report(scores, 0.9)
    asked: list[float] = []

    def note(since: float) -> float:
        asked.append(since)
        return 0.0

    for _ in range(3):
        clock.advance(1.0)
        scores.seen(Snapshot.of("b", Row(), 0.0), clock(), note)
    assert asked == [0.0, 1001.0, 1002.0]


@pytest.mark.parametrize("score", [0.0, 0.5])
def test_a_read_from_before_the_last_report_allows_no_further_failures(
    scores: OwnScores, clock: Clock, score: float
) -> None:
    asked_at = clock()
    clock.advance(1.0)
    report(scores, 0.9)
    look(scores, score, asked_at)
    assert report(scores, 0.9) == 0.0


def test_a_read_during_a_report_allows_no_further_failures(scores: OwnScores, clock: Clock) -> None:
    sent = scores.begin("b", 0, 0.9, 0.9)
    clock.advance(1.0)
    look(scores, 0.0, clock())
    scores.end(sent, 0.0, applied=True)
    assert report(scores, 0.9) == 0.0


def test_a_score_above_zero_allows_no_further_failures(scores: OwnScores, clock: Clock) -> None:
    report(scores, 0.9)
    clock.advance(1.0)
    look(scores, 0.1, clock())
    assert report(scores, 0.9) == 0.0


def test_a_new_generation_starts_from_zero_and_an_old_one_adds_nothing(scores: OwnScores) -> None:
    report(scores, 0.9)
    assert scores.begin("b", 2, 0.4, 0.9).gain == pytest.approx(0.4)
    assert scores.begin("b", 0, 0.4, 0.9).gain == 0.0


def test_a_breaker_that_was_deleted_starts_from_zero(scores: OwnScores, clock: Clock) -> None:
    scores.end(scores.begin("b", 7, 0.9, 0.9), 0.0, applied=True)
    clock.advance(1.0)
    look(scores, 0.5, clock())
    assert report(scores, 0.4) == pytest.approx(0.4)


def test_a_forked_child_starts_from_zero(scores: OwnScores) -> None:
    report(scores, 0.9)
    child = os.fork()
    if child == 0:
        gain = 0.0
        try:
            gain = report(scores, 0.9)
        finally:
            os._exit(0 if gain == 0.9 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class _Row:
    """The shared score as a store would keep it."""

    def __init__(self) -> None:
        self.score = 0.0

    def apply(self, successes: float, gain: float) -> None:
        self.score = max(0.0, self.score - successes) + gain


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["begin", "apply", "end", "lose", "refuse", "look", "learn"]),
        st.sampled_from([0.0, 0.2, 0.5, 1.0]),
        st.sampled_from([0.0, 0.1, 0.4]),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_fewer_processes_than_min_reporters_never_reach_the_limit(
    steps: list[tuple[int, str, float, float]],
) -> None:
    """Run two processes with ``min_reporters=3`` whose reports overlap, are lost, are refused, or are answered late."""
    clock, row, clip = Clock(), _Row(), clip_for(3)
    processes = [OwnScores(clock), OwnScores(clock)]
    sent: list[list[tuple[Contribution, float]]] = [[], []]
    applied: list[list[tuple[Contribution, float]]] = [[], []]
    looked: list[tuple[float, float]] = [(-1.0, 1.0), (-1.0, 1.0)]
    for who, what, step, successes in steps:
        clock.advance(1.0)
        if what == "begin":
            sent[who].append((processes[who].begin("b", 0, step, clip), successes))
        elif what in ("apply", "lose") and sent[who]:
            contribution, carried = sent[who].pop(0)
            if what == "apply" or step > 0.3:
                row.apply(carried, contribution.gain)
            if what == "apply":
                applied[who].append((contribution, carried))
            else:
                processes[who].end(contribution, carried, applied=None)
        elif what == "refuse" and sent[who]:
            processes[who].end(*sent[who].pop(0), applied=False)
        elif what == "end" and applied[who]:
            processes[who].end(*applied[who].pop(0), applied=True)
        elif what == "look":
            looked[who] = (clock(), row.score)
        elif what == "learn":
            look(processes[who], looked[who][1], looked[who][0], relief=step)
        assert row.score < 0.95
