"""Changes that are not outcomes of calls: what they ask of a store, and whom they tell."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import State
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.events import BreakerEvent, Closed, Opened, OverrideCleared, OverrideSet
from cbstore_sql.stores.call import StoreCall
from tests.breaker.test_flow import CLEAN, OPEN, Driven

LOCKED = Snapshot.of("b", Row(generation=4, override="open"), 1000.0)
GIVEN: dict[str, Any] = {"by": "alice", "reason": "test", "seconds": None, "create": True}


@pytest.mark.parametrize(
    ("method", "arguments", "transition", "events"),
    [
        ("force_open", ("b", 10.0), Transition(State.CLOSED, OPEN), [Opened]),
        ("force_open", ("b", 10.0), Transition(State.OPEN, OPEN), []),
        ("reset", ("b",), Transition(State.OPEN, CLEAN), [Closed]),
        ("hold", ("b", 10.0), Transition(State.CLOSED, CLEAN), []),
    ],
)
def test_a_change_is_noted_announced_and_told(
    method: str, arguments: tuple[Any, ...], transition: Transition, events: list[type[BreakerEvent]]
) -> None:
    driven = Driven()
    assert driven.run(getattr(driven.circuits.changes, method)(*arguments), transition) == transition
    assert driven.asks == [StoreCall(method, arguments)]
    assert driven.noted == [transition.snapshot]
    assert driven.announced == [transition] * len(events)
    assert [type(event) for event in driven.events] == events


def test_an_override_is_announced_as_a_later_generation() -> None:
    driven = Driven()
    set_it, cleared = Transition(State.CLOSED, LOCKED), Transition(State.CLOSED, CLEAN)
    driven.run(driven.circuits.changes.set_override("b", "open", **GIVEN), set_it)
    driven.run(driven.circuits.changes.clear_override("b", by="bob"), cleared)
    assert driven.asks == [
        StoreCall("set_override", ("b", "open"), GIVEN),
        StoreCall("clear_override", ("b",), {"by": "bob"}),
    ]
    assert [told.snapshot.generation for told in driven.announced] == [5, 5]
    assert driven.noted == [LOCKED, CLEAN]
    assert driven.events == [OverrideSet("b", LOCKED), OverrideCleared("b", "bob")]
