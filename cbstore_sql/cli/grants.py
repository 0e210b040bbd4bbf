"""``cbstore grants``: print the SQL that makes one role the owner of the table and lets other roles use the table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command
from cbstore_sql.cli.arguments import add_schema
from cbstore_sql.errors import ConfigurationError

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

_RIGHTS = "SELECT, INSERT, UPDATE, DELETE"
_RIGHTS_WITHOUT_DELETE = "SELECT, INSERT, UPDATE"

# PostgreSQL reserves these names. The name "public", quoted or not, means every role.
_RESERVED = ("public", "none")
_MAX_ROLE_BYTES = 63

# The script puts role names between two of these marks in a DO block, so a role name must not contain the mark.
_DOLLAR = "$cbstore$"

_HEAD = """\
-- For a superuser, or for the owner of the database if that role may create roles (managed services), before
-- 'cbstore migrate' and once more after it; it may be run any number of times.
-- The roles have no passwords yet: give them some with \\password, or let pg_hba.conf decide.
BEGIN;
"""

_ROLE = """\
DO $cbstore$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}) THEN
    CREATE ROLE {name} LOGIN;
  END IF;
END $cbstore$;
"""

_OWNER = """\
-- Without superuser rights, only a member of a role may give it a table.
DO $cbstore$ BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) THEN
    GRANT {migrator} TO CURRENT_USER;
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'you cannot become a member of the role that migrates: ask who made it';
END $cbstore$;
CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION {migrator};
GRANT USAGE, CREATE ON SCHEMA "{schema}" TO {migrator};
DO $cbstore$ DECLARE domain text; BEGIN
  IF pg_catalog.to_regclass('"{schema}"."{table}"') IS NOT NULL THEN
    ALTER TABLE "{schema}"."{table}" OWNER TO {migrator};
    REVOKE ALL ON "{schema}"."{table}" FROM PUBLIC;
  END IF;
  FOREACH domain IN ARRAY ARRAY[{domains}] LOOP
    IF pg_catalog.to_regtype(pg_catalog.format('%I.%I', '{schema}', domain)) IS NOT NULL THEN
      EXECUTE pg_catalog.format('ALTER DOMAIN %I.%I OWNER TO {migrator_in_format}', '{schema}', domain);
    END IF;
  END LOOP;
  IF pg_catalog.to_regclass('"{schema}"."{version_table}"') IS NOT NULL THEN
    ALTER TABLE "{schema}"."{version_table}" OWNER TO {migrator};
    REVOKE ALL ON "{schema}"."{version_table}" FROM PUBLIC;
  END IF;
END $cbstore$;
"""

_USER = """\
REVOKE ALL ON SCHEMA "{schema}" FROM {role};
GRANT USAGE ON SCHEMA "{schema}" TO {role};
DO $cbstore$ BEGIN
  IF pg_catalog.to_regclass('"{schema}"."{table}"') IS NOT NULL THEN
    REVOKE ALL ON "{schema}"."{table}" FROM {role};
    GRANT {rights} ON "{schema}"."{table}" TO {role};
  END IF;
  IF pg_catalog.to_regclass('"{schema}"."{version_table}"') IS NOT NULL THEN
    REVOKE ALL ON "{schema}"."{version_table}" FROM {role};{version_rights}
  END IF;
