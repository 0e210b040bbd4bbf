"""The checks of a PostgreSQL or SQLite database."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy.engine import URL

from cbstore_sql.cli.doctor.findings import Finding
from cbstore_sql.migration.runner import Target
from cbstore_sql.runtime.environment import version_table_name
from cbstore_sql.stores.sql.connections.engine import open_engine
from cbstore_sql.stores.sql.errors import translated
from cbstore_sql.stores.sql.schema.table import VERSION_TABLE


def examine_sql(url: URL, schema: str) -> list[Finding]:
    """Run all checks of an SQL database and return their findings.

    Args:
        url: The URL of the database, with the role of the application.
        schema: The PostgreSQL schema of the table.

    Raises:
        StoreError: The database is unreachable.
    """
    target = Target(url, schema, version_table_name(VERSION_TABLE))
    engine = open_engine(url)
    try:
        with translated("the database"), closing(engine.raw_connection()) as connection:
            if engine.dialect.name == "sqlite":
                from cbstore_sql.cli.doctor.sqlite import examine_sqlite

                return examine_sqlite(connection, target)
            from cbstore_sql.cli.doctor.postgresql import Examination

            return Examination(engine, connection, target).findings()
    finally:
        engine.dispose()
