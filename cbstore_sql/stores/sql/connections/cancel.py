"""Asks a server to stop what nobody waits for any more."""

from __future__ import annotations

import select
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

_SECONDS = 1.0

# What libpq waits for next; otherwise it is done.
_EVENTS = {1: select.POLLIN, 2: select.POLLOUT}

_places = threading.BoundedSemaphore(4)


def cancel(pgconn: Any) -> None:
    """StoreCall, in a thread that ends by itself, and wait for nothing.

    A session whose client has gone goes on waiting for its lock: without this, one locked row would take connection
    after connection of the server. It is best effort: libpq can do it without blocking from version 17, and where
    many were asked already and nobody answers, it is left.

    Args:
        pgconn: A libpq connection with a statement under way; it may be closed as soon as this returns.
    """
    if not _places.acquire(blocking=False):
        return
    with suppress(Exception):
        request = pgconn.cancel_conn()
        threading.Thread(target=_ask, args=(request,), name="cbstore-cancel", daemon=True).start()
        return
    _places.release()


def _ask(request: Any) -> None:
    end = monotonic() + _SECONDS
    try:
        with suppress(Exception):
            request.start()
            while (events := _EVENTS.get(request.poll())) and (left := end - monotonic()) > 0.0:
                ready = select.poll()
                ready.register(request.socket, events)
                ready.poll(left * 1000.0)
        request.finish()
    finally:
        _places.release()
