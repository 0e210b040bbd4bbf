"""The fixtures of the conformance tests, for a store that the command line names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cbstore_sql.stores.base import Store
from cbstore_sql.testing.conformance.backend import ImportedBackend


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--store`` and ``--processes`` of the conformance tests to pytest."""
    group = parser.getgroup("cbstore conformance")
    group.addoption("--store", metavar="MODULE:FUNCTION", help="opens the store: takes a namespace, returns a Store")
    group.addoption("--processes", action="store_true", help="also test processes: the store is shared between them")


@pytest.fixture
def backend(pytestconfig: pytest.Config) -> ImportedBackend:
    """The backend that opens the stores under test with the function that ``--store`` names."""
    return ImportedBackend(pytestconfig.getoption("--store"))


@pytest.fixture
def shared_backend(pytestconfig: pytest.Config, backend: ImportedBackend) -> ImportedBackend:
    """The backend for tests with several processes. Without ``--processes``, such a test is skipped."""
    if not pytestconfig.getoption("--processes"):
        pytest.skip("not tried without --processes")
    return backend


@pytest.fixture
def store(backend: ImportedBackend) -> Iterator[Store]:
    """A store in a new namespace, which no other test uses."""
    with backend.open() as opened:
        yield opened
