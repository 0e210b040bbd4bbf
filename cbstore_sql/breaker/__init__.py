"""Circuit breakers: guarded calls over a store.

====================================  =========================================================================
`base`                                the constructor of both breakers and the settings
`circuit_breaker`                     `CircuitBreaker`: decorator, `call`, `guard`, `admit`
`circuit_breaker_async`               `AsyncCircuitBreaker`, the same, awaited
`store_side`, `store_side_async`      the methods that read or change a circuit in the store, and the background work
`arguments`                           refuses wrong arguments and says what to write instead
`decision`                            one call on a snapshot: override, hold, state, ramp, with the events
`controller`                          admission without I/O: view first, then store, then outage policy
`settling`                            the reports of outcomes, in the same order
`sending`                             sends a success without waiting for the answer
`demands`                             what the dependency demands: trip and hold, with the outage policy
`insight`                             what people ask: snapshot, history, explanation
`flow`                                admit, settle and renew as generators that yield store calls
`direct_changes`                      force_open, reset, hold and overrides as such generators
`store_answers`                       what is done with each answer of a store: note the snapshot, emit the event
`notifier`, `notifier_async`          the listeners, and how long calls take
`refresh`                             reads all breakers of the view again, in one statement
`host_reads`                          the reads that the processes of one host share, for ``share_reads``
`seen`                                one entry of the view
`view`                                the last snapshot of each breaker in this process, used for ``max_staleness``
`unreported`, `success_reports`       successes that are not in the store yet, and how they are reported
`own_score`, `score_limit`            what this process may add to the shared score, for ``min_reporters``
`slow_calls`                          calls that take longer than ``slow_after``
`ramp_gate`                           which calls are admitted after a circuit has closed, for ``ramp_up``
`guard`, `guard_async`                one guarded block: keeps a probe's lease, measures, reports the outcome
`outcomes`                            which exceptions and results count as failures
`callables`                           which functions can be guarded
`reentrancy`                          nested calls of one breaker inside a probe of the same breaker
`push`                                connects a breaker to LISTEN and NOTIFY
`outage`                              what happens while the store is unavailable
====================================  =========================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.guard import Guard

if TYPE_CHECKING:
    from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
    from cbstore_sql.breaker.guard_async import AsyncGuard

__all__ = ["AsyncCircuitBreaker", "AsyncGuard", "CircuitBreaker", "Guard"]

# Imported on first use, because they import asyncio.
_LAZY = {
    "AsyncCircuitBreaker": "cbstore_sql.breaker.circuit_breaker_async",
    "AsyncGuard": "cbstore_sql.breaker.guard_async",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
