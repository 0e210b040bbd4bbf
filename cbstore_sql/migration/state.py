"""At which revision a breaker table is, and which revision the library brings."""

from __future__ import annotations

from typing import NamedTuple

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cbstore_sql.migration import scripts_location, typed_errors
from cbstore_sql.migration.runner import Target


class TableState(NamedTuple):
    """Where a table and the library stand.

    Attributes:
        current: The table's revision; ``None`` where there is no table.
        newest: The newest revision of the library.
    """

    current: str | None
    newest: str

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate."""
        return self.current == self.newest


def table_state(target: Target) -> TableState:
    """Read the revision of a table; writes nothing.

    Raises:
        StoreError: The database cannot be reached, or refuses.
    """
    newest = ScriptDirectory(str(scripts_location())).get_current_head()
    options = {"version_table": target.version_table, "version_table_schema": target.table_schema}
    with typed_errors(target), target.engine().connect() as connection:
        current = MigrationContext.configure(connection, opts=options).get_current_revision()
    return TableState(current, str(newest))
