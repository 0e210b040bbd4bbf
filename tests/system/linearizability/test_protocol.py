"""The answers of the dictionary protocol to many processes are linearizable."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from cbstore_sql import InMemoryStore
from cbstore_sql.core.model import Transition
from cbstore_sql.stores.dict_protocol import ProtocolStore, _with_previous
from tests.stores.contract.backends import NAMES, make_backend
from tests.system.linearizability.protocol import DUE, METHODS, MethodCall, called, explains, histories

# `PROTOCOL_ROUNDS=40` for a long run.
ROUNDS = int(os.environ.get("PROTOCOL_ROUNDS", "3"))


@pytest.mark.parametrize("name", NAMES)
def test_the_eight_methods_are_linearizable(name: str, request: pytest.FixtureRequest) -> None:
    backend = make_backend(name, request)
    refused = []
    for seed in range(ROUNDS):
        calls = histories(backend, seed)
        assert {call.method for call in calls} == set(METHODS)
        if not explains(calls):
            refused.append(seed)
    assert refused == []


class AnsweringFromALaterRead(InMemoryStore):
    """A store that answers a success without effect with the result of a separate read.

    Args:
        between: Called before that read.
    """

    def __init__(self, between: Callable[[ProtocolStore], object]) -> None:
        super().__init__()
        self._between = between

    def atomic_record_success(self, backend: str, expected_state: str | None = None) -> dict[str, Any]:
        transition = self.record_success(backend, expected_state=expected_state)
        if transition is None:
            self._between(self)
            snapshot = self.read(backend)
            transition = Transition(snapshot.state, snapshot)
        return _with_previous(transition)


class ReadingFirst(InMemoryStore):
    """A correct store, with another caller between its read and its write.

    Args:
        between: Called after each read.
    """

    def __init__(self, between: Callable[[ProtocolStore], object]) -> None:
        super().__init__()
        self._between = between
        self._interrupted = False

    def _read(self, name: str, now: float | None) -> Any:
        snapshot = super()._read(name, now)
        if not self._interrupted:
            self._interrupted = True
            self._between(self)
        return snapshot


@pytest.mark.parametrize(("kind", "linearizable"), [(AnsweringFromALaterRead, False), (ReadingFirst, True)])
def test_the_check_finds_a_store_that_reads_in_a_separate_step(
    kind: Callable[[Callable[[ProtocolStore], object]], ProtocolStore], linearizable: bool
) -> None:
    calls: list[MethodCall] = []

    def another_caller(store: ProtocolStore) -> None:
        calls.append(called(store, "atomic_record_failure", (3, 60.0), "one"))

    store = kind(another_caller)
    calls.append(called(store, "atomic_record_success", (), "one"))
    assert explains(calls) is linearizable


def test_a_lost_claim_returns_a_state_in_which_the_claim_is_lost() -> None:
    calls: list[MethodCall] = []

    def another_caller(store: ProtocolStore) -> None:
        calls.append(called(store, "atomic_record_failure", (1, 60.0), "one"))

    store = ReadingFirst(another_caller)
    store._interrupted = True
    calls.append(called(store, "increment_failure", (), "one"))
    store._interrupted = False
    calls.append(called(store, "try_transition_and_claim_probe", (DUE, 60.0), "one"))
    assert explains(calls)


@pytest.mark.parametrize("wrong", [False, True])
def test_the_check_finds_a_lost_count(wrong: bool) -> None:
    store = InMemoryStore()
    first = called(store, "increment_failure", (), "one")
    second = called(store, "increment_failure", (), "one")
    assert explains([first, second._replace(answer=1) if wrong else second]) is not wrong
