"""How much an operation costs the server: one round trip, the commands of its script, the fields it writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cbstore_sql import RedisStore
from tests.servers import wheels
from tests.stores.redis.conftest import Connect

CHECK = {"evalsha": 1, "hgetall": 1, "time": 1}
WRITE = CHECK | {"hset": 1, "expire": 1}


@pytest.fixture(scope="module")
def quiet_url() -> Iterator[str]:
    """A server that runs nothing but these tests, so that its counts are theirs."""
    with wheels.redis() as url:
        yield url


@pytest.fixture
def url(quiet_url: str) -> str:
    return quiet_url


@pytest.fixture(params=["own client", "lent client"])
def any_store(request: pytest.FixtureRequest, url: str, prefix: str, connect: Connect) -> Iterator[RedisStore]:
    if request.param == "lent client":
        yield RedisStore(connect(url), key_prefix=prefix)
        return
    with RedisStore.from_url(url, key_prefix=prefix) as store:
        yield store


def counted(client: Any, operation: Callable[[], Any]) -> dict[str, int]:
    client.config_resetstat()
    operation()
    stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items() if "config" not in name}


def test_each_operation_is_one_script(any_store: RedisStore, client: Any) -> None:
    store = any_store
    store.record_failure("b")
    store.record_success("b")
    store.force_open("open", 1e6)
    store.force_open("due", 0.0)
    # The server learns each script with its first use.
    store.read("b")
    store.claim_probe("due", token="first", now=1.0)
    assert counted(client, lambda: store.read("b")) == CHECK
    assert counted(client, lambda: store.read("missing")) == CHECK
    assert counted(client, lambda: store.read("b", now=1000.0)) == {"hgetall": 1}
    assert counted(client, lambda: store.record_failure("b")) == WRITE
    assert counted(client, lambda: store.record_success("b")) == WRITE
    assert counted(client, lambda: store.record_success("b")) == CHECK
    assert counted(client, lambda: store.claim_probe("open")) == CHECK
    assert counted(client, lambda: store.claim_probe("due")) == WRITE
    without_clock = {name: calls for name, calls in WRITE.items() if name != "time"}
    assert counted(client, lambda: store.record_failure("b", now=1000.0)) == without_clock


def test_a_script_that_the_server_has_lost_is_sent_once_more(any_store: RedisStore, client: Any) -> None:
    any_store.record_failure("b")
    client.script_flush()
    lost = counted(client, lambda: any_store.record_failure("b"))
    assert {name: calls for name, calls in lost.items() if "script" not in name} == WRITE | {"evalsha": 2}
    assert any_store.read("b").failure_count == 2


def test_a_write_has_only_the_fields_that_change(store: RedisStore, client: Any, key: str) -> None:
    def written(operation: Callable[[], Any]) -> set[str]:
        with client.monitor() as monitor:
            operation()
            client.echo("the end")
            seen = iter(monitor.next_command, None)
            commands = [each["command"] for each in until(seen, "the end")]
        sets = [command for command in commands if command.startswith("HSET")]
        return {name for command in sets for name in re.findall(r"\b(\w+) [^ ]*", command.split(f"{key} ")[1])}

    assert written(lambda: store.record_failure("b")) == {
        *("state", "previous_state", "failure_count", "last_failure_time", "half_open_probe_active", "written")
    }
    assert written(lambda: store.record_failure("b")) == {"failure_count", "last_failure_time"}
    assert written(lambda: store.record_success("b")) == {"failure_count"}


def until(seen: Iterator[Any], text: str) -> Iterator[Any]:
    for command in seen:
        if text in command["command"]:
            return
        yield command
