"""Ends the servers of a directory and removes it when standard input closes.

A process of its own: however the test run ends, a kill included, its end of the pipe closes and nothing is left
behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def family(data: Path) -> list[int]:
    """The processes of the server of a data directory, its postmaster first; none where it is down."""
    try:
        postmaster = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        command = Path(f"/proc/{postmaster}/cmdline").read_bytes()
    except (OSError, ValueError):
        return []
    # After a crash the file stays, and the number may be somebody else's.
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
                # The name may hold spaces and parentheses; state and parent follow its last one.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.stdin.read()
    for each in Path(sys.argv[1]).glob("data*"):
        kill(each)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
