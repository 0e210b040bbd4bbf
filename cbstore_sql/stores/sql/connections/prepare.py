"""Whether a store's statements are prepared."""

from __future__ import annotations

import logging

log = logging.getLogger("cbstore_sql")


class Preparing:
    """Use prepared statements until a transaction pooler is detected.

    Attributes:
        wanted: Whether to prepare.
    """

    def __init__(self) -> None:
        self.wanted = True

    def give_up(self) -> None:
        """Prepare no more; the first time it is a log line."""
        if self.wanted:
            self.wanted = False
            log.info("a pooler shares the server's sessions: statements are not prepared any more")
