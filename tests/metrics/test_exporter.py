"""Tests of ``cbstore exporter`` as a process that is scraped over HTTP."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from cbstore_sql import BreakerPolicy, SqlStore, migrate
from tests.cli.running import started
from tests.metrics.processes import python

Samples = dict[str, dict[str, float]]


@contextlib.contextmanager
def exporter(folder: Path, url: str, *arguments: str, end: int = signal.SIGTERM) -> Iterator[str]:
    """Run an exporter for a database, yield its address, and end it with a signal."""
    # Other tests of the same database may leave more breakers than the exporter shows by default.
    shown = () if "--max-breakers" in arguments else ("--max-breakers", "1000000")
    with started(folder, "exporter", "--url", url, "--port", "0", *shown, *arguments) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(r"metrics on (http://127\.0\.0\.1:\d+/metrics)\n", line)
        assert found, line
        yield found[1]
        process.send_signal(end)
        assert process.wait(30) == 0


def scraped(address: str, namespace: str) -> Samples:
    """Return the values by series and breaker, or by series and state if the series has no breaker."""
    with urlopen(address) as answer:  # noqa: S310 - an address of our own
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples: Samples = {}
    for family in families:
        for sample in family.samples:
            if sample.labels.get("namespace", namespace) == namespace:
                label = sample.labels.get("backend") or sample.labels.get("state") or ""
                samples.setdefault(sample.name, {})[label] = sample.value
    return samples


@pytest.fixture(params=["postgres", "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"migrated_{request.param}_url"))


def test_the_next_scrape_shows_changes_of_other_processes(url: str, tmp_path: Path) -> None:
    with SqlStore(url, namespace="exported") as store, exporter(tmp_path, url) as address:
        store.force_open("api", 3600.0)
        store.record_failure("mail", BreakerPolicy(failure_threshold=9))
        seen = scraped(address, "exported")
        assert seen["cb_fleet_up"] == {"": 1}
        assert seen["cb_fleet_state"] == {"api": 2, "mail": 0}
        assert seen["cb_fleet_failures"] == {"api": 0, "mail": 1}
        assert 0 < seen["cb_fleet_open_seconds_remaining"]["api"] <= 3600
        store.reset("api")
        assert scraped(address, "exported")["cb_fleet_state"] == {"api": 0, "mail": 0}


def test_the_metrics_show_a_probe_that_is_due_running_or_abandoned(url: str, tmp_path: Path) -> None:
    with SqlStore(url, namespace="probed") as store, exporter(tmp_path, url) as address:
        store.force_open("api", 0.0)
        due = scraped(address, "probed")
        assert due["cb_fleet_state"] == {"api": 2}
        assert due["cb_fleet_open_seconds_remaining"] == {"api": 0}
        assert due["cb_fleet_probe_overdue_seconds"]["api"] > 0
        python(f"from cbstore_sql import SqlStore; assert SqlStore({url!r}, namespace='probed').claim_probe('api')")
        held = scraped(address, "probed")
        assert (held["cb_fleet_state"], held["cb_fleet_probe_active"]) == ({"api": 1}, {"api": 1})
        assert held["cb_fleet_probe_overdue_seconds"] == {"api": 0}
        store.force_open("mail", 0.0, now=1000.0)
        assert store.claim_probe("mail", now=1000.0)
        gone = scraped(address, "probed")
        assert (gone["cb_fleet_state"]["mail"], gone["cb_fleet_probe_active"]["mail"]) == (1, 0)
        assert gone["cb_fleet_probe_lease_seconds_remaining"]["mail"] == 0
        assert gone["cb_fleet_probe_overdue_seconds"]["mail"] > 1e9


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_sigint_and_sigterm_end_the_exporter_with_exit_code_0(
    migrated_sqlite_url: str, tmp_path: Path, end: int
) -> None:
    with exporter(tmp_path, migrated_sqlite_url, end=end) as address:
        assert scraped(address, "any")["cb_fleet_up"] == {"": 1}
    with pytest.raises(OSError, match="refused"):
        urlopen(address)  # noqa: S310 - an address of our own


def test_the_exporter_starts_without_a_table_and_shows_fleet_up_0_until_it_exists(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    (tmp_path / "new.db").touch()
    with exporter(tmp_path, url) as address:
        assert set(scraped(address, "any")) == {"cb_fleet_up", "cb_fleet_scrape_duration_seconds"}
        assert scraped(address, "any")["cb_fleet_up"] == {"": 0}
        migrate(url)
        assert scraped(address, "any")["cb_fleet_up"] == {"": 1}


def test_a_locked_table_gives_fleet_up_0_within_the_timeout_and_leaves_no_session(
    migrated_postgres_url: str, tmp_path: Path
) -> None:
    url = sa.make_url(migrated_postgres_url).update_query_dict({"application_name": "locked-exporter"})
    engine = sa.create_engine(migrated_postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'locked-exporter' AND state = 'active'"
    scrapes = exporter(tmp_path, url.render_as_string(hide_password=False), "--timeout", "0.3s")
    # In the transaction of the blocker, pg_stat_activity would not change after the first read.
    with scrapes as address, engine.connect() as blocker, engine.connect() as observer:
        blocker.exec_driver_sql("BEGIN")
        blocker.exec_driver_sql("LOCK TABLE cbstore.breakers")
        for _ in range(4):
            assert scraped(address, "any")["cb_fleet_up"] == {"": 0}
        deadline = time.monotonic() + 30
        while observer.exec_driver_sql(waiting).scalar():
            assert time.monotonic() < deadline, "a statement that was given up still waits on the server"
            time.sleep(0.05)
        blocker.exec_driver_sql("ROLLBACK")
        assert scraped(address, "any")["cb_fleet_up"] == {"": 1}


def test_the_option_max_breakers_limits_the_series(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/two.db"
    migrate(url)
    with SqlStore(url) as store, exporter(tmp_path, url, "--max-breakers", "1") as address:
        store.record_failure("api")
        store.force_open("mail", 60.0)
        seen = scraped(address, "default")
        assert seen["cb_fleet_state"] == {"mail": 2}
        assert seen["cb_fleet_dropped_breakers"] == {"": 1}


def refusal(folder: Path, *arguments: str) -> tuple[int, str]:
    with started(folder, "exporter", *arguments) as process:
        output, _ = process.communicate(timeout=30)
    return process.returncode, output.splitlines()[-1]


def test_an_error_of_the_exporter_is_one_line(migrated_sqlite_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = refusal(tmp_path, "--url", migrated_sqlite_url, "--port", port)
    assert (code, line) == (2, f"cbstore: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert refusal(tmp_path, "--url", "sqlite:///none.db")[0] == 3
    assert not (tmp_path / "none.db").exists()
    assert refusal(tmp_path, "--port", "65536") == (
        2,
        "cbstore exporter: error: argument --port: a port is between 0 and 65535",
    )


def test_without_prometheus_client_the_error_names_the_extra(migrated_sqlite_url: str) -> None:
    code = (
        "import sys\n"
        "sys.modules['prometheus_client'] = None\n"
        "from cbstore_sql.cli import main\n"
        f"sys.stderr = sys.stdout\nprint(main(['exporter', '--url', {migrated_sqlite_url!r}]))"
    )
    assert python(code).splitlines() == [
        "cbstore: the exporter needs the extra: pip install 'cbstore_sql[prometheus]'",
        "2",
    ]
