"""The dictionary protocol: eight methods over one breaker, for code that was written for ``CircuitBreakerStore``.

`ProtocolStore` implements the methods with the operations of a store, and every store inherits them. A report through
this protocol has no permit, so it counts even if the breaker has changed since the call began. A probe shows as active
only until its lease ends (the time for which it belongs to its owner).

Each method is linearizable: it gives an answer that a single atomic step could have given. A method that has nothing to
change returns the state that it read. If another caller changes the breaker between the read and the write, the method
starts again.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from cbstore_sql.core import commands, validation
from cbstore_sql.core.admission import effective_state
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import STATES, Snapshot, State, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy, policy_of
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.errors import StoreConflictError
from cbstore_sql.stores.base import Store

DEFAULT_CIRCUIT_BREAKER_STATE: dict[str, Any] = {
    "state": "closed",
    "failure_count": 0,
    "last_failure_time": 0.0,
    "open_until": 0.0,
    "half_open_probe_active": False,
}
"""The dictionary of a breaker that has no row. Times are Unix seconds."""

DEFAULT_PROBE_LEASE = 600.0
"""The lease in seconds of a probe that is claimed through the protocol.

This is also the default timeout of common LLM clients."""

_ATTEMPTS = 100


@runtime_checkable
class CircuitBreakerStore(Protocol):
    """The eight methods that code written for MassGen's stores calls. Every `ProtocolStore` has them.

    Every method is atomic. A state is a dictionary with the five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`. The
    ``atomic_record_*`` methods add ``_prev_state`` (text) and ``_prev_was_half_open`` (bool), which describe the state
    that the operation found.
    """

    def get_state(self, backend: str) -> dict[str, Any]:
        """Return the state of a breaker as a dictionary. A breaker that was never written has the default state.

        Args:
            backend: The breaker's name.
        """

    def set_state(self, backend: str, state: dict[str, Any]) -> None:
        """Overwrite all five keys of a breaker. A key that is missing gets its default.

        Args:
            backend: The breaker's name.
            state: The new state as a dictionary.
        """

    def cas_state(self, backend: str, expected_state: str, updates: dict[str, Any]) -> bool:
        """Overwrite some keys of a breaker, if the breaker is in an expected state; do nothing otherwise.

        Args:
            backend: The breaker's name.
            expected_state: ``"closed"``, ``"open"`` or ``"half_open"``.
            updates: The keys to overwrite, with their new values.

        Returns:
            Whether the breaker was in the expected state, so that the keys were overwritten.
        """

    def increment_failure(self, backend: str) -> int:
        """Add 1 to the failure count, and return the new count. The circuit does not open.

        Args:
            backend: The breaker's name.
        """

    def atomic_record_failure(self, backend: str, failure_threshold: int, recovery_timeout: float) -> dict[str, Any]:
        """Count one failure, and open the circuit if the count reaches a threshold or the circuit is half_open.

        Args:
            backend: The breaker's name.
            failure_threshold: The number of failures in a row that open a closed circuit.
            recovery_timeout: Seconds for which the circuit stays open.

        Returns:
            The state after the failure, with ``_prev_state`` and ``_prev_was_half_open``.
        """

    def atomic_record_success(self, backend: str, expected_state: str | None = None) -> dict[str, Any]:
        """Set the failure count of a closed circuit to 0, or close a half-open circuit.

        Args:
            backend: The breaker's name.
            expected_state: The success has an effect only in this state; ``None`` means closed or half_open.

        Returns:
            The state after the success, with ``_prev_state`` and ``_prev_was_half_open``.
        """

    def try_transition_and_claim_probe(
        self, backend: str, now: float, recovery_timeout: float
    ) -> tuple[bool, dict[str, Any], str | None]:
        """Try to claim the probe: to become the one caller that may test the dependency.

        Args:
            backend: The breaker's name.
            now: The present time, Unix seconds.
            recovery_timeout: Not used by `ProtocolStore`; the protocol reserves this argument.

        Returns:
            Three values: whether this caller won the claim; the state as a dictionary; and the kind of change. The kind
            is ``"open->half_open"``, ``"half_open_probe_claimed"``, or ``None`` if this caller did not win.
        """

    def clear(self, backend: str) -> None:
        """Delete the breaker. Afterwards the breaker reads as closed, without failures.

        Args:
            backend: The breaker's name.
        """


class ProtocolStore(Store):
    """A store that also has the eight methods of MassGen's stores, which pass a breaker's state as a dictionary.

    Code that was written for MassGen's ``CircuitBreakerStore`` can use any store of this class.

    Args:
        namespace: The name that separates the breakers of this application from those of other applications in the same
            database; at most 512 bytes of UTF-8.
        protocol_probe_lease: The seconds for which a probe belongs to the caller that claimed it with
            `try_transition_and_claim_probe`; at least 0.001. Then another caller may claim the probe. These methods can
            neither renew nor release a probe.

    Raises:
        InvalidNameError: The namespace is too long, or contains a NUL character or a character that UTF-8 cannot encode
            (a lone surrogate).
        InvalidPolicyError: ``protocol_probe_lease`` is out of range.
    """

    def __init__(self, namespace: str = "default", *, protocol_probe_lease: float = DEFAULT_PROBE_LEASE) -> None:
        super().__init__(namespace)
        self._lease = check_seconds("protocol_probe_lease", protocol_probe_lease, minimum=0.001)
        self._claiming = BreakerPolicy(probe_lease=self._lease)

    def get_state(self, backend: str) -> dict[str, Any]:
        """Return the state that callers see of a breaker, as a dictionary with five keys.

        A breaker that has no row gives `DEFAULT_CIRCUIT_BREAKER_STATE`. Under the override ``open`` or a hold (a pause
        that the dependency asked for), the breaker reads as open. Under the override ``closed`` or ``shadow``, it reads
        as closed. The other methods of the protocol work on the stored state and ignore overrides.

        Args:
            backend: The breaker's name.
        """
        snapshot = self.read(backend)
        state, open_until = effective_state(snapshot)
        return _as_dict(snapshot._replace(state=state, open_until=open_until))

    def set_state(self, backend: str, state: dict[str, Any]) -> None:
        """Overwrite all five keys of a breaker. A missing key gets its default; other keys are ignored.

        Args:
            backend: The breaker's name.
            state: Some or all of the five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`, with their new values.

        Raises:
            InvalidStateError: A value is not a state, count or time. Nothing was written.
        """
        complete = {**DEFAULT_CIRCUIT_BREAKER_STATE, **state}
        self._always(commands.replace_state(backend, complete, self._lease, None))

    def cas_state(self, backend: str, expected_state: str, updates: dict[str, Any]) -> bool:
        """Overwrite some keys of a breaker, if the breaker is in an expected state; do nothing otherwise.

        The check and the write are one atomic step. A breaker that has no row is closed.

        Args:
            backend: The breaker's name.
            expected_state: ``"closed"``, ``"open"`` or ``"half_open"``. With any other text, nothing is written.
            updates: Some of the five keys of `DEFAULT_CIRCUIT_BREAKER_STATE`, with their new values.

        Returns:
            Whether the breaker was in the expected state, so that the keys were overwritten.

        Raises:
            InvalidStateError: An updated value is not a state, count or time. Nothing was written.
        """
        known = expected_state in STATES
        command = commands.replace_state(backend, updates, self._lease, expected_state if known else None)
        return known and self._apply(command) is not None

    def increment_failure(self, backend: str) -> int:
        """Add 1 to the failure count, and return the new count. Nothing else changes, so the circuit does not open.

        Args:
            backend: The breaker's name.
        """
        return self._always(commands.increment_failure(backend)).snapshot.failure_count

    def atomic_record_failure(self, backend: str, failure_threshold: int, recovery_timeout: float) -> dict[str, Any]:
        """Count one failure, and open the circuit if the count reaches a threshold or the circuit is half_open.

        The failure counts even if the breaker has changed since the call began. If the circuit is open, the open time
        then ends at now + ``recovery_timeout`` or later.

        Args:
            backend: The breaker's name.
            failure_threshold: The number of failures in a row that open a closed circuit; at least 1.
            recovery_timeout: Seconds for which the circuit stays open. 0 means that a caller may claim the probe at
                once.

        Returns:
            The state after the failure, with ``_prev_state`` (the state before) and ``_prev_was_half_open``.

        Raises:
            InvalidPolicyError: ``failure_threshold`` or ``recovery_timeout`` is out of range. Nothing was written.
        """
        policy = policy_of(failure_threshold, recovery_timeout)
        return _with_previous(self._always(commands.record_failure(backend, policy, 1, None, 0.0)))

    def atomic_record_success(self, backend: str, expected_state: str | None = None) -> dict[str, Any]:
        """Set the failure count of a closed circuit to 0, or close a half-open circuit.

        The success counts even if the breaker has changed since the call began. If the circuit is open, or is closed
        without failures, this method only reads.

        Args:
            backend: The breaker's name.
            expected_state: The success has an effect only in this state. ``None`` means closed or half_open.

        Returns:
            The state after the success, with ``_prev_state`` (the state before) and ``_prev_was_half_open``.

        Raises:
            StoreConflictError: Another caller changed the breaker before each of 100 attempts. Nothing was written.
        """
        known = expected_state is None or expected_state in STATES
        command = commands.record_success(backend, DEFAULT_POLICY, expected_state if known else None, None)
        for _ in range(_ATTEMPTS):
            snapshot = self.read(backend)
            if not (known and _has_effect(command, snapshot)):
                return _with_previous(Transition(snapshot.state, snapshot))
            transition = self._apply(command)
            if transition is not None:
                return _with_previous(transition)
        raise _conflict(command)

    def try_transition_and_claim_probe(
        self, backend: str, now: float, recovery_timeout: float
    ) -> tuple[bool, dict[str, Any], str | None]:
        """Try to claim the probe: to become the one caller that may test the dependency.

        An open circuit becomes half_open if its open time has ended. A half-open circuit gets a new owner of the probe
        if the probe is free or its time has ended.

        Args:
            backend: The breaker's name.
            now: The present time, Unix seconds, which decides whether the open time or the time of the former owner has
                ended.
            recovery_timeout: Not used; the protocol reserves this argument.

        Returns:
            Three values: whether this caller won the claim; the state as a dictionary; and the kind of change. The kind
            is ``"open->half_open"``, ``"half_open_probe_claimed"``, or ``None`` if this caller did not win.

        Raises:
            InvalidStateError: ``now`` is out of range.
            StoreConflictError: Another caller changed the breaker after each of 100 attempts. Nothing was written.
        """
        command = commands.claim_probe(backend, self._claiming, None, now)
        for _ in range(_ATTEMPTS):
            transition = self._apply(command)
            if transition is not None:
                label = "open->half_open" if transition.changed else "half_open_probe_claimed"
                return True, _as_dict(transition.snapshot), label
            snapshot = self.read(backend, now=now)
            if not _has_effect(command, snapshot):
                return False, _as_dict(snapshot), None
        raise _conflict(command)

    def clear(self, backend: str) -> None:
        """Delete the breaker. Afterwards the breaker reads as closed, without failures.

        Args:
            backend: The breaker's name.
        """
        self._delete(validation.check_name("breaker name", backend))


def _has_effect(command: Command, snapshot: Snapshot) -> bool:
    """Return whether the command would change the breaker of the snapshot."""
    return command.apply_to(snapshot._to_row(), snapshot.as_of) is not None


def _conflict(command: Command) -> StoreConflictError:
    return StoreConflictError(f"{command.operation} of {command.name!r} was contended {_ATTEMPTS} times")


def _as_dict(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "state": snapshot.state.value,
        "failure_count": snapshot.failure_count,
        "last_failure_time": snapshot.last_failure_time,
        "open_until": snapshot.open_until,
        "half_open_probe_active": snapshot.probe_active,
    }


def _with_previous(transition: Transition) -> dict[str, Any]:
    previous = transition.previous_state
    return {
        **_as_dict(transition.snapshot),
        "_prev_state": previous.value,
        "_prev_was_half_open": previous is State.HALF_OPEN,
    }
