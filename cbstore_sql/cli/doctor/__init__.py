"""``cbstore doctor``: check a database, and print each problem with advice.

============  ============================================================================================
`activity`    the checks of the activity in a PostgreSQL server: connections, transactions, replication etc.
`findings`    the results of checks
`postgresql`  the checks of a PostgreSQL database
`redis`       the checks of a Redis server
`revision`    the check of the table's revision, the same on every SQL database
`sql`         the checks of a PostgreSQL or SQLite database
`sqlite`      the checks of a SQLite file
============  ============================================================================================
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database
from cbstore_sql.cli.doctor.findings import Finding, Level
from cbstore_sql.cli.stores import existing, in_time, is_redis, schema_of, url_of
from cbstore_sql.core.wording import printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

# Seconds. Some checks wait for a notification or for a second connection.
_TIMEOUT = 30.0

_WORDS = {Level.OK: "ok", Level.NOTE: "note", Level.WRONG: "WRONG"}


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore doctor``, which checks a database.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "doctor",
        "check a database and say what to do about what is wrong",
        details="Run it with the URL of the application: it checks the rights of that role. It changes nothing.",
        examples=("cbstore doctor --url postgresql://app@db/app", "cbstore doctor --json | jq '.[] | .advice'"),
    )
    add_database(parser, timeout=_TIMEOUT)
    parser.add_argument("--json", action="store_true", help="a list of objects: check, level, text, advice")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the database, and print the result of each check with advice. The command changes nothing.

    Args:
        arguments: The parsed arguments of ``cbstore doctor``.

    Returns:
        The exit code: 1 if a check found something wrong, otherwise 0.

    Raises:
        ConfigurationError: The URL cannot be used.
        StoreError: The database cannot be reached.
    """
    findings = in_time(arguments.timeout, lambda: _examine(arguments))
    if arguments.json:
        say(json.dumps([{**asdict(finding), "level": finding.level.value} for finding in findings], indent=2))
    else:
        _show(findings)
    return exit_codes.FOUND if any(finding.level is Level.WRONG for finding in findings) else exit_codes.OK


def _examine(arguments: argparse.Namespace) -> list[Finding]:
    url = url_of(arguments)
    if is_redis(url):
        from cbstore_sql.cli.doctor.redis import examine_redis

        return examine_redis(url)
    from cbstore_sql.cli.doctor.sql import examine_sql

    return examine_sql(existing(url), schema_of(arguments.schema))


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        say(f"{_WORDS[finding.level]:<5}  {finding.check:<{width}}  {printable(finding.text)}")
        if finding.advice:
            say(f"{'':<5}  {'':<{width}}  -> {printable(finding.advice)}")
    counts = Counter(finding.level for finding in findings)
    say("")
    say(f"{len(findings)} checks: {counts[Level.WRONG]} wrong, {counts[Level.NOTE]} to note")
