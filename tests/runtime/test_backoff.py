"""How long a store that was out is left alone."""

from __future__ import annotations

import os
import random

import pytest

from cbstore_sql import InMemoryStore
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.runtime.rng import rng


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_five_seconds() -> None:
    pauses = ExponentialBackoff(Clock(), lambda: 0.0)
    assert [pauses.next() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.parametrize(("rand", "pause"), [(0.0, 0.1), (0.5, 0.075), (1.0, 0.05)])
def test_each_is_shortened_by_up_to_half_at_random(rand: float, pause: float) -> None:
    assert ExponentialBackoff(Clock(), lambda: rand).next() == pytest.approx(pause)


def test_an_outage_soon_after_another_goes_on_where_that_one_left_off() -> None:
    clock = Clock()
    pauses = ExponentialBackoff(clock, lambda: 0.0)
    pauses.next()
    pauses.next()
    clock.now += 9.0
    assert pauses.next() == pytest.approx(0.4)


def test_after_a_quiet_time_they_begin_anew() -> None:
    clock = Clock()
    pauses = ExponentialBackoff(clock, lambda: 0.0)
    pauses.next()
    pauses.next()
    clock.now += 11.0
    assert pauses.next() == pytest.approx(0.1)


def test_nobody_s_own_random_numbers_are_drawn() -> None:
    before = random.getstate()
    ExponentialBackoff().next()
    InMemoryStore().record_failure("b")
    assert random.getstate() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_draws_others_than_its_parent() -> None:
    there, here = os.pipe()
    if os.fork() == 0:
        os.write(here, str(rng.random()).encode())
        os._exit(0)
    os.wait()
    assert float(os.read(there, 100)) != rng.random()
    os.close(there)
    os.close(here)