END $cbstore$;
"""


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the PostgreSQL roles that own or use the table.

    A name may be any role name that PostgreSQL accepts. The script quotes every name.

    Attributes:
        migrator: The role that owns the table.
        runtime: The role of the application, which runs breakers.
        operator: The role that opens, closes and prunes with ``cbstore``. ``None`` means that no such role exists.
        reader: The role that only reads, for dashboards and the exporter. ``None`` means that no such role exists.

    Raises:
        ConfigurationError: PostgreSQL reserves a name, a name is empty or too long, or two names are the same.
    """

    migrator: str
    runtime: str
    operator: str | None = None
    reader: str | None = None

    def __post_init__(self) -> None:
        named = {"migrator": self.migrator, "runtime": self.runtime, "operator": self.operator, "reader": self.reader}
        given = {label: name for label, name in named.items() if name is not None}
        for label, name in given.items():
            _check_role(label, name)
        if len(set(given.values())) < len(given):
            raise ConfigurationError("two roles must not have the same name: only the migrator owns anything")


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore grants``, which prints the SQL that sets up the PostgreSQL roles.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "grants",
        "print the SQL for the roles: one migrates, one runs, one operates, one reads",
        examples=(
            "cbstore grants | psql -d app",
            "cbstore grants --operator oncall --reader grafana | psql -d app",
            "cbstore grants --migrator deployer --runtime web --no-delete > grants.sql",
        ),
    )
    add_schema(parser)
    parser.add_argument("--migrator", default="cbstore_migrator", help="owns the table (default: %(default)s)")
    parser.add_argument("--runtime", default="cbstore_runtime", help="uses the table (default: %(default)s)")
    parser.add_argument("--operator", help="opens, closes and prunes with this command (default: no such role)")
    parser.add_argument("--reader", help="only reads: dashboards, exporter, status (default: no such role)")
    parser.add_argument("--no-delete", action="store_true", help="the runtime role neither prunes nor calls clear()")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the SQL that creates PostgreSQL roles and grants them their rights. The command connects to no database.

    Args:
        arguments: The parsed arguments of ``cbstore grants``.

    Returns:
        The exit code 0.

    Raises:
        ConfigurationError: The name of a role, of the schema or of the version table cannot be used.
    """
    roles = Roles(arguments.migrator, arguments.runtime, arguments.operator, arguments.reader)
    sys.stdout.write(grants_sql(roles, arguments.schema, delete=not arguments.no_delete))
    return 0


def grants_sql(roles: Roles, schema: str | None = None, *, delete: bool = True) -> str:
    """Return the SQL script that sets up the roles in PostgreSQL, as one transaction.

    Args:
        roles: The names of the roles. The script creates missing roles with the right to log in.
        schema: The schema of the table. The script creates a missing schema. ``None`` means ``CBSTORE_SCHEMA``, and
            then the default schema.
        delete: Whether the runtime role may delete rows. Only `clear` and `prune` delete rows; a breaker never does.

    Raises:
        ConfigurationError: The name of the schema or of the version table cannot be used.
    """
    from cbstore_sql.migration.runner import Target
    from cbstore_sql.stores.sql.schema.table import KINDS, TABLE_NAME

    target = Target.from_environment("postgresql", schema)
    names = {"schema": target.schema, "table": TABLE_NAME, "version_table": target.version_table}
    migrator = _quoted(roles.migrator)
    owner = _OWNER.format(
        migrator=migrator,
        migrator_in_format=migrator.replace("'", "''").replace("%", "%%"),
        domains=", ".join(f"'{name}'" for name in KINDS),
        **names,
    )
    users = (
        (roles.runtime, _RIGHTS if delete else _RIGHTS_WITHOUT_DELETE, False),
        (roles.operator, _RIGHTS, True),
        (roles.reader, "SELECT", True),
    )
    script = [_HEAD, _made(roles.migrator), *(_made(name) for name, *_ in users if name is not None), owner]
    for name, rights, reads_version in users:
        if name is not None:
            script.append(_used(name, rights, names, reads_version=reads_version))
    return "".join([*script, "COMMIT;\n"])


def _made(name: str) -> str:
    return _ROLE.format(name=_quoted(name), literal="'" + name.replace("'", "''") + "'")


def _used(name: str, rights: str, names: dict[str, str], *, reads_version: bool) -> str:
    role = _quoted(name)
    version_rights = ""
    if reads_version:
        version_rights = f'\n    GRANT SELECT ON "{names["schema"]}"."{names["version_table"]}" TO {role};'
    return _USER.format(role=role, rights=rights, version_rights=version_rights, **names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_role(label: str, name: str) -> None:
    try:
        size = len(name.encode())
    except (AttributeError, UnicodeEncodeError):
        size = 0
    if not 1 <= size <= _MAX_ROLE_BYTES or "\0" in name or _DOLLAR in name:
        raise ConfigurationError(f"{label} must be a role name of 1 to {_MAX_ROLE_BYTES} bytes")
    if name in _RESERVED or name.startswith("pg_"):
        raise ConfigurationError(f"{label} must not be {name}: PostgreSQL keeps that name for itself")
