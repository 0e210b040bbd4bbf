"""Errors in the chunks of a stream.

After a status 200, OpenRouter sends an error as a chunk, and the client raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.classification.safe import attribute
from cbstore_sql.llm.config import LLMCircuitBreakerConfig


def failure_in_chunk(chunk: Any, config: LLMCircuitBreakerConfig) -> FailedAttempt | None:
    """Find out whether a chunk of a stream contains an error, and decide what follows the error.

    Args:
        chunk: A mapping, a model of an SDK, or any other value. Other values contain no error.
        config: The settings that define whether the error counts.

    Returns:
        The failed attempt if the chunk contains an error, otherwise ``None``.
    """
    if isinstance(chunk, (str, bytes)):
        return None
    error = chunk.get("error") if isinstance(chunk, Mapping) else attribute(chunk, "error")
    if not error:
        return None
    decision = config.decide_result(chunk)
    return None if decision.failure is None else FailedAttempt(decision, result=chunk)
