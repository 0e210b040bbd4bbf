"""PgBouncer, if it is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.servers.wheels import LOOPBACK, _free_port, _wait

PROGRAM = shutil.which("pgbouncer")

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer that runs.

    Attributes:
        url: The SQLAlchemy URL of the database behind it.
        process: Its process identifier.
    """

    url: str
    process: int


@contextmanager
def transaction_pooler(url: str, **settings: int) -> Iterator[str]:
    """Run PgBouncer in transaction mode in front of a database with further settings, and yield its SQLAlchemy URL."""
    with pooler(url, {"pool_mode": "transaction", **settings}) as running:
        yield running.url


@contextmanager
def pooler(url: str, settings: Mapping[str, object]) -> Iterator[Pooler]:
    """Run PgBouncer in front of a database with further settings, such as ``pool_mode``."""
    target, port = sa.make_url(url), _free_port()
    with tempfile.TemporaryDirectory(prefix="cbstore-test-") as directory:
        config = Path(directory) / "pgbouncer.ini"
        users = Path(directory) / "users.txt"
        users.write_text(f'"{target.username}" "{target.password}"\n')
        config.write_text(
            "[databases]\n"
            f"* = host={target.host} port={target.port}\n"
            "[pgbouncer]\n"
            f"listen_addr={LOOPBACK}\nlisten_port={port}\nunix_socket_dir=\n"
            f"auth_type=plain\nauth_file={users}\n" + "".join(f"{name}={value}\n" for name, value in settings.items())
        )
        pooled = target.set(host=LOOPBACK, port=port).render_as_string(hide_password=False)
        with _running(Path(directory), [str(PROGRAM), str(config)]) as server:
            assert _wait(server, lambda: _answers(pooled)), "PgBouncer did not start"
            yield Pooler(pooled, server.pid)


@contextmanager
def _running(directory: Path, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    # PgBouncer refuses to run as root.
    owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if owner is not None:
        for path in (directory, *directory.iterdir()):
            os.chown(path, owner, -1)
    with subprocess.Popen(command, user=owner, text=True, stderr=subprocess.DEVNULL) as server:
        try:
            yield server
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", "")).close()
    except psycopg.OperationalError:
        return False
    return True
