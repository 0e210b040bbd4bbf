"""No message, repr, log record or traceback contains a password."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import (
    AsyncRedisStore,
    AsyncSqlStore,
    CircuitBreaker,
    CircuitBreakerError,
    FleetCollector,
    RedisStore,
    SqlStore,
    StoreError,
    StoreUnavailableError,
    TooManyBreakersError,
    make_store,
    migrate,
    prune,
)
from cbstore_sql.cli import main
from cbstore_sql.cli.demo.database import DemoDatabase
from cbstore_sql.cli.demo.worker import WorkerTask
from cbstore_sql.migration import downgrade, migration_sql
from cbstore_sql.migration.runner import Target
from cbstore_sql.stores.sql.connections.engine import parse_url
from tests.system.security.conftest import SECRET, Granted

NOBODY = "127.0.0.1:1"
SQL_URLS = [
    f"postgresql://user:{SECRET}@{NOBODY}/db",
    f"postgresql://{NOBODY}/db?user=user&password={SECRET}",
    f"postgresql+psycopg://user@{NOBODY}/db?sslpassword={SECRET}&sslmode=prefer",
    f"postgresql://user:{SECRET}@{NOBODY}/db?sslmode=verify-full&sslrootcert=/nowhere/{SECRET}",
    f"postgresql://user:{SECRET}@{NOBODY}/db?sslmode={SECRET}",
    f"postgresql://user:{SECRET}@{NOBODY}/db?no_such_option={SECRET}",
    f"postgresql://user@{NOBODY}/db?connect_timeout={SECRET}",
    f"postgresql://user:{SECRET}@h:port/db",
    f"postgresql://user:{SECRET}@[::1/db",
    f"mysql://user:{SECRET}@{NOBODY}/db",
    f"host=127.0.0.1 port=1 password={SECRET}",
    f"sqlite:////nowhere/{SECRET}/file.db",
    SECRET,
]
REDIS_URLS = [
    f"redis://:{SECRET}@{NOBODY}/0",
    f"redis://user:{SECRET}@{NOBODY}",
    f"rediss://:{SECRET}@{NOBODY}/0",
    f"redis://{NOBODY}/0?password={SECRET}",
    f"redis://:{SECRET}@{NOBODY}/0?socket_timeout={SECRET}",
    f"redis://:{SECRET}@{NOBODY}/0?no_such_option={SECRET}",
    f"redis://:{SECRET}@h:port/0",
    f"redis://:{SECRET}@[::1/0",
    f"unix://:{SECRET}@/nowhere/{SECRET}.sock",
]


class Heard:
    """Records the output, logs, errors and representations of a function."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capsys = capsys
        self._said: list[str] = []

    def run(self, work: Callable[[], Any]) -> BaseException | None:
        """Call a function, record its result or error, and return the error."""
        try:
            self._said += [f"{(result := work())!r}", str(result)]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it must not tell
            self._said += [repr(error), *traceback.format_exception(error)]
            return error
        return None

    def everything(self) -> str:
        written = self._capsys.readouterr()
        records = [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in self._caplog.records]
        return "\n".join([*self._said, self._caplog.text, *records, written.out, written.err])


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Heard:
    """Record all logs at the lowest level."""
    for name in (None, "cbstore_sql", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "alembic", "psycopg"):
        caplog.set_level(logging.DEBUG, logger=name)
    return Heard(caplog, capsys)


def use(store: Any) -> None:
    """Make a call of a store."""
    try:
        repr(store)
        store.record_failure("b")
    finally:
        store.close()


async def use_async(make: Callable[[], Any]) -> None:
    """Make a call of an asynchronous store."""
    store = make()
    try:
        repr(store)
        await store.record_failure("b")
    finally:
        await store.close()


SQL_WORK: dict[str, Callable[[str], Any]] = {
    "make_store": lambda url: use(make_store(url)),
    "SqlStore": lambda url: use(SqlStore(url)),
    "SqlStore relaxed": lambda url: use(SqlStore(url, durability="relaxed")),
    "SqlStore, engine": lambda url: use(SqlStore(sa.create_engine(parse_url(url), hide_parameters=True))),
    "AsyncSqlStore": lambda url: asyncio.run(use_async(lambda: AsyncSqlStore(url))),
    "migrate": migrate,
    "downgrade": lambda url: downgrade(url, "base"),
    "migration_sql": lambda url: migration_sql(url, revision="nonsense"),
    "Target": Target,
    "prune": lambda url: prune(url, idle_for=3600, namespace=SECRET),
    "fleet metrics": lambda url: list(FleetCollector(SqlStore(url)).collect()),
    "cbstore status": lambda url: main(["status", "--json", "--url", url]),
    "cbstore migrate": lambda url: main(["migrate", "--url", url]),
    "cbstore prune": lambda url: main(["prune", "--idle-for", "30d", "--url", url]),
    "cbstore demo": lambda url: main(["demo", "--plain", "--url", url]),
    "cbstore, bad usage": lambda url: main(["status", "--url", url, "--nonsense"]),
}
REDIS_WORK: dict[str, Callable[[str], Any]] = {
    "make_store": lambda url: use(make_store(url)),
    "RedisStore": lambda url: use(RedisStore.from_url(url)),
    "AsyncRedisStore": lambda url: asyncio.run(use_async(lambda: AsyncRedisStore.from_url(url))),
}


