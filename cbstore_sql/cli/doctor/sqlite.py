"""The checks of a SQLite file."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from cbstore_sql.cli.doctor.findings import Finding, each, note, ok, wrong
from cbstore_sql.cli.doctor.revision import check_revision
from cbstore_sql.cli.stores import sqlite_file
from cbstore_sql.migration.runner import Target
from cbstore_sql.stores.sql.connections.engine import parse_url


def examine_sqlite(connection: Any, target: Target) -> list[Finding]:
    """Run all checks of a SQLite file and return their findings.

    Args:
        connection: An open connection to the file.
        target: The breaker table.
    """
    cursor = connection.cursor()

    def value(statement: str) -> Any:
        return cursor.execute(statement).fetchone()[0]

    def journal() -> Finding:
        mode = value("PRAGMA journal_mode")
        if mode == "wal":
            return ok("journal", "write-ahead log: readers and the writer do not wait for each other")
        return note("journal", f"journal_mode is {mode}", "run PRAGMA journal_mode=WAL once, on a local disk")

    def writable() -> Finding:
        file = sqlite_file(parse_url(str(target.place)) if isinstance(target.place, str) else target.place)  # type: ignore[arg-type] # the command gives a URL
        places = [place for place in (file, file.absolute().parent) if not os.access(place, os.W_OK)]
        if places:
            return wrong("rights", f"{places[0].name} is not writable for this user", "give the user write access")
        return ok("rights", "the file and its folder are writable")

    def sound() -> Finding:
        answer = value("PRAGMA quick_check(1)")
        if answer == "ok":
            return ok("integrity", "quick_check found nothing")
        return wrong("integrity", "quick_check found damage", "restore the file from a backup, or delete it")

    return list(
        each(
            (
                ("versions", lambda: ok("versions", f"SQLite {sqlite3.sqlite_version}")),
                ("table", lambda: check_revision(target)),
                ("rights", writable),
                ("journal", journal),
                ("integrity", sound),
            )
        )
    )
