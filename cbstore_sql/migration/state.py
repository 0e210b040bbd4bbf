"""The revision of a breaker table, and the newest revision of the library."""

from __future__ import annotations

from typing import NamedTuple

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cbstore_sql.migration import scripts_location, typed_errors
from cbstore_sql.migration.runner import Target


class TableState(NamedTuple):
    """A comparison of a breaker table's revision with the newest revision of the library.

    Attributes:
        current: The revision of the table, or ``None`` if the table is missing.
        newest: The newest revision of the library.
    """

    current: str | None
    newest: str

    @property
    def is_current(self) -> bool:
        """Whether the table has the newest revision. If true, a migration would change nothing."""
        return self.current == self.newest


def table_state(target: Target) -> TableState:
    """Read the revision of a breaker table, and return it with the newest revision. This function writes nothing.

    Args:
        target: The database and the name of the table.

    Raises:
        StoreError: The database cannot be reached, or refuses the query.
    """
    newest = ScriptDirectory(str(scripts_location())).get_current_head()
    options = {"version_table": target.version_table, "version_table_schema": target.table_schema}
    with typed_errors(target), target.engine().connect() as connection:
        current = MigrationContext.configure(connection, opts=options).get_current_revision()
    return TableState(current, str(newest))
