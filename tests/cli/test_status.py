"""``cbstore status`` on a database with breakers in every state."""

from __future__ import annotations

import json
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from cbstore_sql import BreakerPolicy, SqlStore, migrate
from cbstore_sql.cli import main
from cbstore_sql.cli.stores import Breakers
from cbstore_sql.cli.watch import watch
from cbstore_sql.errors import StoreUnavailableError

# The times are so long that the output is the same on a slow machine.
POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=3 * 86400, probe_lease=5 * 86400)
NONE = "no breakers (one that never failed is not in the table)\n"
HOSTILE = ("[red]x[/red]", "a\nb", "\x1b[31mred", "back\\nslash", "\u202egnp", "", "снова")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS", "TZ"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    return url


def fill(url: str, schema: str = "cbstore") -> None:
    """Make one breaker for each state, in another order than that of the table."""
    with SqlStore(url, schema=schema, namespace="web") as store:
        store.record_failure("mail", POLICY)
        store.force_open("search", 0)
        store.claim_probe("search", POLICY, token="api-1/77/f00d")
        store.record_failure("billing", POLICY, failures=2)
    with SqlStore(url, schema=schema, namespace="batch") as store:
        store.reset("ledger")


def status(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["status", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def objects(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    breakers: list[dict[str, Any]] = json.loads(status(capsys, "--json", *arguments))
    return breakers


def test_open_breakers_come_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    header, *rows = status(capsys, "--url", url).splitlines()
    assert header.split() == ["namespace", "name", "state", "override", "failures", "next", "last", "failure", "gen"]
    assert [row.split()[:3] for row in rows] == [
        ["web", "billing", "open"],
        ["web", "search", "half_open"],
        ["batch", "ledger", "closed"],
        ["web", "mail", "closed"],
    ]


def test_a_row_shows_the_next_probe_its_owner_and_the_last_failure(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(url)
    failed = datetime.fromisoformat(objects(capsys, "--url", url)[0]["last_failure_time"]).astimezone()
    billing, search, ledger, _ = status(capsys, "--url", url).splitlines()[1:]
    assert " probe in 3 d " in billing
    assert "probe: api-1/77, lease 5 d" in search
    assert "never" in ledger
    assert f"{failed.isoformat(sep=' ', timespec='seconds')}, " in billing
    assert " ago " in billing


def test_the_option_namespace_selects_one_namespace(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    assert [row["name"] for row in objects(capsys, "--url", url, "--namespace", "batch")] == ["ledger"]
    assert status(capsys, "--url", url, "--namespace", "nobody") == NONE


def test_json_has_iso_times_in_utc_and_plain_numbers(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    billing, search, ledger, mail = objects(capsys, "--url", url)
    failed, until = (datetime.fromisoformat(billing[key]) for key in ("last_failure_time", "open_until"))
    assert until - failed == timedelta(days=3)
    assert failed.utcoffset() == until.utcoffset() == timedelta(0)
    assert timedelta(seconds=billing["retry_after"]) <= timedelta(days=3)
    assert {**billing, "last_failure_time": 0, "open_until": 0, "as_of": 0, "retry_after": 0} == {
        "namespace": "web",
        "name": "billing",
        "state": "open",
        "generation": 1,
        "failure_count": 2,
        "success_count": 0,
        "last_failure_time": 0,
        "open_until": 0,
        "open_seconds": 259200.0,
        "retry_after": 0,
        "probe_token": None,
        "probe_until": None,
        "score": 0.0,
        "hold_until": None,
        "closed_at": None,
        "override": None,
        "override_until": None,
        "override_by": None,
        "override_reason": None,
        "as_of": 0,
    }
    assert (search["state"], search["probe_token"]) == ("half_open", "api-1/77/f00d")
    assert 0 < search["retry_after"] <= 5 * 86400
    assert (ledger["last_failure_time"], ledger["open_until"], mail["failure_count"]) == (None, None, 1)


def test_the_same_breakers_are_read_from_postgresql(
    url: str, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = f"status_{secrets.token_hex(4)}"
    migrate(postgres_url, schema=schema)
    fill(postgres_url, schema)
    fill(url)
    keys = ("namespace", "name", "state", "generation", "failure_count", "open_seconds", "probe_token")
    on_postgresql = objects(capsys, "--url", postgres_url, "--schema", schema)
    on_sqlite = objects(capsys, "--url", url)
    assert [[row[key] for key in keys] for row in on_postgresql] == [[row[key] for key in keys] for row in on_sqlite]


def test_the_database_and_the_schema_come_from_the_environment(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = f"status_{secrets.token_hex(4)}"
    migrate(postgres_url, schema=schema)
    monkeypatch.setenv("CBSTORE_URL", postgres_url)
    monkeypatch.setenv("CBSTORE_SCHEMA", schema)
    assert objects(capsys) == []


def test_control_characters_in_names_are_escaped(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with SqlStore(url, namespace="[bold]\n") as store:
        for name in HOSTILE:
            store.record_failure(name)
    output = status(capsys, "--url", url)
    assert len(output.splitlines()) == 1 + len(HOSTILE)
    assert output.replace("\n", "").isprintable()
    for shown in ("[red]x[/red]", r"a\nb", r"\x1b[31mred", r"back\\nslash", r"\u202egnp", "''", "снова", r"[bold]\n"):
        assert f"{shown} " in output
    assert {row["name"] for row in objects(capsys, "--url", url)} == set(HOSTILE)


def test_times_after_the_year_9999_are_shown_as_that_year(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with SqlStore(url) as store:
        store.force_open("x", 60)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE breakers SET open_until = 1e12, last_failure_time = 1e12")
    connection.close()
    assert objects(capsys, "--url", url)[0]["open_until"] == "9999-01-01T00:00:00+00:00"
    assert status(capsys, "--url", url)


def test_on_a_terminal_states_are_coloured_and_the_table_fits(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    with SqlStore(url) as store:
        store.reset("long " * 30)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    output = status(capsys, "--url", url)
    assert "\x1b[1;31mopen" in output
    assert "\x1b[32mclosed" in output
    assert max(map(len, Text.from_ansi(output).plain.splitlines())) <= 80


def test_an_empty_table_is_reported_in_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(capsys, "--url", url) == NONE
    assert objects(capsys, "--url", url) == []


def test_without_a_url_and_a_file_the_error_says_how_to_name_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CBSTORE_URL", raising=False)
    assert "no database was named: give --url or set CBSTORE_URL" in status(capsys, code=3)
    assert "none.db" in status(capsys, "--url", "sqlite:///none.db", code=3)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_missing_table_names_the_command_to_run(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "empty.db"
    file.touch()
    error = status(capsys, "--url", f"sqlite:///{file}", *options, code=3)
    assert "run 'cbstore migrate --url …'" in error
    assert len(error.splitlines()) == 1


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = status(capsys, "--url", f"sqlite:///{tmp_path}/none.db", code=3)
    assert "run 'cbstore migrate' to create it" in error
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_database_is_reported_in_one_line_without_the_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = status(capsys, "--url", "postgresql://me:hunter2@127.0.0.1:1/db", code=3)
    assert len(error.splitlines()) == 1
    assert "hunter2" not in error


def test_without_rich_the_table_is_the_same_plain_text(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    before = [line.split()[:3] for line in status(capsys, "--url", url).splitlines()]
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("FORCE_COLOR", "1")
    output = status(capsys, "--url", url)
    assert [line.split()[:3] for line in output.splitlines()] == before
    assert "\x1b" not in output


def test_no_color_leaves_the_table_without_colours(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    output = status(capsys, "--url", url)
    assert "billing" in output
    assert "\x1b[31m" not in output
    assert "31;" not in output
    assert ";31m" not in output


def test_the_option_state_selects_the_states(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    rows = objects(capsys, "--url", url, "--state", "open", "--state", "half_open")
    assert [row["state"] for row in rows] == ["open", "half_open"]


def test_fail_if_open_gives_exit_code_1_only_if_a_shown_breaker_is_not_closed(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(url)
    assert main(["status", "--url", url, "--fail-if-open"]) == 1
    assert main(["status", "--url", url, "--fail-if-open", "--namespace", "batch"]) == 0


def test_the_namespace_comes_from_the_environment(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    monkeypatch.setenv("CBSTORE_NAMESPACE", "batch")
    assert [row["name"] for row in objects(capsys, "--url", url)] == ["ledger"]


def test_a_forced_circuit_is_marked_as_forced(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    with SqlStore(url, namespace="batch") as store:
        store.force_open("ledger", 7200)
    ledger, billing = status(capsys, "--url", url, "--state", "open").splitlines()[1:]
    assert "open (forced)  " in ledger
    assert "probe in 2 h" in ledger
    assert "forced" not in billing


def test_watch_shows_the_breakers_repeatedly_and_shows_errors(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    answers: Iterator[Breakers | BaseException] = iter(
        [read_once(url), StoreUnavailableError("gone"), KeyboardInterrupt()]
    )

    def read() -> Breakers:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    watch(read, 2.0, sleep=lambda seconds: None)
    output = capsys.readouterr().out
    assert "4 breakers, 1 open, 1 half_open" in output
    assert "billing" in output
    assert "gone" in output


def read_once(url: str) -> Breakers:
    with SqlStore(url) as store:
        return store.read_all()
