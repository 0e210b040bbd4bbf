"""Tests of the pauses between attempts."""

from __future__ import annotations

import os
import random

import pytest

from cbstore_sql import InMemoryStore
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.runtime.rng import rng
from tests.breaker.drivers import Clock


def unchanged() -> float:
    """Return the random number that does not change a pause."""
    return 1.0


def test_pauses_double_up_to_the_longest() -> None:
    pauses = ExponentialBackoff(0.1, 5.0, rand=unchanged)
    assert [pauses.next() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_reset_starts_with_the_first_pause() -> None:
    pauses = ExponentialBackoff(0.1, 5.0, factor=3.0, rand=unchanged)
    assert [pauses.next(), pauses.next()] == [0.1, pytest.approx(0.3)]
    pauses.reset()
    assert pauses.next() == 0.1


@pytest.mark.parametrize(("rand", "pause"), [(0.0, 0.05), (0.5, 0.075), (1.0, 0.1)])
def test_a_pause_is_shortened_by_up_to_half_at_random(rand: float, pause: float) -> None:
    assert ExponentialBackoff(0.1, 5.0, rand=lambda: rand).next() == pytest.approx(pause)


@pytest.mark.parametrize(("rand", "pause"), [(0.0, 0.8), (1.0, 1.2)])
def test_jitter_can_lengthen_a_pause(rand: float, pause: float) -> None:
    assert ExponentialBackoff(1.0, 5.0, jitter=(0.8, 1.2), rand=lambda: rand).next() == pytest.approx(pause)


def test_after_returns_a_pause_without_counting_an_attempt() -> None:
    pauses = ExponentialBackoff(1.0, 30.0, rand=unchanged)
    assert [pauses.after(3), pauses.after(0), pauses.after(99)] == [8.0, 1.0, 30.0]
    assert pauses.next() == 1.0


@pytest.mark.parametrize("factor", [1e300, float("inf")])
def test_a_factor_too_large_for_a_float_gives_the_longest_pause(factor: float) -> None:
    assert ExponentialBackoff(1.0, 30.0, factor=factor, rand=unchanged).after(5) == 30.0


def test_the_pauses_continue_to_grow_if_the_next_attempt_comes_soon() -> None:
    clock = Clock()
    pauses = ExponentialBackoff(0.1, 5.0, quiet=10.0, clock=clock, rand=unchanged)
    pauses.next()
    pauses.next()
    clock.advance(9.0)
    assert pauses.next() == pytest.approx(0.4)


def test_after_a_quiet_time_the_pauses_start_again() -> None:
    clock = Clock()
    pauses = ExponentialBackoff(0.1, 5.0, quiet=10.0, clock=clock, rand=unchanged)
    pauses.next()
    pauses.next()
    clock.advance(11.0)
    assert pauses.next() == pytest.approx(0.1)


def test_the_random_module_of_the_application_is_not_used() -> None:
    before = random.getstate()
    ExponentialBackoff(0.1, 5.0).next()
    InMemoryStore().record_failure("b")
    assert random.getstate() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_draws_other_numbers_than_its_parent() -> None:
    there, here = os.pipe()
    if os.fork() == 0:
        os.write(here, str(rng.random()).encode())
        os._exit(0)
    os.wait()
    assert float(os.read(there, 100)) != rng.random()
    os.close(there)
    os.close(here)
