"""Tests of the commands for one breaker, and of what all commands share, on every kind of database."""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, make_store, migrate
from cbstore_sql.cli import _COMMANDS, main
from cbstore_sql.cli.stores import in_time
from cbstore_sql.errors import StoreUnavailableError
from tests.cli.running import ROOT, environment

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=3600)
REASON = ("--reason", "planned")


@pytest.fixture(params=["postgres", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database with two breakers in a namespace that only this test uses."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/breakers.db"
        migrate(url)
    elif request.param == "redis":
        url = str(request.getfixturevalue("redis_url"))
    else:
        url = str(request.getfixturevalue("migrated_postgres_url"))
    namespace = f"cli/{secrets.token_hex(4)}"
    monkeypatch.setenv("CBSTORE_URL", url)
    monkeypatch.setenv("CBSTORE_NAMESPACE", namespace)
    with make_store(url, namespace=namespace) as store:
        store.record_failure("payments", POLICY, failures=2)
        store.record_failure("mail", POLICY)
        yield namespace
        for name in ("payments", "mail", "new"):
            store.clear(name)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.err if code in (2, 3, 4) else captured.out


def state_of(capsys: pytest.CaptureFixture[str], name: str) -> str:
    return str(json.loads(said(capsys, "show", name, "--json"))["state"])


def test_status_lists_the_namespace(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(said(capsys, "status", "--json"))
    assert [(row["name"], row["state"]) for row in rows] == [("payments", "open"), ("mail", "closed")]


def test_close_closes_the_circuit_and_open_opens_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "close", "payments", *REASON).startswith("payments: open -> closed")
    assert state_of(capsys, "payments") == "closed"
    opened = said(capsys, "open", "payments", "--for", "2h", *REASON)
    assert opened == "payments: closed -> open; a probe is due in 2 h\n"
    assert state_of(capsys, "payments") == "open"


def test_show_and_explain_describe_one_breaker(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "show", "payments")
    assert re.search(r"^state +open$", shown, re.MULTILINE)
    assert re.search(r"^next +probe in (1 h|59 min)", shown, re.MULTILINE)
    explained = said(capsys, "explain", "payments")
    assert "payments is open: calls are refused." in explained
    assert "the failures reached the threshold" in explained
    assert re.search(r"^history +\S+ \S+  closed -> open +the failures reached the threshold", shown, re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [
        ("show",),
        ("explain",),
        ("close", *REASON),
        ("open", "--for", "1m", *REASON),
        ("lock", "open", *REASON),
        ("unlock",),
    ],
    ids=lambda command: str(command[0]),
)
def test_an_unknown_name_is_refused_and_creates_no_breaker(
    command: tuple[str, ...], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(capsys, command[0], "paymenst", *command[1:], code=4)
    assert error == f"cbstore: there is no breaker paymenst in namespace {url}; did you mean payments?\n"
    assert len(json.loads(said(capsys, "status", "--json"))) == 2


def test_the_error_for_an_unknown_name_mentions_other_namespaces_with_that_name(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(capsys, "show", "payments", "--namespace", "elsewhere", code=4)
    assert "there is one in " in error
    assert url in error


def test_open_creates_a_breaker_with_the_option_create(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "open", "new", "--for", "1m", *REASON, "--create")
    assert state_of(capsys, "new") == "open"


def test_lock_sets_an_override_and_unlock_ends_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    locked = said(capsys, "lock", "mail", "open", "--for", "10m", "--reason", "double\ncharges", "--by", "alice")
    assert locked == "mail: locked open for 10 min\n"
    shown = json.loads(said(capsys, "show", "mail", "--json"))
    assert (shown["state"], shown["override"], shown["override_by"]) == ("closed", "open", "alice")
    assert shown["override_reason"] == "double\ncharges"
    assert shown["history"][-1]["cause"] == "override_open"
    row = next(line for line in said(capsys, "status").splitlines() if " mail " in line)
    assert re.search("locked open, (10 min|9 min [0-9]+ s) left", row)
    explained = said(capsys, "explain", "mail")
    assert "mail is locked open: every call is refused." in explained
    assert r"alice set this override. Reason: double\ncharges." in explained
    assert re.search("It ends in (10 min|9 min [0-9]+ s)", explained)
    assert said(capsys, "unlock", "mail", "--by", "bob") == "mail: unlocked (it was locked open)\n"
    assert json.loads(said(capsys, "show", "mail", "--json"))["override"] is None
    assert said(capsys, "unlock", "mail") == "mail: unlocked (it was not locked)\n"


def test_a_lock_without_a_time_lasts_until_it_is_unlocked(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "lock", "new", "shadow", *REASON, "--create") == "new: in shadow mode until it is unlocked\n"
    assert "It lasts until an operator unlocks the breaker." in said(capsys, "explain", "new")


def test_the_history_names_the_person_who_closed_the_circuit(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "close", "payments", *REASON, "--by", "carol")
    assert "closed by hand (by carol)" in said(capsys, "show", "payments")


def test_a_lock_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["lock", "payments", "open"])
    assert "--reason" in capsys.readouterr().err


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_help_of_each_command_has_examples_that_parse(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBSTORE_URL", "postgresql://me:hunter2@host/x")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert f"  cbstore {command}" in text.partition("examples:")[2]
    assert "hunter2" not in text


def test_the_general_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code} " in text for code in (0, 1, 2, 3, 4, 130, 141))


@pytest.mark.parametrize("text", ["10", "0s", "-1m", "soon"])
def test_a_duration_without_a_unit_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["open", "payments", f"--for={text}", *REASON])
    assert "argument --for" in capsys.readouterr().err


def test_python_m_is_the_same_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cbstore_sql", "--version"],
        env={**environment(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("cbstore ")


ON_ONE = (
    ("status",),
    ("show", "x"),
    ("explain", "x"),
    ("open", "x", "--for", "1m", *REASON, "--create"),
    ("close", "x", *REASON),
    ("lock", "x", "open", *REASON, "--create"),
    ("unlock", "x"),
    ("doctor",),
)
ON_A_TABLE = (("prune", "--idle-for", "30d"), ("migrate",), ("migrate", "--check"))


@pytest.mark.parametrize(
    ("scheme", "command"),
    [*(("redis", command) for command in ON_ONE), *(("postgresql", command) for command in (*ON_ONE, *ON_A_TABLE))],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_gives_up_at_the_timeout_if_the_server_never_answers(
    scheme: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/0"
        began = time.monotonic()
        error = said(capsys, *command, "--url", url, "--timeout", "0.5s", code=3)
    assert time.monotonic() - began < 30
    assert len(error.splitlines()) == 1
    assert "hunter2" not in error


def test_a_command_gives_up_on_a_locked_table_and_cancels_its_statement(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = f"locked_{secrets.token_hex(4)}"
    migrate(postgres_url, schema=schema)
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as blocker, engine.connect() as observer:
        blocker.exec_driver_sql("BEGIN")
        blocker.exec_driver_sql(f"LOCK TABLE {schema}.breakers")
        said(capsys, "status", "--url", postgres_url, "--schema", schema, "--timeout", "0.3s", code=3)
        waiting = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%{schema}%%'"
        deadline = time.monotonic() + 30
        while observer.exec_driver_sql(waiting).scalar():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        blocker.exec_driver_sql("ROLLBACK")


def test_in_time_raises_an_error_if_the_work_hangs() -> None:
    with pytest.raises(StoreUnavailableError, match=r"did not answer within 0\.1 s"):
        in_time(0.1, lambda: time.sleep(5))


def test_in_time_raises_the_error_of_the_work() -> None:
    with pytest.raises(ZeroDivisionError):
        in_time(5, lambda: 1 // 0)


def test_an_error_of_the_store_names_the_database_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    error = said(capsys, "status", "--url", "postgresql://app:s3cr3t@127.0.0.1:1/shop?application_name=x", code=3)
    assert error.endswith("the connection was refused (shop on 127.0.0.1:1 as app)\n")
    assert "s3cr3t" not in error
