"""The classification of the outcomes of guarded calls: success, failure or no verdict."""

from __future__ import annotations

import builtins
import logging
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from cbstore_sql.core.model import Verdict
from cbstore_sql.errors import CircuitBreakerError
from cbstore_sql.runtime.interrupts import from_signal_handler

log = logging.getLogger("cbstore_sql")

SUCCESS = Verdict.SUCCESS
"""`Verdict.SUCCESS` as a global, because a global is faster to look up, and every healthy call needs it."""


class OutcomeClassifier(NamedTuple):
    """Decide what the outcome of a call says about the dependency: success, failure, or nothing.

    Args:
        record_on: Exceptions that count as failures. An error of this library counts only if ``record_on`` names
            `CircuitBreakerError`, a class derived from it, or the error's class.
        ignore: Exceptions that do not count although ``record_on`` names them.
        is_failure: A function that receives each exception that counts by ``record_on`` and ``ignore``. If the function
            returns ``False``, the exception does not count. ``None`` means that all these exceptions count.
        is_failed_result: A function that receives the result of a call. If the function returns ``True``, the call is a
            failure. ``None`` means that every call that returns is a success.
    """

    record_on: tuple[type[BaseException], ...] = (Exception,)
    ignore: tuple[type[BaseException], ...] = ()
    is_failure: Callable[[BaseException], bool] | None = None
    is_failed_result: Callable[[Any], bool] | None = None

    def classify_exception(self, error: BaseException) -> Verdict:
        """Decide whether a call that raised an exception counts as a failure.

        Only an `Exception` counts, because a cancellation or an interrupt says nothing about the dependency. An
        exception group counts if an exception in the group counts, unless ``record_on`` or ``ignore`` names the group's
        class.

        Args:
            error: The exception.

        Returns:
            `Verdict.FAILURE` if the exception counts; otherwise `Verdict.NONE`.
        """
        return Verdict.FAILURE if self._counts(error) else Verdict.NONE

    def classify_result(self, result: Any) -> Verdict:
        """Decide whether a call that returned is a success or a failure.

        Args:
            result: What the call returned.

        Returns:
            `Verdict.FAILURE` if ``is_failed_result`` returns ``True`` for the result; otherwise `Verdict.SUCCESS`.
        """
        if self.is_failed_result is None:
            return SUCCESS
        return Verdict.FAILURE if _ask(self.is_failed_result, result, default=False) else SUCCESS

    def _counts(self, error: BaseException) -> bool:
        """Return whether an exception counts as a failure."""
        if isinstance(error, self.ignore):
            return False
        matching = [kind for kind in self.record_on if isinstance(error, kind)]
        group = _group_class()
        if group and isinstance(error, group) and not any(issubclass(kind, group) for kind in matching):
            return any(self._counts(part) for part in error.exceptions)
        if isinstance(error, CircuitBreakerError):
            # A refusal by another breaker says nothing about this dependency, unless ``record_on`` names the class.
            matching = [kind for kind in matching if issubclass(kind, CircuitBreakerError)]
        return bool(matching) and isinstance(error, Exception) and _ask(self.is_failure, error, default=True)


def _group_class() -> Any:
    """Return Python's ``BaseExceptionGroup``, before Python 3.11 that of ``exceptiongroup``, or ``None``."""
    # A program that raises a group of that package has imported the package.
    backport = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    return getattr(builtins, "BaseExceptionGroup", backport)


def _ask(predicate: Callable[[Any], bool] | None, outcome: Any, *, default: bool) -> bool:
    """Call a predicate of the application; return ``default`` if there is no predicate or the predicate fails.

    Args:
        predicate: The function of the application; ``None`` means no predicate.
        outcome: The exception or the result of the call.
        default: The answer without a predicate, or if the predicate raises an exception.
    """
    try:
        return default if predicate is None else bool(predicate(outcome))
    except Exception as error:
        if from_signal_handler(error):
            raise
        log.error("the predicate %r failed with %s", predicate, type(error).__name__)
        return default
