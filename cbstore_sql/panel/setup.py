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
    """Make a panel from the arguments of `panel_asgi` or `panel_wsgi`; see `panel_asgi` for all details.

    Args:
        store: The database's URL, or a synchronous store on SQL or Redis.
        actions: Whether users may open, close, lock and unlock breakers. If ``False``, users can only read.
        token: A secret of 16 characters or more that gives access, or ``None`` if the panel has no login.
        authorize: The host application's function that returns the rights of a request, or ``None`` if the panel checks
            the token or the address.
        who: The name of the person behind a request, or a function from the request to this name. ``None`` means
            ``"panel"``.
        origins: Further origins of the panel, such as ``https://ops.example.com``.
        period: Seconds for which one read of the store serves all requests and all open tabs, from 0.1 to 3600.
        events: Whether the server sends an event to open tabs when a page changes. If ``False``, each tab asks the
            server every few seconds.

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
