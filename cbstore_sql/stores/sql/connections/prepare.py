"""A flag that tells whether a store prepares its statements."""

from __future__ import annotations

import logging

log = logging.getLogger("cbstore_sql")


class Preparing:
    """A flag that tells all connections of a store whether to prepare statements.

    The flag is set until a connection detects a transaction pooler, which does not work with prepared statements.

    Attributes:
        wanted: Whether to prepare statements.
    """

    def __init__(self) -> None:
        self.wanted = True

    def give_up(self) -> None:
        """Clear the flag, so that no statement is prepared any more; the first call logs this."""
        if self.wanted:
            self.wanted = False
            log.info("a pooler shares the server's sessions: statements are not prepared any more")
