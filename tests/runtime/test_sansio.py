"""Tests of the functions that drive generators without I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import pytest

from cbstore_sql.runtime import sansio

Steps = Generator[str, int, int]


def adding() -> Steps:
    first = yield "first"
    try:
        second = yield "second"
    except ValueError:
        second = yield "second again"
    return first + second


def resumed_after_the_first_wish() -> Steps:
    steps = adding()
    assert next(steps) == "first"
    return sansio.resume("first", steps)


@pytest.mark.parametrize("make", [adding, resumed_after_the_first_wish])
def test_a_generator_receives_answers_and_errors(make: Callable[[], Steps]) -> None:
    asked = []

    def do(wish: str) -> int:
        asked.append(wish)
        if wish == "second":
            raise ValueError
        return len(wish)

    async def do_async(wish: str) -> int:
        return do(wish)

    assert sansio.run(make(), do) == len("first") + len("second again")
    assert asyncio.run(sansio.run_async(make(), do_async)) == len("first") + len("second again")
    assert asked == ["first", "second", "second again"] * 2


@pytest.mark.parametrize("make", [adding, resumed_after_the_first_wish])
def test_an_error_that_the_generator_does_not_catch_is_raised(make: Callable[[], Steps]) -> None:
    def do(_: str) -> int:
        raise KeyError

    with pytest.raises(KeyError):
        sansio.run(make(), do)
