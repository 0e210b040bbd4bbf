"""What the breaker does with each answer of a store: it notes the snapshot, and tells others of a state change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.events import BreakerEvent, Opened, WouldHaveOpened, change_of


@dataclass(frozen=True, slots=True)
class StoreAnswers:
    """The functions that are called with each answer of one store.

    Attributes:
        note: A function that receives every snapshot from the store and the moment just before the store call, in
            seconds of the breaker's clock.
        forget: A function that receives the name of a breaker whose last snapshot is out of date.
        accepted: A function that receives the name of a breaker when the store has accepted a write of this breaker.
        announce: A function that receives every state change, before the listeners receive the event. The function must
            not wait or raise.
        emit: A function that receives each event.
    """

    note: Callable[[Snapshot, float], object]
    forget: Callable[[str], object]
    accepted: Callable[[str], object]
    announce: Callable[[Transition], object]
    emit: Callable[[BreakerEvent], None]

    def wrote(self, transition: Transition, asked_at: float) -> None:
        """Use the answer of the store after a change: keep the new snapshot, and emit an event if the state changed.

        Args:
            transition: What the store returned: the state before the change, and the breaker after it.
            asked_at: The moment just before the store call, in seconds of the breaker's clock.
        """
        snapshot = transition.snapshot
        self.note(snapshot, asked_at)
        self.accepted(snapshot.name)
        if (event := change_of(transition)) is not None:
            self.announce(transition)
            self.emit(event)
            if isinstance(event, Opened) and snapshot.active_override == "shadow":
                self.emit(WouldHaveOpened(event.name, snapshot))

    def reported(self, name: str, transition: Transition | None, asked_at: float) -> None:
        """Use the answer that the store gave to a report: emit the change of state, or forget an outdated snapshot.

        Args:
            name: The breaker's name.
            transition: What the store returned. ``None`` if the report had no effect: then the last snapshot of the
                breaker is out of date and is not used any more.
            asked_at: The moment just before the store call, in seconds of the breaker's clock.
        """
        if transition is None:
            self.forget(name)
        else:
            self.wrote(transition, asked_at)
