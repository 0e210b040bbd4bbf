from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cbstore_sql import RedisStore
from tests.servers import wheels

SERVERS = {"scripting": "redis_url", "no-scripting": "scriptless_redis_url"}

Connect = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens clients that send each command once, and closes them after the test."""
    with contextlib.ExitStack() as stack:

        def open_client(url: str, **options: Any) -> Any:
            client = redis.Redis.from_url(url, **{"retry": Retry(NoBackoff(), 0), **options})
            return stack.enter_context(contextlib.closing(client))

        yield open_client


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn."""
    return str(request.getfixturevalue(SERVERS[request.param]))


@pytest.fixture
def client(url: str, connect: Connect) -> Any:
    """A client that decodes, for looking at what is stored."""
    return connect(url, decode_responses=True)


@pytest.fixture
def prefix() -> str:
    """A key prefix nobody else uses."""
    return f"cb-{uuid.uuid4().hex}"


@pytest.fixture
def key(prefix: str) -> str:
    """Where the breaker "b" is kept."""
    return f"{prefix}:b"


@pytest.fixture
def store(client: Any, prefix: str) -> RedisStore:
    return RedisStore(client, key_prefix=prefix)


@pytest.fixture(params=[True, False], ids=[*SERVERS])
def private_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of one test's own, each kind in turn, to be limited, filled or stopped."""
    with wheels.redis(scripting=request.param) as url:
        yield url


@contextlib.contextmanager
def untouched(client: Any, key: str) -> Iterator[None]:
    """Fail if anything writes to the key meanwhile, even what it already holds."""
    with client.pipeline() as watching:
        watching.watch(key)
        yield
        watching.multi()
        watching.ping()
        watching.execute()
