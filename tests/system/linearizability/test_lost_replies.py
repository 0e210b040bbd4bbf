"""The attribute ``applied`` of an error is correct, also after several different failures of one operation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cbstore_sql import BreakerPolicy, Permit, SqlStore, StoreError, StoreUnavailableError
from tests.stores.contract.backends import ASYNC, open_store
from tests.system.faults.postgres import Postgres
from tests.system.faults.proxy import FaultProxy
from tests.waiting import eventually

POLICY = BreakerPolicy(recovery_timeout=0.0)
NAME = "billing"

SAFE: tuple[Callable[[SqlStore, Permit], object], ...] = (
    lambda store, probe: store.record_success(probe, POLICY),
    lambda store, probe: store.release_probe(probe),
    lambda store, probe: store.renew_probe(probe, POLICY, now=2000.0),
    lambda store, probe: store.force_open(NAME, 60.0),
    lambda store, probe: store.reset(NAME),
)


def test_an_applied_operation_is_never_reported_as_not_applied(server: Postgres, proxy: FaultProxy) -> None:
    for operation in SAFE:
        proxy.heal()
        with SqlStore(proxy.url(server.url)) as store, SqlStore(server.url) as straight:
            store.reset(NAME)
            store.force_open(NAME, 0.0, now=1000.0)
            claim = store.claim_probe(NAME, POLICY, token="owner", now=1000.0)
            assert claim is not None
            before = straight.read(NAME, now=0.0)
            # The only connection loses its reply.
            proxy.switch("refuse")
            proxy.lose_reply_to(NAME.encode())
            with pytest.raises(StoreUnavailableError) as raised:
                operation(store, claim.permit)
            assert straight.read(NAME, now=0.0) != before, "it was applied"
        assert raised.value.applied is None


SLOW_COMMIT = """
    CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON cbstore.breakers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger();
"""


def is_committing(server: Postgres) -> bool:
    return bool(server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


@pytest.mark.parametrize(("name", "end"), [("postgresql", "immediate"), (f"{ASYNC}postgresql", "terminated")])
def test_rows_received_before_a_failed_commit_are_not_returned(name: str, end: str, server: Postgres) -> None:
    with open_store(name, server.url, "default") as store:
        store.record_failure(NAME, POLICY)
        before = store.read(NAME, now=0.0)
        server.ask(SLOW_COMMIT)
        with ThreadPoolExecutor(1) as pool:
            counted = pool.submit(store.record_failure, NAME, POLICY)
            assert eventually(lambda: is_committing(server))
            if end == "immediate":
                server.stop("immediate")
                server.start()
            else:
                server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            with pytest.raises(StoreUnavailableError) as raised:
                counted.result()
        assert store.read(NAME, now=0.0) == before, "it was rolled back"
    assert raised.value.applied is None


REFUSED_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not this one''; END';
    CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON cbstore.breakers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("name", ["postgresql", f"{ASYNC}postgresql"])
def test_rows_whose_commit_is_refused_are_not_returned(name: str, server: Postgres) -> None:
    with open_store(name, server.url, "default") as store:
        store.record_failure(NAME, POLICY)
        server.ask(REFUSED_COMMIT)
        with pytest.raises(StoreError):
            store.record_failure(NAME, POLICY)
        assert store.read(NAME).failure_count == 1
