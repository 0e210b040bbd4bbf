"""The histories of many processes on every backend are linearizable."""

from __future__ import annotations

import pytest

from tests.stores.contract.backends import NAMES, make_backend
from tests.system.linearizability.checker import check
from tests.system.linearizability.generations import check_order
from tests.system.linearizability.history import Call
from tests.system.linearizability.workload import Plan, histories

# An asynchronous store differs only in its access to the server.
BACKENDS = (*NAMES, "async-postgresql", "async-redis")

EITHER_WAY = ("claim_probe", "record_failure", "record_success", "release_probe", "renew_probe")
ALWAYS = ("force_open", "reset")
CHANGES = {
    ("closed", "open"),
    ("open", "half_open"),
    ("half_open", "half_open"),
    ("half_open", "open"),
    ("half_open", "closed"),
    ("open", "closed"),
}
WANTED: set[tuple[object, ...]] = {
    *((operation, effect) for operation in EITHER_WAY for effect in (True, False)),
    *((operation, True) for operation in ALWAYS),
    *CHANGES,
    ("now given", True),
    ("now given", False),
}


# About one round in a hundred does not show everything.
ROUNDS = 8


@pytest.mark.parametrize("name", BACKENDS)
def test_histories_of_many_processes_are_linearizable(name: str, request: pytest.FixtureRequest) -> None:
    backend = make_backend(name, request)
    unseen = WANTED
    for seed in range(ROUNDS):
        calls = histories(backend, Plan(seed))
        assert [str(violation) for violation in check(calls)] == []
        assert check_order(calls) == []
        unseen = unseen - shown_by(calls)
        if not unseen:
            return
    pytest.fail(f"no history shows {unseen}")


def shown_by(calls: list[Call]) -> set[tuple[object, ...]]:
    """Return what a history contains: operations with and without effect, changes of state, and clocks."""
    shown: set[tuple[object, ...]] = {(call.command.operation, call.effect is not None) for call in calls}
    for call in calls:
        if call.effect is not None:
            shown.add((call.effect.previous_state.value, call.effect.snapshot.state.value))
            shown.add(("now given", call.command.parameters["now"] is not None))
    return shown
