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
    """A function that opens clients without retries. The clients are closed after the test."""
    with contextlib.ExitStack() as stack:

        def open_client(url: str, **options: Any) -> Any:
            client = redis.Redis.from_url(url, **{"retry": Retry(NoBackoff(), 0), **options})
            return stack.enter_context(contextlib.closing(client))

        yield open_client


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a server, of each kind in turn."""
    return str(request.getfixturevalue(SERVERS[request.param]))


@pytest.fixture
def client(url: str, connect: Connect) -> Any:
    """A client that decodes answers, with which a test reads the stored values."""
    return connect(url, decode_responses=True)


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"cb-{uuid.uuid4().hex}"


@pytest.fixture
def key(prefix: str) -> str:
    """The key of the breaker "b"."""
    return f"{prefix}:b"


@pytest.fixture
def store(client: Any, prefix: str) -> RedisStore:
    return RedisStore(client, key_prefix=prefix)


@pytest.fixture(params=[True, False], ids=[*SERVERS])
def private_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a separate server for one test, which may limit, fill or stop it."""
    with wheels.redis(scripting=request.param) as url:
        yield url


@contextlib.contextmanager
def untouched(client: Any, key: str) -> Iterator[None]:
    """Fail if a command writes to the key in this block, even without changing its value."""
    with client.pipeline() as watching:
        watching.watch(key)
        yield
        watching.multi()
        watching.ping()
        watching.execute()
