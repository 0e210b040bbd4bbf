"""Runs the command line in a separate session, so that a test can find all its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped] # it ships no types

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "import sys; from cbstore_sql.cli import main; sys.exit(main())")

# The limit only keeps a failure from hanging the suite. Nothing should take that long.
GIVE_UP_AFTER = 120.0


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment with another folder for temporary files and without settings for the output."""
    shaping = ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES")
    kept = {key: value for key, value in os.environ.items() if key not in shaping}
    return {**kept, "TMPDIR": str(folder), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def started(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Start ``cbstore`` as the leader of a session. At the end of the block, kill every process of the session."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=stdout,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment(folder),
        cwd=folder,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(GIVE_UP_AFTER, kill, [process.pid])
    watchdog.start()
    try:
        with process:
            yield process
    finally:
        watchdog.cancel()
        kill(process.pid)


def kill(session: int) -> None:
    """Kill all remaining processes of a session."""
    for left in alive(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


def alive(session: int) -> list[int]:
    """Return the processes of a session, without zombies."""
    found = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == session:
                found.append(process.pid)
    return found


def everybody_ends(session: int) -> bool:
    """Wait until no process of a session is left."""
    deadline = time.monotonic() + GIVE_UP_AFTER
    while alive(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
