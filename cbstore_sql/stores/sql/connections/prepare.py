"""A flag for all connections of a store: whether to prepare statements on the server."""

from __future__ import annotations

import logging

log = logging.getLogger("cbstore_sql")


class Preparing:
    """A flag for all connections of a store: whether to prepare statements on the server.

    The flag is set at first. When a connection detects a transaction pooler, which does not work with prepared
    statements, the store clears the flag.

    Attributes:
        wanted: Whether to prepare statements.
    """

    def __init__(self) -> None:
        self.wanted = True

    def give_up(self) -> None:
        """Clear the flag, so that the store prepares no further statements. The first call logs a message."""
        if self.wanted:
            self.wanted = False
            log.info("a pooler shares the server's sessions: statements are not prepared any more")
