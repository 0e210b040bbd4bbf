"""What the breaker does with each answer of a store: it notes the snapshot, and tells others of a state change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.events import BreakerEvent, Opened, WouldHaveOpened, change_of


@dataclass(frozen=True, slots=True)
class StoreAnswers:
    """The functions that learn from the answers of one store, and the order in which they are called.

    Attributes:
        note: A function that receives every snapshot from the store and the moment just before the store call, in
            seconds of the steady clock.
        forget: A function that receives the name of a breaker whose noted snapshot is out of date.
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
        """Note the answer to an operation that had an effect, and emit an event if the state changed.

        Args:
            transition: The transition that the store returned.
            asked_at: The moment just before the store call, in seconds of the steady clock.
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
        """Note the answer to a report.

        Args:
            name: The breaker's name.
            transition: The transition that the store returned. ``None`` if the report had no effect: the noted snapshot
                is out of date, so this method forgets it.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        if transition is None:
            self.forget(name)
        else:
            self.wrote(transition, asked_at)
