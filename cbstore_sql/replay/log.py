"""The log of calls that ``cbstore replay`` reads.

Each line is one JSON object with the fields ``time``, ``outcome`` and ``seconds``. The fields ``process`` and ``name``
are optional. `cbstore_sql.metrics.CallLog` writes such a log. An access log contains the same data, so that a short
script can convert an access log.
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
        ended: The time at which the call ended, in Unix seconds.
        verdict: The outcome of the call for the breaker: success, failure, or none (the outcome shows neither).
        seconds: The duration of the call, in seconds.
        process: The name of the process that made the call, or ``""`` if the log does not name the process.
    """

    ended: float
    verdict: Verdict
    seconds: float
    process: str = ""

    @property
    def began(self) -> float:
        """The time at which the call began, in Unix seconds."""
        return self.ended - self.seconds


def parse_log(lines: Iterable[str], *, name: str | None = None) -> list[LoggedCall]:
    """Read a log and return its calls in the order in which the calls ended.

    Args:
        lines: The lines of the log. Each line is one JSON object or empty. The function skips empty lines.
        name: The name of a breaker. The function then returns only the calls of this breaker, and the calls whose lines
            have no field ``name``. ``None`` means the calls of all breakers.

    Raises:
        ConfigurationError: A line is not a JSON object, a field of a returned call is missing or wrong, or the log has
            no call to return.
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
    return float(value)  # type: ignore[arg-type] # is_number has checked the value
