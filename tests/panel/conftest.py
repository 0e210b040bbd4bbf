"""A panel over a real database with breakers in every state, and requests to it without a server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, migrate
from tests.panel.browser import chromium
from tests.panel.requests import Client

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=86400, probe_lease=86400)
HOSTILE = "<script>alert('x')</script>\"&/../?a=b#c"


@pytest.fixture(scope="session")
def schema_on_postgres(postgres_url: str) -> str:
    """A schema that only the panel's tests use, because pages show every breaker of a table."""
    schema = f"panel_{secrets.token_hex(4)}"
    migrate(postgres_url, schema=schema)
    return schema


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('panel')}/breakers.db"
    migrate(url)
    return url


@pytest.fixture(params=["postgres", "sqlite"])
def store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """A store with breakers in every state, and no others in its table."""
    if request.param == "sqlite":
        url, schema = request.getfixturevalue("sqlite_file"), "cbstore"
    else:
        url, schema = (request.getfixturevalue(name) for name in ("postgres_url", "schema_on_postgres"))
    with SqlStore(url, schema=schema, namespace="web") as store:
        fill(store)
        yield store
        for namespace, snapshot in store.read_all():
            store._for_namespace(namespace).clear(snapshot.name)


def fill(store: SqlStore) -> None:
    """Tripped, forced, probing, failing, locked, shadowed, clean, and one with a hostile name."""
    for name in ("payments", HOSTILE):
        store.record_failure(name, POLICY, failures=3)
    store.force_open("search", 86400, by="alice")
    store.force_open("mail", 0)
    store.claim_probe("mail", POLICY, token="api-1/77/f00d")
    store.record_failure("ledger", POLICY)
    store.reset("clean")
    store.reset("locked")
    store.set_override("locked", "open", by="bob", reason="<b>double</b> charges", seconds=86400)
    store.reset("shadowed")
    store.set_override("shadowed", "shadow", by="bob", reason="rollout")


@pytest.fixture
def client(store: SqlStore) -> Client:
    """A client on this machine with the right to act."""
    return Client(store, actions=True)


browser = chromium
