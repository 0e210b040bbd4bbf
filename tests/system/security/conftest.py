from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import migrate
from cbstore_sql.cli.grants import Roles, grants_sql
from tests.servers.clients import fresh_database

SECRET = "s3cr3t%40w0rd"
"""A password that is somewhere in what a test says, and must be nowhere in what it hears."""


def run_script(url: str, script: str) -> None:
    """Run SQL as an administrator would, with psql."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(script.encode())


@dataclass(frozen=True)
class Granted:
    """A migrated database with the roles of ``cbstore grants``.

    Attributes:
        roles: The names of the roles.
        admin: The URL of a superuser.
        migrator: The URL of the owner of the table.
        runtime: The URL of the role of the application.
    """

    roles: Roles
    admin: str
    migrator: str
    runtime: str


@pytest.fixture(scope="module")
def granted(postgres_url: str) -> Iterator[Granted]:
    """Run the steps of the page: the script, the migration, and the script again."""
    suffix = secrets.token_hex(4)
    roles = Roles(f"migrator_{suffix}", f"runtime_{suffix}")
    with fresh_database(postgres_url) as (admin, _):
        run_script(admin, grants_sql(roles))
        for role in (roles.migrator, roles.runtime):
            run_script(admin, f"ALTER ROLE {role} PASSWORD '{SECRET}'")
        yours = Granted(roles, admin, as_role(admin, roles.migrator), as_role(admin, roles.runtime))
        migrate(yours.migrator)
        run_script(admin, grants_sql(roles))
        yield yours
        for role in (roles.runtime, roles.migrator):
            run_script(admin, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def as_role(url: str, name: str) -> str:
    """Return the URL with which a role logs in."""
    return sa.make_url(url).set(username=name, password=SECRET).render_as_string(hide_password=False)