# If a file cannot be opened, aiosqlite's thread may still answer to an event loop that has ended.
NOWHERE = [
    pytest.param(work, url, id=f"{work}-{number}")
    for work in SQL_WORK
    for number, url in enumerate(SQL_URLS)
    if not (work == "AsyncSqlStore" and url.startswith("sqlite"))
]


@pytest.mark.parametrize(("work", "url"), NOWHERE)
def test_no_operation_on_an_unreachable_sql_url_shows_the_password(work: str, url: str, heard: Heard) -> None:
    error = heard.run(lambda: SQL_WORK[work](url))
    assert error is None or isinstance(error, (CircuitBreakerError, SystemExit)), repr(error)
    assert SECRET not in heard.everything()


@pytest.mark.parametrize("url", REDIS_URLS, ids=range(len(REDIS_URLS)))
@pytest.mark.parametrize("work", REDIS_WORK)
def test_no_operation_on_an_unreachable_redis_url_shows_the_password(work: str, url: str, heard: Heard) -> None:
    assert isinstance(heard.run(lambda: REDIS_WORK[work](url)), CircuitBreakerError)
    assert SECRET not in heard.everything()


@pytest.mark.parametrize("work", SQL_WORK)
def test_no_operation_with_a_refused_password_shows_the_password(work: str, granted: Granted, heard: Heard) -> None:
    wrong = f"wrong-{SECRET}"
    url = sa.make_url(granted.runtime).set(password=wrong).render_as_string(hide_password=False)
    heard.run(lambda: SQL_WORK[work](url))
    assert SECRET not in heard.everything()


def test_a_guarded_call_without_its_store_shows_no_password(heard: Heard) -> None:
    def guard() -> CircuitBreaker:
        breaker = CircuitBreaker(SqlStore(SQL_URLS[0]), push=True, listeners=[logging.getLogger("heard").debug])
        assert breaker.call("b", lambda: 42) == 42
        heard.run(lambda: breaker)
        heard.run(lambda: vars(breaker))
        breaker.close()
        return breaker

    assert heard.run(guard) is None
    assert SECRET not in heard.everything()


@pytest.mark.parametrize("url", SQL_URLS[:4], ids=range(4))
def test_no_representation_shows_a_url(url: str, heard: Heard) -> None:
    store, awaited = SqlStore(url), AsyncSqlStore(url)
    for shown in (store, awaited, Target(url)):
        heard.run(partial(lambda it: it, shown))
    heard.run(lambda: DemoDatabase(url, "cbstore", "PostgreSQL", store))
    heard.run(lambda: WorkerTask(1, url, "cbstore", "default", 1, None))  # type: ignore[arg-type] # no pace is kept
    assert SECRET not in heard.everything()


@pytest.mark.parametrize("url", REDIS_URLS[:4], ids=range(4))
def test_no_representation_of_a_redis_store_shows_a_url(url: str, heard: Heard) -> None:
    for shown in (RedisStore.from_url(url), AsyncRedisStore.from_url(url)):
        heard.run(partial(lambda it: it, shown))
    assert SECRET not in heard.everything()


def test_errors_show_only_words_of_the_library() -> None:
    cause = ValueError(SECRET)
    for error in (StoreError("no"), StoreUnavailableError("no", applied=False), TooManyBreakersError("n", 1)):
        error.__cause__ = cause
        assert SECRET not in f"{error} {error!r} {error.args}"


def test_help_does_not_show_the_url_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CBSTORE_URL", SQL_URLS[0])
    for command in ("status", "migrate", "prune", "exporter"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    assert SECRET not in capsys.readouterr().out


def test_parameters_of_a_statement_are_not_logged(heard: Heard, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    with SqlStore(url, namespace=SECRET) as store:
        store.record_failure(SECRET)
    heard.run(lambda: prune(url, idle_for=3600, namespace=SECRET))
    assert SECRET not in heard.everything()


def test_the_recorder_of_these_tests_records_logs_output_and_errors(heard: Heard) -> None:
    """Without this test, an empty record would prove nothing."""

    def tell() -> None:
        logging.getLogger("cbstore_sql").debug("%s", "logged")
        sys.stderr.write("written")
        raise ValueError("raised")

    heard.run(tell)
    everything = heard.everything()
    assert all(word in everything for word in ("logged", "written", "raised"))
