"""Tests of which exceptions count as failures: refusals by other breakers, and exceptions inside groups."""

from __future__ import annotations

import asyncio
import builtins
import sys
from types import ModuleType
from typing import Any

import pytest

from cbstore_sql import CircuitBreakerOpenError, InvalidArgumentError, StoreUnavailableError
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.core.model import Verdict

FAILURE, NONE = Verdict.FAILURE, Verdict.NONE


class Refused(CircuitBreakerOpenError, ConnectionError):
    """A refusal that is also an error class of an HTTP client."""


@pytest.mark.parametrize(
    "error", [CircuitBreakerOpenError(), Refused(), StoreUnavailableError("x"), InvalidArgumentError()]
)
def test_an_error_of_this_library_counts_only_if_record_on_names_it(error: BaseException) -> None:
    assert OutcomeClassifier().classify_exception(error) is NONE
    assert OutcomeClassifier((ConnectionError, TypeError)).classify_exception(error) is NONE
    assert OutcomeClassifier(is_failure=lambda _: True).classify_exception(error) is NONE
    assert OutcomeClassifier((OSError, type(error))).classify_exception(error) is FAILURE


@pytest.fixture(params=["built in", "exceptiongroup"])
def group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an exception group. Before Python 3.11, make an object with the same attributes."""
    if request.param == "built in":
        if sys.version_info < (3, 11):
            pytest.skip("Python 3.10 has no exception groups")
        return lambda *errors: builtins.BaseExceptionGroup("several", errors)  # type: ignore[attr-defined,unused-ignore]

    class BaseExceptionGroup(BaseException):
        def __init__(self, *exceptions: BaseException) -> None:
            self.exceptions = exceptions

    class ExceptionGroup(BaseExceptionGroup, Exception):
        pass

    module = ModuleType("exceptiongroup")
    vars(module).update(BaseExceptionGroup=BaseExceptionGroup, ExceptionGroup=ExceptionGroup)
    monkeypatch.setitem(sys.modules, "exceptiongroup", module)
    monkeypatch.delattr(builtins, "BaseExceptionGroup", raising=False)
    return ExceptionGroup


def test_an_exception_group_counts_if_one_of_its_exceptions_counts(group: Any) -> None:
    only_io = OutcomeClassifier((OSError,))
    assert only_io.classify_exception(group(ValueError(), OSError())) is FAILURE
    assert only_io.classify_exception(group(ValueError(), group(KeyError(), OSError()))) is FAILURE
    assert only_io.classify_exception(group(ValueError(), KeyError())) is NONE
    but_keys = OutcomeClassifier(ignore=(KeyError,))
    assert but_keys.classify_exception(group(KeyError(), KeyError())) is NONE
    assert but_keys.classify_exception(group(KeyError(), OSError())) is FAILURE


def test_a_group_of_refusals_or_of_cancellations_does_not_count(group: Any) -> None:
    assert OutcomeClassifier().classify_exception(group(CircuitBreakerOpenError(), CircuitBreakerOpenError())) is NONE
    assert OutcomeClassifier().classify_exception(group(asyncio.CancelledError(), KeyboardInterrupt())) is NONE


def test_the_predicate_receives_each_exception_of_a_group(group: Any) -> None:
    asked: list[BaseException] = []

    def is_failure(error: BaseException) -> bool:
        asked.append(error)
        return isinstance(error, OSError)

    first, second = ValueError(), OSError()
    assert OutcomeClassifier(is_failure=is_failure).classify_exception(group(first, second)) is FAILURE
    assert asked == [first, second]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no exception groups")
def test_an_exception_group_that_an_option_names_is_classified_as_a_whole() -> None:
    kind = builtins.ExceptionGroup  # type: ignore[attr-defined,unused-ignore]
    assert OutcomeClassifier((kind,)).classify_exception(kind("several", [KeyError()])) is FAILURE
    assert OutcomeClassifier(ignore=(kind,)).classify_exception(kind("several", [OSError()])) is NONE
