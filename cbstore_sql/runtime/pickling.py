"""Objects that belong to one process and cannot be pickled or copied."""

from __future__ import annotations

from typing import NoReturn


class NotPicklable:
    """A base class whose objects refuse to be pickled or copied.

    Stores and breakers hold connections, locks and threads. A copy would share these with the original, or would have
    separate counts. So pickle and copy raise a `TypeError` that says what to do instead.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied: it holds connections, locks and threads of this "
            "process. Pass the URL and the policy instead, and make the object in each process"
        )
