"""The construction of a panel from the arguments of `panel_asgi` and `panel_wsgi`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.panel.access import Authorize, Gatekeeper
from cbstore_sql.panel.app import Panel, Settings, Who, check_period
from cbstore_sql.panel.reader import Reader
from cbstore_sql.panel.source import Source, WholeStore
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.factory import make_store

__all__ = ["Who", "make_panel"]


def make_panel(  # settings
    store: str | Store,
    *,
    actions: bool,
    token: str | None,
    authorize: Authorize | None,
    who: Who | str | None,
    origins: Sequence[str],
    period: float,
    events: bool,
) -> Panel:
    """Make a panel from the arguments of `panel_asgi` or `panel_wsgi`.

    Args:
        store: See `panel_asgi`.
        actions: See `panel_asgi`.
        token: See `panel_asgi`.
        authorize: See `panel_asgi`.
        who: See `panel_asgi`.
        origins: See `panel_asgi`.
        period: See `panel_asgi`.
        events: Whether the server sends an event to open tabs when a page changes.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    gatekeeper = Gatekeeper(actions=actions, token=token, authorize=authorize, origins=origins)
    opened = make_store(store) if isinstance(store, str) else store
    if not isinstance(opened, Store):
        raise ConfigurationError("the panel needs a URL or a synchronous store, such as SqlStore(url)")
    reader = Reader(_source(opened), check_period(period))
    name = who if who is not None else "panel"
    named: Any = name if callable(name) else lambda request: name
    return Panel(Settings(gatekeeper, reader, opened, named, events))


def _source(store: Store) -> Source:
    from cbstore_sql.stores.sql.store import SqlStore

    if isinstance(store, SqlStore):
        from cbstore_sql.panel.sql import SqlPages

        return SqlPages(store)
    return WholeStore(store)
