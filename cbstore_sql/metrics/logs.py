"""A listener that writes one log record for each event, with the event's data as attributes of the record."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from cbstore_sql.breaker.notifier import LOGS_EVENTS
from cbstore_sql.core.wording import printable
from cbstore_sql.events import (
    BreakerEvent,
    CallFinished,
    Closed,
    HalfOpened,
    Listener,
    Opened,
    OverrideCleared,
    OverrideSet,
    ProbeClaimed,
    ProbeExpired,
    ProbeLost,
    ProbeStalled,
    Rejected,
    StateChanged,
    StoreDegraded,
    StoreRecovered,
    ViewRefreshed,
    WouldHaveOpened,
    WouldHaveRejected,
)

EVENT_LEVELS: Mapping[type[BreakerEvent], int] = {
    Opened: logging.WARNING,
    HalfOpened: logging.INFO,
    Closed: logging.INFO,
    ProbeClaimed: logging.INFO,
    ProbeLost: logging.DEBUG,
    ProbeExpired: logging.WARNING,
    ProbeStalled: logging.WARNING,
    StoreDegraded: logging.WARNING,
    StoreRecovered: logging.WARNING,
    OverrideSet: logging.WARNING,
    OverrideCleared: logging.WARNING,
    WouldHaveOpened: logging.WARNING,
    WouldHaveRejected: logging.DEBUG,
    Rejected: logging.DEBUG,
    CallFinished: logging.DEBUG,
    ViewRefreshed: logging.DEBUG,
}
"""The log level of each event class. Events of every call have level DEBUG."""

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def log_events(
    logger: logging.Logger | None = None, *, levels: Mapping[type[BreakerEvent], int] | None = None
) -> Listener:
    """Make a listener that writes one log record for each event.

    Each record has the attributes ``cb_name`` (the breaker's name) and ``cb_event`` (the kind of the event). Depending
    on the event, it also has ``cb_state``, ``cb_previous_state``, ``cb_generation``, ``cb_failure_count``,
    ``cb_retry_after`` (seconds), ``cb_took_over``, ``cb_verdict``, ``cb_seconds``, ``cb_staleness`` (seconds),
    ``cb_mode``, ``cb_by``, ``cb_reason`` (of an override or of a rejection) and ``cb_error`` (the name of an exception
    class). A record never contains the token of a probe.

    A breaker with this listener does not write the library's own log lines about openings and closings.

    Args:
        logger: The logger that receives the records; ``None`` means the logger ``cbstore_sql.events``.
        levels: Log levels by event class, such as ``{Opened: logging.ERROR}``. They replace the levels in
            `EVENT_LEVELS`; ``None`` means no replacement.

    Returns:
        The listener, for the ``listeners`` argument of a breaker.
    """
    target = logger or logging.getLogger("cbstore_sql.events")
    chosen = {**EVENT_LEVELS, **(levels or {})}

    def listener(event: BreakerEvent) -> None:
        level = chosen.get(type(event), logging.INFO)
        if target.isEnabledFor(level):
            _write(target, level, event)

    # With this attribute, the breaker does not write its own log lines about openings and closings.
    setattr(listener, LOGS_EVENTS, True)
    return listener


def _write(logger: logging.Logger, level: int, event: BreakerEvent) -> None:
    """Write the log record of one event."""
    kind = _WORD_START.sub("_", type(event).__name__).lower()
    data = _data(event)
    text = " ".join([kind, *(f"{key}={value}" for key, value in data.items())])
    fields = {f"cb_{key}": value for key, value in data.items()}
    logger.log(
        level, "circuit breaker %r: %s", event.name, text, extra={"cb_name": event.name, "cb_event": kind, **fields}
    )


def _data(event: BreakerEvent) -> dict[str, Any]:
    data: dict[str, Any] = {}
    match event:
        case StateChanged(snapshot=breaker):
            data = {
                "state": breaker.state.value,
                "previous_state": event.previous_state.value,
                "generation": breaker.generation,
                "failure_count": breaker.failure_count,
                "retry_after": breaker.retry_after,
            }
        case Rejected() | WouldHaveRejected():
            data = {"state": event.state.value, "retry_after": event.retry_after, "reason": event.reason}
        case OverrideSet(snapshot=breaker):
            data = {
                "mode": breaker.override,
                "seconds": max(0.0, breaker.override_until - breaker.as_of),
                "by": printable(breaker.override_by),
                "reason": printable(breaker.override_reason),
            }
        case OverrideCleared():
            data = {"by": printable(event.by)}
        case WouldHaveOpened(snapshot=breaker):
            data = {"generation": breaker.generation, "failure_count": breaker.failure_count}
        case ProbeClaimed():
            data = {"generation": event.permit.generation, "took_over": event.took_over}
        case ProbeExpired() | ProbeStalled():
            data = {"generation": event.permit.generation}
        case CallFinished():
            data = {"verdict": event.verdict.value, "seconds": event.seconds}
        case StoreDegraded():
            data = {"error": event.error}
        case ViewRefreshed():
            data = {"staleness": event.staleness}
    return data
