"""Tests of ``cbstore demo`` with real processes, real HTTP and real databases."""

from __future__ import annotations

import os
import pty
import re
import secrets
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from cbstore_sql import SqlStore
from cbstore_sql.cli import main
from tests.cli.running import everybody_ends, started

# A loaded machine may be slow, so these tests check only the order of events.
SHORT = ("demo", "--seconds", "3", "--workers", "2", "--patience", "60")


def read_terminal(terminal: int) -> str:
    """Read the terminal until the last process that writes to it has ended."""
    text = b""
    try:
        while part := os.read(terminal, 65536):
            text += part
    except OSError:
        pass
    return text.decode(errors="replace")


def test_a_run_on_sqlite_passes_its_checks_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT) as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "all 7 checks ok" in output
    assert "left behind: nothing" in output
    assert "NOT OK" not in output
    assert everybody_ends(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_the_panel_shows_the_run_while_it_lasts(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT, "--plain", "--panel") as demo:
        assert demo.stdout is not None
        url = demo.stdout.readline().removeprefix("panel on ").strip()
        line = demo.stdout.readline()
        while "closed -> open" not in line:
            line = demo.stdout.readline()
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - the address is ours
            page = answer.read().decode()
        rest, _ = demo.communicate()
    assert "payments" in page
    assert "all 7 checks ok" in rest
    assert "circuit breaker 'payments'" not in rest


def test_a_run_on_postgresql_creates_the_table_and_deletes_its_row(postgres_url: str, tmp_path: Path) -> None:
    schema = f"demo_{secrets.token_hex(4)}"
    with started(tmp_path, *SHORT, "--plain", "--url", postgres_url, "--schema", schema) as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "one circuit breaker in PostgreSQL" in output
    assert "left behind: the breaker table, which did not exist before" in output
    with SqlStore(postgres_url, schema=schema) as store:
        assert store.read_all() == []


def test_a_run_on_a_terminal_draws_every_worker(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with started(tmp_path, *SHORT, stdout=theirs) as demo:
        os.close(theirs)
        output = read_terminal(ours)
    os.close(ours)
    assert demo.returncode == 0, output
    assert "\x1b[?25l" in output
    assert all(f"worker-{number}" in output for number in (1, 2))
    assert "all 7 checks ok" in output


def interrupt_group(demo: subprocess.Popen[str]) -> None:
    os.killpg(demo.pid, signal.SIGINT)


def interrupt_parent(demo: subprocess.Popen[str]) -> None:
    demo.send_signal(signal.SIGINT)


def terminate_parent(demo: subprocess.Popen[str]) -> None:
    demo.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("stop", "code", "moment"),
    [
        (interrupt_group, 130, "starting"),
        (interrupt_group, 130, "closed -> open"),
        (interrupt_parent, 130, "calls pass"),
        (terminate_parent, 143, "calls pass"),
    ],
)
def test_a_signal_ends_the_demo_without_a_remaining_process_or_file(
    stop: Callable[[subprocess.Popen[str]], None], code: int, moment: str, tmp_path: Path
) -> None:
    with started(tmp_path, *SHORT) as demo:
        assert demo.stdout
        while moment not in demo.stdout.readline():
            assert demo.poll() is None
        stop(demo)
        output = demo.stdout.read()
    assert demo.returncode == code, output
    assert output.splitlines()[-1] == "cbstore demo: interrupted; all processes have ended"
    assert "Traceback" not in output
    assert everybody_ends(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_the_children_of_a_killed_demo_end_by_themselves(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT) as demo:
        assert demo.stdout
        while "calls pass" not in demo.stdout.readline():
            assert demo.poll() is None
        demo.kill()
        demo.wait()
        assert everybody_ends(demo.pid)


def test_a_worker_that_dies_fails_the_run(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT) as demo:
        assert demo.stdout
        while "calls pass" not in demo.stdout.readline():
            assert demo.poll() is None
        worker = next(child for child in psutil.Process(demo.pid).children() if "spawn_main" in str(child.cmdline()))
        worker.kill()
        output = demo.stdout.read()
    assert demo.returncode == 1, output
    assert re.search(r"(worker-\d|service) ended unexpectedly", output)
    assert everybody_ends(demo.pid)


def test_an_unreachable_database_is_reported_in_one_line_without_the_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--url", "postgresql://me:hunter2@127.0.0.1:1/db"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "hunter2" not in captured.err


@pytest.mark.parametrize(
    "option", [("--workers", "0"), ("--workers", "51"), ("--seconds", "nan"), ("--patience", "-1")]
)
def test_options_out_of_range_are_refused(option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *option])
    assert ended.value.code == 2
