"""Ends the servers of a directory and removes it when standard input closes.

The keeper is a separate process. When the test run ends, even by a kill, the pipe closes, and the keeper cleans up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def family(data: Path) -> list[int]:
    """Return the processes of the server of a data directory, its postmaster first. The list is empty if it is down."""
    try:
        postmaster = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        command = Path(f"/proc/{postmaster}/cmdline").read_bytes()
    except (OSError, ValueError):
        return []
    # After a crash the file remains, and the number may belong to another process.
    return [postmaster, *_children(postmaster)] if os.fsencode(data) in command else []


def signal_all(data: Path, number: signal.Signals) -> None:
    """Send a signal to every process of the server of a data directory."""
    for pid in family(data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(data: Path) -> None:
    """End the server of a data directory at once, whatever state it is in."""
    signal_all(data, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name may contain spaces and parentheses. State and parent follow its last parenthesis.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.stdin.read()
    for each in Path(sys.argv[1]).glob("data*"):
        kill(each)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
