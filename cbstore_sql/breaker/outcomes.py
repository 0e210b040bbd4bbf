"""Which outcomes of a guarded call count."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from cbstore_sql.core.model import Verdict

log = logging.getLogger("cbstore_sql")

SUCCESS = Verdict.SUCCESS
"""A member of an enumeration takes longer to look up, and each healthy call asks for this one."""


class OutcomeClassifier(NamedTuple):
    """Which outcomes count.

    Args:
        record_on: Exceptions that count as failures.
        ignore: Exceptions that say nothing about the dependency although ``record_on`` names them.
        is_failure: Asked about an exception the two let through; ``False`` means it says nothing. ``None`` lets
            all of them count.
        is_failed_result: Asked about what a call returned; ``True`` makes it a failure. ``None`` means that
            returning is a success.
    """

    record_on: tuple[type[BaseException], ...] = (Exception,)
    ignore: tuple[type[BaseException], ...] = ()
    is_failure: Callable[[BaseException], bool] | None = None
    is_failed_result: Callable[[Any], bool] | None = None

    def classify_exception(self, error: BaseException) -> Verdict:
        """Judge an exception; one that is no `Exception` (cancelled, interrupted) never counts."""
        counts = (
            isinstance(error, Exception) and isinstance(error, self.record_on) and not isinstance(error, self.ignore)
        )
        if not counts or not _asked(self.is_failure, error, default=True):
            return Verdict.NONE
        return Verdict.FAILURE

    def classify_result(self, result: Any) -> Verdict:
        """Judge what a call returned."""
        if self.is_failed_result is None:
            return SUCCESS
        return Verdict.FAILURE if _asked(self.is_failed_result, result, default=False) else SUCCESS


def _asked(predicate: Callable[[Any], bool] | None, outcome: Any, *, default: bool) -> bool:
    """Ask the application about an outcome; a predicate that fails must not replace the outcome."""
    try:
        return default if predicate is None else predicate(outcome)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the call has its outcome already
        log.error("the predicate %r failed with %s", predicate, type(error).__name__)
        return default
