"""Stores with typical mistakes, with which tests show that the checks find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa

from cbstore_sql import InMemoryStore, SqlStore
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Row, Transition
from cbstore_sql.core.rules import HALF_OPEN, Append, Change, When, claim_probe
from cbstore_sql.errors import StoreUnavailableError


def claim_ignoring_leases(row: Any, given: Any, when: When, append: Append) -> Change:
    """The rule of a claim without the condition ``probe_until <= now``."""
    change = claim_probe(row, given, when, append)
    return Change(change.values, change.where | (row.state == HALF_OPEN))


class ClaimingThroughSubselect(SqlStore):
    """A store whose claim reads the state in a sub-select, which READ COMMITTED does not evaluate again."""

    _CLAIM = """
        UPDATE cbstore.breakers
        SET state = 'half_open', previous_state = state, generation = generation + 1, success_count = 0,
            probe_token = %(token)s, probe_until = %(now)s + %(lease)s
        WHERE namespace = %(namespace)s AND name = %(name)s AND (
            SELECT state = 'open' AND open_until <= %(now)s OR state = 'half_open' AND probe_until <= %(now)s
            FROM cbstore.breakers WHERE namespace = %(namespace)s AND name = %(name)s)
        RETURNING """ + ", ".join(Row._fields)

    def _apply(self, command: Command) -> Transition | None:
        if command.operation != "claim_probe":
            return super()._apply(command)
        url = sa.make_url(self._engine.url).set(drivername="postgresql").render_as_string(hide_password=False)
        given = {"namespace": self.namespace, "name": command.name, **command.parameters}
        with psycopg.connect(url, autocommit=True) as session:
            values = session.execute(self._CLAIM, given).fetchone()
        return Transition.of(command.name, Row(*values), command.parameters["now"]) if values else None


class RepeatingBlindly(SqlStore):
    """A store that repeats every operation without an answer, also counts."""

    def _apply(self, command: Command) -> Transition | None:
        try:
            return super()._apply(command)
        except StoreUnavailableError:
            return super()._apply(command)


class ReadingThenWriting(InMemoryStore):
    """A store that reads a row, decides, and writes in a separate step.

    Args:
        between: Called after reading and before writing.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        super().__init__()
        self._between = between

    def _apply(self, command: Command) -> Transition | None:
        now = self._clock()
        row = command.apply_to(self._rows.get(command.name, Row()), now)
        self._between()
        if row is None:
            return None
        self._rows[command.name] = row
        return Transition.of(command.name, row, command.clock(now))
