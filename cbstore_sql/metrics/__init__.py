"""Metrics and logs, made of what a breaker tells its listeners and of what the table says.

No other package imports prometheus_client or opentelemetry, and this one only once the first measurement is taken.
"""

from cbstore_sql.metrics.fleet import FleetCollector
from cbstore_sql.metrics.logs import log_events
from cbstore_sql.metrics.opentelemetry import OpenTelemetryMetrics
from cbstore_sql.metrics.prometheus import CircuitBreakerMetrics

__all__ = ["CircuitBreakerMetrics", "FleetCollector", "OpenTelemetryMetrics", "log_events"]
