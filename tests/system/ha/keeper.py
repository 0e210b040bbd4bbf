"""Ends every process of a directory and removes the directory when standard input closes.

A process of its own, as for the servers of the fault tests: however the program ends, a kill included, nothing of the
cluster is left behind. etcd, Patroni and PostgreSQL all have a path in the directory on their command line.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

ROUNDS = 3
"""How often to look: Patroni may start a server while the first round ends it."""


def processes_of(path: Path) -> Iterator[int]:
    """The processes whose command line names a path or something in it, this process left out."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.fsencode(path) in (entry / "cmdline").read_bytes():
                    yield int(entry.name)


def signal_all(path: Path, number: signal.Signals) -> None:
    """Send a signal to every process of a path."""
    for pid in processes_of(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.stdin.read()
    for _ in range(ROUNDS):
        signal_all(Path(sys.argv[1]), signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
