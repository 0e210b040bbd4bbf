"""Names of 0.1 that warn for one release."""

from __future__ import annotations

import pytest

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, InMemoryStore


@pytest.mark.parametrize("kind", [CircuitBreaker, AsyncCircuitBreaker])
def test_the_deprecated_gate_works_and_warns(kind: type[CircuitBreaker] | type[AsyncCircuitBreaker]) -> None:
    breaker = kind(InMemoryStore())
    with pytest.warns(DeprecationWarning, match=r"goes away in 0\.3") as warned:
        gate = breaker.gate
    assert warned[0].filename == __file__
    assert gate is breaker._controller
