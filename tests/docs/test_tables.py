"""Tests that the tables of the pages are complete."""

from __future__ import annotations

from dataclasses import fields

from cbstore_sql import BreakerPolicy, events
from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.events import BreakerEvent, StateChanged
from tests.docs.pages import rows


def listed(page: str) -> set[str]:
    """Return the names in the first column of a page's tables."""
    return {name for first, *_ in rows(page) for name in first}


def test_the_page_lists_every_operation() -> None:
    assert listed("docs/state_machine.md") == set(OPERATIONS)


def test_the_page_lists_every_event_with_its_data() -> None:
    base = (BreakerEvent, StateChanged)
    kinds = {name: kind for name, kind in vars(events).items() if isinstance(kind, type) and kind not in base}
    there = {
        name: {field.name for field in fields(kind)} - {"name"}
        for name, kind in kinds.items()
        if issubclass(kind, BreakerEvent)
    }
    shown = {name: row[2] for row in rows("docs/guarding.md") for name in row[0] & there.keys()}
    assert shown == there


def test_the_page_lists_every_field_of_a_policy() -> None:
    assert {field.name for field in fields(BreakerPolicy)} <= listed("docs/policy.md")
