"""A log of calls: one JSON object a line, with ``time``, ``outcome``, ``seconds`` and, where known, ``process``.

`cbstore_sql.metrics.CallLog` writes such logs. They are easily made from access logs as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from cbstore_sql.core.model import Verdict
from cbstore_sql.core.validation import MAX_SECONDS, MAX_TIME, is_number, shown
from cbstore_sql.errors import ConfigurationError

_OUTCOMES = {verdict.value: verdict for verdict in Verdict}


class LoggedCall(NamedTuple):
    """One call of a log.

    Attributes:
        ended: When it ended, Unix seconds.
        verdict: What its outcome said about the dependency.
        seconds: How long it took.
        process: Who made it; ``""`` where the log does not say.
    """

    ended: float
    verdict: Verdict
    seconds: float
    process: str = ""

    @property
    def began(self) -> float:
        """When it began, Unix seconds."""
        return self.ended - self.seconds


def parse_log(lines: Iterable[str], *, name: str | None = None) -> list[LoggedCall]:
    """Read a log, in the order in which the calls ended.

    Args:
        lines: One JSON object each; empty lines are skipped.
        name: Only the calls of this breaker; ``None`` takes all. A line without ``name`` belongs to every breaker.

    Raises:
        ConfigurationError: A line is not such an object, or no call is left.
    """
    calls = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            fields = _fields(number, line)
            if name is None or fields.get("name", name) == name:
                calls.append(_call(number, fields))
    if not calls:
        raise ConfigurationError("the log holds no calls" + ("" if name is None else f" of the breaker {name!r}"))
    return sorted(calls, key=lambda call: call.ended)


def _fields(number: int, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ConfigurationError(f"line {number} of the log is not a JSON object")
    return fields


def _call(number: int, fields: dict[str, Any]) -> LoggedCall:
    outcome = fields.get("outcome")
    if not isinstance(outcome, str) or outcome not in _OUTCOMES:
        raise ConfigurationError(f'line {number} of the log: outcome must be "success", "failure" or "none"')
    ended = _number(number, fields, "time", MAX_TIME)
    return LoggedCall(
        ended, _OUTCOMES[outcome], _number(number, fields, "seconds", MAX_SECONDS), str(fields.get("process", ""))
    )


def _number(number: int, fields: dict[str, Any], field: str, largest: float) -> float:
    value = fields.get(field)
    if not is_number(value, 0, largest):
        raise ConfigurationError(
            f"line {number} of the log: {field} must be a number from 0 to {largest:g}, got {shown(value)}"
        )
    return float(value)  # type: ignore[arg-type] # just checked
