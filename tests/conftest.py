"""Fixtures for every test: the URLs of the servers, and the profiles of Hypothesis."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from cbstore_sql import migrate
from tests.servers import choice, clients, wheels

SERVERS = pytest.StashKey[dict[choice.Product, choice.Choice]]()
VERSIONS = pytest.StashKey[list[str]]()

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[SERVERS] = choice.choose(os.environ)
    except pytest.fail.Exception as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[VERSIONS] = []


def pytest_report_header(config: pytest.Config) -> str:
    return "cbstore servers: " + ", ".join(server.origin for server in config.stash[SERVERS].values())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if versions := config.stash[VERSIONS]:
        terminalreporter.write_line("cbstore servers used: " + ", ".join(versions))


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The SQLAlchemy URL of a superuser and of a database that only this run uses."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(pytestconfig.stash[SERVERS][choice.POSTGRES].start())
        url, version = stack.enter_context(clients.fresh_database(server))
        pytestconfig.stash[VERSIONS].append(f"PostgreSQL {version}")
        yield url


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a Redis that other runs may use too. Each test must use unique names."""
    with pytestconfig.stash[SERVERS][choice.REDIS].start() as url:
        pytestconfig.stash[VERSIONS].append(f"Redis {clients.redis_version(url)}")
        yield url


@pytest.fixture(scope="session")
def scriptless_redis_url() -> Iterator[str]:
    """The URL of a Redis from the wheel, without the commands for Lua."""
    with wheels.redis(scripting=False) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres_url(postgres_url: str) -> str:
    """The same database, with the breaker table in it."""
    migrate(postgres_url)
    return postgres_url


@pytest.fixture(scope="session")
def migrated_sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite file with the breaker table in it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/cbstore.db"
    migrate(url)
    return url
