"""The classification of an exception by a function of the application, before the built-in rules."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory

Classify = Callable[[BaseException], "ApiFailure | FailureCategory | str | None"]

log = logging.getLogger("cbstore_sql")


def asked(classify: Classify | None, error: BaseException) -> ApiFailure | None:
    """Classify an exception with the function ``classify`` that the application passed in the settings.

    If this function raises or returns an invalid value, the error is logged and the built-in rules apply.

    Args:
        classify: The function of the application; ``None`` if the application passed no function.
        error: The exception that the call raised.

    Returns:
        The failure. ``None`` if the built-in rules must classify the exception.
    """
    if classify is None:
        return None
    try:
        answer = classify(error)
        return answer if answer is None or isinstance(answer, ApiFailure) else ApiFailure(FailureCategory(answer))
    except Exception as failed:  # noqa: BLE001 - the caller must get the original exception
        log.error("classify failed with %s", type(failed).__name__)
        return None
