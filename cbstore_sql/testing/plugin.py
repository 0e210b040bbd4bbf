"""The pytest plugin with the fixture `breakers`. ``pytest -p no:cbstore`` disables the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cbstore_sql.testing.breakers import Breakers


@pytest.fixture
def breakers() -> Iterator[Breakers]:
    """A pytest fixture: a set of breakers over a new store in memory, whose clock and faults the test controls."""
    # The first test with this fixture imports the package, so that other test runs do not spend time on the import.
    from cbstore_sql.testing.breakers import Breakers

    controlled = Breakers()
    yield controlled
    controlled.close()
