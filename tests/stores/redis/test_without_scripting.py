"""Tests of servers without Lua: each operation watches the key, runs the rule in Python, and writes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.client import Pipeline

from cbstore_sql import BreakerPolicy, RedisStore, StoreConflictError
from cbstore_sql.stores.redis import watch
from cbstore_sql.stores.redis.errors import is_scripting_unavailable

THREADS = 8
EACH = 10


@pytest.fixture
def url(scriptless_redis_url: str) -> str:
    return scriptless_redis_url


def error_replies(client: Any) -> int:
    count: int = client.info("stats")["total_error_replies"]
    return count


def test_each_store_tries_scripting_once(client: Any, prefix: str) -> None:
    store = RedisStore(client, key_prefix=prefix)
    before = error_replies(client)
    store.record_failure("b")
    store.read("b")
    store.reset("b")
    assert error_replies(client) == before + 1


def test_every_failure_of_many_threads_is_counted_and_one_caller_sees_the_opening(store: RedisStore) -> None:
    policy = BreakerPolicy(failure_threshold=THREADS * EACH)

    def fail(_: int) -> list[bool]:
        reports = [store.record_failure("b", policy) for _ in range(EACH)]
        return [report is not None and report.changed for report in reports]

    with ThreadPoolExecutor(THREADS) as pool:
        changes = [change for changed in pool.map(fail, range(THREADS)) for change in changed]
    assert store.read("b").failure_count == THREADS * EACH
    assert changes.count(True) == 1


class Interrupting(redis.Redis):
    """A client whose next ``times`` transactions each lose the race against a write of another client."""

    times = 0
    interrupt: Callable[[], Any]

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        client = self

        class Interrupted(Pipeline):
            def multi(self) -> None:
                if client.times > 0:
                    client.times -= 1
                    client.interrupt()
                super().multi()

        return Interrupted(self.connection_pool, self.response_callbacks, transaction, shard_hint)


@pytest.fixture
def interrupted(client: Any, prefix: str) -> RedisStore:
    """A store whose writes lose the race against another client's failure."""
    other = RedisStore(client, key_prefix=prefix)
    interrupting = Interrupting(connection_pool=client.connection_pool)
    interrupting.interrupt = lambda: other.increment_failure("b")
    return RedisStore(interrupting, key_prefix=prefix)


def test_a_concurrent_write_is_noticed_and_the_rule_runs_again(interrupted: RedisStore) -> None:
    interrupted._client.times = 3
    assert interrupted.increment_failure("b") == 4


def test_a_lost_race_inside_an_exception_handler_is_not_a_lost_connection(interrupted: RedisStore) -> None:
    interrupted._client.times = 1
    try:
        raise redis.ConnectionError("of the caller")
    except redis.ConnectionError:
        assert interrupted.increment_failure("b") == 2


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda store: store.increment_failure("b"), "Failed to atomically increment failure count for 'b' after 2"),
        (lambda store: store.record_failure("b"), "Failed to atomically record_failure for 'b' after 2 retries"),
        (lambda store: store.force_open("b", 1.0), "Failed to atomically force_open for 'b' after 2 retries"),
    ],
)
def test_losing_every_race_raises_a_conflict_error_that_names_the_operation_and_the_breaker(
    interrupted: RedisStore, monkeypatch: pytest.MonkeyPatch, operation: Callable[[RedisStore], Any], message: str
) -> None:
    monkeypatch.setattr(watch, "RETRIES", 2)
    interrupted._client.times = 3
    with pytest.raises(StoreConflictError, match=message) as raised:
        operation(interrupted)
    assert isinstance(raised.value, RuntimeError)
    assert interrupted._client.times == 0
    assert interrupted.read("b").failure_count == 3


@pytest.mark.parametrize(
    "text",
    [
        "unknown command `EVALSHA`, with args beginning with: `0a`, `1`, `cb:b`, ",
        "unknown command 'eval'",
        "ERR unknown redis command 'EVAL'",
        "unknown command `SCRIPT`, with args beginning with: `LOAD`, ",
        "No module named 'lupa'",
    ],
)
def test_a_missing_script_command_means_that_scripting_is_unavailable(text: str) -> None:
    assert is_scripting_unavailable(redis.ResponseError(text))


@pytest.mark.parametrize(
    "text",
    [
        "READONLY You can't write against a read only replica.",
        "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand",
        "unknown command `TIME`, with args beginning with: ",
        "Error running script (call to f_0a): @user_script:1: Unknown Redis command called from Lua script",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "NOSCRIPT No matching script. Please use EVAL.",
    ],
)
def test_other_errors_do_not_mean_that_scripting_is_unavailable(text: str) -> None:
    assert not is_scripting_unavailable(redis.ResponseError(text))
