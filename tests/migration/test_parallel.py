from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import migrate
from cbstore_sql.migration import downgrade
from tests.migration.databases import table_names

PROCESSES = 12
ROUNDS = 4
Targets = list[tuple[str, str]]


def upgrade_all(targets: Targets, options: dict[str, Any], barrier: Barrier, results: mp.Queue[str]) -> None:
    """Migrate one empty database after the other, each at the same moment as the other processes."""
    try:
        for url, schema in targets:
            engine = sa.create_engine(url, poolclass=sa.NullPool, **options)
            barrier.wait()
            migrate(engine, schema=schema)
        results.put("")
    except BaseException as error:
        barrier.abort()
        results.put(repr(error))
        raise


def upgrade_in_processes(targets: Targets, **options: Any) -> list[str]:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["cbstore_sql.migration", __name__])
    barrier, results = context.Barrier(PROCESSES, timeout=60.0), context.Queue()
    arguments = (targets, options, barrier, results)
    workers = [context.Process(target=upgrade_all, args=arguments) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    complaints = [results.get(timeout=120.0) for _ in workers]
    for worker in workers:
        worker.join()
    return [complaint for complaint in complaints if complaint]


def test_all_parallel_processes_can_upgrade_sqlite(tmp_path: Path) -> None:
    targets = [(f"sqlite:///{tmp_path}/{round_}.db", "cbstore") for round_ in range(ROUNDS)]
    assert upgrade_in_processes(targets) == []
    for url, _ in targets:
        assert table_names(url) == {"breakers", "cbstore_version"}


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT"])
def test_all_parallel_processes_can_upgrade_postgresql(postgresql_url: str, isolation: str) -> None:
    targets = [(postgresql_url, f"round_{round_}") for round_ in range(ROUNDS)]
    assert upgrade_in_processes(targets, isolation_level=isolation) == []
    for _, schema in targets:
        assert table_names(postgresql_url, schema) == {"breakers", "cbstore_version"}


@pytest.mark.parametrize("change", [migrate, lambda url: downgrade(url, "base")], ids=["up", "down"])
def test_parallel_threads_migrate_one_after_the_other(empty_url: str, change: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(change, empty_url) for _ in range(8)]:
            done.result()
