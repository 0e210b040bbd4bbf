"""The application's own classification of an exception, asked before the built-in one."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory

Classify = Callable[[BaseException], "ApiFailure | FailureCategory | str | None"]

log = logging.getLogger("cbstore_sql")


def asked(classify: Classify | None, error: BaseException) -> ApiFailure | None:
    """Return what the application says about an exception; ``None`` when it says nothing.

    A callable that raises, or returns something else, must not replace the call's own exception: it is logged.
    """
    if classify is None:
        return None
    try:
        answer = classify(error)
        return answer if answer is None or isinstance(answer, ApiFailure) else ApiFailure(FailureCategory(answer))
    except Exception as failed:  # noqa: BLE001 - the call has its exception already
        log.error("classify failed with %s", type(failed).__name__)
        return None
