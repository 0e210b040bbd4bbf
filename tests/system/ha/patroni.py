"""A Patroni cluster on this machine: three PostgreSQL servers, their Patronis, and one etcd."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import guard, wheels
from tests.servers.wheels import LOOPBACK
from tests.system.faults import keeper as servers
from tests.system.ha import keeper
from tests.waiting import eventually

NODES = 3
SCOPE = "ha"
START_SECONDS = 120.0
SERVERS = Path("/usr/lib/postgresql")
NEEDED = "apt-get install --no-install-recommends patroni etcd-server postgresql"

# A lock that a dead primary left ends after `ttl`; that is most of the time without a primary after a failover.
_DCS = {"ttl": 20, "loop_wait": 2, "retry_timeout": 5, "maximum_lag_on_failover": 1 << 20}
_PARAMETERS = {"shared_buffers": "16MB", "max_connections": 100, "wal_keep_size": "64MB", "fsync": "off"}


class MissingError(Exception):
    """Something that the cluster is made of is not installed; the text says how to install it."""


def binaries() -> Path:
    """Where PostgreSQL's own programs are.

    Raises:
        MissingError: Patroni, etcd or PostgreSQL is not installed.
    """
    found = sorted(SERVERS.glob("*/bin/pg_rewind"), key=lambda path: int(path.parts[-3]))
    absent = [name for name in ("patroni", "patronictl", "etcd") if shutil.which(name) is None]
    absent += [] if found else ["a PostgreSQL server"]
    if absent:
        raise MissingError(f"missing: {', '.join(absent)}. On Debian, with RUNLEVEL=1 so that nothing starts: {NEEDED}")
    return found[-1].parent


class Node:
    """One server with its Patroni."""

    def __init__(self, cluster: PatroniCluster, number: int) -> None:
        self.name = f"node{number}"
        self.port = wheels._free_port()
        self.data = cluster.directory / f"data{number}"
        self.config = cluster.directory / f"{self.name}.json"
        self.conninfo = f"postgresql://postgres:{cluster.password}@{LOOPBACK}:{self.port}/postgres"
        self._cluster = cluster
        self._api = wheels._free_port()
        self.config.write_text(json.dumps(self._settings()))
        wheels._hand_over(self.config)

    def start(self) -> None:
        """Start Patroni, which starts the server."""
        self._cluster.run_in_background("patroni", str(self.config))

    def kill(self) -> None:
        """Kill Patroni and every process of the server, as a machine that loses its power does."""
        keeper.signal_all(self.config, signal.SIGKILL)
        servers.signal_all(self.data, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop Patroni and the server in their tracks, as a machine that hangs; the kernel goes on accepting."""
        keeper.signal_all(self.config, signal.SIGSTOP)
        servers.signal_all(self.data, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let Patroni and the server go on."""
        servers.signal_all(self.data, signal.SIGCONT)
        keeper.signal_all(self.config, signal.SIGCONT)

    def runs(self) -> bool:
        """Whether its Patroni runs."""
        return any(True for _ in keeper.processes_of(self.config))

    def status(self) -> dict[str, Any]:
        """What its Patroni says of it; empty where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._api}/patroni", timeout=2.0) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as answer:
            with answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return {}

    def accepts_writes(self) -> bool:
        """Whether it commits a write of a session of its own now."""
        try:
            with psycopg.connect(self.conninfo, connect_timeout=2, autocommit=True) as session:
                # The first failover leaves no standby for a moment; the write that waits for one is given up.
                session.execute("SET statement_timeout = 500")
                session.execute("UPDATE written SET at = clock_timestamp()")
        except psycopg.Error:
            return False
        return True

    def _settings(self) -> dict[str, Any]:
        cluster = self._cluster
        login = {"username": "postgres", "password": cluster.password}
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": f"{LOOPBACK}:{self._api}", "connect_address": f"{LOOPBACK}:{self._api}"},
            # Over etcd's third protocol, Patroni 3.0.2 could not name a synchronous standby again after a failover.
            "etcd": {"host": f"{LOOPBACK}:{cluster.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    **_DCS,
                    "synchronous_mode": cluster.synchronous,
                    "postgresql": {"use_pg_rewind": True, "parameters": _PARAMETERS},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
                "pg_hba": [
                    f"host replication all {LOOPBACK}/32 scram-sha-256",
                    f"host all all {LOOPBACK}/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": f"{LOOPBACK}:{self.port}",
                "connect_address": f"{LOOPBACK}:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(cluster.binaries),
                "pgpass": str(cluster.directory / f"{self.name}.pgpass"),
                "authentication": {"superuser": login, "replication": login, "rewind": login},
                "parameters": {"unix_socket_directories": str(cluster.directory)},
            },
        }


