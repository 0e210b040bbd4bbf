from __future__ import annotations

from collections.abc import Iterator

import pytest

from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import NAMES, SHARED, Backend, in_both_colours, make_backend


@pytest.fixture(params=in_both_colours(NAMES))
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture(params=in_both_colours(SHARED))
def shared_backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def store(backend: Backend) -> Iterator[ProtocolStore]:
    with backend.open() as opened:
        yield opened
