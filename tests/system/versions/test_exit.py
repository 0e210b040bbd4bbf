"""A program that ends without closing a store or breaker prints nothing, with every Python."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest

SYNC = """
import sys
from cbstore_sql import CircuitBreaker, SqlStore
store = SqlStore(sys.argv[1], namespace=sys.argv[2])
breaker = CircuitBreaker(store, store_timeout=None{options})
print(breaker.call("b", lambda: "answer"))
store.record_failure("b")
"""
ASYNC = """
import asyncio, sys
from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore
store = AsyncSqlStore(sys.argv[1], namespace=sys.argv[2])

async def main():
    breaker = AsyncCircuitBreaker(store, store_timeout=None{options})

    async def answer():
        return "answer"

    print(await breaker.call("b", answer))
    await store.record_failure("b")

asyncio.run(main())
"""
ENGINE = """
import sys
import sqlalchemy as sa
from cbstore_sql import CircuitBreaker, SqlStore
breaker = CircuitBreaker(SqlStore(sa.create_engine(sys.argv[1]), namespace=sys.argv[2]), store_timeout=None)
print(breaker.call("b", lambda: "answer"))
"""
PROGRAMS = {
    "sync": SYNC.format(options=""),
    "sync, push": SYNC.format(options=", push=True"),
    "async": ASYNC.format(options=""),
    "async, push": ASYNC.format(options=", push=True"),
    "engine": ENGINE,
}


@pytest.mark.parametrize("url", ["migrated_postgres_url", "migrated_sqlite_url"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_end_of_the_interpreter_prints_nothing(program: str, url: str, request: pytest.FixtureRequest) -> None:
    if "push" in program and "sqlite" in url:
        pytest.skip("push needs PostgreSQL")
    command = [sys.executable, "-c", PROGRAMS[program], request.getfixturevalue(url), uuid.uuid4().hex]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "answer\n", "")
