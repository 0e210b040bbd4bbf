"""Nested alembic runs.

The modules ``alembic.op`` and ``alembic.context`` belong to one run at a time. When the library starts a run, a run of
the application may be under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import alembic.context
import alembic.op


@contextmanager
def kept() -> Iterator[None]:
    """At the end of the block, restore ``alembic.op`` and ``alembic.context`` for the run that used them before."""
    before: list[Any] = [getattr(module, "_proxy", None) for module in (alembic.context, alembic.op)]
    try:
        yield
    finally:
        for proxy in before:
            if proxy is not None:
                proxy._install_proxy()
