"""Circuit breakers: guarded calls over a store."""

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker

__all__ = ["CircuitBreaker"]
