"""What a PostgreSQL server has done since it started: statements and processor time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg


@dataclass(frozen=True)
class ServerLoad:
    """Totals of the server.

    Attributes:
        processor: The processor time of each process of the server, in seconds; ``None`` if the server runs in a
            container or on another machine, where its processes cannot be seen.
        statements: The number of statements.
    """

    processor: Mapping[str, float] | None
    statements: int

    def processor_since(self, before: ServerLoad) -> float | None:
        """Return the seconds of processor time that processes which are there now have taken since a moment before."""
        if self.processor is None or before.processor is None:
            return None
        return sum(total - before.processor.get(process, 0.0) for process, total in self.processor.items())


def server_load(watcher: psycopg.Connection[Any]) -> ServerLoad:
    """Return the totals up to now."""
    watcher.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
    row = watcher.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return ServerLoad(_processor_times(watcher.info.backend_pid), row[0] if row else 0)


def processor_time(process: int | str) -> float:
    """Return the processor time of a process with one thread, in seconds; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0


def _processor_times(session: int) -> Mapping[str, float] | None:
    """Return the processor time of each process that the parent of a session has started, in seconds."""
    try:
        name, _, status = Path(f"/proc/{session}/stat").read_text().rpartition(")")
        if "postgres" not in name:
            return None  # the server has another process with this number in its container
        parent = status.split()[1]
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except FileNotFoundError:
        return None
    return {child: processor_time(child) for child in children}
