"""The contract of a store for asynchronous callers: the operations of `Store` as coroutine methods.

`cbstore_sql.stores.base` documents each operation. If a caller cancels an await, an operation that has begun
goes on in the background. So no connection leaks, and the operation may still have an effect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

from cbstore_sql.core import commands, validation
from cbstore_sql.core.commands import Command
from cbstore_sql.core.history import HistoryEntry, decode_history
from cbstore_sql.core.model import OverrideMode, Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import UnknownBreakerError
from cbstore_sql.runtime.pickling import NotPicklable
from cbstore_sql.stores.backend import NOBODYS_PROBE

AsyncStoreT = TypeVar("AsyncStoreT", bound="AsyncStore")


class AsyncStore(NotPicklable, ABC):
    """A place that keeps the breakers of one namespace, with coroutine methods for callers in an event loop.

    Args:
        namespace: The name that separates the breakers of this application from those of other applications in the same
            database; at most 512 bytes of UTF-8.

    Raises:
        InvalidNameError: The namespace is too long, or contains a NUL character or a character that UTF-8 cannot encode
            (a lone surrogate).
    """

    reads_locally = False
    """Whether a read is as cheap as a read from a local cache."""

    keeps_deadlines = False
    """Whether each operation raises an error at the deadline of its caller; see `cbstore_sql.deadline`."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = validation.check_name("namespace", namespace)

    async def read(self, name: str, *, now: float | None = None) -> Snapshot:
        """Read one breaker and return its snapshot. This method writes nothing.

        The arguments are those of `Store.read`: ``now=None`` means the store's clock.
        """
        return await self._read(validation.check_name("breaker name", name), validation.check_time("now", now))

    async def read_many(self, names: Iterable[str], *, now: float | None = None) -> dict[str, Snapshot]:
        """Read several breakers and return their snapshots by name. This method writes nothing.

        The arguments are those of `Store.read_many`: ``now=None`` means the store's clock. The result has every name.
        """
        checked = [validation.check_name("breaker name", name) for name in dict.fromkeys(names)]
        moment = validation.check_time("now", now)
        return await self._read_many(checked, moment) if checked else {}

    async def claim_probe(
        self,
        name: str,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        token: str | None = None,
        now: float | None = None,
    ) -> Transition | None:
        """Try to become the owner of the probe: the one caller that may test the dependency.

        The arguments are those of `Store.claim_probe`. ``token=None`` makes a new token, and ``now=None`` means the
        store's clock.

        Returns:
            The transition, whose ``permit`` is the owner's permit, or ``None`` if this caller did not win the claim.
        """
        return await self._apply(commands.claim_probe(name, policy, token, now))

    async def record_failure(
        self,
        target: str | Permit,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        failures: int = 1,
        successes: int = 0,
        evidence: float | None = None,
        now: float | None = None,
        rand: float | None = None,
    ) -> Transition | None:
        """Count failures. A closed circuit opens if the policy says so. A half-open circuit opens at once.

        A report with a permit counts only if the breaker still has the permit's generation (a number that grows with
        each change of state, each reset and each claim of the probe). The arguments are those of
        `Store.record_failure`. ``evidence=None`` computes the evidence from the policy, ``now=None`` means the store's
        clock, and ``rand=None`` draws a random number.

        Returns:
            The transition, or ``None`` if the permit no longer counts. Then the store counted nothing.
        """
        command = commands.record_failure(target, policy, failures, now, rand, successes=successes, evidence=evidence)
        return await self._apply(command)

    async def record_success(
        self,
        target: str | Permit,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        successes: int = 1,
        expected_state: str | None = None,
        now: float | None = None,
    ) -> Transition | None:
        """Count a success: clear the failures of a closed circuit, or bring a half-open circuit closer to closed.

        A report with a permit counts only if the breaker still has the permit's generation (a number that grows with
        each change of state, each reset and each claim of the probe). The arguments are those of
        `Store.record_success`. ``expected_state=None`` means any state, and ``now=None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the report changed nothing or the permit no longer counts.
        """
        return await self._apply(commands.record_success(target, policy, expected_state, now, successes=successes))

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send the success of a call whose admission read a closed circuit with nothing to clear; do not wait.

        This method is not a coroutine. The arguments are those of `Store.send_success`, and so is the result.
        """
        return False

    async def release_probe(self, permit: Permit, *, now: float | None = None) -> Transition | None:
        """Give up the probe (the call that tests the dependency) without a report. Another caller may claim it at once.

        The arguments are those of `Store.release_probe`: ``now=None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the permit no longer owns the probe.
        """
        return await self._apply(commands.release_probe(permit, now))

    async def renew_probe(
        self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY, *, now: float | None = None
    ) -> Transition | None:
        """Let the owner keep the probe (the call that tests the dependency) until now + ``probe_lease`` or longer.

        The arguments are those of `Store.renew_probe`: ``now=None`` means the store's clock.

        Returns:
            The transition, or ``None`` if the probe has ended or another caller has claimed the probe.
        """
        return await self._apply(commands.renew_probe(permit, policy, now))

    async def force_open(
        self, name: str, seconds: float, *, by: str | None = None, now: float | None = None
    ) -> Transition:
        """Open the circuit until at least now + ``seconds``. This method never shortens an open time.

        The arguments are those of `Store.force_open`. ``by=None`` means that the history names this process, and
        ``now=None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return await self._always(commands.force_open(name, seconds, now, by))

    async def reset(self, name: str, *, by: str | None = None, now: float | None = None) -> Transition:
        """Close the circuit, clear all its counts, and end a hold (a pause that the dependency asked for).

        An override (a setting of an operator) stays. The arguments are those of `Store.reset`. ``by=None`` means that
        the history names this process, and ``now=None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return await self._always(commands.reset(name, now, by))

    async def hold(self, name: str, seconds: float, *, now: float | None = None) -> Transition:
        """Make every process refuse calls for the next ``seconds`` seconds (a hold).

        A new hold never shortens an earlier one.

        The arguments are those of `Store.hold`: ``now=None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return await self._always(commands.hold(name, seconds, now))

    async def set_override(
        self,
        name: str,
        mode: OverrideMode,
        *,
        by: str,
        reason: str,
        seconds: float | None = None,
        create: bool = False,
        now: float | None = None,
    ) -> Transition:
        """Set an override: every process refuses or lets through all calls, whatever the state of the circuit.

        The override lasts until it expires or `clear_override` removes it. The arguments are those of
        `Store.set_override`. ``seconds=None`` means until `clear_override`, and ``now=None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
        """
        command = commands.set_override(name, mode, by, reason, seconds=seconds, create=create, now=now)
        return await self._existing(command)

    async def clear_override(self, name: str, *, by: str, now: float | None = None) -> Transition:
        """Remove the override (the setting of an operator), so that the state of the circuit decides again.

        Without an override, nothing changes. The arguments are those of `Store.clear_override`: ``by`` names who
        removes the override, and ``now=None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.

        Raises:
            UnknownBreakerError: The breaker does not exist.
        """
        return await self._existing(commands.clear_override(name, by, now))

    async def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return a breaker's last changes, oldest first: changes of state, and overrides (settings of an operator).

        The history has about eight entries. It is empty if the breaker has no row, or if the store keeps no history.
        This method writes nothing.

        Args:
            name: The breaker's name.
        """
        return decode_history(await self._history(validation.check_name("breaker name", name)))

    async def check_writable(self) -> None:
        """Check that the store accepts writes, by a write that changes nothing.

        A full disk, a locked row, or a commit that waits for a standby is not found; see `Store.check_writable`.

        Raises:
            StoreError: The store refuses writes or does not answer.
        """
        await self._check_writable()

    async def close(self) -> None:
        """Close the connections that the store opened. A client or an engine that the caller passed stays open."""

    async def __aenter__(self: AsyncStoreT) -> AsyncStoreT:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _always(self, command: Command) -> Transition:
        transition = await self._apply(command)
        if transition is None:
            raise AssertionError(f"{command.operation} has no condition")
        return transition

    async def _existing(self, command: Command) -> Transition:
        transition = await self._apply(command)
        if transition is None:
            raise UnknownBreakerError(command.name)
        return transition

    async def _history(self, name: str) -> str:
        """Return the text of a breaker's history. A store that keeps no history returns ``""``."""
        return ""

    async def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        """Return several breakers by name. A backend overrides this method to read all breakers in one round trip."""
        return {name: await self._read(name, now) for name in names}

    async def _check_writable(self) -> None:
        """Check that the store accepts writes; see `Store._check_writable`."""
        await self._apply(commands.release_probe(NOBODYS_PROBE, None))

    @abstractmethod
    async def _read(self, name: str, now: float | None) -> Snapshot:
        """Return one breaker; see `Store._read`."""

    @abstractmethod
    async def _apply(self, command: Command) -> Transition | None:
        """Carry out one command in one atomic step; see `Store._apply`."""

    @abstractmethod
    async def _delete(self, name: str) -> None:
        """Delete the row of one breaker; see `Store._delete`."""
