"""Tests that errors can be pickled and copied, and that the docstring lists them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import errors
from cbstore_sql.errors import (
    CircuitBreakerError,
    CircuitBreakerOpenError,
    MissingExtraError,
    StoreUnavailableError,
    TooManyBreakersError,
)


class OrderError(CircuitBreakerOpenError):
    """An application's own error, whose constructor takes something else."""

    def __init__(self, order: int, *, name: str) -> None:
        super().__init__(f"order {order} waits", name=name, state="half_open", retry_after=2.5)
        self.order = order


SPECIAL = {
    CircuitBreakerOpenError: CircuitBreakerOpenError(name="b", state="half_open", retry_after=1.5),
    MissingExtraError: MissingExtraError("RedisStore", "redis"),
    StoreUnavailableError: StoreUnavailableError("gone", applied=False),
    TooManyBreakersError: TooManyBreakersError("shop", 10),
}
KINDS = [getattr(errors, name) for name in errors.__all__]
ERRORS = [SPECIAL.get(kind) or kind("what happened") for kind in KINDS] + [OrderError(7, name="b")]


def through_pickle(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own


@pytest.mark.parametrize("duplicate", [through_pickle, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_pickles_and_copies_with_all_its_attributes(
    error: CircuitBreakerError, duplicate: Callable[[Exception], Any]
) -> None:
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_every_error_is_in_the_tree_of_the_module_docstring() -> None:
    assert [name for name in errors.__all__ if name not in str(errors.__doc__)] == []
