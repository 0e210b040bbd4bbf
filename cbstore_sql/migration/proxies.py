"""A context manager for an alembic run that starts inside another alembic run.

The modules ``alembic.op`` and ``alembic.context`` belong to one run at a time. When the library starts an alembic run,
the application's alembic run may not have ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import alembic.context
import alembic.op


@contextmanager
def kept() -> Iterator[None]:
    """Run a block that starts another alembic run, and afterwards give ``alembic.op`` back to the present run.

    ``alembic.op`` and ``alembic.context`` belong to one alembic run at a time. At the end of the block, both belong
    again to the run that owned them at its start.
    """
    before: list[Any] = [getattr(module, "_proxy", None) for module in (alembic.context, alembic.op)]
    try:
        yield
    finally:
        for proxy in before:
            if proxy is not None:
                proxy._install_proxy()
