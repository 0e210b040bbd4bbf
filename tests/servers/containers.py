"""PostgreSQL and Redis in containers, if a Docker engine answers."""

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
    # Without an engine, the client leaves its socket open. The end of a separate process closes the socket.
    probe = [sys.executable, "-c", f"import docker; docker.from_env(timeout={PROBE_SECONDS}).ping()"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def postgres(image: str) -> Iterator[str]:
    """Run PostgreSQL in a new container, and yield a superuser's SQLAlchemy URL."""
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(image, username="postgres", password=secrets.token_hex(16), driver="psycopg")
    container.with_command("postgres -c max_connections=200")
    with _running(container, image):
        yield container.get_connection_url()


@contextlib.contextmanager
def redis(image: str) -> Iterator[str]:
    """Run a Redis without persistence in a new container, and yield its URL."""
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
