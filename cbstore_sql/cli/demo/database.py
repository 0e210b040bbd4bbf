"""The database of one run: made or joined at the start; at the end the breaker is removed from it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

from cbstore_sql import migrate
from cbstore_sql.cli.demo.records import BREAKER
from cbstore_sql.cli.demo.signals import Stopper
from cbstore_sql.errors import SchemaError
from cbstore_sql.stores.sql import SqlStore
from cbstore_sql.stores.sql.connections.engine import parse_url


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the breaker of one run is.

    Attributes:
        url: The database.
        schema: The schema of the table.
        place: What the database is called, for people.
        store: A store in a namespace that only this run uses.
        leaves: What the run leaves behind, for people.
    """

    url: str = field(repr=False)
    schema: str
    place: str
    store: SqlStore
    leaves: str = "nothing"


@contextmanager
def set_stage(url: str | None, schema: str, stopper: Stopper) -> Iterator[Stage]:
    """Prepare a database.

    Args:
        url: The database, whose table is made if it is missing; ``None`` means a temporary SQLite file.
        schema: The schema of the table.
        stopper: Lets a signal break off a connection attempt that hangs.

    Raises:
        KeyboardInterrupt: A signal came while the database was prepared.
        CircuitBreakerError: The database cannot be used.
    """
    with ExitStack() as stack:
        temporary = url is None
        if url is None:
            url = f"sqlite:///{stack.enter_context(TemporaryDirectory(prefix='cbstore-demo-'))}/breakers.db"
        store = stack.enter_context(SqlStore(url, schema=schema, namespace=f"demo-{secrets.token_hex(4)}"))
        with stopper.at_once():
            made = _migrate_if_missing(store, url, schema)
        stack.callback(store.clear, BREAKER)
        leaves = "the breaker table, which was not there before; no breaker is in it" if made else "nothing"
        place = _PLACES[parse_url(url).get_backend_name()]
        yield Stage(url, schema, place, store, "nothing" if temporary else leaves)


def _migrate_if_missing(store: SqlStore, url: str, schema: str) -> bool:
    """Make the table where there is none; return whether that was needed."""
    try:
        store.read(BREAKER)
    except SchemaError:
        migrate(url, schema=schema)
        return True
    return False


_PLACES = {"sqlite": "a SQLite file", "postgresql": "PostgreSQL"}
