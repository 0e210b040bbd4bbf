"""Changes of state that reach other processes at once: where it can be had, and by what name its state goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbstore_sql.breaker.view import View
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore

if TYPE_CHECKING:
    from cbstore_sql.stores.sql.push.listener import Push


def make_push(store: Store | AsyncStore, view: View | None, *, wanted: bool) -> Push | None:
    """Return the push of one breaker, or ``None`` where it is not wanted.

    Raises:
        ConfigurationError: There is no view that it could tell, or the store cannot push.
    """
    if not wanted:
        return None
    if view is None:
        raise ConfigurationError(
            "push tells the local view: it needs a store that is shared and a max_staleness above 0"
        )
    from cbstore_sql.stores.sql.push.listener import open_push

    return open_push(store, view)
