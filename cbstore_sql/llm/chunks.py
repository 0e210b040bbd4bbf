"""Errors in the chunks of a stream that goes on to its end: OpenRouter sends them so after a status 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.classification.safe import attribute
from cbstore_sql.llm.config import LLMCircuitBreakerConfig


def failure_in_chunk(chunk: Any, config: LLMCircuitBreakerConfig) -> FailedAttempt | None:
    """Return the failure that a chunk holds, or ``None``.

    Args:
        chunk: A mapping, a model of an SDK, or anything else, which holds none.
        config: Decides whether the failure counts.
    """
    if isinstance(chunk, (str, bytes)):
        return None
    error = chunk.get("error") if isinstance(chunk, Mapping) else attribute(chunk, "error")
    if not error:
        return None
    decision = config.decide_result(chunk)
    return None if decision.failure is None else FailedAttempt(decision, result=chunk)
