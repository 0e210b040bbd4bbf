"""The reader of the output ends before the command has written everything, as in ``cbstore … | head``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cbstore_sql import SqlStore, migrate
from tests.cli.running import COMMAND, environment

GIVE_UP_AFTER = 60


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("migrate", "--sql"), ("status", "--json", "--timeout", "60s"), ("status", "--timeout", "60s")],
    ids=" ".join,
)
def test_a_command_whose_reader_has_ended_prints_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    with SqlStore(url) as store:
        store.force_open("payments", 60)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**environment(tmp_path), "CBSTORE_URL": url, "PYTHONUNBUFFERED": ""},
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=GIVE_UP_AFTER,
            check=False,
        )
    assert done.stderr == b""