class PatroniCluster:
    """The nodes and their etcd.

    Args:
        directory: A new directory of the user that the servers run as.
        synchronous: Whether a commit waits for a standby.
    """

    def __init__(self, directory: Path, *, synchronous: bool) -> None:
        self.binaries = binaries()
        self.directory = directory
        self.synchronous = synchronous
        self.password = secrets.token_hex(16)
        self.etcd_port = wheels._free_port()
        self.nodes = [Node(self, number) for number in range(NODES)]

    @property
    def url(self) -> str:
        """A store's URL that names every node and asks for the one that takes writes."""
        hosts = "&".join(f"host={LOOPBACK}:{node.port}" for node in self.nodes)
        return f"postgresql+psycopg://postgres:{self.password}@/postgres?{hosts}&target_session_attrs=read-write"

    def start(self) -> None:
        """Start everything, and wait until one node is the primary and the others follow it."""
        self._start_etcd()
        self.nodes[0].start()
        assert eventually(lambda: self.primary() is self.nodes[0], START_SECONDS), self.logs()
        for node in self.nodes[1:]:
            node.start()
        self.await_standbys()
        with psycopg.connect(self.nodes[0].conninfo, autocommit=True) as session:
            session.execute("CREATE TABLE written (at timestamptz); INSERT INTO written VALUES (now())")

    def primary(self) -> Node | None:
        """The node that holds the leader's lock and takes writes; ``None`` where there is none."""
        leaders = {"master", "primary"}
        return next((node for node in self.nodes if node.status().get("role") in leaders), None)

    def await_standbys(self) -> None:
        """Wait until all nodes run, and if replication is synchronous, until one standby is waited for."""
        assert eventually(self._is_complete, START_SECONDS), self.logs()

    def switchover(self, leader: Node) -> None:
        """Have the leader hand its lock over in good order."""
        self.run("patronictl", "-c", str(leader.config), "switchover", "--master", leader.name, "--force", SCOPE)

    def restore(self) -> None:
        """Start every node that was killed, let go on those that hang, and wait until all follow the primary."""
        for node in self.nodes:
            node.thaw()
            if not node.runs():
                node.start()
        self.await_standbys()

    def run(self, *command: str) -> str:
        """Run a command as the servers' user and return what it wrote."""
        return wheels._run(list(command), self.directory)

    def run_in_background(self, name: str, *arguments: str) -> None:
        """Start a program of the servers' user, whose output goes into a file."""
        with (self.directory / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                [name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.directory)},
                start_new_session=True,
                **guard.as_owner(self.directory),
            )

    def logs(self) -> str:
        """The end of what etcd and Patroni have written."""
        return "\n".join(
            f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in self.directory.glob("*.log")
        )

    def _start_etcd(self) -> None:
        clients, peers = f"http://{LOOPBACK}:{self.etcd_port}", f"http://{LOOPBACK}:{wheels._free_port()}"
        arguments = {
            "data-dir": self.directory / "etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "enable-v2": "true",
            "unsafe-no-fsync": "true",
        }
        self.run_in_background("etcd", *(f"--{name}={value}" for name, value in arguments.items()))

    def _is_complete(self) -> bool:
        states = [node.status() for node in self.nodes]
        following = [state for state in states if state.get("state") in {"running", "streaming"}]
        # Patroni knows which standby it may promote, and the primary waits for that one.
        known = any(state.get("sync_standby") for state in states)
        streaming = self._streaming()
        is_safe = not self.synchronous or (known and "sync" in streaming)
        return len(following) == NODES and len(streaming) == NODES - 1 and is_safe

    def _streaming(self) -> list[str]:
        """How the primary regards each standby that follows it: ``"sync"`` or ``"async"``."""
        primary = self.primary()
        return [] if primary is None else [each["sync_state"] for each in primary.status().get("replication", ())]


@contextlib.contextmanager
def patroni_cluster(*, synchronous: bool = True) -> Iterator[PatroniCluster]:
    """A cluster that runs, in a directory of its own that is gone after the block, however the block ends.

    Raises:
        MissingError: Patroni, etcd or PostgreSQL is not installed.
    """
    binaries()
    directory = wheels._new_directory()
    with subprocess.Popen(
        [sys.executable, keeper.__file__, str(directory)], stdin=subprocess.PIPE, start_new_session=True
    ):
        cluster = PatroniCluster(directory, synchronous=synchronous)
        cluster.start()
        yield cluster
