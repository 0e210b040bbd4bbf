"""A small file that the processes of one user on one host share: one process writes at a time, all processes read.

The file is replaced as a whole, so a reader never sees half of it. The right to write is a ``flock``: the system takes
it back when its process ends, however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path

from cbstore_sql.runtime.fork import after_fork_in_child

_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory in memory; the part below it belongs to one user
_ONLY_OWNER = 0o700


class HostFile:
    """A file in a directory that only this user can enter, in memory where the system has such a directory.

    Args:
        name: The name of the file, which tells what is in it. Processes share the file by this name.
        directory: The directory; ``None`` means the user's directory for files of this library.

    Raises:
        OSError: The directory cannot be made, or another user could change the files in it.
    """

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._name = name
        self._is_own_directory = directory is None
        self._directory = user_directory() if directory is None else directory
        self._held: int | None = None
        after_fork_in_child(self._close)

    def read(self) -> bytes:
        """Return the content that was written last; ``b""`` if the file is missing, unreadable or another user's."""
        try:
            with open(self._directory / self._name, "rb") as file:
                return file.read() if os.fstat(file.fileno()).st_uid == os.geteuid() else b""
        except OSError:
            return b""

    def try_acquire(self) -> bool:
        """Take the right to write, without waiting.

        Returns:
            Whether this object has the right now. ``False`` if another object has it, in this process or another one.

        Raises:
            OSError: The lock file cannot be opened, so no process of this user can have the right.
        """
        # This assignment comes first, so that a forked child closes its copy of the descriptor.
        descriptor = self._held = self._open_lock()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            self._close()
            if isinstance(error, BlockingIOError):
                return False
            raise
        return True

    def release(self) -> None:
        """Give the right to write back, if this object has it."""
        if self._held is not None:
            # Without this call, a child that was forked at this moment would keep the right with its descriptor.
            fcntl.flock(self._held, fcntl.LOCK_UN)
        self._close()

    def write(self, content: bytes) -> None:
        """Replace the content. The caller must have the right to write. An error of the file system is ignored."""
        new = self._directory / f"{self._name}.new"
        with contextlib.suppress(OSError):
            descriptor = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(new, self._directory / self._name)

    def _open_lock(self) -> int:
        """Open the lock file. The directory is checked each time, because something may have removed the first one."""
        if self._is_own_directory:
            self._directory = user_directory()
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._directory / f"{self._name}.lock", flags, 0o600)

    def _close(self) -> None:
        """Close the lock file. In a forked child, this does not take the right from the parent."""
        descriptor, self._held = self._held, None
        if descriptor is not None:
            os.close(descriptor)


def host_identity() -> list[str]:
    """Return what tells this host apart from containers that may share its files, and from the time before a restart.

    Two processes share a steady clock and a network only if these values are equal.
    """
    found = []
    for path in ("/proc/self/ns/time", "/proc/self/ns/net"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(path))
    with contextlib.suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    return found


def user_directory() -> Path:
    """Return the directory for this user's files of this library. Make the directory if it is missing.

    Raises:
        OSError: The directory cannot be made, or it belongs to another user or is open to other users.
    """
    root = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    directory = root / f"cbstore_sql-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=_ONLY_OWNER)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} must be a directory that only this user can enter")
    return directory
