"""The pytest plugin: one fixture. ``pytest -p no:cbstore`` switches it off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cbstore_sql.testing.breakers import Breakers


@pytest.fixture
def breakers() -> Iterator[Breakers]:
    """Breakers under the test's control, over its own store; see `cbstore_sql.testing.Breakers`."""
    # The package is imported by the first test that wants it, so that other runs do not pay for it.
    from cbstore_sql.testing.breakers import Breakers

    controlled = Breakers()
    yield controlled
    controlled.close()
