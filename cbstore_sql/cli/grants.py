"""``cbstore grants``: the SQL that gives one role the table and another the use of it."""

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

# PostgreSQL keeps them for itself; to "public", quoted or not, means to everybody.
_RESERVED = ("public", "none")

_SCRIPT = """\
-- For a superuser, before 'cbstore migrate' and once more after it; it may be run any number of times.
-- The roles have no passwords yet: give them some with \\password, or let pg_hba.conf decide.
BEGIN;
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{migrator}') THEN
    CREATE ROLE "{migrator}" LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{runtime}') THEN
    CREATE ROLE "{runtime}" LOGIN;
  END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION "{migrator}";
GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{migrator}";
REVOKE ALL ON SCHEMA "{schema}" FROM "{runtime}";
GRANT USAGE ON SCHEMA "{schema}" TO "{runtime}";
DO $$ DECLARE domain text; BEGIN
  IF pg_catalog.to_regclass('"{schema}"."{table}"') IS NOT NULL THEN
    ALTER TABLE "{schema}"."{table}" OWNER TO "{migrator}";
    REVOKE ALL ON "{schema}"."{table}" FROM PUBLIC, "{runtime}";
    GRANT {rights} ON "{schema}"."{table}" TO "{runtime}";
  END IF;
  FOREACH domain IN ARRAY ARRAY[{domains}] LOOP
    IF pg_catalog.to_regtype(pg_catalog.format('%I.%I', '{schema}', domain)) IS NOT NULL THEN
      EXECUTE pg_catalog.format('ALTER DOMAIN %I.%I OWNER TO %I', '{schema}', domain, '{migrator}');
    END IF;
  END LOOP;
  IF pg_catalog.to_regclass('"{schema}"."{version_table}"') IS NOT NULL THEN
    ALTER TABLE "{schema}"."{version_table}" OWNER TO "{migrator}";
    REVOKE ALL ON "{schema}"."{version_table}" FROM PUBLIC, "{runtime}";
  END IF;
END $$;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who migrates and who runs.

    Attributes:
        migrator: Owns the table.
        runtime: Uses it.

    Raises:
        ConfigurationError: A name needs quoting or means something else to PostgreSQL, or both are the same.
    """

    migrator: str
    runtime: str

    def __post_init__(self) -> None:
        for label, name in (("migrator", self.migrator), ("runtime", self.runtime)):
            _check_role(label, name)
        if self.migrator == self.runtime:
            raise ConfigurationError("the two roles must not be the same: the runtime one is to own nothing")


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "grants",
        "print the SQL for a role that migrates and one that runs",
        examples=(
            "cbstore grants | psql -d app",
            "cbstore grants --migrator deployer --runtime web --no-delete > grants.sql",
        ),
    )
    add_schema(parser)
    parser.add_argument("--migrator", default="cbstore_migrator", help="owns the table (default: %(default)s)")
    parser.add_argument("--runtime", default="cbstore_runtime", help="uses the table (default: %(default)s)")
    parser.add_argument("--no-delete", action="store_true", help="the runtime role neither prunes nor calls clear()")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand.

    Raises:
        ConfigurationError: A name cannot be used.
    """
    roles = Roles(arguments.migrator, arguments.runtime)
    sys.stdout.write(grants_sql(roles, arguments.schema, delete=not arguments.no_delete))
    return 0


def grants_sql(roles: Roles, schema: str | None = None, *, delete: bool = True) -> str:
    """Return the script, one transaction, for PostgreSQL.

    Args:
        roles: Made where they are missing; they may log in.
        schema: That of the table; ``None`` means ``CBSTORE_SCHEMA``, then the default. Made where it is missing.
        delete: Whether the runtime role may delete rows: only `clear` and `prune` do, no breaker does.

    Raises:
        ConfigurationError: The schema or the version table cannot be used.
    """
    from cbstore_sql.migration.runner import Target
    from cbstore_sql.stores.sql.schema.table import KINDS, TABLE_NAME

    target = Target.from_environment("postgresql", schema)
    return _SCRIPT.format(
        migrator=roles.migrator,
        runtime=roles.runtime,
        schema=target.schema,
        table=TABLE_NAME,
        domains=", ".join(f"'{name}'" for name in KINDS),
        version_table=target.version_table,
        rights=_RIGHTS if delete else _RIGHTS_WITHOUT_DELETE,
    )


def _check_role(label: str, name: str) -> None:
    from cbstore_sql.stores.sql.schema.table import check_identifier

    check_identifier(label, name)
    if name in _RESERVED or name.startswith("pg_"):
        raise ConfigurationError(f"{label} must not be {name}: PostgreSQL keeps that name for itself")
