"""A file with one line for each guarded call, for ``cbstore replay``."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from cbstore_sql.events import BreakerEvent, CallFinished


class CallLog:
    """A listener that appends one JSON line to a file for each guarded call.

    ::

        {"time": 1764251400.125, "name": "billing", "outcome": "failure", "seconds": 2.001, "process": "web-1/4711"}

    ``time`` is the moment at which the call ended, in Unix seconds. ``seconds`` is the duration of the call.
    ``outcome`` is ``"success"``, ``"failure"``, or ``"none"`` if the outcome says nothing about the dependency. The
    file contains neither rejected calls nor calls that the application admitted with ``admit``. Many processes of one
    machine may write to the same file, because one system call appends each line.

    Args:
        path: The file; it is created when the first call ends. The library does not limit the size of the file. A line
            has about 110 bytes.
        clock: A function that returns Unix seconds; ``None`` means the system's clock.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] | None = None) -> None:
        self._path = Path(path)
        self._clock = clock or time.time
        self._opened: tuple[int, int, str] | None = None

    def __call__(self, event: BreakerEvent) -> None:
        """Append a line if ``event`` is a `CallFinished`; ignore other events."""
        if not isinstance(event, CallFinished):
            return
        descriptor, process = self._file()
        line = {
            "time": round(self._clock(), 6),
            "name": event.name,
            "outcome": event.verdict.value,
            "seconds": round(event.seconds, 6),
            "process": process,
        }
        os.write(descriptor, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        """Close the file. If another call ends later, the file is opened again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            os.close(opened[0])

    def _file(self) -> tuple[int, str]:
        """Return the descriptor of the open file and the name of this process. A forked child opens the file again."""
        pid = os.getpid()
        if self._opened is None or self._opened[1] != pid:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._opened = (descriptor, pid, f"{socket.gethostname()[:64]}/{pid}")
        return self._opened[0], self._opened[2]
