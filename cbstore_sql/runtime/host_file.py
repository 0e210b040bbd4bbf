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
    """A file through which the processes of one user on one host share data. One process at a time may write.

    The file is in a directory that only this user can enter, in memory if the system has such a directory.

    Args:
        name: The name of the file. Processes share the file by this name.
        directory: The directory; ``None`` means the user's directory for files of this library.

    Raises:
        OSError: The directory cannot be made, or another user could change the files in it.
    """

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._directory = user_directory() if directory is None else directory
        self._file = self._directory / name
        self._lock_file = self._directory / f"{name}.lock"
        self._held: int | None = None
        after_fork_in_child(self.release)

    def read(self) -> bytes:
        """Return the whole content of the file; ``b""`` if the file is missing or cannot be read."""
        try:
            return self._file.read_bytes()
        except OSError:
            return b""

    def try_acquire(self) -> bool:
        """Try to get the right to write, without waiting.

        Returns:
            ``True`` if this object has the right now. ``False`` if another object has it, in this process or another
            one.
        """
        try:
            descriptor = os.open(self._lock_file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._held = descriptor
        return True

    def release(self) -> None:
        """Give up the right to write, so that another process can get it. Without the right, do nothing.

        A forked child calls this method too, and its parent keeps the right. The child only closes its copy of the
        descriptor.
        """
        descriptor, self._held = self._held, None
        if descriptor is not None:
            os.close(descriptor)

    def write(self, content: bytes) -> None:
        """Replace the whole content of the file. An error of the file system is ignored.

        The caller must have the right to write; see `try_acquire`.

        Args:
            content: The new content.
        """
        with contextlib.suppress(OSError):
            handle, temporary = tempfile.mkstemp(dir=self._directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(temporary, self._file)
            except OSError:
                os.unlink(temporary)
                raise


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
