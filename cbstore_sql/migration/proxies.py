"""``alembic.op`` and ``alembic.context`` mean one run at a time; another may be under way when ours begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import alembic.context
import alembic.op


@contextmanager
def kept() -> Iterator[None]:
    """Give the modules back to the run that had them before."""
    before: list[Any] = [getattr(module, "_proxy", None) for module in (alembic.context, alembic.op)]
    try:
        yield
    finally:
        for proxy in before:
            if proxy is not None:
                proxy._install_proxy()
