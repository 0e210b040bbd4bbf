"""For 3,000 random calls of the eight methods, each of our stores gives the answers of the published store.

Both stores use the same clock, so that the times in the answers are equal to the last bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cbstore_sql.core.model import STATES
from cbstore_sql.core.validation import MAX_SECONDS
from cbstore_sql.stores.dict_protocol import CircuitBreakerStore, ProtocolStore
from tests.stores.contract.backends import Backend
from tests.system.compat.calls import ARGUMENTS, random_calls
from tests.system.compat.clock import Clock, go_by

CALLS = 3000
TICK = 1 / 3
"""Seconds; no binary fraction, so that sums are rounded."""


@pytest.fixture
def ours(backend: Backend, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProtocolStore]:
    """A store whose leases never expire."""
    with backend.open(protocol_probe_lease=MAX_SECONDS) as store:
        go_by(clock, store, monkeypatch)
        yield store


def exactly(value: Any) -> Any:
    """Return a value in a form that distinguishes 1, 1.0 and True."""
    if isinstance(value, dict):
        return {key: exactly(held) for key, held in value.items()}
    if isinstance(value, tuple):
        return tuple(exactly(held) for held in value)
    return type(value), value


def test_every_answer_and_every_state_matches_massgen_s_store(
    original: CircuitBreakerStore, ours: ProtocolStore, clock: Clock
) -> None:
    for number, (method, name, arguments) in enumerate(random_calls(1, clock, calls=CALLS, tick=TICK)):
        told = f"call {number}: {method}({name!r}, {arguments!r}) at {clock.now!r}"
        answers = [getattr(store, method)(name, *arguments) for store in (original, ours)]
        assert exactly(answers[1]) == exactly(answers[0]), told
        assert exactly(ours.get_state(name)) == exactly(original.get_state(name)), told


def test_the_calls_reach_every_method_in_every_state(original: CircuitBreakerStore, clock: Clock) -> None:
    met: Counter[tuple[str, str]] = Counter()
    claims: Counter[str | None] = Counter()
    for method, name, arguments in random_calls(1, clock, calls=CALLS, tick=TICK):
        met[method, original.get_state(name)["state"]] += 1
        answer = getattr(original, method)(name, *arguments)
        if method == "try_transition_and_claim_probe":
            claims[answer[2]] += 1
    assert all(met[method, state] >= 20 for method in ARGUMENTS for state in STATES), met
    assert all(claims[label] >= 25 for label in ("open->half_open", "half_open_probe_claimed", None)), claims
