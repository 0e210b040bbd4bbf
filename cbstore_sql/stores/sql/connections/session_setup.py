"""The statement that a store runs before the first statement of a PostgreSQL session, and again once a minute.

The statement checks row-level security and, in a store's own session, makes the server detect a lost client.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Engine

from cbstore_sql.errors import StoreError
from cbstore_sql.stores.sql.schema.table import TABLE_NAME
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement

log = logging.getLogger("cbstore_sql")

INTERVAL = 60.0
"""Seconds after which a session runs the statement again: row-level security may be enabled at any time."""

# Row-level security does not refuse a read: it hides rows, so an open circuit would read as closed. If no policy lets
# the role read, row-level security hides all rows.
_HIDDEN = """\
CASE WHEN t.oid IS NULL OR NOT pg_catalog.row_security_active(t.oid) THEN ''
 WHEN EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid AND p.polpermissive
  AND p.polcmd IN ('*', 'r') AND (0 = ANY (p.polroles) OR EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS r
  WHERE r <> 0 AND pg_catalog.pg_has_role(r, 'USAGE')))) THEN 'some' ELSE 'all' END
FROM (SELECT pg_catalog.to_regclass($1) AS oid) AS t"""

# With this setting, the server notices within a second that the client has gone, and ends a statement that waits for a
# lock. PostgreSQL 13 does not have the setting. A value other than 0 stays as it is.
_CHECK_CLIENT = """\
CASE WHEN pg_catalog.current_setting('client_connection_check_interval', true) = '0'
 THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END"""


def session_setup(engine: Engine, schema: str, *, own: bool) -> SessionSetup | None:
    """Make the statement that a store runs first in each PostgreSQL session; ``None`` on SQLite.

    The statement checks that row-level security does not hide the table's rows. In a session that only the store uses,
    it also makes the server notice when the client has gone.

    Args:
        engine: The engine of the store.
        schema: The PostgreSQL schema of the breaker table.
        own: Whether only the store uses the session, so that the statement may change settings of the session.
    """
    return SessionSetup(schema, own=own) if engine.dialect.name == "postgresql" else None


class SessionSetup:
    """The statement that a store runs first in each PostgreSQL session, with a check of its answer.

    The statement checks that row-level security does not hide the table's rows. In a session that only the store uses,
    it also makes the server notice when the client has gone.

    Args:
        schema: The PostgreSQL schema of the breaker table.
        own: Whether only the store uses the session, so that the statement may change settings of the session.

    Attributes:
        statement: The statement.
        parameters: The parameters of the statement, by name.
    """

    def __init__(self, schema: str, *, own: bool) -> None:
        first = _CHECK_CLIENT if own else "''"
        self.statement = Statement(f"SELECT {first}, {_HIDDEN}", [("table", TEXT)], [TEXT, TEXT])
        self.parameters = {"table": f"{schema}.{TABLE_NAME}"}
        self._place = f"table {schema}.{TABLE_NAME}"
        self._warned = False

    def check(self, rows: Sequence[Sequence[Any]]) -> None:
        """Check the answer of the statement: row-level security must not hide all rows from the store.

        If it may hide some rows, log a warning once.

        Args:
            rows: The rows that the statement returned.

        Raises:
            StoreError: Row-level security hides every row from the database role.
        """
        hidden = rows[0][1]
        if hidden == "all":
            raise StoreError(
                f"{self._place}: row-level security hides its rows from the database role; "
                "disable it for this table, or create a policy for the role"
            )
        if hidden == "some" and not self._warned:
            self._warned = True
            log.warning("%s: row-level security is active; rows that its policies hide read as closed", self._place)
