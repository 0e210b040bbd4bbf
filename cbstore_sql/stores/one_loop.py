"""One event loop at a time: what a pool's connections and its waiting line are bound to."""

from __future__ import annotations

import asyncio

from cbstore_sql.errors import ConfigurationError


class OneLoop:
    """Knows which event loop a store is used in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_new(self) -> bool:
        """Whether the running loop comes after another one, and is still to be `entered`.

        Raises:
            ConfigurationError: The other one still runs.
        """
        if self._loop is None:
            self.entered()
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is not None and self._loop.is_running():
            raise ConfigurationError("the store is in use in another event loop: make one for each")
        return True

    def entered(self) -> None:
        """Note that the running loop is the one."""
        self._loop = asyncio.get_running_loop()
