"""What is done with an answer of a store, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import State
from cbstore_sql.breaker.store_answers import StoreAnswers
from cbstore_sql.core.model import Row, Snapshot, Transition
from cbstore_sql.events import Closed, Opened, WouldHaveOpened

CLOSED = Snapshot.of("b", Row(generation=4), 1000.0)
OPEN = Snapshot.of("b", Row("open", generation=5, open_until=1010.0), 1000.0)
SHADOWED = OPEN._replace(override="shadow")


class Recorded(StoreAnswers):
    """Keeps which function was called with what."""

    __slots__ = ()

    def __init__(self, done: list[tuple[str, Any]]) -> None:
        super().__init__(
            note=lambda snapshot, asked_at: done.append(("note", (snapshot, asked_at))),
            forget=lambda name: done.append(("forget", name)),
            accepted=lambda name: done.append(("accepted", name)),
            announce=lambda transition: done.append(("announce", transition)),
            emit=lambda event: done.append(("emit", event)),
        )


@pytest.mark.parametrize(
    ("transition", "events"),
    [
        (Transition(State.CLOSED, OPEN), [Opened("b", State.CLOSED, OPEN)]),
        (Transition(State.CLOSED, SHADOWED), [Opened("b", State.CLOSED, SHADOWED), WouldHaveOpened("b", SHADOWED)]),
        (Transition(State.OPEN, CLOSED), [Closed("b", State.OPEN, CLOSED)]),
    ],
)
def test_a_state_change_is_noted_accepted_announced_and_told(transition: Transition, events: list[Any]) -> None:
    done: list[tuple[str, Any]] = []
    Recorded(done).wrote(transition, 7.0)
    assert done == [
        ("note", (transition.snapshot, 7.0)),
        ("accepted", "b"),
        ("announce", transition),
        *(("emit", event) for event in events),
    ]


def test_a_write_that_changes_no_state_is_told_to_nobody() -> None:
    done: list[tuple[str, Any]] = []
    Recorded(done).reported("b", Transition(State.CLOSED, CLOSED), 7.0)
    assert done == [("note", (CLOSED, 7.0)), ("accepted", "b")]


def test_after_a_report_without_effect_the_snapshot_is_out_of_date() -> None:
    done: list[tuple[str, Any]] = []
    Recorded(done).reported("b", None, 7.0)
    assert done == [("forget", "b")]
