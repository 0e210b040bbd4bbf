"""The contract tests with a role that may not create, alter, drop or truncate anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract import (
    test_claim_probe,
    test_force_open_and_reset,
    test_max_breakers,
    test_races,
    test_read,
    test_record_failure,
    test_record_success,
    test_release_and_renew_probe,
)
from tests.stores.contract.backends import Backend, in_both_colours
from tests.stores.contract.test_max_breakers import full  # noqa: F401 - a fixture of the tests below
from tests.system.security.conftest import Granted

KEPT = (
    test_claim_probe,
    test_force_open_and_reset,
    test_max_breakers,
    test_races,
    test_read,
    test_record_failure,
    test_record_success,
    test_release_and_renew_probe,
)


@pytest.fixture(params=in_both_colours(("postgresql",)))
def backend(request: pytest.FixtureRequest, granted: Granted) -> Backend:
    return Backend(request.param, granted.runtime)


@pytest.fixture
def shared_backend(backend: Backend) -> Backend:
    return backend


@pytest.fixture
def store(backend: Backend) -> Iterator[ProtocolStore]:
    with backend.open() as opened:
        yield opened


for module in KEPT:
    globals().update({name: test for name, test in vars(module).items() if name.startswith("test_")})
del module
