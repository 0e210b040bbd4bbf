"""Reads that the processes of one host share: one process reads the breakers, and the others use its answer.

The answer stands in a file that all processes of the host read. Its age counts from the moment before the store was
asked, on the steady clock of the host, so the bound of the view holds in each process. A process that finds the answer
too old tries to become the reader. A reader that ends or hangs is replaced, because its right to write ends with it, or
because the other processes read for themselves before their views become too old.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore

if TYPE_CHECKING:
    from cbstore_sql.runtime.host_file import HostFile

# A name that its process did not ask for again within this many seconds is not read for others any more.
_WANTED_SECONDS = 10.0

# The largest number of breakers that a reader reads for other processes.
_MOST_NAMES = 1000

# The order of the fields in the file. It is a part of the file's name, so two versions of this library never share a
# file whose fields differ.
_FIELDS = Snapshot._fields


class Published(NamedTuple):
    """An answer of the store that one process of this host has published for the others.

    Attributes:
        asked_at: The moment just before the store call, in seconds of a clock that all processes of the host share.
        snapshots: The breakers, by name.
        wanted: For each name, the moment at which a process last asked for it.
    """

    asked_at: float
    snapshots: dict[str, Snapshot]
    wanted: dict[str, float]


class HostReads:
    """Share the reads of one store between the processes of a host: one process reads and publishes the answer for all.

    Only the process that has the right to publish may do so. The others read the published answer.

    Args:
        file: The file that the processes share.
    """

    def __init__(self, file: HostFile) -> None:
        self._file = file

    def published(self, now: float) -> Published | None:
        """Read the answer that was published last.

        Args:
            now: The present moment, in seconds of the clock that all processes of the host share.

        Returns:
            The answer. ``None`` if the file is missing or cannot be understood, or if the answer is later than ``now``,
            which can happen after a restart of the machine.
        """
        content = self._file.read()
        try:
            found = json.loads(content)
            snapshots = {fields[0]: _snapshot(fields) for fields in found["breakers"]}
            answer = Published(float(found["asked_at"]), snapshots, dict(found["wanted"]))
        except (ValueError, TypeError, KeyError, IndexError):
            return None
        return answer if answer.asked_at <= now else None

    def try_acquire(self) -> bool:
        """Try to get the right to publish, without waiting. Return whether this process has the right now."""
        return self._file.try_acquire()

    def release(self) -> None:
        """Give up the right to publish, so that another process can get it."""
        self._file.release()

    @staticmethod
    def names_for_all(own: Sequence[str], last: Published | None, now: float) -> list[str]:
        """Return the names of the breakers that this process must read for itself and for the other processes.

        Args:
            own: The names of the breakers that this process uses.
            last: The answer that was published last, with the names that other processes asked for recently; ``None``
                if there is no such answer.
            now: The present moment, in seconds of the clock that all processes of the host share.
        """
        others = () if last is None else (n for n, asked in last.wanted.items() if now - asked < _WANTED_SECONDS)
        names = list(dict.fromkeys((*own, *others)))
        return names if len(names) <= _MOST_NAMES else list(own)

    def publish(
        self, snapshots: Iterable[Snapshot], asked_at: float, own: Iterable[str], last: Published | None
    ) -> None:
        """Publish the breakers that this process has read, so that the other processes of this host can use them.

        The caller must have the right to publish; see `try_acquire`.

        Args:
            snapshots: The breakers, as the store returned them.
            asked_at: The moment just before the store call, in seconds of the clock that all processes of the host
                share.
            own: The names of the breakers that this process uses.
            last: The answer that was published last; ``None`` if there is no such answer.
        """
        rows = list(snapshots)
        wanted = {} if last is None else last.wanted
        wanted = {row.name: wanted[row.name] for row in rows if row.name in wanted} | dict.fromkeys(own, asked_at)
        self._file.write(json.dumps({"asked_at": asked_at, "breakers": rows, "wanted": wanted}).encode())


def make_host_reads(store: Store | AsyncStore, view: View | None) -> HostReads:
    """Make the object through which the processes of this host share their reads of one store.

    Args:
        store: The store that the breaker was given.
        view: The breaker's view (this process's copy of the shared state); ``None`` if the breaker has no view.

    Raises:
        ConfigurationError: The breaker has no view, the store is not on PostgreSQL, or this user has no private
            directory on this host.
    """
    if view is None:
        raise ConfigurationError("share_reads serves the local view: it needs a shared store and max_staleness above 0")
    from cbstore_sql.stores.sql.identity import identity_of

    rows = identity_of(store)
    try:
        from cbstore_sql.runtime.host_file import HostFile, host_identity  # no such file locks on Windows

        identity = "\n".join((*rows, *_FIELDS, *host_identity()))
        return HostReads(HostFile(hashlib.sha256(identity.encode()).hexdigest()[:32]))
    except (OSError, ImportError) as error:
        raise ConfigurationError(f"share_reads needs a directory that only this user can enter: {error}") from error


def _snapshot(fields: list[Any]) -> Snapshot:
    """Make a snapshot from the fields in the file."""
    snapshot = Snapshot._make(fields)
    return snapshot._replace(state=State(snapshot.state))
