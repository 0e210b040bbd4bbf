"""The revision of a breaker table, and the newest revision of the library."""

from __future__ import annotations

from typing import NamedTuple

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cbstore_sql.migration import scripts_location, typed_errors
from cbstore_sql.migration.runner import Target


class TableState(NamedTuple):
    """The revision of a breaker table, and the newest revision that the library knows.

    Attributes:
        current: The revision of the table, or ``None`` if the table is missing.
        newest: The newest revision that the library knows.
    """

    current: str | None
    newest: str

    @property
    def is_current(self) -> bool:
        """Whether the table has the newest revision, so that a migration would change nothing."""
        return self.current == self.newest


def table_state(target: Target) -> TableState:
    """Read the revision of a breaker table from the database. This function changes nothing.

    Args:
        target: The database and the name of the table.

    Returns:
        The revision of the table, and the newest revision that the library knows.

    Raises:
        StoreError: The database cannot be reached, or refuses the query.
    """
    newest = ScriptDirectory(str(scripts_location())).get_current_head()
    options = {"version_table": target.version_table, "version_table_schema": target.table_schema}
    with typed_errors(target), target.engine().connect() as connection:
        current = MigrationContext.configure(connection, opts=options).get_current_revision()
    return TableState(current, str(newest))
