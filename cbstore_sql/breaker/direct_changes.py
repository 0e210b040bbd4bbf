"""Changes of a circuit that are not outcomes of calls: force_open, reset, hold and overrides, as store calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbstore_sql.breaker.store_answers import StoreAnswers
from cbstore_sql.core.model import OverrideMode, Transition
from cbstore_sql.events import OverrideCleared, OverrideSet
from cbstore_sql.stores.call import StoreCall, StoreCalls


class DirectChanges:
    """Change a breaker in the store at once: for an operator, or because the dependency asked for it.

    Each method returns a generator of store calls that returns the state before the change and the breaker after it. If
    the store fails, the generator raises the store's error.

    Args:
        answers: The object that receives the store's answers.
        clock: A function that returns seconds. Only differences between them matter.
    """

    def __init__(self, answers: StoreAnswers, clock: Callable[[], float]) -> None:
        self._answers = answers
        self._clock = clock

    def force_open(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Open a circuit for all processes, for at least some seconds; see `Store.force_open`.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now.

        Raises:
            StoreError: The store failed.
        """
        return self._change(StoreCall("force_open", (name, seconds)))

    def reset(self, name: str) -> StoreCalls[Transition]:
        """Close a circuit for all processes, clear its failure count and score, and end a hold; see `Store.reset`.

        Raises:
            StoreError: The store failed.
        """
        return self._change(StoreCall("reset", (name,)))

    def hold(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Reject all calls of a breaker for some time because the dependency asked for a wait; see `Store.hold`.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now.

        Raises:
            StoreError: The store failed.
        """
        return self._change(StoreCall("hold", (name, seconds)))

    def set_override(self, name: str, mode: OverrideMode, **given: Any) -> StoreCalls[Transition]:
        """Decide by hand, for all processes, what happens to the calls of a breaker, and emit `OverrideSet`.

        Args:
            name: The breaker's name.
            mode: ``"open"``, ``"closed"`` or ``"shadow"``; see `Store.set_override`.
            **given: The other arguments of `Store.set_override`.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
            StoreError: The store failed.
        """
        transition = yield from self._change(StoreCall("set_override", (name, mode), given))
        self._announce_override(transition)
        self._answers.emit(OverrideSet(name, transition.snapshot))
        return transition

    def clear_override(self, name: str, *, by: str) -> StoreCalls[Transition]:
        """Remove the override of a breaker, so that calls follow the state again, and emit `OverrideCleared`.

        Args:
            name: The breaker's name.
            by: The person or program that removes the override.

        Raises:
            UnknownBreakerError: The breaker does not exist.
            StoreError: The store failed.
        """
        transition = yield from self._change(StoreCall("clear_override", (name,), {"by": by}))
        self._announce_override(transition)
        self._answers.emit(OverrideCleared(name, by))
        return transition

    def _announce_override(self, transition: Transition) -> None:
        """Announce an override to other processes as if it began a new generation."""
        # An override does not begin a generation, but other processes read a breaker again only for a later generation.
        snapshot = transition.snapshot
        self._answers.announce(transition._replace(snapshot=snapshot._replace(generation=snapshot.generation + 1)))

    def _change(self, ask: StoreCall) -> StoreCalls[Transition]:
        """Make a store call that always has an effect, and note the answer.

        Args:
            ask: The store call.
        """
        asked_at = self._clock()
        transition: Transition = yield ask
        self._answers.wrote(transition, asked_at)
        return transition
