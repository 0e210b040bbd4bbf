"""PostgreSQL and Redis in containers, where a Docker engine answers."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

PROBE_SECONDS = 5


def engine_answers() -> bool:
    # Where nobody answers, the client leaves its socket open: a process of its own takes that along.
    probe = [sys.executable, "-c", f"import docker; docker.from_env(timeout={PROBE_SECONDS}).ping()"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def postgres(image: str) -> Iterator[str]:
    """A superuser's SQLAlchemy URL on a PostgreSQL in a new container."""
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(image, username="postgres", password=secrets.token_hex(16), driver="psycopg")
    container.with_command("postgres -c max_connections=200")
    with _running(container, image):
        yield container.get_connection_url()


@contextlib.contextmanager
def redis(image: str) -> Iterator[str]:
    """The URL of a Redis that persists nothing, in a new container."""
    from testcontainers.community.redis import RedisContainer

    container = RedisContainer(image, password=secrets.token_hex(16))
    container.with_command(f"redis-server --requirepass {container.password} --save ''")
    with _running(container, image):
        host, port = container.get_container_host_ip(), container.get_exposed_port(container.port)
        yield f"redis://:{container.password}@{host}:{port}/0"


@contextlib.contextmanager
def _running(container: Any, image: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(container)
        except Exception as error:  # noqa: BLE001  the reader must learn which image, whatever stood in the way
            raise pytest.fail.Exception(f"the image {image!r} gives no server: {error}", pytrace=False) from None
        yield
