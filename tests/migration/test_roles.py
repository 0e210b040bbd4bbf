"""Tests of the rights of PostgreSQL roles: one role migrates, another runs breakers."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, StoreError, migrate
from cbstore_sql.migration import downgrade
from tests.docs.pages import blocks
from tests.migration.databases import Role, execute, table_names

POLICY = BreakerPolicy(failure_threshold=1)


def use_every_operation(store: SqlStore) -> None:
    store.record_failure("llm", POLICY, now=0.0)
    probe = store.claim_probe("llm", POLICY, now=100.0)
    assert probe is not None
    assert store.renew_probe(probe.permit, POLICY, now=101.0) is not None
    assert store.release_probe(probe.permit, now=102.0) is not None
    assert store.record_success("llm", POLICY, now=103.0) is not None
    store.force_open("llm", 60.0)
    store.reset("llm")
    store.set_state("llm", {"state": "closed"})
    store.increment_failure("llm")
    assert store.read("llm").failure_count == 1
    assert len(store.read_all()) == 1
    store.clear("llm")


def test_the_runtime_role_needs_no_right_to_create(postgresql_url: str, role: Role) -> None:
    migrate(postgresql_url)
    (grants,) = blocks("docs/migrations.md", "sql")
    execute(postgresql_url, grants.replace(" app;", f" {role.name};"))
    with SqlStore(role.url) as store:
        use_every_operation(store)
    with pytest.raises(StoreError, match="may not create or change it"):
        downgrade(role.url, "base")


def test_a_role_without_rights_gets_an_error_that_says_so(postgresql_url: str, role: Role) -> None:
    with pytest.raises(StoreError, match="may not create or change it") as raised:
        migrate(role.url)
    assert role.password not in str(raised.value)
    assert table_names(postgresql_url) == set()


def test_a_role_with_the_right_to_create_in_the_database_can_migrate(postgresql_url: str, role: Role) -> None:
    execute(postgresql_url, f"GRANT CREATE ON DATABASE {postgresql_url.rpartition('/')[2]} TO {role.name}")
    migrate(role.url)
    with SqlStore(role.url) as store:
        use_every_operation(store)


def test_a_role_with_the_right_to_create_only_in_the_schema_can_migrate(postgresql_url: str, role: Role) -> None:
    execute(postgresql_url, "CREATE SCHEMA cbstore", f"GRANT USAGE, CREATE ON SCHEMA cbstore TO {role.name}")
    migrate(role.url)
    assert table_names(postgresql_url) == {"breakers", "cbstore_version"}
