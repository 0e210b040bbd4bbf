"""The operations of a store by which a person or a program decides about a breaker."""

from __future__ import annotations

from cbstore_sql.core import commands
from cbstore_sql.core.model import OverrideMode, Transition
from cbstore_sql.stores.backend import Backend


class OperatorActions(Backend):
    """The base class of `Store` with the operations that do not report the outcome of a call.

    `cbstore_sql.stores.base` tells what all operations of a store have in common.
    """

    def force_open(self, name: str, seconds: float, *, by: str | None = None, now: float | None = None) -> Transition:
        """Open the circuit until at least now + ``seconds``. This method never shortens an open time.

        After that, reports of calls that began before the opening have no effect. A repetition is safe.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. 0 means that a caller may claim the probe at once, unless the
                present open time ends later.
            by: Who opened the circuit, for the history; at most 256 bytes of UTF-8. ``None`` means this process.
            now: The moment of the opening, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return self._always(commands.force_open(name, seconds, now, by))

    def reset(self, name: str, *, by: str | None = None, now: float | None = None) -> Transition:
        """Close the circuit, clear all its counts, and end a hold (a pause that the dependency asked for).

        All calls are let through again at once, unless an override (a setting of an operator) is in force: it stays.
        Reports of calls that began earlier have no effect. A repetition is safe.

        Args:
            name: The breaker's name.
            by: Who reset the breaker, for the history; at most 256 bytes of UTF-8. ``None`` means this process.
            now: The moment of the reset, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return self._always(commands.reset(name, now, by))

    def hold(self, name: str, seconds: float, *, now: float | None = None) -> Transition:
        """Make every process refuse calls for the next ``seconds`` seconds (a hold).

        A new hold never shortens an earlier one. The state does not change, and reports of calls count as usual. During
        a hold, no caller can claim the probe. The overrides ``closed`` and ``shadow`` let calls through during a hold.
        A repetition is safe.

        Args:
            name: The breaker's name.
            seconds: The duration of the hold in seconds, from now.
            now: The beginning of the hold, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.
        """
        return self._always(commands.hold(name, seconds, now))

    def set_override(
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

        The override lasts until it expires or `clear_override` removes it. The state goes on underneath: reports of
        calls count as usual. A new override replaces the earlier override. When an override expires, the store writes
        nothing.

        Args:
            name: The breaker's name.
            mode: ``"open"`` refuses every call. ``"closed"`` lets every call through, also during a hold. ``"shadow"``
                lets every call through and reports which calls the breaker would have refused.
            by: Who sets the override; at most 256 bytes of UTF-8.
            reason: Why the override is set, for the next person who looks at the breaker; at most 256 bytes of UTF-8.
            seconds: The duration of the override in seconds, by the store's clock; at least 0.001. ``None`` means until
                `clear_override`.
            create: Whether the store creates the breaker if it does not exist.
            now: The beginning of the override, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
        """
        command = commands.set_override(name, mode, by, reason, seconds=seconds, create=create, now=now)
        return self._existing(command)

    def clear_override(self, name: str, *, by: str, now: float | None = None) -> Transition:
        """Remove the override (the setting of an operator), so that the state of the circuit decides again.

        Without an override, nothing changes. A repetition is safe.

        Args:
            name: The breaker's name.
            by: Who removes the override; at most 256 bytes of UTF-8.
            now: The moment of the removal, Unix seconds; ``None`` means the store's clock.

        Returns:
            The transition: the previous state, and the breaker after the operation.

        Raises:
            UnknownBreakerError: The breaker does not exist.
        """
        return self._existing(commands.clear_override(name, by, now))
