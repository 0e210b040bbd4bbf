"""The connection of a breaker to push: other processes learn of its state changes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbstore_sql.breaker.view import View
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore

if TYPE_CHECKING:
    from cbstore_sql.stores.sql.push.listener import Push


def make_push(store: Store | AsyncStore, view: View | None, *, wanted: bool) -> Push | None:
    """Make the object that exchanges state changes with other processes at once, for one breaker.

    Args:
        store: The store that the breaker was given.
        view: The breaker's view (this process's copy of the shared state), which push keeps up to date; ``None`` if the
            breaker has no view.
        wanted: Whether the breaker was made with ``push``.

    Returns:
        The object, not yet connected; ``None`` if ``wanted`` is false.

    Raises:
        ConfigurationError: ``view`` is ``None``, or the store cannot push.
    """
    if not wanted:
        return None
    if view is None:
        raise ConfigurationError("push updates the local view: it needs a shared store and a max_staleness above 0")
    from cbstore_sql.stores.sql.push.listener import open_push

    return open_push(store, view)
