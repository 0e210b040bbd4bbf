"""Tests of what an exception of the store means for a guarded call."""

from __future__ import annotations

import pytest

from cbstore_sql import InvalidNameError, InvalidPolicyError, InvalidStateError, SchemaError, StoreUnavailableError
from cbstore_sql.breaker.outage.failures import described, kind_of, original_of, raise_store_error, was_not_applied
from cbstore_sql.errors import ConfigurationError, StoreError, TooManyBreakersError
from cbstore_sql.stores.call import StoreCall

READ, WRITE = StoreCall("read", ("b",)), StoreCall("record_failure", ("b",))


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailableError("gone"),
        SchemaError("no table"),
        TooManyBreakersError("default", 1),
        InvalidNameError("a name"),
        InvalidPolicyError("a policy"),
        InvalidStateError("a permit"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_store_error_and_an_error_of_the_caller_are_raised_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        raise_store_error(WRITE, error)
    assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password"),
        ConfigurationError("the store is in use in another event loop"),
        StopIteration(),
        UnicodeEncodeError("latin-1", "password", 0, 1, "password"),
        AttributeError("poll"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(("call", "applied"), [(READ, False), (WRITE, None)], ids=["read", "write"])
def test_any_other_exception_becomes_a_store_unavailable_error(
    error: Exception, call: StoreCall, applied: bool
) -> None:
    with pytest.raises(StoreUnavailableError, match=type(error).__name__) as raised:
        raise_store_error(call, error)
    assert raised.value.__cause__ is error
    assert raised.value.applied is applied
    assert "password" not in str(raised.value)
    assert kind_of(raised.value) == type(error).__name__
    assert original_of(raised.value) is error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreUnavailableError("password"), "StoreUnavailableError"),
        (StoreUnavailableError("password", reason="the disk is full"), "StoreUnavailableError: the disk is full"),
        (StoreError("password"), "StoreError"),
    ],
)
def test_the_log_contains_the_class_and_only_words_of_the_library(error: StoreError, words: str) -> None:
    assert described(error) == words


@pytest.mark.parametrize(
    ("error", "not_applied"),
    [
        (StoreUnavailableError("gone", applied=False), True),
        (StoreUnavailableError("gone"), False),
        (SchemaError("no table"), True),
    ],
)
def test_was_not_applied_is_true_only_for_operations_that_certainly_had_no_effect(
    error: StoreError, not_applied: bool
) -> None:
    assert was_not_applied(error) is not_applied
    assert original_of(error) is error
