"""Tests of guarded calls while the table is missing or older than the code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import get_args

import pytest
import sqlalchemy as sa

from cbstore_sql import CircuitBreaker, CircuitBreakerOpenError, SchemaError, SqlStore, StoreError
from cbstore_sql.breaker.outage.detector import OutagePolicy
from tests.system.faults.postgres import Cluster, Postgres
from tests.system.faults.table import Observed, fault
from tests.waiting import PATIENCE, eventually

TABLE = "cbstore.breakers"
DAMAGES = {
    "missing": (f"ALTER TABLE {TABLE} RENAME TO away", "ALTER TABLE cbstore.away RENAME TO breakers"),
    "behind": (f"ALTER TABLE {TABLE} RENAME probe_until TO later", f"ALTER TABLE {TABLE} RENAME later TO probe_until"),
}
OUTCOMES: dict[OutagePolicy, str] = {
    "local": "answered",
    "allow": "answered",
    "block": "CircuitBreakerOpenError",
    "raise": "SchemaError",
}


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Postgres]:
    """One server for all these tests. Each test repairs what it damaged."""
    with cluster.server() as server:
        yield server


@pytest.mark.parametrize("policy", get_args(OutagePolicy))
@pytest.mark.parametrize("damage", DAMAGES)
@fault(30, "the table is away (missing) or a column of it (schema behind the code)", "one clear error; by the policy")
def test_calls_follow_the_outage_policy_until_the_table_exists(
    server: Postgres, policy: OutagePolicy, damage: str, caplog: pytest.LogCaptureFixture, observed: Observed
) -> None:
    break_it, mend_it = DAMAGES[damage]
    with SqlStore(server.url) as store, guarding(store, policy) as breaker:
        assert outcome(lambda: breaker.call("b", int)) == "answered"
        server.ask(break_it)
        try:
            outcomes = {outcome(lambda: breaker.call("b", int)) for _ in range(20)}
        finally:
            server.ask(mend_it)
        assert outcomes == {OUTCOMES[policy]}
        began = time.monotonic()
        assert eventually(lambda: not breaker._controller.is_out)
        recovered = time.monotonic() - began
        assert outcome(lambda: breaker.call("b", int)) == "answered"
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1, "said once"
    assert "run 'cbstore migrate --url …'" in errors[0]
    lost = 0 if OUTCOMES[policy] == "answered" else 20
    observed(f"each call: {OUTCOMES[policy]}; one line in the log", recovered=recovered, calls=22, calls_lost=lost)


def guarding(store: SqlStore, policy: OutagePolicy) -> CircuitBreaker:
    # These tests are about the missing table, not about a slow answer.
    return CircuitBreaker(store, on_store_outage=policy, max_staleness=0.0, store_timeout=PATIENCE)


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except (CircuitBreakerOpenError, SchemaError) as error:
        return type(error).__name__
    return "answered"


@fault(27, "row-level security without a policy for the application's role", "a clear error; never silently uncounted")
def test_a_failure_that_row_level_security_hides_is_an_error(server: Postgres, observed: Observed) -> None:
    for statement in (
        "CREATE ROLE app LOGIN PASSWORD 'app'",
        "GRANT USAGE ON SCHEMA cbstore TO app",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO app",
        f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY",
    ):
        server.ask(statement)
    url = sa.make_url(server.url).set(username="app", password="app")
    with SqlStore(url) as store, SqlStore(server.url) as owner:
        owner.force_open("b", 60.0)
        for target in ("b", "new"):
            with pytest.raises(StoreError) as raised:
                store.record_failure(target)
        server.ask(f"CREATE POLICY app ON {TABLE} TO app USING (true)")
        assert store.record_failure("new") is not None
        server.ask(f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY")
    observed(str(raised.value), calls=3, calls_lost=2, counts_lost=0, counts_doubled=0)
