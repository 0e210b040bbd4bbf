"""An adapter that makes a `Store` from a custom store with the eight methods of the dictionary protocol.

The dictionary protocol has no permits and cannot tell two owners of a probe apart. If the owner of a probe dies, only
the custom store can release the probe. For this reason, the adapter passes a report on only if the circuit still has
the state in which the permit was given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Snapshot, State, Transition
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import StoreConflictError, StoreError, StoreUnavailableError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.dict_protocol import DEFAULT_CIRCUIT_BREAKER_STATE, CircuitBreakerStore
from cbstore_sql.stores.threaded import ThreadedStore

T = TypeVar("T")

log = logging.getLogger("cbstore_sql")

_CAS_ATTEMPTS = 5


class DictionaryStore(Store):
    """Use a custom store with the eight methods of `CircuitBreakerStore` as a `Store`.

    Exceptions of the eight methods reach the caller unchanged.

    Args:
        store: The custom store.
        policy: The settings of the breaker. The custom store does not know when a probe's lease ends. So a caller that
            is rejected during a probe gets the whole ``probe_lease`` as ``retry_after``, in seconds.
    """

    def __init__(self, store: CircuitBreakerStore, policy: BreakerPolicy) -> None:
        super().__init__()
        self._store = store
        self._policy = policy
        self._holds: dict[str, float] = {}

    def _read(self, name: str, now: float | None) -> Snapshot:
        return self._shown(name, self._store.get_state(name), now)

    def _apply(self, command: Command) -> Transition | None:
        operations = {
            "claim_probe": self._claim,
            "record_failure": self._fail,
            "record_success": self._succeed,
            "release_probe": self._release,
            "renew_probe": self._renew,
            "force_open": self._force_open,
            "reset": self._reset,
            "hold": self._hold,
        }
        return operations[command.operation](command)

    def _delete(self, name: str) -> None:
        self._store.clear(name)

    def _claim(self, command: Command) -> Transition | None:
        now = command.clock(time.time())
        won, state, label = self._store.try_transition_and_claim_probe(command.name, now, self._policy.recovery_timeout)
        previous = State.OPEN if label == "open->half_open" else State.HALF_OPEN
        return Transition(previous, self._shown(command.name, state, now, command.parameters["token"])) if won else None

    def _fail(self, command: Command) -> Transition | None:
        if self._store.get_state(command.name)["state"] != _state_of_permit(command):
            return None
        given = command.parameters
        state = self._store.atomic_record_failure(command.name, given["failure_threshold"], given["recovery_timeout"])
        return self._after(command.name, state)

    def _succeed(self, command: Command) -> Transition | None:
        expected = _state_of_permit(command)
        transition = self._after(command.name, self._store.atomic_record_success(command.name, expected_state=expected))
        return transition if transition.previous_state.value == expected else None

    def _release(self, command: Command) -> Transition | None:
        freed = self._store.cas_state(command.name, State.HALF_OPEN.value, {"half_open_probe_active": False})
        return Transition(State.HALF_OPEN, self._read(command.name, None)) if freed else None

    def _renew(self, command: Command) -> Transition | None:
        """Return a transition while the circuit is half_open, otherwise ``None``. The protocol has no leases."""
        snapshot = self._read(command.name, None)
        return Transition(snapshot.state, snapshot) if snapshot.state is State.HALF_OPEN else None

    def _force_open(self, command: Command) -> Transition:
        now = command.clock(time.time())
        for _ in range(_CAS_ATTEMPTS):
            found = self._store.get_state(command.name)
            updates = {
                "state": State.OPEN.value,
                "last_failure_time": max(now, float(found["last_failure_time"])),
                "open_until": max(now + command.parameters["seconds"], float(found["open_until"])),
                "half_open_probe_active": False,
            }
            if self._store.cas_state(command.name, found["state"], updates):
                return Transition(State(found["state"]), self._shown(command.name, {**found, **updates}, now))
        raise StoreConflictError(f"force_open was contended {_CAS_ATTEMPTS} times")

    def _reset(self, command: Command) -> Transition:
        found = self._store.get_state(command.name)
        self._store.set_state(command.name, dict(DEFAULT_CIRCUIT_BREAKER_STATE))
        return Transition(State(found["state"]), self._shown(command.name, DEFAULT_CIRCUIT_BREAKER_STATE, None))

    def _hold(self, command: Command) -> Transition:
        """Keep the hold in this process only, because the dictionary protocol has no field for a hold."""
        now = command.clock(time.time())
        until = now + command.parameters["seconds"]
        self._holds[command.name] = max(until, self._holds.get(command.name, 0.0))
        snapshot = self._read(command.name, now)
        return Transition(snapshot.state, snapshot)

    def _after(self, name: str, state: Mapping[str, Any]) -> Transition:
        return Transition(State(state["_prev_state"]), self._shown(name, state, None))

    def _shown(self, name: str, state: Mapping[str, Any], now: float | None, token: str = "") -> Snapshot:
        as_of = time.time() if now is None else now
        row = Row(
            state=state["state"],
            failure_count=int(state["failure_count"]),
            last_failure_time=float(state["last_failure_time"]),
            open_until=float(state["open_until"]),
            probe_token=token,
            hold_until=self._held_until(name, as_of),
            probe_until=as_of + self._policy.probe_lease if state["half_open_probe_active"] else 0.0,
        )
        return Snapshot.of(name, row, as_of)

    def _held_until(self, name: str, now: float) -> float:
        until = self._holds.get(name, 0.0)
        if until and until <= now:
            self._holds.pop(name, None)
        return until


class ThreadedDictionaryStore(ThreadedStore):
    """Use a custom store with the eight methods of `CircuitBreakerStore` as an `AsyncStore`.

    The eight methods block, so they run in threads. If one of them raises an exception that is not a `StoreError`, the
    caller gets a `StoreUnavailableError`.
    """

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await _told_apart(super()._read(name, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await _told_apart(super()._apply(command))


async def _told_apart(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except StoreError:
        raise
    except Exception as error:
        # The log line helps to find a defect of the custom store. The text of the exception may contain secrets.
        log.error("the breaker store raised %s", type(error).__name__)
        raise StoreUnavailableError("the breaker store failed") from error


def _state_of_permit(command: Command) -> str:
    return State.HALF_OPEN.value if command.parameters["token"] else State.CLOSED.value
