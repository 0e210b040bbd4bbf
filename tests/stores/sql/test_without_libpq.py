"""SQLite works in an installation without psycopg, or with a psycopg that finds no libpq."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# The error that psycopg raises on import without libpq.
WITHOUT_LIBPQ = """
import sys

class NoLibpq:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "psycopg":
            raise ImportError("no pq wrapper available")

sys.meta_path.insert(0, NoLibpq())
import cbstore_sql
from cbstore_sql import AsyncSqlStore, ConfigurationError, SchemaError, SqlStore, migrate
from cbstore_sql.migration import migration_sql
"""

ON_SQLITE = """
with SqlStore("sqlite:///empty.db") as store:
    try:
        store.read("b")
    except SchemaError:
        migrate("sqlite:///empty.db")
    assert store.record_failure("b").snapshot.failure_count == 1
assert "CREATE TABLE cbstore.breakers" in migration_sql("postgresql")
"""

ON_POSTGRESQL = """
try:
    {use}("postgresql://user:s3cr3t@host/database")
except ConfigurationError as error:
    print(error)
"""


def without_libpq(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", WITHOUT_LIBPQ + code]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sqlite_needs_no_psycopg(tmp_path: Path) -> None:
    without_libpq(ON_SQLITE, tmp_path)


@pytest.mark.parametrize("use", ["SqlStore", "AsyncSqlStore", "migrate"])
def test_the_error_for_postgresql_without_psycopg_says_what_to_install(tmp_path: Path, use: str) -> None:
    said = without_libpq(ON_POSTGRESQL.format(use=use), tmp_path)
    assert said == "PostgreSQL without a libpq on this machine needs the extra: pip install 'cbstore_sql[binary]'\n"
