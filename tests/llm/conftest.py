from __future__ import annotations

import os

import pytest

from tests.llm.tools import Bench
from tests.system.compat.published import VARIABLE, Published, load


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def published() -> Published:
    """The published massgen 0.1.78."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} does not name a directory with massgen in it")
    return load()
