"""Metrics and logs, made from the events of breakers and from the breaker table.

=================  ============================================================================
`recorder`         turns events into measurements, for any metrics library
`prometheus`       `CircuitBreakerMetrics`: the ``cb_*`` series of this process
`opentelemetry`    `OpenTelemetryMetrics`: the same series as ``cb.*`` instruments
`fleet`            `FleetCollector`: the ``cb_fleet_*`` series of all breakers, read from the table
`logs`             `log_events`: one log record for each event
`call_log`         `CallLog`: one line of a file for each guarded call, for ``cbstore replay``
=================  ============================================================================

No other package imports prometheus_client or opentelemetry. This package imports these two libraries at the
first measurement.
"""

from cbstore_sql.metrics.call_log import CallLog
from cbstore_sql.metrics.fleet import FleetCollector, ReadsAll
from cbstore_sql.metrics.logs import EVENT_LEVELS, log_events
from cbstore_sql.metrics.opentelemetry import OpenTelemetryMetrics
from cbstore_sql.metrics.prometheus import CircuitBreakerMetrics

__all__ = [
    "EVENT_LEVELS",
    "CallLog",
    "CircuitBreakerMetrics",
    "FleetCollector",
    "OpenTelemetryMetrics",
    "ReadsAll",
    "log_events",
]
