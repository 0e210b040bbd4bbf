"""Runs one server for as long as standard input stays open, then ends it and removes its directory.

The guard is a separate process. When the test run ends, even by a kill, the pipe closes, and the guard cleans up.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SHUTDOWN_SECONDS = 20
LOG_TAIL = 2000


def as_owner(directory: Path) -> dict[str, Any]:
    """Options for `subprocess` to run as the owner of `directory`: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    owner = directory.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def _end_when_let_go(server: subprocess.Popen[bytes]) -> None:
    sys.stdin.readline()
    server.send_signal(signal.SIGINT)
    try:
        server.wait(SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


def main(directory: Path, command: list[str]) -> None:
    """Run a command in a directory. After the end of the command, print the end of its log."""
    log = directory / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **as_owner(directory)
        )
    threading.Thread(target=_end_when_let_go, args=(server,), daemon=True).start()
    server.wait()
    tail = log.read_text(errors="replace")[-LOG_TAIL:]
    shutil.rmtree(directory)
    sys.stderr.write(tail)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
