"""The recording in docs/operations.md matches the output of the commands."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, migrate
from cbstore_sql.cli import _COMMANDS, exit_codes, main
from tests.docs.pages import blocks, text

PAGE = "docs/operations.md"
POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=60)

# Times, ages and process labels differ from run to run.
_VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC|[+-]\d\d:\d\d)", "<time>"),
    (r"\d+(?:\.\d)? (?:s|min|h|d)(?: \d+ (?:s|min|h))?", "<duration>"),
    (r"\(by [^)]*/\d+\)", "(by <process>)"),
    (r" +", " "),
)


def steady(output: str) -> str:
    """Return an output without the parts that differ between runs."""
    for pattern, word in _VARYING:
        output = re.sub(pattern, word, output)
    return output.strip()


def recorded() -> list[tuple[list[str], str]]:
    """Return the commands of the page in order, each with its output."""
    found = []
    for block in blocks(PAGE, "console"):
        for command in re.split(r"^\$ cbstore ", block, flags=re.MULTILINE)[1:]:
            line, _, output = command.partition("\n")
            found.append((shlex.split(line), output))
    return [(arguments, output) for arguments, output in found if arguments[0] != "doctor"]


def test_the_commands_of_the_page_print_the_output_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "breakers.db"
    monkeypatch.setenv("CBSTORE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("CBSTORE_NAMESPACE", "shop")
    migrate(f"sqlite:///{file}")
    with SqlStore.from_env() as store:
        store.record_failure("payments", POLICY, failures=5)
        store.record_failure("mail", POLICY)
    for number, (arguments, output) in enumerate(recorded()):
        if "An earlier override" in output:
            lapse(file)
        assert main(arguments) == 0
        assert steady(capsys.readouterr().out) == steady(output), (number, arguments)


def lapse(file: Path) -> None:
    """End the override as if ten minutes had passed."""
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE breakers SET override_until = override_until - 612 WHERE override_until > 0")
    connection.close()


def test_every_command_and_every_exit_code_is_listed() -> None:
    page = text(PAGE)
    assert [name for name in _COMMANDS if not re.search(rf"`(cbstore )?{name}[ `]", page)] == []
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    listed = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in row.split(",")}
    assert listed == codes
