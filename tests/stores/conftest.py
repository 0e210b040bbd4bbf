from __future__ import annotations

import pytest

from tests.stores.contract.backends import make_backend


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest) -> str:
    return make_backend(request.param, request).url
