"""libpq's pipeline mode: a statement may be sent before the answer to the statement before it has arrived.

Each statement is a separate transaction, because a synchronization point follows it.
Source: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from typing import Any

from psycopg import capabilities
from psycopg.pq import ConnStatus, PipelineStatus

from cbstore_sql.stores.sql.statements.statement import BINARY, Statement

HAS_PIPELINES = capabilities.has_pipeline()
"""Whether the libpq of this process has the pipeline mode; libpq 14 was the first."""


def send_piped(pgconn: Any, statement: Statement, values: list[bytes | None]) -> None:
    """Send a prepared statement on a connection in pipeline mode, as a separate transaction.

    Args:
        pgconn: The libpq connection.
        statement: The statement.
        values: The packed values of its parameters.
    """
    pgconn.send_query_prepared(statement.name, values, statement.formats, BINARY)
    pgconn.pipeline_sync()


def leave(pgconn: Any) -> None:
    """Leave the pipeline mode after all answers were read. If the connection is closed, do nothing.

    Args:
        pgconn: The libpq connection.
    """
    if pgconn.status == ConnStatus.OK and pgconn.pipeline_status != PipelineStatus.OFF:
        pgconn.exit_pipeline_mode()
