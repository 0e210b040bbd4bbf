"""Which outcomes of a guarded call count."""

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
"""`Verdict.SUCCESS` as a global: an enumeration's member takes longer to look up, and every healthy call needs it."""


class OutcomeClassifier(NamedTuple):
    """Decides which outcomes count.

    Args:
        record_on: Exceptions that count as failures. An error of this library counts only if its class, or one derived
            from `CircuitBreakerError` that it derives from, is named here.
        ignore: Exceptions that do not count although ``record_on`` has them.
        is_failure: Called with each exception that the two let count; ``False`` means that it does not. ``None``: all
            of them count.
        is_failed_result: Called with what a call returned; ``True`` makes it a failure. ``None``: a return is a
            success.
    """

    record_on: tuple[type[BaseException], ...] = (Exception,)
    ignore: tuple[type[BaseException], ...] = ()
    is_failure: Callable[[BaseException], bool] | None = None
    is_failed_result: Callable[[Any], bool] | None = None

    def classify_exception(self, error: BaseException) -> Verdict:
        """Return a failure for an exception that counts, otherwise no verdict.

        Only an `Exception` counts: being cancelled or interrupted says nothing about the dependency. An exception group
        counts if one of the exceptions in it does, unless ``record_on`` or ``ignore`` names its own class.
        """
        return Verdict.FAILURE if self._counts(error) else Verdict.NONE

    def classify_result(self, result: Any) -> Verdict:
        """Return a failure for a result that ``is_failed_result`` rejects, otherwise a success."""
        if self.is_failed_result is None:
            return SUCCESS
        return Verdict.FAILURE if _ask(self.is_failed_result, result, default=False) else SUCCESS

    def _counts(self, error: BaseException) -> bool:
        if isinstance(error, self.ignore):
            return False
        matching = [kind for kind in self.record_on if isinstance(error, kind)]
        group = _group_class()
        if group and isinstance(error, group) and not any(issubclass(kind, group) for kind in matching):
            return any(self._counts(part) for part in error.exceptions)
        if isinstance(error, CircuitBreakerError):
            # A refusal by another breaker says nothing about this dependency, unless the application says so.
            matching = [kind for kind in matching if issubclass(kind, CircuitBreakerError)]
        return bool(matching) and isinstance(error, Exception) and _ask(self.is_failure, error, default=True)


def _group_class() -> Any:
    """Return ``BaseExceptionGroup``: Python's own, before 3.11 that of the ``exceptiongroup`` package, or ``None``."""
    # Whoever raises a group of that package has imported it.
    backport = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    return getattr(builtins, "BaseExceptionGroup", backport)


def _ask(predicate: Callable[[Any], bool] | None, outcome: Any, *, default: bool) -> bool:
    """Ask the application about an outcome; a predicate that fails must not replace the outcome."""
    try:
        return default if predicate is None else bool(predicate(outcome))
    except Exception as error:
        if from_signal_handler(error):
            raise
        log.error("the predicate %r failed with %s", predicate, type(error).__name__)
        return default
